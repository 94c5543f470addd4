from collections.abc import Iterator

import httpx
import pytest

from kit.db import Database
from tests.fulfillment.merchants.stage import AmazonSandbox, MerchantStage, staged_merchants


@pytest.fixture
def amazon(sandbox_url: str) -> Iterator[AmazonSandbox]:
    with httpx.Client(base_url=sandbox_url, timeout=20, trust_env=False) as client:
        found = AmazonSandbox(client)
        found.control("POST", "/reset")
        yield found


@pytest.fixture
def stage(database: Database, amazon: AmazonSandbox) -> Iterator[MerchantStage]:
    with staged_merchants(database, amazon) as opened:
        yield opened


@pytest.fixture
def other(database: Database, amazon: AmazonSandbox) -> Iterator[MerchantStage]:
    """A second replica."""
    with staged_merchants(database, amazon) as opened:
        yield opened
