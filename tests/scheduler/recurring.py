"""Series as tests ask for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from reelroute.scheduler.v1 import scheduler_pb2 as posts
from reelroute.scheduler.v1 import series_pb2 as pb
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from services.scheduler import plan_store
from services.scheduler.planning import Blackout, PostingPlan
from tests.scheduler.stage import (
    TIMEOUT,
    TOMORROW,
    WORKSPACE,
    Stage,
    draft_of,
)

ACCOUNT = str(uuid4())


def clock(days: float, hour: int = 14) -> str:
    """A wall-clock time so many days from tomorrow."""
    return f"{TOMORROW + timedelta(days=days, hours=hour):%Y-%m-%dT%H:%M:%S}"


def recurs(rule: str = "FREQ=DAILY", **fields: str) -> pb.Recurrence:
    kind = {"rrule": rule} if "FREQ" in rule else {"cron": rule}
    return pb.Recurrence(**{"start_time": clock(0), "time_zone": "UTC", **kind, **fields})  # type: ignore[arg-type]


def template(caption: str = "Tip", **fields: object) -> posts.PostDraft:
    draft = draft_of(**fields)  # type: ignore[arg-type]
    draft.caption, draft.account_ids[:] = caption, [ACCOUNT]
    draft.media[0].media_asset_id = ACCOUNT
    for name in ("local_time", "time_zone"):
        draft.ClearField(name)
    return draft


def created(stage: Stage, rule: pb.Recurrence | None = None, *, request_id: str = "", **fields: object) -> pb.Series:
    return create(stage, rule, request_id=request_id, **fields).series


def create(
    stage: Stage, rule: pb.Recurrence | None = None, *, request_id: str = "", **fields: object
) -> pb.CreateSeriesResponse:
    draft = pb.SeriesDraft(name="Weekly tip", recurrence=rule or recurs(), post=template(**fields))  # type: ignore[arg-type]
    request = pb.CreateSeriesRequest(workspace_id=WORKSPACE, request_id=request_id or str(uuid4()), series=draft)
    return stage.series.CreateSeries(request, timeout=TIMEOUT)


def update(
    stage: Stage, series: pb.Series, start: str = "", *, etag: str = "", request_id: str = "", **fields: object
) -> pb.Series:
    request = pb.UpdateSeriesRequest(
        workspace_id=WORKSPACE,
        request_id=request_id or str(uuid4()),
        series_id=series.series_id,
        from_occurrence_time=start,
        series=pb.SeriesDraft(**fields),  # type: ignore[arg-type]
        update_mask=fields,
        etag=etag,
    )
    return stage.series.UpdateSeries(request, timeout=TIMEOUT).series


def end(stage: Stage, series: pb.Series, start: str = "") -> pb.EndSeriesResponse:
    request = pb.EndSeriesRequest(workspace_id=WORKSPACE, series_id=series.series_id, from_occurrence_time=start)
    return stage.series.EndSeries(request, timeout=TIMEOUT)


def change(stage: Stage, series: pb.Series, time: str, **how: object) -> pb.Occurrence:
    request = pb.ChangeOccurrenceRequest(
        workspace_id=WORKSPACE,
        series_id=series.series_id,
        occurrence_time=time,
        **how,  # type: ignore[arg-type]
    )
    return stage.series.ChangeOccurrence(request, timeout=TIMEOUT).occurrence


def occurrences(stage: Stage, series: pb.Series, **fields: object) -> list[pb.Occurrence]:
    """All of the next weeks, over the pages."""
    found: list[pb.Occurrence] = []
    request = pb.ListOccurrencesRequest(workspace_id=WORKSPACE, series_id=series.series_id, page_size=40, **fields)  # type: ignore[arg-type]
    while True:
        answer = stage.series.ListOccurrences(request, timeout=TIMEOUT)
        found += answer.occurrences
        if not answer.next_page_token or len(found) >= 120:
            return found
        request.page_token = answer.next_page_token


def states(found: Sequence[pb.Occurrence]) -> dict[str, str]:
    return {
        each.occurrence_time: pb.OccurrenceState.Name(each.state).removeprefix("OCCURRENCE_STATE_") for each in found
    }


def live(stage: Stage, series: pb.Series) -> dict[str, tuple[str, str, str]]:
    """The posts of a series that are to go out: by occurrence, each with its id, its time and its caption."""
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        rows = tx.execute(
            text(
                "SELECT p.post_id, p.occurrence_time, p.local_time, p.caption FROM posts p JOIN deliveries d"
                " ON d.post_id = p.post_id AND d.due_time = p.schedule_time WHERE p.series_id = :series ORDER BY 2"
            ),
            {"series": series.series_id},
        ).all()
    assert max(Counter(row.occurrence_time for row in rows).values(), default=1) == 1
    return {
        row.occurrence_time.isoformat(): (str(row.post_id), row.local_time.isoformat(), row.caption) for row in rows
    }


def all_posts(stage: Stage) -> int:
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        return int(tx.execute(text("SELECT count(*) FROM posts")).scalar_one())


def get(stage: Stage, post_id: str) -> posts.Post:
    return stage.get(posts.Post(workspace_id=WORKSPACE, post_id=post_id))


def blackout(stage: Stage, *days: int) -> None:
    dates = [(TOMORROW + timedelta(days=day)).date() for day in days]
    days_off = tuple(Blackout(date, date, "") for date in dates)
    with stage.database.transaction(UUID(WORKSPACE)) as tx:
        plan_store.set_plan(tx, UUID(WORKSPACE), PostingPlan("air", "UTC", blackouts=days_off))
