"""SQL of what publishers do: claims, leases, grants, and where deliveries go. The caller owns the transaction.

The database's clock decides what is due and when a lease ends. Every statement takes a whole batch, as an array or as a
JSON array of rows. A delivery that is over leaves `deliveries` in the statement that ends it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from kit.listen import notify
from services.scheduler.deciding import NOBODY, Fate
from services.scheduler.domain import FINISHED, Delivery, DeliveryNotFound, DeliveryState, Visibility
from services.scheduler.store import DUE_CHANNEL, delivery_of
from services.scheduler.tables import deliveries, finished_deliveries, posts

_IDS = ARRAY(PG_UUID(as_uuid=True))


@dataclass(frozen=True, slots=True)
class Picked:
    """A due delivery, locked until the transaction ends, with the row of its post. `expired`: its lease has ended."""

    delivery: Delivery
    post: RowMapping
    expired: bool


@dataclass(frozen=True, slots=True)
class Leased:
    """A claim that was made."""

    attempt: int
    lease_expire_time: datetime
    authorized: bool


# Expired claims come first: somebody may be waiting for their outcome.
_EXPIRED = text(
    "SELECT * FROM deliveries WHERE state = 'CLAIMED' AND lease_expire_time <= now()"
    " ORDER BY lease_expire_time LIMIT :batch FOR UPDATE SKIP LOCKED"
)
_DUE = text(
    "SELECT * FROM deliveries WHERE state = 'SCHEDULED' AND due_time <= now() + make_interval(secs => :lead)"
    " AND delivery_id <> ALL(:but) ORDER BY due_time, delivery_id LIMIT :batch FOR UPDATE SKIP LOCKED"
).bindparams(bindparam("but", type_=_IDS))
# The turns: one step of the recursion is one probe of the index, to the next workspace with something scheduled; of
# each a few of the oldest are taken, until the batch is full. The recursion is only as long as the batch needs it.
_TURNS = text(
    """
WITH RECURSIVE turn AS (
    (SELECT workspace_id FROM deliveries WHERE state = 'SCHEDULED' AND workspace_id > :after
     ORDER BY workspace_id LIMIT 1)
    UNION ALL
    SELECT (SELECT next.workspace_id FROM deliveries next
            WHERE next.state = 'SCHEDULED' AND next.workspace_id > turn.workspace_id
            ORDER BY next.workspace_id LIMIT 1)
    FROM turn WHERE turn.workspace_id IS NOT NULL),
probed AS (SELECT workspace_id FROM turn WHERE workspace_id IS NOT NULL LIMIT :probes)
SELECT mine.* FROM probed CROSS JOIN LATERAL (
    SELECT * FROM deliveries
    WHERE state = 'SCHEDULED' AND workspace_id = probed.workspace_id
      AND due_time <= now() + make_interval(secs => :lead)
    ORDER BY due_time, delivery_id LIMIT :each FOR UPDATE SKIP LOCKED) AS mine
LIMIT :batch
"""
)
_PROBES = 1000  # workspaces that one claim looks at, at most


def pick_expired(tx: Connection, batch: int) -> list[Picked]:
    """Claims whose lease has ended."""
    return _with_posts(tx, tx.execute(_EXPIRED, {"batch": batch}).mappings().all(), expired=True)


_IS_SUSPECTED = text(
    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'CLAIMED' AND holder = :holder"
    " AND lease_expire_time > now() AND crash_count >= :crashes)"
)


def has_suspect(tx: Connection, holder: str, crashes: int) -> bool:
    """Whether the process works on something whose handling has already ended so many processes."""
    return bool(tx.execute(_IS_SUSPECTED, {"holder": holder, "crashes": crashes}).scalar_one())


_POSTPONE = text(
    "UPDATE deliveries SET lease_expire_time = now() + make_interval(secs => :seconds) WHERE delivery_id = ANY(:ids)"
).bindparams(bindparam("ids", type_=_IDS))


def postpone(tx: Connection, delivery_ids: Sequence[UUID], seconds: float) -> None:
    """Expired claims that are not handed out yet: they are looked at again after so many seconds."""
    tx.execute(_POSTPONE, {"ids": list(delivery_ids), "seconds": seconds})


def pick_due(tx: Connection, batch: int, lead_seconds: float, but: Sequence[UUID] = ()) -> list[Picked]:
    """What is due within the lead, oldest first."""
    rows = tx.execute(_DUE, {"batch": batch, "lead": lead_seconds, "but": list(but)}).mappings().all()
    return _with_posts(tx, rows, expired=False)


def pick_in_turns(tx: Connection, batch: int, lead_seconds: float, each: int, after: UUID) -> tuple[list[Picked], UUID]:
    """What is due, `each` of every workspace behind `after`, in the order of workspaces; and where to go on."""
    values = {"batch": batch, "lead": lead_seconds, "each": each, "after": after, "probes": _PROBES}
    rows = tx.execute(_TURNS, values).mappings().all()
    if not rows and after != NOBODY:
        rows = tx.execute(_TURNS, {**values, "after": NOBODY}).mappings().all()
    last = rows[-1]["workspace_id"] if len(rows) == batch else NOBODY
    return _with_posts(tx, rows, expired=False), last


def _with_posts(tx: Connection, rows: Sequence[RowMapping], *, expired: bool) -> list[Picked]:
    found = read_posts(tx, [row["post_id"] for row in rows])
    return [Picked(delivery_of(row), found[row["post_id"]], expired) for row in rows]


_CLAIM = text(
    """
