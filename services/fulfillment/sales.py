"""What is read of a shop's orders and numbers for others. Nothing here is about who bought. Pure.

None means that the marketplace does not tell, which is not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Generic, TypeVar

from services.fulfillment.money import Money

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class OrderLine:
    """Units of one SKU, of one price."""

    platform_product_id: str
    product_title: str
    platform_sku_id: str
    seller_sku: str
    quantity: int
    price: Money | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order, in the marketplace's words. `ship_until_time`: None where nothing is to be done."""

    platform_order_id: str
    status: str
    create_time: datetime | None
    update_time: datetime | None
    lines: tuple[OrderLine, ...]
    total: Money | None
    shipping_type: str
    ship_until_time: datetime | None
    is_on_hold: bool
    is_cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """What was sold."""

    sales: Money | None
    orders: int | None
    units_sold: int | None


@dataclass(frozen=True, slots=True)
class ShopNumbers:
    """A shop's numbers of the days from `start_date` up to, not including, `end_date`."""

    start_date: date | None
    end_date: date | None
    sold: Numbers
    refunds: Money | None
    buyers: int | None
    product_impressions: int | None
    product_page_views: int | None


@dataclass(frozen=True, slots=True)
class VideoNumbers:
    """The numbers of a video. `click_through`: 0.05 is five of a hundred views."""

    platform_post_id: str
    title: str
    handle: str
    publish_time: datetime | None
    sold: Numbers
    views: int | None
    click_through: Decimal | None
    platform_product_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProductNumbers:
    """The numbers of a product."""

    platform_product_id: str
    sold: Numbers


@dataclass(frozen=True, slots=True)
class Part(Generic[Item]):
    """Part of a list. `next_token` is the marketplace's own; `latest_date` the last day whose figures are whole."""

    items: Sequence[Item]
    next_token: str = ""
    latest_date: date | None = None


def percent(share: Decimal) -> str:
    """A share as a percentage, without needless zeros: "5.28"."""
    text = f"{share * 100:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
