from typing import Any
from uuid import uuid4

import httpx
import pytest
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2

from tests.gateway.conftest import Connect
from tests.gateway.fakes import OTHER_WORKSPACE, WORKSPACE, Memory, PostNotEditable
from tests.gateway.given import TIKTOK, draft, fields


def test_a_post_reaches_the_scheduler_with_the_facts_of_its_media(api: httpx.Client, memory: Memory) -> None:
    wanted = draft(memory, media_asset_ids=[memory.asset(frame_hashes=[1, 2**64 - 1])])
    answer = api.post("/v1/posts", json=wanted, headers={"Idempotency-Key": "row-1"})
    assert answer.status_code == 201
    request = memory.request(scheduler_pb2.CreatePostRequest)
    asset = memory.assets[wanted["media_asset_ids"][0]]
    assert (request.workspace_id, request.request_id) == (WORKSPACE, "row-1")
    assert request.post == scheduler_pb2.PostDraft(
        channel="air",
        account_ids=wanted["account_ids"],
        caption="Déjà vu 🃏",
        media=[
            scheduler_pb2.PostMedia(
                media_asset_id=asset.media_asset_id,
                sha256=asset.sha256,
                mime_type="video/mp4",
                frame_hashes=[1, 2**64 - 1],
            )
        ],
        local_time="2027-01-04T18:00",
        time_zone="Europe/Berlin",
        ambiguous_time=scheduler_pb2.AMBIGUOUS_TIME_LATER,
        options=scheduler_pb2.PostOptions(
            tiktok=scheduler_pb2.TikTokOptions(privacy_level="SELF_ONLY", allow_comment=True, cover_time_ms=1500)
        ),
        ref="Q1-001",
        # As the publisher knows them: a hold on the platform must find the post.
        platforms=["tiktok"],
        # As content made them of the caption.
        shingles=[9],
    )
    post = answer.json()
    assert answer.headers["Location"] == f"/v1/posts/{post['post_id']}"
    assert answer.headers["ETag"] == f'"{post["etag"]}"'
    assert post["schedule_time"] == "2027-01-04T17:00:00Z"
    assert post["deliveries"][0]["state"] == "SCHEDULED"
    assert post["deliveries"][0]["visibility"] is None
    assert post["options"]["tiktok"]["privacy_level"] == "SELF_ONLY"
    assert post["warnings"] == []


def test_a_post_says_until_when_it_still_goes_out(api: httpx.Client, memory: Memory) -> None:
    late = {"max_lateness_seconds": 0, "late_action": "DROP"}
    post = api.post("/v1/posts", json=draft(memory, lateness=late)).json()
    sent = memory.request(scheduler_pb2.CreatePostRequest).post.lateness
    assert sent.HasField("max_lateness")
    assert (sent.max_lateness.ToSeconds(), sent.late_action) == (0, scheduler_pb2.LATE_ACTION_DROP)
    assert post["lateness"] == late
    path = f"/v1/posts/{post['post_id']}"
    assert api.patch(path, json={"lateness": {}}).json()["lateness"] == {
        "max_lateness_seconds": None,
        "late_action": "ASK",
    }
    assert api.patch(path, json={"caption": "New"}).json()["lateness"] is not None
    assert api.patch(path, json={"lateness": None}).json()["lateness"] is None
    assert list(memory.request(scheduler_pb2.UpdatePostRequest).update_mask) == ["lateness"]


def test_of_accounts_of_an_unknown_platform_the_scheduler_is_told_nothing(api: httpx.Client, memory: Memory) -> None:
    known, newer = memory.account(), memory.account()
    memory.accounts[newer].platform = 77  # type: ignore[assignment] # as a newer publisher may have
    api.post("/v1/posts", json=draft(memory, account_ids=[known, newer]))
    assert list(memory.request(scheduler_pb2.CreatePostRequest).post.platforms) == []


