"""What every job of every peer does: one POST to the platform, and a row that records attempt and completion."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import asyncpg
import uvloop

from bench.peers.plan import Plan

# To the database: what they bring together is committed in one go. More bring nothing.
_CONNECTIONS = 32
_DONE = """
INSERT INTO results (job, attempt, state, platform_post_id, url, start_time, end_time)
VALUES ($1, 1, 'PUBLISHED', $2, $3, $4, clock_timestamp())
"""
_INTENT = "INSERT INTO results (job, attempt, state, start_time) VALUES ($1, 1, 'SENDING', $2)"
_OUTCOME = """
UPDATE results SET state = 'PUBLISHED', platform_post_id = $2, url = $3, end_time = clock_timestamp()
WHERE job = $1 AND attempt = 1 AND state = 'SENDING'
"""


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
        asyncpg.create_pool(plan.database_url, min_size=_CONNECTIONS, max_size=_CONNECTIONS) as pool,
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


def main(
    fill: Callable[[Plan], Coroutine[None, None, None]], work: Callable[[Plan], Coroutine[None, None, None]]
) -> None:
    """The program of a peer."""
    plan = Plan(**json.loads(sys.argv[2]))
    uvloop.run({"fill": fill, "work": work}[sys.argv[1]](plan))
