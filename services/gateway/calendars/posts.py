"""Posts as calendars are written of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from services.gateway.calendars.entries import CELLS, FLAGS, REPORTED, AmbiguousTime, TikTokChoices

# In this order stand the columns of a calendar that is written.
WRITTEN = CELLS + REPORTED


@dataclass(frozen=True, slots=True)
class Post:
    """A post to be written. `handles` without @; `media` are file names; `state` is a word for people."""

    post_id: str
    ref: str
    channel: str
    handles: tuple[str, ...]
    caption: str
    media: tuple[str, ...]
    local_time: str  # YYYY-MM-DDTHH:MM:SS, in time_zone
    time_zone: str
    schedule_time: datetime
    state: str = ""
    url: str = ""
    tiktok: TikTokChoices = field(default_factory=TikTokChoices)

    @property
    def wall_time(self) -> datetime:
        """`local_time`, as the sheet's clock shows it."""
        return datetime.fromisoformat(self.local_time)

    @property
    def ambiguous_time(self) -> AmbiguousTime:
        """Which of two equal wall-clock times the post is at; empty where there is only one."""
        zone = ZoneInfo(self.time_zone)
        first, second = (self.wall_time.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            return ""
        return "EARLIER" if first.timestamp() == self.schedule_time.timestamp() else "LATER"


@dataclass(frozen=True, slots=True)
class Remark:
    """What of a post cannot travel in the format that it is written in."""

    post_id: str
    ref: str
    message: str


def cells(post: Post) -> dict[str, str]:
    """A post as a text for each of WRITTEN; read again, it is the same post.

    The caption is whole: hashtags stand in it, as they will be published.
    """
    moment = post.wall_time
    chosen = post.tiktok
    return dict.fromkeys(WRITTEN, "") | {
        "ref": post.ref,
        "local_date": moment.date().isoformat(),
        "local_time": moment.time().isoformat(),
        "timezone": post.time_zone,
        "channel": post.channel,
        # Without @, which a spreadsheet would take for the beginning of a formula.
        "account": "|".join(post.handles),
        "caption": post.caption,
        "media": "|".join(post.media),
        "ambiguous_time": post.ambiguous_time,
        "privacy_level": chosen.privacy_level or "",
        **{name: _flag(getattr(chosen, name)) for name in FLAGS},
        "cover_time_ms": "" if chosen.cover_time_ms is None else str(chosen.cover_time_ms),
        "photo_cover_index": str(chosen.photo_cover_index or ""),
        "photo_title": chosen.photo_title or "",
        "post_mode": "" if chosen.post_mode in (None, "DIRECT_POST") else chosen.post_mode,
        "music_usage_confirm_time": chosen.music_usage_confirm_time.isoformat()
        if chosen.music_usage_confirm_time
        else "",
        "state": post.state,
        "post_id": post.post_id,
        "url": post.url,
    }


def _flag(value: bool | None) -> str:
    return "" if value is None else "TRUE" if value else "FALSE"
