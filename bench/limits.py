"""Two limits: how fast the database alone claims and completes, and how fast the HTTP client alone posts."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import psycopg2

from bench import harness, target
from bench.harness import BenchmarkFailed, Cost, Processes
from bench.loops import DATABASE_TABLES, HttpPlan
from deploy.local.postgres import EmbeddedPostgres
from vendors.bulletin.config import BulletinConfig

# What the publisher's client has open at once.
CONNECTIONS = BulletinConfig().max_connections
# Batch, and how many of the jobs it is given: so that each loop takes some seconds.
_BATCHES = {1: 0.2, 100: 10.0, 500: 10.0}


def run(jobs: int, answers: Sequence[float]) -> dict[str, list[dict[str, Any]]]:
    """Prints both tables and writes limits.json."""
    claims = [database(round(jobs * share), batch, workers) for batch, share in _BATCHES.items() for workers in (1, 2)]
    harness.table("limit: claim and complete, database alone", claims, ["batch", "processes", "jobs", "per_second"])
    posts = [
        http(jobs, client, workers, answer) for answer in answers for client in ("kit", "aiohttp") for workers in (1, 2)
    ]
    harness.table(
        f"limit: {jobs:,} posts, HTTP alone; kit is the client that the publisher calls with",
        posts,
        ["client", "processes", "answer_ms", "per_second"],
    )
    results = {"database": claims, "http": posts}
    harness.write("limits", results)
    return results


def database(jobs: int, batch: int, workers: int) -> dict[str, Any]:
    """Claims and completions a second."""
    with harness.folder() as folder, harness.server(folder) as postgres, Processes(folder / "logs") as processes:
        url = harness.new_database(postgres, "limit")
        with contextlib.closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(DATABASE_TABLES, {"jobs": jobs})
            connection.cursor().execute("VACUUM (ANALYZE)")
            connection.cursor().execute("CHECKPOINT")
        names = [f"loop {number}" for number in range(workers)]
        for name in names:
            processes.start(name, [sys.executable, "-m", "bench.loops", "database", url, str(batch)], talks=True)
        seconds, cost = _timed(processes, names, postgres, jobs)
        with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM results")
            if cursor.fetchone() != (jobs,):
                raise BenchmarkFailed("the loop has not completed every job once")
    return {"batch": batch, "processes": workers, "jobs": jobs, "per_second": round(jobs / seconds), **cost}


def http(posts: int, client: str, workers: int, answer_seconds: float) -> dict[str, Any]:
    """Posts a second."""
    with harness.folder() as folder, Processes(folder / "logs") as processes:
        platform = target.start(processes, answer_seconds)
        names = [f"loop {number}" for number in range(workers)]
        for name in names:
            plan = HttpPlan(platform.url, platform.token, client, posts // workers, CONNECTIONS, name)
            processes.start(name, [sys.executable, "-m", "bench.loops", "http", plan.as_argument()], talks=True)
        seconds, cost = _timed(processes, names, None, posts)
        taken = platform.posts()
        if len(taken) != posts or len(set(taken)) != posts:
            raise BenchmarkFailed(f"{posts} posts were sent, {len(taken)} were taken")
    return {
        "client": client,
        "processes": workers,
        "answer_ms": round(answer_seconds * 1000),
        "per_second": round(posts / seconds),
        **cost,
    }


def _timed(
    processes: Processes, names: list[str], postgres: EmbeddedPostgres | None, jobs: int
) -> tuple[float, dict[str, Any]]:
    processes.wait_for_word(*names)
    start = time.monotonic()
    cost = Cost(processes.pids(), postgres.pid if postgres else None)
    processes.go(*names)
    processes.wait_for_word(*names)
    seconds = time.monotonic() - start
    return seconds, cost.figures(jobs)
