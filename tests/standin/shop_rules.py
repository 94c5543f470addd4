"""TikTok Shop's documented requests, as its reference has them: path, whether a cipher goes with it, query and body."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from tests.standin.shapes import Shape, ids, number_word, several, text, whole

PLAIN_HEADERS = {"host", "accept", "accept-encoding", "user-agent", "connection", "content-length"}
DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = whole(1, 2**31)
_ID = text(64, 1)
_IDS = several(_ID, 1, 600)
_STATUSES = {
    "UNPAID", "ON_HOLD", "AWAITING_SHIPMENT", "PARTIALLY_SHIPPING", "AWAITING_COLLECTION", "IN_TRANSIT", "DELIVERED",
    "COMPLETED", "CANCELLED",
}  # fmt: skip
_PRODUCT_STATUSES = {
    "ALL", "DRAFT", "PENDING", "FAILED", "ACTIVATE", "SELLER_DEACTIVATED", "PLATFORM_DEACTIVATED", "FREEZE", "DELETED",
}  # fmt: skip


def _date(value: object) -> str:
    return "" if isinstance(value, str) and DATE.fullmatch(value) else f"is {value!r}, no date"


def _plain_title(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) < 30:
        return f"is {value!r}, not 1 to 29 characters"
    odd = [each for each in value if not (each.isalnum() or each == " ")]
    return f"has punctuation {odd}" if odd else ""


def _page(least: int, most: int) -> dict[str, Shape]:
    return {"page_size?": number_word(least, most), "page_token?": text(2000, 1)}


_ORDER = {"sort_order?": {"ASC", "DESC"}}
_BY_TIME = {"sort_field?": {"create_time", "update_time"}, **_ORDER}
_SPAN = {"create_time_ge?": _TIME, "create_time_lt?": _TIME, "update_time_ge?": _TIME, "update_time_lt?": _TIME}
_DAYS = {"start_date_ge": _date, "end_date_lt": _date, "currency?": {"LOCAL", "USD"}}
_INTERVALS = {**_DAYS, "granularity?": {"ALL", "1D"}, "with_comparison?": {"true", "false"}}
_REPORT_PAGE = {
    **_DAYS, **_page(1, 100), "sort_field?": {"gmv", "sku_orders", "units_sold", "views", "click_through_rate"},
    **_ORDER, "account_type?": {"ALL", "LINKED_ACCOUNTS", "AFFILIATES"},
}  # fmt: skip
_TRACKING = {"tracking_number": text(100, 1), "shipping_provider_id": _ID}


@dataclass(frozen=True)
class Endpoint:
    """One call. `body` None: there is none. `kind`: what its token must be of. `writes`: twice is not as once."""

    name: str
    method: str
    path: str
    query: Mapping[str, Shape] = field(default_factory=dict)
    body: Shape | None = None
    cipher: bool = True
    kind: str = "seller"
    scope: str = ""
    writes: bool = False
    multipart: bool = False


_AUTH, _ORDERS, _PRODUCTS = "seller.authorization.info", "seller.order.info", "seller.product.basic"
_SHIP, _LOGISTICS, _RETURNS = "seller.fulfillment.basic", "seller.logistics", "seller.return_refund.basic"
_NUMBERS, _POST = "data.shop_analytics.public.read", "creator.video.write"
SELLER_SCOPES = (_AUTH, _ORDERS, _PRODUCTS, "seller.product.write", _SHIP, _LOGISTICS, _RETURNS, _NUMBERS)
CREATOR_SCOPES = (_POST,)


def _creator(name: str, method: str, path: str, **more: object) -> Endpoint:
    return Endpoint(name, method, f"/affiliate_creator/{path}", cipher=False, kind="creator", scope=_POST, **more)  # type: ignore[arg-type]


def _report(name: str, versions: str, path: str, query: Mapping[str, Shape]) -> Endpoint:
    return Endpoint(name, "GET", f"/analytics/({versions})/{path}", query, scope=_NUMBERS)


ENDPOINTS = (
    Endpoint("shops", "GET", "/authorization/202309/shops", cipher=False, scope=_AUTH),
    Endpoint("webhooks", "GET", "/event/202309/webhooks", scope=_AUTH),
    Endpoint(
        "webhook_put", "PUT", "/event/202309/webhooks", body={"event_type": str, "address": text(255, 9)}, scope=_AUTH
    ),
    Endpoint("webhook_delete", "DELETE", "/event/202309/webhooks", body={"event_type": str}, scope=_AUTH),
    Endpoint(
        "orders_search", "POST", "/order/202309/orders/search", {**_page(1, 100), **_BY_TIME},
        {
            "order_status?": _STATUSES, **_SPAN, "shipping_type?": {"TIKTOK", "SELLER"}, "buyer_user_id?": _ID,
            "is_buyer_request_cancel?": bool, "warehouse_ids?": several(_ID, 1, 100),
        }, scope=_ORDERS,
    ),
    Endpoint("orders", "GET", "/order/(202507|202309)/orders", {"ids": ids(50)}, scope=_ORDERS),
    Endpoint("price_detail", "GET", r"/order/202407/orders/\d+/price_detail", scope=_ORDERS),
    Endpoint(
        "products_search", "POST", "/product/202502/products/search",
        {"page_size": number_word(1, 100), "page_token?": text(2000, 1)},
        {
            "status?": _PRODUCT_STATUSES, "seller_skus?": several(str, 1, 10), "sku_ids?": several(_ID, 1, 10),
            "create_time_ge?": _TIME, "create_time_le?": _TIME, "update_time_ge?": _TIME, "update_time_le?": _TIME,
            "audit_status?": [str], "category_version?": str, "return_draft_version?": bool,
        }, scope=_PRODUCTS,
    ),
    Endpoint(
        "product", "GET", r"/product/202309/products/\d+",
        {"return_under_review_version?": str, "return_draft_version?": str, "locale?": str}, scope=_PRODUCTS,
    ),
    Endpoint(
        "inventory_search", "POST", "/product/202309/inventory/search",
        body={"product_ids?": several(_ID, 1, 100), "sku_ids?": _IDS}, scope=_PRODUCTS,
    ),
    Endpoint(
        "inventory_update", "POST", r"/product/202309/products/\d+/inventory/update",
        body={
            "skus": [
                {
                    "id": _ID,
                    "inventory": [
                        {"warehouse_id?": _ID, "quantity": whole(0, 99_999), "backorder_quantity?": whole(0, 99_999),
                         "handling_time?": whole(0, 100)}
                    ],
                }
            ]
        }, scope="seller.product.write", writes=True,
    ),
    Endpoint(
        "mark_shipped", "POST", r"/fulfillment/202309/orders/\d+/packages",
        body={**_TRACKING, "order_line_item_ids?": _IDS}, scope=_SHIP, writes=True,
    ),
    Endpoint(
        "ship", "POST", r"/fulfillment/202309/packages/\d+/ship",
        body={
            "self_shipment?": _TRACKING, "handover_method?": {"PICKUP", "DROP_OFF"},
            "pickup_slot?": {"start_time": _TIME, "end_time": _TIME},
        }, scope=_SHIP, writes=True,
    ),
    Endpoint(
        "create_package", "POST", "/fulfillment/202309/packages",
        body={
            "order_id": _ID, "order_line_item_ids?": _IDS, "shipping_service_id?": _ID,
            "dimension?": {"length": str, "width": str, "height": str, "unit": {"CM", "INCH"}},
            "weight?": {"value": str, "unit": {"GRAM", "POUND"}},
        }, scope=_SHIP, writes=True,
    ),
    Endpoint(
        "shipping_services", "POST", r"/fulfillment/202309/orders/\d+/shipping_services/query", body={}, scope=_SHIP
    ),
    Endpoint("package", "GET", r"/fulfillment/202309/packages/\d+", scope=_SHIP),
    Endpoint(
        "packages_search", "POST", "/fulfillment/202309/packages/search",
        {"page_size": number_word(1, 50), "page_token?": text(2000, 1), **_BY_TIME},
        {**_SPAN, "package_status?": {"PROCESSING", "FULFILLING", "COMPLETED", "CANCELLED"}}, scope=_SHIP,
    ),
    Endpoint(
        "documents", "GET", r"/fulfillment/202309/packages/\d+/shipping_documents",
        {"document_type": str, "document_size?": str, "document_format?": {"PDF", "ZPL"}}, scope=_SHIP,
    ),
    Endpoint("tracking", "GET", r"/fulfillment/202309/orders/\d+/tracking", scope=_LOGISTICS),
    Endpoint(
        "order_tracking_update", "POST", r"/fulfillment/202309/orders/\d+/shipping_info/update", body=_TRACKING,
        scope=_LOGISTICS, writes=True,
    ),
    Endpoint(
        "package_tracking_update", "POST", r"/fulfillment/202309/packages/\d+/shipping_info/update", body=_TRACKING,
        scope=_SHIP, writes=True,
    ),
    Endpoint("warehouses", "GET", "/logistics/202309/warehouses", scope=_LOGISTICS),
    Endpoint("delivery_options", "GET", r"/logistics/202309/warehouses/\d+/delivery_options", scope=_LOGISTICS),
    Endpoint(
        "providers", "GET", r"/logistics/202309/delivery_options/\d+/shipping_providers",
        {"warehouse_region?": str, "buyer_region?": str}, scope=_LOGISTICS,
    ),
    Endpoint(
        "cancel", "POST", "/return_refund/202309/cancellations",
        body={
            "order_id": _ID, "cancel_reason": str, "skus?": [{"sku_id": _ID, "quantity": whole(1, 10**6)}],
            "order_line_item_ids?": _IDS,
        }, scope=_RETURNS, writes=True,
    ),
    Endpoint(
        "cancellations_search", "POST", "/return_refund/202309/cancellations/search", {**_page(1, 50), **_BY_TIME},
        {
            "cancel_ids?": _IDS, "order_ids?": _IDS, "buyer_user_ids?": _IDS,
            "cancel_types?": [{"CANCEL", "BUYER_CANCEL"}], "cancel_status?": [str], **_SPAN, "locale?": str,
        }, scope=_RETURNS,
    ),
    Endpoint(
        "returns_search", "POST", "/return_refund/202309/returns/search", {**_page(10, 50), **_BY_TIME},
        {
            "return_ids?": _IDS, "order_ids?": _IDS, "return_types?": [str], "return_status?": [str],
            "arbitration_status?": [str], **_SPAN,
        }, scope=_RETURNS,
    ),
    Endpoint(
        "cancellation_approve", "POST", r"/return_refund/202309/cancellations/\d+/approve",
        {"idempotency_key": text(200, 1)}, scope=_RETURNS,
    ),
    Endpoint(
        "cancellation_reject", "POST", r"/return_refund/202309/cancellations/\d+/reject",
        {"idempotency_key": text(200, 1)}, {"reject_reason": str}, scope=_RETURNS,
    ),
    _report("shop_numbers", "202405|202509", "shop/performance", _INTERVALS),
    _report("video_numbers", "202409|202509", "shop_videos/performance", _REPORT_PAGE),
    _report("video_totals", "202409|202509", "shop_videos/overview_performance", _INTERVALS),
    _report("one_video_numbers", "202409|202509", r"shop_videos/\d+/performance", _INTERVALS),
    _report("video_product_numbers", "202409|202509", r"shop_videos/\d+/products/performance", _REPORT_PAGE),
    _report("product_numbers", "202405|202509", "shop_products/performance", _REPORT_PAGE),
    _report("one_product_numbers", "202405|202509", r"shop_products/\d+/performance", _INTERVALS),
    _report("sku_numbers", "202406|202509", "shop_skus/performance", _REPORT_PAGE),
    _report("one_sku_numbers", "202406|202509", r"shop_skus/\d+/performance", _INTERVALS),
    _report("live_numbers", "202508|202509", "shop_lives/performance", _REPORT_PAGE),
    _report("live_totals", "202508|202509", "shop_lives/overview_performance", _INTERVALS),
    _creator("video_upload", "POST", "202505/videos/video_files", multipart=True),
    _creator("photo_upload", "POST", "202511/photos/photo_files", multipart=True),
    _creator(
        "showcase", "GET", "202405/showcases/products",
        query={"origin": {"SHOWCASE", "LIVE"}, "page_size": number_word(1, 20), "page_token?": text(2000, 1)},
    ),
    _creator(
        "video_post", "POST", "202607/videos",
        body={
            "video_info": {
                "file_id": _ID, "title": text(4000), "cover_uri?": str, "cover_timestamp_ms?": whole(0, 2**31),
                "music_id?": _ID, "is_ai_generated?": bool,
            },
            "product_link_info": {"product_id": _ID, "title": _plain_title},
        }, writes=True,
    ),
    _creator(
        "photo_post", "POST", "202607/photos",
        body={
            "photos_info": several({"photo_file_uris": str}, 1, 35), "music_id?": _ID, "title": text(5000),
            "link_info": {
                "post_type": {"1", "2", "3"}, "shop_info?": dict,
                "links": several({"product_id": _ID, "link_title": _plain_title}, 1, 35),
            },
        }, writes=True,
    ),
    _creator("video_status", "GET", r"202509/videos/\d+/status"),
)  # fmt: skip
TOKEN_QUERIES: Mapping[str, Shape] = {
    "/api/v2/token/get": {"app_key": str, "app_secret": str, "auth_code": str, "grant_type": {"authorized_code"}},
    "/api/v2/token/refresh": {"app_key": str, "app_secret": str, "refresh_token": str, "grant_type": {"refresh_token"}},
}
# In any second: 50 of a call by one shop; heavy reports at most one.
LIMITS = {each.name: 1 if each.path.startswith("/analytics/") else 50 for each in ENDPOINTS}
# Class P: the same again is refused again. HTTP statuses are no help, as documented.
PERMANENT = {
    101000, 105005, 106001, 106013, 28001022, 66009315, 36009009, 36009010, 36009022, 36009043, 36009044, 12052048,
    12052032, 16011007, 170001030, 170001024, 170001040, 10002014,
}  # fmt: skip


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """What is called; None: nothing documented."""
    return next((each for each in ENDPOINTS if each.method == method and re.fullmatch(each.path, path)), None)


def sign(secret: str, target: str, body: bytes) -> str:
    """The signature of a request as it came."""
    address = urlsplit(target)
    query = sorted(parse_qsl(address.query, keep_blank_values=True))
    told = address.path + "".join(name + value for name, value in query if name not in ("sign", "access_token"))
    wrapped = secret.encode() + told.encode() + body + secret.encode()
    return hmac.new(secret.encode(), wrapped, hashlib.sha256).hexdigest()
