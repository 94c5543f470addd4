"""A post as TikTok wants it: the author's choices, as far as the creator's own settings allow them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.publisher import domain
from services.publisher.platforms.base import Work
from vendors.tiktok.models import PhotoPost, VideoPost

_ALLOWS_ALL = domain.AccountLimits()


def video_post(work: Work) -> VideoPost | None:
    """The settings of a direct post; None for a draft, of which TikTok takes the video alone."""
    options, limits = work.options, work.limits or _ALLOWS_ALL
    if domain.is_draft(options):
        return None
    return VideoPost(
        title=work.caption,
        privacy_level=str(options["privacy_level"]),
        disable_comment=limits.comment_disabled or not options.get("allow_comment"),
        disable_duet=limits.duet_disabled or not options.get("allow_duet"),
        disable_stitch=limits.stitch_disabled or not options.get("allow_stitch"),
        paid_partnership=bool(options.get("branded_content")),
        own_business=bool(options.get("brand_organic")),
        is_ai_generated=bool(options.get("is_ai_generated")),
        cover_timestamp_ms=int(options.get("cover_time_ms") or 0) or None,
    )


def photo_post(work: Work, image_urls: Sequence[str]) -> PhotoPost:
    """A photo post or draft: the caption is its description."""
    options, limits = work.options, work.limits or _ALLOWS_ALL
    return PhotoPost(
        image_urls=tuple(image_urls),
        privacy_level=None if domain.is_draft(options) else str(options["privacy_level"]),
        title=str(options.get("photo_title") or ""),
        description=work.caption,
        cover_index=int(options.get("photo_cover_index") or 0),
        disable_comment=limits.comment_disabled or not options.get("allow_comment"),
        auto_add_music=bool(options.get("auto_add_music")),
        paid_partnership=bool(options.get("branded_content")),
        own_business=bool(options.get("brand_organic")),
        is_ai_generated=bool(options.get("is_ai_generated")),
    )
