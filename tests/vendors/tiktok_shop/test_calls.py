"""Every call over real connections to a strict TikTok Shop, and what is done when one fails."""

import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog

from kit.vendor_errors import (
    VendorAccountProblem,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
    VendorUncertain,
)
from kit.vendor_http import VendorHttp
from tests.vendors.fake_vendor import FakeVendor, JumpingClock, answers, drops_the_connection, echoes, pieces
from tests.vendors.tiktok_shop.conftest import AS_CREATOR, NO_SHOP, SHOP, Scene, config_of
from tests.vendors.tiktok_shop.endpoints import CIPHER, ORDER, PACKAGE, PRODUCT, SKU, VIDEO, Endpoint
from tests.vendors.tiktok_shop.strict_shop import SECRET, SELLER
from vendors.tiktok_shop import operations
from vendors.tiktok_shop.aftersales import AftersaleFilter
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.creator_models import ProductLink, ShoppablePhotos, ShoppableVideo
from vendors.tiktok_shop.order_models import OrderStatus, ShippingType
from vendors.tiktok_shop.orders import OrderFilter
from vendors.tiktok_shop.package_models import Handover, PackageStatus, Parcel, SelfShipment
from vendors.tiktok_shop.packages import PackageFilter
from vendors.tiktok_shop.products import ProductFilter, ProductStatus

pytestmark = pytest.mark.anyio
START, END = date(2026, 11, 14), date(2026, 11, 21)
THEN = datetime(2026, 11, 20, tzinfo=UTC)
SHIPMENT = SelfShipment("1Z999AA10123456784", "7117858858072016686")
PARCEL = Parcel(Decimal(10), Decimal("7.5"), Decimal(3), "INCH", Decimal("1.2"), "POUND")
LINK = ProductLink(PRODUCT, "Crispy in minutes")
VIDEO_POST = ShoppableVideo(file_id="v0f1", title="Größe & Glut ✨", link=LINK)

