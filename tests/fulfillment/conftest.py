from collections.abc import Iterator

import httpx
import pytest

from kit.db import Database
from sandbox.config import SandboxConfig
from tests.fulfillment.stage import Stage, TikTokShop, staged
from tests.sandbox.conftest import Served
from tests.services import service_database


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "fulfillment") as opened:
        yield opened


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    with Served(SandboxConfig()) as url:
        yield url


@pytest.fixture
def tiktok_shop(sandbox_url: str) -> Iterator[TikTokShop]:
    with httpx.Client(base_url=sandbox_url, timeout=20, trust_env=False) as client:
        found = TikTokShop(client)
        found.reset()
        yield found


@pytest.fixture
def stage(database: Database, tiktok_shop: TikTokShop) -> Iterator[Stage]:
    with staged(database, tiktok_shop) as opened:
        yield opened
