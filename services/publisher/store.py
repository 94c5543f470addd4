"""The ledger's SQL: publications, attempts, epochs. The caller owns the transaction; account SQL is account_store.py.

Writes come in batches, as one JSON array for a statement. Every write of an attempt names its number and the revision
that it was made on. When another attempt has taken over, or another observer was first, nothing is written: a worker
that froze and woke up late can neither record nor, since it records before it acts, do anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, insert, select, text

from kit.outbox import Notice, enqueue
from kit.vault import Vault
from services.publisher.domain import (
    Claim,
    Epoch,
    Failure,
    FailureKind,
    Publication,
    PublicationNotFound,
    Step,
    Visibility,
)
from services.publisher.tables import attempt_entries, attempts, outbox, publications, publish_epochs

SCHEMA = "publisher"
CHECKS_CHANNEL = "publisher_checks"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an attempt's log: a sentence for a person, and the platform's id of the call for its support."""

    step: Step
    message: str
    vendor_log_id: str = ""


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


def moment(tx: Connection) -> tuple[datetime, Epoch]:
    """The clock that decides, and the present epoch, in one question."""
    row = tx.execute(
        select(func.now().label("now"), publish_epochs).order_by(publish_epochs.c.publish_epoch.desc()).limit(1)
    ).one()
    return row.now, Epoch(row.publish_epoch, row.begin_time)


# The columns that a write sets, with their types: what a JSON array of them is read as.
_STATE = {
    "publish_epoch": "int",
    "step": "text",
    "etag": "text",
    "options": "jsonb",
    "handle": "text",
    "upload_url": "text",
    "handle_expire_time": "timestamptz",
    "media_size": "bigint",
    "sent_bytes": "bigint",
    "caption": "text",
    "duration_ms": "bigint",
    "commit_time": "timestamptz",
    "doubt_time": "timestamptz",
    "needs_person": "boolean",
    "accept_time": "timestamptz",
    "next_check_time": "timestamptz",
    "checks": "int",
    "platform_post_id": "text",
    "url": "text",
    "visibility": "text",
    "publish_time": "timestamptz",
    "failure_kind": "text",
    "failure_reason": "text",
    "failure_message": "text",
}
_KEY = {"delivery_id": "uuid", "attempt": "int", "revision": "int"}
_BIRTH = {
    "publication_id": "uuid",
    "workspace_id": "uuid",
    "post_id": "uuid",
    "account_id": "uuid",
}


def _value(column: str, row: str = "r") -> str:
    # A sealed address travels as hexadecimal text: JSON has no bytes.
    return f"decode({row}.{column}, 'hex')" if column == "upload_url" else f"{row}.{column}"


def _record(columns: dict[str, str]) -> str:
    return "jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(" + ", ".join(f"{n} {t}" for n, t in columns.items()) + ")"


_INSERT = text(
    f"INSERT INTO publications ({', '.join((*_BIRTH, *_KEY, *_STATE))})"  # noqa: S608 - our own column names
    f" SELECT {', '.join(_value(column) for column in (*_BIRTH, *_KEY, *_STATE))}"
    f" FROM {_record({**_BIRTH, **_KEY, **_STATE})}"
    " ON CONFLICT (delivery_id) DO NOTHING RETURNING publication_id, attempt, revision"
)
_SAVE = text(
    f"UPDATE publications p SET ({', '.join(_STATE)}, revision, update_time) ="  # noqa: S608 - our own column names
    f" ROW({', '.join(_value(column) for column in _STATE)}, r.revision, now())"
    f" FROM {_record({**_KEY, **_STATE})}"
    " WHERE p.delivery_id = r.delivery_id AND p.attempt = r.attempt AND p.revision = r.revision - 1"
    " RETURNING p.publication_id, p.attempt, p.revision"
)
# One state of one publication, as one attempt wrote it.
Head = tuple[UUID, int, int]


def head(state: Publication) -> Head:
    """What tells this state from every other."""
    return state.publication_id, state.attempt, state.revision


