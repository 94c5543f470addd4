"""One claimed delivery, from the claim to the platform's acceptance. Each step is recorded before the next begins.

    open the ledger → check → announce and upload ahead → wait → authorize → store the intent → (due time) → send

Everything before `send` is harmless, may be repeated, and is given up when the process is stopped. After `send` has
left without a usable answer only questions follow: at once while the claim lasts, then, as UNCERTAIN, by observing.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import structlog
from prometheus_client import Counter, Histogram

from kit import context
from services.publisher import domain
from services.publisher.accounts import Accounts
from services.publisher.caps import Caps
from services.publisher.claims import Held
from services.publisher.domain import (
    NOTHING_SENT,
    Account,
    AlreadyBegun,
    AttemptFailed,
    Claim,
    Epoch,
    Failure,
    FailureKind,
    Fenced,
    GrantStale,
    Next,
    Publication,
    Step,
    Withdrawn,
)
from services.publisher.incidents import Incidents
from services.publisher.ledger import Ledger
from services.publisher.library import Library
from services.publisher.platforms.base import (
    Adapter,
    Answer,
    Complete,
    Gone,
    Incomplete,
    Problem,
    Processing,
    Taken,
    Tokens,
    Uncertain,
    Unknown,
    UploadEnded,
    Work,
)

log = structlog.get_logger()
Called = TypeVar("Called")

LATENESS = Histogram(
    "reelroute_publish_lateness_seconds",
    "From a delivery's due time to the start of the platform's publish call; first attempts only.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
ATTEMPTS = Counter("reelroute_attempts_total", "Attempts by outcome.", ["outcome"])

# How long before the due time the grant is asked for and the intent stored, so that the call leaves at its moment. The
# grant must still be good then (claims.GRANT_SECONDS).
_AUTHORIZE_AHEAD_SECONDS = 0.25
# The questions of an attempt itself: mostly only the answer was lost. What they leave open the observer goes on asking.
_ASK_WAITS_SECONDS = (0.2, 1.0, 2.0)
# How often one attempt sends to one handle.
_SENDS = 3
# Media of so many deliveries are uploaded ahead of time, and as many at their time, at once. With two processes that is
# what the library gives to one workspace (content's media_parallel_downloads, half of them).
_FILES_AT_ONCE = 8

_NOT_CONFIGURED = Failure(
    FailureKind.TRANSIENT,
    "PLATFORM_NOT_CONFIGURED",
    "This publisher has no address of the account's platform. Set it again, or disconnect the account.",
)
_ENDED = Failure(
    FailureKind.TRANSIENT,
    "UPLOAD_INTERRUPTED",
    "The platform took no more bytes before the upload's end; nothing was published. It begins anew.",
)


class LeaseHolder(Protocol):
    """Keeps claims' leases alive and gets grants; see claims.SchedulerClient."""

    def kept(self, held: Held) -> contextlib.AbstractAsyncContextManager[None]:
        """Renews the lease while inside; ends what is inside when it is lost."""

    async def authorize(self, held: Held) -> None:
        """Gets a grant. Raises Fenced, Withdrawn."""


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Delivers claims."""

    ledger: Ledger
    library: Library
    adapters: Mapping[domain.Platform, Adapter]
    leases: LeaseHolder
    accounts: Accounts
    caps: Caps
    incidents: Incidents
    ask_waits_seconds: Sequence[float] = _ASK_WAITS_SECONDS
    staging: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_FILES_AT_ONCE))
    sending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_FILES_AT_ONCE))

    def attempt(self, held: Held) -> Attempt:
        """The work on a claim."""
        return Attempt(self, held)


class Attempt:
    """One attempt at one delivery. `run` never raises; when it was canceled before anything was sent, `is_released`
    says that the delivery can be given back.
    """

    def __init__(self, deliverer: Deliverer, held: Held) -> None:
        self._deliverer = deliverer
        self._ledger = deliverer.ledger
        self._held = held
        self._publication: Publication | None = None
        # Whether this attempt's committing call may have left; and whether an earlier attempt's may.
        self.has_sent = False
        self._in_doubt = False
        # The account in whose day it has a place.
        self._place_of: Account | None = None
        # Until it runs, it may be canceled without a trace.
        self._left_nothing = True

    @property
    def claim(self) -> Claim:
        """What it works on."""
        return self._held.claim

    @property
    def is_released(self) -> bool:
        """Whether it can be given back. A claim that only asks is given back by the ledger's word alone."""
        return self._left_nothing and not self.claim.ask_only

    @property
    def waits(self) -> bool:
        """Whether it has nothing to do before its time."""
        return self._held.waits

    async def run(self) -> None:
        """Works on the claim until the platform has it, or the attempt has failed.

        Whatever happens, the ledger says how far it came. After an unexpected error the attempt has failed for now when
        nothing was sent; else its lease runs out.
        """
        self._left_nothing = False
        structlog.contextvars.bind_contextvars(
            workspace_id=str(self.claim.workspace_id),
            delivery_id=str(self.claim.delivery_id),
            attempt=self.claim.attempt,
        )
        claim = self.claim
        about = context.about(
            workspace_id=claim.workspace_id,
            post_id=claim.post_id,
            delivery_id=claim.delivery_id,
            account_id=claim.account_id,
        )
        try:
            with about:
                async with self._deliverer.leases.kept(self._held):
                    outcome = await self._run()
        except Fenced:
            outcome = "fenced"
            log.warning("another attempt holds the delivery")
            await self._tidied("fenced")
        except Withdrawn:
            outcome = "withdrawn"
            await self._tidied("withdrawn")
        except asyncio.CancelledError:
            outcome = "canceled"
            await self._canceled()
        except Exception as error:
            outcome = "broken"
            log.error("an attempt broke", exc_info=error)
            await self._broke()
        await self._leave_place()
        ATTEMPTS.labels(outcome).inc()

    async def _run(self) -> str:
        publication, epoch = await self._ledger.open(self.claim)
        try:
            return await self._work_on(publication, epoch)
        except AlreadyBegun:
            return await self._work_on(*await self._ledger.take_over(self.claim))

    async def _work_on(self, publication: Publication, epoch: Epoch) -> str:
        self._publication = publication
        self._in_doubt = publication.step is Step.COMMITTING
        action = domain.next_action(publication, self.claim, epoch, datetime.now(UTC))
        try:
            if action is Next.REPORT:
                await self._ledger.report_again(publication)
                return "reported"
            if self.claim.ask_only and action in (Next.PREPARE, Next.SEND):
                await self._ledger.unsent(publication)
                return "unsent"
            await self._act(action)
        except AttemptFailed as ended:
            log.info("attempt failed", reason=ended.failure.reason)
            await self._failed(ended)
            return ended.failure.kind.value.lower()
        return self._state.step.value.lower()

    @property
    def _state(self) -> Publication:
        """The publication as it is stored."""
        if self._publication is None:
            raise RuntimeError("the ledger was not opened")
        return self._publication

    async def _store(self, write: Coroutine[Any, Any, Publication]) -> None:
        """Awaits a write; when this is canceled meanwhile, until it is known how the ledger stands."""
        storing = asyncio.create_task(write)
        try:
            self._publication = await asyncio.shield(storing)
        except asyncio.CancelledError:
            self._publication = await storing
            raise

    async def _act(self, action: Next) -> None:
        self._held.at("reading the account")
        try:
            account, tokens = await self._deliverer.accounts.of(self._state)
            if account.platform not in self._deliverer.adapters:
                raise AttemptFailed(_NOT_CONFIGURED)
        except AttemptFailed as gone:
            if action is Next.PREPARE or action is Next.SEND:
                raise
            cause = f"{gone.failure.message} So the platform cannot be asked."
            await self._store(self._ledger.uncertain(self._state, cause, needs_person=True))
            return
        adapter = self._deliverer.adapters[account.platform]
        if action in (Next.ASK, Next.ASK_ONLY):
            await self._resume(adapter, account, tokens, may_send=action is Next.ASK)
            return
        self._deliverer.incidents.check(account.platform)
        work = await self._work(account, tokens)
        await self._begin(adapter, work, prepare=action is Next.PREPARE)

    async def _work(self, account: Account, tokens: Tokens) -> Work:
        self._held.at("looking up its media")
        media = await self._deliverer.library.files(self.claim.workspace_id, self.claim.media)
        return Work(account, self.claim.caption, media, _options(self.claim, account), tokens)

    async def _begin(self, adapter: Adapter, work: Work, *, prepare: bool) -> None:
        """From the beginning, or from a stored handle, to acceptance."""
        message = ""
        if prepare:
            self._held.at("checking it against the platform's limits")
            work = await self._checked(adapter, work)
            message = f"It fits what {work.account.platform.title} takes of @{work.account.handle}."
            has_handle = adapter.has_handle(work)
            if has_handle or self._state.handle:
                # Whatever handle there was is given up.
                duration = sum(file.duration_ms for file in work.media)
                await self._store(self._ledger.prepared(self._state, self.claim, message, duration))
                self._in_doubt = False
                message = ""  # it is recorded
            if has_handle:
                await self._announce(adapter, work)
        if self._state.handle and time.monotonic() < self._held.due_at:
            await self._stage(adapter, work)
        await self._send(adapter, work, message, in_doubt=False)

    async def _checked(self, adapter: Adapter, work: Work) -> Work:
        """Everything that can be checked without effect, by the same rules as drafts and forecasts; the work with what
        the platform says now that its account may do. Raises AttemptFailed.
        """
        _refuse(adapter.check(work))
        account = work.account
        if await self._deliverer.caps.enter(
            account,
            self.claim.delivery_id,
            adapter.quotas.told(account.limits),
            lambda: self._held.at("waiting for room in the account's day", waits=True),
            draft=domain.is_draft(work.options),
        ):
            self._place_of = account
        self._held.at("reading what the account may do")
        limits = await self._called(account, adapter.read_limits(account, work.options, work.tokens))
        if limits is not None:
            await self._deliverer.accounts.learned(account, limits)
            work = dataclasses.replace(work, limits=limits)
            _refuse(adapter.check(work))
        return work

    async def _announce(self, adapter: Adapter, work: Work) -> None:
        if not adapter.traits.begin_sends_media:
            self._held.at("announcing it to the platform")
            handle = await self._called(work.account, adapter.begin(work))
        else:
            self._held.at("waiting for a place to upload", waits=True)
            async with self._deliverer.staging:
                self._held.at("uploading its media")
                handle = await self._called(work.account, adapter.begin(work))
        await self._store(self._ledger.handle_stored(self._state, handle))

    async def _stage(self, adapter: Adapter, work: Work) -> None:
        """Sends ahead what can be sent; nothing, when there is no place for it before the due time."""
        self._held.at("waiting for a place to upload", waits=True)
        try:
            async with asyncio.timeout_at(self._held.due_at):
                await self._deliverer.staging.acquire()
        except TimeoutError:
            return
        try:
            self._held.at("uploading what can be sent ahead of time")
            handle = _handle(self._state)
            await self._called(work.account, adapter.stage(work, handle, self._state.sent_bytes, self._stored))
        except UploadEnded:
            # Nothing that publishes was sent yet, so nothing can come of the handle.
            raise AttemptFailed(_ENDED, handle_ended=True) from None
        finally:
            self._deliverer.staging.release()

    async def _stored(self, stored_bytes: int) -> None:
        """The platform has stored so many bytes of the handle."""
        self._held.at(f"uploading; the platform has {stored_bytes:,} bytes")
        await self._store(self._ledger.sent(self._state, stored_bytes))

    async def _send(self, adapter: Adapter, work: Work, message: str, *, in_doubt: bool) -> None:
        """Sends what the platform lacks: the grant is fresh, and the intent stored, before the publishing call leaves.

        Sent again to the same handle no part can be published twice, so after a lost answer it is sent again while the
        platform says that it lacks it. Without a handle it is sent once. `in_doubt`: an earlier attempt may have sent.
        """
        ended = False
        for sends_left in reversed(range(_SENDS)):
            try:
                taken = await self._send_once(adapter, work, message)
            except Uncertain as doubt:
                in_doubt, text = True, f"{doubt} The platform is asked."
            except UploadEnded as end:
                ended, text = True, f"{end} The platform is asked."
            except AttemptFailed as error:
                if not in_doubt:
                    raise
                text = f"{error.failure.message} The platform is asked."
            else:
                await self._store(self._ledger.taken(self._state, taken, watch=adapter.traits.tells_removal))
                if taken.limits is not None:
                    await self._deliverer.accounts.learned(work.account, taken.limits)
                return
            if not self._state.handle:
                await self._uncertain(adapter, text)
                return
            await self._store(self._ledger.noted(self._state, text))
            answer = await self._ask(adapter, work.account, work.tokens)
            if not isinstance(answer, Incomplete):
                await self._adopt(adapter, answer)
                return
            if ended and not in_doubt:
                raise AttemptFailed(_ENDED, handle_ended=True)
            if ended or not sends_left:
                break
        await self._uncertain(adapter, "The upload broke off, and the platform has not said that it is complete.")

    async def _send_once(self, adapter: Adapter, work: Work, message: str) -> Taken:
        # Whoever asks sooner does not get it: what waits can still be canceled, changed or paused.
        await self._wait_until(self._held.due_at - _AUTHORIZE_AHEAD_SECONDS)
        if not work.media:
            return await self._send_granted(adapter, work, message)
        # A place is kept until the file is out: a grant would not outlast the wait for another.
        self._held.at("waiting for a place to upload")
        async with self._deliverer.sending:
            return await self._send_granted(adapter, work, message)

    async def _send_granted(self, adapter: Adapter, work: Work, message: str) -> Taken:
        held = self._held
        while True:
            self._deliverer.incidents.check(work.account.platform)
            if not held.has_grant:
                held.at("waiting for the permission to publish")
                await self._deliverer.leases.authorize(held)
            if self._state.step is not Step.COMMITTING:
                text = _sending(self._state, self.claim, message)
                await self._store(self._ledger.committing(self._state, self.claim, text))
            await self._wait_until(held.due_at)
            if not held.has_grant:
                continue
            held.at(f"publishing on {work.account.platform.title}")
            handle = _handle(self._state) if self._state.handle else None
            try:
                return await self._called(
                    work.account, adapter.send(work, handle, self._state.sent_bytes, self._stored, self._last_moment)
                )
            except GrantStale:
                continue

    def _last_moment(self) -> None:
        self._held.check_last_moment()
        if self.claim.attempt == 1 and not self.has_sent:
            LATENESS.observe(time.monotonic() - self._held.due_at)
        self.has_sent = True

    async def _resume(self, adapter: Adapter, account: Account, tokens: Tokens, *, may_send: bool) -> None:
        """After a crash while sending, or a restore from a backup: the platform says how far it came.

        After too many crashes the observer asks, who needs nothing of the post for it.
        """
        if not self._state.handle or self.claim.ask_only:
            cause = "An earlier attempt broke off while it was published."
            if not may_send:
                cause = "The records were restored from a backup."
                due = self.claim.planned_time
                self._publication = dataclasses.replace(self._state, commit_time=self._state.commit_time or due)
            await self._uncertain(adapter, cause)
            return
        answer = await self._ask(adapter, account, tokens)
        if not isinstance(answer, Incomplete):
            await self._adopt(adapter, answer)
        elif not may_send:
            await self._uncertain(adapter, "The records were restored from a backup; another upload may be finished.")
        else:
            self._deliverer.incidents.check(account.platform)
            work = await self._work(account, tokens)
            if domain.may_go_on(self._state, self.claim, datetime.now(UTC)):
                await self._send(adapter, work, "", in_doubt=True)
            else:
                # The handle has ended unfinished, so what was sent under it can no longer be published; or the post was
                # edited, which is possible only after an attempt's own definite word that nothing was.
                await self._begin(adapter, work, prepare=True)

    async def _adopt(self, adapter: Adapter, answer: Answer | None) -> None:
        """Takes over what the platform says of a handle that may be published."""
        match answer:
            case domain.Failure():
                raise AttemptFailed(answer, handle_ended=True)
            case Complete(verdict=verdict, settled=True):
                taken = Taken(verdict=verdict)
            case Complete() | Processing() | Gone():
                # The observer asks once more and records the verdict.
                taken = Taken()
            case Unknown(message=message, is_final=final):
                await self._uncertain(adapter, message, is_final=final)
                return
            case _:
                await self._uncertain(adapter, "The platform could not be asked.")
                return
        await self._store(self._ledger.taken(self._state, taken, watch=adapter.traits.tells_removal))

    async def _uncertain(self, adapter: Adapter, cause: str, *, is_final: bool = False) -> None:
        blind = is_final or (not self._state.handle and not adapter.traits.can_find)
        await self._store(self._ledger.uncertain(self._state, cause, needs_person=blind))

    async def _ask(self, adapter: Adapter, account: Account, tokens: Tokens) -> Answer | None:
        """The platform's answer about the handle; None when it gives none, or says nothing definite, for now."""
        unknown: Unknown | None = None
        for wait in self._deliverer.ask_waits_seconds:
            await asyncio.sleep(wait)
            self._held.at("asking the platform what became of it")
            try:
                answer = await self._called(
                    account, adapter.ask(account, _options(self.claim, account), self._state.handle, tokens)
                )
            except AttemptFailed as error:
                # No failure of the question is an answer.
                await self._store(self._ledger.noted(self._state, f"Asking failed: {error.failure.message}"))
                if error.failure.kind is FailureKind.ACCOUNT:
                    return None
            else:
                if not isinstance(answer, Unknown) or answer.is_final:
                    return _lacking(answer, self._state)
                # A handle may take a moment to become known everywhere.
                unknown = answer
        return unknown

    async def _called(self, account: Account, call: Awaitable[Called]) -> Called:
        """The answer of a platform's call; whether it worked says how the platform is."""
        try:
            answer = await call
        except (AttemptFailed, Uncertain) as error:
            self._deliverer.incidents.note_failure(account, error)
            raise
        self._deliverer.incidents.note_success(account)
        return answer

    async def _wait_until(self, moment: float) -> None:
        """Waits for a moment of the monotonic clock. Never returns early: the loop's timer may be a little fast."""
        if moment > time.monotonic():
            self._held.at("waiting for its time", waits=True)
        while (left := moment - time.monotonic()) > 0:  # noqa: ASYNC110 - the event is the clock itself
            await asyncio.sleep(left)

    async def _failed(self, ended: AttemptFailed) -> None:
        await self._store(
            self._ledger.failed(
                self._state,
                ended.failure,
                ended.vendor_log_id,
                handle_ended=ended.handle_ended,
                has_sent=self.has_sent or self._in_doubt,
            )
        )

    async def _broke(self) -> None:
        """After an unexpected error."""
        if self._publication is None:
            return
        try:
            await self._ledger.broke(self._publication)
        except Fenced:
            log.warning("another attempt holds the delivery")
        except Exception as error:
            # Mostly the database itself is away. The lease runs out.
            log.warning("a broken attempt could not be recorded", exc_info=error)

    async def _tidied(self, outcome: str) -> None:
        """Takes the intent back when its call never left, so that the next attempt need not ask about it. What an
        earlier attempt left in doubt is asked about from now on, unless another attempt does.
        """
        stored = self._publication
        if stored is None or self.has_sent or not stored.revision:
            return
        try:
            if stored.step in NOTHING_SENT or (stored.step is Step.COMMITTING and not self._in_doubt):
                self._publication = await self._ledger.taken_back(stored, outcome)
            elif stored.step is Step.COMMITTING and outcome != "fenced":
                cause = "An earlier attempt may have sent it, and this one ended before the platform said so."
                self._publication = await self._ledger.uncertain(stored, cause, needs_person=False)
        except Fenced:
            pass  # another attempt has it already, and asks
        except Exception as error:
            log.warning("an intent could not be taken back", exc_info=error)

    async def _leave_place(self) -> None:
        if self._place_of is not None:
            try:
                await self._deliverer.caps.leave(self._place_of, self.claim.delivery_id)
            except Exception as error:
                log.warning("a place in an account's day is kept for a while", exc_info=error)

    async def _canceled(self) -> None:
        """The process ends. What has not left is given back; what has is asked about by others."""
        try:
            if not self.has_sent:
                await self._tidied("released")
                self._left_nothing = self._publication is None or self._publication.step in NOTHING_SENT
            elif self._state.step is Step.COMMITTING:
                await self._ledger.uncertain(
                    self._state, "The publisher was stopped while it was published.", needs_person=False
                )
        except Fenced:
            log.warning("another attempt holds the delivery")
        except Exception as error:
            log.warning("a canceled attempt could not be recorded", exc_info=error)


