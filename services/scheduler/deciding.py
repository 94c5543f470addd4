"""What becomes of a delivery: when it is due, when it asks to go out, when its attempt has ended. Pure.

A Fate says where a delivery goes and what people read about it; the stores only write it down.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.scheduler.domain import (
    IN_WORK,
    ChannelRules,
    Delivery,
    DeliveryNotWaiting,
    DeliveryState,
    DueAction,
    Failure,
    FailureKind,
    Hold,
    HoldCause,
    HoldScope,
    LateAction,
    Lateness,
    LeaseLost,
    Policy,
    Schedule,
)
from services.scheduler.zones import instant_at

# Whose holds those of everything and of a platform are.
NOBODY = UUID(int=0)
# A wait that its author should hear of: the post goes out in another hour than planned.
LONG_WAIT = timedelta(hours=1)
# Those that wait for the same moment of a platform come back within this time after it, not all at once.
_LONGEST_SPREAD = timedelta(seconds=10)
# A hold that is just being lifted lets its deliveries be looked at again so soon.
_SOON = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Rules:
    """What applies to one delivery."""

    lateness: Lateness
    max_attempts: int
    max_age: timedelta | None


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a delivery goes. `event` is the kind of the activity ("" for none), and `message` its sentence, kept with
    the delivery as well; `due_time` and `schedule_time` None: unchanged. `counts`: it was a try.
    """

    state: DeliveryState
    event: str = ""
    reason: str = ""
    message: str = ""
    due_time: datetime | None = None
    schedule_time: datetime | None = None
    hold: Hold | None = None
    cause: HoldCause | None = None
    needs_person: bool = False
    counts: bool = False


class Reported(enum.Enum):
    """What a report does to a delivery that it cannot change."""

    KNOWN = "known"  # it says what is known, or what was so before
    LOST = "lost"  # its attempt no longer holds the delivery


def rules_of(own: Lateness | None, channel: str, rules: Mapping[str, ChannelRules], policy: Policy) -> Rules:
    """What applies: the post's own lateness, else its channel's, else the workspace's (""), else 6 h and ASK."""
    chosen = [rules[name] for name in dict.fromkeys((channel, "")) if name in rules]
    lateness = own or next((each.lateness for each in chosen if each.lateness), None) or Lateness()
    attempts = next((each.max_attempts for each in chosen if each.max_attempts), policy.max_attempts)
    age = next((each.max_age_seconds for each in chosen if each.max_age_seconds), None)
    return Rules(lateness, attempts, timedelta(seconds=age) if age else None)


def hold_on(delivery: Delivery, holds: Mapping[tuple[UUID, HoldScope, str], list[Hold]]) -> Hold | None:
    """The first hold that applies, the widest first."""
    if not holds:
        return None
    workspace = delivery.workspace_id
    for key in (
        (NOBODY, HoldScope.EVERYTHING, ""),
        (NOBODY, HoldScope.PLATFORM, delivery.platform),
        (workspace, HoldScope.WORKSPACE, ""),
        (workspace, HoldScope.CHANNEL, delivery.channel),
        (workspace, HoldScope.ACCOUNT, str(delivery.account_id)),
        (workspace, HoldScope.POST, str(delivery.post_id)),
    ):
        if key in holds:
            return holds[key][0]
    return None


def held(hold: Hold) -> Fate:
    """Kept back by a hold."""
    told = {
        HoldCause.PAUSE: "It is paused. It goes on when the pause is lifted.",
        HoldCause.ACCOUNT: "Its account cannot publish. It goes on when the account is connected again.",
        HoldCause.INCIDENT: "The platform is failing. It goes on when the platform works again.",
    }[hold.cause]
    message = f"{told} {hold.reason}".strip()
    return Fate(DeliveryState.HELD, "delivery.held", f"HELD_{hold.cause.value}", message, hold=hold, cause=hold.cause)


def unapproved() -> Fate:
    """Its channel's plan asks for approval, and its post has none."""
    message = "Its post is not approved. It goes out by its lateness rule when somebody approves it."
    return Fate(
        DeliveryState.HELD, "delivery.held", "HELD_APPROVAL", message, cause=HoldCause.APPROVAL, needs_person=True
    )


def on_due(
    delivery: Delivery, hold: Hold | None, rules: Rules, now: datetime, *, is_approved: bool = True
) -> Fate | None:
    """What becomes of a delivery that is due, or asks to go out; None: it may."""
    if hold is not None:
        return held(hold)
    if not is_approved:
        return unapproved()
    if is_too_late(delivery, rules, now):
        return too_late(delivery, rules.lateness)
    return None


def is_too_late(delivery: Delivery, rules: Rules, time: datetime) -> bool:
    """Whether it would go out later than its rule allows."""
    return time - delivery.schedule_time > timedelta(seconds=rules.lateness.max_seconds)


