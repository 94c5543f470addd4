"""Occurrences become posts, ahead of their time. In small transactions, by any number of processes: the row of a series
is locked while posts of it are made, how far it is made is saved with them, and an occurrence has one post (a unique
index). Whoever dies in between has made nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from uuid import UUID

import structlog
from sqlalchemy import Connection

from kit.activity import activity
from kit.db import ALL_WORKSPACES, Database
from services.scheduler import recurrence, saving, series_store, store, zones
from services.scheduler.conflicts import ConflictRefused
from services.scheduler.domain import NewPost
from services.scheduler.saving import Saved
from services.scheduler.series import STEP, Series, Unposted, refused
from services.scheduler.zones import ScheduleTimeInPast

log = structlog.get_logger()

AT_ONCE = 200  # occurrences in one transaction
_LOOKED_AT = 100  # series that a round reads at once


@dataclass(frozen=True, slots=True)
class Made:
    """A series after some of it was made."""

    series: Series
    posts: int
    refused: Sequence[Unposted]


def make_ahead(database: Database, ahead: timedelta) -> None:
    """Makes the posts of every series up to so long ahead."""
    after = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
    while True:
        with database.transaction(ALL_WORKSPACES) as tx:
            found = series_store.series_to_make(tx, ahead, after, _LOOKED_AT)
        for workspace_id, series_id, _ in found:
            try:
                while _make_some(database, workspace_id, series_id, ahead):
                    pass
            except Exception as error:
                # It is looked at again in the next round; those behind it do not wait for it.
                log.warning("series not made", series_id=str(series_id), exc_info=error)
        if len(found) < _LOOKED_AT:
            return
        after = (found[-1][2], found[-1][1])


def _make_some(database: Database, workspace_id: UUID, series_id: UUID, ahead: timedelta) -> bool:
    with database.transaction(workspace_id) as tx:
        of = series_store.take_to_make(tx, workspace_id, series_id, ahead)
        if of is None:
            return False
        made = make(tx, of, ahead, store.database_time(tx))
        if made.posts:
            text = f"{made.posts} more posts of the series {of.name!r} were made, up to {made.series.made_until}."
            tell(tx, of, "series.made", text, posts=str(made.posts))
        return True


def make(tx: Connection, of: Series, ahead: timedelta, now: datetime) -> Made:
    """Makes posts of the next occurrences of a series, which the caller has locked: those up to so long ahead, at most
    AT_ONCE. What a rule refuses, or what is over, is kept as such and told.
    """
    until = zones.local_at(now + ahead, of.recurrence.time_zone)
    coming = takewhile(lambda each: each <= until, recurrence.occurrences(of.recurrence, of.unmade_from))
    times = list(islice(coming, AT_ONCE))
    news: list[NewPost] = []
    refusals: list[Unposted] = []
    if times:
        known = series_store.times_posted(tx, of, times[0], times[-1])
        known |= series_store.unposted(tx, of, times[0], times[-1]).keys()
        for time in times:
            schedule = of.schedule_at(time)
            if time in known:
                continue
            if schedule.instant < now:
                refusals.append(refused(time, ScheduleTimeInPast("Its time had come before its post was made.")))
            else:
                news.append(NewPost(replace(of.post, schedule=schedule), occurrence=of.occurrence(time)))
    saved = saving.save(tx, of.workspace_id, news)
    for new, result in zip(news, saved, strict=True):
        if isinstance(result, ConflictRefused) and new.occurrence is not None:
            refusals.append(refused(new.occurrence.time, result))
    series_store.put_unposted(tx, of, refusals)
    made = advanced(of, times[-1] if len(times) == AT_ONCE else until)
    series_store.note_made(tx, made)
    tell_refused(tx, of, refusals)
    return Made(made, sum(isinstance(each, Saved) for each in saved), refusals)


def advanced(of: Series, made_until: datetime | None) -> Series:
    """The series when occurrences up to a wall-clock time are made."""
    if of.made_until is not None and made_until is not None:
        made_until = max(of.made_until, made_until)
    after = replace(of, made_until=made_until)
    following = next(recurrence.occurrences(of.recurrence, after.unmade_from), None)
    if following is not None:
        return replace(after, next_time=of.schedule_at(following).instant, end_time=None)
    last = recurrence.last(of.recurrence, after.unmade_from)
    # Without any time at all, as it may be ended, it is over since it is there.
    return replace(after, next_time=None, end_time=of.schedule_at(last).instant if last else of.create_time)


def begun(of: Series, start: datetime) -> Series:
    """The series when nothing from a wall-clock time on is made, and nothing before that will be."""
    return replace(of, made_until=start - STEP if start > of.recurrence.start_time else None)


_NAMED = 5


def tell_refused(tx: Connection, of: Series, refusals: Sequence[Unposted]) -> None:
    """Tells of occurrences that could not become posts."""
    if not refusals:
        return
    named = "; ".join(f"{each.time:%Y-%m-%d %H:%M} ({each.reason})" for each in refusals[:_NAMED])
    more = f"; and {len(refusals) - _NAMED} more" if len(refusals) > _NAMED else ""
    text = (
        f"{len(refusals)} occurrences of the series {of.name!r} could not become posts: {named}{more}. Move them,"
        " change the series, or change what stands in their way and restore them."
    )
    tell(tx, of, "series.refused", text, refused=str(len(refusals)))


def tell(tx: Connection, of: Series, kind: str, text: str, *, post_id: UUID | None = None, **attributes: str) -> None:
    """Tells what happened to a series."""
    now = store.database_time(tx)
    attributes["series_id"] = str(of.series_id)
    store.tell(tx, [activity(of.workspace_id, kind, text, now, post_id=post_id, attributes=attributes)])
