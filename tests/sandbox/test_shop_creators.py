"""Shoppable posts of creators in the sandbox's TikTok Shop."""

from typing import Any

import pytest

from tests.sandbox.conftest import a_video
from tests.sandbox.shop import ShopApp

VIDEO_FILES, PHOTO_FILES = (
    "/affiliate_creator/202505/videos/video_files",
    "/affiliate_creator/202511/photos/photo_files",
)
VIDEOS, PHOTOS = "/affiliate_creator/202607/videos", "/affiliate_creator/202607/photos"
BOX = "1729517744256656620"
GOBLIN: dict[str, Any] = {"by": "dice.goblin", "region": None}
DAY = 86_400


@pytest.fixture
def creator(shop: ShopApp) -> ShopApp:
    """An app with the token of dice.goblin."""
    shop.connect("dice.goblin", "creator")
    return shop


def upload(app: ShopApp, data: bytes | None = None, name: str = "clip.mp4", by: str = "dice.goblin") -> str:
    answer = app.upload(VIDEO_FILES, name, data or a_video(), by).json()
    assert answer["code"] == 0, answer
    return str(answer["data"]["video_file"]["id"])


def photo(app: ShopApp) -> str:
    answer = app.upload(PHOTO_FILES, "a.jpg", b"\xff\xd8\xff\xe0" + bytes(100), "dice.goblin").json()
    return str(answer["data"]["photo_file"]["photo_uri"])


def body(app: ShopApp, link_title: str = "Deck box", **video: Any) -> dict[str, Any]:
    info = {"file_id": video.pop("file_id", None) or upload(app), "title": "A box for 100 cards 🎲", **video}
    return {"video_info": info, "product_link_info": {"product_id": BOX, "title": link_title}}


def status(app: ShopApp, post_id: str) -> dict[str, Any]:
    return dict(app.ok("GET", f"/affiliate_creator/202509/videos/{post_id}/status", **GOBLIN)["video"])


def test_a_video_is_uploaded_posted_and_out_after_a_while(creator: ShopApp) -> None:
    data = creator.ok("POST", VIDEOS, body=body(creator), **GOBLIN)
    assert data["quota"] == "3/day"
    post_id = data["video"]["id"]
    assert status(creator, post_id) == {"id": post_id, "post_status": "PROCESSING"}
    creator.advance(5)
    out = status(creator, post_id)
    assert (out["post_status"], out["post_time"] > 0) == ("SUCCESS", True)


def test_an_ordered_verdict_fails_a_post_and_a_failed_one_takes_no_quota(creator: ShopApp) -> None:
    creator.control("POST", "/verdicts", kind="post", reason="Medical claim", subject="dice.goblin")
    failed = creator.ok("POST", VIDEOS, body=body(creator), **GOBLIN)["video"]["id"]
    creator.advance(5)
    assert status(creator, failed)["post_status"] == "FAIL"
    codes = [creator.code("POST", VIDEOS, body=body(creator), **GOBLIN) for _ in range(4)]
    assert codes == [0, 0, 0, 170001062]
    creator.advance(DAY)
    assert creator.code("POST", VIDEOS, body=body(creator), **GOBLIN) == 0


@pytest.mark.parametrize(
    ("changes", "link", "code"),
    [
        ({"file_id": "v01"}, {}, 170001040),
        ({}, {"title": "x" * 30}, 16011007),
        ({}, {"title": ""}, 16011007),
        ({}, {"title": "Deck box!"}, 16011069),
        ({}, {"title": "Deck box 🎲"}, 16011069),
        ({}, {"product_id": "1"}, 170001011),
        ({}, {"product_id": "1729597018115673520"}, 170001012),
        ({"title": "🎲" * 2001}, {}, 36009004),
        ({"cover_timestamp_ms": -1}, {}, 170001024),
        ({"cover_timestamp_ms": 600_001}, {}, 170001025),
        ({"cover_uri": "nothing"}, {}, 170001024),
        ({"music_id": "1"}, {}, 36009004),
        ({"privacy_level": "SELF_ONLY"}, {}, 36009004),
    ],
)
def test_a_post_that_breaks_a_rule_is_refused(
    creator: ShopApp, changes: dict[str, Any], link: dict[str, Any], code: int
) -> None:
    good = body(creator)
    bad = {"video_info": good["video_info"] | changes, "product_link_info": good["product_link_info"] | link}
    assert creator.code("POST", VIDEOS, body=bad, **GOBLIN) == code
    assert creator.code("POST", VIDEOS, body=good, **GOBLIN) == 0


