"""The text of a post, made of a calendar's caption and hashtags, and what is wrong with it.

The limit is that of TikTok's Content Posting API (developers.tiktok.com/doc/content-posting-api-reference-direct-post).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from services.gateway.calendars.entries import Problem

CAPTION_UNITS = 2200  # UTF-16 units of the whole text, as TikTok counts

_BIDI_OVERRIDES = "\u202d\u202e"
_ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202d\u202e\ufffd]")
_CONTROL = re.compile(r"[\x01-\x08\x0b-\x1f\x7f-\x9f]")
_FORMULA = re.compile(r"\s*(=|[+\-@][A-Za-z0-9.]+\()")
_NON_ASCII = re.compile(r"[^\x00-\x7f]{2,}")
# A text in UTF-8 that was read as Windows-1252 has the first bytes of its characters, C2 to F4, as such letters.
_MAYBE_WAS_UTF8 = re.compile(r"(?<![^\x00-\x7f])[\u00c2-\u00f4][^\x00-\x7f]")
_PLAIN_HASHTAGS = re.compile(r"#[A-Za-z0-9_]+(?: #[A-Za-z0-9_]+)*")


def text(caption: str, hashtags: str, problems: list[Problem], warnings: list[Problem]) -> str:
    """Caption, blank line, hashtags. The caption is left as it is, to the last blank.

    Where both together are too long, hashtags are left out from the end, with a warning. Adds what is wrong, and what
    is odd, to the two lists.
    """
    _check_caption(caption, problems, warnings)
    if not hashtags:
        return caption
    tags = _tags(hashtags)
    if isinstance(tags, Problem):
        problems.append(tags)
        return caption
    if len(caption) + len(hashtags) > CAPTION_UNITS // 2:
        return _fitted(caption, tags, warnings)
    return _joined(caption, tags)


def _fitted(caption: str, tags: tuple[str, ...], warnings: list[Problem]) -> str:
    fitting = len(tags)
    while fitting and units(_joined(caption, tags[:fitting])) > CAPTION_UNITS:
        fitting -= 1
    if fitting < len(tags) and units(caption) <= CAPTION_UNITS:
        warnings.append(
            Problem(
                "hashtags",
                "hashtags_left_out",
                f"Caption and hashtags together have {units(_joined(caption, tags))} characters, TikTok takes"
                f" {CAPTION_UNITS}. Left out: {' '.join(tags[fitting:])}. Shorten the caption to keep them.",
            )
        )
    return _joined(caption, tags[:fitting])


def _joined(caption: str, tags: tuple[str, ...]) -> str:
    return f"{caption}\n\n{' '.join(tags)}" if tags else caption


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would run the text. A mention or a minus at the beginning is none."""
    return bool(_FORMULA.match(text))


def units(text: str) -> int:
    """The length of a text as TikTok counts it, in UTF-16 units: most emoji are two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _check_caption(caption: str, problems: list[Problem], warnings: list[Problem]) -> None:
    def refuse(reason: str, message: str) -> None:
        problems.append(Problem("caption", reason, message))

    if not caption or caption.isspace():
        refuse("caption_empty", "Write a caption.")
    # Fewer characters than half of the limit cannot be more units than the limit.
    if len(caption) > CAPTION_UNITS // 2 and (size := units(caption)) > CAPTION_UNITS:
        refuse("caption_too_long", f"{size} characters as TikTok counts; it takes {CAPTION_UNITS}.")
    if _ODD.search(caption):
        if "\0" in caption:
            refuse("caption_nul_byte", "There is a NUL character in the text. Type it again.")
        elif _CONTROL.search(caption):
            refuse("caption_control_characters", "There are control characters in the text. Type it again.")
        if any(char in caption for char in _BIDI_OVERRIDES):
            refuse("caption_bidi_override", "A hidden character turns the text round on the screen. Type it again.")
        if "\ufffd" in caption:
            refuse("caption_broken_encoding", "Letters were lost when the text was saved, where it now shows �.")
    if not caption.isascii() and "\ufffd" not in caption and _was_utf8(caption):
        warnings.append(
            Problem(
                "caption",
                "caption_broken_encoding",
                "The text looks as if UTF-8 had been read as Windows-1252. It is taken as it stands.",
            )
        )
    if _FORMULA.match(caption):
        warnings.append(
            Problem("caption", "csv_injection", "A spreadsheet would run this as a formula. Here it is only text.")
        )


def _was_utf8(caption: str) -> bool:
    if not _MAYBE_WAS_UTF8.search(caption):
        return False
    return any(_decodes(run) for run in _NON_ASCII.findall(caption))


def _decodes(run: str) -> bool:
    try:
        run.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return False
    return True


@lru_cache(maxsize=4096)
def _tags(hashtags: str) -> tuple[str, ...] | Problem:
    if _PLAIN_HASHTAGS.fullmatch(hashtags):
        return tuple(hashtags.split(" "))
    tags = hashtags.split()
    if wrong := [tag for tag in tags if not _is_hashtag(tag)]:
        return Problem(
            "hashtags",
            "hashtags_invalid",
            f"{' '.join(wrong)[:200]}: each begins with #, has letters, digits and _ only, and a blank before it.",
        )
    return tuple(tags)


def _is_hashtag(tag: str) -> bool:
    """Whether a word is # and then letters with their marks, digits, _, or emoji with their joiners."""
    return len(tag) > 1 and tag[0] == "#" and all(_in_hashtag(char) for char in tag[1:])


def _in_hashtag(char: str) -> bool:
    category = unicodedata.category(char)
    return char in "_\u200c\u200d" or category[0] in "LMN" or category in ("So", "Sk")
