"""SQL of posts, and of deliveries as their authors see them. The caller owns the transaction.

What publishers do is in dispatch_store.py, holds and rules in hold_store.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    exists,
    false,
    func,
    select,
    text,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from kit.db import array_literal, new_id
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
    Options,
    Post,
    PostFilter,
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


def database_clock(tx: Connection) -> datetime:
    """The same clock at this moment."""
    clock: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
    return clock


# As arrays: row by row it is four times as much work for both sides. In the driver's terms, which takes text. Most
# posts make the same choices, so a row has the place of its own among them: to read them were half of the work.
_INSERT_POSTS = """
INSERT INTO posts (workspace_id, post_id, channel, caption, media, local_time, time_zone, fold, schedule_time, options,
    ref, max_lateness_seconds, late_action, shingles, approval, series_id, occurrence_time, import_key)
SELECT %s, post_id, channel, caption, media, local_time, time_zone, fold, schedule_time, (%s::jsonb[])[options], ref,
    max_lateness_seconds, late_action, CAST(shingles AS bigint[]), approval, series_id, occurrence_time, import_key
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::jsonb[], %s::timestamp[], %s::text[], %s::smallint[],
    %s::timestamptz[], %s::int[], %s::text[], %s::int[], %s::text[], %s::text[], %s::text[], %s::uuid[],
    %s::timestamp[], %s::text[])
AS r(post_id, channel, caption, media, local_time, time_zone, fold, schedule_time, options, ref,
    max_lateness_seconds, late_action, shingles, approval, series_id, occurrence_time, import_key)
"""
_INSERT_DELIVERIES = """
INSERT INTO deliveries (workspace_id, state, delivery_id, post_id, account_id, platform, channel,
    schedule_time, due_time)
