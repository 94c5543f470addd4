"""One chunk of an import or of a change of many posts. The caller owns the transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from kit.activity import activity
from kit.errors import ReelrouteError
from services.scheduler import bulk_store, dispatch_store, importing, saving, store
from services.scheduler.conflicts import Conflict, ConflictRefused
from services.scheduler.deciding import Fate
from services.scheduler.domain import (
    DeliveryState,
    Draft,
    NewPost,
    Post,
    PostFilter,
    check_editable,
    deliveries_to_cancel,
)
from services.scheduler.importing import FieldChange, Outcome, Row
from services.scheduler.saving import Saved

_CANCELED = Fate(DeliveryState.CANCELED)


@dataclass(frozen=True, slots=True)
class Imported:
    """A row that was taken, or would be. `post_id` is the row's post; None: it would be created."""

    row: Row
    post_id: UUID | None
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """A post that was changed, or would be; `refusal`: why it was not."""

    post: Post
    draft: Draft
    changes: tuple[FieldChange, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    refusal: ReelrouteError | None = None


def import_rows(
    tx: Connection, workspace_id: UUID, rows: Sequence[tuple[str, Draft]], *, validate_only: bool
) -> list[Imported | ReelrouteError]:
    """Takes or refuses each of a chunk's rows, whose keys all differ; in their order. Tells it in one message.

    With `validate_only` nothing is saved.
    """
    if not validate_only:
        bulk_store.take_turn(tx, workspace_id)
    decided = _decide(tx, workspace_id, rows, lock=not validate_only)
    updates = [row for row in decided if isinstance(row, Row) and row.outcome is Outcome.UPDATED]
    news = [row for row in decided if isinstance(row, Row) and row.outcome in (Outcome.CREATED, Outcome.REPLACED)]
    done = (_rehearse if validate_only else _save)(tx, workspace_id, updates, news)
    results: list[Imported | ReelrouteError] = []
    for each in decided:
        if isinstance(each, Row):
            results.append(done.get(each.key) or Imported(each, each.before.post_id if each.before else None))
        else:
            results.append(each)
    if not validate_only:
        _tell_imported(tx, workspace_id, results)
    return results


def _decide(
    tx: Connection, workspace_id: UUID, rows: Sequence[tuple[str, Draft]], *, lock: bool
) -> list[Row | ReelrouteError]:
    known = bulk_store.read_by_keys(tx, workspace_id, [key for key, _ in rows])
    new = {key: draft for key, draft in rows if key not in known}
    there = bulk_store.read_at(tx, workspace_id, [draft.schedule.instant for draft in new.values()])
    same = importing.same_posts(new, there)
    if lock:
        bulk_store.set_keys(tx, workspace_id, {post.post_id: key for key, post in same.items()}, keep=True)
    known |= same
    now = store.database_time(tx)

    def decide(key: str, draft: Draft) -> Row | ReelrouteError:
        try:
            return importing.decide(key, draft, known.get(key), now)
        except ReelrouteError as refusal:
            return refusal

    decided = [decide(key, draft) for key, draft in rows]
    to_change = {
        row.before.post_id: row.key
        for row in decided
        if isinstance(row, Row) and row.before and row.outcome is not Outcome.UNCHANGED
    }
    if not lock or not to_change:
        return decided
    # Only these are kept from going out meanwhile; and decided again, as they may have begun before the lock.
    locked = bulk_store.lock_posts(tx, workspace_id, PostFilter(), list(to_change))
    known = {to_change[post.post_id]: post for post in locked}
    return [decide(*row) if row[0] in known else each for each, row in zip(decided, rows, strict=True)]


def _save(
    tx: Connection, workspace_id: UUID, updates: Sequence[Row], news: Sequence[Row]
) -> dict[str, Imported | ReelrouteError]:
    edits = [(row.before, row.draft) for row in updates if row.before]
    done = _results(updates, saving.change(tx, workspace_id, edits))
    former = {row.key: row.before for row in news if row.before}
    bulk_store.set_keys(tx, workspace_id, {post.post_id: "" for post in former.values()})
    new_posts = [NewPost(row.draft, import_key=row.key) for row in news]
    replaced = [row.before.post_id if row.before and row.outcome is Outcome.REPLACED else None for row in news]
    made = _results(news, saving.save(tx, workspace_id, new_posts, instead_of=replaced))
    kept = {key: post for key, post in former.items() if not isinstance(made[key], Imported)}
    bulk_store.set_keys(tx, workspace_id, {post.post_id: key for key, post in kept.items()})
    gone = [post for key, post in former.items() if key not in kept]
    _settle(tx, [each.delivery_id for post in gone for each in post.deliveries if each.can_be_stopped])
    return done | made


def _rehearse(
    tx: Connection, workspace_id: UUID, updates: Sequence[Row], news: Sequence[Row]
) -> dict[str, Imported | ReelrouteError]:
    rows = [*updates, *news]
    there = [row.before.post_id if row.before and row.outcome is not Outcome.CREATED else None for row in rows]
    judged = saving.judge(tx, workspace_id, [row.draft for row in rows], instead_of=there)
    return {
        row.key: saving.refusal(conflicts) or Imported(row, post_id, conflicts)
        for row, post_id, conflicts in zip(rows, there, judged, strict=True)
    }


def _results(rows: Sequence[Row], saved: Sequence[Saved | ConflictRefused]) -> dict[str, Imported | ReelrouteError]:
    return {
        row.key: Imported(row, each.post_id, each.conflicts) if isinstance(each, Saved) else each
        for row, each in zip(rows, saved, strict=True)
    }


def _tell_imported(tx: Connection, workspace_id: UUID, results: Sequence[Imported | ReelrouteError]) -> None:
    counts = Counter(each.row.outcome for each in results if isinstance(each, Imported))
    words = {Outcome.CREATED: "scheduled", Outcome.UPDATED: "changed", Outcome.REPLACED: "replaced"}
    parts = [f"{counts[outcome]} {word}" for outcome, word in words.items() if counts[outcome]]
    if parts:
        _tell(tx, workspace_id, "posts.imported", f"Import of posts: {', '.join(parts)}.")


def change_posts(
    tx: Connection,
    workspace_id: UUID,
    posts: Sequence[Post],
    change: Callable[[Draft, datetime], Draft],
    *,
    validate_only: bool,
) -> list[Changed]:
    """Gives each post, which the caller has locked, the draft that `change` makes of its own and of the time now; in
    their order. Tells it in one message. With `validate_only` nothing is saved.
    """
    now = store.database_time(tx)
    results: dict[UUID, Changed] = {}
    edits: list[tuple[Post, Draft]] = []
    for post in posts:
        try:
            draft = change(post.draft, now)
            if importing.changes(post.draft, draft):
                check_editable(post, "")
                edits.append((post, draft))
            else:
                results[post.post_id] = Changed(post, post.draft)
        except ReelrouteError as refusal:
            results[post.post_id] = Changed(post, post.draft, refusal=refusal)
    saved = (_judge_edits if validate_only else saving.change)(tx, workspace_id, edits)
    for (post, draft), each in zip(edits, saved, strict=True):
        results[post.post_id] = (
            Changed(post, draft, importing.changes(post.draft, draft), each.conflicts)
            if isinstance(each, Saved)
            else Changed(post, post.draft, refusal=each)
        )
    count = sum(bool(each.changes) for each in results.values())
    if count and not validate_only:
        _tell(tx, workspace_id, "posts.changed", f"{count} posts were changed at once.")
    return [results[post.post_id] for post in posts]


def _judge_edits(
    tx: Connection, workspace_id: UUID, edits: Sequence[tuple[Post, Draft]]
) -> list[Saved | ConflictRefused]:
    ids = [post.post_id for post, _ in edits]
    judged = saving.judge(tx, workspace_id, [draft for _, draft in edits], instead_of=ids)
    return [
        saving.refusal(conflicts) or Saved(post_id, conflicts) for post_id, conflicts in zip(ids, judged, strict=True)
    ]


def cancel_posts(tx: Connection, workspace_id: UUID, posts: Sequence[Post], *, validate_only: bool) -> list[Changed]:
    """Cancels posts, which the caller has locked, as CancelPost does; in their order. Tells it in one message. With
    `validate_only` nothing is canceled.
    """
    results: list[Changed] = []
    ended: list[UUID] = []
    for post in posts:
        try:
            mine = deliveries_to_cancel(post)
            was = ", ".join(sorted({each.state.value for each in post.deliveries if each.can_be_stopped}))
            changes = (FieldChange("state", was, DeliveryState.CANCELED.value),) if mine else ()
            results.append(Changed(post, post.draft, changes))
            ended += mine
        except ReelrouteError as refusal:
            results.append(Changed(post, post.draft, refusal=refusal))
    if ended and not validate_only:
        _settle(tx, ended)
        count = sum(bool(each.changes) for each in results)
        _tell(tx, workspace_id, "posts.canceled", f"{count} posts were canceled at once.")
    return results


def _settle(tx: Connection, delivery_ids: Sequence[UUID]) -> None:
    if delivery_ids:
        dispatch_store.settle(tx, [(each, _CANCELED) for each in delivery_ids])


def _tell(tx: Connection, workspace_id: UUID, kind: str, summary: str) -> None:
    store.tell(tx, [activity(workspace_id, kind, summary, store.database_time(tx))])
