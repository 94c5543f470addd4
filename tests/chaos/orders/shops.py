"""A whole installation that routes orders: two replicas of fulfillment, a gateway for webhooks, and the sandbox with
three shops of two brands. The first brand's two shops sell the same units of one Amazon seller.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from reelroute.fulfillment.v1 import (
    fulfillment_pb2,
    fulfillment_pb2_grpc,
    merchants_pb2,
    merchants_pb2_grpc,
    routing_pb2,
    routing_pb2_grpc,
    stock_pb2,
    stock_pb2_grpc,
)

from tests.chaos.http_proxy import open_http_wire
from tests.chaos.processes import Processes, Starter, opened
from tests.services import starting

SAFETY_STOCK = 2
_CALLBACK = "http://127.0.0.1:8765/callback"
_SERVICES = ("notification", "publisher", "fulfillment")
_WAREHOUSE = "7301234567890123456"
_US_SHOP = "7495540735365777507"
_READY_SECONDS = 60.0
# Brand (workspace) → Amazon seller; shop's seller → brand.
_MERCHANTS = {1: "emberfold", 2: "northwind"}
_SELLERS = {"emberfold": 1, "emberfold-outlet": 1, "northwind": 2}
# A SKU of the shops → what it is at Amazon. Those in SCARCE are few; of CONTESTED Amazon's own shop sells, too.
MAP: dict[str, dict[str, int]] = {
    "EF-SLV-STD-CLR": {"EF-SLV-STD-CLR-FBA": 1},
    "EF-SLV-STD-BLK": {"EF-SLV-STD-BLK-FBA": 1},
    "EF-TPL-35-25": {"EF-TPL-35-25-FBA": 2},
    "EF-DBX-100-BLK": {"emberfold.deckbox.100.black": 1, "EF-SLV-STD-EMB-FBA": 2},
    "EF-DBX-100-EMB": {"emberfold.deckbox.100.ember": 1},
    "EF-DIC-7-AMB": {"EF DIC 7 AMB": 1},
    "EF-MAT-STD-RVR": {"emberfold.deckbox.100.ember": 1, "EF DIC 7 AMB": 2},
    "EF-DBX-100-TEA": {"EF-DBX-100-TEA": 1},
}
AMPLE = ("EF-SLV-STD-CLR", "EF-SLV-STD-BLK", "EF-TPL-35-25", "EF-DBX-100-BLK")
SCARCE = ("EF-DBX-100-EMB", "EF-DIC-7-AMB", "EF-MAT-STD-RVR")
CONTESTED = "EF-DBX-100-TEA"
# What takes an hour takes a second.
_ENVIRONMENT = {
    "REELROUTE_ORDERS_SECONDS": "2",
    "REELROUTE_ORDER_LEASE_SECONDS": "30",
    # Amazon's stand-in shows an order after one second.
    "REELROUTE_ORDER_DOUBT_SECONDS": "12",
    "REELROUTE_SHIPMENT_SECONDS": "1",
    "REELROUTE_SHIPMENT_SWEEP_SECONDS": "8",
    "REELROUTE_PARCEL_SECONDS": "2",
    "REELROUTE_STOCK_SECONDS": "1",
    "REELROUTE_STOCK_WHOLE_SECONDS": "30",
    "REELROUTE_STOCK_DELAY_SECONDS": "3",
    "REELROUTE_STOCK_SHOP_SECONDS": "10",
    "REELROUTE_STOCK_PUSH_DELAY_SECONDS": "1",
    "REELROUTE_TIKTOK_SHOP_CALLS_PER_SECOND": "1000",
    "REELROUTE_AMAZON_SP_LONGEST_PAUSE_SECONDS": "3",
    # The sandbox's limits are lifted as well: how the documented ones are kept is shown by `make bench`.
    "REELROUTE_AMAZON_SP_RATES": json.dumps(
        {
            name: [200, 400]
            for name in (
                *("createFulfillmentOrder", "getFulfillmentOrder", "listAllFulfillmentOrders"),
                *("cancelFulfillmentOrder", "getPackageTrackingDetails", "getInventorySummaries"),
            )
        }
    ),
}
_SHOP_SETTINGS = {
    "redirect_url": _CALLBACK,
    "calls_per_second": 1000,
    "hold_seconds": 3,
    "collect_seconds": 2,
    "transit_seconds": 3,
    "cancel_answer_seconds": 6,
    "refund_seconds": 1,
    "zero_stock": True,
}
_AMAZON_SETTINGS = {
    "rate_multiplier": 0,
    "visible_seconds": 1,
    "received_seconds": 1,
    "planning_seconds": 1,
    "processing_seconds": 6,
    "ship_seconds": 2,
    "tracking_number_seconds": 0.5,
    "collect_seconds": 1,
    "transit_seconds": 4,
    "cancel_seconds": 0.5,
    "aftn_seconds": 2,
    "stock_seconds": 1,
    "split_share": 0.1,
    "replan_share": 0.05,
    "invalid_share": 0.02,
    "unfulfillable_share": 0.02,
}


@dataclass(frozen=True, slots=True)
class Merchant:
    """An Amazon seller: its name there and its id with us."""

    seller: str
    merchant_id: str
    workspace_id: str


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop: its ids there and with us, and its SKUs there by their seller SKUs."""

    platform_shop_id: str
    shop_id: str
    merchant: Merchant
    skus: Mapping[str, str]


