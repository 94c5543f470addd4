from collections.abc import Iterator

import pytest

from kit.db import Database
from tests.fulfillment.shipping.stage import TrackingStage, staged_tracking
from tests.fulfillment.stage import TikTokShop


@pytest.fixture
def tracking(database: Database, tiktok_shop: TikTokShop) -> Iterator[TrackingStage]:
    with staged_tracking(database, tiktok_shop) as opened:
        yield opened
