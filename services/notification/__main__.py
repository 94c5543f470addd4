"""Wires notification together and runs it: `python -m services.notification [migrate]`."""

from __future__ import annotations

import sys

from reelroute.notification.v1.notification_pb2_grpc import add_NotificationServiceServicer_to_server

from kit.listen import Listener
from kit.service import Duty, main, open_database, serve
from services.notification import store, worker
from services.notification.api import NotificationApi
from services.notification.config import NotificationConfig
from services.notification.domain import RetryPolicy
from services.notification.targets import TargetUnusable, build_targets


def run(config: NotificationConfig) -> None:
    """Serves until told to stop."""
    try:
        targets = build_targets(config.notify_targets)
    except TargetUnusable as problem:
        sys.exit(str(problem))
    database = open_database(store.SCHEMA, config)
    policy = RetryPolicy(config.notify_attempts, config.notify_first_retry_seconds)
    loops = worker.build_loops(
        database,
        targets,
        policy,
        limit_seconds=config.notify_send_limit_seconds,
        poll_seconds=config.notify_poll_seconds,
    )

    def wake_senders() -> None:
        for loop in loops:
            loop.wake()

    serve(
        store.SCHEMA,
        config,
        servicers=[
            (
                add_NotificationServiceServicer_to_server,
                NotificationApi(database, targets),
                "reelroute.notification.v1.NotificationService",
            )
        ],
        parts=[*loops, Listener(database.url, {store.SENDS_CHANNEL: wake_senders})],
        duties=[
            Duty("sweep sends", 60, lambda: worker.sweep(database, targets, policy)),
            Duty("delete old activities", 3600, lambda: worker.delete_old(database, config.activity_keep_days)),
        ],
    )
    database.close()


if __name__ == "__main__":
    main(store.SCHEMA, NotificationConfig, run)
