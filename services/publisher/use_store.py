"""SQL of what accounts have let out lately. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from services.publisher.domain import Platform, watch_wait

# Account, delivery, and when it was used.
Use = tuple[UUID, UUID, datetime]

# What was let out is perhaps published, unless the ledger says that it is not. It counts from when the platform had
# everything, at most an hour after it was let out (platforms.tiktok.HANDLE_LIFE); the index is by the latter.
_LET_OUT = "step IN ('COMMITTING','UNCERTAIN','ACCEPTED','PUBLISHED','REMOVED') AND commit_time > :since"
_UPLOAD = timedelta(hours=1)
_USES = text(
    f"""
SELECT account_id, delivery_id, GREATEST(accept_time, commit_time) AS use_time FROM publications
WHERE workspace_id = :workspace AND account_id = ANY(:accounts) AND {_LET_OUT}
"""  # noqa: S608 - our own words
).bindparams(bindparam("accounts", type_=ARRAY(PG_UUID(as_uuid=True))))
# One probe of the index for each account of the platform.
_LAST_USES = text(
    f"""
SELECT a.account_id, last.delivery_id, last.use_time FROM accounts a CROSS JOIN LATERAL (
    SELECT delivery_id, GREATEST(accept_time, commit_time) AS use_time FROM publications p
    WHERE p.workspace_id = a.workspace_id AND p.account_id = a.account_id AND {_LET_OUT}
    ORDER BY commit_time DESC LIMIT 1) AS last
WHERE a.platform = :platform
"""  # noqa: S608 - our own words
)


def uses(tx: Connection, workspace_id: UUID, account_ids: Sequence[UUID], since: datetime) -> list[Use]:
    """What accounts of a workspace have let out since then."""
    values = {"workspace": workspace_id, "accounts": list(account_ids), "since": since - _UPLOAD}
    return [tuple(row) for row in tx.execute(_USES, values) if row.use_time > since]


_LOOKS = text(
    """
SELECT account_id, next_check_time, checks FROM publications
WHERE workspace_id = :workspace AND account_id = ANY(:accounts) AND commit_time > :since AND step = 'PUBLISHED'
  AND next_check_time IS NOT NULL
"""
).bindparams(bindparam("accounts", type_=ARRAY(PG_UUID(as_uuid=True))))
# Longer than a published post is looked at.
_WATCHED = timedelta(days=10)


def looks(tx: Connection, workspace_id: UUID, account_ids: Sequence[UUID], now: datetime) -> dict[UUID, list[datetime]]:
    """When accounts' tokens will be used to look at what is published, and whether it is still there."""
    values = {"workspace": workspace_id, "accounts": list(account_ids), "since": now - _WATCHED}
    found: dict[UUID, list[datetime]] = {}
    for row in tx.execute(_LOOKS, values):
        time, looked = row.next_check_time, row.checks
        while time is not None:
            found.setdefault(row.account_id, []).append(time)
            looked += 1
            wait = watch_wait(looked)
            time = time + wait if wait else None
    return found


def last_uses(tx: Connection, platform: Platform, since: datetime) -> list[Use]:
    """The last of each account of a platform, across workspaces, where that was since then."""
    rows = tx.execute(_LAST_USES, {"platform": platform.value, "since": since - _UPLOAD})
    return [tuple(row) for row in rows if row.use_time > since]
