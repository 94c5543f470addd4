"""The gateway's REST API: requests, pages, uploads, and what went wrong with them."""

from __future__ import annotations

import contextlib
import io
import json
import mimetypes
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx

Json = dict[str, Any]

_TIMEOUT = httpx.Timeout(60, connect=5)
# After its last byte a video is decoded to its end before it is answered for.
_UPLOAD_TIMEOUT = httpx.Timeout(600, connect=5)
_TRIES = 4
# Between two tries.
LONGEST_WAIT_SECONDS = 30.0
# Answered by a gateway that is draining or misses a service; by a limit; and by a proxy in front of it.
_PASSING = (429, 502, 503, 504)


class ClientError(Exception):
    """Something cannot be done. `advice` says what to do; it may be empty."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message, self.advice = message, advice


class Unreachable(ClientError):
    """There was no answer, or none of Reelroute. Whether the request was carried out is unknown."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that the gateway refuses, by REST's path."""

    field: str
    description: str
    reason: str


class Refused(ClientError):
    """The gateway's problem answer (RFC 9457)."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(str(body.get("detail") or body.get("title") or "The request was refused."))
        self.status = status
        self.title = str(body.get("title") or f"HTTP status {status}")
        self.reason = str(body.get("reason") or "")
        self.request_id = str(body.get("request_id") or "")
        self.violations = [
            Violation(str(each.get("field", "")), str(each.get("description", "")), str(each.get("reason", "")))
            for each in body.get("field_violations") or []
        ]
        self.advice = _ADVICE.get(self.reason) or _advice(status)


_ADVICE = dict.fromkeys(
    ("SHOP_NOT_CONNECTED", "SHOP_AUTHORIZATION_LOST", "SHOP_SCOPE_MISSING"), "Connect it again: reelroute shops connect"
) | dict.fromkeys(
    ("MERCHANT_NOT_CONNECTED", "MERCHANT_AUTHORIZATION_LOST"),
    "Let the seller authorise the app in Seller Central, then: reelroute merchants connect",
)


def _advice(status: int) -> str:
    if status == 401:
        return "Put a good key into REELROUTE_API_KEY, or its file into REELROUTE_API_KEY_FILE."
    if status == 403:
        return "Use a key that has the scope. `reelroute keys create` makes one, with a key of WORKSPACE_ADMIN."
    if status == 429 or status >= 500:
        return "Try again in a moment. `reelroute status` shows what is up."
    return ""


class Api:
    """A gateway. Every POST carries an Idempotency-Key, so that what got no answer can be sent again safely."""

    def __init__(self, url: str, key: str, *, is_local: bool) -> None:
        self.url = url
        headers = {"Accept": "application/json", "User-Agent": "reelroute-cli"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        # A proxy of the environment knows nothing of this machine's own ports.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=not is_local)
        self._was_answered = False

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def get(self, path: str, **params: str | int | list[str]) -> Json:
        """Reads. Raises Refused or Unreachable."""
        given = {name: value for name, value in params.items() if value != ""}
        return self._answer(lambda: self._http.get(path, params=given), may_repeat=True)

    def status(self, path: str) -> tuple[int, Json]:
        """One reading whose status is part of its answer. Raises Unreachable."""
        response = self._send(lambda: self._http.get(path))
        return response.status_code, self._json(response)

    def post(
        self, path: str, body: Json, *, key: str = "", may_repeat: bool = True, takes_minutes: bool = False
    ) -> Json:
        """Sends. `key` is the Idempotency-Key, by default a new one. Raises Refused or Unreachable."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        timeout = _UPLOAD_TIMEOUT if takes_minutes else _TIMEOUT
        return self._answer(
            lambda: self._http.post(path, json=body, headers=headers, timeout=timeout), may_repeat=may_repeat
        )

    def put(self, path: str, body: Json) -> Json:
        """Sets as a whole. Raises Refused or Unreachable."""
        return self._answer(lambda: self._http.put(path, json=body), may_repeat=True)

    def patch(self, path: str, body: Json, *, etag: str, **params: str) -> Json:
        """Changes the version that was read. Raises Refused (412: it was changed since) or Unreachable."""
        headers = {"Idempotency-Key": str(uuid.uuid4()), "If-Match": f'"{etag}"'}
        given = {name: value for name, value in params.items() if value}
        return self._answer(lambda: self._http.patch(path, json=body, headers=headers, params=given), may_repeat=True)

    def delete(self, path: str) -> None:
        """Takes away. Raises Refused or Unreachable."""
        self._answer(lambda: self._http.delete(path), may_repeat=True)

    def lines(self, path: str, body: Json) -> Iterator[Json]:
        """The lines of a long answer, as they come; the last is the summary. Raises Refused or Unreachable.

        An answer that breaks off is asked for again with the same Idempotency-Key, and goes on: what was told may then
        be told again.
        """
        key = str(uuid.uuid4())
        for attempt in range(1, _TRIES + 1):
            try:
                yield from self._lines(path, "Try again in a moment.", json=body, headers={"Idempotency-Key": key})
                return
            except ClientError as error:
                is_passing = error.status in _PASSING if isinstance(error, Refused) else self._was_answered
                if attempt == _TRIES or not is_passing:
                    raise
            time.sleep(min(2.0**attempt / 4, LONGEST_WAIT_SECONDS))

    def send_calendar(self, path: Path, choices: Json) -> Iterator[Json]:
        """Sends a calendar to be imported; the lines of the answer as they come, the summary last.

        Raises Refused, Unreachable. One that breaks off is sent again by whoever wants it: it doubles nothing.
        """
        try:
            file = path.open("rb")
        except OSError as error:
            raise ClientError(f"{path} cannot be read: {error.strerror}.", "Name a calendar file.") from None
        # In this order: the gateway reads the options before the file.
        parts: dict[str, Any] = {"options": (None, json.dumps(choices), "application/json"), "file": (path.name, file)}
        with file:
            yield from self._lines("/v1/posts:import", "Import the same file again: nothing is doubled.", files=parts)

    def send_file(self, path: str, file: Path, choices: Json) -> Json:
        """Sends a small file with what holds for all of it. Raises Refused, Unreachable."""
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ClientError(f"{file} cannot be read: {error.strerror}.", "Name a file.") from None
        # In this order: the gateway reads the options before the file.
        parts: dict[str, Any] = {
            "options": (None, json.dumps(choices), "application/json"),
            "file": (file.name, content),
        }
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._answer(
            lambda: self._http.post(path, files=parts, headers=headers, timeout=_UPLOAD_TIMEOUT), may_repeat=True
        )

    def _lines(self, path: str, advice: str, **body: Any) -> Iterator[Json]:
        """The lines of one answer. `advice` is for one that breaks off."""
        line: Json = {}
        with (
            self._reaching(),
            self._http.stream("POST", path, timeout=_UPLOAD_TIMEOUT, **body) as response,
        ):
            self._take(response)
            for text in response.iter_lines():
                line = json.loads(text)
                if problem := line.get("problem"):
                    raise Refused(int(problem["status"]), problem)
                yield line
        if "summary" not in line:
            raise Unreachable(f"The answer of {self.url} broke off.", advice)

    def _take(self, response: httpx.Response) -> None:
        """Whatever is streamed is good; else it is a refusal. Raises Refused."""
        self._was_answered = True
        if response.status_code != httpx.codes.OK:
            response.read()
            self._json(response, refuse=True)

    def download(self, path: str, to: Path, **params: str) -> int:
        """Writes an answer into a file, whole or not at all; its bytes. Raises Refused, Unreachable."""
        given = {name: value for name, value in params.items() if value}
        part = to.with_name(f"{to.name}.part")
        try:
            with (
                part.open("wb") as file,
                self._reaching(),
                self._http.stream("GET", path, params=given, timeout=_UPLOAD_TIMEOUT) as response,
            ):
                self._take(response)
                for piece in response.iter_bytes():
                    file.write(piece)
            part.replace(to)
        except OSError as error:
            raise ClientError(f"{to} cannot be written: {error.strerror}.", "Choose another place.") from None
        finally:
            part.unlink(missing_ok=True)
        return to.stat().st_size

    def pages(self, path: str, items: str, **params: str | int | list[str]) -> Iterator[Json]:
        """Everything of a list, page by page."""
        token = ""
        while True:
            page = self.get(path, **{"page_size": 200, **params, "page_token": token})
            yield from page[items]
            token = page["next_page_token"]
            if not token:
                return

    def upload(self, path: Path, progress: Callable[[int], None] | None = None) -> Json:
        """Puts a file into the library, streamed. `progress` is told the bytes sent so far.

        Raises Refused (the file is not media that is taken), Unreachable, or OSError.
        """
        mime_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"

        def send() -> httpx.Response:
            with _Counted(path, progress or (lambda _sent: None)) as file:
                named = (path.name, cast(BinaryIO, file), mime_type)
                return self._http.post("/v1/media", files={"file": named}, timeout=_UPLOAD_TIMEOUT)

        return self._answer(send, may_repeat=True)

    def _answer(self, send: Callable[[], httpx.Response], *, may_repeat: bool) -> Json:
        for attempt in range(1, _TRIES + 1):
            is_last = attempt == _TRIES or not may_repeat
            try:
                response = self._send(send)
            except Unreachable:
                # Nobody there at the first request: say so at once. Later it may be a restart.
                if is_last or not self._was_answered:
                    raise
                time.sleep(min(2.0**attempt / 4, LONGEST_WAIT_SECONDS))
                continue
            if response.status_code not in _PASSING or is_last:
                return self._json(response, refuse=True)
            time.sleep(min(_retry_after(response) or 2.0**attempt / 4, LONGEST_WAIT_SECONDS))
        raise AssertionError("the last try returns or raises")

    def _send(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        with self._reaching():
            response = send()
        self._was_answered = True
        return response

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        """What goes wrong on the way, in our words."""
        try:
            yield
        except httpx.ConnectError:
            raise Unreachable(
                f"Nothing answers at {self.url}.",
                "Start it with `make run`, or say where it is with REELROUTE_URL.",
            ) from None
        except httpx.TimeoutException:
            raise Unreachable(f"{self.url} did not answer in time.", "Try again; `reelroute status` helps.") from None
        except httpx.TransportError as error:
            raise Unreachable(
                f"The connection to {self.url} broke ({type(error).__name__}).", "Try again in a moment."
            ) from None

    def _json(self, response: httpx.Response, *, refuse: bool = False) -> Json:
        if response.status_code == httpx.codes.NO_CONTENT:
            return {}
        try:
            body = response.json()
        except ValueError:
            body = None
        # A problem of Reelroute always has a reason; another server's refusal is not about us.
        is_refusal = refuse and response.status_code >= 400
        if not isinstance(body, dict) or (is_refusal and "reason" not in body):
            raise Unreachable(
                f"{self.url} answers, but not as Reelroute does (HTTP status {response.status_code}).",
                "Check REELROUTE_URL.",
            )
        if is_refusal:
            raise Refused(response.status_code, body)
        return body


def _retry_after(response: httpx.Response) -> float:
    try:
        return max(float(response.headers.get("Retry-After", "0")), 0.0)
    except ValueError:
        return 0.0


class _Counted(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, progress: Callable[[int], None]) -> None:
        super().__init__(path)
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._progress(self.tell())
        return data or b""
