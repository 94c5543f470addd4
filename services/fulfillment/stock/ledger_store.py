"""SQL of the ledger: what can be sold, and who holds it. The caller owns the transaction.

Whatever changes a SKU's sums locks its row first, and several rows in the order of their SKUs, so that nobody waits for
somebody who waits for him. Each change is an entry beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    case,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.db import new_id
from kit.listen import notify
from kit.paging import Page
from services.fulfillment.order_tables import reservations, shipments, stock, stock_entries
from services.fulfillment.stock.domain import UNKNOWN, Available, InsufficientStock, Stock, StockEntry, StockNotFound

STOCK_CHANNEL = "fulfillment_stock"
_SHOWN = [stock.c[name] for name in Stock.__dataclass_fields__]
_HELD = ("RESERVED", "IN_FLIGHT")
_ROWS_AT_ONCE = 500
_SETTLED_AT_ONCE = 1000
# Amazon's figure of a SKU that did not change since an order has it nevertheless after so long.
_SURELY_SECONDS = 86_400.0


def available(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, skus: Collection[str], default_safety_stock: int
) -> dict[str, Available]:
    """What can be sold of these SKUs; those that Amazon's stock does not list are not known."""
    query = select(*_SHOWN).where(
        stock.c.workspace_id == workspace_id, stock.c.merchant_id == merchant_id, stock.c.amazon_sku.in_(skus)
    )
    found = {row["amazon_sku"]: _stock(row).available(default_safety_stock) for row in tx.execute(query).mappings()}
    return {sku: found.get(sku, UNKNOWN) for sku in skus}


def lock(tx: Connection, merchant_id: UUID, skus: Collection[str]) -> dict[str, Stock]:
    """The rows of SKUs, locked until the transaction ends. Whoever reserves several times locks all of them first."""
    query = (
        select(*_SHOWN)
        .where(stock.c.merchant_id == merchant_id, stock.c.amazon_sku.in_(skus))
        .order_by(stock.c.amazon_sku)
        .with_for_update()
    )
    return {row["amazon_sku"]: _stock(row) for row in tx.execute(query).mappings()}


def reserve(
    tx: Connection,
    workspace_id: UUID,
    merchant_id: UUID,
    order_id: UUID,
    shipment_id: UUID,
    quantities: Mapping[str, int],
    default_safety_stock: int,
) -> None:
    """Holds units for a shipment; one that holds some already keeps them. Raises InsufficientStock, and holds none."""
    if tx.execute(select(literal(1)).where(reservations.c.shipment_id == shipment_id).limit(1)).first():
        return
    rows = lock(tx, merchant_id, quantities)
    short = [
        sku
        for sku, quantity in quantities.items()
        if sku not in rows or rows[sku].available(default_safety_stock).units < quantity
    ]
    if short:
        raise InsufficientStock(short)
    tx.execute(
        insert(reservations),
        [
            {
                "shipment_id": shipment_id,
                "amazon_sku": sku,
                "workspace_id": workspace_id,
                "merchant_id": merchant_id,
                "quantity": quantity,
                "state": "RESERVED",
            }
            for sku, quantity in quantities.items()
        ],
    )
    tx.execute(
        update(stock)
        .where(*_of_shipment(shipment_id))
        .values(reserved=stock.c.reserved + reservations.c.quantity, version=stock.c.version + 1)
    )
    _enter(tx, shipment_id, "RESERVED", reservations.c.quantity)
    notify(tx, STOCK_CHANNEL)


def submitted(tx: Connection, shipment_id: UUID) -> None:
    """RESERVED → IN_FLIGHT: Amazon has the shipment. May be repeated."""
    if not _lock_shipment(tx, shipment_id, ["RESERVED"]):
        return
    tx.execute(
        update(stock)
        .where(*_of_shipment(shipment_id), reservations.c.state == "RESERVED")
        .values(
            reserved=stock.c.reserved - reservations.c.quantity, in_flight=stock.c.in_flight + reservations.c.quantity
        )
    )
    _enter(tx, shipment_id, "SUBMITTED", reservations.c.quantity, reservations.c.state == "RESERVED")
    tx.execute(
        update(reservations)
        .where(reservations.c.shipment_id == shipment_id, reservations.c.state == "RESERVED")
        .values(state="IN_FLIGHT", submit_time=func.now(), update_time=func.now())
    )


