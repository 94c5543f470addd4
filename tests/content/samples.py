"""Facts and assets for tests that do not care how they were found."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from services.content.domain import MediaAsset
from services.content.media import Container, Kind, MediaFacts

MEDIA = Path(__file__).parents[1] / "media"
DEMO_VIDEO = Path(__file__).parents[2] / "demo" / "media" / "vertical_demo_6s.mp4"
WORKSPACE = UUID("0199aaaa-0000-7000-8000-000000000001")
ANOTHER = UUID("0199aaaa-0000-7000-8000-000000000002")

VIDEO = MediaFacts(
    kind=Kind.VIDEO,
    container=Container.MP4,
    mime_type="video/mp4",
    video_codec="h264",
    audio_codec="aac",
    has_audio=True,
    width=1080,
    height=1920,
    coded_width=1920,
    coded_height=1080,
    rotation_degrees=90,
    average_frame_rate_mfps=29970,
    lowest_frame_rate_mfps=29000,
    duration_ms=6000,
    frame_count=180,
    pixel_mode="yuv420p",
    has_gps=False,
    fully_decoded=True,
    # The first needs all 64 bits.
    frame_hashes=(0xF00F_0FF0_1234_5678, 1),
)
STILL = replace(
    VIDEO,
    kind=Kind.IMAGE,
    container=Container.JPEG,
    mime_type="image/jpeg",
    video_codec=None,
    audio_codec=None,
    has_audio=False,
    average_frame_rate_mfps=None,
    lowest_frame_rate_mfps=None,
    duration_ms=None,
    frame_count=1,
    pixel_mode="RGB",
)


def asset(**changes: Any) -> MediaAsset:
    values: dict[str, Any] = {
        "media_asset_id": UUID(int=7),
        "workspace_id": WORKSPACE,
        "file_name": "clip.mp4",
        "sha256": "ab" * 32,
        "size_bytes": 100,
        "facts": VIDEO,
        "create_time": datetime(2026, 12, 1, tzinfo=UTC),
    }
    return MediaAsset(**values | changes)


def until(reached: Callable[[], bool]) -> None:
    """Poll, for at most ten seconds."""
    pause, limit = threading.Event(), time.monotonic() + 10
    while not reached():
        assert time.monotonic() < limit
        pause.wait(0.01)