def write_publications(tx: Connection, vault: Vault, states: Sequence[Publication]) -> set[Head]:
    """Stores new states, each once; those of revision 1 are new publications. Returns those that were stored: the
    others are held by another attempt, or were written by another first.
    """
    written: set[Head] = set()
    for statement, chosen in (
        (_INSERT, [state for state in states if state.revision == 1]),
        (_SAVE, [state for state in states if state.revision != 1]),
    ):
        if chosen:
            rows = json.dumps([_row(tx, vault, state) for state in chosen])
            found = tx.execute(statement, {"rows": rows})
            written.update((row.publication_id, row.attempt, row.revision) for row in found)
    return written


def _row(tx: Connection, vault: Vault, state: Publication) -> dict[str, Any]:
    upload_url = None
    if state.upload_url:
        place = _upload_place(state.publication_id)
        upload_url = vault.seal(tx, state.workspace_id, place, state.upload_url).hex()
    failure = state.failure
    return {
        "publication_id": str(state.publication_id),
        "workspace_id": str(state.workspace_id),
        "post_id": str(state.post_id),
        "account_id": str(state.account_id),
        "publish_epoch": state.publish_epoch,
        "delivery_id": str(state.delivery_id),
        "attempt": state.attempt,
        "revision": state.revision,
        "step": state.step.value,
        "etag": state.etag,
        "options": state.options,
        "handle": state.handle,
        "upload_url": upload_url,
        "handle_expire_time": _instant(state.handle_expire_time),
        "media_size": state.media_size,
        "sent_bytes": state.sent_bytes,
        "caption": state.caption,
        "duration_ms": state.duration_ms,
        "commit_time": _instant(state.commit_time),
        "doubt_time": _instant(state.doubt_time),
        "needs_person": state.needs_person,
        "accept_time": _instant(state.accept_time),
        "next_check_time": _instant(state.next_check_time),
        "checks": state.checks,
        "platform_post_id": state.platform_post_id,
        "url": state.url,
        "visibility": state.visibility.value if state.visibility else None,
        "publish_time": _instant(state.publish_time),
        "failure_kind": failure.kind.value if failure else None,
        "failure_reason": failure.reason if failure else "",
        "failure_message": failure.message if failure else "",
    }


