import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import av
import grpc
import pytest
from PIL import Image
from reelroute.content.v1 import content_pb2 as pb
from reelroute.content.v1.content_pb2_grpc import ContentServiceStub, add_ContentServiceServicer_to_server
from sqlalchemy import func, select

from kit import errors
from kit.db import ALL_WORKSPACES, Database
from kit.rpc_status import from_rpc_error
from services.content import store
from services.content.api import TRANSFERS, ContentApi
from services.content.blobs import CHUNK_BYTES, BlobKey, DiskBlobStore
from services.content.media import ProbeLimits
from services.content.probe import Prober
from tests.content.samples import ANOTHER, DEMO_VIDEO, MEDIA, VIDEO, WORKSPACE, until
from tests.services import served

SECONDS = 30
PICTURE = (MEDIA / "draw_boxes_1080x1350.jpg").read_bytes()
MAX_BYTES = 2_000_000
VIDEO_TIME_BASE = Fraction(1, 1_000_000_000)


class CountingBlobs(DiskBlobStore):
    """The store on disk; it remembers how many pieces were read out of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.pieces_read = 0

    def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        for piece in super().open(key, offset=offset, length=length):
            self.pieces_read += 1
            yield piece


@dataclass(frozen=True)
class Content:
    """The service as a test sees it: from outside, and what it keeps."""

    stub: ContentServiceStub
    database: Database
    blobs: CountingBlobs
    folder: Path

    def assets(self) -> int:
        with self.database.transaction(ALL_WORKSPACES) as tx:
            return tx.scalar(select(func.count()).select_from(store.media_assets)) or 0

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def nothing_is_kept(self) -> bool:
        return self.assets() == 0 and self.files() == []

    def upload(self, content: bytes, name: str = "file", **header: Any) -> pb.UploadMediaResponse:
        return self.stub.UploadMedia(iter(messages(content, name, **header)), timeout=SECONDS)


@pytest.fixture
def content(database: Database, tmp_path: Path) -> Iterator[Content]:
    blobs = CountingBlobs(tmp_path)
    api = ContentApi(
        database,
        blobs,
        Prober(ProbeLimits()),
        max_bytes=MAX_BYTES,
        parallel_uploads=8,
        parallel_downloads=2,
    )
    with served((add_ContentServiceServicer_to_server, api)) as channel:
        yield Content(ContentServiceStub(channel), database, blobs, tmp_path)


def messages(
    content: bytes, name: str = "file", *, workspace: UUID = WORKSPACE, mime_type: str = "", piece: int = 100_000
) -> list[pb.UploadMediaRequest]:
    header = pb.UploadHeader(workspace_id=str(workspace), file_name=name, declared_mime_type=mime_type)
    return [
        pb.UploadMediaRequest(header=header),
        *(pb.UploadMediaRequest(data=content[at : at + piece]) for at in range(0, len(content), piece)),
        pb.UploadMediaRequest(end=pb.UploadEnd(size_bytes=len(content))),
    ]


def refusal(call: Callable[[], Any]) -> errors.ReelrouteError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return from_rpc_error(caught.value)


def under_way(direction: str) -> float:
    return float(TRANSFERS.labels(direction)._value.get())


class OpenUpload:
    """An upload whose sender has sent a header and some bytes, and now waits."""

    def __init__(self, content: Content, data: bytes, workspace: UUID = WORKSPACE) -> None:
        self._go_on = threading.Event()
        self._workspace = workspace
        seen = under_way("in")
        self.call = content.stub.UploadMedia.future(self._send(data), timeout=SECONDS)
        until(lambda: under_way("in") > seen)

    def _send(self, data: bytes) -> Iterator[pb.UploadMediaRequest]:
        *sent, end = messages(data, workspace=self._workspace)
        yield from sent
        self._go_on.wait(SECONDS)
        yield end

    def finish(self) -> pb.UploadMediaResponse:
        self._go_on.set()
        return self.call.result(SECONDS)

    def go_away(self) -> None:
        self.call.cancel()
        self._go_on.set()


# ---- in


def test_a_video_is_kept_described_and_given_back(content: Content) -> None:
    original = DEMO_VIDEO.read_bytes()
    answer = content.upload(original, "Reel 1 – final.mp4", mime_type="video/mp4")
    asset = answer.media_asset
    assert not answer.already_existed
    assert (asset.workspace_id, asset.file_name) == (str(WORKSPACE), "Reel 1 – final.mp4")
    assert (asset.mime_type, asset.kind, asset.container) == ("video/mp4", pb.MEDIA_KIND_VIDEO, "mp4")
    assert (asset.codec, asset.pixel_mode, asset.has_location) == ("h264", "yuv420p", False)
    assert asset.height > asset.width > 0
    assert asset.frame_rate_millis == 30_000
    assert abs(asset.duration.ToMilliseconds() - 6000) < 100
    assert len(asset.frame_hashes) == 6
    assert asset.sha256 == hashlib.sha256(original).hexdigest()
    assert asset.size_bytes == len(original)
    assert download(content, asset) == original
    request = pb.GetMediaAssetRequest(workspace_id=str(WORKSPACE), media_asset_id=asset.media_asset_id)
    assert content.stub.GetMediaAsset(request, timeout=SECONDS).media_asset == asset


def test_a_picture_has_no_time_and_its_format_is_its_codec(content: Content) -> None:
    asset = content.upload(PICTURE, "boxes.jpg").media_asset
    assert (asset.mime_type, asset.kind, asset.codec) == ("image/jpeg", pb.MEDIA_KIND_IMAGE, "jpeg")
    assert (asset.width, asset.height, asset.pixel_mode) == (1080, 1350, "RGB")
    assert not asset.HasField("duration")
    assert (asset.container, asset.audio_codec, asset.frame_rate_millis) == ("", "", 0)
    assert len(asset.frame_hashes) == 1
    assert content.upload(PICTURE).media_asset.frame_hashes == asset.frame_hashes


def test_the_same_bytes_sent_by_many_at_once_are_one_asset(content: Content) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: content.upload(PICTURE, f"{number}.jpg"), range(4)))
    assert len({answer.media_asset.media_asset_id for answer in answers}) == 1
    assert [answer.already_existed for answer in answers].count(False) == 1
    assert (content.assets(), len(content.files())) == (1, 1)


def test_another_workspace_has_its_own_asset_of_the_same_bytes(content: Content) -> None:
    ours, theirs = content.upload(PICTURE), content.upload(PICTURE, workspace=ANOTHER)
    assert not theirs.already_existed
    assert theirs.media_asset.media_asset_id != ours.media_asset.media_asset_id


@pytest.mark.parametrize(
    ("name", "mime_type", "reason"),
    [
        ("html_error.jpg", "image/jpeg", "MEDIA_NOT_RECOGNIZED"),
        ("matroska_named.mp4", "video/mp4", "MEDIA_TYPE_MISMATCH"),
        ("alpha.png", "video/mp4", "MEDIA_TYPE_MISMATCH"),
        ("truncated_midway.mp4", "", "MEDIA_TRUNCATED"),
        ("audio_only.mp4", "", "MEDIA_NO_PICTURE"),
        ("bomb_20000x20000.png", "", "MEDIA_TOO_MANY_PIXELS"),
    ],
)
def test_what_is_not_the_media_that_it_claims_to_be_is_refused_and_leaves_nothing(
    content: Content, name: str, mime_type: str, reason: str
) -> None:
    refused = refusal(lambda: content.upload((MEDIA / name).read_bytes(), name, mime_type=mime_type))
    assert isinstance(refused, errors.InvalidArgument)
    assert refused.reason == reason
    assert [violation.field for violation in refused.violations] == ["data"]
    assert content.nothing_is_kept()


def test_known_bytes_under_a_false_name_are_refused_all_the_same(content: Content) -> None:
    content.upload(PICTURE, "boxes.jpg")
    assert refusal(lambda: content.upload(PICTURE, "boxes.mp4")).reason == "MEDIA_TYPE_MISMATCH"
    assert refusal(lambda: content.upload(PICTURE, mime_type="image/png")).reason == "MEDIA_TYPE_MISMATCH"


def test_a_video_with_absurd_times_is_refused_like_any_other_damage(content: Content, tmp_path: Path) -> None:
    path = tmp_path / "nanoseconds.mp4"  # a thousand million frames per second
    with av.open(str(path), "w") as media:
        stream = media.add_stream("libx264", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = VIDEO_TIME_BASE
        for number in range(3):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 64)))  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = number, VIDEO_TIME_BASE
            media.mux(stream.encode(frame))
        media.mux(stream.encode(None))
    film = path.read_bytes()
    path.unlink()
    assert refusal(lambda: content.upload(film)).reason == "MEDIA_DAMAGED"
    assert content.nothing_is_kept()


def test_a_file_above_the_limit_is_refused_before_its_end(content: Content) -> None:
    sent: list[int] = []

    def endless() -> Iterator[pb.UploadMediaRequest]:
        yield messages(b"")[0]
        while len(sent) < 1000:
            sent.append(1)
            yield pb.UploadMediaRequest(data=bytes(CHUNK_BYTES))

    refused = refusal(lambda: content.stub.UploadMedia(endless(), timeout=SECONDS))
    assert isinstance(refused, errors.ResourceExhausted)
    assert (refused.reason, refused.metadata) == ("MEDIA_TOO_LARGE", {"limit_bytes": str(MAX_BYTES)})
    assert len(sent) < 1000
    assert content.nothing_is_kept()


HEADER, DATA, END = messages(PICTURE, piece=len(PICTURE))


@pytest.mark.parametrize(
    ("stream", "field"),
    [
        ([], "header"),
        ([DATA], "header"),
        ([pb.UploadMediaRequest()], "header"),
        ([HEADER, HEADER, DATA], "data"),
        ([HEADER, DATA, HEADER], "data"),
        ([HEADER, DATA, pb.UploadMediaRequest()], "data"),
        ([HEADER, END], "end.size_bytes"),
        ([HEADER, DATA, DATA, END], "end.size_bytes"),
        ([HEADER, pb.UploadMediaRequest(data=bytes(CHUNK_BYTES + 1))], "data"),
        ([pb.UploadMediaRequest(header=pb.UploadHeader(workspace_id=str(WORKSPACE))), DATA], "header.file_name"),
    ],
)
def test_an_upload_is_one_header_then_bytes_in_order_then_an_end(
    content: Content, stream: list[pb.UploadMediaRequest], field: str
) -> None:
    refused = refusal(lambda: content.stub.UploadMedia(iter(stream), timeout=SECONDS))
    assert isinstance(refused, errors.InvalidArgument)
    assert [violation.field for violation in refused.violations] == [field]
    assert content.nothing_is_kept()


def test_a_stream_that_ends_without_saying_so_leaves_nothing(content: Content) -> None:
    refused = refusal(lambda: content.stub.UploadMedia(iter([HEADER, DATA]), timeout=SECONDS))
    assert refused.reason == "UPLOAD_BROKEN"
    assert content.nothing_is_kept()


def test_no_bytes_at_all_are_an_empty_file(content: Content) -> None:
    assert refusal(lambda: content.upload(b"")).reason == "MEDIA_EMPTY"


def test_a_sender_who_goes_away_leaves_nothing_even_if_all_had_arrived(content: Content) -> None:
    for _ in range(15):  # now and then gRPC shows the server an end instead of the break
        upload = OpenUpload(content, PICTURE)
        until(lambda: sum(path.stat().st_size for path in content.files()) > len(PICTURE) // 2)
        upload.go_away()
        until(lambda: under_way("in") == 0)
        assert content.nothing_is_kept()


def test_bytes_that_a_crash_left_without_an_asset_are_taken_by_the_next_upload(content: Content) -> None:
    with content.blobs.stage([PICTURE], max_bytes=MAX_BYTES) as staged:
        content.blobs.commit(staged, staged.key(WORKSPACE))
    answer = content.upload(PICTURE)
    assert not answer.already_existed
    assert download(content, answer.media_asset) == PICTURE
    assert len(content.files()) == 1


def test_uploads_have_a_bound_for_one_workspace_and_for_all_and_leave_room_for_everybody_else(content: Content) -> None:
    asset = content.upload(DEMO_VIDEO.read_bytes()).media_asset
    uploads = [OpenUpload(content, PICTURE) for _ in range(4)]
    assert refusal(lambda: content.upload(PICTURE)).reason == "MEDIA_LIBRARY_BUSY"
    theirs = [OpenUpload(content, PICTURE, ANOTHER) for _ in range(4)]
    refused = refusal(lambda: content.upload(PICTURE, workspace=UUID(int=3)))
    assert isinstance(refused, errors.Unavailable)
    assert refused.reason == "MEDIA_LIBRARY_BUSY"
    assert refused.retry_after_seconds
    assert content.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert download(content, asset, length_bytes=3)
    assert len({upload.finish().media_asset.media_asset_id for upload in uploads}) == 1
    assert len({upload.finish().media_asset.media_asset_id for upload in theirs}) == 1
    assert content.upload(PICTURE).already_existed


# ---- out


def download(content: Content, asset: pb.MediaAsset, **span: int) -> bytes:
    request = pb.DownloadMediaRequest(workspace_id=asset.workspace_id, media_asset_id=asset.media_asset_id, **span)
    pieces = [message.data for message in content.stub.DownloadMedia(request, timeout=SECONDS)]
    assert all(len(piece) <= CHUNK_BYTES for piece in pieces)
    return b"".join(pieces)


def keep_zeros(content: Content, size: int, claimed_size: int | None = None) -> pb.MediaAsset:
    """An asset of so many zeros: too large a film to be made in a test."""
    pieces = (bytes(min(CHUNK_BYTES, size - at)) for at in range(0, size, CHUNK_BYTES))
    with content.blobs.stage(pieces, max_bytes=size) as staged, content.database.transaction(WORKSPACE) as tx:
        content.blobs.commit(staged, staged.key(WORKSPACE))
        asset, _ = store.keep_asset(
            tx, WORKSPACE, file_name="0", sha256=staged.sha256, size_bytes=claimed_size or size, facts=VIDEO
        )
    return pb.MediaAsset(workspace_id=str(WORKSPACE), media_asset_id=str(asset.media_asset_id))


def test_a_part_of_a_file_is_given_and_nothing_behind_its_end(content: Content) -> None:
    asset = content.upload(PICTURE).media_asset
    assert download(content, asset, offset_bytes=10, length_bytes=20) == PICTURE[10:30]
    assert download(content, asset, offset_bytes=10) == PICTURE[10:]
    assert download(content, asset, offset_bytes=len(PICTURE) - 5, length_bytes=99) == PICTURE[-5:]
    assert download(content, asset, offset_bytes=len(PICTURE)) == b""
    refused = refusal(lambda: download(content, asset, offset_bytes=len(PICTURE) + 1))
    assert isinstance(refused, errors.OutOfRange)
    assert refused.violations[0].field == "offset_bytes"


def test_a_large_file_comes_in_pieces(content: Content) -> None:
    size = 5 * CHUNK_BYTES + 7
    assert download(content, keep_zeros(content, size)) == bytes(size)


def test_a_reader_who_goes_away_stops_the_reading_and_makes_room(content: Content) -> None:
    pieces = 256
    asset = keep_zeros(content, pieces * CHUNK_BYTES)
    request = pb.DownloadMediaRequest(workspace_id=asset.workspace_id, media_asset_id=asset.media_asset_id)
    readers = [content.stub.DownloadMedia(request, timeout=SECONDS) for _ in range(2)]
    for reader in readers:
        assert next(reader).data
    refused = refusal(lambda: download(content, asset))
    assert isinstance(refused, errors.Unavailable)
    assert refused.reason == "MEDIA_LIBRARY_BUSY"
    for reader in readers:
        reader.cancel()
    until(lambda: under_way("out") == 0)
    assert content.blobs.pieces_read < pieces
    assert download(content, asset, length_bytes=1) == b"\0"


def test_lost_bytes_are_told_and_the_next_upload_mends_them(content: Content) -> None:
    asset = content.upload(PICTURE).media_asset
    content.blobs.delete(BlobKey(WORKSPACE, asset.sha256))
    assert isinstance(refusal(lambda: download(content, asset)), errors.NotFound)
    again = content.upload(PICTURE)
    assert again.already_existed
    assert download(content, again.media_asset) == PICTURE


def test_a_stored_file_that_is_too_short_is_no_complete_answer(content: Content) -> None:
    asset = keep_zeros(content, 10, claimed_size=11)
    assert refusal(lambda: download(content, asset)).reason == "MEDIA_FILE_SHORT"


# ---- reading


def test_what_another_workspace_has_is_not_found(content: Content) -> None:
    theirs = content.upload(PICTURE, workspace=ANOTHER).media_asset
    for media_asset_id in (theirs.media_asset_id, str(uuid4())):
        request: dict[str, Any] = {"workspace_id": str(WORKSPACE), "media_asset_id": media_asset_id}
        get = pb.GetMediaAssetRequest(**request)
        refused = refusal(lambda get=get: content.stub.GetMediaAsset(get, timeout=SECONDS))  # type: ignore[misc]
        assert isinstance(refused, errors.NotFound)
        assert refused.metadata == {"media_asset_id": media_asset_id}
        hidden = pb.MediaAsset(**request)
        assert isinstance(refusal(lambda hidden=hidden: download(content, hidden)), errors.NotFound)  # type: ignore[misc]
    batch = pb.BatchGetMediaAssetsRequest(workspace_id=str(WORKSPACE), media_asset_ids=[theirs.media_asset_id])
    assert not content.stub.BatchGetMediaAssets(batch, timeout=SECONDS).media_assets


def test_the_library_is_listed_newest_first_in_pages(content: Content) -> None:
    names = ["draw_boxes_1080x1350.jpg", "alpha.png", "hubble_1080x1350.webp"]
    uploaded = [content.upload((MEDIA / name).read_bytes(), name).media_asset for name in names]
    request = pb.ListMediaAssetsRequest(workspace_id=str(WORKSPACE), page_size=2)
    first = content.stub.ListMediaAssets(request, timeout=SECONDS)
    request.page_token = first.next_page_token
    second = content.stub.ListMediaAssets(request, timeout=SECONDS)
    assert [*first.media_assets, *second.media_assets] == uploaded[::-1]
    assert (len(first.media_assets), second.next_page_token) == (2, "")
    request.page_token = "elsewhere"
    refused = refusal(lambda: content.stub.ListMediaAssets(request, timeout=SECONDS))
    assert refused.violations[0].field == "page_token"
