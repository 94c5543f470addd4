"""Series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.gateway import Memory

RULE = ("--start", "2037-01-06T14:00", "--zone", "America/New_York")


@pytest.fixture
def series(run: Run, memory: Memory, tmp_path: Path) -> dict[str, Any]:
    video = tmp_path / "one.mp4"
    video.write_bytes(b"first video")
    content = ("--account", "@emberfold.air", "--media", str(video), "--caption", "Tip", "--privacy", "SELF_ONLY")
    outcome = run("series", "create", *RULE, "--cron", "0 14 * * tue", "--name", "Weekly tip", *content)
    assert outcome.exit_code == 0, outcome.err
    assert "1 post made so far, 0 could not be" in outcome.err
    (made,) = memory.series.values()
    return made


def test_a_series_is_made_listed_and_shown_in_two_zones(run: Run, memory: Memory, series: dict[str, Any]) -> None:
    assert series["recurrence"].items() >= {"rrule": None, "cron": "0 14 * * tue"}.items()
    assert series["post"]["media_asset_ids"] == [memory.media[0]["media_asset_id"]]
    assert "Weekly tip" in run("series", "list").out
    shown = run("series", "show", series["series_id"], "--other-zone", "Europe/Berlin")
    for text in ("Weekly tip", "0 14 * * tue", "Tue 2037-03-10 14:00", "Tue 2037-03-10 19:00", "2037-03-10T14:00:00"):
        assert text in shown.out
    assert "Clocks in America/New_York" in shown.err


def test_a_rule_is_looked_at_before(run: Run, memory: Memory) -> None:
    shown = run("series", "preview", *RULE, "--rrule", "FREQ=WEEKLY;BYDAY=TU", "--gap", "skip", "--count", "3")
    assert "every Tuesday at 14:00" in shown.out
    asked = memory.sent("/v1/series:preview")[0].body
    assert (asked["max_occurrences"], asked["recurrence"]["gap_rule"]) == (3, "SKIP")
    assert run("series", "preview", *RULE).exit_code != 0
    assert run("series", "preview", *RULE, "--rrule", "FREQ=DAILY", "--cron", "0 14 * * *").exit_code != 0


def test_this_and_following_are_changed_and_what_is_not_named_stays(
    run: Run, memory: Memory, series: dict[str, Any]
) -> None:
    before = dict(series["recurrence"])
    given = ("--rrule", "FREQ=DAILY", "--until", "2037-03-31T14:00", "--caption", "New")
    changed = run("series", "update", series["series_id"], "--from", "2037-03-10T14:00", *given)
    assert changed.exit_code == 0
    request = next(each for each in memory.requests if each.method == "PATCH")
    assert (request.query, request.if_match) == ({"from_occurrence_time": "2037-03-10T14:00"}, '"e1"')
    # A rule without a time of its own goes on at that of the occurrence; any other from its day on.
    new = {"rrule": "FREQ=DAILY", "cron": None, "until_time": "2037-03-31T14:00", "start_time": "2037-03-10T14:00"}
    assert request.body["recurrence"] == before | new
    assert request.body["post"]["caption"] == "New"
    assert request.body["post"]["account_ids"] == [memory.accounts[0]["account_id"]]
    run("series", "update", series["series_id"], "--from", "2037-03-10T14:00", "--cron", "0 9 * * tue")
    assert memory.requests[-1].body["recurrence"]["start_time"] == "2037-03-10T00:00"
    assert run("series", "update", series["series_id"]).exit_code == 3


def test_one_occurrence_is_skipped_moved_and_restored(run: Run, memory: Memory, series: dict[str, Any]) -> None:
    path = f"/v1/series/{series['series_id']}/occurrences/2037-03-10T14:00"
    assert "SKIPPED" in run("series", "skip", series["series_id"], "2037-03-10T14:00").out
    assert run("series", "move", series["series_id"], "2037-03-10T14:00", "2037-03-11T09:00").exit_code == 0
    assert run("series", "restore", series["series_id"], "2037-03-10T14:00").exit_code == 0
    assert memory.sent(f"{path}:skip")
    assert memory.sent(f"{path}:move")[0].body == {"move_to_time": "2037-03-11T09:00"}
    assert memory.sent(f"{path}:restore")
    sent = len(memory.requests)
    assert run("series", "skip", series["series_id"], "../../posts").exit_code == 3
    assert len(memory.requests) == sent


def test_a_series_ends_after_a_question(run: Run, memory: Memory, series: dict[str, Any]) -> None:
    assert run("series", "end", series["series_id"]).exit_code == 3
    ended = run("series", "end", series["series_id"], "--from", "2037-03-10T14:00", "--yes")
    assert "3 posts canceled" in ended.out
    (request,) = memory.sent(f"/v1/series/{series['series_id']}:end")
    assert request.query == {"from_occurrence_time": "2037-03-10T14:00"}
