"""The OpenAPI document, the reference made from it, and the gateway held to it by generated requests."""

from __future__ import annotations

import re
from typing import Any, get_args

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from pydantic import BaseModel
from reelroute.fulfillment.v1 import fulfillment_pb2, orders_pb2, routing_pb2
from reelroute.identity.v1 import identity_pb2
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import plans_pb2, scheduler_pb2, series_pb2
from reelroute.vendorcalls.v1 import vendorcalls_pb2
from schemathesis.checks import CHECKS

from services.gateway.app import build_app
from services.gateway.models import (
    accounts,
    channels,
    deliveries,
    drafts,
    holds,
    orders,
    plans,
    routing_rules,
    series,
    shop_routing,
    shops,
    vendor_calls,
    workspaces,
)
from services.gateway.models.fields import AnswerModel, RequestModel, models_of, words_of
from services.gateway.models.problems import Problem
from services.gateway.routes import health
from tests.gateway.conftest import Connect, configured
from tests.gateway.fakes import Memory
from tests.gateway.hub import Hub

DOCUMENT = build_app(configured()).openapi()
requests = schemathesis.openapi.from_dict(DOCUMENT)


def contents() -> list[Any]:
    """Every body and every answer of the document, with its place."""
    return [
        pytest.param(media_type, content, id=f"{method} {path} {place} {media_type}")
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        for place, part in {"body": operation.get("requestBody", {}), **operation["responses"]}.items()
        for media_type, content in part.get("content", {}).items()
    ]


def model(name: str) -> type[BaseModel]:
    """The class behind a schema of the document."""

    kinds: list[type[BaseModel]] = [Problem, *models_of(AnswerModel), *models_of(RequestModel)]
    (found,) = {each for each in kinds if each.__name__ == name}
    return found


def test_the_document_is_openapi() -> None:
    validate(DOCUMENT)


def test_words_of_requests_are_those_of_the_protos() -> None:
    assert list(get_args(workspaces.ScopeWord)) == words_of(identity_pb2.Scope, "SCOPE_")
    assert list(get_args(accounts.PlatformWord)) == words_of(publisher_pb2.Platform, "PLATFORM_")
    assert list(get_args(deliveries.StateWord)) == words_of(scheduler_pb2.DeliveryState, "DELIVERY_STATE_")
    assert list(get_args(deliveries.DecisionWord)) == words_of(scheduler_pb2.Decision, "DECISION_")
    assert list(get_args(holds.ScopeWord)) == words_of(scheduler_pb2.HoldScope, "HOLD_SCOPE_")
    # The last three are of deliveries and never of a hold.
    assert [*get_args(holds.CauseWord), "CRASHES", "APPROVAL", "CHOICE"] == words_of(
        scheduler_pb2.HoldCause, "HOLD_CAUSE_"
    )
    assert list(get_args(holds.DueActionWord)) == words_of(scheduler_pb2.DueAction, "DUE_ACTION_")
    assert list(get_args(channels.LateActionWord)) == words_of(scheduler_pb2.LateAction, "LATE_ACTION_")
    assert list(get_args(drafts.AmbiguousTimeWord)) == words_of(scheduler_pb2.AmbiguousTime, "AMBIGUOUS_TIME_")
    assert list(get_args(plans.WeekdayWord)) == words_of(plans_pb2.Weekday, "WEEKDAY_")
    assert list(get_args(plans.ActionWord)) == words_of(plans_pb2.DuplicateAction, "DUPLICATE_ACTION_")
    assert list(get_args(series.GapWord)) == words_of(series_pb2.GapRule, "GAP_RULE_")
    assert list(get_args(shops.SellerRegionWord)) == words_of(fulfillment_pb2.SellerRegion, "SELLER_REGION_")
    assert list(get_args(orders.StateWord)) == words_of(orders_pb2.OrderState, "ORDER_STATE_")
    assert list(get_args(shop_routing.SpeedWord)) == words_of(routing_pb2.Speed, "SPEED_")
    assert list(get_args(shop_routing.PolicyWord)) == words_of(routing_pb2.FulfillmentPolicy, "FULFILLMENT_POLICY_")
    assert list(get_args(routing_rules.OperatorWord)) == words_of(routing_pb2.Operator, "OPERATOR_")
    assert list(get_args(routing_rules.ActionWord)) == words_of(routing_pb2.ActionKind, "ACTION_KIND_")
    assert list(get_args(vendor_calls.OutcomeWord)) == words_of(
        vendorcalls_pb2.VendorCallOutcome, "VENDOR_CALL_OUTCOME_"
    )
    assert list(get_args(series.StateWord)) == words_of(series_pb2.SeriesState, "SERIES_STATE_")


