"""The ledger as the worker uses it: one call is one write, with its log line and its report; see writer.py.

Everything here is committed before the worker's next act, or not at all: when another attempt has taken over, Fenced is
raised and the worker stops. Each call returns the publication as it is stored.
"""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kit.db import ALL_WORKSPACES, Database, new_id
from kit.errors import Unavailable
from kit.vault import Vault
from services.publisher import domain, store
from services.publisher.domain import (
    FOR_NOW,
    NOTHING_SENT,
    Claim,
    Epoch,
    Failure,
    FailureKind,
    Fenced,
    Handle,
    Publication,
    Step,
    Verdict,
    check_wait,
    doubt_wait,
    watch_wait,
)
from services.publisher.platforms.base import Taken
from services.publisher.store import Line
from services.publisher.writer import Write, Writer

_BROKE = Failure(
    FailureKind.TRANSIENT, "ATTEMPT_BROKE", "The attempt broke off by a fault on our side; the log has the cause."
)
# Another process may begin an epoch: an operator, after a restore. It counts so many seconds later at most; what is
# sent is checked against it once more, in the transaction that stores the intent.
_EPOCH_SECONDS = 5.0
# A post that may be confused with another began within this time before it.
_RECENT = timedelta(hours=1)


class Ledger:
    """Publications in the database. A call that no arrow of the domain allows raises ValueError, and writes nothing."""

    def __init__(self, database: Database, vault: Vault, holder: str) -> None:
        self.database = database
        self.vault = vault
        self.writer = Writer(database, vault, holder)
        self._holder = holder
        self._epoch: tuple[float, Epoch] | None = None

    async def open(self, claim: Claim) -> tuple[Publication, Epoch]:
        """The publication of a claim, whose attempt alone may write from now on. Raises Fenced.

        A first attempt has none yet: it is stored with its first step, which finds out if there is one all the same.
        """
        if claim.attempt == 1 and self._epoch and time.monotonic() < self._epoch[0]:
            return domain.opened(claim, self._epoch[1], new_id()), self._epoch[1]
        taken = await self.writer.take_over(claim)
        self._epoch = (time.monotonic() + _EPOCH_SECONDS, taken.epoch)
        return taken.publication or domain.opened(claim, taken.epoch, new_id()), taken.epoch

    async def take_over(self, claim: Claim) -> tuple[Publication, Epoch]:
        """The same, when a first write has found a publication."""
        taken = await self.writer.take_over(claim)
        return taken.publication or domain.opened(claim, taken.epoch, new_id()), taken.epoch

    async def prepared(self, publication: Publication, claim: Claim, message: str, duration_ms: int) -> Publication:
        """Everything was checked; whatever handle there was is given up."""
        state = dataclasses.replace(
            _emptied(publication), step=Step.PREPARED, etag=claim.etag, options=claim.options, caption=claim.caption,
            duration_ms=duration_ms,
        )  # fmt: skip
        return await self._write(publication, state, message)

    async def handle_stored(self, publication: Publication, handle: Handle) -> Publication:
        """The platform gave a handle."""
        state = dataclasses.replace(
            publication,
            step=Step.HANDLE,
            handle=handle.handle,
            upload_url=handle.upload_url,
            handle_expire_time=handle.expire_time,
            media_size=handle.media_size,
            sent_bytes=0,
        )
        return await self._write(publication, state, f"The platform gave the handle {handle.handle}.")

    async def sent(self, publication: Publication, sent_bytes: int) -> Publication:
        """The platform has stored so many bytes."""
        state = dataclasses.replace(publication, sent_bytes=sent_bytes)
        return await self._write(publication, state, f"The platform has {sent_bytes:,} bytes.")

    async def committing(self, publication: Publication, claim: Claim, message: str) -> Publication:
        """The intent to publish, before the call that does. Raises Fenced as well when another publish epoch has begun
        since the publication was opened: it is only asked about.
        """
        state = dataclasses.replace(
            publication, step=Step.COMMITTING, etag=claim.etag, options=claim.options, caption=claim.caption
        )
        return await self._commit(
            publication, Write(state, ("commit_time",), lines=self._lines(publication, state, message))
        )

    async def taken(self, publication: Publication, taken: Taken, *, watch: bool) -> Publication:
        """The platform has everything: the attempt ends. Its verdict is known already, or awaited."""
        domain.check_arrow(publication.step, Step.ACCEPTED)
        accepted = dataclasses.replace(
            publication,
            step=Step.ACCEPTED,
            handle=taken.handle or publication.handle,
            upload_url="",
            sent_bytes=publication.media_size,
            needs_person=False,
            checks=0,
        )
        if taken.verdict:
            return await self.published(accepted, taken.verdict, watch=watch, ends_attempt=True)
        message = "The platform has everything; its verdict is awaited."
        return await self._commit(
            publication,
            Write(
                accepted,
                ("accept_time",),
                check_in_seconds=0.0,
                lines=self._lines(publication, accepted, message),
                outcome="accepted",
                reports=True,
            ),
        )

    async def published(
        self, publication: Publication, verdict: Verdict, *, watch: bool, ends_attempt: bool = False
    ) -> Publication:
        """Published, by the platform's word. With `watch` it is looked at again later: it may be removed."""
        state = dataclasses.replace(
            publication,
            step=Step.PUBLISHED,
            checks=0,
            needs_person=False,
            next_check_time=None,
            platform_post_id=verdict.platform_post_id,
            url=verdict.url,
            visibility=verdict.visibility,
        )
        message = f"Published ({verdict.visibility.value.lower()})." + (f" {verdict.url}" if verdict.url else "")
        wait = watch_wait(0) if watch and verdict.visibility is domain.Visibility.PUBLIC else None
        times = ("publish_time",) if publication.accept_time else ("publish_time", "accept_time")
        return await self._commit(
            publication,
            Write(
                state,
                times,
                check_in_seconds=wait.total_seconds() if wait else None,
                lines=self._lines(publication, state, message),
                outcome="published" if ends_attempt else "",
                reports=True,
            ),
        )

    async def uncertain(self, publication: Publication, cause: str, *, needs_person: bool) -> Publication:
        """It may have been published: the attempt is over and only reads follow, or a person's word.

        Whoever calls this knows that the committing call is over: its end was seen, or its process has lost the lease.
        """
        state = dataclasses.replace(
            publication, step=Step.UNCERTAIN, checks=0, needs_person=needs_person, next_check_time=None
        )
        text = domain.uncertain_message(cause, needs_person=needs_person)
        return await self._commit(
            publication,
            Write(
                state,
                ("doubt_time",) if publication.commit_time else ("doubt_time", "commit_time"),
                check_in_seconds=None if needs_person else doubt_wait(0).total_seconds(),
                lines=self._lines(publication, state, text),
                outcome="uncertain",
                reports=True,
                doubt=cause,
            ),
        )

    async def failed(
        self,
        publication: Publication,
        failure: Failure,
        vendor_log_id: str = "",
        *,
        handle_ended: bool = False,
        has_sent: bool = True,
    ) -> Publication:
        """The attempt ends without a publication. What may work later leaves the step for the next attempt, which
        begins anew when nothing can come of the handle any more. When no attempt `has_sent`, the intent is taken back.
        """
        state = publication
        if failure.kind not in FOR_NOW:
            step = Step.REJECTED if failure.kind is FailureKind.REJECTED else Step.FAILED
            state = dataclasses.replace(
                publication, step=step, upload_url="", next_check_time=None, needs_person=False, failure=failure
            )
        elif handle_ended or not publication.handle:
            state = _emptied(publication)
        elif publication.step is Step.COMMITTING and not has_sent:
            state = dataclasses.replace(publication, step=Step.HANDLE, commit_time=None)
        line = Line(publication.step, failure.message, vendor_log_id)
        return await self._commit(
            publication,
            Write(
                state,
                lines=(*self._first(publication), line),
                outcome=failure.kind.value.lower(),
                reports=True,
                failure=failure,
            ),
        )

    async def broke(self, publication: Publication) -> None:
        """A fault of ours ended the attempt: it failed for now when nothing was sent, and counts as a try. When
        something may have been sent the lease must run out, so that the next attempt asks.
        """
        if publication.step in NOTHING_SENT:
            await self.failed(publication, _BROKE)
        else:
            await self.noted(publication, _BROKE.message)

    async def taken_back(self, publication: Publication, outcome: str) -> Publication:
        """The attempt ends, and its committing call has not left: an intent that was stored is taken back."""
        state = publication
        if publication.step is Step.COMMITTING:
            step = Step.HANDLE if publication.handle else Step.OPENED
            state = dataclasses.replace(publication, step=step, commit_time=None)
        line = Line(state.step, f"The attempt ends before anything was published: {outcome}.")
        return await self._commit(publication, Write(state, lines=(line,), outcome=outcome))

    async def unsent(self, publication: Publication) -> None:
        """A claim that only asks has found that nothing was sent: the attempt ends."""
        text = "Its handling has ended too many processes. Nothing of it was sent, and it is set aside."
        lines = self._lines(publication, publication, text)
        await self._commit(publication, Write(publication, lines=lines, outcome="unsent", reports=True))

    async def noted(self, publication: Publication, message: str, outcome: str = "") -> Publication:
        """A line of the attempt log; with `outcome` the attempt ends with nothing known."""
        return await self._commit(
            publication, Write(publication, lines=(Line(publication.step, message),), outcome=outcome)
        )

    async def report_again(self, publication: Publication) -> None:
        """The publication is over, or awaits its verdict, but the scheduler has not heard it: under this attempt."""
        await self._commit(
            publication,
            Write(
                publication,
                lines=(Line(publication.step, "Already done by an earlier attempt; reported again."),),
                outcome=publication.step.value.lower(),
                reports=True,
            ),
        )

    async def still_open(self, publication: Publication, seconds: float | None = None, message: str = "") -> None:
        """Nothing new: it is asked again later, by the plan of its step or after `seconds`; None there: never more."""
        plan = {Step.ACCEPTED: check_wait, Step.UNCERTAIN: doubt_wait, Step.PUBLISHED: watch_wait}[publication.step]
        planned = plan(publication.checks)
        wait = seconds if seconds is not None else planned.total_seconds() if planned else None
        state = dataclasses.replace(publication, next_check_time=None)
        lines = (Line(publication.step, message),) if message else ()
        tells = (("publication.unanswered", message),) if message else ()
        await self._commit(publication, Write(state, check_in_seconds=wait, lines=lines, tells=tells))

    async def refused(self, publication: Publication, failure: Failure) -> None:
        """The platform's definite no; a later attempt may work."""
        state = _emptied(publication)
        message = failure.message
        if failure.kind in FOR_NOW:
            message = f"{message} Nothing was published."
        else:
            step = Step.REJECTED if failure.kind is FailureKind.REJECTED else Step.FAILED
            state = dataclasses.replace(
                publication, step=step, next_check_time=None, upload_url="", needs_person=False, failure=failure
            )
        await self._commit(publication, Write(state, lines=(Line(state.step, message),), reports=True, failure=failure))

    async def absent(self, publication: Publication, failure: Failure) -> None:
        """Proof that nothing came of an uncertain call: a new attempt begins anew."""
        await self._commit(
            publication,
            Write(
                _emptied(publication),
                lines=(Line(Step.OPENED, failure.message),),
                reports=True,
                failure=failure,
                is_proven=True,
            ),
        )

    async def goes_on(self, publication: Publication, failure: Failure, sent_bytes: int) -> None:
        """The platform lacks bytes of the handle and nothing was published: a new attempt goes on where it stands.

        Raises Restored in an older epoch: another upload may have been finished since.
        """
        state = dataclasses.replace(
            publication, step=Step.COMMITTING, next_check_time=None, needs_person=False, sent_bytes=sent_bytes
        )
        await self._commit(
            publication, Write(state, lines=(Line(state.step, failure.message),), reports=True, failure=failure)
        )

    async def removed(self, publication: Publication) -> None:
        """The platform no longer shows it."""
        state = dataclasses.replace(publication, step=Step.REMOVED, next_check_time=None)
        await self._commit(
            publication, Write(state, lines=(Line(state.step, "The platform no longer shows it."),), reports=True)
        )

    def settle(self, workspace_id: UUID, delivery_id: UUID, verdict: Verdict | None) -> None:
        """A person's word on an uncertain outcome: it is published, or not (None).

        Raises PublicationNotUncertain. Said again, it changes nothing.
        """
        word = "A person says that it is " + ("published." if verdict else "not published.")
        for _ in range(3):  # an observer may write between our look and our word
            with self.database.transaction(workspace_id) as tx:
                publication = store.read_publication(tx, self.vault, workspace_id, delivery_id)
                said_before = store.last_line(tx, publication) == word
            if said_before and publication.step in (Step.OPENED, Step.PUBLISHED):
                return
            if publication.step is not Step.UNCERTAIN:
                raise domain.PublicationNotUncertain(
                    f"The publication is {publication.step.value}: there is nothing to settle.",
                    metadata={"step": publication.step.value},
                )
            if verdict is None:
                failure = Failure(FailureKind.TRANSIENT, "SETTLED_NOT_PUBLISHED", word)
                lines = (Line(Step.OPENED, word),)
                write = Write(_emptied(publication), lines=lines, reports=True, failure=failure, is_proven=True)
            else:
                state = dataclasses.replace(
                    publication,
                    step=Step.PUBLISHED,
                    needs_person=False,
                    next_check_time=None,
                    platform_post_id=verdict.platform_post_id,
                    url=verdict.url,
                    visibility=verdict.visibility,
                )
                write = Write(state, ("publish_time",), lines=(Line(state.step, word),), reports=True)
            if not isinstance(self.writer.commit([write])[0], Fenced):
                return
        raise Unavailable("The publication is being asked about just now. Say it again in a moment.")

    def take_checks(self, batch: int, lease_seconds: float) -> list[Publication]:
        """Publications whose platform may be asked now."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            return store.take_checks(tx, self.vault, batch=batch, lease_seconds=lease_seconds)

    def seconds_until_check(self) -> float | None:
        """How long until the next platform may be asked."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            return store.seconds_until_check(tx)

    def handles_of_others(self, publication: Publication) -> frozenset[str]:
        """What an account's recent posts are known by that belong to other deliveries."""
        since = (publication.commit_time or datetime.now(UTC)) - _RECENT
        with self.database.transaction(publication.workspace_id) as tx:
            found = store.handles_since(tx, publication.workspace_id, publication.account_id, since)
        return frozenset(
            handle for delivery, handles in found.items() if delivery != publication.delivery_id for handle in handles
        )

    def last_line(self, publication: Publication) -> str | None:
        """The last line of a publication's log."""
        with self.database.transaction(publication.workspace_id) as tx:
            return store.last_line(tx, publication)

    async def _write(self, publication: Publication, state: Publication, message: str) -> Publication:
        return await self._commit(publication, Write(state, lines=self._lines(publication, state, message)))

    async def _commit(self, before: Publication, write: Write) -> Publication:
        domain.check_arrow(before.step, write.state.step)
        return await self.writer.write(write)

    def _lines(self, before: Publication, state: Publication, message: str) -> tuple[Line, ...]:
        return (*self._first(before), Line(state.step, message))

    def _first(self, before: Publication) -> tuple[Line, ...]:
        """The line that begins the log of a first attempt: it is written with the first step."""
        if before.revision:
            return ()
        return (Line(Step.OPENED, f"Attempt {before.attempt} by {self._holder}."),)


def _emptied(publication: Publication) -> Publication:
    """Without a handle: nothing can come of it any more."""
    return dataclasses.replace(
        publication,
        step=Step.OPENED,
        handle="",
        upload_url="",
        handle_expire_time=None,
        media_size=0,
        sent_bytes=0,
        commit_time=None,
        doubt_time=None,
        needs_person=False,
        accept_time=None,
        next_check_time=None,
    )