def test_the_publisher_is_asked_with_the_facts_and_choices_as_text(api: httpx.Client, memory: Memory) -> None:
    wanted = draft(memory)
    api.post("/v1/posts", json=wanted)
    (check,) = memory.request(publisher_pb2.CheckPostsRequest).posts
    assert check.media[0] == publisher_pb2.MediaFacts(
        mime_type="video/mp4",
        size_bytes=812_345,
        width=720,
        height=1280,
        container="mp4",
        codec="h264",
        frame_rate_millis=29_970,
        duration_ms=8_040,
        pixel_mode="yuv420p",
    )
    assert dict(check.tiktok_options) == {
        "privacy_level": "SELF_ONLY",
        "allow_comment": "true",
        "cover_time_ms": "1500",
        "post_mode": "DIRECT_POST",
    }


def test_a_creator_s_choices_are_checked_kept_and_shown(api: httpx.Client, memory: Memory) -> None:
    chosen = {"product_id": "1729587769570529799", "product_title": "River desk mat", "is_ai_generated": True}
    answer = api.post("/v1/posts", json=draft(memory, options={"tiktok_shop": chosen}))
    assert answer.status_code == 201, answer.text
    (check,) = memory.request(publisher_pb2.CheckPostsRequest).posts
    assert dict(check.tiktok_options) == {}
    assert dict(check.tiktok_shop_options) == chosen | {"is_ai_generated": "true"}
    shown = answer.json()["options"]
    assert shown["tiktok"] is None
    assert shown["tiktok_shop"] == {**chosen, "cover_time_ms": 0, "music_id": ""}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"product_id": ""}, "product_id"),
        ({"product_id": "17 29"}, "product_id"),
        ({"product_title": None}, "product_title"),
        ({"privacy_level": "SELF_ONLY"}, "privacy_level"),
    ],
)
def test_a_product_link_has_its_parts_and_nothing_else(
    api: httpx.Client, memory: Memory, change: dict[str, Any], field: str
) -> None:
    chosen = {"product_id": "1729587769570529799", "product_title": "River desk mat"} | change
    answer = api.post("/v1/posts", json=draft(memory, options={"tiktok_shop": chosen}))
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["field_violations"]] == [f"options.tiktok_shop.{field}"]


def test_unknown_media_and_accounts_and_missing_choices_are_named_together(api: httpx.Client, memory: Memory) -> None:
    wanted = draft(memory, options={})
    # The second picture is the publisher's first.
    wanted["media_asset_ids"] = [str(uuid4()), memory.asset(frame_rate_millis=120_000), "no-id"]
    wanted["account_ids"] += [str(uuid4())]
    answer = api.post("/v1/posts", json=wanted)
    assert answer.status_code == 422
    assert answer.json()["reason"] == "MEDIA_UNKNOWN"
    assert fields(answer) == [
        "media_asset_ids[0]",
        "media_asset_ids[2]",
        "account_ids[1]",
        "media_asset_ids[1]",
        "options.tiktok.privacy_level",
    ]
    assert memory.count(scheduler_pb2.CreatePostRequest) == 0


def test_media_that_do_not_exist_are_not_called_missing_as_well(api: httpx.Client, memory: Memory) -> None:
    answer = api.post("/v1/posts", json=draft(memory, media_asset_ids=[str(uuid4())]))
    assert fields(answer) == ["media_asset_ids[0]"]


def test_a_problem_that_does_not_block_comes_back_as_a_warning(api: httpx.Client, memory: Memory) -> None:
    account_id = memory.account(state=publisher_pb2.ACCOUNT_STATE_AUTHORIZATION_LOST)
    answer = api.post("/v1/posts", json=draft(memory, account_ids=[account_id]))
    assert answer.status_code == 201
    assert answer.json()["warnings"] == [
        {"field": "account_ids[0]", "reason": "AUTHORIZATION_LOST", "message": "Connect it again."}
    ]


