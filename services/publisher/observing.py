"""What was accepted: the platform is asked until it says published or refused. It may take hours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Counter

from services.publisher import domain
from services.publisher.domain import Account, AttemptFailed, Failure, FailureKind, Publication
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Adapter, Complete, Incomplete, Processing, Tokens, Unknown

log = structlog.get_logger()

VERDICTS = Counter("reelroute_verdicts_total", "Answers to the question for a verdict.", ["answer"])

# A process that dies while asking delays the next question by so much; longer than a question may take.
CHECK_LEASE_SECONDS = 25.0
_QUESTION_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Observer:
    """Asks for verdicts. `tokens_of` gives an account's tokens."""

    ledger: Ledger
    adapters: Mapping[domain.Platform, Adapter]
    tokens_of: Callable[[Account], Tokens]

    async def take(self, room: int) -> list[Publication]:
        """At most `room` publications that may be asked for now; others do not get them for a while."""
        return await asyncio.to_thread(self.ledger.take_checks, room, CHECK_LEASE_SECONDS)

    async def check(self, publication: Publication) -> None:
        """Asks for the verdict on one. An unexpected error is logged, and it is asked for again later."""
        try:
            await self._ask(publication)
        except Exception as error:
            VERDICTS.labels("broken").inc()
            log.error("asking for a verdict broke", delivery_id=str(publication.delivery_id), exc_info=error)

    async def _ask(self, publication: Publication) -> None:
        try:
            account = await asyncio.to_thread(self.ledger.account, publication)
            adapter = self.adapters[account.platform]
            options = publication.options.get(account.platform.value.lower(), {})
            answer = await adapter.ask(account, options, publication.handle, self.tokens_of(account))
        except AttemptFailed as error:
            # No failure of the question is a verdict, but whoever looks at the post must see why there is none yet.
            VERDICTS.labels("unanswered").inc()
            if error.failure.kind is not FailureKind.RATE_LIMITED:
                text = f"Asking for the verdict failed: {error.failure.message} It is asked for again."
                await asyncio.to_thread(self.ledger.unanswered, publication, text)
            await self._wait(publication, _patience(error.failure))
            return
        VERDICTS.labels(type(answer).__name__.lower()).inc()
        match answer:
            case Complete(verdict=verdict, settled=True):
                await asyncio.to_thread(self.ledger.published, publication, verdict)
            case Complete(verdict=verdict) if _waited(publication, domain.PUBLIC_ID_PATIENCE):
                await asyncio.to_thread(self.ledger.published, publication, verdict)
            case Unknown() if _waited(publication, domain.UNKNOWN_HANDLE_PATIENCE):
                failure = domain.unknown_outcome(f"{answer.message} It had everything, and may have published it.")
                await asyncio.to_thread(self.ledger.refused, publication, failure)
            case Failure():
                await asyncio.to_thread(self.ledger.refused, publication, answer)
            case Complete() | Processing() | Incomplete() | Unknown():
                await self._wait(publication)

    async def _wait(self, publication: Publication, seconds: float | None = None) -> None:
        """No verdict yet: it is asked for again, but not for ever."""
        if _waited(publication, domain.VERDICT_PATIENCE):
            days = domain.VERDICT_PATIENCE.days
            failure = domain.unknown_outcome(f"The platform had everything, and gave no verdict in {days} days.")
            await asyncio.to_thread(self.ledger.refused, publication, failure)
        else:
            await asyncio.to_thread(self.ledger.still_open, publication, seconds)


def _waited(publication: Publication, patience: timedelta) -> bool:
    """Whether the platform has had so much time since it took everything."""
    accepted = publication.accept_time
    return accepted is not None and datetime.now(UTC) - accepted > patience


def _patience(failure: Failure) -> float | None:
    """How long to wait after a question that got no answer, seconds; None: by the usual plan."""
    if failure.kind is FailureKind.RATE_LIMITED and failure.retry_time:
        return max(1.0, (failure.retry_time - datetime.now(UTC)).total_seconds())
    return 300.0 if failure.kind is FailureKind.ACCOUNT else None
