"""The demo of `make run`: four channels' accounts on the sandbox, and the life of one real post, told as it happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from deploy.local.processes import LocalError
from deploy.local.settings import ROOT
from deploy.local.stack import Stack

CHANNELS = ("air", "water", "fire", "earth")
VIDEO = ROOT / "demo" / "media" / "vertical_demo_6s.mp4"
_REDIRECT_URI = "http://127.0.0.1:8765/callback"
_PATIENCE_SECONDS = 90.0
# Activities with which a delivery is over, or waits for something that the demo does not wait for.
_ENDS = {
    f"delivery.{event}"
    for event in ("published", "rejected", "failed", "dropped", "held", "missed", "parked", "uncertain")
}
_POLL_SECONDS = 0.1


class DemoFailed(LocalError):
    """The demo did not get through; the text says at what."""


def run(stack: Stack, say: Callable[[str], None]) -> None:
    """Connects the four accounts where they are missing, publishes one video, pauses another, says what happens.

    Raises DemoFailed.
    """
    headers = {"Authorization": f"Bearer {stack.api_key_file.read_text().strip()}"}
    with (
        httpx.Client(base_url=stack.gateway_url, headers=headers, timeout=30, trust_env=False) as api,
        httpx.Client(base_url=stack.sandbox_url, timeout=10, trust_env=False) as sandbox,
    ):
        accounts = connect_accounts(api, sandbox, say)
        media = _upload(api, VIDEO)
        say(f"uploaded {media['file_name']}: {media['width']}x{media['height']}, {media['size_bytes']:,} bytes")
        _publish(api, accounts["emberfold.air"], media["media_asset_id"], say)
        _pause(api, accounts["emberfold.water"], media["media_asset_id"], say)


def _publish(api: httpx.Client, account_id: str, media_asset_id: str, say: Callable[[str], None]) -> None:
    post = _schedule(api, "air", account_id, media_asset_id)
    say(f"scheduled for {post['local_time']} {post['time_zone']}, two seconds ahead; its life:")
    _tell(_life(api, post["post_id"], {"delivery.published"}), say)
    delivery = _answer(api.get(f"/v1/posts/{post['post_id']}"))["deliveries"][0]
    publication = _answer(api.get(f"/v1/deliveries/{delivery['delivery_id']}/publication"))
    say("what was written down before each step, so that a crash doubles nothing:")
    for entry in publication["attempts"][0]["entries"]:
        say(f"  {_clock(entry['entry_time'])}  {entry['step']:<26} {entry['message']}")


def _pause(api: httpx.Client, account_id: str, media_asset_id: str, say: Callable[[str], None]) -> None:
    post = _schedule(api, "water", account_id, media_asset_id)
    pause = {"scope": "POST", "target": post["post_id"]}
    _answer(api.post("/v1/holds", json=pause | {"reason": "The demo shows what a pause does."}))
    say("paused another post before its time, and went on when it was over; its life:")
    told: set[str] = set()
    _tell(_life(api, post["post_id"], {"delivery.held"}, told), say)
    _answer(api.post("/v1/holds:lift", json=pause | {"due_action": "BY_RULE"}))
    _tell(_life(api, post["post_id"], {"delivery.published"}, told), say)


def connect_accounts(api: httpx.Client, sandbox: httpx.Client, say: Callable[[str], None]) -> dict[str, str]:
    """Account ids by handle. A missing one is connected as its owner would: by the platform's consent."""
    found = {item["handle"]: item["account_id"] for item in _answer(api.get("/v1/accounts"))["accounts"]}
    for channel in CHANNELS:
        handle = f"emberfold.{channel}"
        if handle in found:
            continue
        start = _answer(api.post("/v1/connections", json={"platform": "TIKTOK", "redirect_uri": _REDIRECT_URI}))
        consent = _answer(
            sandbox.post("/control/tiktok/consents", json={"authorize_url": start["consent_url"], "creator": handle})
        )
        code = httpx.URL(consent["redirect_url"]).params["code"]
        finish = _answer(api.post("/v1/connections:finish", json={"state": start["state"], "code": code}))
        found[handle] = finish["account_id"]
        say(f"connected @{handle}")
    return found


def _upload(api: httpx.Client, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return _answer(api.post("/v1/media", files={"file": (path.name, file, "video/mp4")}))


def _schedule(api: httpx.Client, channel: str, account_id: str, media_asset_id: str) -> dict[str, Any]:
    due = (datetime.now(UTC) + timedelta(seconds=2.5)).replace(microsecond=0)
    return _answer(
        api.post(
            "/v1/posts",
            json={
                "channel": channel,
                "account_ids": [account_id],
                "caption": f"First light on the new shelf. {due:%Y-%m-%d %H:%M:%S} #emberfold",
                "media_asset_ids": [media_asset_id],
                "local_time": f"{due:%Y-%m-%dT%H:%M:%S}",
                "time_zone": "UTC",
                "options": {"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE", "allow_comment": True}},
            },
        )
    )


def _life(api: httpx.Client, post_id: str, wanted: Set[str], told: set[str] | None = None) -> Iterator[dict[str, Any]]:
    """The activities of a post as they come, without those in `told`, until one of the kinds that are wanted.

    Raises DemoFailed when the post ends otherwise, or does not get there.
    """
    seen = set() if told is None else told
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        query = {"post_id": post_id, "order": "oldest_first", "page_size": "200"}
        for activity in _answer(api.get("/v1/activities", params=query))["activities"]:
            if activity["activity_id"] not in seen:
                seen.add(activity["activity_id"])
                yield activity
                if activity["type"] in wanted:
                    return
                if activity["type"] in _ENDS:
                    raise DemoFailed(f"The demo post did not go out: {activity['summary']}")
        time.sleep(_POLL_SECONDS)
    raise DemoFailed(f"The demo post was not over after {_PATIENCE_SECONDS:.0f} s. The logs have the cause.")


def _tell(activities: Iterator[dict[str, Any]], say: Callable[[str], None]) -> None:
    for activity in activities:
        say(f"  {_clock(activity['activity_time'])}  {activity['type']:<26} {activity['summary']}")


def _clock(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone():%H:%M:%S.%f}"[:-3]


def _answer(response: httpx.Response) -> dict[str, Any]:
    if response.is_error:
        raise DemoFailed(f"{response.request.method} {response.request.url.path}: {response.text}")
    answer: dict[str, Any] = response.json()
    return answer
