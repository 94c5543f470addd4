"""Workbooks (xlsx): one sheet's table, with what only a sheet has: real dates, formulas, hidden and struck rows.

A workbook is a ZIP of XML. What it says of its own size is judged before anything is unpacked, then its sheet is read
row by row and never kept whole. openpyxl's own reader for that gives neither hidden rows nor the difference between an
empty cell and a formula whose value nobody stored, so its parser is used, which has both.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import IO, Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from openpyxl import load_workbook
from openpyxl.utils import range_boundaries
from openpyxl.workbook import Workbook
from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

from services.gateway.calendars import headers
from services.gateway.calendars.entries import CELLS, NotACalendar, Problem, ReadOptions, Row

MAX_ENTRIES = 1_000  # parts of a workbook
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
# Text in XML packs to a tenth, a sheet of equal rows to a fiftieth.
MAX_RATIO = 200
# A row takes a sixth of a millisecond, ten times as long as one of a text file.
MAX_ROWS = 50_000
MAX_COLUMNS = 200
MAX_MERGED = 20_000

_PIECE_BYTES = 256 * 1024
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z]{1,3}[0-9]{1,7}:[A-Z]{1,3}[0-9]{1,7})"')
_ROW_TAG = re.compile(rb"<(?:\w+:)?row[ >]")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_BROKEN = (ParseError, DefusedXmlException, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError)
_ANY_DAY = date(2000, 1, 1)
_NO_VALUE = object()  # of a formula that nobody has calculated


def is_workbook(file: IO[bytes]) -> bool:
    """Whether the file is a whole ZIP with a workbook in it."""
    file.seek(0)
    if file.read(4) != b"PK\x03\x04" or not zipfile.is_zipfile(file):
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.startswith("xl/workbook") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


class _Parser(WorkSheetParser):
    """Tells of hidden rows, and of formulas without a value."""

    is_hidden = False

    def parse_cell(self, element: Any) -> dict[str, Any]:
        cell: dict[str, Any] = super().parse_cell(element)
        if cell["value"] is None and element.find(FORMULA_TAG) is not None:
            cell["value"] = _NO_VALUE
        return cell

    def parse_row(self, row: Any) -> tuple[int, list[dict[str, Any]]]:
        number, cells = super().parse_row(row)
        self.is_hidden = row.get("hidden") in ("1", "true")
        self.row_dimensions.clear()  # nobody asks for them, and they are as many as the rows
        return number, cells

    def parse_extensions(self, element: Any) -> None:
        """Nothing of them is of use."""

    def parse_formatting(self, element: Any) -> None:
        """Nothing of it is of use."""


@dataclass(frozen=True, slots=True)
class _Cell:
    value: Any
    is_error: bool
    style: int


@dataclass(frozen=True, slots=True)
class _SheetRow:
    number: int
    cells: Mapping[int, _Cell]  # by column, from 1
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet whose header is found. `row_count` is how many rows it has below, blank ones too."""

    book: Workbook
    path: str
    options: ReadOptions
    places: Mapping[str, int]
    header_row: int
    row_count: int
    unknown_columns: tuple[str, ...]
    # By column and first row: the last row of cells that are merged downwards. Such a cell is that of all its rows.
    merged: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """The rows below the header in our own columns, blank ones left out.

        Raises NotACalendar (workbook_broken) where the sheet breaks off.
        """
        columns = [(name, self.places[name] + 1) for name in CELLS if name in self.places]
        struck = _struck_styles(self.book)
        shared: dict[int, tuple[int, _Cell]] = {}
        for row in _parsed(self.book, self.path):
            if row.number <= self.header_row:
                continue
            cells: dict[str, str] = dict.fromkeys(CELLS, "")
            problems: list[Problem] = []
            is_blank, is_struck = True, False
            for name, column in columns:
                own = row.cells.get(column)
                cell = self._shared(shared, column, row.number, own) if self.merged else own
                if cell is None:
                    continue
                cells[name], problem = _text(name, cell)
                problems += [problem] if problem else []
                if own is not None and (problem or cells[name].strip()):
                    is_blank = False
                    is_struck = is_struck or own.style in struck
            if is_blank:
                continue
            if not self.options.include_hidden:
                if row.is_hidden:
                    problems.append(_left_out("row_hidden", "hidden"))
                if is_struck:
                    problems.append(_left_out("row_struck", "struck through"))
            yield Row(row.number, tuple(cells.values()), tuple(problems))

    def _shared(
        self, shared: dict[int, tuple[int, _Cell]], column: int, number: int, cell: _Cell | None
    ) -> _Cell | None:
        """The cell, or that of the merged cells which it is in."""
        if cell is not None and (last := self.merged.get((column, number))):
            shared[column] = (last, cell)
        if cell is None and column in shared and number <= shared[column][0]:
            return shared[column][1]
        return cell


