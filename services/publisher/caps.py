"""The limits of a platform's day, kept before it is asked: it would refuse, and ask us to come back a day later.

What counts is the ledger: what was let out in the last 24 hours, and whatever this process has in work. Two processes
that work on one account's last place at the same moment may both go on; then the platform refuses one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from kit.db import ALL_WORKSPACES, Database
from services.publisher import use_store
from services.publisher.domain import Account, AttemptFailed, Failure, FailureKind
from services.publisher.quotas import DAY, PATIENCE, Quotas, Uses, cap_message


@dataclass(slots=True)
class Caps:
    """Places in the day of accounts. A delivery that has one keeps it until `leave`."""

    database: Database
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    # Of deliveries in work: their account.
    _taken: dict[UUID, UUID] = field(default_factory=dict)

    async def enter(self, account: Account, delivery_id: UUID, quotas: Quotas, wait: Callable[[], None]) -> None:
        """Takes a place; calls `wait` before it waits for one. Raises AttemptFailed(RATE_LIMITED) when none comes
        soon.
        """
        while quotas.has_caps:
            now = self.now()
            used = await asyncio.to_thread(self._read, account, quotas, now - DAY)
            uses = Uses()
            for user, delivery, time in used:
                if delivery != delivery_id and delivery not in self._taken:
                    uses.add(user, time)
            for delivery, user in self._taken.items():
                if delivery != delivery_id:
                    uses.add(user, now)
            free, reason = uses.room(quotas, account.account_id, now)
            if free <= now:
                self._taken[delivery_id] = account.account_id
                return
            if free > now + PATIENCE:
                text = f"{cap_message(account.platform.title, quotas, reason)} It goes out when there is room."
                raise AttemptFailed(Failure(FailureKind.RATE_LIMITED, reason, text, free))
            wait()
            await self.sleep((free - now).total_seconds())

    def leave(self, delivery_id: UUID) -> None:
        """The attempt is over: from now on the ledger says whether it counts."""
        self._taken.pop(delivery_id, None)

    def _read(self, account: Account, quotas: Quotas, since: datetime) -> list[use_store.Use]:
        if not quotas.accounts_per_day:
            with self.database.transaction(account.workspace_id) as tx:
                return use_store.uses(tx, account.workspace_id, [account.account_id], since)
        with self.database.transaction(ALL_WORKSPACES) as tx:
            mine = use_store.uses(tx, account.workspace_id, [account.account_id], since)
            others = use_store.last_uses(tx, account.platform, since)
            return mine + [use for use in others if use[0] != account.account_id]
