"""When something recurs: RFC 5545 rules and cron expressions, read as wall-clock times of a zone. Pure.

The libraries do the calendar, on naive times: dateutil the rules, cronsim the expressions (its own treatment of clock
changes is not used). zones.py makes instants of the times. A rule has no DTSTART in its text: `start_time` anchors it,
and is a time of it only where the rule says so.

Nothing here runs for long: COUNT is at most 10,000, a listing begins near its start however old the rule is (one with
COUNT must be walked), and where nothing matches for a generation the rule ends (`_Rule`).
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import dropwhile, islice, takewhile
from typing import Any

from cronsim import CronSim, CronSimError
from dateutil.rrule import DAILY, HOURLY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

from kit.errors import FieldViolation, InvalidArgument
from services.scheduler import rule_text, zones
from services.scheduler.rule_text import Freq, Parts
from services.scheduler.zones import GapRule

MOST_A_DAY = 24
_EMPTY_AFTER = timedelta(days=2 * 366)
_EARLIEST_YEAR = 1970
# Months without a time (years, in a yearly rule) after which a rule is over. 29 February falls on a given weekday each
# 28 years, or 40.
_BARREN = 12 * 45
_CRON_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, or L for the last day",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT",
}


class RecurrenceInvalid(InvalidArgument):
    """The rule cannot be read, or says something that no rule may say. The message names the part at fault."""


class RecurrenceEmpty(InvalidArgument):
    """The rule has no time within two years of its start, or none that is still to come."""


class RecurrenceTooFrequent(InvalidArgument):
    """The rule has more than 24 times on one day."""


class RuleKind(enum.Enum):
    """The language of a rule. The value is its text in the database."""

    RRULE = "RRULE"  # RFC 5545 without DTSTART
    CRON = "CRON"  # five fields

    @property
    def field(self) -> str:
        """Its name in the proto."""
        return self.value.lower()


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When something recurs. `until_time`: its last wall-clock time, itself included; None: without end. `fold` is 1
    when the second of two equal wall-clock times is meant.
    """

    kind: RuleKind
    rule: str
    start_time: datetime
    time_zone: str
    until_time: datetime | None = None
    gap_rule: GapRule = GapRule.SHIFT
    fold: int = 0


def check(recurrence: Recurrence, now: datetime) -> None:
    """Raises TimeZoneUnknown, RecurrenceInvalid, RecurrenceEmpty, RecurrenceTooFrequent."""
    zones.check_zone(recurrence.time_zone)
    start, field = recurrence.start_time, recurrence.kind.field
    today = zones.local_at(now, recurrence.time_zone)
    if start.year < _EARLIEST_YEAR or start > today + zones.FARTHEST:
        raise _refused(
            RecurrenceInvalid,
            "start_time",
            f"{start.isoformat()} is before 1970, or more than two years ahead. Is the year right?",
        )
    first = max(start, today)
    _parse(recurrence)
    if next(occurrences(recurrence, first), first + _EMPTY_AFTER) >= first + _EMPTY_AFTER:
        raise _refused(
            RecurrenceEmpty,
            field,
            f"{recurrence.rule!r} has no time from {first.isoformat(timespec='minutes')} on, or none within two years."
            " Look at its end, and at days that no month has.",
        )
    a_year = takewhile(lambda each: each < first + timedelta(days=366), _wall_clock(recurrence, first))
    days: Counter[int] = Counter()
    for each in a_year:
        days[each.toordinal()] += 1
        if days[each.toordinal()] > MOST_A_DAY:
            raise _too_frequent(recurrence, f"more than {MOST_A_DAY} times on {each:%Y-%m-%d}")


def occurrences(recurrence: Recurrence, start: datetime) -> Iterator[datetime]:
    """Its wall-clock times from one on, in order: as the rule gives them, so that one in a gap is still the time that
    no clock shows (`zones.schedule_at` says when it takes place).

    Raises RecurrenceInvalid.
    """
    for each in _wall_clock(recurrence, start):
        if zones.in_gap(each, recurrence.time_zone):
            if recurrence.gap_rule is GapRule.SKIP:
                continue
            after = zones.schedule_at(each, recurrence.time_zone).local_time
            # An hourly rule has the time after the gap itself: not twice at one instant.
            if next(_wall_clock(recurrence, after), None) == after:
                continue
        yield each


