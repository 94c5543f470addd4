"""Configuration of content."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from kit.config import PORTS, ServiceSettings, listen_default, metrics_default
from services.content.media import ProbeLimits

_LIMITS = ProbeLimits()
# Reads, lists and refusals take milliseconds each; so many threads of them are never taken by a file under way.
_THREADS_FOR_SHORT_CALLS = 4


class ContentConfig(ServiceSettings):
    """What content reads. Times are in seconds, sizes in bytes."""

    listen: str = listen_default("content")
    metrics_listen: str = metrics_default("content")
    # What agents work over.
    fulfillment_address: str = f"127.0.0.1:{PORTS['fulfillment']}"
    scheduler_address: str = f"127.0.0.1:{PORTS['scheduler']}"
    # A file under way holds a thread; threads are made when they are needed.
    rpc_threads: int = Field(default=88, ge=2, le=400)
    # How many files may come in at once, half of them for one workspace, and how many may go out at once. A publisher
    # reads one for each delivery that it works on.
    media_parallel_uploads: int = Field(default=16, ge=1, le=200)
    media_parallel_downloads: int = Field(default=64, ge=1, le=200)

    # Files that arrive, and without a bucket those that are kept.
    media_folder: Path = Path(".data/media")
    # TikTok takes videos of up to 4 GB.
    media_max_bytes: int = Field(default=4_000_000_000, ge=1)
    # What arrived and was not kept for so long was left by a process that died. Longer than any upload may take.
    media_sweep_after_seconds: float = Field(default=6 * 3600, ge=60)

    # Files are kept in this bucket when it is named. Without keys the environment's own are taken (instance role).
    media_s3_bucket: str = ""
    # Of S3-compatible stores; without it Amazon's.
    media_s3_endpoint_url: str | None = None
    media_s3_region: str | None = None
    media_s3_access_key_id: str | None = None
    media_s3_secret_access_key: SecretStr | None = None

    # How many files are looked into at once, and how long a file waits for its turn.
    media_probe_parallel: int = Field(default=2, ge=1, le=64)
    media_probe_wait_seconds: float = Field(default=60, ge=0)
    # What looking into one file may cost: see ProbeLimits.
    media_probe_image_pixels: int = Field(default=_LIMITS.image_pixels, ge=1)
    media_probe_video_pixels: int = Field(default=_LIMITS.video_pixels, ge=1)
    media_probe_frames: int = Field(default=_LIMITS.frames, ge=1)
    media_probe_full_decode_seconds: float = Field(default=_LIMITS.full_decode_seconds, ge=0)
    media_probe_wall_seconds: float = Field(default=_LIMITS.wall_seconds, gt=0)
    media_probe_memory_bytes: int = Field(default=_LIMITS.memory_bytes, ge=256 * 1024**2)
    media_probe_decode_threads: int = Field(default=_LIMITS.decode_threads, ge=1, le=64)

    @model_validator(mode="after")
    def _threads_are_left(self) -> Self:
        files = self.media_parallel_uploads + self.media_parallel_downloads
        if files + _THREADS_FOR_SHORT_CALLS > self.rpc_threads:
            raise ValueError(
                f"rpc_threads must be at least {files + _THREADS_FOR_SHORT_CALLS}: media_parallel_uploads and "
                f"media_parallel_downloads take {files}, and {_THREADS_FOR_SHORT_CALLS} answer everybody else"
            )
        if bool(self.media_s3_access_key_id) != bool(self.media_s3_secret_access_key):
            raise ValueError("set media_s3_access_key_id and media_s3_secret_access_key both, or neither")
        return self

    def probe_limits(self) -> ProbeLimits:
        """What looking into one file may cost."""
        return ProbeLimits(
            image_pixels=self.media_probe_image_pixels,
            video_pixels=self.media_probe_video_pixels,
            frames=self.media_probe_frames,
            full_decode_seconds=self.media_probe_full_decode_seconds,
            wall_seconds=self.media_probe_wall_seconds,
            memory_bytes=self.media_probe_memory_bytes,
            decode_threads=self.media_probe_decode_threads,
        )
