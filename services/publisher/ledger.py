"""The ledger as the worker uses it: one call, one transaction, with its log line, its activity and its report.

Everything here is written before the worker's next act, or not at all: when another attempt has taken over, Fenced is
raised and the worker stops.
"""

from __future__ import annotations

import dataclasses

from sqlalchemy import Connection

from kit.db import ALL_WORKSPACES, Database
from kit.listen import notify
from services.publisher import account_store, reports, store
from services.publisher.domain import (
    NOTHING_SENT,
    Account,
    AccountNotFound,
    AttemptFailed,
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
    unknown_outcome,
)
from services.publisher.vault import Vault

# After these another attempt may work.
_FOR_NOW = (FailureKind.TRANSIENT, FailureKind.RATE_LIMITED)
_BROKE = Failure(
    FailureKind.TRANSIENT, "ATTEMPT_BROKE", "The attempt broke off by a fault on our side; the log has the cause."
)


class Ledger:
    """Publications in the database. Synchronous: the worker calls it in threads."""

    def __init__(self, database: Database, vault: Vault, holder: str) -> None:
        self.database = database
        self.vault = vault
        self._holder = holder

    def account(self, publication: Publication) -> Account:
        """The account of a publication. Raises AttemptFailed when the workspace has none with that id."""
        with self.database.transaction(publication.workspace_id) as tx:
            try:
                return account_store.read_account(tx, publication.workspace_id, publication.account_id)
            except AccountNotFound as error:
                if publication.handle:
                    raise AttemptFailed(unknown_outcome(f"{error.message} So the platform cannot be asked.")) from None
                message = f"{error.message} Connect it, and create the post again."
                raise AttemptFailed(Failure(FailureKind.PERMANENT, error.reason, message)) from None

    def open(self, claim: Claim) -> tuple[Publication, Epoch]:
        """Takes over the publication of a claim. Raises Fenced."""
        with self.database.transaction(claim.workspace_id) as tx:
            publication, epoch = store.open_publication(tx, self.vault, claim, self._holder)
            text = f"Attempt {claim.attempt} by {self._holder}; the ledger is at {publication.step.value}."
            store.note(tx, publication, publication.step, text)
            if claim.attempt > 1:
                now = store.database_time(tx)
                store.tell(tx, [reports.step(publication, "publication.resumed", text, now)])
        return publication, epoch

    def prepared(self, publication: Publication, claim: Claim, message: str) -> Publication:
        """Everything was checked; whatever handle there was is given up."""
        with self.database.transaction(publication.workspace_id) as tx:
            store.set_prepared(tx, publication, claim)
            _step(tx, publication, Step.PREPARED, "prepared", message)
        return dataclasses.replace(
            publication,
            step=Step.PREPARED,
            etag=claim.etag,
            options=claim.options,
            handle="",
            upload_url="",
            handle_expire_time=None,
            sent_bytes=0,
        )

    def handle_stored(self, publication: Publication, handle: Handle) -> Publication:
        """The platform gave a handle."""
        with self.database.transaction(publication.workspace_id) as tx:
            store.set_handle(tx, self.vault, publication, handle)
            message = f"The platform gave the handle {handle.handle}."
            _step(tx, publication, Step.HANDLE, "handle_stored", message)
        return dataclasses.replace(
            publication,
            step=Step.HANDLE,
            handle=handle.handle,
            upload_url=handle.upload_url,
            handle_expire_time=handle.expire_time,
            media_size=handle.media_size,
            sent_bytes=0,
        )

    def committing(self, publication: Publication) -> Publication:
        """The intent to send."""
        with self.database.transaction(publication.workspace_id) as tx:
            store.set_committing(tx, publication)
            message = f"Sending {publication.media_size:,} bytes, from byte {publication.sent_bytes:,}."
            _step(tx, publication, Step.COMMITTING, "committing", message)
        return dataclasses.replace(publication, step=Step.COMMITTING)

    def sent(self, publication: Publication, sent_bytes: int) -> None:
        """The platform has stored so many bytes."""
        with self.database.transaction(publication.workspace_id) as tx:
            store.set_sent(tx, publication, sent_bytes)
            store.note(tx, publication, Step.COMMITTING, f"The platform has {sent_bytes:,} bytes.")

    def accepted(self, publication: Publication) -> None:
        """The platform has everything: the attempt ends, the verdict is awaited."""
        with self.database.transaction(publication.workspace_id) as tx:
            now = store.set_accepted(tx, publication)
            message = "The platform has everything; its verdict is awaited."
            _step(tx, publication, Step.ACCEPTED, "accepted", message)
            store.end_attempt(tx, publication, "accepted")
            store.tell(tx, [reports.accepted(publication, now)])
            notify(tx, store.OPEN_CHANNEL)

    def failed(self, claim: Claim, failure: Failure, vendor_log_id: str = "", *, handle_ended: bool = False) -> None:
        """The attempt ends without a publication. What may work later leaves the step for the next attempt, which
        begins anew when nothing can come of the handle any more.
        """
        with self.database.transaction(claim.workspace_id) as tx:
            publication = self._held(tx, claim)
            store.note(tx, publication, publication.step, failure.message, vendor_log_id)
            if failure.kind not in _FOR_NOW:
                step = Step.REJECTED if failure.kind is FailureKind.REJECTED else Step.FAILED
                store.set_failed(tx, publication, failure, step)
            elif handle_ended:
                store.reopen(tx, publication)
            store.end_attempt(tx, publication, failure.kind.value.lower())
            store.tell(tx, [reports.failed(publication, failure)])

    def broke(self, claim: Claim) -> bool:
        """A fault of ours ended the attempt: it failed for now when nothing was sent, and counts as a try. False when
        something may have been sent: then the lease must run out, so that the next attempt asks.
        """
        with self.database.transaction(claim.workspace_id) as tx:
            publication = self._held(tx, claim)
            if publication.step not in NOTHING_SENT:
                store.note(tx, publication, publication.step, _BROKE.message)
                return False
            store.note(tx, publication, publication.step, f"{_BROKE.message} Nothing was sent.")
            store.end_attempt(tx, publication, "broken")
            store.tell(tx, [reports.failed(publication, _BROKE)])
        return True

    def _held(self, tx: Connection, claim: Claim) -> Publication:
        """The publication of a claim, locked. Raises Fenced when another attempt has it."""
        publication = store.read_publication(tx, self.vault, claim.workspace_id, claim.delivery_id, lock=True)
        if publication.attempt != claim.attempt:
            raise Fenced
        return publication

    def abandoned(self, publication: Publication, message: str) -> None:
        """The attempt ends with nothing known; its lease runs out and the next attempt asks again."""
        with self.database.transaction(publication.workspace_id) as tx:
            store.check_held(tx, publication)
            store.note(tx, publication, publication.step, message)
            store.end_attempt(tx, publication, "abandoned")

    def noted(self, publication: Publication, message: str) -> None:
        """A line of the attempt log."""
        with self.database.transaction(publication.workspace_id) as tx:
            store.check_held(tx, publication)
            store.note(tx, publication, publication.step, message)

    def report_again(self, publication: Publication) -> None:
        """The publication is over, or awaits its verdict, but the scheduler has not heard it: under this attempt."""
        with self.database.transaction(publication.workspace_id) as tx:
            store.check_held(tx, publication)
            store.note(tx, publication, publication.step, "Already done by an earlier attempt; reported again.")
            store.end_attempt(tx, publication, publication.step.value.lower())
            notices = []
            if publication.accept_time:
                notices.append(reports.accepted(publication, publication.accept_time))
            if publication.step is Step.PUBLISHED and publication.visibility and publication.publish_time:
                verdict = Verdict(publication.visibility, publication.platform_post_id, publication.url)
                notices.append(reports.published(publication, verdict, publication.publish_time))
            if publication.failure:
                notices.append(reports.failed(publication, publication.failure))
            store.tell(tx, notices)

    def take_checks(self, batch: int, lease_seconds: float) -> list[Publication]:
        """Publications whose verdict may be asked for now."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            return store.take_checks(tx, self.vault, batch=batch, lease_seconds=lease_seconds)

    def seconds_until_check(self) -> float | None:
        """How long until the next verdict may be asked for."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            return store.seconds_until_check(tx)

    def still_open(self, publication: Publication, seconds: float | None = None) -> None:
        """No verdict yet: it is asked for again later, by the plan of domain.check_wait or after `seconds`."""
        wait = check_wait(publication.checks).total_seconds() if seconds is None else seconds
        with self.database.transaction(publication.workspace_id) as tx:
            store.set_next_check(tx, publication, wait)

    def unanswered(self, publication: Publication, message: str) -> None:
        """The question for the verdict got no answer. Said once, however often the same comes again."""
        with self.database.transaction(publication.workspace_id) as tx:
            current = self._open_verdict(tx, publication)
            if current is not None and store.last_note(tx, current) != message:
                store.note(tx, current, Step.ACCEPTED, message)
                now = store.database_time(tx)
                store.tell(tx, [reports.step(current, "publication.unanswered", message, now)])

    def published(self, publication: Publication, verdict: Verdict) -> None:
        """Published, by the platform's word. Nothing changes when another observer was first."""
        with self.database.transaction(publication.workspace_id) as tx:
            current = self._open_verdict(tx, publication)
            if current is None:
                return
            publication = current
            now = store.set_published(tx, publication, verdict)
            message = f"Published ({verdict.visibility.value.lower()})." + (f" {verdict.url}" if verdict.url else "")
            store.note(tx, publication, Step.PUBLISHED, message)
            store.tell(tx, [reports.published(publication, verdict, now)])

    def refused(self, publication: Publication, failure: Failure) -> None:
        """The platform's definite no to what it had accepted; for some reasons a later attempt may work."""
        with self.database.transaction(publication.workspace_id) as tx:
            current = self._open_verdict(tx, publication)
            if current is None:
                return
            publication = current
            if failure.kind in _FOR_NOW:
                store.note(tx, publication, Step.OPENED, f"{failure.message} Nothing was published.")
                store.reopen(tx, publication)
            else:
                step = Step.REJECTED if failure.kind is FailureKind.REJECTED else Step.FAILED
                store.note(tx, publication, step, failure.message)
                store.set_failed(tx, publication, failure, step)
            store.tell(tx, [reports.failed(publication, failure)])

    def _open_verdict(self, tx: Connection, asked: Publication) -> Publication | None:
        """The publication as it stands, locked; None when the verdict on the handle that was asked for is known.

        A verdict is true whoever asked for it, but must be reported under the attempt that the scheduler knows: a
        later one may have taken over while the platform was asked.
        """
        current = store.read_publication(tx, self.vault, asked.workspace_id, asked.delivery_id, lock=True)
        return current if current.step is Step.ACCEPTED and current.handle == asked.handle else None


def _step(tx: Connection, publication: Publication, step: Step, kind: str, message: str) -> None:
    store.note(tx, publication, step, message)
    store.tell(tx, [reports.step(publication, f"publication.{kind}", message, store.database_time(tx))])