def has(recurrence: Recurrence, time: datetime) -> bool:
    """Whether it has that wall-clock time."""
    return next(occurrences(recurrence, time), None) == time


def last(recurrence: Recurrence, before: datetime) -> datetime | None:
    """Its last wall-clock time before another; None without any."""
    for days in (31, 366, 8 * 366, 200 * 366):
        times = occurrences(recurrence, before - timedelta(days=days))
        # Looked for near by first: an old rule has many times.
        if found := deque(takewhile(lambda each: each < before, times), maxlen=1):
            return found[0]
    return None


def count_before(recurrence: Recurrence, time: datetime) -> int:
    """How many times of a rule with COUNT are used up before a time."""
    return sum(1 for _ in takewhile(lambda each: each < time, _wall_clock(recurrence, recurrence.start_time)))


def without_first(recurrence: Recurrence, time: datetime) -> Recurrence:
    """The same from one of its times on: what is used up of a COUNT before it is taken off."""
    rule = recurrence.rule
    if recurrence.kind is RuleKind.RRULE and (count := rule_text.parse(rule).count) is not None:
        rule = rule_text.with_count(rule, count - count_before(recurrence, time))
    return replace(recurrence, rule=rule, start_time=time)


def describe(recurrence: Recurrence) -> str:
    """The rule in words: "every Tuesday, Thursday and Saturday at 14:00 in America/New_York"."""
    ends = ""
    if recurrence.kind is RuleKind.CRON:
        said = rule_text.describe_cron(CronSim(recurrence.rule, recurrence.start_time))
    else:
        parts = rule_text.parse(recurrence.rule)
        said = rule_text.describe(parts.anchored(recurrence.start_time)) or f"by the rule {recurrence.rule}"
        ends = rule_text.describe_end(parts)
    if recurrence.until_time is not None:
        ends += f", until {recurrence.until_time:%Y-%m-%d %H:%M}"
    return f"{said} in {recurrence.time_zone}{ends}"


def _wall_clock(recurrence: Recurrence, start: datetime) -> Iterator[datetime]:
    """Its times from one on, those in a gap too."""
    parsed = _parse(recurrence)
    start = max(start, recurrence.start_time)
    times = _of_cron(recurrence, start) if parsed is None else _of_rule(parsed, recurrence, start)
    until = recurrence.until_time
    return times if until is None else takewhile(lambda each: each <= until, times)


def _parse(recurrence: Recurrence) -> Parts | None:
    """The parts of a rule, None for a cron expression. Raises RecurrenceInvalid."""
    if recurrence.kind is RuleKind.CRON:
        _check_cron(recurrence)
        return None
    try:
        parts = rule_text.parse(recurrence.rule)
    except ValueError as error:
        raise _refused(RecurrenceInvalid, "rrule", str(error)) from None
    anchored = parts.anchored(recurrence.start_time)
    if anchored.times_a_day > MOST_A_DAY and ("BYSETPOS" not in anchored.by or anchored.times_a_day > 1440):
        raise _too_frequent(recurrence, f"{anchored.times_a_day} times a day")
    return anchored


def _check_cron(recurrence: Recurrence) -> None:
    fields = recurrence.rule.split()
    if len(fields) != len(_CRON_FIELDS):
        raise _refused(
            RecurrenceInvalid,
            "cron",
            f"{recurrence.rule!r} has {len(fields)} fields. A cron expression has five: minute, hour, day of the month,"
            " month, day of the week, as in '0 14 * * tue,thu,sat'.",
        )
    try:
        CronSim(recurrence.rule, recurrence.start_time)
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        at = list(_CRON_FIELDS).index(name)
        raise _refused(
            RecurrenceInvalid,
            "cron",
            f"The {name} {fields[at]!r} cannot be, or cannot be in those months. It takes {_CRON_FIELDS[name]}, lists"
            " (1,3), ranges (1-5) and steps (*/2).",
        ) from None


