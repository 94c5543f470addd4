"""What TikTok Shop would refuse of a creator's post, known without asking it. Pure.

The rules are those of partner.tiktokshop.com/docv2/page/{post-shoppable-video-202607,
upload-shoppable-video-file-202505, upload-shoppable-photo-file-202511} and of the page that posts photos.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from services.publisher import domain
from services.publisher.platforms.base import MediaFile, Problem

POST_SCOPE = "creator.video.write"
# UTF-16 units: of a video's caption, of a photo post's, and of a product link's title.
VIDEO_UNITS, PHOTOS_UNITS, LINK_UNITS = 4000, 5000, 29
# "100 MB" and "10 MB": the smaller reading.
VIDEO_BYTES, PHOTO_BYTES = 100_000_000, 10_000_000
# As the library names them; TikTok Shop takes more that the library does not.
_VIDEO_CONTAINERS = {"mp4": "MP4", "mov": "MOV", "webm": "WebM", "matroska": "MKV"}
_PHOTO_FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WebP"}
_FIELD = "options.tiktok_shop"
# What makes an emoji of an ordinary character.
_EMOJI_MARKS = "\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}"


def has_photos(media: Sequence[MediaFile]) -> bool:
    """Whether it is a photo post."""
    return any(file.mime_type.startswith("image/") for file in media)


def problems(
    account: domain.Account, caption: str, media: Sequence[MediaFile], options: domain.Options
) -> list[Problem]:
    """What TikTok Shop would refuse; see checks.problems."""
    return [*_scope(account), *_link(options), *_caption(caption, media), *_choices(media, options), *_media(media)]


def notes(media: Sequence[MediaFile], options: domain.Options) -> list[Problem]:
    """What TikTok Shop leaves out of the post."""
    if not has_photos(media) or not int(options.get("cover_time_ms") or 0):
        return []
    return [
        Problem(
            f"{_FIELD}.cover_time_ms",
            "COVER_NOT_SENT",
            "A photo post's cover is its first photo: this choice is not sent.",
            blocking=False,
        )
    ]


def _scope(account: domain.Account) -> Iterator[Problem]:
    if POST_SCOPE not in account.scopes:
        yield Problem(
            _FIELD,
            "SCOPE_NOT_GRANTED",
            f"@{account.handle} has not allowed posting ({POST_SCOPE}). TikTok Shop gives this scope to chosen apps:"
            " ask for it in Partner Center. Then connect the TikTok Shop creator again, and let the creator allow it.",
        )


def _link(options: domain.Options) -> Iterator[Problem]:
    if not options.get("product_id"):
        yield Problem(
            f"{_FIELD}.product_id",
            "PRODUCT_MISSING",
            "A TikTok Shop creator's post links to a product. Name one of the creator's showcase or shop by its id.",
        )
    field, title = f"{_FIELD}.product_title", str(options.get("product_title") or "").strip()
    if not title:
        yield Problem(
            field,
            "PRODUCT_TITLE_MISSING",
            f"Write what the product link says: 1 to {LINK_UNITS} letters, digits and spaces.",
        )
        return
    yield from _too_long(field, "PRODUCT_TITLE_TOO_LONG", title, LINK_UNITS, "titles of product links")
    odd = "".join(dict.fromkeys(each for each in title if not _is_plain(each)))
    if odd:
        told = ", ".join(f"“{each}”" if each.isprintable() else f"U+{ord(each):04X}" for each in odd[:10])
        yield Problem(
            field,
            "PRODUCT_TITLE_CHARACTERS",
            f"TikTok Shop takes no punctuation and no emoji in the title of a product link. Leave out {told}.",
        )


def _is_plain(character: str) -> bool:
    """Whether it is a letter with its marks, a digit or a space."""
    return character == " " or (unicodedata.category(character)[0] in "LMN" and character not in _EMOJI_MARKS)


def _caption(caption: str, media: Sequence[MediaFile]) -> Iterator[Problem]:
    most, what = (PHOTOS_UNITS, "captions of photo posts") if has_photos(media) else (VIDEO_UNITS, "captions")
    yield from _too_long("caption", "CAPTION_TOO_LONG", caption, most, what)


def _too_long(field: str, reason: str, text: str, most: int, what: str) -> Iterator[Problem]:
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if units > most:
        told = f"TikTok Shop takes {what} of up to {most} characters; this one has {units}. Shorten it."
        yield Problem(field, reason, told)


def _choices(media: Sequence[MediaFile], options: domain.Options) -> Iterator[Problem]:
    if has_photos(media):
        if options.get("is_ai_generated"):
            yield Problem(
                f"{_FIELD}.is_ai_generated",
                "AI_LABEL_NOT_POSSIBLE",
                "TikTok Shop has no mark for photos that AI made or changed, and viewers should know. Make a video of"
                " them, or post them on a TikTok account without the product link.",
            )
        return
    cover, length = int(options.get("cover_time_ms") or 0), sum(file.duration_ms for file in media)
    if length and cover >= length:
        yield Problem(
            f"{_FIELD}.cover_time_ms",
            "COVER_OUTSIDE",
            f"The cover is a frame of the video, which has {length} ms. Choose an earlier one than {cover} ms.",
        )


def _media(media: Sequence[MediaFile]) -> Iterator[Problem]:
    if not media:
        yield Problem("media", "VIDEO_MISSING", "A TikTok Shop creator's post has one video, or photos. Add a file.")
    elif not has_photos(media):
        if len(media) > 1:
            yield Problem(
                "media", "TOO_MANY_VIDEOS", "A TikTok Shop creator's post has one video. Make a post of each."
            )
        else:
            yield from _file(0, media[0], _VIDEO_CONTAINERS, media[0].container, VIDEO_BYTES, "videos")
    elif not all(file.mime_type.startswith("image/") for file in media):
        yield Problem(
            "media", "MEDIA_MIXED", "A TikTok Shop creator's post has photos or a video, not both. Make a post of each."
        )
    else:
        for index, file in enumerate(media):
            yield from _file(index, file, _PHOTO_FORMATS, file.codec, PHOTO_BYTES, "photos")


def _file(
    index: int, file: MediaFile, accepted: dict[str, str], kind: str, most_bytes: int, what: str
) -> Iterator[Problem]:
    field = f"media[{index}]"
    if kind not in accepted:
        names = ", ".join(accepted.values())
        yield Problem(
            field, "FILE_FORMAT_CHECK_FAILED", f"TikTok Shop takes {what} as {names}, not {kind.upper()}. Convert it."
        )
    if file.size_bytes > most_bytes:
        yield Problem(
            field,
            "FILE_TOO_LARGE",
            f"The file has {file.size_bytes} bytes; TikTok Shop takes {what} of up to {most_bytes}. Make it smaller.",
        )
    short, long = sorted((file.width, file.height))
    # A side of odd length is not refused for half a pixel.
    if (short + 1) * 16 < long * 9:
        text = f"It is {file.width} x {file.height} pixels; TikTok Shop takes {what} from 9:16 to 16:9. Crop it."
        yield Problem(field, "PICTURE_SIZE_CHECK_FAILED", text)
