"""Cancellations and returns (scope `seller.return_refund.basic`)."""

import json
from typing import Any

from sandbox.tiktok_shop import aftersales, orders, paging
from sandbox.tiktok_shop.aftersale_bodies import (
    Approve,
    Calculate,
    Cancel,
    CancelFilter,
    CancelPage,
    Chosen,
    Locale,
    Once,
    Reject,
    RejectReturn,
    ReturnFilter,
    ReturnPage,
    Which,
    Who,
)
from sandbox.tiktok_shop.answers import BAD_REQUEST, Refusal
from sandbox.tiktok_shop.gate import Call, Operation
from sandbox.tiktok_shop.state import ShopState

_SCOPE = ("seller.return_refund.basic",)
NOT_FOUND, NO_PERMISSION = 25007006, 25020005
BAD_REASON, IN_PROCESS, FINISHED, SHIPPED = 25001021, 25001011, 25001051, 25001045
PARTIAL_NOT_HERE, PARTIAL_NOT_POSSIBLE = 25005010, 25005011
OUT_OF_STOCK = "seller_cancel_reason_out_of_stock"
# Reasons of the seller: those with "paid" in them are for paid orders.
CANCEL_REASONS = (
    OUT_OF_STOCK,
    "seller_cancel_reason_wrong_price",
    "seller_cancel_paid_reason_address_not_deliver",
    "seller_cancel_paid_reason_buyer_requested_cancellation",
)
REJECT_REASONS = {
    "seller_reject_apply_package_shipped": "The package has been shipped",
    "seller_reject_apply_product_has_been_packed": "The product has been packed",
    "reverse_reject_request_reason_1": "The reason does not apply",
}


_CONDITIONS = {
    **dict.fromkeys(("cancel_ids", "return_ids"), "id IN (SELECT value FROM json_each(?))"),
    "order_ids": "order_id IN (SELECT value FROM json_each(?))",
    "buyer_user_ids": "user_id IN (SELECT value FROM json_each(?))",
    **dict.fromkeys(("cancel_types", "return_types"), "type IN (SELECT value FROM json_each(?))"),
    **dict.fromkeys(("cancel_status", "return_status"), "status IN (SELECT value FROM json_each(?))"),
    # Nothing is ever in arbitration here, and no seller proposes another kind of return.
    **dict.fromkeys(("arbitration_status", "seller_proposed_return_type"), "? IS NULL"),
    "create_time_ge": "create_time >= ?",
    "create_time_lt": "create_time < ?",
    "update_time_ge": "update_time >= ?",
    "update_time_lt": "update_time < ?",
}


def _cancel(state: ShopState, call: Call) -> dict[str, Any]:
    body: Cancel = call.body
    order = orders.own(state, call.shop, body.order_id, NOT_FOUND)
    if body.cancel_reason not in CANCEL_REASONS or (order["paid_time"] is None and "_paid_" in body.cancel_reason):
        raise Refusal(BAD_REASON, "body.cancel_reason cannot be used for this order.")
    if order["is_buyer_request_cancel"] or order["status"] == "CANCELLED":
        raise Refusal(IN_PROCESS, "A cancellation of the order is in process or finished.")
    if order["status"] not in orders.EARLY:
        raise Refusal(SHIPPED, "The order has been shipped.")
    lines = _lines(order, body)
    if len(lines) < sum(not line["cancelled"] for line in order["lines"]):
        if call.shop.region not in ("US", "GB") or body.cancel_reason != OUT_OF_STOCK:
            raise Refusal(PARTIAL_NOT_HERE, "Single items can be cancelled in the US and UK only, when out of stock.")
        if order["status"] == "UNPAID":
            raise Refusal(PARTIAL_NOT_POSSIBLE, "Single items of an unpaid order cannot be cancelled.")
    case = aftersales.cancel_by_seller(state, order, lines, body.cancel_reason, state.clock.now())
    return {"cancel_id": case["id"], "cancel_status": case["status"]}


def _lines(order: dict[str, Any], chosen: Chosen) -> list[str]:
    """Ids of the lines that a call means: named, by SKU and quantity, or all. Raises Refusal."""
    mine = [line for line in order["lines"] if not line["cancelled"]]
    if chosen.order_line_item_ids is not None:
        named = list(dict.fromkeys(chosen.order_line_item_ids))
        if not named or not set(named) <= {line["id"] for line in mine}:
            raise Refusal(BAD_REQUEST, "body.order_line_item_ids are not open lines of the order.")
        return named
    if chosen.skus is None:
        return [line["id"] for line in mine]
    found: list[str] = []
    for sku in chosen.skus:
        fitting = [line["id"] for line in mine if line["sku_id"] == sku.sku_id and line["id"] not in found]
        if len(fitting) < sku.quantity:
            raise Refusal(BAD_REQUEST, "body.skus ask for more than the order has.")
        found += fitting[: sku.quantity]
    return found


