"""Examples of orders and their routing for the reference, of the same brand."""

from __future__ import annotations

from typing import Any

from services.gateway.models.examples import CREATED
from services.gateway.models.shop_examples import SHOP, SHOP_ORDER

MAPPING_ID = "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b22"
_MERCHANT_ID = "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b20"
_RULE_ID = "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b23"
_ORDER_ID = "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b24"
_SHIPMENT_ID = "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b25"
_REPORT_ID = "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b27"
_SEEN = "2027-01-04T17:20:30Z"
_ROUTED = "2027-01-04T18:21:40Z"
_PARTS: list[dict[str, Any]] = [{"amazon_sku": "MAT-WATER-24-FBA", "quantity": 1}]
_ITEMS: list[dict[str, Any]] = [{"amazon_sku": "MAT-WATER-24-FBA", "quantity": 2}]

MERCHANT_DRAFT: dict[str, Any] = {
    "name": "Emberfold US",
    "seller_id": "A2EXAMPLE",
    "marketplace": "US",
    "refresh_token": "Atzr|IwEBIexample",
}
MERCHANT: dict[str, Any] = {
    "merchant_id": _MERCHANT_ID,
    "name": "Emberfold US",
    "seller_id": "A2EXAMPLE",
    "marketplace": "US",
    "amazon_marketplace_id": "ATVPDKIKX0DER",
    "state": "CONNECTED",
    "problem": "",
    "stock_time": "2027-01-04T17:00:00Z",
    "create_time": CREATED,
    "update_time": CREATED,
}
ROUTING_SETTINGS: dict[str, Any] = {
    "is_on": True,
    "merchant_id": _MERCHANT_ID,
    "platform_warehouse_ids": ["7300000000000000011"],
    "order_prefix": "TTS",
    "speeds": {"Express shipping": "EXPEDITED"},
    "default_speed": "STANDARD",
    "fulfillment_policy": "FILL_OR_KILL",
    "route_sample_orders": False,
    "route_replacement_orders": False,
    "wait_seconds": 0,
    "packing_slip_comment": "Thank you for your order.",
    "safety_stock": 5,
    "prefer_amazon_tracking": True,
    "carriers": {"AMZN_US": "Amazon Logistics"},
    "push_stock": True,
    "preview_orders": False,
}
SHOP_ROUTING: dict[str, Any] = ROUTING_SETTINGS | {
    "shop_id": SHOP["shop_id"],
    "tracking_stop": "",
    "update_time": CREATED,
}
SHOP_WAREHOUSES: dict[str, Any] = {
    "warehouses": [
        {
            "platform_warehouse_id": "7300000000000000011",
            "name": "Amazon MCF",
            "type": "SALES_WAREHOUSE",
            "status": "ENABLED",
            "delivery_options": ["Standard shipping", "Express shipping"],
        }
    ]
}
SKU_MAPPING_DRAFT: dict[str, Any] = {
    "marketplace": "US",
    "seller_sku": "MAT-WATER-24",
    "platform_sku_id": "1729382476852921561",
    "parts": _PARTS,
}
SKU_MAPPING: dict[str, Any] = SKU_MAPPING_DRAFT | {"mapping_id": MAPPING_ID, "update_time": CREATED}
UNMAPPED_SKU: dict[str, Any] = {
    "shop_id": SHOP["shop_id"],
    "marketplace": "US",
    "seller_sku": "MAT-FIRE-24",
    "platform_sku_id": "1729382476852921570",
    "title": "Fire playmat",
    "barcode": "0850012345689",
    "held_orders": 3,
    "suggestions": [
        {"amazon_sku": "MAT-FIRE-24-FBA", "title": "Fire playmat, 24 by 14", "ground": "BARCODE", "likeness": 100}
    ],
}
RULE_DRAFT: dict[str, Any] = {
    "shop_id": None,
    "name": "Dear orders are looked at",
    "priority": 100,
    "is_on": True,
    "start_time": None,
    "end_time": None,
    "condition": {
        "all": [
            {"fact": "total", "operator": "MORE_THAN", "values": ["250"]},
            {"not": {"fact": "state", "operator": "IN", "values": ["TN", "KY"]}},
        ]
    },
    "action": {
        "kind": "HOLD",
        "reason": "too_dear",
        "text": "It costs more than 250 dollars.",
        "speed": None,
        "features": {},
    },
}
RULE_CHANGE: dict[str, Any] = RULE_DRAFT | {"revision": 1}
RULE: dict[str, Any] = RULE_DRAFT | {
    "rule_id": _RULE_ID,
    "is_built_in": False,
    "revision": 1,
    "update_time": CREATED,
}
DECISION: dict[str, Any] = {
    "kind": "ROUTE",
    "reason": "",
    "text": "It is sent by Amazon.",
    "speed": "STANDARD",
    "features": {},
    "shipments": [{"items": _ITEMS}],
    "notes": [],
    "decide_time": _ROUTED,
    "facts": {"country": "US", "state": "TN", "total": "75.60", "units": "2"},
    "trace": [
        {
            "rule_id": _RULE_ID,
            "name": "Dear orders are looked at",
            "is_match": False,
            "ground": "total 75.60 is not more than 250",
        }
    ],
}
REPLAYS: dict[str, Any] = {
    "replays": [
        {
            "order_id": _ORDER_ID,
            "platform_order_id": SHOP_ORDER["platform_order_id"],
            "before": DECISION | {"kind": "HOLD", "reason": "insufficient_stock", "shipments": []},
            "now": DECISION,
            "is_different": True,
        }
    ],
    "more": False,
}
ORDER: dict[str, Any] = {
    "order_id": _ORDER_ID,
    "shop_id": SHOP["shop_id"],
    "platform_order_id": SHOP_ORDER["platform_order_id"],
    "platform_status": "AWAITING_SHIPMENT",
    "state": "ROUTED",
    "reason": "",
    "reason_text": "",
    "next_step": "",
    "who_can": "",
    "lines": SHOP_ORDER["lines"],
    "total": SHOP_ORDER["total"],
    "masked_recipient": "I*** R***, TN 379**",
    "is_recipient_erased": False,
    "platform_create_time": "2027-01-04T17:20:00Z",
    "paid_time": "2027-01-04T17:20:10Z",
    "ship_until_time": "2027-01-06T23:59:59Z",
    "in_transit_until_time": "2027-01-08T23:59:59Z",
    "deliver_until_time": "2027-01-12T23:59:59Z",
    "lateness": "IN_TIME",
    "is_cancel_requested": False,
    "create_time": _SEEN,
    "update_time": _ROUTED,
    "next_time": "2027-01-04T19:21:40Z",
}
PACKAGE: dict[str, Any] = {
    "package_id": "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b26",
    "shipment_id": _SHIPMENT_ID,
    "package_number": 1,
    "carrier": "AMZN_US",
    "tracking_number": "TBA302111222333",
    "amazon_tracking_number": "TBA302111222333",
    "status": "IN_TRANSIT",
    "items": _ITEMS,
    "tell_state": "TOLD",
    "tell_problem": "",
    "told_number": "TBA302111222333",
    "told_carrier": "Amazon Logistics",
    "told_time": "2027-01-05T09:04:00Z",
    "is_edit_used": False,
    "number_time": "2027-01-05T09:02:00Z",
    "in_transit_time": "2027-01-05T11:30:00Z",
    "delivered_time": None,
    "estimated_arrival_time": "2027-01-08T20:00:00Z",
}
WHOLE_ORDER: dict[str, Any] = {
    "order": ORDER,
    "shipments": [
        {
            "shipment_id": _SHIPMENT_ID,
            "merchant_id": _MERCHANT_ID,
            "fulfillment_order_id": "TTS-576461413038785752-1",
            "state": "SUBMITTED",
            "amazon_status": "PROCESSING",
            "speed": "STANDARD",
            "items": _ITEMS,
            "problem": "",
            "packages": [PACKAGE],
            "create_time": _ROUTED,
            "submit_time": "2027-01-04T18:21:43Z",
            "update_time": "2027-01-05T11:30:20Z",
        }
    ],
    "decision": DECISION,
}
ORDER_EVENT: dict[str, Any] = {
    "event_id": "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b28",
    "time": "2027-01-04T18:21:43Z",
    "type": "shipment.submitted",
    "text": "Amazon has it as TTS-576461413038785752-1.",
    "actor": "",
    "attributes": {"fulfillment_order_id": "TTS-576461413038785752-1"},
}
HELD_REASON: dict[str, Any] = {
    "reason": "insufficient_stock",
    "orders": 12,
    "text": "Amazon has too little of what was ordered.",
    "next_step": "Send stock to Amazon, or lower the safety stock: they go on once there is enough.",
    "who_can": "seller",
    "can_be_released": False,
    "oldest_time": "2027-01-03T08:00:00Z",
}
OUTCOMES: dict[str, Any] = {
    "outcomes": [
        {"order_id": _ORDER_ID, "problem": "", "text": ""},
        {
            "order_id": "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b29",
            "problem": "ORDER_IS_ROUTED",
            "text": "It is at Amazon already.",
        },
    ],
    "more": False,
}
CANCELLATION: dict[str, Any] = {
    "order_ids": [_ORDER_ID],
    "platform_reason": "seller_cancel_reason_out_of_stock",
}
RECIPIENT: dict[str, Any] = {
    "name": "Iris Rowan",
    "lines": ["1 Sample Street"],
    "city": "Knoxville",
    "district": "",
    "state": "TN",
    "postal_code": "37901",
    "country_code": "US",
    "phone": "+1 865 555 0100",
}
CORRECTION: dict[str, Any] = {"recipient": RECIPIENT, "speed": None}
ROUTE: dict[str, Any] = {"items": _ITEMS, "speed": "EXPEDITED"}
READ_RECIPIENT: dict[str, Any] = {
    "recipient": RECIPIENT,
    "told": RECIPIENT | {"state": "Tennessee"},
    "changes": [{"field": "state", "rule": "state_code", "before": "Tennessee", "after": "TN"}],
    "buyer_message": "",
}
READING: dict[str, Any] = {
    "reading_id": "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b30",
    "order_id": _ORDER_ID,
    "time": "2027-01-06T10:00:00Z",
    "actor": "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1b31",
    "purpose": "The parcel came back: ask the buyer for the house number.",
}
STOCK: dict[str, Any] = {
    "merchant_id": _MERCHANT_ID,
    "amazon_sku": "MAT-WATER-24-FBA",
    "asin": "B0EXAMPLE1",
    "fnsku": "X000EXAMPLE",
    "title": "Water playmat, 24 by 14",
    "is_at_amazon": True,
    "available": 203,
    "fulfillable": 212,
    "reserved": 2,
    "in_flight": 2,
    "safety_stock": 5,
    "is_own_safety_stock": False,
    "inbound": 100,
    "amazon_update_time": "2027-01-04T16:55:00Z",
    "read_time": "2027-01-04T17:00:00Z",
}
STOCK_ENTRY: dict[str, Any] = {
    "time": _ROUTED,
    "kind": "RESERVED",
    "quantity": 2,
    "order_id": _ORDER_ID,
    "fulfillment_order_id": "TTS-576461413038785752-1",
}
STOCK_PUSH: dict[str, Any] = {
    "shop_id": SHOP["shop_id"],
    "platform_product_id": "1729382476852921560",
    "platform_sku_id": "1729382476852921561",
    "seller_sku": "MAT-WATER-24",
    "wanted_quantity": 203,
    "told_quantity": 205,
    "told_time": "2027-01-04T17:01:00Z",
    "problem": "",
}
DRIFT_REPORT: dict[str, Any] = {
    "report_id": _REPORT_ID,
    "merchant_id": _MERCHANT_ID,
    "create_time": "2027-01-05T03:00:00Z",
    "orders": 1204,
    "skus": 55,
    "drifts": 1,
}
DRIFT: dict[str, Any] = {
    "kind": "told_quantity_differs",
    "amazon_sku": "MAT-WATER-24-FBA",
    "order_id": None,
    "fulfillment_order_id": "",
    "text": "TikTok Shop offers 205, and 203 can be sold. It is told again at the next turn.",
    "sides": {"ledger": "203", "tiktok_shop": "205"},
}