UPDATE deliveries SET state = 'CLAIMED', attempt = attempt + 1, holder = :holder, update_time = now(),
    lease_expire_time = now() + make_interval(secs => :lease), progress_time = now(), busy_with = '',
    stall_told = false,
    crash_count = CASE WHEN state = 'CLAIMED' THEN crash_count + 1 ELSE crash_count END,
    commit_time = CASE WHEN state = 'CLAIMED' THEN commit_time WHEN due_time <= now() THEN now() END
WHERE delivery_id = ANY(:ids)
RETURNING delivery_id, attempt, lease_expire_time, crash_count = 0 AND commit_time = now() AS authorized
"""
).bindparams(bindparam("ids", type_=_IDS))


def claim(tx: Connection, delivery_ids: Sequence[UUID], holder: str, lease_seconds: float) -> dict[UUID, Leased]:
    """→ CLAIMED, by the next attempt. What is due is let go with it; a claim that had expired must ask."""
    if not delivery_ids:
        return {}
    rows = tx.execute(_CLAIM, {"ids": list(delivery_ids), "holder": holder, "lease": lease_seconds})
    return {row.delivery_id: Leased(row.attempt, row.lease_expire_time, row.authorized) for row in rows}


_RENEW = text(
    """
UPDATE deliveries d SET lease_expire_time = now() + make_interval(secs => :lease),
    progress_time = GREATEST(d.progress_time, now() - make_interval(secs => r.idle)),
    busy_with = CASE WHEN r.busy_with = '' THEN d.busy_with ELSE r.busy_with END,
    stall_told = d.stall_told AND now() - make_interval(secs => r.idle) <= d.progress_time + interval '1 second'
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(delivery_id uuid, workspace_id uuid, attempt int,
    busy_with text, idle float8)
WHERE d.delivery_id = r.delivery_id AND d.workspace_id = r.workspace_id AND d.attempt = r.attempt
  AND d.state = 'CLAIMED'
