from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from services.content import domain
from services.content.__main__ import open_blobs
from services.content.blobs import DiskBlobStore
from services.content.blobs_s3 import S3BlobStore
from services.content.config import ContentConfig
from services.content.media import MediaRefused, ProbeLimits, Refusal
from tests.content.samples import STILL, VIDEO, asset


def config(**values: Any) -> ContentConfig:
    return ContentConfig(database_url="postgresql://u:p@h/d", service_token="t" * 32, **values)


@pytest.mark.parametrize(
    ("offset", "length", "given"),
    [(0, 0, 100), (0, 30, 30), (90, 0, 10), (90, 30, 10), (99, 1, 1), (100, 0, 0), (100, 5, 0)],
)
def test_a_download_gives_what_is_asked_for_and_ends_at_the_end(offset: int, length: int, given: int) -> None:
    assert domain.bytes_to_read(asset(size_bytes=100), offset, length) == given


def test_a_download_cannot_begin_behind_the_end() -> None:
    with pytest.raises(domain.OffsetBehindEnd) as refused:
        domain.bytes_to_read(asset(size_bytes=100), 101, 0)
    assert refused.value.violations[0].field == "offset_bytes"
    assert refused.value.metadata == {"size_bytes": "100"}


@pytest.mark.parametrize(
    "absurd",
    [
        {"duration_ms": domain.LONGEST_MILLISECONDS + 1},
        {"average_frame_rate_mfps": domain.FASTEST_MFPS + 1},
        {"lowest_frame_rate_mfps": domain.FASTEST_MFPS + 1},
    ],
)
def test_a_video_whose_times_make_no_sense_is_refused(absurd: dict[str, int]) -> None:
    with pytest.raises(MediaRefused) as refused:
        domain.check_times(replace(VIDEO, **absurd))  # type: ignore[arg-type]
    assert refused.value.reason == Refusal.DAMAGED
    domain.check_times(VIDEO)
    domain.check_times(STILL)


def test_files_under_way_never_take_every_thread() -> None:
    with pytest.raises(ValidationError, match="rpc_threads must be at least 72"):
        config(rpc_threads=71, media_parallel_uploads=8, media_parallel_downloads=60)
    config(rpc_threads=72, media_parallel_uploads=8, media_parallel_downloads=60)


def test_the_cost_of_looking_into_a_file_is_configurable() -> None:
    assert config().probe_limits() == ProbeLimits()
    assert config(media_probe_frames=10).probe_limits() == ProbeLimits(frames=10)


def test_files_are_kept_on_disk_until_a_bucket_is_named(tmp_path: Any) -> None:
    on_disk = config(media_folder=tmp_path / "media")
    assert isinstance(open_blobs(on_disk), DiskBlobStore)
    in_bucket = {"media_s3_bucket": "reels", "media_s3_endpoint_url": "http://127.0.0.1:1", "media_s3_region": "x"}
    keys = {"media_s3_access_key_id": "anyone", "media_s3_secret_access_key": "anything"}
    assert isinstance(open_blobs(config(media_folder=tmp_path / "media", **in_bucket, **keys)), S3BlobStore)
    with pytest.raises(ValidationError, match="both, or neither"):
        config(**in_bucket, media_s3_access_key_id="anyone")
