"""Multi-Channel Fulfillment in words that no version of Amazon's API owns: what is asked for and what is answered.

A version of the API is one module that turns these into its wire shapes and back: see Outbound. Whom a parcel goes to
is part of no repr.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class Speed(StrEnum):
    """How fast a parcel goes; which of them exist depends on the country."""

    STANDARD = "STANDARD"
    EXPEDITED = "EXPEDITED"
    PRIORITY = "PRIORITY"


class FulfillmentPolicy(StrEnum):
    """What is done when there is less than was ordered."""

    FILL_OR_KILL = "FILL_OR_KILL"  # nothing is sent
    FILL_ALL = "FILL_ALL"  # what there is, and the rest waits
    FILL_ALL_AVAILABLE = "FILL_ALL_AVAILABLE"  # what there is, and the rest is canceled


class OrderStatus(StrEnum):
    """Where a fulfilment order is. COMPLETE means shipped, not delivered. UNKNOWN: a word that Amazon added later."""

    NEW = "NEW"
    RECEIVED = "RECEIVED"
    PLANNING = "PLANNING"
    PROCESSING = "PROCESSING"
    COMPLETE = "COMPLETE"
    COMPLETE_PARTIALLED = "COMPLETE_PARTIALLED"
    CANCELLED = "CANCELLED"
    UNFULFILLABLE = "UNFULFILLABLE"
    INVALID = "INVALID"
    UNKNOWN = "UNKNOWN"

    @property
    def is_final(self) -> bool:
        """Whether Amazon does nothing more about it."""
        return self in _FINAL

    @property
    def can_be_canceled(self) -> bool:
        """Whether asking Amazon to cancel it may succeed."""
        return self in (OrderStatus.NEW, OrderStatus.RECEIVED, OrderStatus.PLANNING)


_FINAL = frozenset(
    {
        OrderStatus.COMPLETE,
        OrderStatus.COMPLETE_PARTIALLED,
        OrderStatus.CANCELLED,
        OrderStatus.UNFULFILLABLE,
        OrderStatus.INVALID,
    }
)


class ShipmentStatus(StrEnum):
    """Where a shipment of a fulfilment order is. After CANCELLED_BY_FULFILLER a new one follows: the order goes on."""

    PENDING = "PENDING"
    SHIPPED = "SHIPPED"
    CANCELLED_BY_FULFILLER = "CANCELLED_BY_FULFILLER"
    CANCELLED_BY_SELLER = "CANCELLED_BY_SELLER"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a parcel goes. `lines`: one to three."""

    name: str = field(repr=False)
    lines: tuple[str, ...] = field(repr=False)
    city: str = field(repr=False)
    state: str = field(repr=False)
    postal_code: str = field(repr=False)
    country_code: str
    district: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)


@dataclass(frozen=True)
class Item:
    """So many units of the merchant's SKU. `item_id` is ours, unique in the order."""

    item_id: str
    sku: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class NewOrder:
    """A fulfilment order to be created. `order_id` is ours, and unique for ever for a merchant."""

    order_id: str
    marketplace_id: str
    displayable_order_id: str
    displayable_order_time: datetime
    displayable_order_comment: str
    speed: Speed
    policy: FulfillmentPolicy
    destination: Destination
    items: tuple[Item, ...]
    # Features that must be met (True), or are wished for (False), by Amazon's names: BLANK_BOX, BLOCK_AMZL.
    features: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class OrderedItem:
    """What became of an item. `unfulfillable` units were ordered and cannot be sent."""

    item_id: str
    sku: str
    quantity: int
    cancelled: int
    unfulfillable: int


@dataclass(frozen=True)
class ShippedItem:
    """Units in a shipment. `package_number` is None until they are packed."""

    item_id: str
    sku: str
    quantity: int
    package_number: int | None


@dataclass(frozen=True)
class Package:
    """One parcel. Numbers are empty until there are any; Amazon's own (AFTN) may exist before the carrier's."""

    number: int
    carrier_code: str
    tracking_number: str
    amazon_tracking_number: str
    estimated_arrival_time: datetime | None