def _refuse(problems: Sequence[Problem]) -> None:
    """Raises AttemptFailed for what cannot be published as it stands: for good, or until a person chooses otherwise,
    where only the account's present settings are against it.
    """
    if problems:
        message = " ".join(problem.message for problem in problems)
        kind = FailureKind.PERMANENT if any(problem.blocking for problem in problems) else FailureKind.CHOICE
        raise AttemptFailed(Failure(kind, problems[0].reason, message))


def _options(claim: Claim, account: Account) -> domain.Options:
    return claim.options.get(account.platform.value.lower(), {})


def _sending(publication: Publication, claim: Claim, message: str) -> str:
    if publication.media_size:
        what = f"{publication.media_size:,} bytes, from byte {publication.sent_bytes:,}"
    elif claim.media:
        what = f"the addresses of {len(claim.media)} files"
    else:
        what = f"{len(claim.caption):,} characters"
    return f"{message} Sending {what}.".strip()


def _lacking(answer: Answer, publication: Publication) -> Answer:
    """The answer, with a complete upload told from one that lacks bytes. When the platform does not say how many it
    has, that is taken for some.
    """
    if isinstance(answer, Incomplete) and answer.stored_bytes is not None:
        return Processing() if 0 < publication.media_size <= answer.stored_bytes else answer
    return answer


def _handle(publication: Publication) -> domain.Handle:
    if publication.handle_expire_time is None:
        raise ValueError(f"publication {publication.publication_id} has a handle without an end")
    return domain.Handle(
        publication.handle, publication.upload_url, publication.handle_expire_time, publication.media_size
    )
