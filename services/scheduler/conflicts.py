"""What the rules of a channel's posting plan say of one more post. Pure."""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from kit.errors import FailedPrecondition, FieldViolation
from services.scheduler.planning import NONE, Blackout, PostingPlan, QuietHours, length, plan_for

_DAY = timedelta(days=1)
# Times that a refusal looks at before it names none.
_SUGGESTIONS_TRIED = 8


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
    """A rule that a post breaks. `field` is a path in PostDraft; `other_post_id` None: no other post is in the way, or
    one that is being saved too.
    """

    rule: Rule
    field: str
    message: str
    other_post_id: UUID | None = None
    blocking: bool = True


class ConflictRefused(FailedPrecondition):
    """The post breaks rules of its channel's plan, or about duplicates. Its reason is the first rule: QUIET_HOURS,
    MIN_GAP, DAILY_CAP, BLACKOUT, DUPLICATE_CAPTION or DUPLICATE_MEDIA.
    """

    @classmethod
    def by(cls, conflicts: Sequence[Conflict]) -> ConflictRefused:
        """The refusal for blocking conflicts."""
        more = f" (and {len(conflicts) - 1} more)" if len(conflicts) > 1 else ""
        others = dict.fromkeys(str(each.other_post_id) for each in conflicts if each.other_post_id)
        return cls(
            f"{conflicts[0].message}{more} To have it all the same, say accept_conflicts.",
            [FieldViolation(each.field, each.message, each.rule.value) for each in conflicts],
            {"other_post_ids": ",".join(others)} if others else {},
            code_reason=conflicts[0].rule.value,
        )


