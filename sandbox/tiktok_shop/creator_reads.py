"""What creators read: products to link, music, and the figures of their posts (a creator's token)."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.tiktok_shop import creators, figures, paging, people, product_api, products
from sandbox.tiktok_shop.answers import BAD_REQUEST, Refusal
from sandbox.tiktok_shop.creator_api import PATH, creator_operation
from sandbox.tiktok_shop.figures import Video
from sandbox.tiktok_shop.gate import Call, Query
from sandbox.tiktok_shop.state import ShopState

_SHOW = ("creator.showcase.read", "creator.video.write")
NO_PERMISSION = 66009315


class _Showcase(Query):
    origin: Literal["SHOWCASE", "LIVE"]
    page_size: Annotated[int, Field(ge=1, le=20)]
    page_token: str = ""


class _Products(Query):
    page_size: Annotated[int, Field(ge=1, le=100)]
    page_token: str = ""
    title_keyword: str = ""
    sort_field: Literal["PRODUCT_ID", "PRICE", "SALE"] = "PRODUCT_ID"
    sort_order: Literal["ASC", "DESC"] = "DESC"


class _Music(Query):
    keyword: Annotated[str, Field(min_length=1)]
    search_id: str = ""
    page_token: str = ""
    page_size: Annotated[int, Field(ge=1, le=50)] = 10
    region: str = ""
    language: str = ""


class _Performances(Query):
    video_ids: str
    start_time_ge: Annotated[int, Field(ge=0, le=10**11)]
    end_time_le: Annotated[int, Field(ge=0, le=10**11)]


def _showcase(state: ShopState, call: Call) -> dict[str, Any]:
    query: _Showcase = call.query
    # Nobody is live here, so the bag of a LIVE is empty.
    rows = creators.showcase(state, call.caller.subject) if query.origin == "SHOWCASE" else []
    kind = ["showcase", call.caller.subject, query.origin]
    page, following = paging.items(rows, kind, query.page_size, query.page_token, BAD_REQUEST)
    found = []
    for row in page:
        shop = people.shop(state, row["shop_id"])
        prices = sorted((sku["price"] for sku in products.skus(state, row["id"])), key=float)
        original = {"currency": shop.currency, "minimum_amount": prices[0], "maximum_amount": prices[-1]}
        stocked = any(products.sellable(state, sku) for sku in products.skus(state, row["id"]))
        found.append(
            {
                "id": row["id"],
                "title": row["title"],
                "detail_link": f"https://shop.tiktok.com/view/product/{row['id']}",
                # Misspelt by the API.
                "main_images": [{"url": product_api.picture(row["id"]), "heigth": 800, "width": 800}],
                "price": {"original_price": original},
                "commission": {"rate": 1200},
                "collaboration": {"type": "1"},
                "sale_regions": [shop.region],
                "shop": {"name": shop.name},
                "status": {
                    "added_status": "ADDED",
                    "inventory_status": "IN_STOCK" if stocked else "OUT_OF_STOCK",
                },
            }
        )
    return {"products": found, "next_page_token": following}


def _shop_products(state: ShopState, call: Call) -> dict[str, Any]:
    query: _Products = call.query
    added = {row["id"] for row in creators.showcase(state, call.caller.subject)}
    rows = state.store.all("SELECT * FROM shop_product WHERE shop_id = ? AND status = 'ACTIVATE'", people.US_SHOP_ID)
    found = []
    for row in rows:
        if query.title_keyword.lower() not in row["title"].lower():
            continue
        shop = people.shop(state, row["shop_id"])
        price = min((sku["price"] for sku in products.skus(state, row["id"])), key=float)
        sold = figures.of_product(state, row["id"], figures.days(date(2026, 1, 1), figures.today(state, shop))).units
        found.append(
            {
                "id": row["id"],
                "title": row["title"],
                "price": {"amount": price, "currency": shop.currency},
                "added_status": "ADDED" if row["id"] in added else "ADDABLE",
                "brand_name": "Emberfold",
                "images": [{"url": product_api.picture(row["id"]), "width": 800, "height": 800}],
                "sales_count": sold,
            }
        )
    keys = {
        "PRODUCT_ID": lambda one: one["id"],
        "PRICE": lambda one: (float(one["price"]["amount"]), one["id"]),
        "SALE": lambda one: (one["sales_count"], one["id"]),
    }
    found.sort(key=keys[query.sort_field], reverse=query.sort_order == "DESC")
    kind = query.model_dump(exclude={"page_token"})
    page, following = paging.items(found, kind, query.page_size, query.page_token, BAD_REQUEST)
    return {"products": page, "next_page_token": following, "total_count": len(found)}


def _music(state: ShopState, call: Call) -> dict[str, Any]:
    query: _Music = call.query
    search_id = f"2026{int.from_bytes(query.keyword.encode()[:12]):028d}"
    if query.page_token and query.search_id != search_id:
        raise Refusal(BAD_REQUEST, "query.search_id must be the one of the first page.")
    kind = ["music", query.keyword, query.page_size]
    page, following = paging.items(
        *(creators.music(query.keyword), kind, query.page_size, query.page_token, BAD_REQUEST)
    )
    found = [
        {
            **one,
            "cover_thumb": {"url_list": [f"https://media.example.com/music/{one['id']}.jpg"]},
            "play_url": {"url_list": [f"https://media.example.com/music/{one['id']}.mp3"]},
        }
        for one in page
    ]
    return {"music": found, "next_page_token": following, "has_more": bool(following), "search_id": search_id}


def _performances(state: ShopState, call: Call) -> dict[str, Any]:
    query: _Performances = call.query
    ids = [one for one in query.video_ids.split(",") if one]
    if not 1 <= len(ids) <= 100:
        raise Refusal(BAD_REQUEST, "query.video_ids must name 1 to 100 videos.")
    creator = people.creator(state, call.caller.subject)
    if creator.region != "US":
        raise Refusal(NO_PERMISSION, "These figures are for creators of the US.")
    shop = people.shop(state, people.US_SHOP_ID)
    first, last = (datetime.fromtimestamp(at, UTC).date() for at in (query.start_time_ge, query.end_time_le))
    newest = figures.latest(state, shop)
    if not newest - timedelta(days=180) <= first <= last:
        raise Refusal(BAD_REQUEST, "query.start_time_ge must be within 180 days and not after end_time_le.")
    known = figures.days(first, min(last, newest) + timedelta(days=1))
    found = []
    for video_id in sorted(dict.fromkeys(ids)):
        sql = "SELECT * FROM shop_post WHERE id = ? AND username = ? AND post_time IS NOT NULL"
        row = state.store.one(sql, video_id, creator.username)
        if row is None:
            raise Refusal(NO_PERMISSION, "A video does not belong to the creator.")
        links = tuple(json.loads(row["products"]))
        video = Video(video_id, row["title"], creator.username, row["post_time"], links, True)
        found.append({"id": video_id, "performances": [_day(state, video, day) for day in known]})
    return {"videos": found}


def _day(state: ShopState, video: Video, day: date) -> dict[str, Any]:
    shop = people.shop(state, people.US_SHOP_ID)
    sales = figures.of_video(state, shop, video, [day])
    at = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return {
        "time_range": {"start_time": at, "end_time": at},
        "metrics": {
            "anchor_display_rate": "0.64",
            "click_through_rate": f"{sales.clicks / sales.impressions:.2f}" if sales.impressions else "0.00",
            "order_count": sales.orders,
            "item_sold_count": sales.units,
            "gmv": figures.money(shop, sales.gmv, "LOCAL"),
        },
    }


OPERATIONS = [
    creator_operation("showcase", "GET", f"{PATH}/showcases/products", "202405", _showcase, _Showcase, scopes=_SHOW),
    creator_operation("shop_products", "GET", f"{PATH}/shop_products", "202509", _shop_products, _Products),
    creator_operation("music", "GET", f"{PATH}/music/search", "202602", _music, _Music),
    creator_operation(
        "performances", "GET", "/analytics/{version}/videos/performances", "202403", _performances, _Performances
    ),
]
