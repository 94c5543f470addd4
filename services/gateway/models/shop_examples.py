"""Examples of shops for the reference, of the same brand."""

from __future__ import annotations

from typing import Any

from services.gateway.models.examples import CREATED

_SHOP_ID = "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b10"
_PRODUCT_ID = "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b11"
_SKU: dict[str, Any] = {
    "platform_sku_id": "1729382476852921561",
    "seller_sku": "MAT-WATER-24",
    "price": {"currency": "USD", "amount": "34.90"},
    "available_quantity": 212,
    "attributes": ["Colour: river blue", "Size: 24 by 14 inches"],
    "barcode": "0850012345672",
}
_TOTALS: dict[str, Any] = {"sales": {"currency": "USD", "amount": "1256.40"}, "orders": 36, "units_sold": 41}

SHOP_CONNECTION_START: dict[str, Any] = {"seller_region": "US"}
SHOP: dict[str, Any] = {
    "shop_id": _SHOP_ID,
    "platform_shop_id": "7495540735365777507",
    "name": "Emberfold",
    "code": "USLCEMBER1",
    "region": "US",
    "seller_type": "LOCAL",
    "seller_name": "Emberfold Inc.",
    "state": "CONNECTED",
    "problem": "",
    "scopes": ["seller.authorization.info", "seller.product.basic", "seller.order.info"],
    "authorization_expire_time": "2027-12-01T12:00:00Z",
    "catalogue_time": "2026-12-01T12:02:10Z",
    "create_time": CREATED,
    "update_time": CREATED,
}
SELLER_SHOPS: dict[str, Any] = {"shops": [SHOP]}
CATALOGUE_SYNC: dict[str, Any] = {"everything": True}
CATALOGUE_SYNCED: dict[str, Any] = {"products": 14, "shop": SHOP}
PRODUCT: dict[str, Any] = {
    "product_id": _PRODUCT_ID,
    "shop_id": _SHOP_ID,
    "platform_product_id": "1729382476852921560",
    "title": "Water playmat",
    "status": "ACTIVATE",
    "description": "A river you can play on.",
    "image_urls": ["https://images.example.com/water.jpg"],
    "skus": [_SKU],
    "create_time": CREATED,
    "read_time": "2026-12-01T12:02:10Z",
}
SHOP_ORDER: dict[str, Any] = {
    "platform_order_id": "576461413038785752",
    "status": "AWAITING_SHIPMENT",
    "create_time": "2027-01-04T17:20:00Z",
    "update_time": "2027-01-04T18:21:00Z",
    "lines": [
        {
            "platform_product_id": PRODUCT["platform_product_id"],
            "product_title": PRODUCT["title"],
            "platform_sku_id": _SKU["platform_sku_id"],
            "seller_sku": _SKU["seller_sku"],
            "quantity": 2,
            "price": _SKU["price"],
        }
    ],
    "total": {"currency": "USD", "amount": "75.60"},
    "shipping_type": "SELLER",
    "ship_until_time": "2027-01-06T23:59:59Z",
    "is_on_hold": False,
    "is_cancel_requested": False,
}
SHOP_NUMBERS: dict[str, Any] = {
    "numbers": [
        {
            "start_date": "2027-01-04",
            "end_date": "2027-01-05",
            **_TOTALS,
            "refunds": {"currency": "USD", "amount": "34.90"},
            "buyers": 35,
            "product_impressions": 18_220,
            "product_page_views": 962,
        }
    ],
    "latest_available_date": "2027-01-04",
}
VIDEO_NUMBERS: dict[str, Any] = {
    "videos": [
        {
            "platform_post_id": "7400000000000000002",
            "title": "A river you can play on.",
            "handle": "emberfold.water",
            "publish_time": "2027-01-04T17:00:41Z",
            **_TOTALS,
            "views": 41_300,
            "click_through_percent": "5.28",
            "platform_product_ids": [PRODUCT["platform_product_id"]],
        }
    ],
    "next_page_token": "",
    "latest_available_date": "2027-01-04",
}
PRODUCT_NUMBERS: dict[str, Any] = {
    "products": [{"platform_product_id": PRODUCT["platform_product_id"], **_TOTALS}],
    "next_page_token": "",
    "latest_available_date": "2027-01-04",
}
