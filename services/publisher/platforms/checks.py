"""What platforms would refuse, known without asking. Pure: the one check of drafts, forecasts and attempts."""

from __future__ import annotations

from collections.abc import Sequence

from services.publisher import domain
from services.publisher.platforms import tiktok_media
from services.publisher.platforms.base import MediaFile, Problem

TIKTOK_UNITS = 2200  # UTF-16 units of a caption, as TikTok counts them
# Of a TikTok post: not everybody sees it.
PRIVATE_LEVELS = ("SELF_ONLY", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR")
BULLETIN_CHARACTERS = 2000


def problems(
    platform: domain.Platform,
    caption: str,
    media: Sequence[MediaFile],
    options: domain.Options | None,
    limits: domain.AccountLimits | None = None,
) -> list[Problem]:
    """The problems of a post on a platform; with `limits`, also those that only this account has."""
    match platform:
        case domain.Platform.TIKTOK:
            return tiktok(caption, media, options, limits)
        case domain.Platform.BULLETIN:
            return bulletin(caption, media)


def bulletin(caption: str, media: Sequence[MediaFile]) -> list[Problem]:
    """What Bulletin would refuse, known without asking it."""
    problems = []
    if not caption:
        problems.append(Problem("caption", "CAPTION_MISSING", "Bulletin publishes a text. Write one."))
    elif len(caption) > BULLETIN_CHARACTERS:
        text = f"Bulletin takes up to {BULLETIN_CHARACTERS} characters. Shorten the text."
        problems.append(Problem("caption", "CAPTION_TOO_LONG", text))
    if media:
        problems.append(
            Problem("media", "MEDIA_NOT_TAKEN", "Bulletin publishes a text alone. Make a post without media for it.")
        )
    return problems


def tiktok(
    caption: str,
    media: Sequence[MediaFile],
    options: domain.Options | None,
    limits: domain.AccountLimits | None = None,
) -> list[Problem]:
    """What TikTok would refuse, known without asking it. `options` None: the post has no choices for TikTok. With
    `limits`, also what it would refuse of this creator.
    """
    problems = []
    units = len(caption.encode("utf-16-le")) // 2
    if units > TIKTOK_UNITS:
        problems.append(
            Problem(
                "caption",
                "CAPTION_TOO_LONG",
                f"TikTok takes captions of up to {TIKTOK_UNITS} characters; this one has {units}. Shorten it.",
            )
        )
    if options is None:
        problems.append(
            Problem(
                "options.tiktok.privacy_level",
                "PRIVACY_LEVEL_MISSING",
                "Choose who sees the post: PUBLIC_TO_EVERYONE, MUTUAL_FOLLOW_FRIENDS, FOLLOWER_OF_CREATOR or"
                " SELF_ONLY. TikTok requires the author's own choice.",
            )
        )
    elif options.get("branded_content") in (True, "true") and options.get("privacy_level") == "SELF_ONLY":
        problems.append(
            Problem(
                "options.tiktok.branded_content",
                "BRANDED_CONTENT_PRIVATE",
                "TikTok does not take branded content that only you can see. Choose another privacy_level.",
            )
        )
    if limits and options and (level := str(options.get("privacy_level"))) not in limits.privacy_levels:
        problems.append(
            Problem(
                "options.tiktok.privacy_level",
                "TIKTOK_PRIVACY_LEVEL_GONE",
                f"The creator does not offer {level}; possible are {', '.join(limits.privacy_levels)}. Choose again.",
                # The creator may change it until then.
                blocking=False,
            )
        )
    return problems + _tiktok_media(media, limits)


def _tiktok_media(media: Sequence[MediaFile], limits: domain.AccountLimits | None) -> list[Problem]:
    if any(file.mime_type.startswith("image/") for file in media):
        return [
            Problem(
                "media",
                "PHOTOS_NOT_SUPPORTED",
                "Photo posts cannot be published to TikTok by this version. Use one video.",
                # A plan for later months is kept; each attempt says the same until it can be done.
                blocking=False,
            )
        ]
    if not media:
        return [Problem("media", "VIDEO_MISSING", "A TikTok post has one video. Add it.")]
    if len(media) > 1:
        return [Problem("media", "TOO_MANY_VIDEOS", "A TikTok post has one video. Make a post of each.")]
    video = _to_post(media[0])
    found = tiktok_media.problems(video)
    problems = [Problem("media[0]", problem.reason.upper(), problem.message) for problem in found]
    if not problems and limits and limits.longest_video_seconds:
        # TikTok may give the creator more until then.
        found = tiktok_media.problems(video, longest_video_ms=limits.longest_video_seconds * 1000)
        problems = [Problem("media[0]", problem.reason.upper(), problem.message, blocking=False) for problem in found]
    return problems


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