def release(tx: Connection, shipment_id: UUID, quantities: Mapping[str, int] | None = None) -> None:
    """Gives back what a shipment holds, or so many units of each SKU: nothing is sent of them. May be repeated where
    all is given back.
    """
    held = _lock_shipment(tx, shipment_id, _HELD)
    changed = False
    for sku, state, quantity in held:
        given = quantity if quantities is None else min(quantity, quantities.get(sku, 0))
        if not given:
            continue
        changed = True
        which = and_(reservations.c.shipment_id == shipment_id, reservations.c.amazon_sku == sku)
        column = stock.c.reserved if state == "RESERVED" else stock.c.in_flight
        tx.execute(
            update(stock)
            .where(*_of_shipment(shipment_id), stock.c.amazon_sku == sku)
            .values({column: column - given, stock.c.version: stock.c.version + 1})
        )
        _enter(tx, shipment_id, "RELEASED", literal(given), reservations.c.amazon_sku == sku)
        # What is given back whole keeps its quantity, to be seen.
        values = {"state": "RELEASED"} if given == quantity else {"quantity": quantity - given}
        tx.execute(update(reservations).where(which).values(**values, update_time=func.now()))
    if changed:
        notify(tx, STOCK_CHANNEL)


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


def record(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, figures: Sequence[Figure], read_time: datetime
) -> int:
    """Stores figures that were asked for at an instant; what is older than what is stored changes nothing. Returns for
    how many SKUs what can be sold changed.
    """
    changed = 0
    # In the order of their SKUs, as every lock.
    ordered = sorted(figures, key=lambda figure: figure.amazon_sku)
    for at in range(0, len(ordered), _ROWS_AT_ONCE):
        changed += _record(tx, workspace_id, merchant_id, ordered[at : at + _ROWS_AT_ONCE], read_time)
    if changed:
        notify(tx, STOCK_CHANNEL)
    return changed


def _record(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, figures: Sequence[Figure], read_time: datetime
) -> int:
    rows = [
        {
            "merchant_id": merchant_id,
            "amazon_sku": each.amazon_sku,
            "workspace_id": workspace_id,
            "asin": each.asin,
            "fnsku": each.fnsku,
            "title": each.title,
            "is_at_amazon": True,
            "fulfillable": each.fulfillable,
            "inbound": each.inbound,
            "amazon_update_time": each.update_time,
            "read_time": read_time,
        }
        for each in figures
    ]
    new = upsert(stock).values(rows)
    differs = or_(stock.c.fulfillable != new.excluded.fulfillable, ~stock.c.is_at_amazon)
    names = ("asin", "fnsku", "title", "is_at_amazon", "fulfillable", "inbound", "amazon_update_time", "read_time")
    stored = tx.execute(
        new.on_conflict_do_update(
            constraint="one_row_per_sku",
            set_={
                **{name: new.excluded[name] for name in names},
                "version": stock.c.version + case((differs, 1), else_=0),
            },
            where=and_(
                stock.c.read_time <= new.excluded.read_time,
                func.coalesce(stock.c.amazon_update_time <= new.excluded.amazon_update_time, True),
            ),
        ).returning(
            stock.c.amazon_sku,
            literal_column("coalesce(old.fulfillable, 0)").label("before"),
            stock.c.fulfillable,
        )
    ).all()
    entries = [
        _entry(workspace_id, merchant_id, sku, "READ", fulfillable - before)
        for sku, before, fulfillable in stored
        if fulfillable != before
    ]
    if entries:
        tx.execute(insert(stock_entries), entries)
    return len(entries)


def mark_gone(tx: Connection, workspace_id: UUID, merchant_id: UUID, read_time: datetime) -> int:
    """Takes SKUs that a reading of everything did not meet for no longer at Amazon; returns how many."""
    gone = tx.execute(
        select(stock.c.amazon_sku, stock.c.fulfillable)
        .where(
            stock.c.workspace_id == workspace_id,
            stock.c.merchant_id == merchant_id,
            stock.c.read_time < read_time,
            stock.c.is_at_amazon,
        )
        .order_by(stock.c.amazon_sku)
        .with_for_update()
    ).all()
    if not gone:
        return 0
    tx.execute(
        update(stock)
        .where(stock.c.merchant_id == merchant_id, stock.c.amazon_sku.in_([row.amazon_sku for row in gone]))
        .values(is_at_amazon=False, fulfillable=0, version=stock.c.version + 1)
    )
    entries = [
        _entry(workspace_id, merchant_id, row.amazon_sku, "READ", -row.fulfillable) for row in gone if row.fulfillable
    ]
    if entries:
        tx.execute(insert(stock_entries), entries)
    notify(tx, STOCK_CHANNEL)
    return len(gone)


