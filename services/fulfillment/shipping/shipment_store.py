"""SQL of shipments: orders at Amazon, and those that are to be. The caller owns the transaction.

A shipment's state is moved here alone, along ShipmentState.may_become: whoever is late finds that it is no longer where
he read it, and changes nothing. What is no longer sent gives its stock back in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update

from services.fulfillment.order_tables import shipments
from services.fulfillment.shipping.domain import Shipment, ShipmentItem, ShipmentState
from services.fulfillment.stock import ledger_store
from services.fulfillment.store import in_seconds
from vendors.amazon_sp.outbound import FulfillmentOrder, OrderStatus

COLUMNS = tuple(column for column in shipments.c if column.name != "sealed_destination")
# Amazon plans an order within minutes; until then there is nothing to see.
_FIRST_READING_SECONDS = 180.0
# Why a shipment failed, in words that orders are held for.
REFUSED, INVALID, UNFULFILLABLE = "amazon_refused", "amazon_invalid", "amazon_unfulfillable"
CANCELED_THERE, DIFFERS = "amazon_canceled", "amazon_differs"


class ForbiddenMove(RuntimeError):
    """A fault of ours: a shipment is to go where it cannot go from where it is."""


def read_shipments(tx: Connection, workspace_id: UUID, order_id: UUID) -> list[Shipment]:
    """All shipments of an order, the first first."""
    return shipments_of(tx, workspace_id, [order_id]).get(order_id, [])


def shipments_of(tx: Connection, workspace_id: UUID, order_ids: Collection[UUID]) -> dict[UUID, list[Shipment]]:
    """All shipments of orders, by order; those without any are left out."""
    query = _shipments().where(shipments.c.workspace_id == workspace_id, shipments.c.order_id.in_(order_ids))
    found: dict[UUID, list[Shipment]] = {}
    for row in tx.execute(query.order_by(shipments.c.order_id, shipments.c.number)).mappings():
        found.setdefault(row["order_id"], []).append(shipment_of(row))
    return found


def read_shipment(tx: Connection, workspace_id: UUID, shipment_id: UUID, *, for_update: bool = False) -> Shipment:
    """A shipment that is there; `for_update` locks its row."""
    query = _shipments().where(shipments.c.workspace_id == workspace_id, shipments.c.shipment_id == shipment_id)
    return shipment_of(tx.execute(query.with_for_update() if for_update else query).mappings().one())


def insert_shipment(tx: Connection, shipment: Shipment, sealed_destination: bytes) -> None:
    """Stores a new shipment, with where it goes. Raises IntegrityError when its number is another's."""
    tx.execute(
        insert(shipments).values(
            shipment_id=shipment.shipment_id,
            workspace_id=shipment.workspace_id,
            order_id=shipment.order_id,
            merchant_id=shipment.merchant_id,
            number=shipment.number,
            fulfillment_order_id=shipment.fulfillment_order_id,
            state=shipment.state.value,
            speed=shipment.speed,
            policy=shipment.policy,
            features=dict(shipment.features),
            items=items_to_json(shipment.items),
            sealed_destination=sealed_destination,
            begin_time=shipment.begin_time,
        )
    )


def sealed_destinations(tx: Connection, workspace_id: UUID, shipment_ids: Collection[UUID]) -> dict[UUID, bytes]:
    """Where shipments go, sealed."""
    rows = tx.execute(
        select(shipments.c.shipment_id, shipments.c.sealed_destination).where(
            shipments.c.workspace_id == workspace_id,
            shipments.c.shipment_id.in_(shipment_ids),
            shipments.c.sealed_destination.is_not(None),
        )
    )
    return {shipment_id: bytes(sealed) for shipment_id, sealed in rows}


