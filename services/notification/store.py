"""All SQL of notification: its tables, then one function per query. The caller owns the transaction.

The database's clock decides which sends are due and when a sender's lease ends.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Select,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from kit.db import new_id
from kit.listen import notify
from kit.paging import Page
from services.notification.domain import (
    Activity,
    ClaimedSend,
    Draft,
    Facts,
    Message,
    Send,
    SendState,
    Severity,
    Telling,
)

SCHEMA = "notification"
SENDS_CHANNEL = "notification_sends"

metadata = MetaData()

activities = Table(
    "activities",
    metadata,
    Column("activity_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("activity_time", DateTime(timezone=True), nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("type", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("post_id", Uuid),
    Column("delivery_id", Uuid),
    Column("account_id", Uuid),
    Column("attributes", JSONB, nullable=False),
    UniqueConstraint("workspace_id", "request_id", name="one_activity_per_request"),
    Index("activities_by_time", "workspace_id", "activity_time", "activity_id"),
    Index(
        "activities_of_post",
        "workspace_id",
        "post_id",
        "activity_time",
        "activity_id",
        postgresql_where=text("post_id IS NOT NULL"),
    ),
    Index("activities_by_age", "create_time"),
    Index(
        "activities_of_connections",
        "workspace_id",
        "account_id",
        "activity_time",
        postgresql_where=text("type = 'account.connected'"),
    ),
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("activity_id", Uuid, ForeignKey("activities.activity_id", ondelete="CASCADE"), nullable=False),
    Column("post_id", Uuid),
    Column("severity", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    # How many activities it stands for.
    Column("activity_count", Integer, nullable=False, server_default="1"),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("activity_id", name="one_message_per_activity"),
    Index("messages_by_time", "workspace_id", "create_time", "message_id"),
    Index(
        "messages_of_post",
        "workspace_id",
        "post_id",
        "create_time",
        "message_id",
        postgresql_where=text("post_id IS NOT NULL"),
    ),
)

message_sends = Table(
    "message_sends",
    metadata,
    Column("message_id", Uuid, ForeignKey("messages.message_id", ondelete="CASCADE"), primary_key=True),
    Column("target", Text, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("state", Text, nullable=False, server_default="WAITING"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # While it waits: not to be begun before; while a sender has it: when its lease ends.
    Column("next_time", DateTime(timezone=True), server_default=func.now()),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("send_time", DateTime(timezone=True)),
    Index("message_sends_due", "target", "next_time", postgresql_where=text("state = 'WAITING'")),
)


# Rows in the order of their keys: two reporters of the same activities wait for each other, and never crosswise.
_KEEP = text(
    """
INSERT INTO activities
    (activity_id, workspace_id, request_id, activity_time, type, summary, post_id, delivery_id, account_id, attributes)
SELECT activity_id, workspace_id, request_id, activity_time, type, summary, post_id, delivery_id, account_id, attributes
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    activity_id uuid, workspace_id uuid, request_id text, activity_time timestamptz, type text, summary text,
    post_id uuid, delivery_id uuid, account_id uuid, attributes jsonb)
ORDER BY workspace_id, request_id
ON CONFLICT ON CONSTRAINT one_activity_per_request DO NOTHING RETURNING activity_id
"""
)
_KEPT = text(
    """
SELECT a.* FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS k(workspace_id uuid, request_id text)
JOIN activities a ON a.workspace_id = k.workspace_id AND a.request_id = k.request_id
"""
)


def keep_activities(tx: Connection, reported: Sequence[Facts]) -> list[tuple[UUID, bool] | None]:
    """Keeps activities, each once per request id. For each its id, and whether it is new; None for one whose request id
    was used for another activity of the workspace.
    """
    ids = [new_id() for _ in reported]
    rows = [{"activity_id": each, **_row(facts)} for each, facts in zip(ids, reported, strict=True)]
    fresh = set(tx.execute(_KEEP, {"rows": _json(rows)}).scalars())
    rest = [facts for each, facts in zip(ids, reported, strict=True) if each not in fresh]
    known: dict[tuple[UUID, str], Activity] = {}
    if rest:
        keys = [{"workspace_id": each.workspace_id, "request_id": each.request_id} for each in rest]
        found = (_activity(row) for row in tx.execute(_KEPT, {"keys": _json(keys)}).mappings())
        known = {(each.facts.workspace_id, each.facts.request_id): each for each in found}
    answers: list[tuple[UUID, bool] | None] = []
    for each, facts in zip(ids, reported, strict=True):
        if each in fresh:
            answers.append((each, True))
            continue
        kept = known[facts.workspace_id, facts.request_id]
        answers.append((kept.activity_id, False) if kept.facts == facts else None)
    return answers


_CONNECTED = text(
    """