def settle(tx: Connection, merchant_id: UUID, read_time: datetime, delay_seconds: float) -> int:
    """IN_FLIGHT → SETTLED for what Amazon's figures, read at an instant, surely have: the order was there
    `delay_seconds` before, and the figure changed since; or it was there a day before. Returns how many; call again
    while it is any.
    """
    due = and_(
        reservations.c.merchant_id == merchant_id,
        reservations.c.state == "IN_FLIGHT",
        or_(
            and_(
                reservations.c.submit_time <= read_time - timedelta(seconds=delay_seconds),
                stock.c.amazon_update_time >= reservations.c.submit_time,
            ),
            reservations.c.submit_time <= read_time - timedelta(seconds=_SURELY_SECONDS),
        ),
    )
    joined = reservations.join(
        stock,
        and_(
            stock.c.merchant_id == reservations.c.merchant_id,
            stock.c.amazon_sku == reservations.c.amazon_sku,
        ),
    )
    skus = tx.execute(
        select(reservations.c.amazon_sku)
        .select_from(joined)
        .where(due)
        .distinct()
        .order_by(reservations.c.amazon_sku)
        .limit(_ROWS_AT_ONCE)
    ).scalars()
    locked = lock(tx, merchant_id, skus.all())
    if not locked:
        return 0
    rows = tx.execute(
        update(reservations)
        .where(
            due,
            stock.c.merchant_id == reservations.c.merchant_id,
            stock.c.amazon_sku == reservations.c.amazon_sku,
            reservations.c.amazon_sku.in_(list(locked)),
        )
        .values(state="SETTLED", update_time=func.now())
        .returning(
            reservations.c.shipment_id, reservations.c.amazon_sku, reservations.c.quantity, reservations.c.workspace_id
        )
    ).all()
    sums: dict[str, int] = {}
    for row in rows:
        sums[row.amazon_sku] = sums.get(row.amazon_sku, 0) + row.quantity
    for sku in sorted(sums):
        tx.execute(
            update(stock)
            .where(stock.c.merchant_id == merchant_id, stock.c.amazon_sku == sku)
            .values(in_flight=stock.c.in_flight - sums[sku], version=stock.c.version + 1)
        )
    of = {
        row.shipment_id: (row.order_id, row.fulfillment_order_id)
        for row in tx.execute(
            select(shipments.c.shipment_id, shipments.c.order_id, shipments.c.fulfillment_order_id).where(
                shipments.c.shipment_id.in_({row.shipment_id for row in rows})
            )
        )
    }
    entries = [
        _entry(row.workspace_id, merchant_id, row.amazon_sku, "SETTLED", -row.quantity, *of[row.shipment_id])
        for row in rows
    ]
    if entries:
        tx.execute(insert(stock_entries), entries)
        notify(tx, STOCK_CHANNEL)
    return len(rows)


def read_stock(tx: Connection, workspace_id: UUID, merchant_id: UUID, amazon_sku: str) -> Stock:
    """A SKU of a merchant. Raises StockNotFound."""
    query = select(*_SHOWN).where(
        stock.c.workspace_id == workspace_id, stock.c.merchant_id == merchant_id, stock.c.amazon_sku == amazon_sku
    )
    row = tx.execute(query).mappings().first()
    if row is None:
        raise StockNotFound(
            "Amazon's stock of this merchant does not list this SKU. Look at its spelling, or read the stock now.",
            metadata={"amazon_sku": amazon_sku},
        )
    return _stock(row)


