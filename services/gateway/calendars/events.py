"""Calendars of events (ICS, RFC 5545): each event is a post, and so is each occurrence of one that recurs.

Events are taken out of the file one by one, with the line that each begins at; a broken one is refused for itself. The
caption is the description, or else the summary; media are attachments. Account, products, channel and the author's
choices are properties that end in our name of the column, whoever invented them: X-EMBERFOLD-ACCOUNT.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any, NamedTuple

from icalendar import Event as IcalEvent
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from services.gateway.calendars import text
from services.gateway.calendars.entries import CELLS, NotACalendar, Problem, ReadOptions, Row
from services.gateway.calendars.recurring import Event, RecurrenceRefused, Unfolding, wall_time
from services.gateway.calendars.rows import REF_LENGTH
from services.gateway.calendars.times import zone_of

# Understanding an event takes a quarter of a millisecond, and the text is kept meanwhile.
MAX_BYTES = 16 * 1024 * 1024
MAX_EVENTS = 20_000

# A value of these that cannot be read makes another post of the event.
_READ = frozenset({"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "UID", "ATTACH"})
_LINE_END = re.compile(r"\r\n|\r|\n")
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
    start = text.head(file, MAX_BYTES)
    encoding = text.encoding_of(start, options)
    if not is_calendar(start.decode(encoding, "ignore").encode()):
        raise NotACalendar(
            "not_events", "The file is no calendar of events: it does not begin with BEGIN:VCALENDAR.", 1
        )
    try:
        with text.opened(file, encoding) as lines:
            blocks = _blocks(_LINE_END.split(lines.read()))
    except UnicodeDecodeError:
        raise text.wrong_encoding(file, encoding) from None
    if not blocks:
        raise NotACalendar("no_rows", "The file has no events.")
    if len(blocks) > MAX_EVENTS:
        raise NotACalendar("too_many_rows", f"A calendar has at most {MAX_EVENTS:,} events. Split the file.")
    return _rows(blocks, options, now), len(blocks)


def _blocks(lines: list[str]) -> list[_Block]:
    blocks: list[_Block] = []
    current: _Block | None = None
    nested = 0
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
        raise NotACalendar(
            "event_unfinished", f"The event that begins at line {current.line} has no end.", current.line
        )
    return blocks


def _rows(blocks: list[_Block], options: ReadOptions, now: datetime) -> Iterator[Row]:
    recurring = {block.uid: list[_Block]() for block in blocks if block.recurs and block.uid}
    for block in blocks:
        if block.uid in recurring:
            recurring[block.uid].append(block)
    unfolding = Unfolding(now)
    for block in blocks:
        group = recurring.get(block.uid)
        if group is None:
            event = _parsed(block)
            yield event if isinstance(event, Row) else _row(block.line, event, options)
        elif group[0] is block:
            yield from _unfolded(group, options, unfolding)


def _parsed(block: _Block) -> Event | Row:
    try:
        event = IcalEvent.from_ical("\r\n".join(block.lines) + "\r\n")
        if not isinstance(event, IcalEvent):
            raise ValueError("it is no event")
        # The library goes on where a line is broken: what we do not read may be so, but no line may get lost.
        errors = [error for name, error in event.errors if name is None or name in _READ]
        if not errors:
            return event
        detail = errors[0][:200]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        detail = str(error)[:200]
    return _refused(block.line, block.uid, "event_broken", f"The event cannot be read: {detail}.")


def _unfolded(group: list[_Block], options: ReadOptions, unfolding: Unfolding) -> Iterator[Row]:
    """The occurrences of one event that recurs, and of its exceptions."""
    first = group[0]
    events: list[Event] = []
    lines: dict[datetime, int] = {}
    for block in group:
        event = _parsed(block)
        if isinstance(event, Row):
            yield event
            return
        if not _has_time(event, options):
            # There is nothing to unfold from: the row says why.
            yield _row(block.line, event, options)
            return
        events.append(event)
    zone = _zone(events[0], options).name
    for block, event in zip(group, events, strict=True):
        if "RECURRENCE-ID" in event:
            lines[wall_time(event["RECURRENCE-ID"].dt, zone)] = block.line
    try:
        found = unfolding.occurrences(events, zone)
    except RecurrenceRefused as refused:
        yield _refused(first.line, first.uid, refused.reason, refused.message)
        return
    for each in found:
        ref = f"{first.uid}#{each.rule_time.isoformat()}"
        warnings = (Problem("*", "recurrence_cut", each.remark),) if each.remark else ()
        line = lines.get(each.rule_time, first.line)
        yield _row(line, each.event, options, ref=ref, local=each.local_time, warnings=warnings)


def _has_time(event: Event, options: ReadOptions) -> bool:
    start = event.get("DTSTART")
    if start is None or not isinstance(getattr(start, "dt", None), datetime):
        return False
    zone = _zone(event, options)
    return bool(zone.name) and zone.problem is None


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
    cells["ref"] = _short(ref or cells["ref"] or str(event.get("UID", "")))
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
    zone = _zone(event, options)
    start = local or (event["DTSTART"].dt if "DTSTART" in event else None)
    if isinstance(start, datetime):
        cells["local_date"], cells["local_time"] = start.date().isoformat(), start.time().isoformat()
        cells["timezone"] = zone.name
        problems += [zone.problem] if zone.problem else []
        warnings = (*warnings, zone.remark) if zone.remark else warnings
    elif isinstance(start, date):
        cells["local_date"], cells["timezone"] = start.isoformat(), options.time_zone or "UTC"
        message = "The event is for whole days: there is no time to post at."
        problems.append(Problem("local_time", "time_missing", message))
    else:
        problems.append(Problem("local_date", "date_missing", "The event has no start."))
    return Row(line, tuple(cells[name] for name in CELLS), tuple(problems), warnings)


def _short(ref: str) -> str:
    """The ref itself; of a longer one than a post can have (Outlook's UIDs), its beginning and a mark of the rest."""
    if len(ref) <= REF_LENGTH:
        return ref
    mark = hashlib.blake2b(ref.encode(), digest_size=12).hexdigest()
    return f"{ref[: REF_LENGTH - len(mark) - 1]}~{mark}"


def _refused(line: int, uid: str, reason: str, message: str) -> Row:
    return Row(line, (_short(uid), *[""] * (len(CELLS) - 1)), (Problem("*", reason, message),), is_certain=False)


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


class _Zone(NamedTuple):
    """The IANA zone of an event's start, what is wrong with it, and what is odd about it."""

    name: str
    problem: Problem | None = None
    remark: Problem | None = None


def _zone(event: Event, options: ReadOptions) -> _Zone:
    start = event.get("DTSTART")
    if start is None or not isinstance(start.dt, datetime):
        return _Zone("")
    named = str(start.params.get("TZID", "")).strip()
    if not named:
        # Without a zone it floats: the same time wherever one is. Only its sender knows where that is.
        return _Zone("UTC" if start.dt.tzinfo is not None else options.time_zone)
    if not isinstance(problem := zone_of(named), Problem):
        return _Zone(named)
    if meant := WINDOWS_TO_OLSON.get(named, "") or _behind_a_path(named):
        return _Zone(meant, None, Problem("timezone", "timezone_mapped", f"{named} is read as {meant}."))
    return _Zone(named, problem)


def _behind_a_path(named: str) -> str:
    """Some calendars put their own path in front of a zone: /freeassociation.sourceforge.net/Europe/Berlin."""
    parts = named.split("/")[1:] if named.startswith("/") else []
    return next((end for at in range(len(parts)) if not isinstance(zone_of(end := "/".join(parts[at:])), Problem)), "")
