"""All SQL of notification: its tables, then one function per query. The caller owns the transaction.

The database's clock decides which sends are due and when a sender's lease ends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.db import new_id
from kit.listen import notify
from kit.paging import Page
from services.notification.domain import (
    Activity,
    ClaimedSend,
    Draft,
    Facts,
    Message,
    RequestIdReused,
    Send,
    SendState,
    Severity,
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


def insert_activity(tx: Connection, facts: Facts) -> tuple[UUID, bool]:
    """Keeps an activity once per request id. Returns its id, and whether it is new.

    Raises RequestIdReused when the id was used for another activity of the workspace.
    """
    fresh = tx.execute(
        upsert(activities)
        .values(
            activity_id=new_id(),
            workspace_id=facts.workspace_id,
            request_id=facts.request_id,
            activity_time=facts.activity_time,
            type=facts.type,
            summary=facts.summary,
            post_id=facts.post_id,
            delivery_id=facts.delivery_id,
            account_id=facts.account_id,
            attributes=dict(facts.attributes),
        )
        .on_conflict_do_nothing(constraint="one_activity_per_request")
        .returning(activities.c.activity_id)
    ).scalar()
    if fresh is not None:
        return fresh, True
    kept = _activity(
        tx.execute(
            select(activities).where(
                activities.c.workspace_id == facts.workspace_id, activities.c.request_id == facts.request_id
            )
        )
        .mappings()
        .one()
    )
    if kept.facts != facts:
        raise RequestIdReused(
            "This request id was already used for another activity. Use a new one for a new activity.",
            metadata={"request_id": facts.request_id},
        )
    return kept.activity_id, False


def account_attributes(tx: Connection, facts: Facts) -> dict[str, str]:
    """What the account of an activity told of itself when it was last connected: platform and handle; or nothing."""
    attributes: dict[str, str] | None = tx.execute(
        select(activities.c.attributes)
        .where(
            activities.c.workspace_id == facts.workspace_id,
            activities.c.account_id == facts.account_id,
            activities.c.type == "account.connected",
        )
        .order_by(activities.c.activity_time.desc())
        .limit(1)
    ).scalar()
    return attributes or {}


def insert_message(tx: Connection, activity_id: UUID, facts: Facts, draft: Draft, targets: Collection[str]) -> UUID:
    """Saves the message of an activity with a waiting send for each target, and wakes the senders."""
    message_id = new_id()
    tx.execute(
        insert(messages).values(
            message_id=message_id,
            workspace_id=facts.workspace_id,
            activity_id=activity_id,
            post_id=facts.post_id,
            severity=draft.severity.value,
            title=draft.title,
            body=draft.body,
        )
    )
    tx.execute(
        insert(message_sends),
        [{"message_id": message_id, "workspace_id": facts.workspace_id, "target": target} for target in targets],
    )
    notify(tx, SENDS_CHANNEL)
    return message_id


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