def opened(file: IO[bytes], options: ReadOptions) -> Sheet:
    """The sheet to be read, with its header.

    Raises NotACalendar: not_a_workbook, workbook_too_large, workbook_broken, sheet_unknown, sheet_unclear, no_rows,
    too_many_rows, header_missing, columns_unknown, column_repeated.
    """
    if not is_workbook(file):
        raise NotACalendar("not_a_workbook", "The file is no Excel workbook (.xlsx), or not all of one. Save it again.")
    _judge_size(file)
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except (*_BROKEN, TypeError, AttributeError, IndexError) as error:
        raise _broken(error) from error
    sheet = _chosen(book, options.sheet)
    path: str = sheet._worksheet_path
    row_count, merged = _scanned(book, path)
    if row_count > MAX_ROWS:
        raise NotACalendar("too_many_rows", f"A sheet has at most {MAX_ROWS:,} rows. Split it, or save it as CSV.")
    first = _first_rows(book, path)
    if not first:
        raise NotACalendar("no_rows", f"The sheet {sheet.title} is empty.")
    header = headers.find(first, options)
    line = first[header.index][0]
    below = row_count - header.index - 1
    return Sheet(book, path, options, header.places, line, below, header.unknown, merged)


def _judge_size(file: IO[bytes]) -> None:
    # zipfile unpacks no part beyond the size that it declares, so these sizes bound what is to come.
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    unpacked, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
    if len(parts) > MAX_ENTRIES or unpacked > MAX_UNPACKED_BYTES or unpacked > MAX_RATIO * max(packed, 1):
        megabytes = MAX_UNPACKED_BYTES // 1024 // 1024
        message = (
            f"Unpacked, the workbook would have {unpacked:,} bytes in {len(parts):,} parts. At most {megabytes} MB in"
            f" {MAX_ENTRIES:,} parts are taken, packed to no less than a {MAX_RATIO}th. Save the sheet as CSV."
        )
        raise NotACalendar("workbook_too_large", message)
    if any(part.flag_bits & 1 for part in parts):
        raise NotACalendar("workbook_broken", "The workbook is encrypted. Save it without a password.")


def _chosen(book: Workbook, wanted: str) -> Any:
    sheets = book.worksheets
    titles = ", ".join(sheet.title for sheet in sheets)
    if wanted:
        for sheet in sheets:
            if sheet.title.casefold() == wanted.strip().casefold():
                return sheet
        raise NotACalendar("sheet_unknown", f"There is no sheet {wanted[:100]}. The workbook has {titles}.")
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"]
    if len(visible) != 1:
        raise NotACalendar("sheet_unclear", f"Which sheet is it? Say sheet=…; the workbook has {titles}.")
    return visible[0]


def _scanned(book: Workbook, path: str) -> tuple[int, dict[tuple[int, int], int]]:
    """How many rows a sheet has, and its cells that are merged downwards. Reads it to its end, so that it is whole."""
    count, rest = 0, b""
    merged: dict[tuple[int, int], int] = {}
    try:
        with book._archive.open(path) as part:  # type: ignore[attr-defined]
            while piece := part.read(_PIECE_BYTES):
                piece = rest + piece
                # A tag may go on in the next piece.
                end = max(piece.rfind(b"<"), 0)
                piece, rest = piece[:end], piece[end:][:_PIECE_BYTES]
                count += len(_ROW_TAG.findall(piece))
                for found in _MERGED.findall(piece):
                    left, top, _, bottom = (edge or 0 for edge in range_boundaries(found.decode()))
                    if top < bottom and len(merged) < MAX_MERGED:
                        merged[left, top] = bottom
    except _BROKEN as error:
        raise _broken(error) from error
    return count, merged


