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
# Letters and digits with their marks; of scripts that have no blanks each character; emoji one by one.
_WORDS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
    "|[^\\W_]+"
    "|[\u2190-\u2bff\U0001f000-\U0001faff]"
)


def words(text: str) -> list[str]:
    """The words of a text in their order, as they are compared."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = text.casefold()
    if "://" in text:
        text = _ADDRESS.sub(" ", text)
    return _WORDS.findall(text)


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
