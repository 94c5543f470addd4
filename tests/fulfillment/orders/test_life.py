"""The life of orders, from TikTok Shop's sandbox to Amazon's."""

from __future__ import annotations

from reelroute.fulfillment.v1 import orders_pb2 as pb

from tests.fulfillment.orders.life import OrderStage


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
