"""What a channel's posting plan allows, and where its slots are. Pure.

A plan is about wall-clock times of its zone. A slot in a gap of the clock is at the time after it, one that comes twice is
the first of the two. Rules look at the instant of a post and at the other posts of its channel.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from kit.errors import FailedPrecondition, FieldViolation, InvalidArgument, NotFound
from services.scheduler import zones
from services.scheduler.zones import instant_at

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# A queue that is full for so long is no queue.
FARTHEST_SLOT = timedelta(days=366)
_DAY = timedelta(days=1)
_NO_GAP = timedelta(0)


class Rule(enum.Enum):
    """What a post may break. The value is its name everywhere."""

    QUIET_HOURS = "QUIET_HOURS"
    MIN_GAP = "MIN_GAP"
    DAILY_CAP = "DAILY_CAP"
    BLACKOUT = "BLACKOUT"
    DUPLICATE_CAPTION = "DUPLICATE_CAPTION"
    DUPLICATE_MEDIA = "DUPLICATE_MEDIA"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A rule that a post breaks. `other_post_id` None: no other post is in the way, or one that is being saved too."""

    rule: Rule
    field: str
    message: str
    other_post_id: UUID | None = None
    blocking: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A weekly time; Monday is 0."""

    weekday: int
    local_time: time


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


@dataclass(frozen=True, slots=True)
class Blackout:
    """Days of the plan's zone, the last included."""

    first: date
    last: date
    reason: str


