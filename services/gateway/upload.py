"""One upload on its way into content.

The other calls use gRPC's asyncio interface. This one uses the threaded interface, which runs one thread for each
upload: when a server ends a client's stream early, the asyncio interface often shows "Internal error from Core" in
place of the server's refusal (grpc/grpc#36066), and then nobody is told why the file was refused.

Pieces go through a queue with few places: who sends waits for a place, the thread waits for a piece, and gRPC takes
the next piece when the network took the last one. The file counts as whole only after `finish`, which sends the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from queue import SimpleQueue

import grpc
from reelroute.content.v1 import content_pb2, content_pb2_grpc

from kit import context, errors
from services.gateway.clients import refusal

# Pieces that wait for the network.
_PLACES = 2


class Upload:
    """A call of UploadMedia. To be used in an event loop, by one task."""

    def __init__(self, stub: content_pb2_grpc.ContentServiceStub, header: content_pb2.UploadHeader) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[content_pb2.UploadMediaRequest | None] = SimpleQueue()
        self._places = asyncio.Semaphore(_PLACES)
        self._ended = asyncio.Event()
        self._sent_bytes = 0
        self._queue.put(content_pb2.UploadMediaRequest(header=header))
        self._call = stub.UploadMedia.future(self._requests(), timeout=context.remaining_seconds(float("inf")))
        self._call.add_done_callback(self._note_end)

    def _requests(self) -> Iterator[content_pb2.UploadMediaRequest]:
        while (request := self._queue.get()) is not None:
            yield request
            if request.WhichOneof("part") == "data":
                self._loop.call_soon_threadsafe(self._places.release)

    def _note_end(self, _call: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)

    async def send(self, data: bytes) -> None:
        """Hands on a piece as soon as there is room. Raises what content refused, when it has ended the call."""
        place = asyncio.ensure_future(self._places.acquire())
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((place, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            place.cancel()
            ended.cancel()
        if self._ended.is_set():
            raise self._refusal() or errors.Internal("Content answered before the file had ended.")
        self._sent_bytes += len(data)
        self._queue.put(content_pb2.UploadMediaRequest(data=data))

    async def finish(self) -> content_pb2.UploadMediaResponse:
        """Says that the file is whole; its answer. Raises what content refused."""
        end = content_pb2.UploadEnd(size_bytes=self._sent_bytes)
        self._queue.put(content_pb2.UploadMediaRequest(end=end))
        self._queue.put(None)
        await self._ended.wait()
        if refused := self._refusal():
            raise refused
        return self._call.result()

    def cancel(self) -> None:
        """Ends the call unless it has ended; content keeps nothing of it."""
        self._call.cancel()
        self._queue.put(None)

    def _refusal(self) -> errors.ReelrouteError | None:
        error = self._call.exception()
        return refusal(error) if isinstance(error, grpc.RpcError) else None
