"""Following shipments at the sandbox's Amazon."""

from __future__ import annotations

from services.fulfillment.shipping.domain import ShipmentState, TellState
from tests.fulfillment.shipping.stage import TrackingStage


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
