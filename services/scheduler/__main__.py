"""Starts the scheduler: `python -m services.scheduler`, and `… migrate` to prepare its schema."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client import Gauge
from reelroute.scheduler.v1 import bulk_pb2_grpc, plans_pb2_grpc, scheduler_pb2_grpc, series_pb2_grpc

from kit import outbox, service
from kit.db import ALL_WORKSPACES, Database
from kit.idempotency import forget
from kit.listen import Listener
from kit.loop import Loop
from services.scheduler import dispatch, dispatch_store, holding, series_making, store
from services.scheduler.api import SchedulerApi
from services.scheduler.bulk_api import BulkApi
from services.scheduler.config import SchedulerConfig
from services.scheduler.domain import Policy
from services.scheduler.plan_api import PlanApi
from services.scheduler.series_api import SeriesApi
from services.scheduler.tables import requests
from services.scheduler.waiting import DueBell
from services.scheduler.zone_watch import ZoneWatch

WAITING = Gauge("reelroute_deliveries", "Deliveries that are due, claimed or held.", ["state"])
OLDEST_CLAIM = Gauge("reelroute_oldest_claim_seconds", "How long the oldest claim has been held.")
OLDEST_DUE = Gauge("reelroute_oldest_due_seconds", "For how long the oldest due delivery has waited for a claim.")
_LEFTOVERS = 5000


def run(config: SchedulerConfig) -> None:
    """Wires the service and serves until it is told to stop."""
    database = service.open_database(store.SCHEMA, config)
    bell = DueBell()
    channels = outbox.open_channels(
        {"notification": config.notification_address}, config.service_token.get_secret_value()
    )
    relay = Loop("outbox relay", outbox.Relay(database, channels).run_once, interval_seconds=5)
    listener = Listener(database.url, {store.DUE_CHANNEL: bell.ring, f"{store.SCHEMA}_outbox": relay.wake})
    policy = Policy(
        max_attempts=config.max_attempts,
        first_seconds=config.retry_first_seconds,
        longest_seconds=config.retry_longest_seconds,
        max_crashes=config.max_crashes,
        catch_up_gap_seconds=config.catch_up_gap_seconds,
        outage_seconds=config.outage_seconds,
    )
    bulk = BulkApi(database)
    ahead = timedelta(days=config.series_horizon_days)
    zone_watch = ZoneWatch(database)

    def let_go() -> None:
        bell.close()
        bulk.close()

    service.serve(
        store.SCHEMA,
        config,
        servicers=[
            (
                scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server,
                SchedulerApi(database, bell, policy, poll_seconds=config.poll_seconds),
                "reelroute.scheduler.v1.SchedulerService",
            ),
            (
                bulk_pb2_grpc.add_BulkServiceServicer_to_server,
                bulk,
                "reelroute.scheduler.v1.BulkService",
            ),
            (
                plans_pb2_grpc.add_PlanServiceServicer_to_server,
                PlanApi(database, policy),
                "reelroute.scheduler.v1.PlanService",
            ),
            (
                series_pb2_grpc.add_SeriesServiceServicer_to_server,
                SeriesApi(database, ahead),
                "reelroute.scheduler.v1.SeriesService",
            ),
        ],
        parts=[relay, listener, Loop("zone watch", zone_watch.run_once, interval_seconds=3600)],
        duties=[
            service.Duty("wake the claimers", config.poll_seconds, bell.ring),
            service.Duty("sweep expired leases", 2, lambda: sweep(database, bell)),
            service.Duty("watch for stalls", 10, lambda: watch(database)),
            service.Duty("give back what lifted holds kept", 5, lambda: holding.give_back(database, policy)),
            service.Duty("make the posts of series", 60, lambda: series_making.make_ahead(database, ahead)),
            service.Duty("move finished deliveries of the version before", 60, lambda: archive(database)),
            service.Duty("forget answered requests", 3600, lambda: forget(database, requests)),
        ],
        on_drain=let_go,
    )


def sweep(database: Database, bell: DueBell) -> None:
    """Wakes the claimers when a lease has ended, and measures what waits."""
    with database.transaction(ALL_WORKSPACES) as tx:
        until_due = dispatch_store.seconds_until_due(tx, lead_seconds=0)
        for state, count in dispatch_store.count_by_state(tx).items():
            WAITING.labels(state).set(count)
        claim, due = dispatch_store.oldest_ages(tx)
        OLDEST_CLAIM.set(claim)
        OLDEST_DUE.set(due)
    if until_due is not None and until_due <= 0:
        bell.ring()


def watch(database: Database) -> None:
    """Tells of claims that do not move on."""
    with database.transaction(ALL_WORKSPACES) as tx:
        dispatch.tell_stalled(tx)


def archive(database: Database) -> None:
    """Moves what is finished out of the table that claims read."""
    moved = _LEFTOVERS
    while moved == _LEFTOVERS:
        with database.transaction(ALL_WORKSPACES) as tx:
            moved = dispatch_store.archive_leftovers(tx, _LEFTOVERS)


if __name__ == "__main__":
    service.main("scheduler", SchedulerConfig, run)