def _search(state: ShopState, call: Call, kind: str) -> tuple[list[dict[str, Any]], str, int]:
    where, values = ["shop_id = ?", "kind = ?"], [call.shop.id, kind]
    for name, value in call.body.model_dump(exclude_none=True).items():
        if name != "locale":
            where.append(_CONDITIONS[name])
            values.append(json.dumps(value) if isinstance(value, list) else value)
    query = call.query
    sort = (query.sort_field, query.sort_order)
    rows, following, total = paging.rows(
        *(state, "shop_aftersale", where, values, sort, query.page_size, query.page_token), BAD_REQUEST
    )
    return [aftersales.load(row) for row in rows], following, total


def _search_cancels(state: ShopState, call: Call) -> dict[str, Any]:
    cases, following, total = _search(state, call, "CANCEL")
    found = []
    for case in cases:
        status = "CANCELLATION_REQUEST_CANCELLED" if case["status"] == aftersales.CANCEL_CANCEL else case["status"]
        shown = {"cancel_id": case["id"], "cancel_type": case["type"], "cancel_status": status,
                 "cancel_reason": case["reason"], "cancel_reason_text": case["reason"].replace("_", " ")}  # fmt: skip
        found.append({**shown, **_common(state, case, "cancel")})
    return {"cancellations": found, "next_page_token": following, "total_count": total}


def _search_returns(state: ShopState, call: Call) -> dict[str, Any]:
    cases, following, total = _search(state, call, "RETURN")
    found = []
    for case in cases:
        shown = {
            "return_id": case["id"],
            "return_type": case["type"],
            "return_status": case["status"],
            "return_reason": case["reason"],
            "return_reason_text": case["reason"].replace("_", " "),
            "arbitration_status": "",
            "shipment_type": "PLATFORM",
            "handover_method": "DROP_OFF",
            "return_tracking_number": case["tracking_number"],
            "is_combined_return": False,
            "can_buyer_keep_item": case["type"] == "REFUND",
        }
        found.append({**shown, **_common(state, case, "return")})
    return {"return_orders": found, "next_page_token": following, "total_count": total}


def _common(state: ShopState, case: dict[str, Any], word: str) -> dict[str, Any]:
    order = orders.find(state, case["order_id"])
    action = aftersales.ACTIONS.get((case["status"], case["type"]))
    by_id = {line["id"]: line for line in order["lines"]}
    return {
        "order_id": case["order_id"],
        "role": case["role"],
        "create_time": case["create_time"],
        "update_time": case["update_time"],
        "refund_amount": aftersales.refund_amount(order, case["lines"]),
        "seller_next_action_response": (
            [{"action": action, "deadline": case["deadline"]}] if action and case["deadline"] else []
        ),
        f"{word}_line_items": [
            {
                f"{word}_line_item_id": f"{case['id']}{number:02d}",
                "order_line_item_id": line_id,
                "sku_id": by_id[line_id]["sku_id"],
                "sku_name": by_id[line_id]["sku_name"],
                "seller_sku": by_id[line_id]["seller_sku"],
                "product_name": by_id[line_id]["product_name"],
                "refund_amount": aftersales.refund_amount(order, [line_id]),
            }
            for number, line_id in enumerate(case["lines"])
        ],
    }


def _own(state: ShopState, call: Call, case_id: str, kind: str | None = None) -> dict[str, Any]:
    try:
        case = aftersales.find(state, case_id)
    except KeyError as error:
        raise Refusal(NOT_FOUND, "There is no such request.") from error
    if case["shop_id"] != call.shop.id or kind not in (None, case["kind"]):
        raise Refusal(NO_PERMISSION, "The request belongs to another shop, or is of another kind.")
    return case


def _again(state: ShopState, call: Call, case: dict[str, Any]) -> bool:
    """Whether this very call was answered before; remembers it."""
    key = call.query.idempotency_key
    if key and key in case["keys"]:
        return True
    if key:
        case["keys"].append(key)
    return False


def _approve_cancel(state: ShopState, call: Call) -> dict[str, Any]:
    case = _own(state, call, call.path["cancel_id"], "CANCEL")
    if not _again(state, call, case):
        _check_pending(case)
        aftersales.approve_cancel(state, case, state.clock.now(), "SELLER")
    return {}


def _reject_cancel(state: ShopState, call: Call) -> dict[str, Any]:
    case = _own(state, call, call.path["cancel_id"], "CANCEL")
    if not _again(state, call, case):
        _check_pending(case)
        _check_reason(call.body.reject_reason)
        aftersales.drop_cancel(state, case, state.clock.now(), "SELLER", call.body.reject_reason)
    return {}


def _check_pending(case: dict[str, Any]) -> None:
    if case["status"] != aftersales.CANCEL_PENDING:
        raise Refusal(FINISHED, "The request has been answered already.")


