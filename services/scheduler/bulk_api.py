"""The RPCs for thousands of posts: imports by key, changes by filter. Each chunk is one transaction."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import grpc
import protovalidate
import structlog
from reelroute.scheduler.v1 import bulk_pb2 as pb
from reelroute.scheduler.v1 import bulk_pb2_grpc, scheduler_pb2
from sqlalchemy import Connection

from kit import rpc_server
from kit.activity import activity
from kit.db import Database
from kit.errors import InvalidArgument, ReelrouteError, Unavailable
from kit.idempotency import claim_request
from kit.outbox import Notice
from kit.timestamps import to_timestamp
from services.scheduler import bulk_store, dispatch_store, domain, importing, messages, saving, store, zones
from services.scheduler.conflicts import Conflict, ConflictRefused
from services.scheduler.deciding import NOBODY, Fate
from services.scheduler.importing import FieldChange, Outcome
from services.scheduler.saving import Saved
from services.scheduler.tables import requests

_CANCELED = Fate(domain.DeliveryState.CANCELED)
_CHANGES_PER_CHUNK = 500
_OUTCOME = {each: pb.ImportOutcome.Value(f"IMPORT_OUTCOME_{each.value}") for each in Outcome}


class BulkBusy(Unavailable):
    """As many imports and changes run as this process takes at once. Come back in a moment."""


class FilterEmpty(InvalidArgument):
    """A change of posts must say which: a filter that names nothing would mean all of them."""


class BulkApi(bulk_pb2_grpc.BulkServiceServicer):
    """See bulk.proto for what each RPC promises."""

    def __init__(self, database: Database, *, most: int = 4) -> None:
        self._database = database
        self._validator = protovalidate.Validator()
        # Each holds a thread for as long as its caller likes.
        self._room = threading.BoundedSemaphore(most)

    def ImportPosts(
        self, request_iterator: Iterator[pb.ImportPostsRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ImportPostsResponse]:
        with self._one():
            header = _header(request_iterator)
            structlog.contextvars.bind_contextvars(workspace_id=header.workspace_id)
            workspace_id = UUID(header.workspace_id)
            for message in request_iterator:
                with self._database.transaction(workspace_id) as tx:
                    results = self._import(tx, workspace_id, message.chunk.rows, header.validate_only)
                yield pb.ImportPostsResponse(results=results)

    def ChangePosts(
        self, request: pb.ChangePostsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ChangePostsResponse]:
        with self._one():
            yield from self._change(request)

    @contextmanager
    def _one(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise BulkBusy("Too many imports run at once. Try again in a moment.", retry_after_seconds=5)
        try:
            yield
        finally:
            self._room.release()

    def _import(
        self, tx: Connection, workspace_id: UUID, rows: Sequence[pb.ImportRow], validate_only: bool
    ) -> list[pb.ImportResult]:
        bulk_store.take_turn(tx, workspace_id)
        saved = bulk_store.read_by_keys(tx, workspace_id, [row.key for row in rows])
        repeated = importing.first_of_each([row.key for row in rows])
        now = store.database_time(tx)
        work = _Import()
        for index, row in enumerate(rows):
            try:
                if (fault := repeated[index]) is not None:
                    raise fault
                self._check(row)
                before = saved.get(row.key)
                work.add(index, row.key, before, messages.draft_from(row.post, _schedule(row.post, before, now)))
            except ReelrouteError as refusal:
                work.refuse(index, refusal)
        if validate_only:
            work.judge(tx, workspace_id)
        else:
            work.save(tx, workspace_id)
            store.tell(tx, work.told(workspace_id, now))
        return [work.results[index] for index in range(len(rows))]

    def _check(self, message: pb.ImportRow | scheduler_pb2.PostDraft) -> None:
        violations = rpc_server.check(self._validator, message)
        if violations:
            raise InvalidArgument(f"{violations[0].field}: {violations[0].description}", violations)

    def _change(self, request: pb.ChangePostsRequest) -> Iterator[pb.ChangePostsResponse]:
        workspace_id = UUID(request.workspace_id)
        wanted = _filter(request.filter)
        change_id = uuid5(workspace_id, request.request_id)
        with self._database.transaction(workspace_id) as tx:
            if not request.validate_only:
                claim_request(tx, requests, workspace_id=workspace_id, request_id=request.request_id, request=request)
            found = bulk_store.find_posts(tx, workspace_id, wanted, change_id)
        # The later first where they move to later, so that none meets one that is still to move.
        ahead = request.WhichOneof("change") == "shift" and _shift(request.shift) > timedelta()
        ordered = found[::-1] if ahead else found
        for start in range(0, len(ordered), _CHANGES_PER_CHUNK):
            chunk = ordered[start : start + _CHANGES_PER_CHUNK]
            with self._database.transaction(workspace_id) as tx:
                results = self._change_chunk(tx, workspace_id, request, [each for each, _ in chunk], change_id)
            yield pb.ChangePostsResponse(
                results=[results.get(each) or pb.ChangeResult(post_id=str(each)) for each, _ in chunk]
            )

    def _change_chunk(
        self, tx: Connection, workspace_id: UUID, request: pb.ChangePostsRequest, ids: Sequence[UUID], change_id: UUID
    ) -> dict[UUID, pb.ChangeResult]:
        posts = bulk_store.lock_posts(tx, workspace_id, ids, change_id)
        now = store.database_time(tx)
        results: dict[UUID, pb.ChangeResult] = {}
        if request.WhichOneof("change") == "cancel":
            return self._cancel(tx, workspace_id, posts, change_id, now, validate_only=request.validate_only)
        edits: list[tuple[domain.Post, domain.Draft]] = []
        for post in posts:
            try:
                draft = self._changed(post.draft, request, now)
                if importing.changes(post.draft, draft):
                    domain.check_editable(post, "")
                    edits.append((post, draft))
                else:
                    results[post.post_id] = _change_result(post, post.draft, ())
            except ReelrouteError as refusal:
                results[post.post_id] = _refused(post, refusal)
        for (post, draft), saved in zip(
            edits, self._save_changes(tx, workspace_id, edits, request, change_id), strict=True
        ):
            results[post.post_id] = (
                _change_result(post, draft, importing.changes(post.draft, draft), saved.conflicts)
                if isinstance(saved, Saved)
                else _refused(post, saved)
            )
        changed = sum(not each.HasField("refusal") for each in results.values())
        if edits and not request.validate_only:
            store.tell(tx, [activity(workspace_id, "posts.changed", f"{changed} posts were changed at once.", now)])
        return results

    def _save_changes(
        self,
        tx: Connection,
        workspace_id: UUID,
        edits: Sequence[tuple[domain.Post, domain.Draft]],
        request: pb.ChangePostsRequest,
        change_id: UUID,
    ) -> list[Saved | ConflictRefused]:
        if not request.validate_only:
            return saving.change(tx, workspace_id, edits, change_id=change_id)
        posts = [post.post_id for post, _ in edits]
        judged = saving.judge(tx, workspace_id, [draft for _, draft in edits], instead_of=posts)
        return [
            saving.refusal(conflicts) or Saved(post_id, conflicts)
            for post_id, conflicts in zip(posts, judged, strict=True)
        ]

    def _changed(self, draft: domain.Draft, request: pb.ChangePostsRequest, now: datetime) -> domain.Draft:
        if request.WhichOneof("change") == "shift":
            local = (draft.schedule.local_time + _shift(request.shift)).isoformat()
            schedule = zones.resolve(local, draft.schedule.time_zone, None, now)
            return replace(draft, schedule=schedule, accept_conflicts=request.accept_conflicts)
        message = messages.edited(draft, request.edit.post, request.edit.update_mask)
        message.accept_conflicts = request.accept_conflicts
        self._check(message)
        moved = "time_zone" in request.edit.update_mask
        return messages.draft_from(message, messages.schedule_from(message, now) if moved else draft.schedule)

    def _cancel(
        self,
        tx: Connection,
        workspace_id: UUID,
        posts: Sequence[domain.Post],
        change_id: UUID,
        now: datetime,
        *,
        validate_only: bool,
    ) -> dict[UUID, pb.ChangeResult]:
        results: dict[UUID, pb.ChangeResult] = {}
        ended: list[UUID] = []
        for post in posts:
            try:
                mine = domain.deliveries_to_cancel(post)
                change = FieldChange(
                    "state", ", ".join(sorted({each.state.value for each in post.deliveries})), "CANCELED"
                )
                results[post.post_id] = _change_result(post, post.draft, [change] if mine else [])
                ended += mine
            except ReelrouteError as refusal:
                results[post.post_id] = _refused(post, refusal)
        if ended and not validate_only:
            dispatch_store.settle(tx, [(delivery_id, _CANCELED) for delivery_id in ended])
            done = [post.post_id for post in posts if not results[post.post_id].HasField("refusal")]
            bulk_store.mark_changed(tx, workspace_id, done, change_id)
            store.tell(tx, [activity(workspace_id, "posts.canceled", f"{len(done)} posts were canceled at once.", now)])
        return results


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that changes something: its place in the chunk, its key, the post that is there, and what it wants."""

    index: int
    key: str
    before: domain.Post | None
    draft: domain.Draft
    outcome: Outcome


