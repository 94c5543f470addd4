"""Webhooks of TikTok Shop: who signed them, and what they say.

The signature holds no time, so a recorded one is as good as new: remember ``notification_id`` and look at each once.
They come in any order and may be lost (five tries in 16 hours), and what they say may be outdated: each is only a hint
to read the state. Answer 200 with an empty body within three seconds, to unknown types as well.
Sources: partner.tiktokshop.com/docv2/page/{tiktok-shop-webhooks, 1-order-status-change, 4-package-update,
11-cancellation-status-change, 12-return-status-change, 27-inventory-status-change}.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from kit.vendor_json import UnreadableAnswer, id_text, mapping, mappings, moment, needed_id, text, texts, truth, whole
from kit.vendor_webhook import WebhookUnreadable, check_signature, check_size
from vendors.tiktok_shop.aftersales import CancelStatus
from vendors.tiktok_shop.creator_models import Precheck, precheck_of
from vendors.tiktok_shop.order_models import OrderStatus
from vendors.tiktok_shop.products import ProductStatus

SIGNATURE_HEADER = "Authorization"
MAX_BYTES = 256 * 1024
_log = structlog.get_logger("reelroute.vendor")


@dataclass(frozen=True)
class OrderChanged:
    """Type 1."""

    order_id: str
    status: OrderStatus
    is_on_hold_order: bool


@dataclass(frozen=True)
class AddressChanged:
    """Type 3."""

    order_id: str


@dataclass(frozen=True)
class PackagesChanged:
    """Type 4: packages were split, combined or otherwise changed. Order ids by package id."""

    change: str
    order_ids: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ProductChanged:
    """Types 5, 15, 16, 18 and 37: read the product. ``status`` is None where the event is about something else."""

    product_id: str
    status: ProductStatus | None
    reason: str


@dataclass(frozen=True)
class SellerDeauthorized:
    """Type 6: the seller removed the app. The tokens are dead."""


@dataclass(frozen=True)
class AuthorizationEnding:
    """Type 7, 30 days ahead: the seller has to go through the consent page again."""

    end: datetime | None


@dataclass(frozen=True)
class CancellationChanged:
    """Type 11."""

    order_id: str
    cancel_id: str
    status: CancelStatus
    role: str


@dataclass(frozen=True)
class ReturnChanged:
    """Type 12."""

    order_id: str
    return_id: str
    type: str
    status: str
    role: str


@dataclass(frozen=True)
class ContentLinked:
    """Type 17: a creator's content began to show a product, changed that, or ended it (ADD, UPDATE, REMOVE)."""

    product_id: str
    change: str
    scene: str
    content_id: str


@dataclass(frozen=True)
class CreatorDeauthorized:
    """Type 20: the creator removed the app. The tokens are dead."""


@dataclass(frozen=True)
class StockChanged:
    """Type 27: SUFFICIENT_STOCK, LOW_STOCK or OUT_OF_STOCK, measured (REALTIME) or foreseen (PREDICTION)."""

    product_id: str
    sku_id: str
    status: str
    alert_type: str


@dataclass(frozen=True)
class PrecheckDone:
    """Type 55: a check before posting has ended."""

    task_id: str
    result: Precheck


@dataclass(frozen=True)
class OtherEvent:
    """A type that nothing here is made of; ``raw`` of the event has it."""


Detail = (
    OrderChanged
    | AddressChanged
    | PackagesChanged
    | ProductChanged
    | SellerDeauthorized
    | AuthorizationEnding
    | CancellationChanged
    | ReturnChanged
    | ContentLinked
    | CreatorDeauthorized
    | StockChanged
    | PrecheckDone
    | OtherEvent
)


