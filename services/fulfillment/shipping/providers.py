"""TikTok Shop's shipping providers, as each shop and delivery option has them. Remembered for a day by this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from uuid import UUID

from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop
from services.fulfillment.orders.domain import ShopOrder
from vendors.tiktok_shop.calls import Access

_DAY_SECONDS = 86_400.0
_BY_SELLER = "SEND_BY_SELLER"


class Providers:
    """Reads them through; any thread may ask."""

    def __init__(self, calls: ShopCalls, clock: Callable[[], float] = time.monotonic) -> None:
        self._calls, self._clock = calls, clock
        self._known: dict[tuple[UUID, str, str], tuple[float, Mapping[str, str]]] = {}
        self._lock = threading.Lock()

    def offered(self, shop: Shop, told: ShopOrder) -> Mapping[str, str]:
        """Ids and names of the providers that an order may be sent with. Raises as `ShopCalls.ask`."""
        key = (shop.shop_id, told.delivery_option_id, "" if told.delivery_option_id else told.warehouse_id)
        with self._lock:
            known = self._known.get(key)
        if known is not None and self._clock() - known[0] < _DAY_SECONDS:
            return known[1]
        logistics = self._calls.client.logistics

        async def question(access: Access, seconds: float) -> Mapping[str, str]:
            option_id = told.delivery_option_id
            if not option_id:
                # An order that does not name its option has one of its warehouse's.
                options = await logistics.delivery_options(access, told.warehouse_id, timeout_seconds=seconds)
                option_id = next((each.id for each in options if each.type == _BY_SELLER), "")
            if not option_id:
                return {}
            found = await logistics.shipping_providers(access, option_id, timeout_seconds=seconds)
            return {each.id: each.name for each in found}

        offered = self._calls.ask(shop, question)
        with self._lock:
            self._known[key] = (self._clock(), offered)
        return offered

    def forget(self, shop_id: UUID) -> None:
        """Reads a shop's providers anew at the next question."""
        with self._lock:
            for key in [each for each in self._known if each[0] == shop_id]:
                del self._known[key]
