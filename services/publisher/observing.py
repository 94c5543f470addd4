"""What was accepted: the platform is asked until it says published or refused. It may take hours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter

from services.publisher import domain
from services.publisher.domain import Account, AttemptFailed, Failure, FailureKind, Publication
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Adapter, Complete, Incomplete, Processing, Tokens, Unknown

log = structlog.get_logger()

VERDICTS = Counter("reelroute_verdicts_total", "Answers to the question for a verdict.", ["answer"])

# Longer than a question may take; a process that dies while asking delays the next question by so much.
CHECK_LEASE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Observer:
    """Asks for verdicts. `tokens_of` gives an account's tokens."""

    ledger: Ledger
    adapters: Mapping[domain.Platform, Adapter]
    tokens_of: Callable[[Account], Tokens]
    batch: int

    async def run_once(self) -> int:
        """Asks for what may be asked for now, side by side; returns how many that were."""
        taken = await asyncio.to_thread(self.ledger.take_checks, self.batch, CHECK_LEASE_SECONDS)
        await asyncio.gather(*(self._check(publication, account) for publication, account in taken))
        return len(taken)

    async def _check(self, publication: Publication, account: Account) -> None:
        try:
            await self._ask(publication, account)
        except Exception as error:
            VERDICTS.labels("broken").inc()
            log.error("asking for a verdict broke", delivery_id=str(publication.delivery_id), exc_info=error)

    async def _ask(self, publication: Publication, account: Account) -> None:
        adapter = self.adapters[account.platform]
        options = publication.options.get(account.platform.value.lower(), {})
        try:
            answer = await adapter.ask(account, options, publication.handle, self.tokens_of(account))
        except AttemptFailed as error:
            # No failure of the question is a verdict.
            VERDICTS.labels("unanswered").inc()
            await asyncio.to_thread(self.ledger.still_open, publication, _patience(error.failure))
            return
        VERDICTS.labels(type(answer).__name__.lower()).inc()
        match answer:
            case Complete(verdict=verdict, settled=True):
                await asyncio.to_thread(self.ledger.published, publication, verdict)
            case Complete(verdict=verdict) if _waited_long(publication):
                await asyncio.to_thread(self.ledger.published, publication, verdict)
            case Complete() | Processing() | Incomplete():
                await asyncio.to_thread(self.ledger.still_open, publication)
            case Failure():
                await asyncio.to_thread(self.ledger.refused, publication, answer)
            case Unknown():
                failure = domain.unknown_outcome(f"{answer.message} It had everything, and may have published it.")
                await asyncio.to_thread(self.ledger.refused, publication, failure)


def _waited_long(publication: Publication) -> bool:
    """Whether a complete public post has had its time to show a public id."""
    accepted = publication.accept_time
    return accepted is not None and datetime.now(UTC) - accepted > domain.PUBLIC_ID_PATIENCE


def _patience(failure: Failure) -> float | None:
    """How long to wait after a question that got no answer, seconds; None: by the usual plan."""
    if failure.kind is FailureKind.RATE_LIMITED and failure.retry_time:
        return max(1.0, (failure.retry_time - datetime.now(UTC)).total_seconds())
    return 300.0 if failure.kind is FailureKind.ACCOUNT else None
