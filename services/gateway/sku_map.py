"""The map of SKUs as a CSV file: one row for each of Amazon's SKUs, so that a bundle has several. Pure.

What is written can be read again and is the same. A file is good as a whole or not taken: each fault is named by its
line and column.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from services.gateway.calendars import tables
from services.gateway.calendars.entries import NotACalendar, ReadOptions
from services.gateway.calendars.formulas import guarded

SELLER_SKU, PLATFORM_SKU_ID, AMAZON_SKU, QUANTITY = (
    "seller_sku",
    "tiktok_sku_id",
    "amazon_seller_sku",
    "quantity_per_unit",
)
MARKETPLACE = "marketplace"
NEEDED = (SELLER_SKU, PLATFORM_SKU_ID, AMAZON_SKU, QUANTITY)
COLUMNS = (*NEEDED, MARKETPLACE)

SELLER_SKU_CHARACTERS, AMAZON_SKU_CHARACTERS = 200, 50
MOST_PARTS, MOST_UNITS = 20, 250

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ROUNDED = re.compile(r"[0-9]+([.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_PIECE_CHARACTERS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Mapping:
    """What a SKU of the shop is at Amazon. `parts`: Amazon's SKUs, each once, with how many of it one unit is."""

    marketplace: str
    seller_sku: str
    platform_sku_id: str
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a line of the file, and in which of our columns."""

    line: int
    column: str
    reason: str
    message: str


class SkuMapFaulty(Exception):
    """Rows that cannot be taken, in the order of the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = tuple(faults)


@dataclass(slots=True)
class _Sku:
    """A SKU of the shop while its rows are gathered."""

    line: int
    marketplace: str
    seller_sku: str
    platform_sku_id: str
    # With the line of each.
    parts: dict[str, tuple[int, int]]


def read(file: IO[bytes], marketplace: str) -> tuple[list[Mapping], int]:
    """The mappings of a file, in its order, and how many rows they are. `marketplace` is that of rows that name none.

    Raises NotACalendar for a file that is no such table, and SkuMapFaulty.
    """
    table = tables.opened(file, ReadOptions())
    places = _places(*table.first[0])
    found: dict[tuple[str, str, str], _Sku] = {}
    faults: list[Fault] = []
    rows = 0
    for line, cells in table.records(skip=1):
        rows += 1
        if len(cells) != len(places):
            told = f"The row has {len(cells)} cells, the header {len(places)}."
            faults.append(Fault(line, "*", "CELLS_WRONG", told))
            continue
        faults += _take(found, line, {name: cells[place] for name, place in places.items()}, marketplace)
    if not rows:
        raise NotACalendar("no_rows", "The file has a header and no mappings.")
    if faults:
        raise SkuMapFaulty(faults)
    return [
        Mapping(
            each.marketplace,
            each.seller_sku,
            each.platform_sku_id,
            tuple((sku, quantity) for sku, (quantity, _) in each.parts.items()),
        )
        for each in found.values()
    ], rows


