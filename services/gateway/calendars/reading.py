"""A file of any format as entries. What it is, is seen by its content; its name is never asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import IO

from services.gateway.calendars import events, rows, tables, text, tools, workbooks
from services.gateway.calendars.entries import FORMATS, Calendar, Entry, NotACalendar, ReadOptions, Row
from services.gateway.calendars.times import zone_of


def read(file: IO[bytes], options: ReadOptions, *, now: datetime) -> Calendar:
    """The calendar in a file, which must be seekable and stay open while its entries are taken.

    Raises NotACalendar, before any entry is made, with what would be accepted. Only a workbook whose sheet is broken
    in its middle raises it while its entries are taken.
    """
    _check(options)
    start = text.head(file)
    kind = options.format or ("xlsx" if workbooks.is_workbook(file) else "ics" if events.is_calendar(start) else "")
    if kind == "xlsx":
        sheet = workbooks.opened(file, options)
        return _calendar(kind, sheet.rows(), options, now, sheet.row_count, sheet.unknown_columns)
    if kind == "ics":
        found, count = events.rows(file, options, now=now)
        return _calendar(kind, found, options, now, count, addresses=True)
    table = tables.opened(file, options)
    kind = kind or ("" if options.columns else tools.recognised(table)) or "csv"
    if kind != "csv":
        found, count = tools.rows(kind, table, options)
        return _calendar(kind, found, options, now, count, addresses=True)
    found, header = tables.rows(table, options)
    return _calendar(kind, found, options, now, table.count - header.index - 1, header.unknown)


def _check(options: ReadOptions) -> None:
    if options.format and options.format not in FORMATS:
        raise NotACalendar("format_unknown", f"The formats are {', '.join(FORMATS)}.")
    if options.date_order not in ("", "dmy", "mdy", "ymd"):
        raise NotACalendar("date_order_unknown", "The orders of a date are dmy, mdy and ymd.")
    if options.time_zone and not isinstance(zone_of(options.time_zone), str):
        message = f"{options.time_zone[:64]} is no IANA time zone. Use a name like Europe/Berlin."
        raise NotACalendar("timezone_unknown", message)


def _calendar(
    kind: str,
    found: Iterator[Row],
    options: ReadOptions,
    now: datetime,
    row_count: int,
    unknown_columns: tuple[str, ...] = (),
    *,
    addresses: bool = False,
) -> Calendar:
    if not row_count:
        raise NotACalendar("no_rows", "The file has a header and no posts.")
    entries: Iterator[Entry] = rows.understand(found, options, now=now, addresses=addresses)
    return Calendar(kind, entries, row_count, unknown_columns)
