"""Wall-clock times of IANA zones: which instants they are, and what is unusual about them. Pure but for the zone files.

When a clock goes forward it jumps over a gap; when it goes back it shows a fold of times twice. What a person asks for
is refused there, with what would be accepted (`resolve`). What comes again each week cannot be asked about: a time in a
gap is read by the offset before it, which is the time after it (RFC 5545: 02:30 → 03:30), or left out (GapRule), and of
two equal times it is the one that was chosen beforehand (`fold`).
"""

from __future__ import annotations

import enum
import hashlib
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from zoneinfo import ZoneInfo

from kit.errors import FieldViolation, InvalidArgument
from services.scheduler.domain import AmbiguousTime, Schedule

# A plan further ahead is more likely a typing error in the year than a plan.
FARTHEST = timedelta(days=2 * 366)
_HOUR = timedelta(hours=1)
_WEEK = timedelta(days=7)
# Two zones that change on different dates are for a few weeks not as far apart as usual: Europe and America for one to
# three, Ramadan in Morocco for five, Chile and Europe for nine. A difference that lasts longer is one of a season.
_LONGEST_UNUSUAL = timedelta(weeks=10)
# Clocks of one continent change within hours of each other; nobody is told of the difference in between.
_SAME_CHANGE = timedelta(days=1)


class TimeZoneUnknown(InvalidArgument):
    """The zone is no IANA name. Offsets and abbreviations do not know of clock changes, so they are refused."""


class LocalTimeInvalid(InvalidArgument):
    """The text is no wall-clock time, or no date of the calendar."""


class LocalTimeNonexistent(InvalidArgument):
    """The clock of that zone jumps over that time."""


class LocalTimeAmbiguous(InvalidArgument):
    """The clock of that zone shows that time twice."""


class ScheduleTimeInPast(InvalidArgument):
    """The instant is over."""


class ScheduleTimeTooFar(InvalidArgument):
    """The instant is more than two years ahead."""


class GapRule(enum.Enum):
    """What becomes of a recurring time that the clock jumps over. The value is its text in the database."""

    SHIFT = "SHIFT"  # it is at the time after the gap
    SKIP = "SKIP"  # it is left out


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """An instant as clocks show it in one zone, or two. `warning`: what is unusual in that week; empty in others."""

    instant: datetime
    local_time: datetime
    time_zone: str
    other_local_time: datetime | None = None
    other_time_zone: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a zone's clock, from one offset from UTC to another."""

    time_zone: str
    instant: datetime
    before: timedelta
    after: timedelta


@cache
def names() -> frozenset[str]:
    """The zones that are known."""
    return frozenset(zone for zone in zoneinfo.available_timezones() if "/" in zone or zone == "UTC")


def check_zone(time_zone: str, field: str = "time_zone") -> None:
    """Raises TimeZoneUnknown, naming the field."""
    if time_zone not in names():
        raise _refused(
            TimeZoneUnknown,
            field,
            f"{time_zone!r} is not an IANA time zone. Use a name like 'Europe/Berlin' or 'UTC'; abbreviations and"
            " offsets do not know when clocks change.",
        )


def parse_local(text: str, field: str = "local_time") -> datetime:
    """A wall-clock time, naive. Raises LocalTimeInvalid, naming the field."""
    try:
        naive = datetime.fromisoformat(text)
    except ValueError:
        naive = None
    if naive is None or naive.tzinfo is not None:
        raise _refused(
            LocalTimeInvalid,
            field,
            f"{text!r} is not a wall-clock time. Use 'YYYY-MM-DDTHH:MM:SS' without an offset.",
        )
    return naive


def resolve(local_time: str, time_zone: str, ambiguous: AmbiguousTime | None, now: datetime) -> Schedule:
    """The instant that a wall-clock time means, of a post that is still to go out: `read` and `check_ahead`."""
    schedule = read(local_time, time_zone, ambiguous)
    check_ahead(schedule, now)
    return schedule


def read(local_time: str, time_zone: str, ambiguous: AmbiguousTime | None) -> Schedule:
    """The instant that a wall-clock time means.

    Raises TimeZoneUnknown, LocalTimeInvalid, LocalTimeNonexistent (the clock jumps over it), LocalTimeAmbiguous
    (it comes twice and `ambiguous` does not say which).
    """
    check_zone(time_zone)
    naive = parse_local(local_time)
    try:
        instant = _instant(naive, time_zone, ambiguous)
    except OverflowError:
        raise _refused(LocalTimeInvalid, "local_time", f"{local_time} is at the end of the calendar.") from None
    return Schedule(naive, time_zone, 1 if ambiguous is AmbiguousTime.LATER else 0, instant)


