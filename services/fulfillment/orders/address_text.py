"""Makes of text that people typed what a label can hold. Pure; every step that changes something is written down."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from services.fulfillment.orders.recipient import Change, Note

_TYPOGRAPHIC = str.maketrans("‘’‚‛ʼ′´`“”„‟″‐‑‒–—―", "'''''''" + "'" + '"""""' + "------")
# Printed on slips as they are; other symbols (emoji among them) are not.
_SAFE_SYMBOLS = range(0x100)
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
# Letters and marks by their category, and nothing to be seen.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5")
_MASKS = re.compile(r"[*∗⁎✱]|[•●▪]{2,}")


class Trail:
    """Collects what the rules change and note."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.notes: list[Note] = []

    def step(self, field: str, rule: str, before: str, after: str) -> str:
        """The text after a rule; a change is kept when it is another one."""
        if before != after:
            self.changes.append(Change(field, rule, before, after))
        return after

    def note(self, note: Note) -> None:
        """Keeps a note, once."""
        if note not in self.notes:
            self.notes.append(note)

    def clean(self, field: str, value: str) -> str:
        """The text in one form of characters, of one line, without what no label prints."""
        before = None
        # Without a character, its neighbours may become one: until nothing changes any more.
        while before != value:
            before = value
            for rule, made in _RULES:
                value = self.step(field, rule, value, made(value))
        return value


def is_masked(value: str) -> bool:
    """Whether parts of a text are hidden behind stars or dots."""
    return _MASKS.search(unicodedata.normalize("NFKC", value)) is not None


def words(value: str) -> list[str]:
    """The words of a text, without case and punctuation: to find out whether one text says what another does."""
    return re.findall(r"\w+", value.casefold())


def says_something(*values: str) -> bool:
    """Whether there is a letter or a digit in one of the texts."""
    return any(each.isalnum() for value in values for each in value)


def cut(value: str, limit: int) -> str:
    """The text within a limit, cut at a blank where there is one."""
    if len(value) <= limit:
        return value
    head = value[: limit + 1].rpartition(" ")[0] or value[:limit]
    return head.rstrip()


def _plain(value: str) -> str:
    return value.translate(_TYPOGRAPHIC)


def _composed(value: str) -> str:
    return unicodedata.normalize("NFKC", value)


def _printable(value: str) -> str:
    return "".join(filter(_is_printed, (" " if each.isspace() else each for each in value)))


def _is_printed(each: str) -> bool:
    kind, point = unicodedata.category(each), ord(each)
    if kind[0] == "C" or each in _INVISIBLE or any(point in selectors for selectors in _SELECTORS):
        return False
    return kind not in ("So", "Sk", "Me") or point in _SAFE_SYMBOLS


def _squeezed(value: str) -> str:
    return " ".join(value.split())


_RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("typographic", _plain),
    ("unicode_form", _composed),
    ("unprintable", _printable),
    ("blanks", _squeezed),
)
