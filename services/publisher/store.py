"""The ledger's SQL: publications, attempts, epochs. The caller owns the transaction; account SQL is account_store.py.

Every write of an attempt names its number. When another attempt has taken over, nothing is written and Fenced is
raised: a worker that froze and woke up late can neither record nor, since it records before it acts, do anything.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.db import new_id
from kit.outbox import Notice, enqueue
from services.publisher.domain import (
    Claim,
    Epoch,
    Failure,
    FailureKind,
    Fenced,
    Handle,
    Publication,
    PublicationNotFound,
    Step,
    Verdict,
    Visibility,
)
from services.publisher.tables import attempt_entries, attempts, outbox, publications, publish_epochs
from services.publisher.vault import Vault

SCHEMA = "publisher"
OPEN_CHANNEL = "publisher_accepted"


def database_time(tx: Connection) -> datetime:
    """The clock that decides: when this transaction began."""
    return tx.execute(select(func.now())).scalar_one()


def present_epoch(tx: Connection) -> Epoch:
    """The epoch that new publications belong to."""
    row = tx.execute(select(publish_epochs).order_by(publish_epochs.c.publish_epoch.desc()).limit(1)).one()
    return Epoch(row.publish_epoch, row.begin_time)


def begin_epoch(tx: Connection, reason: str) -> Epoch:
    """The next epoch, beginning now."""
    tx.execute(text("LOCK TABLE publish_epochs IN SHARE ROW EXCLUSIVE MODE"))
    number = present_epoch(tx).number + 1
    tx.execute(insert(publish_epochs).values(publish_epoch=number, reason=reason))
    return present_epoch(tx)


def open_publication(tx: Connection, vault: Vault, claim: Claim, holder: str) -> tuple[Publication, Epoch]:
    """The publication of a claimed delivery, made at its first claim; from now on this attempt may write.

    Raises Fenced when a later attempt has it.
    """
    epoch = present_epoch(tx)
    tx.execute(
        upsert(publications)
        .values(
            publication_id=new_id(),
            workspace_id=claim.workspace_id,
            delivery_id=claim.delivery_id,
            post_id=claim.post_id,
            account_id=claim.account_id,
            attempt=0,
            step=Step.OPENED.value,
            etag=claim.etag,
            options=claim.options,
            publish_epoch=epoch.number,
        )
        .on_conflict_do_nothing(constraint="one_publication_per_delivery")
    )
    row = (
        tx.execute(
            update(publications)
            .where(
                publications.c.workspace_id == claim.workspace_id,
                publications.c.delivery_id == claim.delivery_id,
                publications.c.attempt < claim.attempt,
            )
            .values(attempt=claim.attempt, update_time=func.now())
            .returning(publications)
        )
        .mappings()
        .first()
    )
    if row is None:
        raise Fenced
    tx.execute(
        insert(attempts).values(
            publication_id=row["publication_id"],
            attempt=claim.attempt,
            workspace_id=claim.workspace_id,
            holder=holder,
        )
    )
    return _publication(tx, vault, row), epoch


def set_prepared(tx: Connection, publication: Publication, claim: Claim) -> None:
    """OPENED, or any step from which a new handle may be asked for → PREPARED, for the version that was claimed."""
    _write(
        tx,
        publication,
        step=Step.PREPARED.value,
        etag=claim.etag,
        options=claim.options,
        handle="",
        upload_url=None,
        handle_expire_time=None,
        media_size=0,
        sent_bytes=0,
    )


def set_handle(tx: Connection, vault: Vault, publication: Publication, handle: Handle) -> None:
    """PREPARED → HANDLE. The handle is safe from now on; no byte was sent yet."""
    _write(
        tx,
        publication,
        step=Step.HANDLE.value,
        handle=handle.handle,
        upload_url=vault.seal(
            tx, publication.workspace_id, _upload_place(publication.publication_id), handle.upload_url
        ),
        handle_expire_time=handle.expire_time,
        media_size=handle.media_size,
        sent_bytes=0,
    )


def set_committing(tx: Connection, publication: Publication) -> None:
    """HANDLE → COMMITTING: the intent to send, before the first byte.

    Raises Fenced as well when another publish epoch has begun since the publication was opened: it is only asked about.
    """
    if present_epoch(tx).number != publication.publish_epoch:
        raise Fenced
    _write(tx, publication, step=Step.COMMITTING.value)


def set_sent(tx: Connection, publication: Publication, sent_bytes: int) -> None:
    """How many bytes the platform has stored."""
    _write(tx, publication, sent_bytes=sent_bytes)


def set_accepted(tx: Connection, publication: Publication) -> datetime:
    """→ ACCEPTED: the platform has everything. Returns when, by the database's clock."""
    now = database_time(tx)
    _write(
        tx,
        publication,
        step=Step.ACCEPTED.value,
        upload_url=None,
        sent_bytes=publications.c.media_size,
        accept_time=now,
        next_check_time=now,
        checks=0,
    )
    return now