RETURNING d.delivery_id
"""
)


@dataclass(frozen=True, slots=True)
class Held:
    """What an attempt says that it holds, what it is busy with, and since how many seconds nothing has moved on."""

    workspace_id: UUID
    delivery_id: UUID
    attempt: int
    busy_with: str = ""
    idle_seconds: float = 0.0


def renew(tx: Connection, held: Sequence[Held], lease_seconds: float) -> set[UUID]:
    """Prolongs leases. Returns those that are held."""
    rows = [
        {
            "delivery_id": str(each.delivery_id),
            "workspace_id": str(each.workspace_id),
            "attempt": each.attempt,
            "busy_with": each.busy_with,
            "idle": each.idle_seconds,
        }
        for each in held
    ]
    return set(tx.execute(_RENEW, {"rows": json.dumps(rows), "lease": lease_seconds}).scalars())


_GRANT = text(
    "UPDATE deliveries SET commit_time = now(), lease_expire_time = now() + make_interval(secs => :lease),"
    " progress_time = now() WHERE delivery_id = ANY(:ids) RETURNING delivery_id"
).bindparams(bindparam("ids", type_=_IDS))


def grant(tx: Connection, delivery_ids: Sequence[UUID], lease_seconds: float) -> set[UUID]:
    """Lets deliveries go that the caller has locked. Returns them."""
    if not delivery_ids:
        return set()
    return set(tx.execute(_GRANT, {"ids": list(delivery_ids), "lease": lease_seconds}).scalars())


def read_waiting(tx: Connection, delivery_ids: Sequence[UUID], *, lock: bool) -> dict[UUID, Delivery]:
    """Deliveries that are not over; with `lock` they stay as they are until the transaction ends."""
    query = select(deliveries).where(deliveries.c.delivery_id.in_(delivery_ids)).order_by(deliveries.c.delivery_id)
    rows = tx.execute(query.with_for_update() if lock else query).mappings()
    return {row["delivery_id"]: delivery_of(row) for row in rows}


def read_finished(tx: Connection, delivery_ids: Sequence[UUID]) -> dict[UUID, Delivery]:
    """Deliveries that are over."""
    rows = tx.execute(select(finished_deliveries).where(finished_deliveries.c.delivery_id.in_(delivery_ids))).mappings()
    return {row["delivery_id"]: delivery_of(row) for row in rows}


def read_delivery(tx: Connection, workspace_id: UUID, delivery_id: UUID) -> Delivery:
    """A delivery, over or not. Raises DeliveryNotFound."""
    found = read_waiting(tx, [delivery_id], lock=False) or read_finished(tx, [delivery_id])
    if delivery_id not in found or found[delivery_id].workspace_id != workspace_id:
        raise DeliveryNotFound(
            "There is no delivery with this id in the workspace.", metadata={"delivery_id": str(delivery_id)}
        )
    return found[delivery_id]


def read_posts(tx: Connection, post_ids: Sequence[UUID]) -> dict[UUID, RowMapping]:
    """Rows of posts, across workspaces."""
    if not post_ids:
        return {}
    return {
        row["post_id"]: row for row in tx.execute(select(posts).where(posts.c.post_id.in_(set(post_ids)))).mappings()
    }


def taken_instants(tx: Connection, accounts: Iterable[tuple[UUID, UUID]], since: datetime) -> dict[UUID, set[datetime]]:
    """When accounts, each (workspace, account), have something to go out from now on."""
    pairs = set(accounts)
    rows = tx.execute(
        select(deliveries.c.account_id, deliveries.c.schedule_time).where(
            # By workspace: there is an index of what each has scheduled.
            deliveries.c.workspace_id.in_({workspace_id for workspace_id, _ in pairs}),
            deliveries.c.state == DeliveryState.SCHEDULED.value,
            deliveries.c.due_time >= since,
            deliveries.c.account_id.in_({account_id for _, account_id in pairs}),
        )
    )
    found: dict[UUID, set[datetime]] = {account_id: set() for _, account_id in pairs}
    for row in rows:
        found[row.account_id].add(row.schedule_time)
    return found


_KEPT = (
    "delivery_id, workspace_id, post_id, account_id, platform, schedule_time, due_time, attempt, outage_id, create_time"
)
_PUBLISH = text(
    f"""
WITH r AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(delivery_id uuid, workspace_id uuid, attempt int,
        platform_post_id text, url text, visibility text, publish_time timestamptz)),
gone AS (
    DELETE FROM deliveries d USING r
    WHERE d.delivery_id = r.delivery_id AND d.workspace_id = r.workspace_id AND d.attempt = r.attempt
      AND d.state IN ('SCHEDULED','CLAIMED','CONFIRMING','UNCERTAIN','HELD','MISSED')
    RETURNING d.*, r.platform_post_id AS its_id, r.url AS its_url, r.visibility AS its_visibility,
        r.publish_time AS its_time)
INSERT INTO finished_deliveries ({_KEPT}, failed_attempts, state, platform_post_id, url, visibility, publish_time)
SELECT {_KEPT}, failed_attempts, 'PUBLISHED', its_id, its_url, its_visibility, its_time FROM gone
RETURNING delivery_id, post_id, account_id
"""  # noqa: S608 - our own column names
)


@dataclass(frozen=True, slots=True)
class Publication:
    """What a report says of a delivery that is published."""

    delivery_id: UUID
    workspace_id: UUID
    attempt: int
    platform_post_id: str
    url: str
    visibility: Visibility
    publish_time: datetime


def publish(tx: Connection, published: Sequence[Publication]) -> dict[UUID, tuple[UUID, UUID]]:
    """→ PUBLISHED, by the last attempt, in whatever state it is but over: when its publisher was only silent and not
    dead, it may be parked. Returns post and account of those that were moved.
    """
    rows = [
        {
            "delivery_id": str(each.delivery_id),
            "workspace_id": str(each.workspace_id),
            "attempt": each.attempt,
            "platform_post_id": each.platform_post_id,
            "url": each.url,
            "visibility": each.visibility.value,
            "publish_time": each.publish_time.isoformat(),
        }
        for each in published
    ]
    return {row.delivery_id: (row.post_id, row.account_id) for row in tx.execute(_PUBLISH, {"rows": json.dumps(rows)})}


_CONFIRM = text(
    """