def _instant(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


_TAKE_OVER = text(
    """
UPDATE publications p SET attempt = r.attempt, revision = p.revision + 1, update_time = now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(delivery_id uuid, attempt int)
WHERE p.delivery_id = r.delivery_id AND (p.attempt < r.attempt OR p.publish_epoch < :epoch)
RETURNING p.*
"""
)
_TAKEN_ALREADY = text(
    """
SELECT p.* FROM publications p JOIN attempts a USING (publication_id, attempt),
    jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(delivery_id uuid, attempt int)
WHERE p.delivery_id = r.delivery_id AND p.attempt = r.attempt AND a.holder = :holder AND a.end_time IS NULL
"""
)


def take_over(
    tx: Connection, vault: Vault, claims: Sequence[Claim], epoch: Epoch
) -> tuple[dict[UUID, Publication], set[UUID]]:
    """Gives publications of claimed deliveries to the claims' attempts. Returns those that there are, and the
    deliveries that a later attempt has: their claims are fenced.

    In an older epoch any claim may take over: a restored scheduler counts attempts anew, and nothing is sent.
    """
    rows = _claim_rows(claims)
    found = tx.execute(_TAKE_OVER, {"rows": rows, "epoch": epoch.number}).mappings().all()
    taken = {row["delivery_id"]: _publication(tx, vault, row) for row in found}
    others = [claim.delivery_id for claim in claims if claim.delivery_id not in taken]
    fenced = set(
        tx.execute(select(publications.c.delivery_id).where(publications.c.delivery_id.in_(others))).scalars()
        if others
        else ()
    )
    return taken, fenced


def taken_already(tx: Connection, vault: Vault, claims: Sequence[Claim], holder: str) -> dict[UUID, Publication]:
    """Publications that the claims' attempts have taken over before, for this holder, by delivery."""
    rows = tx.execute(_TAKEN_ALREADY, {"rows": _claim_rows(claims), "holder": holder}).mappings().all()
    return {row["delivery_id"]: _publication(tx, vault, row) for row in rows}


def _claim_rows(claims: Sequence[Claim]) -> str:
    return json.dumps([{"delivery_id": str(claim.delivery_id), "attempt": claim.attempt} for claim in claims])


def read_heads(tx: Connection, publication_ids: Sequence[UUID]) -> set[Head]:
    """How publications stand."""
    rows = tx.execute(
        select(publications.c.publication_id, publications.c.attempt, publications.c.revision).where(
            publications.c.publication_id.in_(publication_ids)
        )
    )
    return {(row.publication_id, row.attempt, row.revision) for row in rows}


# An earlier attempt that has no end by now died, or was cut off.
_START_ATTEMPTS = text(
    """
WITH r AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(publication_id uuid, attempt int, workspace_id uuid)),
lost AS (
    UPDATE attempts a SET end_time = now(), outcome = 'lost' FROM r
    WHERE r.attempt > 1 AND a.publication_id = r.publication_id AND a.attempt < r.attempt AND a.end_time IS NULL)
INSERT INTO attempts (publication_id, attempt, workspace_id, holder, end_time, outcome)
SELECT publication_id, attempt, workspace_id, :holder, NULL, '' FROM r ON CONFLICT DO NOTHING
"""
)
_END_ATTEMPTS = text(
    """
UPDATE attempts a SET end_time = clock_timestamp(), outcome = r.outcome
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(publication_id uuid, attempt int, outcome text)
WHERE a.publication_id = r.publication_id AND a.attempt = r.attempt AND a.end_time IS NULL
"""
)
_INSERT_LINES = text(
    """
INSERT INTO attempt_entries (publication_id, attempt, workspace_id, entry_time, step, message, vendor_log_id)
SELECT publication_id, attempt, workspace_id, entry_time, step, message, vendor_log_id
FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb))
    AS (publication_id uuid, attempt int, workspace_id uuid, entry_time timestamptz, step text, message text,
        vendor_log_id text)) WITH ORDINALITY
ORDER BY ordinality
"""
)


def start_attempts(tx: Connection, states: Sequence[Publication], holder: str) -> None:
    """Records that the publications' attempts have begun, by `holder`; earlier ones without an end are lost."""
    rows = [
        {
            "publication_id": str(state.publication_id),
            "attempt": state.attempt,
            "workspace_id": str(state.workspace_id),
        }
        for state in states
    ]
    if rows:
        tx.execute(_START_ATTEMPTS, {"rows": json.dumps(rows), "holder": holder})


def end_attempts(tx: Connection, ended: Sequence[tuple[Publication, str]]) -> None:
    """Closes the attempts' records, each with one word for its outcome."""
    rows = [
        {"publication_id": str(state.publication_id), "attempt": state.attempt, "outcome": outcome}
        for state, outcome in ended
    ]
    if rows:
        tx.execute(_END_ATTEMPTS, {"rows": json.dumps(rows)})


def insert_lines(tx: Connection, lines: Sequence[tuple[Publication, datetime, Line]]) -> None:
    """Lines of attempt logs, in their order, each with its time."""
    rows = [
        {
            "publication_id": str(state.publication_id),
            "attempt": state.attempt,
            "workspace_id": str(state.workspace_id),
            "entry_time": time.isoformat(),
            "step": line.step.value,
            "message": line.message[:2000],
            "vendor_log_id": line.vendor_log_id,
        }
        for state, time, line in lines
    ]
    if rows:
        tx.execute(_INSERT_LINES, {"rows": json.dumps(rows)})


# A question is asked under a short lease of its own: moving next_check_time ahead. It counts as a write, so that an
# earlier observer which woke up late is fenced.
_TAKE_CHECKS = text(
    """
WITH due AS MATERIALIZED (
    SELECT publication_id FROM publications
    WHERE next_check_time <= now()
    ORDER BY next_check_time LIMIT :batch FOR UPDATE SKIP LOCKED)
UPDATE publications SET next_check_time = now() + make_interval(secs => :lease), checks = checks + 1,
    revision = revision + 1
FROM due WHERE publications.publication_id = due.publication_id
RETURNING publications.*
"""
)


def take_checks(tx: Connection, vault: Vault, *, batch: int, lease_seconds: float) -> list[Publication]:
    """Publications whose platform may be asked now, across workspaces; others do not get them for a while."""
    rows = tx.execute(_TAKE_CHECKS, {"batch": batch, "lease": lease_seconds}).mappings().all()
    return [_publication(tx, vault, row) for row in rows]


def seconds_until_check(tx: Connection) -> float | None:
    """How long until the next platform may be asked; None when nothing is open."""
    seconds: float | None = tx.execute(
        text(
            "SELECT EXTRACT(EPOCH FROM (SELECT next_check_time FROM publications WHERE next_check_time IS NOT NULL"
            " ORDER BY next_check_time LIMIT 1) - now())::float8"
        )
    ).scalar_one()
    return seconds


def handles_since(tx: Connection, workspace_id: UUID, account_id: UUID, since: datetime) -> dict[UUID, set[str]]:
    """Handles and platform ids of an account's publications that were begun since then, by delivery.

    Their ids are in the order of their creation, so that the primary key finds the recent ones.
    """
    first = UUID(int=int(since.timestamp() * 1000) << 80)
    rows = tx.execute(
        select(publications.c.delivery_id, publications.c.handle, publications.c.platform_post_id).where(
            publications.c.publication_id >= first,
            publications.c.workspace_id == workspace_id,
            publications.c.account_id == account_id,
        )
    )
    return {row.delivery_id: {row.handle, row.platform_post_id} - {""} for row in rows}


def deliveries_of_posts(
    tx: Connection, workspace_id: UUID, account_id: UUID, platform_post_ids: Sequence[str], since: datetime
) -> dict[str, tuple[UUID, UUID]]:
    """Post and delivery of an account's publications that were let out since then, by the platform's id of the post."""
    rows = tx.execute(
        select(publications.c.platform_post_id, publications.c.post_id, publications.c.delivery_id).where(
            publications.c.workspace_id == workspace_id,
            publications.c.account_id == account_id,
            publications.c.commit_time >= since,
            publications.c.platform_post_id.in_(platform_post_ids),
        )
    )
    return {row.platform_post_id: (row.post_id, row.delivery_id) for row in rows}


def last_line(tx: Connection, publication: Publication) -> str | None:
    """The last line of the attempt log; None while it is empty."""
    return tx.execute(
        select(attempt_entries.c.message)
        .where(attempt_entries.c.publication_id == publication.publication_id)
        .order_by(attempt_entries.c.entry_id.desc())
        .limit(1)
    ).scalar_one_or_none()


def read_publication(tx: Connection, vault: Vault, workspace_id: UUID, delivery_id: UUID) -> Publication:
    """The ledger of a delivery. Raises PublicationNotFound."""
    query = select(publications).where(
        publications.c.workspace_id == workspace_id, publications.c.delivery_id == delivery_id
    )
    row = tx.execute(query).mappings().first()
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
        caption=row["caption"],
        duration_ms=row["duration_ms"],
        commit_time=row["commit_time"],
        doubt_time=row["doubt_time"],
        needs_person=row["needs_person"],
        next_check_time=row["next_check_time"],
        revision=row["revision"],
        accept_time=row["accept_time"],
        platform_post_id=row["platform_post_id"],
        url=row["url"],
        visibility=Visibility(row["visibility"]) if row["visibility"] else None,
        publish_time=row["publish_time"],
        failure=failure,
        checks=row["checks"],
        publish_epoch=row["publish_epoch"],
    )
