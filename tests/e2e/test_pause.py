"""What a person stops and decides, on real processes: over REST to the scheduler, the publisher, and people."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from tests.e2e.conftest import Product

PAUSE = {"scope": "CHANNEL", "target": "earth"}


def until(running: Product, post: dict[str, Any], state: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        delivery = running.delivery(post)
        return delivery if delivery["state"] == state else None

    return running.wait(look, 30, lambda: running.story(post))


def test_what_became_due_under_a_pause_waits_for_a_decision_and_goes_out_once(running: Product) -> None:
    placed = running.api.post("/v1/holds", json=PAUSE | {"reason": "A wrong price."}).raise_for_status().json()
    post, other = running.schedule("emberfold.earth", channel="earth"), running.schedule("emberfold.fire")
    held = until(running, post, "HELD")
    assert (held["hold_cause"], held["needs_person"]) == ("PAUSE", False)
    assert "A wrong price." in held["failure_message"]
    assert running.wait_over(other)["state"] == "PUBLISHED"
    (hold,) = [each for each in running.get("/v1/holds")["holds"] if each["hold_id"] == placed["hold_id"]]
    assert hold["held_deliveries"] == 1

    refused = running.api.post("/v1/holds:lift", json=PAUSE)
    assert (refused.status_code, refused.json()["reason"]) == (409, "DUE_ACTION_REQUIRED")
    assert running.delivery(post)["state"] == "HELD"
    running.api.post("/v1/holds:lift", json=PAUSE | {"due_action": "ASK"}).raise_for_status()
    missed = until(running, post, "MISSED")
    assert missed["needs_person"]

    def told() -> dict[str, Any] | None:
        messages: list[dict[str, Any]] = running.get("/v1/messages", post_id=post["post_id"])["messages"]
        return next((each for each in messages if each["sends"][0]["state"] == "SENT"), None)

    assert running.wait(told, 30)["title"].startswith("Decide: a post of @emberfold.earth")
    decision = {"delivery_ids": [missed["delivery_id"]], "decision": "PUBLISH"}
    (result,) = running.api.post("/v1/deliveries:decide", json=decision).raise_for_status().json()["results"]
    assert result["delivery"]["state"] == "SCHEDULED"
    assert running.wait_over(post)["state"] == "PUBLISHED"
    assert running.effects(post) == 1
    (again,) = running.api.post("/v1/deliveries:decide", json=decision).raise_for_status().json()["results"]
    assert again["refusal"]["reason"] == "DELIVERY_NOT_WAITING"
    assert running.api.post("/v1/holds:lift", json=PAUSE).json() == {"held_deliveries": 0}


def test_the_rule_of_a_channel_decides_what_was_too_late(running: Product) -> None:
    rules = {"channel": "late", "lateness": {"max_lateness_seconds": 0, "late_action": "DROP"}}
    set_ = running.api.put("/v1/channel-rules", json=rules).raise_for_status().json()
    assert set_ in running.get("/v1/channel-rules")["rules"]
    pause = PAUSE | {"target": "late"}
    running.api.post("/v1/holds", json=pause).raise_for_status()
    strict = running.schedule("emberfold.earth", channel="late")
    lenient = running.schedule("emberfold.fire", channel="late", lateness={"max_lateness_seconds": 3600})
    for post in (strict, lenient):
        until(running, post, "HELD")
    # A post may ask to go out, and be held, a moment before its time: then it is not late yet.
    last = max(datetime.fromisoformat(post["schedule_time"]) for post in (strict, lenient))
    running.wait(lambda: datetime.now(UTC) > last or None, 10)
    running.api.post("/v1/holds:lift", json=pause | {"due_action": "BY_RULE"}).raise_for_status()
    dropped = running.wait_over(strict)
    assert (dropped["state"], dropped["failure_reason"]) == ("CANCELED", "TOO_LATE")
    assert running.wait_over(lenient)["state"] == "PUBLISHED"
    assert running.effects(strict) == 0


def test_outages_and_incidents_are_answered_by_those_who_keep_them(running: Product) -> None:
    assert "incidents" in running.get("/v1/incidents")
    assert "outages" in running.get("/v1/outages")
    unknown = running.api.get(f"/v1/outages/{uuid.uuid4()}/deliveries")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "OUTAGE_NOT_FOUND")