@dataclass
class Shops(Processes):
    """The installation with its shops."""

    shops: list[Shop] = field(default_factory=list)
    merchants: list[Merchant] = field(default_factory=list)

    @contextlib.contextmanager
    def stub(self, kind: Any) -> Iterator[Any]:
        """A client of the first replica of fulfillment that runs."""
        name = next((each for each in self.replicas("fulfillment") if self.pid(each)), "fulfillment-1")
        with contextlib.closing(self.channel(name)) as channel:
            yield kind(channel)

    def set_stock(self, scarce: int) -> None:
        """So many units of what is scarce, and plenty of the rest; returns when we know of them."""
        ample = {sku for each in AMPLE for sku in MAP[each]}
        for merchant in self.merchants:
            for sku in sorted({sku for parts in MAP.values() for sku in parts}):
                units = 50_000 if sku in ample else scarce
                self.control("PUT", f"/amazon_sp/stock/{merchant.seller}/{sku}", {"fulfillable": units})
        query = "SELECT count(*) AS n FROM fulfillment.stock WHERE fulfillable = %(n)s"
        wanted = len({sku for each in (*SCARCE, CONTESTED) for sku in MAP[each]} - ample) * len(self.merchants)
        self.wait(lambda: True if self.rows(query, n=scarce)[0]["n"] == wanted else None, 60, lambda: "stock")


@contextlib.contextmanager
def shops(environment: Mapping[str, str] | None = None) -> Iterator[Shops]:
    """Starts everything and connects the shops, their routing switched on."""
    with opened(_Starter, {**_ENVIRONMENT, **(environment or {})}) as starter:
        running = starter.start()
        _furnish(running)
        yield running


class _Starter(Starter):
    def start(self) -> Shops:
        names = ["notification", "publisher", "fulfillment-1", "fulfillment-2", "gateway"]
        self.migrate(_SERVICES)
        with starting():
            self.give_addresses(names)
            gateway = open_http_wire(self.wires, dict, "gateway", f"http://{self.addresses['gateway']}")
            url = self.start_sandbox(
                {"REELROUTE_SANDBOX_TIKTOK_SHOP__WEBHOOK_URL": f"{gateway}/v1/webhooks/tiktok-shop"}
            )
            platform = open_http_wire(self.wires, lambda: self.clients("fulfillment"), "sandbox", url)
            for name in names[:-1]:
                self.start_service(name, self._own(name, url, platform))
            self.start_gateway("gateway", self._addresses_for_gateway())
            self.wait_ready()
        return Shops(**self.parts())

    def _addresses_for_gateway(self) -> dict[str, str]:
        found = {f"REELROUTE_{name.upper()}_ADDRESS": self.addresses[name] for name in ("notification", "publisher")}
        return found | {"REELROUTE_FULFILLMENT_ADDRESS": self.wire("gateway", "fulfillment")}

    def _own(self, name: str, url: str, platform: str) -> dict[str, str]:
        own = {"REELROUTE_MASTER_KEY": self.secrets.master_key, "REELROUTE_LOG_LEVEL": "DEBUG"}
        app = {
            "REELROUTE_TIKTOK_SHOP_BASE_URL": platform,
            "REELROUTE_TIKTOK_SHOP_TOKEN_URL": platform,
            "REELROUTE_TIKTOK_SHOP_APP_KEY": "sandbox-app-key",
            "REELROUTE_TIKTOK_SHOP_APP_SECRET": "sandbox-app-secret",
            "REELROUTE_TIKTOK_SHOP_US_AUTHORIZE_URL": f"{url}/open/authorize",
            "REELROUTE_TIKTOK_SHOP_SERVICE_ID": "sandbox-service-id",
        }
        match name.partition("-")[0]:
            case "publisher":
                return own | app
            case "fulfillment":
                return {
                    **own,
                    **app,
                    "REELROUTE_NOTIFICATION_ADDRESS": self.wire(name, "notification"),
                    **{f"REELROUTE_AMAZON_SP_{each}_URL": platform for each in ("LWA", "NA", "EU", "FE")},
                    "REELROUTE_AMAZON_SP_CLIENT_ID": "amzn1.application-oa2-client.sandbox",
                    "REELROUTE_AMAZON_SP_CLIENT_SECRET": "amzn1.oa2-cs.v1.sandbox",
                }
        return {}


