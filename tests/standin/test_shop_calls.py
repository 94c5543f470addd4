"""Every documented call of TikTok Shop's client over the strict stand-in, and the stand-in's judge."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from kit.vendor_errors import VendorError
from tests.standin import shop_data
from tests.standin.server import Fault
from tests.standin.shop import Owner, Shop
from tests.standin.shop_rules import sign
from tests.standin.shop_stage import config_of
from vendors.tiktok_shop.aftersales import AftersaleFilter
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.order_models import OrderStatus, ShippingType
from vendors.tiktok_shop.orders import OrderFilter
from vendors.tiktok_shop.package_models import Handover, Parcel, SelfShipment
from vendors.tiktok_shop.packages import PackageFilter
from vendors.tiktok_shop.products import ProductFilter

ORDER, ITEM, PACKAGE, PRODUCT, SKU = "5764", "5765", "1152", "1729", "1730"
FIRST, LAST, NOW = date(2026, 11, 1), date(2026, 11, 8), datetime(2026, 11, 1, tzinfo=UTC)
SENT, SLOT = SelfShipment("1Z999", "711"), Handover(NOW, NOW)
PARCEL = Parcel(Decimal("10.5"), Decimal(1), Decimal(2), "CM", Decimal("0.25"), "POUND")
AFTER = AftersaleFilter(ids=["1"], order_ids=[ORDER], statuses=["X"], create_time_ge=NOW)
Call = Callable[[TikTokShopClient, Access], Awaitable[object]]
CALLS: list[Call] = [
    lambda c, a: c.shops.authorized(a),
    lambda c, a: c.shops.webhooks(a),
    lambda c, a: c.shops.set_webhook(a, "ORDER_STATUS_CHANGE", "https://hooks.example.com/x"),
    lambda c, a: c.shops.delete_webhook(a, "ORDER_STATUS_CHANGE"),
    lambda c, a: c.orders.search(
        a, OrderFilter(status=OrderStatus.UNPAID, create_time_ge=NOW, shipping_type=ShippingType.SELLER,
                       is_buyer_request_cancel=True, warehouse_ids=["7"]), page_token="MA==|/+ =&é",
    ),
    lambda c, a: c.orders.get(a, [ORDER, ITEM]),
    lambda c, a: c.orders.price_detail(a, ORDER),
    lambda c, a: c.packages.mark_shipped(a, ORDER, SENT, line_item_ids=[ITEM]),
    lambda c, a: c.packages.ship(a, PACKAGE, SENT),
    lambda c, a: c.packages.ship(a, PACKAGE, SLOT),
    lambda c, a: c.packages.ship(a, PACKAGE, Handover()),
    lambda c, a: c.packages.create(a, ORDER, shipping_service_id="8", parcel=PARCEL, line_item_ids=[ITEM]),
    lambda c, a: c.packages.get(a, PACKAGE),
    lambda c, a: c.packages.search(a, PackageFilter(update_time_ge=NOW)),
    lambda c, a: c.packages.document(a, PACKAGE),
    lambda c, a: c.packages.shipping_services(a, ORDER),
    lambda c, a: c.packages.tracking(a, ORDER),
    lambda c, a: c.packages.correct_order_tracking(a, ORDER, SENT),
    lambda c, a: c.packages.correct_package_tracking(a, PACKAGE, SENT),
    lambda c, a: c.logistics.warehouses(a),
    lambda c, a: c.logistics.delivery_options(a, "7"),
    lambda c, a: c.logistics.shipping_providers(a, "7", warehouse_region="DE", buyer_region="FR"),
    lambda c, a: c.aftersales.cancel(a, ORDER, "seller_cancel_reason_out_of_stock", line_item_ids=[ITEM]),
    lambda c, a: c.aftersales.cancellations(a, AFTER),
    lambda c, a: c.aftersales.approve_cancellation(a, "4", idempotency_key="k1"),
    lambda c, a: c.aftersales.reject_cancellation(a, "4", "reason", idempotency_key="k2"),
    lambda c, a: c.aftersales.returns(a, AFTER),
    lambda c, a: c.products.search(a, ProductFilter(seller_skus=["Ü 1"], sku_ids=[SKU], update_time_le=NOW)),
    lambda c, a: c.products.get(a, "1729500000000000001"),
    lambda c, a: c.products.stock(a, product_ids=[PRODUCT]),
    lambda c, a: c.products.stock(a, sku_ids=[SKU]),
    lambda c, a: c.products.set_stock(a, PRODUCT, {SKU: {"7": 5}}),
    lambda c, a: c.analytics.shop(a, FIRST, LAST),
    lambda c, a: c.analytics.videos(a, FIRST, LAST, highest_sales_first=True, page_token="MA==|"),
    lambda c, a: c.analytics.all_videos(a, FIRST, LAST),
    lambda c, a: c.analytics.video(a, "74", FIRST, LAST),
    lambda c, a: c.analytics.video_products(a, "74", FIRST, LAST),
    lambda c, a: c.analytics.products(a, FIRST, LAST),
    lambda c, a: c.analytics.product(a, PRODUCT, FIRST, LAST),
    lambda c, a: c.analytics.skus(a, FIRST, LAST),
    lambda c, a: c.analytics.sku(a, SKU, FIRST, LAST),
    lambda c, a: c.analytics.lives(a, FIRST, LAST),
    lambda c, a: c.analytics.all_lives(a, FIRST, LAST),
]  # fmt: skip


@pytest.fixture
def seller(shop: Shop) -> Owner:
    owner = shop.seller(shop_data.Shop("7495540735365777507"))
    shop.give(owner)
    return owner


def test_every_call_is_made_as_documented(shop: Shop, seller: Owner) -> None:
    async def call_all() -> None:
        async with TikTokShopClient(config_of(shop, max_tries=1)) as client:
            access = Access(seller.access, seller.shops[0].id, seller.shops[0].cipher)
            for call in CALLS:
                with contextlib.suppress(VendorError):  # the stand-in has nothing to tell of many
                    await call(client, access)

    asyncio.run(call_all())
    assert len({call.endpoint for call in shop.journal.calls}) >= 38
    assert shop.violations() == []


# ---- the judge


class Caller:
    """Calls by hand."""

    def __init__(self, shop: Shop, owner: Owner) -> None:
        self.shop, self.owner = shop, owner

    def call(self, method: str, path: str, body: Any = None, **query: str) -> httpx.Response:
        query = {"app_key": self.shop.app_key, "timestamp": str(int(time.time())), **query}
        query = {name: value for name, value in query.items() if value}
        content = b"" if body is None else json.dumps(body).encode()
        target = str(httpx.URL(path, params=query))
        query.setdefault("sign", sign(self.shop.app_secret, target, content))
        headers = {"x-tts-access-token": self.owner.access, "content-type": "application/json"}
        return httpx.request(
            method,
            f"{self.shop.url}{path}",
            params=query,
            content=content,
            headers=headers,
            trust_env=False,
            verify=False,
        )

    def search(self, body: Any = None, **query: str) -> httpx.Response:
        query = {"shop_cipher": self.owner.shops[0].cipher, **query}
        return self.call("POST", "/order/202309/orders/search", {} if body is None else body, **query)

    def stock(self) -> None:
        body = {"skus": [{"id": "1", "inventory": [{"quantity": 1}]}]}
        cipher = self.owner.shops[0].cipher
        try:
            self.call("POST", "/product/202309/products/1/inventory/update", body, shop_cipher=cipher)
        except httpx.TransportError:
            return


@pytest.fixture
def caller(shop: Shop, seller: Owner) -> Caller:
    return Caller(shop, seller)


def _lost_write(caller: Caller) -> None:
    caller.shop.fails("inventory_update", Fault(lost=True))
    caller.stock()
    caller.stock()


def _refused_twice(caller: Caller) -> None:
    caller.shop.refusals["orders_search"] = 66009315
    caller.search()
    time.sleep(0.4)
    caller.search()


def _refreshed_twice(caller: Caller) -> None:
    query = {"app_key": caller.shop.app_key, "app_secret": caller.shop.app_secret, "grant_type": "refresh_token"}
    query["refresh_token"] = caller.owner.refresh
    for _ in range(2):
        httpx.get(f"{caller.shop.url}/api/v2/token/refresh", params=query, trust_env=False, verify=False)


def _reports_in_a_row(caller: Caller) -> None:
    cipher = caller.owner.shops[0].cipher
    for day in "12":
        span = {"start_date_ge": f"2026-11-0{day}", "end_date_lt": "2026-11-08", "shop_cipher": cipher}
        caller.call("GET", "/analytics/202405/shop/performance", **span)


@pytest.mark.parametrize(
    ("breaking", "noticed"),
    [
        (lambda c: c.search(timestamp=str(int(time.time()) - 400)), "the timestamp is"),
        (lambda c: c.search(sign="0" * 64), "the signature is wrong"),
        (lambda c: c.search(shop_cipher=""), "shop_cipher is missing"),
        (lambda c: c.call("GET", "/authorization/202309/shops", shop_cipher="x"), "not wanted here"),
        (lambda c: c.search(page_size="101"), "query.page_size is '101'"),
        (lambda c: c.search(page_no="1"), "query.page_no is not documented"),
        (lambda c: c.search({"status": "UNPAID"}), "body.status is not documented"),
        (lambda c: c.search({"order_status": "PAID"}), "which is not documented"),
        (lambda c: c.search(access_token=c.owner.access), "a secret in the address"),
        (lambda c: c.call("GET", "/order/202212/orders"), "is not documented"),
        (_lost_write, "that commits again"),
        (_refused_twice, "which was refused for good"),
        (_refreshed_twice, "used again after a new one"),
        (_reports_in_a_row, "2 calls in one minute, allowed are 1"),
    ],
)
def test_what_is_not_allowed_is_noticed(caller: Caller, breaking: Callable[[Caller], Any], noticed: str) -> None:
    breaking(caller)
    assert noticed in " / ".join(caller.shop.violations())


def test_a_caller_that_keeps_to_the_documentation_breaks_nothing(caller: Caller) -> None:
    assert caller.search({"order_status": "UNPAID"}, page_size="1").json()["code"] == 0
    caller.stock()
    assert caller.shop.violations() == []
