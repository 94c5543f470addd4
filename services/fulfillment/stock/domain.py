"""Units of Amazon's SKUs: what can be sold, and who holds them. Pure.

    available = fulfillable - reserved - in flight - safety stock, never below zero

`fulfillable` is Amazon's figure of some moment. `reserved` is held for orders that Amazon does not have yet. What is
`in flight` Amazon has orders for, and may not have taken off its figure yet. A reservation moves on so:

    RESERVED → IN_FLIGHT → SETTLED     Amazon's figure has it
        └──────────┴─────→ RELEASED    nothing is sent of it

Counting units twice for a while, in flight and off the figure, offers too few. Counting them nowhere would sell what is
not there. So they stay in flight until a figure that was read well after the order has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.errors import FailedPrecondition, NotFound


@dataclass(frozen=True, slots=True)
class Available:
    """Units of a SKU that can be sold. `known`: Amazon's stock lists it; `is_at_amazon`: Amazon can send it."""

    units: int
    is_at_amazon: bool
    known: bool


UNKNOWN = Available(0, is_at_amazon=False, known=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """A row of stock."""

    merchant_id: UUID
    workspace_id: UUID
    amazon_sku: str
    asin: str
    fnsku: str
    title: str
    is_at_amazon: bool
    fulfillable: int
    inbound: int
    reserved: int
    in_flight: int
    # None: as the shop's setting says.
    safety_stock: int | None
    amazon_update_time: datetime | None
    read_time: datetime

    def available(self, default_safety_stock: int) -> Available:
        """What can be sold of it."""
        safety = default_safety_stock if self.safety_stock is None else self.safety_stock
        units = max(0, self.fulfillable - self.reserved - self.in_flight - safety)
        return Available(units if self.is_at_amazon else 0, self.is_at_amazon, known=True)


@dataclass(frozen=True, slots=True)
class StockEntry:
    """A line of the ledger: see StockEntryKind in stock.proto."""

    time: datetime
    kind: str
    quantity: int
    order_id: UUID | None
    fulfillment_order_id: str


class StockNotFound(NotFound):
    """The merchant has no such SKU at Amazon."""


class InsufficientStock(FailedPrecondition):
    """There is less of these SKUs than is to be reserved."""

    def __init__(self, skus: Iterable[str]) -> None:
        self.skus = tuple(sorted(skus))
        super().__init__(
            f"There are too few units of {', '.join(self.skus)}. Wait for stock, or lower the safety stock.",
            metadata={"skus": ", ".join(self.skus)},
        )


def sets(parts: Sequence[tuple[str, int]], stock: Mapping[str, Available]) -> int:
    """How many of what consists of these parts can be sold: the scarcest part decides. A SKU may come several times."""
    needed: dict[str, int] = {}
    for sku, quantity in parts:
        needed[sku] = needed.get(sku, 0) + quantity
    return min((stock.get(sku, UNKNOWN).units // quantity for sku, quantity in needed.items()), default=0)
