"""Analytics of shop, videos, products, SKUs and LIVEs (scope `data.shop_analytics.public.read`).

Each path has its first version only: later versions reshape the fields, and their pages are not complete.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sandbox.tiktok_shop import figures, products
from sandbox.tiktok_shop.answers import Refusal
from sandbox.tiktok_shop.figures import Sales, Video
from sandbox.tiktok_shop.gate import Call, Operation, Query
from sandbox.tiktok_shop.periods import Intervals, List, dates, intervals, known_days, page
from sandbox.tiktok_shop.state import ShopState

_SCOPE = ("data.shop_analytics.public.read",)
NO_PERMISSION = 66009315


class _VideoIntervals(Intervals):
    account_type: Literal["ALL", "LINKED_ACCOUNTS", "AFFILIATES"] = "ALL"


class _LiveIntervals(Intervals):
    account_type: Literal["ALL", "OFFICIAL_ACCOUNTS", "MARKETING_ACCOUNTS", "AFFILIATE_ACCOUNTS"] = "ALL"


class _Videos(List):
    sort_field: Literal["gmv", "sku_orders", "units_sold", "views", "click_through_rate"] = "gmv"
    account_type: Literal["ALL", "LINKED_ACCOUNTS", "AFFILIATES"] = "ALL"


class _VideoProducts(List):
    sort_field: Literal["gmv", "units_sold", "daily_avg_buyers"] = "gmv"


class _Products(List):
    sort_field: Literal["gmv", "order_count", "unit_sold_count", "click_through_rate"] = "gmv"


class _Skus(List):
    sort_field: Literal["gmv", "sku_orders", "units_sold"] = "gmv"
    product_id: str = ""


class _Lives(List):
    sort_field: Literal[
        "gmv", "products_added", "different_products_sold", "sku_orders", "unit_sold", "customers", "24h_live_gmv"
    ] = "gmv"  # fmt: skip
    account_type: Literal["ALL", "OFFICIAL_ACCOUNTS", "MARKETING_ACCOUNTS", "AFFILIATE_ACCOUNTS"] = "ALL"


def _by_kind(call: Call, sales: Sales) -> list[dict[str, Any]]:
    return [
        {"type": kind, **figures.money(call.shop, figures.share(sales.gmv, kind), call.query.currency)}
        for kind in figures.SHARES
    ]


def _shop(state: ShopState, call: Call) -> dict[str, Any]:
    def money(amount: Decimal) -> dict[str, str]:
        return figures.money(call.shop, amount, call.query.currency)

    def show(sales: Sales, length: int) -> dict[str, Any]:
        return {
            "gmv": money(sales.gmv),
            "gmv_breakdowns": _by_kind(call, sales),
            "orders": sales.orders,
            "sku_orders": sales.orders,
            "units_sold": sales.units,
            "buyers": sales.orders - sales.orders // 12,
            "avg_order_value": money(sales.gmv / sales.orders if sales.orders else sales.gmv),
            "product_impressions": sales.impressions,
            "product_page_views": sales.clicks,
            "avg_product_page_visitors": sales.clicks // length,
            "refunds": money(sales.gmv / 40),
            "cancellations_and_returns": sales.units // 30,
        }

    return intervals(state, call, lambda part: figures.of_shop(state, call.shop, part), show)


def _videos(state: ShopState, call: Call) -> dict[str, Any]:
    start, end = dates(state, call)
    known = known_days(state, call, start, end)
    zone = ZoneInfo(call.shop.timezone)
    every = []
    for video in figures.videos(state, call.shop, call.query.account_type):
        sales = figures.of_video(state, call.shop, video, known)
        every.append(
            {
                "id": video.id,
                "title": video.title,
                "username": video.username,
                "gmv": figures.money(call.shop, sales.gmv, call.query.currency),
                "sku_orders": sales.orders,
                "units_sold": sales.units,
                "views": sales.impressions,
                "click_through_rate": figures.rate(sales.clicks, sales.impressions),
                "products": [
                    {"id": product_id, "name": row["title"]}
                    for product_id in video.product_ids
                    if (row := products.product(state, product_id)) is not None
                ],
                "video_post_time": datetime.fromtimestamp(video.time, zone).isoformat(timespec="seconds"),
            }
        )
    return page(state, call, "videos", every, call.query.sort_field)


def _video_overview(state: ShopState, call: Call) -> dict[str, Any]:
    found = figures.videos(state, call.shop, call.query.account_type)

    def of(part: list[date]) -> Sales:
        return sum((figures.of_video(state, call.shop, video, part) for video in found), Sales())

    def show(sales: Sales, length: int) -> dict[str, Any]:
        return {
            "gmv": figures.money(call.shop, sales.gmv, call.query.currency),
            "sku_orders": sales.orders,
            "units_sold": sales.units,
            "click_through_rate": figures.rate(sales.clicks, sales.impressions),
        }

    return intervals(state, call, of, show)


def _one_video(state: ShopState, call: Call) -> Video:
    wanted = call.path["video_id"]
    video = next((one for one in figures.videos(state, call.shop) if one.id == wanted), None)
    if video is None:
        raise Refusal(NO_PERMISSION, "The shop has no permission for the data of this video.")
    return video


def _video(state: ShopState, call: Call) -> dict[str, Any]:
    video = _one_video(state, call)

    def show(sales: Sales, length: int) -> dict[str, Any]:
        return {
            "gmv": figures.money(call.shop, sales.gmv, call.query.currency),
            "daily_avg_buyers": f"{sales.orders / length:.2f}",
            "views": sales.impressions,
            "click_through_rate": figures.rate(sales.clicks, sales.impressions),
        }

    found = intervals(state, call, lambda part: figures.of_video(state, call.shop, video, part), show)
    posted = datetime.fromtimestamp(video.time, ZoneInfo(call.shop.timezone)).isoformat(timespec="seconds")
    found["performance"]["video_post_time"] = posted
    return {**found, "engagement_data": figures.counts(state, call.shop, video)}


def _video_products(state: ShopState, call: Call) -> dict[str, Any]:
    video = _one_video(state, call)
    start, end = dates(state, call)
    known = known_days(state, call, start, end)
    sales = figures.of_video(state, call.shop, video, known)
    # All sales of a video are those of its first product.
    every = []
    for number, product_id in enumerate(video.product_ids):
        row = products.product(state, product_id)
        own = sales if number == 0 else Sales()
        every.append(
            {
                "id": product_id,
                "name": row["title"] if row is not None else "",
                "gmv": figures.money(call.shop, own.gmv, call.query.currency),
                "units_sold": own.units,
                "daily_avg_buyers": f"{own.orders / max(len(known), 1):.2f}",
            }
        )
    return page(state, call, "products", every, call.query.sort_field)


def _products(state: ShopState, call: Call) -> dict[str, Any]:
    start, end = dates(state, call)
    known = known_days(state, call, start, end)
    every = []
    for row in state.store.all("SELECT id FROM shop_product WHERE shop_id = ? AND status != 'DRAFT'", call.shop.id):
        sales = figures.of_product(state, row["id"], known)
        every.append(
            {
                "id": row["id"],
                "gmv": figures.money(call.shop, sales.gmv, call.query.currency),
                "orders": sales.orders,
                "units_sold": sales.units,
                "click_through_rate": figures.rate(sales.clicks, sales.impressions),
            }
        )
    field = {"order_count": "orders", "unit_sold_count": "units_sold"}.get(call.query.sort_field, call.query.sort_field)
    return page(state, call, "products", every, field)


def _product(state: ShopState, call: Call) -> dict[str, Any]:
    product_id = call.path["product_id"]
    row = products.product(state, product_id)
    if row is None or row["shop_id"] != call.shop.id:
        raise Refusal(NO_PERMISSION, "The shop has no permission for the data of this product.")

    def show(sales: Sales, length: int) -> dict[str, Any]:
        return {
            "gmv": figures.money(call.shop, sales.gmv, call.query.currency),
            "gmv_breakdowns": _by_kind(call, sales),
            "orders": sales.orders,
            "units_sold": sales.units,
            "impressions": sales.impressions,
            "page_views": sales.clicks,
            "avg_page_visitors": sales.clicks // length,
            "click_through_rate": figures.rate(sales.clicks, sales.impressions),
        }

    return intervals(state, call, lambda part: figures.of_product(state, product_id, part), show)


def _skus(state: ShopState, call: Call) -> dict[str, Any]:
    start, end = dates(state, call)
    known = known_days(state, call, start, end)
    rows = state.store.all(
        "SELECT * FROM shop_sku WHERE shop_id = ? AND ? IN ('', product_id)", call.shop.id, call.query.product_id
    )
    every = []
    for row in rows:
        sales = figures.of_sku(state, row["id"], row["price"], known)
        every.append(
            {
                "id": row["id"],
                "product_id": row["product_id"],
                "gmv": figures.money(call.shop, sales.gmv, call.query.currency),
                "sku_orders": sales.orders,
                "units_sold": sales.units,
            }
        )
    return page(state, call, "skus", every, call.query.sort_field)


def _sku(state: ShopState, call: Call) -> dict[str, Any]:
    row = state.store.one("SELECT * FROM shop_sku WHERE id = ? AND shop_id = ?", call.path["sku_id"], call.shop.id)
    if row is None:
        raise Refusal(NO_PERMISSION, "The shop has no permission for the data of this SKU.")

    def show(sales: Sales, length: int) -> dict[str, Any]:
        return {
            "gmv": figures.money(call.shop, sales.gmv, call.query.currency),
            "gmv_breakdown": _by_kind(call, sales),
            "sku_orders": sales.orders,
            "units_sold": sales.units,
        }

    found = intervals(state, call, lambda part: figures.of_sku(state, row["id"], row["price"], part), show)
    found["performance"]["product_id"] = row["product_id"]
    return found


def _lives(state: ShopState, call: Call) -> dict[str, Any]:
    start, end = dates(state, call)
    zone = ZoneInfo(call.shop.timezone)
    every = []
    for live_id, day, sales in figures.lives(state, call.shop, known_days(state, call, start, end)):
        begins = int(datetime(day.year, day.month, day.day, 18, tzinfo=zone).timestamp())
        gmv = figures.money(call.shop, sales.gmv, call.query.currency)
        average = sales.gmv / sales.units if sales.units else sales.gmv
        sold = {
            "gmv": gmv,
            "24h_live_gmv": gmv,
            "avg_price": figures.money(call.shop, average, call.query.currency),
            "products_added": 12,
            "different_products_sold": min(sales.units, 8),
            "created_sku_orders": sales.units + 1,
            "sku_orders": sales.units,
            "unit_sold": sales.units,
            "customers": sales.units,
            "click_to_order_rate": f"{sales.units / max(sales.clicks, 1) * 100:.2f}%",
        }
        every.append(
            {
                "id": live_id,
                "title": f"Game night {day.isoformat()}",
                "username": "emberfold.air",
                "start_time": begins,
                "end_time": begins + 7200,
                "sales_performance": sold,
                "interaction_performance": {
                    "views": sales.impressions, "viewers": sales.impressions * 3 // 4, "acu": sales.impressions // 40,
                    "pcu": sales.impressions // 20, "likes": sales.impressions // 3,
                    "comments": sales.impressions // 25, "shares": sales.impressions // 200,
                    "new_followers": sales.impressions // 150, "product_impressions": sales.impressions,
                    "product_clicks": sales.clicks, "avg_viewing_duration": "74",
                    "click_through_rate": f"{sales.clicks / max(sales.impressions, 1) * 100:.2f}%",
                },
                call.query.sort_field: sold[call.query.sort_field],
            }
        )  # fmt: skip
    found = page(state, call, "live_stream_sessions", every, call.query.sort_field)
    # The figure was beside the others only to sort by.
    for live in found["live_stream_sessions"]:
        live.pop(call.query.sort_field)
    return found


def _live_overview(state: ShopState, call: Call) -> dict[str, Any]:
    def of(part: list[date]) -> Sales:
        return sum((sales for _, _, sales in figures.lives(state, call.shop, part)), Sales())

    def show(sales: Sales, length: int) -> dict[str, Any]:
        return {
            "gmv": figures.money(call.shop, sales.gmv, call.query.currency),
            "sku_orders": sales.units,
            "units_sold": sales.units,
            "customers": sales.units,
            "click_through_rate": f"{sales.clicks / max(sales.impressions, 1) * 100:.2f}%",
            "click_to_order_rate": f"{sales.units / max(sales.clicks, 1) * 100:.2f}%",
        }

    return intervals(state, call, of, show)


_PATH = "/analytics/{version}"


def _operation(
    name: str, path: str, version: str, handler: Callable[[ShopState, Call], dict[str, Any]], query: type[Query]
) -> Operation:
    return Operation(f"analytics_{name}", "GET", f"{_PATH}/{path}", (version,), _SCOPE, handler, query)


OPERATIONS = [
    _operation("shop", "shop/performance", "202405", _shop, Intervals),
    _operation("videos", "shop_videos/performance", "202409", _videos, _Videos),
    _operation("video_overview", "shop_videos/overview_performance", "202409", _video_overview, _VideoIntervals),
    _operation("video", "shop_videos/{video_id}/performance", "202409", _video, Intervals),
    _operation(
        "video_products", "shop_videos/{video_id}/products/performance", "202409", _video_products, _VideoProducts
    ),
    _operation("products", "shop_products/performance", "202405", _products, _Products),
    _operation("product", "shop_products/{product_id}/performance", "202405", _product, Intervals),
    _operation("skus", "shop_skus/performance", "202406", _skus, _Skus),
    _operation("sku", "shop_skus/{sku_id}/performance", "202406", _sku, Intervals),
    _operation("lives", "shop_lives/performance", "202508", _lives, _Lives),
    _operation("live_overview", "shop_lives/overview_performance", "202508", _live_overview, _LiveIntervals),
]