def test_what_the_scheduler_refuses_keeps_its_reason_and_field(api: httpx.Client, memory: Memory) -> None:
    answer = api.post("/v1/posts", json=draft(memory, local_time="2020-01-01T00:00"))
    assert (answer.status_code, answer.json()["reason"]) == (422, "SCHEDULE_TIME_IN_PAST")
    assert answer.json()["field_violations"] == [
        {"field": "local_time", "description": "Choose a later time.", "reason": "SCHEDULE_TIME_IN_PAST"}
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"caption": 7}, "caption"),
        ({"caption": "a\0b"}, "caption"),
        ({"caption": "x" * 10_001}, "caption"),
        ({"channel": "Air Water"}, "channel"),
        ({"local_time": "2027-01-04T18:00Z"}, "local_time"),
        ({"local_time": "٢٠٢٧-01-04T18:00"}, "local_time"),
        ({"media_asset_ids": []}, "media_asset_ids"),
        ({"media_asset_ids": [1]}, "media_asset_ids[0]"),
        ({"account_ids": ["a", "a"]}, "account_ids"),
        ({"ambiguous_time": "BOTH"}, "ambiguous_time"),
        ({"options": {"tiktok": {}}}, "options.tiktok.privacy_level"),
        ({"options": {"tiktok": TIKTOK | {"allow_duet": 1}}}, "options.tiktok.allow_duet"),
        ({"options": {"tiktok": TIKTOK | {"cover_time_ms": True}}}, "options.tiktok.cover_time_ms"),
        ({"options": {"tiktok": TIKTOK | {"cover_time_ms": 2**31}}}, "options.tiktok.cover_time_ms"),
        ({"options": {"myspace": {}}}, "options.myspace"),
        ({"media": []}, "media"),
        ({"lateness": {"max_lateness_seconds": -1}}, "lateness.max_lateness_seconds"),
        ({"lateness": {"late_action": "HURRY"}}, "lateness.late_action"),
    ],
)
def test_a_malformed_field_is_named(api: httpx.Client, memory: Memory, change: dict[str, Any], field: str) -> None:
    answer = api.post("/v1/posts", json=draft(memory, **change))
    assert (answer.status_code, fields(answer)) == (422, [field])
    assert answer.json()["reason"] == "REQUEST_INVALID"
    assert memory.count(scheduler_pb2.CreatePostRequest) == 0


def test_of_a_batch_the_good_rows_are_saved_beside_the_bad(api: httpx.Client, memory: Memory) -> None:
    rows = [
        draft(memory, ref="good"),
        draft(memory, ref="no text", caption=None),
        "not even an object",
        draft(memory, ref="no account", account_ids=[str(uuid4())]),
        draft(memory, ref="past", local_time="2020-01-01T00:00"),
        draft(memory, ref="also good"),
    ]
    answer = api.post("/v1/posts:batchCreate", json={"posts": rows}, headers={"Idempotency-Key": "b"})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [each["index"] for each in results] == [0, 1, 2, 3, 4, 5]
    assert [each["ref"] for each in results] == ["good", "no text", "", "no account", "past", "also good"]
    assert [each["refusal"] and each["refusal"]["reason"] for each in results] == [
        None,
        "REQUEST_INVALID",
        "REQUEST_INVALID",
        "ACCOUNT_UNKNOWN",
        "SCHEDULE_TIME_IN_PAST",
        None,
    ]
    named = [[field["field"] for field in (each["refusal"] or {}).get("field_violations", [])] for each in results]
    assert named == [[], ["caption"], ["body"], ["account_ids[0]"], ["local_time"], []]
    assert [post.ref for post in memory.posts.values()] == ["good", "also good"]
    assert memory.request(scheduler_pb2.BatchCreatePostsRequest).request_id == "b"


def test_a_dry_run_saves_nothing_and_has_no_ids(api: httpx.Client, memory: Memory) -> None:
    answer = api.post("/v1/posts:batchCreate", json={"posts": [draft(memory)], "validate_only": True})
    (result,) = answer.json()["results"]
    assert result["post"]["post_id"] is None
    assert result["post"]["deliveries"][0]["delivery_id"] is None
    assert memory.posts == {}


def test_a_batch_of_bad_rows_alone_asks_the_scheduler_nothing(api: httpx.Client, memory: Memory) -> None:
    answer = api.post("/v1/posts:batchCreate", json={"posts": [{}]})
    assert answer.json()["results"][0]["refusal"]["reason"] == "REQUEST_INVALID"
    assert memory.count(scheduler_pb2.BatchCreatePostsRequest) == 0


def test_five_hundred_long_posts_go_in_one_batch(api: httpx.Client, memory: Memory) -> None:
    row = draft(memory, caption="é" * 2_200)
    answer = api.post("/v1/posts:batchCreate", json={"posts": [row] * 500})
    assert (answer.status_code, len(memory.posts)) == (200, 500)
    assert api.post("/v1/posts:batchCreate", json={"posts": [row] * 501}).status_code == 422


