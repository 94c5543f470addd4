"""TikTok Shop as typed calls, by topic: ``client.orders.search(access, …)``.

Every call takes ``timeout_seconds``, the time for the whole call with its retries (the configured one by default), and
raises the errors of kit.vendor_errors. Reads are tried again here, and so is what is once however often it is made
(answers to cancellations carry an idempotency key; a webhook's address). What commits is made once: TikTok Shop knows
no idempotency key for it, so without an answer it is VendorUncertain, and reading the order, package or product tells
whether it happened. VendorUncertain is also the answer when TikTok Shop says that it had happened before.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from kit.rate_limit import Limiter
from kit.vendor_call import CallRecord
from kit.vendor_http import VendorHttp
from vendors.tiktok_shop.aftersales import Aftersales
from vendors.tiktok_shop.analytics import Analytics
from vendors.tiktok_shop.calls import Calls
from vendors.tiktok_shop.config import TikTokShopConfig
from vendors.tiktok_shop.creator import Creator
from vendors.tiktok_shop.logistics import Logistics
from vendors.tiktok_shop.oauth import Tokens
from vendors.tiktok_shop.orders import Orders
from vendors.tiktok_shop.packages import Packages
from vendors.tiktok_shop.products import Products
from vendors.tiktok_shop.shops import Shops


class TikTokShopClient:
    """Calls TikTok Shop for any number of shops and creators; holds connections, nobody's tokens.

    Without a ``limiter`` TikTok Shop's rates are kept by this process alone. ``now`` is the time of the signatures.
    """

    def __init__(
        self,
        config: TikTokShopConfig,
        *,
        on_call: Callable[[CallRecord], None] | None = None,
        limiter: Limiter | None = None,
        http: VendorHttp | None = None,
        token_http: VendorHttp | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self._http = http or VendorHttp(config.http_settings(config.base_url), on_call=on_call, limiter=limiter)
        self._token_http = token_http or VendorHttp(config.http_settings(config.token_url), on_call=on_call)
        calls = Calls(config, self._http, now=now)
        self.tokens = Tokens(config, self._token_http)
        self.shops = Shops(calls)
        self.orders = Orders(calls)
        self.packages = Packages(calls)
        self.logistics = Logistics(calls)
        self.aftersales = Aftersales(calls)
        self.products = Products(calls)
        self.analytics = Analytics(calls)
        self.creator = Creator(calls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        await self._token_http.aclose()
