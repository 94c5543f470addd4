"""Products, stock and reports as they are read."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.vendor_json import UnreadableAnswer
from tests.vendors.tiktok_shop.conftest import AS_CREATOR, SHOP, Scene
from tests.vendors.tiktok_shop.endpoints import PRODUCT, SKU, VIDEO
from vendors.tiktok_shop import figures
from vendors.tiktok_shop.products import ProductFilter, ProductStatus
from vendors.tiktok_shop.values import ItemError, Money, money, share

pytestmark = pytest.mark.anyio
START, END = date(2026, 11, 14), date(2026, 11, 21)


async def test_a_product_is_read_with_its_skus_prices_and_stock(scene: Scene) -> None:
    sku = {
        "id": 1729382476852920801,
        "seller_sku": "EMB-1",
        "price": {"currency": "EUR", "sale_price": "19.90", "tax_exclusive_price": "16.72"},
        "list_price": {"amount": "24.90", "currency": "EUR"},
        "identifier_code": {"code": "4006381333931", "type": "EAN"},
        "status_info": {"status": "NORMAL"},
        "inventory": [{"warehouse_id": "7000", "quantity": 0}, {"warehouse_id": "7001", "quantity": 5}],
    }
    scene.shop.answers(f"/product/202309/products/{PRODUCT}", {"id": PRODUCT, "status": "NEW_STATE", "skus": [sku]})
    product = await scene.client.products.get(SHOP, PRODUCT)
    assert (product.id, product.status) == (PRODUCT, ProductStatus.UNKNOWN)
    (read,) = product.skus
    assert (read.id, read.seller_sku, read.identifier_code) == (SKU, "EMB-1", "4006381333931")
    assert read.tax_exclusive_price == Money(Decimal("16.72"), "EUR")
    assert read.list_price == Money(Decimal("24.90"), "EUR")
    assert read.stock == {"7000": 0, "7001": 5}


async def test_products_are_found_page_by_page(scene: Scene) -> None:
    page = await scene.client.products.search(SHOP, ProductFilter(sku_ids=(SKU,)))
    assert [(product.id, product.title) for product in page.items] == [(PRODUCT, "Air fryer")]
    assert scene.shop.bodies == [{"sku_ids": [SKU]}]


async def test_stock_is_read_by_warehouse(scene: Scene) -> None:
    (stock,) = await scene.client.products.stock(SHOP, sku_ids=(SKU,))
    assert (stock.product_id, stock.available, stock.committed) == (PRODUCT, 7, 2)
    assert [(each.warehouse_id, each.available) for each in stock.warehouses] == [("7000", 7)]


async def test_stock_that_was_refused_is_told_by_sku_and_warehouse(scene: Scene) -> None:
    refused = await scene.client.products.set_stock(SHOP, PRODUCT, {SKU: {"7000": 5, "7001": 100_000}})
    assert refused == (ItemError(SKU, "7001", "12019024", "out of range"),)
    places = [{"warehouse_id": "7000", "quantity": 5}, {"warehouse_id": "7001", "quantity": 100_000}]
    assert scene.shop.bodies == [{"skus": [{"id": SKU, "inventory": places}]}]


async def test_a_refusal_without_parts_is_of_the_whole_sku_and_none_is_no_refusal(scene: Scene) -> None:
    path = f"/product/202309/products/{PRODUCT}/inventory/update"
    scene.shop.answers(path, {"errors": [{"code": 12052901, "message": "state", "detail": {"sku_id": SKU}}]})
    assert await scene.client.products.set_stock(SHOP, PRODUCT, {}) == (ItemError(SKU, "", "12052901", "state"),)
    scene.shop.answers(path, None)
    assert await scene.client.products.set_stock(SHOP, PRODUCT, {}) == ()


@pytest.mark.parametrize("wrong", [{}, {"product_ids": ["1"], "sku_ids": ["2"]}, {"product_ids": ["1"] * 101}])
async def test_stock_is_asked_for_by_products_or_by_skus(scene: Scene, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="product_ids"):
        await scene.client.products.stock(SHOP, **wrong)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("12.5%", "0.125"),
        ("0.0528", "0.0528"),
        (0.25, "0.25"),
        ("0%", "0"),
        ("1", "1"),
        ("120%", "1.2"),
        ("5.28", None),  # per cent or not? It is not said.
        ("-1%", None),
        ("", None),
        ("n/a", None),
        (None, None),
        (True, None),
    ],
)
def test_a_rate_is_a_share_whichever_way_it_is_written(told: object, read: str | None) -> None:
    assert share({"rate": told}, "rate") == (None if read is None else Decimal(read))


@given(st.decimals(min_value=0, max_value=1, places=4))
def test_both_ways_of_writing_a_rate_say_the_same(rate: Decimal) -> None:
    assert share({"rate": f"{rate * 100}%"}, "rate") == share({"rate": str(rate)}, "rate") == rate


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12))
def test_money_is_exact_whichever_way_it_is_written(amount: Decimal) -> None:
    expected = Money(amount, "EUR")
    assert money({"gmv": {"amount": str(amount), "currency": "EUR"}}, "gmv") == expected
    assert money({"gmv": str(amount)}, "gmv", "EUR") == expected


@pytest.mark.parametrize(
    "told", [None, "", "abc", "NaN", "Infinity", "1_000", {"amount": "1"}, {"currency": "EUR"}, []]
)
def test_money_without_an_amount_or_a_currency_is_none(told: object) -> None:
    assert money({"gmv": told}, "gmv") is None


FIRST = {
    "start_date": "2026-11-20",
    "end_date": "2026-11-21",
    "gmv": {"amount": "120.50", "currency": "USD"},
    "gmv_breakdowns": [{"type": "VIDEO", "amount": "100.50", "currency": "USD"}, {"type": "LIVE", "amount": "x"}],
    "orders": 4,
    "sku_orders": 5,
    "units_sold": 6,
    "buyers": 3,
    "refunds": {"amount": "0.00", "currency": "USD"},
    "product_page_views": 900,
    "avg_product_page_visitors": 40,
}
LATER = {
    "start_date": "2026-11-20",
    "end_date": "2026-11-21",
    "sales": {
        "gmv": {
            "overall": {"amount": "120.50", "currency": "USD"},
            "breakdowns": [{"type": "VIDEO", "gmv": {"amount": "100.50", "currency": "USD"}}],
        },
        "orders_count": 4,
        "items_sold": 6,
        "customers": 3,
        "sku_orders": 5,
        "refunds": {"amount": "0.00", "currency": "USD"},
    },
    "traffic": {"avg_visitors": 40, "product_page_views": 900},
}


def test_each_version_of_a_report_says_the_same_in_its_own_shape() -> None:
    first, later = figures.figures(FIRST, "202405"), figures.figures(LATER, "202509")
    assert first == later
    assert first.gmv == Money(Decimal("120.50"), "USD")
    assert first.gmv_by_type == {"VIDEO": Money(Decimal("100.50"), "USD")}
    assert (first.orders, first.units_sold, first.buyers, first.product_page_visitors) == (4, 6, 3, 40)
    assert first.views is None


async def test_a_report_says_how_far_it_goes(scene: Scene) -> None:
    report = await scene.client.analytics.shop(SHOP, START, END)
    assert report.latest_available_date == date(2026, 11, 20)
    (interval,) = report.intervals
    assert (interval.start, interval.end, interval.figures.orders) == (date(2026, 11, 20), date(2026, 11, 21), 4)
    assert "granularity=1D" in scene.vendor.seen[0].raw_path
    assert "end_date_lt=2026-11-21&" in scene.vendor.seen[0].raw_path


async def test_a_videos_report_counts_what_its_viewers_did(scene: Scene) -> None:
    engagement = {"total_views": 4_000_000_000, "total_likes": 5, "total_comments": "6", "total_shares": None}
    data = {"performance": {"intervals": [], "engagement_data": engagement}}
    scene.shop.answers(f"/analytics/202409/shop_videos/{VIDEO}/performance", data)
    report = await scene.client.analytics.video(SHOP, VIDEO, START, END)
    assert report.engagement == figures.Engagement(4_000_000_000, 5, 6, None)


async def test_videos_come_with_their_products_rates_and_times(scene: Scene) -> None:
    page = await scene.client.analytics.videos(SHOP, START, END)
    (row,) = page.rows
    assert (row.id, row.name, row.username, row.product_ids) == (VIDEO, "Crispy", "ember", (PRODUCT,))
    assert row.figures.click_through_rate == Decimal("0.125")
    assert page.total_count == 1


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("2026-11-20T10:00:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("1764000000", datetime(2025, 11, 24, 16, tzinfo=UTC)),
        ("2026-11-20 10:00:00", None),  # of which zone?
        ("soon", None),
    ],
)
def test_a_videos_time_is_an_instant_or_unknown(told: str, read: datetime | None) -> None:
    page = figures.row_page({"videos": [{"id": VIDEO, "video_post_time": told}]}, "videos", "202409")
    assert page.rows[0].time == read


async def test_a_lives_numbers_are_found_in_their_parts(scene: Scene) -> None:
    (row,) = (await scene.client.analytics.lives(SHOP, START, END)).rows
    assert (row.time, row.figures.units_sold) == (datetime(2025, 11, 24, 16, tzinfo=UTC), 3)
    assert row.figures.gmv == Money(Decimal("120.50"), "USD")


def test_a_row_that_has_no_id_is_not_passed_over() -> None:
    with pytest.raises(UnreadableAnswer):
        figures.row_page({"skus": [{"gmv": None}]}, "skus", "202406")


async def test_a_span_of_no_days_is_refused_before_anything_is_sent(scene: Scene) -> None:
    with pytest.raises(ValueError, match="after start"):
        await scene.client.analytics.shop(SHOP, END, END)
    assert scene.vendor.seen == []


async def test_a_creators_sales_are_told_by_video_and_day(scene: Scene) -> None:
    (day,) = await scene.client.creator.numbers(AS_CREATOR, (VIDEO,), START, END)
    assert (day.video_id, day.figures.orders, day.figures.units_sold) == (VIDEO, 2, 3)
    # Noon of both days, in UTC.
    assert "start_time_ge=1794657600&end_time_le=1795262400&" in scene.vendor.seen[0].raw_path
