"""Inits, caps, privacy, verdicts and the Display API."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.conftest import MIB, App, a_video, code, sha256, until

CREATOR_INFO = "/v2/post/publish/creator_info/query/"


def test_a_public_post_is_processed_moderated_and_then_shown(connected: App) -> None:
    publish_id = connected.post_video(title="Draw the fan #air")
    assert connected.status(publish_id) == {"status": "PROCESSING_UPLOAD", "uploaded_bytes": 1000}
    connected.control("POST", "/clock/advance", seconds=2.9)  # 1 s of processing and 2 s of moderation
    assert connected.status(publish_id)["status"] == "PROCESSING_UPLOAD"
    connected.control("POST", "/clock/advance", seconds=0.1)
    done = connected.status(publish_id)
    assert done["status"] == "PUBLISH_COMPLETE"
    [post_id] = done["publicaly_available_post_id"]
    assert post_id > 2**53
    [video] = connected.call("/v2/video/list/?fields=id,video_description").json()["data"]["videos"]
    assert video == {"id": str(post_id), "video_description": "Draw the fan #air"}
    [post] = connected.control("GET", "/tiktok/posts")
    assert post["sha256"] == sha256(a_video())


def test_a_private_post_never_gets_a_public_id(connected: App) -> None:
    publish_id = connected.post_video(privacy_level="SELF_ONLY")
    connected.control("POST", "/clock/advance", seconds=3600)
    assert connected.status(publish_id)["publicaly_available_post_id"] == []
    assert connected.call("/v2/video/list/?fields=id").json()["data"]["videos"] == []


def test_a_post_can_be_complete_before_its_id_is_given_out(connected: App) -> None:
    connected.settings(public_seconds=600)
    publish_id = connected.post_video()
    connected.control("POST", "/clock/advance", seconds=3)
    assert connected.status(publish_id)["publicaly_available_post_id"] == []
    connected.control("POST", "/clock/advance", seconds=600)
    assert len(connected.status(publish_id)["publicaly_available_post_id"]) == 1


def test_a_removed_post_is_gone_from_status_and_list(connected: App) -> None:
    publish_id = connected.post_video()
    connected.control("POST", "/clock/advance", seconds=3)
    connected.control("POST", f"/tiktok/posts/{publish_id}/remove")
    assert connected.status(publish_id)["publicaly_available_post_id"] == []
    assert connected.call("/v2/video/list/?fields=id").json()["data"]["videos"] == []


# size, chunk size, count of the platform's guide and of the mistakes that its users report
@pytest.mark.parametrize(
    ("size", "chunk", "count", "message"),
    [
        (50_000_123, 10_000_000, 5, None),
        (64_000_000, 64_000_000, 1, None),
        (64_000_001, 10_000_000, 6, None),
        (4_000_000_000, 10_000_000, 400, None),
        (4_999_999, 4_999_999, 1, None),
        (50_000_123, 10_000_000, 6, "chunk count"),  # rounded up
        (70_000_000, 64_000_000, 1, "chunk size"),  # the floor is 1, the chunk is not the video
        (70_000_000, 70_000_000, 1, "chunk size"),  # more than 64 MB need several chunks
        (15_000_000, 10_000_000, 1, "chunk size"),
        (20_000_000, 4_000_000, 5, "chunk size"),  # below 5 MB
        (4_000_000_001, 10_000_000, 400, "video size"),
        (0, 1, 1, "video_size"),
    ],
)
def test_chunk_plans(connected: App, size: int, chunk: int, count: int, message: str | None) -> None:
    answer = connected.init(size, chunk, count)
    assert code(answer) == ("200 ok" if message is None else "400 invalid_params")
    assert (message or "") in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("info", "place"),
    [
        ({"location": "Berlin"}, "post_info.location"),
        ({"title": 5}, "post_info.title"),
        ({"title": "🔥" * 1101}, "post_info.title"),  # 2202 UTF-16 units
        ({"is_aigc": "yes"}, "post_info.is_aigc"),
        ({"privacy_level": "PUBLIC"}, "post_info.privacy_level"),
        ({"brand_content_toggle": True, "privacy_level": "SELF_ONLY"}, "post_info.brand_content_toggle"),
    ],
)
def test_a_bad_field_is_named(connected: App, info: dict[str, Any], place: str) -> None:
    answer = connected.init(1000, **info)
    assert code(answer) == "400 invalid_params"
    assert answer.json()["error"]["message"].startswith(place)


def test_missing_toggles_are_refused(connected: App) -> None:
    body = {"post_info": {"privacy_level": "SELF_ONLY"}, "source_info": {"source": "FILE_UPLOAD"}}
    assert code(connected.call("/v2/post/publish/video/init/", body)) == "400 invalid_params"


def test_a_private_account_is_offered_other_levels(connected: App) -> None:
    connected.control("PATCH", "/tiktok/creators/emberfold.air", private=True, stitch_disabled=True)
    info = connected.call(CREATOR_INFO).json()["data"]
    assert info["privacy_level_options"] == ["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]
    assert info["stitch_disabled"] is True
    assert code(connected.init(1000)) == "403 privacy_level_option_mismatch"


def test_an_unaudited_app_posts_only_to_private_accounts_for_the_owner(connected: App) -> None:
    connected.settings(client_audited=False)
    refused = "403 unaudited_client_can_only_post_to_private_accounts"
    assert code(connected.init(1000, privacy_level="SELF_ONLY")) == refused
    connected.control("PATCH", "/tiktok/creators/emberfold.air", private=True)
    assert code(connected.init(1000, privacy_level="FOLLOWER_OF_CREATOR")) == refused
    assert code(connected.init(1000, privacy_level="SELF_ONLY")) == "200 ok"


def test_the_seventh_init_of_a_minute_waits(connected: App) -> None:
    assert [connected.init(1000).status_code for _ in range(6)] == [200] * 6
    assert code(connected.init(1000)) == "429 rate_limit_exceeded"
    connected.control("POST", "/clock/advance", seconds=60)
    assert code(connected.init(1000)) == "200 ok"


def test_the_daily_cap_counts_posts_and_ends_after_a_day(connected: App) -> None:
    connected.settings(posts_per_day=2)
    for _ in range(2):
        connected.post_video()
    assert code(connected.init(1000)) == "403 spam_risk_too_many_posts"
    quiet = connected.call(CREATOR_INFO)  # the platform reports it inside a 200 here
    assert code(quiet) == "200 spam_risk_too_many_posts"
    connected.control("POST", "/clock/advance", seconds=86_400)
    connected.connect()
    assert code(connected.init(1000)) == "200 ok"


def test_inits_side_by_side_cannot_pass_the_daily_cap(connected: App) -> None:
    connected.settings(posts_per_day=1)
    first, second = (connected.init(1000).json()["data"] for _ in range(2))
    for data in (first, second):
        assert connected.put(data["upload_url"], a_video(), 0, 1000).status_code == 201
    connected.control("POST", "/clock/advance", seconds=3)
    assert connected.status(first["publish_id"])["status"] == "PUBLISH_COMPLETE"
    assert connected.status(second["publish_id"])["fail_reason"] == "spam_risk_too_many_posts"


def test_a_banned_creator_is_refused(connected: App) -> None:
    connected.control("PATCH", "/tiktok/creators/emberfold.air", banned=True)
    assert code(connected.init(1000)) == "403 spam_risk_user_banned_from_posting"


def test_the_cap_of_active_creators_holds_for_the_next_creator(connected: App) -> None:
    connected.settings(active_creators_per_day=1)
    connected.connect("emberfold.fire")
    connected.post_video()
    assert code(connected.init(1000, creator="emberfold.fire")) == "403 reached_active_user_cap"
    assert code(connected.init(1000)) == "200 ok"


def test_the_sixth_pending_draft_is_refused_until_the_creator_posts_one(connected: App) -> None:
    drafts = [connected.draft().json()["data"] for _ in range(5)]
    assert code(connected.draft()) == "403 spam_risk_too_many_pending_share"
    assert connected.put(drafts[0]["upload_url"], a_video(), 0, 1000).status_code == 201
    connected.control("POST", "/clock/advance", seconds=61)
    assert connected.status(drafts[0]["publish_id"])["status"] == "SEND_TO_USER_INBOX"
    connected.control("POST", f"/tiktok/posts/{drafts[0]['publish_id']}/finish", caption="mine")
    assert code(connected.draft()) == "200 ok"
    connected.control("POST", "/clock/advance", seconds=2)
    assert connected.status(drafts[0]["publish_id"])["status"] == "PUBLISH_COMPLETE"


def test_ordered_verdicts_hit_the_next_posts_only(connected: App) -> None:
    connected.control("POST", "/tiktok/verdicts", fail_reason="spam_risk_text", count=1)
    failing, fine = connected.post_video(title="[[fail:internal]]"), connected.post_video(title="[[fail:internal]]")
    connected.control("POST", "/clock/advance", seconds=3)
    assert connected.status(failing)["fail_reason"] == "spam_risk_text"
    assert connected.status(fine)["status"] == "PUBLISH_COMPLETE"
    [effect] = connected.control("GET", "/tiktok/effects?creator=emberfold.air")
    assert (effect["effects"], effect["failed"], effect["published"]) == (2, 1, 1)


def test_bytes_that_are_no_video_fail_the_format_check(connected: App) -> None:
    publish_id = connected.post_video(b"\x89PNG" + bytes(996))
    connected.control("POST", "/clock/advance", seconds=1)
    assert connected.status(publish_id)["fail_reason"] == "file_format_check_failed"


def test_a_publish_id_belongs_to_its_creator(connected: App) -> None:
    publish_id = connected.post_video()
    connected.connect("emberfold.fire")
    path = "/v2/post/publish/status/fetch/"
    foreign = connected.call(path, {"publish_id": publish_id}, "emberfold.fire")
    assert code(foreign) == "400 token_not_authorized_for_specified_publish_id"
    assert code(connected.call(path, {"publish_id": "v_pub_file~x"})) == "400 invalid_publish_id"
    assert code(connected.call("/v2/post/publish/cancel/", {"publish_id": publish_id})) == "400 publish_not_cancellable"


def test_lists_are_paged_newest_first_and_queries_leave_out_what_is_not_there(connected: App) -> None:
    for number in range(3):
        connected.post_video(title=f"post {number}")
        connected.control("POST", "/clock/advance", seconds=3)
    path = "/v2/video/list/?fields=id,title"
    page = connected.call(path, {"max_count": 2}).json()["data"]
    assert ([video["title"] for video in page["videos"]], page["has_more"]) == (["post 2", "post 1"], True)
    rest = connected.call(path, {"max_count": 2, "cursor": page["cursor"]}).json()["data"]
    assert ([video["title"] for video in rest["videos"]], rest["has_more"]) == (["post 0"], False)
    wanted = [rest["videos"][0]["id"], "9999999999999999999", "x"]
    found = connected.call("/v2/video/query/?fields=id", {"filters": {"video_ids": wanted}}).json()["data"]
    assert [video["id"] for video in found["videos"]] == wanted[:1]


class MediaHost:
    """Serves one video, and remembers whether it may answer yet."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.may_answer.wait(10)
                self.send_response(302 if "moved" in self.path else 200)
                self.end_headers()
                if "moved" not in self.path:
                    self.wfile.write(a_video(2 * MIB))

            def log_message(self, *args: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/media/"


@pytest.fixture
def media() -> Iterator[MediaHost]:
    host = MediaHost()
    thread = threading.Thread(target=host.server.serve_forever, args=(0.01,))
    thread.start()
    yield host
    host.may_answer.set()
    host.server.shutdown()
    thread.join()
    host.server.server_close()


def _pull(app: App, url: str) -> Any:
    body = {
        "post_info": {"privacy_level": "SELF_ONLY", "brand_content_toggle": False, "brand_organic_toggle": False},
        "source_info": {"source": "PULL_FROM_URL", "video_url": url},
    }
    return app.call("/v2/post/publish/video/init/", body)


def _ended_pull(app: App) -> Any:
    """The one post, once its download has ended."""
    until(lambda: app.control("GET", "/tiktok/posts")[0]["state"] != "DOWNLOADING")
    return app.control("GET", "/tiktok/posts")[0]


def test_a_pull_needs_a_verified_prefix_and_then_really_downloads(connected: App, media: MediaHost) -> None:
    assert code(_pull(connected, f"{media.url}a.mp4")) == "403 url_ownership_unverified"
    connected.settings(url_prefixes=[media.url])
    assert code(_pull(connected, f"{media.url}../a.mp4")) == "403 url_ownership_unverified"
    publish_id = _pull(connected, f"{media.url}a.mp4").json()["data"]["publish_id"]
    assert connected.status(publish_id)["status"] == "PROCESSING_DOWNLOAD"
    media.may_answer.set()
    assert _ended_pull(connected)["sha256"] == sha256(a_video(2 * MIB))
    connected.control("POST", "/clock/advance", seconds=3)
    assert connected.status(publish_id) == {
        "status": "PUBLISH_COMPLETE", "downloaded_bytes": 2 * MIB, "publicaly_available_post_id": [],
    }  # fmt: skip


def test_a_redirected_pull_fails(connected: App, media: MediaHost) -> None:
    connected.settings(url_prefixes=[media.url])
    media.may_answer.set()
    _pull(connected, f"{media.url}moved.mp4")
    assert _ended_pull(connected)["fail_reason"] == "video_pull_failed"


def test_a_download_can_be_cancelled(connected: App, media: MediaHost) -> None:
    connected.settings(url_prefixes=[media.url])
    publish_id = _pull(connected, f"{media.url}a.mp4").json()["data"]["publish_id"]
    assert code(connected.call("/v2/post/publish/cancel/", {"publish_id": publish_id})) == "200 ok"
    assert connected.status(publish_id)["fail_reason"] == "publish_cancelled"


def test_photos_are_pulled_and_text_is_not_a_photo(connected: App, media: MediaHost) -> None:
    connected.settings(url_prefixes=[media.url])
    media.may_answer.set()
    body = {
        "media_type": "PHOTO", "post_mode": "DIRECT_POST", "post_info": {"privacy_level": "SELF_ONLY"},
        "source_info": {"source": "PULL_FROM_URL", "photo_images": [f"{media.url}a.jpg"], "photo_cover_index": 0},
    }  # fmt: skip
    assert code(connected.call("/v2/post/publish/content/init/", body)) == "200 ok"
    assert _ended_pull(connected)["fail_reason"] == "file_format_check_failed"
    body["source_info"] = json.loads(json.dumps(body["source_info"])) | {"photo_cover_index": 1}
    assert code(connected.call("/v2/post/publish/content/init/", body)) == "400 invalid_params"
