"""Planning through its doors, REST and the command line, on the real services."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.local import demo
from tests.e2e.conftest import Product

# Next year: far enough to be left alone, near enough to be planned.
YEAR = datetime.now(UTC).year + 1
TIKTOK = {"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}}


def cli(running: Product, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `reelroute … --json`."""
    environment = {
        **os.environ,
        "REELROUTE_URL": running.stack.gateway_url,
        "REELROUTE_API_KEY_FILE": str(running.stack.api_key_file),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def content(running: Product, channel: str, caption: str) -> dict[str, Any]:
    return {
        "channel": channel,
        "account_ids": [running.accounts[f"emberfold.{channel}"]],
        "caption": f"{caption} #emberfold",
        "media_asset_ids": [running.upload()],
        "options": TIKTOK,
    }


def test_a_queue_fills_the_slots_of_its_plan_each_once(running: Product) -> None:
    assert cli(running, "plan", "example", "--set")[0] == 0
    plan = running.get("/v1/plans/earth")
    assert [(each["weekday"], each["local_time"]) for each in plan["slots"]] == [
        ("TUESDAY", "14:00"),
        ("THURSDAY", "14:00"),
        ("SATURDAY", "14:00"),
    ]
    drafts = [content(running, "earth", f"Queued {number}") for number in range(12)]
    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda draft: running.api.post("/v1/posts:queue", json=draft), drafts))
    posts = [answer.json() for answer in answers if answer.status_code == 201]
    assert len(posts) == 12, [answer.text for answer in answers]
    free = running.get("/v1/plans/earth/slots", only_free="true")["slots"]
    taken = [each for each in running.get("/v1/plans/earth/slots", page_size="200")["slots"] if each["post_id"]]
    assert len({each["schedule_time"] for each in posts}) == 12
    assert {each["post_id"] for each in taken} <= {each["post_id"] for each in posts}
    # Without a gap: nothing is free before the last of them.
    assert not free or free[0]["times"]["time"] > max(each["schedule_time"] for each in posts)
    code, canceled = cli(running, "posts", "cancel", "--channel", "earth", "--state", "scheduled", "--yes")
    # Others have posts of this channel too.
    assert code == 0
    assert {each["post_id"] for each in posts} <= {each["post_id"] for each in canceled["posts"]}


def test_a_rule_of_the_plan_refuses_by_name_and_yields_to_its_author(running: Product) -> None:
    quiet = {"start_time": "22:00", "end_time": "07:00"}
    plan = {"channel": "fire", "time_zone": "America/New_York", "quiet_hours": [quiet], "min_gap_seconds": 7200}
    assert running.api.put("/v1/plans", json=plan).status_code == 200
    night = content(running, "fire", "At night") | {
        "local_time": f"{YEAR}-05-03T23:00",
        "time_zone": "America/New_York",
    }
    refused = running.api.post("/v1/posts", json=night)
    assert (refused.status_code, refused.json()["reason"]) == (409, "QUIET_HOURS")
    (violation,) = refused.json()["field_violations"]
    assert (violation["field"], violation["reason"]) == ("local_time", "QUIET_HOURS")
    assert "07:00" in violation["description"]
    saved = running.api.post("/v1/posts", json=night | {"accept_conflicts": True})
    assert saved.status_code == 201
    assert [each["rule"] for each in saved.json()["conflicts"]] == ["QUIET_HOURS"]
    near = night | {"local_time": f"{YEAR}-05-04T08:00", "caption": "Two hours after midnight"}
    assert running.api.post("/v1/posts", json=near).status_code == 201
    nearer = running.api.post("/v1/posts", json=near | {"local_time": f"{YEAR}-05-04T09:00", "caption": "Too near"})
    assert (nearer.status_code, nearer.json()["reason"]) == (409, "MIN_GAP")
    assert running.api.delete("/v1/plans/fire").status_code == 204


def test_the_same_file_on_another_channel_is_named_and_may_be_refused(running: Product) -> None:
    words = "A lamp that remembers the evening light of the room where you read the first book you loved"
    at = {"local_time": f"{YEAR}-06-01T12:00", "time_zone": "UTC"}
    assert running.api.post("/v1/posts", json=content(running, "air", words) | at).status_code == 201
    # Other words around it, an hour later.
    later = content(running, "water", f"Look: {words.lower()}!") | at | {"local_time": f"{YEAR}-06-01T13:00"}
    warned = running.api.post("/v1/posts", json=later)
    assert warned.status_code == 201
    assert {each["rule"] for each in warned.json()["conflicts"]} == {"DUPLICATE_CAPTION", "DUPLICATE_MEDIA"}
    rule = {"channel": "fire", "other_channel": "air", "action": "REFUSE", "window_seconds": 86_400}
    assert running.api.put("/v1/duplicate-rules", json=rule).json()["channel"] == "air"
    refused = running.api.post("/v1/posts", json=later | content(running, "fire", words))
    assert refused.status_code == 409
    assert {each["field"] for each in refused.json()["field_violations"]} == {"caption", "media_asset_ids[0]"}
    assert running.api.delete("/v1/duplicate-rules/fire/air").status_code == 204


