"""A calendar scheduled by the command line on the real services."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.local import demo
from tests.e2e.conftest import Product

_COLUMNS = ("ref", "local_date", "local_time", "timezone", "channel", "account", "caption", "hashtags", "media")


def import_calendar(running: Product, path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    environment = {
        **os.environ,
        "REELROUTE_URL": running.stack.gateway_url,
        "REELROUTE_API_KEY_FILE": str(running.stack.api_key_file),
    }
    command = [sys.executable, "-m", "cli.main", "posts", "import", str(path), "--media", str(demo.VIDEO.parent)]
    done = subprocess.run(
        [*command, "--privacy", "SELF_ONLY", "--json", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


SAMPLES = Path(__file__).resolve().parents[1] / "gateway" / "calendars" / "samples"


def calendar_of(path: Path, *rows: list[str]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(rows)
    return path


def row(ref: str, day: str, clock: str = "18:00", zone: str = "Europe/Berlin", channel: str = "earth") -> list[str]:
    account = f"@emberfold.{channel}"
    return [ref, day, clock, zone, channel, account, f"Words of {ref}", "#a", demo.VIDEO.name]


def posts_of(running: Product, prefix: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    token = ""
    while True:
        page = running.get("/v1/posts", page_size="200", page_token=token)
        for post in page["posts"]:
            if post["ref"].startswith(prefix):
                assert post["ref"] not in found, f"{post['ref']} is there twice"
                found[post["ref"]] = post
        token = page["next_page_token"]
        if not token:
            return found


def outcomes(document: dict[str, Any]) -> list[str]:
    return [each["outcome"] for each in document["rows"]]


def test_a_calendar_is_tried_then_scheduled_once_with_its_bad_rows_reported(running: Product, tmp_path: Path) -> None:
    path = calendar_of(
        tmp_path / "plan.csv",
        row("E-1", "2027-01-04"),
        row("E-2", "2027-07-04"),
        row("E-3", "2027-03-14", "02:30", "America/New_York", "air"),
    )
    code, tried = import_calendar(running, path, "--dry-run")
    assert code == 1
    assert tried["rows"][2]["problems"][0]["reason"] == "LOCAL_TIME_NONEXISTENT"
    assert posts_of(running, "E-") == {}

    code, done = import_calendar(running, path)
    assert (code, outcomes(done)) == (1, ["CREATED", "CREATED", "REFUSED"])
    # The same wall-clock time is another instant in summer.
    assert {ref: post["schedule_time"][:16] for ref, post in posts_of(running, "E-").items()} == {
        "E-1": "2027-01-04T17:00",
        "E-2": "2027-07-04T16:00",
    }
    _, again = import_calendar(running, path)
    assert outcomes(again) == ["UNCHANGED", "UNCHANGED", "REFUSED"]

    calendar_of(path, row("E-1", "2027-01-05"), row("E-2", "2027-07-04"))
    code, changed = import_calendar(running, path)
    assert (code, outcomes(changed)) == (0, ["UPDATED", "UNCHANGED"])
    assert [each["field"] for each in changed["rows"][0]["changes"]] == ["local_time"]
    assert posts_of(running, "E-")["E-1"]["schedule_time"][:16] == "2027-01-05T17:00"


def test_an_export_imported_again_changes_nothing(running: Product, tmp_path: Path) -> None:
    plan = calendar_of(
        tmp_path / "plan.csv",
        *(row(f"X-{n}", f"2027-02-{n + 1:02}") for n in range(5)),
        ["X-5", "2027-02-20", "09:00:30", "Asia/Tokyo", "fire", "@emberfold.fire", '=cmd("x") and\n\'quoted\'', "",
         demo.VIDEO.name],
    )  # fmt: skip
    code, _ = import_calendar(running, plan)
    assert code == 0
    before = posts_of(running, "X-")
    for name in ("all.csv", "all.xlsx", "all.ics"):
        written = tmp_path / name
        environment = {
            **os.environ,
            "REELROUTE_URL": running.stack.gateway_url,
            "REELROUTE_API_KEY_FILE": str(running.stack.api_key_file),
        }
        command = [sys.executable, "-m", "cli.main", "posts", "export", str(written)]
        subprocess.run(
            [*command, "--from", "2027-02-01T00:00:00Z", "--until", "2027-02-22T00:00:00Z"],
            env=environment, check=True, timeout=60, capture_output=True,
        )  # fmt: skip
        code, again = import_calendar(running, written)
        mine = [each["outcome"] for each in again["rows"] if each["ref"].startswith("X-")]
        assert (name, mine) == (name, ["UNCHANGED"] * 6), again
    assert posts_of(running, "X-") == before


def test_the_file_of_another_tool_is_imported_with_its_account_and_zone(running: Product, tmp_path: Path) -> None:
    text = (SAMPLES / "buffer" / "earth.csv").read_text(encoding="utf-8")
    path = tmp_path / "earth.csv"
    path.write_text(text, encoding="utf-8")
    code, told = import_calendar(
        running, path, "--dry-run", "--account", "@emberfold.earth", "--time-zone", "Europe/Berlin"
    )
    assert told["summary"]["format"] == "buffer"
    assert len(told["rows"]) == 30
    assert code == 1
    # Its media are not here, and videos cannot travel in Buffer's files: nothing else is wrong with it.
    assert {each["reason"] for row in told["rows"] for each in row["problems"]} <= {"MEDIA_MISSING", "MEDIA_EMPTY"}


def test_a_file_that_is_no_calendar_is_refused_as_a_whole(running: Product) -> None:
    code, told = import_calendar(running, SAMPLES / "bad_files" / "html_login_page.csv")
    assert code == 3
    assert told["error"]["reason"] == "NOT_TEXT_TABLE"
