"""Figures of the sandbox's TikTok Shop: the same whenever they are read, a day behind, joined to TikTok's posts."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.sandbox.conftest import App, a_video
from tests.sandbox.shop import ShopApp

SHOP = "/analytics/202405/shop/performance"
VIDEOS = "/analytics/202409/shop_videos/performance"
DAY = 86_400


def today(app: ShopApp, zone: str = "America/New_York") -> date:
    now = app.control("GET", "//clock")["now"]
    return datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(zone)).date()


def week(app: ShopApp, days: int = 7, **more: Any) -> dict[str, Any]:
    end = today(app)
    return {"start_date_ge": end - timedelta(days=days), "end_date_lt": end, **more}


def gmv(interval: dict[str, Any]) -> Decimal:
    return Decimal(interval["gmv"]["amount"])


def test_days_add_up_to_the_period_and_kinds_to_the_day(seller: ShopApp) -> None:
    [whole] = seller.ok("GET", SHOP, week(seller))["performance"]["intervals"]
    daily = seller.ok("GET", SHOP, week(seller, granularity="1D"))["performance"]["intervals"]
    assert len(daily) == 7
    assert sum(map(gmv, daily)) == gmv(whole) > 0
    assert sum(day["units_sold"] for day in daily) == whole["units_sold"]
    assert sum(Decimal(one["amount"]) for one in whole["gmv_breakdowns"]) == gmv(whole)
    assert seller.ok("GET", SHOP, week(seller, granularity="1D"))["performance"]["intervals"] == daily


def test_skus_add_up_to_products_and_products_to_the_shop(seller: ShopApp) -> None:
    [shop] = seller.ok("GET", SHOP, week(seller))["performance"]["intervals"]

    def every(path: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            data = seller.ok("GET", path, week(seller, page_size=4) | ({"page_token": token} if token else {}))
            found += data[name]
            token = data["next_page_token"]
            if not token:
                assert len(found) == data["total_count"]
                return found

    skus = every("/analytics/202406/shop_skus/performance", "skus")
    products = every("/analytics/202405/shop_products/performance", "products")
    assert sum(map(gmv, skus)) == gmv(shop)
    by_product = {one["id"]: gmv(one) for one in products}
    box = "1729517744256656620"
    assert sum(gmv(one) for one in skus if one["product_id"] == box) == by_product[box]
    amounts = [gmv(one) for one in products]
    assert amounts == sorted(amounts, reverse=True)


def test_the_newest_day_is_yesterday_and_comes_with_the_clock(seller: ShopApp) -> None:
    now = today(seller)
    query = {"start_date_ge": now - timedelta(days=2), "end_date_lt": now + timedelta(days=1), "granularity": "1D"}
    before = seller.ok("GET", SHOP, query)
    assert before["latest_available_date"] == str(now - timedelta(days=1))
    assert len(before["performance"]["intervals"]) == 2
    seller.advance(DAY)
    after = seller.ok("GET", SHOP, query)["performance"]["intervals"]
    assert after[:2] == before["performance"]["intervals"]
    assert after[2]["start_date"] == str(now)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-02", "2026-11-02"),
        ("2026-11-03", "2026-11-02"),
        ("20261101", "2026-11-02"),
        ("2026-13-01", "2027-01-01"),
        ("2026-11-01", "2199-01-01"),
        ("2026-1-01", "2026-11-02"),
    ],
)
def test_bad_dates_are_refused(seller: ShopApp, start: str, end: str) -> None:
    assert seller.code("GET", SHOP, {"start_date_ge": start, "end_date_lt": end}) == 28001022


def test_the_period_before_can_come_along_and_dollars_too(seller: ShopApp) -> None:
    performance = seller.ok("GET", SHOP, week(seller, with_comparison="true"))["performance"]
    [before] = performance["comparison_intervals"]
    assert before["end_date"] == performance["intervals"][0]["start_date"]
    abroad: dict[str, Any] = {"by": "emberfold-trading", "region": "GB"}
    end = today(seller, "Europe/London")
    query = {"start_date_ge": end - timedelta(days=7), "end_date_lt": end}
    [pounds] = seller.ok("GET", SHOP, query, **abroad)["performance"]["intervals"]
    [dollars] = seller.ok("GET", SHOP, {**query, "currency": "USD"}, **abroad)["performance"]["intervals"]
    assert (pounds["gmv"]["currency"], dollars["gmv"]["currency"]) == ("GBP", "USD")
    assert gmv(dollars) > gmv(pounds) > 0


def test_posts_of_tiktok_are_videos_of_the_shop_under_the_same_id(seller: ShopApp) -> None:
    tiktok = App(seller.http)
    tiktok.connect()
    publish_id = tiktok.post_video(a_video(), title="Deck box in Ember Red")
    tiktok.control("POST", "/clock/advance", seconds=60)
    [post_id] = tiktok.status(publish_id)["publicaly_available_post_id"]
    seller.advance(3 * DAY)
    found = seller.ok("GET", VIDEOS, week(seller, sort_field="views", account_type="LINKED_ACCOUNTS", page_size=100))
    [video] = [one for one in found["videos"] if one["id"] == str(post_id)]
    assert (video["title"], video["username"]) == ("Deck box in Ember Red", "emberfold.air")
    assert video["views"] > 0
    assert video["products"]
    path = f"/analytics/202409/shop_videos/{post_id}/performance"
    first = seller.ok("GET", path, week(seller))["engagement_data"]["total_views"]
    seller.advance(6 * 3600)
    assert seller.ok("GET", path, week(seller))["engagement_data"]["total_views"] >= first > 0
    tiktok.control("PATCH", f"/tiktok/posts/{publish_id}/counts", view_count=4321)
    assert seller.ok("GET", path, week(seller))["engagement_data"]["total_views"] == 4321
    listed = seller.ok("GET", f"/analytics/202409/shop_videos/{post_id}/products/performance", week(seller))["products"]
    assert [one["id"] for one in listed] == [one["id"] for one in video["products"]]


def test_figures_of_others_are_refused(seller: ShopApp) -> None:
    for path in ("202409/shop_videos/1", "202405/shop_products/1", "202406/shop_skus/1"):
        assert seller.code("GET", f"/analytics/{path}/performance", week(seller)) == 66009315


def test_videos_and_lives_have_overviews_of_their_lists(seller: ShopApp) -> None:
    query = week(seller, days=28)
    videos = seller.ok("GET", VIDEOS, query | {"page_size": 100})["videos"]
    [overview] = seller.ok("GET", "/analytics/202409/shop_videos/overview_performance", query)["performance"][
        "intervals"
    ]
    assert sum(map(gmv, videos)) == gmv(overview)
    lives = seller.ok("GET", "/analytics/202508/shop_lives/performance", query | {"page_size": 100})
    assert len(lives["live_stream_sessions"]) == 4
    assert set(lives["live_stream_sessions"][0]) >= {"id", "title", "sales_performance", "interaction_performance"}
    [total] = seller.ok("GET", "/analytics/202508/shop_lives/overview_performance", query)["performance"]["intervals"]
    assert gmv(total) == sum(gmv(one["sales_performance"]) for one in lives["live_stream_sessions"])


def test_another_seed_gives_other_figures(seller: ShopApp) -> None:
    before = seller.ok("GET", SHOP, week(seller))["performance"]
    seller.settings(figures_seed="other")
    assert seller.ok("GET", SHOP, week(seller))["performance"] != before
