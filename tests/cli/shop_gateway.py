"""The routes of shops, on the memory of the gateway."""

from __future__ import annotations

import uuid

from tests.cli.gateway import Answer, Json, Memory, Request, page, problem

_READ = "2037-01-04T17:00:00Z"


def open_shop(memory: Memory, name: str, seller: str = "Emberfold Inc.") -> str:
    """A connected shop; its id."""
    shop = {
        "shop_id": str(uuid.uuid4()),
        "platform_shop_id": str(7495540735365777507 + len(memory.shops)),
        "name": name,
        "code": f"US{name.upper()}",
        "region": "US",
        "seller_type": "LOCAL",
        "seller_name": seller,
        "state": "CONNECTED",
        "problem": "",
        "scopes": ["seller.order.info", "seller.product.basic"],
        "authorization_expire_time": None,
        "catalogue_time": None,
        "create_time": _READ,
        "update_time": _READ,
    }
    memory.shops.append(shop)
    return str(shop["shop_id"])


def stock(memory: Memory, shop_id: str, title: str) -> str:
    """A product of three SKUs, one without a price; its id."""
    sku = {"attributes": ["Colour: blue"], "barcode": "0850012345672", "available_quantity": 5}
    product = {
        "product_id": str(uuid.uuid4()),
        "shop_id": shop_id,
        "platform_product_id": "1729382476852921560",
        "title": title,
        "status": "ACTIVATE",
        "description": "A river you can play on.",
        "image_urls": ["https://images.example/1.jpg"],
        "skus": [
            {"platform_sku_id": "1", "seller_sku": "MAT-W", "price": {"currency": "USD", "amount": "34.90"}} | sku,
            {"platform_sku_id": "2", "seller_sku": "", "price": None} | sku,
            {"platform_sku_id": "3", "seller_sku": "", "price": {"currency": "USD", "amount": "9.90"}} | sku,
        ],
        "create_time": _READ,
        "read_time": _READ,
    }
    memory.products.append(product)
    return str(product["product_id"])


def answer(memory: Memory, request: Request) -> Answer | None:
    """None for what is no route of shops."""
    query = request.query
    match request.method, request.path.strip("/").split("/"):
        case "POST", ["v1", "shop-connections"]:
            return 201, {"consent_url": "https://shop.example/consent", "state": "s1", "expire_time": None}
        case "POST", ["v1", "shop-connections:finish"]:
            open_shop(memory, "Emberfold")
            return 200, {"shops": memory.shops}
        case "GET", ["v1", "shops"]:
            return page("shops", memory.shops, query)
        case "GET", ["v1", "shops", shop_id]:
            (shop,) = (each for each in memory.shops if each["shop_id"] == shop_id)
            return 200, shop
        case "POST", ["v1", "shops", verb]:
            return _changed(memory, *verb.split(":"))
        case "GET", ["v1", "products"]:
            wanted = [each for each in memory.products if query.get("text", "") in each["title"]]
            return page("products", wanted, query)
        case "GET", ["v1", "products", product_id]:
            found = [each for each in memory.products if each["product_id"] == product_id]
            return (200, found[0]) if found else problem(404, "PRODUCT_NOT_FOUND", "There is no such product.")
        case "GET", ["v1", "shops", _, "orders"]:
            return page("orders", memory.shop_orders, query)
        case "GET", ["v1", "shops", _, "numbers", *what]:
            return _numbers(query, *what)
    return None


def _changed(memory: Memory, shop_id: str, verb: str) -> Answer:
    (shop,) = (each for each in memory.shops if each["shop_id"] == shop_id)
    if verb == "disconnect":
        shops = [each for each in memory.shops if each["seller_name"] == shop["seller_name"]]
        for each in shops:
            each["state"] = "DISCONNECTED"
        return 200, {"shops": shops}
    if shop["state"] != "CONNECTED":
        return problem(409, "SHOP_AUTHORIZATION_LOST", "The owner has taken the authorisation back.")
    shop["catalogue_time"] = _READ
    return 200, {"products": len(memory.products), "shop": shop}


def _numbers(query: dict[str, str], what: str = "") -> Answer:
    sold: Json = {"sales": {"currency": "USD", "amount": "1256.40"}, "orders": 36, "units_sold": 41}
    rest = {"next_page_token": "", "latest_available_date": "2037-01-03"}
    if what == "videos":
        video: Json = {
            "platform_post_id": "7400000000000000002",
            "title": "A river",
            "handle": "emberfold.water",
            "publish_time": None,
            "views": 41_300,
            "click_through_percent": "5.28",
            "platform_product_ids": [],
        }
        return 200, {"videos": [video | sold], **rest}
    if what == "products":
        return 200, {"products": [{"platform_product_id": "1729382476852921560"} | sold], **rest}
    numbers = {
        "start_date": query["start_date"],
        "end_date": query["end_date"],
        "refunds": None,
        "buyers": None,
        "product_impressions": 18_220,
        "product_page_views": 962,
    }
    return 200, {"numbers": [numbers | sold], "latest_available_date": None}