UPDATE deliveries SET state = 'CONFIRMING', lease_expire_time = NULL, needs_person = false, update_time = now(),
    failure_reason = '', failure_message = '', crash_count = 0
WHERE delivery_id = ANY(:ids)
"""
).bindparams(bindparam("ids", type_=_IDS))


def confirm(tx: Connection, delivery_ids: Sequence[UUID]) -> None:
    """→ CONFIRMING."""
    tx.execute(_CONFIRM, {"ids": list(delivery_ids)})


def remove(tx: Connection, removed: Mapping[UUID, datetime]) -> set[UUID]:
    """PUBLISHED → REMOVED. Returns those that were published."""
    rows = [{"delivery_id": str(each), "remove_time": time.isoformat()} for each, time in removed.items()]
    return set(
        tx.execute(
            text(
                "UPDATE finished_deliveries f SET state = 'REMOVED', remove_time = r.remove_time, update_time = now()"
                " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(delivery_id uuid, remove_time timestamptz)"
                " WHERE f.delivery_id = r.delivery_id AND f.state = 'PUBLISHED' RETURNING f.delivery_id"
            ),
            {"rows": json.dumps(rows)},
        ).scalars()
    )


# Leases, grants and crash counts belong to what was claimed; they end with it. Doubt is no such end: when it turns out
# that nothing came of it, its crashes count on.
_MOVE = text(
    """
UPDATE deliveries d SET state = r.state, lease_expire_time = NULL, update_time = now(),
    commit_time = CASE WHEN r.state = 'UNCERTAIN' OR r.hold_cause = 'CRASHES' THEN d.commit_time END,
    crash_count = CASE WHEN 'UNCERTAIN' IN (d.state, r.state) OR r.hold_cause = 'CRASHES' THEN d.crash_count
        ELSE 0 END,
    failed_attempts = d.failed_attempts + r.tries, failure_reason = r.reason, failure_message = r.message,
    due_time = COALESCE(r.due_time, d.due_time), schedule_time = COALESCE(r.schedule_time, d.schedule_time),
    hold_cause = r.hold_cause, hold_id = r.hold_id, needs_person = r.needs_person,
    outage_id = COALESCE(r.outage_id, d.outage_id), busy_with = ''
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(delivery_id uuid, state text, tries int, reason text, message text,
    due_time timestamptz, schedule_time timestamptz, hold_cause text, hold_id uuid, needs_person boolean,
    outage_id uuid)
WHERE d.delivery_id = r.delivery_id
"""
)
_FINISH = text(
    f"""
WITH r AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(delivery_id uuid, state text, tries int, reason text,
        message text, outage_id uuid)),
gone AS (
    DELETE FROM deliveries d USING r WHERE d.delivery_id = r.delivery_id
    RETURNING d.*, r.state AS its_state, r.tries, r.reason, r.message, r.outage_id AS its_outage)
INSERT INTO finished_deliveries ({_KEPT}, failed_attempts, state, failure_reason, failure_message)
SELECT delivery_id, workspace_id, post_id, account_id, platform, schedule_time, due_time, attempt,
    COALESCE(its_outage, outage_id), create_time, failed_attempts + tries, its_state, reason, message FROM gone