def _parsed(book: Any, path: str) -> Iterator[_SheetRow]:
    """The rows of a sheet as they stand there."""
    with book._archive.open(path) as part:
        parser = _Parser(
            part,
            book.worksheets[0]._shared_strings,
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        rows = parser.parse()
        while True:
            try:
                number, cells = next(rows)
            except StopIteration:
                return
            except (*_BROKEN, IndexError, TypeError) as error:
                raise _broken(error) from error
            found = {
                cell["column"]: _Cell(cell["value"], cell["data_type"] == "e", cell["style_id"])
                for cell in cells
                if cell["value"] is not None and cell["column"] <= MAX_COLUMNS
            }
            yield _SheetRow(number, found, parser.is_hidden)


def _first_rows(book: Workbook, path: str) -> list[tuple[int, list[str]]]:
    """The first rows that are not blank, as the texts in which a header is looked for."""
    first: list[tuple[int, list[str]]] = []
    for row in _parsed(book, path):
        texts = [""] * max(row.cells, default=0)
        for column, cell in row.cells.items():
            texts[column - 1] = _text("", cell)[0]
        if any(text.strip() for text in texts):
            first.append((row.number, texts))
        if len(first) == headers.MAX_ROWS_ABOVE:
            break
    return first


def _struck_styles(book: Any) -> frozenset[int]:
    return frozenset(index for index, style in enumerate(book._cell_styles) if book._fonts[style.fontId].strike)


def _text(name: str, cell: _Cell) -> tuple[str, Problem | None]:
    """A cell as the same text that a CSV file would have, or why it has none. `name` is its column."""
    value = cell.value
    if value is _NO_VALUE:
        message = (
            "The cell is a formula, and the file has no value of it. Open and save it in Excel, or type the value."
        )
        return "", Problem(name, "formula_without_value", message)
    if cell.is_error:
        return "", Problem(name, "cell_error", f"The cell shows {value}. Type what it should be.")
    if isinstance(value, str):
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if "_x" in value else value
        return _listed(name, text), None
    if isinstance(value, bool):
        return str(value).upper(), None
    if isinstance(value, float):
        return (str(int(value)) if value.is_integer() else repr(value)), None
    return _moment(name, value), None


def _listed(name: str, text: str) -> str:
    # In sheets, lists stand on lines of a cell.
    if name == "media":
        return "|".join(line.strip() for line in text.strip().splitlines())
    if name == "product_skus":
        return "|".join(part.strip() for part in re.split(r"[,\n|]", text) if part.strip())
    return text


def _moment(name: str, value: object) -> str:
    """A real date or time, to the second: a sheet keeps fractions of a day."""
    if isinstance(value, timedelta) and timedelta() <= value < timedelta(days=1):
        value = (datetime.combine(_ANY_DAY, time()) + value).time()
    if isinstance(value, time):
        return _rounded(datetime.combine(_ANY_DAY, value)).time().isoformat()
    if isinstance(value, datetime):
        value = _rounded(value)
        # A day alone is midnight to a sheet. With a time of day in it the text is refused, as it is in CSV.
        return value.date().isoformat() if value.time() == time() and name != "local_time" else value.isoformat(" ")
    return str(value)


def _rounded(moment: datetime) -> datetime:
    return (moment + timedelta(microseconds=500_000)).replace(microsecond=0)


def _left_out(reason: str, how: str) -> Problem:
    message = f"The row is {how}, so it may not be meant. Show or delete it, or say include_hidden."
    return Problem("*", reason, message)


def _broken(error: Exception) -> NotACalendar:
    detail = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return NotACalendar("workbook_broken", f"The workbook cannot be read: {detail}. Save it again in Excel.")
