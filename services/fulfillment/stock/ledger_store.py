"""SQL of the ledger: what can be sold, and who holds it. The caller owns the transaction.

Whatever changes a SKU's sums locks its row first, and several rows in the order of their SKUs, so that nobody waits for
somebody who waits for him. Each change is an entry beside it. Amazon's figures come in by reading_store.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, insert, literal, or_, select, text, update

from kit.db import new_id
from kit.listen import notify
from services.fulfillment.order_tables import reservations, shipments, stock, stock_entries
from services.fulfillment.stock.domain import UNKNOWN, Available, InsufficientStock, Stock

STOCK_CHANNEL = "fulfillment_stock"
SHOWN = [stock.c[name] for name in Stock.__dataclass_fields__]
_HELD = ("RESERVED", "IN_FLIGHT")
_SETTLED_AT_ONCE = 100  # SKUs
# Amazon's figure of a SKU that did not change since an order has it nevertheless after so long.
_SURELY_SECONDS = 86_400.0


def available(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, skus: Collection[str], default_safety_stock: int
) -> dict[str, Available]:
    """What can be sold of these SKUs; those that Amazon's stock does not list are not known."""
    query = select(*SHOWN).where(
        stock.c.workspace_id == workspace_id, stock.c.merchant_id == merchant_id, stock.c.amazon_sku.in_(skus)
    )
    found = {row["amazon_sku"]: stock_of(row).available(default_safety_stock) for row in tx.execute(query).mappings()}
    return {sku: found.get(sku, UNKNOWN) for sku in skus}


def lock(tx: Connection, merchant_id: UUID, skus: Collection[str]) -> dict[str, Stock]:
    """The rows of SKUs, locked until the transaction ends. Whoever reserves several times locks all of them first."""
    query = (
        select(*SHOWN)
        .where(stock.c.merchant_id == merchant_id, stock.c.amazon_sku.in_(skus))
        .order_by(stock.c.amazon_sku)
        .with_for_update()
    )
    return {row["amazon_sku"]: stock_of(row) for row in tx.execute(query).mappings()}


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
    which = reservations.c.state == "RESERVED"
    tx.execute(
        update(stock)
        .where(*_of_shipment(shipment_id), which)
        .values(
            reserved=stock.c.reserved - reservations.c.quantity, in_flight=stock.c.in_flight + reservations.c.quantity
        )
    )
    _enter(tx, shipment_id, "SUBMITTED", reservations.c.quantity, which)
    tx.execute(
        update(reservations)
        .where(reservations.c.shipment_id == shipment_id, which)
        .values(state="IN_FLIGHT", submit_time=func.now(), update_time=func.now())
    )


def release(tx: Connection, shipment_id: UUID, quantities: Mapping[str, int] | None = None) -> None:
    """Gives back what a shipment holds, or so many units of each SKU: nothing is sent of them. May be repeated where
    all is given back.
    """
    changed = False
    for sku, state, quantity in _lock_shipment(tx, shipment_id, _HELD):
        given = quantity if quantities is None else min(quantity, quantities.get(sku, 0))
        if not given:
            continue
        changed = True
        column = stock.c.reserved if state == "RESERVED" else stock.c.in_flight
        tx.execute(
            update(stock)
            .where(*_of_shipment(shipment_id), stock.c.amazon_sku == sku)
            .values({column: column - given, stock.c.version: stock.c.version + 1})
        )
        _enter(tx, shipment_id, "RELEASED", literal(-given), reservations.c.amazon_sku == sku)
        # What is given back whole keeps its quantity, to be seen.
        values = {"state": "RELEASED"} if given == quantity else {"quantity": quantity - given}
        which = and_(reservations.c.shipment_id == shipment_id, reservations.c.amazon_sku == sku)
        tx.execute(update(reservations).where(which).values(**values, update_time=func.now()))
    if changed:
        notify(tx, STOCK_CHANNEL)


def settle(tx: Connection, merchant_id: UUID, read_time: datetime, delay_seconds: float) -> int:
    """IN_FLIGHT → SETTLED for what Amazon's figures, read at an instant, surely have: the order was there
    `delay_seconds` before, and the figure changed since it was begun; or it was there a day before. Returns how many;
    call again while it is any.
    """
    due = and_(
        reservations.c.merchant_id == merchant_id,
        reservations.c.state == "IN_FLIGHT",
        shipments.c.shipment_id == reservations.c.shipment_id,
        stock.c.merchant_id == reservations.c.merchant_id,
        stock.c.amazon_sku == reservations.c.amazon_sku,
        or_(
            and_(
                reservations.c.submit_time <= read_time - timedelta(seconds=delay_seconds),
                # Amazon takes units off when it is asked, and its answer, by which we know of it, comes later.
                stock.c.amazon_update_time >= func.coalesce(shipments.c.begin_time, reservations.c.submit_time),
            ),
            reservations.c.submit_time <= read_time - timedelta(seconds=_SURELY_SECONDS),
        ),
    )
    skus = tx.execute(
        select(reservations.c.amazon_sku)
        .where(due)
        .distinct()
        .order_by(reservations.c.amazon_sku)
        .limit(_SETTLED_AT_ONCE)
    ).scalars()
    locked = lock(tx, merchant_id, skus.all())
    if not locked:
        return 0
    rows = tx.execute(
        update(reservations)
        .where(due, reservations.c.amazon_sku.in_(list(locked)))
        .values(state="SETTLED", update_time=func.now())
        .returning(
            reservations.c.amazon_sku,
            reservations.c.quantity,
            reservations.c.workspace_id,
            shipments.c.order_id,
            shipments.c.fulfillment_order_id,
        )
    ).all()
    sums: dict[str, int] = {}
    for row in rows:
        sums[row.amazon_sku] = sums.get(row.amazon_sku, 0) + row.quantity
    if sums:
        tx.execute(_TAKE_OFF, [{"merchant": merchant_id, "sku": sku, "units": sums[sku]} for sku in sorted(sums)])
        entries = [
            entry_row(
                row.workspace_id,
                merchant_id,
                row.amazon_sku,
                "SETTLED",
                -row.quantity,
                row.order_id,
                row.fulfillment_order_id,
            )
            for row in rows
        ]
        tx.execute(insert(stock_entries), entries)
        notify(tx, STOCK_CHANNEL)
    return len(rows)


_TAKE_OFF = text("""
    UPDATE stock SET in_flight = in_flight - :units, version = version + 1
    WHERE merchant_id = :merchant AND amazon_sku = :sku
""")


def entry_row(
    workspace_id: UUID,
    merchant_id: UUID,
    amazon_sku: str,
    kind: str,
    quantity: int,
    order_id: UUID | None = None,
    fulfillment_order_id: str = "",
) -> dict[str, Any]:
    """A line of the ledger, for stock_entries."""
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


def stock_of(row: RowMapping) -> Stock:
    """A row with SHOWN as stock."""
    return Stock(**{name: row[name] for name in Stock.__dataclass_fields__})


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
