"""All SQL of the scheduler: its tables, then one function per query. The caller owns the transaction.

The database's clock decides what is due and when a lease ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    RowMapping,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    exists,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from kit.db import new_id
from kit.idempotency import requests_table
from kit.listen import notify
from kit.outbox import Notice, enqueue, outbox_table
from kit.paging import Page
from services.scheduler.domain import (
    Claimed,
    Delivery,
    DeliveryNotFound,
    DeliveryState,
    Draft,
    Failure,
    Media,
    Post,
    PostNotFound,
    Schedule,
    Visibility,
)

SCHEMA = "scheduler"
DUE_CHANNEL = "scheduler_due"

metadata = MetaData()

posts = Table(
    "posts",
    metadata,
    Column("post_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("caption", Text, nullable=False),
    Column("media", JSONB, nullable=False),
    Column("local_time", DateTime(timezone=False), nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("fold", SmallInteger, nullable=False),
    Column("schedule_time", DateTime(timezone=True), nullable=False),
    Column("options", JSONB, nullable=False),
    Column("ref", Text, nullable=False),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("update_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("posts_by_time", "workspace_id", "schedule_time", "post_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("post_id", Uuid, ForeignKey("posts.post_id", ondelete="CASCADE"), nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_time", DateTime(timezone=True), nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("lease_expire_time", DateTime(timezone=True)),
    Column("holder", Text, nullable=False, server_default=""),
    Column("platform_post_id", Text, nullable=False, server_default=""),
    Column("url", Text, nullable=False, server_default=""),
    Column("visibility", Text),
    Column("publish_time", DateTime(timezone=True)),
    Column("failure_reason", Text, nullable=False, server_default=""),
    Column("failure_message", Text, nullable=False, server_default=""),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("update_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("(state = 'CLAIMED') = (lease_expire_time IS NOT NULL)", name="only_a_claim_has_a_lease"),
    UniqueConstraint("post_id", "account_id", name="one_delivery_per_account"),
    Index("deliveries_due", "due_time", "delivery_id", postgresql_where=text("state = 'SCHEDULED'")),
    Index("deliveries_leased", "lease_expire_time", postgresql_where=text("state = 'CLAIMED'")),
)

requests = requests_table(metadata)
outbox = outbox_table(metadata)


def database_time(tx: Connection) -> datetime:
    """The clock that decides: when this transaction began."""
    return tx.execute(select(func.now())).scalar_one()


def insert_posts(tx: Connection, workspace_id: UUID, drafts: Sequence[Draft]) -> list[UUID]:
    """Saves new posts with a SCHEDULED delivery per account, and wakes those who wait for work. Returns their ids."""
    post_ids = [new_id() for _ in drafts]
    tx.execute(
        insert(posts),
        [
            {"post_id": post_id, "workspace_id": workspace_id, **_draft_values(draft)}
            for post_id, draft in zip(post_ids, drafts, strict=True)
        ],
    )
    tx.execute(
        insert(deliveries),
        [
            {
                "delivery_id": new_id(),
                "workspace_id": workspace_id,
                "post_id": post_id,
                "account_id": account_id,
                "state": DeliveryState.SCHEDULED.value,
                "due_time": draft.schedule.instant,
            }
            for post_id, draft in zip(post_ids, drafts, strict=True)
            for account_id in draft.account_ids
        ],
    )
    notify(tx, DUE_CHANNEL)
    return post_ids


def read_post(tx: Connection, workspace_id: UUID, post_id: UUID, *, lock: bool = False) -> Post:
    """A post with its deliveries. With `lock` its deliveries stay as they are until the transaction ends.

    Raises PostNotFound.
    """
    mine = (posts.c.workspace_id == workspace_id) & (posts.c.post_id == post_id)
    query = select(posts).where(mine)
    row = tx.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise PostNotFound("There is no post with this id in the workspace.", metadata={"post_id": str(post_id)})
    return _with_deliveries(tx, workspace_id, [row], lock=lock)[0]


def read_posts(tx: Connection, workspace_id: UUID, post_ids: Sequence[UUID]) -> list[Post]:
    """Posts in the order of `post_ids`; ids that the workspace does not have are left out."""
    rows = tx.execute(select(posts).where(posts.c.workspace_id == workspace_id, posts.c.post_id.in_(post_ids)))
    found = {post.post_id: post for post in _with_deliveries(tx, workspace_id, rows.mappings().all())}
    return [found[post_id] for post_id in post_ids if post_id in found]


def list_posts(
    tx: Connection,
    workspace_id: UUID,
    page: Page,
    *,
    from_time: datetime | None = None,
    until_time: datetime | None = None,
    channel: str = "",
    state: DeliveryState | None = None,
) -> list[Post]:
    """Posts by schedule time; one more than the page holds when there is a next page."""
    query = select(posts).where(posts.c.workspace_id == workspace_id)
    if from_time:
        query = query.where(posts.c.schedule_time >= from_time)
    if until_time:
        query = query.where(posts.c.schedule_time < until_time)
    if channel:
        query = query.where(posts.c.channel == channel)
    if state:
        query = query.where(exists().where(deliveries.c.post_id == posts.c.post_id, deliveries.c.state == state.value))
    if page.after:
        query = query.where(tuple_(posts.c.schedule_time, posts.c.post_id) > tuple_(*page.after))
    rows = tx.execute(query.order_by(posts.c.schedule_time, posts.c.post_id).limit(page.size + 1)).mappings().all()
    return _with_deliveries(tx, workspace_id, rows)


def update_post(tx: Connection, post: Post, draft: Draft) -> None:
    """Saves an edited draft. When its instant changed, its deliveries become due then."""
    tx.execute(
        update(posts)
        .where(posts.c.workspace_id == post.workspace_id, posts.c.post_id == post.post_id)
        .values(**_draft_values(draft), revision=posts.c.revision + 1, update_time=func.now())
    )
    if draft.schedule.instant != post.draft.schedule.instant:
        tx.execute(
            update(deliveries)
            .where(deliveries.c.workspace_id == post.workspace_id, deliveries.c.post_id == post.post_id)
            .values(due_time=draft.schedule.instant, update_time=func.now())
        )
        notify(tx, DUE_CHANNEL)


def cancel_deliveries(tx: Connection, workspace_id: UUID, delivery_ids: Sequence[UUID]) -> None:
    """SCHEDULED → CANCELED."""
    tx.execute(
        update(deliveries)
        .where(deliveries.c.workspace_id == workspace_id, deliveries.c.delivery_id.in_(delivery_ids))
        .values(state=DeliveryState.CANCELED.value, update_time=func.now())
    )


# Expired claims come first: somebody may be waiting for their outcome. The MATERIALIZED CTEs fence the LIMITs: without
# them the planner may lock and update more rows than were asked for. Deliveries lock before their post is read, and a
# cancel or edit locks them too, so a claim sees a post either before or after an edit, never in between.
_CLAIM = text(
    """