def write(mappings: Iterable[Mapping], *, with_header: bool = True) -> Iterator[bytes]:
    """The pieces of a file. What a spreadsheet would run has an apostrophe in front, which `read` takes off again."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    if with_header:
        writer.writerow(COLUMNS)
    for each in mappings:
        for sku, quantity in each.parts:
            row = (each.seller_sku, each.platform_sku_id, sku, str(quantity), each.marketplace)
            writer.writerow([guarded(cell) for cell in row])
        if buffer.tell() >= _PIECE_CHARACTERS:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _places(line: int, header: Sequence[str]) -> dict[str, int]:
    """Where each column stands. Raises NotACalendar."""
    names = [cell.strip().casefold() for cell in header]
    if missing := [name for name in NEEDED if name not in names]:
        message = f"These columns are not in the first row: {', '.join(missing)}. A file has {', '.join(COLUMNS)}."
        raise NotACalendar("columns_unknown", message, line)
    # A misspelt "marketplace" would otherwise send everything to the wrong one.
    if unknown := [cell.strip() for cell, name in zip(header, names, strict=True) if name not in COLUMNS]:
        message = (
            f"{', '.join(unknown)[:200] or 'A column without a name'}: remove it. A file has {', '.join(COLUMNS)}."
        )
        raise NotACalendar("columns_unknown", message, line)
    if repeated := [name for name in COLUMNS if names.count(name) > 1]:
        raise NotACalendar("column_repeated", f"The column {repeated[0]} is there twice. Remove one.", line)
    return {name: place for place, name in enumerate(names)}


def _take(found: dict[tuple[str, str, str], _Sku], line: int, cells: dict[str, str], default: str) -> list[Fault]:
    """Adds a row to what was found, or says why it cannot be."""
    seller_sku, amazon_sku = cells[SELLER_SKU], cells[AMAZON_SKU]
    platform_sku_id, told_quantity = cells[PLATFORM_SKU_ID].strip(), cells[QUANTITY].strip()
    marketplace = cells.get(MARKETPLACE, "").strip().upper() or default
    faults = [
        Fault(line, column, reason, message)
        for column, reason, message in (
            *_sku_faults(SELLER_SKU, seller_sku, SELLER_SKU_CHARACTERS),
            *_sku_faults(AMAZON_SKU, amazon_sku, AMAZON_SKU_CHARACTERS),
            *_id_faults(platform_sku_id),
            *_quantity_faults(told_quantity),
            *_marketplace_faults(marketplace),
        )
    ]
    if not seller_sku and not platform_sku_id:
        faults.append(Fault(line, SELLER_SKU, "MISSING", f"Name the SKU here, or in {PLATFORM_SKU_ID}."))
    if not amazon_sku:
        faults.append(Fault(line, AMAZON_SKU, "MISSING", "Name Amazon's SKU."))
    if faults:
        return faults
    # TikTok Shop's id decides where it is given; the seller's SKU only names it then.
    key = (marketplace, platform_sku_id, "" if platform_sku_id else seller_sku)
    sku = found.setdefault(key, _Sku(line, marketplace, seller_sku, platform_sku_id, {}))
    if sku.seller_sku != seller_sku:
        told = f"Line {sku.line} has another {SELLER_SKU} for the same {PLATFORM_SKU_ID}. One of them is wrong."
        return [Fault(line, SELLER_SKU, "CONTRADICTORY", told)]
    if amazon_sku in sku.parts:
        told = f"Line {sku.parts[amazon_sku][1]} has this pair already. Name it once, with the whole quantity."
        return [Fault(line, AMAZON_SKU, "REPEATED", told)]
    if len(sku.parts) == MOST_PARTS:
        return [Fault(line, AMAZON_SKU, "TOO_MANY", f"A bundle has at most {MOST_PARTS} of Amazon's SKUs.")]
    sku.parts[amazon_sku] = (int(told_quantity), line)
    return []


def _sku_faults(column: str, sku: str, longest: int) -> Iterator[tuple[str, str, str]]:
    if sku != sku.strip() or _CONTROL.search(sku):
        yield column, "CHARACTERS", "It has a blank before or after it, or a control character. Take that away."
    if len(sku) > longest:
        yield column, "TOO_LONG", f"At most {longest} characters."


def _id_faults(platform_sku_id: str) -> Iterator[tuple[str, str, str]]:
    if _ROUNDED.fullmatch(platform_sku_id):
        told = "The spreadsheet has rounded it: make the column text, and put the id in again."
        yield PLATFORM_SKU_ID, "ROUNDED", told
    elif not re.fullmatch("[0-9]{0,20}", platform_sku_id):
        yield PLATFORM_SKU_ID, "NOT_AN_ID", "TikTok Shop's ids are digits, up to 20."


def _quantity_faults(quantity: str) -> Iterator[tuple[str, str, str]]:
    if not re.fullmatch("[0-9]{1,9}", quantity) or not 1 <= int(quantity) <= MOST_UNITS:
        yield QUANTITY, "NOT_A_QUANTITY", f"A whole number from 1 to {MOST_UNITS}: units at Amazon for each unit sold."


def _marketplace_faults(marketplace: str) -> Iterator[tuple[str, str, str]]:
    if not re.fullmatch("[A-Z]{2}", marketplace):
        told = "Name the country with two letters (US), here or in the option marketplace, for all rows without one."
        yield MARKETPLACE, "NOT_A_COUNTRY", told
