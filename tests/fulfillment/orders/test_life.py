"""The life of orders, from TikTok Shop's sandbox to Amazon's."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from reelroute.fulfillment.v1 import orders_pb2 as pb

from services.fulfillment.merchants import merchant_store
from services.fulfillment.orders import order_store
from services.fulfillment.shipping import shipment_store
from tests.fulfillment.orders.life import SELLER, OrderStage
from tests.fulfillment.stage import WORKSPACE


def test_an_order_is_taken_in_decided_and_at_amazon(life: OrderStage) -> None:
    bought = life.buy(quantity=3)
    taken = life.take_in()
    assert (taken.orders, taken.new_orders) == (1, 1)
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    (shipment,) = life.shipments(bought)
    assert shipment.fulfillment_order_id == f"TTS-{bought}-1"
    assert shipment.state == pb.SHIPMENT_STATE_SUBMITTED
    (there,) = life.at_amazon()
    assert there["id"] == f"TTS-{bought}-1"
    assert life.stock()["in_flight"] == 3
    assert life.events(bought) == ["order.imported", "order.routed", "shipment.submitted"]


def test_an_order_that_is_known_costs_no_second_look(life: OrderStage) -> None:
    bought = life.buy()
    life.take_in()
    life.go()
    attempts = life.rows("SELECT attempt FROM orders")
    for _ in range(3):
        assert life.take_in().orders == 0
        life.go()
    assert life.rows("SELECT attempt FROM orders") == attempts
    assert life.events(bought).count("order.imported") == 1


def test_orders_from_before_the_routing_was_switched_on_are_not_taken_in(life: OrderStage) -> None:
    # The sandbox has dozens of them, open ones too.
    assert life.take_in().new_orders == 0
    assert life.rows("SELECT 1 FROM orders") == []


def test_what_waits_at_tiktok_shop_waits_here_and_goes_on_by_itself(life: OrderStage) -> None:
    unpaid = life.buy(status="UNPAID")
    life.take_in()
    life.go()
    assert life.where(unpaid) == ("PENDING", "unpaid")
    life.tiktok_shop.control("POST", f"/tiktok_shop/orders/{unpaid}/advance")
    life.take_in()
    life.go()
    assert life.where(unpaid) == ("PENDING", "on_hold")
    assert life.at_amazon() == []
    life.tiktok_shop.control("POST", f"/tiktok_shop/orders/{unpaid}/advance")
    # Nobody tells of it: time does.
    life.hasten()
    life.go()
    life.hasten()
    life.take_in()
    life.go()
    assert life.where(unpaid) == ("ROUTED", "")


def test_what_is_not_ours_is_left_and_watched_to_its_end(life: OrderStage) -> None:
    left = life.buy(shipping_type="TIKTOK")
    life.take_in()
    life.go()
    assert life.where(left) == ("LEFT", "tiktok_shipping")
    for _ in range(3):
        life.tiktok_shop.control("POST", f"/tiktok_shop/orders/{left}/advance")
    life.take_in()
    life.go()
    assert life.where(left) == ("DELIVERED", "")
    assert life.rows("SELECT end_time IS NOT NULL AS ended FROM orders") == [{"ended": True}]


def test_a_held_order_has_one_reason_and_is_told_once(life: OrderStage) -> None:
    life.set_stock(0)
    bought = life.buy()
    life.take_in()
    life.go()
    for _ in range(2):
        life.hasten()
        life.rows("UPDATE orders SET next_time = now()")
        life.go()
    assert life.where(bought) == ("HELD", "insufficient_stock")
    assert [each.type for each in life.told()] == ["order.held"]
    order = life.order(bought)
    assert order.next_step
    assert order.who_can


def test_what_amazon_refuses_is_held_in_its_words_without_the_buyer(life: OrderStage) -> None:
    message = "The City Knoxville of Ingrid Rahimi at 4518 East Emory Road is not valid, nor is +18655550108."
    life.amazon.fault("createFulfillmentOrder", "error", status=400, code="InvalidInput", message=message)
    # The sandbox's usual buyer.
    bought = life.buy()
    life.take_in()
    life.go()
    assert life.where(bought) == ("HELD", "amazon_refused")
    order = life.order(bought)
    assert "is not valid" in order.reason_text
    told = order.reason_text + str(life.told()) + str(life.rows("SELECT text, attributes FROM order_events"))
    for personal in ("Ingrid", "Rahimi", "4518", "Emory", "Knoxville", "8655550108"):
        assert personal not in told
    assert life.stock()["reserved"] == life.stock()["in_flight"] == 0
    (shipment,) = life.shipments(bought)
    assert (shipment.state, shipment.problem) == (pb.SHIPMENT_STATE_FAILED, "amazon_refused")


def test_what_amazon_takes_and_then_cannot_send_is_held_and_another_try_is_another_id(life: OrderStage) -> None:
    for fate, reason in (("invalid", "amazon_invalid"), ("unfulfillable", "amazon_unfulfillable")):
        bought = life.buy()
        life.amazon.control("POST", "/amazon_sp/fates", fate={"check": fate})
        life.take_in()
        life.go()
        settle_at_amazon(life, bought)
        assert life.where(bought) == ("HELD", reason)
        # Whatever else changes, it waits for a person.
        life.rows("UPDATE orders SET next_time = now()")
        life.go()
        assert life.where(bought) == ("HELD", reason)
        (outcome,) = life.stub.RetryOrders(about(life, bought, pb.RetryOrdersRequest), timeout=10).outcomes
        assert outcome.problem == ""
        life.go()
        assert life.where(bought) == ("ROUTED", "")
        assert [each.fulfillment_order_id for each in life.shipments(bought)] == [
            f"TTS-{bought}-1",
            f"TTS-{bought}-2",
        ]
        assert life.rows("SELECT count(*) AS n FROM reservations WHERE state = 'RELEASED'")[0]["n"] >= 1


def test_what_amazon_sends_in_part_holds_the_rest_for_a_person(life: OrderStage) -> None:
    life.route(fulfillment_policy="FILL_ALL_AVAILABLE")
    life.amazon.control("POST", "/amazon_sp/fates", fate={"short_units": 1})
    bought = life.buy(quantity=3)
    life.take_in()
    life.go()
    while life.at_amazon()[0]["status"] != "CompletePartialled":
        life.amazon.control("POST", f"/amazon_sp/orders/{SELLER}/TTS-{bought}-1/advance")
    follow(life, bought)
    life.go()
    assert life.where(bought) == ("HELD", "amazon_partly_sent")
    assert life.stock()["in_flight"] == 2
    life.stub.ReleaseOrders(about(life, bought, pb.ReleaseOrdersRequest), timeout=10)
    life.go()
    first, rest = life.shipments(bought)
    assert [sum(item.quantity for item in each.items) for each in (first, rest)] == [2, 1]
    assert life.where(bought) == ("ROUTED", "")


def test_a_lost_merchant_holds_orders_which_go_on_by_themselves_when_it_is_back(life: OrderStage) -> None:
    life.amazon.control("POST", f"/amazon_sp/sellers/{SELLER}/revoke")
    bought = life.buy()
    life.take_in()
    life.go()
    assert life.where(bought) == ("HELD", "merchant_authorization_lost")
    token = life.amazon.control("POST", f"/amazon_sp/sellers/{SELLER}/grant")["refresh_token"]
    life.merchants.connect(refresh_token=token)
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    assert len(life.at_amazon()) == 1


def test_a_merchant_that_does_not_answer_holds_nothing_and_is_asked_again(life: OrderStage) -> None:
    life.amazon.settings(outage="error")
    bought = life.buy()
    life.take_in()
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    life.amazon.settings(outage="off")
    life.hasten()
    life.go()
    (shipment,) = life.shipments(bought)
    assert shipment.state == pb.SHIPMENT_STATE_SUBMITTED
    assert len(life.at_amazon()) == 1


def test_orders_are_previewed_where_the_shop_wishes_it(life: OrderStage) -> None:
    life.route(preview_orders=True, default_speed="EXPEDITED", speeds={})
    bought = life.buy()
    life.take_in()
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    assert life.amazon.calls("getFulfillmentPreview") == 1
    (row,) = life.rows("SELECT decision->'facts' AS facts FROM orders")
    assert row["facts"]["fee"]
    assert life.shipments(bought)[0].speed == 2


def test_the_truth_comes_back_and_the_order_has_an_end(life: OrderStage) -> None:
    bought = life.buy()
    life.take_in()
    life.go()
    name = f"TTS-{bought}-1"
    while life.at_amazon()[0]["status"] != "Complete":
        life.amazon.control("POST", f"/amazon_sp/orders/{SELLER}/{name}/advance")
    life.rows("UPDATE merchants SET orders_due_time = now()")
    while life.following.run_once():
        pass
    life.go()
    (shipment,) = life.shipments(bought)
    assert shipment.state == pb.SHIPMENT_STATE_SHIPPED
    # TikTok Shop does not know its number yet.
    assert life.where(bought) == ("ROUTED", "")
    while life.telling.run_once():
        pass
    life.go()
    assert life.where(bought) == ("SHIPPED", "")
    life.take_in()
    life.go()
    for _ in range(2):
        life.tiktok_shop.control("POST", f"/tiktok_shop/orders/{bought}/advance")
    life.take_in()
    life.go()
    assert life.where(bought) == ("DELIVERED", "")
    assert life.rows("SELECT end_time IS NOT NULL AND next_time IS NULL AS ended FROM orders") == [{"ended": True}]


def test_orders_from_while_the_routing_was_off_are_not_taken_in_afterwards(life: OrderStage) -> None:
    life.take_in()
    life.route(is_on=False)
    life.rows("UPDATE shop_routings SET update_time = now()")
    missed = life.buy()
    time.sleep(1.1)  # TikTok Shop's times are whole seconds
    life.route()
    taken = life.buy()
    assert life.take_in().new_orders == 1
    assert missed not in str(life.rows("SELECT platform_order_id FROM orders"))
    assert life.order(taken)


def test_an_order_that_cannot_be_worked_on_holds_up_no_other(life: OrderStage) -> None:
    broken, whole = life.buy(), life.buy()
    life.take_in()
    life.rows("UPDATE orders SET sealed_address = 'x' WHERE platform_order_id = :id", id=broken)
    life.go()
    assert life.where(whole) == ("ROUTED", "")
    assert life.where(broken) == ("PENDING", "")
    assert life.order(broken).HasField("next_time")


def test_an_order_that_tiktok_shop_no_longer_tells_is_not_sent(life: OrderStage) -> None:
    bought = life.buy()
    life.take_in()
    life.rows("UPDATE orders SET platform_order_id = '576000000000000001'")
    life.rows("UPDATE orders SET facts = jsonb_set(facts, '{platform_order_id}', '\"576000000000000001\"')")
    life.go()
    assert life.at_amazon() == []
    assert bought


def test_a_routing_that_is_off_sends_nothing(life: OrderStage) -> None:
    bought = life.buy()
    life.take_in()
    life.route(is_on=False)
    life.go()
    assert (life.where(bought), life.at_amazon()) == (("PENDING", ""), [])


def settle_at_amazon(life: OrderStage, bought: str) -> None:
    """Amazon checks an order, and what came of it is followed."""
    name = f"TTS-{bought}-1"
    life.amazon.control("POST", f"/amazon_sp/orders/{SELLER}/{name}/advance")
    follow(life, bought)
    life.go()


def follow(life: OrderStage, bought: str, number: int = 0) -> None:
    order_id = UUID(life.order(bought).order_id)
    with life.database.transaction(WORKSPACE) as tx:
        shipment = shipment_store.read_shipments(tx, WORKSPACE, order_id)[number]
        merchant = merchant_store.read_merchant(tx, WORKSPACE, shipment.merchant_id)
    found = life.merchants.calls.ask(merchant, lambda amazon: amazon.outbound.get(shipment.fulfillment_order_id))
    with life.database.transaction(WORKSPACE) as tx:
        order_store.read_order(tx, WORKSPACE, order_id, for_update=True)
        shipment_store.set_amazon_status(tx, shipment, found)
        order_store.wake(tx, WORKSPACE, [order_id])


def about(life: OrderStage, bought: str, kind: Any, **more: Any) -> Any:
    """A request about one order."""
    return kind(workspace_id=str(WORKSPACE), order_ids=[life.order(bought).order_id], actor="key-1", **more)
