"""SQL of who follows a merchant's orders, and of which shipments are to be read. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, or_, select, update

from services.fulfillment.merchants.domain import MerchantState
from services.fulfillment.order_tables import merchants, shipments
from services.fulfillment.shipping.domain import Shipment, ShipmentState
from services.fulfillment.shipping.shipment_store import COLUMNS, shipment_of
from services.fulfillment.store import in_seconds
from services.fulfillment.turn_store import Turn, Turns

# Amazon has them; those that are being sent are read by whoever sends them.
_AT_AMAZON = (ShipmentState.SUBMITTED.value, ShipmentState.CANCELING.value)


@dataclass(frozen=True, slots=True)
class Round(Turn):
    """The right to follow a merchant's orders. `cursor`: what changed before is known."""

    merchant_id: UUID
    cursor: datetime | None


_ROUNDS = Turns(
    Round,
    key=merchants.c.merchant_id,
    lease=merchants.c.orders_lease_time,
    due=merchants.c.orders_due_time,
    known=(merchants.c.orders_cursor,),
)


@dataclass(frozen=True, slots=True)
class Known:
    """A shipment, and what Amazon said of it last."""

    shipment: Shipment
    amazon_update_time: datetime | None


def claim_round(tx: Connection, lease_seconds: float) -> Round | None:
    """Takes the merchant that is due for longest and that nobody follows; None without one. Of all workspaces."""
    return _ROUNDS.claim(tx, lease_seconds, merchants.c.state == MerchantState.CONNECTED.value)


def keep_round(tx: Connection, mine: Round, lease_seconds: float) -> Round | None:
    """Holds it for longer; None when it is another's by now. `begin_time` stays."""
    return _ROUNDS.keep(tx, mine, lease_seconds)


def end_list(tx: Connection, mine: Round) -> None:
    """Records that the list was read to its end, and what changed was read: what changed before this round is known."""
    _ROUNDS.store(tx, mine, {"orders_cursor": mine.begin_time})


def release_round(tx: Connection, mine: Round, due_seconds: float) -> None:
    """Lets others follow it in so many seconds. Nothing when it is another's."""
    _ROUNDS.release(tx, mine, due_seconds)


def followed(tx: Connection, merchant_id: UUID, fulfillment_order_ids: Collection[str]) -> list[Known]:
    """Those of a merchant's shipments with these ids at Amazon that are followed still."""
    query = select(*COLUMNS, shipments.c.amazon_update_time).where(
        shipments.c.merchant_id == merchant_id,
        shipments.c.fulfillment_order_id.in_(fulfillment_order_ids),
        or_(shipments.c.state.in_(_AT_AMAZON), shipments.c.read_due_time.is_not(None)),
        shipments.c.state != ShipmentState.SUBMITTING.value,
    )
    return [Known(shipment_of(row), row["amazon_update_time"]) for row in tx.execute(query).mappings()]


def due_shipments(tx: Connection, merchant_id: UUID, most: int) -> list[Shipment]:
    """Shipments that were not read for long, whatever Amazon's list says, those first that wait for longest."""
    query = (
        select(*COLUMNS)
        .where(
            shipments.c.merchant_id == merchant_id,
            shipments.c.read_due_time <= func.now(),
            shipments.c.state != ShipmentState.SUBMITTING.value,
        )
        .order_by(shipments.c.read_due_time)
        .limit(most)
    )
    return [shipment_of(row) for row in tx.execute(query).mappings()]


def set_read(tx: Connection, shipment: Shipment, asked_time: datetime, again_seconds: float | None) -> bool:
    """Records that a shipment was read when it was asked for at a time; None: it is not read again by itself. False
    when an answer to a later question is stored already.
    """
    stored = tx.execute(
        update(shipments)
        .where(
            shipments.c.workspace_id == shipment.workspace_id,
            shipments.c.shipment_id == shipment.shipment_id,
            func.coalesce(shipments.c.read_time < asked_time, True),
        )
        .values(read_time=asked_time, read_due_time=None if again_seconds is None else in_seconds(again_seconds))
    )
    return stored.rowcount > 0


def read_by(tx: Connection, shipment: Shipment, seconds: float) -> None:
    """Has a shipment read in so many seconds at the latest: from now on it may have numbers."""
    tx.execute(
        update(shipments)
        .where(
            shipments.c.workspace_id == shipment.workspace_id,
            shipments.c.shipment_id == shipment.shipment_id,
            shipments.c.read_due_time.is_not(None),
        )
        .values(read_due_time=func.least(shipments.c.read_due_time, in_seconds(seconds)))
    )


def read_again(tx: Connection, shipments_: Collection[Shipment], seconds: float) -> None:
    """Has shipments read again after a while: Amazon did not tell of them."""
    ids = [each.shipment_id for each in shipments_]
    tx.execute(update(shipments).where(shipments.c.shipment_id.in_(ids)).values(read_due_time=in_seconds(seconds)))
