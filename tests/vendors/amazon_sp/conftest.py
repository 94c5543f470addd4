from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from kit.vendor_call import CallRecord
from kit.vendor_http import VendorHttp
from tests.vendors.amazon_sp.strict_amazon import CLIENT_ID, SECRET, TOKEN, US, StrictAmazon
from tests.vendors.fake_vendor import FakeVendor, JumpingClock
from vendors.amazon_sp.calls import Access
from vendors.amazon_sp.client import Amazon, AmazonSpClient
from vendors.amazon_sp.config import AmazonSpConfig
from vendors.amazon_sp.marketplaces import Region
from vendors.amazon_sp.outbound import Destination, FulfillmentPolicy, Item, NewOrder, Speed

BUYER = Destination(
    name="Wilhelmina Canary",
    lines=("Canary Wharf 17", "Apt 9"),
    city="Canaryville",
    state="OR",
    postal_code="97205",
    country_code="US",
    phone="+15035550147",
)
PERSONAL = ("Wilhelmina", "Canary Wharf", "Canaryville", "97205", "5035550147")


def an_order(order_id: str = "TTS-576461413038785752-1", **changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "order_id": order_id,
        "marketplace_id": US,
        "displayable_order_id": "576461413038785752",
        "displayable_order_time": datetime(2026, 11, 20, 18, tzinfo=UTC),
        "displayable_order_comment": "Thank you for your order.",
        "speed": Speed.STANDARD,
        "policy": FulfillmentPolicy.FILL_OR_KILL,
        "destination": BUYER,
        "items": (Item("576461413038785753", "EF-CTR/SPN 10", 2),),
    }
    return NewOrder(**(fields | changes))


def config_of(url: str, **changes: Any) -> AmazonSpConfig:
    """A configured app at an address that plays every host of Amazon."""
    fields: dict[str, Any] = {
        **dict.fromkeys(("lwa_url", "na_url", "eu_url", "fe_url"), url),
        "client_id": CLIENT_ID,
        "client_secret": SecretStr(SECRET),
    }
    return AmazonSpConfig(**(fields | changes))


@dataclass
class Scene:
    """A client of a strict Amazon, with waits that are jumps, and what it recorded."""

    vendor: FakeVendor
    strict: StrictAmazon
    client: AmazonSpClient
    clock: JumpingClock
    records: list[CallRecord] = field(default_factory=list)

    @property
    def amazon(self) -> Amazon:
        return self.client.of(Access(TOKEN, "A2SELLER", Region.NA))


def client_of(config: AmazonSpConfig, clock: JumpingClock, records: list[CallRecord]) -> AmazonSpClient:
    def http(url: str) -> VendorHttp:
        return VendorHttp(
            config.http_settings(url), on_call=records.append, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5
        )

    https = {region: http(config.url_of(region)) for region in Region}
    return AmazonSpClient(config, https=https, lwa_http=http(config.lwa_url), clock=clock, jitter=lambda: 0.0)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with FakeVendor.running() as vendor:
        vendor.otherwise = strict = StrictAmazon()
        clock, records = JumpingClock(), list[CallRecord]()
        async with client_of(config_of(vendor.url), clock, records) as client:
            yield Scene(vendor, strict, client, clock, records)
        assert strict.violations == []
