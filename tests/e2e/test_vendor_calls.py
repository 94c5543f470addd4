"""What was asked of the platform for a post, looked up afterwards, and asked once more of the sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from tests.e2e.conftest import Product

OPERATIONS = {"creator_info", "video_init", "upload_chunk", "status_fetch"}


def calls_of(running: Product, post: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The calls of a post, the oldest first, once all that it takes are there."""
    answer = running.api.get("/v1/vendor-calls", params={"post_id": post["post_id"]})
    if not answer.is_success:
        return None  # the publisher is just being restarted
    calls: list[dict[str, Any]] = answer.json()["vendor_calls"][::-1]
    return calls if {each["operation"] for each in calls} >= OPERATIONS else None


def reelroute(running: Product, *arguments: str) -> dict[str, Any]:
    environment = {
        **os.environ,
        "REELROUTE_URL": running.stack.gateway_url,
        "REELROUTE_API_KEY_FILE": str(running.stack.api_key_file),
        "REELROUTE_SANDBOX_URL": running.stack.sandbox_url,
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments, "--json"], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_calls_of_a_post_are_found_and_one_is_made_again_in_the_sandbox(running: Product) -> None:
    post = running.schedule("emberfold.earth", in_seconds=5)
    delivery = running.wait_over(post)
    calls = running.wait(lambda: calls_of(running, post), 10)
    assert [each["operation"] for each in calls][:3] == ["creator_info", "video_init", "upload_chunk"]
    about = {"delivery_id": delivery["delivery_id"], "account_id": running.accounts["emberfold.earth"], "outcome": "OK"}
    for call in calls:
        assert {name: call[name] for name in about} == about
    init = calls[1]
    whole = running.get(f"/v1/vendor-calls/{init['vendor_call_id']}")
    assert whole["request"]["json"]["post_info"]["title"] == post["caption"]
    assert whole["answer"]["json"]["data"]["upload_url"] == "[redacted]"
    before = len(running.calls("video_init"))
    replayed = reelroute(running, "replay", init["vendor_call_id"])
    assert (replayed["replayed"]["status"], replayed["recorded"]) == (200, whole)
    assert {each["field"] for each in replayed["differences"]} == {"data.publish_id", "error.log_id"}
    assert len(running.calls("video_init")) == before + 1
    assert running.effects(post) == 1


def test_what_a_publisher_asked_last_is_stored_before_it_ends(running: Product) -> None:
    post = running.schedule("emberfold.earth", in_seconds=5)
    running.wait_over(post)
    running.send("publisher", signal.SIGTERM)
    calls = running.wait(lambda: calls_of(running, post), 40)
    assert calls[-1]["operation"] == "status_fetch"
