"""What the benchmark asks of a peer, and the table that its jobs record in. Read on both sides: needs nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

# One row for each attempt of each job. It has what ours has: when it began and ended, its outcome, the platform's word.
TABLE = """
CREATE TABLE results (
    job bigint NOT NULL,
    attempt integer NOT NULL,
    state text NOT NULL,
    platform_post_id text NOT NULL DEFAULT '',
    url text NOT NULL DEFAULT '',
    start_time timestamptz NOT NULL,
    end_time timestamptz,
    PRIMARY KEY (job, attempt))
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a peer. Job n of `jobs` is due at `first_due` (Unix time) + n / `per_second`; 0: all at once.

    `worker` of `workers` is this process. `intent`: the attempt is recorded before its call leaves, as ours is; else
    one row after the call records all.
    """

    database_url: str
    platform_url: str
    platform_token: str
    jobs: int
    first_due: float
    per_second: float
    intent: bool
    concurrency: int
    worker: int
    workers: int

    def as_argument(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    def of_worker(self, worker: int) -> Plan:
        """The same for another worker."""
        return replace(self, worker=worker)

    def due_at(self, job: int) -> float:
        """When a job is due, in Unix time."""
        return self.first_due + (job / self.per_second if self.per_second else 0.0)

    def due_time(self, job: int) -> datetime:
        """When a job is due."""
        return datetime.fromtimestamp(self.due_at(job), UTC)
