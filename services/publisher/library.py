"""Media files of the content service, for asyncio callers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import grpc
from reelroute.content.v1 import content_pb2 as pb
from reelroute.content.v1 import content_pb2_grpc

from kit import rpc
from kit.rpc_status import code_of, from_rpc_error
from services.publisher.domain import AttemptFailed, Failure, FailureKind, MediaRef
from services.publisher.platforms.base import MediaFile, unreadable

_CALL_SECONDS = 10.0
# One chunk of 64 MB over a slow link; the platform's own time-out ends it earlier.
_STREAM_SECONDS = 900.0
_BUSY_SECONDS = 5.0


class Library:
    """Reads files by their references."""

    def __init__(self, channel: grpc.aio.Channel, service_token: str) -> None:
        self._stub = content_pb2_grpc.ContentServiceStub(channel)
        self._token = service_token

    async def files(self, workspace_id: UUID, references: tuple[MediaRef, ...]) -> tuple[MediaFile, ...]:
        """The files of a post, in order. Raises AttemptFailed: PERMANENT when one is gone or another than planned."""
        return tuple([await self._file(str(workspace_id), reference) for reference in references])

    async def _file(self, workspace_id: str, reference: MediaRef) -> MediaFile:
        request = pb.GetMediaAssetRequest(workspace_id=workspace_id, media_asset_id=reference.media_asset_id)
        try:
            # A library that is just being restarted is waited for.
            answer = await self._stub.GetMediaAsset(
                request, timeout=_CALL_SECONDS, metadata=rpc.call_metadata(self._token), wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            raise AttemptFailed(_failure(error)) from None
        asset = answer.media_asset
        if asset.sha256 != reference.sha256:
            raise AttemptFailed(
                Failure(
                    FailureKind.PERMANENT,
                    "MEDIA_CHANGED",
                    "The media file is not the one that the post was made with. Create the post again.",
                )
            )

        def read(offset: int, length: int) -> contextlib.AbstractAsyncContextManager[AsyncIterator[bytes]]:
            return self._read(workspace_id, reference.media_asset_id, offset, length)

        return replace(facts_of(asset), read=read)

    @contextlib.asynccontextmanager
    async def _read(
        self, workspace_id: str, media_asset_id: str, offset: int, length: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        stream = self._stub.DownloadMedia(
            pb.DownloadMediaRequest(
                workspace_id=workspace_id,
                media_asset_id=media_asset_id,
                offset_bytes=offset,
                length_bytes=length,
            ),
            timeout=_STREAM_SECONDS,
            metadata=rpc.call_metadata(self._token),
        )
        try:
            yield _pieces(stream)
        finally:
            # Whoever reads stops at the last byte or earlier, never at the stream's end; a thread of the library waits.
            stream.cancel()


def facts_of(asset: pb.MediaAsset) -> MediaFile:
    """What the library knows of a file. It cannot be read."""
    return MediaFile(
        media_asset_id=asset.media_asset_id,
        mime_type=asset.mime_type,
        size_bytes=asset.size_bytes,
        width=asset.width,
        height=asset.height,
        container=asset.container,
        codec=asset.codec,
        frame_rate_millis=asset.frame_rate_millis,
        duration_ms=asset.duration.ToMilliseconds(),
        pixel_mode=asset.pixel_mode,
        read=unreadable,
    )


async def _pieces(stream: AsyncIterable[pb.DownloadMediaResponse]) -> AsyncIterator[bytes]:
    try:
        async for message in stream:
            yield message.data
    except grpc.aio.AioRpcError as error:
        raise AttemptFailed(_failure(error)) from None


def _failure(error: grpc.aio.AioRpcError) -> Failure:
    refusal = from_rpc_error(error)
    if code_of(refusal) in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OUT_OF_RANGE):
        return Failure(
            FailureKind.PERMANENT,
            "MEDIA_MISSING",
            "A media file of the post is no longer in the library. Upload it and create the post again.",
        )
    if code_of(refusal) is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # A wait for room, and no try.
        wait = timedelta(seconds=refusal.retry_after_seconds or _BUSY_SECONDS)
        text = "The media library is busy with other files. It is tried again in a moment."
        return Failure(FailureKind.RATE_LIMITED, "MEDIA_LIBRARY_BUSY", text, datetime.now(UTC) + wait)
    return Failure(
        FailureKind.TRANSIENT, "MEDIA_UNAVAILABLE", "The media library does not answer now. It is tried again."
    )
