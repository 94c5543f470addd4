"""What publishers ask for: claims, grants, reports. Each call is one transaction of a few statements for its batch.

The stores read and write, deciding.py decides; here is the order in which that happens, and what is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from reelroute.notification.v1 import notification_pb2
from sqlalchemy import Connection, RowMapping

from kit.activity import activities, activity_request
from services.scheduler import deciding, dispatch_store, hold_store, store
from services.scheduler.deciding import NOBODY, Fate, Reported, Rules
from services.scheduler.dispatch_store import Held, Picked, Publication
from services.scheduler.domain import (
    Approval,
    Claimed,
    Delivery,
    DeliveryState,
    Failure,
    Policy,
)

Activity = notification_pb2.RecordActivityRequest
# A grant is given no sooner than this before the due time; scheduler.proto.
GRANT_AHEAD_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Accepted:
    """The platform has everything."""

    accept_time: datetime


@dataclass(frozen=True, slots=True)
class Uncertain:
    """It may be published."""

    message: str
    needs_person: bool


@dataclass(frozen=True, slots=True)
class Removed:
    """The platform no longer shows it."""

    remove_time: datetime


@dataclass(frozen=True, slots=True)
class Released:
    """Nothing was done."""


Outcome = Publication | Failure | Accepted | Uncertain | Removed | Released


@dataclass(frozen=True, slots=True)
class Report:
    """What became of an attempt."""

    workspace_id: UUID
    delivery_id: UUID
    attempt: int
    outcome: Outcome


# How soon a suspect is looked at again while another one is being tried.
_SUSPECT_WAIT_SECONDS = 1.0


@dataclass(slots=True)
class Turns:
    """Where a process stands in the turns of the workspaces. `crowded`: the last claim found all that it could take."""

    after: UUID = NOBODY
    crowded: bool = False


def claim(
    tx: Connection,
    policy: Policy,
    turns: Turns,
    *,
    holder: str,
    batch: int,
    lease_seconds: float,
    lead_seconds: float,
    takes_ask_only: bool = True,
) -> list[Claimed]:
    """Hands out at most `batch` deliveries that are due, or whose lease ended, across workspaces; oldest due first.

    What has ended too many processes is handed out to be asked about only, and only to those who can.
    """
    if not hold_store.may_claim(tx):
        return []
    expired = _takable(tx, policy, holder, dispatch_store.pick_expired(tx, batch), takes_ask_only=takes_ask_only)
    picked = [*expired, *_pick_due(tx, turns, batch - len(expired), lead_seconds)]
    if not picked:
        return []
    now = store.database_time(tx)
    fates = _fates(tx, picked, policy, now)
    chosen = [each for each in picked if each.delivery.delivery_id not in fates]
    leased = dispatch_store.claim(tx, [each.delivery.delivery_id for each in chosen], holder, lease_seconds)
    move(tx, [(each.delivery, fates[each.delivery.delivery_id]) for each in picked if each not in chosen], now)
    claimed = [_claimed(each, leased[each.delivery.delivery_id], policy) for each in chosen]
    return sorted(claimed, key=lambda each: each.due_time)


def _pick_due(tx: Connection, turns: Turns, room: int, lead_seconds: float) -> list[Picked]:
    picked: list[Picked] = []
    if turns.crowded and room:
        # Whoever has much due does not keep the others waiting: first some of every workspace, then the oldest.
        fair, turns.after = dispatch_store.pick_in_turns(tx, room, 0.0, max(1, room // 16), turns.after)
        picked += fair
        room -= len(fair)
    if room:
        known = [each.delivery.delivery_id for each in picked]
        due = dispatch_store.pick_due(tx, room, lead_seconds, known)
        picked += due
        room -= len(due)
    turns.crowded = not room
    return picked


def _takable(
    tx: Connection, policy: Policy, holder: str, expired: Sequence[Picked], *, takes_ask_only: bool
) -> list[Picked]:
    """Without those that must wait for their turn, or for another publisher.

    A process that dies takes along everything that it holds, and only one of that may be the cause. So before anything
    is set aside it is tried once more with no other suspect beside it: whoever is innocent gets through.
    """
    last_chance = policy.max_crashes - 2
    suspects = [each for each in expired if each.delivery.crash_count == last_chance]
    is_busy = bool(suspects) and dispatch_store.has_suspect(tx, holder, last_chance + 1)
    waiting = {each.delivery.delivery_id for each in (suspects if is_busy else suspects[1:])}
    if not takes_ask_only:
        waiting |= {each.delivery.delivery_id for each in expired if _ask_only(each, policy)}
    if waiting:
        dispatch_store.postpone(tx, list(waiting), _SUSPECT_WAIT_SECONDS)
    return [each for each in expired if each.delivery.delivery_id not in waiting]


def _ask_only(picked: Picked, policy: Policy) -> bool:
    """Whether this claim counts the crash that is one too many."""
    return picked.expired and picked.delivery.crash_count + 1 >= policy.max_crashes


def _fates(tx: Connection, picked: Sequence[Picked], policy: Policy, now: datetime) -> dict[UUID, Fate]:
    """Of those that are not handed out."""
    holds = hold_store.holds_on(tx, (each.delivery for each in picked))
    posts = {each.delivery.post_id: each.post for each in picked}
    rules = rules_of(tx, [each.delivery for each in picked], policy, posts)
    fates: dict[UUID, Fate] = {}
    for each in picked:
        delivery = each.delivery
        if each.expired:
            # Its ledger must be asked, whatever holds it or however late it is; it goes out with a grant only.
            continue
        fate = deciding.on_due(
            delivery,
            deciding.hold_on(delivery, holds),
            rules[delivery.delivery_id],
            now,
            is_approved=each.post["approval"] != Approval.PENDING.value,
        )
        if fate is not None:
            fates[delivery.delivery_id] = fate
    return fates


def rules_of(
    tx: Connection, waiting: Sequence[Delivery], policy: Policy, posts: Mapping[UUID, RowMapping] | None = None
) -> dict[UUID, Rules]:
    """What applies to each delivery. `posts`: the rows of their posts, where they are at hand."""
    if posts is None:
        posts = dispatch_store.read_posts(tx, [each.post_id for each in waiting])
    rules = hold_store.rules_by_workspace(tx, (each.workspace_id for each in waiting))
    return {
        each.delivery_id: deciding.rules_of(
            store.lateness_of(posts[each.post_id]), each.channel, rules.get(each.workspace_id, {}), policy
        )
        for each in waiting
    }


def _claimed(picked: Picked, leased: dispatch_store.Leased, policy: Policy) -> Claimed:
    delivery, post = picked.delivery, picked.post
    return Claimed(
        workspace_id=delivery.workspace_id,
        delivery_id=delivery.delivery_id,
        post_id=delivery.post_id,
        account_id=delivery.account_id,
        attempt=leased.attempt,
        due_time=delivery.due_time,
        lease_expire_time=leased.lease_expire_time,
        caption=post["caption"],
        media=store.media_of(post["media"]),
        options=post["options"],
        etag=f"r{post['revision']}",
        authorized=leased.authorized,
        planned_time=post["schedule_time"],
        ask_only=_ask_only(picked, policy),
    )


def move(
    tx: Connection, fates: Sequence[tuple[Delivery, Fate]], now: datetime, outage_id: UUID | None = None
) -> list[tuple[Delivery, Fate]]:
    """Moves deliveries to their fates and tells it. Those that move to a next slot get its times. Returns all."""
    if not fates:
        return []
    moving = [(each, fate) for each, fate in fates if fate.event == "delivery.moved" and fate.due_time is None]
    if moving:
        slots = _slots(tx, [each for each, _ in moving], now)
        fates = [(each, _at_slot(fate, slots.get(each.delivery_id))) for each, fate in fates]
    dispatch_store.settle(tx, [(each.delivery_id, fate) for each, fate in fates], outage_id)
    tell(tx, [_told(each, fate, now) for each, fate in fates if fate.event])
    return list(fates)


def _slots(tx: Connection, moving: Sequence[Delivery], now: datetime) -> dict[UUID, datetime]:
    posts = dispatch_store.read_posts(tx, [each.post_id for each in moving])
    taken = dispatch_store.taken_instants(tx, ((each.workspace_id, each.account_id) for each in moving), now)
    slots: dict[UUID, datetime] = {}
    for each in moving:
        schedule = store.schedule_of(posts[each.post_id])
        slots[each.delivery_id] = deciding.next_slot(schedule, frozenset(taken[each.account_id]), now)
        taken[each.account_id].add(slots[each.delivery_id])
    return slots


def _at_slot(fate: Fate, slot: datetime | None) -> Fate:
    if slot is None:
        return fate
    message = f"{fate.message} It goes out at {slot:%Y-%m-%d %H:%M} UTC."
    return replace(fate, due_time=slot, schedule_time=slot, message=message)


def authorize(tx: Connection, policy: Policy, asked: Sequence[Held], lease_seconds: float) -> list[bool | None]:
    """For each: True, it may go out now; False, it was taken back; None, its attempt no longer holds it."""
    hold_store.wait_until_may_leave(tx)
    now = store.database_time(tx)
    found = dispatch_store.read_waiting(tx, [each.delivery_id for each in asked], lock=True)
    held = {}
    for each in asked:
        delivery = found.get(each.delivery_id)
        if delivery is None or delivery.state is not DeliveryState.CLAIMED:
            continue
        if (delivery.workspace_id, delivery.attempt) == (each.workspace_id, each.attempt):
            held[each.delivery_id] = delivery
    fates = _refusals(tx, policy, list(held.values()), now)
    move(tx, [(held[each], fate) for each, fate in fates.items()], now)
    granted = dispatch_store.grant(tx, [each for each in held if each not in fates], lease_seconds)
    return [True if each.delivery_id in granted else False if each.delivery_id in fates else None for each in asked]


def _refusals(tx: Connection, policy: Policy, held: Sequence[Delivery], now: datetime) -> dict[UUID, Fate]:
    holds = hold_store.holds_on(tx, held)
    # Only what is late needs its rules; mostly nothing is.
    rules = rules_of(tx, [each for each in held if each.schedule_time < now], policy)
    fates = {}
    for each in held:
        mine = rules.get(each.delivery_id) or deciding.rules_of(None, each.channel, {}, policy)
        fate = deciding.on_due(each, deciding.hold_on(each, holds), mine, now)
        if fate is not None:
            fates[each.delivery_id] = fate
        elif (each.due_time - now).total_seconds() > GRANT_AHEAD_SECONDS:
            fates[each.delivery_id] = deciding.given_back(each)
    return fates


# A claim that has not moved on for so long, or whose lease ended so long ago, is told; together with the rounds of the
# watch that is within two minutes.
_IDLE_SECONDS = 90.0
_UNCLAIMED_SECONDS = 30.0
_STALLED_AT_ONCE = 500


def tell_stalled(tx: Connection) -> None:
    """Tells of claims that do not move on, each once, with what is known of the cause."""
    now = store.database_time(tx)
    stalled = dispatch_store.take_stalled(tx, now, _IDLE_SECONDS, _UNCLAIMED_SECONDS, _STALLED_AT_ONCE)
    tell(
        tx,
        [
            activity_on(
                each.delivery,
                "delivery.stalled",
                deciding.stall_text(
                    each.holder, each.busy_with, lease_ended=each.lease_ended, idle_seconds=each.idle_seconds
                ),
                now,
                holder=each.holder,
                busy_with=each.busy_with,
            )
            for each in stalled
        ],
    )


def report(tx: Connection, policy: Policy, reports: Sequence[Report]) -> list[Delivery | bool | None]:
    """Takes reports. For each: True, it was taken or is known; the delivery as it stands, its attempt has lost it;
    None, there is no such delivery.
    """
    now = store.database_time(tx)
    done: dict[int, bool] = {}
    told: list[Activity] = []
    published = [(at, each, each.outcome) for at, each in enumerate(reports) if isinstance(each.outcome, Publication)]
    if published:
        moved = dispatch_store.publish(tx, [outcome for _, _, outcome in published])
        for at, each, outcome in published:
            # The same report may come twice in a batch: the second says what is known.
            if (owner := moved.pop(each.delivery_id, None)) is not None:
                done[at] = True
                told.append(_published(each, outcome, *owner))
    rest = [(at, each) for at, each in enumerate(reports) if at not in done]
    answers: dict[int, Delivery | bool | None] = dict(done)
    if rest:
        answers |= _report_rest(tx, policy, rest, now, told)
    tell(tx, told)
    return [answers[at] for at in range(len(reports))]


def _report_rest(
    tx: Connection, policy: Policy, rest: Sequence[tuple[int, Report]], now: datetime, told: list[Activity]
) -> dict[int, Delivery | bool | None]:
    ids = [each.delivery_id for _, each in rest]
    waiting = dispatch_store.read_waiting(tx, ids, lock=True)
    over = dispatch_store.read_finished(tx, [each for each in ids if each not in waiting])
    answers: dict[int, Delivery | bool | None] = {}
    confirmed: list[UUID] = []
    removed: dict[UUID, datetime] = {}
    ended: list[tuple[Delivery, Report]] = []
    for at, each in rest:
        delivery = waiting.get(each.delivery_id) or over.get(each.delivery_id)
        if delivery is None or delivery.workspace_id != each.workspace_id:
            answers[at] = None
            continue
        if isinstance(each.outcome, Removed) and delivery.attempt == each.attempt:
            removed[each.delivery_id] = each.outcome.remove_time
            answers[at] = True
            continue
        verdict = deciding.takes_report(delivery, each.attempt)
        answers[at] = delivery if verdict is Reported.LOST else True
        if verdict is not None:
            continue
        match each.outcome:
            case Accepted(accept_time=time):
                if deciding.confirms(delivery):
                    confirmed.append(each.delivery_id)
                    text = "The platform has everything; its verdict is awaited."
                    told.append(activity_on(delivery, "delivery.confirming", text, time))
            case Publication():
                raise AssertionError("a report of what is in work was taken by the statement that publishes")
            case _:
                ended.append((delivery, each))
        # A second report about it in this batch finds it as the first has left it.
        if each.delivery_id in waiting and isinstance(each.outcome, Accepted):
            waiting[each.delivery_id] = replace(delivery, state=DeliveryState.CONFIRMING)
    if confirmed:
        dispatch_store.confirm(tx, confirmed)
    gone = dispatch_store.remove(tx, removed) if removed else set()
    told += [
        activity_on(over[each], "delivery.removed", "The platform no longer shows it.", removed[each])
        for each in gone
        if each in over
    ]
    move(tx, _ended(tx, policy, ended, now), now)
    return answers


def _ended(
    tx: Connection, policy: Policy, ended: Sequence[tuple[Delivery, Report]], now: datetime
) -> list[tuple[Delivery, Fate]]:
    """The fates of attempts that ended without a publication."""
    holds = hold_store.holds_on(tx, [each for each, _ in ended]) if ended else {}
    rules = rules_of(tx, [each for each, report in ended if isinstance(report.outcome, Failure)], policy)
    fates: dict[UUID, tuple[Delivery, Fate]] = {}
    for delivery, each in ended:
        match each.outcome:
            case Failure() as failure:
                hold = deciding.hold_on(delivery, holds)
                fate = deciding.after_failure(failure, delivery, rules[delivery.delivery_id], policy, hold, now)
                fate = deciding.after_crashes(fate, delivery, policy, failure.message)
            case Uncertain(message=message, needs_person=needs_person):
                if not deciding.doubts(delivery, needs_person=needs_person):
                    continue
                fate = deciding.uncertain(message, needs_person=needs_person)
            case _:
                fate = deciding.given_back(delivery)
                fate = deciding.after_crashes(fate, delivery, policy, "Nothing of it was sent.")
        fates[delivery.delivery_id] = (delivery, fate)
    return list(fates.values())


def tell(tx: Connection, told: Sequence[Activity]) -> None:
    """Activities of a batch, in one outbox row."""
    if told:
        store.tell(tx, activities(told))


def activity_on(delivery: Delivery, kind: str, summary: str, time: datetime, **attributes: str) -> Activity:
    """Something that happened to a delivery."""
    return activity_request(
        delivery.workspace_id,
        kind,
        summary,
        time,
        post_id=delivery.post_id,
        delivery_id=delivery.delivery_id,
        account_id=delivery.account_id,
        attributes=attributes,
    )


def _told(delivery: Delivery, fate: Fate, now: datetime) -> Activity:
    person = {"needs_person": "true"} if fate.needs_person else {}
    return activity_on(delivery, fate.event, fate.message or fate.event, now, reason=fate.reason, **person)


def _published(each: Report, outcome: Publication, post_id: UUID, account_id: UUID) -> Activity:
    visibility = outcome.visibility.value.lower()
    return activity_request(
        each.workspace_id,
        "delivery.published",
        f"Published ({visibility})" + (f": {outcome.url}" if outcome.url else "."),
        outcome.publish_time,
        post_id=post_id,
        delivery_id=each.delivery_id,
        account_id=account_id,
        attributes={
            "url": outcome.url,
            "platform_post_id": outcome.platform_post_id,
            "visibility": visibility,
        },
    )
