"""Orders as we route them, with what became of them. Whom they go to is masked."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1 import routing_pb2

from services.gateway.models import examples, order_examples
from services.gateway.models.decisions import RoutingDecision
from services.gateway.models.fields import AnswerModel, instant_of, shown, word_of, words_of
from services.gateway.models.money import Money, money_of
from services.gateway.models.shop_orders import OrderLine
from services.gateway.models.shop_routing import speed_of
from services.gateway.models.sku_mappings import SkuPart

StateWord = Literal["PENDING", "HELD", "LEFT", "ROUTED", "SHIPPED", "DELIVERED", "CANCELED"]


class Order(AnswerModel):
    """A shop's order as we route it."""

    model_config = shown(order_examples.ORDER)

    order_id: str
    shop_id: str
    platform_order_id: str = Field(description="TikTok Shop's own id.")
    platform_status: str = Field(description="In TikTok Shop's words: `AWAITING_SHIPMENT`.")
    state: str | None = Field(
        description="`PENDING`: to be decided, or it waits for its time. `HELD`: it waits for what `next_step` says."
        " `LEFT`: the seller, or TikTok, sends it. `ROUTED`: it is on its way to Amazon, or there. `SHIPPED`: all of"
        " it has left, and TikTok Shop knows each number.",
        json_schema_extra={"enum": [*words_of(pb.OrderState, "ORDER_STATE_"), None]},
    )
    reason: str = Field(description="Why it is held or left, one word: `sku_unmapped`; empty else.")
    reason_text: str = Field(description="The same for people.")
    next_step: str = Field(description="What is to be done next.")
    who_can: str = Field(description="Who can do it: `seller`, `operator`, `buyer`, `nobody`: it ends by itself.")
    lines: list[OrderLine]
    total: Money | None
    masked_recipient: str = Field(description="`I*** R***, TN 379**`; empty when it is not known or was deleted.")
    is_recipient_erased: bool
    platform_create_time: datetime | None
    paid_time: datetime | None
    ship_until_time: datetime | None = Field(description="Until when TikTok Shop wants it shipped; null: not named.")
    in_transit_until_time: datetime | None
    deliver_until_time: datetime | None
    lateness: str | None = Field(
        description="The worst of its deadlines.",
        json_schema_extra={"enum": [*words_of(pb.Lateness, "LATENESS_"), None]},
    )
    is_cancel_requested: bool
    create_time: datetime | None = Field(description="When we first saw it.")
    update_time: datetime | None
    next_time: datetime | None = Field(description="When something is next done about it by itself; null: nothing is.")

    @classmethod
    def of(cls, order: pb.Order) -> Order:
        """From fulfillment."""
        return cls(
            order_id=order.order_id,
            shop_id=order.shop_id,
            platform_order_id=order.platform_order_id,
            platform_status=order.platform_status,
            state=word_of(pb.OrderState, "ORDER_STATE_", order.state),
            reason=order.reason,
            reason_text=order.reason_text,
            next_step=order.next_step,
            who_can=order.who_can,
            lines=[OrderLine.of(each) for each in order.lines],
            total=money_of(order, "total"),
            masked_recipient=order.masked_recipient,
            is_recipient_erased=order.is_recipient_erased,
            platform_create_time=instant_of(order, "platform_create_time"),
            paid_time=instant_of(order, "paid_time"),
            ship_until_time=instant_of(order, "ship_until_time"),
            in_transit_until_time=instant_of(order, "in_transit_until_time"),
            deliver_until_time=instant_of(order, "deliver_until_time"),
            lateness=word_of(pb.Lateness, "LATENESS_", order.lateness),
            is_cancel_requested=order.is_cancel_requested,
            create_time=instant_of(order, "create_time"),
            update_time=instant_of(order, "update_time"),
            next_time=instant_of(order, "next_time"),
        )


class OrderList(AnswerModel):
    """A page of orders, the last created first."""

    model_config = shown(examples.page("orders", order_examples.ORDER))

    orders: list[Order]
    next_page_token: str = Field(description="Empty on the last page.")


