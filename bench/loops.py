"""Bare loops, the limits of what any engine here can reach: `python -m bench.loops LOOP ARGUMENTS`.

They say a line when they are ready, begin when they are given one, and say another when they are done.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass

import aiohttp
import psycopg2

from bench.target import POSTS_PATH
from kit import log
from kit.vendor_call import VendorCall
from kit.vendor_http import VendorHttp, VendorHttpSettings

DATABASE_TABLES = """
CREATE TABLE jobs (
    job bigint PRIMARY KEY, state text NOT NULL, due_time timestamptz NOT NULL, attempt integer NOT NULL,
    lease_expire_time timestamptz) WITH (fillfactor = 85);
CREATE INDEX jobs_due ON jobs (due_time, job) WHERE state = 'SCHEDULED';
CREATE TABLE results (
    job bigint NOT NULL, attempt integer NOT NULL, state text NOT NULL, end_time timestamptz NOT NULL,
    PRIMARY KEY (job, attempt));
INSERT INTO jobs SELECT n, 'SCHEDULED', now(), 0, NULL FROM generate_series(1, %(jobs)s) AS n
"""
_CLAIM = """
WITH chosen AS MATERIALIZED (
    SELECT job FROM jobs WHERE state = 'SCHEDULED' AND due_time <= now()
    ORDER BY due_time, job LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE jobs SET state = 'CLAIMED', attempt = attempt + 1, lease_expire_time = now() + interval '30 seconds'
FROM chosen WHERE jobs.job = chosen.job RETURNING jobs.job, jobs.attempt
"""
_COMPLETE = """
WITH done AS (
    DELETE FROM jobs USING unnest(%s::bigint[], %s::int[]) AS r(job, attempt)
    WHERE jobs.job = r.job AND jobs.attempt = r.attempt AND jobs.state = 'CLAIMED' RETURNING jobs.job, jobs.attempt)
INSERT INTO results SELECT job, attempt, 'PUBLISHED', now() FROM done
"""


@dataclass(frozen=True, slots=True)
class HttpPlan:
    """So many posts by one process. `client` is kit, what the publisher calls with, or aiohttp, what that stands on."""

    url: str
    token: str
    client: str
    posts: int
    concurrency: int
    name: str

    def as_argument(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


def say(word: str) -> None:
    """To whoever has started us."""
    print(word, flush=True)


def database(url: str, batch: int) -> None:
    """Claims and completes until nothing is due."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        say("ready")
        sys.stdin.readline()
        while True:
            cursor.execute(_CLAIM, [batch])
            claimed = cursor.fetchall()
            if not claimed:
                break
            cursor.execute(_COMPLETE, [[job for job, _ in claimed], [attempt for _, attempt in claimed]])


async def http(plan: HttpPlan) -> None:
    """Posts, so many at a time."""
    numbers = itertools.count()

    async def one_after_the_other(post: Callable[[str], Awaitable[None]]) -> None:
        while (number := next(numbers)) < plan.posts:
            await post(f"{plan.name} {number}")

    # As in a service: below INFO nothing is written.
    log.configure("bench")
    async with {"kit": _with_kit, "aiohttp": _with_aiohttp}[plan.client](plan) as post:
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*(one_after_the_other(post) for _ in range(plan.concurrency)))


@contextlib.asynccontextmanager
async def _with_kit(plan: HttpPlan) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    settings = VendorHttpSettings(vendor="bench", base_url=plan.url, max_connections=plan.concurrency)
    async with VendorHttp(settings) as client:

        async def post(text: str) -> None:
            call = VendorCall(
                operation="post",
                method="POST",
                url=POSTS_PATH,
                commits=True,
                bearer=plan.token,
                json={"text": text},
            )
            (await client.call(call, timeout_seconds=30)).json()

        yield post


@contextlib.asynccontextmanager
async def _with_aiohttp(plan: HttpPlan) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    async with aiohttp.ClientSession(
        base_url=plan.url,
        connector=aiohttp.TCPConnector(limit=plan.concurrency),
        headers={"Authorization": f"Bearer {plan.token}"},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:

        async def post(text: str) -> None:
            async with session.post(POSTS_PATH, json={"text": text}) as answer:
                answer.raise_for_status()
                await answer.json()

        yield post


def main(arguments: list[str]) -> None:
    """One loop."""
    match arguments:
        case ["database", url, batch]:
            database(url, int(batch))
        case ["http", plan]:
            asyncio.run(http(HttpPlan(**json.loads(plan))))
        case _:
            raise SystemExit(__doc__)
    say("done")
    # It is looked at what this process has cost, until it is stopped.
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1:])
