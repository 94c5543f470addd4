"""The RPCs of content. The short ones are one transaction each; files pass through outside of any.

An upload takes these steps, and whatever fails before the last leaves nothing that anybody sees:
1. the bytes arrive in a temporary file, hashed and counted (`blobs.py`);
2. they are looked into (`probe.py`), unless the workspace has them already: what was good stays good;
3. they are put under their key in the blob store, for good;
4. the row is written, or the one that is there is answered.
The third step is taken for known files too: it costs little, and mends a blob that was lost.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import grpc
import structlog
from prometheus_client import Gauge
from reelroute.content.v1 import content_pb2 as pb
from reelroute.content.v1 import content_pb2_grpc

from kit.db import Database
from kit.paging import Page
from services.content import domain, messages, shingles, store
from services.content.blobs import BlobKey, BlobStore, StagedBlob
from services.content.domain import MediaAsset
from services.content.media import MediaFacts, check_claims
from services.content.probe import Prober

TRANSFERS = Gauge("reelroute_media_transfers", "Files on their way in or out.", ["direction"])
_BUSY_RETRY_SECONDS = 5.0

log = structlog.get_logger()


class Transfers:
    """How many files may pass in one direction at once: each holds a thread for as long as its caller likes."""

    def __init__(self, direction: str, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._running = TRANSFERS.labels(direction)
        # One workspace may have half of the room, so that its slow senders do not close the library to others.
        self._most_of_one = max(1, most // 2)
        self._of_one: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Room for one file. Raises MediaLibraryBusy at once when there is none: waiting would hold a thread too."""
        if not self._free.acquire(blocking=False):
            raise _busy()
        self._running.inc()
        try:
            yield
        finally:
            self._running.dec()
            self._free.release()

    @contextmanager
    def of(self, workspace_id: str) -> Iterator[None]:
        """The part of a room that one workspace may have. Raises MediaLibraryBusy at once when that is taken."""
        with self._lock:
            if self._of_one[workspace_id] >= self._most_of_one:
                raise _busy()
            self._of_one[workspace_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._of_one[workspace_id] -= 1
                if not self._of_one[workspace_id]:
                    del self._of_one[workspace_id]


def _busy() -> domain.MediaLibraryBusy:
    return domain.MediaLibraryBusy(
        "Too many files are on their way now. Try again shortly.", retry_after_seconds=_BUSY_RETRY_SECONDS
    )


class ContentApi(content_pb2_grpc.ContentServiceServicer):
    """See content.proto for what each RPC promises."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        prober: Prober,
        *,
        max_bytes: int,
        parallel_uploads: int = 16,
        parallel_downloads: int = 64,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._prober = prober
        self._max_bytes = max_bytes
        self._uploads = Transfers("in", parallel_uploads)
        self._downloads = Transfers("out", parallel_downloads)

    def UploadMedia(
        self, request_iterator: Iterator[pb.UploadMediaRequest], context: grpc.ServicerContext
    ) -> pb.UploadMediaResponse:
        with self._uploads.one():
            arriving = _arriving(request_iterator)
            header = _header(arriving)
            structlog.contextvars.bind_contextvars(workspace_id=header.workspace_id)
            with (
                self._uploads.of(header.workspace_id),
                self._blobs.stage(_pieces(arriving), max_bytes=self._max_bytes) as staged,
            ):
                asset, existed = self._keep(header, staged, context)
        return pb.UploadMediaResponse(media_asset=messages.asset_to(asset), already_existed=existed)

    def _keep(
        self, header: pb.UploadHeader, staged: StagedBlob, context: grpc.ServicerContext
    ) -> tuple[MediaAsset, bool]:
        workspace_id = UUID(header.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            known = store.find_by_sha256(tx, workspace_id, staged.sha256)
        facts = self._facts(header, staged, known, context)
        self._blobs.commit(staged, staged.key(workspace_id))
        with self._database.transaction(workspace_id) as tx:
            return store.keep_asset(
                tx,
                workspace_id,
                file_name=header.file_name,
                sha256=staged.sha256,
                size_bytes=staged.size,
                facts=facts,
            )

    def _facts(
        self, header: pb.UploadHeader, staged: StagedBlob, known: MediaAsset | None, context: grpc.ServicerContext
    ) -> MediaFacts:
        claims = {"claimed_name": header.file_name, "claimed_type": header.declared_mime_type}
        if known:
            check_claims(known.facts.container, **claims)
            return known.facts
        _check_wanted(context)
        facts = self._prober.probe(staged.path, **claims)
        domain.check_times(facts)
        return facts

    def GetMediaAsset(
        self, request: pb.GetMediaAssetRequest, context: grpc.ServicerContext
    ) -> pb.GetMediaAssetResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            asset = store.read_asset(tx, workspace_id, UUID(request.media_asset_id))
        return pb.GetMediaAssetResponse(media_asset=messages.asset_to(asset))

    def BatchGetMediaAssets(
        self, request: pb.BatchGetMediaAssetsRequest, context: grpc.ServicerContext
    ) -> pb.BatchGetMediaAssetsResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            ids = [UUID(each) for each in request.media_asset_ids]
            assets = store.read_assets(tx, workspace_id, ids, request.file_names)
        return pb.BatchGetMediaAssetsResponse(media_assets=[messages.asset_to(asset) for asset in assets])

    def FingerprintTexts(
        self, request: pb.FingerprintTextsRequest, context: grpc.ServicerContext
    ) -> pb.FingerprintTextsResponse:
        return pb.FingerprintTextsResponse(
            fingerprints=[pb.TextFingerprint(shingles=shingles.sketch(text)) for text in request.texts]
        )

    def ListMediaAssets(
        self, request: pb.ListMediaAssetsRequest, context: grpc.ServicerContext
    ) -> pb.ListMediaAssetsResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID))
        with self._database.transaction(workspace_id) as tx:
            assets = store.list_assets(tx, workspace_id, page)
        shown, token = page.cut(assets, lambda asset: (asset.create_time, asset.media_asset_id))
        return pb.ListMediaAssetsResponse(
            media_assets=[messages.asset_to(asset) for asset in shown], next_page_token=token
        )

    def DownloadMedia(
        self, request: pb.DownloadMediaRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.DownloadMediaResponse]:
        workspace_id = UUID(request.workspace_id)
        with self._downloads.one():
            with self._database.transaction(workspace_id) as tx:
                asset = store.read_asset(tx, workspace_id, UUID(request.media_asset_id))
            left = domain.bytes_to_read(asset, request.offset_bytes, request.length_bytes)
            key = BlobKey(workspace_id, asset.sha256)
            # When the caller goes, gRPC drops this generator at its next piece, and what it holds with it.
            for piece in self._blobs.open(key, offset=request.offset_bytes, length=left):
                left -= len(piece)
                yield pb.DownloadMediaResponse(data=piece)
            if left:
                raise domain.MediaFileShort("The stored file is incomplete. Upload it again.")


def _arriving(requests: Iterator[pb.UploadMediaRequest]) -> Iterator[pb.UploadMediaRequest]:
    """The messages of an upload, one at a time as they are asked for. Raises UploadBroken when the sender goes."""
    try:
        yield from requests
    except grpc.RpcError as error:
        raise domain.UploadBroken("The upload broke off. Send it again.") from error


def _header(arriving: Iterator[pb.UploadMediaRequest]) -> pb.UploadHeader:
    first = next(arriving, None)
    if first is None or first.WhichOneof("part") != "header":
        raise domain.UploadOutOfOrder.of_field("header", "Send the header first, then the bytes.")
    return first.header


def _pieces(arriving: Iterator[pb.UploadMediaRequest]) -> Iterator[bytes]:
    """The bytes up to the sender's word that they are all. gRPC may show a broken stream as one that ended."""
    received = 0
    for message in arriving:
        match message.WhichOneof("part"):
            case "data":
                received += len(message.data)
                yield message.data
            case "end" if message.end.size_bytes == received:
                return
            case "end":
                raise domain.UploadOutOfOrder.of_field(
                    "end.size_bytes", f"{received} bytes arrived. Send the number of bytes that were sent."
                )
            case _:
                raise domain.UploadOutOfOrder.of_field("data", "Send the header once, then the bytes, then the end.")
    raise domain.UploadBroken("The upload ended without saying so. Send the bytes, then the end.")


def _check_wanted(context: grpc.ServicerContext) -> None:
    """Raises UploadBroken when the sender has gone or its deadline has passed."""
    if not context.is_active():
        raise domain.UploadBroken("The upload was given up before it was answered. Send it again.")