@dataclass(frozen=True)
class WebhookEvent:
    """One event. One of the three owners is set; ``type`` is TikTok Shop's number."""

    type: int
    notification_id: str
    shop_id: str
    seller_open_id: str
    creator_open_id: str
    time: datetime | None
    detail: Detail
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def read_event(
    body: bytes, signature: str, *, app_key: str, app_secret: str, max_bytes: int = MAX_BYTES
) -> WebhookEvent:
    """Check a webhook and read it. ``body`` is as it came, ``signature`` the header's value.

    Raises WebhookTooLarge, WebhookForged or WebhookUnreadable.
    """
    check_size(body, max_bytes)
    check_signature(signature.strip(), secret=app_secret, message=app_key.encode() + body)
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, Mapping):
        raise WebhookUnreadable("The webhook is no JSON object.")
    number, notification_id = whole(raw, "type"), id_text(raw, "tts_notification_id")
    if number is None or not notification_id:
        raise WebhookUnreadable("The webhook has no type or no tts_notification_id.")
    return WebhookEvent(
        type=number,
        notification_id=notification_id,
        shop_id=id_text(raw, "shop_id"),
        seller_open_id=text(raw, "seller_open_id"),
        creator_open_id=text(raw, "creator_open_id"),
        time=moment(raw, "timestamp"),
        detail=_detail(number, mapping(raw, "data")),
        raw=raw,
    )


def _detail(number: int, data: Mapping[str, Any]) -> Detail:
    read = _READERS.get(number)
    if read is None:
        _log.info("tiktok_shop_webhook_of_another_type", type=number)
        return OtherEvent()
    try:
        return read(data)
    except UnreadableAnswer as missing:
        # Not refused: sent again it would be the same. What it hints at is found by polling.
        _log.warning("tiktok_shop_webhook_unreadable", type=number, missing=str(missing))
        return OtherEvent()


def _order_changed(data: Mapping[str, Any]) -> Detail:
    return OrderChanged(
        needed_id(data, "order_id"), OrderStatus(text(data, "order_status")), truth(data, "is_on_hold_order")
    )


def _packages_changed(data: Mapping[str, Any]) -> Detail:
    packages = {needed_id(item, "package_id"): texts(item, "order_id_list") for item in mappings(data, "package_list")}
    return PackagesChanged(text(data, "sc_type"), packages)


def _product_changed(data: Mapping[str, Any]) -> Detail:
    status = text(data, "status")
    return ProductChanged(
        needed_id(data, "product_id"), ProductStatus(status) if status else None, text(data, "suspended_reason")
    )


def _cancellation_changed(data: Mapping[str, Any]) -> Detail:
    return CancellationChanged(
        needed_id(data, "order_id"),
        id_text(data, "cancel_id"),
        CancelStatus(text(data, "cancel_status")),
        text(data, "cancellations_role"),
    )


def _return_changed(data: Mapping[str, Any]) -> Detail:
    return ReturnChanged(
        needed_id(data, "order_id"),
        id_text(data, "return_id"),
        text(data, "return_type"),
        text(data, "return_status"),
        text(data, "return_role"),
    )


def _content_linked(data: Mapping[str, Any]) -> Detail:
    event = mapping(data, "event")
    return ContentLinked(
        needed_id(data, "product_id"), text(event, "type"), text(event, "scene"), id_text(event, "content_id")
    )


def _stock_changed(data: Mapping[str, Any]) -> Detail:
    return StockChanged(
        needed_id(data, "product_id"),
        id_text(data, "sku_id"),
        text(data, "current_inventory_status"),
        text(mapping(data, "trigger_reason"), "alert_type"),
    )


_READERS: dict[int, Callable[[Mapping[str, Any]], Detail]] = {
    1: _order_changed,
    3: lambda data: AddressChanged(needed_id(data, "order_id")),
    4: _packages_changed,
    5: _product_changed,
    6: lambda _data: SellerDeauthorized(),
    7: lambda data: AuthorizationEnding(moment(data, "expiration_time")),
    11: _cancellation_changed,
    12: _return_changed,
    15: _product_changed,
    16: _product_changed,
    17: _content_linked,
    18: _product_changed,
    20: lambda _data: CreatorDeauthorized(),
    27: _stock_changed,
    37: _product_changed,
    55: lambda data: PrecheckDone(needed_id(data, "precheck_task_id"), precheck_of(data)),
}
