"""The main job on real processes: scheduled over REST, claimed at its time, published, confirmed, logged, told."""

from __future__ import annotations

import hashlib
from datetime import datetime

from deploy.local import demo
from tests.e2e.conftest import Product


def test_a_real_video_is_published_at_its_time_and_its_owner_is_told(running: Product) -> None:
    post = running.schedule("emberfold.air")
    delivery = running.wait_over(post)

    assert delivery["state"] == "PUBLISHED", running.story(post)
    assert delivery["visibility"] == "PUBLIC"
    (published,) = [
        row for row in running.sandbox.get("/control/tiktok/posts").json() if row["caption"] == post["caption"]
    ]
    assert published["sha256"] == hashlib.sha256(demo.VIDEO.read_bytes()).hexdigest()
    assert delivery["platform_post_id"] == str(published["post_id"])
    assert delivery["url"].endswith(f"/video/{published['post_id']}")

    sent = next(call for call in running.calls("upload"))
    due = datetime.fromisoformat(post["schedule_time"])
    lateness = sent["time"] - due.timestamp()
    assert lateness >= 0, "nothing goes out before its time"

    def happened() -> list[str] | None:
        kinds = [activity["type"] for activity in running.activities(post)]
        return kinds if kinds[-1:] == ["delivery.published"] else None

    # What happened is told right after it is known.
    assert running.wait(happened, 20) == ["post.created", "delivery.confirming", "delivery.published"]

    def told() -> list[dict[str, object]] | None:
        messages = running.get("/v1/messages", post_id=post["post_id"])["messages"]
        return messages if messages and messages[0]["sends"][0]["state"] == "SENT" else None

    (message,) = running.wait(told, 20)
    assert message["severity"] == "INFO"

    publication = running.publication(post)
    assert publication["step"] == "PUBLISHED"
    assert publication["attempts"][0]["outcome"] == "accepted"
    assert any("handle" in entry["message"] for entry in publication["attempts"][0]["entries"])


def test_a_post_that_the_platform_rejects_says_why(running: Product) -> None:
    running.sandbox.post(
        "/control/tiktok/verdicts", json={"fail_reason": "spam_risk_text", "creator": "emberfold.fire"}
    ).raise_for_status()
    post = running.schedule("emberfold.fire")
    delivery = running.wait_over(post)
    assert (delivery["state"], delivery["failure_reason"]) == ("REJECTED", "TIKTOK_SPAM_RISK_TEXT")
    assert delivery["failure_message"]


def test_a_canceled_post_is_never_published(running: Product) -> None:
    post = running.schedule("emberfold.earth", in_seconds=5)
    canceled = running.api.post(f"/v1/posts/{post['post_id']}:cancel").raise_for_status().json()
    assert canceled["deliveries"][0]["state"] == "CANCELED"
    later = running.schedule("emberfold.earth", in_seconds=5)
    running.wait_over(later)
    assert (running.effects(post), running.effects(later)) == (0, 1)