WITH expired AS MATERIALIZED (
    SELECT delivery_id FROM deliveries
    WHERE state = 'CLAIMED' AND lease_expire_time <= now()
    ORDER BY lease_expire_time LIMIT :batch FOR UPDATE SKIP LOCKED),
due AS MATERIALIZED (
    SELECT delivery_id FROM deliveries
    WHERE state = 'SCHEDULED' AND due_time <= now() + make_interval(secs => :lead)
    ORDER BY due_time, delivery_id LIMIT :batch FOR UPDATE SKIP LOCKED),
chosen AS MATERIALIZED (
    SELECT delivery_id FROM expired UNION ALL SELECT delivery_id FROM due LIMIT :batch)
UPDATE deliveries SET state = 'CLAIMED', attempt = attempt + 1, holder = :holder, update_time = now(),
    lease_expire_time = now() + make_interval(secs => :lease)
FROM chosen WHERE deliveries.delivery_id = chosen.delivery_id
RETURNING deliveries.delivery_id, deliveries.workspace_id, deliveries.post_id, deliveries.account_id,
    deliveries.attempt, deliveries.due_time, deliveries.lease_expire_time
"""
)


def claim(tx: Connection, *, holder: str, batch: int, lease_seconds: float, lead_seconds: float) -> list[Claimed]:
    """Hands out at most `batch` deliveries that are due, or whose lease ended, across workspaces."""
    rows = (
        tx.execute(_CLAIM, {"holder": holder, "batch": batch, "lease": lease_seconds, "lead": lead_seconds})
        .mappings()
        .all()
    )
    if not rows:
        return []
    texts = {
        row["post_id"]: row
        for row in tx.execute(
            select(posts.c.post_id, posts.c.caption, posts.c.media, posts.c.options, posts.c.revision).where(
                posts.c.post_id.in_({row["post_id"] for row in rows})
            )
        ).mappings()
    }
    claimed = [
        Claimed(
            **row,
            caption=texts[row["post_id"]]["caption"],
            media=_media(texts[row["post_id"]]["media"]),
            options=texts[row["post_id"]]["options"],
            etag=f"r{texts[row['post_id']]['revision']}",
        )
        for row in rows
    ]
    return sorted(claimed, key=lambda delivery: delivery.due_time)


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


def renew(tx: Connection, workspace_id: UUID, delivery_id: UUID, attempt: int, lease_seconds: float) -> datetime | None:
    """Prolongs a lease; None when the attempt does not hold the delivery."""
    return tx.execute(
        update(deliveries)
        .where(*_held(workspace_id, delivery_id, attempt), deliveries.c.state == DeliveryState.CLAIMED.value)
        .values(lease_expire_time=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds))
        .returning(deliveries.c.lease_expire_time)
    ).scalar()


def read_delivery(tx: Connection, workspace_id: UUID, delivery_id: UUID) -> Delivery:
    """A delivery, locked until the transaction ends. Raises DeliveryNotFound."""
    row = (
        tx.execute(
            select(deliveries)
            .where(deliveries.c.workspace_id == workspace_id, deliveries.c.delivery_id == delivery_id)
            .with_for_update()
        )
        .mappings()
        .first()
    )
    if row is None:
        raise DeliveryNotFound(
            "There is no delivery with this id in the workspace.", metadata={"delivery_id": str(delivery_id)}
        )
    return _delivery(row)


def set_confirming(tx: Connection, workspace_id: UUID, delivery_id: UUID, attempt: int) -> None:
    """CLAIMED → CONFIRMING."""
    tx.execute(
        update(deliveries)
        .where(*_held(workspace_id, delivery_id, attempt))
        .values(state=DeliveryState.CONFIRMING.value, lease_expire_time=None, update_time=func.now())
    )


def set_published(
    tx: Connection,
    workspace_id: UUID,
    delivery_id: UUID,
    attempt: int,
    *,
    platform_post_id: str,
    url: str,
    visibility: Visibility,
    publish_time: datetime,
) -> None:
    """CLAIMED, CONFIRMING → PUBLISHED."""
    tx.execute(
        update(deliveries)
        .where(*_held(workspace_id, delivery_id, attempt))
        .values(
            state=DeliveryState.PUBLISHED.value,
            lease_expire_time=None,
            platform_post_id=platform_post_id,
            url=url,
            visibility=visibility.value,
            publish_time=publish_time,
            failure_reason="",
            failure_message="",
            update_time=func.now(),
        )
    )


def set_failed(
    tx: Connection,
    workspace_id: UUID,
    delivery_id: UUID,
    attempt: int,
    *,
    failure: Failure,
    state: DeliveryState,
    due_time: datetime | None,
) -> None:
    """CLAIMED, CONFIRMING → SCHEDULED with a due time, or REJECTED or FAILED."""
    values: dict[str, Any] = {
        "state": state.value,
        "lease_expire_time": None,
        "failure_reason": failure.reason,
        "failure_message": failure.message,
        "update_time": func.now(),
    }
    if due_time:
        values["due_time"] = due_time
    tx.execute(update(deliveries).where(*_held(workspace_id, delivery_id, attempt)).values(**values))
    if due_time:
        notify(tx, DUE_CHANNEL)


def tell(tx: Connection, notices: list[Notice]) -> None:
    """Writes what other services must know."""
    enqueue(tx, outbox, notices, SCHEMA)


def count_by_state(tx: Connection) -> dict[str, int]:
    """How many deliveries wait or are in work, by state. Reads partial indexes only."""
    rows = tx.execute(
        text(
            "SELECT 'due' AS name, count(*) AS n FROM deliveries WHERE state = 'SCHEDULED' AND due_time <= now()"
            " UNION ALL SELECT 'claimed', count(*) FROM deliveries WHERE state = 'CLAIMED'"
        )
    )
    return {row.name: row.n for row in rows}


def oldest_claim_seconds(tx: Connection) -> float:
    """How long the oldest claim has been held; 0 without one."""
    seconds: float = tx.execute(
        text(
            "SELECT COALESCE(EXTRACT(EPOCH FROM now() - min(update_time)), 0)::float8"
            " FROM deliveries WHERE state = 'CLAIMED'"
        )
    ).scalar_one()
    return seconds


def _held(workspace_id: UUID, delivery_id: UUID, attempt: int) -> tuple[Any, ...]:
    """Finishing repeats the claim's attempt number: a late worker changes nothing."""
    return (
        deliveries.c.workspace_id == workspace_id,
        deliveries.c.delivery_id == delivery_id,
        deliveries.c.attempt == attempt,
    )


