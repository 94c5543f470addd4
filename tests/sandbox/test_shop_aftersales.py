"""Cancellations and returns: asked for, answered, decided by the deadline."""

from typing import Any

import pytest

from tests.sandbox.shop import ShopApp
from tests.sandbox.test_shop_orders import BLACK_BOX, MAT, detail, new_order, search

CANCELS = "/return_refund/202309/cancellations"
RETURNS = "/return_refund/202309/returns"
OUT_OF_STOCK = "seller_cancel_reason_out_of_stock"
HOUR = 3600


def cancel(app: ShopApp, order_id: str, reason: str = OUT_OF_STOCK, **more: Any) -> int:
    return app.code("POST", CANCELS, body={"order_id": order_id, "cancel_reason": reason, **more})


def case_of(app: ShopApp, order_id: str) -> dict[str, Any]:
    [case] = app.ok("POST", f"{CANCELS}/search", body={"order_ids": [order_id]})["cancellations"]
    return dict(case)


def return_of(app: ShopApp, order_id: str) -> dict[str, Any]:
    [case] = app.ok("POST", f"{RETURNS}/search", body={"order_ids": [order_id]})["return_orders"]
    return dict(case)


def delivered(app: ShopApp) -> str:
    order_id = new_order(app)
    for _ in range(3):
        app.control("POST", f"/orders/{order_id}/advance")
    assert detail(app, order_id)["status"] == "DELIVERED"
    return order_id


def test_a_seller_cancels_and_the_refund_follows(seller: ShopApp) -> None:
    order_id = new_order(seller)
    assert cancel(seller, order_id) == 0
    case = case_of(seller, order_id)
    assert (case["cancel_status"], case["cancel_type"], case["role"]) == (
        "CANCELLATION_REQUEST_SUCCESS", "CANCEL", "SELLER",
    )  # fmt: skip
    assert case["refund_amount"]["refund_total"] == "21.19"
    order = detail(seller, order_id)
    assert (order["status"], order["cancellation_initiator"]) == ("CANCELLED", "SELLER")
    seller.advance(HOUR)
    assert case_of(seller, order_id)["cancel_status"] == "CANCELLATION_REQUEST_COMPLETE"
    assert cancel(seller, order_id) == 25001011


def test_single_units_can_be_cancelled_when_they_are_out_of_stock(seller: ShopApp) -> None:
    order_id = new_order(seller, [{"sku_id": BLACK_BOX, "quantity": 3}, {"sku_id": MAT}])
    assert (
        cancel(seller, order_id, "seller_cancel_reason_wrong_price", skus=[{"sku_id": MAT, "quantity": 1}]) == 25005010
    )
    assert cancel(seller, order_id, skus=[{"sku_id": BLACK_BOX, "quantity": 2}]) == 0
    order = detail(seller, order_id)
    assert order["status"] == "AWAITING_SHIPMENT"
    assert sorted(line["display_status"] for line in order["line_items"]) == [
        "AWAITING_SHIPMENT", "AWAITING_SHIPMENT", "CANCELLED", "CANCELLED",
    ]  # fmt: skip
    assert cancel(seller, order_id, order_line_item_ids=[line["id"] for line in order["line_items"]]) == 36009004


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("AWAITING_SHIPMENT", "because", 25001021),
        ("UNPAID", "seller_cancel_paid_reason_address_not_deliver", 25001021),
        ("IN_TRANSIT", OUT_OF_STOCK, 25001045),
        ("CANCELLED", OUT_OF_STOCK, 25001011),
    ],
)
def test_what_cannot_be_cancelled_is_refused(seller: ShopApp, status: str, reason: str, code: int) -> None:
    order = search(seller, order_status=status)[0]
    assert cancel(seller, order["id"], reason) == code
    assert cancel(seller, "1") == 25007006


def test_in_the_first_hour_a_buyer_cancels_alone(seller: ShopApp) -> None:
    order_id = new_order(seller, status="ON_HOLD")
    seller.control("POST", f"/orders/{order_id}/request-cancel")
    assert detail(seller, order_id)["status"] == "CANCELLED"


