"""Merchants, a shop's settings, its map and rules by REST."""

from __future__ import annotations

import copy
from typing import Any
from uuid import uuid4

import httpx
import pytest
from reelroute.fulfillment.v1 import merchants_pb2, orders_pb2
from reelroute.fulfillment.v1 import routing_pb2 as pb

from services.gateway.models import order_examples
from tests.gateway.fakes import Memory
from tests.gateway.given import fields
from tests.gateway.order_fakes import GOOD_TOKEN
from tests.gateway.test_problems import assert_is_problem

MERCHANT = {"name": "Emberfold", "seller_id": "A2EXAMPLE", "marketplace": "US", "refresh_token": GOOD_TOKEN}
MAPPING: dict[str, Any] = {
    "marketplace": "US",
    "seller_sku": "MAT",
    "parts": [{"amazon_sku": "MAT-FBA", "quantity": 2}],
}


def rule(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(order_examples.RULE_DRAFT) | changes


def test_a_merchant_is_connected_by_its_token_which_no_answer_shows(api: httpx.Client, memory: Memory) -> None:
    answer = api.post("/v1/merchants", json=MERCHANT)
    assert (answer.status_code, answer.json()["state"]) == (201, "CONNECTED")
    assert memory.request(merchants_pb2.ConnectMerchantRequest).refresh_token == GOOD_TOKEN
    merchant = answer.json()
    assert api.get(f"/v1/merchants/{merchant['merchant_id']}").json() == merchant
    assert api.get("/v1/merchants").json()["merchants"] == [merchant]
    assert GOOD_TOKEN not in answer.text
    gone = api.post(f"/v1/merchants/{merchant['merchant_id']}:disconnect").json()
    assert gone["state"] == "DISCONNECTED"
    refused = api.post("/v1/merchants", json=MERCHANT | {"refresh_token": "Atzr|secret-but-wrong"})
    assert_is_problem(refused, 409, "MERCHANT_AUTHORIZATION_LOST")
    assert "secret-but-wrong" not in refused.text
    malformed = api.post("/v1/merchants", json=MERCHANT | {"refresh_token": "Atzr|secret", "seller_id": "no"})
    assert (fields(malformed), "secret" in malformed.text) == (["seller_id"], False)


def test_settings_are_set_as_a_whole_and_read_as_they_were_set(api: httpx.Client, memory: Memory) -> None:
    path = f"/v1/shops/{memory.shop()}/routing"
    settings = order_examples.ROUTING_SETTINGS | {
        "merchant_id": memory.fulfillment.merchant(),
        "wait_seconds": 3600,
    }
    kept = api.put(path, json=settings).json()
    assert {name: kept[name] for name in settings} == settings
    assert api.get(path).json() == kept
    asked = memory.request(pb.UpdateShopRoutingRequest).routing
    assert (asked.wait.seconds, asked.speeds["Express shipping"]) == (3600, pb.SPEED_EXPEDITED)
    # What is left out is at its default again.
    api.put(path, json={"is_on": True})
    asked = memory.request(pb.UpdateShopRoutingRequest).routing
    assert (asked.order_prefix, asked.default_speed, asked.safety_stock) == ("TTS", pb.SPEED_STANDARD, 5)
    assert (asked.fulfillment_policy, asked.push_stock) == (pb.FULFILLMENT_POLICY_FILL_OR_KILL, True)


def test_the_defaults_are_those_of_fulfillment(api: httpx.Client, memory: Memory) -> None:
    from services.fulfillment.routing.settings import ShopRouting

    shop_id = memory.shop()
    api.put(f"/v1/shops/{shop_id}/routing", json={})
    asked = memory.request(pb.UpdateShopRoutingRequest).routing
    default = ShopRouting(shop_id=uuid4(), workspace_id=uuid4())
    for name in ("is_on", "order_prefix", "packing_slip_comment", "safety_stock", "push_stock", "preview_orders"):
        assert getattr(asked, name) == getattr(default, name)
    for name in ("route_sample_orders", "route_replacement_orders", "prefer_amazon_tracking"):
        assert getattr(asked, name) == getattr(default, name)
    assert pb.Speed.Name(asked.default_speed) == f"SPEED_{default.default_speed}"
    assert pb.FulfillmentPolicy.Name(asked.fulfillment_policy) == f"FULFILLMENT_POLICY_{default.fulfillment_policy}"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"order_prefix": "TT-S"}, "order_prefix"),
        ({"wait_seconds": 72 * 3600 + 1}, "wait_seconds"),
        ({"default_speed": "EXPRESS"}, "default_speed"),
        ({"speeds": {"Express": "FAST"}}, "speeds.Express"),
        ({"tracking_stop": ""}, "tracking_stop"),
        ({"merchant_id": "11111111-1111-4111-8111-111111111111"}, "merchant_id"),
    ],
)
def test_settings_that_are_wrong_are_refused_by_their_names(
    api: httpx.Client, memory: Memory, wrong: dict[str, Any], field: str
) -> None:
    assert fields(api.put(f"/v1/shops/{memory.shop()}/routing", json=wrong)) == [field]


