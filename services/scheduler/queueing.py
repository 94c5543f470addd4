"""The slots of a channel as they stand, and the queue, which takes the next free one. The caller owns the
transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from services.scheduler import plan_store
from services.scheduler.conflicts import Calendar, Conflict
from services.scheduler.domain import Draft, Schedule
from services.scheduler.duplicates import DuplicateAction, Duplicates, compared_of, widest_window
from services.scheduler.planning import NoFreeSlot, PlanNotFound, PostingPlan, slot_instants
from services.scheduler.zones import FARTHEST

# A queue that is full for so long is no queue.
LONGEST_QUEUE = timedelta(days=366)
# Slots are looked at a stretch at a time, each twice as long as the one before: the next free one is mostly near.
_FIRST_STRETCH, _LONGEST_STRETCH = timedelta(days=7), timedelta(days=56)
Plans = Mapping[str, PostingPlan]


@dataclass(frozen=True, slots=True)
class SlotState:
    """One occurrence of a slot: the post that is there, or the rules that close it, or neither: it is free."""

    instant: datetime
    post_id: UUID | None
    conflicts: Sequence[Conflict]

    @property
    def is_free(self) -> bool:
        """Whether the queue may take it."""
        return self.post_id is None and not self.conflicts


def read_plan(tx: Connection, workspace_id: UUID, channel: str) -> tuple[PostingPlan, Plans]:
    """The plan of a channel, and with it those that its posts are judged by. Raises PlanNotFound."""
    plans = plan_store.read_plans(tx, workspace_id, [channel, ""])
    if channel not in plans:
        raise PlanNotFound(
            f"The channel {channel!r} has no posting plan. Set one, with its time zone and slots.",
            metadata={"channel": channel},
        )
    return plans[channel], plans


def slots(
    tx: Connection, workspace_id: UUID, plan: PostingPlan, plans: Plans, start: datetime, end: datetime, now: datetime
) -> Iterator[SlotState]:
    """The slots of a plan from `start` until before `end`, in order. Reads the posts around as it goes."""
    stretch = _FIRST_STRETCH
    while start < end:
        until = min(start + stretch, end)
        span = (start - plan.reach, until + plan.reach)
        near = plan_store.posts_in_channels(tx, workspace_id, [plan.channel], [span])
        calendar = Calendar(plan.channel, plans, near.get(plan.channel, ()), now)
        for instant in slot_instants(plan, start, until):
            post_id = calendar.post_at(instant)
            yield SlotState(instant, post_id, () if post_id else calendar.conflicts(instant))
        start, stretch = until, min(2 * stretch, _LONGEST_STRETCH)


def next_slot(tx: Connection, workspace_id: UUID, draft: Draft, start: datetime, now: datetime) -> Schedule:
    """The next free slot of the draft's channel from `start` on, for this transaction alone; its own schedule is not
    read. A slot at which a rule about duplicates would refuse the post is none for it.

    Raises PlanNotFound, and NoFreeSlot when there is none within a year.
    """
    plan_store.keep_rules(tx, workspace_id)
    plan, plans = read_plan(tx, workspace_id, draft.channel)
    plan_store.lock_plans(tx, workspace_id, [plan.channel])
    end = min(start + LONGEST_QUEUE, now + FARTHEST)
    refused = _Refused(tx, workspace_id, draft)
    closed: Counter[str] = Counter()
    taken = 0
    for slot in slots(tx, workspace_id, plan, plans, start, end, now):
        conflicts = slot.conflicts or ([] if slot.post_id else refused.at(slot.instant))
        if slot.is_free and not conflicts:
            return Schedule(plan.local(slot.instant), plan.time_zone, 0, slot.instant)
        closed.update(each.rule.value for each in conflicts[:1])
        taken += slot.post_id is not None
    raise _none_free(plan, end, taken, closed)


class _Refused:
    """Where rules about duplicates refuse a draft. The posts around are read as it is asked, by stretches of time."""

    def __init__(self, tx: Connection, workspace_id: UUID, draft: Draft) -> None:
        self._tx, self._workspace_id, self._draft = tx, workspace_id, draft
        self._rules = plan_store.take_rules(tx, workspace_id, [draft.channel])
        refuses = any(each.action is DuplicateAction.REFUSE for each in self._rules.values())
        self._is_asked = refuses and not draft.accept_conflicts
        self._until: datetime | None = None
        self._duplicates = Duplicates(self._rules)

    def at(self, instant: datetime) -> list[Conflict]:
        if not self._is_asked:
            return []
        post = compared_of(self._draft, instant)
        if self._until is None or instant >= self._until:
            self._until = instant + _FIRST_STRETCH
            window = widest_window(self._rules)
            span = (instant - window, self._until + window)
            self._duplicates = Duplicates(self._rules)
            for each in plan_store.posts_to_compare(self._tx, self._workspace_id, [post.channel], [span], [post]):
                self._duplicates.add(each)
        return [each for each in (*self._duplicates.captions(post), *self._duplicates.files(post)) if each.blocking]


def _none_free(plan: PostingPlan, end: datetime, taken: int, closed: Counter[str]) -> NoFreeSlot:
    if not plan.slots:
        text = f"The plan of the channel {plan.channel} has no slots. Add some, or give the post a time of its own."
        return NoFreeSlot(text, metadata={"channel": plan.channel})
    counts = [f"{taken} taken"] if taken else []
    counts += [f"{number} closed by {rule}" for rule, number in closed.most_common()]
    return NoFreeSlot(
        f"No slot of the channel {plan.channel} is free before {end:%Y-%m-%d}: {', '.join(counts)}. Add slots, change"
        " the rule, or give the post a time of its own.",
        metadata={"channel": plan.channel, "taken": str(taken), **{rule: str(n) for rule, n in closed.items()}},
    )
