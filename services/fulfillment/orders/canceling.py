"""Canceling orders at TikTok Shop, where somebody wishes it. The call has no idempotency key: so the order is read
first, and again afterwards, and what was begun before is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from kit.errors import FailedPrecondition, ReelrouteError
from kit.vendor_errors import VendorNotFound
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop, ShopRequestRefused
from services.fulfillment.orders.domain import Order
from vendors.tiktok_shop.aftersales import AftersaleFilter, Cancellation, CancelStatus
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.values import Page

# "Already in process", "already finished".
_BEGUN = ("25001011", "25001051")
# Another request about the order is being worked on.
_LOCKED = "25001028"
_AGAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Canceled:
    """What came of it: begun, or refused for good with these words; else it is tried again in so many seconds."""

    is_begun: bool = False
    refusal: str = ""
    again_seconds: float = _AGAIN_SECONDS


def cancel(calls: ShopCalls, shop: Shop, order: Order) -> Canceled:
    """Cancels an order that was just read, and is not canceled yet."""
    platform_order_id = order.told.platform_order_id

    async def begun(access: Access, seconds: float) -> Page[Cancellation]:
        wanted = AftersaleFilter(order_ids=(platform_order_id,))
        return await calls.client.aftersales.cancellations(access, wanted, timeout_seconds=seconds)

    async def question(access: Access, seconds: float) -> None:
        await calls.client.aftersales.cancel(access, platform_order_id, order.cancel_reason, timeout_seconds=seconds)

    try:
        found = calls.ask(shop, begun).items
        # One that the buyer asked for is not ours, and waits for an answer.
        if any(each.type == "CANCEL" and each.status is not CancelStatus.WITHDRAWN for each in found):
            return Canceled(is_begun=True)
        calls.ask(shop, question)
    except ShopRequestRefused as refusal:
        code = refusal.metadata.get("code")
        if code in _BEGUN:
            return Canceled(is_begun=True)
        return Canceled() if code == _LOCKED else Canceled(refusal=refusal.message)
    except VendorNotFound:
        return Canceled(refusal="TikTok Shop has no such order.")
    except FailedPrecondition as refusal:
        return Canceled(refusal=refusal.message)
    except ReelrouteError as refusal:
        return Canceled(again_seconds=refusal.retry_after_seconds or _AGAIN_SECONDS)
    return Canceled(is_begun=True)