"""  # noqa: S608 - our own column names
)


def settle(tx: Connection, fates: Sequence[tuple[UUID, Fate]], outage_id: UUID | None = None) -> None:
    """Moves deliveries, which the caller has locked, to their fates; wakes those who wait for work."""
    for statement, chosen in (
        (_MOVE, [(each, fate) for each, fate in fates if fate.state not in FINISHED]),
        (_FINISH, [(each, fate) for each, fate in fates if fate.state in FINISHED]),
    ):
        if chosen:
            rows = [_fate_row(delivery_id, fate, outage_id) for delivery_id, fate in chosen]
            tx.execute(statement, {"rows": json.dumps(rows)})
    if any(fate.state is DeliveryState.SCHEDULED for _, fate in fates):
        notify(tx, DUE_CHANNEL)


def _fate_row(delivery_id: UUID, fate: Fate, outage_id: UUID | None) -> dict[str, Any]:
    return {
        "delivery_id": str(delivery_id),
        "state": fate.state.value,
        "tries": int(fate.counts),
        "reason": fate.reason,
        "message": fate.message[:2000],
        "due_time": fate.due_time.isoformat() if fate.due_time else None,
        "schedule_time": fate.schedule_time.isoformat() if fate.schedule_time else None,
        "hold_cause": fate.cause.value if fate.cause else "",
        "hold_id": str(fate.hold.hold_id) if fate.hold else None,
        "needs_person": fate.needs_person,
        "outage_id": str(outage_id) if outage_id else None,
    }


def seconds_until_due(tx: Connection, lead_seconds: float) -> float | None:
    """How long until the next delivery may be claimed; 0 or less when one may be now, None when none waits."""
    seconds: float | None = tx.execute(
        text(
            "SELECT EXTRACT(EPOCH FROM LEAST("
            " (SELECT due_time FROM deliveries WHERE state = 'SCHEDULED' ORDER BY due_time LIMIT 1)"
            "   - make_interval(secs => :lead),"
            " (SELECT lease_expire_time FROM deliveries WHERE state = 'CLAIMED' ORDER BY lease_expire_time LIMIT 1)"
            ") - now())::float8"
        ),
        {"lead": lead_seconds},
    ).scalar_one()
    return seconds


def archive_leftovers(tx: Connection, limit: int) -> int:
    """Moves finished rows that the version before has left among those that wait; returns how many."""
    return tx.execute(
        text(
            f"""
WITH gone AS (
    DELETE FROM deliveries WHERE delivery_id IN (
        SELECT delivery_id FROM deliveries
        WHERE state IN ('PUBLISHED','REJECTED','FAILED','CANCELED','REMOVED') LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING *)
INSERT INTO finished_deliveries ({_KEPT}, failed_attempts, state, platform_post_id, url, visibility, publish_time,
    failure_reason, failure_message)
SELECT {_KEPT}, failed_attempts, state, platform_post_id, url, visibility, publish_time, failure_reason, failure_message
FROM gone
"""  # noqa: S608 - our own column names
        ),
        {"limit": limit},
    ).rowcount


def count_by_state(tx: Connection) -> dict[str, int]:
    """How many deliveries wait or are in work, by state. Reads partial indexes only."""
    rows = tx.execute(
        text(
            "SELECT 'due' AS name, count(*) AS n FROM deliveries WHERE state = 'SCHEDULED' AND due_time <= now()"
            " UNION ALL SELECT 'claimed', count(*) FROM deliveries WHERE state = 'CLAIMED'"
            " UNION ALL SELECT 'held', count(*) FROM deliveries WHERE state = 'HELD'"
        )
    )
    return {row.name: row.n for row in rows}


def oldest_ages(tx: Connection) -> tuple[float, float]:
    """Seconds since the oldest claim was made, and since the oldest due time; 0 without one."""
    row = tx.execute(
        text(
            "SELECT COALESCE(EXTRACT(EPOCH FROM now() - (SELECT min(update_time) FROM deliveries"
            " WHERE state = 'CLAIMED')), 0)::float8 AS claim, COALESCE(EXTRACT(EPOCH FROM now() - ("
            "SELECT due_time FROM deliveries WHERE state = 'SCHEDULED' AND due_time <= now()"
            " ORDER BY due_time LIMIT 1)), 0)::float8 AS due"
        )
    ).one()
    return row.claim, row.due


_STALLED = text(
    """
UPDATE deliveries SET stall_told = true
WHERE delivery_id IN (
    SELECT delivery_id FROM deliveries WHERE state = 'CLAIMED' AND NOT stall_told
      AND (progress_time < now() - make_interval(secs => :idle)
           OR lease_expire_time < now() - make_interval(secs => :unclaimed))
    LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING *
"""
)


@dataclass(frozen=True, slots=True)
class Stalled:
    """A claimed delivery that does not move on. `lease_ended`: its publisher is gone and nobody has taken it over."""

    delivery: Delivery
    holder: str
    busy_with: str
    lease_ended: bool
    idle_seconds: float


def take_stalled(
    tx: Connection, now: datetime, idle_seconds: float, unclaimed_seconds: float, limit: int
) -> list[Stalled]:
    """Claimed deliveries that have not moved on for so long, or whose lease ended so long ago; each is given once."""
    rows = tx.execute(_STALLED, {"idle": idle_seconds, "unclaimed": unclaimed_seconds, "limit": limit}).mappings()
    return [
        Stalled(
            delivery_of(row),
            row["holder"],
            row["busy_with"],
            row["lease_expire_time"] < now,
            (now - (row["progress_time"] or row["update_time"])).total_seconds(),
        )
        for row in rows
    ]
