"""SQL of what accounts have let out lately. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.dialects.postgresql import insert as upsert

from services.publisher.domain import Account, Platform
from services.publisher.tables import accounts, day_places


class Use(NamedTuple):
    """A delivery that an account has let out, and when; or a draft that its owner got."""

    account_id: UUID
    delivery_id: UUID
    time: datetime
    draft: bool


# What was let out is perhaps published, unless the ledger says that it is not. It counts from when the platform had
# everything, at most an hour after it was let out (platforms.tiktok.HANDLE_LIFE); the index is by the latter.
_LET_OUT = "step IN ('COMMITTING','UNCERTAIN','ACCEPTED','PUBLISHED','REMOVED') AND commit_time > :since"
_UPLOAD = timedelta(hours=1)
# As domain.is_draft, of whatever platform the account is.
_DRAFT = "jsonb_path_exists(options, '$.*.post_mode ? (@ == \"MEDIA_UPLOAD\")')"
_USES = text(
    f"""
SELECT account_id, delivery_id, GREATEST(accept_time, commit_time) AS time, {_DRAFT} AS draft FROM publications
WHERE workspace_id = :workspace AND account_id = ANY(:accounts) AND {_LET_OUT}
"""  # noqa: S608 - our own words
).bindparams(bindparam("accounts", type_=ARRAY(PG_UUID(as_uuid=True))))
# One probe of the index for each account of the platform.
_LAST_USES = text(
    f"""
SELECT a.account_id, last.delivery_id, last.time, FALSE AS draft FROM accounts a CROSS JOIN LATERAL (
    SELECT delivery_id, GREATEST(accept_time, commit_time) AS time FROM publications p
    WHERE p.workspace_id = a.workspace_id AND p.account_id = a.account_id AND {_LET_OUT} AND NOT {_DRAFT}
    ORDER BY commit_time DESC LIMIT 1) AS last
WHERE a.platform = :platform
"""  # noqa: S608 - our own words
)


# Longer than from a claim ahead of its time to the intent that the ledger has, the wait for a place included.
_PLACE_LASTS = timedelta(minutes=15)


def lock_day(tx: Connection, whose: str) -> datetime:
    """Lets no other take a place of an account, or of a platform, until the transaction ends. Returns the time then."""
    tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"day {whose}", 0))))
    now: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
    return now


def places(tx: Connection, account: Account, now: datetime, *, of_all: bool) -> list[Use]:
    """What is in work for an account, or for all of its platform: each is let out now, if not later."""
    query = select(day_places.c.account_id, day_places.c.delivery_id, day_places.c.draft).where(
        day_places.c.expire_time > now
    )
    if of_all:
        query = query.join(accounts, accounts.c.account_id == day_places.c.account_id)
        query = query.where(accounts.c.platform == account.platform.value)
    else:
        query = query.where(
            day_places.c.workspace_id == account.workspace_id, day_places.c.account_id == account.account_id
        )
    return [Use(row.account_id, row.delivery_id, now, row.draft) for row in tx.execute(query)]


def take_place(tx: Connection, account: Account, delivery_id: UUID, *, draft: bool) -> None:
    """A delivery of the account is in work."""
    values = {"expire_time": func.clock_timestamp() + _PLACE_LASTS, "draft": draft}
    tx.execute(
        upsert(day_places)
        .values(delivery_id=delivery_id, workspace_id=account.workspace_id, account_id=account.account_id, **values)
        .on_conflict_do_update(index_elements=[day_places.c.delivery_id], set_=values)
    )


def leave_place(tx: Connection, delivery_id: UUID) -> None:
    """It is no longer."""
    tx.execute(delete(day_places).where(day_places.c.delivery_id == delivery_id))


def forget_places(tx: Connection) -> None:
    """Deletes those whose time is over."""
    tx.execute(delete(day_places).where(day_places.c.expire_time <= func.now()))


def uses(tx: Connection, workspace_id: UUID, account_ids: Sequence[UUID], since: datetime) -> list[Use]:
    """What accounts of a workspace have let out since then."""
    values = {"workspace": workspace_id, "accounts": list(account_ids), "since": since - _UPLOAD}
    return [Use(*row) for row in tx.execute(_USES, values) if row.time > since]


def last_uses(tx: Connection, platform: Platform, since: datetime) -> list[Use]:
    """The last post of each account of a platform, across workspaces, where that was since then."""
    rows = tx.execute(_LAST_USES, {"platform": platform.value, "since": since - _UPLOAD})
    return [Use(*row) for row in rows if row.time > since]
