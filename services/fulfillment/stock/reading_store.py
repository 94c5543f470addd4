"""SQL of reading Amazon's stock: whose is read next, and what was read. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
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

from services.fulfillment.merchants.domain import MerchantState
from services.fulfillment.order_tables import merchants, stock, stock_entries
from services.fulfillment.stock.ledger_store import announce, entry_row, lock_pools
from services.fulfillment.turn_store import Turn, Turns

_FIGURES = ("asin", "fnsku", "title", "fulfillable", "inbound", "amazon_update_time")


@dataclass(frozen=True, slots=True)
class StockTurn(Turn):
    """The right to read a merchant's stock. `cursor`: what changed before is known; `whole_time`: when all of it was
    last read; `empty_time`: when Amazon told of nothing at all, and was not believed.
    """

    merchant_id: UUID
    cursor: datetime | None
    whole_time: datetime | None
    empty_time: datetime | None


_TURNS = Turns(
    StockTurn,
    key=merchants.c.merchant_id,
    lease=merchants.c.stock_lease_time,
    due=merchants.c.stock_due_time,
    known=(merchants.c.stock_cursor, merchants.c.stock_whole_time, merchants.c.stock_empty_time),
)


def claim_turn(tx: Connection, lease_seconds: float) -> StockTurn | None:
    """Takes the merchant whose stock is due for longest and that nobody reads; None without one. Of all workspaces."""
    return _TURNS.claim(tx, lease_seconds, merchants.c.state == MerchantState.CONNECTED.value)


def take_turn(tx: Connection, workspace_id: UUID, merchant_id: UUID, lease_seconds: float) -> StockTurn | None:
    """Takes one merchant, due or not; None while somebody reads its stock."""
    return _TURNS.take(tx, workspace_id, merchant_id, lease_seconds)


def keep_turn(tx: Connection, turn: StockTurn, lease_seconds: float) -> StockTurn | None:
    """Holds it for longer; None when it is another's by now. `begin_time` stays."""
    return _TURNS.keep(tx, turn, lease_seconds)


def end_turn(tx: Connection, turn: StockTurn, *, is_whole: bool, is_doubted: bool = False) -> None:
    """Records that the reading came to its end: what changed before it began is known. One of everything that is
    doubted, as it told of nothing, is no whole one: the next is.
    """
    values: dict[str, Any] = {"stock_cursor": turn.begin_time, "stock_time": func.now()}
    if is_doubted:
        values["stock_empty_time"] = turn.begin_time
    elif is_whole:
        values |= {"stock_whole_time": turn.begin_time, "stock_empty_time": None}
    _TURNS.store(tx, turn, values)


def release_turn(tx: Connection, turn: StockTurn, due_seconds: float | None) -> None:
    """Lets others read it: in so many seconds, or (None) when it was due anyway. Nothing when it is another's."""
    _TURNS.release(tx, turn, due_seconds)


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
    changes nothing, and neither does a figure that Amazon made before the one that is stored. Of a SKU that comes
    several times the last is taken: while pages are read, one that moves to a later page has its newer figures there.
    """
    if not figures:
        return Recorded()
    last = {each.amazon_sku: each for each in figures}
    lock_pools(tx, merchant_id, last, {each.fnsku for each in figures if each.fnsku})
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
        for each in last.values()
    ]
    new = upsert(stock).values(rows)
    is_news = func.coalesce(stock.c.amazon_update_time <= new.excluded.amazon_update_time, True)
    is_other = or_(stock.c.fulfillable != new.excluded.fulfillable, stock.c.fnsku != new.excluded.fnsku)
    differs = or_(and_(is_news, is_other), ~stock.c.is_at_amazon)
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
            stock.c.fnsku,
            literal_column("coalesce(old.fulfillable, 0)").label("before"),
            literal_column("coalesce(old.fnsku, '')").label("fnsku_before"),
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
    moved = [row for row in stored if row.fnsku != row.fnsku_before]
    if changed or moved:
        left = {row.fnsku_before for row in moved if row.fnsku_before}
        announce(tx, merchant_id, {row.amazon_sku for row in (*changed, *moved)}, left)
    return Recorded(len(changed), sum(row.fulfillable > row.before or not row.was_there for row in changed))


def unmet(tx: Connection, turn: StockTurn) -> list[str]:
    """SKUs at Amazon that this reading has not met."""
    query = select(stock.c.amazon_sku).where(_is_unmet(turn)).order_by(stock.c.amazon_sku)
    return list(tx.execute(query).scalars())


def mark_gone(tx: Connection, turn: StockTurn, skus: Collection[str]) -> int:
    """Takes SKUs that this reading of everything has not met for no longer at Amazon; returns how many."""
    lock_pools(tx, turn.merchant_id, skus)
    gone = tx.execute(
        select(stock.c.amazon_sku, stock.c.fulfillable).where(_is_unmet(turn), stock.c.amazon_sku.in_(skus))
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
    announce(tx, turn.merchant_id, [row.amazon_sku for row in gone])
    return len(gone)


def _is_unmet(turn: StockTurn) -> ColumnElement[bool]:
    return and_(
        stock.c.workspace_id == turn.workspace_id,
        stock.c.merchant_id == turn.merchant_id,
        stock.c.read_time < turn.begin_time,
        stock.c.is_at_amazon,
    )