SELECT %s, 'SCHEDULED', uuidv7(), post_id, account_id, platform, channel, due_time, due_time
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[])
AS r(post_id, account_id, platform, channel, due_time)
"""
# Whoever waits for work looks again within half a minute, and ten minutes ahead at most (ClaimDueDeliveriesRequest): of
# posts of later times nobody need be told, and an import tells of thousands.
_WAKE = text(f"SELECT pg_notify('{DUE_CHANNEL}', '') WHERE :earliest < now() + interval '15 minutes'")


def insert_posts(tx: Connection, workspace_id: UUID, news: Sequence[NewPost]) -> list[UUID]:
    """Saves new posts with a SCHEDULED delivery per account, and wakes those who wait for them. Returns their ids."""
    if not news:
        return []
    post_ids = [new_id() for _ in news]
    rows: list[tuple[str | None, ...]] = []
    waiting: list[tuple[str | None, ...]] = []
    values_of = _Values()
    for post_id, new in zip(map(str, post_ids), news, strict=True):
        draft, occurrence = new.draft, new.occurrence
        instant = draft.schedule.instant.isoformat()
        rows.append(
            (
                post_id,
                *values_of.draft(draft, instant),
                new.approval.value,
                str(occurrence.series_id) if occurrence else None,
                occurrence.time.isoformat() if occurrence else None,
                new.import_key,
            )
        )
        waiting += [
            (post_id, str(account_id), platform, draft.channel, instant)
            for account_id, platform in zip_longest(draft.account_ids, draft.platforms, fillvalue="")
        ]
    tx.exec_driver_sql(_INSERT_POSTS, (str(workspace_id), values_of.choices(), *_columns(rows)))
    tx.exec_driver_sql(_INSERT_DELIVERIES, (str(workspace_id), *_columns(waiting)))
    tx.execute(_WAKE, {"earliest": min(new.draft.schedule.instant for new in news)})
    return post_ids


class _Values:
    """A draft as the driver takes it, in the order of the statements above. What many posts have alike is made once."""

    def __init__(self) -> None:
        self._media: dict[tuple[Media, ...], str] = {}
        self._options: list[Options] = []
        # Their places, from 1, by their ids: posts by the thousand share the same object (messages.options_from).
        self._places: dict[int, str] = {}

    def choices(self) -> str:
        """The choices of all drafts, to which their places lead."""
        return array_literal([json.dumps(each) for each in self._options])

    def draft(self, draft: Draft, instant: str) -> tuple[str | None, ...]:
        media = self._media.get(draft.media)
        if media is None:
            media = self._media[draft.media] = json.dumps(_media_values(draft.media))
        place = self._places.get(id(draft.options))
        if place is None:
            self._options.append(draft.options)
            place = self._places[id(draft.options)] = str(len(self._options))
        return (
            draft.channel,
            draft.caption,
            media,
            draft.schedule.local_time.isoformat(),
            draft.schedule.time_zone,
            str(draft.schedule.fold),
            instant,
            place,
            draft.ref,
            str(draft.lateness.max_seconds) if draft.lateness else None,
            draft.lateness.action.value if draft.lateness else None,
            f"{{{','.join(map(str, draft.shingles))}}}",
        )


def _columns(rows: Sequence[tuple[str | None, ...]]) -> list[str]:
    return [array_literal(column) for column in zip(*rows, strict=True)]


def read_post(tx: Connection, workspace_id: UUID, post_id: UUID, *, lock: bool = False) -> Post:
    """A post with its deliveries. With `lock` its deliveries stay as they are until the transaction ends.

    Raises PostNotFound.
    """
    mine = (posts.c.workspace_id == workspace_id) & (posts.c.post_id == post_id)
    query = select(posts).where(mine)
    row = tx.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise PostNotFound("There is no post with this id in the workspace.", metadata={"post_id": str(post_id)})
    return with_deliveries(tx, workspace_id, [row], lock=lock)[0]


def read_posts(tx: Connection, workspace_id: UUID, post_ids: Sequence[UUID], *, lock: bool = False) -> list[Post]:
    """Posts in the order of `post_ids`; ids that the workspace does not have are left out. `lock` as in `read_post`."""
    query = select(posts).where(posts.c.workspace_id == workspace_id, posts.c.post_id.in_(post_ids))
    rows = tx.execute(query.order_by(posts.c.post_id).with_for_update() if lock else query)
    found = {post.post_id: post for post in with_deliveries(tx, workspace_id, rows.mappings().all(), lock=lock)}
    return [found[post_id] for post_id in post_ids if post_id in found]


def list_posts(tx: Connection, workspace_id: UUID, wanted: PostFilter, page: Page) -> list[Post]:
    """Posts by schedule time; one more than the page holds when there is a next page."""
    rows = tx.execute(_page_of(select(posts), workspace_id, wanted, page)).mappings().all()
    return with_deliveries(tx, workspace_id, rows)


def _page_of(query: Select[Any], workspace_id: UUID, wanted: PostFilter, page: Page) -> Select[Any]:
    key = (posts.c.schedule_time, posts.c.post_id)
    query = query.where(matching(workspace_id, wanted))
    if page.after:
        query = query.where(tuple_(*key) > tuple_(*page.after))
    return query.order_by(*key).limit(page.size + 1)


class Summary(NamedTuple):
    """A post and its deliveries as a calendar shows them, in the order of the columns below."""

    post: Sequence[Any]
    deliveries: list[Sequence[Any]]


SUMMARY_CHARACTERS = 100
_SUMMARY = select(
    posts.c.post_id,
    posts.c.channel,
    func.left(posts.c.caption, SUMMARY_CHARACTERS).label("caption"),
    posts.c.local_time,
    posts.c.time_zone,
    posts.c.schedule_time,
    posts.c.ref,
    posts.c.revision,
    posts.c.approval,
    posts.c.series_id,
    posts.c.occurrence_time,
)
_SUMMARY_COLUMNS = len(_SUMMARY.selected_columns)


def list_summaries(tx: Connection, workspace_id: UUID, wanted: PostFilter, page: Page) -> list[Summary]:
    """The same as a calendar shows them. Values are taken as the driver gives them, and posts with their deliveries in
    one query: a month of ten thousand posts is asked for at once.
    """
    shown = _page_of(_SUMMARY, workspace_id, wanted, page).cte("page")
    each = union_all(
        *(
            select(
                table.c.delivery_id,
                table.c.account_id,
                table.c.platform,
                table.c.state,
                table.c.due_time,
                table.c.url,
                table.c.failure_reason,
                table.c.publish_time,
                needs_person.label("needs_person"),
            ).where(table.c.workspace_id == workspace_id, table.c.post_id == shown.c.post_id)
            for table, needs_person in ((deliveries, deliveries.c.needs_person), (finished_deliveries, false()))
        )
    ).lateral("each")
    query = (
        select(*(_as_text(column) for column in (*shown.c, *each.c)))
        .select_from(shown.outerjoin(each, true()))
        .order_by(shown.c.schedule_time, shown.c.post_id, each.c.delivery_id)
    )
    found: list[Summary] = []
    post_id = None
    for row in tx.execute(query).all():
        if row[0] != post_id:
            post_id = row[0]
            found.append(Summary(row[:_SUMMARY_COLUMNS], []))
        if row[_SUMMARY_COLUMNS] is not None:
            found[-1].deliveries.append(row[_SUMMARY_COLUMNS:])
    return found


def _as_text(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(column, Text) if isinstance(column.type, Uuid) else column


def matching(workspace_id: UUID, wanted: PostFilter) -> ColumnElement[bool]:
    """The filter as SQL."""
    found = [posts.c.workspace_id == workspace_id]
    if wanted.from_time:
        found.append(posts.c.schedule_time >= wanted.from_time)
    if wanted.until_time:
        found.append(posts.c.schedule_time < wanted.until_time)
    if wanted.channel:
        found.append(posts.c.channel == wanted.channel)
    if wanted.series_id:
        found.append(posts.c.series_id == wanted.series_id)
    if wanted.ref:
        found.append(posts.c.ref == wanted.ref)
    if wanted.approval:
        found.append(posts.c.approval == wanted.approval.value)
    if wanted.post_ids:
        found.append(posts.c.post_id.in_(wanted.post_ids))
    if wanted.state:
        table = finished_deliveries if wanted.state in FINISHED else deliveries
        found.append(exists().where(table.c.post_id == posts.c.post_id, table.c.state == wanted.state.value))
    if wanted.account_id:
        of_account = [
            exists().where(table.c.post_id == posts.c.post_id, table.c.account_id == wanted.account_id)
            for table in (deliveries, finished_deliveries)
        ]
        found.append(of_account[0] | of_account[1])
    return and_(*found)


_UPDATE_POSTS = """
UPDATE posts p SET channel = r.channel, caption = r.caption, media = r.media, local_time = r.local_time,
    time_zone = r.time_zone, fold = r.fold, schedule_time = r.schedule_time, options = (%s::jsonb[])[r.options],
    ref = r.ref, max_lateness_seconds = r.max_lateness_seconds, late_action = r.late_action,
    shingles = CAST(r.shingles AS bigint[]), approval = r.approval, revision = p.revision + 1, update_time = now()
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::jsonb[], %s::timestamp[], %s::text[], %s::smallint[],
    %s::timestamptz[], %s::int[], %s::text[], %s::int[], %s::text[], %s::text[], %s::text[])
