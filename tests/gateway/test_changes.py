"""Changes of many posts at once, line by line."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import bulk_pb2, scheduler_pb2

from kit.errors import InvalidArgument, Unavailable
from tests.gateway.fakes import Memory
from tests.gateway.given import TIKTOK, draft, fields

JANUARY = {"from_time": "2027-01-01T00:00:00Z", "until_time": "2027-02-01T00:00:00Z", "channel": "air"}


class FilterEmpty(InvalidArgument):
    """As the scheduler says it."""


def change(api: httpx.Client, key: str = "c", **body: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What the lines say of posts, and the last line."""
    answer = api.post("/v1/posts:batchChange", json={"filter": JANUARY} | body, headers={"Idempotency-Key": key})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *lines, last = [json.loads(line) for line in answer.text.splitlines()]
    return [each["post"] for each in lines], last


@pytest.fixture
def posts(api: httpx.Client, memory: Memory) -> list[str]:
    """Five posts of one account; the last has gone out."""
    account = memory.account()
    ids = [api.post("/v1/posts", json=draft(memory, account_ids=[account])).json()["post_id"] for _ in range(5)]
    memory.posts[ids[-1]].deliveries[0].state = scheduler_pb2.DELIVERY_STATE_PUBLISHED
    return ids


def test_posts_are_shifted_each_for_itself_and_counted(api: httpx.Client, memory: Memory, posts: list[str]) -> None:
    lines, last = change(api, shift={"days": 7, "time_seconds": -1800}, accept_conflicts=True)
    assert [each["post_id"] for each in lines] == posts
    assert lines[0]["changes"] == [{"field": "local_time", "before": "before", "after": "after"}]
    assert (lines[4]["changes"], lines[4]["refusal"]["reason"]) == ([], "POST_NOT_EDITABLE")
    assert last == {"summary": {"posts": 5, "changed": 4, "unchanged": 0, "refused": 1, "validate_only": False}}
    sent = memory.request(bulk_pb2.ChangePostsRequest)
    assert (sent.request_id, sent.shift.days, sent.shift.time.ToSeconds()) == ("c", 7, -1800)
    assert (sent.filter.channel, sent.filter.from_time.ToJsonString()) == ("air", "2027-01-01T00:00:00Z")
    assert (sent.accept_conflicts, sent.validate_only) == (True, False)


def test_posts_are_canceled_or_only_looked_at(api: httpx.Client, memory: Memory, posts: list[str]) -> None:
    change(api, filter={"post_ids": [posts[0].upper()], "state": "HELD"}, cancel=True, validate_only=True)
    sent = memory.request(bulk_pb2.ChangePostsRequest)
    assert (sent.WhichOneof("change"), sent.validate_only, list(sent.filter.post_ids)) == ("cancel", True, [posts[0]])
    assert sent.filter.delivery_state == scheduler_pb2.DELIVERY_STATE_HELD


def test_an_edit_that_no_platform_minds_is_not_checked(api: httpx.Client, memory: Memory, posts: list[str]) -> None:
    checks = memory.count(publisher_pb2.CheckPostsRequest)
    change(api, edit={"channel": "water", "lateness": None})
    sent = memory.request(bulk_pb2.ChangePostsRequest)
    assert list(sent.edit.update_mask) == ["channel", "lateness"]
    assert memory.count(publisher_pb2.CheckPostsRequest) == checks


