"""SQL of webhooks: which were taken, and what they are about. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from services.publisher.domain import Account
from services.publisher.tables import webhooks


def remember(tx: Connection, digest: str, expire_time: datetime) -> bool:
    """Remembers a webhook; False when it was taken before."""
    found = insert(webhooks).values(digest=digest, expire_time=expire_time).on_conflict_do_nothing()
    return tx.execute(found).rowcount == 1


def forget(tx: Connection) -> None:
    """Deletes those that would be refused as stale by now."""
    tx.execute(delete(webhooks).where(webhooks.c.expire_time <= func.now()))


# Whoever is asking just now has looked before the hint came: what it writes is fenced by the revision.
_ASK_SOON = text(
    """
UPDATE publications p SET next_check_time = now(), revision = p.revision + 1
FROM unnest(:workspaces, :accounts) AS a(workspace_id, account_id)
WHERE p.workspace_id = a.workspace_id AND p.account_id = a.account_id AND p.handle = :handle
  AND p.step IN ('ACCEPTED','UNCERTAIN','PUBLISHED')
"""
).bindparams(
    bindparam("workspaces", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("accounts", type_=ARRAY(PG_UUID(as_uuid=True))),
)


def ask_soon(tx: Connection, accounts: Sequence[Account], handle: str) -> int:
    """Lets the platform be asked about a handle of one of the accounts at once; returns how many publications it is."""
    values = {
        "workspaces": [account.workspace_id for account in accounts],
        "accounts": [account.account_id for account in accounts],
        "handle": handle,
    }
    return tx.execute(_ASK_SOON, values).rowcount