AS r(post_id, channel, caption, media, local_time, time_zone, fold, schedule_time, options, ref,
    max_lateness_seconds, late_action, shingles, approval)
WHERE p.post_id = r.post_id AND p.workspace_id = %s
"""
_UPDATE_CHANNELS = """
UPDATE deliveries d SET channel = r.channel
FROM unnest(%s::uuid[], %s::text[]) AS r(post_id, channel)
WHERE d.post_id = r.post_id AND d.workspace_id = %s
"""
# What was claimed ahead of its time is taken back: its attempt has other words in hand. What is held waits for
# approval, and goes on when it has a later time, or needs none any more.
_UPDATE_DELIVERIES = """
UPDATE deliveries d SET state = 'SCHEDULED', lease_expire_time = NULL, hold_cause = '', needs_person = false,
    failure_reason = CASE WHEN d.state = 'HELD' THEN '' ELSE d.failure_reason END,
    failure_message = CASE WHEN d.state = 'HELD' THEN '' ELSE d.failure_message END,
    schedule_time = COALESCE(r.moved_to, d.schedule_time), due_time = COALESCE(r.moved_to, d.due_time),
    update_time = now()
FROM unnest(%s::uuid[], %s::timestamptz[], %s::boolean[]) AS r(post_id, moved_to, waits)
WHERE d.post_id = r.post_id AND d.workspace_id = %s
  AND (r.moved_to IS NOT NULL OR d.state = 'CLAIMED' OR (d.state = 'HELD' AND NOT r.waits))
