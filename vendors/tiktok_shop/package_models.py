"""Packages, their labels and their way, as TikTok Shop tells them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from kit.vendor_json import id_text, mapping, mappings, moment, needed_id, needed_text, text, texts, whole
from vendors.tiktok_shop.values import Money, money, objects

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MILLIS = 253_402_300_799_000  # end of the year 9999


class PackageStatus(StrEnum):
    """Where a package is; UNKNOWN for a word that TikTok Shop added later, which ``raw`` has."""

    TO_FULFILL = "TO_FULFILL"
    PROCESSING = "PROCESSING"
    FULFILLING = "FULFILLING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> "PackageStatus":
        return cls.UNKNOWN


class DocumentType(StrEnum):
    """What is printed for a package."""

    LABEL = "SHIPPING_LABEL"
    PACKING_SLIP = "PACKING_SLIP"
    LABEL_AND_PACKING_SLIP = "SHIPPING_LABEL_AND_PACKING_SLIP"


@dataclass(frozen=True)
class SelfShipment:
    """Sent by a carrier of the seller's own. The number has letters and digits only."""

    tracking_number: str
    shipping_provider_id: str

    def as_json(self) -> dict[str, Any]:
        """As it is named in every body."""
        return {"tracking_number": self.tracking_number, "shipping_provider_id": self.shipping_provider_id}


@dataclass(frozen=True)
class Handover:
    """Given to TikTok Shop's carrier: dropped off, or picked up in a slot that was offered."""

    pickup_start: datetime | None = None
    pickup_end: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """The body of ``ship``."""
        if self.pickup_start is None or self.pickup_end is None:
            return {"handover_method": "DROP_OFF"}
        slot = {"start_time": int(self.pickup_start.timestamp()), "end_time": int(self.pickup_end.timestamp())}
        return {"handover_method": "PICKUP", "pickup_slot": slot}


@dataclass(frozen=True)
class Parcel:
    """Size and weight of a package: centimetres or inches, grams or pounds."""

    length: Decimal
    width: Decimal
    height: Decimal
    length_unit: str  # CM or INCH
    weight: Decimal
    weight_unit: str  # GRAM or POUND

    def as_json(self) -> dict[str, Any]:
        """Both as ``create`` wants them."""
        return {
            "dimension": {
                "length": f"{self.length:f}",
                "width": f"{self.width:f}",
                "height": f"{self.height:f}",
                "unit": self.length_unit,
            },
            "weight": {"value": f"{self.weight:f}", "unit": self.weight_unit},
        }


@dataclass(frozen=True)
class Shipped:
    """The package that came of it; its id may be empty, then the order names it. ``warning`` is to be shown."""

    package_id: str
    warning: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Package:
    """One package of one or more orders."""

    id: str
    status: PackageStatus
    order_ids: tuple[str, ...]
    line_item_ids: tuple[str, ...]
    tracking_number: str
    last_mile_tracking_number: str
    shipping_provider_id: str
    shipping_provider_name: str
    split_or_combine_tag: str
    create_time: datetime | None
    update_time: datetime | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class ShippingDocument:
    """A label or slip. Whoever has the address can read it; it works for 24 hours, so fetch it at once."""

    url: str = field(repr=False)
    tracking_number: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class ShippingService:
    """A service of TikTok Shop's carriers that would take an order (United States)."""

    id: str
    name: str
    price: Money | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class TrackingEvent:
    """One station of an order's way, in the carrier's words."""

    description: str
    time: datetime | None


def shipped(data: Mapping[str, Any]) -> Shipped:
    """Read what shipping answers."""
    return Shipped(id_text(data, "package_id"), text(mapping(data, "warning"), "message"), data)


def package(raw: Mapping[str, Any]) -> Package:
    """Read a package; its detail and a search call the same things differently. Raises UnreadableAnswer without id."""
    order_id = id_text(raw, "order_id")
    return Package(
        id=id_text(raw, "package_id") or needed_id(raw, "id"),
        status=PackageStatus(text(raw, "package_status") or text(raw, "status")),
        order_ids=tuple(needed_id(item, "id") for item in mappings(raw, "orders")) or ((order_id,) if order_id else ()),
        line_item_ids=texts(raw, "order_line_item_ids"),
        tracking_number=id_text(raw, "tracking_number"),
        last_mile_tracking_number=id_text(raw, "last_mile_tracking_number"),
        shipping_provider_id=id_text(raw, "shipping_provider_id"),
        shipping_provider_name=text(raw, "shipping_provider_name"),
        split_or_combine_tag=text(raw, "split_and_combine_tag") or text(raw, "split_or_combine_tag"),
        create_time=moment(raw, "create_time"),
        update_time=moment(raw, "update_time"),
        raw=raw,
    )


def shipping_document(data: Mapping[str, Any]) -> ShippingDocument:
    """Read a label's address. Raises UnreadableAnswer without one."""
    return ShippingDocument(needed_text(data, "doc_url"), id_text(data, "tracking_number"), data)


def shipping_services(data: Mapping[str, Any]) -> tuple[ShippingService, ...]:
    """Read the services that would take an order."""
    return tuple(
        ShippingService(needed_id(item, "id"), text(item, "name"), money(item, "price", text(item, "currency")), item)
        for item in objects(data, "shipping_services")
    )


def tracking(data: Mapping[str, Any]) -> tuple[TrackingEvent, ...]:
    """Read an order's way. Its times are in milliseconds, unlike all others."""
    return tuple(
        TrackingEvent(text(item, "description"), _of_millis(whole(item, "update_time_millis")))
        for item in objects(data, "tracking")
    )


def _of_millis(millis: int | None) -> datetime | None:
    return _EPOCH + timedelta(milliseconds=millis) if millis and 0 < millis <= _LAST_MILLIS else None