class _Import:
    """One chunk on its way in: what each row does, and the answer of each."""

    def __init__(self) -> None:
        self.results: dict[int, pb.ImportResult] = {}
        self._rows: list[_Row] = []

    def refuse(self, index: int, refusal: ReelrouteError) -> None:
        """The row is not taken."""
        self.results[index] = pb.ImportResult(outcome=pb.IMPORT_OUTCOME_REFUSED, refusal=messages.refusal_to(refusal))

    def add(self, index: int, key: str, before: domain.Post | None, draft: domain.Draft) -> None:
        """What the row does. Raises PostNotEditable and DeliveryInProgress."""
        outcome, changes = importing.outcome(before, draft)
        if outcome is Outcome.UPDATED and before:
            domain.check_editable(before, "")
        if outcome is Outcome.REPLACED and before and len(domain.deliveries_to_cancel(before)) < len(before.deliveries):
            raise domain.PostNotEditable(
                "A part of this post has gone out, so its accounts cannot be changed. Give the row another key.",
                metadata={"post_id": str(before.post_id)},
            )
        self.results[index] = pb.ImportResult(
            outcome=_OUTCOME[outcome],
            post_id=str(before.post_id) if before and outcome is not Outcome.CREATED else "",
            schedule_time=to_timestamp(draft.schedule.instant),
            changes=_changes(changes),
        )
        if outcome is not Outcome.UNCHANGED:
            self._rows.append(_Row(index, key, before, draft, outcome))

    def judge(self, tx: Connection, workspace_id: UUID) -> None:
        """Only says what would be refused."""
        instead = [row.before.post_id if row.before else None for row in self._rows]
        judged = saving.judge(tx, workspace_id, [row.draft for row in self._rows], instead_of=instead)
        for row, conflicts in zip(self._rows, judged, strict=True):
            self._answer(
                row, saving.refusal(conflicts) or Saved(row.before.post_id if row.before else NOBODY, conflicts)
            )

    def save(self, tx: Connection, workspace_id: UUID) -> None:
        """Writes what breaks no rule."""
        updates = [row for row in self._rows if row.outcome is Outcome.UPDATED]
        edits = [(row.before, row.draft) for row in updates if row.before]
        for row, saved in zip(updates, saving.change(tx, workspace_id, edits), strict=True):
            self._answer(row, saved)
        news = [row for row in self._rows if row.outcome is not Outcome.UPDATED]
        self._make_room(tx, workspace_id, [row.before for row in news if row.before])
        new_posts = [domain.NewPost(row.draft, import_key=row.key) for row in news]
        for row, saved in zip(news, saving.save(tx, workspace_id, new_posts), strict=True):
            self._answer(row, saved)
            if isinstance(saved, Saved):
                self.results[row.index].post_id = str(saved.post_id)

    def _make_room(self, tx: Connection, workspace_id: UUID, former: Sequence[domain.Post]) -> None:
        """Of posts that others take the place of."""
        bulk_store.free_keys(tx, workspace_id, [post.post_id for post in former])
        ended = [each for post in former for each in domain.deliveries_to_cancel(post)]
        if ended:
            dispatch_store.settle(tx, [(delivery_id, _CANCELED) for delivery_id in ended])

    def _answer(self, row: _Row, saved: Saved | ConflictRefused) -> None:
        if isinstance(saved, Saved):
            self.results[row.index].conflicts.extend(messages.conflicts_to(saved.conflicts))
        else:
            self.refuse(row.index, saved)

    def told(self, workspace_id: UUID, now: datetime) -> list[Notice]:
        """One message for the whole chunk."""
        counts = Counter(self.results[row.index].outcome for row in self._rows)
        parts = [
            f"{counts[_OUTCOME[outcome]]} {word}"
            for outcome, word in (
                (Outcome.CREATED, "scheduled"),
                (Outcome.UPDATED, "changed"),
                (Outcome.REPLACED, "replaced"),
            )
            if counts[_OUTCOME[outcome]]
        ]
        if not parts:
            return []
        return [activity(workspace_id, "posts.imported", f"Import of posts: {', '.join(parts)}.", now)]


