"""How fast 20,000 deliveries that are due at once go out: ours through the whole product, and the peers' same work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench import beside, harness, ours
from bench.beside import PEERS

_COLUMNS = ("who", "record", "answer_ms", "per_second", "cpu_ms_per_job", "peak_rss_mb")


def run(jobs: int, answers: Sequence[float], publishers: Sequence[int], peers: Sequence[str]) -> list[dict[str, Any]]:
    """Prints a table and writes drain.json. `answers`: how long the platform takes, seconds."""
    rows: list[dict[str, Any]] = []
    for answer in answers:
        rows += [ours.drain(jobs, answer, count) for count in publishers]
        rows += [beside.drain(PEERS[peer], jobs, answer, intent=intent) for peer in peers for intent in (True, False)]
        harness.write("drain", rows)
    harness.table(f"drain of {jobs:,} due deliveries, one POST each", [_shown(row) for row in rows], _COLUMNS)
    for row in rows:
        parts = ", ".join(f"{process} {used}" for process, used in row["cpu_ms_per_job"].items())
        print(f"  {row['who']} ({row['record']}, {row['answer_ms']} ms): CPU ms per delivery: {parts}")
    return rows


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Of what several processes used: all the CPU, and the largest memory of a process that is measured."""
    memory = [used for process, used in row["peak_rss_mb"].items() if process not in ("platform", "notification")]
    return {**row, "cpu_ms_per_job": sum(row["cpu_ms_per_job"].values()), "peak_rss_mb": max(memory)}
