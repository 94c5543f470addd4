"""A workbook of posts: real dates and times, and every text a text, whatever it begins with."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date, time
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from services.gateway.calendars.posts import WRITTEN, Post, cells

_PIECE_BYTES = 64 * 1024
_WIDTHS = {"caption": 60, "media": 30, "account": 20, "timezone": 20, "post_id": 36, "url": 40}
# What a sheet cannot keep as it is: control characters, and what looks like the sheet's own way to write them.
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ufffe\uffff]")


def write(posts: Iterable[Post]) -> Iterator[bytes]:
    """The workbook, piece by piece, once it is whole."""
    book = Workbook(write_only=True)
    sheet: Any = book.create_sheet("Posts")
    sheet.freeze_panes = "A2"
    for index, name in enumerate(WRITTEN, start=1):
        sheet.column_dimensions[get_column_letter(index)].width = _WIDTHS.get(name, 14)
    sheet.append([_header(sheet, name) for name in WRITTEN])
    for post in posts:
        values = cells(post)
        sheet.append([_cell(sheet, name, value) for name, value in values.items()])
    with tempfile.TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _header(sheet: Any, name: str) -> Any:
    cell = WriteOnlyCell(sheet, name)
    cell.font = Font(bold=True)
    return cell


def _cell(sheet: Any, name: str, value: str) -> Any:
    if not value:
        return None
    cell: Any
    if name == "local_date":
        cell = WriteOnlyCell(sheet)
        cell.value = date.fromisoformat(value)
        cell.number_format = "yyyy-mm-dd"
    elif name == "local_time":
        cell = WriteOnlyCell(sheet)
        cell.value = time.fromisoformat(value)
        cell.number_format = "hh:mm:ss" if not value.endswith(":00") else "hh:mm"
    else:
        cell = WriteOnlyCell(sheet, _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", value))
        cell.data_type = "s"  # also what begins with = is a text
    return cell
