"""Shops and a merchant on the sandbox, with orders at Amazon, and replicas that follow them and tell their numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from reelroute.fulfillment.v1 import fulfillment_pb2 as pb
from reelroute.fulfillment.v1 import merchants_pb2
from reelroute.fulfillment.v1.orders_pb2_grpc import OrderServiceStub, add_OrderServiceServicer_to_server
from reelroute.notification.v1 import notification_pb2
from sqlalchemy import insert

from kit.db import Database, new_id
from services.fulfillment import shop_store
from services.fulfillment.domain import Shop
from services.fulfillment.order_tables import shipments
from services.fulfillment.orders import order_store
from services.fulfillment.orders.domain import Order
from services.fulfillment.orders.intake import Intake
from services.fulfillment.orders.order_api import OrderApi
from services.fulfillment.routing import routing_store
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.shipping import package_store, shipment_store
from services.fulfillment.shipping.alarms import Alarms
from services.fulfillment.shipping.domain import Package, Shipment, ShipmentItem, ShipmentState
from services.fulfillment.shipping.following import Following
from services.fulfillment.shipping.parcels import Parcels
from services.fulfillment.shipping.telling import Telling
from tests.fulfillment.merchants.stage import AmazonSandbox, MerchantStage, staged_merchants
from tests.fulfillment.stage import WORKSPACE, Stage, TikTokShop, staged
from tests.services import served
from vendors.amazon_sp.outbound import Destination, FulfillmentPolicy, Item, NewOrder, Speed
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.order_models import Order as VendorOrder
from vendors.tiktok_shop.package_models import SelfShipment

CLEAR, BLACK, RED = "1729694201472179890", "1729644279939735481", "1729663339165082032"
AT_AMAZON = {CLEAR: "EF-SLV-STD-CLR-FBA", BLACK: "EF-SLV-STD-BLK-FBA", RED: "EF-SLV-STD-EMB-FBA"}
AMAZON_PROVIDER = "7117858858072016645"
_TO = Destination(
    name="Ida Rowe", lines=("500 W Church Ave",), city="Knoxville", state="TN", postal_code="37902", country_code="US"
)


@dataclass
class Replica:
    """What one process has for it."""

    following: Following
    telling: Telling
    parcels: Parcels
    alarms: Alarms

    def follow(self) -> None:
        """One round of each merchant that is due."""
        while self.following.run_once():
            pass

    def tell(self) -> None:
        """All that is due."""
        while self.telling.run_once():
            pass


@dataclass
class TrackingStage:
    """Two platforms, our database, and replicas."""

    shop_stage: Stage
    merchant_stage: MerchantStage
    shop: pb.Shop
    merchant: merchants_pb2.Merchant
    replica: Replica
    stub: OrderServiceStub

    @property
    def merchant_id(self) -> UUID:
        return UUID(self.merchant.merchant_id)

    @property
    def database(self) -> Database:
        return self.shop_stage.database

    @property
    def tiktok(self) -> TikTokShop:
        return self.shop_stage.shop

    @property
    def amazon(self) -> AmazonSandbox:
        return self.merchant_stage.amazon

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        return self.shop_stage.rows(statement, **values)

    def place(self, *skus: str, **fate: Any) -> Order:
        """A buyer orders one of each; then it is at Amazon, where this is to become of it."""
        lines = [{"sku_id": sku} for sku in skus or (CLEAR,)]
        made = self.tiktok.control("POST", "/tiktok_shop/orders", lines=lines)
        an_intake(self.shop_stage).read(self.read_shop(), [made["id"]])
        (row,) = self.rows("SELECT order_id FROM orders WHERE platform_order_id = :id", id=made["id"])
        self.submit(row["order_id"], fate)
        return self.order(row["order_id"])

    def submit(self, order_id: UUID, fate: Mapping[str, Any], number: int = 1) -> Shipment:
        """As the part that sends orders does it."""
        order = self.order(order_id)
        fulfillment_order_id = f"TTS-{order.told.platform_order_id}-{number}"
        if fate:
            self.amazon.control("POST", "/amazon_sp/fates", order_id=fulfillment_order_id, fate=dict(fate))
        units: dict[str, list[str]] = {}
        for unit in order.told.units:
            units.setdefault(AT_AMAZON[unit.platform_sku_id], []).append(unit.platform_line_id)
        items = [ShipmentItem(lines[0], sku, len(lines), tuple(lines)) for sku, lines in units.items()]
        shipment_id = new_id()
        with self.database.transaction(WORKSPACE) as tx:
            tx.execute(
                insert(shipments).values(
                    shipment_id=shipment_id,
                    workspace_id=WORKSPACE,
                    order_id=order_id,
                    merchant_id=self.merchant_id,
                    number=number,
                    fulfillment_order_id=fulfillment_order_id,
                    state="PLANNED",
                    speed="STANDARD",
                    policy="FILL_OR_KILL",
                    items=shipment_store.items_to_json(items),
                )
            )
            planned = shipment_store.read_shipment(tx, WORKSPACE, shipment_id)
            begun = shipment_store.set_state(tx, planned, ShipmentState.SUBMITTING)
        new = NewOrder(
            order_id=fulfillment_order_id,
            marketplace_id="ATVPDKIKX0DER",
            displayable_order_id=order.told.platform_order_id,
            displayable_order_time=order.create_time,
            displayable_order_comment="Thank you.",
            speed=Speed.STANDARD,
            policy=FulfillmentPolicy.FILL_OR_KILL,
            destination=_TO,
            items=tuple(Item(item.item_id, item.amazon_sku, item.quantity) for item in items),
        )
        calls = self.merchant_stage.calls
        calls.ask(self.merchant_stage.known(self.merchant), lambda amazon: amazon.outbound.create(new))
        with self.database.transaction(WORKSPACE) as tx:
            shipment_store.set_state(tx, begun, ShipmentState.SUBMITTED)
            return shipment_store.read_shipment(tx, WORKSPACE, shipment_id)

    def advance(self, seconds: float) -> None:
        """The platforms' time goes on; what is due with us is due then, too."""
        self.amazon.control("POST", "/clock/advance", seconds=seconds)
        self.rows("UPDATE merchants SET orders_due_time = now()")
        self.rows("UPDATE shipments SET read_due_time = now() WHERE read_due_time IS NOT NULL")
        self.rows("UPDATE packages SET track_due_time = now() WHERE track_due_time IS NOT NULL")
        self.rows("UPDATE packages SET tell_due_time = now() WHERE tell_due_time IS NOT NULL")
        self.rows("UPDATE shop_routings SET tracking_due_time = now() WHERE tracking_due_time IS NOT NULL")

    def order(self, order_id: UUID) -> Order:
        with self.database.transaction(WORKSPACE) as tx:
            return order_store.read_order(tx, WORKSPACE, order_id)

    def packages(self, order: Order) -> list[Package]:
        with self.database.transaction(WORKSPACE) as tx:
            return package_store.packages_of(tx, WORKSPACE, order.order_id)

    def shipments(self, order: Order) -> list[Shipment]:
        with self.database.transaction(WORKSPACE) as tx:
            return shipment_store.read_shipments(tx, WORKSPACE, order.order_id)

    def events(self, order: Order) -> list[str]:
        rows = self.rows("SELECT type FROM order_events WHERE order_id = :id ORDER BY event_id", id=order.order_id)
        return [row["type"] for row in rows]

    def route(self, **changes: Any) -> None:
        """Sets the shop's routing."""
        with self.database.transaction(WORKSPACE) as tx:
            before = ShopRouting(
                shop_id=UUID(self.shop.shop_id), workspace_id=WORKSPACE, is_on=True, merchant_id=self.merchant_id
            )
            routing_store.save_routing(tx, replace(before, **changes))

    def read_shop(self) -> Shop:
        with self.database.transaction(WORKSPACE) as tx:
            return shop_store.read_shop(tx, WORKSPACE, UUID(self.shop.shop_id))

    def known_there(self, order: Order) -> dict[str, str]:
        """The numbers that TikTok Shop has, by line; those without one are left out."""
        calls = self.shop_stage.calls

        async def question(access: Access, seconds: float) -> tuple[VendorOrder, ...]:
            return await calls.client.orders.get(access, [order.told.platform_order_id], timeout_seconds=seconds)

        (found,) = calls.ask(self.read_shop(), question)
        return {line.id: line.tracking_number for line in found.line_items if line.tracking_number}

    def enter_there(self, order: Order, number: str) -> None:
        """Somebody enters a number in Seller Center."""
        calls, shipment = self.shop_stage.calls, SelfShipment(number, AMAZON_PROVIDER)

        async def question(access: Access, seconds: float) -> object:
            return await calls.client.packages.mark_shipped(access, order.told.platform_order_id, shipment)

        calls.ask(self.read_shop(), question)

    def told(self, kind: str) -> list[str]:
        """The activities of a kind about orders."""
        told = []
        for row in self.rows("SELECT method, request FROM outbox ORDER BY position"):
            if row["method"].endswith("/RecordActivities"):
                batch = notification_pb2.RecordActivitiesRequest.FromString(bytes(row["request"]))
                told += [each.summary for each in batch.activities if each.type == kind]
        return told


