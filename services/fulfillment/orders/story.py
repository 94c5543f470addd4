"""What is written down and told while orders are worked on: gathered, and written at the end of a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from prometheus_client import Counter
from reelroute.notification.v1 import notification_pb2
from sqlalchemy import Connection

from kit.activity import activities, activity_request
from services.fulfillment import store
from services.fulfillment.orders import order_store
from services.fulfillment.orders.domain import Order, OrderState

MOVES = Counter("reelroute_order_moves_total", "Orders that came into a state.", ["state"])

_PLATFORM = "tiktok_shop"


class Story:
    """Events of orders, and activities that people are told of. Nothing personal is in any of them."""

    def __init__(self, tx: Connection, now: datetime, shop_name: str) -> None:
        self._tx, self._now, self._shop_name = tx, now, shop_name
        self._events: list[dict[str, Any]] = []
        self._told: list[notification_pb2.RecordActivityRequest] = []
        self._moves: list[str] = []

    def event(
        self, order: Order, kind: str, text: str, attributes: Mapping[str, str] = MappingProxyType({}), actor: str = ""
    ) -> None:
        """Something that happened to an order."""
        self._events.append(order_store.event_row(order.workspace_id, order.order_id, kind, text, actor, attributes))

    def tell(self, order: Order, kind: str, text: str, reason: str = "") -> None:
        """The same, and people are told."""
        self.event(order, kind, text, {"reason": reason} if reason else {})
        attributes = {
            "shop": self._shop_name,
            "platform": _PLATFORM,
            "order_id": str(order.order_id),
            "platform_order_id": order.told.platform_order_id,
            "reason": reason,
        }
        summary = f"Order {order.told.platform_order_id}: {text}"
        self._told.append(activity_request(order.workspace_id, kind, summary, self._now, attributes=attributes))

    def moved(self, before: OrderState, after: OrderState) -> None:
        """Counts an order that came into another state."""
        if before is not after:
            self._moves.append(after.value)

    def write(self) -> None:
        """Writes all of it, in this transaction."""
        order_store.add_events(self._tx, self._events)
        store.tell(self._tx, activities(self._told))
        for state in self._moves:
            MOVES.labels(state).inc()
