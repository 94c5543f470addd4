"""Series and their occurrences."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from reelroute.scheduler.v1 import scheduler_pb2, series_pb2

from tests.gateway.fakes import Memory
from tests.gateway.given import content, fields

NOON = {"rrule": "FREQ=WEEKLY;BYDAY=TU;BYHOUR=12", "start_time": "2027-01-05T12:00", "time_zone": "America/New_York"}


def made(api: httpx.Client, memory: Memory, **changes: Any) -> dict[str, Any]:
    answer = api.post("/v1/series", json={"name": "Tip", "recurrence": NOON, "post": content(memory)} | changes)
    assert answer.status_code == 201, answer.text
    series: dict[str, Any] = answer.json()
    return series


def test_a_series_is_made_of_what_was_checked(api: httpx.Client, memory: Memory) -> None:
    post = content(memory, accept_conflicts=True)
    body = {"name": "Tip", "recurrence": NOON | {"until_time": "2027-03-31T12:00", "gap_rule": "SKIP"}, "post": post}
    answer = api.post("/v1/series", json=body, headers={"Idempotency-Key": "s"})
    series = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v1/series/{series['series_id']}")
    assert answer.headers["ETag"] == f'"{series["etag"]}"'
    assert (series["state"], series["recurrence"]["rrule"], series["recurrence"]["cron"]) == (
        "ACTIVE",
        NOON["rrule"],
        None,
    )
    # What comes out can be sent again.
    assert series["post"].items() >= {name: post[name] for name in post if name != "options"}.items()
    assert series["occurrences"][0]["occurrence_time"] == "2027-03-16T12:00:00"
    sent = memory.request(series_pb2.CreateSeriesRequest)
    assert (sent.request_id, sent.series.recurrence.gap_rule) == ("s", series_pb2.GAP_RULE_SKIP)
    assert sent.series.recurrence.ambiguous_time == scheduler_pb2.AMBIGUOUS_TIME_EARLIER
    assert (list(sent.series.post.platforms), list(sent.series.post.shingles)) == (["tiktok"], [9])
    assert api.post("/v1/series", json=body, headers={"Idempotency-Key": "s"}).json() == series


def test_what_the_platform_would_not_take_is_named_within_the_post(api: httpx.Client, memory: Memory) -> None:
    body = {"recurrence": NOON, "post": content(memory, media_asset_ids=[str(uuid4())])}
    refused = api.post("/v1/series", json=body)
    assert (refused.status_code, fields(refused)) == (422, ["post.media_asset_ids[0]"])
    assert memory.series == {}


@pytest.mark.parametrize(
    ("recurrence", "field"),
    [
        ({"rrule": None}, "recurrence"),
        ({"cron": "0 12 * * *"}, "recurrence"),
        ({"start_time": "2027-01-05T12:00Z"}, "recurrence.start_time"),
        ({"gap_rule": "LEAP"}, "recurrence.gap_rule"),
    ],
)
def test_a_recurrence_that_cannot_be_is_named(
    api: httpx.Client, memory: Memory, recurrence: dict[str, Any], field: str
) -> None:
    refused = api.post("/v1/series", json={"recurrence": NOON | recurrence, "post": content(memory)})
    assert (refused.status_code, fields(refused)) == (422, [field])


def test_series_are_listed_by_channel_and_state(api: httpx.Client, memory: Memory) -> None:
    air = made(api, memory)
    made(api, memory, post=content(memory, channel="water"))
    assert [each["series_id"] for each in api.get("/v1/series?channel=air").json()["series"]] == [air["series_id"]]
    api.post(f"/v1/series/{air['series_id']}:end")
    assert [each["series_id"] for each in api.get("/v1/series?state=ENDED").json()["series"]] == [air["series_id"]]
    assert api.get(f"/v1/series/{air['series_id']}").json()["state"] == "ENDED"
    missing = api.get(f"/v1/series/{uuid4()}")
    assert (missing.status_code, missing.json()["reason"]) == (404, "SERIES_NOT_FOUND")


def test_this_and_following_go_on_as_a_series_of_their_own(api: httpx.Client, memory: Memory) -> None:
    series = made(api, memory)
    path = f"/v1/series/{series['series_id']}"
    later = api.patch(
        path,
        params={"from_occurrence_time": "2027-03-16T12:00"},
        json={"recurrence": NOON | {"rrule": None, "cron": "0 15 * * tue"}},
        headers={"If-Match": f'"{series["etag"]}"', "Idempotency-Key": "later"},
    )
    assert later.status_code == 200
    assert later.json()["previous_series_id"] == series["series_id"]
    assert (later.json()["recurrence"]["cron"], later.json()["name"]) == ("0 15 * * tue", "Tip")
    sent = memory.request(series_pb2.UpdateSeriesRequest)
    assert (list(sent.update_mask), sent.from_occurrence_time) == (["recurrence"], "2027-03-16T12:00")
    assert (sent.request_id, sent.etag) == ("later", series["etag"])
    whole = api.patch(path, json={"post": content(memory, caption="New")})
    assert whole.json()["series_id"] == series["series_id"]
    assert list(memory.request(series_pb2.UpdateSeriesRequest).series.post.shingles) == [3]
    stale = api.patch(path, json={"name": "Old"}, headers={"If-Match": '"not-current"'})
    assert (stale.status_code, stale.json()["reason"]) == (412, "SERIES_CHANGED")
    assert api.patch(path, json={}).status_code == 422


def test_a_series_ends_before_an_occurrence_or_now(api: httpx.Client, memory: Memory) -> None:
    path = f"/v1/series/{made(api, memory)['series_id']}:end"
    ended = api.post(path, params={"from_occurrence_time": "2027-03-16T12:00:00"}).json()
    assert (ended["state"], ended["canceled_posts"]) == ("ENDED", 1)
    assert memory.request(series_pb2.EndSeriesRequest).from_occurrence_time == "2027-03-16T12:00:00"
    assert api.post(path).status_code == 200
    assert fields(api.post(path, params={"from_occurrence_time": "tomorrow"})) == ["from_occurrence_time"]


def test_one_occurrence_is_skipped_moved_and_restored(api: httpx.Client, memory: Memory) -> None:
    path = f"/v1/series/{made(api, memory)['series_id']}/occurrences"
    listed = api.get(path, params={"other_time_zone": "Europe/Berlin"}).json()["occurrences"]
    assert listed[0]["state"] == "POSTED"
    skipped = api.post(f"{path}/2027-03-16T12:00:00:skip")
    assert (skipped.status_code, skipped.json()["state"], skipped.json()["post_id"]) == (200, "SKIPPED", None)
    api.post(f"{path}/2027-03-16T12:00:move", json={"move_to_time": "2027-03-17T12:00"})
    moved = memory.request(series_pb2.ChangeOccurrenceRequest)
    assert (moved.occurrence_time, moved.move_to_time) == ("2027-03-16T12:00", "2027-03-17T12:00")
    # As clients write it that escape what stands in a path.
    assert api.post(f"{path}/2027-03-16T12%3A00%3A00:restore").json()["state"] == "POSTED"
    assert memory.request(series_pb2.ChangeOccurrenceRequest).restore
    missing = api.post(f"{path}/2027-03-17T12:00:skip")
    assert (missing.status_code, missing.json()["reason"]) == (404, "OCCURRENCE_NOT_FOUND")
    assert api.post(f"{path}/tomorrow:skip").status_code == 404
    assert fields(api.post(f"{path}/2027-03-16T12:00:move", json={"move_to_time": "later"})) == ["move_to_time"]


def test_a_rule_is_shown_before_anything_is_saved(api: httpx.Client, memory: Memory) -> None:
    body = {"recurrence": NOON, "other_time_zone": "Europe/Berlin", "max_occurrences": 3}
    preview = api.post("/v1/series:preview", json=body).json()
    assert preview["description"] == "every Tuesday at 12:00"
    assert [each["other_time_zone"] for each in preview["times"]] == ["Europe/Berlin"] * 3
    refused = api.post("/v1/series:preview", json={"recurrence": NOON | {"rrule": "FREQ=NEVER"}})
    assert (refused.status_code, refused.json()["reason"]) == (422, "RECURRENCE_INVALID")
    assert fields(refused) == ["recurrence.rrule"]
    assert "DAILY" in refused.json()["field_violations"][0]["description"]
