"""What is asked of Amazon, made of orders and what was decided of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import UUID

from services.fulfillment.merchants.domain import Merchant
from services.fulfillment.orders.domain import Order
from services.fulfillment.orders.recipient import Address
from services.fulfillment.routing.decision import Decision, PlannedShipment
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.shipping.domain import Shipment, ShipmentItem
from vendors.amazon_sp.marketplaces import MARKETPLACES
from vendors.amazon_sp.outbound import Destination, FulfillmentPolicy, Item, NewOrder, Speed


@dataclass(frozen=True, slots=True)
class Previewed:
    """What Amazon is to foresee of an order."""

    order_id: UUID
    merchant_id: UUID
    destination: Destination = field(repr=False)
    items: tuple[Item, ...]
    speeds: tuple[Speed, ...]
    features: tuple[tuple[str, bool], ...]


def new_order(order: Order, shipment: Shipment, address: Address, routing: ShopRouting, merchant: Merchant) -> NewOrder:
    """A shipment in the words of Amazon's client."""
    told = order.told
    return NewOrder(
        order_id=shipment.fulfillment_order_id,
        marketplace_id=MARKETPLACES[merchant.marketplace].id,
        displayable_order_id=told.platform_order_id,
        displayable_order_time=told.paid_time or told.create_time or order.create_time,
        displayable_order_comment=routing.packing_slip_comment,
        speed=Speed(shipment.speed),
        policy=FulfillmentPolicy(shipment.policy),
        destination=_destination(address),
        items=tuple(Item(item.item_id, item.amazon_sku, item.quantity) for item in shipment.items),
        features=tuple(sorted(shipment.features.items())),
    )


def _destination(address: Address) -> Destination:
    return Destination(
        name=address.name,
        lines=address.lines,
        city=address.city,
        state=address.state,
        postal_code=address.postal_code,
        country_code=address.country_code,
        district=address.district,
        phone=address.phone,
    )


def items_of(planned: PlannedShipment) -> tuple[ShipmentItem, ...]:
    """The items with ids of their own: TikTok Shop's id of their first line, which several may share."""
    found: list[ShipmentItem] = []
    for number, part in enumerate(planned.items, 1):
        first = part.platform_line_ids[0] if part.platform_line_ids else str(number)
        is_taken = any(item.item_id == first for item in found)
        found.append(
            ShipmentItem(
                f"{first}-{number}" if is_taken else first, part.amazon_sku, part.quantity, part.platform_line_ids
            )
        )
    return tuple(found)


def previewed(order: Order, merchant_id: UUID, address: Address, decision: Decision) -> Previewed:
    """All of an order as one: Amazon promises and charges by what goes together."""
    parts: dict[str, int] = {}
    for shipment in decision.shipments:
        for item in shipment.items:
            parts[item.amazon_sku] = parts.get(item.amazon_sku, 0) + item.quantity
    return Previewed(
        order_id=order.order_id,
        merchant_id=merchant_id,
        destination=_destination(address),
        items=tuple(Item(str(number), sku, quantity) for number, (sku, quantity) in enumerate(parts.items(), 1)),
        speeds=tuple(dict.fromkeys((Speed(decision.speed), Speed.STANDARD))),
        features=tuple(sorted(decision.features.items())),
    )


def same_place(one: Address, other: Address) -> bool:
    """Whether parcels to both go to the same place."""
    # A parcel does not go elsewhere for another phone number.
    return replace(one, phone="") == replace(other, phone="")
