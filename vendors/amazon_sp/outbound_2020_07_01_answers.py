"""What version 2020-07-01 of the outbound API answers, and what it is in our words."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from vendors.amazon_sp.answers import Amount, Count, Id, ListOf, Model, Moment, Words, word_of
from vendors.amazon_sp.outbound import (
    Destination,
    Fee,
    FulfillmentOrder,
    OrderedItem,
    OrderPage,
    OrderStatus,
    Package,
    PackageStatus,
    Preview,
    Shipment,
    ShipmentStatus,
    ShippedItem,
    Speed,
    Tracking,
)

# Events of a parcel by number: from this one on a carrier has it (101: was told of it)…
_PICKED_UP = 102
# …and it has arrived: at the door, or taken out of a locker.
_DELIVERED = frozenset({301, 804})


class _Address(Model):
    name: Words = ""
    address_line1: Words = ""
    address_line2: Words = ""
    address_line3: Words = ""
    city: Words = ""
    district_or_county: Words = ""
    state_or_region: Words = ""
    postal_code: Words = ""
    country_code: Words = ""
    phone: Words = ""


class _Order(Model):
    seller_fulfillment_order_id: Id
    displayable_order_id: Words = ""
    fulfillment_order_status: Id
    status_updated_date: Moment = None
    received_date: Moment = None
    shipping_speed_category: Words = ""
    destination_address: _Address | None = None


class _OrderItem(Model):
    seller_fulfillment_order_item_id: Id
    seller_sku: Id
    quantity: int
    cancelled_quantity: Count = 0
    unfulfillable_quantity: Count = 0


class _ShipmentItem(Model):
    seller_fulfillment_order_item_id: Words = ""
    seller_sku: Id
    quantity: int
    package_number: int | None = None


class _Package(Model):
    package_number: int
    carrier_code: Words = ""
    tracking_number: Words = ""
    amazon_fulfillment_tracking_number: Words = ""
    estimated_arrival_date: Moment = None


class _Shipment(Model):
    amazon_shipment_id: Id
    fulfillment_shipment_status: Id
    shipping_date: Moment = None
    fulfillment_shipment_item: ListOf[_ShipmentItem] = ()
    fulfillment_shipment_package: ListOf[_Package] = ()


class _OneOrder(Model):
    fulfillment_order: _Order
    fulfillment_order_items: ListOf[_OrderItem] = ()
    fulfillment_shipments: ListOf[_Shipment] = ()


class _Orders(Model):
    fulfillment_orders: ListOf[_Order] = ()
    next_token: Words = ""


class _Event(Model):
    event_date: Moment = None
    event_code: Words = ""

    @property
    def number(self) -> int:
        digits = re.search(r"\d+", self.event_code)
        return int(digits[0]) if digits else 0


class _Tracking(Model):
    package_number: int
    tracking_number: Words = ""
    carrier_code: Words = ""
    current_status: Words = ""
    ship_date: Moment = None
    estimated_arrival_date: Moment = None
    tracking_events: ListOf[_Event] = ()


class _Money(Model):
    currency_code: Id
    value: Amount


class _Fee(Model):
    name: Words = ""
    amount: _Money


class _PreviewShipment(Model):
    latest_ship_date: Moment = None
    earliest_arrival_date: Moment = None
    latest_arrival_date: Moment = None


class _Unfulfillable(Model):
    seller_sku: Id
    item_unfulfillable_reasons: ListOf[Words] = ()


class _Preview(Model):
    shipping_speed_category: Words = ""
    is_fulfillable: bool
    estimated_fees: ListOf[_Fee] = ()
    fulfillment_preview_shipments: ListOf[_PreviewShipment] = ()
    unfulfillable_preview_items: ListOf[_Unfulfillable] = ()
    order_unfulfillable_reasons: ListOf[Words] = ()


class _Previews(Model):
    fulfillment_previews: ListOf[_Preview] = ()


def read_nothing(answer: Any) -> None:
    """`{}`, which says nothing: what happened is read."""
    if not isinstance(answer, Mapping):
        raise ValueError("no object")


def read_previews(answer: Any) -> tuple[Preview, ...]:
    """What can be done at each speed that we know."""
    return _previews(_Previews.read(_payload(answer)).fulfillment_previews)


def read_order(order_id: str, answer: Any) -> FulfillmentOrder:
    """One order whole. An answer about another is unreadable."""
    read = _OneOrder.read(_payload(answer))
    if read.fulfillment_order.seller_fulfillment_order_id != order_id:
        raise ValueError("another order")
    return _order(read.fulfillment_order, read.fulfillment_order_items, read.fulfillment_shipments)


def read_page(answer: Any) -> OrderPage:
    """Orders without their items and shipments."""
    read = _Orders.read(_payload(answer))
    return OrderPage(tuple(_order(each) for each in read.fulfillment_orders), read.next_token)


def read_tracking(package_number: int, answer: Any) -> Tracking:
    """A parcel's way. An answer about another is unreadable."""
    read = _Tracking.read(_payload(answer))
    if read.package_number != package_number:
        raise ValueError("another package")
    status = word_of(PackageStatus, read.current_status) or PackageStatus.UNKNOWN
    delivered = _first(read.tracking_events, lambda number: number in _DELIVERED)
    if delivered is None and status is PackageStatus.DELIVERED:
        delivered = max((each.event_date for each in read.tracking_events if each.event_date), default=None)
    return Tracking(
        package_number=read.package_number,
        tracking_number=read.tracking_number,
        carrier_code=read.carrier_code,
        status=status,
        status_text=read.current_status,
        ship_time=read.ship_date,
        estimated_arrival_time=read.estimated_arrival_date,
        in_transit_time=_first(read.tracking_events, lambda number: number >= _PICKED_UP),
        delivered_time=delivered,
    )


