"""Sketches of texts, by which near-duplicates are found. Pure.

A text is cut into words, each three neighbours are hashed, and the smallest hashes are kept: two texts that share half
of their groups share about half of what is kept (Broder 1997, "On the resemblance and containment of documents").
"""

from __future__ import annotations

import re
import unicodedata
import zlib

SKETCH = 16
_GROUP = 3
# An address says nothing of what is written; a hashtag or mention is its words.
_ADDRESS = re.compile(r"https?://\S+")
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
# Thai, Lao, Burmese, Khmer, Japanese and Chinese are written without blanks: each character is a word.
_NO_BLANKS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
# Accents and vowel signs, which belong to the letter before them; not those that only change how an emoji looks.
_MARKS = "".join(
    mark
    for mark in map(chr, range(0x300, 0xFE00))
    if unicodedata.category(mark).startswith("M") and not "\u20d0" <= mark <= "\u20ff"
)
_ASCII_WORDS = re.compile("[a-z0-9]+")
_WORDS = re.compile(f"[{_NO_BLANKS}][{_MARKS}]*|[^\\W_{_NO_BLANKS}]+(?:[{_MARKS}]+[^\\W_{_NO_BLANKS}]*)*")
# One by one, and without the colours of skin. Some numbers in circles count as letters.
_EMOJI = re.compile("(?=\\W)[\u2190-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff]")


def words(text: str) -> list[str]:
    """The words of a text as they are compared, in their order, and then its emoji: one more disturbs no words."""
    text = text.casefold()
    plain = text.isascii()
    if not plain:
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))
    if "://" in text:
        text = _ADDRESS.sub(" ", text)
    # The same words of most English texts, found in half of the time.
    return _ASCII_WORDS.findall(text) if plain else _WORDS.findall(text) + _EMOJI.findall(text)


def sketch(text: str) -> list[int]:
    """The smallest hashes of a text's groups of words, in growing order; none of a text without words."""
    found = words(text)
    if not found:
        return []
    crc32 = zlib.crc32
    if len(found) <= _GROUP:
        return [crc32(" ".join(found).encode())]
    groups = {
        crc32(f"{one} {two} {three}".encode()) for one, two, three in zip(found, found[1:], found[2:], strict=False)
    }
    return sorted(groups)[:SKETCH]
