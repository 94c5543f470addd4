"""An order as TikTok Shop tells it. What a field means is as at partner.tiktokshop.com/docv2/page/get-order-detail.

A buyer's data may be masked ("J*** D**") or missing, depending on the order's state, shipping and market: see
``values.is_masked``. None of it is part of a repr.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kit.vendor_json import (
    id_text,
    mapping,
    mappings,
    moment,
    needed_id,
    needed_text,
    text,
    truth,
    whole,
)
from vendors.tiktok_shop.values import Money, is_masked, money


class OrderStatus(StrEnum):
    """Where an order is. Only AWAITING_SHIPMENT, and the rest of PARTIALLY_SHIPPING, may be shipped.

    UNKNOWN stands for a word that TikTok Shop added later (``raw`` has it): never to be shipped.
    """

    UNPAID = "UNPAID"  # placed, not paid; address hidden
    ON_HOLD = "ON_HOLD"  # paid; the buyer may still change their mind for about an hour
    AWAITING_SHIPMENT = "AWAITING_SHIPMENT"
    PARTIALLY_SHIPPING = "PARTIALLY_SHIPPING"
    AWAITING_COLLECTION = "AWAITING_COLLECTION"  # shipped by our word; the carrier has not scanned it
    IN_TRANSIT = "IN_TRANSIT"
    DELIVERED = "DELIVERED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> "OrderStatus":
        # Webhooks spell it so.
        return cls.CANCELLED if value == "CANCEL" else cls.UNKNOWN


class FulfillmentType(StrEnum):
    """Who packs and sends."""

    BY_SELLER = "FULFILLMENT_BY_SELLER"
    BY_TIKTOK = "FULFILLMENT_BY_TIKTOK"
    BY_DILAYANI_TOKOPEDIA = "FULFILLMENT_BY_DILAYANI_TOKOPEDIA"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> "FulfillmentType":
        return cls.UNKNOWN


class ShippingType(StrEnum):
    """Whose label is on it: SELLER is a carrier of the seller's own, TIKTOK the platform's."""

    SELLER = "SELLER"
    TIKTOK = "TIKTOK"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> "ShippingType":
        return cls.UNKNOWN


@dataclass(frozen=True)
class District:
    """One level of an address: ``L0`` is the country, ``L1`` the state, and so on down."""

    level: str
    level_name: str
    name: str
    iso_code: str


@dataclass(frozen=True)
class Address:
    """Where an order goes. Empty texts are not given, or hidden for now."""

    name: str = field(repr=False)
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    phone_number: str = field(repr=False)
    full_address: str = field(repr=False)
    address_detail: str = field(repr=False)
    lines: tuple[str, ...] = field(repr=False)  # lines 1 to 4; empty ones keep their place
    districts: tuple[District, ...] = field(repr=False)
    postal_code: str = field(repr=False)
    post_town: str = field(repr=False)  # United Kingdom only
    region_code: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    def district(self, level: str) -> str:
        """The name of the district of a level such as ``L1``; empty when there is none. Never go by their order."""
        return next((each.name for each in self.districts if each.level == level), "")

    @property
    def is_masked(self) -> bool:
        """Whether nothing can be sent there: name, phone or street are hidden or missing."""
        street = self.lines[0] or self.address_detail or self.full_address
        return any(is_masked(each) for each in (self.name, self.phone_number, street))


@dataclass(frozen=True)
class CombinedSku:
    """A SKU inside of a bundle, and how many of it are in one."""

    product_id: str
    sku_id: str
    seller_sku: str
    count: int


@dataclass(frozen=True)
class LineItem:
    """One unit: three of a SKU are three line items. ``seller_sku`` may be empty and need not be unique."""

    id: str
    product_id: str
    product_name: str
    sku_id: str
    sku_name: str
    seller_sku: str
    display_status: str
    original_price: Money | None
    sale_price: Money | None
    platform_discount: Money | None
    seller_discount: Money | None
    package_id: str
    package_status: str
    tracking_number: str
    shipping_provider_id: str
    is_gift: bool
    is_dangerous_good: bool
    cancel_reason: str
    cancel_user: str
    combined_skus: tuple[CombinedSku, ...]  # of a bundle: its stock is theirs
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Payment:
    """What the buyer pays: ``total`` is sub-total, shipping, taxes and fees. ``raw`` has every part of it."""

    currency: str
    total: Money | None
    sub_total: Money | None
    shipping_fee: Money | None
    tax: Money | None
    seller_discount: Money | None
    platform_discount: Money | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Order:
    """One order. Times are None where TikTok Shop does not set them (yet)."""

    id: str
    status: OrderStatus
    create_time: datetime | None
    update_time: datetime | None
    paid_time: datetime | None
    rts_time: datetime | None  # ready to ship: it was shipped by our word
    rts_sla_time: datetime | None  # TikTok Shop's deadline for that
    tts_sla_time: datetime | None  # and that for the handover to the carrier
    shipping_due_time: datetime | None
    collection_due_time: datetime | None
    delivery_due_time: datetime | None
    cancel_order_sla_time: datetime | None  # cancelled by itself when not shipped by then
    cancel_time: datetime | None
    cancel_reason: str
    cancellation_initiator: str
    is_buyer_request_cancel: bool
    is_on_hold_order: bool
    is_cod: bool
    is_sample_order: bool
    is_replacement_order: bool
    replaced_order_id: str
    fulfillment_type: FulfillmentType
    shipping_type: ShippingType
    delivery_option_id: str
    delivery_option_name: str
    delivery_type: str
    shipping_provider_id: str
    shipping_provider: str
    tracking_number: str
    warehouse_id: str
    package_ids: tuple[str, ...]
    split_or_combine_tag: str
    buyer_user_id: str = field(repr=False)
    buyer_email: str = field(repr=False)  # anonymised by TikTok Shop
    buyer_message: str = field(repr=False)
    line_items: tuple[LineItem, ...]
    payment: Payment | None
    recipient_address: Address | None = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def order(raw: Mapping[str, Any]) -> Order:
    """Read an order. Raises UnreadableAnswer without id or status, and for line items without ids."""
    return Order(
        id=needed_id(raw, "id"),
        status=OrderStatus(needed_text(raw, "status")),
        create_time=moment(raw, "create_time"),
        update_time=moment(raw, "update_time"),
        paid_time=moment(raw, "paid_time"),
        rts_time=moment(raw, "rts_time"),
        rts_sla_time=moment(raw, "rts_sla_time"),
        tts_sla_time=moment(raw, "tts_sla_time"),
        shipping_due_time=moment(raw, "shipping_due_time"),
        collection_due_time=moment(raw, "collection_due_time"),
        delivery_due_time=moment(raw, "delivery_due_time"),
        cancel_order_sla_time=moment(raw, "cancel_order_sla_time"),
        cancel_time=moment(raw, "cancel_time"),
        cancel_reason=text(raw, "cancel_reason"),
        cancellation_initiator=text(raw, "cancellation_initiator"),
        is_buyer_request_cancel=truth(raw, "is_buyer_request_cancel"),
        is_on_hold_order=truth(raw, "is_on_hold_order"),
        is_cod=truth(raw, "is_cod"),
        is_sample_order=truth(raw, "is_sample_order"),
        is_replacement_order=truth(raw, "is_replacement_order"),
        replaced_order_id=id_text(raw, "replaced_order_id"),
        fulfillment_type=FulfillmentType(text(raw, "fulfillment_type")),
        shipping_type=ShippingType(text(raw, "shipping_type")),
        delivery_option_id=id_text(raw, "delivery_option_id"),
        delivery_option_name=text(raw, "delivery_option_name"),
        delivery_type=text(raw, "delivery_type"),
        shipping_provider_id=id_text(raw, "shipping_provider_id"),
        shipping_provider=text(raw, "shipping_provider"),
        tracking_number=id_text(raw, "tracking_number"),
        warehouse_id=id_text(raw, "warehouse_id"),
        package_ids=tuple(needed_id(item, "id") for item in mappings(raw, "packages")),
        split_or_combine_tag=text(raw, "split_or_combine_tag"),
        buyer_user_id=id_text(raw, "user_id"),
        buyer_email=text(raw, "buyer_email"),
        buyer_message=text(raw, "buyer_message"),
        line_items=tuple(_line_item(item) for item in mappings(raw, "line_items")),
        payment=_payment(mapping(raw, "payment")) if mapping(raw, "payment") else None,
        recipient_address=_address(mapping(raw, "recipient_address")) if mapping(raw, "recipient_address") else None,
        raw=raw,
    )


def _line_item(raw: Mapping[str, Any]) -> LineItem:
    currency = text(raw, "currency")
    return LineItem(
        id=needed_id(raw, "id"),
        product_id=id_text(raw, "product_id"),
        product_name=text(raw, "product_name"),
        sku_id=needed_id(raw, "sku_id"),
        sku_name=text(raw, "sku_name"),
        seller_sku=text(raw, "seller_sku"),
        display_status=text(raw, "display_status"),
        original_price=money(raw, "original_price", currency),
        sale_price=money(raw, "sale_price", currency),
        platform_discount=money(raw, "platform_discount", currency),
        seller_discount=money(raw, "seller_discount", currency),
        package_id=id_text(raw, "package_id"),
        package_status=text(raw, "package_status"),
        tracking_number=id_text(raw, "tracking_number"),
        shipping_provider_id=id_text(raw, "shipping_provider_id"),
        is_gift=truth(raw, "is_gift"),
        is_dangerous_good=truth(raw, "is_dangerous_good"),
        cancel_reason=text(raw, "cancel_reason"),
        cancel_user=text(raw, "cancel_user"),
        combined_skus=tuple(
            CombinedSku(
                id_text(item, "product_id"),
                needed_id(item, "sku_id"),
                text(item, "seller_sku"),
                # Unsaid, it is one.
                whole(item, "sku_count") or 1,
            )
            for item in mappings(raw, "combined_listing_skus")
        ),
        raw=raw,
    )


def _payment(raw: Mapping[str, Any]) -> Payment:
    currency = text(raw, "currency")
    return Payment(
        currency=currency,
        total=money(raw, "total_amount", currency),
        sub_total=money(raw, "sub_total", currency),
        shipping_fee=money(raw, "shipping_fee", currency),
        tax=money(raw, "tax", currency),
        seller_discount=money(raw, "seller_discount", currency),
        platform_discount=money(raw, "platform_discount", currency),
        raw=raw,
    )


def _address(raw: Mapping[str, Any]) -> Address:
    return Address(
        name=text(raw, "name"),
        first_name=text(raw, "first_name"),
        last_name=text(raw, "last_name"),
        phone_number=text(raw, "phone_number"),
        full_address=text(raw, "full_address"),
        address_detail=text(raw, "address_detail"),
        lines=tuple(text(raw, f"address_line{number}") for number in range(1, 5)),
        districts=tuple(
            District(
                text(item, "address_level"),
                text(item, "address_level_name"),
                text(item, "address_name"),
                text(item, "iso_code"),
            )
            for item in mappings(raw, "district_info")
        ),
        postal_code=id_text(raw, "postal_code"),
        post_town=text(raw, "post_town"),
        region_code=text(raw, "region_code"),
        raw=raw,
    )