class Package(AnswerModel):
    """A parcel of a shipment."""

    model_config = shown(order_examples.PACKAGE)

    package_id: str
    shipment_id: str
    package_number: int = Field(description="Amazon's number of it.")
    carrier: str = Field(description="As Amazon spells it.")
    tracking_number: str
    amazon_tracking_number: str
    status: str = Field(description="Where it is, in Amazon's words.")
    items: list[SkuPart]
    tell_state: str | None = Field(
        description="Whether TikTok Shop knows its number. `WAITING`: there is none yet. `BLOCKED`: it is not sent,"
        " since it could not be proven.",
        json_schema_extra={"enum": [*words_of(pb.TellState, "TELL_STATE_"), None]},
    )
    tell_problem: str = Field(description="Why TikTok Shop is not told; empty else.")
    told_number: str = Field(description="What TikTok Shop was told.")
    told_carrier: str
    told_time: datetime | None
    is_edit_used: bool = Field(description="TikTok Shop takes one correction of a number.")
    number_time: datetime | None = Field(description="When Amazon first named a number.")
    in_transit_time: datetime | None
    delivered_time: datetime | None
    estimated_arrival_time: datetime | None

    @classmethod
    def of(cls, package: pb.Package) -> Package:
        """From fulfillment."""
        return cls(
            package_id=package.package_id,
            shipment_id=package.shipment_id,
            package_number=package.package_number,
            carrier=package.carrier,
            tracking_number=package.tracking_number,
            amazon_tracking_number=package.amazon_tracking_number,
            status=package.status,
            items=[SkuPart.of(each) for each in package.items],
            tell_state=word_of(pb.TellState, "TELL_STATE_", package.tell_state),
            tell_problem=package.tell_problem,
            told_number=package.told_number,
            told_carrier=package.told_carrier,
            told_time=instant_of(package, "told_time"),
            is_edit_used=package.is_edit_used,
            number_time=instant_of(package, "number_time"),
            in_transit_time=instant_of(package, "in_transit_time"),
            delivered_time=instant_of(package, "delivered_time"),
            estimated_arrival_time=instant_of(package, "estimated_arrival_time"),
        )


class Shipment(AnswerModel):
    """What Amazon makes of an order, or of a part of it: one fulfilment order."""

    shipment_id: str
    merchant_id: str
    fulfillment_order_id: str = Field(description="Our id of it at Amazon: `TTS-576461413038785752-1`.")
    state: str | None = Field(json_schema_extra={"enum": [*words_of(pb.ShipmentState, "SHIPMENT_STATE_"), None]})
    amazon_status: str = Field(description="In Amazon's words.")
    speed: str | None = Field(json_schema_extra={"enum": [*words_of(routing_pb2.Speed, "SPEED_"), None]})
    items: list[SkuPart]
    problem: str = Field(description="Why it failed; empty else.")
    packages: list[Package]
    create_time: datetime | None
    submit_time: datetime | None = Field(description="When Amazon had it for certain.")
    update_time: datetime | None

    @classmethod
    def of(cls, shipment: pb.Shipment) -> Shipment:
        """From fulfillment."""
        return cls(
            shipment_id=shipment.shipment_id,
            merchant_id=shipment.merchant_id,
            fulfillment_order_id=shipment.fulfillment_order_id,
            state=word_of(pb.ShipmentState, "SHIPMENT_STATE_", shipment.state),
            amazon_status=shipment.amazon_status,
            speed=speed_of(shipment.speed),
            items=[SkuPart.of(each) for each in shipment.items],
            problem=shipment.problem,
            packages=[Package.of(each) for each in shipment.packages],
            create_time=instant_of(shipment, "create_time"),
            submit_time=instant_of(shipment, "submit_time"),
            update_time=instant_of(shipment, "update_time"),
        )


class WholeOrder(AnswerModel):
    """An order with all that became of it; what happened, and when, is in its events."""

    model_config = shown(order_examples.WHOLE_ORDER)

    order: Order
    shipments: list[Shipment]
    decision: RoutingDecision | None = Field(description="The last one; null: it is not decided yet.")


class OrderEvent(AnswerModel):
    """What happened to an order. Nothing of whom it goes to is in it."""

    event_id: str
    time: datetime | None
    type: str = Field(description="`order.held`, `shipment.submitted`, `package.told`.")
    text: str
    actor: str = Field(description="Who did it: the id of an API key; empty: it happened by itself.")
    attributes: dict[str, str]

    @classmethod
    def of(cls, event: pb.OrderEvent) -> OrderEvent:
        """From fulfillment."""
        return cls(
            event_id=event.event_id,
            time=instant_of(event, "time"),
            type=event.type,
            text=event.text,
            actor=event.actor,
            attributes=dict(sorted(event.attributes.items())),
        )


class OrderEventList(AnswerModel):
    """A page of what happened, the first first."""

    model_config = shown(examples.page("events", order_examples.ORDER_EVENT))

    events: list[OrderEvent]
    next_page_token: str = Field(description="Empty on the last page.")


class HeldReason(AnswerModel):
    """Orders that are held for one reason."""

    reason: str
    orders: int
    text: str
    next_step: str
    who_can: str
    can_be_released: bool = Field(description="Whether a person may let them go on although it holds.")
    oldest_time: datetime | None

    @classmethod
    def of(cls, held: pb.HeldReason) -> HeldReason:
        """From fulfillment."""
        return cls(
            reason=held.reason,
            orders=held.orders,
            text=held.text,
            next_step=held.next_step,
            who_can=held.who_can,
            can_be_released=held.can_be_released,
            oldest_time=instant_of(held, "oldest_time"),
        )


class HeldSummary(AnswerModel):
    """Held orders by reason."""

    model_config = shown({"reasons": [order_examples.HELD_REASON]})

    reasons: list[HeldReason]


class OrdersSynced(AnswerModel):
    """What was read of a shop's orders."""

    model_config = shown({"orders": 42, "new_orders": 3})

    orders: int
    new_orders: int