SELECT DISTINCT ON (a.workspace_id, a.account_id) a.workspace_id, a.account_id, a.attributes
FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS k(workspace_id uuid, account_id uuid)
JOIN activities a ON a.workspace_id = k.workspace_id AND a.account_id = k.account_id AND a.type = 'account.connected'
ORDER BY a.workspace_id, a.account_id, a.activity_time DESC
"""
)


def account_attributes(tx: Connection, reported: Iterable[Facts]) -> dict[tuple[UUID, UUID | None], dict[str, str]]:
    """What the accounts of activities told of themselves when they were last connected: platform and handle.

    By workspace and account; those that told nothing are missing.
    """
    keys = {(each.workspace_id, each.account_id) for each in reported if each.account_id}
    if not keys:
        return {}
    wanted = [{"workspace_id": workspace_id, "account_id": account_id} for workspace_id, account_id in keys]
    rows = tx.execute(_CONNECTED, {"keys": _json(wanted)})
    return {(row.workspace_id, row.account_id): row.attributes for row in rows}


_INSERT_MESSAGES = text(
    """
INSERT INTO messages (message_id, workspace_id, activity_id, post_id, severity, title, body, activity_count)
SELECT message_id, workspace_id, activity_id, post_id, severity, title, body, activity_count
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    message_id uuid, workspace_id uuid, activity_id uuid, post_id uuid, severity text, title text, body text,
    activity_count int)
"""
)
_INSERT_SENDS = text(
    """
INSERT INTO message_sends (message_id, workspace_id, target, next_time)
SELECT message_id, workspace_id, target, now() + make_interval(secs => wait)
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(message_id uuid, workspace_id uuid, wait float8)
CROSS JOIN unnest(CAST(:targets AS text[])) AS t(target)
"""
)


def insert_messages(tx: Connection, tellings: Sequence[tuple[Telling, Draft, float]], targets: Collection[str]) -> None:
    """Saves messages with a waiting send for each target, and wakes the senders.

    With each comes how long its sends wait, in seconds.
    """
    rows = [
        {
            "message_id": telling.message_id,
            "workspace_id": telling.facts.workspace_id,
            "activity_id": telling.activity_id,
            "post_id": telling.facts.post_id,
            "severity": draft.severity.value,
            "title": draft.title,
            "body": draft.body,
            "activity_count": telling.count,
            "wait": wait,
        }
        for telling, draft, wait in tellings
    ]
    tx.execute(_INSERT_MESSAGES, {"rows": _json(rows)})
    tx.execute(_INSERT_SENDS, {"rows": _json(rows), "targets": list(targets)})
    notify(tx, SENDS_CHANNEL)


_GATHERING = 7_216_601  # advisory lock: who adds to a message, or begins one that others add to
_OPEN = text(
    """
SELECT m.message_id, m.activity_count, a.*
FROM jsonb_to_recordset(CAST(:kinds AS jsonb)) AS k(workspace_id uuid, type text)
JOIN messages m ON m.workspace_id = k.workspace_id AND m.create_time > now() - make_interval(secs => :seconds)
JOIN activities a ON a.activity_id = m.activity_id AND a.type = k.type
"""
)
# Locked, so that no sender begins one of them before what is added is stored; waits for those who are just beginning.
_LOCK_SENDS = text(
    "SELECT message_id, attempts FROM message_sends WHERE message_id = ANY(CAST(:ids AS uuid[]))"
    " ORDER BY message_id, target FOR UPDATE"
)


def open_messages(
    tx: Connection, kinds: Collection[tuple[UUID, str]], seconds: float
) -> dict[tuple[UUID, str], Telling]:
    """By workspace and type of activity: a message that is not older than `seconds` and that no sender has begun.

    One transaction at a time: what it adds, or begins, is seen by the next.
    """
    tx.execute(select(func.pg_advisory_xact_lock(_GATHERING)))
    wanted = [{"workspace_id": workspace_id, "type": kind} for workspace_id, kind in kinds]
    rows = tx.execute(_OPEN, {"kinds": _json(wanted), "seconds": seconds}).mappings().all()
    if not rows:
        return {}
    ids = [str(row["message_id"]) for row in rows]
    begun = {row.message_id for row in tx.execute(_LOCK_SENDS, {"ids": ids}) if row.attempts}
    return {
        (row["workspace_id"], row["type"]): Telling(
            row["message_id"], row["activity_id"], _activity(row).facts, row["activity_count"]
        )
        for row in rows
        if row["message_id"] not in begun
    }


_REWRITE = text(
    """
