"""One claimed delivery, from the claim to the platform's acceptance. Each step is recorded before the next begins."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from prometheus_client import Counter, Histogram

from services.publisher import domain
from services.publisher.domain import Account, AttemptFailed, Claim, Fenced, Next, Publication
from services.publisher.ledger import Ledger
from services.publisher.library import Library
from services.publisher.platforms.base import (
    Adapter,
    Answer,
    Incomplete,
    Tokens,
    Uncertain,
    Unknown,
    UploadEnded,
    Work,
)

log = structlog.get_logger()

LATENESS = Histogram(
    "reelroute_publish_lateness_seconds",
    "From a delivery's due time to the start of the platform's publish call; first attempts only.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
ATTEMPTS = Counter("reelroute_attempts_total", "Attempts by outcome.", ["outcome"])

# While the outcome is unknown it is asked for within the claim, so that nobody can cancel or edit meanwhile.
_ASK_WAITS_SECONDS = (0.5, 1, 2, 4, 8, 15, 15, 15)
# The last byte may still be on its way through the platform when we have given up waiting for the answer. That it lacks
# bytes is definite only when it still says so after these waits, half a minute in all.
_SETTLE_WAITS_SECONDS = (1, 2, 4, 8, 15)
# How often one attempt sends to one handle.
_SENDS = 3

_INTERRUPTED = domain.Failure(
    domain.FailureKind.TRANSIENT,
    "UPLOAD_INTERRUPTED",
    "The upload broke off before its end; nothing was published. It goes on where the platform stands.",
)
_ENDED = domain.Failure(
    domain.FailureKind.TRANSIENT,
    "UPLOAD_INTERRUPTED",
    "The platform took no more bytes before the upload's end; nothing was published. It begins anew.",
)


class Abandoned(Exception):
    """The attempt ends with the outcome still unknown; the next one asks again."""


class LeaseHolder(Protocol):
    """Keeps a claim's lease alive."""

    async def renew(self, claim: Claim) -> None:
        """Prolongs it once. Raises Fenced when another attempt holds the delivery."""

    def kept(self, claim: Claim) -> contextlib.AbstractAsyncContextManager[None]:
        """Prolongs it again and again while inside; ends what is inside when it is lost."""


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Delivers claims. `tokens_of` gives an account's tokens."""

    ledger: Ledger
    library: Library
    adapters: Mapping[domain.Platform, Adapter]
    leases: LeaseHolder
    tokens_of: Callable[[Account], Tokens]
    ask_waits_seconds: Sequence[float] = _ASK_WAITS_SECONDS
    settle_waits_seconds: Sequence[float] = _SETTLE_WAITS_SECONDS

    async def deliver(self, claim: Claim, due_at: float) -> None:
        """Works on a claim until it is accepted or failed. `due_at` is the due time on the loop's clock.

        Whatever happens, the ledger says how far it came. After an unexpected error the attempt has failed for now when
        nothing was sent; else its lease runs out.
        """
        structlog.contextvars.bind_contextvars(
            workspace_id=str(claim.workspace_id), delivery_id=str(claim.delivery_id), attempt=claim.attempt
        )
        try:
            async with self.leases.kept(claim):
                await self._deliver(claim, due_at)
        except Fenced:
            ATTEMPTS.labels("fenced").inc()
            log.warning("another attempt holds the delivery")
        except Exception as error:
            ATTEMPTS.labels("broken").inc()
            log.error("an attempt broke", exc_info=error)
            await self._broke(claim)

    async def _broke(self, claim: Claim) -> None:
        try:
            await asyncio.to_thread(self.ledger.broke, claim)
        except Fenced:
            log.warning("another attempt holds the delivery")
        except Exception as error:
            # Mostly the database itself is away. The lease runs out.
            log.warning("a broken attempt could not be recorded", exc_info=error)

    async def _deliver(self, claim: Claim, due_at: float) -> None:
        publication, epoch = await asyncio.to_thread(self.ledger.open, claim)
        action = domain.next_action(publication, claim, epoch, datetime.now(UTC))
        try:
            await self._act(action, publication, claim, due_at)
        except AttemptFailed as ended:
            ATTEMPTS.labels(ended.failure.kind.value.lower()).inc()
            log.info("attempt failed", reason=ended.failure.reason)
            await asyncio.to_thread(
                self.ledger.failed, claim, ended.failure, ended.vendor_log_id, handle_ended=ended.handle_ended
            )
        except Abandoned:
            ATTEMPTS.labels("abandoned").inc()
            log.warning("the platform could not be asked; the lease runs out")
        else:
            ATTEMPTS.labels("reported" if action is Next.REPORT else "accepted").inc()

    async def _act(self, action: Next, publication: Publication, claim: Claim, due_at: float) -> None:
        if action is Next.REPORT:
            await asyncio.to_thread(self.ledger.report_again, publication)
            return
        if action is Next.GIVE_UP:
            raise AttemptFailed(
                domain.unknown_outcome("The records were restored from a backup; it may have been published already.")
            )
        account = await asyncio.to_thread(self.ledger.account, publication)
        tokens = self.tokens_of(account)
        if action in (Next.ASK, Next.ASK_ONLY):
            await self._resume(publication, claim, account, tokens, due_at, may_send=action is Next.ASK)
        else:
            work = await self._work(claim, account, tokens)
            await self._begin(publication, claim, work, due_at, prepare=action is Next.PREPARE)

    async def _work(self, claim: Claim, account: Account, tokens: Tokens) -> Work:
        media = await self.library.files(claim.workspace_id, claim.media)
        options = claim.options.get(account.platform.value.lower(), {})
        return Work(account, claim.caption, media, options, tokens)

    async def _begin(self, publication: Publication, claim: Claim, work: Work, due_at: float, *, prepare: bool) -> None:
        """From the beginning, or from a stored handle, to acceptance."""
        adapter = self.adapters[work.account.platform]
        if prepare:
            message = await adapter.prepare(work)
            publication = await asyncio.to_thread(self.ledger.prepared, publication, claim, message)
            await _until(due_at)
            if claim.attempt == 1:
                LATENESS.observe(asyncio.get_running_loop().time() - due_at)
            handle = await adapter.begin(work)
            publication = await asyncio.to_thread(self.ledger.handle_stored, publication, handle)
        await _until(due_at)
        await self._send(publication, claim, work, in_doubt=False)

    async def _send(self, publication: Publication, claim: Claim, work: Work, *, in_doubt: bool) -> None:
        """Sends what the platform lacks. The lease is proven before each send, and the intent stored before the first.

        Sent again to the same handle no part can be published twice, so after a lost answer it is sent again while the
        platform says that it lacks it. `in_doubt`: an earlier attempt may have sent the last byte.
        """
        adapter = self.adapters[work.account.platform]
        await self.leases.renew(claim)
        publication = await asyncio.to_thread(self.ledger.committing, publication)
        handle, sent_bytes = _handle(publication), publication.sent_bytes

        async def on_stored(stored_bytes: int) -> None:
            nonlocal sent_bytes
            sent_bytes = stored_bytes
            await asyncio.to_thread(self.ledger.sent, publication, stored_bytes)

        for sends_left in reversed(range(_SENDS)):
            try:
                await adapter.send(work, handle, sent_bytes, on_stored)
            except Uncertain as doubt:
                in_doubt, failed, again = True, AttemptFailed(_INTERRUPTED), sends_left > 0
                text = f"{doubt} The platform is asked."
            except UploadEnded as end:
                failed, again = AttemptFailed(_ENDED, handle_ended=True), False
                text = f"{end} The platform is asked."
            except AttemptFailed as error:
                if not in_doubt:
                    raise
                failed, again, text = error, False, f"{error.failure.message} The platform is asked."
            else:
                await asyncio.to_thread(self.ledger.accepted, publication)
                return
            await asyncio.to_thread(self.ledger.noted, publication, text)
            answer = await self._ask(publication, work.account, work.tokens)
            if not (again and _lacks_bytes(answer, publication)):
                break
            await self.leases.renew(claim)
        await self._settle(publication, work, answer, failed, in_doubt=in_doubt)

    async def _settle(
        self, publication: Publication, work: Work, answer: Answer, failed: AttemptFailed, *, in_doubt: bool
    ) -> None:
        """After the last try of an attempt: adopts what the platform has, or raises `failed` once that is definite."""
        for wait in self.settle_waits_seconds if in_doubt else ():
            if not _lacks_bytes(answer, publication):
                break
            await asyncio.sleep(wait)
            answer = await self._ask(publication, work.account, work.tokens)
        unsaid = in_doubt and isinstance(answer, Incomplete) and answer.stored_bytes is None
        if _lacks_bytes(answer, publication) and not unsaid:
            raise failed
        await self._adopt(publication, answer)

    async def _resume(
        self,
        publication: Publication,
        claim: Claim,
        account: Account,
        tokens: Tokens,
        due_at: float,
        *,
        may_send: bool,
    ) -> None:
        """After a crash while sending: the platform says how far it came."""
        answer = await self._ask(publication, account, tokens)
        if not _lacks_bytes(answer, publication):
            await self._adopt(publication, answer)
            return
        if not may_send:
            raise AttemptFailed(
                domain.unknown_outcome(
                    "The records were restored from a backup; another upload may have been finished."
                )
            )
        work = await self._work(claim, account, tokens)
        if domain.may_go_on(publication, claim, datetime.now(UTC)):
            await self._send(publication, claim, work, in_doubt=True)
        else:
            # The handle has ended unfinished, so what was sent under it can no longer be published; or the post was
            # edited, which is possible only after an attempt's own definite word that nothing was.
            await self._begin(publication, claim, work, due_at, prepare=True)

    async def _adopt(self, publication: Publication, answer: Answer) -> None:
        if isinstance(answer, domain.Failure):
            raise AttemptFailed(answer, handle_ended=True)
        if isinstance(answer, Unknown):
            raise AttemptFailed(domain.unknown_outcome(f"{answer.message} It may have been published."))
        # Complete, too, is recorded as accepted first: the observer asks once more and records the verdict.
        await asyncio.to_thread(self.ledger.accepted, publication)

    async def _ask(self, publication: Publication, account: Account, tokens: Tokens) -> Answer:
        """The platform's answer, asked for again and again within the claim. Raises Abandoned without one."""
        adapter = self.adapters[account.platform]
        options = publication.options.get(account.platform.value.lower(), {})
        unknown: Unknown | None = None
        for wait in self.ask_waits_seconds:
            try:
                answer = await adapter.ask(account, options, publication.handle, tokens)
            except AttemptFailed as error:
                # No failure of the question is an answer: the delivery stays claimed.
                await asyncio.to_thread(self.ledger.noted, publication, f"Asking failed: {error.failure.message}")
                if error.failure.kind is domain.FailureKind.ACCOUNT:
                    break
            else:
                if not isinstance(answer, Unknown):
                    return answer
                # A handle may take a moment to become known everywhere; it is lost only when it stays unknown.
                unknown = answer
            await asyncio.sleep(wait)
        if unknown is not None:
            return unknown
        message = "The platform could not be asked; the next attempt asks again."
        await asyncio.to_thread(self.ledger.abandoned, publication, message)
        raise Abandoned


def _lacks_bytes(answer: Answer, publication: Publication) -> bool:
    """Whether the platform waits for bytes. When it does not say how many it has, that is taken for some."""
    if not isinstance(answer, Incomplete):
        return False
    return answer.stored_bytes is None or not 0 < publication.media_size <= answer.stored_bytes


def _handle(publication: Publication) -> domain.Handle:
    if publication.handle_expire_time is None:
        raise ValueError(f"publication {publication.publication_id} has a handle without an end")
    return domain.Handle(
        publication.handle, publication.upload_url, publication.handle_expire_time, publication.media_size
    )


async def _until(due_at: float) -> None:
    """Waits for a moment of the loop's clock. Never returns early: the loop's timer may be a little fast."""
    loop = asyncio.get_running_loop()
    while (left := due_at - loop.time()) > 0:  # noqa: ASYNC110 - the event is the clock itself
        await asyncio.sleep(left)
