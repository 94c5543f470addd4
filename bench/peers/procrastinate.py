"""procrastinate, with its asynchronous connector and concurrent jobs."""

from __future__ import annotations

import asyncio

from procrastinate import App, PsycopgConnector

from bench.peers import job
from bench.peers.plan import Plan

# The lowest at which two workers do not spend a core on asking; it listens for new jobs, not for due ones.
_POLL_SECONDS = 0.02
_TASK = "publish"


async def fill(plan: Plan) -> None:
    """Puts the jobs in."""
    app = App(connector=PsycopgConnector(conninfo=plan.database_url, max_size=16))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for first in range(0, plan.jobs, 100):
            numbers = range(first, min(first + 100, plan.jobs))
            if plan.per_second:
                await asyncio.gather(
                    *(
                        app.configure_task(_TASK, schedule_at=plan.due_time(number)).defer_async(number=number)
                        for number in numbers
                    )
                )
            else:
                deferrer = app.configure_task(_TASK, schedule_at=plan.due_time(first))
                await deferrer.batch_defer_async(*({"number": number} for number in numbers))


async def work(plan: Plan) -> None:
    """A worker."""
    app = App(connector=PsycopgConnector(conninfo=plan.database_url, min_size=16, max_size=16))
    async with job.opened(plan) as each, app.open_async():

        async def publish(number: int) -> None:
            await each.run(number)

        app.task(name=_TASK)(publish)
        await job.told_to_go()
        await app.run_worker_async(
            concurrency=plan.concurrency, fetch_job_polling_interval=_POLL_SECONDS, delete_jobs="successful"
        )


if __name__ == "__main__":
    job.main(fill, work)
