"""SQL of posts, and of deliveries as their authors see them. The caller owns the transaction.

What publishers do is in dispatch_store.py, holds and rules in hold_store.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, exists, func, insert, select, true, tuple_, update

from kit.db import new_id
from kit.listen import notify
from kit.outbox import Notice, enqueue
from kit.paging import Page
from services.scheduler.domain import (
    FINISHED,
    Approval,
    Delivery,
    DeliveryState,
    Draft,
    HoldCause,
    LateAction,
    Lateness,
    Media,
    NewPost,
    Occurrence,
    Post,
    PostNotFound,
    Schedule,
    Visibility,
)
from services.scheduler.tables import deliveries, finished_deliveries, outbox, posts

SCHEMA = "scheduler"
DUE_CHANNEL = "scheduler_due"


def database_time(tx: Connection) -> datetime:
    """The clock that decides: when this transaction began."""
    return tx.execute(select(func.now())).scalar_one()


def insert_posts(tx: Connection, workspace_id: UUID, news: Sequence[NewPost]) -> list[UUID]:
    """Saves new posts with a SCHEDULED delivery per account, and wakes those who wait for work. Returns their ids."""
    post_ids = [new_id() for _ in news]
    tx.execute(
        insert(posts),
        [
            {
                "post_id": post_id,
                "workspace_id": workspace_id,
                **_draft_values(new.draft),
                "approval": new.approval.value,
                "series_id": new.occurrence.series_id if new.occurrence else None,
                "occurrence_time": new.occurrence.time if new.occurrence else None,
                "import_key": new.import_key,
            }
            for post_id, new in zip(post_ids, news, strict=True)
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
                "platform": platform,
                "channel": draft.channel,
                "state": DeliveryState.SCHEDULED.value,
                "schedule_time": draft.schedule.instant,
                "due_time": draft.schedule.instant,
            }
            for post_id, draft in zip(post_ids, (new.draft for new in news), strict=True)
            for account_id, platform in zip_longest(draft.account_ids, draft.platforms, fillvalue="")
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
        table = finished_deliveries if state in FINISHED else deliveries
        query = query.where(exists().where(table.c.post_id == posts.c.post_id, table.c.state == state.value))
    if page.after:
        query = query.where(tuple_(posts.c.schedule_time, posts.c.post_id) > tuple_(*page.after))
    rows = tx.execute(query.order_by(posts.c.schedule_time, posts.c.post_id).limit(page.size + 1)).mappings().all()
    return _with_deliveries(tx, workspace_id, rows)


def update_post(tx: Connection, post: Post, draft: Draft, approval: Approval) -> None:
    """Saves an edited draft. When its instant changed, its deliveries become due then."""
    tx.execute(
        update(posts)
        .where(posts.c.workspace_id == post.workspace_id, posts.c.post_id == post.post_id)
        .values(
            **_draft_values(draft),
            approval=approval.value,
            revision=posts.c.revision + 1,
            update_time=func.now(),
        )
    )
    mine = (deliveries.c.workspace_id == post.workspace_id) & (deliveries.c.post_id == post.post_id)
    # What was claimed ahead of its time is taken back: its attempt has other words in hand.
    values: dict[str, Any] = {"state": DeliveryState.SCHEDULED.value, "lease_expire_time": None}
    moved = draft.schedule.instant != post.draft.schedule.instant
    if moved:
        values |= {"due_time": draft.schedule.instant, "schedule_time": draft.schedule.instant}
    changed = true() if moved else deliveries.c.state == DeliveryState.CLAIMED.value
    tx.execute(update(deliveries).where(mine, changed).values(**values, update_time=func.now()))
    if draft.channel != post.draft.channel:
        tx.execute(update(deliveries).where(mine).values(channel=draft.channel))
    notify(tx, DUE_CHANNEL)


def tell(tx: Connection, notices: list[Notice]) -> None:
    """Writes what other services must know."""
    enqueue(tx, outbox, notices, SCHEMA)


def _draft_values(draft: Draft) -> dict[str, Any]:
    return {
        "channel": draft.channel,
        "caption": draft.caption,
        "media": [
            {
                "media_asset_id": media.media_asset_id,
                "sha256": media.sha256,
                "mime_type": media.mime_type,
                **({"frame_hashes": media.frame_hashes} if media.frame_hashes else {}),
            }
            for media in draft.media
        ],
        "local_time": draft.schedule.local_time,
        "time_zone": draft.schedule.time_zone,
        "fold": draft.schedule.fold,
        "schedule_time": draft.schedule.instant,
        "options": draft.options,
        "ref": draft.ref,
        "max_lateness_seconds": draft.lateness.max_seconds if draft.lateness else None,
        "late_action": draft.lateness.action.value if draft.lateness else None,
        "shingles": list(draft.shingles),
    }


def media_of(values: list[dict[str, Any]]) -> tuple[Media, ...]:
    """Media references of a post's row."""
    return tuple(
        Media(
            media_asset_id=value["media_asset_id"],
            sha256=value["sha256"],
            mime_type=value["mime_type"],
            frame_hashes=tuple(value.get("frame_hashes", ())),
        )
        for value in values
    )


