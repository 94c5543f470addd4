"""TikTok Shop's side of telling: what it has of a number, read before it is told anything; the telling itself; and what
its refusals mean.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from kit.vendor_errors import VendorNotFound
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop, ShopRequestRefused
from services.fulfillment.shipping.guard import Tell, Withheld
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.errors import rule_of
from vendors.tiktok_shop.order_models import Order, OrderStatus
from vendors.tiktok_shop.package_models import Package, PackageStatus, SelfShipment

_OPEN = (OrderStatus.AWAITING_SHIPMENT, OrderStatus.PARTIALLY_SHIPPING)
_TO_FULFILL = ("", PackageStatus.TO_FULFILL.value)

# A number that is wrong, of another carrier, or used: it may be one of the five that close a warehouse.
_REJECTED = frozenset(["21011022", "11028006", "21004015", "21004012", "21004016", "21011025", "21034012", "21011026"])
_CANCELED = frozenset(["21011041", "21011042"])
_OPEN_REQUEST = frozenset(["21011007", "21008044"])
_PROVIDER = frozenset(["21008116", "21008117"])
_EDIT_OVER = frozenset(["21011050", "21011051"])


class Refusal(enum.Enum):
    """What a definite no asks of us."""

    REJECTED = "REJECTED"
    WAITS = "WAITS"
    PROVIDER = "PROVIDER"
    BLOCKED = "BLOCKED"


@dataclass(frozen=True, slots=True)
class Has:
    """What TikTok Shop has of the lines that are to be told. `is_ours`: it knows the number, in this package of its
    own; else it has none for them, and may be told.
    """

    is_ours: bool
    platform_package_id: str = ""
    # What a package that is to be corrected has now.
    number: str = ""
    provider_id: str = ""
    provider_name: str = ""


def has_of_order(found: Order, number: str, platform_line_ids: tuple[str, ...]) -> Has | Withheld:
    """What an order says of a number for these lines; or why it cannot be told."""
    lines = [line for line in found.line_items if line.id in platform_line_ids]
    if found.status is OrderStatus.CANCELLED or not lines:
        return Withheld("ORDER_CANCELED", "The order, or what is in the package, is canceled at TikTok Shop.")
    shipped = [line for line in lines if line.package_status not in _TO_FULFILL or line.tracking_number]
    if shipped and all(line.tracking_number == number for line in shipped):
        if len(shipped) == len(lines):
            return Has(True, shipped[0].package_id)
        return Withheld("TOLD_OTHERWISE", "TikTok Shop has this number for some of the package's lines only.")
    if shipped:
        return Withheld(
            "TOLD_OTHERWISE",
            "TikTok Shop has another number for what is in this package: somebody else entered it. Compare it in Seller"
            " Center.",
        )
    if found.is_buyer_request_cancel:
        return Withheld("CANCEL_REQUESTED", "The buyer wants to cancel: answer the request first.", is_waiting=True)
    if found.is_on_hold_order or found.status not in _OPEN:
        return Withheld("NOT_READY", "TikTok Shop does not let the order be shipped now.", is_waiting=True)
    return Has(False)


def has_of_package(found: Package, number: str) -> Has | Withheld:
    """What a package of TikTok Shop's that is to be corrected says of a number."""
    if found.status is PackageStatus.CANCELLED:
        return Withheld("ORDER_CANCELED", "The package is canceled at TikTok Shop.")
    return Has(
        found.tracking_number == number,
        found.id,
        found.tracking_number,
        found.shipping_provider_id,
        found.shipping_provider_name,
    )


def refusal_of(error: ShopRequestRefused | VendorNotFound) -> tuple[Refusal, Withheld]:
    """What a refusal of a number asks of us. TikTok Shop's own sentence is left out: it may name people."""
    code = error.code if isinstance(error, VendorNotFound) else error.metadata.get("code", "")
    rule = rule_of(code, "")
    text = f"TikTok Shop refuses it ({code or 'without a code'}): {rule.message if rule else 'see its code there.'}"
    if code in _REJECTED:
        return Refusal.REJECTED, Withheld("REJECTED", text)
    if code in _OPEN_REQUEST:
        return Refusal.WAITS, Withheld("CANCEL_REQUESTED", text, is_waiting=True)
    if code in _PROVIDER:
        return Refusal.PROVIDER, Withheld("PROVIDER_UNKNOWN", text)
    if code in _CANCELED:
        return Refusal.BLOCKED, Withheld("ORDER_CANCELED", text)
    if code in _EDIT_OVER:
        return Refusal.BLOCKED, Withheld("EDIT_USED", text)
    return Refusal.BLOCKED, Withheld("REFUSED", text)


class ShopSide:
    """Reads and tells. All methods raise as `ShopCalls.ask`."""

    def __init__(self, calls: ShopCalls) -> None:
        self._calls = calls

    def look(self, shop: Shop, platform_order_id: str, tell: Tell, edited_package_id: str) -> Has | Withheld:
        """What TikTok Shop has of what is to be told. `edited_package_id`: its package that is to be corrected."""
        client = self._calls.client

        async def of_package(access: Access, seconds: float) -> Package:
            return await client.packages.get(access, edited_package_id, timeout_seconds=seconds)

        async def of_order(access: Access, seconds: float) -> tuple[Order, ...]:
            return await client.orders.get(access, [platform_order_id], timeout_seconds=seconds)

        if edited_package_id:
            return has_of_package(self._calls.ask(shop, of_package), tell.number)
        found = next((each for each in self._calls.ask(shop, of_order) if each.id == platform_order_id), None)
        if found is None:
            return Withheld("NOT_READY", "TikTok Shop does not show the order now.", is_waiting=True)
        return has_of_order(found, tell.number, tell.platform_line_ids)

    def say(self, shop: Shop, platform_order_id: str, tell: Tell, edited_package_id: str) -> str:
        """Tells it, or corrects the package; returns TikTok Shop's id of the package, which may be empty. Commits."""
        client, shipment = self._calls.client, SelfShipment(tell.number, tell.provider_id)

        async def correct(access: Access, seconds: float) -> str:
            await client.packages.correct_package_tracking(access, edited_package_id, shipment, timeout_seconds=seconds)
            return edited_package_id

        async def mark(access: Access, seconds: float) -> str:
            lines = () if tell.is_whole_order else tell.platform_line_ids
            shipped = await client.packages.mark_shipped(
                access, platform_order_id, shipment, line_item_ids=lines, timeout_seconds=seconds
            )
            return shipped.package_id

        return self._calls.ask(shop, correct if edited_package_id else mark)
