"""Changes and cancellations, by whoever and at whatever moment."""

from __future__ import annotations

from reelroute.fulfillment.v1 import orders_pb2 as pb

from services.fulfillment.merchants import merchant_store
from tests.fulfillment.orders.life import SELLER, OrderStage
from tests.fulfillment.orders.test_life import about, follow
from tests.fulfillment.stage import WORKSPACE

OUT_OF_STOCK = "seller_cancel_reason_out_of_stock"
NO_NEED = "ecom_order_to_ship_canceled_reason_no_need"
HUNTER = {
    "first_name": "Nadia",
    "last_name": "Halloran",
    "phone_number": "(+1)5185550116",
    "line1": "7965 Main Street",
    "city": "Hunter",
    "county": "Greene",
    "state": "NY",
    "postal_code": "12442",
}


def routed(life: OrderStage) -> str:
    bought = life.buy()
    life.take_in()
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    return bought


def request_cancel(life: OrderStage, bought: str) -> str:
    path = f"/tiktok_shop/orders/{bought}/request-cancel"
    return str(life.tiktok_shop.control("POST", path, reason=NO_NEED)["id"])


def statuses(life: OrderStage) -> dict[str, str]:
    return {each["id"]: each["status"] for each in life.at_amazon()}


def pick(life: OrderStage, bought: str) -> None:
    """Amazon begins to pick it: from here on it cannot be canceled."""
    while statuses(life)[f"TTS-{bought}-1"] != "Processing":
        life.amazon.control("POST", f"/amazon_sp/orders/{SELLER}/TTS-{bought}-1/advance")


def test_a_wish_to_cancel_before_it_is_sent_holds_it_and_its_end_lets_it_go(life: OrderStage) -> None:
    bought = life.buy()
    case = request_cancel(life, bought)
    life.take_in()
    life.go()
    assert life.where(bought) == ("HELD", "cancel_requested")
    life.tiktok_shop.control("POST", f"/tiktok_shop/cases/{case}/withdraw")
    life.take_in()
    life.go()
    assert life.where(bought) == ("ROUTED", "")


def test_a_wish_that_comes_while_it_is_just_to_be_sent_is_seen(life: OrderStage) -> None:
    bought = life.buy()
    life.take_in()
    # Nobody tells of it; the order is read right before it is sent.
    request_cancel(life, bought)
    life.go()
    assert (life.where(bought), life.at_amazon()) == (("HELD", "cancel_requested"), [])


def test_a_wish_after_it_was_sent_is_followed_at_amazon_and_withdrawn_it_goes_again(life: OrderStage) -> None:
    bought = routed(life)
    case = request_cancel(life, bought)
    life.take_in()
    life.go()
    assert life.where(bought) == ("HELD", "cancel_requested")
    assert statuses(life) == {f"TTS-{bought}-1": "Cancelled"}
    assert life.stock()["in_flight"] == 0
    life.tiktok_shop.control("POST", f"/tiktok_shop/cases/{case}/withdraw")
    life.take_in()
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    assert statuses(life)[f"TTS-{bought}-2"] != "Cancelled"


def test_what_amazon_can_no_longer_stop_is_told_and_goes_on(life: OrderStage) -> None:
    bought = routed(life)
    pick(life, bought)
    request_cancel(life, bought)
    life.take_in()
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    assert [each.type for each in life.told()] == ["order.canceled_too_late"]
    calls = life.amazon.calls("cancelFulfillmentOrder")
    life.rows("UPDATE orders SET next_time = now()")
    life.go()
    # It is not asked again.
    assert life.amazon.calls("cancelFulfillmentOrder") == calls == 1
    assert life.stock()["in_flight"] == 1