def check_ahead(schedule: Schedule, now: datetime) -> None:
    """Raises ScheduleTimeInPast, ScheduleTimeTooFar (over two years)."""
    instant = schedule.instant
    if instant < now:
        raise _refused(
            ScheduleTimeInPast,
            "local_time",
            f"{schedule.local_time.isoformat()} in {schedule.time_zone} was {instant:%Y-%m-%d %H:%M:%S} UTC, which is"
            " over. Choose a later time.",
        )
    if instant > now + FARTHEST:
        raise _refused(
            ScheduleTimeTooFar,
            "local_time",
            f"{schedule.local_time.isoformat()} is more than two years ahead. Is the year right?",
        )


def _instant(naive: datetime, time_zone: str, ambiguous: AmbiguousTime | None) -> datetime:
    before, after = _offsets(naive, time_zone)
    if before < after:
        later = local_at(instant_at(naive, time_zone), time_zone)
        raise _refused(
            LocalTimeNonexistent,
            "local_time",
            f"{naive.isoformat()} does not exist in {time_zone}: the clock goes forward over it. "
            f"Use {later.isoformat()} or another time.",
        )
    if before > after and ambiguous is None:
        raise _refused(
            LocalTimeAmbiguous,
            "ambiguous_time",
            f"{naive.isoformat()} comes twice in {time_zone}: the clock goes back. "
            "Say EARLIER or LATER, or choose another time.",
        )
    return naive.replace(tzinfo=UTC) - (after if ambiguous is AmbiguousTime.LATER else before)


def _refused(kind: type[InvalidArgument], field: str, message: str) -> InvalidArgument:
    return kind(message, [FieldViolation(field, message)])


def in_gap(naive: datetime, time_zone: str) -> bool:
    """Whether the clock of the zone jumps over that time."""
    before, after = _offsets(naive, time_zone)
    return before < after


def instant_at(naive: datetime, time_zone: str, fold: int = 0) -> datetime:
    """The instant of a wall-clock time that need not be refused: in a gap the time after it is meant, of two equal
    times the second when `fold` is 1.
    """
    before, after = _offsets(naive, time_zone)
    return naive.replace(tzinfo=UTC) - (after if fold and after < before else before)


def _offsets(naive: datetime, time_zone: str) -> tuple[timedelta, timedelta]:
    """From UTC, by the clock before a change at that time and after it: equal where there is none, growing in a gap."""
    zone = ZoneInfo(time_zone)
    before = naive.replace(tzinfo=zone, fold=0).utcoffset()
    after = naive.replace(tzinfo=zone, fold=1).utcoffset()
    return before or timedelta(), after or timedelta()


def instant_of(schedule: Schedule) -> datetime:
    """The instant of a schedule by the rules of today."""
    return instant_at(schedule.local_time, schedule.time_zone, schedule.fold)


def local_at(instant: datetime, time_zone: str) -> datetime:
    """What a clock of the zone shows then, naive."""
    return instant.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None, fold=0)


def schedule_at(naive: datetime, time_zone: str, fold: int = 0) -> Schedule:
    """The schedule of a recurring time: `instant_at`, and what the clock shows then, which in a gap is another time."""
    instant = instant_at(naive, time_zone, fold)
    return Schedule(local_at(instant, time_zone), time_zone, fold, instant)


def local_times(instant: datetime, time_zone: str, other_time_zone: str = "") -> LocalTimes:
    """An instant in two zones. There is a warning within a week of a clock change, and while the two are for a few
    weeks not as far apart as usual.
    """
    return LocalTimes(
        instant=instant,
        local_time=local_at(instant, time_zone),
        time_zone=time_zone,
        other_local_time=local_at(instant, other_time_zone) if other_time_zone else None,
        other_time_zone=other_time_zone,
        warning=_warning(instant, time_zone, other_time_zone or time_zone),
    )


def changes(time_zone: str, start: datetime, end: datetime) -> list[Change]:
    """The changes of a zone's clock from an instant until before another."""
    years = range(start.astimezone(UTC).year, end.astimezone(UTC).year + 1)
    return [each for year in years for each in _changes(time_zone, year) if start <= each.instant < end]


