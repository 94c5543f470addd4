"""Orders as we route them, and what is known of them. Pure.

    PENDING ─┬→ ROUTED → SHIPPED → DELIVERED
       ↑     ├→ HELD      waits for time, a person or a setting; then PENDING again
       │     ├→ LEFT      the seller, or TikTok, sends it: we only watch
       └─────┴→ CANCELED  by the buyer, the seller or TikTok, as far as Amazon still can

What is personal is in none of these: see recipient.py.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.errors import FailedPrecondition, NotFound
from services.fulfillment.money import Money


class OrderState(enum.Enum):
    """Where an order is for us. The value is its text in the database."""

    PENDING = "PENDING"
    HELD = "HELD"
    LEFT = "LEFT"
    ROUTED = "ROUTED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELED = "CANCELED"


class UnitState(enum.Enum):
    """Whether a unit is still to be sent."""

    OPEN = "OPEN"
    SHIPPED = "SHIPPED"
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of an order: TikTok Shop has a line for each. `seller_sku` may be empty.

    `parts`: what a bundle of TikTok Shop's own consists of, as (platform_sku_id, seller_sku, how many).
    `price` is what is paid for it, `list_price` the same before discounts.
    """

    platform_line_id: str
    platform_product_id: str
    platform_sku_id: str
    seller_sku: str
    title: str
    price: Money | None
    state: UnitState
    is_gift: bool = False
    is_dangerous_good: bool = False
    parts: tuple[tuple[str, str, int], ...] = ()
    list_price: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopOrder:
    """An order as TikTok Shop tells it, without whom it goes to. Words are TikTok Shop's own, also those new to us."""

    platform_order_id: str
    status: str
    create_time: datetime | None
    update_time: datetime | None
    paid_time: datetime | None
    fulfillment_type: str
    shipping_type: str
    delivery_option_id: str
    delivery_option_name: str
    warehouse_id: str
    # "US"
    country: str
    units: tuple[Unit, ...]
    total: Money | None
    is_on_hold: bool = False
    is_cancel_requested: bool = False
    is_cod: bool = False
    is_sample: bool = False
    is_replacement: bool = False
    # One parcel at TikTok Shop for several orders.
    is_combined: bool = False
    has_buyer_message: bool = False
    platform_package_ids: tuple[str, ...] = ()
    ship_until_time: datetime | None = None
    in_transit_until_time: datetime | None = None
    deliver_until_time: datetime | None = None

    @property
    def open_units(self) -> tuple[Unit, ...]:
        """Those that are still to be sent."""
        return tuple(unit for unit in self.units if unit.state is UnitState.OPEN)


@dataclass(frozen=True, slots=True)
class ByHand:
    """What people chose for an order. `items`: Amazon's SKUs with their numbers; empty: as the map says."""

    is_routed: bool = False
    is_left: bool = False
    items: tuple[tuple[str, int], ...] = ()
    # Empty: as it would be.
    speed: str = ""
    # Where it goes was corrected: what TikTok Shop says of it counts again when it changes there.
    is_corrected: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A row of orders, without what is sealed."""

    order_id: UUID
    workspace_id: UUID
    shop_id: UUID
    state: OrderState
    # One word, and a sentence for people; empty unless it waits for its time, is held or left.
    reason: str
    reason_text: str
    told: ShopOrder
    masked_recipient: str
    is_erased: bool
    passed_over: tuple[str, ...]
    by_hand: ByHand
    is_cancel_wanted: bool
    cancel_reason: str
    alarms: tuple[str, ...]
    attempt: int
    next_time: datetime | None
    end_time: datetime | None
    create_time: datetime
    update_time: datetime

    @property
    def platform_create_time(self) -> datetime:
        """When it was placed; when we first saw it where TikTok Shop does not say."""
        return self.told.create_time or self.create_time


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """A row of order_events."""

    event_id: UUID
    time: datetime
    type: str
    text: str
    actor: str
    attributes: dict[str, str]


class OrderNotFound(NotFound):
    """The workspace has no order with that id."""


class OrderIsRouted(FailedPrecondition):
    """The order is at Amazon, or on its way there. Cancel it first."""


class OrderIsOver(FailedPrecondition):
    """The order was delivered or canceled: nothing can be done about it."""
