"""The media library: what an asset is, and what is refused about it. Files themselves are refused in `media.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.errors import Internal, InvalidArgument, NotFound, OutOfRange, Unavailable
from services.content.media import MediaFacts, MediaRefused, Refusal

# Times inside a file are whatever its writer put there. Beyond these they are no recording, and would not fit into a
# message either: the fastest cameras record below a million frames per second.
LONGEST_MILLISECONDS = 366 * 24 * 3600 * 1000
FASTEST_MFPS = 1_000_000_000


class MediaAssetNotFound(NotFound):
    """The workspace has no media asset with this id."""


class UploadOutOfOrder(InvalidArgument):
    """An upload is one header and then the bytes; this one was something else."""


class UploadBroken(InvalidArgument):
    """The sender went away before the end. Nobody reads this sentence but the log; nothing was kept."""


class MediaLibraryBusy(Unavailable):
    """As many files are on their way in, or out, as this process takes at once."""


class OffsetBehindEnd(OutOfRange):
    """The first byte wanted lies behind the last one."""


class MediaFileShort(Internal):
    """The store holds fewer bytes than were once kept. Uploading the file again mends it."""


@dataclass(frozen=True)
class MediaAsset:
    """One file of a workspace's library. It never changes: other bytes are another asset."""

    media_asset_id: UUID
    workspace_id: UUID
    file_name: str
    """As its owner named it; for people, never a path."""
    sha256: str
    """Lower-case hex. The bytes are in the blob store under the workspace and this."""
    size_bytes: int
    facts: MediaFacts
    create_time: datetime


def check_times(facts: MediaFacts) -> None:
    """Refuses a file whose times are absurd. Raises MediaRefused DAMAGED."""
    rates = (facts.average_frame_rate_mfps or 0, facts.lowest_frame_rate_mfps or 0)
    if (facts.duration_ms or 0) > LONGEST_MILLISECONDS or max(rates) > FASTEST_MFPS:
        raise MediaRefused.because(
            Refusal.DAMAGED,
            "The times in the video make no sense: it would last for ages, or no time. Export it again.",
        )


def bytes_to_read(asset: MediaAsset, offset_bytes: int, length_bytes: int) -> int:
    """How many bytes a download gives: from the offset on, at most `length_bytes`, or up to the end when that is 0.

    An offset at the very end gives none: whoever goes on with a download that was complete is told so.
    Raises OffsetBehindEnd.
    """
    left = asset.size_bytes - offset_bytes
    if left < 0:
        raise OffsetBehindEnd.of_field(
            "offset_bytes",
            f"The file has {asset.size_bytes} bytes. Begin there or before.",
            size_bytes=str(asset.size_bytes),
        )
    return min(left, length_bytes) if length_bytes else left
