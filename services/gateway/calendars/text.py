"""Bytes as text: which encoding they are in, and whether all of them are. Nothing is ever replaced by guessing."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from services.gateway.calendars.entries import MAX_BYTES, NotACalendar, ReadOptions

ENCODINGS = ("utf-8", "utf-16", "windows-1252")

_HEAD_BYTES = 64 * 1024
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# How spreadsheets and other usual non-text files begin: ZIP (xlsx, ods), old Excel, PDF, gzip.
_BINARY_STARTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x1f\x8b")
_ADVICE = "Nothing was replaced by guessing: save the file as “CSV UTF-8”, or say its encoding, such as windows-1252."


def head(file: IO[bytes], max_bytes: int = MAX_BYTES) -> bytes:
    """How the file begins. Raises NotACalendar: file_empty, file_too_large."""
    size = file.seek(0, io.SEEK_END)
    if size > max_bytes:
        raise NotACalendar("file_too_large", f"At most {max_bytes // 1024 // 1024} MB are taken. Split the file.")
    file.seek(0)
    start = file.read(_HEAD_BYTES)
    if not start.strip(b" \t\r\n\xef\xbb\xbf\xff\xfe\x00") and size <= _HEAD_BYTES:
        raise NotACalendar("file_empty", "The file has no content.")
    return start


def encoding_of(start: bytes, options: ReadOptions) -> str:
    """The encoding of a text that begins so: its mark's, else the one that was said, else UTF-8.

    Raises NotACalendar: not_text, encoding_unknown.
    """
    if options.encoding and options.encoding.casefold() not in ENCODINGS:
        message = f"{options.encoding[:40]} is none of the encodings that are read: {', '.join(ENCODINGS)}."
        raise NotACalendar("encoding_unknown", message)
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), "")
    encoding = marked or options.encoding.casefold() or "utf-8"
    if start.startswith(_BINARY_STARTS) or (
        not encoding.startswith(("utf-16", "utf-32")) and _has_control_bytes(start)
    ):
        raise NotACalendar(
            "not_text", "The file is no text, though it may be called .csv. In the spreadsheet, save it as “CSV UTF-8”."
        )
    return encoding


def _has_control_bytes(start: bytes) -> bool:
    # A stray one is a fault of its row; one in a hundred is no text.
    begun = start[:4096]
    return sum(byte < 32 and byte not in b"\t\n\r" for byte in begun) * 100 > len(begun)


def first_lines(start: bytes, encoding: str, count: int) -> list[str]:
    """The first lines of a text that are not blank, for looking at; what cannot be read yet is left out."""
    text = start.decode(encoding, "ignore")
    return [line for line in io.StringIO(text, newline=None) if line.strip()][:count]


@contextmanager
def opened(file: IO[bytes], encoding: str) -> Iterator[io.TextIOWrapper]:
    """The file as text from its beginning, with its line ends as they are. It stays open afterwards."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        yield text
    finally:
        text.detach()


def wrong_encoding(file: IO[bytes], encoding: str) -> NotACalendar:
    """What to say of a file that is not all in its encoding: the line, and the row where one can be named."""
    if encoding in ("utf-16", "utf-32"):
        return NotACalendar("encoding_invalid", f"The file says that it is {encoding.upper()}, and is not all of it.")
    file.seek(0)
    line, header = 1, b""
    for piece in file:
        header = header or piece
        try:
            piece.decode(encoding)
        except UnicodeDecodeError as error:
            before = _unified(piece[: error.start])
            line += before.count(b"\n")
            return _named(line, before.rpartition(b"\n")[2], _unified(header).partition(b"\n")[0], encoding)
        line += _unified(piece).count(b"\n")
    return NotACalendar("encoding_invalid", f"The file is not all {encoding}. {_ADVICE}")


def _unified(piece: bytes) -> bytes:
    return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _named(line: int, begun: bytes, header: bytes, encoding: str) -> NotACalendar:
    name = encoding.removesuffix("-sig").upper()
    if header.count(b";") >= 5 and b"," not in header:
        message = (
            f"Line {line} is not {name}, and the columns are separated by semicolons: the spreadsheet's old"
            " regional CSV. If so, say encoding=windows-1252, delimiter=; and date_order; or save it as “CSV UTF-8”."
        )
        return NotACalendar("delimiter_or_encoding", message, line)
    ref = re.match(rb"[\w.-]{1,100}", begun)
    named = f" (row {ref[0].decode('ascii', 'ignore')})" if ref else ""
    return NotACalendar("encoding_invalid", f"Line {line}{named} is not {name}. {_ADVICE}", line)