def an_intake(stage: Stage) -> Intake:
    return Intake(stage.database, stage.vault, stage.calls, every_seconds=60)


def a_replica(stage: Stage, merchants: MerchantStage) -> Replica:
    following = Following(stage.database, merchants.calls, every_seconds=60, sweep_seconds=21_600)
    return Replica(
        following,
        Telling(stage.database, stage.calls, following.read_now),
        Parcels(stage.database, merchants.calls, every_seconds=3600),
        Alarms(stage.database, [timedelta(hours=12), timedelta(hours=4)]),
    )


@contextlib.contextmanager
def staged_tracking(database: Database, tiktok: TikTokShop) -> Iterator[TrackingStage]:
    """One replica, with a shop and a merchant that are connected."""
    amazon = AmazonSandbox(tiktok.http)
    with staged(database, tiktok) as shops, staged_merchants(database, amazon) as merchants:
        amazon.settings(rate_multiplier=0)
        replica = a_replica(shops, merchants)
        shop, merchant = shops.connect()[0], merchants.connect()
        api = OrderApi(database, shops.vault, an_intake(shops), replica.telling)
        with served((add_OrderServiceServicer_to_server, api)) as channel:
            stage = TrackingStage(shops, merchants, shop, merchant, replica, OrderServiceStub(channel))
            stage.route()
            stage.rows("UPDATE shop_routings SET orders_from_time = now() - interval '1 day'")
            yield stage
