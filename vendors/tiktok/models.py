"""What TikTok takes and answers, as frozen values. Ids are text: they do not fit a double. ``raw`` keeps the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kit.vendor_json import UnreadableAnswer, as_id, id_text, moment, needed_text, text, whole

# Fields that user/info answers only when asked for them, by the scope that each needs, and those of video/list and
# video/query (developers.tiktok.com/doc/tiktok-api-v2-*).
USER_FIELDS = {
    "user.info.basic": ("open_id", "union_id", "avatar_url", "display_name"),
    "user.info.profile": ("username", "bio_description", "profile_deep_link", "is_verified"),
    "user.info.stats": ("follower_count", "following_count", "likes_count", "video_count"),
}
VIDEO_FIELDS = (
    "id",
    "create_time",
    "title",
    "video_description",
    "duration",
    "cover_image_url",
    "share_url",
    "view_count",
    "like_count",
    "comment_count",
    "share_count",
)


class PublishState(StrEnum):
    """Where a post is. UNKNOWN stands for a word that TikTok added later; ``raw`` has it."""

    PROCESSING_UPLOAD = "PROCESSING_UPLOAD"
    PROCESSING_DOWNLOAD = "PROCESSING_DOWNLOAD"
    SEND_TO_USER_INBOX = "SEND_TO_USER_INBOX"  # final for drafts
    PUBLISH_COMPLETE = "PUBLISH_COMPLETE"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class ChunkState(StrEnum):
    """What TikTok says to a chunk."""

    STORED = "stored"  # 206: send the next
    COMPLETE = "complete"  # 201: all is there, processing begins; never start this video again, only ask for its status
    OUT_OF_STEP = "out_of_step"  # 416: it holds something else than the bytes before this chunk; see range_end


@dataclass(frozen=True)
class TokenGrant:
    """Tokens of one user. ``refresh_token`` may be a new one, or None: then the old one stays valid."""

    access_token: str = field(repr=False)
    access_lifetime_seconds: int
    refresh_token: str | None = field(repr=False)
    refresh_lifetime_seconds: int | None
    open_id: str
    scopes: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class CreatorInfo:
    """What a creator may do now. To be read before every direct post; the avatar's address dies after two hours."""

    username: str
    nickname: str
    avatar_url: str
    privacy_level_options: tuple[str, ...]
    comment_disabled: bool
    duet_disabled: bool
    stitch_disabled: bool
    max_video_duration_seconds: int | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class VideoPost:
    """A direct post's settings. ``title`` is the caption, at most 2200 UTF-16 units."""

    title: str
    privacy_level: str
    disable_comment: bool = False
    disable_duet: bool = False
    disable_stitch: bool = False
    paid_partnership: bool = False
    own_business: bool = False
    is_ai_generated: bool = False
    cover_timestamp_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        """``post_info`` as TikTok wants it; both brand toggles are always sent, one table calls them required."""
        info: dict[str, Any] = {
            "title": self.title,
            "privacy_level": self.privacy_level,
            "disable_comment": self.disable_comment,
            "disable_duet": self.disable_duet,
            "disable_stitch": self.disable_stitch,
            "brand_content_toggle": self.paid_partnership,
            "brand_organic_toggle": self.own_business,
            "is_aigc": self.is_ai_generated,
        }
        if self.cover_timestamp_ms is not None:
            info["video_cover_timestamp_ms"] = self.cover_timestamp_ms
        return info


@dataclass(frozen=True, kw_only=True)
class PhotoPost:
    """Photos in their order, by addresses below a verified prefix. ``title`` has at most 90 UTF-16 units,
    ``description`` 4000. ``privacy_level`` None: a draft, of which its owner decides the rest in the app.
    """

    image_urls: tuple[str, ...] = field(repr=False)
    privacy_level: str | None
    title: str = ""
    description: str = ""
    cover_index: int = 0
    disable_comment: bool = False
    auto_add_music: bool = False
    paid_partnership: bool = False
    own_business: bool = False
    is_ai_generated: bool = False

    def as_json(self) -> dict[str, Any]:
        """The body of content/init. Settings of a direct post are left out of a draft."""
        info: dict[str, Any] = {"title": self.title, "description": self.description}
        if self.privacy_level is not None:
            info |= {
                "privacy_level": self.privacy_level,
                "disable_comment": self.disable_comment,
                "auto_add_music": self.auto_add_music,
                "brand_content_toggle": self.paid_partnership,
                "brand_organic_toggle": self.own_business,
            }
        body: dict[str, Any] = {
            "media_type": "PHOTO",
            "post_mode": "MEDIA_UPLOAD" if self.privacy_level is None else "DIRECT_POST",
            "post_info": info,
            "source_info": {
                "source": "PULL_FROM_URL",
                "photo_images": list(self.image_urls),
                "photo_cover_index": self.cover_index,
            },
        }
        # At the top, by the newest page; older ones do not know it for photos. So it is sent only where it matters.
        return body | {"is_aigc": True} if self.is_ai_generated else body


@dataclass(frozen=True)
class VideoUpload:
    """An upload that may begin. ``upload_url`` is a credential, valid for one hour."""

    publish_id: str
    upload_url: str = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class ChunkReply:
    """The answer to one chunk. ``range_end``: TikTok holds ``bytes 0-{range_end}``; see ChunkPlan.index_after."""

    state: ChunkState
    status: int
    range_end: int | None