@dataclass(frozen=True)
class Shipment:
    """Part of a fulfilment order, as one warehouse sends it."""

    amazon_shipment_id: str
    status: ShipmentStatus
    shipping_time: datetime | None
    items: tuple[ShippedItem, ...]
    packages: tuple[Package, ...]


@dataclass(frozen=True)
class FulfillmentOrder:
    """A fulfilment order as Amazon has it. `status_text` is Amazon's word, for people and for UNKNOWN.

    `destination` is None where the answer has none, so that it cannot be compared. Lists leave out items and shipments.
    """

    order_id: str
    status: OrderStatus
    status_text: str
    status_update_time: datetime | None
    received_time: datetime | None
    speed: Speed | None
    destination: Destination | None = field(repr=False)
    items: tuple[OrderedItem, ...]
    shipments: tuple[Shipment, ...]
    # What it is called on the packing slip: whoever made it says by it which order of his it is.
    displayable_order_id: str = ""


class PackageStatus(StrEnum):
    """Where a parcel is, by its carrier."""

    IN_TRANSIT = "IN_TRANSIT"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    DELIVERY_ATTEMPTED = "DELIVERY_ATTEMPTED"
    DELAYED = "DELAYED"
    AVAILABLE_FOR_PICKUP = "AVAILABLE_FOR_PICKUP"
    CUSTOMER_ACTION = "CUSTOMER_ACTION"
    DELIVERED = "DELIVERED"
    RETURNING = "RETURNING"
    RETURNED = "RETURNED"
    UNDELIVERABLE = "UNDELIVERABLE"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Tracking:
    """A parcel's way. Where it goes is left out."""

    package_number: int
    tracking_number: str
    carrier_code: str
    status: PackageStatus
    status_text: str
    ship_time: datetime | None
    estimated_arrival_time: datetime | None
    # When a carrier first had it, and when it was delivered; None while that has not happened.
    in_transit_time: datetime | None
    delivered_time: datetime | None


@dataclass(frozen=True)
class Fee:
    """One part of what Amazon would charge."""

    name: str
    amount: Decimal
    currency: str


@dataclass(frozen=True)
class Preview:
    """What Amazon could do at one speed. Counts goods that are still on their way to it, and reserves nothing."""

    speed: Speed
    is_fulfillable: bool
    fees: tuple[Fee, ...]
    latest_ship_time: datetime | None
    earliest_arrival_time: datetime | None
    latest_arrival_time: datetime | None
    # Amazon's words: of the order ("InvalidDestinationAddress"), and of each SKU.
    order_problems: tuple[str, ...]
    item_problems: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class OrderPage:
    """Fulfilment orders that changed, without items and shipments; `next_token` is empty at the end."""

    orders: tuple[FulfillmentOrder, ...]
    next_token: str


class Outbound(Protocol):
    """One version of the outbound API, for one merchant. All raise VendorError.

    Orders and packages that Amazon does not have: VendorNotFound.
    """

    async def preview(
        self,
        marketplace_id: str,
        destination: Destination,
        items: Sequence[Item],
        speeds: Sequence[Speed],
        features: Sequence[tuple[str, bool]] = (),
    ) -> tuple[Preview, ...]:
        """What Amazon could do, one for each speed that it names."""
        ...

    async def create(self, order: NewOrder) -> None:
        """Create it. Commits: after VendorUncertain, and after a refusal of what may be a repeat, it is read."""
        ...

    async def get(self, order_id: str) -> FulfillmentOrder:
        """One order whole."""
        ...

    async def changed(self, since: datetime, next_token: str = "") -> OrderPage:
        """Orders that changed at this instant or later."""
        ...

    async def cancel(self, order_id: str) -> None:
        """Ask for it to be canceled. What came of it is read. May be repeated."""
        ...

    async def track(self, package_number: int) -> Tracking:
        """A parcel's way."""
        ...
