"""The client over real connections to a strict TikTok of our own."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
import structlog
from pydantic import SecretStr, ValidationError

from kit.vendor_call import CallRecord
from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorQuotaReached,
    VendorRejected,
    VendorUnavailable,
    VendorUncertain,
)
from kit.vendor_http import VendorHttp
from tests.vendors.fake_vendor import (
    FakeVendor,
    JumpingClock,
    answers,
    answers_bytes,
    drops_the_connection,
    pieces,
)
from tests.vendors.tiktok.strict_tiktok import ACCESS, KEY, POST_ID, PUBLISH_ID, REFRESH, SECRET, StrictTikTok
from vendors.tiktok.chunks import ChunkPlan, ChunkSpan, plan_chunks
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig
from vendors.tiktok.errors import UploadAddressRefused, UploadGone
from vendors.tiktok.models import USER_FIELDS, ChunkState, PhotoPost, PublishState, VideoPost

pytestmark = pytest.mark.anyio
POST = VideoPost(title="Air fryer #emberfold", privacy_level="PUBLIC_TO_EVERYONE", own_business=True)
TOKENS = {
    "access_token": ACCESS,
    "expires_in": 86400,
    "refresh_token": REFRESH,
    "refresh_expires_in": 31536000,
    "open_id": "open-1",
    "scope": "user.info.basic,video.publish",
    "token_type": "Bearer",
}


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with FakeVendor.running() as running:
        yield running


@pytest.fixture
def strict(vendor: FakeVendor) -> StrictTikTok:
    vendor.otherwise = tiktok = StrictTikTok(vendor)
    return tiktok


@pytest.fixture
def records() -> list[CallRecord]:
    return []


@pytest.fixture
async def client(vendor: FakeVendor, records: list[CallRecord]) -> AsyncIterator[TikTokClient]:
    config = TikTokConfig(base_url=vendor.url, client_key=KEY, client_secret=SecretStr(SECRET))
    clock = JumpingClock()
    http = VendorHttp(config.http_settings(), on_call=records.append, clock=clock, sleep=clock.sleep)
    async with TikTokClient(config, http=http) as client:
        yield client


def ok(**data: Any) -> dict[str, Any]:
    return {"data": data, "error": {"code": "ok", "message": "", "log_id": "2026AA"}}


async def test_a_post_goes_from_creator_info_to_its_id(
    client: TikTokClient, strict: StrictTikTok, records: list[CallRecord]
) -> None:
    creator = await client.creator_info(ACCESS)
    assert (creator.username, creator.max_video_duration_seconds, creator.duet_disabled) == ("emberfold.air", 300, True)

    video = b"x" * 25
    plan = ChunkPlan(25, 10, 2)  # small chunks: the size rules are the plan's business
    upload = await client.video_init(ACCESS, POST, plan)
    states = [
        (
            await client.upload_chunk(
                upload.upload_url, span, pieces(video[span.first : span.last + 1]), publish_id=upload.publish_id
            )
        ).state
        for span in plan.spans()
    ]
    assert states == [ChunkState.STORED, ChunkState.COMPLETE]

    status = await client.status_fetch(ACCESS, upload.publish_id)
    assert status.state is PublishState.PUBLISH_COMPLETE
    assert status.post_ids == (str(POST_ID),)
    assert strict.inits[0] == {
        "post_info": {
            "title": "Air fryer #emberfold",
            "privacy_level": "PUBLIC_TO_EVERYONE",
            "disable_comment": False,
            "disable_duet": False,
            "disable_stitch": False,
            "brand_content_toggle": False,
            "brand_organic_toggle": True,
            "is_aigc": False,
        },
        "source_info": {"source": "FILE_UPLOAD", "video_size": 25, "chunk_size": 10, "total_chunk_count": 2},
    }
    assert [(r.operation, r.status, r.handle) for r in records] == [
        ("creator_info", 200, None),
        ("video_init", 200, PUBLISH_ID),
        ("upload_chunk", 206, PUBLISH_ID),
        ("upload_chunk", 201, PUBLISH_ID),
        ("status_fetch", 200, PUBLISH_ID),
    ]


@pytest.mark.parametrize("counts_bytes", [True, False])
async def test_an_upload_out_of_step_finds_its_place_again(
    client: TikTokClient, strict: StrictTikTok, counts_bytes: bool
) -> None:
    strict.counts_bytes = counts_bytes
    plan = ChunkPlan(25, 10, 2)
    upload = await client.video_init(ACCESS, POST, plan)
    await client.upload_chunk(upload.upload_url, plan.span(0), pieces(b"x" * 10))
    again = await client.upload_chunk(upload.upload_url, plan.span(0), pieces(b"x" * 10))
    assert again.state is ChunkState.OUT_OF_STEP
    assert again.range_end is not None
    assert plan.index_after(again.range_end) == 1


async def test_a_lost_answer_to_init_is_harmless_and_asked_for_again(
    client: TikTokClient, vendor: FakeVendor, strict: StrictTikTok
) -> None:
    vendor.then(drops_the_connection)
    assert (await client.video_init(ACCESS, POST, plan_chunks(25))).publish_id == PUBLISH_ID
    assert len(vendor.seen) == 2


async def test_an_init_that_never_gets_an_answer_stays_harmless(client: TikTokClient, vendor: FakeVendor) -> None:
    vendor.otherwise = drops_the_connection
    with pytest.raises(VendorUnavailable) as refusal:
        await client.video_init(ACCESS, POST, plan_chunks(25))
    assert refusal.value.sent
    assert len(vendor.seen) == 3


@pytest.mark.parametrize("behaviour", [drops_the_connection, answers_bytes(b"", status=500)])
async def test_the_final_chunk_without_an_answer_is_uncertain_and_earlier_ones_are_not(
    client: TikTokClient, vendor: FakeVendor, behaviour: Any
) -> None:
    vendor.otherwise = behaviour
    plan = ChunkPlan(25, 10, 2)
    with pytest.raises(VendorUnavailable):
        await client.upload_chunk(f"{vendor.url}/upload", plan.span(0), pieces(b"x" * 10))
    with pytest.raises(VendorUncertain):
        await client.upload_chunk(f"{vendor.url}/upload", plan.span(1), pieces(b"x" * 15))
    assert len(vendor.seen) == 2


async def test_an_expired_upload_address_asks_for_a_new_one(client: TikTokClient, vendor: FakeVendor) -> None:
    vendor.then(answers_bytes(b"", status=403))
    with pytest.raises(UploadGone):
        await client.upload_chunk(f"{vendor.url}/upload", ChunkSpan(0, 2, 3), pieces(b"abc"))


@pytest.mark.parametrize(
    "address",
    [
        "http://open-upload.tiktokapis.com/video",
        "https://open-upload.tiktokapis.com.evil.example/video",
        "https://eviltiktokapis.com/video",
        "https://upload.tiktokapis.com@evil.example/video",
        "https://evil.example\\.tiktokapis.com/video",
        "https://upload.tiktokapis.com:8443/video",
        "https://evil.example/video#.tiktokapis.com",
        "http://127.0.0.1:1/video",
        "file:///etc/passwd",
        "",
    ],
)
async def test_no_byte_goes_to_an_address_outside_of_tiktok(client: TikTokClient, address: str) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the video was read")
        yield b""

    with pytest.raises(UploadAddressRefused):
        await client.upload_chunk(address, ChunkSpan(0, 2, 3), unread())


@pytest.mark.parametrize("path", ["//127.0.0.1/video", "/video"])
async def test_with_the_real_platform_configured_other_hosts_are_refused_too(path: str) -> None:
    async with TikTokClient(TikTokConfig()) as client:
        with pytest.raises(UploadAddressRefused):
            await client.upload_chunk(f"http:{path}", ChunkSpan(0, 2, 3), pieces(b"abc"))


async def test_a_cap_that_comes_with_http_200_is_raised(client: TikTokClient, vendor: FakeVendor) -> None:
    vendor.then(answers({"data": {}, "error": {"code": "spam_risk_too_many_posts", "message": "", "log_id": "L"}}))
    with pytest.raises(VendorQuotaReached) as refusal:
        await client.creator_info(ACCESS)
    assert (refusal.value.operation, refusal.value.log_id) == ("creator_info", "L")


async def test_a_failed_post_is_an_answer_with_its_reason(client: TikTokClient, vendor: FakeVendor) -> None:
    vendor.then(answers(ok(status="FAILED", fail_reason="spam_risk_text")))
    status = await client.status_fetch(ACCESS, PUBLISH_ID)
    assert (status.state, status.fail_reason, status.post_ids) == (PublishState.FAILED, "spam_risk_text", ())


async def test_a_new_status_word_is_kept_and_is_no_error(client: TikTokClient, vendor: FakeVendor) -> None:
    vendor.then(answers(ok(status="PROCESSING_MUSIC")))
    status = await client.status_fetch(ACCESS, PUBLISH_ID)
    assert status.state is PublishState.UNKNOWN
    assert status.raw["status"] == "PROCESSING_MUSIC"


async def test_an_answer_without_its_main_field_counts_as_none(
    client: TikTokClient, vendor: FakeVendor, records: list[CallRecord]
) -> None:
    vendor.otherwise = answers(ok(upload_url="https://u.tiktokapis.com/"))
    with pytest.raises(VendorUnavailable, match="publish_id") as refusal:
        await client.video_init(ACCESS, POST, plan_chunks(25))
    assert refusal.value.code == "unreadable_answer"
    assert {record.outcome for record in records} == {"unavailable"}


async def test_a_code_is_exchanged_as_a_form(client: TikTokClient, vendor: FakeVendor) -> None:
    vendor.then(answers(TOKENS))
    grant = await client.exchange_code(code="c*!", redirect_uri="https://b.example/cb", code_verifier="v" * 43)
    assert (grant.access_token, grant.refresh_token, grant.open_id) == (ACCESS, REFRESH, "open-1")
    assert grant.access_lifetime_seconds == 86400
    assert grant.scopes == ("user.info.basic", "video.publish")
    (seen,) = vendor.seen
    assert seen.raw_path == "/v2/oauth/token/"
    assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(seen.body.decode()) == {
        "client_key": [KEY],
        "client_secret": [SECRET],
        "grant_type": ["authorization_code"],
        "code": ["c*!"],
        "redirect_uri": ["https://b.example/cb"],
        "code_verifier": ["v" * 43],
    }


@pytest.mark.parametrize("behaviour", [drops_the_connection, answers({}), answers({"error": "server_error"})])
async def test_a_code_whose_exchange_went_unanswered_is_uncertain_and_not_used_twice(
    client: TikTokClient, vendor: FakeVendor, behaviour: Any
) -> None:
    vendor.otherwise = behaviour
    with pytest.raises(VendorUncertain):
        await client.exchange_code(code="c", redirect_uri="https://b.example/cb", code_verifier="v" * 43)
    assert len(vendor.seen) == 1


async def test_a_refresh_without_a_new_refresh_token_keeps_the_old_one(
    client: TikTokClient, vendor: FakeVendor
) -> None:
    vendor.then(answers(TOKENS | {"refresh_token": ""}))
    assert (await client.refresh(REFRESH)).refresh_token is None


async def test_a_dead_refresh_token_asks_the_owner_to_connect_again(client: TikTokClient, vendor: FakeVendor) -> None:
    vendor.then(answers({"error": "invalid_grant", "error_description": "expired", "log_id": "L"}))
    with pytest.raises(VendorAccountProblem) as refusal:
        await client.refresh(REFRESH)
    assert refusal.value.remedy is AccountRemedy.RECONNECT


async def test_a_revocation_succeeds_with_an_empty_answer(client: TikTokClient, vendor: FakeVendor) -> None:
    vendor.then(answers_bytes(b""))
    await client.revoke(ACCESS)
    assert parse_qs(vendor.seen[0].body.decode())["token"] == [ACCESS]


async def test_fields_are_asked_for_in_the_query_and_numbers_are_read(client: TikTokClient, vendor: FakeVendor) -> None:
    video = {"id": str(POST_ID), "create_time": 1795262400, "view_count": 9, "title": "t"}
    vendor.then(
        answers(ok(user={"open_id": "open-1", "display_name": "Emberfold Air"})),
        answers(ok(videos=[video, {"title": "without id"}], cursor=1795262400000, has_more=True)),
    )
    user = await client.user_info(ACCESS)
    page = await client.video_list(ACCESS, cursor=5, max_count=2)
    assert user.display_name == "Emberfold Air"
    assert [(v.id, v.view_count, v.like_count) for v in page.videos] == [(str(POST_ID), 9, None)]
    assert (page.cursor, page.has_more) == (1795262400000, True)
    assert vendor.seen[0].raw_path.startswith("/v2/user/info/?fields=open_id%2C")
    assert vendor.seen[1].raw_path.startswith("/v2/video/list/?fields=id%2Ccreate_time")
    assert vendor.seen[1].body == b'{"max_count":2,"cursor":5}'


async def test_init_is_held_to_six_a_minute_for_each_user(client: TikTokClient, strict: StrictTikTok) -> None:
    for _ in range(6):
        await client.video_init(ACCESS, POST, plan_chunks(25))
    with pytest.raises(VendorError) as refusal:
        await client.video_init(ACCESS, POST, plan_chunks(25))
    assert refusal.value.code == "local_rate_limit"
    assert len(strict.inits) == 6


async def test_no_token_secret_or_upload_address_is_written_down(
    client: TikTokClient, vendor: FakeVendor, strict: StrictTikTok, records: list[CallRecord]
) -> None:
    canaries = [ACCESS, REFRESH, SECRET, "cana%2Fry", "cana/ry", "canary-code", "canary-verifier"]
    shown: list[object] = []
    with structlog.testing.capture_logs() as logged:
        vendor.then(answers(TOKENS))
        shown.append(
            await client.exchange_code(
                code="canary-code", redirect_uri="https://b.example", code_verifier="canary-verifier"
            )
        )
        vendor.then(answers({"error": "invalid_request", "error_description": f"bad {REFRESH} {SECRET}"}, status=400))
        with pytest.raises(VendorRejected) as refused:
            await client.refresh(REFRESH)
        shown.append(refused.value)
        shown.append(await client.video_init(ACCESS, POST, plan_chunks(3)))
        for behaviour in (strict, drops_the_connection, answers({"url": f"{vendor.url}/upload?cana%2Fry"}, status=400)):
            strict.stored = 0
            vendor.then(behaviour)
            address = f"{vendor.url}/upload?upload_id=1&upload_token=cana%2Fry"
            try:
                shown.append(await client.upload_chunk(address, ChunkSpan(0, 2, 3), pieces(b"abc")))
            except VendorError as error:
                shown.append((error, str(error), error.__context__, error.__cause__))
    everything = repr(shown) + repr(logged) + repr(records)
    assert len(records) == 6
    assert "client_secret" in everything  # the names of the form's fields are kept, their values are not
    assert [canary for canary in canaries if canary in everything] == []


PHOTOS = PhotoPost(
    image_urls=("https://media.example/1?signature=canary-link", "https://media.example/2?signature=canary-link"),
    privacy_level="SELF_ONLY",
    title="Fries",
    description="🍟",
    cover_index=1,
    own_business=True,
)
FETCHED = {
    "photos": lambda client, **more: client.post_photos(ACCESS, PHOTOS, **more),
    "a video": lambda client, **more: client.post_video_from(ACCESS, "https://media.example/v", POST, **more),
    "a draft": lambda client, **more: client.post_video_from(ACCESS, "https://media.example/v", None, **more),
}


async def test_photos_are_posted_with_every_documented_field_and_no_other(
    client: TikTokClient, vendor: FakeVendor, records: list[CallRecord]
) -> None:
    vendor.otherwise = answers(ok(publish_id="p_pub_url~v2.1"))
    assert await client.post_photos(ACCESS, PHOTOS) == "p_pub_url~v2.1"
    await client.post_photos(ACCESS, replace(PHOTOS, privacy_level=None, is_ai_generated=True))
    direct, draft = (json.loads(each.body) for each in vendor.seen)
    assert {each.raw_path for each in vendor.seen} == {"/v2/post/publish/content/init/"}
    assert {each.headers["Content-Type"] for each in vendor.seen} == {"application/json; charset=UTF-8"}
    source = {"source": "PULL_FROM_URL", "photo_images": list(PHOTOS.image_urls), "photo_cover_index": 1}
    assert direct == {
        "media_type": "PHOTO",
        "post_mode": "DIRECT_POST",
        "post_info": {
            "title": "Fries", "description": "🍟", "privacy_level": "SELF_ONLY", "disable_comment": False,
            "auto_add_music": False, "brand_content_toggle": False, "brand_organic_toggle": True,
        },
        "source_info": source,
    }  # fmt: skip
    assert draft == {
        "media_type": "PHOTO",
        "post_mode": "MEDIA_UPLOAD",
        "post_info": {"title": "Fries", "description": "🍟"},
        "source_info": source,
        "is_aigc": True,
    }
    # What was sent is kept; what opens our files is not.
    assert "photo_images" in repr(records)
    assert "canary-link" not in repr(records) + repr(PHOTOS)


async def test_a_draft_names_its_file_alone(client: TikTokClient, vendor: FakeVendor) -> None:
    vendor.then(
        answers(ok(publish_id="v_inbox_file~v2.1", upload_url=f"{vendor.url}/upload")),
        answers(ok(publish_id="v_inbox_url~v2.1")),
    )
    await client.draft_init(ACCESS, plan_chunks(25))
    await client.post_video_from(ACCESS, "https://media.example/v", None)
    assert {each.raw_path for each in vendor.seen} == {"/v2/post/publish/inbox/video/init/"}
    file, url = (json.loads(each.body) for each in vendor.seen)
    assert file == {
        "source_info": {"source": "FILE_UPLOAD", "video_size": 25, "chunk_size": 25, "total_chunk_count": 1}
    }
    assert url == {"source_info": {"source": "PULL_FROM_URL", "video_url": "https://media.example/v"}}


@pytest.mark.parametrize("what", FETCHED)
@pytest.mark.parametrize("behaviour", [drops_the_connection, answers_bytes(b"", status=502), answers(ok())])
async def test_what_publishes_by_itself_is_sent_once_and_in_doubt_without_a_usable_answer(
    client: TikTokClient, vendor: FakeVendor, what: str, behaviour: Any
) -> None:
    vendor.otherwise = behaviour
    with pytest.raises(VendorUncertain):
        await FETCHED[what](client)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("what", FETCHED)
async def test_the_last_moment_keeps_it_back(client: TikTokClient, vendor: FakeVendor, what: str) -> None:
    def refuse() -> None:
        raise LookupError("too late")

    with pytest.raises(LookupError):
        await FETCHED[what](client, last_moment=refuse)
    assert [each for each in vendor.seen if each.body] == []


async def test_videos_are_asked_for_by_their_ids_and_profiles_by_the_scopes_fields(
    client: TikTokClient, vendor: FakeVendor
) -> None:
    vendor.then(
        answers(ok(videos=[{"id": str(POST_ID), "view_count": 9}])),
        answers(ok(user={"open_id": "open-1", "follower_count": 3})),
        answers(ok()),
    )
    page = await client.video_query(ACCESS, [str(POST_ID)])
    assert [(each.id, each.view_count, each.like_count) for each in page.videos] == [(str(POST_ID), 9, None)]
    assert vendor.seen[0].raw_path.startswith("/v2/video/query/?fields=id%2C")
    assert json.loads(vendor.seen[0].body) == {"filters": {"video_ids": [str(POST_ID)]}}
    user = await client.user_info(ACCESS, fields=("open_id", *USER_FIELDS["user.info.stats"]))
    assert (user.follower_count, user.video_count) == (3, None)
    await client.cancel(ACCESS, PUBLISH_ID)
    assert (vendor.seen[2].raw_path, json.loads(vendor.seen[2].body)) == (
        "/v2/post/publish/cancel/",
        {"publish_id": PUBLISH_ID},
    )


@pytest.mark.parametrize(
    "values",
    [
        {"media_url_prefix": "http://media.example/"},  # TikTok fetches by https
        {"media_url_prefix": "https://media.example"},
        {"media_url_prefix": "https://media.example/?x=1"},
        {"video_source": "PULL_FROM_URL"},
    ],
)
def test_an_address_that_tiktok_could_not_fetch_from_is_refused_at_the_start(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        TikTokConfig(**values)  # type: ignore[arg-type]