def test_restricted_creators_and_those_in_a_hurry_wait(creator: ShopApp) -> None:
    creator.settings(post_interval_seconds=60)
    creator.control("PATCH", "/creators/dice.goblin", restricted=True)
    assert creator.code("POST", VIDEOS, body=body(creator), **GOBLIN) == 170001030
    creator.control("PATCH", "/creators/dice.goblin", restricted=False)
    assert creator.code("POST", VIDEOS, body=body(creator), **GOBLIN) == 0
    assert creator.code("POST", VIDEOS, body=body(creator), **GOBLIN) == 170001020
    creator.advance(61)
    assert creator.code("POST", VIDEOS, body=body(creator), **GOBLIN) == 0


def test_files_are_looked_at_and_belong_to_who_sent_them(creator: ShopApp) -> None:
    assert creator.upload(VIDEO_FILES, "clip.mp4", b"no video at all", "dice.goblin").json()["code"] == 36009022
    assert creator.upload(PHOTO_FILES, "a.jpg", a_video(), "dice.goblin").json()["code"] == 36009022
    large = creator.upload(PHOTO_FILES, "a.jpg", b"\xff\xd8\xff" + bytes(10_000_001), "dice.goblin")
    assert (large.status_code, large.json()["code"]) == (413, 36009021)
    creator.connect("card.corner", "creator")
    theirs = upload(creator, by="card.corner")
    assert creator.code("POST", VIDEOS, body=body(creator, file_id=theirs), **GOBLIN) == 170001040
    assert creator.code("POST", VIDEO_FILES, **GOBLIN) == 36009023


def test_photos_link_one_product_a_shop_or_one_each(creator: ShopApp) -> None:
    uris = [photo(creator), photo(creator)]
    info = [{"photo_file_uris": uri} for uri in uris]
    link = {"product_id": BOX, "link_title": "Deck box"}

    def post(kind: str, links: list[dict[str, str]], **more: Any) -> int:
        sent = {"photos_info": info, "title": "Two boxes", "link_info": {"post_type": kind, "links": links, **more}}
        return creator.code("POST", PHOTOS, body=sent, **GOBLIN)

    creator.settings(posts_per_day=10)
    assert post("1", [link]) == 0
    assert post("1", [link, link]) == 36009004
    assert post("3", [link, link]) == 0
    assert post("2", []) == 36009004
    assert post("2", [], shop_info={"shop_id": "7495540735365777507"}) == 0
    one = {"photos_info": [{"photo_file_uris": '["nothing"]'}]}
    assert creator.code("POST", PHOTOS, body=one, **GOBLIN) == 170001040


def test_a_precheck_tells_what_is_wrong_before_the_post(creator: ShopApp) -> None:
    def check() -> str:
        sent = body(creator)
        info = {"file_id": sent["video_info"]["file_id"]}
        data = creator.ok(
            "POST", "/affiliate_creator/202511/videos/precheck_task", body={**sent, "video_info": info}, **GOBLIN
        )
        return str(data["precheck"]["task_id"])

    def result(task: str) -> dict[str, Any]:
        data = creator.ok("GET", f"/affiliate_creator/202601/videos/precheck_tasks/{task}", **GOBLIN)
        return dict(data["precheck_task"]["violation_check_result"])

    creator.settings(prechecks_per_day=2)
    task = check()
    assert result(task)["status"] == "PROCESSING"
    creator.advance(5)
    assert result(task) == {"status": "SUCCESS", "issues": []}
    creator.control("POST", "/verdicts", kind="precheck", reason="Unclear claim")
    task = check()
    creator.advance(5)
    assert result(task)["issues"][0]["risk"] == "Unclear claim"
    sent = body(creator)
    info = {"file_id": sent["video_info"]["file_id"]}
    path = "/affiliate_creator/202511/videos/precheck_task"
    assert creator.code("POST", path, body={**sent, "video_info": info}, **GOBLIN) == 170001019


