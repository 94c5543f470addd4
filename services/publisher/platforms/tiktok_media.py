"""What TikTok takes as a video or a photo, checked before anything is sent.

TikTok checks a video only after the upload was accepted, minutes later; the same limits checked here cost nothing and
say why. The figures are TikTok's: developers.tiktok.com/doc/content-posting-api-media-transfer-guide for video, and
developers.tiktok.com/doc/content-posting-api-reference-photo-post for photos. Where the pages say nothing (colour
modes of WebP, a shortest duration, a frame rate that varies around a passing average) nothing is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_VIDEO_CONTAINERS = {"mp4": "MP4", "mov": "MOV", "webm": "WebM"}
_VIDEO_CODECS = {"h264": "H.264", "hevc": "H.265", "vp8": "VP8", "vp9": "VP9"}
_VIDEO_BYTES = 4_000_000_000  # "4 GB": the smaller reading
_VIDEO_SIDE_PIXELS = (360, 4096)
_VIDEO_RATE_MFPS = (23_000, 60_000)
# Cameras stamp frames by their own clock: "60 fps" is often 60.02. TikTok publishes such videos.
_RATE_SLACK_MFPS = 100
LONGEST_VIDEO_MS = 600_000
"""Ten minutes: the most that any creator can post through the API. `creator_info` may say less."""

_PHOTO_FORMATS = {"jpeg": "JPEG", "webp": "WebP"}
_PHOTO_BYTES = 20_000_000  # "20 MB": the smaller reading
_PHOTO_SHORT_SIDE_PIXELS, _PHOTO_LONG_SIDE_PIXELS = 1080, 1920  # "1080p", either way up


@dataclass(frozen=True)
class MediaToPost:
    """What has to be known of a file. Sides are as shown (rotation applied), rates in thousandths of a frame per
    second."""

    kind: Literal["video", "photo"]
    container: str
    """`mp4`, `mov`, `webm`, `jpeg`, `webp`, ...; anything else is refused."""
    video_codec: str | None
    width: int
    height: int
    size_bytes: int
    average_frame_rate_mfps: int | None
    duration_ms: int | None
    pixel_mode: str
    """FFmpeg's pixel format of a video, Pillow's mode of a photo."""


@dataclass(frozen=True)
class Problem:
    """Why TikTok would not take the file.

    `reason` is TikTok's own `fail_reason` where there is one; the `photo_...` reasons and `video_too_large` are ours.
    """

    reason: str
    message: str


def problems(media: MediaToPost, *, longest_video_ms: int = LONGEST_VIDEO_MS) -> list[Problem]:
    """Everything that TikTok would refuse about the file; an empty list means that it may be sent.

    `longest_video_ms` is the creator's own limit (`max_video_post_duration_sec`), never more than ten minutes.
    """
    if media.kind == "video":
        return list(_video_problems(media, min(longest_video_ms, LONGEST_VIDEO_MS)))
    return list(_photo_problems(media))


def _video_problems(media: MediaToPost, longest_ms: int) -> Iterator[Problem]:
    if media.container not in _VIDEO_CONTAINERS:
        yield Problem(
            "file_format_check_failed", f"TikTok takes {_names(_VIDEO_CONTAINERS)}, not {media.container.upper()}."
        )
    elif media.video_codec not in _VIDEO_CODECS:
        yield Problem(
            "file_format_check_failed",
            f"TikTok takes {_names(_VIDEO_CODECS)}, not {media.video_codec or 'an unknown codec'}. Export it as H.264.",
        )
    if media.size_bytes > _VIDEO_BYTES:
        yield Problem("video_too_large", f"The video has {media.size_bytes} bytes; TikTok takes up to {_VIDEO_BYTES}.")
    least, most = _VIDEO_SIDE_PIXELS
    if not (least <= min(media.width, media.height) and max(media.width, media.height) <= most):
        yield Problem(
            "picture_size_check_failed",
            f"The video is {media.width} x {media.height} pixels; TikTok takes sides of {least} to {most}.",
        )
    yield from _rate_problems(media.average_frame_rate_mfps)
    if media.duration_ms is None or media.duration_ms > longest_ms:
        length = "unknown" if media.duration_ms is None else f"{media.duration_ms / 1000:.1f} s"
        yield Problem(
            "duration_check_failed",
            f"The video's length is {length}; this creator may post up to {longest_ms // 1000} s.",
        )


def _rate_problems(rate_mfps: int | None) -> Iterator[Problem]:
    least, most = _VIDEO_RATE_MFPS
    if rate_mfps is None:
        yield Problem(
            "frame_rate_check_failed", "The video has a single frame; TikTok takes 23 to 60 frames per second."
        )
    elif not least - _RATE_SLACK_MFPS <= rate_mfps <= most + _RATE_SLACK_MFPS:
        yield Problem(
            "frame_rate_check_failed",
            f"The video has {rate_mfps / 1000:.2f} frames per second; TikTok takes {least // 1000} to {most // 1000}.",
        )


def _photo_problems(media: MediaToPost) -> Iterator[Problem]:
    if media.container not in _PHOTO_FORMATS:
        yield Problem(
            "photo_format",
            f"TikTok takes photos as {_names(_PHOTO_FORMATS)}, not {media.container.upper()}. Convert it.",
        )
    if media.pixel_mode == "CMYK":
        yield Problem("photo_colour_mode", "The photo is in print colours (CMYK). Save it in RGB.")
    short, long = sorted((media.width, media.height))
    if short > _PHOTO_SHORT_SIDE_PIXELS or long > _PHOTO_LONG_SIDE_PIXELS:
        yield Problem(
            "photo_dimensions",
            f"The photo is {media.width} x {media.height} pixels; TikTok takes up to "
            f"{_PHOTO_SHORT_SIDE_PIXELS} x {_PHOTO_LONG_SIDE_PIXELS}, either way up.",
        )
    if media.size_bytes > _PHOTO_BYTES:
        yield Problem("photo_too_large", f"The photo has {media.size_bytes} bytes; TikTok takes up to {_PHOTO_BYTES}.")


def _names(accepted: dict[str, str]) -> str:
    return ", ".join(accepted.values())
