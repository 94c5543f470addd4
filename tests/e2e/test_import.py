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


def test_a_calendar_is_tried_then_scheduled_once_with_its_bad_rows_reported(running: Product, tmp_path: Path) -> None:
    rows = [
        ["E-1", "2027-01-04", "18:00", "Europe/Berlin", "earth", "@emberfold.earth", "One.", "#a", demo.VIDEO.name],
        ["E-2", "2027-07-04", "18:00", "Europe/Berlin", "earth", "@emberfold.earth", "Two.", "#a", demo.VIDEO.name],
        ["E-3", "2027-03-14", "02:30", "America/New_York", "air", "@emberfold.air", "Three.", "#a", demo.VIDEO.name],
    ]
    path = tmp_path / "plan.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(rows)

    code, tried = import_calendar(running, path, "--dry-run")
    assert code == 1
    assert not [post for post in running.get("/v1/posts", page_size="200")["posts"] if post["ref"].startswith("E-")]

    code, done = import_calendar(running, path)
    assert code == 1, done
    planned = {
        post["ref"]: post["schedule_time"]
        for post in running.get("/v1/posts", page_size="200")["posts"]
        if post["ref"].startswith("E-")
    }
    # The same wall-clock time is another instant in summer.
    assert {ref: time[:16] for ref, time in planned.items()} == {"E-1": "2027-01-04T17:00", "E-2": "2027-07-04T16:00"}
    assert "E-3" in json.dumps(done)
    assert "local_time_nonexistent" in json.dumps(done)
    assert tried

    import_calendar(running, path)
    again = [post for post in running.get("/v1/posts", page_size="200")["posts"] if post["ref"].startswith("E-")]
    assert len(again) == 2
