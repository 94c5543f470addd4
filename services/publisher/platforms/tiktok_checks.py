"""What TikTok would refuse of a post, known without asking it. Pure. Of files, see tiktok_media.py.

The rules are those of developers.tiktok.com/doc/{content-posting-api-reference-direct-post,
content-posting-api-reference-photo-post, content-posting-api-reference-upload-video, content-sharing-guidelines}.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.publisher import domain
from services.publisher.platforms import tiktok_media
from services.publisher.platforms.base import MediaFile, Problem

# UTF-16 units, as TikTok counts: of a video's caption, and of a photo post's title and description.
VIDEO_UNITS, TITLE_UNITS, DESCRIPTION_UNITS = 2200, 90, 4000
MOST_PHOTOS = 35
# Not everybody sees it.
PRIVATE_LEVELS = ("SELF_ONLY", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR")
PUBLISH_SCOPE, UPLOAD_SCOPE, LIST_SCOPE = "video.publish", "video.upload", "video.list"


def has_photos(media: Sequence[MediaFile]) -> bool:
    """Whether it is a photo post."""
    return any(file.mime_type.startswith("image/") for file in media)


def problems(
    account: domain.Account,
    caption: str,
    media: Sequence[MediaFile],
    options: domain.Options | None,
    limits: domain.AccountLimits | None,
    *,
    serves_media: bool,
) -> list[Problem]:
    """What TikTok would refuse; see checks.problems."""
    chosen = options or {}
    of_photos = has_photos(media)
    found = [*_scope(account, chosen), *_texts(caption, chosen, of_photos=of_photos)]
    if not domain.is_draft(chosen):
        found += _choices(chosen, limits)
    if of_photos:
        return [*found, *_photos(media, chosen, serves_media=serves_media)]
    return [*found, *_video(media, limits)]


def notes(
    caption: str, media: Sequence[MediaFile], options: domain.Options, limits: domain.AccountLimits | None
) -> list[Problem]:
    """What TikTok leaves out of the post."""
    if domain.is_draft(options):
        if has_photos(media) or not caption:
            return []
        return [
            Problem(
                "caption",
                "CAPTION_NOT_SENT",
                "TikTok takes no caption with a video draft. Its owner writes it in the app, and chooses who sees it.",
                blocking=False,
            )
        ]
    found = []
    for word, disabled in (
        ("comment", limits is not None and limits.comment_disabled),
        ("duet", limits is not None and limits.duet_disabled),
        ("stitch", limits is not None and limits.stitch_disabled),
    ):
        if disabled and options.get(f"allow_{word}"):
            found.append(
                Problem(
                    f"options.tiktok.allow_{word}",
                    "SWITCH_OFF_AT_CREATOR",
                    f"The creator's own settings do not allow {word}: it stays off whatever is chosen here.",
                    blocking=False,
                )
            )
    return found


def _scope(account: domain.Account, options: domain.Options) -> Iterator[Problem]:
    scope, what = (UPLOAD_SCOPE, "drafts") if domain.is_draft(options) else (PUBLISH_SCOPE, "posts")
    if scope not in account.scopes:
        yield Problem(
            "options.tiktok.post_mode",
            "SCOPE_NOT_GRANTED",
            f"@{account.handle} has not allowed {what} ({scope}). Add the scope to the app at TikTok and to"
            " REELROUTE_TIKTOK_SCOPES, and connect the account again.",
        )


def _texts(caption: str, options: domain.Options, *, of_photos: bool) -> Iterator[Problem]:
    if of_photos:
        title = _units(str(options.get("photo_title") or ""))
        if title > TITLE_UNITS:
            yield Problem(
                "options.tiktok.photo_title",
                "PHOTO_TITLE_TOO_LONG",
                f"TikTok takes titles of up to {TITLE_UNITS} characters; this one has {title}. Shorten it.",
            )
    most = DESCRIPTION_UNITS if of_photos else VIDEO_UNITS
    # No caption goes with a video draft.
    is_sent = of_photos or not domain.is_draft(options)
    if is_sent and (units := _units(caption)) > most:
        yield Problem(
            "caption",
            "CAPTION_TOO_LONG",
            f"TikTok takes captions of up to {most} characters; this one has {units}. Shorten it.",
        )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _choices(options: domain.Options, limits: domain.AccountLimits | None) -> Iterator[Problem]:
    field, level = "options.tiktok.privacy_level", str(options.get("privacy_level") or "")
    if not level:
        yield Problem(
            field,
            "PRIVACY_LEVEL_MISSING",
            "Choose who sees the post: PUBLIC_TO_EVERYONE, MUTUAL_FOLLOW_FRIENDS, FOLLOWER_OF_CREATOR or"
            " SELF_ONLY. TikTok requires the author's own choice.",
        )
        return
    if options.get("branded_content") and level == "SELF_ONLY":
        yield Problem(
            "options.tiktok.branded_content",
            "BRANDED_CONTENT_PRIVATE",
            "TikTok does not take branded content that only you can see. Choose another privacy_level.",
        )
    if limits and level not in limits.privacy_levels:
        yield Problem(
            field,
            "TIKTOK_PRIVACY_LEVEL_GONE",
            f"The creator does not offer {level}; possible are {', '.join(limits.privacy_levels)}. Choose again.",
            # The creator may change it until then.
            blocking=False,
        )


def _video(media: Sequence[MediaFile], limits: domain.AccountLimits | None) -> list[Problem]:
    if not media:
        return [Problem("media", "VIDEO_MISSING", "A TikTok post has one video, or up to 35 photos. Add them.")]
    if len(media) > 1:
        return [Problem("media", "TOO_MANY_VIDEOS", "A TikTok post has one video. Make a post of each.")]
    video = _to_post(media[0])
    own_limit = limits.longest_video_seconds if limits else None
    found = tiktok_media.problems(
        video, longest_video_ms=own_limit * 1000 if own_limit else tiktok_media.LONGEST_VIDEO_MS
    )
    if not found:
        return []
    always = tiktok_media.problems(video)
    # TikTok may give the creator more until then.
    return [Problem("media[0]", each.reason.upper(), each.message, bool(always)) for each in always or found]


def _photos(media: Sequence[MediaFile], options: domain.Options, *, serves_media: bool) -> Iterator[Problem]:
    if not serves_media:
        yield Problem(
            "media",
            "PHOTOS_NEED_AN_ADDRESS",
            "TikTok fetches photos from an address of yours, and this installation has none. Verify a domain or prefix"
            " on the app's page at TikTok, lead it to the gateway by https, and name it in"
            " REELROUTE_TIKTOK_MEDIA_URL_PREFIX; or use one video.",
        )
    if not all(file.mime_type.startswith("image/") for file in media):
        yield Problem("media", "MEDIA_MIXED", "A TikTok post has photos or a video, not both. Make a post of each.")
        return
    if len(media) > MOST_PHOTOS:
        yield Problem("media", "TOO_MANY_PHOTOS", f"TikTok takes up to {MOST_PHOTOS} photos; these are {len(media)}.")
    if int(options.get("photo_cover_index") or 0) >= len(media):
        yield Problem(
            "options.tiktok.photo_cover_index",
            "PHOTO_COVER_UNKNOWN",
            f"The cover must be one of the {len(media)} photos: 0 to {len(media) - 1}.",
        )
    for index, file in enumerate(media):
        for problem in tiktok_media.problems(_to_post(file)):
            yield Problem(f"media[{index}]", problem.reason.upper(), problem.message)


def _to_post(file: MediaFile) -> tiktok_media.MediaToPost:
    is_video = file.mime_type.startswith("video/")
    return tiktok_media.MediaToPost(
        kind="video" if is_video else "photo",
        container=file.container if is_video else file.codec,
        video_codec=file.codec if is_video else None,
        width=file.width,
        height=file.height,
        size_bytes=file.size_bytes,
        average_frame_rate_mfps=file.frame_rate_millis or None,
        duration_ms=file.duration_ms or None,
        pixel_mode=file.pixel_mode,
    )