def test_a_buyers_wish_waits_for_the_seller_and_its_answer_counts_once(seller: ShopApp) -> None:
    order_id = new_order(seller)
    seller.control("POST", f"/orders/{order_id}/request-cancel")
    case = case_of(seller, order_id)
    assert detail(seller, order_id)["is_buyer_request_cancel"] is True
    assert case["seller_next_action_response"][0]["action"] == "SELLER_RESPOND_CANCEL"
    reject = f"{CANCELS}/{case['cancel_id']}/reject"
    reasons = seller.ok("GET", "/return_refund/202309/reject_reasons", {"return_or_cancel_id": case["cancel_id"]})
    body = {"reject_reason": reasons["reasons"][0]["name"]}
    assert seller.code("POST", reject, body={"reject_reason": "no"}) == 25001021
    assert [seller.code("POST", reject, {"idempotency_key": "k-1"}, body) for _ in range(2)] == [0, 0]
    assert seller.code("POST", reject, {"idempotency_key": "k-2"}, body) == 25001051
    assert case_of(seller, order_id)["cancel_status"] == "CANCELLATION_REQUEST_CANCELLED"
    assert detail(seller, order_id)["is_buyer_request_cancel"] is False


def test_silence_until_the_deadline_approves_a_cancellation(seller: ShopApp) -> None:
    order_id = new_order(seller)
    seller.control("POST", f"/orders/{order_id}/request-cancel")
    seller.advance(48 * HOUR)
    assert detail(seller, order_id)["status"] == "CANCELLED"
    found = seller.ok("POST", f"{CANCELS}/search", body={"cancel_status": ["CANCELLATION_REQUEST_SUCCESS"]})
    assert order_id in {case["order_id"] for case in found["cancellations"]}
    assert (
        seller.code("POST", f"{CANCELS}/search", body={"cancel_status": ["CANCELLATION_REQUEST_CANCELLED"]}) == 36009004
    )


def test_a_return_is_approved_sent_back_received_and_refunded(seller: ShopApp) -> None:
    order_id = delivered(seller)
    case = seller.control("POST", f"/orders/{order_id}/request-return")
    approve = f"{RETURNS}/{case['id']}/approve"
    assert seller.code("POST", approve, body={"decision": "APPROVE_REFUND"}) == 36009004
    assert seller.code("POST", approve, body={"decision": "APPROVE_RETURN"}) == 0
    assert return_of(seller, order_id)["return_status"] == "AWAITING_BUYER_SHIP"
    assert seller.code("POST", approve, body={"decision": "APPROVE_RECEIVED_PACKAGE"}) == 25001051
    seller.control("POST", f"/cases/{case['id']}/send-back")
    waiting = return_of(seller, order_id)["seller_next_action_response"]
    assert waiting[0]["action"] == "SELLER_RESPOND_RECEIVE_PACKAGE"
    assert seller.code("POST", approve, body={"decision": "APPROVE_RECEIVED_PACKAGE"}) == 0
    seller.advance(HOUR)
    assert return_of(seller, order_id)["return_status"] == "RETURN_OR_REFUND_REQUEST_COMPLETE"
    records = seller.ok("GET", f"{RETURNS}/{case['id']}/records")["records"]
    assert [record["role"] for record in records] == ["BUYER", "SELLER", "SELLER"]


def test_an_approved_replacement_is_an_order_of_its_own(seller: ShopApp) -> None:
    order_id = delivered(seller)
    case = seller.control("POST", f"/orders/{order_id}/request-return", return_type="REPLACEMENT")
    assert seller.code("POST", f"{RETURNS}/{case['id']}/approve", body={"decision": "APPROVE_REPLACEMENT"}) == 0
    again = [order for order in search(seller) if order.get("replaced_order_id") == order_id]
    assert [(order["is_replacement_order"], order["payment"]["total_amount"]) for order in again] == [(True, "0.00")]


def test_a_return_waits_from_the_start(seller: ShopApp) -> None:
    [case] = seller.ok("POST", f"{RETURNS}/search", body={})["return_orders"]
    assert (case["return_type"], case["return_status"]) == ("RETURN_AND_REFUND", "RETURN_OR_REFUND_REQUEST_PENDING")
    assert case["seller_next_action_response"][0]["action"] == "SELLER_RESPOND_RETURN"


def test_what_may_be_asked_for_and_what_comes_back_can_be_read(seller: ShopApp) -> None:
    order_id = delivered(seller)
    found = seller.ok("GET", f"/return_refund/202309/orders/{order_id}/aftersale_eligibility")["sku_eligibility"]
    kinds = {one["request_type"]: one["eligible"] for one in found[0]["line_item_eligibility"]}
    assert kinds == {"CANCEL": False, "REFUND": True, "RETURN_AND_REFUND": True}
    amount = seller.ok(
        "POST", "/return_refund/202309/refunds/calculate", body={"order_id": order_id, "request_type": "REFUND"}
    )
    assert amount["order_refund_amount"]["refund_total"] == "21.19"
    assert seller.code("POST", f"{RETURNS}/search", {"page_size": 5}, {}) == 36009004
