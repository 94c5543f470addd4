"""The RPCs of series. Each is one transaction, in which the series is locked when anything of it changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from uuid import UUID

import grpc
import protovalidate
from google.protobuf.message import Message
from reelroute.scheduler.v1 import series_pb2 as pb
from reelroute.scheduler.v1 import series_pb2_grpc
from sqlalchemy import Connection

from kit import rpc_server
from kit.db import ALL_WORKSPACES, Database, new_id
from kit.errors import InvalidArgument
from kit.idempotency import once
from kit.paging import Page
from kit.timestamps import from_timestamp
from services.scheduler import messages, recurrence, series_editing, series_making, series_store, store, zones
from services.scheduler import series as domain
from services.scheduler import series_messages as translate
from services.scheduler.domain import AmbiguousTime, Draft
from services.scheduler.recurrence import Recurrence
from services.scheduler.series import Listed, OccurrenceState, Series
from services.scheduler.tables import requests
from services.scheduler.zones import LocalTimes

_PREVIEWED = 10
_SHOWN = 200  # occurrences in the answer to a creation or an edit


class SeriesApi(series_pb2_grpc.SeriesServiceServicer):
    """See series.proto for what each RPC promises. Posts are made up to `ahead`."""

    def __init__(self, database: Database, ahead: timedelta) -> None:
        self._database = database
        self._ahead = ahead
        self._validator = protovalidate.Validator()

    def CreateSeries(self, request: pb.CreateSeriesRequest, context: grpc.ServicerContext) -> pb.CreateSeriesResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:

            def make() -> pb.CreateSeriesResponse:
                now = store.database_time(tx)
                rule, post = self._draft(request.series, now, is_new_rule=True)
                of = Series(
                    series_id=new_id(),
                    workspace_id=workspace_id,
                    name=request.series.name,
                    recurrence=rule,
                    post=post,
                    made_until=None,
                    next_time=now,
                    end_time=None,
                    previous_series_id=None,
                    revision=1,
                    create_time=now,
                    update_time=now,
                )
                of = series_making.begun(of, zones.local_at(now, rule.time_zone))
                series_store.insert_series(tx, of)
                made = series_making.make(tx, of, self._ahead, now)
                text = f"The series {of.name!r} recurs {recurrence.describe(rule)}: {made.posts} posts were made."
                series_making.tell(tx, of, "series.created", text, posts=str(made.posts))
                return pb.CreateSeriesResponse(
                    series=translate.series_to(made.series, now),
                    occurrences=_shown(tx, made.series, of.unmade_from),
                )

            return once(
                tx,
                requests,
                workspace_id=workspace_id,
                request_id=request.request_id,
                request=request,
                response_type=pb.CreateSeriesResponse,
                make=make,
            )

    def GetSeries(self, request: pb.GetSeriesRequest, context: grpc.ServicerContext) -> pb.GetSeriesResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            of = series_store.read_series(tx, workspace_id, UUID(request.series_id))
            return pb.GetSeriesResponse(series=translate.series_to(of, store.database_time(tx)))

    def ListSeries(self, request: pb.ListSeriesRequest, context: grpc.ServicerContext) -> pb.ListSeriesResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID))
        with self._database.transaction(workspace_id) as tx:
            now = store.database_time(tx)
            state = translate.state_from(request.state)
            found = series_store.list_series(tx, workspace_id, page, channel=request.channel, state=state)
        shown, token = page.cut(found, lambda each: (each.create_time, each.series_id))
        return pb.ListSeriesResponse(series=[translate.series_to(each, now) for each in shown], next_page_token=token)

    def UpdateSeries(self, request: pb.UpdateSeriesRequest, context: grpc.ServicerContext) -> pb.UpdateSeriesResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            return once(
                tx,
                requests,
                workspace_id=workspace_id,
                request_id=request.request_id,
                request=request,
                response_type=pb.UpdateSeriesResponse,
                make=lambda: self._update(tx, request, store.database_time(tx)),
            )

    def _update(self, tx: Connection, request: pb.UpdateSeriesRequest, now: datetime) -> pb.UpdateSeriesResponse:
        old = series_store.read_series(tx, UUID(request.workspace_id), UUID(request.series_id), lock=True)
        domain.check_current(old, request.etag)
        draft = translate.draft_to(old)
        for name in request.update_mask:
            draft.ClearField(name)  # type: ignore[arg-type]
            draft.MergeFrom(_only(request.series, name))
        is_new_rule = "recurrence" in request.update_mask
        rule, post = self._draft(draft, now, is_new_rule=is_new_rule)
        new = replace(old, name=draft.name, recurrence=rule, post=post, revision=old.revision + 1)
        start = zones.local_at(now, rule.time_zone) - series_editing.REACH
        if (following := _following(old, request.from_occurrence_time)) is not None:
            start = following
            series_store.update_series(tx, series_editing.ended(old, start))
            new = series_editing.rest(old, new, start, now, is_new_rule=is_new_rule)
            series_store.insert_series(tx, new)
        followed = series_editing.follow(tx, old, new, start, now)
        series_store.update_series(tx, followed.series)
        made = series_making.make(tx, followed.series, self._ahead, now)
        text = (
            f"The series {new.name!r} was changed: {', '.join(sorted(request.update_mask))}. It recurs"
            f" {recurrence.describe(new.recurrence)}. Of its posts {followed.changed} were changed,"
            f" {followed.canceled} canceled, {made.posts} made."
        )
        series_making.tell(tx, new, "series.updated", text)
        return pb.UpdateSeriesResponse(
            series=translate.series_to(made.series, now),
            occurrences=_shown(tx, made.series, followed.series.unmade_from),
        )

    def _draft(self, draft: pb.SeriesDraft, now: datetime, *, is_new_rule: bool) -> tuple[Recurrence, Draft]:
        """When a series recurs and what it publishes. A rule that was checked before may be over."""
        with _within("series"):
            self._check(draft)
        with _within("series.recurrence"):
            rule = translate.recurrence_from(draft.recurrence)
            if is_new_rule:
                recurrence.check(rule, now)
        with _within("series.post"):
            message = translate.with_start(draft)
            self._check(message)
            schedule = zones.schedule_at(rule.start_time, rule.time_zone, rule.fold)
            return rule, messages.draft_from(message, schedule)

    def _check(self, message: Message) -> None:
        violations = rpc_server.check(self._validator, message)
        if violations:
            raise InvalidArgument(f"{violations[0].field}: {violations[0].description}", violations)

    def EndSeries(self, request: pb.EndSeriesRequest, context: grpc.ServicerContext) -> pb.EndSeriesResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            now = store.database_time(tx)
            of = series_store.read_series(tx, workspace_id, UUID(request.series_id), lock=True)
            start = zones.local_at(now, of.recurrence.time_zone)
            if request.from_occurrence_time:
                start = zones.parse_local(request.from_occurrence_time, "from_occurrence_time")
            after, canceled = series_editing.end(tx, of, start)
            if after.recurrence != of.recurrence:
                after = replace(after, revision=of.revision + 1)
                series_store.update_series(tx, after)
                text = f"The series {of.name!r} ends before {start:%Y-%m-%d %H:%M}. {canceled} posts were canceled."
                series_making.tell(tx, of, "series.ended", text)
        return pb.EndSeriesResponse(series=translate.series_to(after, now), canceled_posts=canceled)

    def ChangeOccurrence(
        self, request: pb.ChangeOccurrenceRequest, context: grpc.ServicerContext
    ) -> pb.ChangeOccurrenceResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            now = store.database_time(tx)
            of = series_store.read_series(tx, workspace_id, UUID(request.series_id), lock=True)
            time = zones.parse_local(request.occurrence_time, "occurrence_time")
            if not recurrence.has(of.recurrence, time):
                raise domain.occurrence_not_found(of, time)
            name = f"The occurrence at {time:%Y-%m-%d %H:%M} of the series {of.name!r}"
            match request.WhichOneof("change"):
                case "skip":
                    post_id = series_editing.skip(tx, of, time)
                    kind, text = "occurrence.skipped", f"{name} does not take place."
                case "move_to_time":
                    with _named("move_to_time"):
                        ambiguous = AmbiguousTime(of.recurrence.fold)
                        to = zones.resolve(request.move_to_time, of.recurrence.time_zone, ambiguous, now)
                    post_id = series_editing.move(tx, of, time, to)
                    kind, text = "occurrence.moved", f"{name} is at {to.local_time:%Y-%m-%d %H:%M} instead."
                case _:
                    post_id = series_editing.restore(tx, of, time, now)
                    kind, text = "occurrence.restored", f"{name} is as the rule says again."
            series_making.tell(tx, of, kind, text, post_id=post_id)
            (listed,) = series_editing.list_occurrences(tx, of, [time])
        return pb.ChangeOccurrenceResponse(occurrence=translate.occurrence_to(listed, _times(of, listed, "")))

    def ListOccurrences(
        self, request: pb.ListOccurrencesRequest, context: grpc.ServicerContext
    ) -> pb.ListOccurrencesResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (datetime,))
        other = _other_zone(request.other_time_zone)
        with self._database.transaction(workspace_id) as tx:
            of = series_store.read_series(tx, workspace_id, UUID(request.series_id))
            start = store.database_time(tx)
            if request.HasField("from_time"):
                start = from_timestamp(request.from_time, "from_time")
            after = page.after[0].replace(tzinfo=None) if page.after else None
            found = series_editing.list_from(tx, of, start, after, page.size + 1)
        shown, token = page.cut(found, lambda each: (each.time,))
        return pb.ListOccurrencesResponse(
            occurrences=[translate.occurrence_to(each, _times(of, each, other)) for each in shown],
            next_page_token=token,
        )

    def PreviewRecurrence(
        self, request: pb.PreviewRecurrenceRequest, context: grpc.ServicerContext
    ) -> pb.PreviewRecurrenceResponse:
        other = _other_zone(request.other_time_zone)
        with self._database.transaction(ALL_WORKSPACES) as tx:
            now = store.database_time(tx)
        with _within("recurrence"):
            rule = translate.recurrence_from(request.recurrence)
            recurrence.check(rule, now)
        first = max(rule.start_time, zones.local_at(now, rule.time_zone))
        times = islice(recurrence.occurrences(rule, first), request.max_occurrences or _PREVIEWED)
        instants = [zones.schedule_at(each, rule.time_zone, rule.fold).instant for each in times]
        return pb.PreviewRecurrenceResponse(
            times=[translate.local_times_to(zones.local_times(each, rule.time_zone, other)) for each in instants],
            description=recurrence.describe(rule),
        )


def _shown(tx: Connection, of: Series, start: datetime) -> list[pb.Occurrence]:
    """What is made of a series, or could not be, from a wall-clock time on."""
    times = takewhile(lambda each: each < of.unmade_from, recurrence.occurrences(of.recurrence, start))
    found = series_editing.list_occurrences(tx, of, list(islice(times, _SHOWN)))
    made = (OccurrenceState.POSTED, OccurrenceState.REFUSED)
    return [translate.occurrence_to(each, _times(of, each, "")) for each in found if each.state in made]


def _times(of: Series, listed: Listed, other: str) -> LocalTimes:
    return zones.local_times(listed.instant, of.recurrence.time_zone, other)


def _following(of: Series, text: str) -> datetime | None:
    """The occurrence from which on a series is to be changed; None for the whole of it.

    Raises OccurrenceNotFound.
    """
    if not text:
        return None
    time = zones.parse_local(text, "from_occurrence_time")
    if not recurrence.has(of.recurrence, time):
        raise domain.occurrence_not_found(of, time)
    first = next(recurrence.occurrences(of.recurrence, of.recurrence.start_time))
    return None if time == first else time


def _only(draft: pb.SeriesDraft, name: str) -> pb.SeriesDraft:
    """A draft that holds one field of another."""
    result = pb.SeriesDraft()
    result.CopyFrom(draft)
    for field in result.DESCRIPTOR.fields:
        if field.name != name:
            result.ClearField(field.name)  # type: ignore[arg-type]
    return result


def _other_zone(name: str) -> str:
    if name:
        zones.check_zone(name, "other_time_zone")
    return name


@contextmanager
def _within(path: str) -> Iterator[None]:
    """Names the fields of a refusal by their paths in the request."""
    try:
        yield
    except InvalidArgument as refusal:
        refusal.violations = [replace(each, field=f"{path}.{each.field}") for each in refusal.violations]
        raise


@contextmanager
def _named(field: str) -> Iterator[None]:
    """Names the field that a refusal is about as the request does."""
    try:
        yield
    except InvalidArgument as refusal:
        refusal.violations = [replace(each, field=field) for each in refusal.violations]
        raise
