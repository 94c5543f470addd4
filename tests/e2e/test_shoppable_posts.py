"""Posts with product links on real processes: a TikTok Shop creator is connected, a video goes out with its product."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Product

CREATOR = "dice.goblin"
PRODUCT = "1729558652170587422"
LINKED = {"tiktok_shop": {"product_id": PRODUCT, "product_title": "Amber dice", "cover_time_ms": 1500}}
REDIRECT_URI = "http://127.0.0.1:8765/callback"


def connect(running: Product) -> dict[str, Any]:
    """The creator's account, with the creator's consent."""
    start = running.api.post("/v1/connections", json={"platform": "TIKTOK_SHOP", "redirect_uri": REDIRECT_URI}).json()
    order = {"authorize_url": start["consent_url"], "subject": CREATOR}
    back = running.sandbox.post("/control/tiktok_shop/consents", json=order).raise_for_status().json()
    code = httpx.URL(back["redirect_url"]).params["code"]
    answer = running.api.post("/v1/connections:finish", json={"state": start["state"], "code": code})
    account: dict[str, Any] = answer.raise_for_status().json()
    running.accounts[CREATOR] = account["account_id"]
    return account


@pytest.fixture
def creator(running: Product) -> dict[str, Any]:
    running.sandbox.patch("/control/tiktok_shop/settings", json={"post_seconds": 0.5}).raise_for_status()
    return connect(running)


def posted(running: Product, post: dict[str, Any]) -> list[dict[str, Any]]:
    """What TikTok Shop has of a post."""
    rows = running.sandbox.get("/control/tiktok_shop/posts", params={"creator": CREATOR}).raise_for_status().json()
    return [row for row in rows if row["title"] == post["caption"]]


def test_a_video_goes_out_with_its_product_and_the_creator_is_listed_with_scopes_and_end(
    running: Product, creator: dict[str, Any]
) -> None:
    assert (creator["platform"], creator["state"]) == ("TIKTOK_SHOP", "CONNECTED")
    assert "creator.video.write" in creator["scopes"]
    assert creator["authorization_expire_time"]
    post = running.schedule(CREATOR, options=LINKED)
    delivery = running.wait_over(post)
    assert (delivery["state"], delivery["visibility"]) == ("PUBLISHED", "PUBLIC"), running.story(post)
    (row,) = posted(running, post)
    assert (row["id"], row["status"]) == (delivery["platform_post_id"], "SUCCESS")
    assert (row["products"], row["details"]["link_title"]) == ([PRODUCT], "Amber dice")
    assert row["details"]["cover_timestamp_ms"] == 1500


def test_a_lost_answer_is_not_repeated_and_a_person_settles_it(running: Product, creator: dict[str, Any]) -> None:
    running.fault(endpoint="tiktok_shop.creator_video_post", mode="lost_reply")
    post = running.schedule(CREATOR, options=LINKED)

    def in_doubt() -> dict[str, Any] | None:
        delivery = running.delivery(post)
        return delivery if delivery["state"] == "UNCERTAIN" and delivery["needs_person"] else None

    delivery = running.wait(in_doubt, 30, lambda: running.story(post))
    time.sleep(3)  # longer than any question or next attempt would wait
    assert running.delivery(post)["state"] == "UNCERTAIN"
    assert len(posted(running, post)) == 1
    running.api.post(
        f"/v1/deliveries/{delivery['delivery_id']}/publication:settle", json={"is_published": True}
    ).raise_for_status()
    assert running.wait_over(post)["state"] == "PUBLISHED"
    assert len(posted(running, post)) == 1


def test_a_product_link_on_a_tiktok_account_is_refused_at_save(running: Product) -> None:
    body = {
        "account_ids": [running.accounts["emberfold.air"]],
        "caption": "Dice",
        "media_asset_ids": [running.upload()],
        "local_time": "2037-01-04T18:00:00",
        "time_zone": "UTC",
        "options": {"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}, **LINKED},
    }
    refused = running.api.post("/v1/posts", json=body)
    assert (refused.status_code, refused.json()["reason"]) == (422, "PRODUCT_LINK_NOT_POSSIBLE")
    assert "TikTok Shop creator account" in refused.json()["detail"]


def test_a_creator_who_removes_the_app_is_found_out_by_the_webhook(running: Product, creator: dict[str, Any]) -> None:
    running.sandbox.post(f"/control/tiktok_shop/creators/{CREATOR}/deauthorize").raise_for_status()

    def lost() -> dict[str, Any] | None:
        account: dict[str, Any] = running.get(f"/v1/accounts/{creator['account_id']}")
        return account if account["state"] == "AUTHORIZATION_LOST" else None

    assert "Connect the account again" in running.wait(lost, 20)["problem"]
    assert connect(running)["account_id"] == creator["account_id"]
