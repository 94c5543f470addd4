"""Access tokens: good for some minutes, refreshed before they end, by one process at a time.

The process that takes the refresh lease of an account asks the platform and stores the new pair before anybody uses
it; the others wait for its row to change. Refresh tokens rotate, so two refreshes at once would lose one, and an answer
that is not stored loses the account: a refresh goes on when the work that asked for it is canceled, and is stored as
soon as the database takes it. A fault on the platform's side, or in our app's own credentials, is not a lost
authorisation: only the platform's definite no to this account is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kit.activity import activity
from kit.db import Database
from kit.vault import Vault
from kit.vendor_errors import VendorAccountProblem, VendorError
from services.publisher import account_store, reports, store
from services.publisher.account_store import TokenPair
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

log = structlog.get_logger()

# Longer than a refresh takes with its retries (30 s by vendors.tiktok.config) and the storing of its answer.
_LEASE_SECONDS = 45.0
# Longer than the lease, so that whoever waits outlives a process that died while it refreshed.
_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.25
# While the database is away an answer is kept in memory and offered again after each of these waits: a minute in all.
_SAVE_WAITS_SECONDS = (0.1, 0.2, 0.5, *(1.0,) * 59)


class TokenVendor(Protocol):
    """What refreshes tokens: a vendor's client."""

    async def refresh(self, refresh_token: str) -> TokenGrant:
        """A new pair. Raises VendorError."""


@dataclass(slots=True)
class Tokens:
    """What the tokens of all accounts share in a process: refreshes under way, which must be finished before it ends,
    and tokens that were read a moment ago.
    """

    refreshes: set[asyncio.Task[str | None]] = field(default_factory=set)
    known: dict[UUID, tuple[float, TokenPair]] = field(default_factory=dict)