UPDATE messages m SET title = r.title, body = r.body, activity_count = r.activity_count
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(message_id uuid, title text, body text, activity_count int)
WHERE m.message_id = r.message_id
"""
)


def rewrite_messages(tx: Connection, tellings: Sequence[tuple[Telling, Draft]]) -> None:
    """Replaces the text of messages that stand for more activities than before."""
    rows = [
        {
            "message_id": telling.message_id,
            "title": draft.title,
            "body": draft.body,
            "activity_count": telling.count,
        }
        for telling, draft in tellings
    ]
    tx.execute(_REWRITE, {"rows": _json(rows)})


def _row(facts: Facts) -> dict[str, Any]:
    return {
        "workspace_id": facts.workspace_id,
        "request_id": facts.request_id,
        "activity_time": facts.activity_time,
        "type": facts.type,
        "summary": facts.summary,
        "post_id": facts.post_id,
        "delivery_id": facts.delivery_id,
        "account_id": facts.account_id,
        "attributes": dict(facts.attributes),
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=str)


def list_activities(
    tx: Connection, workspace_id: UUID, page: Page, *, post_id: UUID | None = None, oldest_first: bool = False
) -> list[Activity]:
    """Activity by when it happened; one more than the page holds when there is a next page."""
    query = select(activities).where(activities.c.workspace_id == workspace_id)
    if post_id:
        query = query.where(activities.c.post_id == post_id)
    query = _turn_to(page, query, activities.c.activity_time, activities.c.activity_id, oldest_first=oldest_first)
    return [_activity(row) for row in tx.execute(query).mappings()]


def list_messages(tx: Connection, workspace_id: UUID, page: Page, *, post_id: UUID | None = None) -> list[Message]:
    """Messages with their sends, newest first; one more than the page holds when there is a next page."""
    query = select(messages).where(messages.c.workspace_id == workspace_id)
    if post_id:
        query = query.where(messages.c.post_id == post_id)
    query = _turn_to(page, query, messages.c.create_time, messages.c.message_id, oldest_first=False)
    rows = tx.execute(query).mappings().all()
    sends: dict[UUID, list[Send]] = {row["message_id"]: [] for row in rows}
    found = tx.execute(
        select(message_sends).where(message_sends.c.message_id.in_(sends)).order_by(message_sends.c.target)
    )
    for row in found.mappings():
        sends[row["message_id"]].append(
            Send(row["target"], SendState(row["state"]), row["attempts"], row["last_error"], row["send_time"])
        )
    return [
        Message(
            row["message_id"],
            row["workspace_id"],
            row["activity_id"],
            row["post_id"],
            _draft(row),
            row["create_time"],
            tuple(sends[row["message_id"]]),
        )
        for row in rows
    ]


# The MATERIALIZED CTE fences the LIMIT: without it the planner may lock more rows than it returns.
_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT message_id, target FROM message_sends
    WHERE state = 'WAITING' AND target = :target AND next_time <= now() AND attempts < :max_attempts
    ORDER BY next_time, message_id LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE message_sends SET attempts = attempts + 1, next_time = now() + make_interval(secs => :lease)
FROM due JOIN messages USING (message_id)
WHERE message_sends.message_id = due.message_id AND message_sends.target = due.target
RETURNING message_sends.message_id, message_sends.workspace_id, message_sends.target, message_sends.attempts,
    messages.severity, messages.title, messages.body
"""


