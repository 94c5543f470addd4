"""SQL of who works on orders: claims with leases, and what a worker stores. The caller owns the transaction.

A claim counts an attempt. While it lasts, `next_time` is the end of its lease, so that a worker that dies is followed
by another; whoever wakes the order meanwhile sets it to an earlier time, by which the worker finds in the end that
there is more to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, case, func, select, text, update

from services.fulfillment.order_tables import orders
from services.fulfillment.orders.domain import Order, OrderState
from services.fulfillment.orders.order_store import COLUMNS, order_of
from services.fulfillment.store import in_seconds

# The shop is chosen first: of those that were not served a moment ago the one with the order that waits for longest.
_CLAIM = text("""
    WITH first AS (
        SELECT shop_id FROM orders
        WHERE next_time <= now() AND (lease_time IS NULL OR lease_time <= now()) AND shop_id <> ALL(:served)
        ORDER BY next_time LIMIT 1),
    due AS MATERIALIZED (
        SELECT order_id FROM orders
        WHERE shop_id = (SELECT shop_id FROM first) AND next_time <= now()
          AND (lease_time IS NULL OR lease_time <= now())
        ORDER BY next_time LIMIT :limit FOR UPDATE SKIP LOCKED)
    UPDATE orders SET attempt = attempt + 1, lease_time = now() + make_interval(secs => :lease),
        next_time = now() + make_interval(secs => :lease)
    FROM due WHERE orders.order_id = due.order_id
    RETURNING orders.workspace_id, orders.shop_id, orders.order_id, orders.attempt
""")


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on some orders of a shop: each with the number of its attempt."""

    workspace_id: UUID
    shop_id: UUID
    attempts: Mapping[UUID, int]


def claim(tx: Connection, limit: int, lease_seconds: float, served: Collection[UUID]) -> Claim | None:
    """Takes orders that are due, all of one shop that is none of `served`; None when there are none."""
    rows = tx.execute(_CLAIM, {"limit": limit, "lease": lease_seconds, "served": list(served)}).all()
    if not rows:
        return None
    return Claim(rows[0].workspace_id, rows[0].shop_id, {row.order_id: row.attempt for row in rows})


def read_claimed(tx: Connection, claim: Claim, *, for_update: bool = False) -> list[Order]:
    """The claimed orders that are still this claim's; `for_update` keeps them so until the transaction ends."""
    query = (
        select(*COLUMNS)
        .where(orders.c.workspace_id == claim.workspace_id, orders.c.order_id.in_(claim.attempts))
        .order_by(orders.c.order_id)
    )
    rows = tx.execute(query.with_for_update() if for_update else query).mappings()
    return [order_of(row) for row in rows if row["attempt"] == claim.attempts[row["order_id"]]]


def sealed_addresses(tx: Connection, workspace_id: UUID, order_ids: Collection[UUID]) -> dict[UUID, bytes]:
    """Where orders go, sealed, by order."""
    rows = tx.execute(
        select(orders.c.order_id, orders.c.sealed_address).where(
            orders.c.workspace_id == workspace_id,
            orders.c.order_id.in_(order_ids),
            orders.c.sealed_address.is_not(None),
        )
    )
    return {order_id: bytes(sealed) for order_id, sealed in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a worker stores of an order. `next`: when it is looked at next: an instant, in so many seconds, or never by
    itself. `decision` None leaves the one that there is.
    """

    state: OrderState
    reason: str = ""
    text: str = ""
    decision: Mapping[str, Any] | None = None
    next: datetime | float | None = None
    values: Mapping[str, Any] | None = None


def store(tx: Connection, order: Order, move: Move, *, goes_on: bool = False) -> None:
    """Ends the work on an order that `read_claimed` has locked, or (`goes_on`) stores what it has come to."""
    values: dict[str, Any] = {"state": move.state.value, "reason": move.reason, "reason_text": move.text}
    if not goes_on:
        # Woken meanwhile, it is due already.
        is_due = orders.c.next_time < orders.c.lease_time
        following = in_seconds(move.next) if isinstance(move.next, int | float) else move.next
        values |= {"lease_time": None, "next_time": case((is_due, orders.c.next_time), else_=following)}
    if move.decision is not None:
        values["decision"] = move.decision
    if (move.state, move.reason) != (order.state, order.reason):
        values["update_time"] = func.now()
        # Other deadlines count, or none any more.
        values["alarm_time"] = func.now()
    if move.state in (OrderState.DELIVERED, OrderState.CANCELED) and order.end_time is None:
        values["end_time"] = func.now()
    tx.execute(
        update(orders)
        .where(orders.c.workspace_id == order.workspace_id, orders.c.order_id == order.order_id)
        .values(values | dict(move.values or {}))
    )


def put_off(tx: Connection, claim: Claim, order_ids: Sequence[UUID], seconds: float) -> None:
    """Ends the work on claimed orders without having done any: they are due again in so many seconds."""
    for order in read_claimed(tx, claim, for_update=True):
        if order.order_id in order_ids:
            store(
                tx,
                order,
                Move(state=order.state, reason=order.reason, text=order.reason_text, next=seconds),
            )


def oldest_due(tx: Connection) -> float:
    """How long the order that waits for longest has been due, seconds. Of all workspaces."""
    found = tx.execute(
        select(func.extract("epoch", func.now() - func.min(orders.c.next_time))).where(orders.c.next_time <= func.now())
    ).scalar_one()
    return float(found or 0)
