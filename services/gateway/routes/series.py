"""Series: made, looked at, changed, ended; single occurrences skipped, moved, restored."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Response
from reelroute.scheduler.v1 import series_pb2

from kit.errors import Conflict
from services.gateway.auth import Caller
from services.gateway.checks import Checked, Checker, Plan
from services.gateway.clients import Clients
from services.gateway.errors import EtagNotCurrent
from services.gateway.models.drafts import LocalTime, PostContent
from services.gateway.models.fields import Instant, Text
from services.gateway.models.problems import problems
from services.gateway.models.series import (
    EndedSeries,
    Occurrence,
    OccurrenceList,
    OccurrenceMove,
    RecurrencePreview,
    RecurrenceQuestion,
    SavedSeries,
    Series,
    SeriesDraft,
    SeriesList,
    SeriesPatch,
    StateWord,
)
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import (
    Caller_,
    Clients_,
    Id,
    IfMatch,
    OtherTimeZone,
    PageSize,
    PageToken,
    RequestId,
    etag_in,
)

router = APIRouter(route_class=ApiRoute, tags=["Series"])


# A wall-clock time has colons of its own.
_OCCURRENCE = "/v1/series/{series_id:id}/occurrences/{occurrence_time}"

FromOccurrence = Annotated[
    LocalTime | None,
    Query(description="The first occurrence that is meant, as the rule gives it, before any move."),
]


@router.post("/v1/series", status_code=201, responses=problems(409, body=True))
async def create_series(
    draft: SeriesDraft, caller: Caller_, clients: Clients_, request_id: RequestId, response: Response
) -> SavedSeries:
    """Makes a series and the posts of its first occurrences; the others follow ahead of their time.

    What it publishes is checked as that of a single post. An occurrence that cannot become a post, because a rule of
    its channel's plan closes its time, is told in `occurrences`; it may be moved.
    """
    checked = await _check(clients, caller, draft.post)
    request = series_pb2.CreateSeriesRequest(
        workspace_id=caller.workspace_id,
        request_id=request_id,
        series=series_pb2.SeriesDraft(
            name=draft.name, recurrence=draft.recurrence.to_proto(), post=checked.to_proto(draft.post)
        ),
    )
    answer = await clients.call(clients.series.CreateSeries, request)
    response.headers["Location"] = f"/v1/series/{answer.series.series_id}"
    response.headers["ETag"] = f'"{answer.series.etag}"'
    return SavedSeries.saved(answer, checked.warnings)


@router.post("/v1/series:preview", responses=problems(body=True))
async def preview_recurrence(
    question: RecurrenceQuestion, _caller: Caller_, clients: Clients_, _request_id: RequestId
) -> RecurrencePreview:
    """Shows when a rule would recur, in two zones and in words. Saves nothing."""
    request = series_pb2.PreviewRecurrenceRequest(
        recurrence=question.recurrence.to_proto(),
        other_time_zone=question.other_time_zone,
        max_occurrences=question.max_occurrences,
    )
    return RecurrencePreview.of(await clients.call(clients.series.PreviewRecurrence, request))


@router.get("/v1/series", responses=problems())
async def list_series(
    caller: Caller_,
    clients: Clients_,
    channel: Annotated[Text, Query(max_length=64, description="Only of this channel.")] = "",
    state: Annotated[StateWord | None, Query(description="Only in this state.")] = None,
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> SeriesList:
    """Lists series, newest first."""
    request = series_pb2.ListSeriesRequest(
        workspace_id=caller.workspace_id,
        page_size=page_size,
        page_token=page_token,
        channel=channel,
        state=series_pb2.SeriesState.Value(f"SERIES_STATE_{state or 'UNSPECIFIED'}"),
    )
    answer = await clients.call(clients.series.ListSeries, request)
    return SeriesList(series=[Series.of(each) for each in answer.series], next_page_token=answer.next_page_token)


@router.get("/v1/series/{series_id:id}", responses=problems(404))
async def get_series(series_id: Id, caller: Caller_, clients: Clients_, response: Response) -> Series:
    """Reads a series."""
    request = series_pb2.GetSeriesRequest(workspace_id=caller.workspace_id, series_id=str(series_id))
    series = (await clients.call(clients.series.GetSeries, request)).series
    response.headers["ETag"] = f'"{series.etag}"'
    return Series.of(series)


@router.patch("/v1/series/{series_id:id}", responses=problems(404, 409, 412, body=True))
async def update_series(
    series_id: Id,
    patch: SeriesPatch,
    caller: Caller_,
    clients: Clients_,
    request_id: RequestId,
    response: Response,
    from_occurrence_time: FromOccurrence = None,
    if_match: IfMatch = None,
) -> SavedSeries:
    """Changes a series, as a whole or from an occurrence on (“this and following”).

    With `from_occurrence_time` earlier occurrences stay: the series ends before it, and the answer is the new series
    that goes on from there, with the skips and moves of later occurrences where its rule still has them. Posts that
    have gone out, or are going out, stay.
    """
    checked = await _check(clients, caller, patch.post) if patch.post else None
    wanted = etag_in(if_match)
    request = series_pb2.UpdateSeriesRequest(
        workspace_id=caller.workspace_id,
        request_id=request_id,
        series_id=str(series_id),
        from_occurrence_time=from_occurrence_time or "",
        series=series_pb2.SeriesDraft(
            name=patch.name or "",
            recurrence=patch.recurrence.to_proto() if patch.recurrence else None,
            post=checked.to_proto(patch.post) if checked and patch.post else None,
        ),
        update_mask=patch.given,
        etag=wanted,
    )
    try:
        answer = await clients.call(clients.series.UpdateSeries, request)
    except Conflict as conflict:
        if wanted:
            raise EtagNotCurrent(conflict.message, code_reason=conflict.reason) from None
        raise
    response.headers["ETag"] = f'"{answer.series.etag}"'
    return SavedSeries.saved(answer, checked.warnings if checked else [])


@router.post("/v1/series/{series_id:id}:end", responses=problems(404))
async def end_series(
    series_id: Id,
    caller: Caller_,
    clients: Clients_,
    _request_id: RequestId,
    from_occurrence_time: FromOccurrence = None,
) -> EndedSeries:
    """Ends a series before an occurrence, by default now: later posts that have not been let go are canceled.

    May be repeated, with or without `Idempotency-Key`.
    """
    request = series_pb2.EndSeriesRequest(
        workspace_id=caller.workspace_id,
        series_id=str(series_id),
        from_occurrence_time=from_occurrence_time or "",
    )
    return EndedSeries.ended(await clients.call(clients.series.EndSeries, request))


@router.get("/v1/series/{series_id:id}/occurrences", responses=problems(404))
async def list_occurrences(
    series_id: Id,
    caller: Caller_,
    clients: Clients_,
    from_time: Annotated[Instant | None, Query(description="From this instant on; by default from now on.")] = None,
    other_time_zone: OtherTimeZone = "",
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> OccurrenceList:
    """Lists occurrences in their order, the skipped ones too."""
    request = series_pb2.ListOccurrencesRequest(
        workspace_id=caller.workspace_id,
        series_id=str(series_id),
        other_time_zone=other_time_zone,
        page_size=page_size,
        page_token=page_token,
    )
    if from_time:
        request.from_time.FromDatetime(from_time)
    answer = await clients.call(clients.series.ListOccurrences, request)
    return OccurrenceList(
        occurrences=[Occurrence.of(each) for each in answer.occurrences], next_page_token=answer.next_page_token
    )


@router.post(f"{_OCCURRENCE}:skip", responses=problems(404, 409))
async def skip_occurrence(
    series_id: Id, occurrence_time: LocalTime, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Occurrence:
    """Leaves one occurrence out: its post is canceled. May be repeated, with or without `Idempotency-Key`."""
    request = _change(caller, series_id, occurrence_time)
    request.skip = True
    return await _changed(clients, request)


@router.post(f"{_OCCURRENCE}:move", responses=problems(404, 409, body=True))
async def move_occurrence(
    series_id: Id,
    occurrence_time: LocalTime,
    move: OccurrenceMove,
    caller: Caller_,
    clients: Clients_,
    _request_id: RequestId,
) -> Occurrence:
    """Moves one occurrence to another wall-clock time; its post follows. May be repeated."""
    request = _change(caller, series_id, occurrence_time)
    request.move_to_time = move.move_to_time
    return await _changed(clients, request)


@router.post(f"{_OCCURRENCE}:restore", responses=problems(404, 409))
async def restore_occurrence(
    series_id: Id, occurrence_time: LocalTime, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Occurrence:
    """Puts one occurrence back to the time that the rule gives, or tries again to make its post. May be repeated."""
    request = _change(caller, series_id, occurrence_time)
    request.restore = True
    return await _changed(clients, request)


def _change(caller: Caller, series_id: Id, occurrence_time: str) -> series_pb2.ChangeOccurrenceRequest:
    return series_pb2.ChangeOccurrenceRequest(
        workspace_id=caller.workspace_id, series_id=str(series_id), occurrence_time=occurrence_time
    )


async def _changed(clients: Clients, request: series_pb2.ChangeOccurrenceRequest) -> Occurrence:
    return Occurrence.of((await clients.call(clients.series.ChangeOccurrence, request)).occurrence)


async def _check(clients: Clients, caller: Caller, content: PostContent) -> Checked:
    """Raises PostRefused, with the fields as the body has them."""
    (checked,) = await Checker(clients, caller.workspace_id).check([Plan.of(content)])
    if refusal := checked.refusal:
        refusal.violations = [replace(each, field=f"post.{each.field}") for each in refusal.violations]
        raise refusal
    return checked
