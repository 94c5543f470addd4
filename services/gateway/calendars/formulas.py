"""Cells that a spreadsheet would run, made harmless in text files; and undone.

A cell that begins with = + - @, a tab or a line end (OWASP, “CSV Injection”) gets an apostrophe in front, which
spreadsheets take for “this is text”. Reading takes exactly such an apostrophe off again. A text that itself begins with
apostrophes before such a character gets one more, so that every text survives writing and reading unchanged.
"""

from __future__ import annotations

import re

_RUN = re.compile(r"'*\s*[=+\-@\t\r\n]")


def guarded(cell: str) -> str:
    """The cell as it is written into a text file."""
    return f"'{cell}" if _RUN.match(cell) else cell


def unguarded(cell: str) -> str:
    """The cell as it was before it was guarded."""
    return cell[1:] if cell[:1] == "'" and _RUN.match(cell) else cell