def set_published(tx: Connection, publication: Publication, verdict: Verdict) -> datetime:
    """ACCEPTED → PUBLISHED. Returns when, by the database's clock."""
    now = database_time(tx)
    _write(
        tx,
        publication,
        step=Step.PUBLISHED.value,
        next_check_time=None,
        platform_post_id=verdict.platform_post_id,
        url=verdict.url,
        visibility=verdict.visibility.value,
        publish_time=now,
    )
    return now


def set_failed(tx: Connection, publication: Publication, failure: Failure, step: Step) -> None:
    """→ REJECTED or FAILED: over, for this and for later claims."""
    _write(
        tx,
        publication,
        step=step.value,
        next_check_time=None,
        upload_url=None,
        failure_kind=failure.kind.value,
        failure_reason=failure.reason,
        failure_message=failure.message,
    )


def reopen(tx: Connection, publication: Publication) -> None:
    """COMMITTING, ACCEPTED → OPENED: by the platform's definite word nothing came of the handle; it is given up."""
    _write(
        tx,
        publication,
        step=Step.OPENED.value,
        handle="",
        upload_url=None,
        handle_expire_time=None,
        media_size=0,
        sent_bytes=0,
        accept_time=None,
        next_check_time=None,
    )


def check_held(tx: Connection, publication: Publication) -> None:
    """Raises Fenced when another attempt has the publication; it stays as it is until the transaction ends."""
    held = (
        (publications.c.workspace_id == publication.workspace_id)
        & (publications.c.publication_id == publication.publication_id)
        & (publications.c.attempt == publication.attempt)
    )
    if tx.execute(select(publications.c.attempt).where(held).with_for_update()).first() is None:
        raise Fenced


def end_attempt(tx: Connection, publication: Publication, outcome: str) -> None:
    """Closes the attempt's record with one word for its outcome."""
    tx.execute(
        update(attempts)
        .where(attempts.c.publication_id == publication.publication_id, attempts.c.attempt == publication.attempt)
        .values(end_time=func.clock_timestamp(), outcome=outcome)
    )


def note(tx: Connection, publication: Publication, step: Step, message: str, vendor_log_id: str = "") -> None:
    """A line of the attempt log."""
    tx.execute(
        insert(attempt_entries).values(
            publication_id=publication.publication_id,
            attempt=publication.attempt,
            workspace_id=publication.workspace_id,
            step=step.value,
            message=message[:2000],
            vendor_log_id=vendor_log_id,
        )
    )


def last_note(tx: Connection, publication: Publication) -> str | None:
    """The last line of the attempt log; None while it is empty."""
    return tx.execute(
        select(attempt_entries.c.message)
        .where(attempt_entries.c.publication_id == publication.publication_id)
        .order_by(attempt_entries.c.entry_id.desc())
        .limit(1)
    ).scalar_one_or_none()


# A verdict is asked for under a short lease of its own: moving next_check_time ahead.
_TAKE_CHECKS = text(
    """
WITH due AS MATERIALIZED (
    SELECT publication_id FROM publications
    WHERE step = 'ACCEPTED' AND next_check_time <= now()
    ORDER BY next_check_time LIMIT :batch FOR UPDATE SKIP LOCKED)
UPDATE publications SET next_check_time = now() + make_interval(secs => :lease), checks = checks + 1
FROM due WHERE publications.publication_id = due.publication_id
RETURNING publications.*
"""
)


def take_checks(tx: Connection, vault: Vault, *, batch: int, lease_seconds: float) -> list[Publication]:
    """Publications whose verdict may be asked for now, across workspaces; others do not get them for a while."""
    rows = tx.execute(_TAKE_CHECKS, {"batch": batch, "lease": lease_seconds}).mappings().all()
    return [_publication(tx, vault, row) for row in rows]