def set_amazon_status(tx: Connection, shipment: Shipment, found: FulfillmentOrder) -> Shipment:
    """Stores where Amazon says that a shipment is, and moves it where that means its end. The caller holds the order's
    row, and of several orders all before the first shipment is touched.

    COMPLETE is SHIPPED, and so is what was sent of COMPLETE_PARTIALLED. INVALID and UNFULFILLABLE are FAILED. CANCELLED
    is CANCELED when we asked for it, else FAILED. What Amazon said at an earlier instant than what is stored changes
    nothing. Stock that is not sent is given back.

    Returns the shipment as it is now, which is as it was when it is over or another moved it meanwhile.
    """
    now = read_shipment(tx, shipment.workspace_id, shipment.shipment_id, for_update=True)
    if now.state.is_over or now.state is ShipmentState.PLANNED:
        return now
    stored = tx.execute(
        update(shipments)
        .where(
            shipments.c.shipment_id == now.shipment_id,
            func.coalesce(shipments.c.amazon_update_time <= found.status_update_time, True),
        )
        .values(
            amazon_status=found.status_text or found.status.value,
            amazon_update_time=func.coalesce(found.status_update_time, shipments.c.amazon_update_time),
            update_time=func.now(),
        )
        .returning(*COLUMNS)
    )
    row = stored.mappings().first()
    now = shipment_of(row) if row is not None else now
    if now.state is ShipmentState.SUBMITTING:
        now = set_state(tx, now, ShipmentState.SUBMITTED)
    if row is None:
        return now
    match found.status:
        case OrderStatus.COMPLETE:
            return set_state(tx, now, ShipmentState.SHIPPED)
        case OrderStatus.COMPLETE_PARTIALLED:
            _keep_what_was_sent(tx, now, found)
            return set_state(tx, now, ShipmentState.SHIPPED)
        case OrderStatus.INVALID:
            return set_state(tx, now, ShipmentState.FAILED, INVALID)
        case OrderStatus.UNFULFILLABLE:
            return set_state(tx, now, ShipmentState.FAILED, UNFULFILLABLE)
        case OrderStatus.CANCELLED if now.state is ShipmentState.CANCELING:
            return set_state(tx, now, ShipmentState.CANCELED)
        case OrderStatus.CANCELLED:
            return set_state(tx, now, ShipmentState.FAILED, CANCELED_THERE)
    return now


def set_state(tx: Connection, shipment: Shipment, state: ShipmentState, problem: str = "") -> Shipment:
    """Moves a shipment from where it was read to be; `problem`, one word, with FAILED alone. What becomes CANCELED or
    FAILED gives its stock back, what becomes SUBMITTED takes it.

    Returns it as it is now: unmoved when another was faster. Raises ForbiddenMove.
    """
    if not shipment.state.may_become(state):
        raise ForbiddenMove(f"{shipment.fulfillment_order_id} cannot go from {shipment.state} to {state}")
    values: dict[str, Any] = {"state": state.value, "problem": problem, "update_time": func.now()}
    match shipment.state, state:
        case _, ShipmentState.PLANNED:
            values["begin_time"] = None
        case _, ShipmentState.SUBMITTING:
            values["begin_time"] = func.now()
        case ShipmentState.SUBMITTING, ShipmentState.SUBMITTED:
            values["submit_time"] = func.now()
            # From now on it is followed: see following.py.
            values["read_due_time"] = in_seconds(_FIRST_READING_SECONDS)
        case ShipmentState.CANCELING, ShipmentState.SUBMITTED:
            values["cancel_refuse_time"] = func.now()
    moved = tx.execute(
        update(shipments)
        .where(
            shipments.c.workspace_id == shipment.workspace_id,
            shipments.c.shipment_id == shipment.shipment_id,
            shipments.c.state == shipment.state.value,
        )
        .values(values)
        .returning(*COLUMNS)
    )
    row = moved.mappings().first()
    if row is None:
        return read_shipment(tx, shipment.workspace_id, shipment.shipment_id)
    if state in (ShipmentState.CANCELED, ShipmentState.FAILED):
        ledger_store.release(tx, shipment.shipment_id)
    elif state is ShipmentState.SUBMITTED:
        ledger_store.submitted(tx, shipment.shipment_id)
    return shipment_of(row)


