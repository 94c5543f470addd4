"""Edits of series and of single occurrences, and what becomes of their posts. The caller owns the transaction, and has
locked the series.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice, takewhile
from uuid import UUID

from sqlalchemy import Connection

from kit.db import new_id
from kit.errors import FieldViolation
from services.scheduler import dispatch_store, domain, recurrence, saving, series, series_store, zones
from services.scheduler.conflicts import ConflictRefused
from services.scheduler.deciding import Fate
from services.scheduler.domain import DeliveryState, Draft, NewPost, Occurrence, Post, Schedule
from services.scheduler.recurrence import RecurrenceInvalid
from services.scheduler.saving import Saved
from services.scheduler.series import STEP, OccurrenceState, Series, Unposted
from services.scheduler.series_making import advanced, begun, tell_refused
from services.scheduler.zones import ScheduleTimeInPast

# How far an occurrence is looked for from where it was moved to.
REACH = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Followed:
    """What an edit did to the posts that were there."""

    series: Series
    changed: int
    canceled: int


def follow(tx: Connection, old: Series, new: Series, start: datetime, now: datetime) -> Followed:
    """Makes the posts of occurrences from a wall-clock time on follow an edit of their series, which may be another
    series from there on. Both are saved by the caller; afterwards `series_making.make` adds what the rule newly has.

    A post whose time the rule still has is changed in place; another takes the place of a new occurrence of the same
    day or week; the rest are canceled, and belong to no series any more. Posts that have gone out, are going out, or
    were canceled by somebody stay. So does the time of a post to which somebody has given another.
    """
    posts = series_store.posts_of(tx, old, start, lock=True)
    # A rule that goes on from an occurrence may begin earlier on that day.
    first = start if new.series_id == old.series_id else min(start, new.recurrence.start_time)
    today = max(first, zones.local_at(now, new.recurrence.time_zone))
    skipped = _carry_skipped(tx, old, new, max(start, today))
    last = max([*posts, *([old.made_until] if old.made_until else [])], default=start)
    wanted = set(takewhile(lambda each: each <= last, recurrence.occurrences(new.recurrence, first)))
    following = {time: post for time, post in posts.items() if series.may_change(post)}
    # What was moved here from the past stays at its time, whatever the rule.
    moves = {time: time for time in following if time < today}
    # A post keeps its accounts.
    if set(new.post.account_ids) == set(old.post.account_ids):
        moves |= {time: time for time in following if time in wanted}
        free = sorted(each for each in wanted - posts.keys() - skipped if each >= today)
        moves |= series.pair([time for time in following if time not in moves], free)
    gone = [post for time, post in following.items() if time not in moves]
    _cancel(tx, gone)
    names: dict[UUID, Occurrence | None] = {post.post_id: None for post in gone}
    for time, post in posts.items():
        to = moves.get(time, time)
        if to in wanted and post.post_id not in names:
            names[post.post_id] = new.occurrence(to)
    series_store.name_posts(tx, new.workspace_id, names)
    edits = {to: (posts[time], _follower(posts[time], old, new, time, to, today)) for time, to in moves.items()}
    changed, refusals = _change(tx, new, {to: each for to, each in edits.items() if _differs(*each)})
    series_store.put_unposted(tx, new, refusals)
    tell_refused(tx, new, refusals)
    return Followed(begun(new, today), changed, len(gone) + len(refusals))


def rest(old: Series, new: Series, start: datetime, now: datetime, *, is_new_rule: bool) -> Series:
    """The series that goes on as `new` says from an occurrence of another on.

    Raises RecurrenceInvalid when its rule begins before that day: there the other one is still at work.
    """
    rule = new.recurrence if is_new_rule else recurrence.without_first(old.recurrence, start)
    if rule.start_time.date() < start.date():
        message = (
            f"{rule.start_time.isoformat()} is before the occurrence from which on the series is to be changed. Begin"
            f" on {start.date().isoformat()} or later, or leave from_occurrence_time empty to change the whole series."
        )
        raise RecurrenceInvalid(message, [FieldViolation("series.recurrence.start_time", message)])
    return replace(
        new,
        series_id=new_id(),
        recurrence=rule,
        previous_series_id=old.series_id,
        revision=1,
        create_time=now,
        update_time=now,
    )


def _carry_skipped(tx: Connection, old: Series, new: Series, start: datetime) -> set[datetime]:
    """What was skipped stays so where the new rule has it; what was refused is tried again."""
    kept = [
        each
        for time, each in series_store.unposted(tx, old, start).items()
        if each.state is OccurrenceState.SKIPPED and recurrence.has(new.recurrence, time)
    ]
    series_store.delete_unposted(tx, old, start)
    series_store.put_unposted(tx, new, kept)
    return {each.time for each in kept}


def _follower(post: Post, old: Series, new: Series, time: datetime, to: datetime, today: datetime) -> Draft:
    keeps_time = time == to and (time < today or series.was_moved(post, old.schedule_at(time)))
    is_edited = replace(new.post, schedule=old.post.schedule) != old.post
    draft = new.post if is_edited else post.draft
    return replace(
        draft,
        schedule=post.draft.schedule if keeps_time else new.schedule_at(to),
        account_ids=post.draft.account_ids,
        platforms=post.draft.platforms,
        accept_conflicts=new.post.accept_conflicts,
    )


def _differs(post: Post, draft: Draft) -> bool:
    return replace(draft, accept_conflicts=post.draft.accept_conflicts) != post.draft


def _change(tx: Connection, of: Series, edits: Mapping[datetime, tuple[Post, Draft]]) -> tuple[int, list[Unposted]]:
    """Changes posts; cancels those that a rule refuses then. How many were changed, and what was refused."""
    results = saving.change(tx, of.workspace_id, list(edits.values()))
    refusals = {
        time: series.refused(time, result)
        for time, result in zip(edits, results, strict=True)
        if isinstance(result, ConflictRefused)
    }
    canceled = [edits[time][0] for time in refusals]
    _cancel(tx, canceled)
    series_store.name_posts(tx, of.workspace_id, {post.post_id: None for post in canceled})
    return len(edits) - len(refusals), list(refusals.values())


def end(tx: Connection, of: Series, start: datetime) -> tuple[Series, int]:
    """Ends a series before a wall-clock time. The series as it is to be saved, and how many posts were canceled.

    They belong to no series any more: an edit that lets the series go on makes others.
    """
    posts = series_store.posts_of(tx, of, start, lock=True)
    canceled = [post for post in posts.values() if not series.is_canceled(post) and _may_cancel(post)]
    _cancel(tx, canceled)
    series_store.name_posts(tx, of.workspace_id, {post.post_id: None for post in canceled})
    series_store.delete_unposted(tx, of, start)
    return ended(of, start), len(canceled)


def ended(of: Series, start: datetime) -> Series:
    """The series without its occurrences from a wall-clock time on."""
    until = start - STEP
    if of.recurrence.until_time is not None:
        until = min(of.recurrence.until_time, until)
    if until == of.recurrence.until_time:
        return of
    shorter = replace(of, recurrence=replace(of.recurrence, until_time=until), revision=of.revision + 1)
    return advanced(shorter, shorter.made_until)


def _may_cancel(post: Post) -> bool:
    try:
        return bool(domain.deliveries_to_cancel(post))
    except domain.DeliveryInProgress:
        return False


def _cancel(tx: Connection, posts: Collection[Post]) -> None:
    canceled = Fate(DeliveryState.CANCELED)
    dispatch_store.settle(tx, [(each, canceled) for post in posts for each in domain.deliveries_to_cancel(post)])


def skip(tx: Connection, of: Series, time: datetime) -> UUID | None:
    """Lets an occurrence not take place. The id of its post, which is canceled, if there is one.

    Raises PostNotEditable when the post is going out or has gone out.
    """
    post = _post(tx, of, time)
    if post is not None and not series.is_canceled(post):
        series.check_may_skip(post)
        _cancel(tx, [post])
    series_store.put_unposted(tx, of, [Unposted(time, OccurrenceState.SKIPPED)])
    return post.post_id if post else None


def move(tx: Connection, of: Series, time: datetime, schedule: Schedule) -> UUID:
    """Lets an occurrence take place at another time. The id of its post, which is made now if there is none.

    Raises PostNotEditable, and ConflictRefused when a rule does not allow that time.
    """
    post = _post(tx, of, time)
    series_store.delete_unposted(tx, of, time, time)
    if post is not None and not series.is_canceled(post):
        domain.check_editable(post, "")
        draft = replace(post.draft, schedule=schedule, accept_conflicts=of.post.accept_conflicts)
        if _differs(post, draft):
            _raise_refusal(saving.change(tx, of.workspace_id, [(post, draft)]))
        return post.post_id
    if post is not None:
        series_store.name_posts(tx, of.workspace_id, {post.post_id: None})
    new = NewPost(replace(of.post, schedule=schedule), occurrence=of.occurrence(time))
    return _raise_refusal(saving.save(tx, of.workspace_id, [new])).post_id


def _raise_refusal(results: Sequence[Saved | ConflictRefused]) -> Saved:
    (result,) = results
    if isinstance(result, ConflictRefused):
        raise result
    return result


def restore(tx: Connection, of: Series, time: datetime, now: datetime) -> UUID | None:
    """Lets an occurrence be as the rule says again. The id of its post; None when that is made later.

    Raises ScheduleTimeInPast when its time is over, and what `move` raises.
    """
    post = _post(tx, of, time)
    if post is None and (of.made_until is None or time > of.made_until):
        series_store.delete_unposted(tx, of, time, time)
        return None
    schedule = of.schedule_at(time)
    if schedule.instant < now and (post is None or series.is_canceled(post) or series.was_moved(post, schedule)):
        message = f"{time.isoformat()} is over. Move the occurrence to a later time instead."
        raise ScheduleTimeInPast.of_field("occurrence_time", message)
    return move(tx, of, time, schedule)


def _post(tx: Connection, of: Series, time: datetime) -> Post | None:
    return series_store.posts_of(tx, of, time, time, lock=True).get(time)


def list_from(tx: Connection, of: Series, start: datetime, after: datetime | None, most: int) -> list[series.Listed]:
    """The occurrences that take place from an instant on, by the time that the rule gives them: those behind `after`.
    One that was moved there from more than REACH before is not found.
    """
    first = zones.local_at(start, of.recurrence.time_zone)
    moved = series_store.moved_beyond(tx, of, first - REACH, first, start)
    times = chain(moved, recurrence.occurrences(of.recurrence, first if after is None else max(first, after)))
    behind = (each for each in times if after is None or each > after)
    return list_occurrences(tx, of, list(islice(behind, most)))


def list_occurrences(tx: Connection, of: Series, times: Sequence[datetime]) -> list[series.Listed]:
    """How occurrences stand, which are in order."""
    if not times:
        return []
    posts = series_store.posts_of(tx, of, times[0], times[-1])
    unposted = series_store.unposted(tx, of, times[0], times[-1])
    return [series.listed(of, each, posts.get(each), unposted.get(each)) for each in times]