def _payload(answer: Any) -> object:
    return answer.get("payload") if isinstance(answer, Mapping) else None


def _order(order: _Order, items: Sequence[_OrderItem] = (), shipments: Sequence[_Shipment] = ()) -> FulfillmentOrder:
    return FulfillmentOrder(
        order_id=order.seller_fulfillment_order_id,
        status=word_of(OrderStatus, order.fulfillment_order_status) or OrderStatus.UNKNOWN,
        status_text=order.fulfillment_order_status,
        status_update_time=order.status_updated_date,
        received_time=order.received_date,
        speed=word_of(Speed, order.shipping_speed_category),
        destination=_destination(order.destination_address),
        items=tuple(
            OrderedItem(
                item_id=each.seller_fulfillment_order_item_id,
                sku=each.seller_sku,
                quantity=each.quantity,
                cancelled=each.cancelled_quantity,
                unfulfillable=each.unfulfillable_quantity,
            )
            for each in items
        ),
        shipments=tuple(_shipment(each) for each in shipments),
        displayable_order_id=order.displayable_order_id,
    )


def _shipment(shipment: _Shipment) -> Shipment:
    return Shipment(
        amazon_shipment_id=shipment.amazon_shipment_id,
        status=word_of(ShipmentStatus, shipment.fulfillment_shipment_status) or ShipmentStatus.UNKNOWN,
        shipping_time=shipment.shipping_date,
        items=tuple(
            ShippedItem(each.seller_fulfillment_order_item_id, each.seller_sku, each.quantity, each.package_number)
            for each in shipment.fulfillment_shipment_item
        ),
        packages=tuple(
            Package(
                number=each.package_number,
                carrier_code=each.carrier_code,
                tracking_number=each.tracking_number,
                amazon_tracking_number=each.amazon_fulfillment_tracking_number,
                estimated_arrival_time=each.estimated_arrival_date,
            )
            for each in shipment.fulfillment_shipment_package
        ),
    )


def _destination(address: _Address | None) -> Destination | None:
    if address is None or not address.address_line1:
        return None
    lines = (address.address_line1, address.address_line2, address.address_line3)
    return Destination(
        name=address.name,
        lines=tuple(line for line in lines if line),
        city=address.city,
        state=address.state_or_region,
        postal_code=address.postal_code,
        country_code=address.country_code,
        district=address.district_or_county,
        phone=address.phone,
    )


def _first(events: Sequence[_Event], is_wanted: Callable[[int], bool]) -> datetime | None:
    return min((each.event_date for each in events if each.event_date and is_wanted(each.number)), default=None)


def _previews(previews: Sequence[_Preview]) -> tuple[Preview, ...]:
    found = []
    for each in previews:
        speed = word_of(Speed, each.shipping_speed_category)
        if speed is None:
            continue
        shipments = each.fulfillment_preview_shipments
        found.append(
            Preview(
                speed=speed,
                is_fulfillable=each.is_fulfillable,
                fees=tuple(Fee(fee.name, fee.amount.value, fee.amount.currency_code) for fee in each.estimated_fees),
                latest_ship_time=max((one.latest_ship_date for one in shipments if one.latest_ship_date), default=None),
                earliest_arrival_time=min(
                    (one.earliest_arrival_date for one in shipments if one.earliest_arrival_date), default=None
                ),
                latest_arrival_time=max(
                    (one.latest_arrival_date for one in shipments if one.latest_arrival_date), default=None
                ),
                order_problems=each.order_unfulfillable_reasons,
                item_problems=tuple(
                    (item.seller_sku, item.item_unfulfillable_reasons) for item in each.unfulfillable_preview_items
                ),
            )
        )
    return tuple(found)
