"""The shops that a seller's token is for, and where TikTok Shop sends their webhooks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.vendor_json import needed_id, needed_text, text
from vendors.tiktok_shop import operations
from vendors.tiktok_shop.calls import Access, Calls, Request
from vendors.tiktok_shop.values import objects


@dataclass(frozen=True)
class Shop:
    """One shop of a token, which may have several (cross-border). Records are kept by ``id``."""

    id: str
    name: str
    code: str
    region: str
    seller_type: str  # LOCAL or CROSS_BORDER
    cipher: str = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class ShopWebhook:
    """Where the events of one type of a shop are sent."""

    event_type: str
    address: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


class Shops:
    """Authorised shops and their webhooks."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def authorized(self, access: Access, *, timeout_seconds: float | None = None) -> tuple[Shop, ...]:
        """All shops that the token is for, each with the cipher that its calls need."""
        request = Request(operation=operations.AUTHORIZED_SHOPS, access=access)
        return await self._calls.data(request, _shops, timeout_seconds)

    async def webhooks(self, access: Access, *, timeout_seconds: float | None = None) -> tuple[ShopWebhook, ...]:
        """The addresses that are set for this shop; what is set for the whole app is not among them."""
        request = Request(operation=operations.WEBHOOKS_GET, access=access)
        return await self._calls.data(request, _webhooks, timeout_seconds)

    async def set_webhook(
        self, access: Access, event_type: str, address: str, *, timeout_seconds: float | None = None
    ) -> None:
        """Send the shop's events of a type to an address (https, a domain's name, no port, at most 255 characters)."""
        body = {"event_type": event_type, "address": address}
        request = Request(operation=operations.WEBHOOK_PUT, access=access, body=body)
        await self._calls.data(request, _nothing, timeout_seconds)

    async def delete_webhook(self, access: Access, event_type: str, *, timeout_seconds: float | None = None) -> None:
        """Send the shop's events of a type to no address of its own any more."""
        request = Request(operation=operations.WEBHOOK_DELETE, access=access, body={"event_type": event_type})
        await self._calls.data(request, _nothing, timeout_seconds)


def _shops(data: Mapping[str, Any]) -> tuple[Shop, ...]:
    return tuple(
        Shop(
            id=needed_id(item, "id"),
            name=text(item, "name"),
            code=text(item, "code"),
            region=text(item, "region"),
            seller_type=text(item, "seller_type"),
            cipher=needed_text(item, "cipher"),
            raw=item,
        )
        for item in objects(data, "shops")
    )


def _webhooks(data: Mapping[str, Any]) -> tuple[ShopWebhook, ...]:
    return tuple(
        ShopWebhook(text(item, "event_type"), text(item, "address"), item) for item in objects(data, "webhooks")
    )


def _nothing(_data: Mapping[str, Any]) -> None:
    return None