CALLS: dict[str, Callable[[TikTokShopClient], Awaitable[Any]]] = {
    "authorized_shops": lambda c: c.shops.authorized(NO_SHOP),
    "webhooks_get": lambda c: c.shops.webhooks(SHOP),
    "webhook_put": lambda c: c.shops.set_webhook(SHOP, "ORDER_STATUS_CHANGE", "https://a.example/"),
    "webhook_delete": lambda c: c.shops.delete_webhook(SHOP, "ORDER_STATUS_CHANGE"),
    "orders_search": lambda c: c.orders.search(
        SHOP,
        OrderFilter(
            status=OrderStatus.AWAITING_SHIPMENT,
            update_time_ge=THEN,
            shipping_type=ShippingType.SELLER,
            is_buyer_request_cancel=False,
            warehouse_ids=("7000",),
        ),
        page_token="p+/=2",
    ),
    "orders_get": lambda c: c.orders.get(SHOP, (ORDER, "576461413038785753")),
    "price_detail": lambda c: c.orders.price_detail(SHOP, ORDER),
    "mark_shipped": lambda c: c.packages.mark_shipped(SHOP, ORDER, SHIPMENT, line_item_ids=("1", "2")),
    "ship": lambda c: c.packages.ship(SHOP, PACKAGE, Handover(THEN, THEN)),
    "create_package": lambda c: c.packages.create(SHOP, ORDER, shipping_service_id="s1", parcel=PARCEL),
    "package_get": lambda c: c.packages.get(SHOP, PACKAGE),
    "packages_search": lambda c: c.packages.search(SHOP, PackageFilter(status=PackageStatus.PROCESSING)),
    "shipping_document": lambda c: c.packages.document(SHOP, PACKAGE),
    "shipping_services": lambda c: c.packages.shipping_services(SHOP, ORDER),
    "order_tracking": lambda c: c.packages.tracking(SHOP, ORDER),
    "order_tracking_update": lambda c: c.packages.correct_order_tracking(SHOP, ORDER, SHIPMENT),
    "package_tracking_update": lambda c: c.packages.correct_package_tracking(SHOP, PACKAGE, SHIPMENT),
    "warehouses": lambda c: c.logistics.warehouses(SHOP),
    "delivery_options": lambda c: c.logistics.delivery_options(SHOP, "7000"),
    "shipping_providers": lambda c: c.logistics.shipping_providers(SHOP, "8000", buyer_region="DE"),
    "cancel_order": lambda c: c.aftersales.cancel(SHOP, ORDER, "seller_cancel_reason_out_of_stock"),
    "cancellations_search": lambda c: c.aftersales.cancellations(SHOP, AftersaleFilter(order_ids=(ORDER,))),
    "cancellation_approve": lambda c: c.aftersales.approve_cancellation(SHOP, "4035", idempotency_key="k1"),
    "cancellation_reject": lambda c: c.aftersales.reject_cancellation(SHOP, "4035", "sent", idempotency_key="k1"),
    "returns_search": lambda c: c.aftersales.returns(SHOP, AftersaleFilter(update_time_ge=THEN)),
    "products_search": lambda c: c.products.search(SHOP, ProductFilter(status=ProductStatus.ACTIVATE)),
    "product_get": lambda c: c.products.get(SHOP, PRODUCT),
    "inventory_search": lambda c: c.products.stock(SHOP, product_ids=(PRODUCT,)),
    "inventory_update": lambda c: c.products.set_stock(SHOP, PRODUCT, {SKU: {"7000": 5}}),
    "shop_numbers": lambda c: c.analytics.shop(SHOP, START, END),
    "video_list_numbers": lambda c: c.analytics.videos(SHOP, START, END),
    "video_total_numbers": lambda c: c.analytics.all_videos(SHOP, START, END),
    "video_numbers": lambda c: c.analytics.video(SHOP, VIDEO, START, END),
    "video_product_numbers": lambda c: c.analytics.video_products(SHOP, VIDEO, START, END),
    "product_list_numbers": lambda c: c.analytics.products(SHOP, START, END),
    "product_numbers": lambda c: c.analytics.product(SHOP, PRODUCT, START, END),
    "sku_list_numbers": lambda c: c.analytics.skus(SHOP, START, END),
    "sku_numbers": lambda c: c.analytics.sku(SHOP, SKU, START, END),
    "live_list_numbers": lambda c: c.analytics.lives(SHOP, START, END),
    "live_total_numbers": lambda c: c.analytics.all_lives(SHOP, START, END),
    "video_upload": lambda c: c.creator.upload_video(AS_CREATOR, pieces(b"12", b"3"), 3, file_name="a.mp4"),
    "photo_upload": lambda c: c.creator.upload_photo(AS_CREATOR, pieces(b"123"), 3, file_name="a.jpg"),
    "showcase_products": lambda c: c.creator.showcase_products(AS_CREATOR),
    "music_search": lambda c: c.creator.music(AS_CREATOR, "glow"),
    "precheck": lambda c: c.creator.start_precheck(AS_CREATOR, "v0f1", LINK),
    "precheck_get": lambda c: c.creator.precheck(AS_CREATOR, "t1"),
    "video_post": lambda c: c.creator.post_video(AS_CREATOR, VIDEO_POST),
    "photo_post": lambda c: c.creator.post_photos(
        AS_CREATOR, ShoppablePhotos(photo_uris=("tos/1", "tos/2"), title="Two", links=(LINK,))
    ),
    "video_status": lambda c: c.creator.video_status(AS_CREATOR, VIDEO),
    "creator_numbers": lambda c: c.creator.numbers(AS_CREATOR, (VIDEO,), START, END),
}
COMMITS = sorted(name for name, each in operations.OPERATIONS.items() if each.effect is operations.Effect.COMMIT)
REPEATED = sorted(
    name
    for name, each in operations.OPERATIONS.items()
    if each.effect in (operations.Effect.READ, operations.Effect.SET)
)


def test_every_operation_is_called_here() -> None:
    assert set(CALLS) == set(operations.OPERATIONS)


@pytest.mark.parametrize("name", CALLS)
async def test_a_strict_shop_takes_each_call_and_its_answer_is_read(scene: Scene, name: str) -> None:
    await CALLS[name](scene.client)
    assert [(record.operation, record.outcome, record.log_id) for record in scene.records] == [(name, "ok", "2026AA")]


@pytest.mark.parametrize("name", REPEATED)
async def test_a_call_that_may_be_repeated_is_when_its_answer_is_lost(scene: Scene, name: str) -> None:
    scene.vendor.then(drops_the_connection)
    await CALLS[name](scene.client)
    assert len(scene.vendor.seen) == 2


