"""Series behind a real port: their posts are made once, ahead of their time."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from reelroute.scheduler.v1 import series_pb2 as pb
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from kit.db import Database
from kit.errors import FailedPrecondition, InvalidArgument, NotFound
from services.scheduler import series_making, zones
from tests.chaos.wires import Wires, passes
from tests.local.support import wait_until
from tests.scheduler.recurring import (
    all_posts,
    blackout,
    change,
    clock,
    create,
    created,
    get,
    live,
    occurrences,
    recurs,
    states,
    template,
    update,
)
from tests.scheduler.stage import (
    OTHER,
    TIMEOUT,
    WORKSPACE,
    Cut,
    Stage,
    ahead,
    at,
    refused,
)


def test_a_series_makes_the_posts_of_its_occurrences_up_to_the_horizon(stage: Stage) -> None:
    answer = create(stage, recurs("FREQ=WEEKLY;BYDAY=TU,TH,SA;BYHOUR=14;BYMINUTE=0"))
    assert 12 <= len(answer.occurrences) <= 14
    assert set(states(answer.occurrences).values()) == {"POSTED"}
    for each in answer.occurrences:
        post = get(stage, each.post_id)
        assert (post.series_id, post.occurrence_time) == (answer.series.series_id, each.occurrence_time)
        assert (post.local_time, post.time_zone, post.caption) == (each.occurrence_time, "UTC", "Tip")
        assert post.schedule_time == each.times.time
    assert answer.series.state == pb.SERIES_STATE_ACTIVE
    (told,) = (each for each in stage.activities() if each.type == "series.created")
    assert f"{len(answer.occurrences)} posts were made" in told.summary


def test_a_creation_may_be_repeated(stage: Stage) -> None:
    first = create(stage, request_id="once")
    assert create(stage, request_id="once") == first
    assert all_posts(stage) == len(first.occurrences) == 30


def test_what_is_over_when_the_series_is_created_is_not_made(stage: Stage) -> None:
    series = created(stage, recurs("FREQ=HOURLY", start_time=clock(-3)))
    now = datetime.now(UTC).replace(tzinfo=None)
    assert min(live(stage, series)) >= now.isoformat()
    assert "series.refused" not in stage.kinds()


def test_the_posts_follow_ahead_of_their_time_without_a_gap_and_without_a_double(stage: Stage) -> None:
    series = created(stage, recurs("FREQ=DAILY;COUNT=40"))
    assert len(live(stage, series)) == 30
    for days in (31, 35, 35, 60):
        series_making.make_ahead(stage.database, ahead(days))
    assert list(live(stage, series)) == [clock(day) for day in range(40)]
    assert [each.attributes["posts"] for each in stage.activities() if each.type == "series.made"] == ["1", "4", "5"]


def made_at_once(database: Database, so_long: timedelta, replicas: int) -> None:
    workers = [threading.Thread(target=series_making.make_ahead, args=(database, so_long)) for _ in range(replicas)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)


def test_replicas_that_make_posts_at_once_make_each_once(stage: Stage) -> None:
    series = [created(stage, recurs("FREQ=HOURLY")) for _ in range(4)]
    made_at_once(stage.database, ahead(40), replicas=4)
    found = [live(stage, each) for each in series]
    assert all(list(each)[: 40 * 24 - 14] == [clock(0, hour) for hour in range(14, 40 * 24)] for each in found)


def test_whenever_the_maker_dies_the_next_goes_on_without_a_gap_and_without_a_double(
    stage: Stage, wired: Database, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_making, "AT_ONCE", 4)
    series = created(stage, recurs("FREQ=DAILY;COUNT=300"))
    for nth in range(27):
        # Ten more occurrences each time, in three transactions.
        days = 30 + 10 * (nth + 1)
        wires.rule = cut = Cut(3 * nth)
        with contextlib.suppress(DBAPIError), capture_logs():
            series_making.make_ahead(wired, ahead(days))
        assert cut.happened
        wires.rule = passes
        # What has lost its connection keeps its locks until the server notices.
        wait_until(lambda days=days: _made(stage, series, days), "the posts")  # type: ignore[misc]
        assert list(live(stage, series)) == [clock(day) for day in range(days)]


def _made(stage: Stage, series: pb.Series, days: int) -> bool:
    series_making.make_ahead(stage.database, ahead(days))
    return len(live(stage, series)) >= days


def test_what_a_rule_refuses_is_kept_as_refused_told_and_tried_again_by_a_restore(stage: Stage) -> None:
    blackout(stage, 3, 4)
    answer = create(stage)
    series = answer.series
    refusals = [each for each in answer.occurrences if each.reason]
    assert [(each.occurrence_time, each.reason) for each in refusals] == [
        (clock(3), "BLACKOUT"),
        (clock(4), "BLACKOUT"),
    ]
    assert len(live(stage, series)) == 28
    (told,) = (each for each in stage.activities() if each.type == "series.refused")
    assert "2 occurrences of the series 'Weekly tip' could not become posts" in told.summary
    with refused() as refusal:
        change(stage, series, clock(3), restore=True)
    assert (type(refusal[0]), refusal[0].reason) == (FailedPrecondition, "BLACKOUT")
    assert states(occurrences(stage, series))[clock(3)] == "REFUSED"
    blackout(stage)
    assert change(stage, series, clock(3), restore=True).state == pb.OCCURRENCE_STATE_POSTED
    # An edit tries the other again.
    update(stage, series, post=template("Other"))
    assert len(live(stage, series)) == 30


def test_a_list_shows_occurrences_in_two_zones_with_a_warning_in_weeks_of_a_change(stage: Stage) -> None:
    zone = "America/New_York"
    series = created(stage, recurs("FREQ=WEEKLY", time_zone=zone))
    found = occurrences(stage, series, other_time_zone="Europe/Berlin")
    assert [each.times.other_time_zone for each in found] == ["Europe/Berlin"] * len(found)
    warned = [each.times for each in found if each.times.warning]
    assert 2 <= len(warned) < len(found) / 2
    assert all("Clocks in" in each.warning for each in warned)
    soon = stage.series.ListOccurrences(
        pb.ListOccurrencesRequest(workspace_id=WORKSPACE, series_id=series.series_id, page_size=3), timeout=TIMEOUT
    )
    assert [each.occurrence_time for each in soon.occurrences] == [clock(7 * week) for week in range(3)]


def test_a_list_from_an_instant_on_has_what_was_moved_there(stage: Stage) -> None:
    series = created(stage)
    change(stage, series, clock(1), move_to_time=clock(5, 9))
    start = at(datetime.fromisoformat(clock(3, 0)).replace(tzinfo=UTC))
    assert [each.occurrence_time for each in occurrences(stage, series, from_time=start)[:3]] == [
        clock(1),
        clock(3),
        clock(4),
    ]


def preview(stage: Stage, rule: pb.Recurrence, **fields: object) -> pb.PreviewRecurrenceResponse:
    request = pb.PreviewRecurrenceRequest(recurrence=rule, **fields)  # type: ignore[arg-type]
    return stage.series.PreviewRecurrence(request, timeout=TIMEOUT)


def test_a_preview_shows_the_next_times_in_two_zones_and_the_rule_in_words(stage: Stage) -> None:
    rule = recurs("0 14 * * tue,thu,sat", time_zone="America/New_York", start_time=clock(-400))
    shown = preview(stage, rule, other_time_zone="Asia/Kolkata", max_occurrences=4)
    assert shown.description == "every Tuesday, Thursday and Saturday at 14:00 in America/New_York"
    assert len(shown.times) == 4
    assert shown.times[0].time.ToDatetime(tzinfo=UTC) > datetime.now(UTC)
    assert {each.local_time[-8:] for each in shown.times} == {"14:00:00"}
    assert {each.other_local_time[-8:] for each in shown.times} <= {"23:30:00", "00:30:00"}
    assert all_posts(stage) == 0


REFUSED = {
    "series.recurrence.rrule": (recurs("FREQ=DAILY;BYHOUR=25"), "RECURRENCE_INVALID"),
    "series.recurrence.cron": (recurs("* * * * *"), "RECURRENCE_TOO_FREQUENT"),
    "series.recurrence.time_zone": (recurs(time_zone="CET"), "TIME_ZONE_UNKNOWN"),
    "series.recurrence.start_time": (recurs(start_time="2027-02-30T14:00:00"), "LOCAL_TIME_INVALID"),
    "series.recurrence.until_time": (recurs(until_time="2027-02-30T14:00:00"), "LOCAL_TIME_INVALID"),
}


@pytest.mark.parametrize("field", REFUSED)
def test_a_rule_that_cannot_be_is_refused_by_its_field_in_a_creation_an_edit_and_a_preview(
    stage: Stage, field: str
) -> None:
    rule, reason = REFUSED[field]
    series = created(stage)
    for call, path in (
        (lambda: create(stage, rule), field),
        (lambda: update(stage, series, recurrence=rule), field),
        (lambda: preview(stage, rule), field.removeprefix("series.")),
    ):
        with refused() as refusal:
            call()
        assert isinstance(refusal[0], InvalidArgument)
        assert (refusal[0].reason, refusal[0].violations[0].field) == (reason, path)


def test_what_a_series_publishes_is_checked_like_a_post(stage: Stage) -> None:
    series = created(stage)
    bad = template("x" * 10_001)
    for call in (
        lambda: create(stage, caption="x" * 10_001),
        lambda: update(stage, series, post=bad),
    ):
        with refused() as refusal:
            call()
        assert [each.field for each in refusal[0].violations] == ["series.post.caption"]
    with refused() as refusal:
        update(stage, series, name="x" * 101)
    assert [each.field for each in refusal[0].violations] == ["series.name"]
    with refused() as refusal:
        change(stage, series, clock(2), move_to_time=clock(-30))
    assert (refusal[0].reason, refusal[0].violations[0].field) == ("SCHEDULE_TIME_IN_PAST", "move_to_time")


def test_s2_a_series_of_another_workspace_looks_like_none(stage: Stage) -> None:
    series = created(stage)
    for call in (
        lambda: stage.series.GetSeries(
            pb.GetSeriesRequest(workspace_id=OTHER, series_id=series.series_id), timeout=TIMEOUT
        ),
        lambda: stage.series.EndSeries(
            pb.EndSeriesRequest(workspace_id=OTHER, series_id=series.series_id), timeout=TIMEOUT
        ),
        lambda: stage.series.ListOccurrences(
            pb.ListOccurrencesRequest(workspace_id=OTHER, series_id=series.series_id), timeout=TIMEOUT
        ),
        lambda: stage.series.GetSeries(
            pb.GetSeriesRequest(workspace_id=WORKSPACE, series_id=str(uuid4())), timeout=TIMEOUT
        ),
    ):
        with refused() as refusal:
            call()
        assert (type(refusal[0]), refusal[0].reason) == (NotFound, "SERIES_NOT_FOUND")
    assert len(live(stage, series)) == 30


def test_series_are_listed_newest_first_by_channel(stage: Stage) -> None:
    made = [created(stage, channel=channel) for channel in ("", "", "")]
    other = template()
    other.channel = "water"
    request = pb.CreateSeriesRequest(
        workspace_id=WORKSPACE,
        request_id=str(uuid4()),
        series=pb.SeriesDraft(name="Water", recurrence=recurs(), post=other),
    )
    water = stage.series.CreateSeries(request, timeout=TIMEOUT).series
    listing = pb.ListSeriesRequest(workspace_id=WORKSPACE, page_size=2)
    first = stage.series.ListSeries(listing, timeout=TIMEOUT)
    listing.page_token = first.next_page_token
    second = stage.series.ListSeries(listing, timeout=TIMEOUT)
    assert [*first.series, *second.series] == [water, *reversed(made)]
    request_of_water = pb.ListSeriesRequest(workspace_id=WORKSPACE, channel="water")
    assert list(stage.series.ListSeries(request_of_water, timeout=TIMEOUT).series) == [water]


def test_a_time_that_the_clock_jumps_over_is_posted_after_the_gap_or_left_out(stage: Stage) -> None:
    zone, now = "America/New_York", datetime.now(UTC)
    gap = next(each for each in zones.changes(zone, now, now + timedelta(days=400)) if each.after > each.before)
    start = (gap.instant + gap.before).replace(tzinfo=None) - timedelta(days=1, minutes=-30)
    for rule, expected in ((pb.GAP_RULE_SHIFT, "T03:30:00"), (pb.GAP_RULE_SKIP, None)):
        series = created(
            stage,
            pb.Recurrence(rrule="FREQ=DAILY;COUNT=3", start_time=start.isoformat(), time_zone=zone, gap_rule=rule),
        )
        series_making.make_ahead(stage.database, ahead(400))
        found = live(stage, series)
        jumped = found.pop((start + timedelta(days=1)).isoformat(), ("", None, ""))[1]
        assert jumped == (None if expected is None else f"{start + timedelta(days=1):%Y-%m-%d}{expected}")
        assert len(found) == 2
