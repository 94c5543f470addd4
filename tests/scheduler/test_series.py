"""Series behind a real port: their posts are made once, ahead of their time, and follow every edit."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from reelroute.scheduler.v1 import scheduler_pb2 as posts
from reelroute.scheduler.v1 import series_pb2 as pb
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kit.db import ALL_WORKSPACES, Database
from kit.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from services.scheduler import plan_store, series_making, zones
from services.scheduler.planning import Blackout, PostingPlan
from tests.chaos.pg_proxy import open_pg_wire
from tests.chaos.wires import Moment, Reaction, Wires, passes
from tests.scheduler.stage import (
    OTHER,
    PUBLISHED,
    TIMEOUT,
    TOMORROW,
    WORKSPACE,
    Stage,
    ahead,
    at,
    draft_of,
    refused,
    state_of,
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
        draft.ClearField(name)  # type: ignore[arg-type]
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


class Cut:
    """Cuts the connection at one moment, the nth of all."""

    def __init__(self, nth: int) -> None:
        self.left, self.happened = nth, False

    def __call__(self, moment: Moment) -> Reaction:
        if self.happened:
            return Reaction.PASS
        self.left -= 1
        self.happened = self.left < 0
        return Reaction.CUT if self.happened else Reaction.PASS


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    with Wires() as opened:
        yield opened


@pytest.fixture
def wired(database: Database, wires: Wires) -> Iterator[Database]:
    """The same database behind a wire."""
    real = database.url.port or 5432
    behind = database.url.set(port=open_pg_wire(wires, "scheduler", lambda: real))
    opened = Database(behind.render_as_string(hide_password=False), "scheduler")
    yield opened
    wires.rule = passes
    opened.close()


def test_whenever_the_maker_dies_the_next_goes_on_without_a_gap_and_without_a_double(
    stage: Stage, wired: Database, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_making, "AT_ONCE", 4)
    series = created(stage, recurs("FREQ=DAILY;COUNT=300"))
    for nth in range(27):
        # Ten more occurrences each time, in three transactions.
        days = 30 + 10 * (nth + 1)
        wires.rule = cut = Cut(3 * nth)
        with contextlib.suppress(DBAPIError):
            series_making.make_ahead(wired, ahead(days))
        assert cut.happened
        wires.rule = passes
        series_making.make_ahead(wired, ahead(days))
        assert list(live(stage, series)) == [clock(day) for day in range(days)]


def blackout(stage: Stage, *days: int) -> None:
    days_off = tuple(Blackout(*[(TOMORROW + timedelta(days=day)).date()] * 2, "") for day in days)
    with stage.database.transaction(UUID(WORKSPACE)) as tx:
        plan_store.set_plan(tx, UUID(WORKSPACE), PostingPlan("air", "UTC", blackouts=days_off))


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


def test_a_post_that_an_edit_puts_where_it_may_not_be_is_canceled_and_its_occurrence_refused(stage: Stage) -> None:
    series = created(stage, recurs("FREQ=WEEKLY"))
    day = TOMORROW + timedelta(days=8)
    blackout(stage, 8)
    moved = update(stage, series, recurrence=recurs(f"FREQ=WEEKLY;BYDAY={f'{day:%a}'[:2].upper()}"))
    found = occurrences(stage, moved)
    assert (found[0].state, found[1].state) == (pb.OCCURRENCE_STATE_POSTED, pb.OCCURRENCE_STATE_REFUSED)
    assert (found[1].occurrence_time, found[1].post_id, found[1].reason) == (clock(8), "", "BLACKOUT")
    assert clock(8) not in live(stage, series)


def test_a_skipped_occurrence_cancels_its_post_and_a_restored_one_has_another(stage: Stage) -> None:
    series = created(stage)
    before = live(stage, series)
    for _ in range(2):
        skipped = change(stage, series, clock(2), skip=True)
        assert skipped.state == pb.OCCURRENCE_STATE_SKIPPED
    assert state_of(get(stage, before[clock(2)][0])) == "CANCELED"
    assert live(stage, series).keys() == before.keys() - {clock(2)}
    restored = change(stage, series, clock(2), restore=True)
    assert restored.state == pb.OCCURRENCE_STATE_POSTED
    assert live(stage, series)[clock(2)] == (restored.post_id, clock(2), "Tip")
    assert change(stage, series, clock(2), restore=True) == restored
    assert {"occurrence.skipped", "occurrence.restored"} <= set(stage.kinds())


def test_an_occurrence_can_be_skipped_before_its_post_is_made(stage: Stage) -> None:
    series = created(stage)
    assert change(stage, series, clock(33), skip=True).state == pb.OCCURRENCE_STATE_SKIPPED
    change(stage, series, clock(34), skip=True)
    assert change(stage, series, clock(34), restore=True).state == pb.OCCURRENCE_STATE_PLANNED
    series_making.make_ahead(stage.database, ahead(40))
    found = states(occurrences(stage, series))
    assert (found[clock(33)], found[clock(34)], found[clock(35)]) == ("SKIPPED", "POSTED", "POSTED")


def test_a_moved_occurrence_moves_its_post_and_a_restore_moves_it_back(stage: Stage) -> None:
    series = created(stage)
    post_id = live(stage, series)[clock(2)][0]
    for _ in range(2):
        moved = change(stage, series, clock(2), move_to_time=clock(3, 9))
        assert (moved.post_id, moved.times.local_time) == (post_id, clock(3, 9))
        assert (moved.occurrence_time, moved.state) == (clock(2), pb.OCCURRENCE_STATE_POSTED)
    assert live(stage, series)[clock(2)] == (post_id, clock(3, 9), "Tip")
    assert change(stage, series, clock(2), restore=True).times.local_time == clock(2)
    assert live(stage, series)[clock(2)] == (post_id, clock(2), "Tip")


def test_an_occurrence_that_is_moved_before_its_post_is_made_has_it_at_once(stage: Stage) -> None:
    series = created(stage)
    moved = change(stage, series, clock(50), move_to_time=clock(1, 9))
    assert live(stage, series)[clock(50)] == (moved.post_id, clock(1, 9), "Tip")
    series_making.make_ahead(stage.database, ahead(60))
    assert live(stage, series)[clock(50)] == (moved.post_id, clock(1, 9), "Tip")


@pytest.mark.parametrize("how", [{"skip": True}, {"move_to_time": clock(3, 9)}, {"restore": True}])
def test_an_occurrence_that_has_gone_out_stays(stage: Stage, how: dict[str, object]) -> None:
    series = created(stage)
    post_id = live(stage, series)[clock(0)][0]
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE deliveries SET due_time = now() WHERE post_id = :post"), {"post": post_id})
    claimed = stage.claim_one()
    for is_published in (False, True):
        if is_published:
            stage.report(claimed, PUBLISHED)
        with refused() as refusal:
            change(stage, series, clock(0), **how)
        assert (type(refusal[0]), refusal[0].reason) == (FailedPrecondition, "POST_NOT_EDITABLE")
    series = update(stage, series, post=template("Other"))
    end(stage, series)
    assert get(stage, post_id).caption == "Tip"
    assert state_of(get(stage, post_id)) == "PUBLISHED"


def test_a_post_that_was_canceled_is_not_made_again_until_its_occurrence_is_restored(stage: Stage) -> None:
    series = created(stage)
    stage.cancel(get(stage, live(stage, series)[clock(2)][0]))
    series_making.make_ahead(stage.database, ahead(40))
    series = update(stage, series, post=template("Other"))
    (canceled,) = (each for each in occurrences(stage, series) if each.occurrence_time == clock(2))
    assert (canceled.state, canceled.reason) == (pb.OCCURRENCE_STATE_SKIPPED, "POST_CANCELED")
    assert clock(2) not in live(stage, series)
    assert change(stage, series, clock(2), restore=True).state == pb.OCCURRENCE_STATE_POSTED
    assert live(stage, series)[clock(2)][1:] == (clock(2), "Other")


def test_a_change_of_one_post_stays_when_the_rule_or_the_name_changes(stage: Stage) -> None:
    series = created(stage)
    post = get(stage, live(stage, series)[clock(2)][0])
    stage.update(post, draft_of(caption="Its own words"), "caption")
    stage.update(get(stage, live(stage, series)[clock(3)][0]), posts.PostDraft(local_time=clock(3, 20)), "local_time")
    series = update(stage, series, name="Daily tip", recurrence=recurs("FREQ=DAILY;BYHOUR=14,16"))
    found = live(stage, series)
    assert found[clock(2)] == (post.post_id, clock(2), "Its own words")
    assert found[clock(3)][1] == clock(3, 20)
    assert found[clock(3, 16)][1] == clock(3, 16)
    assert series.name == "Daily tip"


def test_a_series_that_changes_its_time_keeps_its_posts(stage: Stage) -> None:
    series = created(stage)
    before = live(stage, series)
    after = update(stage, series, recurrence=recurs("FREQ=DAILY;BYHOUR=18"))
    assert after.series_id == series.series_id
    found = live(stage, after)
    assert [found[clock(day, 18)][:2] for day in range(29)] == [
        (before[clock(day)][0], clock(day, 18)) for day in range(29)
    ]
    assert all_posts(stage) in (30, 31)


def test_a_series_that_loses_days_cancels_their_posts_and_one_that_wins_days_makes_some(stage: Stage) -> None:
    series = created(stage, recurs("FREQ=DAILY;INTERVAL=2"))
    before = live(stage, series)
    series = update(stage, series, recurrence=recurs("FREQ=DAILY;INTERVAL=3"))
    after = live(stage, series)
    assert list(after) == [clock(day) for day in range(0, 30, 3)]
    kept = before.keys() & after.keys()
    assert {time: before[time] for time in kept} == {time: after[time] for time in kept}
    gone = {post_id for post_id, *_ in before.values()} - {post_id for post_id, *_ in after.values()}
    for post_id in gone:
        post = get(stage, post_id)
        assert (state_of(post), post.series_id) == ("CANCELED", "")
    series = update(stage, series, recurrence=recurs())
    assert list(live(stage, series)) == [clock(day) for day in range(30)]


def test_a_series_that_changes_its_accounts_makes_other_posts(stage: Stage) -> None:
    series = created(stage)
    draft = template()
    draft.account_ids[:] = [str(uuid4())]
    before = live(stage, series)
    after = live(stage, update(stage, series, post=draft))
    assert before.keys() == after.keys()
    assert not {each[0] for each in before.values()} & {each[0] for each in after.values()}
    assert get(stage, after[clock(0)][0]).deliveries[0].account_id == draft.account_ids[0]


def test_an_edit_of_this_and_following_leaves_what_was_before(stage: Stage) -> None:
    series = created(stage)
    before = live(stage, series)
    change(stage, series, clock(12), skip=True)
    change(stage, series, clock(13), move_to_time=clock(13, 9))
    change(stage, series, clock(3), skip=True)
    following = update(stage, series, clock(10), post=template("Other"))
    assert (following.previous_series_id, following.recurrence.start_time) == (series.series_id, clock(10))
    assert list(live(stage, series)) == [clock(day) for day in range(10) if day != 3]
    found = live(stage, following)
    assert list(found) == [clock(day) for day in range(10, 30) if day != 12]
    assert {each[2] for each in live(stage, series).values()} == {"Tip"}
    assert {each[2] for each in found.values()} == {"Other"}
    assert {time: each[0] for time, each in found.items()} == {time: before[time][0] for time in found}
    assert found[clock(13)][1] == clock(13, 9)
    assert states(occurrences(stage, following))[clock(12)] == "SKIPPED"
    assert states(occurrences(stage, series))[clock(3)] == "SKIPPED"
    assert len(occurrences(stage, series)) == 10


def test_an_edit_of_this_and_following_may_be_repeated(stage: Stage) -> None:
    series = created(stage)
    first = update(stage, series, clock(10), request_id="once", name="Other")
    assert update(stage, series, clock(10), request_id="once", name="Other") == first
    assert all_posts(stage) == 30


def test_what_is_used_up_of_a_count_is_not_given_again(stage: Stage) -> None:
    series = created(stage, recurs("FREQ=DAILY;COUNT=10"))
    following = update(stage, series, clock(4), post=template("Other"))
    assert following.recurrence.rrule == "FREQ=DAILY;COUNT=6"
    assert list(live(stage, following)) == [clock(day) for day in range(4, 10)]


def test_a_rule_that_changes_from_an_occurrence_on_takes_the_posts_along(stage: Stage) -> None:
    series = created(stage)
    before = live(stage, series)
    rule = recurs("FREQ=DAILY;BYHOUR=9", start_time=clock(10, 9))
    following = update(stage, series, clock(10), recurrence=rule)
    found = live(stage, following)
    assert [found[clock(day, 9)][0] for day in range(10, 29)] == [before[clock(day)][0] for day in range(10, 29)]
    with refused() as refusal:
        update(stage, following, clock(12, 9), recurrence=recurs(start_time=clock(11)))
    assert refusal[0].violations[0].field == "series.recurrence.start_time"


def test_an_edit_from_the_first_occurrence_is_one_of_the_whole_series(stage: Stage) -> None:
    series = created(stage)
    assert update(stage, series, clock(0), name="Other").series_id == series.series_id


def test_an_edit_of_an_old_version_or_of_a_time_that_is_none_is_refused(stage: Stage) -> None:
    series = created(stage)
    assert update(stage, series, etag=series.etag, name="Other").etag != series.etag
    with refused() as refusal:
        update(stage, series, etag=series.etag, name="Third")
    assert (type(refusal[0]), refusal[0].reason) == (Conflict, "SERIES_CHANGED")
    for call in (
        lambda: update(stage, series, clock(2, 15), name="Third"),
        lambda: change(stage, series, clock(2, 15), skip=True),
    ):
        with refused() as refusal:
            call()
        assert (type(refusal[0]), refusal[0].reason) == (NotFound, "OCCURRENCE_NOT_FOUND")


def test_a_series_is_ended_before_an_occurrence_or_now_and_can_be_brought_back(stage: Stage) -> None:
    series = created(stage)
    assert end(stage, series, clock(20)).canceled_posts == 10
    assert end(stage, series, clock(20)).canceled_posts == 0
    assert list(live(stage, series)) == [clock(day) for day in range(20)]
    series_making.make_ahead(stage.database, ahead(60))
    answer = end(stage, series)
    assert (answer.canceled_posts, answer.series.state) == (20, pb.SERIES_STATE_ENDED)
    assert live(stage, series) == {}
    assert stage.kinds().count("series.ended") == 2
    for state, count in ((pb.SERIES_STATE_ENDED, 1), (pb.SERIES_STATE_ACTIVE, 0)):
        request = pb.ListSeriesRequest(workspace_id=WORKSPACE, state=state)
        assert len(stage.series.ListSeries(request, timeout=TIMEOUT).series) == count
    series = update(stage, series, recurrence=recurs(until_time=clock(9)))
    assert series.state == pb.SERIES_STATE_ACTIVE
    assert list(live(stage, series)) == [clock(day) for day in range(10)]


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
