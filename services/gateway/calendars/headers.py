"""Which column of a table is which of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.calendars.entries import CELLS, COLUMNS, REPORTED, NotACalendar, ReadOptions

# Sheets have titles and notes above their tables; further down it is no header.
MAX_ROWS_ABOVE = 20
# What sheets call our columns so often that it needs no saying.
_ALSO_CALLED = {"date": "local_date", "time": "local_time", "time_zone": "timezone", "skus": "product_skus"}
_LOOKS_LIKE_DATA = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}|[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?|@.+|#.+")


@dataclass(frozen=True, slots=True)
class Header:
    """A row of names. `index` is its place among the rows that were looked at; `places` where each of ours stands."""

    index: int
    width: int
    places: dict[str, int]
    unknown: tuple[str, ...]


def plain(name: str) -> str:
    """A column's name without what people write differently."""
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def find(rows: Sequence[tuple[int, Sequence[str]]], options: ReadOptions) -> Header:
    """The first of the rows (line, cells) that names every column that a post needs.

    Raises NotACalendar: header_missing, columns_unknown, column_repeated.
    """
    if unknown := [name for name in options.columns if name not in CELLS]:
        message = f"{', '.join(unknown)[:100]} is none of our columns. They are {', '.join(CELLS)}."
        raise NotACalendar("columns_unknown", message)
    needed = _needed(options)
    found = [_named(index, cells, options) for index, (_, cells) in enumerate(rows[:MAX_ROWS_ABOVE])]
    for header in found:
        if all(name in header.places for name in needed):
            return _checked(header, rows[header.index], options)
    closest = max(found, key=lambda header: sum(name in header.places for name in needed))
    line, cells = rows[closest.index]
    if not closest.places and any(_LOOKS_LIKE_DATA.fullmatch(cell.strip()) for cell in cells):
        message = f"The first row is already a post. Put the names of the columns above it: {','.join(COLUMNS)}"
        raise NotACalendar("header_missing", message, line)
    missing = [name for name in needed if name not in closest.places]
    raise NotACalendar("columns_unknown", _ask(missing, closest.unknown), line)


def _needed(options: ReadOptions) -> list[str]:
    given = {"timezone": options.time_zone, "account": options.account}
    return [
        name for name in ("local_date", "local_time", "timezone", "account", "caption", "media") if not given.get(name)
    ]


def _named(index: int, cells: Sequence[str], options: ReadOptions) -> Header:
    ours = {plain(theirs): name for name, theirs in options.columns.items()}
    places: dict[str, int] = {}
    others: list[tuple[int, str]] = []
    for place, cell in enumerate(cells):
        name = ours.get(plain(cell), plain(cell))
        if name in CELLS:
            places.setdefault(name, place)
        elif name:
            others.append((place, name))
    unknown = []
    for place, name in others:
        also = _ALSO_CALLED.get(name, "")
        if also and also not in places and also not in options.columns:
            places[also] = place
        elif name not in REPORTED:
            unknown.append(cells[place].strip())
    return Header(index, len(cells), places, tuple(unknown))


def _checked(header: Header, row: tuple[int, Sequence[str]], options: ReadOptions) -> Header:
    line, cells = row
    ours = {plain(theirs): name for name, theirs in options.columns.items()}
    names = [ours.get(plain(cell), plain(cell)) for cell in cells]
    for name in header.places:
        if names.count(name) > 1:
            raise NotACalendar("column_repeated", f"The column {name} is there twice. Rename or remove one.", line)
    for name, theirs in options.columns.items():
        if name not in header.places:
            raise NotACalendar("columns_unknown", f"There is no column {theirs[:100]}, said to be {name}.", line)
    return header


def _ask(missing: list[str], unknown: tuple[str, ...]) -> str:
    there = f" The file has {', '.join(unknown)[:300]}." if unknown else ""
    defaults = [f"{word}=…" for name, word in (("account", "account"), ("timezone", "time_zone")) if name in missing]
    instead = f" For all rows alike, say {' and '.join(defaults)}." if defaults else ""
    return (
        f"These columns are not in the file: {', '.join(missing)}.{there} Say what the file calls them:"
        f" {', '.join(f'{name}=…' for name in missing)}.{instead}"
    )
