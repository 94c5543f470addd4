"""Dates, times and zones as people write them, and the instants that they mean.

The rules are the scheduler's: only IANA names know when clocks change, a time that does not exist or comes twice is
not taken without a word from its author. Everything that repeats from row to row is remembered.
"""

from __future__ import annotations

import difflib
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from services.gateway.calendars.entries import AmbiguousTime, DateOrder, Problem

# As the scheduler: a plan further ahead is more likely a slip in the year than a plan.
FARTHEST = timedelta(days=2 * 366)

_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})")
_DAY_NUMBER = re.compile(r"[0-9]{5}(\.[0-9]+)?")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?: ?([ap])\.?m\.?)?", re.IGNORECASE)
_OFFSET = re.compile(r"(UTC|GMT|Z)?\s*[+\-\u2212][0-9:.]+", re.IGNORECASE)
_ABBREVIATION = re.compile(r"[A-Za-z]{1,5}([0-9][A-Za-z]{0,4})?")


@lru_cache(maxsize=8192)
def date_of(text: str, order: DateOrder = "") -> date | Problem:
    """A date with the year first; or in the order that its author said the file has."""
    if not text:
        return Problem("local_date", "date_missing", "Give the date: 2027-02-10")
    if _DAY_NUMBER.fullmatch(text):
        meant = date(1899, 12, 30) + timedelta(days=int(text[:5]))
        return Problem(
            "local_date",
            "date_excel_serial",
            f"{text} is a spreadsheet's day number, perhaps {meant.isoformat()}. Format the column as text.",
        )
    if not text.isascii():
        return Problem(
            "local_date",
            "date_odd_characters",
            "There are unusual characters in the date, perhaps long hyphens. Type it again: 2027-02-10",
        )
    if parts := _YEAR_FIRST.fullmatch(text):
        year, month, day = int(parts[1]), int(parts[3]), int(parts[4])
    elif (parts := _YEAR_LAST.fullmatch(text)) and order in ("dmy", "mdy"):
        day, month = (int(parts[1]), int(parts[3])) if order == "dmy" else (int(parts[3]), int(parts[1]))
        year = int(parts[4]) + (2000 if len(parts[4]) == 2 else 0)
    elif parts and order == "":
        message = f"{text}: day or month first? Say date_order=dmy or mdy, or write 2027-02-10. Nothing is guessed."
        return Problem("local_date", "date_format", message)
    else:
        message = f"{text[:40]}: write year-month-day, 2027-02-10. Nothing is guessed."
        return Problem("local_date", "date_format", message)
    try:
        return date(year, month, day)
    except ValueError:
        read = f" read as {order}" if order else ""
        return Problem("local_date", "date_invalid", f"There is no {text}{read} in the calendar.")


@lru_cache(maxsize=8192)
def time_of(text: str) -> time | Problem:
    """A time of 24 hours, or of 12 with am or pm."""
    if not text:
        return Problem("local_time", "time_missing", "Give the time: 18:30")
    if not (parts := _CLOCK.fullmatch(text)):
        return Problem("local_time", "time_format", f"{text[:40]}: write hours and minutes, 18:30 or 6:30 pm.")
    hour = int(parts[1])
    if parts[4]:
        if not 1 <= hour <= 12:
            return Problem("local_time", "time_invalid", f"{text} is no time of a day: 1:00 am to 12:59 pm.")
        hour = hour % 12 + (12 if parts[4] in "pP" else 0)
    try:
        return time(hour, int(parts[2]), int(parts[3] or 0))
    except ValueError:
        return Problem("local_time", "time_invalid", f"{text} is no time of a day: 00:00 to 23:59.")


@cache
def zone_names() -> frozenset[str]:
    """The names that are taken: those of places, and UTC."""
    return frozenset(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


@lru_cache(maxsize=1024)
def zone_of(text: str) -> str | Problem:
    """The IANA name of a zone, or why it is none."""
    if not text:
        return Problem("timezone", "timezone_missing", "Name the zone of that time: Europe/Berlin")
    if text in zone_names():
        return text
    if _OFFSET.fullmatch(text):
        return Problem(
            "timezone",
            "timezone_offset",
            f"{text} is an offset, right for part of the year at most. Name a place: America/New_York",
        )
    if _ABBREVIATION.fullmatch(text):
        return Problem(
            "timezone", "timezone_abbreviation", f"{text} means different things. Name a place: America/Los_Angeles"
        )
    return Problem("timezone", "timezone_unknown", f"{text[:64]} is no IANA time zone. Use a name like {_near(text)}")


def _near(text: str) -> str:
    wanted = text.casefold()
    # Only those that begin alike and are about as long: a sheet may hold a hundred thousand slips.
    candidates = {
        each.casefold(): each
        for each in zone_names()
        if each[:1].casefold() == wanted[:1] and abs(len(each) - len(wanted)) <= 2
    }
    near = difflib.get_close_matches(wanted, candidates, n=1, cutoff=0.93)
    return candidates[near[0]] if near else "Europe/Berlin"


def instant_of(
    day: date, clock: time, zone: str, choice: AmbiguousTime = ""
) -> tuple[datetime | Problem, AmbiguousTime]:
    """The instant of a wall-clock time, and the choice where it took one."""
    local = datetime.combine(day, clock)
    offset = _steady_offset(zone, day)
    if offset is not None:
        return local.replace(tzinfo=UTC) - offset, ""
    return _instant_on_a_day_of_change(local, zone, choice)


@lru_cache(maxsize=16384)
def _steady_offset(zone: str, day: date) -> timedelta | None:
    """The offset of a zone on a day on which it does not change; else None."""
    if not 2 <= day.year <= 9998:
        return None
    place = ZoneInfo(zone)
    hours = [datetime.combine(day, time(hour), place) for hour in range(24)]
    hours.append(datetime.combine(day, time(23, 59, 59), place))
    offsets = {each.replace(fold=fold).utcoffset() for each in hours for fold in (0, 1)}
    return offsets.pop() if len(offsets) == 1 else None


def _instant_on_a_day_of_change(
    local: datetime, zone_name: str, choice: AmbiguousTime
) -> tuple[datetime | Problem, AmbiguousTime]:
    zone = ZoneInfo(zone_name)
    try:
        earlier, later = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        return Problem("local_date", "date_invalid", "Outside of the calendar."), ""
    if earlier == later:
        return earlier, ""
    # fold=0 reads the clock as before its change, fold=1 as after. Over a gap neither is ever on the wall.
    if earlier > later:
        instead = earlier.astimezone(zone).strftime("%H:%M:%S")
        message = f"The clock of {zone_name} goes forward over that time on that day. Use {instead} or another time."
        return Problem("local_time", "local_time_nonexistent", message), ""
    if not choice:
        message = (
            f"The clock of {zone_name} goes back: {in_words(earlier)} or {in_words(later)}? Say ambiguous_time=EARLIER"
            " or LATER."
        )
        return Problem("local_time", "local_time_ambiguous", message), ""
    return (earlier if choice == "EARLIER" else later), choice


def misplaced(instant: datetime, now: datetime) -> Problem | None:
    """What speaks against an instant: it is over, or too far ahead."""
    if instant < now:
        return Problem("local_date", "time_in_past", f"That was {in_words(instant)}, which is over.")
    if instant > now + FARTHEST:
        return Problem("local_date", "date_too_far", "More than two years ahead. Is the year right?")
    return None


def in_words(instant: datetime) -> str:
    """For messages."""
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC")
