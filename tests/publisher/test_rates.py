"""A platform's rates hold for all publishers together: two replicas on one database, over HTTP to the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from kit.db import Database
from kit.shared_rate_limit import SharedRateLimiter
from services.publisher import account_store
from services.publisher.domain import Account, AttemptFailed, FailureKind
from services.publisher.ledger import Ledger
from services.publisher.platforms.tiktok import TikTokAdapter
from tests.publisher.stage import Sandbox
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig

pytestmark = pytest.mark.anyio


class StoredTokens:
    """The account's tokens as they were stored."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def access(self) -> str:
        return self.token

    async def fresh(self, refused: str) -> str:
        raise AssertionError("the sandbox does not refuse the token")


@pytest.fixture
async def replicas(database: Database, sandbox: Sandbox, anyio_backend: str) -> AsyncIterator[list[TikTokAdapter]]:
    config = sandbox.config(status_fetch_per_minute=3, application_per_minute=4, rate_wait_seconds=0.5)
    async with replica(database, config) as first, replica(database, config) as second:
        yield [TikTokAdapter(first), TikTokAdapter(second)]


def replica(database: Database, config: TikTokConfig) -> TikTokClient:
    return TikTokClient(config, limiter=SharedRateLimiter(database, "tiktok", config.rates()))


async def ask(ledger: Ledger, account: Account, adapters: list[TikTokAdapter], times: int) -> list[AttemptFailed]:
    """Asks for the verdict so often by each; answers the refusals of our own limits."""
    with ledger.database.transaction(account.workspace_id) as tx:
        tokens = StoredTokens(account_store.read_tokens(tx, ledger.vault, account).access_token)
    calls = [adapter.ask(account, {}, "v_pub_file~v2.1", tokens) for adapter in adapters for _ in range(times)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [each for each in answers if isinstance(each, AttemptFailed)]
    assert all(each.failure.reason == "TIKTOK_LOCAL_RATE_LIMIT" for each in refused)
    return refused


async def test_a_call_beyond_an_accounts_rate_is_put_off_whichever_replica_makes_it(
    sandbox: Sandbox, ledger: Ledger, replicas: list[TikTokAdapter]
) -> None:
    refused = await ask(ledger, sandbox.connect(ledger), replicas, times=3)
    assert len(refused) == 3
    assert {each.failure.kind for each in refused} == {FailureKind.RATE_LIMITED}
    now = datetime.now(UTC)
    for each in refused:
        assert each.failure.retry_time is not None
        assert each.failure.retry_time > now + timedelta(seconds=50)


async def test_an_accounts_rate_takes_nothing_from_another_and_the_applications_holds_for_all(
    sandbox: Sandbox, ledger: Ledger, replicas: list[TikTokAdapter]
) -> None:
    first, second = sandbox.connect(ledger), sandbox.connect(ledger, creator="emberfold.water")
    assert await ask(ledger, first, replicas[:1], times=3) == []
    assert await ask(ledger, second, replicas[1:], times=1) == []
    # Of its own three two are left.
    assert len(await ask(ledger, second, replicas[1:], times=1)) == 1
