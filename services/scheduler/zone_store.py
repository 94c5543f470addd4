"""SQL of the rules of time zones, and of the posts whose instants they make. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.listen import notify
from services.scheduler.domain import Schedule
from services.scheduler.store import DUE_CHANNEL, schedule_of
from services.scheduler.tables import posts, zone_rules


@dataclass(frozen=True, slots=True)
class KnownRules:
    """The rules by which instants were last made. `is_settled`: they did not change lately."""

    fingerprint: bytes
    is_settled: bool


def read_rules(tx: Connection, settled_after: timedelta) -> dict[str, KnownRules]:
    """What is known of each zone."""
    is_settled = func.coalesce(zone_rules.c.change_time < func.now() - settled_after, True)
    rows = tx.execute(select(zone_rules.c.time_zone, zone_rules.c.fingerprint, is_settled.label("is_settled")))
    return {row.time_zone: KnownRules(bytes(row.fingerprint), row.is_settled) for row in rows}


def put_rules(tx: Connection, fingerprints: Mapping[str, bytes]) -> None:
    """From now on instants are made by these rules."""
    if fingerprints:
        statement = upsert(zone_rules)
        tx.execute(
            statement.on_conflict_do_update(
                constraint="zone_rules_pkey",
                set_={"fingerprint": statement.excluded.fingerprint, "change_time": func.now()},
                where=zone_rules.c.fingerprint != statement.excluded.fingerprint,
            ),
            # In one order: replicas that start together do not wait for each other in a circle.
            [{"time_zone": each, "fingerprint": fingerprints[each]} for each in sorted(fingerprints)],
        )


def next_workspace(tx: Connection, after: UUID) -> UUID | None:
    """The next workspace that has posts; one probe of an index."""
    query = select(posts.c.workspace_id).where(posts.c.workspace_id > after)
    found: UUID | None = tx.execute(query.order_by(posts.c.workspace_id).limit(1)).scalar()
    return found


def coming_posts(
    tx: Connection, workspace_id: UUID, time_zones: Collection[str], after: tuple[datetime, UUID] | None, limit: int
) -> list[tuple[UUID, Schedule]]:
    """Posts of these zones that are still to come, by their time."""
    query = _SCHEDULES.where(
        posts.c.workspace_id == workspace_id,
        posts.c.schedule_time > func.now(),
        posts.c.time_zone.in_(time_zones),
    )
    if after is not None:
        query = query.where(tuple_(posts.c.schedule_time, posts.c.post_id) > tuple_(*after))
    rows = tx.execute(query.order_by(posts.c.schedule_time, posts.c.post_id).limit(limit)).mappings()
    return [(row["post_id"], schedule_of(row)) for row in rows]


def lock_posts(tx: Connection, workspace_id: UUID, post_ids: Sequence[UUID]) -> list[tuple[UUID, Schedule]]:
    """The same posts as they stand; they stay so until the transaction ends."""
    query = _SCHEDULES.where(posts.c.workspace_id == workspace_id, posts.c.post_id.in_(post_ids))
    rows = tx.execute(query.order_by(posts.c.post_id).with_for_update()).mappings()
    return [(row["post_id"], schedule_of(row)) for row in rows]


_SCHEDULES = select(posts.c.post_id, posts.c.local_time, posts.c.time_zone, posts.c.fold, posts.c.schedule_time)
# What was claimed ahead of its time and not let go is taken back. A delivery that was given another time, by its
# lateness rule or a decision, keeps it.
_MOVE = text(
    """
WITH r AS (
    SELECT * FROM unnest(CAST(:posts AS uuid[]), CAST(:old AS timestamptz[]), CAST(:new AS timestamptz[]))
    AS r(post_id, old, new)),
moved AS (
    UPDATE deliveries d SET state = 'SCHEDULED', lease_expire_time = NULL, update_time = now(),
        schedule_time = r.new, due_time = CASE WHEN d.due_time = r.old THEN r.new ELSE d.due_time END
    FROM r
    WHERE d.workspace_id = :workspace AND d.post_id = r.post_id AND COALESCE(d.schedule_time, d.due_time) = r.old
      AND (d.state = 'SCHEDULED' OR (d.state = 'CLAIMED' AND d.commit_time IS NULL AND d.crash_count = 0))
    RETURNING d.post_id)
UPDATE posts p SET schedule_time = r.new, update_time = now() FROM r
WHERE p.workspace_id = :workspace AND p.post_id = r.post_id AND p.post_id IN (SELECT post_id FROM moved)
RETURNING p.post_id
"""
)


def move(tx: Connection, workspace_id: UUID, instants: Mapping[UUID, tuple[datetime, datetime]]) -> set[UUID]:
    """Gives posts other instants than they have, each (old, new), with those of their deliveries that wait for the old
    one. Those that had any.
    """
    if not instants:
        return set()
    values = {
        "workspace": workspace_id,
        "posts": list(instants),
        "old": [old for old, _ in instants.values()],
        "new": [new for _, new in instants.values()],
    }
    moved = set(tx.execute(_MOVE, values).scalars())
    notify(tx, DUE_CHANNEL)
    return moved
