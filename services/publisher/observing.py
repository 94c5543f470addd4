"""What is open at a platform is asked about until it is known: verdicts, uncertain outcomes, and whether a public post
is still there. It may take hours. A question is harmless, so any process may ask it again at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Counter

from kit import context
from services.publisher import domain
from services.publisher.accounts import Accounts
from services.publisher.domain import (
    Account,
    AttemptFailed,
    Failure,
    FailureKind,
    Fenced,
    Publication,
    Restored,
    Step,
)
from services.publisher.incidents import Incidents
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import (
    Absent,
    Adapter,
    Answer,
    Complete,
    Found,
    Gone,
    Incomplete,
    Processing,
    Search,
    Taken,
    Tokens,
    Unknown,
    Unsettled,
)

log = structlog.get_logger()

VERDICTS = Counter("reelroute_verdicts_total", "Answers to the question for a verdict.", ["answer"])

# A process that dies while asking delays the next question by so much; longer than a question may take.
CHECK_LEASE_SECONDS = 25.0
# Our clock and the platform's may differ by so much.
_SKEW = timedelta(minutes=2)

_NOTHING_CAME = Failure(
    FailureKind.TRANSIENT,
    "NOTHING_ARRIVED",
    "The publishing call had no answer, and the platform shows that nothing came of it.",
)
_STOPPED = Failure(
    # It waits under the pause, and no try is counted.
    FailureKind.PLATFORM,
    "STOPPED",
    "It was stopped by a pause, while the platform was still fetching its files.",
)
_INTERRUPTED = Failure(
    FailureKind.TRANSIENT, "UPLOAD_INTERRUPTED", "The upload broke off before its end; it goes on where it stands."
)


async def _never(_publication: Publication, _account: Account) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Observer:
    """Asks about what is open. `is_paused` says whether people have stopped a publication since it went out: what can
    still be stopped then is.
    """

    ledger: Ledger
    adapters: Mapping[domain.Platform, Adapter]
    accounts: Accounts
    incidents: Incidents
    is_paused: Callable[[Publication, Account], Awaitable[bool]] = _never

    async def take(self, room: int) -> list[Publication]:
        """At most `room` publications that may be asked about now; others do not get them for a while."""
        return await asyncio.to_thread(self.ledger.take_checks, room, CHECK_LEASE_SECONDS)

    async def check(self, publication: Publication) -> None:
        """Asks about one. An unexpected error is logged, and it is asked again later."""
        about = context.about(
            workspace_id=publication.workspace_id,
            post_id=publication.post_id,
            delivery_id=publication.delivery_id,
            account_id=publication.account_id,
        )
        try:
            with about:
                await self._check(publication)
        except Fenced:
            # Another attempt or a person was first: what they found stands.
            VERDICTS.labels("fenced").inc()
        except Exception as error:
            VERDICTS.labels("broken").inc()
            log.error("asking a platform broke", delivery_id=str(publication.delivery_id), exc_info=error)

    async def _check(self, publication: Publication) -> None:
        account: Account | None = None
        try:
            account, tokens = await self.accounts.of(publication)
            adapter = self.adapters[account.platform]
            if publication.step is Step.UNCERTAIN and not publication.handle:
                await self._search(publication, adapter, account, tokens)
                return
            options = publication.options.get(account.platform.value.lower(), {})
            answer = await adapter.ask(account, options, publication.handle, tokens)
            if (
                isinstance(answer, Processing)
                and answer.can_be_stopped
                and await self.is_paused(publication, account)
                and await adapter.stop(account, publication.handle, tokens)
            ):
                answer = _STOPPED
        except AttemptFailed as error:
            if account is not None:
                self.incidents.note_failure(account, error)
            await self._unanswered(publication, error.failure)
            return
        self.incidents.note_success(account)
        VERDICTS.labels(type(answer).__name__.lower()).inc()
        if publication.step is Step.PUBLISHED:
            gone = isinstance(answer, Gone) or _is_hidden(publication, answer)
            await (self.ledger.removed(publication) if gone else self.ledger.still_open(publication))
        elif publication.step is Step.UNCERTAIN:
            await self._settle(publication, adapter, answer)
        else:
            await self._verdict(publication, adapter, answer)

    async def _unanswered(self, publication: Publication, failure: Failure) -> None:
        """No failure of the question is a verdict, but whoever looks at the post must see why there is none yet."""
        VERDICTS.labels("unanswered").inc()
        message = ""
        if failure.kind is not FailureKind.RATE_LIMITED and publication.step is not Step.PUBLISHED:
            text = f"Asking the platform failed: {failure.message} It is asked again."
            if await asyncio.to_thread(self.ledger.last_line, publication) != text:
                message = text  # said once, however often the same comes again
        await self._wait(publication, _patience(failure), message)

    async def _verdict(self, publication: Publication, adapter: Adapter, answer: Answer) -> None:
        """What was accepted."""
        watch = adapter.traits.tells_removal
        match answer:
            case Complete(verdict=verdict, settled=True):
                await self.ledger.published(publication, verdict, watch=watch)
            case Complete(verdict=verdict) if _waited(publication.accept_time, domain.PUBLIC_ID_PATIENCE):
                await self.ledger.published(publication, verdict, watch=watch)
            case Unknown(message=message) if _waited(publication.accept_time, domain.UNKNOWN_HANDLE_PATIENCE):
                await self.ledger.uncertain(publication, message, needs_person=True)
            case Gone():
                failure = Failure(FailureKind.REJECTED, "REMOVED", "The platform took it, and no longer shows it.")
                await self.ledger.refused(publication, failure)
            case Failure():
                await self.ledger.refused(publication, answer)
            case _:
                await self._wait(publication)

    async def _settle(self, publication: Publication, adapter: Adapter, answer: Answer) -> None:
        """What is uncertain and has a handle."""
        settled = _waited(publication.doubt_time, domain.SETTLE_PATIENCE)
        match answer:
            case Complete(verdict=verdict, settled=True):
                taken = Taken(verdict=verdict)
                await self.ledger.taken(publication, taken, watch=adapter.traits.tells_removal)
            case Complete() | Processing() | Gone():
                # Asked once more as accepted, it gets its verdict.
                await self.ledger.taken(publication, Taken(), watch=False)
            case Incomplete(stored_bytes=stored) if stored is not None and 0 < publication.media_size <= stored:
                await self.ledger.taken(publication, Taken(), watch=False)
            case Incomplete(stored_bytes=stored) if settled and stored is not None:
                await self._goes_on(publication, stored)
            case Failure():
                await self.ledger.refused(publication, answer)
            case Unknown(message=message) if _waited(publication.doubt_time, domain.UNKNOWN_HANDLE_PATIENCE):
                await self.ledger.uncertain(publication, message, needs_person=True)
            case _:
                await self._wait(publication)

    async def _goes_on(self, publication: Publication, stored_bytes: int) -> None:
        try:
            await self.ledger.goes_on(publication, _INTERRUPTED, stored_bytes)
        except Restored:
            cause = "The records were restored from a backup, and another upload may have been finished since."
            await self.ledger.uncertain(publication, cause, needs_person=True)

    async def _search(self, publication: Publication, adapter: Adapter, account: Account, tokens: Tokens) -> None:
        """What is uncertain and has no handle: it is looked for among the account's recent posts."""
        if publication.commit_time is None or publication.doubt_time is None:
            raise ValueError(f"the uncertain publication {publication.publication_id} lacks its times")
        others = await asyncio.to_thread(self.ledger.handles_of_others, publication)
        trace = await adapter.find(
            Search(
                account=account,
                options=publication.options.get(account.platform.value.lower(), {}),
                caption=publication.caption,
                duration_ms=publication.duration_ms,
                sent_after=publication.commit_time - _SKEW,
                sent_before=publication.doubt_time,
                others=others,
            ),
            tokens,
        )
        self.incidents.note_success(account)
        VERDICTS.labels(type(trace).__name__.lower()).inc()
        match trace:
            case Found(taken=taken):
                await self.ledger.taken(publication, taken, watch=adapter.traits.tells_removal)
            case Absent():
                await self.ledger.absent(publication, _NOTHING_CAME)
            case Unsettled(message=message, is_final=final) if final or _waited(
                publication.doubt_time, domain.DOUBT_PATIENCE
            ):
                await self.ledger.uncertain(publication, message, needs_person=True)
            case Unsettled():
                await self._wait(publication)

    async def _wait(self, publication: Publication, seconds: float | None = None, message: str = "") -> None:
        """Nothing new: it is asked again, but not for ever."""
        since = publication.accept_time or publication.doubt_time
        if publication.step is Step.PUBLISHED or not _waited(since, domain.VERDICT_PATIENCE):
            await self.ledger.still_open(publication, seconds, message)
            return
        cause = f"The platform gave no verdict in {domain.VERDICT_PATIENCE.days} days."
        await self.ledger.uncertain(publication, cause, needs_person=True)


def _waited(since: datetime | None, patience: timedelta) -> bool:
    """Whether the platform has had so much time."""
    return since is not None and datetime.now(UTC) - since > patience


def _is_hidden(publication: Publication, answer: Answer) -> bool:
    """Whether a post that had a public id has none any more."""
    return isinstance(answer, Complete) and bool(publication.platform_post_id) and not answer.verdict.platform_post_id


def _patience(failure: Failure) -> float | None:
    """How long to wait after a question that got no answer, seconds; None: by the usual plan."""
    if failure.kind is FailureKind.RATE_LIMITED and failure.retry_time:
        return max(1.0, (failure.retry_time - datetime.now(UTC)).total_seconds())
    return 300.0 if failure.kind is FailureKind.ACCOUNT else None
