"""What TikTok Shop documents of each call: its parameters, its fields, and an answer."""

from dataclasses import dataclass
from typing import Any

CIPHER = "TTP_canary-cipher+/=&1"
ORDER, PACKAGE, PRODUCT, SKU = "576461413038785752", "1153132168123456789", "1729382476852921560", "1729382476852920801"
VIDEO = "7493990579714164574"
TIMES = ("create_time_ge", "create_time_lt", "update_time_ge", "update_time_lt")
DAYS = {"start_date_ge", "end_date_lt", "currency"}
PAGE = {"page_size", "page_token"}


@dataclass(frozen=True)
class Endpoint:
    """One call: what it takes, and what it answers as ``data``."""

    method: str
    path: str  # a regular expression
    data: Any
    query: frozenset[str] = frozenset()
    body: frozenset[str] | None = None
    needs_cipher: bool = True
    is_multipart: bool = False


def _call(
    method: str, path: str, data: Any, *, query: set[str] | None = None, body: set[str] | None = None, **more: Any
) -> Endpoint:
    fields = None if body is None else frozenset(body)
    return Endpoint(method, path, data, frozenset(query or ()), fields, **more)


GMV = {"amount": "120.50", "currency": "USD"}
INTERVAL = {"start_date": "2026-11-20", "end_date": "2026-11-21", "gmv": GMV, "orders": 4}
REPORT = {"latest_available_date": "2026-11-20", "performance": {"intervals": [INTERVAL]}}
ROWS = {"next_page_token": "", "total_count": 1, "latest_available_date": "2026-11-20"}
SHIPMENT = {"tracking_number", "shipping_provider_id"}
LINES = {"order_line_item_ids"}
ENDPOINTS = [
    _call(
        "GET",
        "/authorization/202309/shops",
        {
            "shops": [
                {"id": "7495", "name": "Ember", "code": "US1", "region": "US", "seller_type": "LOCAL", "cipher": CIPHER}
            ]
        },
        needs_cipher=False,
    ),
    _call(
        "GET",
        "/event/202309/webhooks",
        {"webhooks": [{"event_type": "ORDER_STATUS_CHANGE", "address": "https://a.example/"}]},
    ),
    _call("PUT", "/event/202309/webhooks", {}, body={"event_type", "address"}),
    _call("DELETE", "/event/202309/webhooks", {}, body={"event_type"}),
    _call(
        "POST",
        "/order/202309/orders/search",
        {"orders": [{"id": ORDER, "status": "AWAITING_SHIPMENT"}], "next_page_token": "p+/=2", "total_count": 2},
        query=PAGE | {"sort_field", "sort_order"},
        body={"order_status", "shipping_type", "is_buyer_request_cancel", "warehouse_ids", *TIMES},
    ),
    _call("GET", "/order/202507/orders", {"orders": [{"id": ORDER, "status": "UNPAID"}]}, query={"ids"}),
    _call("GET", r"/order/202407/orders/\d+/price_detail", {"currency": "USD", "total": "12.00"}),
    _call(
        "POST",
        r"/fulfillment/202309/orders/\d+/packages",
        {"order_id": ORDER, "package_id": PACKAGE, "warning": {"message": "late"}},
        body=SHIPMENT | LINES,
    ),
    _call(
        "POST", r"/fulfillment/202309/packages/\d+/ship", None, body={"self_shipment", "handover_method", "pickup_slot"}
    ),
    _call(
        "POST",
        "/fulfillment/202309/packages",
        {"package_id": PACKAGE},
        body=LINES | {"order_id", "dimension", "weight", "shipping_service_id"},
    ),
    _call(
        "GET",
        r"/fulfillment/202309/packages/\d+",
        {
            "package_id": PACKAGE,
            "package_status": "PROCESSING",
            "orders": [{"id": ORDER}],
            "order_line_item_ids": ["1", 2],
        },
    ),
    _call(
        "POST",
        "/fulfillment/202309/packages/search",
        {"packages": [{"id": PACKAGE, "status": "COMPLETED"}], "next_page_token": ""},
        query=PAGE,
        body={"package_status", *TIMES},
    ),
    _call(
        "GET",
        r"/fulfillment/202309/packages/\d+/shipping_documents",
        {"doc_url": "https://labels.example/canary-label?sig=1", "tracking_number": "1Z999"},
        query={"document_type"},
    ),
    _call(
        "POST",
        r"/fulfillment/202309/orders/\d+/shipping_services/query",
        {"shipping_services": [{"id": "s1", "name": "USPS Ground", "price": "4.10", "currency": "USD"}]},
        body=set(),
    ),
    _call(
        "GET",
        r"/fulfillment/202309/orders/\d+/tracking",
        {"tracking": [{"description": "Picked up", "update_time_millis": 1764000000123}]},
    ),
    _call("POST", r"/fulfillment/202309/(orders|packages)/\d+/shipping_info/update", {}, body=SHIPMENT),
    _call(
        "GET",
        "/logistics/202309/warehouses",
        {
            "warehouses": [
                {
                    "id": "7000",
                    "name": "Main",
                    "effect_status": "ENABLED",
                    "type": "SALES_WAREHOUSE",
                    "is_default": True,
                    "address": {"distict": "x"},
                }
            ]
        },
    ),
    _call(
        "GET",
        r"/logistics/202309/warehouses/\d+/delivery_options",
        {"delivery_options": [{"id": "8000", "name": "Standard", "type": "STANDARD"}]},
    ),
    _call(
        "GET",
        r"/logistics/202309/delivery_options/\d+/shipping_providers",
        {"shipping_providers": [{"id": "9000", "name": "UPS"}]},
        query={"warehouse_region", "buyer_region"},
    ),
    _call(
        "POST",
        "/return_refund/202309/cancellations",
        {"cancel_id": "4035", "cancel_status": "CANCELLATION_REQUEST_SUCCESS"},
        body=LINES | {"order_id", "cancel_reason", "skus"},
    ),
    _call(
        "POST",
        "/return_refund/202309/cancellations/search",
        {
            "cancellations": [
                {
                    "cancel_id": "4035",
                    "order_id": ORDER,
                    "cancel_type": "BUYER_CANCEL",
                    "cancel_status": "CANCELLATION_REQUEST_CANCELLED",
                    "cancel_line_items": [{"order_line_item_id": 57646}],
                    "refund_amount": {"currency": "USD", "refund_total": "9.99"},
                    "seller_next_action_response": [{"action": "SELLER_RESPOND_CANCEL", "deadline": 1764000000}],
                }
            ]
        },
        query=PAGE | {"sort_field", "sort_order"},
        body={"cancel_ids", "order_ids", "buyer_user_ids", "cancel_types", "cancel_status", "locale", *TIMES},
    ),
    _call("POST", r"/return_refund/202309/cancellations/\d+/approve", {}, query={"idempotency_key"}),
    _call(
        "POST", r"/return_refund/202309/cancellations/\d+/reject", {}, query={"idempotency_key"}, body={"reject_reason"}
    ),
    _call(
        "POST",
        "/return_refund/202309/returns/search",
        {"return_orders": [{"return_id": "4036", "order_id": ORDER, "return_status": "AWAITING_BUYER_SHIP"}]},
        query=PAGE,
        body={"return_ids", "order_ids", "return_types", "return_status", "arbitration_status", *TIMES},
    ),
    _call(
        "POST",
        "/product/202502/products/search",
        {
            "products": [{"id": PRODUCT, "title": "Air fryer", "status": "ACTIVATE", "skus": [{"id": SKU}]}],
            "next_page_token": "",
        },
        query=PAGE,
        body={
            "status",
            "seller_skus",
            "sku_ids",
            "create_time_ge",
            "create_time_le",
            "update_time_ge",
            "update_time_le",
        },
    ),
    _call(
        "GET", r"/product/202309/products/\d+", {"id": PRODUCT, "title": "Air fryer", "status": "ACTIVATE", "skus": []}
    ),
    _call(
        "POST",
        "/product/202309/inventory/search",
        {
            "inventory": [
                {
                    "product_id": PRODUCT,
                    "skus": [
                        {
                            "id": SKU,
                            "total_available_quantity": 7,
                            "total_committed_quantity": 2,
                            "warehouse_inventory": [
                                {"warehouse_id": "7000", "available_quantity": 7, "committed_quantity": 2}
                            ],
                        }
                    ],
                }
            ]
        },
        body={"product_ids", "sku_ids"},
    ),
    _call(
        "POST",
        r"/product/202309/products/\d+/inventory/update",
        {
            "errors": [
                {
                    "code": 12019028,
                    "message": "some",
                    "detail": {
                        "sku_id": SKU,
                        "extra_errors": [{"warehouse_id": "7001", "code": 12019024, "message": "out of range"}],
                    },
                }
            ]
        },
        body={"skus"},
    ),
    _call("GET", "/analytics/202405/shop/performance", REPORT, query=DAYS | {"granularity", "with_comparison"}),
    _call(
        "GET",
        "/analytics/202409/shop_videos/performance",
        ROWS
        | {
            "videos": [
                {
                    "id": VIDEO,
                    "title": "Crispy",
                    "username": "ember",
                    "gmv": GMV,
                    "click_through_rate": "12.5%",
                    "products": [{"id": PRODUCT, "name": "Air fryer"}],
                }
            ]
        },
        query=DAYS | PAGE | {"sort_field", "sort_order", "account_type"},
    ),
    _call("GET", "/analytics/202409/shop_videos/overview_performance", REPORT, query=DAYS),
    _call("GET", r"/analytics/202409/shop_videos/\d+/performance", REPORT, query=DAYS),
    _call(
        "GET",
        r"/analytics/202409/shop_videos/\d+/products/performance",
        ROWS | {"products": [{"id": PRODUCT, "name": "Air fryer", "gmv": GMV}]},
        query=DAYS | PAGE,
    ),
    _call(
        "GET",
        "/analytics/202405/shop_products/performance",
        ROWS | {"products": [{"id": PRODUCT, "gmv": GMV}]},
        query=DAYS | PAGE,
    ),
    _call("GET", r"/analytics/202405/shop_products/\d+/performance", REPORT, query=DAYS),
    _call(
        "GET", "/analytics/202406/shop_skus/performance", ROWS | {"skus": [{"id": SKU, "gmv": GMV}]}, query=DAYS | PAGE
    ),
    _call("GET", r"/analytics/202406/shop_skus/\d+/performance", REPORT, query=DAYS),
    _call(
        "GET",
        "/analytics/202508/shop_lives/performance",
        ROWS
        | {
            "live_stream_sessions": [
                {
                    "id": "1",
                    "title": "LIVE",
                    "start_time": "1764000000",
                    "sales_performance": {"gmv": GMV, "items_sold": 3},
                }
            ]
        },
        query=DAYS | PAGE,
    ),
    _call("GET", "/analytics/202508/shop_lives/overview_performance", REPORT, query=DAYS),
    _call(
        "POST",
        "/affiliate_creator/202505/videos/video_files",
        {"video_file": {"id": "v0f1", "md5": "x"}},
        needs_cipher=False,
        is_multipart=True,
    ),
    _call(
        "POST",
        "/affiliate_creator/202511/photos/photo_files",
        {"photo_file": {"photo_uri": "tos/uri-1"}},
        needs_cipher=False,
        is_multipart=True,
    ),
    _call(
        "GET",
        "/affiliate_creator/202405/showcases/products",
        {"products": [{"id": PRODUCT, "title": "Air fryer"}]},
        query=PAGE | {"origin"},
        needs_cipher=False,
    ),
    _call(
        "GET",
        "/affiliate_creator/202602/music/search",
        {
            "music": [{"id": "m1", "title": "Glow", "author": "A"}],
            "has_more": False,
            "next_page_token": "x",
            "search_id": "s",
        },
        query=PAGE | {"keyword", "search_id"},
        needs_cipher=False,
    ),
    _call(
        "POST",
        "/affiliate_creator/202511/videos/precheck_task",
        {"precheck": {"task_id": "t1"}},
        body={"video_info", "product_link_info"},
        needs_cipher=False,
    ),
    _call(
        "GET",
        "/affiliate_creator/202601/videos/precheck_tasks/t1",
        {
            "precheck_task": {
                "id": "t1",
                "violation_check_result": {
                    "status": "FAIL",
                    "issues": [{"risk": "Claims", "suggestions": "Tone it down"}],
                },
            }
        },
        needs_cipher=False,
    ),
    _call(
        "POST",
        "/affiliate_creator/202607/videos",
        {"video": {"id": VIDEO}, "quota": "3/day"},
        body={"video_info", "product_link_info"},
        needs_cipher=False,
    ),
    _call(
        "POST",
        "/affiliate_creator/202607/photos",
        {"photo": {"photo_post_id": 7493990579714164575}},
        body={"photos_info", "music_id", "title", "link_info"},
        needs_cipher=False,
    ),
    _call(
        "GET",
        r"/affiliate_creator/202509/videos/\d+/status",
        {"video": {"id": VIDEO, "post_status": "SUCCESS", "post_time": 1764000000}},
        needs_cipher=False,
    ),
    _call(
        "GET",
        "/analytics/202403/videos/performances",
        {
            "videos": [
                {
                    "id": VIDEO,
                    "performances": [
                        {
                            "time_range": {"start_time": 1764000000},
                            "metrics": {"gmv": GMV, "order_count": 2, "item_sold_count": 3},
                        }
                    ],
                }
            ]
        },
        query={"video_ids", "start_time_ge", "end_time_le"},
        needs_cipher=False,
    ),
]
