"""An import of 10,000 rows that is killed at half is sent again, and nothing is doubled."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from deploy.local import demo
from tests.e2e.conftest import Product

_ROWS = 10_000
# A channel that no plan of another test speaks of.
_OPTIONS = {"tiktok": {"privacy_level": "SELF_ONLY"}, "channels_of_accounts": {"emberfold.air": "killed"}}


def calendar(name: str, media_name: str) -> bytes:
    """Posts a few minutes apart, further ahead than those of other tests."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["ref", "local_date", "local_time", "timezone", "channel", "account", "caption", "media"])
    start = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=500)
    for number in range(_ROWS):
        at = start + timedelta(minutes=7 * number)
        caption = f"Number {number} of the import that loses its {name}"
        date, clock = f"{at:%Y-%m-%d}", f"{at:%H:%M}"
        writer.writerow([f"{name}-{number}", date, clock, "UTC", "killed", "@emberfold.air", caption, media_name])
    return text.getvalue().encode()


def send(running: Product, file: bytes) -> Iterator[dict[str, Any]]:
    parts: dict[str, tuple[str | None, str | bytes, str]] = {
        "options": (None, json.dumps(_OPTIONS), "application/json"),
        "file": ("calendar.csv", file, "text/csv"),
    }
    with running.api.stream("POST", "/v1/posts:import", files=parts, timeout=60) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            yield json.loads(line)


def refs(running: Product, name: str) -> list[str]:
    found: list[str] = []
    token = ""
    start = (datetime.now(UTC) + timedelta(days=499)).isoformat()
    while True:
        page = running.get("/v1/posts", from_time=start, view="SUMMARY", page_size="1000", page_token=token)
        found += [post["ref"] for post in page["posts"] if post["ref"].startswith(f"{name}-")]
        token = page["next_page_token"]
        if not token:
            return found


def send_and_kill(running: Product, file: bytes, name: str) -> int:
    """Kills a process when half of the rows were told; returns how many were told until the answer broke off."""
    told = 0
    try:
        for line in send(running, file):
            assert "summary" not in line, "it was over before it was killed"
            if "row" in line:
                told += 1
                if told == _ROWS // 2:
                    running.kill(name)
    except httpx.HTTPError:
        assert told
    return told


@pytest.mark.parametrize("name", ["scheduler", "gateway"])
def test_an_import_killed_at_half_goes_on_without_a_double(running: Product, name: str) -> None:
    running.upload()
    file = calendar(name, demo.VIDEO.name)
    told = send_and_kill(running, file, name)
    assert _ROWS // 2 <= told < _ROWS
    running.supervisor.wait_ready(timeout=60)
    lines = list(send(running, file))
    outcomes = Counter(line["row"]["outcome"] for line in lines if "row" in line)
    assert set(outcomes) == {"CREATED", "UNCHANGED"}, lines[-1]
    assert outcomes["UNCHANGED"] >= told
    assert Counter(refs(running, name)) == Counter(f"{name}-{number}" for number in range(_ROWS))
