"""Many posts shifted, edited and canceled by a filter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from cli import options
from tests.cli.conftest import Run
from tests.cli.gateway import Memory, problem

JANUARY = ("--from", "2037-01-01T00:00:00Z", "--until", "2037-02-01T00:00:00Z")


@pytest.fixture
def posts(run: Run, memory: Memory, tmp_path: Path) -> list[dict[str, Any]]:
    """Three posts; the last has gone out."""
    video = tmp_path / "one.mp4"
    video.write_bytes(b"first video")
    create = ("posts", "create", "--zone", "UTC", "--caption", "Hi", "--account", "@emberfold.air")
    for hour in (8, 9, 10):
        timed = ("--at", f"2037-01-04T{hour:02}:00", "--ref", f"r{hour}")
        assert run(*create, *timed, "--privacy", "SELF_ONLY", "--media", str(video)).exit_code == 0
    memory.posts[-1]["deliveries"][0]["state"] = "PUBLISHED"
    return memory.posts


def sent(memory: Memory) -> list[Any]:
    return [each.body for each in memory.sent("/v1/posts:batchChange")]


def test_a_dry_run_shows_what_would_change_and_what_is_refused(
    run: Run, memory: Memory, posts: list[dict[str, Any]]
) -> None:
    outcome = run("posts", "shift", "--by", "-1d2h30m", *JANUARY, "--account", "@emberfold.air", "--dry-run")
    assert outcome.exit_code == 1
    assert "local_time: Monday → Tuesday" in outcome.out
    assert "POST_NOT_EDITABLE" in outcome.out
    assert "2 posts would be changed, 0 as wanted already, 1 refused." in outcome.out
    (body,) = sent(memory)
    assert body["shift"] == {"days": -1, "time_seconds": -9000}
    assert body["filter"] == {
        "from_time": "2037-01-01T00:00:00Z",
        "until_time": "2037-02-01T00:00:00Z",
        "account_id": memory.accounts[0]["account_id"],
    }
    assert body["validate_only"]


def test_a_change_is_looked_at_and_asked_for_before_it_is_made(
    run: Run, memory: Memory, posts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("posts", "shift", "--by", "7d", *JANUARY).exit_code == 3  # nobody to ask
    assert [each["validate_only"] for each in sent(memory)] == [True]
    monkeypatch.setattr(options, "may_ask", lambda **_: True)
    questions: list[str] = []

    def no(question: str, **_: object) -> bool:
        questions.append(question)
        return False

    monkeypatch.setattr(typer, "confirm", no)
    assert run("posts", "cancel", *JANUARY).exit_code == 3
    assert questions == ["Cancel 2 posts; 1 refused?"]
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: True)
    outcome = run("posts", "cancel", *JANUARY)
    assert (outcome.exit_code, "2 posts changed" in outcome.out) == (1, True)
    assert [each["deliveries"][0]["state"] for each in posts] == ["CANCELED", "CANCELED", "PUBLISHED"]


def test_an_edit_says_only_what_was_given(run: Run, memory: Memory, posts: list[dict[str, Any]]) -> None:
    given = ("--set-zone", "Europe/Berlin", "--set-privacy", "public_to_everyone", "--allow-duet", "--late", "drop")
    outcome = run("posts", "edit", "--post", posts[0]["post_id"], *given, "--yes", "--json")
    assert outcome.document["summary"] == {
        "posts": 3,
        "changed": 2,
        "unchanged": 0,
        "refused": 1,
        "validate_only": False,
    }
    (body,) = sent(memory)
    assert body["filter"] == {"post_ids": [posts[0]["post_id"]]}
    assert (body["edit"]["time_zone"], body["edit"]["lateness"]["late_action"]) == ("Europe/Berlin", "DROP")
    assert body["edit"]["options"]["tiktok"]["allow_duet"] is True
    assert set(body["edit"]) == {"time_zone", "options", "lateness"}


def test_a_change_of_everything_or_of_nothing_is_refused_before_it_is_sent(run: Run, memory: Memory) -> None:
    for command in (
        ("shift", "--by", "7d"),
        ("shift", "--by", "week", *JANUARY),
        ("edit", *JANUARY),
        ("edit", *JANUARY, "--allow-duet"),
        ("cancel",),
    ):
        assert run("posts", *command, "--yes").exit_code != 0
    assert sent(memory) == []


def test_an_answer_that_breaks_off_goes_on_with_the_same_key(
    run: Run, memory: Memory, posts: list[dict[str, Any]]
) -> None:
    told = {"ref": "r8", "schedule_time": None, "changes": [{"field": "channel", "before": "", "after": "air"}]}
    first = {"post": told | {"post_id": posts[0]["post_id"], "refusal": None, "warnings": [], "conflicts": []}}
    _, unavailable = problem(503, "UNAVAILABLE", "Not now.")
    # Once with a reason, once without a word; then as always.
    memory.broken_lines = [[first, {"problem": unavailable}], [first]]
    outcome = run("posts", "shift", "--by", "7d", *JANUARY, "--yes", "--json")
    assert outcome.exit_code == 1
    requests = memory.sent("/v1/posts:batchChange")
    assert (len(requests), len({each.key for each in requests})) == (3, 1)
    # What was said of a post first counts, and nothing is counted twice.
    assert len(outcome.document["posts"]) == 3
    assert outcome.document["posts"][0]["changes"][0]["field"] == "channel"


def test_a_refusal_in_the_middle_that_will_not_pass_is_told(
    run: Run, memory: Memory, posts: list[dict[str, Any]]
) -> None:
    _, refused = problem(409, "REQUEST_ID_REUSED", "This key was used for another request.")
    memory.broken_lines = [[{"problem": refused}]]
    outcome = run("posts", "shift", "--by", "7d", *JANUARY, "--yes")
    assert (outcome.exit_code, "REQUEST_ID_REUSED" in outcome.err) == (3, True)
    assert len(memory.sent("/v1/posts:batchChange")) == 1