@lru_cache(maxsize=4096)
def _changes(time_zone: str, year: int) -> tuple[Change, ...]:
    zone = ZoneInfo(time_zone)
    found: list[Change] = []
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    low = datetime(year, 1, 1, tzinfo=UTC)
    # No two changes are within a week of each other.
    while low < end:
        high = min(low + _WEEK, end)
        before, after = _offset(low, zone), _offset(high, zone)
        if before != after:
            instant = _first(low, high, after, zone)
            found.append(Change(time_zone, instant, before, after))
        low = high
    return tuple(found)


def _first(low: datetime, high: datetime, offset: timedelta, zone: ZoneInfo) -> datetime:
    """The first second between the two at which the offset holds."""
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (low, middle) if _offset(middle, zone) == offset else (middle, high)
    return high


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _warning(instant: datetime, time_zone: str, other: str) -> str:
    reach = _LONGEST_UNUSUAL + _WEEK
    zones = dict.fromkeys((time_zone, other))
    found = [each for zone in zones for each in changes(zone, instant - reach, instant + reach)]
    together: list[list[Change]] = []
    for change in sorted(found, key=lambda each: each.instant):
        if together and change.instant - together[-1][0].instant < _SAME_CHANGE:
            together[-1].append(change)
        else:
            together.append([change])
    sentences = []
    for event, following in zip_longest(together, together[1:]):
        start = event[0].instant
        was, is_ = _apart(start - _SAME_CHANGE, time_zone, other), _apart(start + _SAME_CHANGE, time_zone, other)
        end = following[0] if following and following[0].instant - start <= _LONGEST_UNUSUAL and was != is_ else None
        if abs(instant - start) < _WEEK or (end is not None and start <= instant < end.instant):
            apart = "" if was == is_ else f": {_difference(other, was, is_, end, is_ahead=instant < start)}"
            sentences.append(f"{_what_changes(event)}{apart}.")
    return " ".join(sentences)


def _apart(instant: datetime, time_zone: str, other: str) -> timedelta:
    return _offset(instant, ZoneInfo(other)) - _offset(instant, ZoneInfo(time_zone))


def _what_changes(event: Sequence[Change]) -> str:
    zones: dict[str, list[str]] = {}
    for each in event:
        way = "forward" if each.after > each.before else "back"
        what = f"go {way} {span(abs(each.after - each.before))} on {_date(each)}"
        zones.setdefault(what, []).append(each.time_zone)
    return "; ".join(f"Clocks in {' and '.join(changing)} {what}" for what, changing in zones.items())


def _difference(other: str, was: timedelta, is_: timedelta, end: Change | None, *, is_ahead: bool) -> str:
    since = "from then on" if end is None else f"{'from then ' if is_ahead else ''}until {_date(end)}"
    in_short = was and is_ and (was > timedelta()) == (is_ > timedelta()) and not (was % _HOUR or is_ % _HOUR)
    before = str(abs(was) // _HOUR) if in_short else _position(was)
    return f"{other} is {_position(is_)} {since}, not {before}"


def _position(apart: timedelta) -> str:
    if not apart:
        return "at the same time"
    return f"{span(abs(apart))} {'ahead' if apart > timedelta() else 'behind'}"


def span(length: timedelta) -> str:
    """A length of time in words: "1 h 30 min"."""
    hours, minutes = divmod(round(length.total_seconds()) // 60, 60)
    return " ".join(text for text, number in ((f"{hours} h", hours), (f"{minutes} min", minutes)) if number)


def _date(change: Change) -> str:
    """Of the clock that is about to change."""
    day = change.instant.replace(tzinfo=None) + change.before
    return f"{day.day} {day:%B}"


def fingerprint(time_zone: str) -> bytes:
    """Of the rules of a zone that is known: of the file that zoneinfo reads, in its search path or else in the tzdata
    package. The same rules in another encoding have another fingerprint.
    """
    parts = time_zone.split("/")
    for folder in zoneinfo.TZPATH:
        path = Path(folder, *parts)
        if path.is_file():
            return hashlib.sha256(path.read_bytes()).digest()
    return hashlib.sha256(resources.files("tzdata").joinpath("zoneinfo", *parts).read_bytes()).digest()


def read_again() -> None:
    """Forgets the zones that were read: their files may have been replaced while the process runs."""
    ZoneInfo.clear_cache()
    names.cache_clear()
    _changes.cache_clear()
