"""Calendars of events (ICS, RFC 5545): each event is a post, and so is each occurrence of one that recurs.

Events are taken out of the file one by one, with the line that each begins at; a broken one is refused for itself. The
caption is the description, or else the summary; media are attachments. Account, products, channel and the author's
choices are properties that end in our name of the column, whoever invented them: X-EMBERFOLD-ACCOUNT.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any

from icalendar import Event
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from services.gateway.calendars import text
from services.gateway.calendars.entries import CELLS, NotACalendar, Problem, ReadOptions, Row
from services.gateway.calendars.recurring import RecurrenceRefused, occurrences
from services.gateway.calendars.times import zone_of

# Understanding an event takes a quarter of a millisecond.
MAX_EVENTS = 20_000
# Rules are tried out, which may take seconds for one that hardly ever comes true.
MAX_RECURRING_EVENTS = 200
# Occurrences of all events of a file.
MAX_OCCURRENCES = 50_000

_RECURS = re.compile(r"(RRULE|RDATE|RECURRENCE-ID)[;:]", re.IGNORECASE)
_UID = re.compile(r"UID(?:;[^:]*)?:(.*)", re.IGNORECASE)
# The end of a property of ours, and the column that it is.
_ENDINGS = {name.upper().replace("_", "-"): name for name in CELLS} | {"SKU": "product_skus", "SKUS": "product_skus"}


@dataclass(slots=True)
class _Block:
    """An event as it stands in the file."""

    line: int
    lines: list[str]
    uid: str = ""
    recurs: bool = False


def is_calendar(start: bytes) -> bool:
    """Whether a file that begins so is a calendar of events."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].upper() == b"BEGIN:VCALENDAR"


def rows(file: IO[bytes], options: ReadOptions, *, now: datetime) -> tuple[Iterator[Row], int]:
    """The events in our own columns, and how many there are before recurring ones are unfolded.

    Raises NotACalendar: file_empty, file_too_large, not_text, encoding_invalid, not_events, no_rows, too_many_rows.
    """
    start = text.head(file)
    encoding = text.encoding_of(start, options)
    try:
        with text.opened(file, encoding) as lines:
            blocks = _blocks(lines.read())
    except UnicodeDecodeError:
        raise text.wrong_encoding(file, encoding) from None
    if not blocks:
        raise NotACalendar("no_rows", "The file has no events.")
    if len(blocks) > MAX_EVENTS:
        raise NotACalendar("too_many_rows", f"A calendar has at most {MAX_EVENTS:,} events. Split the file.")
    return _rows(blocks, options, now), len(blocks)


def _blocks(content: str) -> list[_Block]:
    blocks: list[_Block] = []
    current: _Block | None = None
    nested = 0
    lines = content.splitlines() if "\r" in content or "\n" in content else [content]
    if not is_calendar(content[:100].encode()):
        raise NotACalendar("not_events", "The file is no calendar of events: it does not begin with BEGIN:VCALENDAR.", 1)
    for number, line in enumerate(lines, 1):
        word = line.strip().upper()
        if current is None:
            if word == "BEGIN:VEVENT":
                current, nested = _Block(number, [line]), 0
            continue
        current.lines.append(line)
        if word.startswith("BEGIN:"):
            nested += 1
        elif word.startswith("END:") and nested:
            nested -= 1
        elif word == "END:VEVENT":
            blocks.append(current)
            current = None
        elif not nested:
            current.recurs = current.recurs or bool(_RECURS.match(line))
            current.uid = current.uid or (found[1].strip() if (found := _UID.match(line)) else "")
    if current is not None:
        raise NotACalendar("event_unfinished", f"The event that begins at line {current.line} has no end.", current.line)
    return blocks


def _rows(blocks: list[_Block], options: ReadOptions, now: datetime) -> Iterator[Row]:
    groups: dict[str, list[_Block]] = {}
    recurring = {block.uid for block in blocks if block.recurs and block.uid}
    for block in blocks:
        if block.uid in recurring:
            groups.setdefault(block.uid, []).append(block)
    left = MAX_OCCURRENCES
    for block in blocks:
        group = groups.get(block.uid)
        if group is None:
            event = _parsed(block)
            yield event if isinstance(event, Row) else _row(block.line, event, options)
        elif group[0] is block:
            is_one_too_many = list(groups).index(block.uid) >= MAX_RECURRING_EVENTS
            for row in _unfolded(group, options, now, 0 if is_one_too_many else left):
                left -= 1
                yield row


def _parsed(block: _Block) -> Event | Row:
    try:
        event = Event.from_ical("\r\n".join(block.lines) + "\r\n")
        if isinstance(event, Event):
            # Reading a property may find out that its value is broken.
            _ = (event.get("DTSTART"), event.get("UID"))
            return event
        detail = "it is no event"
    except (ValueError, KeyError, IndexError, TypeError) as error:
        detail = str(error)[:200]
    return _refused(block.line, block.uid, "event_broken", f"The event cannot be read: {detail}.")


def _unfolded(group: list[_Block], options: ReadOptions, now: datetime, most: int) -> Iterator[Row]:
    """The occurrences of one event that recurs, and of its exceptions."""
    first = group[0]
    events: list[tuple[int, Event]] = []
    for block in group:
        event = _parsed(block)
        if isinstance(event, Row):
            yield event
            return
        events.append((block.line, event))
    problem = next((_problem(event, options) for _, event in events if _problem(event, options)), None)
    if problem is not None:
        yield _row(first.line, events[0][1], options)
        return
    try:
        found = occurrences([event for _, event in events], _zone(events[0][1], options)[0], now=now, most=most)
    except RecurrenceRefused as refused:
        yield _refused(first.line, first.uid, refused.reason, refused.message)
        return
    for each in found:
        line = next(
            (line for line, event in events if "RECURRENCE-ID" in event and _local(event["RECURRENCE-ID"]) == each.rule_time),
            first.line,
        )
        ref = f"{first.uid}#{each.rule_time.isoformat()}"
        warnings = (Problem("*", "recurrence_cut", each.remark),) if each.remark else ()
        yield _row(line, each.event, options, ref=ref, local=each.local_time, warnings=warnings)


