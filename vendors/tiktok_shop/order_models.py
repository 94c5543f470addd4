"""An order as TikTok Shop tells it. What a field means is as at partner.tiktokshop.com/docv2/page/get-order-detail.

A buyer's data may be masked ("J*** D**") or missing, depending on the order's state, shipping and market: see
``values.is_masked``. None of it is part of a repr.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from kit.vendor_json import mapping, mappings, needed_id, text
from vendors.tiktok_shop.told import Count, Hidden, Id, Moment, NeededId, NeededWord, Text, Told, Truth, named, read
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


class District(Told):
    """One level of an address: ``L0`` is the country, ``L1`` the state, and so on down."""

    level: Text = named("address_level")
    level_name: Text = named("address_level_name")
    name: Text = named("address_name")
    iso_code: Text = ""


class Address(Told):
    """Where an order goes. Empty texts are not given, or hidden for now."""

    name: Hidden[Text] = ""
    first_name: Hidden[Text] = ""
    last_name: Hidden[Text] = ""
    phone_number: Hidden[Text] = ""
    full_address: Hidden[Text] = ""
    address_detail: Hidden[Text] = ""
    lines: Hidden[tuple[str, ...]]  # lines 1 to 4; empty ones keep their place
    districts: Hidden[tuple[District, ...]] = ()
    postal_code: Hidden[Id] = ""
    post_town: Hidden[Text] = ""  # United Kingdom only
    region_code: Text = ""

    @classmethod
    def shaped(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The lines are fields of their own."""
        lines = tuple(text(raw, f"address_line{number}") for number in range(1, 5))
        return {"lines": lines, "districts": tuple(mappings(raw, "district_info"))}

    def district(self, level: str) -> str:
        """The name of the district of a level such as ``L1``; empty when there is none. Never go by their order."""
        return next((each.name for each in self.districts if each.level == level), "")

    @property
    def is_masked(self) -> bool:
        """Whether nothing can be sent there: name, phone or street are hidden or missing."""
        street = self.lines[0] or self.address_detail or self.full_address
        return any(is_masked(each) for each in (self.name, self.phone_number, street))


class CombinedSku(Told):
    """A SKU inside of a bundle, and how many of it are in one: unsaid, it is one."""

    product_id: Id = ""
    sku_id: NeededId
    seller_sku: Text = ""
    count: Count = named("sku_count", 1)


class LineItem(Told):
    """One unit: three of a SKU are three line items. ``seller_sku`` may be empty and need not be unique."""

    id: NeededId
    product_id: Id = ""
    product_name: Text = ""
    sku_id: NeededId
    sku_name: Text = ""
    seller_sku: Text = ""
    display_status: Text = ""
    original_price: Money | None
    sale_price: Money | None
    platform_discount: Money | None
    seller_discount: Money | None
    package_id: Id = ""
    package_status: Text = ""
    tracking_number: Id = ""
    shipping_provider_id: Id = ""
    is_gift: Truth = False
    is_dangerous_good: Truth = False
    cancel_reason: Text = ""
    cancel_user: Text = ""
    combined_skus: tuple[CombinedSku, ...] = ()  # of a bundle: its stock is theirs

    @classmethod
    def shaped(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Amounts are in the currency beside them."""
        amounts = ("original_price", "sale_price", "platform_discount", "seller_discount")
        currency = text(raw, "currency")
        skus = tuple(mappings(raw, "combined_listing_skus"))
        return {"combined_skus": skus} | {name: money(raw, name, currency) for name in amounts}


class Payment(Told):
    """What the buyer pays: ``total`` is sub-total, shipping, taxes and fees. ``raw`` has every part of it."""

    currency: Text = ""
    total: Money | None
    sub_total: Money | None
    shipping_fee: Money | None
    tax: Money | None
    seller_discount: Money | None
    platform_discount: Money | None

    @classmethod
    def shaped(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Amounts are in the currency beside them."""
        amounts = ("sub_total", "shipping_fee", "tax", "seller_discount", "platform_discount")
        currency = text(raw, "currency")
        return {"total": money(raw, "total_amount", currency)} | {name: money(raw, name, currency) for name in amounts}


class Order(Told):
    """One order. Times are None where TikTok Shop does not set them (yet)."""

    id: NeededId
    status: NeededWord[OrderStatus]
    create_time: Moment = None
    update_time: Moment = None
    paid_time: Moment = None
    rts_time: Moment = None  # ready to ship: it was shipped by our word
    rts_sla_time: Moment = None  # TikTok Shop's deadline for that
    tts_sla_time: Moment = None  # and that for the handover to the carrier
    shipping_due_time: Moment = None
    collection_due_time: Moment = None
    delivery_due_time: Moment = None
    cancel_order_sla_time: Moment = None  # cancelled by itself when not shipped by then
    cancel_time: Moment = None
    cancel_reason: Text = ""
    cancellation_initiator: Text = ""
    is_buyer_request_cancel: Truth = False
    is_on_hold_order: Truth = False
    is_cod: Truth = False
    is_sample_order: Truth = False
    is_replacement_order: Truth = False
    replaced_order_id: Id = ""
    fulfillment_type: FulfillmentType = FulfillmentType.UNKNOWN
    shipping_type: ShippingType = ShippingType.UNKNOWN
    delivery_option_id: Id = ""
    delivery_option_name: Text = ""
    delivery_type: Text = ""
    shipping_provider_id: Id = ""
    shipping_provider: Text = ""
    tracking_number: Id = ""
    warehouse_id: Id = ""
    package_ids: tuple[str, ...] = ()
    split_or_combine_tag: Text = ""
    buyer_user_id: Hidden[Id] = named("user_id")
    buyer_email: Hidden[Text] = ""  # anonymised by TikTok Shop
    buyer_message: Hidden[Text] = ""
    line_items: tuple[LineItem, ...] = ()
    payment: Payment | None = None
    recipient_address: Hidden[Address | None] = None

    @classmethod
    def shaped(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """What is no object is none."""
        return {
            "package_ids": tuple(needed_id(item, "id") for item in mappings(raw, "packages")),
            "line_items": tuple(mappings(raw, "line_items")),
            "payment": mapping(raw, "payment") or None,
            "recipient_address": mapping(raw, "recipient_address") or None,
        }


def order(raw: Mapping[str, Any]) -> Order:
    """Read an order. Raises UnreadableAnswer without id or status, and for line items without ids."""
    return read(Order, raw)
