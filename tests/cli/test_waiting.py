"""Pausing, deciding, and looking at what stopped posts."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
import typer

from cli import options
from tests.cli.conftest import Run
from tests.cli.gateway import Memory

CREATE = ("posts", "create", "--zone", "Europe/Berlin", "--caption", "Hi", "--account", "@emberfold.air")


@pytest.fixture
def waiting(run: Run, memory: Memory, tmp_path: Path) -> list[dict[str, Any]]:
    """Deliveries of four posts: one missed, one set aside, one only paused, one that nobody can tell."""
    video = tmp_path / "one.mp4"
    video.write_bytes(b"first video")
    for _ in range(4):
        made = run(*CREATE, "--at", "2037-01-04T18:00", "--privacy", "SELF_ONLY", "--media", str(video))
        assert made.exit_code == 0
    deliveries = [post["deliveries"][0] for post in memory.posts]
    deliveries[0].update(state="MISSED", needs_person=True, failure_message="It is 7 h late.")
    deliveries[1].update(state="HELD", needs_person=True, hold_cause="CRASHES")
    deliveries[2].update(state="HELD", hold_cause="PAUSE")
    deliveries[3].update(state="UNCERTAIN", needs_person=True)
    return deliveries


def test_a_channel_is_paused_and_goes_on(run: Run, memory: Memory) -> None:
    paused = run("pause", "channel", "air", "--reason", "Recalled.")
    assert "Paused: channel air." in paused.out
    assert "reelroute resume channel air" in paused.err
    assert "Recalled." in run("holds").out
    assert "0 deliveries" in run("resume", "channel", "air").out
    assert run("holds", "--json").document == {"holds": []}


def test_an_account_is_paused_by_its_handle_and_everything_without_a_name(run: Run, memory: Memory) -> None:
    assert run("pause", "account", "@emberfold.air").exit_code == 0
    assert run("pause", "everything").exit_code == 0
    assert [(each["scope"], each["target"]) for each in memory.holds] == [
        ("ACCOUNT", memory.accounts[0]["account_id"]),
        ("EVERYTHING", ""),
    ]
    assert "@emberfold.air" in run("holds").out
    assert run("pause", "account", "@nobody").exit_code != 0
    assert run("pause", "workspace", "air").exit_code != 0
    assert run("pause", "post").exit_code != 0
    assert len(memory.holds) == 2


def test_resume_says_what_can_become_of_what_was_kept_back_where_nobody_can_be_asked(run: Run, memory: Memory) -> None:
    run("pause", "channel", "air")
    memory.holds[0]["held_deliveries"] = 3
    refused = run("resume", "channel", "air")
    assert refused.exit_code != 0
    assert "--due: by-rule, publish, next-slot, ask, drop" in refused.err
    assert len(memory.holds) == 1
    assert "3 deliveries" in run("resume", "channel", "air", "--due", "next-slot").out
    assert memory.sent("/v1/holds:lift")[-1].body["due_action"] == "NEXT_SLOT"


def test_resume_asks_what_becomes_of_what_was_kept_back(
    run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("pause", "channel", "air")
    memory.holds[0]["held_deliveries"] = 3
    monkeypatch.setattr(options, "may_ask", lambda **_: True)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: 4)
    asked = run("resume", "channel", "air")
    assert asked.exit_code == 0
    assert "all wait for a decision" in asked.err
    assert memory.sent("/v1/holds:lift")[-1].body["due_action"] == "ASK"


def test_what_waits_for_a_person_is_listed_and_what_waits_for_a_pause_is_not(
    run: Run, waiting: list[dict[str, Any]]
) -> None:
    told = run("posts", "waiting")
    assert "It is 7 h late." in told.out
    assert "3 deliveries." in told.err
    assert "posts decide" in told.err
    assert "posts settle" in told.err
    listed = run("posts", "waiting", "--json").document
    assert [each["delivery_id"] for each in listed["deliveries"]] == [waiting[at]["delivery_id"] for at in (0, 1, 3)]
    assert run("posts", "waiting", "--limit", "2", "--json").document["more"]


def test_deliveries_are_decided_by_id_and_one_that_does_not_wait_is_named(
    run: Run, memory: Memory, waiting: list[dict[str, Any]]
) -> None:
    ids = [waiting[0]["delivery_id"], waiting[2]["delivery_id"]]
    outcome = run("posts", "decide", "next-slot", *ids)
    assert outcome.exit_code == 1
    assert "Decided: 1 delivery." in outcome.out
    assert ids[1] in outcome.err
    assert "DELIVERY_NOT_WAITING" in outcome.err
    assert memory.sent("/v1/deliveries:decide")[0].body == {"delivery_ids": ids, "decision": "NEXT_SLOT"}


def test_all_that_waits_is_decided_after_a_question_and_what_is_uncertain_is_not(
    run: Run, waiting: list[dict[str, Any]]
) -> None:
    assert run("posts", "decide", "drop", "--all").exit_code == 3  # nobody to ask
    assert run("posts", "decide", "drop").exit_code != 0
    assert run("posts", "decide", "publish", "--all", "--yes").exit_code == 0
    assert [each["state"] for each in waiting] == ["SCHEDULED", "SCHEDULED", "HELD", "UNCERTAIN"]
    assert run("posts", "decide", "publish", "--all").exit_code == 0  # nothing is left to ask about


def test_what_nobody_can_tell_is_settled_and_published_again_only_after_a_question(
    run: Run, memory: Memory, waiting: list[dict[str, Any]]
) -> None:
    delivery_id = waiting[3]["delivery_id"]
    path = f"/v1/deliveries/{delivery_id}/publication:settle"
    memory.publications[delivery_id] = {"delivery_id": delivery_id, "step": "PUBLISHED"}
    assert run("posts", "settle", delivery_id).exit_code != 0
    assert run("posts", "settle", delivery_id, "--absent").exit_code == 3  # nobody to ask
    assert memory.sent(path) == []
    assert run("posts", "settle", delivery_id, "--published", "--url", "https://a.example/1").exit_code == 0
    assert memory.sent(path)[0].body == {"is_published": True, "url": "https://a.example/1"}
    assert "PUBLICATION_NOT_UNCERTAIN" in run("posts", "settle", str(uuid.uuid4()), "--absent", "--yes").err


def test_rules_of_a_channel_are_set_and_listed(run: Run, memory: Memory) -> None:
    assert run("channels", "set-rules", "air", "--max-lateness", "90m", "--late", "next-slot").exit_code == 0
    assert run("channels", "set-rules", "--max-attempts", "3", "--max-age", "2d").exit_code == 0
    assert memory.rules == {
        "air": {
            "channel": "air",
            "lateness": {"max_lateness_seconds": 5400, "late_action": "NEXT_SLOT"},
            "max_attempts": 0,
            "max_age_seconds": None,
        },
        "": {"channel": "", "lateness": None, "max_attempts": 3, "max_age_seconds": 172_800},
    }
    told = run("channels", "rules").out
    for text in ("90 min", "NEXT_SLOT", "(all others)", "6 h", "2 d"):
        assert text in told
    assert run("channels", "set-rules", "air", "--max-lateness", "soon").exit_code == 2


def test_a_post_carries_its_own_lateness(run: Run, memory: Memory, tmp_path: Path) -> None:
    video = tmp_path / "one.mp4"
    video.write_bytes(b"first video")
    made = run(
        *CREATE,
        *("--at", "2037-01-04T18:00", "--privacy", "SELF_ONLY", "--media", str(video)),
        *("--max-lateness", "0s", "--late", "drop"),
    )
    assert "at most 0 s, then DROP" in made.out
    assert memory.posts[0]["lateness"] == {"max_lateness_seconds": 0, "late_action": "DROP"}


def test_outages_and_incidents_are_told(run: Run, memory: Memory, waiting: list[dict[str, Any]]) -> None:
    outage_id = str(uuid.uuid4())
    memory.outages[outage_id] = waiting
    memory.incidents.append(
        {
            "start_time": "2037-01-04T17:00:00Z",
            "end_time": None,
            "platform": "TIKTOK",
            "probes": 4,
            "cause": "HTTP status 503.",
            "next_probe_time": None,
        }
    )
    assert outage_id in run("outages").out
    assert "It is 7 h late." in run("outages", outage_id).out
    assert len(run("outages", outage_id, "--json").document["deliveries"]) == 4
    assert run("outages", "air").exit_code != 0
    assert "HTTP status 503." in run("incidents").out