def test_outcomes_and_links_are_told_to_the_app(creator: ShopApp) -> None:
    creator.settings(webhook_url="http://127.0.0.1:1/nobody")
    creator.ok("POST", VIDEOS, body=body(creator), **GOBLIN)
    creator.advance(5)
    creator.control("POST", "/creators/dice.goblin/deauthorize")
    told = [(event["event"], event["body"]) for event in creator.control("GET", "/webhooks")]
    assert [event for event, _ in told] == ["CREATOR_DEAUTHORIZATION", "SHOPPABLE_CONTENT_POSTING"]
    assert creator.tokens["dice.goblin"]["open_id"] in told[0][1]
    assert creator.code("POST", VIDEOS, body={}, **GOBLIN) == 105001


def test_showcase_shop_products_and_music_are_paged(creator: ShopApp) -> None:
    path = "/affiliate_creator/202405/showcases/products"
    first = creator.ok("GET", path, {"origin": "SHOWCASE", "page_size": 4}, **GOBLIN)
    query = {"origin": "SHOWCASE", "page_size": 4, "page_token": first["next_page_token"]}
    rest = creator.ok("GET", path, query, **GOBLIN)
    ids = [one["id"] for one in first["products"] + rest["products"]]
    assert (len(set(ids)), rest["next_page_token"]) == (6, "")
    assert creator.code("GET", path, {"origin": "SHOWCASE", "page_size": 21}, **GOBLIN) == 36009004
    shop_products = "/affiliate_creator/202509/shop_products"
    boxes = creator.ok("GET", shop_products, {"page_size": 20, "title_keyword": "deck box"}, **GOBLIN)
    assert BOX in [one["id"] for one in boxes["products"]]
    music = "/affiliate_creator/202602/music/search"
    found = creator.ok("GET", music, {"keyword": "dice", "page_size": 3}, **GOBLIN)
    assert (len(found["music"]), found["has_more"]) == (3, True)
    following = {"keyword": "dice", "page_size": 3, "page_token": found["next_page_token"]}
    assert creator.code("GET", music, following, **GOBLIN) == 36009004
    more = creator.ok("GET", music, following | {"search_id": found["search_id"]}, **GOBLIN)
    assert (len(more["music"]), more["has_more"]) == (2, False)


def test_figures_of_own_posts_come_by_day(creator: ShopApp) -> None:
    now = int(creator.control("GET", "//clock")["now"])
    [post, *_] = creator.control("GET", "/posts?creator=dice.goblin")
    query = {"video_ids": post["id"], "start_time_ge": now - 7 * DAY, "end_time_le": now - 2 * DAY}
    path = "/analytics/202403/videos/performances"
    [video] = creator.ok("GET", path, query, **GOBLIN)["videos"]
    assert len(video["performances"]) == 6
    assert set(video["performances"][0]["metrics"]) == {
        "anchor_display_rate", "click_through_rate", "order_count", "item_sold_count", "gmv",
    }  # fmt: skip
    assert creator.code("GET", path, query | {"video_ids": "1"}, **GOBLIN) == 66009315
    assert creator.code("GET", path, query | {"start_time_ge": now - 200 * DAY}, **GOBLIN) == 36009004


def test_a_part_of_the_scopes_opens_a_part_of_the_calls(shop: ShopApp) -> None:
    scopes = shop.control("GET", "/settings")["app_scopes"]
    shop.settings(app_scopes=[scope for scope in scopes if scope != "creator.video.write"])
    shop.connect("dice.goblin", "creator")
    assert (
        shop.code("GET", "/affiliate_creator/202405/showcases/products", {"origin": "LIVE", "page_size": 1}, **GOBLIN)
        == 0
    )
    assert shop.code("POST", VIDEOS, body={}, **GOBLIN) == 105005
