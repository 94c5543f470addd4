"""Recorded calls to platforms, over REST."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import httpx
from reelroute.identity.v1.identity_pb2 import Scope
from reelroute.vendorcalls.v1 import vendorcalls_pb2 as pb

from tests.gateway.conftest import Connect
from tests.gateway.fakes import WORKSPACE, Memory
from tests.gateway.given import fields


def recorded(
    memory: Memory, request: object = None, answer: object = None, *, by: str = "publisher", number: int = 0
) -> str:
    call = pb.VendorCall(
        vendor_call_id=str(UUID(int=number) if number else uuid4()),
        post_id=str(uuid4()), vendor="tiktok", operation="video_init", method="POST",
        path="/v2/post/publish/video/init/", attempt=1, outcome=pb.VENDOR_CALL_OUTCOME_REJECTED, status=403,
        code="spam_risk", log_id="2027L0G",
    )  # fmt: skip
    call.start_time.FromJsonString("2027-01-04T17:00:00.5Z")
    call.duration.FromMicroseconds(184_250)
    memory.vendor_calls[by][call.vendor_call_id] = pb.GetVendorCallResponse(
        vendor_call=call,
        request_json=json.dumps(request) if request else "",
        answer_json=json.dumps(answer) if answer else "",
    )
    return call.vendor_call_id


def test_a_call_is_shown_with_what_was_sent_and_answered(api: httpx.Client, memory: Memory) -> None:
    request = {"json": {"post_info": {"title": "Fries ✓"}}}
    vendor_call_id = recorded(memory, request, {"json": {"post_id": [7400000000000000002]}})
    call = api.get(f"/v1/vendor-calls/{vendor_call_id}").json()
    assert (call["outcome"], call["status"], call["code"], call["log_id"]) == ("REJECTED", 403, "spam_risk", "2027L0G")
    assert (call["start_time"], call["duration_ms"]) == ("2027-01-04T17:00:00.500000Z", 184.25)
    assert (call["request"], call["answer"]) == (request, {"json": {"post_id": [7400000000000000002]}})
    assert (call["delivery_id"], call["order_id"]) == (None, None)
    (listed,) = api.get("/v1/vendor-calls").json()["vendor_calls"]
    assert listed == {name: value for name, value in call.items() if name not in ("request", "answer")}


def test_what_has_no_body_shows_none(api: httpx.Client, memory: Memory) -> None:
    call = api.get(f"/v1/vendor-calls/{recorded(memory)}").json()
    assert (call["request"], call["answer"]) == (None, None)


def test_a_list_is_asked_for_as_the_caller_says(api: httpx.Client, memory: Memory) -> None:
    ids = {name: str(uuid4()) for name in ("post_id", "delivery_id", "account_id", "order_id", "shop_id")}
    times = {"from_time": "2027-01-04T17:00:00Z", "until_time": "2027-01-05T17:00:00Z"}
    query = {**ids, **times, "vendor": "tiktok", "outcome": ["REJECTED", "UNCERTAIN"], "page_size": "7"}
    assert api.get("/v1/vendor-calls", params=query).status_code == 200
    asked = memory.request(pb.ListVendorCallsRequest)
    assert {name: getattr(asked, name) for name in ids} == ids
    assert {name: getattr(asked, name).ToJsonString() for name in times} == times
    assert (asked.workspace_id, asked.vendor, asked.page_size) == (WORKSPACE, "tiktok", 7)
    assert list(asked.outcomes) == [pb.VENDOR_CALL_OUTCOME_REJECTED, pb.VENDOR_CALL_OUTCOME_UNCERTAIN]
    refused = api.get("/v1/vendor-calls", params={"outcome": "BAD", "post_id": "x"})
    assert sorted(fields(refused)) == ["outcome[0]", "post_id"]


def test_the_calls_of_all_services_are_one_list_page_by_page(api: httpx.Client, memory: Memory) -> None:
    made = [recorded(memory, by=by, number=number) for number, by in enumerate(["publisher", "fulfillment"] * 3, 1)]
    made += [recorded(memory, by="fulfillment", number=number) for number in range(7, 10)]
    found: list[str] = []
    token = ""
    for _ in range(5):
        page = api.get("/v1/vendor-calls", params={"page_size": 2, "page_token": token}).raise_for_status().json()
        found += [each["vendor_call_id"] for each in page["vendor_calls"]]
        token = page["next_page_token"]
    assert found == made[::-1]
    assert token == ""
    assert api.get(f"/v1/vendor-calls/{made[1]}").json()["vendor_call_id"] == made[1]


def test_a_call_that_is_not_there_is_404(api: httpx.Client, memory: Memory) -> None:
    answer = api.get(f"/v1/vendor-calls/{uuid4()}")
    assert (answer.status_code, answer.json()["reason"]) == (404, "VENDOR_CALL_NOT_FOUND")


def test_a_key_needs_the_scope_of_activity(connect: Connect, memory: Memory) -> None:
    every = [scope for scope in Scope.values() if scope not in (0, Scope.SCOPE_ACTIVITY_READ)]
    assert connect(memory.key(*every)).get("/v1/vendor-calls").status_code == 403
