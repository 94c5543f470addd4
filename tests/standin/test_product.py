"""From REST to strict stand-ins of TikTok and TikTok Shop and back, through real processes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from deploy.local.demo import VIDEO
from tests.e2e.test_tiktok import PHOTOS
from tests.standin import shop_data
from tests.standin.journal import Call
from tests.standin.product import AtStandIn, product
from tests.standin.server import Fault, serving
from tests.standin.shop import Owner, Shop, envelope
from tests.standin.tiktok import TikTok
from tests.standin.tiktok_posts import Post, User

PUBLIC = {"privacy_level": "PUBLIC_TO_EVERYONE", "music_usage_confirm_time": "2026-11-01T12:00:00Z"}


@pytest.fixture(scope="module")
def running() -> Iterator[AtStandIn]:
    tiktok, shop = TikTok(), Shop()
    with serving(tiktok), serving(shop), product(tiktok, shop) as started:
        yield started


@pytest.fixture
def user(running: AtStandIn) -> User:
    """A creator whose account was just connected."""
    user = running.tiktok.creator(f"creator{len(running.tiktok.users)}")
    running.connect(user).raise_for_status()
    return user


def schedule(running: AtStandIn, user: User, *media: str, **tiktok: Any) -> dict[str, Any]:
    return running.schedule(
        user.handle, in_seconds=0.5, media_asset_ids=list(media), options={"tiktok": tiktok or PUBLIC}
    )


def post_of(running: AtStandIn, post: dict[str, Any]) -> Post | None:
    return next((each for each in running.tiktok.posts.by_id.values() if each.text == post["caption"]), None)


def webhook(running: AtStandIn, event: str, user: User, content: dict[str, Any], **odd: Any) -> httpx.Response:
    """An event as TikTok sends it: without any key of ours."""
    headers, body = running.tiktok.webhook(event, user.open_id, content, **odd)
    return httpx.post(f"{running.stack.gateway_url}/v1/webhooks/tiktok", headers=headers, content=body, trust_env=False)


def test_an_account_is_connected_with_what_its_owner_grants(running: AtStandIn) -> None:
    user = running.tiktok.creator("connected", levels=("FOLLOWER_OF_CREATOR", "SELF_ONLY"))
    running.tiktok.login.declines = ("video.list",)
    account = running.connect(user).raise_for_status().json()
    assert (account["handle"], account["state"]) == ("connected", "CONNECTED")
    assert "video.publish" in account["scopes"]
    assert "video.list" not in account["scopes"]
    running.tiktok.login.declines = ()
    again = running.connect(user).raise_for_status().json()
    assert again["account_id"] == account["account_id"]
    assert "video.list" in again["scopes"]
    running.tiktok.login.declines = ("video.publish", "video.upload")
    refused = running.connect(running.tiktok.creator("nothing"))
    running.tiktok.login.declines = ()
    assert (refused.status_code, refused.json()["reason"]) == (409, "CONNECTION_REFUSED")
    # A code is good once: after a lost answer the owner goes through the consent page again.
    running.tiktok.fails("token", Fault(lost=True))
    assert running.connect(running.tiktok.creator("unlucky")).status_code == 503
    running.connect(running.tiktok.creator("lucky")).raise_for_status()
    assert running.tiktok.violations() == []


def test_a_video_photos_and_a_draft_go_out_as_they_were_uploaded(running: AtStandIn, user: User) -> None:
    video = schedule(running, user, running.upload())
    photos = schedule(running, user, *[running.upload(each) for each in PHOTOS], **PUBLIC, photo_title="Two")
    draft = schedule(running, user, running.upload(), post_mode="MEDIA_UPLOAD")
    ends = {name: running.wait_over(post) for name, post in (("video", video), ("photos", photos), ("draft", draft))}
    assert {end["state"] for end in ends.values()} == {"PUBLISHED"}, ends
    assert [ends[name]["visibility"] for name in ("video", "photos", "draft")] == ["PUBLIC", "PUBLIC", "INBOX"]
    assert running.effects(video) == running.effects(photos) == 1
    sent, fetched = post_of(running, video), post_of(running, photos)
    assert sent is not None
    assert fetched is not None
    assert sent.digest.hexdigest() == hashlib.sha256(VIDEO.read_bytes()).hexdigest()
    assert fetched.digest.hexdigest() == hashlib.sha256(b"".join(each.read_bytes() for each in PHOTOS)).hexdigest()
    assert ends["video"]["url"].endswith(f"/video/{sent.post_id}")
    assert running.tiktok.violations() == []


def test_a_webhook_is_a_hint_that_is_taken_once_and_never_believed(running: AtStandIn, user: User) -> None:
    running.tiktok.posts.unseen = True
    post = schedule(running, user, running.upload())
    found = running.wait(lambda: post_of(running, post), 20)
    running.wait(lambda: found.is_complete or None, 20)
    content = {"publish_id": found.publish_id, "publish_type": "DIRECT_PUBLISH", "post_id": found.post_id}
    event = "post.publish.publicly_available"
    # What it says is not so: TikTok, when it is asked, says that the post is not public.
    assert webhook(running, event, user, content).status_code == 200
    time.sleep(0.5)
    assert running.delivery(post)["state"] == "CONFIRMING"
    assert webhook(running, event, user, content, secret="guessed").status_code == 401
    assert webhook(running, event, user, content, old=900).status_code == 401
    headers, body = running.tiktok.webhook("an.event.of.tomorrow", user.open_id, {"n": 1})
    answers = [
        httpx.post(f"{running.stack.gateway_url}/v1/webhooks/tiktok", headers=headers, content=body, trust_env=False)
        for _ in range(2)
    ]
    assert answers[0].status_code == 200
    assert answers[1].status_code == 401  # a copy
    running.tiktok.posts.unseen = False
    before = len(running.tiktok.journal.of("status", user.open_id))
    assert webhook(running, event, user, content | {"again": 1}).status_code == 200
    assert running.wait_over(post)["state"] == "PUBLISHED", running.story(post)
    assert len(running.tiktok.journal.of("status", user.open_id)) > before
    assert running.tiktok.violations() == []


def test_however_many_webhooks_come_tiktok_is_not_asked_more_often_than_it_allows(
    running: AtStandIn, user: User
) -> None:
    running.tiktok.posts.unseen = True
    post = schedule(running, user, running.upload())
    found = running.wait(lambda: post_of(running, post), 20)
    running.wait(lambda: found.is_complete or None, 20)
    for number in range(40):
        event = "post.publish.complete"
        assert webhook(running, event, user, {"publish_id": found.publish_id, "n": number}).status_code == 200
        time.sleep(0.02)
    time.sleep(0.5)
    running.tiktok.posts.unseen = False
    assert running.delivery(post)["state"] == "CONFIRMING"
    assert running.tiktok.violations() == []


def test_a_pause_stops_what_is_still_fetched_and_afterwards_it_is_posted_once(running: AtStandIn, user: User) -> None:
    running.tiktok.posts.may_fetch.clear()
    post = schedule(running, user, running.upload(PHOTOS[0]))
    found = running.wait(lambda: post_of(running, post), 20)
    pause = {"scope": "POST", "target": post["post_id"]}
    running.api.post("/v1/holds", json=pause | {"reason": "Wait."}).raise_for_status()
    running.wait(lambda: running.tiktok.journal.of("cancel", user.open_id) or None, 20)
    running.tiktok.posts.may_fetch.set()
    running.wait(lambda: running.delivery(post)["state"] == "HELD" or None, 20, lambda: running.story(post))
    assert found.fail_reason == "publish_cancelled"
    running.api.post("/v1/holds:lift", json=pause | {"due_action": "BY_RULE"}).raise_for_status()
    assert running.wait_over(post)["state"] == "PUBLISHED", running.story(post)
    assert running.effects(post) == 1
    assert running.tiktok.violations() == []


def test_a_publisher_that_is_killed_before_the_answer_posts_nothing_twice(running: AtStandIn, user: User) -> None:
    running.tiktok.fails("content_init", Fault(late=1.5), who=user.open_id)
    post = schedule(running, user, running.upload(PHOTOS[0]))
    running.wait(lambda: post_of(running, post), 20)
    running.kill("publisher")
    delivery = running.wait_over(post)
    assert (delivery["state"], running.effects(post)) == ("PUBLISHED", 1), running.story(post)
    # Its publish_id died with the process; the list of videos has it.
    assert len(running.tiktok.journal.of("content_init", user.open_id)) == 1
    assert running.tiktok.journal.of("video_list", user.open_id)
    assert running.tiktok.violations() == []


def test_a_disconnected_account_is_revoked_and_left_alone(running: AtStandIn, user: User) -> None:
    path = f"/v1/accounts/{running.accounts[user.handle]}"
    running.api.post(f"{path}:disconnect").raise_for_status()
    running.wait(lambda: running.tiktok.journal.of("revoke") or None, 20)
    assert running.get(path)["state"] == "DISCONNECTED"
    assert running.tiktok.journal.of("revoke")[0].body["token"] == running.tiktok.login.grants[user.open_id].access
    assert running.tiktok.violations() == []


def test_that_an_owner_has_left_is_asked_about(running: AtStandIn, user: User) -> None:
    path = f"/v1/accounts/{running.accounts[user.handle]}"
    assert webhook(running, "authorization.removed", user, {"reason": 1}).status_code == 200
    time.sleep(1)
    assert running.get(path)["state"] == "CONNECTED"
    user.left = True
    assert webhook(running, "authorization.removed", user, {"reason": 1, "n": 2}).status_code == 200
    running.wait(lambda: running.get(path)["state"] == "AUTHORIZATION_LOST" or None, 20)
    assert running.tiktok.violations() == []


# ---- TikTok Shop


def shop_webhook(running: AtStandIn, number: int, *, times: int = 1, **fields: Any) -> list[int]:
    """The statuses with which an event is answered that comes so many times."""
    headers, body = running.shop.webhook(number, **fields)
    url = f"{running.stack.gateway_url}/v1/webhooks/tiktok-shop"
    return [httpx.post(url, headers=headers, content=body, trust_env=False).status_code for _ in range(times)]


def test_a_shop_is_connected_and_read_through_rest_and_its_webhooks_are_hints(running: AtStandIn) -> None:
    seller = running.shop.seller(shop_data.Shop("7495540735365777507", products=30, orders=25))
    (connected,) = running.connect_seller(seller)
    path, platform_id = f"/v1/shops/{connected['shop_id']}", connected["platform_shop_id"]
    running.api.post(f"{path}:syncCatalogue", json={"everything": True}).raise_for_status()
    assert len(running.get("/v1/products", page_size="100")["products"]) == 30
    first = running.get(f"{path}/orders")
    assert len(first["orders"] + running.get(f"{path}/orders", page_token=first["next_page_token"])["orders"]) == 25
    days = {"start_date": "2026-11-01", "end_date": "2026-11-08"}
    assert running.get(f"{path}/numbers", **days)["latest_available_date"] == "2026-11-20"
    assert running.get(f"{path}/numbers/videos", **days)["videos"][0]["platform_post_id"] == "7400000000000000001"
    assert len(running.get(f"{path}/numbers/products", **days)["products"]) == 1
    seller.shops[0].titles[3] = "Fries, changed"
    product = {"product_id": 1_729_500_000_000_000_003}
    assert shop_webhook(running, 15, shop_id=platform_id, data=product, secret="guessed") == [401]
    assert running.get("/v1/products", text="changed")["products"] == []
    # TikTok Shop sends again what it thinks was not taken, byte for byte.
    assert shop_webhook(running, 15, shop_id=platform_id, data=product, times=2) == [200, 200]
    running.wait(lambda: running.get("/v1/products", text="changed")["products"] or None, 20)
    assert shop_webhook(running, 4711, shop_id=platform_id, data={}) == [200]
    assert running.shop.violations() == []


def test_that_a_creator_has_left_is_asked_about(running: AtStandIn, creator: Owner) -> None:
    path = f"/v1/accounts/{running.accounts[creator.open_id]}"
    removed: dict[str, Any] = {"creator_open_id": creator.open_id, "data": {"cancel_time": 1}}
    assert shop_webhook(running, 20, times=2, **removed) == [200, 200]
    time.sleep(0.5)
    assert running.get(path)["state"] == "CONNECTED"
    creator.left = True
    assert shop_webhook(running, 20, **removed) == [200]
    running.wait(lambda: running.get(path)["state"] == "AUTHORIZATION_LOST" or None, 20)
    assert running.shop.violations() == []


# ---- TikTok Shop's creators


@pytest.fixture
def creator(running: AtStandIn) -> Owner:
    """A creator of TikTok Shop whose account was just connected."""
    owner = running.shop.creator()
    running.connect_creator(owner).raise_for_status()
    return owner


def posted(running: AtStandIn, owner: Owner) -> list[Call] | None:
    return running.shop.journal.of("video_post", owner.open_id) or None


def shoppable(running: AtStandIn, creator: Owner, *media: str, **more: Any) -> dict[str, Any]:
    link = {"product_id": "1729500000000000001", "product_title": "Crisp fries"}
    options = {"tiktok_shop": link | more}
    return running.schedule(creator.open_id, in_seconds=0.5, media_asset_ids=list(media), options=options)


def test_a_creators_posts_go_out_with_their_product(running: AtStandIn, creator: Owner) -> None:
    running.shop.expire(creator)
    video = shoppable(running, creator, running.upload(), cover_time_ms=500, is_ai_generated=True)
    photos = shoppable(running, creator, *[running.upload(each) for each in PHOTOS])
    for post in (video, photos):
        assert running.wait_over(post)["state"] == "PUBLISHED", running.story(post)
    assert sorted(creator.files.values()) == sorted(
        hashlib.sha256(each.read_bytes()).hexdigest() for each in (VIDEO, *PHOTOS)
    )
    assert len(creator.posts) == 2
    assert running.shop.violations() == []


def test_a_creators_post_without_an_answer_waits_for_a_person_and_a_refused_one_is_over(running: AtStandIn) -> None:
    posts = []
    for fault, state in (
        (Fault(lost=True), "UNCERTAIN"),
        (Fault(envelope(16011007)), "FAILED"),
        (Fault(envelope(170001060)), "SCHEDULED"),
    ):
        owner = running.shop.creator()
        running.connect_creator(owner).raise_for_status()
        running.shop.fails("video_post", fault, who=owner.open_id)
        posts.append((owner, state, shoppable(running, owner, running.upload())))
    for owner, _, _ in posts:
        running.wait(partial(posted, running, owner), 30)
    time.sleep(1)
    for owner, state, post in posts:
        assert running.delivery(post)["state"] == state, running.story(post)
        assert len(running.shop.journal.of("video_post", owner.open_id)) == 1
    assert running.shop.violations() == []


def test_none_of_what_the_platforms_gave_is_in_a_log(running: AtStandIn, user: User, creator: Owner) -> None:
    running.wait_over(schedule(running, user, running.upload()))
    grants = running.tiktok.login.grants.values()
    secrets = {running.tiktok.client_secret, running.shop.app_secret, creator.access, creator.refresh}
    secrets |= {each for grant in grants for each in (grant.access, grant.refresh)}
    secrets |= {post.secret for post in running.tiktok.posts.by_id.values()}
    secrets |= {shop.cipher for owner in running.shop.owners.values() for shop in owner.shops}
    for log in running.stack.log_folder.iterdir():
        text = log.read_text(errors="replace")
        assert not [each for each in secrets if each in text], log.name
    assert running.tiktok.violations() == running.shop.violations() == []