"""


@dataclass(frozen=True, slots=True)
class Edit:
    """A post as it is, what it is to be, and the approval that it needs then."""

    post: Post
    draft: Draft
    approval: Approval


def update_posts(tx: Connection, workspace_id: UUID, edits: Sequence[Edit]) -> None:
    """Saves edits of posts that may be edited, and whose deliveries the caller has locked.

    Where the instant changed, the deliveries become due then.
    """
    if not edits:
        return
    values_of = _Values()
    rows = [
        (
            str(edit.post.post_id),
            *values_of.draft(edit.draft, edit.draft.schedule.instant.isoformat()),
            edit.approval.value,
        )
        for edit in edits
    ]
    tx.exec_driver_sql(_UPDATE_POSTS, (values_of.choices(), *_columns(rows), str(workspace_id)))
    moves = [
        (
            str(edit.post.post_id),
            edit.draft.schedule.instant.isoformat()
            if edit.draft.schedule.instant != edit.post.draft.schedule.instant
            else None,
            "true" if edit.approval is Approval.PENDING else "false",
        )
        for edit in edits
    ]
    tx.exec_driver_sql(_UPDATE_DELIVERIES, (*_columns(moves), str(workspace_id)))
    rehomed = [
        (str(edit.post.post_id), edit.draft.channel) for edit in edits if edit.draft.channel != edit.post.draft.channel
    ]
    if rehomed:
        tx.exec_driver_sql(_UPDATE_CHANNELS, (*_columns(rehomed), str(workspace_id)))
    notify(tx, DUE_CHANNEL)


def set_approval(tx: Connection, workspace_id: UUID, post_ids: Sequence[UUID], approval: Approval) -> None:
    """Of posts that the caller has locked."""
    if post_ids:
        mine = (posts.c.workspace_id == workspace_id) & posts.c.post_id.in_(post_ids)
        tx.execute(update(posts).where(mine).values(approval=approval.value, update_time=func.now()))


def tell(tx: Connection, notices: list[Notice]) -> None:
    """Writes what other services must know."""
    enqueue(tx, outbox, notices, SCHEMA)


def _media_values(media: Sequence[Media]) -> list[dict[str, Any]]:
    return [
        {
            "media_asset_id": each.media_asset_id,
            "sha256": each.sha256,
            "mime_type": each.mime_type,
            **({"frame_hashes": each.frame_hashes} if each.frame_hashes else {}),
        }
        for each in media
    ]


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


def with_deliveries(
    tx: Connection, workspace_id: UUID, rows: Sequence[RowMapping], *, lock: bool = False
) -> list[Post]:
    """The posts of rows, with their deliveries. With `lock` these stay as they are until the transaction ends."""
    if not rows:
        return []
    post_ids = bindparam("post_ids", [row["post_id"] for row in rows], ARRAY(Uuid), unique=True)
    waiting, over = (
        select(table).where(table.c.workspace_id == workspace_id, table.c.post_id == post_ids.any_())
        for table in (deliveries, finished_deliveries)
    )
    if lock:
        waiting = waiting.order_by(deliveries.c.delivery_id).with_for_update()
    # In this order: what is finished between the two questions is seen by the second.
    read = [
        *tx.execute(waiting).mappings(),
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
