"""A video's way to TikTok in chunks: all but the last do nothing, the last one publishes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from kit.vendor_errors import VendorError, VendorUnavailable, VendorUncertain
from services.publisher import domain
from services.publisher.domain import AttemptFailed
from services.publisher.platforms.base import MediaFile, Uncertain, UploadEnded
from services.publisher.platforms.common import failure_of
from vendors.tiktok import models
from vendors.tiktok.chunks import ChunkSpan, plan_chunks
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.errors import UploadGone

_CHUNK_TRIES = 4
_CHUNK_WAIT_SECONDS = 1.0  # after the first failure; then twice as long each time
_OUT_OF_STEP_LIMIT = 3


async def upload(
    client: TikTokClient,
    file: MediaFile,
    handle: domain.Handle,
    from_byte: int,
    on_stored: Callable[[int], Awaitable[None]],
    last_moment: Callable[[], None] | None,
) -> None:
    """Uploads from a byte on; without `last_moment` up to the last chunk, which stays behind.

    Raises as `send` of base.Adapter.
    """
    plan = plan_chunks(handle.media_size)
    end = plan.count if last_moment else plan.count - 1
    # The last chunk is longer than the others, so a position inside of it must not count as one behind it.
    index, failures, out_of_step = min(from_byte // plan.chunk_size, plan.count - 1), 0, 0
    while index < end:
        span = plan.span(index)
        try:
            reply = await _chunk(client, file, handle, span, last_moment)
        except (VendorUnavailable, VendorUncertain) as error:
            failures += 1
            if failures >= _CHUNK_TRIES:
                raise AttemptFailed(failure_of(error), error.log_id or "") from None
            await asyncio.sleep(_CHUNK_WAIT_SECONDS * 2 ** (failures - 1))
            continue
        if reply.state is models.ChunkState.COMPLETE and span.is_final:
            return
        if reply.state is models.ChunkState.OUT_OF_STEP:
            out_of_step += 1
            position = None if reply.range_end is None else plan.index_after(reply.range_end)
            if position is None or out_of_step > _OUT_OF_STEP_LIMIT:
                raise UploadEnded("TikTok holds other bytes than we sent.")
            index = position
            if 0 < index < plan.count:
                # So that whoever goes on after a crash does not send again what TikTok says it has.
                await on_stored(plan.span(index).first)
        elif span.is_final:
            raise Uncertain("TikTok expects more bytes after the last one.")
        else:
            failures = 0
            await on_stored(span.last + 1)
            index += 1


async def _chunk(
    client: TikTokClient,
    file: MediaFile,
    handle: domain.Handle,
    span: ChunkSpan,
    last_moment: Callable[[], None] | None,
) -> models.ChunkReply:
    """The answer to one chunk. Raises VendorUnavailable or VendorUncertain when it surely was not stored, or may be
    sent again all the same; else as `upload`.
    """
    body: _LastChunk | None = None
    try:
        async with file.read(span.first, span.length) as pieces:
            if span.is_final and last_moment:
                body = _LastChunk(span.length, last_moment)
                pieces = body.watched(pieces)
            return await client.upload_chunk(
                handle.upload_url, span, pieces, content_type=file.mime_type, publish_id=handle.handle
            )
    except UploadGone as error:
        raise UploadEnded(str(error)) from None
    except (VendorUnavailable, VendorUncertain) as error:
        # Before its last byte has left, the last chunk is a chunk like any other.
        if body is not None and body.is_out:
            raise Uncertain(str(error)) from None
        raise
    except VendorError as error:
        raise AttemptFailed(failure_of(error), error.log_id or "") from None


class _LastChunk:
    """The chunk that publishes. `is_out`: its last bytes were handed over, so it may arrive."""

    def __init__(self, length: int, last_moment: Callable[[], None]) -> None:
        self._left = length
        self._last_moment = last_moment
        self.is_out = False

    async def watched(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same pieces. The first one is pulled when the connection stands, and its bytes are here: now it leaves.

        What `last_moment` raises ends the call before a byte of the chunk is sent.
        """
        called = False
        async for piece in pieces:
            if not called:
                self._last_moment()
                called = True
            self._left -= len(piece)
            self.is_out = self._left <= 0
            yield piece
