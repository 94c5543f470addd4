"""Thousands of posts in one call: taken once, however often the call is made."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from reelroute.scheduler.v1 import bulk_pb2 as bulk
from reelroute.scheduler.v1 import bulk_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.errors import AlreadyExists, InvalidArgument, Unavailable
from services.scheduler import plan_store
from services.scheduler.bulk_api import BulkApi
from services.scheduler.planning import Blackout, PostingPlan
from tests.scheduler.stage import WORKSPACE, Stage, draft_of, refused
from tests.services import served

ACCOUNT = str(uuid4())


def row(key: str, **fields: object) -> bulk.ImportRow:
    draft = draft_of(**fields)  # type: ignore[arg-type]
    draft.account_ids[:] = [ACCOUNT]
    draft.media[0].media_asset_id = str(uuid4()) if "media" in fields else "0" * 8 + "-0000-4000-8000-" + "0" * 12
    return bulk.ImportRow(key=key, post=draft)


def rows_of(count: int) -> list[bulk.ImportRow]:
    """Rows an hour apart, with captions of their own."""
    return [row(f"Q1-{n:05}", due_in=timedelta(hours=n + 1), caption=f" number {n}") for n in range(count)]


def parts(
    chunks: Iterable[Sequence[bulk.ImportRow]], *, validate_only: bool = False
) -> Iterator[bulk.ImportPostsRequest]:
    yield bulk.ImportPostsRequest(header=bulk.ImportHeader(workspace_id=WORKSPACE, validate_only=validate_only))
    for chunk in chunks:
        yield bulk.ImportPostsRequest(chunk=bulk.ImportChunk(rows=chunk))


def imported(stage: Stage, *chunks: Sequence[bulk.ImportRow], validate_only: bool = False) -> list[bulk.ImportResult]:
    answers = stage.bulk.ImportPosts(parts(chunks, validate_only=validate_only), timeout=60)
    return [result for answer in answers for result in answer.results]


def words(results: Iterable[bulk.ImportResult]) -> list[str]:
    return [bulk.ImportOutcome.Name(each.outcome).removeprefix("IMPORT_OUTCOME_") for each in results]


def stored(stage: Stage) -> list[tuple[str, str]]:
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        return [tuple(each) for each in tx.execute(text("SELECT import_key, caption FROM posts ORDER BY import_key"))]


def changed(stage: Stage, request: bulk.ChangePostsRequest) -> list[bulk.ChangeResult]:
    return [result for answer in stage.bulk.ChangePosts(request, timeout=60) for result in answer.results]


def change(request_id: str = "", **fields: object) -> bulk.ChangePostsRequest:
    return bulk.ChangePostsRequest(
        workspace_id=WORKSPACE,
        request_id=request_id or str(uuid4()),
        filter=bulk.PostFilter(channel="air"),
        **fields,  # type: ignore[arg-type]
    )


def times(stage: Stage) -> list[datetime]:
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        found = tx.execute(
            text(
                "SELECT p.schedule_time FROM posts p JOIN deliveries d ON d.post_id = p.post_id"
                " AND d.due_time = p.schedule_time ORDER BY p.post_id"
            )
        )
        return list(found.scalars())


def test_an_import_made_again_changes_nothing(stage: Stage) -> None:
    rows = rows_of(5)
    first = imported(stage, rows[:3], rows[3:])
    assert words(first) == ["CREATED"] * 5
    again = imported(stage, rows)
    assert words(again) == ["UNCHANGED"] * 5
    assert [each.post_id for each in again] == [each.post_id for each in first]
    assert len(stored(stage)) == 5


def test_a_changed_row_updates_its_post_and_says_what_differs(stage: Stage) -> None:
    rows = rows_of(2)
    (first, _) = imported(stage, rows)
    rows[0].post.caption = "Other words"
    rows[0].post.channel = "fire"
    again = imported(stage, rows)
    assert words(again) == ["UPDATED", "UNCHANGED"]
    assert [(each.field, each.after) for each in again[0].changes] == [("channel", "fire"), ("caption", "Other words")]
    post = stage.get(pb.Post(workspace_id=WORKSPACE, post_id=first.post_id))
    assert (post.caption, post.channel, post.deliveries[0].state) == (
        "Other words", "fire", pb.DELIVERY_STATE_SCHEDULED,
    )  # fmt: skip


def test_a_rehearsal_saves_nothing_and_says_the_same(stage: Stage) -> None:
    rows = rows_of(3)
    imported(stage, rows[:1])
    rows[0].post.caption = "Other words"
    rows[2].post.time_zone = "Mars/Olympus"
    told = imported(stage, rows, validate_only=True)
    assert words(told) == ["UPDATED", "CREATED", "REFUSED"]
    assert stored(stage) == [("Q1-00000", " number 0")]
    assert words(imported(stage, rows)) == words(told)


def test_good_rows_beside_bad_ones_are_saved(stage: Stage) -> None:
    rows = [
        row("good"),
        row("nowhere", time_zone="Mars/Olympus"),
        row("past", due_in=timedelta(hours=-1)),
        row("nul", caption="\0"),
        row("\0"),
        row("good", caption=" again"),
        row("good too", due_in=timedelta(hours=3), caption=" three"),
    ]
    rows[1].post.time_zone = "Mars/Olympus"
    results = imported(stage, rows)
    assert words(results) == ["CREATED", *["REFUSED"] * 5, "CREATED"]
    assert [each.refusal.reason for each in results[1:6]] == [
        "TIME_ZONE_UNKNOWN", "SCHEDULE_TIME_IN_PAST", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "IMPORT_KEY_REPEATED",
    ]  # fmt: skip
    assert results[3].refusal.field_violations[0].field == "post.caption"
    assert [key for key, _ in stored(stage)] == ["good", "good too"]


def test_what_has_gone_out_is_unchanged_and_can_no_longer_be_changed(stage: Stage) -> None:
    rows = rows_of(1)
    imported(stage, rows)
    stage.due_now()
    claimed = stage.claim_one()
    stage.report(claimed, pb.Published(platform_post_id="1", visibility=pb.VISIBILITY_PUBLIC, publish_time=NOW))
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE posts SET local_time = '2020-01-01 10:00', schedule_time = '2020-01-01 10:00Z'"))
    rows[0].post.local_time = "2020-01-01T10:00:00"
    assert words(imported(stage, rows)) == ["UNCHANGED"]
    rows[0].post.caption = "Too late"
    (late,) = imported(stage, rows)
    assert late.refusal.reason == "POST_NOT_EDITABLE"


NOW = Timestamp()
NOW.GetCurrentTime()


def test_other_accounts_replace_the_post(stage: Stage) -> None:
    rows = rows_of(1)
    (first,) = imported(stage, rows)
    rows[0].post.account_ids[:] = [str(uuid4())]
    (second,) = imported(stage, rows)
    assert words([second]) == ["REPLACED"]
    assert second.post_id != first.post_id
    former = stage.get(pb.Post(workspace_id=WORKSPACE, post_id=first.post_id))
    assert former.deliveries[0].state == pb.DELIVERY_STATE_CANCELED
    assert words(imported(stage, rows)) == ["UNCHANGED"]


def test_what_cannot_take_a_posts_place_leaves_it_there(stage: Stage) -> None:
    rows = rows_of(2)
    rows[1].post.channel = "fire"
    first, other = imported(stage, rows)
    former = bulk.ImportRow()
    former.CopyFrom(rows[0])
    today = datetime.now(UTC).date()
    closed = PostingPlan("fire", "UTC", blackouts=(Blackout(today, today + timedelta(days=9), "Holidays"),))
    with stage.database.transaction(UUID(WORKSPACE)) as tx:
        plan_store.set_plan(tx, UUID(WORKSPACE), closed)
    # One moves into the closed channel with its accounts; the other is there already, and only its accounts change.
    rows[0].post.channel = "fire"
    for each in rows:
        each.post.account_ids[:] = [str(uuid4())]
    told = imported(stage, rows, validate_only=True)
    again = imported(stage, rows)
    assert words(told) == words(again) == ["REFUSED", "REPLACED"]
    assert again[0].refusal.reason == "BLACKOUT"
    states = [
        stage.get(pb.Post(workspace_id=WORKSPACE, post_id=each.post_id)).deliveries[0].state for each in (first, other)
    ]
    assert states == [pb.DELIVERY_STATE_SCHEDULED, pb.DELIVERY_STATE_CANCELED]
    # Its key is still its own.
    assert words(imported(stage, [former, rows[1]])) == ["UNCHANGED", "UNCHANGED"]


def test_a_canceled_post_makes_room_for_its_row(stage: Stage) -> None:
    rows = rows_of(1)
    (first,) = imported(stage, rows)
    stage.cancel(pb.Post(workspace_id=WORKSPACE, post_id=first.post_id))
    (second,) = imported(stage, rows)
    assert words([second]) == ["CREATED"]
    assert second.post_id != first.post_id
    assert words(imported(stage, rows)) == ["UNCHANGED"]


def test_what_does_not_differ_is_kept_from_nobody(stage: Stage) -> None:
    rows = rows_of(1)
    imported(stage, rows)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("SELECT FROM posts JOIN deliveries USING (post_id) FOR UPDATE"))
        # Else it would wait here until its deadline.
        assert words(imported(stage, rows)) == ["UNCHANGED"]
        rows[0].post.caption = "Other words"
        assert words(imported(stage, rows, validate_only=True)) == ["UPDATED"]


def test_the_same_posts_under_other_keys_or_none_are_not_made_again(stage: Stage) -> None:
    rows = rows_of(3)
    first = imported(stage, rows[:2])
    single = stage.create(rows[2].post)
    for each in rows:
        each.key = f"{each.key}@calendar.example.com"
    again = imported(stage, rows)
    assert words(again) == ["UNCHANGED"] * 3
    assert [each.post_id for each in again] == [*(each.post_id for each in first), single.post_id]
    # From now on the third is known by its key.
    rows[2].post.local_time = "2027-06-01T10:00:00"
    assert words(imported(stage, rows[2:])) == ["UPDATED"]
    assert len(stored(stage)) == 3


def test_two_imports_of_one_file_at_once_double_nothing(stage: Stage) -> None:
    rows = rows_of(120)
    found: list[list[bulk.ImportResult]] = []
    chunks = [rows[start : start + 20] for start in range(0, 120, 20)]
    threads = [threading.Thread(target=lambda: found.append(imported(stage, *chunks))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    counts = Counter(word for results in found for word in words(results))
    assert counts == {"CREATED": 120, "UNCHANGED": 360}
    assert len(stored(stage)) == 120


def test_an_import_that_broke_off_at_half_is_made_again_without_a_double(stage: Stage) -> None:
    rows = rows_of(100)
    chunks = [rows[start : start + 10] for start in range(0, 100, 10)]
    call = stage.bulk.ImportPosts(parts(chunks), timeout=60)
    for _ in range(5):
        next(call)
    call.cancel()
    done = len(stored(stage))
    assert 50 <= done < 100 or done == 100
    results = imported(stage, *chunks)
    assert set(words(results[:50])) == {"UNCHANGED"}
    assert len(stored(stage)) == 100


@pytest.mark.parametrize(
    ("parts_", "field"),
    [
        ([], "header"),
        ([bulk.ImportPostsRequest(chunk=bulk.ImportChunk(rows=rows_of(1)))], "header"),
        ([bulk.ImportPostsRequest(header=bulk.ImportHeader(workspace_id=WORKSPACE))] * 2, "chunk"),
    ],
)
def test_an_import_has_one_header_and_then_chunks(
    stage: Stage, parts_: list[bulk.ImportPostsRequest], field: str
) -> None:
    with refused() as refusals:
        list(stage.bulk.ImportPosts(iter(parts_), timeout=10))
    assert isinstance(refusals[0], InvalidArgument)
    assert refusals[0].violations[0].field == field


def test_a_scheduler_that_is_stopped_ends_an_import_between_two_chunks(stage: Stage) -> None:
    api, rows = BulkApi(stage.database), rows_of(3)

    def chunks() -> Iterator[Sequence[bulk.ImportRow]]:
        yield rows[:1]
        yield rows[1:2]
        api.close()
        yield rows[2:]

    with served((bulk_pb2_grpc.add_BulkServiceServicer_to_server, api)) as channel, refused() as refusals:
        list(bulk_pb2_grpc.BulkServiceStub(channel).ImportPosts(parts(chunks()), timeout=10))
    assert (type(refusals[0]), refusals[0].reason) == (Unavailable, "BULK_STOPPED")
    assert "Q1-00002" not in [key for key, _ in stored(stage)]
    assert words(imported(stage, rows))[2] == "CREATED"


def test_as_many_bulk_calls_run_as_there_is_room_for(stage: Stage) -> None:
    api, going = BulkApi(stage.database, most=1), threading.Event()
    with served((bulk_pb2_grpc.add_BulkServiceServicer_to_server, api)) as channel:
        stub = bulk_pb2_grpc.BulkServiceStub(channel)

        def chunks() -> Iterator[Sequence[bulk.ImportRow]]:
            yield rows_of(1)
            going.wait(10)

        first = stub.ImportPosts(parts(chunks()), timeout=10)
        next(first)
        with refused() as refusals:
            list(stub.ImportPosts(parts([rows_of(1)]), timeout=10))
        assert refusals[0].reason == "BULK_BUSY"
        going.set()
        assert list(first) == []
        assert list(stub.ImportPosts(parts([rows_of(1)]), timeout=10))


def test_a_shift_by_days_keeps_the_clock_over_a_change_of_it(stage: Stage) -> None:
    post = stage.create(draft_of(local_time="2027-03-13T10:00:00", time_zone="America/New_York"))
    request = change(shift=bulk.Shift(days=1))
    (result,) = changed(stage, request)
    assert [(each.field, each.before, each.after) for each in result.changes.changes] == [
        ("local_time", "2027-03-13T10:00:00", "2027-03-14T10:00:00")
    ]
    moved = stage.get(post)
    # 23 hours later: that night has no 02:30.
    assert moved.schedule_time.ToJsonString() == "2027-03-14T14:00:00Z"
    assert moved.deliveries[0].due_time == moved.schedule_time


def test_a_time_that_does_not_exist_is_refused_for_its_post(stage: Stage) -> None:
    drafts = [draft_of(local_time=f"2027-03-13T{hour}:30:00", time_zone="America/New_York") for hour in ("01", "02")]
    for draft in drafts:
        stage.create(draft)
    results = changed(stage, change(shift=bulk.Shift(days=1)))
    assert [each.WhichOneof("result") for each in results] == ["changes", "refusal"] or [
        each.WhichOneof("result") for each in results
    ] == ["refusal", "changes"]
    (refusal,) = [each.refusal for each in results if each.HasField("refusal")]
    assert refusal.reason == "LOCAL_TIME_NONEXISTENT"


@pytest.mark.parametrize("days", [1, -1])
def test_a_change_that_broke_off_goes_on_and_shifts_nothing_twice(stage: Stage, days: int) -> None:
    # Three chunks, a day apart: each post moves to where its neighbour is.
    imported(stage, [row(f"{n:04}", due_in=timedelta(hours=n % 700 + 30), caption=f" {n}") for n in range(1200)])
    before = times(stage)
    request = change(shift=bulk.Shift(days=days))
    call = stage.bulk.ChangePosts(request, timeout=60)
    told = len(next(call).results)
    call.cancel()
    # Another change in between does not make it forget.
    edit = bulk.Edit(post=pb.PostDraft(caption="Other words"), update_mask=["caption"])
    changed(stage, change(edit=edit))
    told += len(changed(stage, request))
    assert 1200 - 500 <= told <= 1200  # the chunk that was being made when the caller left is not told
    assert times(stage) == [each + timedelta(days=days) for each in before]
    assert changed(stage, request) == []
    assert times(stage) == [each + timedelta(days=days) for each in before]


@pytest.mark.parametrize("days", [1, -1])
def test_posts_that_move_together_are_not_in_each_others_way(stage: Stage, days: int) -> None:
    with stage.database.transaction(UUID(WORKSPACE)) as tx:
        plan_store.set_plan(tx, UUID(WORKSPACE), PostingPlan("air", "UTC", min_gap=timedelta(hours=1), daily_cap=24))
    imported(stage, [row(f"{n:04}", due_in=timedelta(hours=n + 30), caption=f" {n}") for n in range(600)])
    before = times(stage)
    results = changed(stage, change(shift=bulk.Shift(days=days)))
    assert [each.refusal.reason for each in results if each.HasField("refusal")] == []
    assert times(stage) == [each + timedelta(days=days) for each in before]


def test_one_change_asked_for_twice_at_once_is_made_once(stage: Stage) -> None:
    imported(stage, [row(f"{n:04}", due_in=timedelta(hours=n + 1), caption=f" {n}") for n in range(1200)])
    before = times(stage)
    request = change(shift=bulk.Shift(days=1))
    told: list[bulk.ChangeResult] = []
    threads = [threading.Thread(target=lambda: told.extend(changed(stage, request))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.post_id for each in told}) == len(told) == 1200
    assert times(stage) == [each + timedelta(days=1) for each in before]


def test_a_request_id_is_of_one_change(stage: Stage) -> None:
    stage.create()
    changed(stage, change("mine", shift=bulk.Shift(days=1)))
    with refused() as refusals:
        changed(stage, change("mine", shift=bulk.Shift(days=2)))
    assert isinstance(refusals[0], AlreadyExists)
    assert refusals[0].reason == "REQUEST_ID_REUSED"


def test_an_edit_gives_every_post_the_same_values_and_a_rehearsal_gives_none(stage: Stage) -> None:
    imported(stage, rows_of(3))
    edit = bulk.Edit(
        post=pb.PostDraft(lateness=pb.Lateness(max_lateness=Duration(seconds=60))), update_mask=["lateness"]
    )
    told = changed(stage, change(edit=edit, validate_only=True))
    assert [each.changes.changes[0].field for each in told] == ["lateness"] * 3
    assert changed(stage, change(edit=edit)) == told
    assert all(not each.changes.changes for each in changed(stage, change(edit=edit)))


def test_posts_are_canceled_by_a_filter_but_for_those_that_are_going_out(stage: Stage) -> None:
    posts = imported(stage, rows_of(3))
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE deliveries SET due_time = now() WHERE post_id = :id"), {"id": posts[0].post_id})
    stage.claim_one()
    results = {each.post_id: each for each in changed(stage, change(cancel=True))}
    assert results[posts[0].post_id].refusal.reason == "DELIVERY_IN_PROGRESS"
    states = Counter(
        stage.get(pb.Post(workspace_id=WORKSPACE, post_id=each.post_id)).deliveries[0].state for each in posts
    )
    assert states == {pb.DELIVERY_STATE_CANCELED: 2, pb.DELIVERY_STATE_CLAIMED: 1}


def test_a_filter_that_names_nothing_is_refused(stage: Stage) -> None:
    request = change(cancel=True)
    request.filter.Clear()
    with refused() as refusals:
        changed(stage, request)
    assert refusals[0].reason == "FILTER_EMPTY"
    stage.create()


def test_what_is_imported_at_once_is_told_once(stage: Stage) -> None:
    imported(stage, rows_of(7))
    assert [each.summary for each in stage.activities()] == ["Import of posts: 7 scheduled."]
