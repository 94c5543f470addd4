"""Refreshing tokens: once for everybody, never lost, and the account is lost only by the platform's definite no."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from kit.custody import Custody, TokenPair
from kit.db import Database
from kit.vendor_errors import AccountRemedy, VendorAccountProblem, VendorError, VendorRejected, VendorUnavailable
from services.publisher import account_store
from services.publisher.domain import Account, AccountState, AttemptFailed, FailureKind
from services.publisher.ledger import Ledger
from services.publisher.tokens import AccountTokens, TokenVendor, pair_of
from tests.publisher.factories import REFRESH, WORKSPACE, save_account
from tests.publisher.rows import activities, holds, rows
from tests.publisher.stage import CREATOR, Sandbox, a_vault
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.models import TokenGrant

pytestmark = pytest.mark.anyio


def a_grant(access: str = "new-access", refresh: str | None = "new-refresh") -> TokenGrant:
    return TokenGrant(access, 86_400, refresh, 31_536_000, "open-1", ("video.publish",), {})


@dataclass
class FakeVendor:
    """Answers with a grant or an error, when it is let."""

    answer: TokenGrant | VendorError = field(default_factory=a_grant)
    let: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    refreshed_with: list[str] = field(default_factory=list)

    async def refresh(self, refresh_token: str) -> TokenGrant:
        self.refreshed_with.append(refresh_token)
        self.asked.set()
        await self.let.wait()
        if isinstance(self.answer, VendorError):
            raise self.answer
        return self.answer


def stored(ledger: Ledger, account: Account) -> TokenPair:
    with ledger.database.transaction(WORKSPACE) as tx:
        return account_store.read_tokens(tx, ledger.vault, account)


def present(ledger: Ledger, account: Account) -> Account:
    with ledger.database.transaction(WORKSPACE) as tx:
        return account_store.read_account(tx, WORKSPACE, account.account_id)


def expire(ledger: Ledger) -> None:
    with ledger.database.transaction(WORKSPACE) as tx:
        tx.execute(text("UPDATE accounts SET access_expire_time = now() + interval '4 minutes'"))


def tokens_of(ledger: Ledger, account: Account, vendor: TokenVendor, custody: Custody | None = None) -> AccountTokens:
    return AccountTokens(ledger.database, ledger.vault, account, vendor, custody or Custody())


@pytest.fixture
def account(ledger: Ledger) -> Account:
    found = save_account(ledger)
    expire(ledger)
    return found


@pytest.fixture
async def two_processes(ledger: Ledger, database: Database) -> AsyncIterator[list[Ledger]]:
    other = Database(database.url.render_as_string(hide_password=False), "publisher")
    yield [ledger, Ledger(other, a_vault(), "other/2")]
    other.close()


@pytest.mark.parametrize("refused", [False, True])
async def test_r22_of_many_callers_in_two_processes_one_refreshes(
    sandbox: Sandbox, two_processes: list[Ledger], refused: bool
) -> None:
    account = sandbox.connect(two_processes[0])
    old = stored(two_processes[0], account).access_token
    if refused:
        sandbox.control("POST", f"/tiktok/creators/{CREATOR}/expire-tokens", refresh_too=False)
    else:
        expire(two_processes[0])
    async with TikTokClient(sandbox.config()) as first, TikTokClient(sandbox.config()) as second:
        holders = [tokens_of(two_processes[number % 2], account, (first, second)[number % 2]) for number in range(20)]
        found = await asyncio.gather(*(each.fresh(old) if refused else each.access() for each in holders))
        assert len(set(found)) == 1
        assert found[0] != old
        assert (await first.creator_info(found[0])).username == CREATOR
    # The exchange of the code, and one refresh.
    assert sandbox.calls("token") == 2


async def test_after_a_refusal_a_stored_token_that_has_ended_too_is_not_handed_out(
    ledger: Ledger, account: Account
) -> None:
    vendor = FakeVendor()
    vendor.let.set()
    assert await tokens_of(ledger, account, vendor).fresh("a token from long ago") == "new-access"


async def test_a_token_that_is_good_for_more_than_five_minutes_is_not_refreshed(ledger: Ledger) -> None:
    vendor = FakeVendor()
    assert await tokens_of(ledger, save_account(ledger), vendor).access() == "planted-access-token"
    assert vendor.refreshed_with == []


@pytest.mark.parametrize(
    "fault",
    [
        VendorUnavailable("The vendor did not answer.", sent=True),
        # Our app's own credentials are wrong: that says nothing about the account.
        VendorRejected("TikTok does not know the app's key and secret.", code="invalid_client"),
    ],
)
async def test_r23_a_fault_that_is_not_the_accounts_keeps_it_connected(
    ledger: Ledger, account: Account, fault: VendorError
) -> None:
    vendor = FakeVendor(fault)
    vendor.let.set()
    tokens = tokens_of(ledger, account, vendor)
    with pytest.raises(AttemptFailed) as failed:
        await tokens.access()
    assert failed.value.failure.kind is FailureKind.TRANSIENT
    assert present(ledger, account).state is AccountState.CONNECTED
    # The next may try at once, and with the same refresh token.
    vendor.answer = a_grant()
    assert await tokens.access() == "new-access"
    assert vendor.refreshed_with == [REFRESH, REFRESH]


async def test_a_definite_no_loses_the_authorisation_and_tells_once(ledger: Ledger, account: Account) -> None:
    vendor = FakeVendor(VendorAccountProblem("The refresh token is revoked.", remedy=AccountRemedy.RECONNECT))
    vendor.let.set()
    for _ in range(2):
        with pytest.raises(AttemptFailed) as failed:
            await tokens_of(ledger, account, vendor).access()
        assert (failed.value.failure.kind, failed.value.failure.reason) == (FailureKind.ACCOUNT, "AUTHORIZATION_LOST")
    assert present(ledger, account).state is AccountState.AUTHORIZATION_LOST
    assert "revoked" in present(ledger, account).problem
    assert len(vendor.refreshed_with) == 1
    assert [each.type for each in activities(ledger.database)] == ["account.authorization_lost"]
    assert holds(ledger.database) == [("PlaceHold", str(account.account_id))]
    assert "planted" not in str([bytes(row["request"]) for row in rows(ledger.database, "outbox")])


async def test_r23_a_grant_without_a_refresh_token_keeps_the_stored_one(ledger: Ledger, account: Account) -> None:
    vendor = FakeVendor(a_grant(refresh=None))
    vendor.let.set()
    assert await tokens_of(ledger, account, vendor).access() == "new-access"
    assert stored(ledger, account).refresh_token == REFRESH


async def test_a_refresh_goes_on_when_the_work_that_asked_for_it_is_canceled(ledger: Ledger, account: Account) -> None:
    vendor, custody = FakeVendor(), Custody()
    asking = asyncio.create_task(tokens_of(ledger, account, vendor, custody).access())
    await vendor.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    vendor.let.set()
    await custody.finish()
    assert stored(ledger, account).refresh_token == "new-refresh"


async def test_new_tokens_are_kept_until_the_database_takes_them(
    ledger: Ledger, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, faults = account_store.save_tokens, [OperationalError("", {}, Exception("the server went away"))] * 2

    def save(*arguments: object) -> AccountState | None:
        if faults:
            raise faults.pop()
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(account_store, "save_tokens", save)
    vendor = FakeVendor()
    vendor.let.set()
    assert await tokens_of(ledger, account, vendor).access() == "new-access"
    assert stored(ledger, account).refresh_token == "new-refresh"
    assert vendor.refreshed_with == [REFRESH]


@pytest.mark.parametrize(
    "late", [a_grant("late-access"), VendorAccountProblem("Revoked.", remedy=AccountRemedy.RECONNECT)]
)
async def test_a_connection_made_during_a_refresh_stands(
    ledger: Ledger, account: Account, late: TokenGrant | VendorError
) -> None:
    vendor = FakeVendor(late)
    asking = asyncio.create_task(tokens_of(ledger, account, vendor).access())
    await vendor.asked.wait()
    save_account(ledger, refresh="refresh-of-the-new-connection")
    vendor.let.set()
    assert await asking == "planted-access-token"
    assert present(ledger, account).state is AccountState.CONNECTED
    assert stored(ledger, account).refresh_token == "refresh-of-the-new-connection"


async def test_a_refresh_that_succeeds_after_all_proves_the_authorisation(ledger: Ledger, account: Account) -> None:
    # This process froze while it refreshed; another took its lease over and was refused, the token being used up.
    vendor = FakeVendor()
    asking = asyncio.create_task(tokens_of(ledger, account, vendor).access())
    await vendor.asked.wait()
    with ledger.database.transaction(WORKSPACE) as tx:
        used = account_store.read_tokens(tx, ledger.vault, account)
        account_store.set_authorization_lost(tx, account, used, "Revoked.")
    vendor.let.set()
    assert await asking == "new-access"
    assert present(ledger, account).state is AccountState.CONNECTED
    # What was held back for the loss goes on.
    assert holds(ledger.database) == [("LiftHold", str(account.account_id))]


async def test_the_lease_of_a_process_that_died_is_waited_for(ledger: Ledger, account: Account) -> None:
    with ledger.database.transaction(WORKSPACE) as tx:
        assert account_store.take_refresh(tx, account, lease_seconds=1)
        assert account_store.take_refresh(tx, account, lease_seconds=1) is None
    vendor = FakeVendor()
    vendor.let.set()
    assert await tokens_of(ledger, account, vendor).access() == "new-access"


def test_the_ends_of_a_grant_are_counted_from_when_it_was_asked_for() -> None:
    now = datetime(2027, 1, 4, tzinfo=UTC)
    pair = pair_of(a_grant(), now)
    assert pair.access_expire_time == now + timedelta(days=1)
    assert pair.refresh_expire_time == now + timedelta(days=365)