def test_a_post_that_is_not_approved_waits_and_goes_out_when_it_is(running: Product) -> None:
    plan = {"channel": "air", "time_zone": "UTC", "requires_approval": True}
    assert running.api.put("/v1/plans", json=plan).status_code == 200
    post = running.schedule("emberfold.air", channel="air")
    assert post["approval"] == "PENDING"
    tomorrow = running.schedule("emberfold.air", channel="air", in_seconds=86_400)
    foreseen = {
        each["cause"] for each in running.get("/v1/forecast")["failures"] if each["post_id"] == tomorrow["post_id"]
    }
    assert foreseen == {"APPROVAL"}
    held = running.wait(
        lambda: each if (each := running.delivery(post))["state"] == "HELD" else None, 30, lambda: running.story(post)
    )
    assert held["hold_cause"] == "APPROVAL"
    code, _ = cli(running, "posts", "approve", "--channel", "air", "--yes")
    assert code == 0
    assert running.wait_over(post)["state"] == "PUBLISHED"
    assert running.api.post(f"/v1/posts/{tomorrow['post_id']}:cancel").status_code == 200
    assert running.api.delete("/v1/plans/air").status_code == 204


def test_a_series_is_shown_changed_and_ended(running: Product) -> None:
    start = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT14:00")
    body = {
        "name": "Daily tip",
        "recurrence": {"cron": "0 14 * * *", "start_time": start, "time_zone": "America/New_York"},
        "post": content(running, "water", "A tip"),
    }
    series = running.api.post("/v1/series", json=body).json()
    first, second, third, *_ = series["occurrences"]
    assert {each["state"] for each in series["occurrences"]} == {"POSTED"}
    listed = running.get("/v1/posts", series_id=series["series_id"], view="SUMMARY", page_size="1000")["posts"]
    assert [each["post_id"] for each in listed] == [each["post_id"] for each in series["occurrences"]]
    assert cli(running, "series", "skip", series["series_id"], first["occurrence_time"])[1]["state"] == "SKIPPED"
    moved = cli(running, "series", "move", series["series_id"], second["occurrence_time"], f"{start[:10]}T18:00")[1]
    assert moved["times"]["local_time"] == f"{start[:10]}T18:00:00"
    code, later = cli(
        running, "series", "update", series["series_id"], "--from", third["occurrence_time"], "--cron", "0 9 * * *"
    )
    assert (code, later["previous_series_id"]) == (0, series["series_id"])
    assert later["occurrences"][0]["occurrence_time"] == third["occurrence_time"][:11] + "09:00:00"
    for each in (series, later):
        assert cli(running, "series", "end", each["series_id"], "--yes")[1]["state"] == "ENDED"


def test_many_posts_change_at_once_each_checked_as_alone(running: Product) -> None:
    january = ("--from", f"{YEAR}-01-01T00:00:00Z", "--until", f"{YEAR}-02-01T00:00:00Z", "--ref", "month")
    captions = [f"Number {number} of a month" for number in range(20)]
    posts = [
        content(running, "water", caption)
        | {"local_time": f"{YEAR}-01-{day:02}T10:00", "time_zone": "Europe/Berlin", "ref": "month"}
        for day, caption in enumerate(captions, start=1)
    ]
    made = running.api.post("/v1/posts:batchCreate", json={"posts": posts}).json()["results"]
    assert all(each["post"] for each in made)

    code, looked = cli(running, "posts", "shift", "--by", "1d1h", *january, "--dry-run")
    assert (code, looked["summary"]["changed"]) == (0, 20)
    code, shifted = cli(running, "posts", "shift", "--by", "1d1h", *january, "--yes")
    assert (code, shifted["summary"]["changed"], shifted["summary"]["refused"]) == (0, 20, 0)
    first = running.get(f"/v1/posts/{made[0]['post']['post_id']}")
    assert first["local_time"] == f"{YEAR}-01-02T11:00:00"

    code, refused = cli(running, "posts", "edit", *january, "--set-caption", "x" * 2_300, "--yes")
    assert (code, refused["summary"]["refused"]) == (1, 20)
    assert {each["refusal"]["reason"] for each in refused["posts"]} == {"CAPTION_TOO_LONG"}
    code, edited = cli(running, "posts", "edit", *january, "--set-zone", "UTC", "--set-privacy", "SELF_ONLY", "--yes")
    assert (code, edited["summary"]["changed"]) == (0, 20)
    first = running.get(f"/v1/posts/{made[0]['post']['post_id']}")
    assert (first["schedule_time"], first["options"]["tiktok"]["privacy_level"]) == (
        f"{YEAR}-01-02T11:00:00Z",
        "SELF_ONLY",
    )
    code, canceled = cli(running, "posts", "cancel", *january, "--yes")
    assert (code, canceled["summary"]["changed"]) == (0, 20)


def test_the_command_line_makes_a_post_as_the_shipped_plans_say(running: Product) -> None:
    assert cli(running, "plan", "example", "--set")[0] == 0
    author = ("--account", "@emberfold.water", "--media", str(demo.VIDEO), "--privacy", "SELF_ONLY")
    code, post = cli(running, "posts", "queue", "--channel", "water", "--caption", "A river", *author)
    assert (code, post["time_zone"]) == (0, "America/New_York")
    assert post["local_time"][11:] in {"10:00:00", "17:00:00", "21:00:00"}
    assert cli(running, "posts", "cancel", post["post_id"], "--yes")[0] == 0
    for plan in running.get("/v1/plans")["plans"]:
        assert cli(running, "plan", "delete", plan["channel"], "--yes")[0] == 0
    assert running.get("/v1/plans")["plans"] == []
