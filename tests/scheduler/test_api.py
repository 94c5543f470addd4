from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit.errors import AlreadyExists, Conflict, FailedPrecondition, InvalidArgument, NotFound
from services.scheduler import api
from tests.scheduler.stage import (
    ACCEPTED,
    OTHER,
    PUBLISHED,
    TIMEOUT,
    WORKSPACE,
    Stage,
    complete_request,
    draft_of,
    fail_request,
    failure,
    refused,
    state_of,
)

ACCOUNT = "0198c0de-0000-7000-8000-00000000abcd"


def test_a_post_is_kept_as_its_author_wrote_it_with_a_delivery_for_each_account(stage: Stage) -> None:
    draft = draft_of(accounts=3, caption="Grüße 🌊 \u200d", ref="Q1-001", time_zone="UTC")
    post = stage.create(draft)
    assert post == stage.get(post)
    assert [delivery.account_id for delivery in post.deliveries] == list(draft.account_ids)
    assert {state_of(post, index) for index in range(3)} == {"SCHEDULED"}
    assert {delivery.due_time.ToJsonString() for delivery in post.deliveries} == {f"{draft.local_time}Z"}
    for name in ("channel", "caption", "local_time", "time_zone", "ref", "options", "media"):
        assert getattr(post, name) == getattr(draft, name), name


def test_a_wall_clock_time_is_kept_beside_the_instant_that_it_means(stage: Stage) -> None:
    local = stage.create(draft_of()).local_time[:10]
    post = stage.create(draft_of(local_time=f"{local}T23:59", time_zone="Etc/GMT+5"))
    assert (post.local_time, post.time_zone) == (f"{local}T23:59:00", "Etc/GMT+5")
    assert post.schedule_time.ToDatetime().strftime("%H:%M:%S") == "04:59:00"


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"time_zone": "CET"}, "time_zone", "TIME_ZONE_UNKNOWN"),
        ({"local_time": "2020-01-01T00:00"}, "local_time", "SCHEDULE_TIME_IN_PAST"),
        ({"local_time": "9999-12-31T23:59", "time_zone": "America/New_York"}, "local_time", "LOCAL_TIME_INVALID"),
        ({"local_time": "2027-02-30T10:00"}, "local_time", "LOCAL_TIME_INVALID"),
        ({"account_ids": [ACCOUNT, ACCOUNT.upper()]}, "account_ids[2]", "ACCOUNT_REPEATED"),
        ({"local_time": "tomorrow"}, "post.local_time", "INVALID_ARGUMENT"),
        ({"caption": "nul \0"}, "post.caption", "INVALID_ARGUMENT"),
        ({"channel": "Air!"}, "post.channel", "INVALID_ARGUMENT"),
    ],
)
def test_a_draft_that_cannot_be_meant_is_refused_by_its_field_and_nothing_is_kept(
    stage: Stage, change: dict[str, Any], field: str, reason: str
) -> None:
    with refused() as refusals:
        stage.create(draft_of(**change))
    assert isinstance(refusals[0], InvalidArgument)
    assert ([violation.field for violation in refusals[0].violations], refusals[0].reason) == ([field], reason)
    assert listed(stage) == []
    assert stage.activities() == []


def test_r13_of_many_equal_creations_at_once_there_is_one_post(stage: Stage) -> None:
    draft = draft_of()
    with ThreadPoolExecutor(12) as pool:
        posts = list(pool.map(lambda _: stage.create(draft, request_id="same"), range(24)))
    assert all(post == posts[0] for post in posts)
    assert len(listed(stage)) == 1
    with refused() as refusals:
        stage.create(draft_of(), request_id="same")
    assert (type(refusals[0]), refusals[0].reason) == (AlreadyExists, "REQUEST_ID_REUSED")
    assert stage.create(draft, workspace=OTHER, request_id="same").post_id != posts[0].post_id


def batch(stage: Stage, drafts: list[pb.PostDraft], *, validate_only: bool = False) -> list[pb.BatchCreateResult]:
    request = pb.BatchCreatePostsRequest(
        workspace_id=WORKSPACE, request_id="batch", posts=drafts, validate_only=validate_only
    )
    return list(stage.stub.BatchCreatePosts(request, timeout=TIMEOUT).results)