def _of_cron(recurrence: Recurrence, start: datetime) -> Iterator[datetime]:
    return CronSim(recurrence.rule, start - timedelta(seconds=1))


def _of_rule(parts: Parts, recurrence: Recurrence, start: datetime) -> Iterator[datetime]:
    until = None if parts.until is None else _until(parts.until, recurrence.time_zone, is_utc=parts.until_is_utc)
    # What a COUNT has left is known only to who has walked there.
    near = recurrence.start_time if parts.count is not None else start
    times = _walk(parts, _period(parts, recurrence.start_time, near))
    times = islice(dropwhile(lambda each: each < recurrence.start_time, times), parts.count)
    times = dropwhile(lambda each: each < start, times)
    return times if until is None else takewhile(lambda each: each <= until, times)


def _until(until: datetime, time_zone: str, *, is_utc: bool) -> datetime:
    return zones.local_at(until.replace(tzinfo=UTC), time_zone) if is_utc else until


def _period(parts: Parts, anchor: datetime, near: datetime) -> datetime:
    """The beginning of the rule's last period at or before a time: of one of its years, months, weeks, days, hours."""
    step, day = parts.interval, anchor.replace(hour=0, minute=0, second=0)
    match parts.freq:
        case Freq.YEARLY:
            return day.replace(year=anchor.year + (near.year - anchor.year) // step * step, month=1, day=1)
        case Freq.MONTHLY:
            first = anchor.year * 12 + anchor.month - 1
            month = first + (near.year * 12 + near.month - 1 - first) // step * step
            return day.replace(year=month // 12, month=month % 12 + 1, day=1)
        case Freq.WEEKLY:
            week = day - timedelta(days=(anchor.weekday() - parts.wkst) % 7)
            return week + (near - week) // timedelta(weeks=step) * timedelta(weeks=step)
        case Freq.DAILY:
            return day + (near - day) // timedelta(days=step) * timedelta(days=step)
        case Freq.HOURLY:
            hour = anchor.replace(minute=0, second=0)
            return hour + (near - hour) // timedelta(hours=step) * timedelta(hours=step)


_FREQUENCIES: dict[Freq, Any] = {
    Freq.YEARLY: YEARLY,
    Freq.MONTHLY: MONTHLY,
    Freq.WEEKLY: WEEKLY,
    Freq.DAILY: DAILY,
    Freq.HOURLY: HOURLY,
}


class _Barren(Exception):
    """A rule has had no time for too long."""


class _Rule(rrule):
    """dateutil's rule, which would look on until the year 9999 where nothing matches (seconds of work): this one ends.

    dateutil reads `_bynweekday` of its rule whenever it comes to another month, in a yearly rule to another year.
    """

    looked = 0

    @property
    def _bynweekday(self) -> Any:
        self.looked += 1
        if self.looked > _BARREN:
            raise _Barren
        return self._nth

    @_bynweekday.setter
    def _bynweekday(self, value: Any) -> None:
        self._nth = value


def _walk(parts: Parts, start: datetime) -> Iterator[datetime]:
    try:
        days = [weekday(day, nth or None) for day, nth in parts.days] or None
        by: Any = {name.lower(): numbers for name, numbers in parts.by.items()}
        rule = _Rule(_FREQUENCIES[parts.freq], start, parts.interval, wkst=parts.wkst, byweekday=days, **by)
        for each in rule:
            rule.looked = 0
            yield each
    except (_Barren, ValueError):
        # dateutil raises ValueError where hours and interval never meet.
        return


def _too_frequent(recurrence: Recurrence, how: str) -> InvalidArgument:
    return _refused(
        RecurrenceTooFrequent,
        recurrence.kind.field,
        f"{recurrence.rule!r} recurs {how}. At most {MOST_A_DAY} times a day are accepted.",
    )


def _refused(kind: type[InvalidArgument], field: str, message: str) -> InvalidArgument:
    return kind(message, [FieldViolation(field, message)])