def _check_reason(reason: str) -> None:
    if reason not in REJECT_REASONS:
        raise Refusal(BAD_REASON, "body.reject_reason is not one of the reasons.")


def _approve_return(state: ShopState, call: Call) -> dict[str, Any]:
    return _decide(state, call, call.body.decision)


def _reject_return(state: ShopState, call: Call) -> dict[str, Any]:
    _check_reason(call.body.reject_reason)
    return _decide(state, call, call.body.decision)


def _decide(state: ShopState, call: Call, decision: str) -> dict[str, Any]:
    case = _own(state, call, call.path["return_id"], "RETURN")
    if _again(state, call, case):
        return {}
    if (case["status"], case["type"]) not in aftersales.ACTIONS:
        raise Refusal(FINISHED, "The request does not wait for the seller.")
    if not aftersales.decide(state, case, decision, state.clock.now()):
        raise Refusal(BAD_REQUEST, f"body.decision does not fit a {case['type']} that is {case['status']}.")
    return {}


def _records(state: ShopState, call: Call) -> dict[str, Any]:
    case = _own(state, call, call.path["return_id"], "RETURN")
    return {
        "records": [
            {
                "role": one["role"], "event": "ORDER_RETURN", "description": one["text"], "note": "",
                "reason_text": one["text"], "create_time": one["create_time"], "images": [], "videos": [],
            }
            for one in case["records"]
        ]
    }  # fmt: skip


def _reject_reasons(state: ShopState, call: Call) -> dict[str, Any]:
    _own(state, call, call.query.return_or_cancel_id)
    return {"reasons": [{"name": name, "text": text} for name, text in REJECT_REASONS.items()]}


def _calculate(state: ShopState, call: Call) -> dict[str, Any]:
    order = orders.own(state, call.shop, call.body.order_id, NOT_FOUND)
    amount = aftersales.refund_amount(order, _lines(order, call.body))
    del amount["buyer_service_fee"]
    return {"order_refund_amount": amount}


def _eligibility(state: ShopState, call: Call) -> dict[str, Any]:
    order = orders.own(state, call.shop, call.path["order_id"], NOT_FOUND)
    early = order["status"] in orders.EARLY and not order["is_buyer_request_cancel"]
    late = order["status"] in ("IN_TRANSIT", "DELIVERED")
    by_sku: dict[str, list[str]] = {}
    for line in order["lines"]:
        if not line["cancelled"]:
            by_sku.setdefault(line["sku_id"], []).append(line["id"])
    kinds = {"CANCEL": early, "REFUND": late, "RETURN_AND_REFUND": late}
    return {
        "sku_eligibility": [
            {
                "sku_id": sku,
                "line_item_eligibility": [
                    {
                        "request_type": kind, "eligible": fits, "order_line_item_ids": lines,
                        **({} if fits else {"ineligible_code": IN_PROCESS, "ineligible_reason": order["status"]}),
                    }
                    for kind, fits in kinds.items()
                ],
            }
            for sku, lines in by_sku.items()
        ]
    }  # fmt: skip


_V, _PATH = ("202309",), "/return_refund/{version}"
_CASE, _RETURN = f"{_PATH}/cancellations/{{cancel_id}}", f"{_PATH}/returns/{{return_id}}"
OPERATIONS = [
    Operation("cancel", "POST", f"{_PATH}/cancellations", _V, _SCOPE, _cancel, body=Cancel),
    Operation(
        "cancellation_search", "POST", f"{_PATH}/cancellations/search", _V, _SCOPE, _search_cancels, CancelPage,
        CancelFilter,
    ),
    Operation("cancellation_approve", "POST", f"{_CASE}/approve", _V, _SCOPE, _approve_cancel, Once),
    Operation("cancellation_reject", "POST", f"{_CASE}/reject", _V, _SCOPE, _reject_cancel, Once, Reject),
    Operation(
        "return_search", "POST", f"{_PATH}/returns/search", _V, _SCOPE, _search_returns, ReturnPage, ReturnFilter
    ),
    Operation("return_approve", "POST", f"{_RETURN}/approve", _V, _SCOPE, _approve_return, Once, Approve),
    Operation("return_reject", "POST", f"{_RETURN}/reject", _V, _SCOPE, _reject_return, Once, RejectReturn),
    Operation("return_records", "GET", f"{_RETURN}/records", _V, _SCOPE, _records, Locale),
    Operation("reject_reasons", "GET", f"{_PATH}/reject_reasons", _V, _SCOPE, _reject_reasons, Which),
    Operation("refund_calculate", "POST", f"{_PATH}/refunds/calculate", _V, _SCOPE, _calculate, body=Calculate),
    Operation(
        "aftersale_eligibility", "GET", f"{_PATH}/orders/{{order_id}}/aftersale_eligibility", ("202309", "202512"),
        _SCOPE, _eligibility, Who,
    ),
]  # fmt: skip
