"""Access tokens: good for a while, refreshed before they end, by one process at a time.

The process that takes the refresh lease of an authorisation asks the vendor and stores the new pair before anybody uses
it; the others wait for its row to change. Refresh tokens rotate, so two refreshes at once would lose one, and an answer
that is not stored loses the authorisation: a refresh goes on when the work that asked for it is canceled, and is stored
as soon as the database takes it. A fault on the vendor's side, or in our app's own credentials, is not a lost
authorisation: only the vendor's definite no to this one is.

A process that dies between the vendor's answer and the commit takes the new pair with it. Its lease is left behind, so
the next one knows: with the stored refresh token it either gets a pair after all, or finds the authorisation lost and
says why.

Whose tokens they are, and where they lie, is a service's own: see TokenStore.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kit.vendor_errors import VendorAccountProblem, VendorError

log = structlog.get_logger()

# Longer than a refresh takes with its retries (30 s by the vendors' configuration) and the storing of its answer.
_LEASE_SECONDS = 45.0
# Longer than the lease, so that whoever waits outlives a process that died while it refreshed.
_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.25
# While the database is away an answer is kept in memory and offered again after each of these waits: a minute in all.
_SAVE_WAITS_SECONDS = (0.1, 0.2, 0.5, *(1.0,) * 59)
# A token that was read so lately is used without looking again. One that is refused is looked up anew.
_KNOWN_SECONDS = 30.0
_CUT_SHORT = "An earlier refresh was cut short, and the new tokens may have been lost with its process."


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The tokens of an authorisation, opened."""

    access_token: str = field(repr=False)
    access_expire_time: datetime
    refresh_token: str = field(repr=False)
    refresh_expire_time: datetime | None
    # The refresh token as it lies in its row: it differs when somebody has stored another since.
    stored_refresh: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to refresh, until `end`. `after_crash`: its last holder went away without giving it back."""

    end: datetime
    after_crash: bool


class TokenStore(Protocol):
    """Where one authorisation's tokens lie. Each method is one transaction, and is called in a thread."""

    def read(self) -> TokenPair:
        """The tokens. Raises AuthorizationLost when it is."""

    def take_lease(self, seconds: float) -> Lease | None:
        """Lets this caller refresh, and no other for so long; None when another may already."""

    def release(self, lease: Lease) -> None:
        """Lets another try at once, after a failure; does nothing when the lease is another's by now."""

    def save(self, used: TokenPair, renewed: TokenPair) -> bool:
        """Stores new tokens in the place of those that were used, and ends the lease. They prove the authorisation.
        False, and nothing is changed, when it was given anew since `used` was read.
        """

    def lose(self, used: TokenPair, problem: str) -> bool:
        """Records that the authorisation is lost, and tells. False when it was lost already, or given anew since."""


# Asks the vendor for a new pair in the place of one. Raises VendorError.
Renew = Callable[[TokenPair], Awaitable[TokenPair]]


class AuthorizationLost(Exception):
    """The vendor no longer accepts the authorisation; `problem` says why, and what its owner has to do."""

    def __init__(self, problem: str, vendor_log_id: str = "") -> None:
        super().__init__(problem)
        self.problem, self.vendor_log_id = problem, vendor_log_id


class RefreshBusy(Exception):
    """Another process is refreshing, and has not finished in due time. The authorisation stands."""


class RefreshFailed(Exception):
    """The vendor gave no token now, and may later; `message` has its words. The authorisation stands."""

    def __init__(self, error: VendorError) -> None:
        super().__init__(error.message)
        self.message = f"{error.message} {error.advice}".strip()
        self.vendor_log_id = error.log_id or ""


