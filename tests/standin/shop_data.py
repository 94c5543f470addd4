"""What a stand-in of TikTok Shop has to tell: shops with products, orders and numbers."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import Any

from tests.standin.journal import Call

_PRODUCT, _SKU, _ORDER = 1_729_500_000_000_000_000, 1_729_600_000_000_000_000, 576_400_000_000_000_000


@dataclass
class Shop:
    """`products`, `orders`: how many. `titles`: of products that were changed, by their number."""

    id: str
    name: str = "Ember Shop"
    products: int = 3
    orders: int = 3
    seller_type: str = "LOCAL"
    titles: dict[int, str] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    @property
    def cipher(self) -> str:
        """With characters that must be escaped in a query."""
        return f"ROW_{self.id}+/=={self.id[::-1]}"

    def as_json(self) -> dict[str, Any]:
        return {
            "id": int(self.id), "name": self.name, "region": "US", "seller_type": self.seller_type,
            "cipher": self.cipher, "code": "USLCABC",
        }  # fmt: skip

    def product(self, number: int, *, whole: bool = False) -> dict[str, Any]:
        now = int(time.time())
        changed = now if number in self.titles else now - 86_400
        sku = {
            "id": str(_SKU + number), "seller_sku": f"SKU {number}",
            "price": {"currency": "USD", "tax_exclusive_price": "12.90", "sale_price": "13.90"},
            "inventory": [{"warehouse_id": "71", "quantity": 5}, {"warehouse_id": "72", "quantity": 2}],
            "status_info": {"status": "A_STATUS_OF_TOMORROW"},
        }  # fmt: skip
        found = {
            "id": str(_PRODUCT + number), "title": self.titles.get(number, f"Fries {number}"), "skus": [sku],
            "status": "ACTIVATE" if number else "A_STATUS_OF_TOMORROW", "create_time": now - 10**6,
            "update_time": changed,
        }  # fmt: skip
        if whole:
            found |= {"description": "<p>Crisp &amp; hot</p>", "main_images": [{"urls": ["https://cdn.example/1.jpg"]}]}
        return found

    def order(self, number: int) -> dict[str, Any]:
        now = int(time.time())
        line = {
            "id": str(_ORDER * 2 + number), "product_id": str(_PRODUCT), "sku_id": str(_SKU), "seller_sku": "SKU 0",
            "product_name": "Fries", "sale_price": "12.90", "currency": "USD",
        }  # fmt: skip
        return {
            "id": str(_ORDER + number), "status": "AWAITING_SHIPMENT" if number else "A_STATUS_OF_TOMORROW",
            "create_time": now - 500, "update_time": now - 400 + number, "line_items": [line, dict(line)],
            "payment": {"currency": "USD", "total_amount": "25.80"}, "is_on_hold_order": False,
            "recipient_address": {"name": "B*** Buyer", "phone_number": "(+1)***", "full_address": "1 Secret Street"},
            "buyer_email": "buyer-secret@scs.tiktok.example", "shipping_type": "SELLER",
        }  # fmt: skip


def answer(name: str, call: Call, shop: Shop) -> dict[str, Any]:
    """`data` of an answer about a shop."""
    match name:
        case "products_search":
            since, until = call.body.get("update_time_ge", 0), call.body.get("create_time_le", 2**40)
            found = [shop.product(number) for number in range(shop.products) if number not in shop.gone]
            found = [each for each in found if each["update_time"] >= since and each["create_time"] <= until]
            return _page(call, "products", found, int(call.query["page_size"]), 20)
        case "product":
            number = int(call.path.rpartition("/")[2]) - _PRODUCT
            return shop.product(number, whole=True)
        case "orders_search":
            found = [shop.order(number) for number in range(shop.orders)]
            return _page(call, "orders", found, int(call.query.get("page_size", "20")), 20)
        case "shop_numbers":
            return {"performance": {"intervals": [_interval(call)]}, "latest_available_date": "2026-11-20"}
        case "video_numbers":
            row = _row() | {
                "id": 7_400_000_000_000_000_001, "title": "Fries", "username": "someone", "views": 12,
                "click_through_rate": "12.5%", "products": [{"id": _PRODUCT, "name": "Fries"}],
                "video_post_time": "2026-11-02 03:04:05",
            }  # fmt: skip
            return {"videos": [row], "next_page_token": "", "total_count": 1, "latest_available_date": "2026-11-20"}
        case "product_numbers":
            row = _row() | {"id": str(_PRODUCT), "click_through_rate": "0.0528"}
            return {"products": [row], "next_page_token": "", "total_count": 1, "latest_available_date": "2026-11-20"}
    return {}


def _page(call: Call, name: str, found: list[dict[str, Any]], size: int, most: int) -> dict[str, Any]:
    """A page; it may be shorter than was asked for. Its token has every character that needs care."""
    token = call.query.get("page_token", "")
    start = int(base64.b64decode(token.partition("|")[0])) if token else 0
    end = start + min(size, most)
    following = f"{base64.b64encode(str(end).encode()).decode()}|/+ =&é" if end < len(found) else ""
    return {name: found[start:end], "next_page_token": following, "total_count": len(found)}


def _row() -> dict[str, Any]:
    return {"gmv": {"amount": "120.50", "currency": "USD"}, "orders": 4, "sku_orders": 5, "units_sold": 6}


def _interval(call: Call) -> dict[str, Any]:
    days = {"start_date": call.query["start_date_ge"], "end_date": call.query["end_date_lt"]}
    breakdown = [{"type": "VIDEO", "amount": "1.00", "currency": "USD"}, {"type": "A_TYPE_OF_TOMORROW"}]
    more = {"gmv_breakdowns": breakdown, "buyers": 3, "product_impressions": 900, "product_page_views": 80,
            "refunds": {"amount": "0.00", "currency": "USD"}}  # fmt: skip
    return days | _row() | more
