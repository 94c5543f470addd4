"""Deliveries that wait for a person, and what is decided of them."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from tests.gateway.conftest import Connect
from tests.gateway.fakes import OTHER_WORKSPACE, Memory


def test_a_delivery_says_why_it_is_not_out_and_who_can_help(api: httpx.Client, memory: Memory) -> None:
    made = memory.post(
        state=pb.DELIVERY_STATE_HELD,
        hold_cause=pb.HOLD_CAUSE_CRASHES,
        needs_person=True,
        failed_attempts=2,
        attempt=5,
        platform="tiktok",
        failure_reason="WORKER_CRASHED",
    )
    made.schedule_time.FromJsonString("2027-01-04T17:00:00Z")
    made.remove_time.FromJsonString("2027-01-05T17:00:00Z")
    (told,) = api.get(f"/v1/posts/{made.post_id}").json()["deliveries"]
    assert (
        told
        | {
            "state": "HELD",
            "hold_cause": "CRASHES",
            "needs_person": True,
            "failed_attempts": 2,
            "attempt": 5,
            "platform": "TIKTOK",
            "schedule_time": "2027-01-04T17:00:00Z",
            "remove_time": "2027-01-05T17:00:00Z",
            "post_id": made.post_id,
        }
        == told
    )


def test_of_several_deliveries_each_is_decided_for_itself(api: httpx.Client, connect: Connect, memory: Memory) -> None:
    missed = memory.post(state=pb.DELIVERY_STATE_MISSED, needs_person=True)
    published = memory.post(state=pb.DELIVERY_STATE_PUBLISHED)
    ids = [missed.delivery_id, published.delivery_id, str(uuid4())]
    body = {"delivery_ids": [ids[0].upper(), *ids[1:]], "decision": "DROP"}
    stranger = connect(memory.key(workspace_id=OTHER_WORKSPACE)).post("/v1/deliveries:decide", json=body)
    assert {each["refusal"]["reason"] for each in stranger.json()["results"]} == {"DELIVERY_NOT_FOUND"}
    results = api.post("/v1/deliveries:decide", json=body).json()["results"]
    assert [each["delivery_id"] for each in results] == ids
    assert [each["delivery"] and each["delivery"]["state"] for each in results] == ["CANCELED", None, None]
    assert [each["refusal"] and each["refusal"]["reason"] for each in results] == [
        None,
        "DELIVERY_NOT_WAITING",
        "DELIVERY_NOT_FOUND",
    ]
    assert memory.request(pb.DecideDeliveriesRequest).decision == pb.DECISION_DROP


ONE = str(uuid4())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"delivery_ids": [], "decision": "DROP"}, "delivery_ids"),
        ({"delivery_ids": [ONE, "air"], "decision": "DROP"}, "delivery_ids[1]"),
        ({"delivery_ids": [ONE, ONE.upper()], "decision": "DROP"}, "delivery_ids"),
        ({"delivery_ids": [ONE], "decision": "WAIT"}, "decision"),
        ({"delivery_ids": [ONE]}, "decision"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_whole(
    api: httpx.Client, memory: Memory, body: dict[str, Any], field: str
) -> None:
    refused = api.post("/v1/deliveries:decide", json=body)
    assert (refused.status_code, [each["field"] for each in refused.json()["field_violations"]]) == (422, [field])
    assert memory.count(pb.DecideDeliveriesRequest) == 0


def test_what_nobody_could_find_out_is_settled_by_a_persons_word(api: httpx.Client, memory: Memory) -> None:
    delivery_id = str(uuid4())
    path = f"/v1/deliveries/{delivery_id}/publication"
    assert api.post(f"{path}:settle", json={"is_published": True}).status_code == 404
    memory.publications[delivery_id] = publisher_pb2.Publication(
        delivery_id=delivery_id, step=publisher_pb2.PUBLICATION_STEP_UNCERTAIN, needs_person=True
    )
    told = api.get(path).json()
    assert (told["step"], told["needs_person"]) == ("UNCERTAIN", True)
    seen = {"is_published": True, "url": "https://www.tiktok.com/@a/video/1"}
    for _ in range(2):
        settled = api.post(f"{path}:settle", json=seen)
        assert (settled.status_code, settled.json()["step"]) == (200, "PUBLISHED")
    refused = api.post(f"{path}:settle", json={"is_published": False})
    assert (refused.status_code, refused.json()["reason"]) == (409, "PUBLICATION_NOT_UNCERTAIN")
