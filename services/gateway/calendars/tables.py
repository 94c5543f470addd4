"""Tables in text files: comma, semicolon or tab separated, any line ends, read twice and never kept whole.

The first reading finds what is wrong with the file as a file (encoding, quotes, header) before any row is taken. The
second hands out the rows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import IO

from services.gateway.calendars import headers, text
from services.gateway.calendars.entries import CELLS, MAX_ROWS, NotACalendar, Problem, ReadOptions, Row
from services.gateway.calendars.formulas import unguarded
from services.gateway.calendars.headers import Header

DELIMITERS = (",", ";", "\t", "|")

Record = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class Table:
    """A text file that is a table: its first records, blank ones left out, and how many it has."""

    file: IO[bytes]
    encoding: str
    delimiter: str
    first: tuple[Record, ...]
    count: int

    def records(self, skip: int = 0) -> Iterator[Record]:
        """Each record with the line that it begins at, blank ones left out, after the first `skip` of those."""
        with text.opened(self.file, self.encoding) as lines:
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            line = 1
            for cells in reader:
                if any(cells) and not "".join(cells).isspace():
                    if skip:
                        skip -= 1
                    else:
                        # One look at all cells: hardly any begins with an apostrophe.
                        if "\n'" in "\n" + "\n".join(cells):
                            cells = [unguarded(cell) for cell in cells]
                        yield line, cells
                line = reader.line_num + 1


def opened(file: IO[bytes], options: ReadOptions) -> Table:
    """The table in a file.

    Raises NotACalendar: file_empty, file_too_large, encoding_unknown, not_text, not_text_table, encoding_invalid,
    delimiter_or_encoding, delimiter_unknown, quote_unbalanced, too_many_rows.
    """
    start = text.head(file)
    encoding = text.encoding_of(start, options)
    lines = text.first_lines(start, encoding, headers.MAX_ROWS_ABOVE)
    if lines and lines[0].lstrip("\ufeff \t").startswith(("<", "{", "[")):
        raise NotACalendar(
            "not_text_table", "The file is a web page or data of a program, not a table. Export the sheet as CSV."
        )
    delimiter = options.delimiter or _delimiter(lines)
    if delimiter not in DELIMITERS:
        raise NotACalendar("delimiter_unknown", "Columns are separated by one of: comma, semicolon, tab, |.")
    try:
        return _read_through(file, encoding, delimiter)
    except UnicodeDecodeError:
        raise text.wrong_encoding(file, encoding) from None


def _delimiter(lines: list[str]) -> str:
    for line in lines:
        best = max((",", ";", "\t"), key=line.count)
        if best in line:
            return best
    return ","


def _read_through(file: IO[bytes], encoding: str, delimiter: str) -> Table:
    first: list[Record] = []
    count, line = 0, 1
    with text.opened(file, encoding) as lines:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                if any(cells) and not "".join(cells).isspace():
                    count += 1
                    if count <= headers.MAX_ROWS_ABOVE:
                        first.append((line, cells))
                line = reader.line_num + 1
        except csv.Error:
            # The strict reader has this one fault left: something after a closing quote, or an end within quotes.
            raise NotACalendar(
                "quote_unbalanced",
                f"The row that begins at line {line} has a quote that is not closed, or text after one. Inside of a"
                ' quoted cell each " is written twice.',
                line,
            ) from None
    if not first:
        raise NotACalendar("file_empty", "The file has no content.")
    if count > MAX_ROWS:
        raise NotACalendar("too_many_rows", f"A calendar has at most {MAX_ROWS:,} rows. Split the file.")
    return Table(file, encoding, delimiter, tuple(first), count)


def rows(table: Table, options: ReadOptions) -> tuple[Iterator[Row], Header]:
    """The rows of a table in our own columns. Raises NotACalendar: header_missing, columns_unknown, column_repeated."""
    header = headers.find(table.first, options)
    return _rows(table.records(header.index + 1), header), header


def _rows(records: Iterator[Record], header: Header) -> Iterator[Row]:
    ordered = in_our_order(header.places)
    width = header.width
    for line, cells in records:
        if len(cells) != width and (problem := _misfit(cells, width)):
            ref = cells[place] if (place := header.places.get("ref", -1)) in range(len(cells)) else ""
            yield Row(line, (ref, *[""] * (len(CELLS) - 1)), (problem,), is_certain=False)
        else:
            cells[width:] = [""]
            yield Row(line, ordered(cells))


def in_our_order(places: dict[str, int]) -> Callable[[list[str]], tuple[str, ...]]:
    """What picks our cells out of a row that ends in an empty cell, which is taken for columns that are not there."""
    return itemgetter(*(places.get(name, -1) for name in CELLS))


def _misfit(cells: list[str], width: int) -> Problem | None:
    if len(cells) < width:
        return Problem("*", "too_few_columns", f"The row has {len(cells)} cells, the header {width}.")
    if any(cell.strip() for cell in cells[width:]):
        return Problem(
            "*",
            "too_many_columns",
            f"The row has {len(cells)} cells, the header {width}. A cell with the separator in it needs quotes.",
        )
    return None
