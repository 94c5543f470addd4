"""SQL of orders' alarms. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, or_, select, update

from services.fulfillment.order_tables import orders
from services.fulfillment.orders.domain import Order
from services.fulfillment.orders.order_store import COLUMNS, order_of


def claim_alarms(tx: Connection, most: int) -> list[Order]:
    """Locks orders whose deadlines are to be looked at, those first that wait for longest. Of all workspaces."""
    query = (
        select(*COLUMNS)
        .where(orders.c.alarm_time <= func.now())
        .order_by(orders.c.alarm_time)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return [order_of(row) for row in tx.execute(query).mappings()]


def set_alarms(tx: Connection, order: Order, given: Sequence[str], alarm_time: datetime | None) -> None:
    """Stores which alarms were given by now, and when the order is looked at next; None: never by itself."""
    tx.execute(
        update(orders)
        .where(orders.c.workspace_id == order.workspace_id, orders.c.order_id == order.order_id)
        .values(alarms=list(given), alarm_time=alarm_time)
    )


def look_again(tx: Connection, workspace_id: UUID, order_id: UUID) -> None:
    """Has an order's deadlines looked at now, if it has any: what is expected of its parcels changed."""
    tx.execute(
        update(orders)
        .where(
            orders.c.workspace_id == workspace_id,
            orders.c.order_id == order_id,
            or_(orders.c.deliver_until_time.is_not(None), orders.c.alarm_time.is_not(None)),
        )
        .values(alarm_time=func.now())
    )
