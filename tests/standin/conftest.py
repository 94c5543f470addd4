from collections.abc import Iterator

import pytest

from kit.db import Database
from tests.publisher.stage import Stage, staged
from tests.services import service_database
from tests.standin import shop_stage
from tests.standin.server import serving
from tests.standin.shop import Shop
from tests.standin.stage import AtTikTok, platform
from tests.standin.tiktok import TikTok


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "publisher") as opened:
        yield opened


@pytest.fixture
def at_tiktok() -> Iterator[AtTikTok]:
    with platform() as opened:
        yield opened


@pytest.fixture
def tiktok(at_tiktok: AtTikTok) -> TikTok:
    return at_tiktok.tiktok


@pytest.fixture
def stage(database: Database, at_tiktok: AtTikTok) -> Iterator[Stage]:
    with staged(database, at_tiktok) as opened:
        yield opened


@pytest.fixture
def shop() -> Iterator[Shop]:
    opened = Shop()
    with serving(opened):
        yield opened


@pytest.fixture
def shops(database_server: str, shop: Shop) -> Iterator[shop_stage.Stage]:
    with service_database(database_server, "fulfillment") as opened, shop_stage.staged(opened, shop) as stage:
        yield stage
