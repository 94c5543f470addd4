"""Orders, shipments and packages as the guard and the clock see them, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from services.fulfillment.orders.domain import ByHand, Order, OrderState, ShopOrder, Unit, UnitState
from services.fulfillment.shipping.domain import (
    Package,
    PackageItem,
    Shipment,
    ShipmentItem,
    ShipmentState,
    TellState,
)
from services.fulfillment.shipping.guard import Case

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
WORKSPACE = UUID(int=1)
OFFERED = {"11": "Amazon", "12": "USPS", "13": "UPS", "14": "FedEx"}
TBA, UPS, USPS = "TBA305123456789", "1Z5R89390357567127", "9400111201080805483016"


def a_unit(line: str, state: UnitState = UnitState.OPEN) -> Unit:
    return Unit(line, "1", "2", "SKU", "Sleeves", None, state)


def an_order(*lines: str, told: dict[str, Any] | None = None, **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "platform_order_id": "576461413038785752",
        "status": "AWAITING_SHIPMENT",
        "create_time": NOW - timedelta(hours=5),
        "update_time": NOW,
        "paid_time": NOW - timedelta(hours=5),
        "fulfillment_type": "FULFILLMENT_BY_SELLER",
        "shipping_type": "SELLER",
        "delivery_option_id": "7",
        "delivery_option_name": "Standard",
        "warehouse_id": "9",
        "country": "US",
        "units": tuple(a_unit(line) for line in lines or ("L1",)),
        "total": None,
    }
    values: dict[str, Any] = {
        "order_id": uuid4(),
        "workspace_id": WORKSPACE,
        "shop_id": UUID(int=5),
        "state": OrderState.ROUTED,
        "reason": "",
        "reason_text": "",
        "told": ShopOrder(**(fields | (told or {}))),
        "masked_recipient": "",
        "is_erased": False,
        "passed_over": (),
        "by_hand": ByHand(),
        "is_cancel_wanted": False,
        "cancel_reason": "",
        "alarms": (),
        "attempt": 1,
        "next_time": None,
        "end_time": None,
        "create_time": NOW - timedelta(hours=5),
        "update_time": NOW,
    }
    return Order(**(values | changes))


def a_shipment(order: Order, *items: ShipmentItem, **changes: Any) -> Shipment:
    lines = tuple(unit.platform_line_id for unit in order.told.units)
    values: dict[str, Any] = {
        "shipment_id": uuid4(),
        "workspace_id": order.workspace_id,
        "order_id": order.order_id,
        "merchant_id": UUID(int=6),
        "number": 1,
        "fulfillment_order_id": f"TTS-{order.told.platform_order_id}-1",
        "state": ShipmentState.SUBMITTED,
        "amazon_status": "Processing",
        "speed": "STANDARD",
        "policy": "FILL_OR_KILL",
        "features": {},
        "items": items or (ShipmentItem("1", "SKU-FBA", len(lines), lines),),
        "problem": "",
        "begin_time": NOW - timedelta(hours=4),
        "submit_time": NOW - timedelta(hours=4),
        "cancel_refuse_time": None,
        "create_time": NOW - timedelta(hours=4),
        "update_time": NOW,
    }
    return Shipment(**(values | changes))


def a_package(shipment: Shipment, *items: PackageItem, **changes: Any) -> Package:
    whole = tuple(PackageItem(each.item_id, each.amazon_sku, each.quantity) for each in shipment.items)
    values: dict[str, Any] = {
        "package_id": uuid4(),
        "workspace_id": shipment.workspace_id,
        "order_id": shipment.order_id,
        "shop_id": UUID(int=5),
        "shipment_id": shipment.shipment_id,
        "amazon_shipment_id": "D1",
        "package_number": 1,
        "carrier": "Amazon Logistics",
        "tracking_number": TBA,
        "amazon_tracking_number": "",
        "status": "",
        "is_current": True,
        "items": items or whole,
        "tell_state": TellState.DUE,
        "tell_problem": "",
        "tell_attempt": 0,
        "tell_due_time": NOW,
        "told_number": "",
        "told_carrier": "",
        "told_provider_id": "",
        "told_line_ids": (),
        "platform_package_id": "",
        "rejected_number": "",
        "rejected_provider_id": "",
        "is_edit_used": False,
        "told_time": None,
        "number_time": NOW,
        "proven_time": NOW,
        "ship_time": None,
        "in_transit_time": None,
        "delivered_time": None,
        "estimated_arrival_time": None,
    }
    return Package(**(values | changes))


def a_case(order: Order, shipment: Shipment, package: Package, **changes: Any) -> Case:
    values: dict[str, Any] = {
        "now": NOW,
        "order": order,
        "shipment": shipment,
        "package": package,
        "siblings": (package,),
        "told_elsewhere": frozenset(),
        "offered": OFFERED,
        "prefer_amazon": True,
        "own_carriers": {},
    }
    return Case(**(values | changes))
