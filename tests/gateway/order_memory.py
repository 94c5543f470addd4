"""What fulfillment knows of merchants, routing, orders and stock in a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from reelroute.fulfillment.v1 import merchants_pb2, orders_pb2, routing_pb2, stock_pb2

WORKSPACE = str(uuid4())
# Of a buyer. Stands in nothing but a reading.
CANARY = "Zephyrine Quackenbush"


@dataclass
class OrderMemory:
    """What fulfillment knows of orders."""

    merchants: dict[str, merchants_pb2.Merchant] = field(default_factory=dict)
    routings: dict[str, routing_pb2.ShopRouting] = field(default_factory=dict)
    mappings: dict[str, routing_pb2.SkuMapping] = field(default_factory=dict)
    rules: dict[str, routing_pb2.RoutingRule] = field(default_factory=dict)
    orders: dict[str, orders_pb2.GetOrderResponse] = field(default_factory=dict)
    decisions: dict[str, routing_pb2.Decision] = field(default_factory=dict)
    readings: list[orders_pb2.RecipientReading] = field(default_factory=list)
    stock: dict[str, stock_pb2.Stock] = field(default_factory=dict)
    reports: dict[str, stock_pb2.DriftReport] = field(default_factory=dict)

    def merchant(self) -> str:
        """A connected merchant; its id."""
        merchant = merchants_pb2.Merchant(
            merchant_id=str(uuid4()),
            workspace_id=WORKSPACE,
            name="Emberfold US",
            seller_id="A2EXAMPLE",
            marketplace="US",
            state=merchants_pb2.MERCHANT_STATE_CONNECTED,
        )
        self.merchants[merchant.merchant_id] = merchant
        return merchant.merchant_id

    def order(self, reason: str = "sku_unmapped", *, decided: bool = True, **values: Any) -> str:
        """An order, held where there is a reason, with a shipment; its id."""
        order_id = str(uuid4())
        order = orders_pb2.Order(
            order_id=order_id,
            workspace_id=WORKSPACE,
            platform_order_id="576461413038785752",
            state=orders_pb2.ORDER_STATE_HELD if reason else orders_pb2.ORDER_STATE_ROUTED,
            reason=reason,
            masked_recipient="Z*** Q***, TN 379**",
        )
        order.MergeFrom(orders_pb2.Order(**values))
        parts = [routing_pb2.SkuPart(amazon_sku="MAT-FBA", quantity=2)]
        package = orders_pb2.Package(package_id=str(uuid4()), tell_state=orders_pb2.TELL_STATE_TOLD, items=parts)
        shipment = orders_pb2.Shipment(
            shipment_id=str(uuid4()), order_id=order_id, speed=routing_pb2.SPEED_STANDARD, packages=[package]
        )
        self.orders[order_id] = orders_pb2.GetOrderResponse(order=order, shipments=[shipment])
        if decided:
            self.decisions[order_id] = routing_pb2.Decision(
                kind=routing_pb2.DECISION_KIND_HOLD if reason else routing_pb2.DECISION_KIND_ROUTE,
                reason=reason,
                facts={"units": "2", "state": "TN"},
                trace=[routing_pb2.RuleTrace(rule_id="sku_unmapped", name="Unmapped SKUs", is_match=bool(reason))],
            )
        return order_id
