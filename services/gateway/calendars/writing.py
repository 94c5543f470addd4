"""Calendars written: posts as a file of any format, piece by piece.

Each writer takes posts as they come and hands out bytes as soon as it can; a workbook is put together on disk first.
What a format has no place for is added to `remarks`, which are complete when the last piece is taken.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from services.gateway.calendars import writing_events, writing_tools, writing_workbook
from services.gateway.calendars.formulas import guarded
from services.gateway.calendars.posts import WRITTEN, Post, Remark, cells

MEDIA_TYPES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ics": "text/calendar; charset=utf-8",
}
TOOLS = ("hootsuite", "buffer", "publer", "metricool")

_PIECE_CHARACTERS = 64 * 1024


def write(
    format: str,  # noqa: A002  the word for it in REST and in the reader
    posts: Iterable[Post],
    remarks: list[Remark],
    *,
    now: datetime,
    time_zone: str = "",
    media_prefix: str = "",
) -> Iterator[bytes]:
    """The posts as a file in one of FORMATS.

    The files of other tools are for one account, whose posts these must be, and in its `time_zone`; they name media by
    web address: `media_prefix` and the file's name.
    """
    if format == "xlsx":
        return writing_workbook.write(posts)
    if format == "ics":
        return writing_events.write(posts, now=now)
    if format in TOOLS:
        return _csv(writing_tools.rows(format, posts, remarks, time_zone=time_zone, media_prefix=media_prefix))
    return _csv(_neutral(posts))


def media_type(format: str) -> str:  # noqa: A002
    """The media type of a file that is written so."""
    return MEDIA_TYPES.get(format, "text/csv; charset=utf-8")


def _neutral(posts: Iterable[Post]) -> Iterator[Sequence[str]]:
    yield WRITTEN
    for post in posts:
        yield [*cells(post).values()]


def _csv(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    for row in rows:
        writer.writerow([guarded(cell) for cell in row])
        if buffer.tell() >= _PIECE_CHARACTERS:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    if buffer.tell():
        yield buffer.getvalue().encode()