@dataclass(slots=True)
class Custody:
    """What the tokens in a process share: refreshes under way, tokens that were read a moment ago, and those that were
    refused last.
    """

    refreshes: set[asyncio.Task[str | None]] = field(default_factory=set)
    known: dict[UUID, tuple[float, TokenPair]] = field(default_factory=dict)
    refused: dict[UUID, str] = field(default_factory=dict, repr=False)

    async def finish(self) -> None:
        """Waits for refreshes under way, before the process ends: an answer must not get lost, for the old tokens no
        longer work.
        """
        if self.refreshes:
            await asyncio.wait(self.refreshes)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one authorisation, for one piece of work. Raise AuthorizationLost, RefreshBusy and RefreshFailed."""

    custody: Custody
    # Of what they are the tokens: its id, and what people call it ("account", "shop").
    owner_id: UUID
    owner: str
    store: TokenStore
    # None: the vendor's tokens have no end, and no refresh.
    renew: Renew | None
    # An access token that ends so soon is renewed before it is used.
    margin: timedelta

    async def access(self) -> str:
        """A token good for `margin` at least."""
        known = self.custody.known.get(self.owner_id)
        if known and asyncio.get_running_loop().time() < known[0] and self._lasts(known[1]):
            return known[1].access_token
        return await self._refreshed(self._lasts)

    async def fresh(self, refused: str) -> str:
        """Another token than the one that was refused, good for `margin` at least."""
        self.custody.known.pop(self.owner_id, None)
        # Kept for the next one too: when no other can be had now, this one is as refused as before.
        self.custody.refused[self.owner_id] = refused
        return await self._refreshed(self._lasts)

    async def refresh_ahead(self, access_expire_time: datetime) -> None:
        """Refreshes the token that ends at this time, unless it is another by now, another process does so at this
        moment, or there is nothing to refresh it with: what still works is not lost for that.
        """
        await self._begin(lambda pair: pair.access_expire_time != access_expire_time or not pair.refresh_token)

    async def _refreshed(self, is_good: Callable[[TokenPair], bool]) -> str:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            pair = await asyncio.to_thread(self.store.read)
            if is_good(pair):
                self._know(pair)
                return pair.access_token
            token = await self._begin(is_good)
            if token is not None:
                return token
            await asyncio.sleep(_POLL_SECONDS)
        raise RefreshBusy

    async def _begin(self, is_good: Callable[[TokenPair], bool]) -> str | None:
        """Tries to refresh, to the end even when this caller is canceled meanwhile."""
        refresh = asyncio.create_task(self._try_refresh(is_good))
        self.custody.refreshes.add(refresh)
        refresh.add_done_callback(self._finished)
        return await asyncio.shield(refresh)

    def _know(self, pair: TokenPair) -> None:
        known, now = self.custody.known, asyncio.get_running_loop().time()
        for remembered in (known, self.custody.refused):
            if len(remembered) > 10_000:
                remembered.clear()
        known[self.owner_id] = (now + _KNOWN_SECONDS, pair)

    def _finished(self, refresh: asyncio.Task[str | None]) -> None:
        self.custody.refreshes.discard(refresh)
        if not refresh.cancelled():
            # Looked at here, because whoever waited may have been canceled.
            refresh.exception()

    async def _try_refresh(self, is_good: Callable[[TokenPair], bool]) -> str | None:
        """A good token; None while another caller refreshes."""
        lease = await asyncio.to_thread(self.store.take_lease, _LEASE_SECONDS)
        if lease is None:
            return None
        try:
            # Read again under the lease: another process may have finished between our look and our turn.
            pair = await asyncio.to_thread(self.store.read)
            if is_good(pair):
                return pair.access_token
            return await self._refresh(pair, lease)
        finally:
            await asyncio.to_thread(self.store.release, lease)

    async def _refresh(self, pair: TokenPair, lease: Lease) -> str:
        again = "Connect it again."
        if self.renew is None:
            return await self._lose(pair, f"The platform no longer accepts the {self.owner}'s token. {again}")
        if not pair.refresh_token:
            return await self._lose(pair, f"The platform gave no refresh token when it was connected. {again}")
        try:
            renewed = await self.renew(pair)
        except VendorAccountProblem as refusal:
            parts = (refusal.message, _CUT_SHORT if lease.after_crash else "", f"Connect the {self.owner} again.")
            return await self._lose(pair, " ".join(part for part in parts if part), refusal.log_id or "")
        except VendorError as error:
            raise RefreshFailed(error) from None
        if await self._saved(pair, renewed):
            self.custody.refused.pop(self.owner_id, None)
            log.info("token refreshed", **{f"{self.owner}_id": str(self.owner_id)})
            return renewed.access_token
        return (await asyncio.to_thread(self.store.read)).access_token

    async def _saved(self, used: TokenPair, renewed: TokenPair) -> bool:
        for wait in _SAVE_WAITS_SECONDS:
            try:
                return await asyncio.to_thread(self.store.save, used, renewed)
            except (DBAPIError, PoolTimeout) as error:
                log.warning("refreshed tokens are not stored yet", retry_in_seconds=wait, exc_info=error)
            await asyncio.sleep(wait)
        return await asyncio.to_thread(self.store.save, used, renewed)

    async def _lose(self, used: TokenPair, problem: str, vendor_log_id: str = "") -> str:
        """Records the lost authorisation and raises AuthorizationLost; the present token when it is not lost."""
        if await asyncio.to_thread(self.store.lose, used, problem):
            raise AuthorizationLost(problem, vendor_log_id)
        return (await asyncio.to_thread(self.store.read)).access_token

    def _lasts(self, pair: TokenPair) -> bool:
        if pair.access_token == self.custody.refused.get(self.owner_id):
            return False
        return pair.access_expire_time - datetime.now(UTC) > self.margin
