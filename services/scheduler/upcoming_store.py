"""SQL of what is still to go out, for publishers who foresee what will fail. The caller owns the transaction.

Each state has an index of its own by due time; a page reads so many rows of each, and the first of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from kit.paging import Page
from services.scheduler import deciding, dispatch, dispatch_store, hold_store
from services.scheduler.deciding import Rules
from services.scheduler.domain import Delivery, Hold, Policy
from services.scheduler.store import delivery_of

# The first condition says what the third does; the planner counts rows by it.
_WITHIN = (
    "due_time >= :after AND due_time < :until AND (due_time, delivery_id) > (:after, :after_id)"
    " ORDER BY due_time, delivery_id LIMIT :n"
)
# Claims are few: they are read by their leases. Those that were let go, or may have been, can no longer fail to.
_CLAIMED = "state = 'CLAIMED' AND commit_time IS NULL AND crash_count = 0"
_OF_WORKSPACE = text(
    f"""
(SELECT * FROM deliveries WHERE state = 'SCHEDULED' AND workspace_id = :workspace AND {_WITHIN})
UNION ALL
(SELECT * FROM deliveries WHERE state IN ('HELD','MISSED') AND workspace_id = :workspace AND {_WITHIN})
UNION ALL
(SELECT * FROM deliveries WHERE {_CLAIMED} AND workspace_id = :workspace AND {_WITHIN})
ORDER BY due_time, delivery_id LIMIT :n
"""  # noqa: S608 - our own words
)
_OF_ALL = text(
    f"""
(SELECT * FROM deliveries WHERE state = 'SCHEDULED' AND {_WITHIN})
UNION ALL
(SELECT * FROM deliveries WHERE {_CLAIMED} AND {_WITHIN})
ORDER BY due_time, delivery_id LIMIT :n
"""  # noqa: S608 - our own words
)
_BEGINNING = datetime.min.replace(tzinfo=UTC)
# Before every id.
_NO_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A delivery that is still to go out, with the row of its post, the hold that applies now, and its rules."""

    delivery: Delivery
    post: RowMapping
    hold: Hold | None
    rules: Rules


def list_upcoming(
    tx: Connection,
    policy: Policy,
    page: Page,
    *,
    workspace_id: UUID | None,
    from_time: datetime | None,
    until_time: datetime,
) -> list[Upcoming]:
    """Deliveries that are SCHEDULED, CLAIMED and not let go, HELD or MISSED, by due time; one more than the page holds
    when there is a next page. Without a workspace those of all, but for what is HELD or MISSED.
    """
    after, after_id = page.after or (from_time or _BEGINNING, _NO_ID)
    values = {"until": until_time, "after": after, "after_id": after_id, "n": page.size + 1}
    if workspace_id is None:
        rows = tx.execute(_OF_ALL, values)
    else:
        rows = tx.execute(_OF_WORKSPACE, {**values, "workspace": workspace_id})
    found = [delivery_of(row) for row in rows.mappings()]
    posts = dispatch_store.read_posts(tx, [each.post_id for each in found])
    holds = hold_store.holds_on(tx, found, lock=False)
    rules = dispatch.rules_of(tx, found, policy, posts)
    return [
        Upcoming(each, posts[each.post_id], deciding.hold_on(each, holds), rules[each.delivery_id]) for each in found
    ]
