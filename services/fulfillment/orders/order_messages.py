"""Between the messages of orders.proto and orders with their shipments. No decision is made here."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from reelroute.fulfillment.v1 import fulfillment_pb2, routing_pb2
from reelroute.fulfillment.v1 import orders_pb2 as pb

from kit.timestamps import from_timestamp, optional_timestamp, to_timestamp
from services.fulfillment.money import Money
from services.fulfillment.orders.domain import Order, OrderEvent, OrderState, Unit
from services.fulfillment.orders.handling import Outcome
from services.fulfillment.orders.order_store import HeldCount, OrderFilter
from services.fulfillment.orders.recipient import District, Recipient
from services.fulfillment.routing.reasons import reason_of
from services.fulfillment.shipping.clock import Lateness
from services.fulfillment.shipping.domain import Package, Shipment
from services.fulfillment.shipping.package_messages import lateness_to, package_to

_NO_STATE = pb.ORDER_STATE_UNSPECIFIED


def order_to(order: Order, lateness: Lateness) -> pb.Order:
    """An order as the proto shows it, its recipient masked."""
    told = order.told
    reason = reason_of(order.reason) if order.reason else None
    return pb.Order(
        order_id=str(order.order_id),
        workspace_id=str(order.workspace_id),
        shop_id=str(order.shop_id),
        platform_order_id=told.platform_order_id,
        platform_status=told.status,
        state=pb.OrderState.Value(f"ORDER_STATE_{order.state.value}"),
        reason=order.reason,
        reason_text=order.reason_text,
        next_step=reason.next_step if reason else "",
        who_can=reason.who_can if reason else "",
        lines=_lines(told.units),
        total=_money(told.total),
        masked_recipient=order.masked_recipient,
        is_recipient_erased=order.is_erased,
        platform_create_time=optional_timestamp(told.create_time),
        paid_time=optional_timestamp(told.paid_time),
        ship_until_time=optional_timestamp(told.ship_until_time),
        in_transit_until_time=optional_timestamp(told.in_transit_until_time),
        deliver_until_time=optional_timestamp(told.deliver_until_time),
        lateness=lateness_to(lateness),
        is_cancel_requested=told.is_cancel_requested,
        create_time=to_timestamp(order.create_time),
        update_time=to_timestamp(order.update_time),
        next_time=optional_timestamp(order.next_time),
    )


def shipment_to(shipment: Shipment, packages: Sequence[Package]) -> pb.Shipment:
    """A shipment as the proto shows it, without where it goes."""
    return pb.Shipment(
        shipment_id=str(shipment.shipment_id),
        order_id=str(shipment.order_id),
        merchant_id=str(shipment.merchant_id),
        fulfillment_order_id=shipment.fulfillment_order_id,
        state=pb.ShipmentState.Value(f"SHIPMENT_STATE_{shipment.state.value}"),
        amazon_status=shipment.amazon_status,
        speed=routing_pb2.Speed.Value(f"SPEED_{shipment.speed}"),
        items=[routing_pb2.SkuPart(amazon_sku=item.amazon_sku, quantity=item.quantity) for item in shipment.items],
        problem=shipment.problem,
        packages=[package_to(package) for package in packages if package.shipment_id == shipment.shipment_id],
        create_time=to_timestamp(shipment.create_time),
        submit_time=optional_timestamp(shipment.submit_time),
        update_time=to_timestamp(shipment.update_time),
    )


def event_to(event: OrderEvent) -> pb.OrderEvent:
    """What happened to an order, as the proto shows it."""
    return pb.OrderEvent(
        event_id=str(event.event_id),
        time=to_timestamp(event.time),
        type=event.type,
        text=event.text,
        actor=event.actor,
        attributes=event.attributes,
    )


def held_to(held: HeldCount) -> pb.HeldReason:
    """Orders that are held for a reason, as the proto shows them."""
    reason = reason_of(held.reason)
    return pb.HeldReason(
        reason=held.reason,
        orders=held.orders,
        text=held.text,
        next_step=reason.next_step,
        who_can=reason.who_can,
        can_be_released=reason.can_pass,
        oldest_time=to_timestamp(held.oldest_time),
    )


def outcome_to(outcome: Outcome) -> pb.OrderOutcome:
    """What was done about an order, as the proto shows it."""
    return pb.OrderOutcome(order_id=str(outcome.order_id), problem=outcome.problem, text=outcome.text)


def filter_from(request: pb.ListOrdersRequest) -> OrderFilter:
    """Which orders are wanted. Raises InvalidArgument."""
    return OrderFilter(
        shop_id=UUID(request.shop_id) if request.shop_id else None,
        states=tuple(
            OrderState[pb.OrderState.Name(state).removeprefix("ORDER_STATE_")]
            for state in request.states
            if state != _NO_STATE
        ),
        reason=request.reason,
        platform_order_id=request.platform_order_id,
        from_time=from_timestamp(request.from_time, "from_time") if request.HasField("from_time") else None,
        until_time=from_timestamp(request.until_time, "until_time") if request.HasField("until_time") else None,
        is_late=request.is_late,
    )


def recipient_from(message: pb.Recipient) -> Recipient:
    """Where an order is to go instead: the fields that are given."""
    return Recipient(
        name=message.name,
        phone=message.phone,
        lines=tuple(message.lines),
        districts=(
            District("L1", "State", message.state),
            District("L2", "County", message.district),
            District("L3", "City", message.city),
        ),
        postal_code=message.postal_code,
        country_code=message.country_code,
    )


def speed_from(speed: routing_pb2.Speed.ValueType) -> str:
    """Amazon's word for a speed; empty where none is given."""
    return "" if speed == routing_pb2.SPEED_UNSPECIFIED else routing_pb2.Speed.Name(speed).removeprefix("SPEED_")


def _lines(units: Sequence[Unit]) -> list[fulfillment_pb2.OrderLine]:
    """One line for the units of a SKU that cost the same; TikTok Shop has one for each unit."""
    counted: dict[tuple[str, Money | None], int] = {}
    first: dict[tuple[str, Money | None], Unit] = {}
    for unit in units:
        key = unit.platform_sku_id, unit.price
        counted[key] = counted.get(key, 0) + 1
        first.setdefault(key, unit)
    return [
        fulfillment_pb2.OrderLine(
            platform_product_id=unit.platform_product_id,
            product_title=unit.title,
            platform_sku_id=unit.platform_sku_id,
            seller_sku=unit.seller_sku,
            quantity=counted[key],
            price=_money(unit.price),
        )
        for key, unit in first.items()
    ]


def _money(money: Money | None) -> fulfillment_pb2.Money | None:
    return fulfillment_pb2.Money(currency=money.currency, minor_units=money.minor_units) if money else None
