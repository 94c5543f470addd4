"""Pauses, rules, outages and incidents."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from reelroute.identity.v1 import identity_pb2
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2

from kit.errors import Unavailable
from tests.gateway.conftest import Connect
from tests.gateway.fakes import OTHER_WORKSPACE, WORKSPACE, Memory

AIR = {"scope": "CHANNEL", "target": "air"}


def test_a_pause_is_placed_listed_and_lifted(api: httpx.Client, memory: Memory) -> None:
    placed = api.post("/v1/holds", json=AIR | {"reason": "Recalled."})
    assert placed.status_code == 201
    again = api.post("/v1/holds", json=AIR)
    assert again.json() == placed.json()
    (listed,) = api.get("/v1/holds").json()["holds"]
    assert (listed["scope"], listed["target"], listed["cause"], listed["reason"]) == (
        "CHANNEL",
        "air",
        "PAUSE",
        "Recalled.",
    )
    assert memory.holds[0].workspace_id == WORKSPACE
    assert [api.post("/v1/holds:lift", json=AIR).status_code for _ in range(2)] == [200, 200]
    assert memory.holds == []


def test_what_a_pause_has_kept_back_is_not_let_go_without_a_word_about_it(api: httpx.Client, memory: Memory) -> None:
    api.post("/v1/holds", json=AIR)
    memory.holds[0].held_deliveries = 3
    asked = api.post("/v1/holds:lift", json=AIR)
    assert (asked.status_code, asked.json()["reason"]) == (409, "DUE_ACTION_REQUIRED")
    assert asked.json()["field_violations"] == [
        {
            "field": "due_action",
            "description": "Say BY_RULE, PUBLISH, NEXT_SLOT, ASK or DROP.",
            "reason": "DUE_ACTION_REQUIRED",
        }
    ]
    assert len(memory.holds) == 1
    assert api.post("/v1/holds:lift", json=AIR | {"due_action": "NEXT_SLOT"}).json() == {"held_deliveries": 3}
    assert memory.request(scheduler_pb2.LiftHoldRequest).due_action == scheduler_pb2.DUE_ACTION_NEXT_SLOT


def test_everything_and_platforms_are_paused_by_the_operator_alone(connect: Connect, memory: Memory) -> None:
    author = connect(memory.key(identity_pb2.SCOPE_POSTS_WRITE))
    operator = connect(memory.key())
    for body in ({"scope": "EVERYTHING"}, {"scope": "PLATFORM", "target": "TIKTOK"}):
        for path in ("/v1/holds", "/v1/holds:lift"):
            refused = author.post(path, json=body)
            assert (refused.status_code, refused.json()["reason"]) == (403, "SCOPE_MISSING")
        assert operator.post("/v1/holds", json=body).json()["target"] == body.get("target", "")
    assert [(each.workspace_id, each.target) for each in memory.holds] == [("", ""), ("", "tiktok")]
    assert author.post("/v1/holds", json=AIR).status_code == 201
    for body in ({"scope": "EVERYTHING"}, {"scope": "PLATFORM", "target": "tiktok"}):
        assert operator.post("/v1/holds:lift", json=body).status_code == 200
    assert len(memory.holds) == 1


def test_holds_of_everything_are_seen_by_every_workspace_and_those_of_another_are_not(
    api: httpx.Client, connect: Connect, memory: Memory
) -> None:
    api.post("/v1/holds", json=AIR)
    api.post("/v1/holds", json={"scope": "EVERYTHING"})
    stranger = connect(memory.key(workspace_id=OTHER_WORKSPACE))
    assert [each["scope"] for each in stranger.get("/v1/holds").json()["holds"]] == ["EVERYTHING"]
    stranger.post("/v1/holds:lift", json=AIR)
    assert len(memory.holds) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "WORKSPACE", "target": "air"},
        {"scope": "CHANNEL"},
        {"scope": "POST", "target": "air"},
        {"scope": "ACCOUNT"},
        {"scope": "PLATFORM", "target": "myspace"},
    ],
)
def test_a_target_that_does_not_fit_its_scope_is_refused(
    api: httpx.Client, memory: Memory, body: dict[str, Any]
) -> None:
    for path in ("/v1/holds", "/v1/holds:lift"):
        refused = api.post(path, json=body)
        assert (refused.status_code, refused.json()["field_violations"][0]["field"]) == (422, "target")
    assert memory.count(scheduler_pb2.PlaceHoldRequest) == 0


def test_a_pause_of_what_is_not_there_is_refused_and_one_that_cannot_be_checked_is_placed(
    api: httpx.Client, memory: Memory
) -> None:
    for scope in ("POST", "ACCOUNT"):
        assert api.post("/v1/holds", json={"scope": scope, "target": str(uuid4())}).status_code == 404
    assert memory.holds == []
    memory.failures["GetAccount"] = Unavailable("Not now.")
    account_id = memory.account()
    assert api.post("/v1/holds", json={"scope": "ACCOUNT", "target": account_id.upper()}).status_code == 201
    assert memory.holds[0].target == account_id


def test_rules_of_a_channel_are_set_as_a_whole_and_listed(api: httpx.Client, memory: Memory) -> None:
    rules = {
        "channel": "air",
        "lateness": {"max_lateness_seconds": 7200, "late_action": "NEXT_SLOT"},
        "max_attempts": 3,
        "max_age_seconds": 86_400,
    }
    assert api.put("/v1/channel-rules", json=rules).json() == rules
    bare = api.put("/v1/channel-rules", json={"channel": ""}).json()
    assert bare == {"channel": "", "lateness": None, "max_attempts": 0, "max_age_seconds": None}
    assert api.get("/v1/channel-rules").json()["rules"] == [rules, bare]
    sent = memory.rules["air"]
    assert (sent.lateness.max_lateness.ToSeconds(), sent.max_age.ToSeconds()) == (7200, 86_400)
    assert not memory.rules[""].HasField("lateness")
    assert not memory.rules[""].HasField("max_age")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"max_attempts": 51}, "max_attempts"),
        ({"max_age_seconds": 59}, "max_age_seconds"),
        ({"lateness": {"max_lateness_seconds": 30 * 86_400 + 1}}, "lateness.max_lateness_seconds"),
        ({"channel": "Air Water"}, "channel"),
    ],
)
def test_a_rule_outside_of_its_limits_is_named(api: httpx.Client, change: dict[str, Any], field: str) -> None:
    refused = api.put("/v1/channel-rules", json={"channel": "air"} | change)
    assert (refused.status_code, refused.json()["field_violations"][0]["field"]) == (422, field)


def test_an_outage_tells_what_became_of_each_delivery(api: httpx.Client, memory: Memory) -> None:
    outage_id = str(uuid4())
    late = memory.post(state=scheduler_pb2.DELIVERY_STATE_MISSED, needs_person=True, failure_reason="TOO_LATE")
    memory.outages[outage_id] = [late]
    (outage,) = api.get("/v1/outages").json()["outages"]
    assert (outage["outage_id"], outage["deliveries"]) == (outage_id, 1)
    (told,) = api.get(f"/v1/outages/{outage_id}/deliveries").json()["deliveries"]
    assert (told["post_id"], told["state"], told["needs_person"]) == (late.post_id, "MISSED", True)
    missing = api.get(f"/v1/outages/{uuid4()}/deliveries")
    assert (missing.status_code, missing.json()["reason"]) == (404, "OUTAGE_NOT_FOUND")


def test_incidents_are_the_same_for_everybody(connect: Connect, memory: Memory) -> None:
    incident = publisher_pb2.Incident(
        incident_id=str(uuid4()), platform=publisher_pb2.PLATFORM_TIKTOK, cause="HTTP status 503.", probes=2
    )
    incident.start_time.GetCurrentTime()
    memory.incidents.append(incident)
    for workspace_id in (WORKSPACE, OTHER_WORKSPACE):
        (told,) = connect(memory.key(workspace_id=workspace_id)).get("/v1/incidents").json()["incidents"]
        assert (told["platform"], told["probes"], told["end_time"]) == ("TIKTOK", 2, None)