def test_an_order_canceled_at_tiktok_shop_is_canceled_at_amazon(life: OrderStage) -> None:
    bought = routed(life)
    life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest, platform_reason=OUT_OF_STOCK), timeout=10)
    life.go()
    assert life.where(bought) == ("CANCELED", "")
    assert life.order(bought).platform_status == "CANCELLED"
    assert statuses(life) == {f"TTS-{bought}-1": "Cancelled"}
    assert life.rows("SELECT end_time IS NOT NULL AS ended FROM orders") == [{"ended": True}]
    # Whoever wishes it again changes nothing.
    life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest, platform_reason=OUT_OF_STOCK), timeout=10)
    life.go()
    assert life.tiktok_shop.calls("cancel") == 1


def test_a_lost_answer_to_a_cancellation_cancels_once(life: OrderStage) -> None:
    bought = routed(life)
    life.tiktok_shop.fault("cancel", "lost_reply")
    life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest, platform_reason=OUT_OF_STOCK), timeout=10)
    life.go()
    life.hasten()
    life.go()
    assert life.where(bought) == ("CANCELED", "")
    assert life.tiktok_shop.calls("cancel") == 1


def test_a_cancellation_that_tiktok_shop_refuses_holds_the_order_with_nothing_sent(life: OrderStage) -> None:
    bought = routed(life)
    life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest, platform_reason="no_such_reason"), timeout=10)
    life.go()
    assert life.where(bought) == ("HELD", "platform_cancel_refused")
    assert statuses(life) == {f"TTS-{bought}-1": "Cancelled"}
    life.stub.RetryOrders(about(life, bought, pb.RetryOrdersRequest), timeout=10)
    life.go()
    assert life.where(bought) == ("ROUTED", "")


def test_a_cancellation_without_a_reason_is_amazons_alone(life: OrderStage) -> None:
    bought = routed(life)
    life.stub.CancelOrders(about(life, bought, pb.CancelOrdersRequest), timeout=10)
    life.go()
    assert life.where(bought) == ("CANCELED", "")
    assert life.order(bought).platform_status == "AWAITING_SHIPMENT"


def test_an_address_that_changes_just_before_it_is_sent_is_the_one_that_it_goes_to(life: OrderStage) -> None:
    bought = life.buy()
    life.take_in()
    life.tiktok_shop.control("POST", f"/tiktok_shop/orders/{bought}/address", **HUNTER)
    life.go()
    (there,) = life.at_amazon()
    assert there["request"]["destinationAddress"]["addressLine1"] == "7965 Main Street"


def test_an_address_that_changes_afterwards_is_a_new_order_at_amazon(life: OrderStage) -> None:
    bought = routed(life)
    life.tiktok_shop.control("POST", f"/tiktok_shop/orders/{bought}/address", **HUNTER)
    life.take_in()
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    found = {each["id"]: each for each in life.at_amazon()}
    assert found[f"TTS-{bought}-1"]["status"] == "Cancelled"
    there = found[f"TTS-{bought}-2"]["request"]["destinationAddress"]
    assert (there["addressLine1"], there["stateOrRegion"]) == ("7965 Main Street", "NY")


def test_an_address_that_changes_too_late_is_told(life: OrderStage) -> None:
    bought = routed(life)
    pick(life, bought)
    life.tiktok_shop.control("POST", f"/tiktok_shop/orders/{bought}/address", **HUNTER)
    life.take_in()
    life.go()
    assert life.where(bought) == ("ROUTED", "")
    assert [each.type for each in life.told()] == ["order.changed_too_late"]


def test_what_somebody_cancels_at_amazon_is_held(life: OrderStage) -> None:
    bought = routed(life)
    life.amazon.control("POST", f"/amazon_sp/orders/{SELLER}/TTS-{bought}-1/advance")
    cancel_in_seller_central(life, bought)
    follow(life, bought)
    life.go()
    assert life.where(bought) == ("HELD", "amazon_canceled")


def cancel_in_seller_central(life: OrderStage, bought: str) -> None:
    with life.database.transaction(WORKSPACE) as tx:
        merchant = merchant_store.read_merchant(tx, WORKSPACE, life.merchant_id)
    life.merchants.calls.ask(merchant, lambda amazon: amazon.outbound.cancel(f"TTS-{bought}-1"))