def claim_send(tx: Connection, target: str, *, lease_seconds: float, max_attempts: int) -> ClaimedSend | None:
    """Takes the message that has waited longest for `target`, in any workspace, and counts an attempt.

    It is due again when the lease ends without `mark_sent` or `mark_unsent`. None when nothing is due.
    """
    row = (
        tx.execute(text(_CLAIM), {"target": target, "lease": lease_seconds, "max_attempts": max_attempts})
        .mappings()
        .first()
    )
    if row is None:
        return None
    return ClaimedSend(row["message_id"], row["workspace_id"], row["target"], row["attempts"], _draft(row))


def mark_sent(tx: Connection, claimed: ClaimedSend) -> bool:
    """The target took it. False, and nothing changes, when another attempt has begun since."""
    return _finish(tx, claimed, state="SENT", next_time=None, last_error="", send_time=func.now())


def mark_unsent(tx: Connection, claimed: ClaimedSend, error: str, wait_seconds: float | None) -> bool:
    """The attempt failed: the next one comes after `wait_seconds`, or none when that is None.

    False, and nothing changes, when another attempt has begun since.
    """
    if wait_seconds is None:
        return _finish(tx, claimed, state="FAILED", next_time=None, last_error=error)
    return _finish(
        tx, claimed, next_time=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, wait_seconds), last_error=error
    )


def give_up_sends(tx: Connection, targets: Collection[str], *, max_attempts: int, grace_seconds: float) -> int:
    """Ends what no sender would ever take: lost in its last attempt, or for a target that is not in `targets`.

    The latter only when due for `grace_seconds`: while new targets are rolled out, other replicas may know them.
    Returns how many.
    """
    due = message_sends.c.next_time <= func.now()
    lost = tx.execute(
        update(message_sends)
        .where(message_sends.c.state == "WAITING", due, message_sends.c.attempts >= max_attempts)
        .values(
            state="FAILED",
            next_time=None,
            last_error=func.coalesce(
                func.nullif(message_sends.c.last_error, ""),
                "The last attempt was cut off. The message may have arrived.",
            ),
        )
    )
    long_due = message_sends.c.next_time <= func.now() - func.make_interval(0, 0, 0, 0, 0, 0, grace_seconds)
    gone = tx.execute(
        update(message_sends)
        .where(message_sends.c.state == "WAITING", long_due, message_sends.c.target.not_in(targets))
        .values(state="FAILED", next_time=None, last_error="This target is no longer in the configuration.")
    )
    return lost.rowcount + gone.rowcount


def delete_old_activities(tx: Connection, keep_days: int, limit: int) -> int:
    """Deletes at most `limit` activities stored longer ago than `keep_days`, with their messages. Returns how many."""
    old = (
        select(activities.c.activity_id)
        .where(activities.c.create_time < func.now() - func.make_interval(0, 0, 0, keep_days))
        .order_by(activities.c.create_time)
        .limit(limit)
    )
    return tx.execute(activities.delete().where(activities.c.activity_id.in_(old))).rowcount


def _finish(tx: Connection, claimed: ClaimedSend, **values: Any) -> bool:
    result = tx.execute(
        update(message_sends)
        .where(
            message_sends.c.message_id == claimed.message_id,
            message_sends.c.target == claimed.target,
            message_sends.c.state == "WAITING",
            message_sends.c.attempts == claimed.attempt,
        )
        .values(**values)
    )
    return result.rowcount == 1


def _turn_to(
    page: Page, query: Select[Any], moment: Column[Any], key: Column[Any], *, oldest_first: bool
) -> Select[Any]:
    if page.after:
        here, after = tuple_(moment, key), tuple_(*page.after)
        query = query.where(here > after if oldest_first else here < after)
    order: Sequence[Any] = (moment, key) if oldest_first else (moment.desc(), key.desc())
    return query.order_by(*order).limit(page.size + 1)


def _activity(row: RowMapping) -> Activity:
    return Activity(
        row["activity_id"],
        row["create_time"],
        Facts(
            workspace_id=row["workspace_id"],
            request_id=row["request_id"],
            activity_time=row["activity_time"],
            type=row["type"],
            summary=row["summary"],
            post_id=row["post_id"],
            delivery_id=row["delivery_id"],
            account_id=row["account_id"],
            attributes=row["attributes"],
        ),
    )


def _draft(row: RowMapping) -> Draft:
    return Draft(Severity(row["severity"]), row["title"], row["body"])