def test_an_edit_of_what_platforms_mind_is_checked_for_each_post(
    api: httpx.Client, memory: Memory, posts: list[str]
) -> None:
    memory.posts[posts[1]].caption = "x" * 3_000
    # As it is the post cannot go out, and its edit is refused; with a new caption it may.
    (refused, *lines), last = change(api, edit={"options": {"tiktok": TIKTOK | {"allow_duet": True}}})
    assert (refused["post_id"], refused["refusal"]["reason"]) == (posts[1], "CAPTION_TOO_LONG")
    assert [each["field"] for each in refused["refusal"]["field_violations"]] == ["caption"]
    assert [each["post_id"] for each in lines] == [posts[0], *posts[2:]]
    assert last["summary"] == {"posts": 5, "changed": 3, "unchanged": 0, "refused": 2, "validate_only": False}
    sent = memory.request(bulk_pb2.ChangePostsRequest)
    assert list(sent.filter.post_ids) == [posts[0], *posts[2:]]
    assert sent.edit.post.options.tiktok.allow_duet

    video = memory.asset(frame_hashes=[7])
    change(api, edit={"caption": "Short", "media_asset_ids": [video]})
    sent = memory.request(bulk_pb2.ChangePostsRequest)
    assert list(sent.edit.update_mask) == ["caption", "media", "shingles"]
    assert (list(sent.edit.post.shingles), list(sent.edit.post.media[0].frame_hashes)) == ([5], [7])
    # All of one account, with the same text and file: one question.
    assert len(memory.request(publisher_pb2.CheckPostsRequest).posts) == 1

    (line, *_), _ = change(api, edit={"media_asset_ids": [str(uuid4())]})
    assert line["refusal"]["reason"] == "MEDIA_UNKNOWN"


def test_a_checked_edit_that_is_sent_again_is_the_same_request(
    api: httpx.Client, memory: Memory, posts: list[str]
) -> None:
    keys = []
    for key in ("one", "one", "two"):
        change(api, key, edit={"caption": "Short"})
        keys.append(memory.request(bulk_pb2.ChangePostsRequest).request_id)
    assert keys[0] == keys[1] != keys[2]


def test_a_failure_on_the_way_is_the_last_line(api: httpx.Client, memory: Memory, posts: list[str]) -> None:
    memory.failures["ChangePostsMidway"] = Unavailable("The database is away. Try again.", retry_after_seconds=3)
    lines, last = change(api, shift={"days": 1})
    assert [each["post_id"] for each in lines] == posts[:2]
    assert (last["problem"]["status"], last["problem"]["retry_after"]) == (503, 3)
    # And goes on with the same key.
    assert change(api, shift={"days": 1})[1]["summary"]["posts"] == 5


def test_a_failure_at_once_is_a_problem_as_everywhere(api: httpx.Client, memory: Memory) -> None:
    memory.failures["ChangePosts"] = FilterEmpty("Say which posts.", code_reason="FILTER_EMPTY")
    refused = api.post("/v1/posts:batchChange", json={"filter": JANUARY, "cancel": True})
    assert (refused.status_code, refused.json()["reason"]) == (422, "FILTER_EMPTY")
    assert refused.headers["content-type"] == "application/problem+json"


def test_nothing_found_is_counted_too(api: httpx.Client, memory: Memory) -> None:
    lines, last = change(api, cancel=True, validate_only=True)
    assert (lines, last["summary"]["posts"], last["summary"]["validate_only"]) == ([], 0, True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"filter": {}, "cancel": True}, "filter"),
        ({"filter": {"channel": ""}, "cancel": True}, "filter"),
        ({"filter": JANUARY}, "body"),
        ({"filter": JANUARY, "cancel": True, "shift": {"days": 1}}, "body"),
        ({"filter": JANUARY, "cancel": False}, "cancel"),
        ({"filter": JANUARY, "shift": {"days": 0}}, "shift"),
        ({"filter": JANUARY, "shift": {"time_seconds": 86_400}}, "shift.time_seconds"),
        ({"filter": JANUARY, "edit": {}}, "edit"),
        ({"filter": JANUARY, "edit": {"local_time": "2027-01-04T18:00"}}, "edit.local_time"),
    ],
)
def test_a_change_of_everything_or_of_nothing_is_refused(
    api: httpx.Client, memory: Memory, body: dict[str, Any], field: str
) -> None:
    refused = api.post("/v1/posts:batchChange", json=body)
    assert (refused.status_code, fields(refused)) == (422, [field])
    assert memory.count(bulk_pb2.ChangePostsRequest) == 0
