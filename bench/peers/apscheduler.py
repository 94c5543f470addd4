"""APScheduler 3 with SQLAlchemyJobStore. Its manual forbids that processes share a store: each worker has its own."""

from __future__ import annotations

import asyncio

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bench.peers import job
from bench.peers.job import Job
from bench.peers.plan import Plan

# A stored job names a function, so what it works with is found here. It starts all that are due at once.
_running: dict[str, tuple[Job, asyncio.Semaphore]] = {}


async def publish(number: int) -> None:
    """The job as it is stored."""
    each, places = _running["job"]
    async with places:
        await each.run(number)


async def fill(plan: Plan) -> None:
    """Puts the jobs in: every worker's into its own store."""
    for worker in range(plan.workers):
        scheduler = _scheduler(plan, worker)
        scheduler.start(paused=True)
        for number in range(worker, plan.jobs, plan.workers):
            scheduler.add_job(publish, "date", run_date=plan.due_time(number), args=[number], misfire_grace_time=None)
        scheduler.shutdown()


async def work(plan: Plan) -> None:
    """A worker."""
    async with job.opened(plan) as each:
        _running["job"] = each, asyncio.Semaphore(plan.concurrency)
        scheduler = _scheduler(plan, plan.worker)
        await job.told_to_go()
        scheduler.start()
        await asyncio.Event().wait()


def _scheduler(plan: Plan, worker: int) -> AsyncIOScheduler:
    url = plan.database_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    store = SQLAlchemyJobStore(url, tablename=f"jobs_of_worker_{worker}")
    return AsyncIOScheduler(jobstores={"default": store}, timezone="UTC")


if __name__ == "__main__":
    # Stored jobs name a module, which is not __main__.
    from bench.peers import apscheduler

    job.main(apscheduler.fill, apscheduler.work)
