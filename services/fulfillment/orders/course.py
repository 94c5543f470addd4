"""What is next about an order: by what TikTok Shop tells of it, what people wish, and where its shipments are. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from services.fulfillment.orders.domain import Order, OrderState, ShopOrder, UnitState
from services.fulfillment.shipping.domain import Shipment, ShipmentState

# Held for these, an order waits for a person whatever else changes: Amazon had it, and did not send it.
PARTLY_SENT = "amazon_partly_sent"
AT_AMAZON = frozenset(
    {
        "amazon_refused",
        "amazon_invalid",
        "amazon_unfulfillable",
        "amazon_canceled",
        "amazon_differs",
        PARTLY_SENT,
        "platform_cancel_refused",
    }
)
_CANCELLED, _DELIVERED = "CANCELLED", ("DELIVERED", "COMPLETED")
_TO_SHIP = ("AWAITING_SHIPMENT", "PARTIALLY_SHIPPING")
_PARTIALLED = "completepartialled"


class Step(enum.Enum):
    """What is done."""

    REST = enum.auto()  # nothing
    DECIDE = enum.auto()
    ASK_AMAZON = enum.auto()  # about shipments that are to be there, or no longer
    HOLD = enum.auto()  # Amazon does not send it; `reason` says why
    CANCEL_THERE = enum.auto()  # at TikTok Shop
    CANCELED = enum.auto()
    TOO_LATE = enum.auto()  # it was canceled, and goods are on their way
    SHIPPED = enum.auto()
    DELIVERED = enum.auto()


@dataclass(frozen=True, slots=True)
class Course:
    """What is next. `wanted`: shipments that Amazon is to have, and `unwanted`: those that it is not to send."""

    step: Step
    reason: str = ""
    wanted: tuple[Shipment, ...] = ()
    unwanted: tuple[Shipment, ...] = ()


@dataclass(frozen=True, slots=True)
class Parcels:
    """What is known of an order's parcels; `is_late_told`: that they cannot be stopped was told already."""

    are_told: bool = False
    are_delivered: bool = False
    is_late_told: bool = False


def course_of(
    order: Order, shipments: Sequence[Shipment], *, moved: frozenset[UUID] = frozenset(), parcels: Parcels = Parcels()
) -> Course:
    """What is next. `moved`: shipments that go where the order no longer does."""
    if order.state in (OrderState.DELIVERED, OrderState.CANCELED):
        return Course(Step.REST)
    still = [shipment for shipment in shipments if not shipment.state.is_over]
    if still:
        return _under_way(order, still, moved)
    sent = [shipment for shipment in shipments if shipment.state is ShipmentState.SHIPPED]
    if is_to_end(order) and not (sent and parcels.is_late_told):
        return _ended(order, sent)
    told = order.told
    if parcels.are_delivered or (told.status in _DELIVERED and (sent or order.state is OrderState.LEFT)):
        return Course(Step.DELIVERED)
    left = uncovered(told, sent)
    if order.state is OrderState.ROUTED and (problem := _problem(shipments, left)):
        return Course(Step.HOLD, problem)
    if order.state is OrderState.HELD and order.reason in AT_AMAZON:
        return Course(Step.REST)
    if left.open_units or not sent:
        return Course(Step.DECIDE)
    return Course(Step.SHIPPED if parcels.are_told else Step.REST)


def uncovered(told: ShopOrder, shipments: Sequence[Shipment]) -> ShopOrder:
    """The order without what these shipments are for."""
    lines = {line for shipment in shipments for item in shipment.items for line in item.platform_line_ids}
    if not lines:
        return told
    units = tuple(
        replace(unit, state=UnitState.SHIPPED)
        if unit.platform_line_id in lines and unit.state is UnitState.OPEN
        else unit
        for unit in told.units
    )
    return replace(told, units=units)


def may_be_sent(told: ShopOrder) -> bool:
    """Whether TikTok Shop would have it sent now: only then it is worth reading once more before it is."""
    return told.status in _TO_SHIP


def is_canceled(told: ShopOrder) -> bool:
    """Whether TikTok Shop has canceled all of it."""
    return told.status == _CANCELLED or (
        bool(told.units) and all(unit.state is UnitState.CANCELED for unit in told.units)
    )


def is_to_end(order: Order) -> bool:
    """Whether nothing of it is to be sent any more."""
    return order.is_cancel_wanted or is_canceled(order.told)


def _under_way(order: Order, still: Sequence[Shipment], moved: frozenset[UUID]) -> Course:
    told = order.told
    is_all_unwanted = is_to_end(order) or told.is_cancel_requested
    canceled = {unit.platform_line_id for unit in told.units if unit.state is UnitState.CANCELED}
    wanted, unwanted = [], []
    for shipment in still:
        lines = {line for item in shipment.items for line in item.platform_line_ids}
        is_unwanted = is_all_unwanted or shipment.shipment_id in moved or bool(lines & canceled)
        if shipment.state in (ShipmentState.PLANNED, ShipmentState.SUBMITTING):
            # Nothing is told of it yet: whatever else became of its units, somebody else did.
            is_unwanted |= not may_be_sent(told) or not lines <= {unit.platform_line_id for unit in told.open_units}
        if shipment.state is ShipmentState.CANCELING or (is_unwanted and shipment.cancel_refuse_time is None):
            unwanted.append(shipment)
        elif shipment.state in (ShipmentState.PLANNED, ShipmentState.SUBMITTING):
            wanted.append(shipment)
    if wanted or unwanted:
        return Course(Step.ASK_AMAZON, wanted=tuple(wanted), unwanted=tuple(unwanted))
    return Course(Step.REST)


def _ended(order: Order, sent: Sequence[Shipment]) -> Course:
    if sent:
        return Course(Step.TOO_LATE)
    if order.cancel_reason and not is_canceled(order.told):
        return Course(Step.CANCEL_THERE)
    return Course(Step.CANCELED)


def _problem(shipments: Sequence[Shipment], left: ShopOrder) -> str:
    """Why units that are still to be sent are not: what became of the last shipment that was for them."""
    if not left.open_units or not shipments:
        return ""
    last = shipments[-1]
    if last.state is ShipmentState.FAILED:
        return last.problem
    failed = [shipment for shipment in shipments if shipment.state is ShipmentState.FAILED]
    if last.state is ShipmentState.SHIPPED:
        is_part = last.amazon_status.replace("_", "").casefold() == _PARTIALLED
        return PARTLY_SENT if is_part else failed[-1].problem if failed else ""
    return ""
