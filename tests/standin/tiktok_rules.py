"""TikTok for Developers' documented requests, limits and codes, as its reference has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.standin.shapes import Shape, several, text, whole

JSON_TYPE = "application/json; charset=utf-8"
FORM_TYPE = "application/x-www-form-urlencoded"
PATHS = {
    ("GET", "/v2/auth/authorize/"): "authorize",
    ("POST", "/v2/oauth/token/"): "token",
    ("POST", "/v2/oauth/revoke/"): "revoke",
    ("POST", "/v2/post/publish/creator_info/query/"): "creator_info",
    ("POST", "/v2/post/publish/video/init/"): "video_init",
    ("POST", "/v2/post/publish/inbox/video/init/"): "inbox_init",
    ("POST", "/v2/post/publish/content/init/"): "content_init",
    ("POST", "/v2/post/publish/status/fetch/"): "status",
    ("POST", "/v2/post/publish/cancel/"): "cancel",
    ("GET", "/v2/user/info/"): "user_info",
    ("POST", "/v2/video/list/"): "video_list",
    ("POST", "/v2/video/query/"): "video_query",
}
# Calls of one user token in a minute.
LIMITS = {
    "creator_info": 20, "video_init": 6, "inbox_init": 6, "content_init": 6, "status": 30,
    "user_info": 600, "video_list": 600, "video_query": 600,
}  # fmt: skip
INITS = ("video_init", "inbox_init", "content_init")
SCOPES = {
    "creator_info": {"video.publish"}, "video_init": {"video.publish"}, "inbox_init": {"video.upload"},
    "content_init": {"video.publish", "video.upload"}, "status": {"video.publish", "video.upload"},
    "cancel": {"video.publish", "video.upload"}, "user_info": {"user.info.basic"}, "video_list": {"video.list"},
    "video_query": {"video.list"},
}  # fmt: skip
ALL_SCOPES = (
    "user.info.basic", "user.info.profile", "user.info.stats", "video.list", "video.publish", "video.upload",
)  # fmt: skip
# What every HTTP client says, and nothing else.
PLAIN_HEADERS = {"host", "accept", "accept-encoding", "user-agent", "connection", "content-length"}
STATUS_OF = {
    "ok": 200, "invalid_param": 400, "invalid_params": 400, "invalid_file_upload": 400, "invalid_publish_id": 400,
    "token_not_authorized_for_specified_publish_id": 400, "publish_not_cancellable": 400,
    "app_version_check_failed": 400, "access_token_invalid": 401, "scope_not_authorized": 401,
    "scope_permission_missed": 400, "spam_risk_too_many_posts": 403, "spam_risk_too_many_pending_share": 403,
    "reached_active_user_cap": 403, "spam_risk_user_banned_from_posting": 403,
    "unaudited_client_can_only_post_to_private_accounts": 403, "url_ownership_unverified": 403,
    "privacy_level_option_mismatch": 403, "rate_limit_exceeded": 429, "internal_error": 500,
}  # fmt: skip
# On creator_info these come with HTTP 200.
QUIET_REFUSALS = {"spam_risk_too_many_posts", "spam_risk_user_banned_from_posting", "reached_active_user_cap"}
# Class C of the reference: not before hours.
CAPS = {"spam_risk_too_many_posts", "spam_risk_too_many_pending_share", "reached_active_user_cap"}
TRANSIENT_FAIL_REASONS = {"internal", "video_pull_failed", "photo_pull_failed"}
PRIVACY_LEVELS = frozenset(
    {"PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY"}
)  # fmt: skip
USER_FIELDS = {
    "user.info.basic": {"open_id", "union_id", "avatar_url", "avatar_url_100", "avatar_large_url", "display_name"},
    "user.info.profile": {"bio_description", "profile_deep_link", "is_verified", "username", "profile_web_link"},
    "user.info.stats": {"follower_count", "following_count", "likes_count", "video_count"},
}
VIDEO_FIELDS = frozenset(
    {
        "id", "create_time", "title", "video_description", "duration", "width", "height", "cover_image_url",
        "share_url", "embed_html", "embed_link", "like_count", "comment_count", "share_count", "view_count",
    }
)  # fmt: skip

AUTHORIZE_QUERY: Shape = {
    "client_key": str, "response_type": {"code"}, "scope": str, "redirect_uri": str, "state": text(1000, 8),
    "code_challenge": text(64, 64), "code_challenge_method": {"S256"}, "disable_auto_auth?": {"0", "1"},
}  # fmt: skip
TOKEN_FORMS: Mapping[str, Shape] = {
    "authorization_code": {
        "client_key": str, "client_secret": str, "grant_type": str, "code": str, "redirect_uri": str,
        "code_verifier?": text(128, 43),
    },
    "refresh_token": {"client_key": str, "client_secret": str, "grant_type": str, "refresh_token": str},
    "client_credentials": {"client_key": str, "client_secret": str, "grant_type": str},
}  # fmt: skip
REVOKE_FORM: Shape = {"client_key": str, "client_secret": str, "token": str}
_FILE_SOURCE: Shape = {
    "source": {"FILE_UPLOAD"}, "video_size": whole(1, 4_000_000_000), "chunk_size": whole(1, 128_000_000),
    "total_chunk_count": whole(1, 1000),
}  # fmt: skip
_PULL_SOURCE: Shape = {"source": {"PULL_FROM_URL"}, "video_url": text(4000, 8)}
_VIDEO_INFO: Shape = {
    "privacy_level": PRIVACY_LEVELS, "title?": text(2200), "disable_comment?": bool, "disable_duet?": bool,
    "disable_stitch?": bool, "video_cover_timestamp_ms?": whole(0, 2**31 - 1), "brand_content_toggle": bool,
    "brand_organic_toggle": bool, "is_aigc?": bool,
}  # fmt: skip
_PHOTO_DRAFT_INFO: Shape = {"title?": text(90), "description?": text(4000)}
_PHOTO_INFO: Shape = {
    **_PHOTO_DRAFT_INFO, "privacy_level": PRIVACY_LEVELS, "disable_comment?": bool, "auto_add_music?": bool,
    "brand_content_toggle?": bool, "brand_organic_toggle?": bool,
}  # fmt: skip
_PUBLISH_ID: Shape = {"publish_id": text(64, 1)}
_BODIES: Mapping[str, Shape] = {
    "status": _PUBLISH_ID,
    "cancel": _PUBLISH_ID,
    "video_list": {"cursor?": whole(0, 2**53), "max_count?": whole(1, 20)},
    "video_query": {"filters": {"video_ids": several(str, 1, 20)}},
}


def body_shape(endpoint: str, body: Any) -> Shape | None:
    """The documented body; None: there is none."""
    source = body.get("source_info") if isinstance(body, dict) else None
    pulls = isinstance(source, dict) and source.get("source") == "PULL_FROM_URL"
    video_source = _PULL_SOURCE if pulls else _FILE_SOURCE
    match endpoint:
        case "video_init":
            return {"post_info": _VIDEO_INFO, "source_info": video_source}
        case "inbox_init":
            return {"source_info": video_source}
        case "content_init":
            direct = isinstance(body, dict) and body.get("post_mode") == "DIRECT_POST"
            return {
                "media_type": {"PHOTO"},
                "post_mode": {"DIRECT_POST", "MEDIA_UPLOAD"},
                "post_info": _PHOTO_INFO if direct else _PHOTO_DRAFT_INFO,
                "source_info": {
                    "source": {"PULL_FROM_URL"},
                    "photo_images": several(text(4000, 8), 1, 35),
                    "photo_cover_index": whole(0, 34),
                },
                "is_aigc?": bool,
            }
    return _BODIES.get(endpoint)


def plan_problems(size: int, chunk: int, count: int) -> Iterator[str]:
    """What is wrong with an upload's plan, whether MB means 10^6 bytes or 2^20."""
    if count != max(size // chunk, 1) or (count == 1 and chunk != size):
        yield f"total_chunk_count {count} of {size} bytes in chunks of {chunk} is not their quotient rounded down"
    if size > 64_000_000 and count == 1:
        yield f"{size} bytes in one chunk"
    if size > chunk < 5 * 2**20:
        yield f"a chunk_size of {chunk} is below 5 MB"
    if count > 1 and chunk > 64_000_000:
        yield f"a chunk_size of {chunk} is above 64 MB"
    if size - (count - 1) * chunk > 128_000_000:
        yield "the last chunk is above 128 MB"
