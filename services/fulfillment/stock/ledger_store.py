"""SQL of the stock ledger: what shipments hold of a merchant's SKUs. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from services.fulfillment.order_tables import reservations, stock
from services.fulfillment.stock.domain import InsufficientStock


def lock(tx: Connection, merchant_id: UUID, skus: Collection[str]) -> None:
    """Locks the rows of SKUs, in one order everywhere, until the transaction ends."""
    query = select(stock.c.amazon_sku).where(stock.c.merchant_id == merchant_id, stock.c.amazon_sku.in_(skus))
    tx.execute(query.order_by(stock.c.amazon_sku).with_for_update()).all()


def reserve(
    tx: Connection,
    workspace_id: UUID,
    merchant_id: UUID,
    order_id: UUID,
    shipment_id: UUID,
    quantities: Mapping[str, int],
    default_safety_stock: int,
) -> None:
    """Holds units of SKUs for a shipment, once. Raises InsufficientStock, naming the SKUs, and nothing is held."""
    held = select(reservations.c.amazon_sku).where(reservations.c.shipment_id == shipment_id)
    if tx.execute(held).first() is not None:
        return
    lock(tx, merchant_id, quantities)
    free = stock.c.fulfillable - stock.c.reserved - stock.c.in_flight
    rows = tx.execute(
        select(
            stock.c.amazon_sku,
            (free - func.coalesce(stock.c.safety_stock, default_safety_stock)).label("units"),
            stock.c.is_at_amazon,
        ).where(stock.c.merchant_id == merchant_id, stock.c.amazon_sku.in_(quantities))
    )
    units = {row.amazon_sku: row.units for row in rows if row.is_at_amazon}
    if short := sorted(sku for sku, wanted in quantities.items() if units.get(sku, 0) < wanted):
        raise InsufficientStock(
            f"Less can be sold than is wanted of {', '.join(short)}.", (), {"skus": ",".join(short)}
        )
    for sku, quantity in sorted(quantities.items()):
        tx.execute(
            insert(reservations).values(
                shipment_id=shipment_id,
                amazon_sku=sku,
                workspace_id=workspace_id,
                merchant_id=merchant_id,
                quantity=quantity,
                state="RESERVED",
            )
        )
        _move(tx, merchant_id, sku, reserved=quantity)


def submitted(tx: Connection, shipment_id: UUID) -> None:
    """Amazon has the shipment: its units are on their way."""
    for row in _held(tx, shipment_id, "RESERVED"):
        _set(tx, row, state="IN_FLIGHT", submit_time=func.now())
        _move(tx, row.merchant_id, row.amazon_sku, reserved=-row.quantity, in_flight=row.quantity)


def release(tx: Connection, shipment_id: UUID, quantities: Mapping[str, int] | None = None) -> None:
    """Gives units back that the shipment does not need: all, or so many of each SKU."""
    for row in _held(tx, shipment_id, "RESERVED", "IN_FLIGHT"):
        back = row.quantity if quantities is None else min(row.quantity, quantities.get(row.amazon_sku, 0))
        if back <= 0:
            continue
        left = row.quantity - back
        _set(tx, row, **({"quantity": left} if left else {"state": "RELEASED"}))
        column = "reserved" if row.state == "RESERVED" else "in_flight"
        _move(tx, row.merchant_id, row.amazon_sku, **{column: -back})


def _held(tx: Connection, shipment_id: UUID, *states: str) -> list[Any]:
    query = select(reservations).where(reservations.c.shipment_id == shipment_id, reservations.c.state.in_(states))
    rows = list(tx.execute(query.order_by(reservations.c.amazon_sku)))
    if rows:
        lock(tx, rows[0].merchant_id, [row.amazon_sku for row in rows])
        rows = list(tx.execute(query.order_by(reservations.c.amazon_sku)))
    return rows


def _set(tx: Connection, row: Any, **values: Any) -> None:
    tx.execute(
        update(reservations)
        .where(reservations.c.shipment_id == row.shipment_id, reservations.c.amazon_sku == row.amazon_sku)
        .values(update_time=func.now(), **values)
    )


def _move(tx: Connection, merchant_id: UUID, sku: str, **changes: int) -> None:
    values = {name: stock.c[name] + change for name, change in changes.items()}
    tx.execute(
        update(stock)
        .where(stock.c.merchant_id == merchant_id, stock.c.amazon_sku == sku)
        .values(version=stock.c.version + 1, **values)
    )
