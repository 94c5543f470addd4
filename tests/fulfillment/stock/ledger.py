"""A merchant's stock in the database, with orders that take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, func, insert, text

from kit.db import ALL_WORKSPACES, Database, new_id
from services.fulfillment.domain import Shop
from services.fulfillment.order_tables import orders, shipments, stock
from services.fulfillment.stock import ledger_store
from tests.fulfillment.orders.stage_of_orders import a_merchant, a_shop
from tests.fulfillment.stage import WORKSPACE


@dataclass
class Ledger:
    """What tests do to a ledger."""

    database: Database
    shop: Shop
    merchant_id: UUID

    @classmethod
    def of(cls, database: Database) -> Ledger:
        shop = a_shop(database)
        with database.transaction(WORKSPACE) as tx:
            return cls(database, shop, a_merchant(tx))

    def put(self, sku: str, fulfillable: int, **more: Any) -> None:
        """A SKU that Amazon has so many of."""
        row = {"merchant_id": self.merchant_id, "workspace_id": WORKSPACE, "amazon_sku": sku, "is_at_amazon": True}
        with self.database.transaction(WORKSPACE) as tx:
            tx.execute(insert(stock).values(row | {"fulfillable": fulfillable} | more))

    def orders(self, count: int) -> list[UUID]:
        """Orders that are known."""
        ids = [new_id() for _ in range(count)]
        rows = [
            {
                "order_id": each,
                "workspace_id": WORKSPACE,
                "shop_id": self.shop.shop_id,
                "platform_order_id": str(each),
                "platform_status": "AWAITING_SHIPMENT",
                "state": "ROUTED",
                "facts": {},
            }
            for each in ids
        ]
        with self.database.transaction(WORKSPACE) as tx:
            tx.execute(insert(orders), rows)
        return ids

    def reserve(
        self, tx: Connection, order_id: UUID, quantities: dict[str, int], shipment_id: UUID | None = None
    ) -> UUID:
        """A shipment of an order, with its units. Raises InsufficientStock."""
        shipment_id = shipment_id or uuid4()
        tx.execute(
            insert(shipments).values(
                shipment_id=shipment_id,
                workspace_id=WORKSPACE,
                order_id=order_id,
                merchant_id=self.merchant_id,
                number=1,
                fulfillment_order_id=f"TTS-{order_id}-1",
                state="SUBMITTING",
                speed="STANDARD",
                policy="FILL_OR_KILL",
                items=[],
                begin_time=func.now(),
            )
        )
        ledger_store.reserve(tx, WORKSPACE, self.merchant_id, order_id, shipment_id, quantities, 0)
        return shipment_id

    def available(self, sku: str, safety_stock: int = 0) -> int:
        with self.database.transaction(WORKSPACE) as tx:
            found = ledger_store.available(tx, WORKSPACE, self.merchant_id, [sku], safety_stock)
        return found[sku].units

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        with self.database.transaction(ALL_WORKSPACES) as tx:
            result = tx.execute(text(statement), values)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    def row(self, sku: str) -> dict[str, Any]:
        (row,) = self.rows("SELECT * FROM stock WHERE amazon_sku = :sku", sku=sku)
        return row

    def wrong_sums(self) -> list[dict[str, Any]]:
        """SKUs whose sums are not those of their reservations, or whose entries do not explain them."""
        return self.rows("""
            SELECT s.amazon_sku, s.reserved, s.in_flight, r.*, e.* FROM stock s
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(quantity) FILTER (WHERE state = 'RESERVED'), 0) AS held,
                       coalesce(sum(quantity) FILTER (WHERE state = 'IN_FLIGHT'), 0) AS flying
                FROM reservations r WHERE r.merchant_id = s.merchant_id AND r.amazon_sku = s.amazon_sku) r
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(quantity) FILTER (WHERE kind IN ('RESERVED', 'RELEASED', 'SETTLED')), 0) AS entered
                FROM stock_entries e WHERE e.merchant_id = s.merchant_id AND e.amazon_sku = s.amazon_sku) e
            WHERE s.reserved <> r.held OR s.in_flight <> r.flying OR e.entered <> s.reserved + s.in_flight
        """)
