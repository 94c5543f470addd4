"""Access tokens: good for some minutes, refreshed before they end, by one process at a time.

The process that takes the refresh lease of an account asks the platform and stores the new pair before anybody uses
it; the others wait for its row to change. Refresh tokens rotate, so two refreshes at once would lose one. A fault on
the platform's side is not a lost authorisation: only its definite no is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from kit.activity import activity
from kit.db import Database
from kit.vendor_errors import VendorAccountProblem, VendorError, VendorRejected
from services.publisher import account_store, store
from services.publisher.account_store import TokenPair
from services.publisher.domain import Account, AccountState, AttemptFailed, Failure, FailureKind
from services.publisher.vault import Vault
from vendors.tiktok.models import TokenGrant

log = structlog.get_logger()

_MARGIN = timedelta(minutes=5)
_LEASE_SECONDS = 60.0
_POLL_SECONDS = 0.25


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
    vendor: TokenVendor

    async def access(self) -> str:
        """A token good for five minutes at least."""
        pair = await asyncio.to_thread(self._read)
        if pair.access_expire_time - datetime.now(UTC) > _MARGIN:
            return pair.access_token
        return await self._refreshed(lambda current: current.access_expire_time - datetime.now(UTC) > _MARGIN)

    async def fresh(self, refused: str) -> str:
        """Another token than the one that was refused."""
        return await self._refreshed(lambda current: current.access_token != refused)

    async def _refreshed(self, is_good: Callable[[TokenPair], bool]) -> str:
        deadline = asyncio.get_running_loop().time() + _LEASE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            pair = await asyncio.to_thread(self._read)
            if is_good(pair):
                return pair.access_token
            if await asyncio.to_thread(self._take_lease):
                # Read again under the lease: another process may have finished between our look and our turn.
                pair = await asyncio.to_thread(self._read)
                if is_good(pair):
                    await asyncio.to_thread(self._release)
                    return pair.access_token
                return await self._refresh(pair)
            await asyncio.sleep(_POLL_SECONDS)
        raise AttemptFailed(
            Failure(
                FailureKind.TRANSIENT,
                "TOKEN_REFRESH_BUSY",
                "Another process is refreshing the account's token and has not finished. It is tried again.",
            )
        )

    async def _refresh(self, pair: TokenPair) -> str:
        try:
            grant = await self.vendor.refresh(pair.refresh_token)
        except (VendorAccountProblem, VendorRejected) as refusal:
            problem = f"{refusal.message} Connect the account again."
            await asyncio.to_thread(self._lose, problem)
            raise AttemptFailed(
                Failure(FailureKind.ACCOUNT, "AUTHORIZATION_LOST", problem), refusal.log_id or ""
            ) from None
        except VendorError as error:
            await asyncio.to_thread(self._release)
            raise AttemptFailed(
                Failure(
                    FailureKind.TRANSIENT,
                    "TOKEN_REFRESH_FAILED",
                    f"The account's token could not be refreshed now: {error.message} The account stays connected.",
                ),
                error.log_id or "",
            ) from None
        renewed = pair_of(grant, datetime.now(UTC), pair)
        await asyncio.to_thread(self._save, renewed)
        log.info("token refreshed", account_id=str(self.account.account_id))
        return renewed.access_token

    def _read(self) -> TokenPair:
        with self.database.transaction(self.account.workspace_id) as tx:
            account = account_store.read_account(tx, self.account.workspace_id, self.account.account_id)
            if account.state is AccountState.AUTHORIZATION_LOST:
                raise AttemptFailed(Failure(FailureKind.ACCOUNT, "AUTHORIZATION_LOST", account.problem))
            return account_store.read_tokens(tx, self.vault, account)

    def _take_lease(self) -> bool:
        with self.database.transaction(self.account.workspace_id) as tx:
            return account_store.take_refresh(tx, self.account, _LEASE_SECONDS)

    def _release(self) -> None:
        with self.database.transaction(self.account.workspace_id) as tx:
            account_store.release_refresh(tx, self.account)

    def _save(self, pair: TokenPair) -> None:
        with self.database.transaction(self.account.workspace_id) as tx:
            account_store.save_tokens(tx, self.vault, self.account, pair)

    def _lose(self, problem: str) -> None:
        account = self.account
        with self.database.transaction(account.workspace_id) as tx:
            if account_store.set_authorization_lost(tx, account, problem):
                store.tell(
                    tx,
                    [
                        activity(
                            account.workspace_id,
                            "account.authorization_lost",
                            f"@{account.handle} can no longer be used: {problem}",
                            store.database_time(tx),
                            account_id=account.account_id,
                            attributes={"handle": account.handle, "platform": account.platform.value.lower()},
                        )
                    ],
                )


def pair_of(grant: TokenGrant, now: datetime, before: TokenPair | None = None) -> TokenPair:
    """The tokens of a grant with their ends. A grant without a refresh token keeps the one from before."""
    refresh_token = grant.refresh_token or (before.refresh_token if before else "")
    refresh_expire_time = before.refresh_expire_time if before else None
    if grant.refresh_lifetime_seconds is not None:
        refresh_expire_time = now + timedelta(seconds=grant.refresh_lifetime_seconds)
    return TokenPair(
        grant.access_token, now + timedelta(seconds=grant.access_lifetime_seconds), refresh_token, refresh_expire_time
    )