def too_late(delivery: Delivery, lateness: Lateness) -> Fate:
    """What its rule says. A move to the next slot has no times yet: whoever knows the account's plan adds them."""
    late = f"It was to go out at {delivery.schedule_time:%Y-%m-%d %H:%M} UTC and is more than"
    late = f"{late} {_span(lateness.max_seconds)} late."
    match lateness.action:
        case LateAction.ASK:
            message = f"{late} Decide: publish it now, at its next slot, or drop it."
            return Fate(DeliveryState.MISSED, "delivery.missed", "TOO_LATE", message, needs_person=True)
        case LateAction.DROP:
            message = f"{late} It was dropped, as its rule says."
            return Fate(DeliveryState.CANCELED, "delivery.dropped", "TOO_LATE", message)
        case LateAction.NEXT_SLOT:
            return Fate(DeliveryState.SCHEDULED, "delivery.moved", "TOO_LATE", f"{late} It moves to its next slot.")


def released(delivery: Delivery, action: DueAction, rules: Rules, pace: Pace) -> Fate:
    """What becomes of a delivery that was kept back, missed, parked, or late after an outage. Never early."""
    match action:
        case DueAction.BY_RULE:
            if is_too_late(delivery, rules, pace.next_turn(delivery)):
                return too_late(delivery, rules.lateness)
            return Fate(DeliveryState.SCHEDULED, due_time=pace.turn(delivery))
        case DueAction.PUBLISH:
            due = pace.turn(delivery)
            # A new time: nobody calls it late again.
            return Fate(DeliveryState.SCHEDULED, due_time=due, schedule_time=max(due, delivery.schedule_time))
        case DueAction.NEXT_SLOT:
            return Fate(DeliveryState.SCHEDULED, "delivery.moved", "MOVED", "It was moved to its next slot.")
        case DueAction.ASK:
            message = "It was kept back, and waits for a decision: publish it now, at its next slot, or drop it."
            return Fate(DeliveryState.MISSED, "delivery.missed", "ASKED", message, needs_person=True)
        case DueAction.DROP:
            return Fate(DeliveryState.CANCELED, "delivery.dropped", "DROPPED", "It was dropped by a decision.")


class Pace:
    """The turns of late deliveries: those of one account leave `gap_seconds` apart, the first at once."""

    def __init__(self, gap_seconds: float, now: datetime) -> None:
        self._gap = timedelta(seconds=gap_seconds)
        self._now = now
        self._next: dict[UUID, datetime] = {}

    def next_turn(self, delivery: Delivery) -> datetime:
        """When it may leave; not before its own due time."""
        return max(delivery.due_time, self._next.get(delivery.account_id, self._now))

    def turn(self, delivery: Delivery) -> datetime:
        """The same, and the next of its account may leave a gap later."""
        due = self.next_turn(delivery)
        self._next[delivery.account_id] = due + self._gap
        return due


def after_crashes(fate: Fate, delivery: Delivery, policy: Policy, word: str) -> Fate:
    """The fate of a delivery that is known not to be out, by this word: what has ended the worker's process again and
    again is not tried again, but set aside.
    """
    if fate.state is not DeliveryState.SCHEDULED or delivery.crash_count < policy.max_crashes:
        return fate
    message = (
        f"{delivery.crash_count} times in a row its publisher went away without a word while working on it, so it is"
        f" set aside. {word} Read its attempts, and decide: publish it, or drop it."
    )
    return Fate(
        DeliveryState.HELD, "delivery.parked", "WORKER_CRASHED", message, cause=HoldCause.CRASHES, needs_person=True
    )


def next_slot(schedule: Schedule, taken: frozenset[datetime], now: datetime) -> datetime:
    """The post's own wall-clock time on the next day on which its account has nothing at that instant."""
    day = schedule.local_time
    while True:
        day += timedelta(days=1)
        instant = instant_at(day, schedule.time_zone, schedule.fold)
        if instant > now and instant not in taken:
            return instant


def takes_report(delivery: Delivery, attempt: int) -> Reported | None:
    """Whether a report of an attempt, other than that it is published, can change the delivery: None when it can.

    In work an attempt may report acceptance, doubt and failure in any order; see `confirms` and `doubts`.
    """
    if delivery.attempt != attempt:
        return Reported.LOST
    if delivery.state in IN_WORK:
        return None
    # Over, or given back, by a report of the same attempt, or by its author.
    return Reported.LOST if delivery.state is DeliveryState.CANCELED else Reported.KNOWN


def confirms(delivery: Delivery) -> bool:
    """Whether a report of acceptance moves the delivery; after a verdict or a doubt that was settled it is known."""
    return delivery.state in (DeliveryState.CLAIMED, DeliveryState.UNCERTAIN)


def doubts(delivery: Delivery, *, needs_person: bool) -> bool:
    """Whether a report of doubt moves the delivery: the platform's acceptance is never doubted, but for a person."""
    return delivery.state is DeliveryState.CLAIMED or needs_person


def uncertain(message: str, *, needs_person: bool) -> Fate:
    """It may be published."""
    return Fate(DeliveryState.UNCERTAIN, "delivery.uncertain", "OUTCOME_UNKNOWN", message, needs_person=needs_person)


