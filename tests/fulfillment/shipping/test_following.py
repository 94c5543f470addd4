"""Following shipments at the sandbox's Amazon."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from services.fulfillment.shipping import guard
from services.fulfillment.shipping.domain import ShipmentState, TellState
from services.fulfillment.shipping.following import is_news, next_reading
from services.fulfillment.shipping.following_store import Known
from tests.fulfillment.shipping.stage import BLACK, CLEAR, TrackingStage, a_replica
from tests.fulfillment.shipping.worlds import NOW, a_shipment, an_order
from vendors.amazon_sp.outbound import FulfillmentOrder, OrderStatus


def test_a_shipment_is_followed_from_its_first_number_to_its_delivery(tracking: TrackingStage) -> None:
    order = tracking.place()
    tracking.advance(200)
    tracking.replica.follow()
    (package,) = tracking.packages(order)
    assert package.amazon_tracking_number.startswith("AFTN")
    assert (package.tracking_number, package.tell_state) == ("", TellState.DUE)
    tracking.advance(1_000)
    tracking.replica.follow()
    (package,) = tracking.packages(order)
    assert package.tracking_number
    (shipment,) = tracking.shipments(order)
    assert shipment.state is ShipmentState.SHIPPED
    tracking.advance(4 * 86_400)
    assert not tracking.replica.parcels.run_once()
    (package,) = tracking.packages(order)
    assert package.status == "DELIVERED"
    assert package.delivered_time is not None
    assert tracking.rows("SELECT track_due_time FROM packages") == [{"track_due_time": None}]
    assert [kind for kind in tracking.events(order) if kind.startswith("package.")] == [
        "package.numbered",
        "package.numbered",
        "package.delivered",
    ]


@pytest.mark.parametrize(
    ("fate", "state", "event"),
    [
        ({"check": "invalid"}, ShipmentState.FAILED, "shipment.failed"),
        ({"check": "unfulfillable"}, ShipmentState.FAILED, "shipment.failed"),
        ({}, ShipmentState.SHIPPED, "shipment.shipped"),
    ],
)
def test_the_end_that_amazon_names_is_the_shipment_s(
    tracking: TrackingStage, fate: dict[str, str], state: ShipmentState, event: str
) -> None:
    order = tracking.place(**fate)
    tracking.advance(1_200)
    tracking.replica.follow()
    assert tracking.shipments(order)[0].state is state
    assert tracking.events(order).count(event) == 1
    # Whoever works on orders goes on with it.
    assert tracking.rows("SELECT next_time <= now() AS due FROM orders WHERE order_id = :id", id=order.order_id) == [
        {"due": True}
    ]


def test_what_amazon_will_not_send_of_a_shipment_is_named(tracking: TrackingStage) -> None:
    order = tracking.place(CLEAR, BLACK, BLACK, short_units=1)
    tracking.advance(1_200)
    tracking.replica.follow()
    (shipment,) = tracking.shipments(order)
    assert shipment.state is ShipmentState.SHIPPED
    assert sum(item.quantity for item in shipment.items) == 2
    assert "shipment.partly_shipped" in tracking.events(order)
    tracking.replica.tell()
    assert len(tracking.known_there(order)) == 2


def test_open_orders_cost_a_reading_only_when_they_change(tracking: TrackingStage) -> None:
    """Rounds of many open orders take as many readings as there are changes."""
    waiting = [tracking.place(stuck=True) for _ in range(12)]
    tracking.advance(60)
    tracking.replica.follow()
    before = tracking.amazon.calls("getFulfillmentOrder")
    moving = tracking.place()
    for _ in range(5):
        tracking.amazon.control("POST", "/clock/advance", seconds=240)
        tracking.rows("UPDATE merchants SET orders_due_time = now()")
        tracking.replica.follow()
    assert tracking.shipments(moving)[0].state is ShipmentState.SHIPPED
    assert tracking.amazon.calls("getFulfillmentOrder") - before == 1
    kinds = [kind for kind in tracking.events(moving) if kind.startswith("shipment.")]
    assert kinds == ["shipment.status", "shipment.status", "shipment.shipped"]
    assert {tracking.shipments(order)[0].state for order in waiting} == {ShipmentState.SUBMITTED}


def test_what_the_list_lost_is_found_by_the_sweep(tracking: TrackingStage) -> None:
    order = tracking.place()
    # As if everything had happened long before what the list tells of.
    tracking.rows("UPDATE merchants SET orders_cursor = now() + interval '30 days'")
    tracking.advance(1_200)
    tracking.replica.follow()
    assert tracking.shipments(order)[0].state is ShipmentState.SHIPPED


def test_an_order_that_amazon_does_not_show_is_asked_for_again(tracking: TrackingStage) -> None:
    tracking.amazon.settings(visible_seconds=500)
    order = tracking.place()
    tracking.advance(200)
    tracking.replica.follow()
    assert tracking.shipments(order)[0].state is ShipmentState.SUBMITTED
    tracking.advance(1_200)
    tracking.replica.follow()
    assert tracking.shipments(order)[0].state is ShipmentState.SHIPPED


def test_two_replicas_follow_each_merchant_once_at_a_time(tracking: TrackingStage) -> None:
    other = a_replica(tracking.shop_stage, tracking.merchant_stage)
    orders = [tracking.place() for _ in range(6)]
    tracking.advance(1_200)
    threads = [threading.Thread(target=replica.follow) for replica in (tracking.replica, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for order in orders:
        assert len(tracking.packages(order)) == 1
        assert tracking.events(order).count("shipment.shipped") == 1
    assert tracking.amazon.calls("listAllFulfillmentOrders") == 2  # one of them as the merchant was connected


def test_a_parcel_that_does_not_arrive_is_told_to_people(tracking: TrackingStage) -> None:
    order = tracking.place(delivery="undeliverable")
    tracking.advance(1_200)
    tracking.replica.follow()
    tracking.advance(4 * 86_400)
    tracking.replica.parcels.run_once()
    (package,) = tracking.packages(order)
    assert (package.status, package.delivered_time) == ("UNDELIVERABLE", None)
    (text,) = tracking.told("package.lost")
    assert order.told.platform_order_id in text
    calls = tracking.amazon.calls("getPackageTrackingDetails")
    tracking.advance(86_400)
    tracking.replica.parcels.run_once()
    assert tracking.amazon.calls("getPackageTrackingDetails") == calls


def test_a_parcel_on_its_way_is_asked_for_once_an_hour(tracking: TrackingStage) -> None:
    tracking.place()
    tracking.advance(1_200)
    tracking.replica.follow()
    for _ in range(3):
        tracking.replica.parcels.run_once()
    assert tracking.amazon.calls("getPackageTrackingDetails") == 1


def a_listed(status: OrderStatus, text: str, minutes: float | None) -> FulfillmentOrder:
    updated = None if minutes is None else NOW + timedelta(minutes=minutes)
    return FulfillmentOrder("TTS-1-1", status, text, updated, NOW, None, None, (), ())


def test_what_is_listed_again_for_what_is_known_is_no_news() -> None:
    known = Known(a_shipment(an_order(), amazon_status="Planning"), NOW)
    assert not is_news(known, a_listed(OrderStatus.PLANNING, "Planning", 0), NOW - timedelta(minutes=15))
    assert is_news(known, a_listed(OrderStatus.PROCESSING, "Processing", 5), NOW - timedelta(minutes=15))
    # Listed without a visible cause, something else changed.
    assert is_news(known, a_listed(OrderStatus.PLANNING, "Planning", 0), NOW + timedelta(minutes=15))
    assert is_news(known, a_listed(OrderStatus.PLANNING, "Planning", None), NOW - timedelta(minutes=15))


def test_a_shipment_that_waits_for_a_number_is_read_soon_and_then_more_rarely() -> None:
    order, sweep = an_order(), 21_600.0
    waits = [
        next_reading(
            a_shipment(order, submit_time=NOW - timedelta(minutes=minutes)),
            a_listed(OrderStatus.PROCESSING, "Processing", 0), [], NOW, sweep,
        )
        for minutes in (1, 60, 600, 6_000)
    ]  # fmt: skip
    assert waits == [180, 1200, 1800, 1800]
    early = next_reading(a_shipment(order), a_listed(OrderStatus.RECEIVED, "Received", 0), [], NOW, sweep)
    new_word = next_reading(a_shipment(order), a_listed(OrderStatus.UNKNOWN, "Pondering", 0), [], NOW, sweep)
    over = next_reading(a_shipment(order), a_listed(OrderStatus.INVALID, "Invalid", 0), [], NOW, sweep)
    assert (early, over) == (sweep, None)
    # A word that is not known is no end.
    assert new_word is not None


def test_an_answer_that_was_asked_for_earlier_changes_nothing(
    tracking: TrackingStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = tracking.place()
    tracking.advance(200)
    real, other = guard.proofs, a_replica(tracking.shop_stage, tracking.merchant_stage)

    def slow(*arguments: object) -> object:
        # Between this answer and its storing another process asks, and stores a later one.
        monkeypatch.setattr(guard, "proofs", real)
        tracking.amazon.control("POST", "/clock/advance", seconds=1_000)
        other.following.read_now(tracking.shipments(order)[0])
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(guard, "proofs", slow)
    tracking.replica.follow()
    assert tracking.shipments(order)[0].state is ShipmentState.SHIPPED
    assert tracking.packages(order)[0].tracking_number
