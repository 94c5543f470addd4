"""What is next about an order."""

from services.fulfillment.orders.course import Parcels, Step, course_of
from services.fulfillment.orders.domain import OrderState
from services.fulfillment.shipping.domain import ShipmentState
from tests.fulfillment.shipping.worlds import a_shipment, an_order


def test_that_all_of_an_order_has_left_is_news_once() -> None:
    parcels = Parcels(are_told=True)
    order = an_order("L1", state=OrderState.ROUTED)
    sent = a_shipment(order, state=ShipmentState.SHIPPED)
    assert course_of(order, [sent], parcels=parcels).step is Step.SHIPPED
    shipped = an_order("L1", state=OrderState.SHIPPED)
    assert course_of(shipped, [sent], parcels=parcels).step is Step.REST


def test_of_what_was_canceled_too_late_it_is_not_said_that_its_numbers_are_known() -> None:
    order = an_order("L1", state=OrderState.ROUTED, told={"status": "CANCELLED"})
    sent = a_shipment(order, state=ShipmentState.SHIPPED)
    known = Parcels(are_told=True, is_late_told=True)
    assert course_of(order, [sent], parcels=known).step is Step.REST