def given_up(tx: Connection, merchant_id: UUID, fulfillment_order_ids: Collection[str]) -> list[Shipment]:
    """A merchant's shipments with these ids at Amazon that are over because Amazon did not have them."""
    query = _shipments().where(
        shipments.c.merchant_id == merchant_id,
        shipments.c.fulfillment_order_id.in_(fulfillment_order_ids),
        shipments.c.state.in_((ShipmentState.CANCELED.value, ShipmentState.FAILED.value)),
        shipments.c.amazon_status == "",
        shipments.c.problem != DIFFERS,
    )
    return [shipment_of(row) for row in tx.execute(query.order_by(shipments.c.shipment_id)).mappings()]


def take_up(tx: Connection, shipment: Shipment) -> bool:
    """Makes one that was given up SUBMITTED: Amazon has it after all. The only way back from where shipments are over;
    whoever works on its order sees to it that nothing is sent for nobody. False when another was faster. The caller
    holds the order's row.
    """
    taken = tx.execute(
        update(shipments)
        .where(
            shipments.c.workspace_id == shipment.workspace_id,
            shipments.c.shipment_id == shipment.shipment_id,
            shipments.c.state == shipment.state.value,
            shipments.c.amazon_status == "",
        )
        .values(
            state=ShipmentState.SUBMITTED.value,
            problem="",
            begin_time=func.coalesce(shipments.c.begin_time, func.now()),
            submit_time=func.now(),
            read_due_time=func.now(),
            update_time=func.now(),
        )
    )
    if taken.rowcount:
        ledger_store.hold_again(tx, shipment.shipment_id)
    return taken.rowcount > 0


def _keep_what_was_sent(tx: Connection, shipment: Shipment, found: FulfillmentOrder) -> None:
    """Takes out of a shipment what Amazon will never send of it."""
    lost = {item.item_id: item.cancelled + item.unfulfillable for item in found.items}
    kept = []
    unsent: dict[str, int] = {}
    for item in shipment.items:
        quantity = max(0, item.quantity - lost.get(item.item_id, 0))
        unsent[item.amazon_sku] = unsent.get(item.amazon_sku, 0) + item.quantity - quantity
        if quantity > 0:
            # Which of equal units went is all one: the first lines get them. A bundle of which a part went did not go.
            share = len(item.platform_line_ids) * quantity // item.quantity
            kept.append(ShipmentItem(item.item_id, item.amazon_sku, quantity, item.platform_line_ids[:share]))
    tx.execute(
        update(shipments).where(shipments.c.shipment_id == shipment.shipment_id).values(items=items_to_json(kept))
    )
    ledger_store.release(tx, shipment.shipment_id, unsent)


def items_to_json(items: Iterable[ShipmentItem]) -> list[dict[str, Any]]:
    """For the column `items`."""
    return [
        {
            "item_id": item.item_id,
            "amazon_sku": item.amazon_sku,
            "quantity": item.quantity,
            "platform_line_ids": list(item.platform_line_ids),
        }
        for item in items
    ]


def _shipments() -> Select[Any]:
    return select(*COLUMNS)


def shipment_of(row: RowMapping) -> Shipment:
    """A row with COLUMNS as a shipment."""
    return Shipment(
        shipment_id=row["shipment_id"],
        workspace_id=row["workspace_id"],
        order_id=row["order_id"],
        merchant_id=row["merchant_id"],
        number=row["number"],
        fulfillment_order_id=row["fulfillment_order_id"],
        state=ShipmentState(row["state"]),
        amazon_status=row["amazon_status"],
        speed=row["speed"],
        policy=row["policy"],
        features=row["features"],
        items=tuple(
            ShipmentItem(each["item_id"], each["amazon_sku"], each["quantity"], tuple(each["platform_line_ids"]))
            for each in row["items"]
        ),
        problem=row["problem"],
        begin_time=row["begin_time"],
        submit_time=row["submit_time"],
        cancel_refuse_time=row["cancel_refuse_time"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
