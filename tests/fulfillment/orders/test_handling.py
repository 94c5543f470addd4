"""What people do with orders, each time with an event that names them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import grpc
import pytest
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1 import routing_pb2

from tests.fulfillment.orders.life import MAT, SLEEVES_SKU, TRAY, OrderStage
from tests.fulfillment.orders.test_canceling import routed
from tests.fulfillment.orders.test_life import about
from tests.fulfillment.stage import WORKSPACE
from tests.fulfillment.test_connecting import refused

NOWHERE = {"first_name": "Nadia", "last_name": "Halloran", "line1": "7965 Main Street", "city": "Hunter", "state": "XX"}


def held(life: OrderStage, **more: Any) -> str:
    bought = life.buy(**more)
    life.take_in()
    life.go()
    assert life.where(bought)[0] == "HELD"
    return bought


def one(life: OrderStage, bought: str, kind: Any, **more: Any) -> Any:
    return kind(workspace_id=str(WORKSPACE), order_id=life.order(bought).order_id, actor="key-1", **more)


def last_event(life: OrderStage, bought: str, kind: str) -> pb.OrderEvent:
    request = pb.ListOrderEventsRequest(workspace_id=str(WORKSPACE), order_id=life.order(bought).order_id)
    return [each for each in life.stub.ListOrderEvents(request, timeout=10).events if each.type == kind][-1]


def test_a_released_order_goes_on_although_its_reason_holds(life: OrderStage) -> None:
    bought = held(life, is_sample_order=True)
    assert life.where(bought) == ("HELD", "sample_order")
    for _ in range(2):
        (outcome,) = life.stub.ReleaseOrders(about(life, bought, pb.ReleaseOrdersRequest), timeout=10).outcomes
        assert outcome.problem == ""
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    assert last_event(life, bought, "order.released").actor == "key-1"
    assert life.events(bought).count("order.released") == 1


def test_what_cannot_be_passed_over_is_refused_order_by_order(life: OrderStage) -> None:
    firm, soft = held(life, address=NOWHERE), held(life, is_sample_order=True)
    request = about(life, firm, pb.ReleaseOrdersRequest)
    request.order_ids.extend([life.order(soft).order_id, str(uuid4())])
    answers = life.stub.ReleaseOrders(request, timeout=10).outcomes
    assert [each.problem for each in answers] == ["HOLD_NOT_PASSABLE", "", "ORDER_NOT_FOUND"]
    life.go()
    assert (life.where(firm)[0], life.where(soft)[0]) == ("HELD", "ROUTED")


def test_a_corrected_address_is_where_it_goes_and_only_the_given_fields_change(life: OrderStage) -> None:
    bought = held(life, address=NOWHERE | {"postal_code": "12442"})
    assert life.where(bought) == ("HELD", "state_unknown")
    given = pb.Recipient(state="NY")
    life.stub.CorrectOrder(one(life, bought, pb.CorrectOrderRequest, recipient=given), timeout=10)
    life.go()
    (there,) = life.at_amazon()
    address = there["request"]["destinationAddress"]
    assert (address["name"], address["addressLine1"], address["stateOrRegion"]) == (
        "Nadia Halloran",
        "7965 Main Street",
        "NY",
    )
    said = last_event(life, bought, "order.corrected")
    assert (said.text, said.actor) == ("Corrected: where it goes.", "key-1")
    # TikTok Shop still says what was wrong: read again, it changes nothing.
    life.rows("UPDATE orders SET told_hash = NULL")
    life.take_in()
    life.go()
    assert len(life.at_amazon()) == 1


def test_a_correction_that_does_not_help_is_refused_with_the_next_step(life: OrderStage) -> None:
    bought = held(life, address=NOWHERE | {"postal_code": "12442"})
    given = pb.Recipient(state="Nowhere")
    request = one(life, bought, pb.CorrectOrderRequest, recipient=given)
    code, reason, *_ = refused(lambda: life.stub.CorrectOrder(request, timeout=10))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ADDRESS_UNFIT")


def test_an_address_that_changes_at_tiktok_shop_counts_more_than_an_older_correction(life: OrderStage) -> None:
    life.set_stock(0)
    bought = held(life)
    life.stub.CorrectOrder(
        one(life, bought, pb.CorrectOrderRequest, recipient=pb.Recipient(lines=["1 Corrected Way"])), timeout=10
    )
    life.tiktok_shop.control(
        "POST", f"/tiktok_shop/orders/{bought}/address", **(NOWHERE | {"state": "NY", "postal_code": "12442"})
    )
    life.set_stock(5)
    life.take_in()
    life.go()
    (there,) = life.at_amazon()
    assert there["request"]["destinationAddress"]["addressLine1"] == "7965 Main Street"


def test_an_order_is_routed_by_hand_whatever_the_rules_say(life: OrderStage) -> None:
    bought = held(life, is_sample_order=True)
    items = [routing_pb2.SkuPart(amazon_sku=SLEEVES_SKU, quantity=2)]
    request = one(life, bought, pb.RouteOrderRequest, items=items, speed=routing_pb2.SPEED_EXPEDITED)
    life.stub.RouteOrder(request, timeout=10)
    life.go()
    (shipment,) = life.shipments(bought)
    assert [(each.amazon_sku, each.quantity) for each in shipment.items] == [(SLEEVES_SKU, 2)]
    assert shipment.speed == routing_pb2.SPEED_EXPEDITED
    # By hand or not, it is sent once.
    code, reason, *_ = refused(lambda: life.stub.RouteOrder(request, timeout=10))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_IS_ROUTED")


def test_an_order_that_is_left_by_hand_stays_left_until_it_is_tried_again(life: OrderStage) -> None:
    bought = held(life, is_sample_order=True)
    life.stub.LeaveOrders(about(life, bought, pb.LeaveOrdersRequest), timeout=10)
    life.go()
    assert life.where(bought) == ("LEFT", "left_by_hand")
    life.route(route_sample_orders=True)
    life.rows("UPDATE orders SET next_time = now()")
    life.go()
    assert life.where(bought) == ("LEFT", "left_by_hand")
    life.stub.RetryOrders(about(life, bought, pb.RetryOrdersRequest), timeout=10)
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    (outcome,) = life.stub.LeaveOrders(about(life, bought, pb.LeaveOrdersRequest), timeout=10).outcomes
    assert outcome.problem == "ORDER_IS_ROUTED"


def test_what_is_over_cannot_be_handled(life: OrderStage) -> None:
    bought = routed(life)
    life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest), timeout=10)
    life.go()
    for call, kind in (
        (life.stub.ReleaseOrders, pb.ReleaseOrdersRequest),
        (life.stub.RetryOrders, pb.RetryOrdersRequest),
    ):
        (outcome,) = call(about(life, bought, kind), timeout=10).outcomes
        assert outcome.problem == "ORDER_IS_OVER"


def test_held_orders_are_counted_by_reason_with_what_can_be_done(life: OrderStage) -> None:
    held(life, is_sample_order=True)
    held(life, is_sample_order=True)
    held(life, address=NOWHERE)
    request = pb.SummarizeHeldOrdersRequest(workspace_id=str(WORKSPACE), shop_id=str(life.shop.shop_id))
    reasons = life.stub.SummarizeHeldOrders(request, timeout=10).reasons
    assert (reasons[0].reason, reasons[0].orders, reasons[0].can_be_released) == ("sample_order", 2, True)
    assert len(reasons) == 2
    assert all(each.next_step and each.who_can and each.HasField("oldest_time") for each in reasons)


def test_nobody_else_sees_or_handles_the_orders_of_a_workspace(life: OrderStage) -> None:
    bought = held(life, is_sample_order=True)
    order_id = life.order(bought).order_id
    other = str(uuid4())
    gets = pb.GetOrderRequest(workspace_id=other, order_id=order_id)
    assert refused(lambda: life.stub.GetOrder(gets, timeout=10))[0] == grpc.StatusCode.NOT_FOUND
    releases = pb.ReleaseOrdersRequest(workspace_id=other, order_ids=[order_id])
    (outcome,) = life.stub.ReleaseOrders(releases, timeout=10).outcomes
    assert outcome.problem == "ORDER_NOT_FOUND"
    assert life.where(bought) == ("HELD", "sample_order")


@pytest.mark.parametrize("sku", [MAT, TRAY])
def test_bundles_and_plain_skus_go_as_the_map_says(life: OrderStage, sku: str) -> None:
    bought = life.buy(sku, quantity=2)
    life.take_in()
    life.go()
    (shipment,) = life.shipments(bought)
    assert sum(each.quantity for each in shipment.items) == 2
