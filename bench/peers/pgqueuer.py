"""pgqueuer, set up as its guide to performance tuning says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
from pgqueuer import PgQueuer, Queries
from pgqueuer.models import Job as Row

from bench.peers import job
from bench.peers.plan import Plan

# The best of 10 (its default), 25, 50, 100, 200 and 500, with and without a limit of what is in work.
_BATCH = 50
_IN_WORK = 200
_POLL = timedelta(milliseconds=10)
_AT = """
UPDATE pgqueuer SET execute_after = to_timestamp($1::float8 + convert_from(payload, 'UTF8')::float8 / $2::float8)
"""


async def fill(plan: Plan) -> None:
    """Puts the jobs in. Its tables are durable, the default."""
    connection = await asyncpg.connect(plan.database_url)
    queries = Queries.from_asyncpg_connection(connection)
    await queries.install()
    await queries.optimize_autovacuum()
    for first in range(0, plan.jobs, 2000):
        numbers = range(first, min(first + 2000, plan.jobs))
        now = datetime.now(UTC)
        await queries.enqueue(
            ["publish"] * len(numbers),
            [str(number).encode() for number in numbers],
            [0] * len(numbers),
            [plan.due_time(number) - now for number in numbers],
        )
    if plan.per_second:
        # It takes a time from now, which would add the time of the insert to each.
        await connection.execute(_AT, plan.first_due, plan.per_second)
    await connection.close()


async def work(plan: Plan) -> None:
    """A worker."""
    async with (
        job.opened(plan) as each,
        asyncpg.create_pool(plan.database_url, min_size=4, max_size=4) as pool,
    ):
        queuer = PgQueuer.from_asyncpg_pool(pool)
        # How soon it looks again for a job whose time comes; 100 ms if nothing is said.
        queuer.qm.min_dequeue_poll_interval = _POLL

        async def publish(row: Row) -> None:
            await each.run(int(row.payload or b""))

        queuer.entrypoint("publish")(publish)
        await job.told_to_go()
        await queuer.run(batch_size=_BATCH, max_concurrent_tasks=_IN_WORK)


if __name__ == "__main__":
    job.main(fill, work)
