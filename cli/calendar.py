"""Reads a content calendar: a CSV file with one post per row, as people and spreadsheets make them.

Whatever is certain is taken: UTF-8 with or without byte order mark, UTF-16 with one; commas, semicolons or tabs; any
line ends. Whatever would have to be guessed is refused with the reason: the encoding, the meaning of a column, a quote
that is not closed. Text is never repaired; only line breaks inside a cell become a plain line feed.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

COLUMNS = (
    "ref",
    "local_date",
    "local_time",
    "timezone",
    "channel",
    "account",
    "caption",
    "hashtags",
    "media",
    "product_skus",
    "notes",
)
REQUIRED_COLUMNS = ("local_date", "local_time", "timezone", "account", "caption", "media")
# A year of posts for fifty accounts is some 5 MB; more is another kind of file.
MAX_BYTES = 32 * 1024 * 1024

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# How spreadsheets and other usual non-text files begin: ZIP (xlsx, ods), old Excel, PDF, gzip.
_BINARY_STARTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x1f\x8b")
_LOOKS_LIKE_DATA = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}|[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?|@.+|#.+")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row is not taken, or what is odd about it. `field` is the column, or an option of the command, or *."""

    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in the file. `line` counts the file's lines from 1; every known column has a cell."""

    line: int
    cells: Mapping[str, str]
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Calendar:
    """The rows of a file in its order, blank ones left out, and the columns that nothing is done with."""

    rows: tuple[Row, ...]
    unknown_columns: tuple[str, ...]


class NotACalendar(Exception):
    """The file as a whole cannot be read as a calendar. `line` is where that shows, 0 where it shows nowhere."""

    def __init__(self, reason: str, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.reason, self.message, self.line = reason, message, line


def read(data: bytes, names: Mapping[str, str] | None = None) -> Calendar:
    """The calendar in `data`. `names` says how the file calls our columns where it calls them otherwise.

    Raises NotACalendar with one of the reasons file_empty, file_too_large, not_text, not_text_table, encoding_invalid,
    delimiter_or_encoding, header_missing, columns_unknown, column_repeated, quote_unbalanced, no_rows.
    """
    text = _text(data)
    if text.lstrip().startswith(("<", "{", "[")):
        raise NotACalendar(
            "not_text_table", "The file is a web page or data of a program, not a table. Export the sheet as CSV."
        )
    records = _records(text, _delimiter(text))
    first = next(records, None)
    if first is None:
        raise NotACalendar("file_empty", "The file has no content.")
    places, unknown = _places(first[1], names or {})
    rows = tuple(_row(line, cells, places, len(first[1])) for line, cells in records)
    if not rows:
        raise NotACalendar("no_rows", "The file has a header and no posts.")
    return Calendar(rows, unknown)


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise NotACalendar("file_too_large", f"A calendar has at most {MAX_BYTES // 1024 // 1024} MB. Split the file.")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    if not data.strip(b" \t\r\n\xef\xbb\xbf\xff\xfe\x00"):
        raise NotACalendar("file_empty", "The file has no content.")
    if data.startswith(_BINARY_STARTS) or (encoding == "utf-8" and _has_many_control_bytes(data)):
        raise NotACalendar(
            "not_text", "The file is no text, though it may be called .csv. In the spreadsheet, save it as “CSV UTF-8”."
        )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _wrong_encoding(data, encoding, error.start) from None


def _has_many_control_bytes(data: bytes) -> bool:
    # A stray one is a fault of its row; one in a hundred is no text.
    start = data[:4096]
    return sum(byte < 32 and byte not in b"\t\n\r" for byte in start) * 100 > len(start)


def _wrong_encoding(data: bytes, encoding: str, position: int) -> NotACalendar:
    if encoding in ("utf-16", "utf-32"):
        return NotACalendar("encoding_invalid", f"The file says that it is {encoding.upper()}, and is not all of it.")
    before = data[:position].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    line = before.count(b"\n") + 1
    header, _, rest = before.partition(b"\n")
    advice = "Nothing was replaced by guessing: save the file as “CSV UTF-8”."
    if header.count(b";") >= len(REQUIRED_COLUMNS) - 1 and b"," not in header:
        return NotACalendar(
            "delimiter_or_encoding",
            f"Line {line} is not UTF-8, and the columns are separated by semicolons: the spreadsheet's old regional"
            f" CSV. {advice}",
            line,
        )
    begun = re.match(rb"[\w.-]{1,100}", rest.rpartition(b"\n")[2])
    named = f" (row {begun[0].decode('ascii', 'ignore')})" if begun else ""
    return NotACalendar("encoding_invalid", f"Line {line}{named} is not UTF-8. {advice}", line)


def _delimiter(text: str) -> str:
    header = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    return max((",", ";", "\t"), key=header.count)


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line that it begins at; blank ones left out."""
    # newline="" ends lines at \n, \r and \r\n alike and leaves line breaks inside of cells as they are.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.replace("\r\n", "\n").replace("\r", "\n") for cell in cells]
            line = reader.line_num + 1
    except csv.Error:
        # The strict reader has this one fault left: something after a closing quote, or an end within quotes.
        raise NotACalendar(
            "quote_unbalanced",
            f"The row that begins at line {line} has a quote that is not closed, or text after one. Inside of a quoted"
            ' cell each " is written twice.',
            line,
        ) from None


def _places(header: list[str], names: Mapping[str, str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Where each of our columns stands, and the columns that are none of ours."""
    ours = {_plain(theirs): name for name, theirs in names.items()}
    known = [ours.get(_plain(cell), _plain(cell)) for cell in header]
    places: dict[str, int] = {}
    for index, name in enumerate(known):
        if name in COLUMNS and places.setdefault(name, index) != index:
            raise NotACalendar("column_repeated", f"The column {name} is there twice. Rename or remove one.", 1)
    missing = [name for name in REQUIRED_COLUMNS if name not in places]
    unknown = tuple(header[index].strip() for index, name in enumerate(known) if name not in COLUMNS and name)
    if not missing:
        return places, unknown
    if not places and any(_LOOKS_LIKE_DATA.fullmatch(cell.strip()) for cell in header):
        raise NotACalendar(
            "header_missing",
            f"The first row is already a post. Put the names of the columns above it: {','.join(COLUMNS)}",
            1,
        )
    raise NotACalendar("columns_unknown", _ask(missing, unknown), 1)


def _ask(missing: list[str], unknown: tuple[str, ...]) -> str:
    there = f" The file has {', '.join(unknown)}." if unknown else ""
    asked = " ".join(f"--column {name}='…'" for name in missing)
    return f"These columns are not in the file: {', '.join(missing)}.{there} Say what the file calls them: {asked}"


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def _row(line: int, cells: list[str], places: Mapping[str, int], width: int) -> Row:
    values = {name: cells[place] if (place := places.get(name, -1)) in range(len(cells)) else "" for name in COLUMNS}
    problem = None
    if len(cells) < width:
        problem = Problem("*", "too_few_columns", f"The row has {len(cells)} cells, the header {width}.")
    elif any(cell.strip() for cell in cells[width:]):
        problem = Problem(
            "*",
            "too_many_columns",
            f"The row has {len(cells)} cells, the header {width}. A cell with the separator in it needs quotes.",
        )
    return Row(line, values, problem)
