"""What a creator's calls take and answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kit.vendor_json import id_text, mapping, mappings, moment, needed_id, needed_text, text, truth
from vendors.tiktok_shop.figures import Figures, figures
from vendors.tiktok_shop.values import objects, without_none

# Kinds of a photo post's link.
_ONE_PRODUCT = "1"
_PRODUCT_PER_PHOTO = "3"


class Origin(StrEnum):
    """Where a product is shown."""

    SHOWCASE = "SHOWCASE"
    LIVE = "LIVE"


class PostStatus(StrEnum):
    """Where a post is; UNKNOWN for a word that TikTok Shop added later, which ``raw`` has."""

    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> "PostStatus":
        # A check that went well is called PASS, too.
        return cls.SUCCESS if value == "PASS" else cls.UNKNOWN


@dataclass(frozen=True)
class ShowcaseProduct:
    """A product that the creator may link to."""

    id: str
    title: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Music:
    """A piece of music that a post may have."""

    id: str
    title: str
    author: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class MusicPage:
    """Music that was found. The next part is asked for with both ids; there is none without a token."""

    music: tuple[Music, ...]
    search_id: str
    next_page_token: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class ProductLink:
    """The link of a post: fewer than 30 characters, without punctuation and emoji."""

    product_id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class ShoppableVideo:
    """A video post. ``title`` is the caption, at most 4000 characters; without a cover it is the first frame."""

    file_id: str
    title: str
    link: ProductLink
    cover_uri: str | None = None
    cover_timestamp_ms: int | None = None  # not beside cover_uri
    music_id: str | None = None
    is_ai_generated: bool = False

    def as_json(self) -> dict[str, Any]:
        """The body of the post."""
        info = without_none(
            file_id=self.file_id,
            title=self.title,
            cover_uri=self.cover_uri,
            cover_timestamp_ms=self.cover_timestamp_ms if self.cover_uri is None else None,
            music_id=self.music_id,
            is_ai_generated=self.is_ai_generated,
        )
        link = {"product_id": self.link.product_id, "title": self.link.title}
        return {"video_info": info, "product_link_info": link}


@dataclass(frozen=True, kw_only=True)
class ShoppablePhotos:
    """A photo post that links to one product, or to one for each photo. ``title``: at most 5000 characters."""

    photo_uris: Sequence[str]
    title: str
    links: Sequence[ProductLink]
    music_id: str | None = None

    def __post_init__(self) -> None:
        if not self.photo_uris or len(self.links) not in (1, len(self.photo_uris)):
            raise ValueError("links: one for all photos, or one for each")

    def as_json(self) -> dict[str, Any]:
        """The body of the post."""
        kind = _ONE_PRODUCT if len(self.links) == 1 else _PRODUCT_PER_PHOTO
        links = [{"product_id": each.product_id, "link_title": each.title} for each in self.links]
        return without_none(
            photos_info=[{"photo_file_uris": uri} for uri in self.photo_uris],
            music_id=self.music_id,
            title=self.title,
            link_info={"post_type": kind, "links": links},
        )


@dataclass(frozen=True)
class Posted:
    """A post that TikTok Shop has taken. ``quota`` is in its words and empty where nothing limits the creator."""

    post_id: str
    quota: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class VideoStatus:
    """What became of a posted video."""

    status: PostStatus
    post_time: datetime | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Precheck:
    """What a check before posting says: FAIL breaks a rule. ``issues`` are TikTok's words, with its suggestions."""

    status: PostStatus
    issues: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class VideoDay:
    """A video's sales of one day (creators in the United States only)."""

    video_id: str
    start: datetime | None
    figures: Figures
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def precheck_of(raw: Mapping[str, Any]) -> Precheck:
    """Read a check's result, as an answer or a webhook has it."""
    rules = mapping(raw, "violation_check_result") or raw
    told = ((text(item, "risk") or text(item, "code"), text(item, "suggestions")) for item in mappings(rules, "issues"))
    return Precheck(
        status=PostStatus(text(rules, "status") or text(rules, "result")),
        issues=tuple(": ".join(part for part in parts if part) for parts in told),
        raw=raw,
    )


def music_page(data: Mapping[str, Any]) -> MusicPage:
    """Read music that was found. Where there is no more, the token of the next part means nothing."""
    more = "has_more" not in data or truth(data, "has_more")
    return MusicPage(
        music=tuple(
            Music(needed_id(item, "id"), text(item, "title"), text(item, "author"), item)
            for item in objects(data, "music")
        ),
        search_id=id_text(data, "search_id"),
        next_page_token=id_text(data, "next_page_token") if more else "",
        raw=data,
    )


def video_status(data: Mapping[str, Any]) -> VideoStatus:
    """Read what became of a video. Raises UnreadableAnswer without a status."""
    raw = mapping(data, "video") or data
    return VideoStatus(PostStatus(needed_text(raw, "post_status")), moment(raw, "post_time"), raw)


def video_days(data: Mapping[str, Any], version: str) -> tuple[VideoDay, ...]:
    """Read videos' sales, one for each video and day."""
    return tuple(
        VideoDay(
            needed_id(video, "id"),
            moment(mapping(day, "time_range"), "start_time"),
            figures(day, version),
            day,
        )
        for video in objects(data, "videos")
        for day in mappings(video, "performances")
    )