def test_of_a_calendar_of_500_rows_the_good_are_taken_and_the_bad_refused_each_for_itself(stage: Stage) -> None:
    bad: dict[int, tuple[pb.PostDraft, str, str]] = {
        0: (draft_of(time_zone="CET"), "TIME_ZONE_UNKNOWN", "time_zone"),
        7: (draft_of(account_ids=["7"]), "INVALID_ARGUMENT", "account_ids[1]"),
        8: (pb.PostDraft(), "INVALID_ARGUMENT", "account_ids"),
        250: (draft_of(account_ids=[ACCOUNT, ACCOUNT.upper()]), "ACCOUNT_REPEATED", "account_ids[2]"),
        499: (
            draft_of(local_time="9999-12-31T23:59", time_zone="America/New_York"),
            "LOCAL_TIME_INVALID",
            "local_time",
        ),
    }
    drafts = [bad[index][0] if index in bad else draft_of(ref=f"Q1-{index:03}") for index in range(500)]

    planned = batch(stage, drafts, validate_only=True)
    assert listed(stage) == []
    taken = batch(stage, drafts)
    assert batch(stage, drafts) == taken

    for index, (plan, result) in enumerate(zip(planned, taken, strict=True)):
        if index in bad:
            assert plan == result
            assert (result.refusal.reason, result.refusal.field_violations[0].field) == bad[index][1:]
        else:
            assert (plan.post.post_id, plan.post.ref) == ("", f"Q1-{index:03}")
            assert (bool(result.post.post_id), result.post.ref) == (True, f"Q1-{index:03}")
            assert plan.post.schedule_time == result.post.schedule_time
    assert len({result.post.post_id for result in taken}) == 495 + 1
    assert [activity.type for activity in stage.activities()] == ["post.created"] * 495


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_has_1_to_500_rows(stage: Stage, count: int) -> None:
    with refused() as refusals:
        batch(stage, [draft_of()] * count)
    assert [violation.field for violation in refusals[0].violations] == ["posts"]


def listed(stage: Stage, **filters: object) -> list[pb.Post]:
    """All pages."""
    found: list[pb.Post] = []
    token = ""
    while True:
        request = pb.ListPostsRequest(workspace_id=WORKSPACE, page_token=token)
        request.MergeFrom(pb.ListPostsRequest(**filters))  # type: ignore[arg-type]
        answer = stage.stub.ListPosts(request, timeout=TIMEOUT)
        found += answer.posts
        token = answer.next_page_token
        if not token:
            return found


def test_pages_together_hold_every_post_once_in_the_order_of_their_times(stage: Stage) -> None:
    stage.create(workspace=OTHER)
    # Three at the same instant: the order needs more than the time.
    created = [stage.create(draft_of(due_in=timedelta(hours=hours))) for hours in (5, 2, 2, 2, 9, 1, 7)]
    expected = sorted(created, key=lambda post: (post.schedule_time.seconds, post.post_id))
    for size in (1, 2, 3, 7, 8, 0):
        assert listed(stage, page_size=size) == expected, size
    first = stage.stub.ListPosts(pb.ListPostsRequest(workspace_id=WORKSPACE, page_size=7), timeout=TIMEOUT)
    assert first.next_page_token == ""


