"""SQL of reading Amazon's stock: whose is read next, and what was read. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.listen import notify
from services.fulfillment.merchants.domain import MerchantState
from services.fulfillment.order_tables import merchants, stock, stock_entries
from services.fulfillment.stock.ledger_store import STOCK_CHANNEL, entry_row
from services.fulfillment.store import in_seconds

_SKUS_AT_ONCE = 500
_FIGURES = ("asin", "fnsku", "title", "fulfillable", "inbound", "amazon_update_time")


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to read a merchant's stock, until `lease_end`. `begin_time`: when it was taken; `cursor`: what changed
    before is known; `whole_time`: when all of it was last read.
    """

    workspace_id: UUID
    merchant_id: UUID
    lease_end: datetime
    begin_time: datetime
    cursor: datetime | None
    whole_time: datetime | None


def claim_turn(tx: Connection, lease_seconds: float) -> Turn | None:
    """Takes the merchant whose stock is due for longest and that nobody reads; None without one. Of all workspaces."""
    due = (
        select(merchants.c.merchant_id)
        .where(merchants.c.state == MerchantState.CONNECTED.value, merchants.c.stock_due_time <= func.now(), _is_free())
        .order_by(merchants.c.stock_due_time)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return _taken(tx, merchants.c.merchant_id == due.scalar_subquery(), lease_seconds)


def take_turn(tx: Connection, workspace_id: UUID, merchant_id: UUID, lease_seconds: float) -> Turn | None:
    """Takes one merchant, due or not; None while somebody reads its stock."""
    mine = and_(merchants.c.workspace_id == workspace_id, merchants.c.merchant_id == merchant_id)
    return _taken(tx, and_(mine, _is_free()), lease_seconds)


def keep_turn(tx: Connection, turn: Turn, lease_seconds: float) -> Turn | None:
    """Holds it for longer; None when it is another's by now. `begin_time` stays."""
    kept = _taken(tx, _is_mine(turn), lease_seconds)
    return None if kept is None else replace(kept, begin_time=turn.begin_time)


def end_turn(tx: Connection, turn: Turn, *, is_whole: bool) -> None:
    """Records that the reading came to its end: what changed before it began is known."""
    values: dict[str, Any] = {"stock_cursor": turn.begin_time, "stock_time": func.now()}
    if is_whole:
        values["stock_whole_time"] = turn.begin_time
    tx.execute(update(merchants).where(_is_mine(turn)).values(values))


def release_turn(tx: Connection, turn: Turn, due_seconds: float | None) -> None:
    """Lets others read it: in so many seconds, or (None) when it was due anyway. Nothing when it is another's."""
    values: dict[str, Any] = {"stock_lease_time": None}
    if due_seconds is not None:
        values["stock_due_time"] = in_seconds(due_seconds)
    tx.execute(update(merchants).where(_is_mine(turn)).values(values))


@dataclass(frozen=True, slots=True)
class Figure:
    """What Amazon says of a SKU."""

    amazon_sku: str
    asin: str
    fnsku: str
    title: str
    fulfillable: int
    inbound: int
    update_time: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """For how many SKUs Amazon's figure changed, and of how many it grew or began."""

    changed: int = 0
    grown: int = 0

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(self.changed + other.changed, self.grown + other.grown)


def record(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, figures: Sequence[Figure], read_time: datetime
) -> Recorded:
    """Stores figures, a few hundred, that were asked for at an instant. What was asked for before what is stored
    changes nothing, and neither does a figure that Amazon made before the one that is stored.
    """
    if not figures:
        return Recorded()
    rows = [
        {
            "merchant_id": merchant_id,
            "amazon_sku": each.amazon_sku,
            "workspace_id": workspace_id,
            "asin": each.asin,
            "fnsku": each.fnsku,
            "title": each.title,
            "is_at_amazon": True,
            "fulfillable": max(0, each.fulfillable),
            "inbound": max(0, each.inbound),
            "amazon_update_time": each.update_time,
            "read_time": read_time,
        }
        # In the order of their SKUs, as every lock.
        for each in sorted(figures, key=lambda figure: figure.amazon_sku)
    ]
    new = upsert(stock).values(rows)
    is_news = func.coalesce(stock.c.amazon_update_time <= new.excluded.amazon_update_time, True)
    differs = or_(and_(is_news, stock.c.fulfillable != new.excluded.fulfillable), ~stock.c.is_at_amazon)
    stored = tx.execute(
        new.on_conflict_do_update(
            constraint="one_row_per_sku",
            set_={
                **{name: case((is_news, new.excluded[name]), else_=stock.c[name]) for name in _FIGURES},
                "is_at_amazon": True,
                # Also of a figure that is not news: the SKU was met.
                "read_time": new.excluded.read_time,
                "version": stock.c.version + case((differs, 1), else_=0),
            },
            where=stock.c.read_time <= new.excluded.read_time,
        ).returning(
            stock.c.amazon_sku,
            stock.c.fulfillable,
            literal_column("coalesce(old.fulfillable, 0)").label("before"),
            literal_column("coalesce(old.is_at_amazon, false)").label("was_there"),
        )
    ).all()
    entries = [
        entry_row(workspace_id, merchant_id, row.amazon_sku, "READ", row.fulfillable - row.before)
        for row in stored
        if row.fulfillable != row.before
    ]
    if entries:
        tx.execute(insert(stock_entries), entries)
    changed = [row for row in stored if row.fulfillable != row.before or not row.was_there]
    if changed:
        notify(tx, STOCK_CHANNEL)
    return Recorded(len(changed), sum(row.fulfillable > row.before or not row.was_there for row in changed))


def unmet(tx: Connection, turn: Turn) -> list[str]:
    """SKUs at Amazon that this reading has not met."""
    query = select(stock.c.amazon_sku).where(_is_unmet(turn)).order_by(stock.c.amazon_sku)
    return list(tx.execute(query).scalars())


def mark_gone(tx: Connection, turn: Turn, skus: Collection[str]) -> int:
    """Takes SKUs that this reading of everything has not met for no longer at Amazon; returns how many."""
    gone = tx.execute(
        select(stock.c.amazon_sku, stock.c.fulfillable)
        .where(_is_unmet(turn), stock.c.amazon_sku.in_(skus))
        .order_by(stock.c.amazon_sku)
        .with_for_update()
    ).all()
    if not gone:
        return 0
    tx.execute(
        update(stock)
        .where(stock.c.merchant_id == turn.merchant_id, stock.c.amazon_sku.in_([row.amazon_sku for row in gone]))
        .values(
            is_at_amazon=False,
            fulfillable=0,
            # Whatever Amazon says of it later is news.
            amazon_update_time=None,
            read_time=turn.begin_time,
            version=stock.c.version + 1,
        )
    )
    entries = [
        entry_row(turn.workspace_id, turn.merchant_id, row.amazon_sku, "READ", -row.fulfillable)
        for row in gone
        if row.fulfillable
    ]
    if entries:
        tx.execute(insert(stock_entries), entries)
    notify(tx, STOCK_CHANNEL)
    return len(gone)


def _is_unmet(turn: Turn) -> ColumnElement[bool]:
    return and_(
        stock.c.workspace_id == turn.workspace_id,
        stock.c.merchant_id == turn.merchant_id,
        stock.c.read_time < turn.begin_time,
        stock.c.is_at_amazon,
    )


def _is_free() -> ColumnElement[bool]:
    lease = merchants.c.stock_lease_time
    return or_(lease.is_(None), lease <= func.now())


def _is_mine(turn: Turn) -> ColumnElement[bool]:
    return and_(
        merchants.c.workspace_id == turn.workspace_id,
        merchants.c.merchant_id == turn.merchant_id,
        merchants.c.stock_lease_time == turn.lease_end,
    )


def _taken(tx: Connection, which: ColumnElement[bool], lease_seconds: float) -> Turn | None:
    row = tx.execute(
        update(merchants)
        .where(which)
        .values(stock_lease_time=in_seconds(lease_seconds))
        .returning(
            merchants.c.workspace_id,
            merchants.c.merchant_id,
            merchants.c.stock_lease_time,
            func.now().label("begin_time"),
            merchants.c.stock_cursor,
            merchants.c.stock_whole_time,
        )
    ).first()
    return None if row is None else Turn(*row)