@dataclass(frozen=True)
class PublishStatus:
    """A post's state. ``post_ids``: of public posts after moderation; may stay empty although it is complete."""

    state: PublishState
    fail_reason: str | None
    post_ids: tuple[str, ...]
    uploaded_bytes: int | None
    downloaded_bytes: int | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class UserInfo:
    """A user's profile, as far as the scopes go: empty, or None, where they do not."""

    open_id: str
    display_name: str
    avatar_url: str
    username: str
    follower_count: int | None
    following_count: int | None
    likes_count: int | None
    video_count: int | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Video:
    """A public video with its lifetime totals; None where TikTok does not say."""

    id: str
    create_time: datetime | None
    title: str
    description: str
    duration_seconds: int | None
    share_url: str
    view_count: int | None
    like_count: int | None
    comment_count: int | None
    share_count: int | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class VideoPage:
    """Videos, newest first. ``cursor`` (milliseconds) asks for the next page when ``has_more``."""

    videos: tuple[Video, ...]
    cursor: int | None
    has_more: bool
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def token_grant(raw: Mapping[str, Any]) -> TokenGrant:
    """Read a token answer. Raises UnreadableAnswer without an access token, a lifetime or a user."""
    access_lifetime = whole(raw, "expires_in")
    if access_lifetime is None:
        raise UnreadableAnswer("expires_in")
    return TokenGrant(
        access_token=needed_text(raw, "access_token"),
        access_lifetime_seconds=access_lifetime,
        refresh_token=text(raw, "refresh_token") or None,
        refresh_lifetime_seconds=whole(raw, "refresh_expires_in"),
        open_id=needed_text(raw, "open_id"),
        scopes=tuple(scope for scope in text(raw, "scope").split(",") if scope),
        raw=raw,
    )


def creator_info(data: Mapping[str, Any]) -> CreatorInfo:
    """Read creator_info. Raises UnreadableAnswer without privacy options: nothing could be posted."""
    options = data.get("privacy_level_options")
    if not isinstance(options, list):
        raise UnreadableAnswer("privacy_level_options")
    return CreatorInfo(
        username=text(data, "creator_username"),
        nickname=text(data, "creator_nickname"),
        avatar_url=text(data, "creator_avatar_url"),
        privacy_level_options=tuple(option for option in options if isinstance(option, str)),
        comment_disabled=data.get("comment_disabled") is True,
        duet_disabled=data.get("duet_disabled") is True,
        stitch_disabled=data.get("stitch_disabled") is True,
        max_video_duration_seconds=whole(data, "max_video_post_duration_sec"),
        raw=data,
    )


def video_upload(data: Mapping[str, Any]) -> VideoUpload:
    """Read the answer to a file upload's init. Raises UnreadableAnswer without publish id or address."""
    return VideoUpload(needed_text(data, "publish_id"), needed_text(data, "upload_url"), data)


def publish_id(data: Mapping[str, Any]) -> str:
    """Read the answer to an init by address. Raises UnreadableAnswer without a publish id."""
    return needed_text(data, "publish_id")


def publish_status(data: Mapping[str, Any]) -> PublishStatus:
    """Read a post's status. Raises UnreadableAnswer without one; a new word becomes UNKNOWN."""
    word = needed_text(data, "status")
    # The misspelt name is TikTok's; the right spelling is taken too, should they mend it.
    ids = data.get("publicaly_available_post_id") or data.get("publicly_available_post_id") or []
    return PublishStatus(
        state=PublishState(word) if word in PublishState.__members__ else PublishState.UNKNOWN,
        fail_reason=text(data, "fail_reason") or None,
        post_ids=tuple(post_id for item in (ids if isinstance(ids, list) else [ids]) if (post_id := as_id(item))),
        uploaded_bytes=whole(data, "uploaded_bytes"),
        downloaded_bytes=whole(data, "downloaded_bytes"),
        raw=data,
    )


def user_info(data: Mapping[str, Any]) -> UserInfo:
    """Read user/info. Raises UnreadableAnswer without a user."""
    user = data.get("user")
    if not isinstance(user, Mapping):
        raise UnreadableAnswer("user")
    return UserInfo(
        open_id=needed_text(user, "open_id"),
        display_name=text(user, "display_name"),
        avatar_url=text(user, "avatar_url"),
        username=text(user, "username"),
        follower_count=whole(user, "follower_count"),
        following_count=whole(user, "following_count"),
        likes_count=whole(user, "likes_count"),
        video_count=whole(user, "video_count"),
        raw=user,
    )


def video_page(data: Mapping[str, Any]) -> VideoPage:
    """Read video/list or video/query. Raises UnreadableAnswer without the list; entries without an id are left out."""
    videos = data.get("videos")
    if not isinstance(videos, list):
        raise UnreadableAnswer("videos")
    return VideoPage(
        videos=tuple(_video(item) for item in videos if isinstance(item, Mapping) and id_text(item, "id")),
        cursor=whole(data, "cursor"),
        has_more=data.get("has_more") is True,
        raw=data,
    )


def _video(item: Mapping[str, Any]) -> Video:
    return Video(
        id=id_text(item, "id"),
        create_time=moment(item, "create_time"),
        title=text(item, "title"),
        description=text(item, "video_description"),
        duration_seconds=whole(item, "duration"),
        share_url=text(item, "share_url"),
        view_count=whole(item, "view_count"),
        like_count=whole(item, "like_count"),
        comment_count=whole(item, "comment_count"),
        share_count=whole(item, "share_count"),
        raw=item,
    )
