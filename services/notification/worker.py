"""Sending messages: one sender per target, so that a target that is slow or gone holds up no other.

A sender claims one message at a time (lease by the database's clock), sends it outside any transaction, and records
the outcome under the attempt number of its claim.

* The process dies, or the database is gone, between sending and recording: the lease ends and the message is sent
  again. It may reach people twice. That is meant: a doubled message does less harm than a lost one.
* An attempt takes longer than its limit: it counts as failed and the next one waits its turn; the attempt is left
  to end by itself, and no more than ABANDONED_ATTEMPTS of them at a time. A late success changes nothing.
* The last attempt was cut off, or the target left the configuration: `sweep` ends the send as FAILED with the reason.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping

import structlog
from prometheus_client import Counter

from kit.db import ALL_WORKSPACES, Database
from kit.loop import Loop
from services.notification import store
from services.notification.domain import ClaimedSend, RetryPolicy
from services.notification.targets import NotSent, Target

log = structlog.get_logger()

SENDS = Counter("reelroute_notification_sends_total", "Attempts to send a message, by result.", ["target", "result"])

ABANDONED_ATTEMPTS = 4
# The lease outlives the attempt's limit by so much, for recording the outcome.
_LEASE_MARGIN_SECONDS = 15.0
_UNKNOWN_TARGET_GRACE_SECONDS = 3600.0
_DELETE_BATCH = 1000


class Sender:
    """Sends what waits for one target. `run_once` is for a `kit.loop.Loop`."""

    def __init__(
        self, database: Database, name: str, target: Target, policy: RetryPolicy, *, limit_seconds: float
    ) -> None:
        self._database = database
        self._name = name
        self._target = target
        self._policy = policy
        self._limit_seconds = limit_seconds
        self._abandoned: list[threading.Thread] = []

    def run_once(self) -> bool:
        """One message; True when there may be more."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        if len(self._abandoned) >= ABANDONED_ATTEMPTS:
            log.warning("a target does not answer, waiting for it", target=self._name)
            return False
        with self._database.transaction(ALL_WORKSPACES) as tx:
            claimed = store.claim_send(
                tx,
                self._name,
                lease_seconds=self._limit_seconds + _LEASE_MARGIN_SECONDS,
                max_attempts=self._policy.attempts,
            )
        if claimed is None:
            return False
        error = self._attempt(claimed)
        if error:
            self._record_failure(claimed, error)
        else:
            with self._database.transaction(ALL_WORKSPACES) as tx:
                store.mark_sent(tx, claimed)
            SENDS.labels(self._name, "sent").inc()
        return True

    def _attempt(self, claimed: ClaimedSend) -> str:
        """Sends; returns why it failed, empty after success."""
        outcome = ["The target did not answer in time. The message may have arrived."]

        def send() -> None:
            try:
                self._target.send(claimed)
                outcome[0] = ""
            except NotSent as refusal:
                outcome[0] = str(refusal)
            except Exception as error:  # noqa: BLE001 - the text of a foreign error may hold the address: only its class is told
                outcome[0] = f"The target's program failed ({type(error).__name__})."

        # A daemon of its own: neither our next round nor the end of the process waits for a target that hangs.
        thread = threading.Thread(target=send, name=f"send-{self._name}", daemon=True)
        thread.start()
        thread.join(self._limit_seconds)
        if thread.is_alive():
            self._abandoned.append(thread)
        return outcome[0]

    def _record_failure(self, claimed: ClaimedSend, error: str) -> None:
        wait = self._policy.wait_seconds(claimed.attempt, random.random())  # noqa: S311 - spreads retries, no secret
        with self._database.transaction(ALL_WORKSPACES) as tx:
            store.mark_unsent(tx, claimed, error, wait)
        SENDS.labels(self._name, "failed" if wait is None else "retried").inc()
        facts = {
            "target": self._name,
            "workspace_id": str(claimed.workspace_id),
            "message_id": str(claimed.message_id),
            "attempt": claimed.attempt,
            "reason": error,
        }
        if wait is None:
            log.error("message given up", **facts)
        else:
            log.warning("message not sent", retry_in_seconds=round(wait), **facts)


def build_loops(
    database: Database,
    targets: Mapping[str, Target],
    policy: RetryPolicy,
    *,
    limit_seconds: float,
    poll_seconds: float,
) -> list[Loop]:
    """A loop for each target. Wake them all when messages were made."""
    return [
        Loop(
            f"send-{name}",
            Sender(database, name, target, policy, limit_seconds=limit_seconds).run_once,
            poll_seconds,
        )
        for name, target in targets.items()
    ]


def sweep(database: Database, targets: Mapping[str, Target], policy: RetryPolicy) -> int:
    """Ends sends that nobody would ever take; returns how many."""
    with database.transaction(ALL_WORKSPACES) as tx:
        ended = store.give_up_sends(
            tx, list(targets), max_attempts=policy.attempts, grace_seconds=_UNKNOWN_TARGET_GRACE_SECONDS
        )
    if ended:
        log.error("messages given up", count=ended)
    return ended


def delete_old(database: Database, keep_days: int) -> int:
    """Deletes activities older than `keep_days`, batch by batch; returns how many."""
    deleted = 0
    while True:
        with database.transaction(ALL_WORKSPACES) as tx:
            batch = store.delete_old_activities(tx, keep_days, _DELETE_BATCH)
        deleted += batch
        if batch < _DELETE_BATCH:
            return deleted
