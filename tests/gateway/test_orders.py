"""Orders by REST: found, explained, moved on one by one and all of a reason; and nobody's address without the scope."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1 import routing_pb2, stock_pb2
from reelroute.identity.v1.identity_pb2 import Scope

from services.gateway.models import order_examples
from tests.gateway.conftest import Connect
from tests.gateway.fakes import ALL_SCOPES, OTHER_WORKSPACE, Memory
from tests.gateway.given import fields
from tests.gateway.order_memory import CANARY
from tests.gateway.test_auth import OPERATIONS
from tests.gateway.test_problems import assert_is_problem

PURPOSE = {"purpose": "The parcel came back."}


def test_orders_are_found_by_what_people_know_of_them(api: httpx.Client, memory: Memory) -> None:
    order_id = memory.fulfillment.order()
    query: dict[str, Any] = {
        "state": ["HELD", "PENDING"],
        "reason": "sku_unmapped",
        "platform_order_id": "576461413038785752",
        "from_time": "2027-01-01T00:00:00+01:00",
        "is_late": True,
    }
    (order,) = api.get("/v1/orders", params=query).json()["orders"]
    assert (order["order_id"], order["state"], order["masked_recipient"]) == (order_id, "HELD", "Z*** Q***, TN 379**")
    asked = memory.request(pb.ListOrdersRequest)
    assert list(asked.states) == [pb.ORDER_STATE_HELD, pb.ORDER_STATE_PENDING]
    assert (asked.is_late, asked.from_time.ToJsonString()) == (True, "2026-12-31T23:00:00Z")
    assert not asked.HasField("until_time")


def test_one_order_is_read_with_its_whole_story(api: httpx.Client, memory: Memory) -> None:
    order_id = memory.fulfillment.order()
    whole = api.get(f"/v1/orders/{order_id}").json()
    assert whole["order"]["platform_order_id"] == "576461413038785752"
    assert whole["shipments"][0]["packages"][0]["items"] == [{"amazon_sku": "MAT-FBA", "quantity": 2}]
    assert whole["decision"] == api.get(f"/v1/orders/{order_id}/decision").json()
    assert whole["decision"]["facts"] == {"state": "TN", "units": "2"}
    (event,) = api.get(f"/v1/orders/{order_id}/events").json()["events"]
    assert (event["type"], event["attributes"]) == ("order.held", {"a": "b"})


def test_an_order_before_its_first_decision_is_read_without_one(api: httpx.Client, memory: Memory) -> None:
    order_id = memory.fulfillment.order(decided=False)
    assert api.get(f"/v1/orders/{order_id}").json()["decision"] is None
    assert_is_problem(api.get(f"/v1/orders/{order_id}/decision"), 409, "ORDER_NOT_DECIDED")


def test_held_orders_are_counted_by_reason_with_the_next_step(api: httpx.Client, memory: Memory) -> None:
    (held,) = api.get("/v1/orders/held").json()["reasons"]
    assert (held["reason"], held["orders"], held["who_can"]) == ("sku_unmapped", 3, "seller")


@pytest.mark.parametrize("verb", ["release", "retry", "leave", "cancel"])
def test_named_orders_are_moved_on_and_each_is_answered_for(api: httpx.Client, memory: Memory, verb: str) -> None:
    there, missing = memory.fulfillment.order(), str(uuid4())
    told = api.post(f"/v1/orders:{verb}", json={"order_ids": [there, missing]}).json()
    assert [(each["order_id"], each["problem"]) for each in told["outcomes"]] == [
        (there, ""),
        (missing, "ORDER_NOT_FOUND"),
    ]
    assert not told["more"]
    request, _ = memory.calls[-1]
    assert list(request.order_ids) == [there, missing]  # type: ignore[attr-defined]
    assert request.actor in {each.api_key_id for each in memory.keys.values()}  # type: ignore[attr-defined]


def test_all_that_are_held_for_a_reason_are_moved_on_up_to_a_limit(api: httpx.Client, memory: Memory) -> None:
    held = [memory.fulfillment.order("insufficient_stock") for _ in range(450)]
    memory.fulfillment.order("sku_unmapped")
    memory.fulfillment.order("")
    told = api.post("/v1/orders:retry", json={"reason": "insufficient_stock", "limit": 401}).json()
    assert ([each["order_id"] for each in told["outcomes"]], told["more"]) == (held[:401], True)
    assert memory.count(pb.RetryOrdersRequest) == 3
    told = api.post("/v1/orders:retry", json={"reason": "insufficient_stock", "limit": 450}).json()
    assert (len(told["outcomes"]), told["more"]) == (450, False)


@pytest.mark.parametrize("wrong", [{}, {"limit": 5}, {"order_ids": []}, {"reason": "x", "order_ids": [str(uuid4())]}])
def test_nothing_is_done_with_all_orders_because_a_field_was_forgotten(
    api: httpx.Client, memory: Memory, wrong: dict[str, object]
) -> None:
    memory.fulfillment.order()
    assert api.post("/v1/orders:release", json=wrong).status_code == 422
    assert memory.count(pb.ReleaseOrdersRequest) == 0


def test_a_cancellation_may_be_told_to_tiktok_shop(api: httpx.Client, memory: Memory) -> None:
    order_id = memory.fulfillment.order()
    body = {"order_ids": [order_id], "platform_reason": "seller_cancel_reason_out_of_stock"}
    api.post("/v1/orders:cancel", json=body).raise_for_status()
    assert memory.request(pb.CancelOrdersRequest).platform_reason == "seller_cancel_reason_out_of_stock"


def test_held_orders_are_decided_again_without_being_changed(api: httpx.Client, memory: Memory) -> None:
    order_id = memory.fulfillment.order()
    (replay,) = api.post("/v1/orders:replay", json={}).json()["replays"]
    assert (replay["order_id"], replay["before"], replay["is_different"]) == (order_id, None, True)
    assert replay["now"]["reason"] == "sku_unmapped"
    api.post("/v1/orders:replay", json={"order_ids": [order_id]}).raise_for_status()
    assert memory.request(routing_pb2.ReplayOrdersRequest).order_ids == [order_id]


def test_an_order_is_corrected_and_routed_by_hand(api: httpx.Client, memory: Memory) -> None:
    path = f"/v1/orders/{memory.fulfillment.order()}"
    api.post(f"{path}:correct", json=order_examples.CORRECTION).raise_for_status()
    asked = memory.request(pb.CorrectOrderRequest)
    assert (list(asked.recipient.lines), asked.speed) == (["1 Sample Street"], routing_pb2.SPEED_UNSPECIFIED)
    api.post(f"{path}:correct", json={"speed": "PRIORITY"}).raise_for_status()
    assert not memory.request(pb.CorrectOrderRequest).HasField("recipient")
    assert api.post(f"{path}:correct", json={}).status_code == 422
    routed = api.post(f"{path}:route", json=order_examples.ROUTE)
    assert (routed.status_code, memory.request(pb.RouteOrderRequest).items[0].quantity) == (200, 2)
    twice = {"items": order_examples.ROUTE["items"] * 2}
    assert api.post(f"{path}:route", json=twice).status_code == 422


def test_a_packages_number_is_corrected_and_a_shops_orders_are_read_now(api: httpx.Client, memory: Memory) -> None:
    order_id = memory.fulfillment.order()
    package_id = memory.fulfillment.orders[order_id].shipments[0].packages[0].package_id
    assert api.post(f"/v1/packages/{package_id}:correctTracking").json()["tell_state"] == "TOLD"
    assert_is_problem(api.post(f"/v1/packages/{uuid4()}:correctTracking"), 404, "PACKAGE_NOT_FOUND")
    assert api.post(f"/v1/shops/{memory.shop()}:syncOrders").json() == {"orders": 3, "new_orders": 1}


def test_an_order_of_another_workspace_is_not_there(connect: Connect, memory: Memory) -> None:
    order_id = memory.fulfillment.order()
    stranger = connect(memory.key(workspace_id=OTHER_WORKSPACE))
    for path in ("", "/events", "/decision"):
        assert_is_problem(stranger.get(f"/v1/orders/{order_id}{path}"), 404, "ORDER_NOT_FOUND")
    assert_is_problem(stranger.post(f"/v1/orders/{order_id}:readRecipient", json=PURPOSE), 404, "ORDER_NOT_FOUND")


def test_whom_an_order_goes_to_is_read_for_a_purpose_by_name_and_kept_by_nobody(
    connect: Connect, memory: Memory
) -> None:
    order_id = memory.fulfillment.order()
    key = memory.key(Scope.SCOPE_RECIPIENTS_READ)
    reader = connect(key)
    read = reader.post(f"/v1/orders/{order_id}:readRecipient", json=PURPOSE)
    assert (read.json()["recipient"]["name"], read.json()["told"]) == (CANARY, None)
    assert read.json()["changes"][0]["rule"] == "blanks"
    assert read.headers["Cache-Control"] == "no-store"
    asked = memory.request(pb.ReadRecipientRequest)
    assert (asked.actor, asked.purpose) == (memory.keys[key].api_key_id, PURPOSE["purpose"])
    for purpose in ("", "  ", "x" * 201):
        assert fields(reader.post(f"/v1/orders/{order_id}:readRecipient", json={"purpose": purpose})) == ["purpose"]
    (reading,) = connect(memory.key()).get("/v1/recipient-readings", params={"order_id": order_id}).json()["readings"]
    assert reading["actor"] == memory.keys[key].api_key_id


def test_what_was_erased_is_said_to_be_so(api: httpx.Client, memory: Memory) -> None:
    order_id = memory.fulfillment.order()
    assert api.post(f"/v1/orders/{order_id}:eraseRecipient", json={"whole_buyer": True}).json() == {"orders": 1}
    assert memory.request(pb.EraseRecipientRequest).whole_buyer
    assert_is_problem(api.post(f"/v1/orders/{order_id}:readRecipient", json=PURPOSE), 409, "RECIPIENT_ERASED")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_s42_without_the_scope_no_answer_has_anything_of_a_buyer(
    connect: Connect, memory: Memory, method: str, path: str
) -> None:
    """Every route, with every scope but RECIPIENTS_READ, on an order whose buyer fulfillment would name."""
    if "webhook" in path or method in ("DELETE",):
        return
    order_id = memory.fulfillment.order()
    everything_else = [each for each in ALL_SCOPES if each != Scope.SCOPE_RECIPIENTS_READ]
    address = path.replace("{order_id}", order_id).replace("{shop_id}", memory.shop())
    body = PURPOSE if method == "POST" else None
    answer = connect(memory.key(*everything_else)).request(method, address, json=body)
    assert CANARY not in answer.text
    if path.endswith(":readRecipient"):
        assert_is_problem(answer, 403, "SCOPE_MISSING")
        assert memory.fulfillment.readings == []


def test_a_body_that_is_wrong_is_not_told_back(api: httpx.Client, memory: Memory) -> None:
    wrong = order_examples.RECIPIENT | {"name": CANARY, "postal_code": f"{CANARY}{'x' * 200}", "country_code": CANARY}
    refused = api.post(f"/v1/orders/{memory.fulfillment.order()}:correct", json={"recipient": wrong})
    assert set(fields(refused)) == {"recipient.postal_code", "recipient.country_code"}
    assert CANARY not in refused.text


def test_stock_is_read_of_one_sku_whatever_is_in_its_name(api: httpx.Client, memory: Memory) -> None:
    merchant = f"/v1/merchants/{memory.fulfillment.merchant()}"
    for sku in ("MAT-FBA", "MAT/24 & 14?", "a:b#c", "100%"):
        memory.fulfillment.stock[sku] = stock_pb2.Stock(amazon_sku=sku, available=3)
        path = httpx.URL(f"http://x{merchant}/stock/").raw_path.decode()
        quoted = "".join(f"%{byte:02X}" for byte in sku.encode())
        whole = api.get(f"{path}{quoted}").json()
        assert (whole["stock"]["amazon_sku"], whole["entries"][0]["kind"]) == (sku, "RESERVED")
    assert len(api.get(f"{merchant}/stock", params={"text": "mat"}).json()["stock"]) == 4
    assert memory.request(stock_pb2.ListStockRequest).text == "mat"
    own = api.put(f"{merchant}/safety-stock", json={"amazon_sku": "MAT-FBA", "safety_stock": 0}).json()
    assert (own["safety_stock"], own["is_own_safety_stock"]) == (0, True)
    api.put(f"{merchant}/safety-stock", json={"amazon_sku": "MAT-FBA", "safety_stock": None}).raise_for_status()
    assert not memory.request(stock_pb2.SetSafetyStockRequest).HasField("safety_stock")
    assert api.post(f"{merchant}:syncStock").json() == {"skus": 4}


def test_nothing_told_is_not_zero_and_a_report_has_its_differences(api: httpx.Client, memory: Memory) -> None:
    pushes = api.get(f"/v1/shops/{memory.shop()}/stock-pushes").json()["pushes"]
    assert [each["told_quantity"] for each in pushes] == [0, None]
    path = f"/v1/merchants/{memory.fulfillment.merchant()}/drift-reports"
    report = api.post(path)
    assert (report.status_code, api.get(path).json()["reports"]) == (201, [report.json()])
    (drift,) = api.get(f"/v1/drift-reports/{report.json()['report_id']}/drifts").json()["drifts"]
    assert (drift["kind"], drift["order_id"], drift["sides"]) == ("order_missing", None, {"amazon": "none"})
