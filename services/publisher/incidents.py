"""Incidents: when a platform fails for many accounts nothing is sent to it, until harmless probes work again.

Each process counts the calls of the last minute. The first that sees a jump of failures opens the incident, which holds
the platform's deliveries at the scheduler and is told once. One process at a time probes. What is in work when an
incident opens, ends without a try being counted.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from prometheus_client import Gauge

from kit import context
from kit.activity import INSTALLATION, activities, activity_request
from kit.db import ALL_WORKSPACES, Database
from kit.outbox import Notice
from services.publisher import account_store, domain, incident_store, reports, store
from services.publisher.domain import Account, AttemptFailed, Failure, FailureKind, Incident, Platform
from services.publisher.platforms.base import Adapter, Tokens, Uncertain

log = structlog.get_logger()

OPEN = Gauge("reelroute_incidents_open", "Whether an incident of a platform is open.", ["platform"])
_LOOK_SECONDS = 1.0
_PROBE_SECONDS = 20.0
# Faults on our own side: they say nothing of the platform.
_OURS = ("MEDIA_", "TOKEN_", "ATTEMPT_")


@dataclass(slots=True)
class _Calls:
    """Calls of a platform within the window: failures with their account, and successes."""

    failures: deque[tuple[float, UUID]] = field(default_factory=deque)
    successes: deque[float] = field(default_factory=deque)

    def forget(self, before: float) -> None:
        while self.failures and self.failures[0][0] < before:
            self.failures.popleft()
        while self.successes and self.successes[0] < before:
            self.successes.popleft()

    def clear(self) -> None:
        self.failures.clear()
        self.successes.clear()


class Incidents:
    """How the platforms are, as this process sees it and as all agreed."""

    def __init__(
        self, database: Database, adapters: Mapping[Platform, Adapter], tokens_of: Callable[[Account], Tokens]
    ) -> None:
        self._database = database
        self._adapters = adapters
        self._tokens_of = tokens_of
        self._calls = {platform: _Calls() for platform in adapters}
        self._open: dict[Platform, Incident] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def check(self, platform: Platform) -> None:
        """Raises AttemptFailed(PLATFORM) while an incident of the platform is open."""
        incident = self._open.get(platform)
        if incident is not None:
            raise AttemptFailed(
                Failure(
                    FailureKind.PLATFORM,
                    "PLATFORM_INCIDENT",
                    f"{platform.title} has been failing since {incident.start_time:%H:%M:%S} UTC: {incident.cause} It"
                    " is probed, and the post goes out when it works again.",
                )
            )

    def note_success(self, account: Account) -> None:
        """A call worked."""
        calls, now = self._calls[account.platform], asyncio.get_running_loop().time()
        calls.successes.append(now)
        calls.forget(now - domain.HEALTH_WINDOW_SECONDS)

    def note_failure(self, account: Account, error: AttemptFailed | Uncertain) -> None:
        """A call failed; opens an incident at a jump of failures."""
        if isinstance(error, AttemptFailed):
            failure = error.failure
            if failure.kind is not FailureKind.TRANSIENT or failure.reason.startswith(_OURS):
                return
        if account.platform in self._open:
            return
        calls, now = self._calls[account.platform], asyncio.get_running_loop().time()
        calls.failures.append((now, account.account_id))
        calls.forget(now - domain.HEALTH_WINDOW_SECONDS)
        if not domain.is_incident([each for _, each in calls.failures], len(calls.successes)):
            return
        calls.clear()
        # In a context of its own: its log lines are not those of the delivery that came first.
        task = asyncio.create_task(self._begin(account.platform, str(error)), context=contextvars.Context())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _begin(self, platform: Platform, cause: str) -> None:
        try:
            incident = await asyncio.to_thread(self._store_open, platform, cause)
        except Exception as error:
            # The next failures open it.
            log.warning("an incident could not be opened", platform=platform.value, exc_info=error)
            return
        if incident is not None:
            log.warning("incident opened", platform=platform.value, cause=cause)
            self._open[platform] = incident

    def _store_open(self, platform: Platform, cause: str) -> Incident | None:
        with self._database.transaction(ALL_WORKSPACES) as tx:
            incident = incident_store.open_incident(tx, platform, cause, domain.probe_wait(0, passed=False))
            if incident is None:
                return None
            text = (
                f"{platform.title} fails for many accounts: {incident.cause} Nothing is sent to it until it works"
                " again; no try is counted."
            )
            store.tell(
                tx,
                [
                    reports.platform_hold(platform, text),
                    *_told(incident, "incident.opened", text, incident.start_time),
                ],
            )
        return incident

    async def watch(self) -> None:
        """Looks for incidents of other processes, and probes, until canceled."""
        while True:
            try:
                await self._look()
            except Exception as error:
                log.warning("looking after incidents failed", exc_info=error)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        found = await asyncio.to_thread(self._read_open)
        self._open = {incident.platform: incident for incident in found}
        for platform, calls in self._calls.items():
            OPEN.labels(platform.value).set(platform in self._open)
            if platform in self._open:
                # What failed before it was known must not open the next one.
                calls.clear()
        if found and (incident := await asyncio.to_thread(self._take_probe)) is not None:
            await self._probe(incident)

    async def _probe(self, incident: Incident) -> None:
        account = await asyncio.to_thread(self._account, incident.platform)
        passed = True
        if account is not None:
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    with context.about(workspace_id=account.workspace_id, account_id=account.account_id):
                        await self._adapters[incident.platform].probe(account, self._tokens_of(account))
            except (AttemptFailed, TimeoutError) as error:
                # What the account itself cannot do is no trouble of the platform.
                kind = error.failure.kind if isinstance(error, AttemptFailed) else FailureKind.TRANSIENT
                passed = kind is not FailureKind.TRANSIENT
        ended = await asyncio.to_thread(self._store_probe, incident, passed)
        log.info("platform probed", platform=incident.platform.value, passed=passed, ended=ended)
        if ended:
            self._open.pop(incident.platform, None)

    def _read_open(self) -> list[Incident]:
        with self._database.transaction(ALL_WORKSPACES) as tx:
            return incident_store.open_incidents(tx)

    def _take_probe(self) -> Incident | None:
        with self._database.transaction(ALL_WORKSPACES) as tx:
            return incident_store.take_probe(tx, list(self._adapters), _PROBE_SECONDS + 5)

    def _account(self, platform: Platform) -> Account | None:
        with self._database.transaction(ALL_WORKSPACES) as tx:
            found = incident_store.some_account(tx, platform)
            return account_store.read_account(tx, *found) if found else None

    def _store_probe(self, incident: Incident, passed: bool) -> bool:
        """Records a probe; True when it ended the incident."""
        passes = incident.passed_probes + 1 if passed else 0
        with self._database.transaction(ALL_WORKSPACES) as tx:
            if passes < domain.INCIDENT_PASSES:
                wait = domain.probe_wait(incident.probes, passed=passed)
                incident_store.set_probe(tx, incident, passes, wait)
                return False
            end = incident_store.close_incident(tx, incident)
            if end is None:
                return False
            minutes = max(1, round((end - incident.start_time).total_seconds() / 60))
            text = (
                f"{incident.platform.title} works again after about {minutes} min and {incident.probes} probes."
                " What waited goes out, paced, under its lateness rule."
            )
            store.tell(tx, [reports.platform_free(incident.platform), *_told(incident, "incident.closed", text, end)])
        return True


def _told(incident: Incident, kind: str, text: str, time: datetime) -> list[Notice]:
    attributes = {"platform": incident.platform.value.lower(), "incident_id": str(incident.incident_id)}
    return activities([activity_request(INSTALLATION, kind, text, time, attributes=attributes)])
