"""The upload address: chunks in order, streamed, hashed and counted.

A chunk counts only when its last byte is here; a cut one leaves nothing. The bytes are not kept: only when the sandbox
has a state file do they wait beside it until the upload is complete, because a hash in progress cannot be stored and
the hash of the whole must survive a restart. Rules and replies: "Media transfer guide".
"""

import asyncio
import hashlib
import hmac
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sandbox.tiktok import progress
from sandbox.tiktok.state import TikTokState, digest, note

CONTENT_TYPES = ("video/mp4", "video/quicktime", "video/webm")
HEAD_BYTES = 64
_READ_BYTES = 1024 * 1024
_RANGE = re.compile(r"bytes (\d{1,12})-(\d{1,12})/(\d{1,12})")


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def copy(self) -> "_Hash": ...

    def hexdigest(self) -> str: ...


@dataclass
class Partial:
    """What is known of the bytes so far."""

    hash: _Hash = field(default_factory=hashlib.sha256)
    head: bytes = b""

    def add(self, piece: bytes) -> None:
        """Take the next bytes in."""
        if len(self.head) < HEAD_BYTES:
            self.head += piece[: HEAD_BYTES - len(self.head)]
        self.hash.update(piece)

    def copy(self) -> "Partial":
        """A second one that can go wrong without harm to this one."""
        return Partial(self.hash.copy(), self.head)


