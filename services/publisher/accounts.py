"""Accounts and their tokens for the work of this process: read once, and again after some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kit.db import Database
from services.publisher import account_store
from services.publisher.domain import (
    Account,
    AccountLimits,
    AccountNotFound,
    AttemptFailed,
    Failure,
    FailureKind,
    Publication,
)
from services.publisher.platforms.base import Tokens

# Only what people read of an account may be so old: tokens and lost authorisations are looked at for themselves.
_SECONDS = 30.0
# What a platform has said of an account is taken for fresh so long.
LIMITS_LAST = timedelta(hours=1)


class Accounts:
    """Looks up accounts. `tokens_of` gives an account's tokens."""

    def __init__(self, database: Database, tokens_of: Callable[[Account], Tokens]) -> None:
        self._database = database
        self.tokens_of = tokens_of
        self._known: dict[UUID, tuple[float, asyncio.Task[Account]]] = {}

    async def of(self, publication: Publication) -> tuple[Account, Tokens]:
        """The account of a publication, and its tokens. Raises AttemptFailed when the workspace has no such account."""
        now = asyncio.get_running_loop().time()
        known = self._known.get(publication.account_id)
        if known is None or now > known[0] or (known[1].done() and known[1].exception()):
            self._forget(now)
            reading = asyncio.create_task(
                asyncio.to_thread(self._read, publication.workspace_id, publication.account_id)
            )
            known = self._known[publication.account_id] = (now + _SECONDS, reading)
        try:
            account = await asyncio.shield(known[1])
        except AccountNotFound as error:
            message = f"{error.message} Connect it, and create the post again."
            raise AttemptFailed(Failure(FailureKind.PERMANENT, error.reason, message)) from None
        if account.workspace_id != publication.workspace_id:
            raise AttemptFailed(
                Failure(FailureKind.PERMANENT, "ACCOUNT_NOT_FOUND", "The workspace has no account with this id.")
            )
        return account, self.tokens_of(account)

    async def learned(self, account: Account, limits: AccountLimits) -> None:
        """Keeps what the platform has just said that the account may do, when it is new, or was read long ago."""
        known = account.limits_time
        if limits == account.limits and known and datetime.now(UTC) - known < LIMITS_LAST:
            return
        await asyncio.to_thread(self._save, account, limits)
        self._known.pop(account.account_id, None)

    def _save(self, account: Account, limits: AccountLimits) -> None:
        with self._database.transaction(account.workspace_id) as tx:
            account_store.save_limits(tx, account, limits)

    def _forget(self, now: float) -> None:
        if len(self._known) > 10_000:
            self._known = {key: entry for key, entry in self._known.items() if entry[0] > now}

    def _read(self, workspace_id: UUID, account_id: UUID) -> Account:
        with self._database.transaction(workspace_id) as tx:
            return account_store.read_account(tx, workspace_id, account_id)
