"""Alarms of orders that may be late, on the real database."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

from tests.fulfillment.shipping.stage import TrackingStage, a_replica


def due_in(tracking: TrackingStage, order_id: object, hours: float) -> None:
    """TikTok Shop's deadline of an order is so far away."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    deadlines = {"ship_until_time": until.isoformat(), "in_transit_until_time": None, "deliver_until_time": None}
    tracking.rows(
        "UPDATE orders SET alarm_time = now(), facts = facts || CAST(:deadlines AS jsonb) WHERE order_id = :id",
        deadlines=json.dumps(deadlines),
        id=order_id,
    )


def test_an_alarm_is_given_before_the_deadline_and_once_whoever_looks(tracking: TrackingStage) -> None:
    order = tracking.place()
    other = a_replica(tracking.shop_stage, tracking.merchant_stage)
    for hours, at_risk, late in ((20, 0, 0), (11, 1, 0), (10, 1, 0), (3, 2, 0), (1, 2, 0), (-1, 2, 1), (-9, 2, 1)):
        due_in(tracking, order.order_id, hours)
        threads = [threading.Thread(target=replica.alarms.run_once) for replica in (tracking.replica, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(tracking.told("order.at_risk")), len(tracking.told("order.late"))) == (at_risk, late)
    assert set(tracking.order(order.order_id).alarms) == {"SHIPPED_12H", "SHIPPED_4H", "SHIPPED_LATE"}
    # Nothing is left to wait for.
    assert tracking.rows("SELECT alarm_time FROM orders WHERE order_id = :id", id=order.order_id) == [
        {"alarm_time": None}
    ]
    assert "order.late" in tracking.events(order)


def test_an_order_that_is_told_in_time_gives_no_alarm(tracking: TrackingStage) -> None:
    order = tracking.place()
    tracking.advance(200)
    tracking.replica.follow()
    tracking.replica.tell()
    due_in(tracking, order.order_id, -1)
    tracking.replica.alarms.run_once()
    assert tracking.told("order.late") == []