def _header(requests_: Iterator[pb.ImportPostsRequest]) -> pb.ImportHeader:
    first = next(requests_, None)
    if first is None or first.WhichOneof("part") != "header":
        raise InvalidArgument.of_field("header", "The first message of an import is its header, with workspace_id.")
    return first.header


def _schedule(post: scheduler_pb2.PostDraft, before: domain.Post | None, now: datetime) -> domain.Schedule:
    """When the row wants it. A time that is over is fine where it is the one that is saved."""
    try:
        return messages.schedule_from(post, now)
    except zones.ScheduleTimeInPast:
        saved = before.draft.schedule if before else None
        if saved and (datetime.fromisoformat(post.local_time), post.time_zone) == (saved.local_time, saved.time_zone):
            return saved
        raise


def _filter(message: pb.PostFilter) -> domain.PostFilter:
    if not message.ListFields():
        raise FilterEmpty.of_field(
            "filter", "Say which posts are meant: a time range, a channel, a series, or their ids."
        )
    return messages.filter_from(message)


def _shift(shift: pb.Shift) -> timedelta:
    return timedelta(days=shift.days) + shift.time.ToTimedelta()


def _changes(changes: Sequence[FieldChange]) -> list[pb.FieldChange]:
    return [pb.FieldChange(field=each.field, before=each.before, after=each.after) for each in changes]


def _change_result(
    post: domain.Post,
    draft: domain.Draft,
    changes: Sequence[FieldChange],
    conflicts: Sequence[Conflict] = (),
) -> pb.ChangeResult:
    return pb.ChangeResult(
        post_id=str(post.post_id),
        ref=draft.ref,
        changes=pb.FieldChanges(changes=_changes(changes)),
        conflicts=messages.conflicts_to(conflicts),
        schedule_time=to_timestamp(draft.schedule.instant),
    )


def _refused(post: domain.Post, refusal: ReelrouteError) -> pb.ChangeResult:
    return pb.ChangeResult(
        post_id=str(post.post_id),
        ref=post.draft.ref,
        refusal=messages.refusal_to(refusal),
        schedule_time=to_timestamp(post.draft.schedule.instant),
    )
