"""SQL of orders: reading them, waking them, and what happened to them. The caller owns the transaction.

Who works on them is in work_store.py, how they come in in intake_store.py, what is sealed in personal_store.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, insert, or_, select, tuple_, update

from kit.db import new_id
from kit.listen import notify
from kit.paging import Page
from services.fulfillment.order_tables import order_events, orders, shipments
from services.fulfillment.orders.domain import ByHand, Order, OrderEvent, OrderNotFound, OrderState
from services.fulfillment.orders.shop_order import told_from_json

ORDERS_CHANNEL = "fulfillment_orders"
_SEALED = ("sealed_order", "sealed_address", "buyer_hash", "decision")
COLUMNS = tuple(column for column in orders.c if column.name not in _SEALED)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders are listed; what is empty or None does not narrow it."""

    shop_id: UUID | None = None
    states: tuple[OrderState, ...] = ()
    reason: str = ""
    platform_order_id: str = ""
    from_time: datetime | None = None
    until_time: datetime | None = None
    is_late: bool = False


def read_order(tx: Connection, workspace_id: UUID, order_id: UUID, *, for_update: bool = False) -> Order:
    """An order; `for_update` locks its row. Raises OrderNotFound."""
    query = select(*COLUMNS).where(orders.c.workspace_id == workspace_id, orders.c.order_id == order_id)
    row = tx.execute(query.with_for_update() if for_update else query).mappings().first()
    if row is None:
        raise OrderNotFound("There is no order with this id in the workspace.", metadata={"order_id": str(order_id)})
    return order_of(row)


def read_orders(
    tx: Connection, workspace_id: UUID, order_ids: Collection[UUID], *, for_update: bool = False
) -> dict[UUID, Order]:
    """Orders by their ids; those that the workspace does not have are left out."""
    query = (
        select(*COLUMNS)
        .where(orders.c.workspace_id == workspace_id, orders.c.order_id.in_(order_ids))
        # In one order everywhere, or two of them could wait for each other's rows.
        .order_by(orders.c.order_id)
    )
    rows = tx.execute(query.with_for_update() if for_update else query).mappings()
    return {row["order_id"]: order_of(row) for row in rows}


def read_decision(tx: Connection, workspace_id: UUID, order_id: UUID) -> Mapping[str, Any] | None:
    """The latest decision as routing.deciding writes it; None before the first. Raises OrderNotFound."""
    row = tx.execute(
        select(orders.c.decision).where(orders.c.workspace_id == workspace_id, orders.c.order_id == order_id)
    ).first()
    if row is None:
        raise OrderNotFound("There is no order with this id in the workspace.", metadata={"order_id": str(order_id)})
    found: Mapping[str, Any] | None = row.decision
    return found


def list_orders(tx: Connection, workspace_id: UUID, page: Page, wanted: OrderFilter) -> list[Order]:
    """Orders, the last created first; one more than the page holds when there is a next page."""
    query: Select[Any] = select(*COLUMNS).where(orders.c.workspace_id == workspace_id, *_conditions(wanted))
    if page.after:
        query = query.where(tuple_(orders.c.platform_create_time, orders.c.order_id) < tuple_(*page.after))
    query = query.order_by(orders.c.platform_create_time.desc(), orders.c.order_id.desc()).limit(page.size + 1)
    return [order_of(row) for row in tx.execute(query).mappings()]