def _furnish(running: Shops) -> None:
    running.control("PATCH", "/tiktok_shop/settings", _SHOP_SETTINGS)
    running.control("PATCH", "/amazon_sp/settings", _AMAZON_SETTINGS)
    running.control("POST", "/amazon_sp/sellers", {"name": "northwind"})
    for name in ("emberfold-outlet", "northwind"):
        running.control("POST", "/tiktok_shop/sellers", {"name": name, "shop": name})
    by_brand = {brand: _connect_merchant(running, brand, seller) for brand, seller in _MERCHANTS.items()}
    running.merchants = list(by_brand.values())
    running.shops = [_connect_shop(running, seller, by_brand[brand]) for seller, brand in _SELLERS.items()]
    for merchant in running.merchants:
        _map(running, merchant)
    for shop in running.shops:
        _switch_on(running, shop)
    query = "SELECT count(*) AS n FROM fulfillment.shop_routings WHERE orders_cursor IS NOT NULL"
    everything = len(running.shops)
    running.wait(lambda: True if running.rows(query)[0]["n"] == everything else None, _READY_SECONDS)


def _connect_merchant(running: Shops, brand: int, seller: str) -> Merchant:
    workspace_id = str(uuid.UUID(int=brand))
    sellers = {each["name"]: each for each in running.control("GET", "/amazon_sp/sellers")}
    request = merchants_pb2.ConnectMerchantRequest(
        workspace_id=workspace_id,
        name=seller,
        seller_id=sellers[seller]["merchant_id"],
        marketplace="US",
        refresh_token=f"Atzr|sandbox-{seller}",
    )
    with running.stub(merchants_pb2_grpc.MerchantServiceStub) as stub:
        connected = stub.ConnectMerchant(request, timeout=20).merchant
    return Merchant(seller, connected.merchant_id, workspace_id)


def _connect_shop(running: Shops, seller: str, merchant: Merchant) -> Shop:
    with running.stub(fulfillment_pb2_grpc.FulfillmentServiceStub) as stub:
        start = stub.StartShopConnection(
            fulfillment_pb2.StartShopConnectionRequest(
                workspace_id=merchant.workspace_id, seller_region=fulfillment_pb2.SELLER_REGION_US
            ),
            timeout=10,
        )
        page = {"authorize_url": start.consent_url, "subject": seller}
        back = running.control("POST", "/tiktok_shop/consents", page)
        code = httpx.URL(back["redirect_url"]).params["code"]
        finish = stub.FinishShopConnection(
            fulfillment_pb2.FinishShopConnectionRequest(
                workspace_id=merchant.workspace_id, state=start.state, code=code
            ),
            timeout=20,
        )
    [shop] = finish.shops
    products = running.control("GET", f"/tiktok_shop/products?shop_id={shop.platform_shop_id}")
    skus = {sku["seller_sku"]: sku["id"] for product in products for sku in product["skus"]}
    return Shop(shop.platform_shop_id, shop.shop_id, merchant, skus)


def _map(running: Shops, merchant: Merchant) -> None:
    mappings = [
        routing_pb2.SkuMapping(
            marketplace="US",
            seller_sku=seller_sku,
            parts=[routing_pb2.SkuPart(amazon_sku=sku, quantity=number) for sku, number in parts.items()],
        )
        for seller_sku, parts in MAP.items()
    ]
    with running.stub(routing_pb2_grpc.RoutingServiceStub) as stub:
        stub.SetSkuMappings(
            routing_pb2.SetSkuMappingsRequest(workspace_id=merchant.workspace_id, mappings=mappings), timeout=10
        )


def _switch_on(running: Shops, shop: Shop) -> None:
    routing = routing_pb2.ShopRouting(
        shop_id=shop.shop_id,
        is_on=True,
        merchant_id=shop.merchant.merchant_id,
        platform_warehouse_ids=[_WAREHOUSE],
        order_prefix="TTS",
        default_speed=routing_pb2.SPEED_STANDARD,
        fulfillment_policy=routing_pb2.FULFILLMENT_POLICY_FILL_OR_KILL,
        packing_slip_comment="Thank you for your order.",
        safety_stock=SAFETY_STOCK,
        prefer_amazon_tracking=True,
        push_stock=True,
    )
    with running.stub(routing_pb2_grpc.RoutingServiceStub) as stub:
        stub.UpdateShopRouting(
            routing_pb2.UpdateShopRoutingRequest(workspace_id=shop.merchant.workspace_id, routing=routing), timeout=10
        )


def drift(running: Shops, merchant: Merchant) -> list[stock_pb2.Drift]:
    """What does not agree of a merchant now."""
    with running.stub(stock_pb2_grpc.StockServiceStub) as stub:
        made = stub.MakeDriftReport(
            stock_pb2.MakeDriftReportRequest(workspace_id=merchant.workspace_id, merchant_id=merchant.merchant_id),
            timeout=60,
        )
        request = stock_pb2.ListDriftsRequest(
            workspace_id=merchant.workspace_id, report_id=made.report.report_id, page_size=200
        )
        return list(stub.ListDrifts(request, timeout=20).drifts)
