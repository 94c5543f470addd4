"""The occurrences of an event that recurs: wall-clock times in its zone, within the two years that are planned ahead.

The rule's own arithmetic is the library's. What it does not have is a limit: a rule may come true every second, or
never, which it finds out by trying every day until the year 9999.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Event

from services.gateway.calendars.times import FARTHEST

MAX_OCCURRENCES = 1_000  # of one event; every day for two years is 732

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_MAX_TIMES_A_DAY = 24
_PARTS_OF_A_DAY = ("BYHOUR", "BYMINUTE", "BYSECOND")


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


def occurrences(events: Sequence[Event], zone: str, *, now: datetime, most: int) -> list[Occurrence]:
    """What is ahead of an event and its exceptions, all of one UID, by the rule's time; at most `most`.

    Those that are over are left out, and those more than two years ahead; a remark on the first, or last, says so.
    Raises RecurrenceRefused.
    """
    for event in events:
        _judge(event)
    place = ZoneInfo(zone)
    start, stop = now.astimezone(place), (now + FARTHEST).astimezone(place)
    calendar = Calendar()
    for event in events:
        calendar.add_component(event)
    try:
        found = recurring_ical_events.of(calendar, keep_recurrence_attributes=True).between(
            start - timedelta(days=1), stop + timedelta(days=1)
        )
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise RecurrenceRefused("recurrence_invalid", f"The rule cannot be read: {str(error)[:200]}.") from error
    taken = sorted((_occurrence(event) for event in found), key=lambda each: each.local_time)
    taken = [each for each in taken if start <= each.local_time.replace(tzinfo=place) <= stop]
    if len(taken) > min(most, MAX_OCCURRENCES):
        message = (
            f"The event recurs {len(taken):,} times in the two years ahead. At most {MAX_OCCURRENCES:,} of one event"
            " are taken, and 50,000 of 200 events of a file. Give it an end, or make a series."
        )
        raise RecurrenceRefused("recurrence_too_many", message)
    if not taken:
        raise RecurrenceRefused("recurrence_empty", "The event never comes in the two years ahead.")
    return _remarked(taken, events, now, place)


def _judge(event: Event) -> None:
    rules = event.get("RRULE")
    for rule in rules if isinstance(rules, list) else [rules] if rules is not None else []:
        frequency = str(next(iter(rule.get("FREQ", [])), "")).upper()
        times = 1
        for part in _PARTS_OF_A_DAY:
            times *= max(1, len(_as_list(rule.get(part))))
        if frequency not in _FREQUENCIES or times > _MAX_TIMES_A_DAY:
            message = (
                f"Events that recur {', '.join(_FREQUENCIES).lower()} are taken, at most {_MAX_TIMES_A_DAY} times a day."
            )
            raise RecurrenceRefused("recurrence_too_many", message)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _occurrence(event: Event) -> Occurrence:
    local = _wall(event["DTSTART"].dt)
    rule_time = event.get("RECURRENCE-ID")
    return Occurrence(event, _wall(rule_time.dt) if rule_time is not None else local, local)


def _wall(moment: Any) -> datetime:
    return moment.replace(tzinfo=None) if isinstance(moment, datetime) else datetime.combine(moment, datetime.min.time())


def _remarked(taken: list[Occurrence], events: Sequence[Event], now: datetime, place: ZoneInfo) -> list[Occurrence]:
    master = next((event for event in events if "RECURRENCE-ID" not in event), None)
    if master is None:
        return taken
    if _wall(master["DTSTART"].dt).replace(tzinfo=place) < now:
        taken[0] = _with_remark(taken[0], "The event began earlier. What is over is left out.")
    rules = _as_list(master.get("RRULE"))
    if any("COUNT" not in rule and "UNTIL" not in rule for rule in rules):
        until = (now.astimezone(UTC) + FARTHEST).date().isoformat()
        taken[-1] = _with_remark(taken[-1], f"The event has no end. Occurrences until {until} are taken.")
    return taken


def _with_remark(each: Occurrence, remark: str) -> Occurrence:
    return Occurrence(each.event, each.rule_time, each.local_time, f"{each.remark} {remark}".strip())
