"""The way in which every door saves posts: judged by the rules of their channels, then written. The caller owns the
transaction, and tells what happened.

What keeps two callers from taking one slot, or from passing a cap together, is the row of the plan: it is locked
before the posts around are looked at. A caller that locks posts does so before it comes here, so that nobody waits in a
circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from services.scheduler import plan_store, store
from services.scheduler.conflicts import Calendar, Conflict, ConflictRefused
from services.scheduler.domain import Approval, Draft, NewPost, Post, choices_said
from services.scheduler.duplicates import (
    Compared,
    Duplicates,
    Rules,
    compared_of,
    widest_window,
)
from services.scheduler.planning import NONE, PostingPlan, plan_for

# Rounds in which posts that move are judged as if all others had moved already.
_ROUNDS = 3
Plans = Mapping[str, PostingPlan]


@dataclass(frozen=True, slots=True)
class Saved:
    """A post that is in the database now, with the conflicts that did not stand in its way."""

    post_id: UUID
    conflicts: tuple[Conflict, ...]


def save(
    tx: Connection, workspace_id: UUID, news: Sequence[NewPost], *, instead_of: Sequence[UUID | None] = ()
) -> list[Saved | ConflictRefused]:
    """Saves what breaks no blocking rule; each is judged with those before it in the list. Where the plan of its
    channel asks for approval, it waits for it. `instead_of` as `judge` has it: where the new post is saved, the caller
    cancels the former one.
    """
    if not news:
        return []
    drafts = [new.draft for new in news]
    plans = _take_plans(tx, workspace_id, drafts)
    verdicts = _judge(tx, workspace_id, plans, drafts, list(instead_of) or [None] * len(drafts))
    passed = [index for index, conflicts in enumerate(verdicts) if not _refuses(conflicts)]
    saved = [_with_approval(news[index], plans) for index in passed]
    post_ids = dict(zip(passed, store.insert_posts(tx, workspace_id, saved), strict=True))
    return [refusal(conflicts) or Saved(post_ids[index], conflicts) for index, conflicts in enumerate(verdicts)]


def change(tx: Connection, workspace_id: UUID, changes: Sequence[tuple[Post, Draft]]) -> list[Saved | ConflictRefused]:
    """Saves edits of posts, which the caller has locked and found editable, in the same way. An edit is judged by the
    rules about what it changes. What is published or when has changed: an approval was of the post as it stood.
    """
    if not changes:
        return []
    drafts = [draft for _, draft in changes]
    plans = _take_plans(tx, workspace_id, drafts)
    verdicts = _judge(tx, workspace_id, plans, drafts, [post.post_id for post, _ in changes])
    results: list[Saved | ConflictRefused] = []
    edits: list[store.Edit] = []
    for (post, draft), conflicts in zip(changes, verdicts, strict=True):
        refused = refusal(conflicts)
        if refused is None:
            edits.append(store.Edit(post, draft, _approval_after(post, draft, plans)))
        results.append(refused or Saved(post.post_id, conflicts))
    store.update_posts(tx, workspace_id, edits)
    return results


def judge(
    tx: Connection, workspace_id: UUID, drafts: Sequence[Draft], *, instead_of: Sequence[UUID | None] = ()
) -> list[tuple[Conflict, ...]]:
    """The same without saving. `instead_of`: for each draft the post that it replaces, if any; what it leaves as it is
    in that post breaks no rule anew.
    """
    if not drafts:
        return []
    plans = _take_plans(tx, workspace_id, drafts)
    return _judge(tx, workspace_id, plans, drafts, list(instead_of) or [None] * len(drafts))


def _with_approval(new: NewPost, plans: Plans) -> NewPost:
    approval = approval_by(plans, new.draft.channel)
    return new if new.approval is approval else replace(new, approval=approval)


def approval_by(plans: Plans, channel: str) -> Approval:
    """Whether a new or changed post of a channel waits for approval."""
    plan = plan_for(channel, plans)
    return Approval.PENDING if plan is not None and plan.requires_approval else Approval.NOT_NEEDED


def _approval_after(post: Post, draft: Draft, plans: Plans) -> Approval:
    old = post.draft
    published, before = (
        (each.channel, each.caption, each.media, choices_said(each.options), each.schedule.instant)
        for each in (draft, old)
    )
    if published == before:
        return post.approval
    return approval_by(plans, draft.channel)


def _refuses(conflicts: Iterable[Conflict]) -> bool:
    return any(each.blocking for each in conflicts)


def refusal(conflicts: Iterable[Conflict]) -> ConflictRefused | None:
    """Why a draft with these conflicts is not saved; None when it is."""
    blocking = [each for each in conflicts if each.blocking]
    return ConflictRefused.by(blocking) if blocking else None


def _take_plans(tx: Connection, workspace_id: UUID, drafts: Sequence[Draft]) -> Plans:
    """The plans that the drafts are judged by, locked."""
    plan_store.keep_rules(tx, workspace_id)
    channels = {draft.channel for draft in drafts}
    plans = plan_store.read_plans(tx, workspace_id, [*channels, ""])
    used = {plan.channel for channel in channels if (plan := plan_for(channel, plans))}
    if used:
        plan_store.lock_plans(tx, workspace_id, sorted(used))
    return plans


def _judge(
    tx: Connection, workspace_id: UUID, plans: Plans, drafts: Sequence[Draft], instead_of: Sequence[UUID | None]
) -> list[tuple[Conflict, ...]]:
    replaced = [each for each in instead_of if each is not None]
    old = plan_store.read_compared(tx, workspace_id, replaced) if replaced else {}
    questions = [
        _question(draft, each, old.get(each) if each else None) for draft, each in zip(drafts, instead_of, strict=True)
    ]
    around = _look_around(tx, workspace_id, plans, questions)
    # Those that move make room for each other: at first all have left. Who may not move after all stays where it is,
    # and may be in the way of others.
    staying: set[UUID] = set()
    rounds = 0
    while True:
        rounds += 1
        verdicts = around.judge(questions, staying)
        stay = {
            each.post.post_id
            for each, conflicts in zip(questions, verdicts, strict=True)
            if each.old and each.post.post_id and _refuses(conflicts)
        }
        if stay <= staying:
            return verdicts
        staying |= stay if rounds < _ROUNDS else set(old)


@dataclass(frozen=True, slots=True)
class _Question:
    """A draft, the post that it replaces, and which rules it may break: those about what it changes."""

    instant: datetime
    post: Compared
    old: tuple[datetime, Compared] | None
    accepts: bool
    time: bool
    caption: bool
    files: bool


def _question(draft: Draft, post_id: UUID | None, old: tuple[datetime, Compared] | None) -> _Question:
    instant = draft.schedule.instant
    # To those after it in the list, one that is replaced is a post with an id.
    post = compared_of(draft, instant, post_id)
    if old is None:
        return _Question(instant, post, None, draft.accept_conflicts, True, True, True)
    was = old[1]
    moved = (post.channel, post.time) != (was.channel, was.time)
    words = (post.text, post.shingles) != (was.text, was.shingles)
    return _Question(
        instant, post, old, draft.accept_conflicts, moved, moved or words, moved or post.media != was.media
    )


@dataclass(frozen=True, slots=True)
class _Around:
    """What is known of the posts around those that are judged."""

    plans: Plans
    rules: Rules
    in_channels: Mapping[str, Sequence[tuple[datetime, UUID]]]
    to_compare: Sequence[Compared]
    now: datetime

    def judge(self, questions: Sequence[_Question], staying: set[UUID]) -> list[tuple[Conflict, ...]]:
        """Judges each with those before it. `staying`: posts that are replaced and not yet gone."""
        leaving = {each.post.post_id for each in questions if each.old} - staying
        calendars = {
            channel: Calendar(
                channel,
                self.plans,
                [each for each in self.in_channels.get(channel, ()) if each[1] not in leaving],
                self.now,
            )
            for channel in _channels(questions)
            if channel in self.plans or "" in self.plans
        }
        duplicates = None
        # Posts of one channel are not compared with each other.
        if self.to_compare or len(_channels(questions)) > 1:
            asked = [each.post for each in questions] + [each.old[1] for each in questions if each.old]
            duplicates = Duplicates(self.rules, [*self.to_compare, *asked])
            for post in self.to_compare:
                if post.post_id not in leaving:
                    duplicates.add(post)
        return [_verdict(each, calendars, duplicates, bool(staying)) for each in questions]


def _verdict(
    question: _Question, calendars: Mapping[str, Calendar], duplicates: Duplicates | None, some_stay: bool
) -> tuple[Conflict, ...]:
    post = question.post
    old = question.old if some_stay else None
    calendar = calendars.get(post.channel)
    if old:
        _remove(*old, calendars, duplicates)
    found: list[Conflict] = []
    if calendar and question.time:
        found += calendar.conflicts(question.instant)
    if duplicates and question.caption:
        found += duplicates.captions(post)
    if duplicates and question.files:
        found += duplicates.files(post)
    if found and question.accepts:
        found = [replace(each, blocking=False) for each in found]
    if not _refuses(found):
        _add(question.instant, post, calendars, duplicates)
    elif old:
        _add(*old, calendars, duplicates)
    return tuple(found)


def _add(instant: datetime, post: Compared, calendars: Mapping[str, Calendar], duplicates: Duplicates | None) -> None:
    if calendar := calendars.get(post.channel):
        calendar.add(instant, post.post_id)
    if duplicates:
        duplicates.add(post)


def _remove(
    instant: datetime, post: Compared, calendars: Mapping[str, Calendar], duplicates: Duplicates | None
) -> None:
    calendar = calendars.get(post.channel)
    if calendar and post.post_id:
        calendar.remove(instant, post.post_id)
    if duplicates:
        duplicates.remove(post)


def _look_around(tx: Connection, workspace_id: UUID, plans: Plans, questions: Sequence[_Question]) -> _Around:
    channels = _channels(questions)
    reach = {channel: plan.reach for channel in channels if (plan := plan_for(channel, plans))}
    spans = _spans((each.instant, reach.get(each.post.channel, NONE)) for each in questions if each.time)
    rules = plan_store.take_rules(tx, workspace_id, channels)
    window = widest_window(rules)
    compared = _spans((each.instant, window) for each in questions if each.caption or each.files)
    # Posts of one channel are not compared with each other.
    but = sorted(channels) if len(channels) == 1 else []
    judged = [each.post for each in questions if each.caption or each.files]
    return _Around(
        plans,
        rules,
        plan_store.posts_in_channels(tx, workspace_id, [each for each in reach if reach[each]], spans) if spans else {},
        plan_store.posts_to_compare(tx, workspace_id, but, compared, judged) if compared else [],
        store.database_time(tx),
    )


def _channels(questions: Iterable[_Question]) -> set[str]:
    return {each.post.channel for each in questions}


def _spans(around: Iterable[tuple[datetime, timedelta]]) -> list[plan_store.Span]:
    """The times around instants, as few spans as they make; none where the reach is 0."""
    by_reach: dict[timedelta, list[datetime]] = {}
    for instant, reach in around:
        if reach:
            by_reach.setdefault(reach, []).append(instant)
    # Thousands of instants mostly have one reach: those that are near each other are taken together first.
    runs = [run for reach, instants in by_reach.items() for run in _runs(sorted(instants), reach)]
    spans: list[plan_store.Span] = []
    for begin, end in sorted(runs):
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((begin, end))
    return spans


def _runs(instants: Sequence[datetime], reach: timedelta) -> Iterator[plan_store.Span]:
    """The spans of instants in their order."""
    first = last = instants[0]
    apart = 2 * reach
    for instant in instants:
        if instant - last > apart:
            yield first - reach, last + reach
            first = instant
        last = instant
    yield first - reach, last + reach
