"""One claimed delivery, from the claim to the platform's acceptance. Each step is recorded before the next begins."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
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

    async def deliver(self, claim: Claim, due_at: float) -> None:
        """Works on a claim until it is accepted or failed. `due_at` is the due time on the loop's clock.

        Whatever happens, the ledger says how far it came. An unexpected error is logged; the lease then runs out.
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

    async def _deliver(self, claim: Claim, due_at: float) -> None:
        publication, epoch = await asyncio.to_thread(self.ledger.open, claim)
        action = domain.next_action(publication, claim, epoch, datetime.now(UTC))
        try:
            account = await asyncio.to_thread(self.ledger.account, claim)
            tokens = self.tokens_of(account)
            match action:
                case Next.REPORT:
                    await asyncio.to_thread(self.ledger.report_again, publication)
                case Next.GIVE_UP:
                    raise AttemptFailed(
                        domain.unknown_outcome(
                            "The records were restored from a backup, and this was due before: it may have been"
                            " published already."
                        )
                    )
                case Next.ASK:
                    restored = publication.publish_epoch < epoch.number
                    await self._resume(publication, claim, account, tokens, due_at, may_send=not restored)
                case _:
                    work = await self._work(claim, account, tokens)
                    await self._begin(publication, claim, work, due_at, prepare=action is Next.PREPARE)
        except AttemptFailed as ended:
            ATTEMPTS.labels(ended.failure.kind.value.lower()).inc()
            log.info("attempt failed", reason=ended.failure.reason)
            await asyncio.to_thread(self.ledger.failed, claim, ended.failure, ended.vendor_log_id)
        except Abandoned:
            ATTEMPTS.labels("abandoned").inc()
            log.warning("the platform could not be asked; the lease runs out")
        else:
            ATTEMPTS.labels("accepted").inc()

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
        await self._send(publication, claim, work, from_byte=0)

    async def _send(self, publication: Publication, claim: Claim, work: Work, *, from_byte: int) -> None:
        """Sends from a byte on. The lease is proven, and the intent stored, before the first."""
        adapter = self.adapters[work.account.platform]
        await self.leases.renew(claim)
        publication = await asyncio.to_thread(self.ledger.committing, publication)
        if publication.handle_expire_time is None:
            raise ValueError(f"publication {publication.publication_id} has a handle without an end")
        handle = domain.Handle(
            publication.handle, publication.upload_url, publication.handle_expire_time, publication.media_size
        )

        async def on_stored(sent_bytes: int) -> None:
            await asyncio.to_thread(self.ledger.sent, publication, sent_bytes)

        try:
            await adapter.send(work, handle, from_byte, on_stored)
        except (Uncertain, UploadEnded) as doubt:
            await asyncio.to_thread(self.ledger.noted, publication, f"{doubt} The platform is asked.")
            await self._resolve(publication, work)
        else:
            await asyncio.to_thread(self.ledger.accepted, publication)

    async def _resolve(self, publication: Publication, work: Work) -> None:
        """After doubt within an attempt: adopts what the platform has, or leaves the rest to the next attempt."""
        answer = await self._ask(publication, work.account, work.tokens)
        if isinstance(answer, Incomplete) and not _has_all(answer, publication):
            ended = publication.handle_expire_time is not None and publication.handle_expire_time <= datetime.now(UTC)
            raise AttemptFailed(
                domain.Failure(
                    domain.FailureKind.TRANSIENT,
                    "UPLOAD_INTERRUPTED",
                    "The upload broke off before its end; nothing was published. "
                    + ("It begins anew." if ended else "It goes on where the platform stands."),
                )
            )
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
        if not isinstance(answer, Incomplete) or _has_all(answer, publication):
            await self._adopt(publication, answer)
            return
        if not may_send:
            raise AttemptFailed(
                domain.unknown_outcome(
                    "The records were restored from a backup; the upload they know was never finished, but another"
                    " may have been."
                )
            )
        work = await self._work(claim, account, tokens)
        usable = publication.handle_expire_time is not None and datetime.now(UTC) < publication.handle_expire_time
        if usable and publication.etag == claim.etag:
            # Sent again to the same handle, no part can be published twice.
            await self._send(publication, claim, work, from_byte=publication.sent_bytes)
        else:
            # The handle has ended unfinished, so what was sent under it can no longer be published; or the post was
            # edited, which is possible only after an attempt's own definite word that nothing was.
            await self._begin(publication, claim, work, due_at, prepare=True)

    async def _adopt(self, publication: Publication, answer: Answer) -> None:
        if isinstance(answer, domain.Failure):
            raise AttemptFailed(answer)
        if isinstance(answer, Unknown):
            raise AttemptFailed(domain.unknown_outcome(f"{answer.message} It may have been published."))
        # Complete, too, is recorded as accepted first: the observer asks once more and records the verdict.
        await asyncio.to_thread(self.ledger.accepted, publication)

    async def _ask(self, publication: Publication, account: Account, tokens: Tokens) -> Answer:
        """The platform's answer, asked for again and again within the claim. Raises Abandoned without one."""
        adapter = self.adapters[account.platform]
        options = publication.options.get(account.platform.value.lower(), {})
        for wait in _ASK_WAITS_SECONDS:
            try:
                return await adapter.ask(account, options, publication.handle, tokens)
            except AttemptFailed as error:
                # No failure of the question is an answer: the delivery stays claimed.
                await asyncio.to_thread(self.ledger.noted, publication, f"Asking failed: {error.failure.message}")
            await asyncio.sleep(wait)
        message = "The platform could not be asked; the next attempt asks again."
        await asyncio.to_thread(self.ledger.abandoned, publication, message)
        raise Abandoned


def _has_all(answer: Incomplete, publication: Publication) -> bool:
    return answer.stored_bytes is not None and 0 < publication.media_size <= answer.stored_bytes


async def _until(due_at: float) -> None:
    """Waits for a moment of the loop's clock. Never returns early: the loop's timer may be a little fast."""
    loop = asyncio.get_running_loop()
    while (left := due_at - loop.time()) > 0:  # noqa: ASYNC110 - the event is the clock itself
        await asyncio.sleep(left)
