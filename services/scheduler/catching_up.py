"""After a time in which no publisher asked for work: what was to go out meanwhile leaves in pace or is decided, each
delivery by its lateness rule, and one report says what becomes of all of them.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from kit.activity import activity_request
from services.scheduler import deciding, dispatch, hold_store
from services.scheduler.deciding import Fate, Pace
from services.scheduler.domain import DeliveryState, DueAction, Outage, Policy

_CHUNK = 5000


def note_asked(tx: Connection, policy: Policy) -> None:
    """A publisher asks for work. When none has for too long, what was delayed meanwhile is planned before anything of
    it is claimed: in the transaction of this claim, which lets no other claim through before its end.
    """
    noted = hold_store.note_asked(tx)
    if noted is not None:
        last_asked, now = noted
        if (now - last_asked).total_seconds() > policy.outage_seconds:
            _plan(tx, policy, last_asked, now)


def _plan(tx: Connection, policy: Policy, last_asked: datetime, now: datetime) -> None:
    hold_store.let_nothing_leave(tx)
    outage: Outage | None = None
    pace = Pace(policy.catch_up_gap_seconds, now)
    counts: dict[UUID, Counter[str]] = {}
    while True:
        overdue = hold_store.take_overdue(tx, _CHUNK, outage.outage_id if outage else None)
        if not overdue:
            break
        outage = outage or hold_store.insert_outage(tx, last_asked, now)
        rules = dispatch.rules_of(tx, overdue, policy)
        fates = [(each, deciding.released(each, DueAction.BY_RULE, rules[each.delivery_id], pace)) for each in overdue]
        for each, fate in dispatch.move(tx, fates, now, outage.outage_id):
            counts.setdefault(each.workspace_id, Counter())[_kind(fate)] += 1
    if outage is not None:
        dispatch.tell(tx, [_ended(workspace_id, outage, counted, policy) for workspace_id, counted in counts.items()])


def _kind(fate: Fate) -> str:
    match fate.state:
        case DeliveryState.SCHEDULED:
            return "moved" if fate.event == "delivery.moved" else "going_out"
        case DeliveryState.MISSED:
            return "missed"
        case _:
            return "dropped"


def _ended(workspace_id: UUID, outage: Outage, counted: Counter[str], policy: Policy) -> dispatch.Activity:
    minutes = max(1, round((outage.end_time - outage.start_time).total_seconds() / 60))
    parts = [
        text.format(counted[kind])
        for kind, text in (
            ("going_out", f"{{}} go out now, those of one account {policy.catch_up_gap_seconds:g} s apart"),
            ("missed", "{} are too late and wait for your decision"),
            ("moved", "{} move to their next slot"),
            ("dropped", "{} were dropped, as their rule says"),
        )
        if counted[kind]
    ]
    text = (
        f"Nothing could be published from {outage.start_time:%Y-%m-%d %H:%M} to {outage.end_time:%Y-%m-%d %H:%M} UTC"
        f" ({minutes} min). Of {counted.total()} deliveries that were due: {'; '.join(parts)}."
    )
    return activity_request(
        workspace_id,
        "outage.ended",
        text,
        outage.end_time,
        attributes={"outage_id": str(outage.outage_id), **{kind: str(number) for kind, number in counted.items()}},
    )
