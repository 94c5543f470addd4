"""SQL of series and of their occurrences. The caller owns the transaction.

Whoever makes, changes or cancels occurrences locks the row of their series first: it is done by one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, delete, false, func, insert, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.paging import Page
from services.scheduler.domain import Draft, LateAction, Lateness, Occurrence, Post
from services.scheduler.recurrence import Recurrence, RuleKind
from services.scheduler.series import OccurrenceState, Series, SeriesNotFound, SeriesState, Unposted
from services.scheduler.store import media_of, with_deliveries
from services.scheduler.tables import posts, series, unposted_occurrences
from services.scheduler.zones import GapRule, schedule_at


def insert_series(tx: Connection, new: Series) -> None:
    """Saves a new series."""
    tx.execute(insert(series).values(series_id=new.series_id, workspace_id=new.workspace_id, **_values(new)))


def update_series(tx: Connection, edited: Series) -> None:
    """Saves an edited series; the caller has locked it."""
    tx.execute(
        update(series)
        .where(series.c.workspace_id == edited.workspace_id, series.c.series_id == edited.series_id)
        .values(**_values(edited), update_time=func.now())
    )


def note_made(tx: Connection, made: Series) -> None:
    """Saves how far a series is made; the caller has locked it."""
    tx.execute(
        update(series)
        .where(series.c.workspace_id == made.workspace_id, series.c.series_id == made.series_id)
        .values(made_until_time=made.made_until, next_time=made.next_time, end_time=made.end_time)
    )


def read_series(tx: Connection, workspace_id: UUID, series_id: UUID, *, lock: bool = False) -> Series:
    """A series. Raises SeriesNotFound."""
    query = _mine(workspace_id, series_id)
    row = tx.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise SeriesNotFound(
            "There is no series with this id in the workspace.", metadata={"series_id": str(series_id)}
        )
    return _series(row)


def list_series(
    tx: Connection, workspace_id: UUID, page: Page, *, channel: str = "", state: SeriesState | None = None
) -> list[Series]:
    """Series, newest first; one more than the page holds when there is a next page."""
    query = select(series).where(series.c.workspace_id == workspace_id)
    if channel:
        query = query.where(series.c.channel == channel)
    if state:
        is_over = func.coalesce(series.c.end_time <= func.now(), false())
        query = query.where(is_over if state is SeriesState.ENDED else ~is_over)
    if page.after:
        query = query.where(tuple_(series.c.create_time, series.c.series_id) < tuple_(*page.after))
    rows = tx.execute(query.order_by(series.c.create_time.desc(), series.c.series_id.desc()).limit(page.size + 1))
    return [_series(row) for row in rows.mappings()]


_TO_MAKE = text(
    "SELECT workspace_id, series_id, next_time FROM series WHERE next_time <= now() + :ahead"
    " AND (next_time, series_id) > (:after_time, :after_id) ORDER BY next_time, series_id LIMIT :limit"
)


def series_to_make(
    tx: Connection, ahead: timedelta, after: tuple[datetime, UUID], limit: int
) -> list[tuple[UUID, UUID, datetime]]:
    """Series of which an occurrence within so long is not made yet, the most urgent first: each with its workspace and
    the time of that occurrence. Across workspaces.
    """
    rows = tx.execute(_TO_MAKE, {"ahead": ahead, "after_time": after[0], "after_id": after[1], "limit": limit})
    return [(row.workspace_id, row.series_id, row.next_time) for row in rows]


def take_to_make(tx: Connection, workspace_id: UUID, series_id: UUID, ahead: timedelta) -> Series | None:
    """Such a series, locked; None when somebody else has it, or has made it."""
    query = _mine(workspace_id, series_id).where(series.c.next_time <= func.now() + ahead)
    row = tx.execute(query.with_for_update(skip_locked=True)).mappings().first()
    return _series(row) if row else None


def _mine(workspace_id: UUID, series_id: UUID) -> Select[Any]:
    return select(series).where(series.c.workspace_id == workspace_id, series.c.series_id == series_id)


def posts_of(
    tx: Connection, of: Series, first: datetime, last: datetime | None = None, *, lock: bool = False
) -> dict[datetime, Post]:
    """The posts of occurrences between two wall-clock times, both included, by occurrence. With `lock` they and their
    deliveries stay as they are until the transaction ends.
    """
    mine = (
        select(posts)
        .where(posts.c.workspace_id == of.workspace_id, posts.c.series_id == of.series_id)
        .where(posts.c.occurrence_time >= first)
        .order_by(posts.c.occurrence_time)
    )
    if last is not None:
        mine = mine.where(posts.c.occurrence_time <= last)
    rows = tx.execute(mine.with_for_update() if lock else mine).mappings().all()
    found = with_deliveries(tx, of.workspace_id, rows, lock=lock)
    return {post.occurrence.time: post for post in found if post.occurrence}


def times_posted(tx: Connection, of: Series, first: datetime, last: datetime) -> set[datetime]:
    """The occurrences between two wall-clock times, both included, that have a post."""
    query = select(posts.c.occurrence_time).where(
        posts.c.workspace_id == of.workspace_id,
        posts.c.series_id == of.series_id,
        posts.c.occurrence_time.between(first, last),
    )
    return set(tx.execute(query).scalars())


def moved_beyond(tx: Connection, of: Series, first: datetime, last: datetime, instant: datetime) -> list[datetime]:
    """The occurrences from one wall-clock time until before another whose posts take place at an instant or later."""
    query = select(posts.c.occurrence_time).where(
        posts.c.workspace_id == of.workspace_id,
        posts.c.series_id == of.series_id,
        posts.c.occurrence_time >= first,
        posts.c.occurrence_time < last,
        posts.c.schedule_time >= instant,
    )
    return list(tx.execute(query.order_by(posts.c.occurrence_time)).scalars())


def name_posts(tx: Connection, workspace_id: UUID, names: Mapping[UUID, Occurrence | None]) -> None:
    """Makes posts other occurrences, or none. No other post may be those."""
    if names:
        tx.execute(
            text(
                "UPDATE posts p SET series_id = r.series_id, occurrence_time = r.occurrence_time FROM unnest("
                "CAST(:posts AS uuid[]), CAST(:series AS uuid[]), CAST(:times AS timestamp[]))"
                " AS r(post_id, series_id, occurrence_time) WHERE p.post_id = r.post_id AND p.workspace_id = :workspace"
            ),
            {
                "posts": list(names),
                "series": [each.series_id if each else None for each in names.values()],
                "times": [each.time if each else None for each in names.values()],
                "workspace": workspace_id,
            },
        )


def unposted(tx: Connection, of: Series, first: datetime, last: datetime | None = None) -> dict[datetime, Unposted]:
    """The occurrences between two wall-clock times of which no post is to be made."""
    query = select(unposted_occurrences).where(
        unposted_occurrences.c.workspace_id == of.workspace_id,
        unposted_occurrences.c.series_id == of.series_id,
        unposted_occurrences.c.occurrence_time >= first,
    )
    if last is not None:
        query = query.where(unposted_occurrences.c.occurrence_time <= last)
    return {
        row.occurrence_time: Unposted(row.occurrence_time, OccurrenceState(row.state), row.reason, row.message)
        for row in tx.execute(query)
    }


def put_unposted(tx: Connection, of: Series, new: Sequence[Unposted]) -> None:
    """Makes no post of these occurrences."""
    if not new:
        return
    statement = upsert(unposted_occurrences)
    tx.execute(
        statement.on_conflict_do_update(
            constraint="unposted_occurrences_pkey",
            set_={name: statement.excluded[name] for name in ("state", "reason", "message")},
        ),
        [
            {
                "series_id": of.series_id,
                "workspace_id": of.workspace_id,
                "occurrence_time": each.time,
                "state": each.state.value,
                "reason": each.reason,
                "message": each.message,
            }
            for each in new
        ],
    )


def delete_unposted(tx: Connection, of: Series, first: datetime, last: datetime | None = None) -> None:
    """Lets posts be made of the occurrences between two wall-clock times again."""
    query = delete(unposted_occurrences).where(
        unposted_occurrences.c.workspace_id == of.workspace_id,
        unposted_occurrences.c.series_id == of.series_id,
        unposted_occurrences.c.occurrence_time >= first,
    )
    tx.execute(query if last is None else query.where(unposted_occurrences.c.occurrence_time <= last))


def _values(of: Series) -> dict[str, Any]:
    recurrence = of.recurrence
    return {
        "name": of.name,
        "channel": of.post.channel,
        "rule_kind": recurrence.kind.value,
        "rule": recurrence.rule,
        "start_time": recurrence.start_time,
        "until_time": recurrence.until_time,
        "time_zone": recurrence.time_zone,
        "gap_rule": recurrence.gap_rule.value,
        "fold": recurrence.fold,
        "template": _template(of.post),
        "made_until_time": of.made_until,
        "next_time": of.next_time,
        "end_time": of.end_time,
        "previous_series_id": of.previous_series_id,
        "revision": of.revision,
    }


def _template(draft: Draft) -> dict[str, Any]:
    return {
        "account_ids": [str(each) for each in draft.account_ids],
        "platforms": list(draft.platforms),
        "caption": draft.caption,
        "media": [asdict(each) for each in draft.media],
        "options": draft.options,
        "ref": draft.ref,
        "lateness": [draft.lateness.max_seconds, draft.lateness.action.value] if draft.lateness else None,
        "shingles": list(draft.shingles),
        "accept_conflicts": draft.accept_conflicts,
    }


def _series(row: RowMapping) -> Series:
    recurrence = Recurrence(
        kind=RuleKind(row["rule_kind"]),
        rule=row["rule"],
        start_time=row["start_time"],
        time_zone=row["time_zone"],
        until_time=row["until_time"],
        gap_rule=GapRule(row["gap_rule"]),
        fold=row["fold"],
    )
    template, lateness = row["template"], row["template"]["lateness"]
    return Series(
        series_id=row["series_id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        recurrence=recurrence,
        post=Draft(
            channel=row["channel"],
            account_ids=tuple(UUID(each) for each in template["account_ids"]),
            caption=template["caption"],
            media=media_of(template["media"]),
            schedule=schedule_at(recurrence.start_time, recurrence.time_zone, recurrence.fold),
            options=template["options"],
            ref=template["ref"],
            platforms=tuple(template["platforms"]),
            lateness=Lateness(lateness[0], LateAction(lateness[1])) if lateness else None,
            shingles=tuple(template["shingles"]),
            accept_conflicts=template["accept_conflicts"],
        ),
        made_until=row["made_until_time"],
        next_time=row["next_time"],
        end_time=row["end_time"],
        previous_series_id=row["previous_series_id"],
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
