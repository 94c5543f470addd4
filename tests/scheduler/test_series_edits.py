"""Edits of series and of single occurrences: the posts follow, and each occurrence has one."""

from __future__ import annotations

import contextlib
import threading
from datetime import timedelta
from uuid import uuid4

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reelroute.scheduler.v1 import scheduler_pb2 as posts
from reelroute.scheduler.v1 import series_pb2 as pb
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.errors import Conflict, FailedPrecondition, NotFound
from services.scheduler import series_making
from tests.scheduler.recurring import (
    all_posts,
    blackout,
    change,
    clock,
    created,
    end,
    get,
    live,
    occurrences,
    recurs,
    states,
    template,
    update,
)
from tests.scheduler.stage import (
    PUBLISHED,
    TIMEOUT,
    TOMORROW,
    WORKSPACE,
    Stage,
    ahead,
    draft_of,
    refused,
    state_of,
)


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


def test_editors_and_makers_at_once_leave_each_occurrence_one_post(stage: Stage) -> None:
    series = created(stage)

    def make() -> None:
        for days in range(31, 51):
            series_making.make_ahead(stage.database, ahead(days))

    def edit() -> None:
        for hour in (9, 14) * 3:
            update(stage, series, recurrence=recurs(f"FREQ=DAILY;BYHOUR={hour}"))

    def skip() -> None:
        for day in range(5, 25):
            # While the rule has another hour there is no such occurrence.
            with contextlib.suppress(grpc.RpcError):
                change(stage, series, clock(day), skip=True)
                change(stage, series, clock(day), restore=True)

    workers = [threading.Thread(target=each) for each in (make, make, edit, skip)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(60)
    update(stage, series, recurrence=recurs("FREQ=DAILY;BYHOUR=14"))
    series_making.make_ahead(stage.database, ahead(50))
    skipped = {time for time, state in states(occurrences(stage, series)).items() if state == "SKIPPED"}
    assert set(live(stage, series)) == {clock(day) for day in range(50)} - skipped


RULES = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=DAILY;BYHOUR=9,18",
    "FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=10",
    "FREQ=DAILY;COUNT=12",
    "0 7 */2 * *",
]
EDITS = st.one_of(
    st.tuples(st.sampled_from(["rule", "split and rule"]), st.integers(0, 30), st.sampled_from(RULES)),
    st.tuples(
        st.sampled_from(["words", "split", "skip", "move", "restore", "cancel", "edit", "end", "accounts"]),
        st.integers(0, 30),
        st.just(""),
    ),
)


class Edited:
    """A series that is edited at random, and what goes on from it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.chain = [created(stage)]
        self.skipped: set[str] = set()
        self.words = "Tip"

    def edit(self, what: str, index: int, rule: str) -> None:
        stage, series = self.stage, self.chain[-1]
        coming = occurrences(stage, series)
        if not coming:
            self.chain.append(created(stage))
            return
        chosen = coming[index % len(coming)].occurrence_time
        start = chosen if what.startswith("split") else ""
        match what:
            case "rule" | "split and rule":
                after = update(stage, series, start, recurrence=recurs(rule, start_time=chosen))
                self._went_on(after)
            case "words" | "split":
                self.words = f"{self.words[:3]} {index}"
                self._went_on(update(stage, series, start, post=template(self.words)))
            case "accounts":
                draft = template(self.words)
                draft.account_ids[:] = [str(uuid4())]
                self._went_on(update(stage, series, post=draft))
            case "skip":
                change(stage, series, chosen, skip=True)
                self.skipped.add(chosen)
            case "move":
                change(stage, series, chosen, move_to_time=clock(index, 21))
                self.skipped.discard(chosen)
            case "restore":
                change(stage, series, chosen, restore=True)
                self.skipped.discard(chosen)
            case "cancel" | "edit":
                found = live(stage, series)
                if chosen in found and what == "cancel":
                    stage.cancel(get(stage, found[chosen][0]))
                    self.skipped.add(chosen)
                elif chosen in found:
                    stage.update(
                        get(stage, found[chosen][0]), posts.PostDraft(local_time=clock(index, 22)), "local_time"
                    )
            case "end":
                end(stage, series, chosen)

    def _went_on(self, after: pb.Series) -> None:
        if after.series_id == self.chain[-1].series_id:
            self.chain[-1] = after
        else:
            self.chain.append(after)

    def check(self) -> None:
        """Each occurrence that was not skipped has one post, at its time or where it was moved; no other goes out."""
        for series in self.chain:
            found = occurrences(self.stage, series)
            posts_of_it = live(self.stage, series)
            due = [each for each in found if each.occurrence_time < clock(30, 0)]
            assert {time for time, state in states(due).items() if state != "POSTED"} <= self.skipped
            assert {each.occurrence_time for each in found if each.state == pb.OCCURRENCE_STATE_POSTED} == set(
                posts_of_it
            )
            for time, (post_id, local_time, _) in posts_of_it.items():
                assert local_time == time or local_time[-8:] in ("21:00:00", "22:00:00")
                assert post_id in {each.post_id for each in found if each.occurrence_time == time}
        with self.stage.database.transaction(ALL_WORKSPACES) as tx:
            orphans = (
                "SELECT count(*) FROM deliveries d JOIN posts p ON p.post_id = d.post_id WHERE p.series_id IS NULL"
            )
            assert tx.execute(text(orphans)).scalar_one() == 0


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EDITS, min_size=1, max_size=6))
def test_whatever_is_edited_each_occurrence_has_one_post_and_nothing_else_goes_out(
    stage: Stage, edits: list[tuple[str, int, str]]
) -> None:
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        for table in ("deliveries", "finished_deliveries", "posts", "series", "unposted_occurrences"):
            tx.execute(text(f"DELETE FROM {table}"))
    edited = Edited(stage)
    for edit in edits:
        edited.edit(*edit)
        series_making.make_ahead(stage.database, ahead(30))
        edited.check()