def seconds_until_check(tx: Connection) -> float | None:
    """How long until the next verdict may be asked for; None when none is awaited."""
    seconds: float | None = tx.execute(
        text(
            "SELECT EXTRACT(EPOCH FROM (SELECT next_check_time FROM publications WHERE step = 'ACCEPTED'"
            " ORDER BY next_check_time LIMIT 1) - now())::float8"
        )
    ).scalar_one()
    return seconds


def set_next_check(tx: Connection, publication: Publication, seconds: float) -> None:
    """When the verdict is asked for again."""
    tx.execute(
        update(publications)
        .where(
            publications.c.publication_id == publication.publication_id,
            publications.c.step == Step.ACCEPTED.value,
        )
        .values(next_check_time=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds))
    )


def read_publication(
    tx: Connection, vault: Vault, workspace_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Publication:
    """The ledger of a delivery; with `lock` it stays as it is. Raises PublicationNotFound."""
    query = select(publications).where(
        publications.c.workspace_id == workspace_id, publications.c.delivery_id == delivery_id
    )
    row = tx.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise PublicationNotFound(
            "No publisher has begun this delivery yet, or the workspace has no such delivery.",
            metadata={"delivery_id": str(delivery_id)},
        )
    return _publication(tx, vault, row)


def read_attempts(tx: Connection, publication: Publication) -> tuple[list[RowMapping], list[RowMapping]]:
    """The attempts of a publication, and the lines of their logs; oldest first."""
    mine = attempts.c.publication_id == publication.publication_id
    tries = tx.execute(select(attempts).where(mine).order_by(attempts.c.attempt)).mappings().all()
    lines = (
        tx.execute(
            select(attempt_entries)
            .where(attempt_entries.c.publication_id == publication.publication_id)
            .order_by(attempt_entries.c.entry_id.desc())
            # A delivery has few attempts of a dozen lines each. While a platform is away for days there are more: the
            # newest say how it stands.
            .limit(1000)
        )
        .mappings()
        .all()
    )
    return list(tries), list(reversed(lines))


def read_times(tx: Connection, publication: Publication) -> tuple[datetime, datetime]:
    """When the publication was opened and last changed."""
    row = tx.execute(
        select(publications.c.create_time, publications.c.update_time).where(
            publications.c.publication_id == publication.publication_id
        )
    ).one()
    return row.create_time, row.update_time


def tell(tx: Connection, notices: list[Notice]) -> None:
    """Writes what other services must know."""
    enqueue(tx, outbox, notices, SCHEMA)


def _write(tx: Connection, publication: Publication, **values: Any) -> None:
    result = tx.execute(
        update(publications)
        .where(
            publications.c.workspace_id == publication.workspace_id,
            publications.c.publication_id == publication.publication_id,
            publications.c.attempt == publication.attempt,
        )
        .values(**values, update_time=func.now())
    )
    if result.rowcount != 1:
        raise Fenced


def _upload_place(publication_id: UUID) -> str:
    return f"publications.upload_url|{publication_id}"


def _publication(tx: Connection, vault: Vault, row: RowMapping) -> Publication:
    failure = None
    if row["failure_kind"]:
        failure = Failure(FailureKind(row["failure_kind"]), row["failure_reason"], row["failure_message"])
    upload_url = ""
    if row["upload_url"] is not None:
        place = _upload_place(row["publication_id"])
        upload_url = vault.unseal(tx, row["workspace_id"], place, bytes(row["upload_url"]))
    return Publication(
        publication_id=row["publication_id"],
        workspace_id=row["workspace_id"],
        delivery_id=row["delivery_id"],
        post_id=row["post_id"],
        account_id=row["account_id"],
        attempt=row["attempt"],
        step=Step(row["step"]),
        etag=row["etag"],
        options=row["options"],
        handle=row["handle"],
        upload_url=upload_url,
        handle_expire_time=row["handle_expire_time"],
        media_size=row["media_size"],
        sent_bytes=row["sent_bytes"],
        accept_time=row["accept_time"],
        platform_post_id=row["platform_post_id"],
        url=row["url"],
        visibility=Visibility(row["visibility"]) if row["visibility"] else None,
        publish_time=row["publish_time"],
        failure=failure,
        checks=row["checks"],
        publish_epoch=row["publish_epoch"],
    )
