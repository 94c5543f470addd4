"""Calendars to read in tests, on the day that the samples are made for."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.gateway.calendars.entries import CELLS, COLUMNS, Calendar, Entry, Problem, ReadOptions
from services.gateway.calendars.reading import read
from services.gateway.calendars.resolving import Account

SAMPLES = Path(__file__).parent / "samples"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
CHANNELS = ("air", "water", "fire", "earth")
ZONES = {
    "air": "America/New_York",
    "water": "America/Los_Angeles",
    "fire": "America/Chicago",
    "earth": "Europe/Berlin",
}
ACCOUNTS = {f"emberfold.{name}": Account(f"id-{name}") for name in CHANNELS}


def calendar(data: bytes, **options: Any) -> Calendar:
    return read(io.BytesIO(data), ReadOptions(**options), now=NOW)


def sample(name: str, **options: Any) -> list[Entry]:
    return list(calendar((SAMPLES / name).read_bytes(), **options).entries)


def entries(data: bytes, **options: Any) -> list[Entry]:
    return list(calendar(data, **options).entries)


def table(*rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> bytes:
    """A CSV file of rows that are right but for the cells that are given."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    for row in rows:
        writer.writerow(dict.fromkeys(columns, "") | USUAL | row)
    return file.getvalue().encode()


USUAL = {
    "local_date": "2027-02-10",
    "local_time": "10:00",
    "timezone": "Europe/Berlin",
    "account": "@emberfold.air",
    "caption": "Sort.",
    "media": "a.mp4",
}


def one(**cells: str) -> Entry:
    (entry,) = entries(table(cells, columns=CELLS))
    return entry


def expected(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def reasons(found: tuple[Problem, ...]) -> list[str]:
    return [each.reason for each in found]


def verdicts(entry: Entry) -> list[tuple[str, str]]:
    return [(each.field, each.reason) for each in entry.problems]


def utc(entry: Entry) -> str:
    assert entry.instant is not None
    return f"{entry.instant:%Y-%m-%dT%H:%M:%SZ}"
