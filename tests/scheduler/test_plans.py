"""Posting plans and the queue that fills their slots, as callers see them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from reelroute.scheduler.v1 import plans_pb2 as plans
from reelroute.scheduler.v1 import plans_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit.db import Database
from kit.errors import FailedPrecondition, InvalidArgument, NotFound
from services.scheduler.plan_api import PlanApi
from tests.scheduler.stage import POLICY, WORKSPACE, Stage, draft_of, refused
from tests.services import served

NEW_YORK = ZoneInfo("America/New_York")
DAILY = list(range(1, 8))


def slots(*times: str, weekdays: list[int] = DAILY) -> list[plans.Slot]:
    return [plans.Slot(weekday=day, local_time=each) for day in weekdays for each in times]  # type: ignore[arg-type]


def planned(stage: Stage, channel: str = "air", **fields: object) -> plans.PostingPlan:
    plan = plans.PostingPlan(channel=channel, time_zone="America/New_York", **fields)  # type: ignore[arg-type]
    request = plans.SetPostingPlanRequest(workspace_id=WORKSPACE, plan=plan)
    return stage.plans.SetPostingPlan(request, timeout=10).plan


def queued(
    stage: Stage,
    caption: str = "",
    not_before: datetime | None = None,
    stub: plans_pb2_grpc.PlanServiceStub | None = None,
) -> pb.Post:
    draft = draft_of(caption=caption or f" {uuid4()}")
    draft.ClearField("local_time")
    draft.ClearField("time_zone")
    request = plans.QueuePostRequest(workspace_id=WORKSPACE, request_id=str(uuid4()), post=draft)
    if not_before:
        request.not_before_time.FromDatetime(not_before)
    return (stub or stage.plans).QueuePost(request, timeout=60).post


def listed(stage: Stage, **filters: object) -> list[plans.SlotTime]:
    request = plans.ListSlotsRequest(workspace_id=WORKSPACE, channel="air", **filters)  # type: ignore[arg-type]
    return list(stage.plans.ListSlots(request, timeout=10).slots)


def local(post: pb.Post) -> datetime:
    return post.schedule_time.ToDatetime(tzinfo=UTC).astimezone(NEW_YORK)


def tomorrow(clock: str, days: int = 1) -> str:
    return f"{datetime.now(NEW_YORK).date() + timedelta(days=days)}T{clock}"


def test_a_plan_is_kept_as_a_whole(stage: Stage) -> None:
    with refused() as refusals:
        stage.plans.GetPostingPlan(plans.GetPostingPlanRequest(workspace_id=WORKSPACE, channel="air"), timeout=10)
    assert isinstance(refusals[0], NotFound)
    plan = planned(
        stage,
        slots=slots("08:00", "15:00", "19:00"),
        quiet_hours=[plans.QuietHours(start_time="22:00", end_time="07:00")],
        min_gap=Duration(seconds=3600),
        daily_cap=3,
        blackouts=[plans.Blackout(first_date="2027-11-25", last_date="2027-11-26", reason="Thanksgiving")],
    )
    listed_ = stage.plans.ListPostingPlans(plans.ListPostingPlansRequest(workspace_id=WORKSPACE), timeout=10)
    assert list(listed_.plans) == [plan]
    assert len(plan.slots) == 21
    stage.plans.DeletePostingPlan(plans.DeletePostingPlanRequest(workspace_id=WORKSPACE, channel="air"), timeout=10)
    assert not stage.plans.ListPostingPlans(plans.ListPostingPlansRequest(workspace_id=WORKSPACE), timeout=10).plans


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"time_zone": "EST5"}, "time_zone"),
        ({"slots": [*slots("08:00", weekdays=[1]), *slots("08:00", weekdays=[1])]}, "slots[1]"),
        (
            {"slots": slots("23:00"), "quiet_hours": [plans.QuietHours(start_time="22:00", end_time="07:00")]},
            "slots[0]",
        ),
        ({"slots": slots("08:00", "08:30", weekdays=[1]), "min_gap": Duration(seconds=3600)}, "slots[1]"),
        ({"blackouts": [plans.Blackout(first_date="2027-02-02", last_date="2027-02-01")]}, "blackouts[0]"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused_by_its_field(
    stage: Stage, fields: dict[str, object], field: str
) -> None:
    with refused() as refusals:
        plan = plans.PostingPlan(**{"channel": "air", "time_zone": "America/New_York"} | fields)  # type: ignore[arg-type]
        stage.plans.SetPostingPlan(plans.SetPostingPlanRequest(workspace_id=WORKSPACE, plan=plan), timeout=10)
    assert isinstance(refusals[0], InvalidArgument)
    assert field in refusals[0].violations[0].field


@pytest.mark.parametrize(
    ("rule", "fields", "clock"),
    [
        ("QUIET_HOURS", {"quiet_hours": [plans.QuietHours(start_time="22:00", end_time="07:00")]}, "06:59:59"),
        ("MIN_GAP", {"min_gap": Duration(seconds=3600)}, "12:59:59"),
        ("DAILY_CAP", {"daily_cap": 1}, "20:00:00"),
    ],
)
def test_a_post_that_breaks_a_rule_is_refused_by_its_name_unless_its_author_accepts(
    stage: Stage, rule: str, fields: dict[str, object], clock: str
) -> None:
    planned(stage, "air", **fields)
    stage.create(draft_of(local_time=tomorrow("12:00:00"), time_zone="America/New_York", caption=" one"))
    wanted = draft_of(local_time=tomorrow(clock), time_zone="America/New_York", caption=" two")
    with refused() as refusals:
        stage.create(wanted)
    assert isinstance(refusals[0], FailedPrecondition)
    assert refusals[0].reason == rule
    wanted.accept_conflicts = True
    request = pb.CreatePostRequest(workspace_id=WORKSPACE, request_id=str(uuid4()), post=wanted)
    (conflict,) = stage.stub.CreatePost(request, timeout=10).conflicts
    assert (conflict.rule, conflict.blocking) == (rule, False)


def test_nothing_goes_out_on_a_blackout_of_the_workspace(stage: Stage) -> None:
    day = (datetime.now(NEW_YORK) + timedelta(days=2)).date().isoformat()
    planned(stage, "", blackouts=[plans.Blackout(first_date=day, last_date=day, reason="Move")])
    planned(stage, slots=slots("08:00"))
    with refused() as refusals:
        stage.create(draft_of(local_time=f"{day}T10:00:00", time_zone="America/New_York"))
    assert refusals[0].reason == "BLACKOUT"
    closed = [each for each in listed(stage) if each.closed_by]
    assert [each.times.local_time[:10] for each in closed] == [day]


def test_two_hundred_callers_at_once_get_two_hundred_slots_and_no_rule_is_broken(stage: Stage) -> None:
    black = (datetime.now(NEW_YORK) + timedelta(days=5)).date()
    planned(
        stage,
        slots=slots("08:00", "15:00", "19:00"),
        quiet_hours=[plans.QuietHours(start_time="21:30", end_time="07:00")],
        min_gap=Duration(seconds=7200),
        daily_cap=3,
        blackouts=[plans.Blackout(first_date=black.isoformat(), last_date=black.isoformat())],
    )
    # One that stands in the way of a slot, and counts for its day.
    stage.create(draft_of(local_time=tomorrow("14:00:00", 3), time_zone="America/New_York", caption=" first"))
    # Two replicas, each with its own connections.
    other = Database(stage.database.url.render_as_string(hide_password=False), "scheduler")
    serves = (plans_pb2_grpc.add_PlanServiceServicer_to_server, PlanApi(other, POLICY))
    with served(serves) as channel, ThreadPoolExecutor(200) as pool:
        stubs = [stage.plans, plans_pb2_grpc.PlanServiceStub(channel)]
        posts = list(pool.map(lambda n: queued(stage, f" number {n}", stub=stubs[n % 2]), range(200)))
    other.close()
    times = sorted(local(each) for each in posts)
    assert len(set(times)) == 200
    assert {each.time() for each in times} == {time(8), time(15), time(19)}
    assert all(following - at >= timedelta(hours=2) for at, following in pairwise(times))
    assert black not in {each.date() for each in times}
    busy = (datetime.now(NEW_YORK) + timedelta(days=3)).date()
    assert [each.time() for each in times if each.date() == busy] == [time(8), time(19)]
    # The earliest slots that there are: none was left out.
    free = [each for each in listed(stage, only_free=True) if each.times.time.ToDatetime(tzinfo=UTC) < times[-1]]
    assert free == []


def test_a_queue_without_a_plan_or_without_room_says_so(stage: Stage) -> None:
    with refused() as refusals:
        queued(stage)
    assert refusals[0].reason == "PLAN_NOT_FOUND"
    planned(stage, slots=slots("08:00"), blackouts=[plans.Blackout(first_date="2020-01-01", last_date="2099-01-01")])
    with refused() as refusals:
        queued(stage)
    assert refusals[0].reason == "NO_FREE_SLOT"
    assert "BLACKOUT" in refusals[0].message.upper()


def test_a_slot_keeps_its_clock_over_a_change_and_warns_in_that_week(stage: Stage) -> None:
    planned(stage, slots=slots("08:00"))
    found = listed(
        stage,
        from_time=stamp("2027-03-08T00:00:00Z"),
        until_time=stamp("2027-03-18T00:00:00Z"),
        other_time_zone="Europe/Berlin",
    )
    assert {each.times.local_time[11:] for each in found} == {"08:00:00"}
    by_day = {each.times.local_time[:10]: each.times for each in found}
    assert by_day["2027-03-09"].other_local_time[11:] == "14:00:00"
    # New York has changed its clocks, Berlin not yet.
    assert by_day["2027-03-16"].other_local_time[11:] == "13:00:00"
    assert by_day["2027-03-16"].warning


def stamp(text: str) -> Timestamp:
    found = Timestamp()
    found.FromJsonString(text)
    return found


@pytest.mark.parametrize(("action", "blocking"), [("WARN", False), ("REFUSE", True), ("ALLOW", None)])
def test_the_rule_of_a_pair_of_channels_decides_about_the_same_words(
    stage: Stage, action: str, blocking: bool | None
) -> None:
    rule = plans.DuplicateRule(
        channel="fire",
        other_channel="air",
        action=plans.DuplicateAction.Value(f"DUPLICATE_ACTION_{action}"),
        window=Duration(seconds=7200),
    )
    stage.plans.SetDuplicateRule(plans.SetDuplicateRuleRequest(workspace_id=WORKSPACE, rule=rule), timeout=10)
    first = stage.create(draft_of(caption=" Same words, please"))
    request = pb.BatchCreatePostsRequest(
        workspace_id=WORKSPACE,
        request_id="both",
        posts=[
            draft_of(channel="fire", caption=" same WORDS, please", due_in=timedelta(hours=2)),
            draft_of(channel="fire", caption=" same words, please", due_in=timedelta(hours=9)),
        ],
    )
    for draft in request.posts:
        draft.channel = "fire"
        draft.media[0].sha256 = "1" * 64
    near, far = stage.stub.BatchCreatePosts(request, timeout=10).results
    assert far.WhichOneof("result") == "post"
    assert not far.conflicts
    if blocking:
        assert near.refusal.reason == "DUPLICATE_CAPTION"
        return
    assert [(each.rule, each.other_post_id) for each in near.conflicts] == (
        [] if blocking is None else [("DUPLICATE_CAPTION", first.post_id)]
    )