def _problem(event: Event, options: ReadOptions) -> Problem | None:
    """Why an event has no time to unfold from: it is for a day, or its zone is unknown."""
    start = event.get("DTSTART")
    if start is None or not isinstance(getattr(start, "dt", None), datetime):
        return Problem("local_time", "time_missing", "The event is for whole days: there is no time to post at.")
    return _zone(event, options)[1]


def _row(
    line: int,
    event: Event,
    options: ReadOptions,
    *,
    ref: str = "",
    local: datetime | None = None,
    warnings: tuple[Problem, ...] = (),
) -> Row:
    cells = dict.fromkeys(CELLS, "")
    cells |= _own_properties(event)
    cells["ref"] = cells["ref"] or str(event.get("UID", ""))
    if ref:
        cells["ref"] = ref
    cells["caption"] = cells["caption"] or str(event.get("DESCRIPTION", "")) or str(event.get("SUMMARY", ""))
    cells["channel"] = cells["channel"] or _only_category(event)
    cells["media"] = cells["media"] or "|".join(str(each).strip() for each in _all(event, "ATTACH"))
    for name, theirs in options.columns.items():
        if name in cells:
            cells[name] = "|".join(str(each) for each in _all(event, theirs))
    problems: list[Problem] = []
    if str(event.get("STATUS", "")).strip().upper() == "CANCELLED":
        message = "The event is cancelled. If it was imported before, cancel its post."
        problems.append(Problem("*", "event_cancelled", message))
    zone, wrong, remark = _zone_and_remark(event, options)
    start = local or (event["DTSTART"].dt if "DTSTART" in event else None)
    if isinstance(start, datetime):
        cells["local_date"], cells["local_time"] = start.date().isoformat(), start.time().isoformat()
        cells["timezone"] = zone
        problems += [wrong] if wrong else []
    elif isinstance(start, date):
        cells["local_date"], cells["timezone"] = start.isoformat(), options.time_zone or "UTC"
        message = "The event is for whole days: there is no time to post at."
        problems.append(Problem("local_time", "time_missing", message))
    else:
        problems.append(Problem("local_date", "date_missing", "The event has no start."))
    warnings = (*warnings, remark) if remark else warnings
    return Row(line, tuple(cells[name] for name in CELLS), tuple(problems), warnings)


def _refused(line: int, uid: str, reason: str, message: str) -> Row:
    return Row(line, (uid, *[""] * (len(CELLS) - 1)), (Problem("*", reason, message),), is_certain=False)


def _own_properties(event: Event) -> dict[str, str]:
    """The properties that end in the name of a column: X-ACCOUNT, X-EMBERFOLD-ACCOUNT."""
    found: dict[str, str] = {}
    for key in event:
        if str(key).upper().startswith("X-"):
            words = str(key).upper().split("-")[1:]
            # The longest ending that is one of ours: PRODUCT-SKUS before SKUS.
            name = next((_ENDINGS[end] for at in range(len(words)) if (end := "-".join(words[at:])) in _ENDINGS), "")
            if name:
                found[name] = "|".join(_unescaped(event, each) for each in _all(event, key))
    return found


def _unescaped(event: Event, value: Any) -> str:
    # Properties that the library does not know stay as they were written.
    written = str(value)
    if "\\" not in written or type(value).__name__ != "vUnknown":
        return written
    return re.sub(r"\\([\\;,nN])", lambda found: "\n" if found[1] in "nN" else found[1], written)


def _all(event: Event, name: str) -> list[Any]:
    value = event.get(name)
    return [] if value is None else value if isinstance(value, list) else [value]


def _only_category(event: Event) -> str:
    categories = [str(each) for value in _all(event, "CATEGORIES") for each in value.cats]
    return categories[0] if len(categories) == 1 else ""


def _local(value: Any) -> datetime | None:
    return value.dt.replace(tzinfo=None) if isinstance(value.dt, datetime) else None


def _zone(event: Event, options: ReadOptions) -> tuple[str, Problem | None]:
    zone, problem, _ = _zone_and_remark(event, options)
    return zone, problem


def _zone_and_remark(event: Event, options: ReadOptions) -> tuple[str, Problem | None, Problem | None]:
    """The IANA zone of an event's start, what is wrong with it, and what is odd about it."""
    start = event.get("DTSTART")
    if start is None or not isinstance(start.dt, datetime):
        return "", None, None
    named = str(start.params.get("TZID", "")).strip()
    if not named:
        # Without a zone it floats: the same time wherever one is. Only its sender knows where that is.
        return ("UTC" if start.dt.tzinfo is not None else options.time_zone), None, None
    if isinstance(zone_of(named), str):
        return named, None, None
    windows = WINDOWS_TO_OLSON.get(named, "")
    # Some calendars put their own path in front: /freeassociation.sourceforge.net/Europe/Berlin
    tail = next((end for at in range(1, 6) if isinstance(zone_of(end := "/".join(named.split("/")[at:])), str)), "")
    if meant := windows or (tail if named.startswith("/") else ""):
        return meant, None, Problem("timezone", "timezone_mapped", f"{named} is read as {meant}.")
    wrong = zone_of(named)
    return named, wrong if isinstance(wrong, Problem) else None, None