# A token that was read so lately is used without looking again. One that is refused is looked up anew.
_KNOWN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class AccountTokens:
    """Tokens of one account, for one piece of work. See platforms.base.Tokens."""

    database: Database
    vault: Vault
    account: Account
    # None: the platform's tokens have no end, and no refresh.
    vendor: TokenVendor | None
    shared: Tokens

    async def access(self) -> str:
        """A token good for five minutes at least."""
        known = self.shared.known.get(self.account.account_id)
        if known and asyncio.get_running_loop().time() < known[0] and _lasts(known[1]):
            return known[1].access_token
        return await self._refreshed(_lasts)

    async def fresh(self, refused: str) -> str:
        """Another token than the one that was refused, good for five minutes at least."""
        self.shared.known.pop(self.account.account_id, None)
        return await self._refreshed(lambda current: current.access_token != refused and _lasts(current))

    async def _refreshed(self, is_good: Callable[[TokenPair], bool]) -> str:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            pair = await asyncio.to_thread(self._read)
            if is_good(pair):
                self._know(pair)
                return pair.access_token
            refresh = asyncio.create_task(self._try_refresh(is_good))
            self.shared.refreshes.add(refresh)
            refresh.add_done_callback(self._finished)
            token = await asyncio.shield(refresh)
            if token is not None:
                return token
            await asyncio.sleep(_POLL_SECONDS)
        raise AttemptFailed(
            Failure(
                FailureKind.TRANSIENT,
                "TOKEN_REFRESH_BUSY",
                "Another process is refreshing the account's token and has not finished. It is tried again.",
            )
        )

    def _know(self, pair: TokenPair) -> None:
        known, now = self.shared.known, asyncio.get_running_loop().time()
        if len(known) > 10_000:
            known.clear()
        known[self.account.account_id] = (now + _KNOWN_SECONDS, pair)

    def _finished(self, refresh: asyncio.Task[str | None]) -> None:
        self.shared.refreshes.discard(refresh)
        if not refresh.cancelled():
            # Looked at here, because whoever waited may have been canceled.
            refresh.exception()

    async def _try_refresh(self, is_good: Callable[[TokenPair], bool]) -> str | None:
        """A good token; None while another caller refreshes."""
        lease_end = await asyncio.to_thread(self._take_lease)
        if lease_end is None:
            return None
        try:
            # Read again under the lease: another process may have finished between our look and our turn.
            pair = await asyncio.to_thread(self._read)
            if is_good(pair):
                return pair.access_token
            return await self._refresh(pair)
        finally:
            await asyncio.to_thread(self._release, lease_end)

    async def _refresh(self, pair: TokenPair) -> str:
        if self.vendor is None:
            return await self._lose(pair, "The platform no longer accepts the account's token. Connect it again.")
        if not pair.refresh_token:
            return await self._lose(pair, "The platform gave no refresh token when it was connected. Connect it again.")
        try:
            grant = await self.vendor.refresh(pair.refresh_token)
        except VendorAccountProblem as refusal:
            return await self._lose(pair, f"{refusal.message} Connect the account again.", refusal.log_id or "")
        except VendorError as error:
            raise AttemptFailed(
                Failure(
                    FailureKind.TRANSIENT,
                    "TOKEN_REFRESH_FAILED",
                    f"The account's token could not be refreshed now: {error.message} {error.advice}".strip()
                    + " The account stays connected.",
                ),
                error.log_id or "",
            ) from None
        renewed = pair_of(grant, datetime.now(UTC), pair)
        if await self._saved(pair, renewed):
            log.info("token refreshed", account_id=str(self.account.account_id))
            return renewed.access_token
        return (await asyncio.to_thread(self._read)).access_token

    async def _saved(self, used: TokenPair, renewed: TokenPair) -> bool:
        for wait in _SAVE_WAITS_SECONDS:
            try:
                return await asyncio.to_thread(self._save, used, renewed)
            except (DBAPIError, PoolTimeout) as error:
                log.warning("refreshed tokens are not stored yet", retry_in_seconds=wait, exc_info=error)
            await asyncio.sleep(wait)
        return await asyncio.to_thread(self._save, used, renewed)

    async def _lose(self, used: TokenPair, problem: str, vendor_log_id: str = "") -> str:
        """Records the lost authorisation and raises AttemptFailed(ACCOUNT); the present token when it is not lost."""
        if await asyncio.to_thread(self._set_lost, used, problem):
            raise AttemptFailed(Failure(FailureKind.ACCOUNT, AUTHORIZATION_LOST, problem), vendor_log_id)
        return (await asyncio.to_thread(self._read)).access_token

    def _read(self) -> TokenPair:
        with self.database.transaction(self.account.workspace_id) as tx:
            account = account_store.read_account(tx, self.account.workspace_id, self.account.account_id)
            if account.state is AccountState.AUTHORIZATION_LOST:
                raise AttemptFailed(Failure(FailureKind.ACCOUNT, AUTHORIZATION_LOST, account.problem))
            return account_store.read_tokens(tx, self.vault, account)

    def _take_lease(self) -> datetime | None:
        with self.database.transaction(self.account.workspace_id) as tx:
            return account_store.take_refresh(tx, self.account, _LEASE_SECONDS)

    def _release(self, lease_end: datetime) -> None:
        with self.database.transaction(self.account.workspace_id) as tx:
            account_store.release_refresh(tx, self.account, lease_end)

    def _save(self, used: TokenPair, renewed: TokenPair) -> bool:
        with self.database.transaction(self.account.workspace_id) as tx:
            before = account_store.save_tokens(tx, self.vault, self.account, used, renewed)
            if before is AccountState.AUTHORIZATION_LOST:
                # Another took its late answer for a loss.
                store.tell(tx, [reports.account_free(self.account.workspace_id, self.account.account_id)])
            return before is not None

    def _set_lost(self, used: TokenPair, problem: str) -> bool:
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


def _lasts(pair: TokenPair) -> bool:
    return pair.access_expire_time - datetime.now(UTC) > ACCESS_MARGIN


def pair_of(grant: TokenGrant, now: datetime, before: TokenPair | None = None) -> TokenPair:
    """The tokens of a grant with their ends. A grant without a refresh token keeps the one from before."""
    refresh_token = grant.refresh_token or (before.refresh_token if before else "")
    refresh_expire_time = before.refresh_expire_time if before else None
    if grant.refresh_lifetime_seconds is not None:
        refresh_expire_time = now + timedelta(seconds=grant.refresh_lifetime_seconds)
    return TokenPair(
        grant.access_token, now + timedelta(seconds=grant.access_lifetime_seconds), refresh_token, refresh_expire_time
    )
