"""Bulletin's own API as a bare ASGI application: see the head of the package for what it promises."""

import asyncio
import json
import math
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from sandbox.bulletin.settings import TAKEN_WITHIN_SECONDS, TEXT_CHARACTERS
from sandbox.bulletin.state import BadCode, BulletinState, TooFast
from sandbox.wire import ARRIVAL, CALL

POSTS = "/bulletin/v1/posts"
_BODY_BYTES = 64 * 1024
_PAGE, _LONGEST_PAGE = 50, 100
_CODES = {400: "invalid_request", 401: "token_invalid", 404: "not_found", 429: "rate_limited"}


class Refused(Exception):
    """The call is answered with an error, and nothing was done."""

    def __init__(self, status: int, message: str, retry_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_seconds = status, message, retry_seconds


def code_of(status: int) -> str:
    """The error code of a status."""
    return _CODES.get(status, "unavailable" if status >= 500 else "invalid_request")


class Api:
    """Answers the calls of `platform.Bulletin.endpoints`."""

    def __init__(self, state: BulletinState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call. Its token is looked at first, then its body is read."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        retry: int | None = None
        try:
            status, answer = await self._answer(scope, headers, receive)
        except Refused as refusal:
            status, retry, note = refusal.status, refusal.retry_seconds, scope["state"][CALL]
            note.code = code_of(status)
            answer = {"error": {"code": note.code, "message": refusal.message}}
        body = json.dumps(answer, separators=(",", ":")).encode()
        fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if retry is not None:
            fields.append((b"retry-after", b"%d" % retry))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> tuple[int, dict[str, Any]]:
        path, method = scope["path"], scope["method"]
        if path == "/bulletin/v1/token":
            return HTTPStatus.OK, self._token(await _body(receive))
        account = self._account(headers)
        scope["state"][CALL].creator = account
        if path == POSTS and method == "POST":
            return await self._create(scope, headers, account, await _body(receive))
        if path == POSTS:
            return HTTPStatus.OK, self._list(headers, account, scope["query_string"])
        if path == "/bulletin/v1/me":
            return HTTPStatus.OK, {"account": account, "display_name": self._state.display_name(account)}
        return HTTPStatus.OK, self._get(headers, path.rpartition("/")[2])

    def _account(self, headers: dict[bytes, bytes]) -> str:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        account = self._state.account_of(token.decode("latin-1")) if scheme.lower() == b"bearer" else None
        if account is None:
            raise Refused(401, "The access token is missing, unknown or revoked.")
        return account

    def _token(self, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            account = self._state.take_code(
                *(_text(body, name, 2000) for name in ("code", "redirect_uri", "code_verifier"))
            )
        except BadCode:
            raise Refused(400, "The code is unknown, used, expired, or was made for another request.") from None
        return {
            "access_token": self._state.issue_token(account),
            "account": account,
            "display_name": self._state.display_name(account),
        }

    async def _create(
        self, scope: Scope, headers: dict[bytes, bytes], account: str, body: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        text = _text(body, "text", TEXT_CHARACTERS)
        state = self._state
        # What a fault holds back for longer is not taken: the word about lost answers must be true.
        if time.perf_counter() - scope["state"][ARRIVAL] > TAKEN_WITHIN_SECONDS:
            raise Refused(503, "The post was not taken in time.")
        try:
            post_id, published = state.take(account, text)
        except TooFast as refusal:
            raise Refused(429, "Too many posts. Wait as long as Retry-After says.", refusal.retry_seconds) from None
        scope["state"][CALL].publish_id = str(post_id)
        if state.settings.answer_seconds:
            await asyncio.sleep(state.settings.answer_seconds)
        url = self._url(headers, account, post_id)
        return HTTPStatus.CREATED, {"id": str(post_id), "url": url, "published": published}

    def _list(self, headers: dict[bytes, bytes], own: str, query_string: bytes) -> dict[str, Any]:
        query = {name: values[-1] for name, values in parse_qs(query_string.decode("latin-1")).items()}
        state, account = self._state, query.get("account", own)
        try:
            since = float(query.get("since", "0"))
            before = int(query["before"]) if "before" in query else None
            limit = int(query.get("limit", _PAGE))
            state.display_name(account)
        except ValueError:
            raise Refused(400, "since, before and limit are numbers.") from None
        except KeyError:
            raise Refused(404, "There is no account with this name.") from None
        if not (1 <= limit <= _LONGEST_PAGE and math.isfinite(since) and 0 <= (before or 0) < 2**63):
            raise Refused(400, f"limit is 1 to {_LONGEST_PAGE}; since and before come from earlier answers.")
        now = state.clock.now()
        rows = state.listed(account, since, before, limit + 1)
        shown = rows[:limit]
        return {
            "posts": [
                {
                    "id": str(row["id"]),
                    "url": self._url(headers, account, row["id"]),
                    "text": row["text"],
                    "published": row["published"],
                }
                for row in shown
            ],
            "next": str(shown[-1]["id"]) if len(rows) > limit else None,
            "now": now,
            "complete_since": state.complete_since,
        }

    def _get(self, headers: dict[bytes, bytes], post_id: str) -> dict[str, Any]:
        row = self._state.post(int(post_id)) if post_id.isdecimal() and len(post_id) < 19 else None
        if row is None:
            raise Refused(404, "There is no post with this id; it may have been removed.")
        url = self._url(headers, row["account"], row["id"])
        return {"id": post_id, "url": url, "text": row["text"], "published": row["published"]}

    def _url(self, headers: dict[bytes, bytes], account: str, post_id: int) -> str:
        base = self._state.public_url or f"http://{headers.get(b'host', b'').decode('latin-1')}"
        return f"{base}/bulletin/@{account}/{post_id}"


async def _body(receive: Receive) -> Mapping[str, Any]:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The connection ended before the body did.")
        body += message.get("body", b"")
        if len(body) > _BODY_BYTES:
            raise Refused(400, f"The body has more than {_BODY_BYTES} bytes.")
        if not message.get("more_body"):
            break
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(400, "The body is not a JSON object.")
    return found


def _text(body: Mapping[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    try:
        good = isinstance(value, str) and 1 <= len(value) <= longest and value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        good = False
    if not good:
        raise Refused(400, f"{name} is a text of 1 to {longest:,} characters.")
    return str(value)
