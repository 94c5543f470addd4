"""What every job of every peer does: one POST to the platform, and a row that records attempt and completion."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import asyncpg
import uvloop

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
_DONE = """
INSERT INTO results (job, attempt, state, platform_post_id, url, start_time, end_time)
VALUES ($1, 1, 'PUBLISHED', $2, $3, $4, clock_timestamp())
"""
_INTENT = "INSERT INTO results (job, attempt, state, start_time) VALUES ($1, 1, 'SENDING', $2)"
_OUTCOME = """
UPDATE results SET state = 'PUBLISHED', platform_post_id = $2, url = $3, end_time = clock_timestamp()
WHERE job = $1 AND attempt = 1 AND state = 'SENDING'
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a peer. Job n of `jobs` is due at `first_due` (Unix time) + n / `per_second`; 0: all at once.

    `worker` of `workers` is this process. `intent`: the attempt is recorded before its call leaves, as ours is; else one
    row after the call records all.
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

    def due_time(self, job: int) -> datetime:
        """When a job is due."""
        since_first = job / self.per_second if self.per_second else 0.0
        return datetime.fromtimestamp(self.first_due, UTC) + timedelta(seconds=since_first)


class Job:
    """The work. Open it with `opened`."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession, pool: asyncpg.Pool) -> None:
        self._plan = plan
        self._session = session
        self._pool = pool
        self._url = f"{plan.platform_url}/bulletin/v1/posts"

    async def run(self, job: int) -> None:
        """One attempt at a job."""
        start = datetime.now(UTC)
        if self._plan.intent:
            await self._pool.execute(_INTENT, job, start)
        async with self._session.post(self._url, json={"text": f"job {job}"}) as answer:
            answer.raise_for_status()
            post = await answer.json()
        if self._plan.intent:
            await self._pool.execute(_OUTCOME, job, post["id"], post["url"])
        else:
            await self._pool.execute(_DONE, job, post["id"], post["url"], start)


@asynccontextmanager
async def opened(plan: Plan) -> AsyncIterator[Job]:
    """The job with its connections: as many to the platform as jobs run at once, few to the database, which commits
    what arrives together in one go.
    """
    async with (
        asyncpg.create_pool(plan.database_url, min_size=16, max_size=16) as pool,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=plan.concurrency),
            headers={"Authorization": f"Bearer {plan.platform_token}"},
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session,
    ):
        yield Job(plan, session, pool)


async def told_to_go() -> None:
    """Says that this worker is ready, and waits until all are."""
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def main(fill: Callable[[Plan], Awaitable[None]], work: Callable[[Plan], Coroutine[None, None, None]]) -> None:
    """The program of a peer."""
    plan = Plan(**json.loads(sys.argv[2]))
    uvloop.run({"fill": fill, "work": work}[sys.argv[1]](plan))