class UploadRefused(Exception):
    """Ends an upload call with a bare status; 416 says where to go on."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Uploads:
    """Uploads under way in this process."""

    def __init__(self, state: TikTokState) -> None:
        self._state = state
        self._partials: dict[str, Partial] = {}
        # The newest call for an upload owns it: a dead connection must not lock out the client's next try.
        self._owners: dict[str, object] = {}
        path = state.store.path
        self._spool = None if path is None else path.with_name(f"{path.name}.uploads")

    def routes(self) -> APIRouter:
        """The upload address."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/upload/video/", self.put_chunk, methods=["PUT"])
        return router

    async def put_chunk(self, request: Request) -> Response:
        """Take one chunk: 206 more expected, 201 complete, else 400, 403, 404 or 416."""
        upload_id = request.query_params.get("upload_id", "")
        try:
            await self._put(request, upload_id)
        except UploadRefused as refused:
            headers = {"Content-Range": self._range(upload_id)} if refused.status == 416 else {}
            return Response(str(refused), status_code=refused.status, headers=headers, media_type="text/plain")
        except ClientDisconnect:
            return Response(status_code=400)
        share = self._share(upload_id)
        status = 201 if share["received"] == share["size"] else 206
        return Response(status_code=status, headers={"Content-Range": self._range(upload_id)})

    def forget_old(self) -> None:
        """Drop what is kept of uploads that have ended or run out of time."""
        live = {
            row["publish_id"]
            for row in self._state.store.all(
                "SELECT publish_id FROM tiktok_share WHERE state = 'UPLOADING' AND upload_expire_time > ?",
                self._state.clock.now(),
            )
        }
        self._partials = {key: value for key, value in self._partials.items() if key in live}
        self._owners = {key: value for key, value in self._owners.items() if key in live}
        if self._spool is not None and self._spool.is_dir():
            for file in self._spool.iterdir():
                if file.name not in live:
                    file.unlink(missing_ok=True)

    def _share(self, upload_id: str) -> sqlite3.Row:
        row = self._state.store.one("SELECT * FROM tiktok_share WHERE upload_id = ?", upload_id)
        if row is None or row["state"] == "FAILED":
            raise UploadRefused(404, "The upload is not known.")
        return row

    def _range(self, upload_id: str) -> str:
        share = self._share(upload_id)
        received, size = share["received"], share["size"]
        if not self._state.settings.range_end_inclusive:
            return f"bytes 0-{received}/{size}"
        return f"bytes 0-{received - 1}/{size}" if received else f"bytes */{size}"

    def _check(self, request: Request, share: sqlite3.Row) -> tuple[int, int]:
        """First byte and length of an acceptable chunk. Raises UploadRefused."""
        key = request.query_params.get("upload_token", "")
        if not hmac.compare_digest(digest(key), share["upload_key_hash"]):
            raise UploadRefused(403, "The upload address is not valid.")
        if share["state"] == "UPLOADING" and share["upload_expire_time"] <= self._state.clock.now():
            raise UploadRefused(403, "The upload address has expired.")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in CONTENT_TYPES:
            raise UploadRefused(400, f"Content-Type must be one of {', '.join(CONTENT_TYPES)}.")
        found = _RANGE.fullmatch(request.headers.get("content-range", ""))
        if found is None:
            raise UploadRefused(400, "Content-Range must be: bytes {first}-{last}/{total}.")
        first, last, total = (int(part) for part in found.groups())
        if total != share["size"] or not first <= last < total:
            raise UploadRefused(400, "Content-Range does not fit the video_size of the init.")
        if request.headers.get("content-length") != str(last - first + 1):
            raise UploadRefused(400, "Content-Length must be present and fit Content-Range.")
        if first != share["received"]:
            raise UploadRefused(416, "The range does not continue what is stored.")
        number = first // share["chunk_size"]
        end = share["size"] if number >= share["chunk_count"] - 1 else first + share["chunk_size"]
        if last != end - 1:
            raise UploadRefused(400, "The chunk does not have the size announced in the init.")
        return first, last - first + 1

    async def _put(self, request: Request, upload_id: str) -> None:
        share = self._share(upload_id)
        publish_id = share["publish_id"]
        note(request).creator, note(request).publish_id = share["username"], publish_id
        first, length = self._check(request, share)
        self._owners[publish_id] = owner = object()
        partial = (await self._partial(publish_id, first)).copy()
        count = 0
        with self._spool_file(publish_id, first) as spool:
            async for piece in request.stream():
                if self._owners.get(publish_id) is not owner:
                    raise UploadRefused(416, "A newer call goes on with this upload.")
                count += len(piece)
                partial.add(piece)
                if spool is not None:
                    spool.write(piece)
        self._store(upload_id, owner, first, count, length, partial)

    def _store(self, upload_id: str, owner: object, first: int, count: int, length: int, partial: Partial) -> None:
        """Count the chunk; with the last one the post exists."""
        share = self._share(upload_id)
        publish_id = share["publish_id"]
        if count != length:
            raise UploadRefused(400, "The body is shorter than Content-Length.")
        if self._owners.get(publish_id) is not owner or share["received"] != first or share["state"] != "UPLOADING":
            raise UploadRefused(416, "A newer call goes on with this upload.")
        if share["upload_expire_time"] <= self._state.clock.now():
            raise UploadRefused(403, "The upload address has expired.")
        store, received = self._state.store, first + length
        with store.transaction():
            store.run("UPDATE tiktok_share SET received = ? WHERE publish_id = ?", received, publish_id)
            if received == share["size"]:
                progress.accept(self._state, publish_id, partial.head, partial.hash.hexdigest())
        if received == share["size"]:
            self.forget_old()
        else:
            self._partials[publish_id] = partial

    async def _partial(self, publish_id: str, received: int) -> Partial:
        known = self._partials.get(publish_id)
        if known is not None or received == 0:
            return known if known is not None and received else Partial()
        if self._spool is None:
            raise UploadRefused(404, "The upload is not known.")
        partial = await asyncio.to_thread(_read_partial, self._spool / publish_id, received)
        if partial is None:
            # The kept bytes are gone: the client learns from the 416 to begin again.
            self._state.store.run("UPDATE tiktok_share SET received = 0 WHERE publish_id = ?", publish_id)
            raise UploadRefused(416, "The range does not continue what is stored.")
        self._partials[publish_id] = partial
        return partial

    @contextmanager
    def _spool_file(self, publish_id: str, first: int) -> Iterator[IO[bytes] | None]:
        if self._spool is None:
            yield None
            return
        self._spool.mkdir(exist_ok=True)
        path = self._spool / publish_id
        path.touch()
        with path.open("r+b") as file:
            file.seek(first)
            yield file


def _read_partial(path: Path, received: int) -> Partial | None:
    """Hash the first `received` bytes again; None when they are not all there."""
    partial, left = Partial(), received
    try:
        with path.open("rb") as file:
            while left and (piece := file.read(min(left, _READ_BYTES))):
                partial.add(piece)
                left -= len(piece)
    except FileNotFoundError:
        return None
    return partial if left == 0 else None