@pytest.mark.parametrize(("media_type", "content"), contents())
def test_every_body_and_answer_has_an_example_that_keeps_its_own_rules(media_type: str, content: Any) -> None:
    if media_type == "multipart/form-data":
        assert content["example"]
        return
    if content["schema"].get("type") == "string":
        return  # a file
    for schema in content["schema"].get("anyOf", [content["schema"]]):
        name = schema["$ref"].rsplit("/", 1)[-1]
        (example,) = DOCUMENT["components"]["schemas"][name]["examples"]
        kind = model(name)
        assert kind.model_validate(example)
        # An example of a body need not name what it leaves at its default; one of an answer shows every field.
        if kind.model_config.get("extra") != "forbid" and kind is not Problem:
            assert set(example) == set(kind.model_fields)


def test_the_reference_shows_everything_and_asks_for_nothing_from_elsewhere(connect: Connect) -> None:
    page = connect().get("/docs")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page.text
        assert path in page.text
    for name in DOCUMENT["components"]["schemas"]:
        assert f'id="schema-{name}"' in page.text
    assert not re.search(r"<script|<link|<img|src=|@import|url\(", page.text)
    assert set(re.findall(r'href="([^#"][^"]*)"', page.text)) == {"/openapi.json"}
    # Every link inside the page leads somewhere.
    assert set(re.findall(r'href="#([^"]+)"', page.text)) <= set(re.findall(r'id="([^"]+)"', page.text))
    assert connect().get("/openapi.json").json() == DOCUMENT


def test_health_is_not_behind_a_key() -> None:
    assert health.router.routes
    assert "security" not in DOCUMENT["paths"]["/readyz"]["get"]


@pytest.fixture(scope="module")
def everything(hub: Hub) -> str:
    """A key that may do everything, on services with one video, account, shop, product, merchant and order."""
    hub.memory = Memory()
    hub.memory.asset()
    hub.memory.account()
    hub.memory.product(hub.memory.shop())
    hub.memory.fulfillment.merchant()
    hub.memory.fulfillment.order()
    return hub.memory.key()


# A value that its schema allows may still be refused for what it means: an id that nothing has, a time zone that does
# not exist. That is said with 422, and is no fault.
EXCLUDED = [CHECKS.get_one("positive_data_acceptance")]
# A batch is taken although rows of it are refused: each has its own result.
EXCLUDED_OF_BATCHES = [*EXCLUDED, CHECKS.get_one("negative_data_rejection")]


@requests.parametrize()
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_generated_requests_are_answered_as_documented(case: Any, url: str, everything: str) -> None:
    answer = case.call(base_url=url, headers={"Authorization": f"Bearer {everything}"})
    is_batch = case.operation.path == "/v1/posts:batchCreate"
    case.validate_response(answer, excluded_checks=EXCLUDED_OF_BATCHES if is_batch else EXCLUDED)
    assert answer.status_code < 500
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"]


def test_the_key_of_the_generated_requests_is_good(url: str, everything: str) -> None:
    assert httpx.get(f"{url}/v1/workspace", headers={"Authorization": f"Bearer {everything}"}).status_code == 200
