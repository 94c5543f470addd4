"""SQL of holds, rules, outages, and of the deliveries that they keep back. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, func, select, text, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.db import new_id
from kit.paging import Page
from services.scheduler.deciding import NOBODY
from services.scheduler.domain import (
    ChannelRules,
    Delivery,
    DeliveryState,
    DueAction,
    Hold,
    HoldCause,
    HoldScope,
    Outage,
)
from services.scheduler.store import delivery_of, lateness_of
from services.scheduler.tables import channel_rules, deliveries, finished_deliveries, holds, outages

Holds = Mapping[tuple[UUID, HoldScope, str], list[Hold]]


def holds_on(tx: Connection, waiting: Iterable[Delivery], *, lock: bool = True) -> Holds:
    """The holds that concern any of the deliveries, by scope. They stay until the transaction ends, so that a hold that
    is being lifted gives back what this transaction keeps back by it; without `lock` they are only read.
    """
    # Mostly there is none at all: one look at an empty table.
    applies = holds.c.lift_action == ""
    if tx.execute(select(holds.c.hold_id).where(applies).limit(1)).first() is None:
        return {}
    keys: set[tuple[UUID, str, str]] = {(NOBODY, HoldScope.EVERYTHING.value, "")}
    for each in waiting:
        keys |= {
            (NOBODY, HoldScope.PLATFORM.value, each.platform),
            (each.workspace_id, HoldScope.WORKSPACE.value, ""),
            (each.workspace_id, HoldScope.CHANNEL.value, each.channel),
            (each.workspace_id, HoldScope.ACCOUNT.value, str(each.account_id)),
            (each.workspace_id, HoldScope.POST.value, str(each.post_id)),
        }
    query = (
        select(holds)
        .where(applies, tuple_(holds.c.workspace_id, holds.c.scope, holds.c.target).in_(list(keys)))
        .order_by(holds.c.hold_id)
    )
    rows = tx.execute(query.with_for_update(read=True) if lock else query).mappings()
    found: dict[tuple[UUID, HoldScope, str], list[Hold]] = {}
    for row in rows:
        hold = _hold(row)
        found.setdefault((hold.workspace_id, hold.scope, hold.target), []).append(hold)
    return found


def place_hold(
    tx: Connection, workspace_id: UUID, scope: HoldScope, target: str, cause: HoldCause, reason: str
) -> tuple[Hold, bool]:
    """A hold, and whether it is new: one of the same scope and cause that is there already stays as it is, and one that
    was being lifted is placed again.
    """
    key = {"workspace_id": workspace_id, "scope": scope.value, "target": target, "cause": cause.value}
    row = (
        tx.execute(
            upsert(holds)
            .values(hold_id=new_id(), **key, reason=reason)
            .on_conflict_do_update(
                constraint="one_hold_of_a_cause",
                set_={"lift_action": "", "reason": reason, "create_time": func.now()},
                where=holds.c.lift_action != "",
            )
            .returning(holds)
        )
        .mappings()
        .first()
    )
    if row is not None:
        return _hold(row), True
    return _hold(tx.execute(select(holds).filter_by(**key)).mappings().one()), False


def find_hold(tx: Connection, workspace_id: UUID, scope: HoldScope, target: str, cause: HoldCause) -> Hold | None:
    """The hold of a scope and cause that applies."""
    return _one(tx, scope=scope.value, workspace_id=workspace_id, target=target, cause=cause.value, lift_action="")


def read_hold(tx: Connection, workspace_id: UUID, hold_id: UUID) -> Hold | None:
    """A hold that applies, by its id."""
    return _one(tx, hold_id=hold_id, workspace_id=workspace_id, lift_action="")


def _one(tx: Connection, **key: object) -> Hold | None:
    row = tx.execute(select(holds).filter_by(**key)).mappings().first()
    return _hold(row) if row else None


def begin_lift(tx: Connection, hold_id: UUID, action: DueAction) -> None:
    """From the commit on nothing is kept back by it. Waits for those who are just keeping something back."""
    tx.execute(update(holds).where(holds.c.hold_id == hold_id).values(lift_action=action.value))


def take_lifted(tx: Connection) -> Hold | None:
    """A lifted hold that nobody else is working off, locked."""
    row = (
        tx.execute(
            select(holds)
            .where(holds.c.lift_action != "")
            .order_by(holds.c.hold_id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        .mappings()
        .first()
    )
    return _hold(row) if row else None


def delete_hold(tx: Connection, hold_id: UUID) -> None:
    """Forgets a lifted hold."""
    tx.execute(delete(holds).where(holds.c.hold_id == hold_id))


def list_holds(tx: Connection, workspace_id: UUID, page: Page) -> list[Hold]:
    """Holds that apply to a workspace, newest first; one more than the page holds when there is a next page."""
    query = select(holds).where(holds.c.workspace_id.in_({workspace_id, NOBODY}), holds.c.lift_action == "")
    if page.after:
        query = query.where(tuple_(holds.c.create_time, holds.c.hold_id) < tuple_(*page.after))
    rows = tx.execute(query.order_by(holds.c.create_time.desc(), holds.c.hold_id.desc()).limit(page.size + 1))
    return [_hold(row) for row in rows.mappings()]


def count_held(tx: Connection, hold_ids: Sequence[UUID], workspace_id: UUID | None = None) -> dict[UUID, int]:
    """How many deliveries each hold keeps back, of one workspace or of all."""
    query = (
        select(deliveries.c.hold_id, func.count().label("n"))
        .where(deliveries.c.state == DeliveryState.HELD.value, deliveries.c.hold_id.in_(hold_ids))
        .group_by(deliveries.c.hold_id)
    )
    if workspace_id is not None:
        query = query.where(deliveries.c.workspace_id == workspace_id)
    return {row.hold_id: row.n for row in tx.execute(query)}


def take_held(tx: Connection, hold_id: UUID, limit: int) -> list[Delivery]:
    """Deliveries that a hold keeps back, locked; those that were to go out first come first."""
    rows = tx.execute(
        select(deliveries)
        .where(deliveries.c.state == DeliveryState.HELD.value, deliveries.c.hold_id == hold_id)
        .order_by(deliveries.c.schedule_time, deliveries.c.delivery_id)
        .limit(limit)
        .with_for_update()
    ).mappings()
    return [delivery_of(row) for row in rows]


def take_overdue(tx: Connection, limit: int, but: UUID | None) -> list[Delivery]:
    """Deliveries that are due and are not yet given to this outage, oldest first, locked."""
    rows = tx.execute(
        select(deliveries)
        .where(
            deliveries.c.state == DeliveryState.SCHEDULED.value,
            deliveries.c.due_time <= func.now(),
            true() if but is None else deliveries.c.outage_id.is_distinct_from(but),
        )
        .order_by(deliveries.c.due_time, deliveries.c.delivery_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).mappings()
    return [delivery_of(row) for row in rows]


def rules_by_workspace(tx: Connection, workspace_ids: Iterable[UUID]) -> dict[UUID, dict[str, ChannelRules]]:
    """The rules of workspaces, by channel."""
    rows = tx.execute(select(channel_rules).where(channel_rules.c.workspace_id.in_(set(workspace_ids)))).mappings()
    found: dict[UUID, dict[str, ChannelRules]] = {}
    for row in rows:
        found.setdefault(row["workspace_id"], {})[row["channel"]] = _rules(row)
    return found


def set_rules(tx: Connection, workspace_id: UUID, rules: ChannelRules) -> None:
    """Replaces the rules of a channel."""
    values = {
        "max_lateness_seconds": rules.lateness.max_seconds if rules.lateness else None,
        "late_action": rules.lateness.action.value if rules.lateness else None,
        "max_attempts": rules.max_attempts,
        "max_age_seconds": rules.max_age_seconds,
    }
    tx.execute(
        upsert(channel_rules)
        .values(workspace_id=workspace_id, channel=rules.channel, **values)
        .on_conflict_do_update(constraint="channel_rules_pkey", set_=values)
    )


def list_rules(tx: Connection, workspace_id: UUID, page: Page) -> list[ChannelRules]:
    """The rules of a workspace by channel; one more than the page holds when there is a next page."""
    query = select(channel_rules).where(channel_rules.c.workspace_id == workspace_id)
    if page.after:
        query = query.where(channel_rules.c.channel > page.after[0])
    rows = tx.execute(query.order_by(channel_rules.c.channel).limit(page.size + 1)).mappings()
    return [_rules(row) for row in rows]


# One row for all replicas, written once a second at most.
_ASKED = text(
    """
