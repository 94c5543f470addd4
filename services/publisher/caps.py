"""The limits of a platform's day, kept before it is asked: it would refuse, and ask us to come back a day later.

What counts is the ledger, what was let out in the last 24 hours; and the places of what is in work, so that two
processes do not both take an account's last one. A place is a row under a lock of its account; it is forgotten when its
attempt is over, or some time after its process has died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.db import ALL_WORKSPACES, Database
from services.publisher import use_store
from services.publisher.domain import Account, AttemptFailed, Failure, FailureKind
from services.publisher.quotas import DAY, PATIENCE, Quotas, Uses, cap_message


@dataclass(frozen=True, slots=True)
class Caps:
    """Places in the day of accounts."""

    database: Database

    async def enter(
        self, account: Account, delivery_id: UUID, quotas: Quotas, wait: Callable[[], None], *, draft: bool = False
    ) -> bool:
        """Takes a place; True when there is one to `leave`, False where the platform has no caps. Drafts have a cap of
        their own. Calls `wait` before it waits for one. Raises AttemptFailed(RATE_LIMITED) when none comes soon.
        """
        while quotas.has_caps:
            now, free, reason = await asyncio.to_thread(self._take, account, delivery_id, draft, quotas)
            if free <= now:
                return True
            if free > now + PATIENCE:
                text = f"{cap_message(account.platform.title, quotas, reason)} It goes out when there is room."
                raise AttemptFailed(Failure(FailureKind.RATE_LIMITED, reason, text, free))
            wait()
            await asyncio.sleep((free - now).total_seconds())
        return False

    async def leave(self, account: Account, delivery_id: UUID) -> None:
        """The attempt is over: from now on the ledger says whether it counts."""
        await asyncio.to_thread(self._leave, account, delivery_id)

    def _take(self, account: Account, delivery_id: UUID, draft: bool, quotas: Quotas) -> tuple[datetime, datetime, str]:
        """Now, and when there is room: now, when the place is taken; and the reason of a wait."""
        of_all = quotas.accounts_per_day > 0
        with self.database.transaction(ALL_WORKSPACES if of_all else account.workspace_id) as tx:
            now = use_store.lock_day(tx, account.platform.value if of_all else str(account.account_id))
            used = use_store.places(tx, account, now, of_all=of_all)
            used += use_store.uses(tx, account.workspace_id, [account.account_id], now - DAY)
            if of_all:
                others = use_store.last_uses(tx, account.platform, now - DAY)
                used += [use for use in others if use.account_id != account.account_id]
            # Of what has a place and is let out already, the latter counts.
            by_delivery = {use.delivery_id: use for use in used if use.delivery_id != delivery_id}
            uses = Uses()
            for use in by_delivery.values():
                uses.add(use.account_id, use.time, draft=use.draft)
            free, reason = uses.room(quotas, account.account_id, now, draft=draft)
            if free <= now:
                use_store.take_place(tx, account, delivery_id, draft=draft)
        return now, free, reason

    def _leave(self, account: Account, delivery_id: UUID) -> None:
        with self.database.transaction(account.workspace_id) as tx:
            use_store.leave_place(tx, delivery_id)

    def forget(self) -> None:
        """Forgets the places of processes that died."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            use_store.forget_places(tx)