def test_a_list_is_asked_for_with_its_filters(api: httpx.Client, memory: Memory) -> None:
    account_id, series_id = str(uuid4()), str(uuid4())
    answer = api.get(
        "/v1/posts",
        params={
            "from_time": "2027-01-04T18:00:00+01:00",
            "until_time": "2027-02-01T00:00:00Z",
            "channel": "air",
            "state": "FAILED",
            "account_id": account_id,
            "series_id": series_id,
            "ref": "Q1-001",
            "page_size": 7,
            "page_token": "abc",
        },
    )
    assert answer.json() == {"posts": [], "next_page_token": "more"}
    request = memory.request(scheduler_pb2.ListPostsRequest)
    assert request.from_time.ToJsonString() == "2027-01-04T17:00:00Z"
    assert request.until_time.ToJsonString() == "2027-02-01T00:00:00Z"
    assert (request.channel, request.delivery_state) == ("air", scheduler_pb2.DELIVERY_STATE_FAILED)
    assert (request.account_id, request.series_id, request.ref) == (account_id, series_id, "Q1-001")
    assert (request.page_size, request.page_token, request.view) == (7, "abc", scheduler_pb2.POST_VIEW_UNSPECIFIED)


def test_a_month_is_listed_as_a_calendar_shows_it(api: httpx.Client, memory: Memory) -> None:
    post = api.post("/v1/posts", json=draft(memory)).json()
    whole = api.get("/v1/posts").json()["posts"]
    assert whole == [{name: value for name, value in post.items() if name not in ("warnings", "conflicts")}]
    (summary,) = api.get("/v1/posts", params={"view": "SUMMARY", "page_size": 2000}).json()["posts"]
    assert memory.request(scheduler_pb2.ListPostsRequest).view == scheduler_pb2.POST_VIEW_SUMMARY
    assert not {"media", "options", "lateness"} & set(summary)
    (delivery,) = summary.pop("deliveries")
    assert summary.items() <= post.items()
    assert delivery.items() <= post["deliveries"][0].items()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sate=FAILED", "sate"),
        ("state=LOST", "state"),
        ("from_time=2027-01-04", "from_time"),
        ("from_time=1799000000", "from_time"),
        ("from_time=0001-01-01T00:00:00%2B14:00", "from_time"),
        ("page_size=-1", "page_size"),
        ("page_size=9999999999", "page_size"),
        ("channel=%00", "channel"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_instead_of_ignored(api: httpx.Client, query: str, field: str) -> None:
    answer = api.get(f"/v1/posts?{query}")
    assert (answer.status_code, fields(answer)) == (422, [field])


def test_a_change_names_only_what_was_given(api: httpx.Client, memory: Memory) -> None:
    post = api.post("/v1/posts", json=draft(memory)).json()
    other = memory.asset()
    answer = api.patch(
        f"/v1/posts/{post['post_id']}",
        json={"caption": "New", "media_asset_ids": [other]},
        headers={"If-Match": f'"{post["etag"]}"'},
    )
    assert answer.status_code == 200
    assert (answer.json()["caption"], answer.json()["channel"]) == ("New", "air")
    assert answer.headers["ETag"] != f'"{post["etag"]}"'
    request = memory.request(scheduler_pb2.UpdatePostRequest)
    assert list(request.update_mask) == ["caption", "media", "shingles"]
    assert request.post.shingles == [3]
    assert request.post.media[0].sha256 == memory.assets[other].sha256
    assert request.etag == post["etag"]


def test_a_change_is_checked_together_with_what_stays(api: httpx.Client, memory: Memory) -> None:
    post = api.post("/v1/posts", json=draft(memory)).json()
    answer = api.patch(f"/v1/posts/{post['post_id']}", json={"options": {}})
    assert (answer.status_code, fields(answer)) == (422, ["options.tiktok.privacy_level"])
    assert memory.posts[post["post_id"]].options.tiktok.privacy_level == "SELF_ONLY"


@pytest.mark.parametrize("body", [{}, {"account_ids": []}, {"caption": None}])
def test_a_change_of_nothing_or_of_what_cannot_change_is_refused(
    api: httpx.Client, memory: Memory, body: dict[str, Any]
) -> None:
    post = api.post("/v1/posts", json=draft(memory)).json()
    assert api.patch(f"/v1/posts/{post['post_id']}", json=body).status_code == 422


def test_a_change_on_an_old_version_is_412_and_leaves_the_post(api: httpx.Client, memory: Memory) -> None:
    post = api.post("/v1/posts", json=draft(memory)).json()
    answer = api.patch(f"/v1/posts/{post['post_id']}", json={"caption": "New"}, headers={"If-Match": '"0ld"'})
    assert (answer.status_code, answer.json()["reason"]) == (412, "POST_CHANGED")
    assert memory.posts[post["post_id"]].caption == "Déjà vu 🃏"


def test_a_post_on_its_way_cannot_be_changed(api: httpx.Client, memory: Memory) -> None:
    post = api.post("/v1/posts", json=draft(memory)).json()
    memory.failures["UpdatePost"] = PostNotEditable("A delivery has begun. Make another post.")
    answer = api.patch(f"/v1/posts/{post['post_id']}", json={"caption": "New"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "POST_NOT_EDITABLE")
    assert answer.json()["detail"] == "A delivery has begun. Make another post."


def test_a_verb_behind_the_id_is_understood(api: httpx.Client, memory: Memory) -> None:
    post = api.post("/v1/posts", json=draft(memory)).json()
    answer = api.post(f"/v1/posts/{post['post_id']}:cancel")
    assert answer.json()["deliveries"][0]["state"] == "CANCELED"
    assert memory.request(scheduler_pb2.CancelPostRequest).post_id == post["post_id"]
    escaped = f"/v1/posts/{post['post_id']}%3Acancel"
    assert api.post(escaped).status_code == 200


def test_what_is_no_id_is_not_found_and_a_verb_is_not_part_of_an_id(api: httpx.Client) -> None:
    some_id = uuid4()
    assert api.get("/v1/posts/nonsense").status_code == 404
    assert api.post("/v1/posts/nonsense:cancel").status_code == 404
    assert api.get(f"/v1/posts/{some_id}:cancel").status_code == 405
    assert api.post(f"/v1/posts/{some_id}:explode").status_code == 404
    assert api.get("/v1/posts:batchCreate").status_code == 405


def test_a_post_of_another_workspace_is_not_found(api: httpx.Client, connect: Connect, memory: Memory) -> None:
    post = api.post("/v1/posts", json=draft(memory)).json()
    stranger = connect(memory.key(workspace_id=OTHER_WORKSPACE))
    for answer in (
        stranger.get(f"/v1/posts/{post['post_id']}"),
        stranger.patch(f"/v1/posts/{post['post_id']}", json={"caption": "Mine"}),
        stranger.post(f"/v1/posts/{post['post_id']}:cancel"),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (404, "POST_NOT_FOUND")


def test_the_same_key_is_answered_as_the_first_time_and_another_body_is_refused(
    api: httpx.Client, memory: Memory
) -> None:
    wanted = draft(memory)
    key = {"Idempotency-Key": "!~" + "x" * 62}
    first, again = (api.post("/v1/posts", json=wanted, headers=key) for _ in range(2))
    assert first.json() == again.json()
    other = api.post("/v1/posts", json=wanted | {"caption": "Another"}, headers=key)
    assert (other.status_code, other.json()["reason"]) == (409, "REQUEST_ID_REUSED")
    assert len(memory.posts) == 1


def test_without_a_key_every_request_is_a_new_one(api: httpx.Client, memory: Memory) -> None:
    wanted = draft(memory)
    assert api.post("/v1/posts", json=wanted).json()["post_id"] != api.post("/v1/posts", json=wanted).json()["post_id"]


def test_two_idempotency_keys_on_one_request_are_refused(api: httpx.Client, memory: Memory) -> None:
    answer = api.post("/v1/posts", json=draft(memory), headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert (answer.status_code, fields(answer)) == (422, ["Idempotency-Key"])


@pytest.mark.parametrize("key", ["", "x" * 65, "two words", "é"])
def test_an_idempotency_key_of_another_form_is_refused(api: httpx.Client, memory: Memory, key: str) -> None:
    answer = api.post("/v1/posts", json=draft(memory), headers={b"Idempotency-Key": key.encode("latin-1")})
    assert (answer.status_code, fields(answer)) == (422, ["Idempotency-Key"])