WITH was AS (SELECT asked_time FROM claim_clock WHERE asked_time < now() - interval '1 second' FOR UPDATE SKIP LOCKED)
UPDATE claim_clock SET asked_time = now() FROM was RETURNING was.asked_time, now() AS now
"""
)
_LEAVING = (
    7_216_501  # advisory lock: shared by claims and grants, exclusive while a hold is placed or an outage planned
)


def note_asked(tx: Connection) -> tuple[datetime, datetime] | None:
    """Notes that a publisher asks for work. When it was noted last, and now; None when that was a moment ago."""
    row = tx.execute(_ASKED).first()
    return (row.asked_time, row.now) if row else None


def may_claim(tx: Connection) -> bool:
    """False while a hold is placed or an outage planned: what is kept back or late must not go out before."""
    return bool(tx.execute(text("SELECT pg_try_advisory_xact_lock_shared(:key)"), {"key": _LEAVING}).scalar_one())


def wait_until_may_leave(tx: Connection) -> None:
    """The same, for grants: waits until the hold is placed."""
    tx.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _LEAVING})


def let_nothing_leave(tx: Connection) -> None:
    """Until this transaction ends no claim and no grant is made; waits for those under way."""
    tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LEAVING})


def insert_outage(tx: Connection, start_time: datetime, end_time: datetime) -> Outage:
    """Keeps an outage."""
    outage = Outage(new_id(), start_time, end_time)
    tx.execute(
        outages.insert().values(outage_id=outage.outage_id, start_time=outage.start_time, end_time=outage.end_time)
    )
    return outage


def list_outages(tx: Connection, workspace_id: UUID, page: Page) -> list[tuple[Outage, int]]:
    """Outages that delayed deliveries of a workspace, with their number; newest first."""
    delayed = (
        select(deliveries.c.outage_id)
        .where(deliveries.c.workspace_id == workspace_id, deliveries.c.outage_id.is_not(None))
        .union_all(
            select(finished_deliveries.c.outage_id).where(
                finished_deliveries.c.workspace_id == workspace_id, finished_deliveries.c.outage_id.is_not(None)
            )
        )
        .subquery()
    )
    query = (
        select(outages, func.count().label("n"))
        .join(delayed, delayed.c.outage_id == outages.c.outage_id)
        .group_by(outages.c.outage_id)
    )
    if page.after:
        query = query.where(tuple_(outages.c.start_time, outages.c.outage_id) < tuple_(*page.after))
    rows = tx.execute(query.order_by(outages.c.start_time.desc(), outages.c.outage_id.desc()).limit(page.size + 1))
    return [(Outage(row.outage_id, row.start_time, row.end_time), row.n) for row in rows]


def list_outage_deliveries(tx: Connection, workspace_id: UUID, outage_id: UUID, page: Page) -> list[Delivery]:
    """Deliveries that an outage delayed, by schedule time; one more than the page holds when there is a next page."""
    found: list[Delivery] = []
    for table in (deliveries, finished_deliveries):
        planned = func.coalesce(table.c.schedule_time, table.c.due_time)
        query = select(table).where(table.c.workspace_id == workspace_id, table.c.outage_id == outage_id)
        if page.after:
            query = query.where(tuple_(planned, table.c.delivery_id) > tuple_(*page.after))
        rows = tx.execute(query.order_by(planned, table.c.delivery_id).limit(page.size + 1)).mappings()
        found += [delivery_of(row) for row in rows]
    return sorted(found, key=lambda each: (each.schedule_time, each.delivery_id))[: page.size + 1]


def _hold(row: RowMapping) -> Hold:
    return Hold(
        hold_id=row["hold_id"],
        workspace_id=row["workspace_id"],
        scope=HoldScope(row["scope"]),
        target=row["target"],
        cause=HoldCause(row["cause"]),
        reason=row["reason"],
        create_time=row["create_time"],
        lift_action=DueAction(row["lift_action"]) if row["lift_action"] else None,
    )


def _rules(row: RowMapping) -> ChannelRules:
    return ChannelRules(row["channel"], lateness_of(row), row["max_attempts"], row["max_age_seconds"])