def test_a_list_is_filtered_by_time_channel_and_state(stage: Stage) -> None:
    early, late = (stage.create(draft_of(due_in=timedelta(hours=hours))) for hours in (1, 3))
    water = stage.create(draft_of(due_in=timedelta(hours=2), channel="water"))
    stage.cancel(late)
    ids = {"early": early.post_id, "water": water.post_id, "late": late.post_id}

    def found(**filters: object) -> list[str]:
        by_id = {post_id: name for name, post_id in ids.items()}
        return [by_id[post.post_id] for post in listed(stage, page_size=1, **filters)]

    assert found() == ["early", "water", "late"]
    assert found(from_time=water.schedule_time) == ["water", "late"]
    assert found(until_time=water.schedule_time) == ["early"]
    assert found(channel="water") == ["water"]
    assert found(post_ids=[late.post_id, early.post_id]) == ["early", "late"]
    assert found(delivery_state=pb.DELIVERY_STATE_CANCELED) == ["late"]
    assert found(delivery_state=pb.DELIVERY_STATE_SCHEDULED) == ["early", "water"]
    assert found(delivery_state=pb.DELIVERY_STATE_SCHEDULED, channel="air") == ["early"]


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"page_token": "x"}, "page_token"),
        ({"page_size": -1}, "page_size"),
        ({"from_time": Timestamp(seconds=10**15)}, "from_time"),
        ({"until_time": Timestamp(seconds=-(10**15))}, "until_time"),
        ({"delivery_state": 99}, "delivery_state"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused_by_its_field(
    stage: Stage, filters: dict[str, object], field: str
) -> None:
    with refused() as refusals:
        listed(stage, **filters)
    assert isinstance(refusals[0], InvalidArgument)
    assert [violation.field for violation in refusals[0].violations] == [field]


def test_an_edit_changes_what_its_mask_names_and_nothing_else(stage: Stage) -> None:
    post = stage.create(draft_of(accounts=2))
    other = draft_of(caption=" too", due_in=timedelta(hours=5), channel="er")
    for name in ("channel", "caption", "media", "options"):
        before = stage.get(post)
        after = stage.update(post, other, name)
        assert getattr(after, name) == getattr(other, name)
        expected = pb.Post()
        expected.CopyFrom(before)
        for changed in (name, "etag", "update_time"):
            expected.ClearField(changed)
            after.ClearField(changed)
        assert after == expected
        assert before.etag != stage.get(post).etag
    moved = stage.update(post, other, "local_time")
    assert {delivery.due_time.ToJsonString() for delivery in moved.deliveries} == {f"{other.local_time}Z"}
    assert [activity.summary for activity in stage.activities()][-1] == "The post was changed: local_time."


def test_an_edit_with_an_old_etag_is_refused(stage: Stage) -> None:
    post = stage.create()
    edited = stage.update(post, draft_of(), "channel", etag=post.etag)
    with refused() as refusals:
        stage.update(post, draft_of(), "channel", etag=post.etag)
    assert (type(refusals[0]), refusals[0].reason) == (Conflict, "POST_CHANGED")
    assert stage.get(post) == edited


@pytest.mark.parametrize(
    "state",
    [
        "CLAIMED",
        "CONFIRMING",
        "UNCERTAIN",
        "HELD",
        "MISSED",
        "PUBLISHED",
        "REMOVED",
        "REJECTED",
        "FAILED",
        "CANCELED",
    ],
)
def test_a_post_that_has_begun_or_is_over_cannot_be_edited(stage: Stage, state: str) -> None:
    post = stage.post_in(state)
    with refused() as refusals:
        stage.update(post, draft_of(caption="too late"), "caption")
    assert (type(refusals[0]), refusals[0].reason) == (FailedPrecondition, "POST_NOT_EDITABLE")
    assert refusals[0].metadata == {"delivery_id": post.deliveries[0].delivery_id, "state": state}
    assert stage.get(post) == post


@pytest.mark.parametrize(
    ("draft", "mask", "field"),
    [
        (draft_of(), "account_ids", "update_mask[0]"),
        (draft_of(), "state", "update_mask[0]"),
        (pb.PostDraft(channel="Air"), "channel", "channel"),
        (pb.PostDraft(local_time="2020-01-01T00:00"), "local_time", "local_time"),
        (pb.PostDraft(time_zone="CET"), "time_zone", "time_zone"),
        (pb.PostDraft(caption="x" * 10_001), "caption", "caption"),
    ],
)
def test_an_edit_keeps_the_rules_of_a_new_post(stage: Stage, draft: pb.PostDraft, mask: str, field: str) -> None:
    post = stage.create()
    with refused() as refusals:
        stage.update(post, draft, mask)
    assert [violation.field for violation in refusals[0].violations] == [field]
    assert stage.get(post) == post


def test_a_canceled_post_is_never_claimed_and_may_be_canceled_again(stage: Stage) -> None:
    post = stage.create(draft_of(accounts=2))
    canceled = stage.cancel(post)
    assert {state_of(canceled, index) for index in range(2)} == {"CANCELED"}
    assert stage.cancel(post) == canceled
    stage.due_now()
    assert stage.claim() == []
    assert [activity.type for activity in stage.activities()] == ["post.created", "post.canceled"]


@pytest.mark.parametrize("state", ["CLAIMED", "CONFIRMING"])
def test_a_post_on_its_way_out_cannot_be_canceled_nor_any_part_of_it(stage: Stage, state: str) -> None:
    post = stage.create(draft_of(accounts=2))
    stage.due_now()
    (claimed,) = stage.claim(batch=1)
    if state == "CONFIRMING":
        stage.report(claimed, ACCEPTED)
    with refused() as refusals:
        stage.cancel(post)
    assert (type(refusals[0]), refusals[0].reason) == (FailedPrecondition, "DELIVERY_IN_PROGRESS")
    assert sorted(state_of(stage.get(post), index) for index in range(2)) == [state, "SCHEDULED"]


@pytest.mark.parametrize("state", ["PUBLISHED", "REJECTED", "FAILED"])
def test_a_cancel_leaves_what_is_over(stage: Stage, state: str) -> None:
    post = stage.post_in(state)
    assert stage.cancel(post) == post
    assert "post.canceled" not in [activity.type for activity in stage.activities()]


CALLS: dict[str, Callable[[Stage, str, str, str], object]] = {
    "get": lambda stage, workspace, post, _: stage.stub.GetPost(
        pb.GetPostRequest(workspace_id=workspace, post_id=post), timeout=TIMEOUT
    ),
    "update": lambda stage, workspace, post, _: stage.stub.UpdatePost(
        pb.UpdatePostRequest(workspace_id=workspace, post_id=post, post=draft_of(), update_mask=["caption"]),
        timeout=TIMEOUT,
    ),
    "cancel": lambda stage, workspace, post, _: stage.stub.CancelPost(
        pb.CancelPostRequest(workspace_id=workspace, post_id=post), timeout=TIMEOUT
    ),
    "renew": lambda stage, workspace, _, delivery: stage.stub.RenewDelivery(
        pb.RenewDeliveryRequest(
            workspace_id=workspace, delivery_id=delivery, attempt=1, lease_duration=Duration(seconds=30)
        ),
        timeout=TIMEOUT,
    ),
    "complete": lambda stage, workspace, _, delivery: stage.stub.CompleteDelivery(
        complete_request(workspace, delivery, 1, PUBLISHED), timeout=TIMEOUT
    ),
    "fail": lambda stage, workspace, _, delivery: stage.stub.FailDelivery(
        fail_request(workspace, delivery, 1, failure("TRANSIENT")), timeout=TIMEOUT
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_s2_what_another_workspace_has_looks_like_what_nobody_has_and_stays_as_it_is(stage: Stage, name: str) -> None:
    post = stage.post_in("CLAIMED")
    refusals = []
    for post_id, delivery_id in ((post.post_id, post.deliveries[0].delivery_id), (str(uuid4()), str(uuid4()))):
        with refused() as refusal:
            CALLS[name](stage, OTHER, post_id, delivery_id)
        refusals += refusal
    foreign, missing = refusals
    assert type(foreign) is type(missing) is NotFound
    assert (foreign.reason, foreign.message) == (missing.reason, missing.message)
    assert stage.get(post) == post


@pytest.mark.parametrize("name", CALLS)
def test_an_id_that_is_none_is_refused_by_its_field(stage: Stage, name: str) -> None:
    with refused() as refusals:
        CALLS[name](stage, "7", "8", "9")
    fields = {violation.field for violation in refusals[0].violations}
    assert fields in ({"workspace_id", "post_id"}, {"workspace_id", "delivery_id"})


def test_the_activities_of_a_post_are_told_in_the_order_in_which_they_happened(stage: Stage) -> None:
    post = stage.create()
    stage.update(post, draft_of(), "caption")
    stage.due_now()
    stage.report(stage.claim_one(), failure("TRANSIENT"))
    stage.due_now()
    second = stage.claim_one()
    stage.report(second, ACCEPTED)
    stage.report(second, PUBLISHED)
    told = stage.activities()
    assert [activity.type for activity in told] == [
        "post.created",
        "post.updated",
        "delivery.retrying",
        "delivery.confirming",
        "delivery.published",
    ]
    assert {activity.post_id for activity in told} == {post.post_id}
    assert {activity.delivery_id for activity in told[2:]} == {post.deliveries[0].delivery_id}
    assert len({activity.request_id for activity in told}) == 5
    assert dict(told[2].attributes) == {"reason": "TIKTOK_SAID_SO"}
    assert dict(told[4].attributes) == {"visibility": "public", "url": PUBLISHED.url, "platform_post_id": "7"}


def test_a_summary_shows_what_a_calendar_needs_of_the_same_posts(stage: Stage) -> None:
    caption = "x" * 150
    over = stage.post_in("PUBLISHED")
    waiting = stage.create(draft_of(accounts=2, due_in=timedelta(hours=2), caption=caption, ref="Q1-007"))
    summaries = listed(stage, view=pb.POST_VIEW_SUMMARY)
    assert [each.post_id for each in summaries] == [each.post_id for each in listed(stage)]
    found = {each.post_id: each for each in summaries}
    shown = found[waiting.post_id]
    assert (shown.caption, shown.ref, shown.etag) == (waiting.caption[:100], "Q1-007", waiting.etag)
    assert (shown.local_time, shown.time_zone) == (waiting.local_time, waiting.time_zone)
    assert shown.schedule_time == waiting.schedule_time
    assert [each.delivery_id for each in shown.deliveries] == [each.delivery_id for each in waiting.deliveries]
    assert (found[over.post_id].deliveries[0].state, found[over.post_id].deliveries[0].url) == (
        pb.DELIVERY_STATE_PUBLISHED,
        over.deliveries[0].url,
    )
    assert not shown.media
    assert not shown.HasField("options")


def test_posts_are_found_by_account_and_ref(stage: Stage) -> None:
    stage.post_in("PUBLISHED")
    posts = [stage.create(draft_of(accounts=2, due_in=timedelta(hours=n + 1), ref=f"R{n}")) for n in range(3)]
    account = posts[1].deliveries[1].account_id
    for view in (pb.POST_VIEW_UNSPECIFIED, pb.POST_VIEW_SUMMARY):
        assert [each.post_id for each in listed(stage, account_id=account, view=view)] == [posts[1].post_id]
        assert [each.post_id for each in listed(stage, ref="R2", view=view)] == [posts[2].post_id]


def test_pages_of_summaries_are_the_whole_list_once(stage: Stage) -> None:
    due = timedelta(hours=1)
    posts = [stage.create(draft_of(due_in=due, caption=f" {n}")) for n in range(5)]
    request = pb.ListPostsRequest(workspace_id=WORKSPACE, page_size=2, view=pb.POST_VIEW_SUMMARY)
    found: list[str] = []
    while True:
        answer = stage.stub.ListPosts(request, timeout=10)
        found += [each.post_id for each in answer.posts]
        request.page_token = answer.next_page_token
        if not answer.next_page_token:
            break
    assert found == sorted(each.post_id for each in posts)


def test_a_page_of_summaries_ends_where_its_deliveries_fill_a_message(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_MOST_SUMMARY_DELIVERIES", 3)
    for accounts in (2, 1, 1, 2):
        stage.create(draft_of(accounts=accounts))
    request = pb.ListPostsRequest(workspace_id=WORKSPACE, view=pb.POST_VIEW_SUMMARY)
    pages: list[int] = []
    while not pages or request.page_token:
        answer = stage.stub.ListPosts(request, timeout=10)
        pages.append(len(answer.posts))
        request.page_token = answer.next_page_token
    assert pages == [2, 2]