def _draft_values(draft: Draft) -> dict[str, Any]:
    return {
        "channel": draft.channel,
        "caption": draft.caption,
        "media": [
            {"media_asset_id": media.media_asset_id, "sha256": media.sha256, "mime_type": media.mime_type}
            for media in draft.media
        ],
        "local_time": draft.schedule.local_time,
        "time_zone": draft.schedule.time_zone,
        "fold": draft.schedule.fold,
        "schedule_time": draft.schedule.instant,
        "options": draft.options,
        "ref": draft.ref,
    }


def _media(values: list[dict[str, str]]) -> tuple[Media, ...]:
    return tuple(Media(**value) for value in values)


def _with_deliveries(
    tx: Connection, workspace_id: UUID, rows: Sequence[RowMapping], *, lock: bool = False
) -> list[Post]:
    if not rows:
        return []
    query = (
        select(deliveries)
        .where(deliveries.c.workspace_id == workspace_id, deliveries.c.post_id.in_([row["post_id"] for row in rows]))
        .order_by(deliveries.c.delivery_id)
    )
    found: dict[UUID, list[Delivery]] = {}
    for row in tx.execute(query.with_for_update() if lock else query).mappings():
        found.setdefault(row["post_id"], []).append(_delivery(row))
    return [_post(row, found.get(row["post_id"], [])) for row in rows]


def _post(row: RowMapping, found: list[Delivery]) -> Post:
    return Post(
        post_id=row["post_id"],
        workspace_id=row["workspace_id"],
        draft=Draft(
            channel=row["channel"],
            account_ids=tuple(delivery.account_id for delivery in found),
            caption=row["caption"],
            media=_media(row["media"]),
            schedule=Schedule(row["local_time"], row["time_zone"], row["fold"], row["schedule_time"]),
            options=row["options"],
            ref=row["ref"],
        ),
        revision=row["revision"],
        deliveries=tuple(found),
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        delivery_id=row["delivery_id"],
        post_id=row["post_id"],
        account_id=row["account_id"],
        state=DeliveryState(row["state"]),
        due_time=row["due_time"],
        attempt=row["attempt"],
        platform_post_id=row["platform_post_id"],
        url=row["url"],
        visibility=Visibility(row["visibility"]) if row["visibility"] else None,
        publish_time=row["publish_time"],
        failure_reason=row["failure_reason"],
        failure_message=row["failure_message"],
        update_time=row["update_time"],
    )
