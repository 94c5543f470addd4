"""What people and buyers do while an order is half on its way: nothing is sent twice, or unseen."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import pytest
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1 import routing_pb2

from services.fulfillment.orders import personal_store
from tests.fulfillment.orders.life import SLEEVES_SKU, OrderStage
from tests.fulfillment.orders.test_canceling import HUNTER, pick, routed, statuses
from tests.fulfillment.orders.test_life import about
from tests.fulfillment.stage import WORKSPACE


def planned(life: OrderStage) -> str:
    """An order whose shipment waits: Amazon wanted fewer calls."""
    bought = life.buy()
    life.amazon.fault("createFulfillmentOrder", "rate_limit")
    life.take_in()
    life.work.run_once()
    assert [each.state for each in life.shipments(bought)] == [pb.SHIPMENT_STATE_PLANNED]
    return bought


def test_r27_what_is_left_to_the_seller_while_its_shipment_waits_is_not_sent_by_amazon_too(life: OrderStage) -> None:
    bought = planned(life)
    (outcome,) = life.stub.LeaveOrders(about(life, bought, pb.LeaveOrdersRequest), timeout=10).outcomes
    assert outcome.problem == ""
    life.hasten()
    life.go()
    assert life.where(bought) == ("LEFT", "left_by_hand")
    assert life.at_amazon() == []
    assert life.stock()["reserved"] == 0


def test_what_is_chosen_by_hand_while_a_shipment_waits_is_what_is_sent(life: OrderStage) -> None:
    bought = planned(life)
    life.stub.RouteOrder(
        pb.RouteOrderRequest(
            workspace_id=str(WORKSPACE),
            order_id=life.order(bought).order_id,
            items=[routing_pb2.SkuPart(amazon_sku=SLEEVES_SKU, quantity=2)],
        ),
        timeout=10,
    )
    life.hasten()
    life.go()
    (there,) = life.at_amazon()
    assert [each["quantity"] for each in there["request"]["items"]] == [2]
    assert (life.stock()["reserved"], life.stock()["in_flight"]) == (0, 2)


def test_r27_what_was_created_and_is_seen_late_is_canceled_with_its_order(life: OrderStage) -> None:
    life.amazon.settings(visible_seconds=1.5)
    bought = life.buy()
    life.amazon.fault("createFulfillmentOrder", "lost_reply")
    life.take_in()
    life.work.run_once()
    life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest), timeout=10)
    for _ in range(12):
        time.sleep(0.4)
        life.hasten()
        life.go()
        if life.where(bought)[0] == "CANCELED":
            break
    assert statuses(life) == {f"TTS-{bought}-1": "Cancelled"}
    assert life.where(bought) == ("CANCELED", "")


def test_an_address_that_changes_to_one_that_amazon_cannot_take_stops_what_goes_to_the_old_one(
    life: OrderStage,
) -> None:
    bought = routed(life)
    nowhere = HUNTER | {"postal_code": "99501"}
    life.tiktok_shop.control("POST", f"/tiktok_shop/orders/{bought}/address", **nowhere)
    life.take_in()
    life.go()
    assert statuses(life) == {f"TTS-{bought}-1": "Cancelled"}
    assert life.where(bought) == ("HELD", "zip_state_mismatch")


@pytest.mark.parametrize("is_sent", [True, False])
def test_an_order_that_is_erased_on_its_way_can_still_be_canceled(life: OrderStage, is_sent: bool) -> None:
    bought = routed(life) if is_sent else planned(life)
    with life.database.transaction(WORKSPACE) as tx:
        found = personal_store.read_recipient(tx, WORKSPACE, UUID(life.order(bought).order_id))
        personal_store.erase(tx, [found], "180 days.", "")
    life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest), timeout=10)
    life.hasten()
    life.go()
    assert life.where(bought) == ("CANCELED", "")
    assert set(statuses(life).values()) <= {"Cancelled"}


def test_an_order_that_is_erased_before_it_was_sent_is_held_and_no_error(life: OrderStage) -> None:
    bought = planned(life)
    with life.database.transaction(WORKSPACE) as tx:
        found = personal_store.read_recipient(tx, WORKSPACE, UUID(life.order(bought).order_id))
        personal_store.erase(tx, [found], "180 days.", "")
    life.hasten()
    life.go()
    assert life.where(bought) == ("HELD", "address_unusable")
    assert life.at_amazon() == []


def given_up_and_created_late(life: OrderStage, bought: str) -> None:
    """As if a process had stood still between its commit and its call until everybody had given it up."""
    late = life.at_amazon()[0]["request"]
    life.rows("UPDATE shipments SET amazon_status = '', amazon_update_time = NULL, state = 'CANCELED'")
    life.rows("UPDATE reservations SET state = 'RELEASED'")
    life.rows("UPDATE stock SET in_flight = 0 WHERE amazon_sku = :sku", sku=SLEEVES_SKU)
    assert late["sellerFulfillmentOrderId"] == f"TTS-{bought}-1"


@pytest.mark.parametrize("state", ["CANCELED", "LEFT"])
def test_r27_what_comes_to_light_at_amazon_after_it_was_given_up_is_canceled(life: OrderStage, state: str) -> None:
    bought = routed(life)
    given_up_and_created_late(life, bought)
    choose: dict[str, Callable[[], object]] = {
        "CANCELED": lambda: life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest), timeout=10),
        "LEFT": lambda: life.stub.LeaveOrders(about(life, bought, pb.LeaveOrdersRequest), timeout=10),
    }
    choose[state]()
    life.go()
    assert life.where(bought)[0] == state
    assert set(statuses(life).values()) & {"New", "Received"}
    life.following.run_once()
    assert life.stock()["in_flight"] == 1
    life.go()
    assert set(statuses(life).values()) == {"Cancelled"}
    assert life.where(bought)[0] == state
    assert (life.stock()["reserved"], life.stock()["in_flight"]) == (0, 0)
    assert "shipment.found" in life.events(bought)


def test_r27_of_two_that_are_at_amazon_for_the_same_units_one_is_canceled(life: OrderStage) -> None:
    bought = routed(life)
    given_up_and_created_late(life, bought)
    life.stub.RetryOrders(about(life, bought, pb.RetryOrdersRequest), timeout=10)
    life.rows("UPDATE orders SET next_time = now()")
    life.go()
    assert len(statuses(life)) == 2
    life.following.run_once()
    life.go()
    assert sorted(status == "Cancelled" for status in statuses(life).values()) == [False, True]
    assert life.where(bought) == ("ROUTED", "")
    assert life.stock()["in_flight"] == 1
    # And a second round finds nothing more to do.
    life.following.run_once()
    life.go()
    assert sorted(status == "Cancelled" for status in statuses(life).values()) == [False, True]


def test_what_came_to_light_and_cannot_be_stopped_is_told_to_people(life: OrderStage) -> None:
    bought = routed(life)
    pick(life, bought)
    given_up_and_created_late(life, bought)
    life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest), timeout=10)
    life.go()
    assert life.where(bought) == ("CANCELED", "")
    life.following.run_once()
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    assert [each.type for each in life.told()] == ["order.canceled_too_late"]
