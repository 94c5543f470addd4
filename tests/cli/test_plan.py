"""Plans, their slots, duplicates, the forecast, the queue and approvals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from cli import options, plans, weekly
from tests.cli.conftest import Run
from tests.cli.gateway import Memory

AIR = ("plan", "set", "air", "--zone", "America/New_York")
POST = ("--caption", "Hi", "--account", "@emberfold.air", "--privacy", "SELF_ONLY")


@pytest.fixture
def video(tmp_path: Path) -> str:
    file = tmp_path / "one.mp4"
    file.write_bytes(b"first video")
    return str(file)


def test_a_plan_is_set_in_words_shown_and_taken_away(run: Run, memory: Memory) -> None:
    rules = ("--quiet", "22:00-07:00", "--min-gap", "2h", "--daily-cap", "3", "--require-approval")
    outcome = run(*AIR, "--slot", "daily 08:00 15:00", "--slot", "tue,thu,sat 9:30", *rules)
    assert outcome.exit_code == 0
    plan = memory.plans["air"]
    assert len(plan["slots"]) == 17
    assert plan["slots"][-1] == {"weekday": "SATURDAY", "local_time": "09:30"}
    assert plan["quiet_hours"] == [{"weekdays": [], "start_time": "22:00", "end_time": "07:00"}]
    assert (plan["min_gap_seconds"], plan["daily_cap"], plan["requires_approval"]) == (7200, 3, True)
    for command in (("plan", "list"), ("plan", "show", "air")):
        shown = run(*command).out
        for text in ("America/New_York", "mon,wed,fri,sun 08:00 15:00", "tue,thu,sat 08:00 09:30 15:00", "22:00-07:00"):
            assert text in shown
    assert run("plan", "delete", "air").exit_code == 3  # nobody to ask
    assert run("plan", "delete", "air", "--yes").exit_code == 0
    missing = run("plan", "show", "air")
    assert (missing.exit_code, "PLAN_NOT_FOUND" in missing.err) == (3, True)


def test_the_plan_of_all_other_channels_has_no_name(run: Run, memory: Memory) -> None:
    assert "(all others)" in run("plan", "set", "--zone", "UTC", "--daily-cap", "5").out
    assert "a day" in run("plan", "show").out
    assert memory.sent("/v1/plans/-")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--slot", "daily"), "daily 08:00 15:00"),
        (("--slot", "someday 08:00"), "mon-fri"),
        (("--slot", "mon 24:00"), "23:59"),
        (("--quiet", "22:00"), "22:00-07:00"),
        (("--min-gap", "soon"), "90s, 30m, 6h, 2d"),
    ],
)
def test_what_is_no_weekly_time_is_refused_with_what_would_be(
    run: Run, memory: Memory, given: tuple[str, str], told: str
) -> None:
    outcome = run(*AIR, *given)
    assert outcome.exit_code != 0
    # What is wrong with an option is told in a box.
    assert told in " ".join(outcome.err.replace("│", " ").split())
    assert memory.plans == {}


def test_days_are_spans_and_go_through_sunday() -> None:
    assert [each["weekday"] for each in weekly.slots("fri-mon 08:00")] == ["MONDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
    assert weekly.in_words(weekly.slots("mon-fri 8:00") + weekly.slots("sat 10:00:30")) == [
        "mon,tue,wed,thu,fri 08:00",
        "sat 10:00:30",
    ]
    night = weekly.quiet_hours("fri,sat 23:00-08:00")
    assert weekly.quiet_in_words(night) == "fri,sat 23:00-08:00"


def test_the_shipped_example_is_that_of_the_four_elements(run: Run, memory: Memory) -> None:
    assert memory.plans == {}
    shown = run("plan", "example").out
    for text in ("daily 08:00 15:00 19:00", "daily 10:00 17:00 21:00", "tue,thu,sat 14:00", "daily 12:00 18:00"):
        assert text in shown
    assert run("plan", "example", "--set").exit_code == 0
    assert sorted(memory.plans) == ["air", "earth", "fire", "water"]
    assert {each["time_zone"] for each in memory.plans.values()} == {"America/New_York"}


def test_plans_go_through_a_file_and_back(run: Run, memory: Memory, tmp_path: Path) -> None:
    run("plan", "set", "--file", str(plans.EXAMPLE))
    before = dict(memory.plans)
    file = tmp_path / "plans.json"
    file.write_text(run("plan", "list", "--json").out)
    memory.plans.clear()
    assert run("plan", "set", "--file", str(file), "--json").exit_code == 0
    assert memory.plans == before
    assert run("plan", "set", "air", "--file", str(file)).exit_code == 3
    file.write_text(json.dumps([]))
    assert "plan example --json" in run("plan", "set", "--file", str(file)).err


def test_blackouts_are_added_and_removed_and_stay_when_a_plan_is_set(run: Run, memory: Memory) -> None:
    bare = run("plan", "blackout", "add", "2037-11-25", "--reason", "Thanksgiving")
    assert (bare.exit_code, "--zone" in bare.err) == (3, True)
    run("plan", "blackout", "add", "2037-11-25", "2037-11-26", "--reason", "Thanksgiving", "--zone", "UTC")
    assert memory.plans[""]["blackouts"] == [
        {"first_date": "2037-11-25", "last_date": "2037-11-26", "reason": "Thanksgiving"}
    ]
    run(*AIR, "--slot", "daily 08:00")
    run("plan", "blackout", "add", "2037-12-25", "--channel", "air")
    run(*AIR, "--slot", "daily 09:00")
    assert [each["first_date"] for each in memory.plans["air"]["blackouts"]] == ["2037-12-25"]
    assert run("plan", "blackout", "remove", "2037-12-24", "--channel", "air").exit_code == 3
    assert run("plan", "blackout", "remove", "2037-12-25", "--channel", "air").exit_code == 0
    assert memory.plans["air"]["blackouts"] == []
    assert memory.plans["air"]["slots"][0]["local_time"] == "09:00"


def test_slots_are_shown_in_two_zones_with_the_warnings_of_their_week(run: Run, memory: Memory) -> None:
    run(*AIR, "--slot", "daily 08:00")
    outcome = run("plan", "slots", "air", "--other-zone", "Europe/Berlin")
    for text in ("Tue 2037-03-10 14:00", "Tue 2037-03-10 19:00", "free", "closed: BLACKOUT", "on Thanksgiving"):
        assert text in outcome.out
    assert outcome.err.count("Clocks in America/New_York go forward") == 1
    assert len(run("plan", "slots", "air", "--free", "--json").document["slots"]) == 1


def test_duplicates_are_ruled_by_pairs(run: Run, memory: Memory) -> None:
    assert run("plan", "duplicates", "set", "air", "-", "refuse", "--within", "7d").exit_code == 0
    assert memory.duplicate_rules == [
        {"channel": "air", "other_channel": "", "action": "REFUSE", "window_seconds": 604_800}
    ]
    assert "7 d" in run("plan", "duplicates", "list").out
    assert run("plan", "duplicates", "delete", "air", "-").exit_code == 0
    assert memory.sent("/v1/duplicate-rules/air/-")


def test_a_forecast_is_told_by_day_and_ends_with_1_when_something_will_fail(run: Run, memory: Memory) -> None:
    assert run("plan", "forecast").exit_code == 0
    memory.foreseen = [
        {
            "delivery_id": str(place),
            "post_id": "p",
            "account_id": memory.accounts[0]["account_id"],
            "schedule_time": f"2037-01-0{place}T17:00:00Z",
            "cause": "TOKEN",
            "reason": "TOKEN_ENDS",
            "message": "Connect the account again.",
            "delayed_until_time": None,
        }
        for place in (4, 5, 6)
    ]
    outcome = run("plan", "forecast", "--days", "60")
    assert outcome.exit_code == 1
    for text in ("2037-01-04", "2037-01-06", "@emberfold.air", "TOKEN_ENDS", "Connect the account again.", "84"):
        assert text in outcome.out
    assert memory.sent("/v1/forecast")[-1].query["horizon_days"] == "60"
    assert len(run("plan", "forecast", "--json").document["failures"]) == 3


def test_a_post_is_queued_and_its_conflicts_are_told(run: Run, memory: Memory, video: str) -> None:
    assert "PLAN_NOT_FOUND" in run("posts", "queue", "--channel", "air", "--media", video, *POST).err
    run(*AIR, "--slot", "daily 08:00")
    queued = run("posts", "queue", "--channel", "air", "--media", video, *POST, "--not-before", "2037-01-01T00:00:00Z")
    assert queued.exit_code == 0
    assert "2037-01-05T08:00:00 America/New_York" in queued.out
    assert "DUPLICATE_CAPTION" in queued.err
    sent = memory.sent("/v1/posts:queue")[-1].body
    assert (sent["not_before_time"], "local_time" in sent) == ("2037-01-01T00:00:00Z", False)


def test_posts_are_approved_as_they_were_shown(
    run: Run, memory: Memory, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ref in ("one", "two"):
        timed = ("--at", "2037-01-04T18:00", "--zone", "UTC", "--ref", ref)
        assert run("posts", "create", *timed, "--media", video, *POST).exit_code == 0
    for post in memory.posts:
        post["approval"] = "PENDING"
    assert "to be approved" in run("posts", "list").out
    assert run("posts", "approve").exit_code == 3  # nobody to ask
    monkeypatch.setattr(options, "may_ask", lambda **_: True)

    def changed_meanwhile(*_: object, **__: object) -> bool:
        memory.posts[1]["etag"] = "changed"
        return True

    monkeypatch.setattr(typer, "confirm", changed_meanwhile)
    asked = run("posts", "approve", "--channel", "air")
    assert (asked.exit_code, "Approved: 1 post." in asked.out, "POST_CHANGED" in asked.err) == (1, True, True)
    assert [post["approval"] for post in memory.posts] == ["APPROVED", "PENDING"]
    assert run("posts", "approve", "--withdraw", "--yes").exit_code == 3
    assert run("posts", "approve", memory.posts[0]["post_id"], "--withdraw", "--yes").exit_code == 0
    assert memory.posts[0]["approval"] == "PENDING"