def _conditions(wanted: OrderFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.shop_id is not None:
        found.append(orders.c.shop_id == wanted.shop_id)
    if wanted.states:
        found.append(orders.c.state.in_([state.value for state in wanted.states]))
    if wanted.reason:
        found.append(orders.c.reason == wanted.reason)
    if wanted.platform_order_id:
        at_amazon = select(shipments.c.order_id).where(
            shipments.c.workspace_id == orders.c.workspace_id,
            shipments.c.fulfillment_order_id == wanted.platform_order_id,
        )
        found.append(or_(orders.c.platform_order_id == wanted.platform_order_id, orders.c.order_id.in_(at_amazon)))
    if wanted.from_time is not None:
        found.append(orders.c.platform_create_time >= wanted.from_time)
    if wanted.until_time is not None:
        found.append(orders.c.platform_create_time < wanted.until_time)
    if wanted.is_late:
        found.append(func.cardinality(orders.c.alarms) > 0)
    return found


def wake(tx: Connection, workspace_id: UUID, order_ids: Collection[UUID]) -> None:
    """Has orders looked at now: decided again, or moved on."""
    if not order_ids:
        return
    tx.execute(
        update(orders)
        .where(orders.c.workspace_id == workspace_id, orders.c.order_id.in_(order_ids))
        .values(next_time=now_at_last())
    )
    notify(tx, ORDERS_CHANNEL)


def wake_held(
    tx: Connection,
    workspace_id: UUID,
    *,
    reasons: Collection[str] = (),
    shop_id: UUID | None = None,
    left_too: bool = False,
) -> int:
    """Has held orders decided again, of these reasons (none: of any, and those that only wait) and this shop; with
    `left_too` also those that were left to the seller. Returns how many.
    """
    states = [OrderState.HELD.value]
    states += [OrderState.LEFT.value] if left_too else []
    states += [] if reasons else [OrderState.PENDING.value]
    statement = update(orders).where(orders.c.workspace_id == workspace_id, orders.c.state.in_(states))
    if reasons:
        statement = statement.where(orders.c.reason.in_(reasons))
    if shop_id is not None:
        statement = statement.where(orders.c.shop_id == shop_id)
    woken = tx.execute(statement.values(next_time=now_at_last())).rowcount
    if woken:
        notify(tx, ORDERS_CHANNEL)
    return woken


def now_at_last() -> ColumnElement[datetime]:
    """For `next_time`: now, unless it was due already."""
    return func.least(func.coalesce(orders.c.next_time, func.now()), func.now())


def add_event(
    tx: Connection,
    workspace_id: UUID,
    order_id: UUID,
    type: str,  # noqa: A002 - its name in the proto
    text: str,
    actor: str = "",
    attributes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Writes down what happened to an order. Nothing personal is in text or attributes."""
    add_events(tx, [event_row(workspace_id, order_id, type, text, actor, attributes)])


def event_row(
    workspace_id: UUID,
    order_id: UUID,
    type: str,  # noqa: A002 - its name in the proto
    text: str,
    actor: str = "",
    attributes: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """What happened to an order, for `add_events`."""
    return {
        "event_id": new_id(),
        "workspace_id": workspace_id,
        "order_id": order_id,
        "type": type,
        "text": text[:1000],
        "actor": actor,
        "attributes": dict(attributes),
    }


def add_events(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes down what happened to several orders at once."""
    if rows:
        tx.execute(insert(order_events), list(rows))


def has_event(tx: Connection, workspace_id: UUID, order_id: UUID, kind: str) -> bool:
    """Whether something of this kind happened to an order."""
    query = select(order_events.c.event_id).where(
        order_events.c.workspace_id == workspace_id, order_events.c.order_id == order_id, order_events.c.type == kind
    )
    return tx.execute(query.limit(1)).first() is not None


def list_events(tx: Connection, workspace_id: UUID, order_id: UUID, page: Page) -> list[OrderEvent]:
    """What happened to an order, the first first; one more than the page holds when there is a next page."""
    query = select(order_events).where(order_events.c.workspace_id == workspace_id, order_events.c.order_id == order_id)
    if page.after:
        query = query.where(order_events.c.event_id > page.after[0])
    rows = tx.execute(query.order_by(order_events.c.event_id).limit(page.size + 1)).mappings()
    return [
        OrderEvent(row["event_id"], row["time"], row["type"], row["text"], row["actor"], row["attributes"])
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class HeldCount:
    """How many orders are held for a reason, and since when the oldest was created."""

    reason: str
    text: str
    orders: int
    oldest_time: datetime


def count_held(tx: Connection, workspace_id: UUID, shop_id: UUID | None) -> list[HeldCount]:
    """Held orders by reason, the most first."""
    query = (
        select(
            orders.c.reason,
            func.min(orders.c.reason_text).label("text"),
            func.count().label("held"),
            func.min(orders.c.platform_create_time).label("oldest"),
        )
        .where(orders.c.workspace_id == workspace_id, orders.c.state == OrderState.HELD.value)
        .group_by(orders.c.reason)
        .order_by(func.count().desc(), orders.c.reason)
    )
    if shop_id is not None:
        query = query.where(orders.c.shop_id == shop_id)
    return [HeldCount(row.reason, row.text, row.held, row.oldest) for row in tx.execute(query)]


def order_of(row: RowMapping) -> Order:
    """A row with COLUMNS as an order."""
    return Order(
        order_id=row["order_id"],
        workspace_id=row["workspace_id"],
        shop_id=row["shop_id"],
        state=OrderState(row["state"]),
        reason=row["reason"],
        reason_text=row["reason_text"],
        told=told_from_json(row["facts"]),
        masked_recipient=row["masked_recipient"],
        is_erased=row["erase_time"] is not None,
        passed_over=tuple(row["passed_over"]),
        by_hand=by_hand_from_json(row["by_hand"]),
        is_cancel_wanted=row["is_cancel_wanted"],
        cancel_reason=row["cancel_reason"],
        alarms=tuple(row["alarms"]),
        attempt=row["attempt"],
        next_time=row["next_time"],
        end_time=row["end_time"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def by_hand_to_json(by_hand: ByHand) -> dict[str, Any] | None:
    """For the column `by_hand`; None where nobody chose anything."""
    if by_hand == ByHand():
        return None
    return {
        "route": by_hand.is_routed,
        "leave": by_hand.is_left,
        "items": [list(item) for item in by_hand.items],
        "speed": by_hand.speed,
        "corrected": by_hand.is_corrected,
    }


def by_hand_from_json(found: Mapping[str, Any] | None) -> ByHand:
    """What people chose, again."""
    if not found:
        return ByHand()
    return ByHand(
        is_routed=found["route"],
        is_left=found["leave"],
        items=tuple((item[0], item[1]) for item in found["items"]),
        speed=found["speed"],
        is_corrected=found["corrected"],
    )