@pytest.mark.parametrize("name", COMMITS)
@pytest.mark.parametrize(
    "behaviour",
    [drops_the_connection, answers({"code": 36009003, "message": "Internal error"}), answers({}, status=502)],
    ids=["lost", "internal error", "bad gateway"],
)
async def test_a_commit_without_a_clear_answer_is_uncertain_and_made_once(
    scene: Scene, name: str, behaviour: Any
) -> None:
    scene.vendor.then(behaviour)
    with pytest.raises(VendorUncertain):
        await CALLS[name](scene.client)
    assert len(scene.vendor.seen) == 1


@pytest.mark.parametrize("name", ["video_upload", "photo_upload", "precheck"])
async def test_what_nothing_uses_yet_is_made_once_and_may_be_made_again(scene: Scene, name: str) -> None:
    scene.vendor.then(drops_the_connection)
    with pytest.raises(VendorUnavailable):
        await CALLS[name](scene.client)
    assert len(scene.vendor.seen) == 1
    await CALLS[name](scene.client)


async def test_every_try_has_a_time_and_a_signature_of_its_own(scene: Scene) -> None:
    times = iter(range(int(time.time()) - 60, int(time.time())))
    client = TikTokShopClient(scene.client.config, http=scene.client._http, now=lambda: next(times))
    scene.vendor.then(drops_the_connection, drops_the_connection)
    await client.orders.search(SHOP, OrderFilter())
    queries = [parse_qs(urlsplit(seen.raw_path).query) for seen in scene.vendor.seen]
    assert len({query["timestamp"][0] for query in queries}) == 3
    assert len({query["sign"][0] for query in queries}) == 3
    assert {seen.body for seen in scene.vendor.seen} == {b"{}"}


async def test_a_text_that_is_not_ascii_is_sent_as_it_was_signed(scene: Scene) -> None:
    await scene.client.creator.post_video(AS_CREATOR, VIDEO_POST)
    assert "Größe & Glut ✨".encode() in scene.vendor.seen[0].body


@pytest.mark.parametrize(
    ("behaviour", "waits"),
    [
        (answers({"code": 36009002, "message": "Too many"}, status=429, headers={"Retry-After": "20"}), (20, 20)),
        (answers({"code": 36009002, "message": "Too many requests"}), (1, 1.1)),
        (answers({}, status=429), (60, 60)),
    ],
    ids=["Retry-After", "the code alone", "the status alone"],
)
async def test_too_many_calls_rest_the_bucket_of_that_call_and_shop_alone(
    behaviour: Any, waits: tuple[float, float], scene: Scene
) -> None:
    scene.vendor.then(behaviour)
    order = scene.client.orders.get(SHOP, (ORDER,), timeout_seconds=1)
    with pytest.raises(VendorRateLimited) as refusal:
        await order
    assert waits[0] <= refusal.value.retry_after_seconds <= waits[1]
    with pytest.raises(VendorRateLimited) as local:
        await scene.client.orders.get(SHOP, (ORDER,), timeout_seconds=0.5)
    assert local.value.code == "local_rate_limit"
    assert len(scene.vendor.seen) == 1
    await scene.client.orders.price_detail(SHOP, ORDER)
    await scene.client.orders.get(Access(SELLER, "another", CIPHER), (ORDER,))
    scene.clock.now += waits[1]
    await scene.client.orders.get(SHOP, (ORDER,))


async def test_reports_are_kept_apart_from_each_other() -> None:
    async with FakeVendor.running() as vendor:
        vendor.otherwise = answers({"code": 0, "data": {}})
        clock, config = JumpingClock(), config_of(vendor.url)
        http = VendorHttp(config.http_settings(vendor.url), clock=clock, sleep=clock.sleep)
        async with TikTokShopClient(config, http=http) as client:
            for _ in range(3):
                await client.analytics.shop(SHOP, START, END)
            for _ in range(3):
                await client.orders.get(SHOP, (ORDER,))
    assert clock.slept == [2, 2]  # and none for the orders


async def test_the_hourly_number_of_a_test_shop_is_kept_where_it_is_set() -> None:
    async with FakeVendor.running() as vendor:
        vendor.otherwise = answers({"code": 0, "data": {}})
        async with TikTokShopClient(config_of(vendor.url, shop_calls_per_hour=2)) as client:
            await client.orders.get(SHOP, (ORDER,))
            await client.products.stock(SHOP, sku_ids=(SKU,))
            with pytest.raises(VendorRateLimited):
                await client.orders.get(SHOP, (ORDER,))
    assert len(vendor.seen) == 2


