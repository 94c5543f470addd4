from collections.abc import Iterator

import httpx
import pytest

from kit.db import Database
from tests.fulfillment.merchants.stage import AmazonSandbox
from tests.fulfillment.orders.life import OrderStage, staged_orders
from tests.fulfillment.stage import TikTokShop


@pytest.fixture
def life(database: Database, tiktok_shop: TikTokShop) -> Iterator[OrderStage]:
    """One replica, on a sandbox that keeps no rates."""
    with httpx.Client(base_url=tiktok_shop.http.base_url, timeout=20, trust_env=False) as client:
        amazon = AmazonSandbox(client)
        amazon.settings(rate_multiplier=0)
        with staged_orders(database, tiktok_shop, amazon) as opened:
            yield opened
