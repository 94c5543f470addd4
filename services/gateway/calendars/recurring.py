"""The occurrences of an event that recurs: wall-clock times in its zone, within the two years that are planned ahead.

The rule's own arithmetic is the library's. What it does not have is a limit: a rule may come true every second, or
never, which it finds out by trying every day until the year 9999.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar

from services.gateway.calendars.times import FARTHEST

MAX_EVENTS = 200  # that recur, in a file
MAX_OCCURRENCES_OF_ONE = 1_000  # every day for two years is 732
MAX_OCCURRENCES = 50_000  # of all events of a file

# Finding out that a rule never comes true takes seconds.
_MAX_FRUITLESS = 5
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_MAX_TIMES_A_DAY = 24
_PARTS_OF_A_DAY = ("BYHOUR", "BYMINUTE", "BYSECOND")


# The library's types say that any property may be of any type.
Event = Any


class RecurrenceRefused(Exception):
    """A rule is not unfolded."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One occurrence: the time that the rule gives it, which names it, and the time that it is at."""

    event: Event
    rule_time: datetime
    local_time: datetime
    remark: str = ""


class Unfolding:
    """Unfolds the events of one file, within limits that hold for all of them together."""

    def __init__(self, now: datetime) -> None:
        self._now, self._stop = now, now + FARTHEST
        self._events, self._occurrences, self._fruitless = MAX_EVENTS, MAX_OCCURRENCES, _MAX_FRUITLESS

    def occurrences(self, events: Sequence[Event], zone: str) -> list[Occurrence]:
        """What is ahead of an event and its exceptions, all of one UID, in the order of their times.

        Occurrences that are over are left out, and those more than two years ahead; a remark on the first, or last,
        says so. Raises RecurrenceRefused.
        """
        for event in events:
            _judge(event)
        if not (self._events and self._occurrences and self._fruitless):
            message = f"At most {MAX_EVENTS} recurring events of a file are taken. Split it, or make a series."
            raise RecurrenceRefused("recurrence_too_many", message)
        self._events -= 1
        place = ZoneInfo(zone)
        found = sorted((_occurrence(each, zone) for each in self._found(events)), key=lambda each: each.local_time)
        taken = [each for each in found if self._now <= each.local_time.replace(tzinfo=place) <= self._stop]
        if not taken:
            self._fruitless -= 1
            raise RecurrenceRefused("recurrence_empty", "The event does not come in the two years ahead.")
        if len(taken) > min(self._occurrences, MAX_OCCURRENCES_OF_ONE):
            message = (
                f"The event comes {len(taken):,} times in the two years ahead; at most {MAX_OCCURRENCES_OF_ONE:,} times"
                f" of one, and {MAX_OCCURRENCES:,} of all in a file, are taken. Give it an end, or make a series."
            )
            raise RecurrenceRefused("recurrence_too_many", message)
        self._occurrences -= len(taken)
        return self._remarked(taken, events, place)

    def _found(self, events: Sequence[Event]) -> list[Event]:
        calendar = Calendar()
        for event in events:
            calendar.add_component(event)
        day = timedelta(days=1)
        try:
            query = recurring_ical_events.of(calendar, keep_recurrence_attributes=True)
            found: list[Event] = query.between(self._now - day, self._stop + day)
            return found
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            message = f"The rule cannot be read: {str(error)[:200]}."
            raise RecurrenceRefused("recurrence_invalid", message) from error

    def _remarked(self, taken: list[Occurrence], events: Sequence[Event], place: ZoneInfo) -> list[Occurrence]:
        master = next((event for event in events if "RECURRENCE-ID" not in event), None)
        if master is None:
            return taken
        if wall_time(master["DTSTART"].dt, place.key).replace(tzinfo=place) < self._now:
            taken[0] = _with_remark(taken[0], "The event began earlier. What is over is left out.")
        if any("COUNT" not in rule and "UNTIL" not in rule for rule in _as_list(master.get("RRULE"))):
            until = self._stop.date().isoformat()
            taken[-1] = _with_remark(taken[-1], f"The event has no end. Occurrences until {until} are taken.")
        return taken


def wall_time(moment: Any, zone: str) -> datetime:
    """A start, or the time that names an occurrence, as the clock in that zone shows it; of a day, its midnight."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time())
    return (moment if moment.tzinfo is None else moment.astimezone(ZoneInfo(zone))).replace(tzinfo=None)


def _judge(event: Event) -> None:
    for rule in _as_list(event.get("RRULE")):
        frequency = str(next(iter(rule.get("FREQ", [])), "")).upper()
        times = 1
        for part in _PARTS_OF_A_DAY:
            times *= max(1, len(_as_list(rule.get(part))))
        if frequency not in _FREQUENCIES or times > _MAX_TIMES_A_DAY:
            words = ", ".join(_FREQUENCIES).lower()
            message = f"Events that recur {words} are taken, at most {_MAX_TIMES_A_DAY} times a day."
            raise RecurrenceRefused("recurrence_too_many", message)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _occurrence(event: Event, zone: str) -> Occurrence:
    # Its own start may be in another zone than the event's: it is what its own clock shows.
    start = event["DTSTART"].dt
    local = start.replace(tzinfo=None) if isinstance(start, datetime) else datetime.combine(start, time())
    rule_time = event.get("RECURRENCE-ID")
    return Occurrence(event, wall_time(rule_time.dt, zone) if rule_time is not None else local, local)


def _with_remark(each: Occurrence, remark: str) -> Occurrence:
    return Occurrence(each.event, each.rule_time, each.local_time, f"{each.remark} {remark}".strip())