def list_stock(tx: Connection, workspace_id: UUID, merchant_id: UUID, page: Page, wanted: str) -> list[Stock]:
    """SKUs of a merchant; one more than the page holds when there is a next page."""
    query = select(*_SHOWN).where(stock.c.workspace_id == workspace_id, stock.c.merchant_id == merchant_id)
    if wanted:
        query = query.where(
            or_(
                func.strpos(func.lower(stock.c.amazon_sku), wanted.lower()) > 0,
                func.strpos(func.lower(stock.c.title), wanted.lower()) > 0,
            )
        )
    if page.after:
        query = query.where(stock.c.amazon_sku > page.after[0])
    rows = tx.execute(query.order_by(stock.c.amazon_sku).limit(page.size + 1)).mappings()
    return [_stock(row) for row in rows]


def list_entries(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, amazon_sku: str, limit: int
) -> list[StockEntry]:
    """The latest entries of a SKU, the newest first."""
    query = (
        select(stock_entries)
        .where(
            stock_entries.c.workspace_id == workspace_id,
            stock_entries.c.merchant_id == merchant_id,
            stock_entries.c.amazon_sku == amazon_sku,
        )
        .order_by(stock_entries.c.entry_id.desc())
        .limit(limit)
    )
    return [
        StockEntry(row.time, row.kind, row.quantity, row.order_id, row.fulfillment_order_id)
        for row in tx.execute(query)
    ]


def set_safety_stock(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, amazon_sku: str, safety_stock: int | None
) -> None:
    """Sets how many units of a SKU are never sold; None: as the shop's setting says."""
    tx.execute(
        update(stock)
        .where(
            stock.c.workspace_id == workspace_id,
            stock.c.merchant_id == merchant_id,
            stock.c.amazon_sku == amazon_sku,
        )
        .values(safety_stock=safety_stock, version=stock.c.version + 1)
    )
    notify(tx, STOCK_CHANNEL)


def _lock_shipment(tx: Connection, shipment_id: UUID, states: Sequence[str]) -> list[tuple[str, str, int]]:
    """Locks the rows of what a shipment holds in these states: SKU, state and units, in the order of SKUs."""
    query = (
        select(stock.c.merchant_id, stock.c.amazon_sku)
        .where(*_of_shipment(shipment_id))
        .order_by(stock.c.amazon_sku)
        .with_for_update(of=stock)
    )
    if not tx.execute(query).all():
        return []
    # Only now: another may have moved them while we waited for the lock.
    held = tx.execute(
        select(reservations.c.amazon_sku, reservations.c.state, reservations.c.quantity)
        .where(reservations.c.shipment_id == shipment_id, reservations.c.state.in_(states))
        .order_by(reservations.c.amazon_sku)
    )
    return [(row.amazon_sku, row.state, row.quantity) for row in held]


def _of_shipment(shipment_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        reservations.c.shipment_id == shipment_id,
        stock.c.merchant_id == reservations.c.merchant_id,
        stock.c.amazon_sku == reservations.c.amazon_sku,
    )


def _enter(
    tx: Connection, shipment_id: UUID, kind: str, quantity: ColumnElement[int], *which: ColumnElement[bool]
) -> None:
    """An entry for each SKU of a shipment."""
    columns = ("entry_id", "workspace_id", "merchant_id", "amazon_sku", "kind", "quantity", "order_id")
    tx.execute(
        insert(stock_entries).from_select(
            [*columns, "fulfillment_order_id"],
            select(
                func.uuidv7(),
                reservations.c.workspace_id,
                reservations.c.merchant_id,
                reservations.c.amazon_sku,
                literal(kind),
                quantity,
                shipments.c.order_id,
                shipments.c.fulfillment_order_id,
            ).where(
                reservations.c.shipment_id == shipment_id, shipments.c.shipment_id == reservations.c.shipment_id, *which
            ),
        )
    )


def _entry(
    workspace_id: UUID,
    merchant_id: UUID,
    amazon_sku: str,
    kind: str,
    quantity: int,
    order_id: UUID | None = None,
    fulfillment_order_id: str = "",
) -> dict[str, Any]:
    return {
        "entry_id": new_id(),
        "workspace_id": workspace_id,
        "merchant_id": merchant_id,
        "amazon_sku": amazon_sku,
        "kind": kind,
        "quantity": quantity,
        "order_id": order_id,
        "fulfillment_order_id": fulfillment_order_id,
    }


def _stock(row: RowMapping) -> Stock:
    return Stock(**row)