class Calendar:
    """When a channel's posts go out, and what its rules say of one more. Grows with each post that is added.

    `near` are the posts around the instants that will be asked about, as far as the plan's reach; times before
    `earliest` are not named to anybody.
    """

    def __init__(
        self,
        channel: str,
        plans: Mapping[str, PostingPlan],
        near: Sequence[tuple[datetime, UUID]],
        earliest: datetime,
    ) -> None:
        self.channel = channel
        self.plan = plan_for(channel, plans)
        self._closing = {plans[name].channel: plans[name] for name in (channel, "") if name in plans}.values()
        self._earliest = earliest
        self._instants: list[datetime] = []
        self._post_ids: list[UUID | None] = []
        self._by_day: Counter[date] = Counter()
        self._closed: dict[tuple[str, date], Blackout | None] = {}
        for instant, post_id in sorted(near, key=lambda each: each[0]):
            self._append(len(self._instants), instant, post_id)

    def add(self, instant: datetime, post_id: UUID | None = None) -> None:
        """A post that is being saved; None: it has no id yet."""
        self._append(bisect_right(self._instants, instant), instant, post_id)

    def remove(self, instant: datetime, post_id: UUID) -> None:
        """A post that goes elsewhere, if it is here."""
        for place in range(bisect_left(self._instants, instant), bisect_right(self._instants, instant)):
            if self._post_ids[place] == post_id:
                del self._instants[place], self._post_ids[place]
                if self.plan is not None and self.plan.daily_cap:
                    self._by_day[self.plan.local(instant).date()] -= 1
                return

    def _append(self, place: int, instant: datetime, post_id: UUID | None) -> None:
        self._instants.insert(place, instant)
        self._post_ids.insert(place, post_id)
        if self.plan is not None and self.plan.daily_cap:
            self._by_day[self.plan.local(instant).date()] += 1

    def post_at(self, instant: datetime) -> UUID | None:
        """The post that is at exactly that instant."""
        place = bisect_left(self._instants, instant)
        is_there = place < len(self._instants) and self._instants[place] == instant
        return self._post_ids[place] if is_there else None

    def fits(self, instant: datetime) -> bool:
        """Whether one more post breaks no rule then."""
        if self._blackout(instant) is not None:
            return False
        plan = self.plan
        if plan is None:
            return True
        local = plan.local(instant)
        return _quiet(plan, local) is None and self._too_near(instant) is None and not self._is_full(local.date())

    def conflicts(self, instant: datetime) -> list[Conflict]:
        """The rules that one more post breaks then."""
        found = []
        if closed := self._blackout(instant):
            found.append(_closed(*closed))
        plan = self.plan
        if plan is None:
            return found
        local = plan.local(instant)
        if quiet := _quiet(plan, local):
            message = (
                f"{_clock(local)} is in the quiet hours {quiet} ({plan.time_zone})."
                f" Choose a time before {quiet.start:%H:%M}, or from {quiet.end:%H:%M} on."
            )
            found.append(Conflict(Rule.QUIET_HOURS, "local_time", message))
        place = self._too_near(instant)
        if place is not None:
            found.append(self._crowded(plan, instant, place))
        if self._is_full(local.date()):
            message = (
                f"{_named(self.channel)}: at most {plan.daily_cap} post(s) a day, and {local:%Y-%m-%d}"
                f" ({plan.time_zone}) has {self._by_day[local.date()]}. Choose another day, or raise the plan's"
                " daily_cap."
            )
            found.append(Conflict(Rule.DAILY_CAP, "local_time", message))
        return found

    def _blackout(self, instant: datetime) -> tuple[Blackout, PostingPlan] | None:
        for plan in self._closing:
            if plan.blackouts:
                day = plan.local(instant).date()
                key = (plan.channel, day)
                if key not in self._closed:
                    self._closed[key] = next((each for each in plan.blackouts if each.first <= day <= each.last), None)
                if blackout := self._closed[key]:
                    return blackout, plan
        return None

    def _too_near(self, instant: datetime) -> int | None:
        """The place of the nearest post that is nearer than the gap."""
        gap = self.plan.min_gap if self.plan else NONE
        if not gap:
            return None
        place = bisect_left(self._instants, instant)
        beside = [at for at in (place - 1, place) if 0 <= at < len(self._instants)]
        nearest = min(beside, key=lambda at: abs(self._instants[at] - instant), default=None)
        return nearest if nearest is not None and abs(self._instants[nearest] - instant) < gap else None

    def _is_full(self, day: date) -> bool:
        return self.plan is not None and 0 < self.plan.daily_cap <= self._by_day[day]

    def _crowded(self, plan: PostingPlan, instant: datetime, place: int) -> Conflict:
        other = self._instants[place]
        first = bisect_left(self._instants, instant - plan.min_gap)
        last = bisect_right(self._instants, instant + plan.min_gap)
        ends = {at + way for at in self._instants[first:last] for way in (plan.min_gap, -plan.min_gap)}
        nearest = sorted((at for at in ends if at >= self._earliest), key=lambda at: abs(at - instant))
        free = sorted([at for at in nearest[:_SUGGESTIONS_TRIED] if self.fits(at)][:2])
        accepted = (
            f"The nearest free time(s): {', '.join(_clock(plan.local(at)) for at in free)}."
            if free
            else "Choose a time further away."
        )
        message = (
            f"{_named(self.channel)}: posts are at least {length(plan.min_gap)} apart, and there is one at"
            f" {_clock(plan.local(other))} ({plan.time_zone}). {accepted}"
        )
        return Conflict(Rule.MIN_GAP, "local_time", message, self._post_ids[place])


def _quiet(plan: PostingPlan, local: datetime) -> QuietHours | None:
    for quiet in plan.quiet_hours:
        if quiet.contains(local):
            return quiet
    return None


def _closed(blackout: Blackout, plan: PostingPlan) -> Conflict:
    after = f", or from {blackout.last + _DAY} on" if blackout.last < date.max else ""
    message = f"Nothing goes out on {blackout} ({plan.time_zone}). Choose a day before{after}."
    return Conflict(Rule.BLACKOUT, "local_time", message)


def _named(channel: str) -> str:
    return f"Channel {channel}" if channel else "Posts without a channel"


def _clock(local: datetime) -> str:
    return f"{local:%Y-%m-%d %H:%M:%S}" if local.second else f"{local:%Y-%m-%d %H:%M}"
