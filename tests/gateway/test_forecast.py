"""What will fail in the next days."""

from uuid import uuid4

import httpx
from reelroute.publisher.v1 import publisher_pb2

from tests.gateway.fakes import WORKSPACE, Memory
from tests.gateway.given import fields


def test_what_will_fail_is_told_with_its_cause_and_what_to_do(api: httpx.Client, memory: Memory) -> None:
    late, lost = (
        publisher_pb2.ForeseenFailure(
            delivery_id=str(uuid4()), post_id=str(uuid4()), account_id=str(uuid4()), cause=cause, message=message
        )
        for cause, message in (
            (publisher_pb2.FORECAST_CAUSE_QUOTA, "TikTok takes 15 posts a day. Move one."),
            (publisher_pb2.FORECAST_CAUSE_TOKEN, "Connect the account again before 2 January."),
        )
    )
    late.schedule_time.FromJsonString("2027-01-04T17:00:00Z")
    late.delayed_until_time.FromJsonString("2027-01-05T00:00:00Z")
    memory.foreseen = [late, lost]
    forecast = api.get("/v1/forecast").json()
    assert (forecast["deliveries"], [each["cause"] for each in forecast["failures"]]) == (84, ["QUOTA", "TOKEN"])
    first, second = forecast["failures"]
    assert (first["schedule_time"], first["delayed_until_time"]) == ("2027-01-04T17:00:00Z", "2027-01-05T00:00:00Z")
    assert (second["delayed_until_time"], second["message"]) == (None, lost.message)


def test_it_looks_two_weeks_ahead_or_as_far_as_is_asked(api: httpx.Client, memory: Memory) -> None:
    for query, seconds in (("", 14 * 86_400), ("?horizon_days=60", 60 * 86_400)):
        api.get(f"/v1/forecast{query}")
        asked = memory.request(publisher_pb2.ForecastPostsRequest)
        assert (asked.workspace_id, asked.horizon.ToSeconds()) == (WORKSPACE, seconds)
    assert fields(api.get("/v1/forecast?horizon_days=61")) == ["horizon_days"]