async def test_a_refused_version_is_followed_by_the_next_and_not_asked_for_again(scene: Scene) -> None:
    old = next(each for each in scene.shop.endpoints if each.path.startswith("/analytics/202405/shop/"))
    scene.shop.endpoints.remove(old)
    reshaped = {"sales": {"gmv": {"overall": {"amount": "9.50", "currency": "EUR"}}, "orders_count": 3}}
    scene.shop.endpoints.append(
        Endpoint("GET", "/analytics/202509/shop/performance", {"performance": {"intervals": [reshaped]}}, old.query)
    )
    for _ in range(2):
        (interval,) = (await scene.client.analytics.shop(SHOP, START, END)).intervals
        assert (interval.figures.orders, interval.figures.gmv and interval.figures.gmv.amount) == (3, Decimal("9.50"))
    assert [seen.raw_path.split("/")[2] for seen in scene.vendor.seen] == ["202405", "202509", "202509"]


async def test_when_no_version_is_taken_any_more_the_call_is_refused(scene: Scene) -> None:
    gone = answers({"code": 36009004, "message": "Invalid API version", "request_id": "2026EE"})
    scene.vendor.then(gone, gone)
    with pytest.raises(VendorRejected) as refusal:
        await scene.client.analytics.shop(SHOP, START, END)
    assert refusal.value.log_id == "2026EE"
    assert len(scene.vendor.seen) == 2


async def test_a_commit_that_is_refused_for_our_clock_is_not_in_doubt(scene: Scene) -> None:
    scene.vendor.then(answers({"code": 36009004, "message": "timestamp is expired"}, status=400))
    with pytest.raises(VendorUnavailable) as refusal:
        await CALLS["mark_shipped"](scene.client)
    assert not refusal.value.sent
    assert "clock" in refusal.value.advice
    assert len(scene.vendor.seen) == 1


async def test_a_text_that_no_database_takes_spoils_no_page(scene: Scene) -> None:
    order = {"id": ORDER, "status": "UNPAID", "buyer_message": "a\x00b\ud800c 😀"}
    scene.shop.answers("/order/202507/orders", {"orders": [order]})
    (read,) = await scene.client.orders.get(SHOP, (ORDER,))
    assert read.buyer_message == read.raw["buyer_message"] == "a\ufffdb\ufffdc 😀"


async def test_a_missing_scope_is_named(scene: Scene) -> None:
    scene.vendor.then(answers({"code": 105005, "message": "Access denied"}))
    with pytest.raises(VendorRejected) as refusal:
        await scene.client.analytics.shop(SHOP, START, END)
    assert "data.shop_analytics.public.read" in refusal.value.advice


async def test_a_shop_without_its_cipher_is_refused_before_anything_is_sent(scene: Scene) -> None:
    with pytest.raises(VendorRejected, match="cipher"):
        await scene.client.orders.get(NO_SHOP, (ORDER,))
    assert scene.vendor.seen == []


async def test_without_an_app_the_operator_is_told_what_to_set() -> None:
    async with TikTokShopClient(config_of("http://127.0.0.1:1", app_key="")) as client:
        with pytest.raises(VendorRejected) as refusal:
            await client.orders.get(SHOP, (ORDER,))
    assert "REELROUTE_TIKTOK_SHOP_APP_KEY" in refusal.value.advice


@pytest.mark.parametrize("wrong", ["", "../shops", "1/packages", "1?x=1", "1%2F2", "é"])
async def test_what_is_no_id_never_gets_into_a_path(scene: Scene, wrong: str) -> None:
    with pytest.raises(ValueError, match="is no id"):
        await scene.client.packages.mark_shipped(SHOP, wrong, SHIPMENT)
    assert scene.vendor.seen == []


async def test_no_token_secret_cipher_or_signature_reaches_a_log_a_record_or_an_error(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.vendor.otherwise = echoes(400)
    with structlog.testing.capture_logs() as logs:
        for name in ("orders_search", "mark_shipped", "video_upload", "webhook_put"):
            with pytest.raises((VendorRejected, VendorUnavailable, VendorAccountProblem)) as refusal:
                await CALLS[name](scene.client)
            text = f"{refusal.value!r} {refusal.value}"
            assert "canary" not in text
    written = f"{logs} {scene.records} {capsys.readouterr()} {SHOP!r} {scene.client.config!r}"
    for secret in (SECRET, SELLER, CIPHER, "canary"):
        assert secret not in written
    assert all("?" not in record.path for record in scene.records)
    assert json.dumps([record.request for record in scene.records])
