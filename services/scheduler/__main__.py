"""Starts the scheduler: `python -m services.scheduler`, and `… migrate` to prepare its schema."""

from __future__ import annotations

from prometheus_client import Gauge
from reelroute.scheduler.v1 import scheduler_pb2_grpc

from kit import outbox, service
from kit.db import ALL_WORKSPACES, Database
from kit.idempotency import forget
from kit.listen import Listener
from kit.loop import Loop
from services.scheduler import store
from services.scheduler.api import SchedulerApi
from services.scheduler.config import SchedulerConfig
from services.scheduler.domain import RetryPolicy
from services.scheduler.waiting import DueBell

WAITING = Gauge("reelroute_deliveries", "Deliveries that are due, or claimed.", ["state"])
OLDEST_CLAIM = Gauge("reelroute_oldest_claim_seconds", "How long the oldest claim has been held.")


def run(config: SchedulerConfig) -> None:
    """Wires the service and serves until it is told to stop."""
    database = service.open_database(store.SCHEMA, config)
    bell = DueBell()
    channels = outbox.open_channels(
        {"notification": config.notification_address}, config.service_token.get_secret_value()
    )
    relay = Loop("outbox relay", outbox.Relay(database, channels).run_once, interval_seconds=5)
    listener = Listener(database.url, {store.DUE_CHANNEL: bell.ring, f"{store.SCHEMA}_outbox": relay.wake})
    policy = RetryPolicy(config.max_attempts, config.retry_first_seconds, config.retry_longest_seconds)
    service.serve(
        store.SCHEMA,
        config,
        servicers=[
            (
                scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server,
                SchedulerApi(database, bell, policy, poll_seconds=config.poll_seconds),
                "reelroute.scheduler.v1.SchedulerService",
            )
        ],
        parts=[relay, listener],
        duties=[
            service.Duty("wake the claimers", config.poll_seconds, bell.ring),
            service.Duty("sweep expired leases", 2, lambda: sweep(database, bell)),
            service.Duty("forget answered requests", 3600, lambda: forget(database, store.requests)),
        ],
        on_drain=bell.close,
    )


def sweep(database: Database, bell: DueBell) -> None:
    """Wakes the claimers when a lease has ended, and measures what waits."""
    with database.transaction(ALL_WORKSPACES) as tx:
        until_due = store.seconds_until_due(tx, lead_seconds=0)
        for state, count in store.count_by_state(tx).items():
            WAITING.labels(state).set(count)
        OLDEST_CLAIM.set(store.oldest_claim_seconds(tx))
    if until_due is not None and until_due <= 0:
        bell.ring()


if __name__ == "__main__":
    service.main("scheduler", SchedulerConfig, run)