@dataclass(frozen=True, slots=True)
class PostingPlan:
    """When a channel posts. `daily_cap` 0 and `min_gap` 0: no rule."""

    channel: str
    time_zone: str
    slots: tuple[Slot, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    min_gap: timedelta = _NO_GAP
    daily_cap: int = 0
    blackouts: tuple[Blackout, ...] = ()
    requires_approval: bool = False

    def local(self, instant: datetime) -> datetime:
        """The plan's clock at an instant, without its zone."""
        return instant.astimezone(ZoneInfo(self.time_zone)).replace(tzinfo=None)


@dataclass(frozen=True, slots=True, order=True)
class Neighbour:
    """Another post of a channel; `post_id` None while it is being saved."""

    instant: datetime
    post_id: UUID | None = None


class PlanInvalid(InvalidArgument):
    """The parts of a plan do not fit together."""


class PlanNotFound(NotFound):
    """The channel has no posting plan."""


class NoFreeSlot(FailedPrecondition):
    """Every slot of the next year is taken, or closed by a rule."""


class ConflictRefused(FailedPrecondition):
    """A post breaks rules of its channel's plan, or about duplicates. The reason is the first rule's name."""

    @classmethod
    def by(cls, conflicts: Sequence[Conflict]) -> ConflictRefused:
        """The refusal for blocking conflicts."""
        more = f" (and {len(conflicts) - 1} more)" if len(conflicts) > 1 else ""
        found = [FieldViolation(each.field, each.message, each.rule.value) for each in conflicts]
        others = {str(each.other_post_id) for each in conflicts if each.other_post_id}
        return cls(
            f"{conflicts[0].message}{more} To save it all the same, accept the conflicts (accept_conflicts).",
            found,
            {"other_post_ids": ",".join(sorted(others))} if others else {},
            code_reason=conflicts[0].rule.value,
        )


def checked(plan: PostingPlan) -> PostingPlan:
    """The plan with its slots in order. Raises PlanInvalid, naming each field at fault and what would be accepted."""
    found: list[tuple[str, str, str]] = []
    if plan.time_zone not in zones.names():
        message = f"{plan.time_zone!r} is not an IANA time zone. Use a name like 'America/New_York'."
        raise _invalid([("time_zone", "TIME_ZONE_UNKNOWN", message)])
    if not plan.channel and plan.slots:
        found.append(("slots", "SLOTS_WITHOUT_CHANNEL", "Slots belong to a channel: give them to a plan with a name."))
    seen: dict[Slot, int] = {}
    for index, slot in enumerate(plan.slots):
        field = f"slots[{index}].local_time"
        named = f"{DAYS[slot.weekday]} {slot.local_time:%H:%M}"
        if slot in seen:
            found.append((field, "SLOT_REPEATED", f"{named} is slots[{seen[slot]}] too. Name each slot once."))
        seen.setdefault(slot, index)
        # Any day with that weekday will do: quiet hours know weekdays only.
        monday = datetime.combine(date(2024, 1, 1) + timedelta(days=slot.weekday), slot.local_time)
        for quiet in plan.quiet_hours:
            if quiet.contains(monday):
                found.append(
                    (
                        field,
                        "SLOT_IN_QUIET_HOURS",
                        f"{named} is in the quiet hours {_span(quiet)}. Move the slot, or shorten the quiet hours.",
                    )
                )
    found += _too_close(plan)
    for index, blackout in enumerate(plan.blackouts):
        if blackout.last < blackout.first:
            message = f"It ends on {blackout.last}, before it begins on {blackout.first}. Exchange the two dates."
            found.append((f"blackouts[{index}].last_date", "BLACKOUT_INVALID", message))
    most = max(Counter(slot.weekday for slot in plan.slots).values(), default=0)
    if plan.daily_cap and most > plan.daily_cap:
        message = f"A day has {most} slots and takes {plan.daily_cap} posts. Raise the cap to {most}, or remove slots."
        found.append(("daily_cap", "SLOTS_OVER_CAP", message))
    if found:
        raise _invalid(found)
    return replace(plan, slots=tuple(sorted(plan.slots)))


def _too_close(plan: PostingPlan) -> list[tuple[str, str, str]]:
    minutes = sorted(
        (slot.weekday * _DAY + timedelta(hours=slot.local_time.hour, minutes=slot.local_time.minute), index)
        for index, slot in enumerate(plan.slots)
    )
    found = []
    # The week is a circle: the first slot follows the last.
    for (at, _), (following, index) in zip(minutes, [*minutes[1:], *minutes[:1]], strict=True):
        apart = (following - at) % (7 * _DAY)
        if _NO_GAP < apart < plan.min_gap:
            message = f"It is {_length(apart)} after the slot before it; min_gap wants {_length(plan.min_gap)}."
            found.append((f"slots[{index}].local_time", "SLOTS_TOO_CLOSE", f"{message} Move one, or lower min_gap."))
    return found


def _invalid(found: Sequence[tuple[str, str, str]]) -> PlanInvalid:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return PlanInvalid(
        f"{found[0][0]}: {found[0][2]}{more}",
        [FieldViolation(f"plan.{field}", message, reason) for field, reason, message in found],
        code_reason=found[0][1],
    )


def plan_for(channel: str, plans: Mapping[str, PostingPlan]) -> PostingPlan | None:
    """The plan whose rules a channel's posts keep: its own, else the workspace's (""), which has no slots."""
    return plans.get(channel) or plans.get("")


def reach(plan: PostingPlan) -> timedelta:
    """How far from a post its neighbours matter: the gap, and the day of its zone, which may have 25 hours."""
    return max(plan.min_gap, timedelta(hours=25) if plan.daily_cap else _NO_GAP)


def broken(
    channel: str, plans: Mapping[str, PostingPlan], instant: datetime, near: Sequence[Neighbour]
) -> list[Conflict]:
    """The rules that a post of the channel breaks at an instant. `near`: the channel's other posts, by time."""
    found = [
        conflict
        for plan in {plans[name].channel: plans[name] for name in (channel, "") if name in plans}.values()
        if (conflict := _blackout(plan, instant))
    ]
    plan = plan_for(channel, plans)
    if plan is None:
        return found
    local = plan.local(instant)
    for quiet in plan.quiet_hours:
        if quiet.contains(local):
            message = (
                f"{local:%Y-%m-%d %H:%M} is in the quiet hours {_span(quiet)} ({plan.time_zone})."
                f" Choose a time before {quiet.start:%H:%M} or from {quiet.end:%H:%M} on."
            )
            found.append(Conflict(Rule.QUIET_HOURS, "local_time", message))
            break
    if plan.min_gap and (conflict := _gap(channel, plan, instant, near)):
        found.append(conflict)
    if plan.daily_cap and (conflict := _cap(channel, plan, local, near)):
        found.append(conflict)
    return found


def _blackout(plan: PostingPlan, instant: datetime) -> Conflict | None:
    if not plan.blackouts:
        return None
    day = plan.local(instant).date()
    for blackout in plan.blackouts:
        if blackout.first <= day <= blackout.last:
            why = f" ({blackout.reason})" if blackout.reason else ""
            days = f"{blackout.first}" if blackout.first == blackout.last else f"{blackout.first} to {blackout.last}"
            message = f"Nothing goes out on {days}{why}. Choose a day before, or from {blackout.last + _DAY} on."
            return Conflict(Rule.BLACKOUT, "local_time", message)
    return None


def _gap(channel: str, plan: PostingPlan, instant: datetime, near: Sequence[Neighbour]) -> Conflict | None:
    first = bisect_right(near, instant - plan.min_gap, key=lambda each: each.instant)
    last = bisect_left(near, instant + plan.min_gap, key=lambda each: each.instant)
    if first >= last:
        return None
    other = min(near[first:last], key=lambda each: abs(each.instant - instant))
    at = plan.local(other.instant)
    message = (
        f"{_named(channel)} already has a post at {at:%Y-%m-%d %H:%M} ({plan.time_zone}), {_length(abs(other.instant - instant))}"
        f" from this one, and its posts are at least {_length(plan.min_gap)} apart. Next to that one it may be at"
        f" {plan.local(other.instant - plan.min_gap):%Y-%m-%d %H:%M} or {plan.local(other.instant + plan.min_gap):%Y-%m-%d %H:%M}."
    )
    return Conflict(Rule.MIN_GAP, "local_time", message, other.post_id)


def _cap(channel: str, plan: PostingPlan, local: datetime, near: Sequence[Neighbour]) -> Conflict | None:
    begin, end = _day_of(plan, local.date())
    first = bisect_left(near, begin, key=lambda each: each.instant)
    last = bisect_left(near, end, key=lambda each: each.instant)
    if last - first < plan.daily_cap:
        return None
    message = (
        f"{_named(channel)} has {last - first} post(s) on {local:%Y-%m-%d} ({plan.time_zone}) and takes"
        f" {plan.daily_cap} a day. Choose another day, or raise the plan's daily_cap."
    )
    return Conflict(Rule.DAILY_CAP, "local_time", message, near[first].post_id)


def _day_of(plan: PostingPlan, day: date) -> tuple[datetime, datetime]:
    midnight = datetime.combine(day, time())
    return instant_at(midnight, plan.time_zone, 0), instant_at(midnight + _DAY, plan.time_zone, 0)


def slot_instants(plan: PostingPlan, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The slots from `start` until before `end`, each as its instant and the plan's clock then, in order and once."""
    by_day: dict[int, list[time]] = {}
    for slot in plan.slots:
        by_day.setdefault(slot.weekday, []).append(slot.local_time)
    if not by_day:
        return
    # A day early: a slot of the evening may be at the next day's instants where the clock jumps over midnight.
    day, last = plan.local(start).date() - _DAY, plan.local(end).date() + _DAY
    before = datetime.min.replace(tzinfo=UTC)
    while day <= last:
        found = sorted(
            {instant_at(datetime.combine(day, each), plan.time_zone, 0) for each in by_day.get(day.weekday(), ())}
        )
        for instant in found:
            if start <= instant < end and instant > before:
                before = instant
                yield instant, plan.local(instant)
        day += _DAY


def next_free_slot(
    plan: PostingPlan,
    plans: Mapping[str, PostingPlan],
    start: datetime,
    end: datetime,
    near: Sequence[Neighbour],
    closed: Counter[Rule],
) -> datetime | None:
    """The first slot from `start` until before `end` with no post in it that breaks no rule. None when there is none.

    Counts in `closed` the rules that close slots without a post.
    """
    taken = {each.instant for each in near}
    for instant, _ in slot_instants(plan, start, end):
        if instant in taken:
            continue
        conflicts = broken(plan.channel, plans, instant, near)
        if not conflicts:
            return instant
        closed.update(conflict.rule for conflict in conflicts)
    return None


def _named(channel: str) -> str:
    return f"The channel {channel}" if channel else "The workspace"


def _span(quiet: QuietHours) -> str:
    days = ", ".join(DAYS[each] for each in sorted(quiet.weekdays))
    return f"{quiet.start:%H:%M} to {quiet.end:%H:%M}{f' on {days}' if days else ''}"


def _length(length: timedelta) -> str:
    seconds = round(length.total_seconds())
    if seconds and seconds % 86400 == 0:
        return f"{seconds // 86400} d"
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    parts = [
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes else "",
        f"{seconds % 60} s" if seconds % 60 else "",
    ]
    return " ".join(part for part in parts if part) or "0 s"
