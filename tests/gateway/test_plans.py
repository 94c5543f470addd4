"""Posting plans, slots, the queue, duplicates and approvals."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from reelroute.scheduler.v1 import plans_pb2, scheduler_pb2

from kit.errors import FailedPrecondition, FieldViolation
from tests.gateway.fakes import WORKSPACE, Memory
from tests.gateway.given import content, draft, fields

EARTH = {
    "channel": "earth",
    "time_zone": "America/New_York",
    "slots": [{"weekday": "TUESDAY", "local_time": "14:00"}, {"weekday": "SATURDAY", "local_time": "14:00:30"}],
    "quiet_hours": [{"weekdays": ["FRIDAY"], "start_time": "22:00", "end_time": "07:00"}],
    "min_gap_seconds": 7200,
    "daily_cap": 2,
    "blackouts": [{"first_date": "2027-11-25", "last_date": "2027-11-26", "reason": "Thanksgiving"}],
    "requires_approval": True,
}
DUPLICATE = scheduler_pb2.Conflict(
    rule="DUPLICATE_MEDIA", field="media[0]", message="Water shows it on the same day.", other_post_id=str(uuid4())
)


class QuietHours(FailedPrecondition):
    """As the scheduler refuses it."""


def test_a_plan_is_set_as_a_whole_read_listed_and_taken_away(api: httpx.Client, memory: Memory) -> None:
    assert api.put("/v1/plans", json=EARTH).json() == EARTH
    sent = memory.request(plans_pb2.SetPostingPlanRequest)
    assert (sent.workspace_id, sent.plan.min_gap.ToSeconds()) == (WORKSPACE, 7200)
    assert sent.plan.slots[1] == plans_pb2.Slot(weekday=plans_pb2.WEEKDAY_SATURDAY, local_time="14:00:30")
    assert sent.plan.quiet_hours[0].weekdays == [plans_pb2.WEEKDAY_FRIDAY]
    assert api.get("/v1/plans/earth").json() == EARTH
    bare = api.put("/v1/plans", json={"channel": "earth", "time_zone": "UTC"}).json()
    assert (bare["slots"], bare["min_gap_seconds"], bare["requires_approval"]) == ([], 0, False)
    assert not memory.plans["earth"].HasField("min_gap")
    assert api.get("/v1/plans").json()["plans"] == [bare]
    assert [api.delete("/v1/plans/earth").status_code for _ in range(2)] == [204, 204]
    missing = api.get("/v1/plans/earth")
    assert (missing.status_code, missing.json()["reason"]) == (404, "PLAN_NOT_FOUND")


def test_the_plan_of_channels_without_one_has_a_name_that_no_channel_can_have(
    api: httpx.Client, memory: Memory
) -> None:
    api.put("/v1/plans", json={"channel": "", "time_zone": "UTC", "daily_cap": 3})
    assert api.get("/v1/plans/-").json()["daily_cap"] == 3
    assert fields(api.put("/v1/plans", json={"channel": "-", "time_zone": "UTC"})) == ["channel"]
    api.delete("/v1/plans/-")
    assert memory.plans == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slots": [{"weekday": "TUESDAY", "local_time": "24:00"}]}, "slots[0].local_time"),
        ({"slots": [{"weekday": "DIENSTAG", "local_time": "14:00"}]}, "slots[0].weekday"),
        ({"quiet_hours": [{"start_time": "22:00", "end_time": "7:00"}]}, "quiet_hours[0].end_time"),
        ({"blackouts": [{"first_date": "25.11.2027", "last_date": "2027-11-26"}]}, "blackouts[0].first_date"),
        ({"min_gap_seconds": 8 * 86_400}, "min_gap_seconds"),
        ({"daily_cap": -1}, "daily_cap"),
        ({"slot": []}, "slot"),
    ],
)
def test_what_no_plan_can_have_is_named(api: httpx.Client, memory: Memory, change: dict[str, Any], field: str) -> None:
    refused = api.put("/v1/plans", json=EARTH | change)
    assert (refused.status_code, fields(refused)) == (422, [field])
    assert memory.plans == {}


def test_slots_are_shown_in_two_zones_with_what_closes_them(api: httpx.Client, memory: Memory) -> None:
    api.put("/v1/plans", json=EARTH)
    query = {"from_time": "2027-03-14T00:00:00Z", "other_time_zone": "Europe/Berlin", "page_size": "7"}
    taken, closed = api.get("/v1/plans/earth/slots", params=query).json()["slots"]
    assert (taken["times"]["time_zone"], taken["times"]["other_time_zone"]) == ("America/New_York", "Europe/Berlin")
    assert taken["times"]["warning"]
    assert (taken["post_id"] is None, taken["closed_by"]) == (False, None)
    assert (closed["post_id"], closed["closed_by"]) == (None, "BLACKOUT")
    asked = memory.request(plans_pb2.ListSlotsRequest)
    assert asked.from_time.ToJsonString() == "2027-03-14T00:00:00Z"
    assert (asked.HasField("until_time"), asked.page_size) == (False, 7)
    assert api.get("/v1/plans/earth/slots?only_free=true").json()["slots"] == []
    assert api.get("/v1/plans/fire/slots").status_code == 404


def test_a_post_is_queued_with_the_same_checks_as_any_other(api: httpx.Client, memory: Memory) -> None:
    api.put("/v1/plans", json=EARTH | {"channel": "air"})
    queued = content(memory, not_before_time="2027-03-01T00:00:00+01:00")
    answer = api.post("/v1/posts:queue", json=queued, headers={"Idempotency-Key": "q"})
    assert answer.status_code == 201
    assert (answer.json()["local_time"], answer.json()["time_zone"]) == ("2027-03-15T08:00:00", "America/New_York")
    assert answer.headers["Location"] == f"/v1/posts/{answer.json()['post_id']}"
    sent = memory.request(plans_pb2.QueuePostRequest)
    assert (sent.request_id, sent.not_before_time.ToJsonString()) == ("q", "2027-02-28T23:00:00Z")
    assert (list(sent.post.platforms), list(sent.post.shingles), sent.post.local_time) == (["tiktok"], [9], "")
    assert api.post("/v1/posts:queue", json=queued, headers={"Idempotency-Key": "q"}).json() == answer.json()
    unfit = content(memory, media_asset_ids=[str(uuid4())])
    assert fields(api.post("/v1/posts:queue", json=unfit)) == ["media_asset_ids[0]"]
    assert fields(api.post("/v1/posts:queue", json=queued | {"local_time": "2027-03-01T08:00"})) == ["local_time"]
    assert api.post("/v1/posts:queue", json=content(memory, channel="fire")).status_code == 404
    assert len(memory.posts) == 1


def test_conflicts_that_do_not_stand_in_the_way_come_back_from_every_door(api: httpx.Client, memory: Memory) -> None:
    api.put("/v1/plans", json=EARTH | {"channel": "air"})
    memory.conflicts = [DUPLICATE]
    made = api.post("/v1/posts", json=draft(memory, accept_conflicts=True))
    assert memory.request(scheduler_pb2.CreatePostRequest).post.accept_conflicts
    queued = api.post("/v1/posts:queue", json=content(memory))
    changed = api.patch(f"/v1/posts/{made.json()['post_id']}", json={"ref": "x"} | {"channel": "water"})
    assert changed.status_code == 422
    changed = api.patch(f"/v1/posts/{made.json()['post_id']}", json={"channel": "water", "accept_conflicts": True})
    (row,) = api.post("/v1/posts:batchCreate", json={"posts": [draft(memory)]}).json()["results"]
    assert list(memory.request(scheduler_pb2.UpdatePostRequest).update_mask) == ["accept_conflicts", "channel"]
    for answer in (made.json(), queued.json(), changed.json(), row):
        assert answer["conflicts"] == [
            {
                "rule": "DUPLICATE_MEDIA",
                "field": "media_asset_ids[0]",
                "message": DUPLICATE.message,
                "other_post_id": DUPLICATE.other_post_id,
                "blocking": False,
            }
        ]


def test_a_conflict_that_blocks_is_409_with_the_rule_and_its_fields(api: httpx.Client, memory: Memory) -> None:
    message = "2027-01-04 23:00 is in the quiet hours 22:00 to 07:00. Choose a time before 22:00, or from 07:00 on."
    memory.failures["CreatePost"] = QuietHours(message, [FieldViolation("post.local_time", message, "QUIET_HOURS")])
    refused = api.post("/v1/posts", json=draft(memory))
    assert (refused.status_code, refused.json()["reason"]) == (409, "QUIET_HOURS")
    assert refused.json()["field_violations"] == [
        {"field": "local_time", "description": message, "reason": "QUIET_HOURS"}
    ]


def test_a_rule_about_duplicates_is_of_a_pair_in_either_order(api: httpx.Client, memory: Memory) -> None:
    rule = {"channel": "water", "other_channel": "air", "action": "REFUSE", "window_seconds": 7 * 86_400}
    kept = rule | {"channel": "air", "other_channel": "water"}
    assert api.put("/v1/duplicate-rules", json=rule).json() == kept
    everywhere = {"channel": "", "other_channel": "", "action": "ALLOW"}
    assert api.put("/v1/duplicate-rules", json=everywhere).json()["window_seconds"] == 86_400
    assert len(api.get("/v1/duplicate-rules").json()["rules"]) == 2
    assert api.delete("/v1/duplicate-rules/water/air").status_code == 204
    assert api.delete("/v1/duplicate-rules/-/-").status_code == 204
    assert memory.duplicate_rules == {}
    assert fields(api.put("/v1/duplicate-rules", json=rule | {"action": "MAYBE"})) == ["action"]


def test_posts_are_approved_as_they_were_looked_at(api: httpx.Client, memory: Memory) -> None:
    posts = [api.post("/v1/posts", json=draft(memory)).json() for _ in range(2)]
    memory.posts[posts[1]["post_id"]].etag = "changed"
    asked = [{"post_id": each["post_id"].upper(), "etag": each["etag"]} for each in posts]
    first, second = api.post("/v1/posts:approve", json={"posts": asked}).json()["results"]
    assert (first["post_id"], first["post"]["approval"], first["refusal"]) == (posts[0]["post_id"], "APPROVED", None)
    assert (second["post"], second["refusal"]["reason"]) == (None, "POST_CHANGED")
    taken_back = api.post("/v1/posts:approve", json={"posts": asked[:1], "withdraw": True}).json()["results"]
    assert taken_back[0]["post"]["approval"] == "PENDING"
    assert api.get(f"/v1/posts/{posts[0]['post_id']}").json()["approval"] == "PENDING"
    assert fields(api.post("/v1/posts:approve", json={"posts": []})) == ["posts"]
