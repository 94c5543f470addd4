"""SQL of what is done for tokens ahead of time, across workspaces. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, text, update

from services.publisher.account_store import account_of
from services.publisher.domain import Account, AccountState
from services.publisher.tables import accounts

_CONNECTED = accounts.c.state == AccountState.CONNECTED.value
_AT_ONCE = 1000
# No sooner than in the middle of a token's life: short ones would else be refreshed all the time.
_COUNT = text(
    """
UPDATE accounts SET renew_time = access_expire_time - LEAST(:lead, (access_expire_time - grant_time) / 2)
WHERE account_id IN (SELECT account_id FROM accounts WHERE state = 'CONNECTED' AND renew_time IS NULL
                     LIMIT :limit FOR UPDATE SKIP LOCKED)
"""
)


@dataclass(frozen=True, slots=True)
class Ending:
    """An account whose authorisation ends soon, and what was told of that (endings.py)."""

    account: Account
    end: datetime
    told: frozenset[int]


def count_renewals(tx: Connection, lead: timedelta) -> None:
    """Says of accounts with new tokens when these are refreshed: so long before their end."""
    tx.execute(_COUNT, {"lead": lead, "limit": _AT_ONCE})


def take_renewals(tx: Connection, limit: int, again: timedelta) -> list[Account]:
    """At most so many accounts whose access token is to be refreshed now, for this caller; `again`: should it fail."""
    due = (
        select(accounts.c.account_id)
        .where(_CONNECTED, accounts.c.renew_time <= func.now())
        .order_by(accounts.c.renew_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = (
        update(accounts).where(accounts.c.account_id.in_(due)).values(renew_time=func.now() + again).returning(accounts)
    )
    return [account_of(row) for row in tx.execute(taken).mappings()]


def take_endings(tx: Connection, limit: int, again: timedelta) -> list[Ending]:
    """At most so many accounts of which it is time to look at the end of their authorisation, for this caller; `again`:
    when they are looked at next.
    """
    due = (
        select(accounts.c.account_id)
        .where(_CONNECTED, accounts.c.ending_check_time <= func.now(), accounts.c.refresh_expire_time.is_not(None))
        .order_by(accounts.c.ending_check_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = (
        update(accounts)
        .where(accounts.c.account_id.in_(due))
        .values(ending_check_time=func.now() + again)
        .returning(accounts)
    )
    rows = tx.execute(taken).mappings()
    return [Ending(account_of(row), row["refresh_expire_time"], frozenset(row["endings_told"])) for row in rows]


def set_told(tx: Connection, ending: Ending, told: Set[int]) -> bool:
    """What was told of an ending from now on. False, and nothing is changed, when it is another end by now, or another
    has told meanwhile.
    """
    result = tx.execute(
        update(accounts)
        .where(
            _CONNECTED,
            accounts.c.account_id == ending.account.account_id,
            accounts.c.refresh_expire_time == ending.end,
            accounts.c.endings_told == sorted(ending.told),
        )
        .values(endings_told=sorted(told))
    )
    return result.rowcount == 1
