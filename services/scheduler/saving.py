"""How posts are saved, whichever door they came through: judged by the rules that concern them, then written.

The rules of a plan are kept by all posts together, so the plans are locked first, the posts nearby are read then, and
the new ones are written in the same transaction. Tells nobody: the caller says what happened.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from services.scheduler import plan_store, planning, store
from services.scheduler.domain import Approval, Draft, NewPost, Post
from services.scheduler.duplicates import Duplicates, Known, pair, widest
from services.scheduler.planning import Conflict, ConflictRefused, Neighbour, PostingPlan


@dataclass(frozen=True, slots=True)
class Saved:
    """A post that is in the database now, with the conflicts that did not stand in its way."""

    post_id: UUID
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A draft with the rules that it breaks. `approval` is what it needs to go out."""

    conflicts: tuple[Conflict, ...]
    approval: Approval

    @property
    def refusal(self) -> ConflictRefused | None:
        """Why it is not saved; None when it is."""
        blocking = [each for each in self.conflicts if each.blocking]
        return ConflictRefused.by(blocking) if blocking else None


def save(tx: Connection, workspace_id: UUID, news: Sequence[NewPost]) -> list[Saved | ConflictRefused]:
    """Saves what breaks no blocking rule, with the approval that its channel's plan asks for."""
    judged = judge(tx, workspace_id, [new.draft for new in news])
    refusals = [each.refusal for each in judged]
    taken = [
        replace(new, approval=each.approval)
        for new, each, refusal in zip(news, judged, refusals, strict=True)
        if refusal is None
    ]
    post_ids = iter(store.insert_posts(tx, workspace_id, taken))
    return [
        Saved(next(post_ids), each.conflicts) if refusal is None else refusal
        for each, refusal in zip(judged, refusals, strict=True)
    ]


def judge(
    tx: Connection, workspace_id: UUID, drafts: Sequence[Draft], *, instead_of: Sequence[UUID | None] = ()
) -> list[Judged]:
    """What each draft breaks: of the posts that are saved, and of the drafts before it that would be.

    `instead_of` are the posts that the drafts replace. They are in nobody's way.
    """
    if not drafts:
        return []
    plans = plan_store.lock_plans(tx, workspace_id, {draft.channel for draft in drafts})
    rules = {pair(each.channel, each.other_channel): each for each in plan_store.list_rules(tx, workspace_id)}
    replaced = [each for each in instead_of if each is not None]
    near = plan_store.posts_near(tx, workspace_id, _spans(drafts, plans, widest(rules)), replaced)
    duplicates = Duplicates(rules)
    channels: dict[str, list[Neighbour]] = {}
    for post in near:
        duplicates.add(Known(post.post_id, post.channel, post.instant, post.shingles, post.media))
        channels.setdefault(post.channel, []).append(Neighbour(post.instant, post.post_id))
    for neighbours in channels.values():
        neighbours.sort(key=_instant)
    judged = []
    for draft in drafts:
        known = Known(None, draft.channel, draft.schedule.instant, draft.shingles, draft.media)
        neighbours = channels.setdefault(draft.channel, [])
        conflicts = duplicates.conflicts(known)
        if plans:
            conflicts = [*planning.broken(draft.channel, plans, known.instant, neighbours), *conflicts]
        if draft.accept_conflicts:
            conflicts = [replace(each, blocking=False) for each in conflicts]
        judged.append(Judged(tuple(conflicts), approval_of(draft.channel, plans)))
        if judged[-1].refusal is None:
            duplicates.add(known)
            if plans:
                insort(neighbours, Neighbour(known.instant), key=_instant)
    return judged


def approval_of(channel: str, plans: Mapping[str, PostingPlan]) -> Approval:
    """What a new or changed post of a channel needs."""
    plan = planning.plan_for(channel, plans)
    return Approval.PENDING if plan and plan.requires_approval else Approval.NOT_NEEDED


def approval_after(before: Post, after: Draft, judged: Judged) -> Approval:
    """What a post needs after an edit: an approval is of what was looked at, and of the time it goes out at."""
    same = (before.draft.caption, before.draft.media, before.draft.options, before.draft.schedule.instant) == (
        after.caption,
        after.media,
        after.options,
        after.schedule.instant,
    )
    return before.approval if same and judged.approval is not Approval.NOT_NEEDED else judged.approval


def _spans(
    drafts: Sequence[Draft], plans: Mapping[str, PostingPlan], window: timedelta
) -> list[tuple[datetime, datetime]]:
    """Where other posts matter, as spans that do not overlap."""
    reaches = {
        channel: max(window, planning.reach(plan) if (plan := planning.plan_for(channel, plans)) else timedelta())
        for channel in {draft.channel for draft in drafts}
    }
    return _joined(
        (draft.schedule.instant - reaches[draft.channel], draft.schedule.instant + reaches[draft.channel])
        for draft in drafts
        if reaches[draft.channel]
    )


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _instant(neighbour: Neighbour) -> datetime:
    return neighbour.instant
