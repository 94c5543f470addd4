"""The tokens of accounts, in the custody of kit.custody: where they lie, who is told, and what a failure means here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from kit.activity import activity
from kit.custody import AuthorizationLost, Custody, Lease, RefreshBusy, RefreshFailed, TokenPair, Tokens
from kit.db import Database
from kit.vault import Vault
from services.publisher import account_store, reports, store
from services.publisher.domain import (
    ACCESS_MARGIN,
    AUTHORIZATION_LOST,
    Account,
    AccountState,
    AttemptFailed,
    Failure,
    FailureKind,
)
from vendors.tiktok.models import TokenGrant


class TokenVendor(Protocol):
    """What refreshes tokens: a vendor's client."""

    async def refresh(self, refresh_token: str) -> TokenGrant:
        """A new pair. Raises VendorError."""


@dataclass(frozen=True, slots=True)
class AccountTokens:
    """Tokens of one account, for one piece of work. See platforms.base.Tokens."""

    database: Database
    vault: Vault
    account: Account
    # None: the platform's tokens have no end, and no refresh.
    vendor: TokenVendor | None
    custody: Custody

    async def access(self) -> str:
        """A token good for five minutes at least."""
        with _as_failures():
            return await self._tokens().access()

    async def fresh(self, refused: str) -> str:
        """Another token than the one that was refused, good for five minutes at least."""
        with _as_failures():
            return await self._tokens().fresh(refused)

    async def refresh_ahead(self) -> None:
        """Refreshes the access token that the account had when it was read. Raises AttemptFailed as the others."""
        if self.account.access_expire_time is not None and self.vendor is not None:
            with _as_failures():
                await self._tokens().refresh_ahead(self.account.access_expire_time)

    def _tokens(self) -> Tokens:
        rows = AccountRow(self.database, self.vault, self.account)
        renew = None if self.vendor is None else self._renew
        return Tokens(self.custody, self.account.account_id, "account", rows, renew, ACCESS_MARGIN)

    async def _renew(self, pair: TokenPair) -> TokenPair:
        assert self.vendor is not None  # noqa: S101 - see _tokens
        asked = datetime.now(UTC)
        return pair_of(await self.vendor.refresh(pair.refresh_token), asked, pair)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """Where an account's tokens lie: a kit.custody.TokenStore."""

    database: Database
    vault: Vault
    account: Account

    def read(self) -> TokenPair:
        """See TokenStore."""
        with self.database.transaction(self.account.workspace_id) as tx:
            account = account_store.read_account(tx, self.account.workspace_id, self.account.account_id)
            if account.state is not AccountState.CONNECTED:
                raise AuthorizationLost(account.problem)
            return account_store.read_tokens(tx, self.vault, account)

    def take_lease(self, seconds: float) -> Lease | None:
        """See TokenStore."""
        with self.database.transaction(self.account.workspace_id) as tx:
            return account_store.take_refresh(tx, self.account, seconds)

    def release(self, lease: Lease) -> None:
        """See TokenStore."""
        with self.database.transaction(self.account.workspace_id) as tx:
            account_store.release_refresh(tx, self.account, lease)

    def save(self, used: TokenPair, renewed: TokenPair) -> bool:
        """See TokenStore."""
        with self.database.transaction(self.account.workspace_id) as tx:
            before = account_store.save_tokens(tx, self.vault, self.account, used, renewed)
            if before is AccountState.AUTHORIZATION_LOST:
                # Another took its late answer for a loss.
                store.tell(tx, [reports.account_free(self.account.workspace_id, self.account.account_id)])
            return before is not None

    def lose(self, used: TokenPair, problem: str) -> bool:
        """See TokenStore."""
        account = self.account
        with self.database.transaction(account.workspace_id) as tx:
            if not account_store.set_authorization_lost(tx, account, used, problem):
                return False
            store.tell(
                tx,
                [
                    reports.account_hold(account.workspace_id, account.account_id, problem),
                    activity(
                        account.workspace_id,
                        "account.authorization_lost",
                        f"@{account.handle} can no longer be used: {problem}",
                        store.database_time(tx),
                        account_id=account.account_id,
                        attributes={"handle": account.handle, "platform": account.platform.value.lower()},
                    ),
                ],
            )
        return True


@contextmanager
def _as_failures() -> Iterator[None]:
    try:
        yield
    except AuthorizationLost as lost:
        failure = Failure(FailureKind.ACCOUNT, AUTHORIZATION_LOST, lost.problem)
        raise AttemptFailed(failure, lost.vendor_log_id) from None
    except RefreshBusy:
        failure = Failure(
            FailureKind.TRANSIENT,
            "TOKEN_REFRESH_BUSY",
            "Another process is refreshing the account's token and has not finished. It is tried again.",
        )
        raise AttemptFailed(failure) from None
    except RefreshFailed as failed:
        failure = Failure(
            FailureKind.TRANSIENT,
            "TOKEN_REFRESH_FAILED",
            f"The account's token could not be refreshed now: {failed.message} The account stays connected.",
        )
        raise AttemptFailed(failure, failed.vendor_log_id) from None


def pair_of(grant: TokenGrant, asked: datetime, before: TokenPair | None = None) -> TokenPair:
    """The tokens of a grant with their ends, counted from when it was asked for. A grant without a refresh token keeps
    the one from before.
    """
    refresh_token = grant.refresh_token or (before.refresh_token if before else "")
    refresh_expire_time = before.refresh_expire_time if before else None
    if grant.refresh_lifetime_seconds is not None:
        refresh_expire_time = asked + timedelta(seconds=grant.refresh_lifetime_seconds)
    return TokenPair(
        grant.access_token, asked + timedelta(seconds=grant.access_lifetime_seconds), refresh_token, refresh_expire_time
    )
