"""Runs the peers: fills their tables, starts two workers, and looks at what they did."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

from bench import harness, target
from bench.harness import BenchmarkFailed, Cost, Processes
from bench.peers.plan import TABLE, Plan
from deploy.local.settings import ROOT
from vendors.bulletin.config import BulletinConfig

PYTHON = ROOT / ".bench" / "bin" / "python"
WORKERS = 2
# As many calls at once in a worker as our publisher's client has connections.
CONCURRENCY = BulletinConfig().max_connections


@dataclass(frozen=True)
class Peer:
    """`waiting`: how many of its jobs are not over, which also tells that it has done its own accounting."""

    name: str
    waiting: str


PEERS = {
    "pgqueuer": Peer("pgqueuer", "SELECT count(*) FROM pgqueuer"),
    "procrastinate": Peer("procrastinate", "SELECT count(*) FROM procrastinate_jobs"),
    "apscheduler": Peer(
        "apscheduler", "SELECT (SELECT count(*) FROM jobs_of_worker_0) + (SELECT count(*) FROM jobs_of_worker_1)"
    ),
}


def drain(peer: Peer, jobs: int, answer_seconds: float, *, intent: bool) -> dict[str, Any]:
    """Jobs that are all due, until each has its row."""
    figures, _ = _run(peer, jobs, answer_seconds=answer_seconds, first_due=time.time() - 60, intent=intent)
    return figures


def lateness(peer: Peer, jobs: int, per_second: float) -> dict[str, Any]:
    """How late jobs at a steady rate reach the platform, milliseconds."""
    _, late = _run(peer, jobs, first_due=time.time() + 25, per_second=per_second)
    return {"who": peer.name, "early": sum(each < 0 for each in late), **harness.percentiles(late)}


def _run(
    peer: Peer,
    jobs: int,
    *,
    first_due: float,
    answer_seconds: float = 0.0,
    per_second: float = 0.0,
    intent: bool = False,
) -> tuple[dict[str, Any], list[float]]:
    with harness.folder() as folder, harness.server(folder) as postgres, Processes(folder / "logs") as processes:
        platform = target.start(processes, answer_seconds)
        url = harness.new_database(postgres, "peer")
        plan = Plan(url, platform.url, platform.token, jobs, first_due, per_second, intent, CONCURRENCY, 0, WORKERS)
        with contextlib.closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(TABLE)
            filled = subprocess.run(_program(peer, "fill", plan), cwd=ROOT, capture_output=True, text=True, check=False)
            if filled.returncode:
                raise BenchmarkFailed(f"{peer.name} was not filled: {filled.stderr[-2000:]}")
            cursor.execute("VACUUM (ANALYZE)")
            cursor.execute("CHECKPOINT")
            workers = [f"worker {number}" for number in range(WORKERS)]
            for number, name in enumerate(workers):
                processes.start(name, _program(peer, "work", plan.of_worker(number)), talks=True)
            processes.wait_for_word(*workers)
            if per_second and time.time() > first_due:
                raise BenchmarkFailed("filling took longer than until the first due time")

            def is_over() -> bool:
                cursor.execute(f"SELECT (SELECT count(*) FROM results WHERE state = 'PUBLISHED'), ({peer.waiting})")
                return cursor.fetchone() == (jobs, 0)

            cost = Cost(processes.pids(), postgres.pid)
            processes.go(*workers)
            limit = 600 if not per_second else jobs / per_second + 120
            seconds = harness.seconds_until(is_over, processes, limit)
            figures = {
                "who": peer.name,
                "jobs": jobs,
                "record": "attempt, result" if intent else "result",
                "answer_ms": round(answer_seconds * 1000),
                "seconds": round(seconds, 2),
                "per_second": round(jobs / seconds),
                **cost.figures(jobs),
            }
        posts = platform.posts()
        if len(posts) != jobs or len({text for text, _ in posts}) != jobs:
            raise BenchmarkFailed(f"{peer.name}: {jobs} jobs made {len(posts)} posts")
        late = [(when - plan.due_at(int(text.removeprefix("job ")))) * 1000 for text, when in posts]
        return figures, late


def _program(peer: Peer, command: str, plan: Plan) -> Sequence[str]:
    return [str(PYTHON), "-m", f"bench.peers.{peer.name}", command, plan.as_argument()]