def test_warehouses_are_read_and_tracking_goes_on(connect: Any, api: httpx.Client, memory: Memory) -> None:
    shop_id = memory.shop()
    (warehouse,) = api.get(f"/v1/shops/{shop_id}/warehouses").json()["warehouses"]
    assert (warehouse["platform_warehouse_id"], warehouse["delivery_options"]) == ("73", ["Express"])
    assert api.post(f"/v1/shops/{shop_id}:resumeTracking").json()["shop_id"] == shop_id
    assert memory.request(orders_pb2.ResumeTrackingRequest).actor


def test_mappings_are_set_listed_and_forgotten(api: httpx.Client, memory: Memory) -> None:
    told = api.post("/v1/sku-mappings:batchSet", json={"mappings": [MAPPING, MAPPING | {"marketplace": "GB"}]}).json()
    assert (told["woken_orders"], told["mappings"][0]["parts"]) == (1, MAPPING["parts"])
    listed = api.get("/v1/sku-mappings", params={"marketplace": "GB", "text": "mat"}).json()
    assert [each["marketplace"] for each in listed["mappings"]] == ["GB"]
    assert memory.request(pb.ListSkuMappingsRequest).text == "mat"
    ids = [each["mapping_id"] for each in told["mappings"]]
    assert api.post("/v1/sku-mappings:batchDelete", json={"mapping_ids": ids}).json() == {"deleted": 2}
    (unmapped,) = api.get("/v1/unmapped-skus").json()["skus"]
    assert (unmapped["held_orders"], unmapped["suggestions"][0]["ground"]) == (3, "BARCODE")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"seller_sku": ""}, "mappings[0]"),
        ({"seller_sku": " MAT"}, "mappings[0].seller_sku"),
        ({"platform_sku_id": "1.7E+18"}, "mappings[0].platform_sku_id"),
        ({"marketplace": "us"}, "mappings[0].marketplace"),
        ({"parts": []}, "mappings[0].parts"),
        ({"parts": MAPPING["parts"] * 2}, "mappings[0]"),
    ],
)
def test_a_mapping_that_is_wrong_is_named(api: httpx.Client, wrong: dict[str, Any], field: str) -> None:
    assert fields(api.post("/v1/sku-mappings:batchSet", json={"mappings": [MAPPING | wrong]})) == [field]


def test_a_rule_is_added_once_changed_by_its_revision_and_taken_away(api: httpx.Client, memory: Memory) -> None:
    made = api.post("/v1/routing-rules", json=rule(), headers={"Idempotency-Key": "k"})
    assert (made.status_code, made.json()["condition"]) == (201, rule()["condition"])
    again = api.post("/v1/routing-rules", json=rule(), headers={"Idempotency-Key": "k"})
    assert again.json() == made.json()
    path = f"/v1/routing-rules/{made.json()['rule_id']}"
    changed = api.put(path, json=rule(is_on=False, end_time="2027-03-01T00:00:00+01:00", revision=1)).json()
    assert (changed["is_on"], changed["end_time"], changed["revision"]) == (False, "2027-02-28T23:00:00Z", 2)
    assert_is_problem(api.put(path, json=rule(revision=1)), 409, "RULE_CHANGED")
    assert [each["rule_id"] for each in api.get("/v1/routing-rules").json()["rules"]] == [made.json()["rule_id"]]
    assert api.delete(path).status_code == 204
    assert api.get("/v1/routing-rules").json()["rules"] == []


def test_a_fact_that_is_unknown_is_named_where_rest_has_it(api: httpx.Client) -> None:
    condition = {"all": [{"fact": "moon", "operator": "EQUALS", "values": ["full"]}]}
    refused = api.post("/v1/routing-rules", json=rule(condition=condition))
    assert fields(refused) == ["condition.all[0].fact"]


NESTED: Any = {"fact": "units", "operator": "MORE_THAN", "values": ["1"]}
for _ in range(10):
    NESTED = {"not": NESTED}


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"fakt": "units"}, "CONDITION_UNKNOWN"),
        ({}, "CONDITION_UNKNOWN"),
        ({"all": [], "any": []}, "EXTRA_FORBIDDEN"),
        ({"fact": "units", "operator": "ABOVE", "values": ["1"]}, "LITERAL_ERROR"),
        (NESTED, "TOO_DEEP"),
    ],
)
def test_a_condition_that_is_none_is_refused(api: httpx.Client, condition: Any, reason: str) -> None:
    refused = api.post("/v1/routing-rules", json=rule(condition=condition))
    assert [each["reason"] for each in refused.json()["field_violations"]] == [reason]


def test_a_draft_is_tried_on_an_order_and_changes_nothing(api: httpx.Client, memory: Memory) -> None:
    order_id = memory.fulfillment.order()
    decided = api.post(f"/v1/orders/{order_id}:testRouting", json={"draft": rule()}).json()
    assert (decided["kind"], decided["trace"][0]["name"]) == ("HOLD", "Unmapped SKUs")
    asked = memory.request(pb.TestRoutingRequest)
    assert asked.draft.condition.all.conditions[0].test.operator == pb.OPERATOR_MORE_THAN
    assert getattr(asked.draft.condition.all.conditions[1], "not").test.values == ["TN", "KY"]
    assert memory.fulfillment.rules == {}
    api.post(f"/v1/orders/{order_id}:testRouting", json={}).raise_for_status()
    assert not memory.request(pb.TestRoutingRequest).HasField("draft")
