"""Posting plans: when a channel posts. What a plan may say, and where its slots are. Pure.

A plan is about wall-clock times of its zone. A slot in a gap of the clock is at the time after it, one that comes twice
is the first of the two. Whether a post keeps a plan is asked in conflicts.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from kit.errors import FailedPrecondition, FieldViolation, InvalidArgument, NotFound
from services.scheduler.zones import check_zone, instant_at, local_at

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NONE = timedelta(0)
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
# The longest day of a clock, with an hour to spare: all of a post's day is so near to it.
_LONGEST_DAY = timedelta(hours=26)


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A weekly time; Monday is 0."""

    weekday: int
    local_time: time

    @property
    def since_monday(self) -> timedelta:
        """How far into the week, by the clock."""
        at = self.local_time
        return timedelta(days=self.weekday, hours=at.hour, minutes=at.minute, seconds=at.second)

    def __str__(self) -> str:
        return f"{DAYS[self.weekday]} {self.local_time.isoformat('auto').removesuffix(':00')}"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` until before `end`, through midnight when the end is not after the start.

    `weekdays` are those on which it begins; none: every day.
    """

    weekdays: frozenset[int]
    start: time
    end: time

    def contains(self, local: datetime) -> bool:
        """Whether a wall-clock time is in it."""
        clock = local.time()
        if self.start < self.end:
            return self.start <= clock < self.end and self._begins_on(local.weekday())
        # The part before midnight began today, the part after it yesterday.
        return (clock >= self.start and self._begins_on(local.weekday())) or (
            clock < self.end and self._begins_on((local.weekday() - 1) % 7)
        )

    def _begins_on(self, weekday: int) -> bool:
        return not self.weekdays or weekday in self.weekdays

    def __str__(self) -> str:
        days = ", ".join(DAYS[each] for each in sorted(self.weekdays))
        return f"{self.start:%H:%M} to {self.end:%H:%M}{f' from {days}' if days else ''}"


@dataclass(frozen=True, slots=True)
class Blackout:
    """Days of the plan's zone, the last included."""

    first: date
    last: date
    reason: str

    def __str__(self) -> str:
        days = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"{days}{f' ({self.reason})' if self.reason else ''}"


@dataclass(frozen=True, slots=True)
class PostingPlan:
    """When a channel posts. `min_gap` and `daily_cap` 0: no rule.

    The plan of the channel "" has no slots: its blackouts are for every channel, the rest of it for channels without a
    plan of their own.
    """

    channel: str
    time_zone: str
    slots: tuple[Slot, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    min_gap: timedelta = NONE
    daily_cap: int = 0
    blackouts: tuple[Blackout, ...] = ()
    requires_approval: bool = False

    def local(self, instant: datetime) -> datetime:
        """What the plan's clock shows at an instant, without its zone."""
        return local_at(instant, self.time_zone)

    @property
    def reach(self) -> timedelta:
        """How far from a post others matter to it, and to the times that are named instead; 0: nowhere."""
        if not self.min_gap and not self.daily_cap:
            return NONE
        return 2 * self.min_gap + max(self.min_gap, _LONGEST_DAY if self.daily_cap else NONE)


class SlotRepeated(InvalidArgument):
    """A plan names a weekly slot twice."""


class SlotInQuietHours(InvalidArgument):
    """A slot is at a time at which nothing may go out."""


class SlotsTooClose(InvalidArgument):
    """Two slots are nearer to each other than the plan's own min_gap."""


class SlotsOverCap(InvalidArgument):
    """A day has more slots than the plan's own daily_cap."""


class SlotsWithoutChannel(InvalidArgument):
    """The plan for channels without one of their own has no slots: they would be nobody's."""


class BlackoutInvalid(InvalidArgument):
    """A blackout has a date that is not in the calendar, or ends before it begins."""


class PlanNotFound(NotFound):
    """The channel has no posting plan."""


class NoFreeSlot(FailedPrecondition):
    """Every slot of the next year is taken, or closed by a rule."""


def plan_for(channel: str, plans: Mapping[str, PostingPlan]) -> PostingPlan | None:
    """The plan whose rules a channel's posts keep: its own, else the workspace's ("")."""
    return plans.get(channel) or plans.get("")


_Fault = tuple[type[InvalidArgument], str, str]


def checked(plan: PostingPlan) -> PostingPlan:
    """The plan with its slots in order.

    Raises TimeZoneUnknown, else the class of the first fault that is found; the violations name all fields at fault.
    """
    check_zone(plan.time_zone, "plan.time_zone")
    faults = [*_faults_of_slots(plan), *_too_close(plan)]
    for index, blackout in enumerate(plan.blackouts):
        if blackout.last < blackout.first:
            message = f"It ends on {blackout.last}, before it begins on {blackout.first}. Exchange the two dates."
            faults.append((BlackoutInvalid, f"blackouts[{index}].last_date", message))
    day, most = max(Counter(slot.weekday for slot in plan.slots).items(), key=lambda each: each[1], default=(0, 0))
    if 0 < plan.daily_cap < most:
        message = f"{DAYS[day]} has {most} slots. Raise the cap to {most}, say 0 for no cap, or remove slots."
        faults.append((SlotsOverCap, "daily_cap", message))
    if faults:
        raise _refused(faults)
    return replace(plan, slots=tuple(sorted(plan.slots)))


def _faults_of_slots(plan: PostingPlan) -> Iterator[_Fault]:
    if plan.slots and not plan.channel:
        message = "The plan for channels without one of their own has no slots. Name the channel that they are for."
        yield SlotsWithoutChannel, "slots", message
    seen: dict[Slot, int] = {}
    for index, slot in enumerate(plan.slots):
        field = f"slots[{index}].local_time"
        if slot in seen:
            yield SlotRepeated, field, f"{slot} is slots[{seen[slot]}] already. Name each slot once."
        seen.setdefault(slot, index)
        # Quiet hours know weekdays only: any such day will do, and this one was a Monday.
        day = datetime.combine(date(2024, 1, 1) + slot.weekday * _DAY, slot.local_time)
        for quiet in plan.quiet_hours:
            if quiet.contains(day):
                yield SlotInQuietHours, field, f"{slot} is in the quiet hours {quiet}. Move it, or shorten them."


def _too_close(plan: PostingPlan) -> Iterator[_Fault]:
    starts = sorted((each.since_monday, index) for index, each in enumerate(plan.slots))
    # The week is a circle: after the last slot comes the first.
    around = [*starts, *((at + _WEEK, index) for at, index in starts[:1])]
    for (before, other), (at, index) in pairwise(around):
        if NONE < at - before < plan.min_gap:
            message = (
                f"{plan.slots[index]} is {length(at - before)} after {plan.slots[other]}, and min_gap is"
                f" {length(plan.min_gap)}. Move one of them, or lower min_gap to {length(at - before)}."
            )
            yield SlotsTooClose, f"slots[{index}].local_time", message


def _refused(faults: Sequence[_Fault]) -> InvalidArgument:
    violations = [FieldViolation(f"plan.{field}", message, kind("").reason) for kind, field, message in faults]
    kind, _, message = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return kind(f"{violations[0].field}: {message}{more}", violations)


def slot_instants(plan: PostingPlan, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants of the slots from `start` until before `end`, in order, each once."""
    by_day: dict[int, list[time]] = {}
    for slot in plan.slots:
        by_day.setdefault(slot.weekday, []).append(slot.local_time)
    if not by_day:
        return
    # A day early: where the clock jumps over midnight, a slot of the evening is on the next day.
    day, last = plan.local(start).date() - _DAY, plan.local(end).date()
    waiting: set[datetime] = set()
    while day <= last:
        waiting |= {instant_at(datetime.combine(day, at), plan.time_zone) for at in by_day.get(day.weekday(), ())}
        day += _DAY
        midnight = instant_at(datetime.combine(day, time()), plan.time_zone)
        passed = {instant for instant in waiting if instant < midnight}
        waiting -= passed
        yield from (instant for instant in sorted(passed) if start <= instant < end)
    yield from (instant for instant in sorted(waiting) if start <= instant < end)


def length(span: timedelta) -> str:
    """A span for people: "2 h 30 min"."""
    seconds = round(span.total_seconds())
    parts = (seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
