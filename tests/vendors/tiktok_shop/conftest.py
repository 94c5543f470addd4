from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from kit.vendor_call import CallRecord
from kit.vendor_http import VendorHttp
from tests.vendors.fake_vendor import FakeVendor, JumpingClock
from tests.vendors.tiktok_shop.endpoints import CIPHER
from tests.vendors.tiktok_shop.strict_shop import CREATOR, KEY, SECRET, SELLER, StrictShop
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.config import TikTokShopConfig

SHOP = Access(SELLER, "7495", CIPHER)
NO_SHOP = Access(SELLER, "open-seller")
AS_CREATOR = Access(CREATOR, "open-creator")


@dataclass
class Scene:
    """A client of a strict TikTok Shop, with waits that are jumps, and what it recorded."""

    vendor: FakeVendor
    shop: StrictShop
    client: TikTokShopClient
    clock: JumpingClock
    records: list[CallRecord] = field(default_factory=list)


def config_of(url: str, **changes: Any) -> TikTokShopConfig:
    """A configured app at an address that plays every host of TikTok Shop."""
    fields: dict[str, Any] = {
        "base_url": url,
        "token_url": url,
        "app_key": KEY,
        "app_secret": SecretStr(SECRET),
        "service_id": "s-1",
    }
    return TikTokShopConfig(**(fields | changes))


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with FakeVendor.running() as vendor:
        vendor.otherwise = shop = StrictShop()
        clock, records = JumpingClock(), list[CallRecord]()
        config = config_of(vendor.url, analytics_interval_seconds=0.01)
        settings = config.http_settings(vendor.url)
        http = VendorHttp(settings, on_call=records.append, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5)
        async with TikTokShopClient(config, http=http, token_http=http) as client:
            yield Scene(vendor, shop, client, clock, records)
        assert shop.violations == []
