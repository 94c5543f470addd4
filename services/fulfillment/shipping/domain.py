"""Shipments and their packages. Pure.

A shipment is one fulfilment order at Amazon, or one that is to be:

    PLANNED ⇄ SUBMITTING → SUBMITTED → SHIPPED     all of it has left, or all that ever will
       ↓          ↓            ↕
    CANCELED ←────┴──────  CANCELING               as we wished

FAILED comes from any of them but PLANNED: refused, invalid, unfulfillable, or canceled at Amazon by somebody else.
Another try is another shipment. `ShipmentState.may_become` has all moves.

A package's number is told to TikTok Shop once:

    WAITING → DUE → TELLING ─┬→ TOLD      TELLING is resolved by reading
                └→ BLOCKED   └→ REJECTED  after which nothing is told until a person says so
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from kit.errors import FailedPrecondition, NotFound, Unavailable


class ShipmentState(enum.Enum):
    """Where a shipment is. The value is its text in the database."""

    PLANNED = "PLANNED"
    SUBMITTING = "SUBMITTING"
    SUBMITTED = "SUBMITTED"
    CANCELING = "CANCELING"
    SHIPPED = "SHIPPED"
    CANCELED = "CANCELED"
    FAILED = "FAILED"

    @property
    def is_over(self) -> bool:
        """Whether Amazon does nothing more about it."""
        return self in (ShipmentState.SHIPPED, ShipmentState.CANCELED, ShipmentState.FAILED)

    def may_become(self, other: ShipmentState) -> bool:
        """Whether a shipment may go from here to there."""
        return other in _MOVES[self]


_MOVES: dict[ShipmentState, frozenset[ShipmentState]] = {
    ShipmentState.PLANNED: frozenset({ShipmentState.SUBMITTING, ShipmentState.CANCELED}),
    # Back to PLANNED when surely nothing was sent; CANCELED when Amazon surely has nothing.
    ShipmentState.SUBMITTING: frozenset(
        {ShipmentState.PLANNED, ShipmentState.SUBMITTED, ShipmentState.CANCELED, ShipmentState.FAILED}
    ),
    ShipmentState.SUBMITTED: frozenset({ShipmentState.CANCELING, ShipmentState.SHIPPED, ShipmentState.FAILED}),
    # Back to SUBMITTED when Amazon would not cancel it.
    ShipmentState.CANCELING: frozenset(
        {ShipmentState.SUBMITTED, ShipmentState.SHIPPED, ShipmentState.CANCELED, ShipmentState.FAILED}
    ),
    ShipmentState.SHIPPED: frozenset(),
    ShipmentState.CANCELED: frozenset(),
    ShipmentState.FAILED: frozenset(),
}


class TellState(enum.Enum):
    """Whether TikTok Shop knows a package's number. The value is its text in the database."""

    WAITING = "WAITING"
    DUE = "DUE"
    TELLING = "TELLING"
    TOLD = "TOLD"
    BLOCKED = "BLOCKED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class ShipmentItem:
    """Units of one of Amazon's SKUs; `item_id` is ours, unique in the shipment."""

    item_id: str
    amazon_sku: str
    quantity: int
    platform_line_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A row of shipments, without where it goes."""

    shipment_id: UUID
    workspace_id: UUID
    order_id: UUID
    merchant_id: UUID
    number: int
    fulfillment_order_id: str
    state: ShipmentState
    amazon_status: str
    speed: str
    policy: str
    features: Mapping[str, bool] = field(default_factory=dict)
    items: tuple[ShipmentItem, ...]
    problem: str
    begin_time: datetime | None
    submit_time: datetime | None
    cancel_refuse_time: datetime | None
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class PackageItem:
    """Units in a package."""

    item_id: str
    amazon_sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A package as one answer of Amazon's shows it; `is_current` is False where Amazon took its shipment back."""

    amazon_shipment_id: str
    package_number: int
    carrier: str
    tracking_number: str
    amazon_tracking_number: str
    is_current: bool
    is_shipped: bool
    items: tuple[PackageItem, ...]
    ship_time: datetime | None
    estimated_arrival_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A row of packages. `proven_time`: when Amazon last showed it so. What is rejected is never told again."""

    package_id: UUID
    workspace_id: UUID
    order_id: UUID
    shop_id: UUID
    shipment_id: UUID
    amazon_shipment_id: str
    package_number: int
    carrier: str
    tracking_number: str
    amazon_tracking_number: str
    status: str
    is_current: bool
    items: tuple[PackageItem, ...]
    tell_state: TellState
    tell_problem: str
    tell_attempt: int
    tell_due_time: datetime | None
    told_number: str
    told_carrier: str
    told_provider_id: str
    told_line_ids: tuple[str, ...]
    platform_package_id: str
    rejected_number: str
    rejected_provider_id: str
    is_edit_used: bool
    told_time: datetime | None
    number_time: datetime | None
    proven_time: datetime
    ship_time: datetime | None
    in_transit_time: datetime | None
    delivered_time: datetime | None
    estimated_arrival_time: datetime | None


class PackageNotFound(NotFound):
    """The workspace has no package with that id."""


class TrackingEditUsed(FailedPrecondition):
    """TikTok Shop lets a package's number be corrected once, within 72 hours: it is used, or they are over."""


class TrackingNotProven(FailedPrecondition):
    """The guard does not let a number of this package be told; the sentence says why."""


class TrackingUnchanged(FailedPrecondition):
    """TikTok Shop has the number that Amazon has, or was told none."""


class TrackingBusy(Unavailable):
    """Another process tells numbers of this shop at the moment."""
