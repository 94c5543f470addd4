"""Routing on a real port, with a shop, an Amazon seller with the samples' stock, and orders as intake leaves them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from reelroute.fulfillment.v1 import routing_pb2 as pb
from reelroute.fulfillment.v1.routing_pb2_grpc import RoutingServiceStub, add_RoutingServiceServicer_to_server
from sqlalchemy import insert, select, update

from kit.db import Database, new_id
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop
from services.fulfillment.marketplaces.tiktok_shop import recipient_of, shop_order_of
from services.fulfillment.order_tables import orders, stock
from services.fulfillment.orders.address import normalise
from services.fulfillment.orders.order_store import read_order
from services.fulfillment.orders.sealing import Sealer
from services.fulfillment.orders.shop_order import told_to_json
from services.fulfillment.routing.case_store import Undecided, read_cases
from services.fulfillment.routing.deciding import KnownAddress, decide, decision_to_json
from services.fulfillment.routing.decision import Decision
from services.fulfillment.routing.routing_api import RoutingApi
from services.fulfillment.routing.rule_store import rules_of
from services.fulfillment.store import database_time
from tests.fulfillment.orders.stage_of_orders import a_merchant, a_shop
from tests.fulfillment.routing.cases import rows, sample_context
from tests.fulfillment.stage import WORKSPACE, a_config, a_vault
from tests.services import served
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.order_models import Order


@dataclass
class RoutingStage:
    """One replica."""

    database: Database
    stub: RoutingServiceStub
    shop: Shop
    merchant_id: UUID

    def ask(self, request: Message) -> Any:
        """The answer of the RPC that the request is of."""
        return getattr(self.stub, type(request).__name__.removesuffix("Request"))(request, timeout=20)

    def settings(self, **changes: Any) -> pb.ShopRouting:
        warehouses = [each["id"] for each in sample_context()["warehouses"] if each["fulfils_by_mcf"]]
        settings: dict[str, Any] = {
            "shop_id": str(self.shop.shop_id),
            "is_on": True,
            "merchant_id": str(self.merchant_id),
            "platform_warehouse_ids": warehouses,
            "order_prefix": "TTS",
            "speeds": {"Express Shipping": pb.SPEED_EXPEDITED},
            "default_speed": pb.SPEED_STANDARD,
            "safety_stock": 5,
        }
        return pb.ShopRouting(**settings | changes)

    def update(self, **changes: Any) -> pb.ShopRouting:
        found: pb.ShopRouting = self.ask(
            pb.UpdateShopRoutingRequest(workspace_id=str(WORKSPACE), routing=self.settings(**changes))
        ).routing
        return found

    def set_samples_map(self) -> pb.SetSkuMappingsResponse:
        return self.set_map(*sample_mappings())

    def set_map(self, *mappings: pb.SkuMapping) -> pb.SetSkuMappingsResponse:
        found: pb.SetSkuMappingsResponse = self.ask(
            pb.SetSkuMappingsRequest(workspace_id=str(WORKSPACE), mappings=mappings)
        )
        return found

    def keep(self, found: Order) -> UUID:
        """An order as its intake leaves it."""
        order_id, told = new_id(), shop_order_of(found)
        with self.database.transaction(WORKSPACE) as tx:
            tx.execute(
                insert(orders).values(
                    order_id=order_id,
                    workspace_id=WORKSPACE,
                    shop_id=self.shop.shop_id,
                    platform_order_id=f"{found.id}-{order_id}",
                    platform_status=told.status,
                    state="PENDING",
                    facts=told_to_json(told),
                    sealed_address=Sealer(a_vault(), tx, WORKSPACE).seal_verdict(
                        order_id, normalise(recipient_of(found))
                    ),
                )
            )
        return order_id

    def decide(self, order_id: UUID) -> Decision:
        """What the order's worker does first: decides, and keeps it."""
        with self.database.transaction(WORKSPACE) as tx:
            order = read_order(tx, WORKSPACE, order_id)
            sealed = tx.execute(select(orders.c.sealed_address).where(orders.c.order_id == order_id)).scalar_one()
            address = KnownAddress.of(Sealer(a_vault(), tx, WORKSPACE).open_verdict(order_id, bytes(sealed)))
            case = read_cases(tx, WORKSPACE, [Undecided(order, address)])[0]
            decision = decide(case, rules_of(tx, WORKSPACE, order.shop_id), database_time(tx))
            state = {"ROUTE": "ROUTED", "HOLD": "HELD", "LEAVE": "LEFT"}[decision.kind.value]
            tx.execute(
                update(orders)
                .where(orders.c.order_id == order_id)
                .values(state=state, reason=decision.reason, decision=decision_to_json(decision), next_time=None)
            )
        return decision

    def due(self) -> set[UUID]:
        """The orders that are looked at now."""
        with self.database.transaction(WORKSPACE) as tx:
            found = tx.execute(select(orders.c.order_id).where(orders.c.next_time <= database_time(tx)))
            return set(found.scalars())


def sample_mappings() -> list[pb.SkuMapping]:
    found: dict[str, pb.SkuMapping] = {}
    for row in rows("sku_map.csv"):
        mapping = found.setdefault(
            row["tiktok_sku_id"],
            pb.SkuMapping(marketplace="US", seller_sku=row["seller_sku"], platform_sku_id=row["tiktok_sku_id"]),
        )
        mapping.parts.add(amazon_sku=row["amazon_seller_sku"], quantity=int(row["quantity_per_unit"]))
    return list(found.values())


@contextlib.contextmanager
def routing_stage(database: Database, calls: ShopCalls | None = None) -> Iterator[RoutingStage]:
    vault = a_vault()
    shop = a_shop(database)
    titles = {row["amazon_seller_sku"]: (row["title"], row["ean13"]) for row in rows("products.csv")}
    with database.transaction(WORKSPACE) as tx:
        merchant_id = a_merchant(tx)
        tx.execute(
            insert(stock),
            [
                {
                    "merchant_id": merchant_id,
                    "amazon_sku": row["amazon_seller_sku"],
                    "workspace_id": WORKSPACE,
                    "title": titles.get(row["amazon_seller_sku"], ("", ""))[0],
                    "barcodes": [code for code in [titles.get(row["amazon_seller_sku"], ("", ""))[1]] if code],
                    "is_at_amazon": row["fba"] == "true",
                    "fulfillable": int(row["fulfillable_quantity"]),
                }
                for row in rows("amazon_inventory.csv")
            ],
        )
    unused = calls or ShopCalls(database, vault, TikTokShopClient(a_config("http://127.0.0.1:1")))
    with served((add_RoutingServiceServicer_to_server, RoutingApi(database, vault, unused))) as channel:
        yield RoutingStage(database, RoutingServiceStub(channel), shop, merchant_id)
