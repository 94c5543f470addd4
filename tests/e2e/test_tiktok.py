"""What TikTok fetches from the gateway, drafts, and webhooks: through REST and the command line, to the platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Product

MEDIA = Path(__file__).parents[1] / "media"
PHOTOS = [MEDIA / "draw_boxes_1080x1350.jpg", MEDIA / "hubble_1080x1350.webp"]


def reelroute(running: Product, *arguments: str) -> Any:
    """The document of `reelroute … --json`."""
    environment = {
        **os.environ,
        "REELROUTE_URL": running.stack.gateway_url,
        "REELROUTE_API_KEY_FILE": str(running.stack.api_key_file),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments, "--json"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def soon() -> str:
    return f"{datetime.now(UTC) + timedelta(seconds=3):%Y-%m-%dT%H:%M:%S}"


def share(running: Product, caption: str) -> dict[str, Any]:
    posts: list[dict[str, Any]] = running.sandbox.get("/control/tiktok/posts").raise_for_status().json()
    return next(each for each in posts if each["caption"] == caption)


def test_photos_go_out_by_their_addresses_at_the_gateway(running: Product) -> None:
    post = running.schedule(
        "emberfold.air",
        media_asset_ids=[running.upload(each) for each in PHOTOS],
        options={
            "tiktok": {
                "privacy_level": "PUBLIC_TO_EVERYONE", "photo_cover_index": 1, "auto_add_music": True,
                "music_usage_confirm_time": "2026-12-01T12:00:00Z",
            }
        },
    )  # fmt: skip
    delivery = running.wait_over(post)
    assert (delivery["state"], delivery["visibility"]) == ("PUBLISHED", "PUBLIC"), running.story(post)
    assert "/photo/" in delivery["url"]
    assert running.effects(post) == 1
    urls = share(running, post["caption"])["urls"]
    # Each address opened its file and nothing else, for whoever has it, and says nothing of our keys.
    assert [httpx.get(each, trust_env=False).content for each in urls] == [each.read_bytes() for each in PHOTOS]
    assert httpx.get(urls[0].partition("?")[0], trust_env=False).status_code == 404
    assert post["options"]["tiktok"]["music_usage_confirm_time"] == "2026-12-01T12:00:00Z"


def test_a_photo_that_tiktok_does_not_take_is_refused_at_save(running: Product) -> None:
    body = {
        "account_ids": [running.accounts["emberfold.air"]],
        "media_asset_ids": [running.upload(MEDIA / "alpha.png")],
        "local_time": soon(),
        "time_zone": "UTC",
        "options": {"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}},
    }
    answer = running.api.post("/v1/posts", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (422, "PHOTO_FORMAT"), answer.text


def test_a_draft_goes_into_the_owners_inbox_from_the_command_line(running: Product) -> None:
    caption = f"A draft of {time.time()}"
    post = reelroute(
        running, "posts", "create", "--account", "@emberfold.water", "--media", str(PHOTOS[0]), "--at", soon(),
        "--zone", "UTC", "--caption", caption, "--draft", "--photo-title", "Look",
    )  # fmt: skip
    delivery = running.wait_over(post)
    assert (delivery["state"], delivery["visibility"]) == ("PUBLISHED", "INBOX"), running.story(post)
    assert share(running, "Look")["draft"]


@pytest.mark.parametrize("fault", ["", "drop"], ids=["a webhook", "a lost webhook"])
def test_a_webhook_shortens_the_delay_and_a_lost_one_only_delays(running: Product, fault: str) -> None:
    if fault:
        running.fault(endpoint="tiktok.webhook", mode=fault, count=100)
    post = running.schedule("emberfold.fire")
    delivery = running.wait_over(post)
    assert (delivery["state"], running.effects(post)) == ("PUBLISHED", 1), running.story(post)
    handle, outcome = running.publication(post)["handle"], "dropped" if fault else "delivered"

    def told() -> bool | None:
        events = running.sandbox.get("/control/tiktok/webhooks").raise_for_status().json()
        mine = {each["outcome"] for each in events if handle in each["body"]}
        return True if mine == {outcome} else None

    running.wait(told, 10)
