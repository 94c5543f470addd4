"""A replica of what fulfillment has for orders, on the sandbox's TikTok Shop and Amazon."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from reelroute.fulfillment.v1 import fulfillment_pb2
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1.orders_pb2_grpc import OrderServiceStub, add_OrderServiceServicer_to_server
from reelroute.notification.v1 import notification_pb2
from sqlalchemy import Connection, text

from kit.db import ALL_WORKSPACES, Database
from services.fulfillment import shop_store
from services.fulfillment.domain import Shop
from services.fulfillment.orders.hints import OrderHints
from services.fulfillment.orders.intake import Intake
from services.fulfillment.orders.order_api import OrderApi
from services.fulfillment.orders.working import OrderWork
from services.fulfillment.routing import mapping_store, routing_store
from services.fulfillment.routing.mapping import SkuMapping
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.shipping.following import Following
from services.fulfillment.shipping.submitting import Submitting
from services.fulfillment.shipping.telling import Telling
from tests.fulfillment.merchants.stage import AmazonSandbox, MerchantStage, an_amazon_config, staged_merchants
from tests.fulfillment.stage import WORKSPACE, Stage, TikTokShop, staged
from tests.services import served

SAMPLES = Path(__file__).parent / "samples"
SLEEVES, SLEEVES_SKU = "1729644279939735481", "EF-SLV-STD-BLK-FBA"
MAT, TRAY = "1729649418267134490", "1729673210744936811"
MCF = "7301234567890123456"
SELLER = "emberfold"
_FAST = ("createFulfillmentOrder", "getFulfillmentOrder", "listAllFulfillmentOrders", "cancelFulfillmentOrder")


@dataclass
class OrderStage:
    """A replica, and the shop and the merchant that are set up for it."""

    shops: Stage
    merchants: MerchantStage
    database: Database
    intake: Intake
    hints: OrderHints
    work: OrderWork
    following: Following
    telling: Telling
    stub: OrderServiceStub
    shop: Shop
    merchant_id: UUID
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def tiktok_shop(self) -> TikTokShop:
        return self.shops.shop

    @property
    def amazon(self) -> AmazonSandbox:
        return self.merchants.amazon

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        return self.shops.rows(statement, **values)

    def route(self, **changes: Any) -> None:
        """Changes how the shop's orders are routed."""
        with self.database.transaction(WORKSPACE) as tx:
            save_routing(tx, self.shop, self.merchant_id, **changes)

    def buy(self, sku_id: str = SLEEVES, quantity: int = 1, **more: Any) -> str:
        """A buyer orders; TikTok Shop's id of it."""
        lines = [{"sku_id": sku_id, "quantity": quantity}]
        made = self.tiktok_shop.control(
            "POST",
            "/tiktok_shop/orders",
            **({"shop_id": self.shop.platform_shop_id, "lines": lines, "warehouse_id": MCF} | more),
        )
        return str(made["id"])

    def take_in(self) -> pb.SyncOrdersResponse:
        request = pb.SyncOrdersRequest(workspace_id=str(WORKSPACE), shop_id=str(self.shop.shop_id))
        return self.stub.SyncOrders(request, timeout=30)

    def go(self, most: int = 200) -> None:
        """Works until nothing is due."""
        for _ in range(most):
            if not self.work.run_once():
                return
        raise AssertionError("there is always more to do")

    def hasten(self) -> None:
        """What waits for a time is due now, and leases end."""
        self.rows("UPDATE orders SET next_time = now(), lease_time = NULL WHERE next_time IS NOT NULL")

    def order(self, platform_order_id: str) -> pb.Order:
        request = pb.ListOrdersRequest(workspace_id=str(WORKSPACE), platform_order_id=platform_order_id)
        (found,) = self.stub.ListOrders(request, timeout=10).orders
        return found

    def shipments(self, platform_order_id: str) -> list[pb.Shipment]:
        order_id = self.order(platform_order_id).order_id
        request = pb.GetOrderRequest(workspace_id=str(WORKSPACE), order_id=order_id)
        return list(self.stub.GetOrder(request, timeout=10).shipments)

    def events(self, platform_order_id: str) -> list[str]:
        request = pb.ListOrderEventsRequest(
            workspace_id=str(WORKSPACE), order_id=self.order(platform_order_id).order_id, page_size=200
        )
        return [event.type for event in self.stub.ListOrderEvents(request, timeout=10).events]

    def where(self, platform_order_id: str) -> tuple[str, str]:
        """State and reason."""
        order = self.order(platform_order_id)
        return pb.OrderState.Name(order.state).removeprefix("ORDER_STATE_"), order.reason

    def told(self) -> list[notification_pb2.RecordActivityRequest]:
        """What people are told of orders, in its order."""
        found = []
        for row in self.rows("SELECT method, request FROM outbox ORDER BY position"):
            if row["method"].endswith("/RecordActivities"):
                batch = notification_pb2.RecordActivitiesRequest.FromString(bytes(row["request"]))
                found += list(batch.activities)
        return found

    def at_amazon(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.amazon.control("GET", "/amazon_sp/orders?limit=10000")
        return found

    def stock(self, sku: str = SLEEVES_SKU) -> dict[str, Any]:
        (row,) = self.rows("SELECT fulfillable, reserved, in_flight FROM stock WHERE amazon_sku = :sku", sku=sku)
        return row

    def set_stock(self, fulfillable: int, sku: str = SLEEVES_SKU) -> None:
        self.rows("UPDATE stock SET fulfillable = :units WHERE amazon_sku = :sku", units=fulfillable, sku=sku)
        self.amazon.control("PUT", f"/amazon_sp/stock/{SELLER}/{sku}", fulfillable=fulfillable)

    def webhook(self, body: bytes, signature: str) -> None:
        request = fulfillment_pb2.ReceiveShopWebhookRequest(body=body, signature=signature)
        self.shops.stub.ReceiveShopWebhook(request, timeout=10)


def save_routing(tx: Connection, shop: Shop, merchant_id: UUID, **changes: Any) -> None:
    settings: dict[str, Any] = {
        "is_on": True,
        "merchant_id": merchant_id,
        "platform_warehouse_ids": frozenset({MCF}),
        "speeds": {"Standard Shipping": "STANDARD", "Express Shipping": "EXPEDITED"},
        "safety_stock": 0,
    }
    routing_store.save_routing(
        tx, ShopRouting(shop_id=shop.shop_id, workspace_id=shop.workspace_id, **(settings | changes))
    )


def set_up(database: Database, shops: Stage, merchants: MerchantStage) -> tuple[Shop, UUID]:
    """A connected shop whose orders are routed to a connected merchant with stock, by the samples' map."""
    found, merchant = shops.connect()[0], merchants.connect()
    with database.transaction(WORKSPACE) as tx:
        shop = shop_store.read_shop(tx, WORKSPACE, UUID(found.shop_id))
        merchant_id = UUID(merchant.merchant_id)
        save_routing(tx, shop, merchant_id)
        mapping_store.save_mappings(tx, WORKSPACE, _mappings())
    with database.transaction(ALL_WORKSPACES) as tx:
        # Orders of the sandbox's past are not in the way.
        tx.execute(text("UPDATE shop_routings SET orders_from_time = now() - interval '5 seconds'"))
        for row in _read("amazon_inventory.csv"):
            tx.execute(
                text(
                    "INSERT INTO stock (merchant_id, amazon_sku, workspace_id, is_at_amazon, fulfillable)"
                    " VALUES (:merchant, :sku, :workspace, :fba, :units)"
                ),
                {
                    "merchant": merchant_id,
                    "sku": row["amazon_seller_sku"],
                    "workspace": WORKSPACE,
                    "fba": row["fba"] == "true",
                    "units": int(row["fulfillable_quantity"]),
                },
            )
    return shop, merchant_id


def _mappings() -> list[SkuMapping]:
    parts: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for row in _read("sku_map.csv"):
        if row["amazon_seller_sku"]:
            key = row["seller_sku"], row["tiktok_sku_id"]
            parts.setdefault(key, []).append((row["amazon_seller_sku"], int(row["quantity_per_unit"])))
    return [
        SkuMapping(uuid4(), "US", seller_sku, platform_sku_id, tuple(found), None)  # type: ignore[arg-type]
        for (seller_sku, platform_sku_id), found in parts.items()
    ]


def _read(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(newline="") as file:
        return list(csv.DictReader(file))


@contextlib.contextmanager
def staged_orders(
    database: Database, tiktok_shop: TikTokShop, amazon: AmazonSandbox, *, like: OrderStage | None = None
) -> Iterator[OrderStage]:
    """One replica; a second one (`like` the first) has its shop and merchant."""
    config = an_amazon_config(
        str(amazon.http.base_url).rstrip("/"), rates=dict.fromkeys(_FAST, (1000, 1000)), call_timeout_seconds=10
    )
    with (
        staged(database, tiktok_shop) as shops,
        staged_merchants(database, amazon, config) as merchants,
    ):
        shop, merchant_id = (like.shop, like.merchant_id) if like else set_up(database, shops, merchants)
        intake = Intake(database, shops.vault, shops.calls, every_seconds=60)
        submitting = Submitting(merchants.calls, doubt_seconds=0.05, settle_seconds=0.1)
        work = OrderWork(
            database, shops.vault, shops.calls, merchants.calls, intake, submitting, at_once=20, lease_seconds=60
        )
        following = Following(database, merchants.calls, every_seconds=60, sweep_seconds=3600)
        telling = Telling(database, shops.calls, following.read_now)
        api = OrderApi(database, shops.vault, intake, telling)
        with served((add_OrderServiceServicer_to_server, api)) as channel:
            hints = OrderHints(database, intake)
            yield OrderStage(
                *(shops, merchants, database, intake, hints, work, following, telling),
                *(OrderServiceStub(channel), shop, merchant_id),
            )
