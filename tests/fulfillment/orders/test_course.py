"""What is next about an order, by where its shipments are."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from services.fulfillment.orders.course import PARTLY_SENT, Parcels, Step, course_of
from services.fulfillment.orders.domain import ByHand, Order, OrderState, ShopOrder, Unit, UnitState
from services.fulfillment.shipping.domain import Shipment, ShipmentItem, ShipmentState

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def an_order(
    *lines: str,
    state: OrderState = OrderState.ROUTED,
    canceled: tuple[str, ...] = (),
    status: str = "AWAITING_SHIPMENT",
) -> Order:
    units = tuple(
        Unit(line, "P", "S", "SKU", "", None, UnitState.CANCELED if line in canceled else UnitState.OPEN)
        for line in lines
    )
    told = ShopOrder(
        platform_order_id="577",
        status=status,
        create_time=NOW,
        update_time=NOW,
        paid_time=NOW,
        fulfillment_type="",
        shipping_type="SELLER",
        delivery_option_id="",
        delivery_option_name="",
        warehouse_id="",
        country="US",
        units=units,
        total=None,
    )
    return Order(
        *(uuid4(), uuid4(), uuid4(), state, "", "", told, "", False, (), ByHand(), False, "", (), 1),
        next_time=None,
        end_time=None,
        create_time=NOW,
        update_time=NOW,
    )


def a_shipment(number: int, state: ShipmentState, *lines: str, problem: str = "", status: str = "") -> Shipment:
    items = tuple(ShipmentItem(line, "AMZ", 1, (line,)) for line in lines)
    return Shipment(
        shipment_id=uuid4(),
        workspace_id=uuid4(),
        order_id=uuid4(),
        merchant_id=uuid4(),
        number=number,
        fulfillment_order_id=f"TTS-577-{number}",
        state=state,
        amazon_status=status,
        speed="STANDARD",
        policy="FILL_OR_KILL",
        items=items,
        problem=problem,
        begin_time=NOW,
        submit_time=None,
        cancel_refuse_time=None,
        create_time=NOW,
        update_time=NOW,
    )


FAILED, CANCELED, SHIPPED = ShipmentState.FAILED, ShipmentState.CANCELED, ShipmentState.SHIPPED
PLANNED, SUBMITTED = ShipmentState.PLANNED, ShipmentState.SUBMITTED


def test_a_part_of_a_split_order_that_failed_waits_for_a_person_whatever_became_of_the_others() -> None:
    order = an_order("1", "2")
    first = a_shipment(1, FAILED, "1", problem="amazon_differs")
    for state in (CANCELED, SHIPPED, FAILED):
        other = a_shipment(2, state, "2", problem="amazon_refused" if state is FAILED else "")
        found = course_of(order, [first, other])
        assert found.step is Step.HOLD
        assert found.reason == ("amazon_refused" if state is FAILED else "amazon_differs")


def test_what_failed_and_was_sent_again_is_not_held() -> None:
    order = an_order("1", "2")
    sent = [a_shipment(1, FAILED, "1", problem="amazon_refused"), a_shipment(2, SHIPPED, "1")]
    assert course_of(order, [*sent, a_shipment(3, CANCELED, "2")]).step is Step.DECIDE
    assert course_of(order, [*sent, a_shipment(3, SHIPPED, "2")]).step is Step.REST


def test_lines_that_amazon_sent_nothing_of_are_held_as_sent_in_part() -> None:
    found = course_of(an_order("1", "2"), [a_shipment(1, SHIPPED, "1", status="CompletePartialled")])
    assert (found.step, found.reason) == (Step.HOLD, PARTLY_SENT)


def test_a_unit_that_is_canceled_after_amazon_sent_it_is_told_once() -> None:
    order, sent = an_order("1", "2", canceled=("1",)), [a_shipment(1, SHIPPED, "1", "2", status="COMPLETE")]
    assert course_of(order, sent).step is Step.TOO_LATE
    assert course_of(order, sent, parcels=Parcels(is_change_told=True)).step is Step.REST
    # One that was never sent is nobody's business.
    assert course_of(order, [a_shipment(1, SHIPPED, "2", status="COMPLETE")]).step is Step.REST


def test_what_waits_goes_on_unless_something_else_was_chosen_since() -> None:
    waiting = a_shipment(1, PLANNED, "1")
    assert course_of(an_order("1"), [waiting]).wanted == (waiting,)
    assert course_of(an_order("1", state=OrderState.HELD), [waiting]).wanted == (waiting,)
    for state in (OrderState.PENDING, OrderState.LEFT):
        assert course_of(an_order("1", state=state), [waiting]).unwanted == (waiting,)


def test_that_all_of_an_order_has_left_is_news_once() -> None:
    parcels, sent = Parcels(are_told=True), a_shipment(1, SHIPPED, "1")
    assert course_of(an_order("1"), [sent], parcels=parcels).step is Step.SHIPPED
    assert course_of(an_order("1", state=OrderState.SHIPPED), [sent], parcels=parcels).step is Step.REST


def test_of_what_was_canceled_too_late_it_is_not_said_that_its_numbers_are_known() -> None:
    known = Parcels(are_told=True, is_late_told=True)
    order = an_order("1", status="CANCELLED")
    assert course_of(order, [a_shipment(1, SHIPPED, "1")], parcels=known).step is Step.REST
