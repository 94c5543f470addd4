"""Tokens in the hands of real processes: fifty callers cause one refresh; a kill in the middle of one is survived."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg2
import pytest
from sqlalchemy import text

from kit.custody import Custody
from kit.db import ALL_WORKSPACES, Database
from services.publisher import account_store
from services.publisher.domain import Account, AccountState, AttemptFailed
from services.publisher.ledger import Ledger
from services.publisher.tokens import AccountTokens
from tests.publisher.factories import WORKSPACE
from tests.publisher.refreshing import Refreshing, fingerprint
from tests.publisher.rows import activities, holds
from tests.publisher.stage import Sandbox, until
from vendors.tiktok.client import TikTokClient

pytestmark = pytest.mark.anyio

Start = Callable[..., Refreshing]


@pytest.fixture
def account(ledger: Ledger, sandbox: Sandbox) -> Account:
    found = sandbox.connect(ledger)
    change(ledger.database, "access_expire_time = now() + interval '4 minutes'")
    return found


@pytest.fixture
def start(database: Database, sandbox: Sandbox) -> Iterator[Start]:
    with contextlib.ExitStack() as started:

        def begin(account: Account, callers: int = 1) -> Refreshing:
            process = Refreshing(database, sandbox, account, callers)
            started.callback(process.close)
            return process

        yield begin


def change(database: Database, what: str) -> None:
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text(f"UPDATE accounts SET {what}"))


def present(database: Database, account_id: UUID) -> Account:
    with database.transaction(WORKSPACE) as tx:
        return account_store.read_account(tx, WORKSPACE, account_id)


def test_fifty_callers_in_two_processes_cause_one_refresh(
    sandbox: Sandbox, ledger: Ledger, account: Account, start: Start
) -> None:
    processes = [start(account, 25) for _ in range(2)]
    for each in processes:
        each.go()
    found = [token for each in processes for token in each.found()]
    assert len(found) == 50
    with ledger.database.transaction(WORKSPACE) as tx:
        stored = account_store.read_tokens(tx, ledger.vault, account)
    assert set(found) == {fingerprint(stored.access_token)}
    # The exchange of the code, and one refresh.
    assert sandbox.calls("token") == 2


def killed_before_the_commit(database: Database, admin_url: str, refreshing: Refreshing) -> None:
    """The platform's answer has come, and the process is killed before it has stored it."""
    with contextlib.closing(psycopg2.connect(_beside(admin_url, database))) as admin, admin.cursor() as cursor:
        refreshing.go()

        def is_taken() -> bool | None:
            cursor.execute("SELECT 1 FROM publisher.accounts WHERE refresh_lease_time IS NOT NULL")
            taken = cursor.fetchone()
            admin.rollback()
            return True if taken else None

        until(is_taken)
        cursor.execute("SELECT 1 FROM publisher.accounts FOR UPDATE")

        def is_storing() -> bool | None:
            with database.engine.connect() as other:
                waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                return True if other.scalar(text(waits)) else None

        until(is_storing)
        refreshing.kill()
        admin.rollback()


def _beside(admin_url: str, database: Database) -> str:
    return f"{admin_url.rpartition('/')[0]}/{database.url.database}"


@pytest.mark.parametrize("rotates", [True, False])
async def test_a_kill_between_the_platforms_answer_and_the_commit_is_recovered_or_told_with_its_cause(
    sandbox: Sandbox, ledger: Ledger, account: Account, start: Start, database_server: str, rotates: bool
) -> None:
    sandbox.control("PATCH", "/tiktok/settings", rotate_refresh_tokens=rotates)
    # Time to look at it between its lease and the answer.
    sandbox.fault("token", "delay", delay_seconds=1)
    killed_before_the_commit(ledger.database, database_server, start(account))
    assert sandbox.calls("token") == 2
    # Its lease ends.
    change(ledger.database, "refresh_lease_time = now()")
    async with TikTokClient(sandbox.config()) as client:

        async def access() -> str:
            return await AccountTokens(ledger.database, ledger.vault, account, client, Custody()).access()

        if rotates:
            # The new tokens are gone and the old one is used up: nothing but a new connection helps, and that is said.
            with pytest.raises(AttemptFailed):
                await access()
            lost = present(ledger.database, account.account_id)
            assert lost.state is AccountState.AUTHORIZATION_LOST
            assert "An earlier refresh was cut short, and the new tokens may have been lost" in lost.problem
            assert lost.problem.endswith("Connect the account again.")
            assert [each.type for each in activities(ledger.database)] == ["account.authorization_lost"]
            assert holds(ledger.database) == [("PlaceHold", str(account.account_id))]
            assert sandbox.connect(ledger).account_id == account.account_id
        token = await access()
        assert (await client.creator_info(token)).username == account.handle
    assert present(ledger.database, account.account_id).state is AccountState.CONNECTED
