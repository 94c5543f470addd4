"""The shop's agent over real gRPC: what it asks of fulfillment, and what it gives."""
# ruff: noqa: N802 - the methods are named by the protos

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from reelroute.content.v1 import agents_pb2 as pb
from reelroute.content.v1 import agents_pb2_grpc
from reelroute.fulfillment.v1 import fulfillment_pb2 as shop
from reelroute.fulfillment.v1 import fulfillment_pb2_grpc
from reelroute.scheduler.v1 import plans_pb2, plans_pb2_grpc

from kit.errors import FailedPrecondition, InvalidArgument, NotFound
from kit.rpc_status import from_rpc_error
from services.content.agent_api import AgentApi
from services.content.agents.proposing import File
from services.content.agents.tiktok_shop import TikTokShopAgent
from tests.services import served

WORKSPACE, SHOP = str(uuid4()), str(uuid4())
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class FakeFulfillment(fulfillment_pb2_grpc.FulfillmentServiceServicer):
    """One shop with products and orders, and a memory of what was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.products = [
            shop.Product(
                product_id=str(uuid4()),
                platform_product_id=f"17{n:03}",
                title=f"Deck Box {n}",
                status="ACTIVATE",
                skus=[shop.Sku(price=shop.Money(currency="USD", minor_units=2400 + n), available_quantity=n)],
            )
            for n in range(250)
        ]
        self.numbers_are_allowed = True

    def SyncCatalogue(
        self, request: shop.SyncCatalogueRequest, context: grpc.ServicerContext
    ) -> shop.SyncCatalogueResponse:
        self.asked.append(request)
        return shop.SyncCatalogueResponse(products=7)

    def ListProducts(
        self, request: shop.ListProductsRequest, context: grpc.ServicerContext
    ) -> shop.ListProductsResponse:
        self.asked.append(request)
        start = int(request.page_token or 0)
        end = start + request.page_size
        more = str(end) if end < len(self.products) else ""
        return shop.ListProductsResponse(products=self.products[start:end], next_page_token=more)

    def ListShopOrders(
        self, request: shop.ListShopOrdersRequest, context: grpc.ServicerContext
    ) -> shop.ListShopOrdersResponse:
        self.asked.append(request)
        total = shop.Money(currency="USD", minor_units=1234)
        order = shop.ShopOrder(platform_order_id="576461413038785752", status="AWAITING_SHIPMENT", total=total)
        order.create_time.FromDatetime(NOW)
        return shop.ListShopOrdersResponse(orders=[order])

    def ListProductNumbers(
        self, request: shop.ListProductNumbersRequest, context: grpc.ServicerContext
    ) -> shop.ListProductNumbersResponse:
        self.asked.append(request)
        if not self.numbers_are_allowed:
            raise FailedPrecondition("The seller did not grant its numbers.", code_reason="SHOP_SCOPE_MISSING")
        sold = shop.ProductNumbers(platform_product_id="17003", units_sold=12)
        return shop.ListProductNumbersResponse(products=[sold])


class FakePlans(plans_pb2_grpc.PlanServiceServicer):
    """The channel air has a plan with free slots; no other has one."""

    def ListSlots(
        self, request: plans_pb2.ListSlotsRequest, context: grpc.ServicerContext
    ) -> plans_pb2.ListSlotsResponse:
        if request.channel != "air":
            raise NotFound("The channel has no plan. Make one.", code_reason="PLAN_NOT_FOUND")
        times = plans_pb2.LocalTimes(local_time="2026-11-29T08:00:00", time_zone="America/New_York")
        return plans_pb2.ListSlotsResponse(slots=[plans_pb2.SlotTime(times=times)])


@pytest.fixture
def fulfillment() -> FakeFulfillment:
    return FakeFulfillment()  # type: ignore[abstract]


@pytest.fixture
def stub(fulfillment: FakeFulfillment) -> Iterator[agents_pb2_grpc.AgentServiceStub]:
    def files(workspace_id: UUID, most: int) -> list[File]:
        assert str(workspace_id) == WORKSPACE
        return [File("3f", "Deck box 3.mp4")]

    others = (
        (fulfillment_pb2_grpc.add_FulfillmentServiceServicer_to_server, fulfillment),
        (plans_pb2_grpc.add_PlanServiceServicer_to_server, FakePlans()),  # type: ignore[abstract]
    )
    with served(*others) as channel:
        agent = TikTokShopAgent(channel, channel, files, now=lambda: NOW)
        with served((agents_pb2_grpc.add_AgentServiceServicer_to_server, AgentApi([agent]))) as own:
            yield agents_pb2_grpc.AgentServiceStub(own)


def use(stub: agents_pb2_grpc.AgentServiceStub, skill: str, agent: str = "tiktok_shop", **arguments: Any) -> Any:
    told = struct_pb2.Struct()
    told.update({"shop_id": SHOP} | arguments)
    request = pb.UseSkillRequest(workspace_id=WORKSPACE, agent=agent, skill=skill, arguments=told)
    try:
        answer = stub.UseSkill(request, timeout=10)
    except grpc.RpcError as error:
        raise from_rpc_error(error) from None
    return json_format.MessageToDict(answer.result)


def test_agents_are_listed_with_their_skills_and_what_these_need_to_be_told(
    stub: agents_pb2_grpc.AgentServiceStub,
) -> None:
    (agent,) = stub.ListAgents(pb.ListAgentsRequest(), timeout=10).agents
    assert [each.name for each in agent.skills] == ["fetch_analytics", "fetch_orders", "propose_posts", "sync_products"]
    for skill in agent.skills:
        schema = json_format.MessageToDict(skill.arguments_schema)
        assert "shop_id" in schema["required"]
        assert schema["additionalProperties"] is False


def test_products_are_synced_and_orders_fetched_in_fulfillments_words(
    stub: agents_pb2_grpc.AgentServiceStub, fulfillment: FakeFulfillment
) -> None:
    assert use(stub, "sync_products", everything=True)["products"] == 7
    orders = use(stub, "fetch_orders", status="AWAITING_SHIPMENT", from_time="2026-11-01T00:00:00+01:00")["orders"]
    assert orders[0]["platform_order_id"] == "576461413038785752"
    assert orders[0]["total"] == {"currency": "USD", "minor_units": "1234"}
    assert orders[0]["create_time"] == "2026-11-28T12:00:00Z"
    sync, fetch = fulfillment.asked
    assert isinstance(sync, shop.SyncCatalogueRequest)
    assert (sync.shop_id, sync.everything) == (SHOP, True)
    assert isinstance(fetch, shop.ListShopOrdersRequest)
    assert (fetch.workspace_id, fetch.status) == (WORKSPACE, "AWAITING_SHIPMENT")
    assert fetch.from_time.ToJsonString() == "2026-10-31T23:00:00Z"


def test_analytics_are_fetched_for_the_days_that_are_asked_for(
    stub: agents_pb2_grpc.AgentServiceStub, fulfillment: FakeFulfillment
) -> None:
    found = use(stub, "fetch_analytics", of="PRODUCTS", start_date="2026-11-01", end_date="2026-11-08")
    assert found["products"][0]["units_sold"] == "12"
    (asked,) = fulfillment.asked
    assert isinstance(asked, shop.ListProductNumbersRequest)
    assert (asked.span.start_date, asked.span.end_date) == ("2026-11-01", "2026-11-08")


def test_posts_are_proposed_for_products_of_all_pages_with_files_and_slots(
    stub: agents_pb2_grpc.AgentServiceStub, fulfillment: FakeFulfillment
) -> None:
    found = use(stub, "propose_posts", channel="air", count=3)
    first, second, third = found["proposals"]
    assert [each["title"] for each in (first, second, third)] == ["Deck Box 3", "Deck Box 249", "Deck Box 248"]
    assert first["caption"] == "Deck Box 3\n24.03 USD."
    assert first["reason"] == "12 sold in 28 days, 3 in stock."
    assert first["media_asset_ids"] == ["3f"]
    assert (first["local_time"], first["time_zone"]) == ("2026-11-29T08:00:00", "America/New_York")
    assert "local_time" not in second, "there is one free slot"
    numbers = next(each for each in fulfillment.asked if isinstance(each, shop.ListProductNumbersRequest))
    assert (numbers.span.start_date, numbers.span.end_date) == ("2026-10-31", "2026-11-28")


def test_posts_are_proposed_without_numbers_and_without_a_plan_and_it_is_said(
    stub: agents_pb2_grpc.AgentServiceStub, fulfillment: FakeFulfillment
) -> None:
    fulfillment.numbers_are_allowed = False
    found = use(stub, "propose_posts", channel="water", count=1)
    assert found["proposals"][0]["reason"] == "249 in stock; what it sold is not known."
    assert [note.split(":")[0] for note in found["notes"][:2]] == [
        "What the products sold is not known",
        "No times are named",
    ]


def test_what_the_agent_is_refused_its_caller_is_refused(
    stub: agents_pb2_grpc.AgentServiceStub, fulfillment: FakeFulfillment
) -> None:
    fulfillment.numbers_are_allowed = False
    with pytest.raises(FailedPrecondition) as refused:
        use(stub, "fetch_analytics", of="PRODUCTS", start_date="2026-11-01", end_date="2026-11-08")
    assert refused.value.reason == "SHOP_SCOPE_MISSING"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"shop_id": "mine"}, "arguments.shop_id"),
        ({"count": 51}, "arguments.count"),
        ({"count": float("inf")}, "arguments"),
        ({"colour": "red"}, "arguments.colour"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(
    stub: agents_pb2_grpc.AgentServiceStub, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        use(stub, "propose_posts", **arguments)
    assert [each.field for each in refused.value.violations] == [field]
    assert refused.value.reason == "ARGUMENT_INVALID"


def test_times_without_an_offset_are_refused(stub: agents_pb2_grpc.AgentServiceStub) -> None:
    with pytest.raises(InvalidArgument) as refused:
        use(stub, "fetch_orders", from_time="2026-11-01T00:00:00")
    assert refused.value.reason == "ARGUMENT_INVALID"


def test_an_unknown_agent_or_skill_is_refused_with_those_that_there_are(
    stub: agents_pb2_grpc.AgentServiceStub,
) -> None:
    with pytest.raises(NotFound, match="tiktok_shop"):
        use(stub, "propose_posts", agent="blog")
    with pytest.raises(NotFound, match="propose_posts"):
        use(stub, "fly")
