"""The RPCs for thousands of posts: imports by key, changes by filter. Each chunk is one transaction."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

import grpc
import protovalidate
import structlog
from reelroute.scheduler.v1 import bulk_pb2 as pb
from reelroute.scheduler.v1 import bulk_pb2_grpc, scheduler_pb2

from kit import rpc_server
from kit.db import Database
from kit.errors import InvalidArgument, ReelrouteError, Unavailable
from kit.idempotency import claim_request, keep_answer
from kit.paging import Page
from services.scheduler import bulk, bulk_messages, bulk_store, importing, messages
from services.scheduler.bulk import Changed
from services.scheduler.domain import Draft, PostFilter
from services.scheduler.tables import requests

# Of a transaction, the workspace, posts that are locked, and validate_only.
_Change = Callable[..., list[Changed]]
Item = TypeVar("Item")
_POSTS_PER_CHUNK = 500
# What is kept of a change that has seen all of its posts, in the place of how far it came.
_DONE = b"."


class BulkBusy(Unavailable):
    """As many imports and changes run as this process takes at once. Come back in a moment."""


class BulkStopped(Unavailable):
    """The scheduler is being restarted between two chunks. Make the call again: what is done is not done twice."""


class FilterEmpty(InvalidArgument):
    """A change of posts must say which: a filter that names nothing would mean all of them."""


class BulkApi(bulk_pb2_grpc.BulkServiceServicer):
    """See bulk.proto for what each RPC promises."""

    def __init__(self, database: Database, *, most: int = 4) -> None:
        self._database = database
        self._validator = protovalidate.Validator()
        # Each holds a thread for as long as its caller likes.
        self._room = threading.BoundedSemaphore(most)
        self._closing = threading.Event()

    def close(self) -> None:
        """Calls that run end after the chunk that they are at."""
        self._closing.set()

    def ImportPosts(
        self, request_iterator: Iterator[pb.ImportPostsRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ImportPostsResponse]:
        with self._one_more():
            header = _header(request_iterator)
            structlog.contextvars.bind_contextvars(workspace_id=header.workspace_id)
            for chunk in _ahead(map(self._read, request_iterator)):
                self._check_open()
                yield pb.ImportPostsResponse(results=self._import(header, chunk))

    def ChangePosts(
        self, request: pb.ChangePostsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ChangePostsResponse]:
        wanted, change = _filter(request.filter), self._change_of(request)
        with self._one_more():
            page: Page | None = Page(_POSTS_PER_CHUNK, None)
            while page:
                self._check_open()
                results, page = self._change(request, wanted, change, page)
                if results:
                    yield pb.ChangePostsResponse(results=[bulk_messages.changed_to(each) for each in results])

    @contextmanager
    def _one_more(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise BulkBusy("Too many imports and changes run at once. Try again in a moment.", retry_after_seconds=5)
        try:
            yield
        finally:
            self._room.release()

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise BulkStopped("The scheduler is being restarted. Make the same call again.", retry_after_seconds=1)

    def _read(self, message: pb.ImportPostsRequest) -> list[tuple[str, Draft] | ReelrouteError]:
        """A chunk's rows, each as it is understood or why it is refused."""
        rows = _chunk(message)
        read: list[tuple[str, Draft] | ReelrouteError] = []
        for row, repeated in zip(rows, importing.first_of_each([row.key for row in rows]), strict=True):
            # Whoever saves the chunk before goes first: what is done here fits into its waits for the database.
            os.sched_yield()
            try:
                if repeated:
                    raise repeated
                self._check(row)
                read.append((row.key, messages.draft_from(row.post, messages.schedule_from(row.post))))
            except ReelrouteError as refusal:
                read.append(refusal)
        return read

    def _import(
        self, header: pb.ImportHeader, rows: Sequence[tuple[str, Draft] | ReelrouteError]
    ) -> list[pb.ImportResult]:
        workspace_id = UUID(header.workspace_id)
        good = [row for row in rows if not isinstance(row, ReelrouteError)]
        with self._database.transaction(workspace_id) as tx:
            done = iter(bulk.import_rows(tx, workspace_id, good, validate_only=header.validate_only))
        return [bulk_messages.imported_to(row if isinstance(row, ReelrouteError) else next(done)) for row in rows]

    def _check(self, message: pb.ImportRow | scheduler_pb2.PostDraft) -> None:
        violations = rpc_server.check(self._validator, message)
        if violations:
            raise InvalidArgument(f"{violations[0].field}: {violations[0].description}", violations)

    def _change(
        self, request: pb.ChangePostsRequest, wanted: PostFilter, change: _Change, page: Page
    ) -> tuple[list[Changed], Page | None]:
        """One chunk, and the page of the next: None when this was the last.

        How far the request came is kept in the chunk's own transaction. So whoever repeats it goes on behind, also
        behind posts that it has moved: those that move to later are walked from the last one on.
        """
        workspace_id = UUID(request.workspace_id)
        latest_first = request.WhichOneof("change") == "shift" and bulk_messages.shift_from(request.shift) > timedelta()
        with self._database.transaction(workspace_id) as tx:
            if not request.validate_only:
                known = claim_request(
                    tx, requests, workspace_id=workspace_id, request_id=request.request_id, request=request
                )
                if known == _DONE:
                    return [], None
                if known:
                    page = _page(known.decode())
            found = bulk_store.find_posts(tx, workspace_id, wanted, page, latest_first=latest_first)
            posts = bulk_store.lock_posts(tx, workspace_id, wanted, [post_id for _, post_id in found])
            results = change(tx, workspace_id, posts, validate_only=request.validate_only)
            after = Page.token(*found[-1]) if len(found) == page.size else ""
            if not request.validate_only:
                keep_answer(
                    tx,
                    requests,
                    workspace_id=workspace_id,
                    request_id=request.request_id,
                    answer=after.encode() or _DONE,
                )
        return results, _page(after) if after else None

    def _change_of(self, request: pb.ChangePostsRequest) -> _Change:
        match request.WhichOneof("change"):
            case "cancel":
                return bulk.cancel_posts
            case "shift":
                by = bulk_messages.shift_from(request.shift)
                if not by:
                    raise InvalidArgument.of_field("shift", "Say by how much: days, time, or both.")
                edited = partial(importing.shifted, by=by)
            case _:
                edited = partial(self._edited, edit=request.edit)

        def change(draft: Draft, now: datetime) -> Draft:
            return replace(edited(draft, now=now), accept_conflicts=request.accept_conflicts)

        return partial(bulk.change_posts, change=change)

    def _edited(self, draft: Draft, *, now: datetime, edit: pb.Edit) -> Draft:
        message = messages.edited(draft, edit.post, edit.update_mask)
        self._check(message)
        schedule = messages.schedule_from(message, now) if "time_zone" in edit.update_mask else draft.schedule
        return messages.draft_from(message, schedule)


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each made in another thread while the one before it is worked on."""
    reader = ThreadPoolExecutor(1, thread_name_prefix="import")
    try:
        coming = reader.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, items, None)
            yield item
    finally:
        # Its last wait ends with the call.
        reader.shutdown(wait=False)


def _page(token: str) -> Page:
    return Page.parse(_POSTS_PER_CHUNK, token, (datetime, UUID), most=_POSTS_PER_CHUNK)


def _header(messages_: Iterator[pb.ImportPostsRequest]) -> pb.ImportHeader:
    first = next(messages_, None)
    if first is None or first.WhichOneof("part") != "header":
        raise InvalidArgument.of_field("header", "The first message of an import is its header, with workspace_id.")
    return first.header


def _chunk(message: pb.ImportPostsRequest) -> Sequence[pb.ImportRow]:
    if message.WhichOneof("part") != "chunk":
        raise InvalidArgument.of_field("chunk", "After its header an import has nothing but chunks.")
    return message.chunk.rows


def _filter(message: pb.PostFilter) -> PostFilter:
    if not message.ListFields():
        raise FilterEmpty.of_field(
            "filter", "Say which posts are meant: a time range, a channel, a series, or their ids."
        )
    return messages.filter_from(message)