def lateness_of(row: RowMapping) -> Lateness | None:
    """The lateness of a row that may have none."""
    if row["late_action"] is None:
        return None
    return Lateness(row["max_lateness_seconds"], LateAction(row["late_action"]))


def schedule_of(row: RowMapping) -> Schedule:
    """When a post's row says that it goes out."""
    return Schedule(row["local_time"], row["time_zone"], row["fold"], row["schedule_time"])


def _with_deliveries(
    tx: Connection, workspace_id: UUID, rows: Sequence[RowMapping], *, lock: bool = False
) -> list[Post]:
    if not rows:
        return []
    post_ids = [row["post_id"] for row in rows]
    waiting = (
        select(deliveries)
        .where(deliveries.c.workspace_id == workspace_id, deliveries.c.post_id.in_(post_ids))
        .order_by(deliveries.c.delivery_id)
    )
    over = select(finished_deliveries).where(
        finished_deliveries.c.workspace_id == workspace_id, finished_deliveries.c.post_id.in_(post_ids)
    )
    # In this order: what is finished between the two questions is seen by the second.
    read = [
        *tx.execute(waiting.with_for_update() if lock else waiting).mappings(),
        *tx.execute(over).mappings(),
    ]
    found: dict[UUID, dict[UUID, Delivery]] = {}
    for row in read:
        found.setdefault(row["post_id"], {})[row["delivery_id"]] = delivery_of(row)
    return [
        _post(row, sorted(found.get(row["post_id"], {}).values(), key=lambda each: each.delivery_id)) for row in rows
    ]


def _post(row: RowMapping, found: list[Delivery]) -> Post:
    return Post(
        post_id=row["post_id"],
        workspace_id=row["workspace_id"],
        draft=Draft(
            channel=row["channel"],
            account_ids=tuple(delivery.account_id for delivery in found),
            caption=row["caption"],
            media=media_of(row["media"]),
            schedule=schedule_of(row),
            options=row["options"],
            ref=row["ref"],
            platforms=tuple(delivery.platform for delivery in found),
            lateness=lateness_of(row),
            shingles=tuple(row["shingles"]),
        ),
        revision=row["revision"],
        deliveries=tuple(found),
        create_time=row["create_time"],
        update_time=row["update_time"],
        approval=Approval(row["approval"]),
        occurrence=Occurrence(row["series_id"], row["occurrence_time"]) if row["series_id"] else None,
    )


def delivery_of(row: RowMapping) -> Delivery:
    """A delivery's row, of either table."""
    cause = row.get("hold_cause")
    return Delivery(
        delivery_id=row["delivery_id"],
        workspace_id=row["workspace_id"],
        post_id=row["post_id"],
        account_id=row["account_id"],
        platform=row["platform"],
        channel=row.get("channel", ""),
        state=DeliveryState(row["state"]),
        # Rows that the version before has made have none.
        schedule_time=row["schedule_time"] or row["due_time"],
        due_time=row["due_time"],
        attempt=row["attempt"],
        failed_attempts=row["failed_attempts"],
        crash_count=row.get("crash_count", 0),
        commit_time=row.get("commit_time"),
        hold_cause=HoldCause(cause) if cause else None,
        hold_id=row.get("hold_id"),
        needs_person=row.get("needs_person", False),
        platform_post_id=row["platform_post_id"],
        url=row["url"],
        visibility=Visibility(row["visibility"]) if row["visibility"] else None,
        publish_time=row["publish_time"],
        remove_time=row["remove_time"],
        failure_reason=row["failure_reason"],
        failure_message=row["failure_message"],
        update_time=row["update_time"],
    )
