"""The Selling Partner API as typed calls: ``client.of(access).outbound.get(order_id)``.

Every call raises the errors of kit.vendor_errors. Reads are tried again here, and so is the wish to cancel. Creating an
order commits: without a usable answer it is VendorUncertain, and only reading the order tells.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kit.rate_limit import Limiter
from kit.vendor_call import CallRecord
from kit.vendor_http import VendorHttp
from vendors.amazon_sp.calls import Access, Calls
from vendors.amazon_sp.catalog import Catalog
from vendors.amazon_sp.config import AmazonSpConfig
from vendors.amazon_sp.inventory import Inventory
from vendors.amazon_sp.lwa import Lwa
from vendors.amazon_sp.marketplaces import Region
from vendors.amazon_sp.outbound import Outbound
from vendors.amazon_sp.outbound_2020_07_01 import Outbound20200701


@dataclass(frozen=True)
class Amazon:
    """What can be asked in the name of one merchant."""

    outbound: Outbound
    inventory: Inventory
    catalog: Catalog


class AmazonSpClient:
    """Calls Amazon for any number of merchants; holds connections, nobody's tokens.

    Without a ``limiter`` Amazon's rates are kept by this process alone.
    """

    def __init__(
        self,
        config: AmazonSpConfig,
        *,
        on_call: Callable[[CallRecord], None] | None = None,
        limiter: Limiter | None = None,
        https: Mapping[Region, VendorHttp] | None = None,
        lwa_http: VendorHttp | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.config = config
        self._https = https or {
            region: VendorHttp(config.http_settings(config.url_of(region)), on_call=on_call, limiter=limiter)
            for region in Region
        }
        self._lwa_http = lwa_http or VendorHttp(config.http_settings(config.lwa_url), on_call=on_call)
        self._calls = Calls(config, self._https, clock=clock, jitter=jitter)
        self.lwa = Lwa(config, self._lwa_http)

    def of(self, access: Access) -> Amazon:
        """What can be asked with this access."""
        return Amazon(
            Outbound20200701(self._calls, access), Inventory(self._calls, access), Catalog(self._calls, access)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        for http in (*self._https.values(), self._lwa_http):
            await http.aclose()
