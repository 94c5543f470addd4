"""How late posts go out at a steady rate: from the due time to the moment at which the platform has the POST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench import beside, harness, ours
from bench.beside import PEERS

_COLUMNS = ("who", "early", "p50_ms", "p95_ms", "p99_ms", "max_ms")


def run(per_second: float, seconds: float, publishers: Sequence[int], peers: Sequence[str]) -> list[dict[str, Any]]:
    """Prints a table and writes lateness.json."""
    jobs = round(per_second * seconds)
    rows = [ours.lateness(jobs, per_second, count) for count in publishers]
    rows += [beside.lateness(PEERS[peer], jobs, per_second) for peer in peers]
    harness.write("lateness", rows)
    harness.table(f"lateness of {jobs:,} posts, {per_second:g} a second", rows, _COLUMNS)
    return rows
