"""Holds are placed and lifted, and what waits for a decision is decided. The caller owns the transactions.

A lifted hold stays, marked, until all that it has kept back is given back in chunks: whoever dies in between leaves it
to the next, and nothing is kept back by a hold that is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from kit.activity import activity_request
from kit.db import ALL_WORKSPACES, Database
from services.scheduler import deciding, dispatch, dispatch_store, hold_store, store
from services.scheduler.deciding import Pace
from services.scheduler.domain import (
    Delivery,
    DeliveryNotFound,
    DeliveryNotWaiting,
    DueAction,
    DueActionRequired,
    Hold,
    HoldCause,
    HoldScope,
    Policy,
)

_CHUNK = 2000


def place(
    tx: Connection, workspace_id: UUID, scope: HoldScope, target: str, cause: HoldCause, reason: str
) -> tuple[Hold, int]:
    """Places a hold, or finds the one that is there; and how many deliveries it keeps back. From the commit on no grant
    is made against it; those made before end within their 500 ms.
    """
    hold_store.let_nothing_leave(tx)
    hold, is_new = hold_store.place_hold(tx, workspace_id, scope, target, cause, reason)
    if is_new:
        text = f"{_subject(hold)}: nothing more of it goes out. {reason}".strip()
        _tell(tx, hold, "hold.placed", text, hold.create_time)
    return hold, hold_store.count_held(tx, [hold.hold_id]).get(hold.hold_id, 0)


def begin_lift(tx: Connection, hold: Hold, action: DueAction | None) -> int:
    """From the commit on nothing is kept back by the hold; `give_back` does the rest. Returns how many it has kept.

    Raises DueActionRequired when there are some and nobody said what becomes of them.
    """
    kept = hold_store.count_held(tx, [hold.hold_id]).get(hold.hold_id, 0)
    if kept and action is None:
        raise DueActionRequired(
            f"{_became_due(kept)} meanwhile. Say what becomes of them: by their lateness rule (BY_RULE),"
            " publish all of them (PUBLISH), move each to its next slot (NEXT_SLOT), ask for each (ASK), or drop them"
            " (DROP).",
            metadata={"held_deliveries": str(kept)},
        )
    hold_store.begin_lift(tx, hold.hold_id, action or DueAction.BY_RULE)
    text = f"{_subject(hold)} no longer. {_became_due(kept)} meanwhile."
    _tell(tx, hold, "hold.lifted", text, store.database_time(tx), held_deliveries=str(kept))
    return kept


def give_back(database: Database, policy: Policy) -> None:
    """Works off every lifted hold: what it has kept back goes where its lifter said, those of one account in pace."""
    pace: Pace | None = None
    worked_on: UUID | None = None
    while True:
        with database.transaction(ALL_WORKSPACES) as tx:
            hold = hold_store.take_lifted(tx)
            if hold is None:
                return
            now = store.database_time(tx)
            if pace is None or worked_on != hold.hold_id:
                pace, worked_on = Pace(policy.catch_up_gap_seconds, now), hold.hold_id
            kept = hold_store.take_held(tx, hold.hold_id, _CHUNK)
            release(tx, policy, kept, hold.lift_action or DueAction.BY_RULE, pace, now)
            if len(kept) < _CHUNK:
                hold_store.delete_hold(tx, hold.hold_id)


def decide(
    tx: Connection, policy: Policy, workspace_id: UUID, delivery_ids: Sequence[UUID], action: DueAction
) -> dict[UUID, Delivery | DeliveryNotWaiting | DeliveryNotFound]:
    """Decides deliveries that wait for a person. Each as it stands afterwards, or why it was not decided."""
    now = store.database_time(tx)
    found = dispatch_store.read_waiting(tx, delivery_ids, lock=True)
    mine = {each: delivery for each, delivery in found.items() if delivery.workspace_id == workspace_id}
    waiting = sorted(
        (each for each in mine.values() if deciding.waits_for_decision(each)),
        key=lambda each: (each.schedule_time, each.delivery_id),
    )
    release(tx, policy, waiting, action, Pace(policy.catch_up_gap_seconds, now), now)
    after = dispatch_store.read_waiting(tx, delivery_ids, lock=False)
    after |= dispatch_store.read_finished(tx, [each for each in delivery_ids if each not in after])
    decided = {each.delivery_id for each in waiting}
    results: dict[UUID, Delivery | DeliveryNotWaiting | DeliveryNotFound] = {}
    for each in delivery_ids:
        if each not in after or after[each].workspace_id != workspace_id:
            results[each] = DeliveryNotFound("There is no delivery with this id in the workspace.")
        elif each in decided:
            results[each] = after[each]
        else:
            results[each] = deciding.not_waiting(after[each])
    return results


def release(
    tx: Connection, policy: Policy, kept: Sequence[Delivery], action: DueAction, pace: Pace, now: datetime
) -> None:
    """Lets deliveries go where the action says, those of one account in pace. The caller has locked them."""
    rules = dispatch.rules_of(tx, kept, policy)
    fates = [(each, deciding.released(each, action, rules[each.delivery_id], pace)) for each in kept]
    dispatch.move(tx, fates, now)


def _became_due(count: int) -> str:
    return f"{count or 'No'} {'delivery' if count == 1 else 'deliveries'} became due"


def _subject(hold: Hold) -> str:
    name = {
        HoldScope.EVERYTHING: "Everything",
        HoldScope.PLATFORM: f"The platform {hold.target}",
        HoldScope.WORKSPACE: "The workspace",
        HoldScope.CHANNEL: f"The channel {hold.target}",
        HoldScope.ACCOUNT: "The account",
        HoldScope.POST: "The post",
    }[hold.scope]
    how = "is paused" if hold.cause is HoldCause.PAUSE else "is held back"
    return f"{name} {how}"


def _tell(tx: Connection, hold: Hold, kind: str, text: str, time: datetime, **attributes: str) -> None:
    dispatch.tell(
        tx,
        [
            activity_request(
                hold.workspace_id,
                kind,
                text,
                time,
                post_id=UUID(hold.target) if hold.scope is HoldScope.POST else None,
                account_id=UUID(hold.target) if hold.scope is HoldScope.ACCOUNT else None,
                attributes={
                    "hold_id": str(hold.hold_id),
                    "scope": hold.scope.value,
                    "target": hold.target,
                    "cause": hold.cause.value,
                    **attributes,
                },
            )
        ],
    )