def after_failure(
    failure: Failure,
    delivery: Delivery,
    rules: Rules,
    policy: Policy,
    hold: Hold | None,
    now: datetime,
    chance: float | None = None,
) -> Fate:
    """The fate after a failed attempt.

    TRANSIENT is a try: it waits by chance between 0 and first_seconds, doubled for each further try up to
    longest_seconds (5, 10, 20, 40 s, …), at least half a second, and as long as the platform asked for. It is final at
    max_attempts, or max_age after the schedule time. RATE_LIMITED waits as the platform said and some chance more;
    ACCOUNT and PLATFORM wait for their hold, CHOICE for a person. These are no tries. `chance` is in [0, 1).
    """
    drawn = random.random() if chance is None else chance  # noqa: S311 - spreads load, guards nothing
    match failure.kind:
        case FailureKind.REJECTED:
            text = f"The platform rejected it: {failure.message}"
            return Fate(DeliveryState.REJECTED, "delivery.rejected", failure.reason, text)
        case FailureKind.OUTCOME_UNKNOWN:
            return uncertain(failure.message, needs_person=True)
        case FailureKind.ACCOUNT | FailureKind.PLATFORM:
            if hold is not None:
                return held(hold)
            return _again(failure, now + _SOON * (0.5 + drawn), delivery, now)
        case FailureKind.CHOICE:
            text = f"{failure.message} Change the post, or decide: publish it as it is, or drop it."
            return Fate(
                DeliveryState.HELD, "delivery.parked", failure.reason, text, cause=HoldCause.CHOICE, needs_person=True
            )
        case FailureKind.RATE_LIMITED:
            asked_for = max(failure.retry_time or now, now + timedelta(seconds=0.5))
            spread = min((asked_for - now) * 0.1, _LONGEST_SPREAD) + timedelta(seconds=0.5)
            return _again(failure, asked_for + spread * drawn, delivery, now)
        case FailureKind.TRANSIENT:
            tries = delivery.failed_attempts + 1
            wait = min(policy.first_seconds * 2 ** (tries - 1), policy.longest_seconds) * drawn
            due = max(now + timedelta(seconds=max(0.5, wait)), failure.retry_time or now)
            too_old = rules.max_age is not None and due - delivery.schedule_time > rules.max_age
            if tries < rules.max_attempts and not too_old:
                return _again(failure, due, delivery, now, counts=True)
    return Fate(
        DeliveryState.FAILED, "delivery.failed", failure.reason, f"Not published: {failure.message}", counts=True
    )


def _again(failure: Failure, due: datetime, delivery: Delivery, now: datetime, *, counts: bool = False) -> Fate:
    text = f"Attempt {delivery.attempt} failed: {failure.message} Next attempt at {due:%Y-%m-%d %H:%M:%S} UTC."
    event = "delivery.delayed" if due - now > LONG_WAIT else "delivery.retrying"
    return Fate(DeliveryState.SCHEDULED, event, failure.reason, text, due_time=due, counts=counts)


def given_back(delivery: Delivery) -> Fate:
    """Its publisher is being stopped; nothing was done."""
    return Fate(DeliveryState.SCHEDULED, reason=delivery.failure_reason, message=delivery.failure_message)


def stall_text(holder: str, busy_with: str, *, lease_ended: bool, idle_seconds: float) -> str:
    """Why a claimed delivery does not move on, as far as it is known."""
    since = f"for {_span(round(idle_seconds))}"
    if lease_ended:
        return (
            f"Its publisher {holder} has been silent {since}, and no other has taken it over. Is a publisher running,"
            " and does it reach the scheduler?"
        )
    return f"It has not moved on {since}: its publisher {holder} is still {busy_with or 'at its beginning'}."


def waits_for_decision(delivery: Delivery) -> bool:
    """Whether a person may decide it here."""
    is_kept = delivery.state is DeliveryState.HELD and delivery.hold_cause in (HoldCause.CRASHES, HoldCause.CHOICE)
    return delivery.state is DeliveryState.MISSED or is_kept


def not_waiting(delivery: Delivery) -> DeliveryNotWaiting:
    """The refusal for a delivery that nobody needs to decide."""
    what = {
        DeliveryState.UNCERTAIN: "say at the publisher whether it is published",
        DeliveryState.HELD: "approve its post" if delivery.hold_cause is HoldCause.APPROVAL else "lift its hold",
        DeliveryState.SCHEDULED: "change or cancel its post",
    }.get(delivery.state, "there is nothing to decide")
    return DeliveryNotWaiting(
        f"This delivery is {delivery.state.value} and waits for no decision: {what}.",
        metadata={"delivery_id": str(delivery.delivery_id), "state": delivery.state.value},
    )


def lost_lease(delivery: Delivery, attempt: int) -> LeaseLost:
    """The refusal for an attempt that no longer holds its delivery."""
    return LeaseLost(
        f"Attempt {attempt} no longer holds this delivery: it is {delivery.state.value} at attempt {delivery.attempt}."
        " Stop working on it.",
        metadata={"state": delivery.state.value, "attempt": str(delivery.attempt)},
    )


def _span(seconds: int) -> str:
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds} s"
