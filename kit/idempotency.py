"""A creation that may be repeated: the first answer is kept beside its effect, in the same transaction.

The row of a request is written first: of two equal requests at once, the second waits for the first's commit and then
reads its answer. Rows are kept for KEEP_HOURS and then deleted by `forget`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import insert

from kit.db import ALL_WORKSPACES, Database
from kit.errors import AlreadyExists

KEEP_HOURS = 72
Response = TypeVar("Response", bound=Message)


class RequestIdReused(AlreadyExists):
    """The same request id came with another request. Use a new id for a new request."""


def requests_table(metadata: MetaData) -> Table:
    """The table of answered requests. A service that creates things has one, named `requests`."""
    return Table(
        "requests",
        metadata,
        Column("workspace_id", Uuid, nullable=False),
        Column("request_id", Text, nullable=False),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("response", LargeBinary),
        Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
        PrimaryKeyConstraint("workspace_id", "request_id", name="requests_pkey"),
        Index("requests_by_age", "create_time"),
    )


def once(
    tx: Connection,
    table: Table,
    *,
    workspace_id: UUID,
    request_id: str,
    request: Message,
    response_type: type[Response],
    make: Callable[[], Response],
) -> Response:
    """The answer of `make`, or the one that the same request got before.

    Raises RequestIdReused when the id was used for another request of the workspace.
    """
    known = claim_request(tx, table, workspace_id=workspace_id, request_id=request_id, request=request)
    if known is not None:
        return response_type.FromString(known)
    response = make()
    keep_answer(tx, table, workspace_id=workspace_id, request_id=request_id, answer=response.SerializeToString())
    return response


def claim_request(
    tx: Connection, table: Table, *, workspace_id: UUID, request_id: str, request: Message
) -> bytes | None:
    """Takes a request id for a request: None when it is new, else the answer that is kept (empty where none is), which
    nobody else reads or writes until the transaction ends.

    By itself for what answers in a stream: it keeps how far it came. Raises RequestIdReused when the id was used for
    another request of the workspace.
    """
    fingerprint = hashlib.sha256(
        request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
    ).digest()
    fresh = tx.execute(
        insert(table)
        .values(workspace_id=workspace_id, request_id=request_id, fingerprint=fingerprint)
        .on_conflict_do_nothing()
        .returning(table.c.request_id)
    ).first()
    if fresh is not None:
        return None
    mine = (table.c.workspace_id == workspace_id) & (table.c.request_id == request_id)
    row = tx.execute(table.select().where(mine).with_for_update()).one()
    if bytes(row.fingerprint) != fingerprint:
        raise RequestIdReused(
            "This request id was already used for another request. Use a new one for a new request.",
            metadata={"request_id": request_id},
        )
    return bytes(row.response or b"")


def keep_answer(tx: Connection, table: Table, *, workspace_id: UUID, request_id: str, answer: bytes) -> None:
    """Keeps what the next call of a request, which was taken by `claim_request`, is told."""
    mine = (table.c.workspace_id == workspace_id) & (table.c.request_id == request_id)
    tx.execute(table.update().where(mine).values(response=answer))


def forget(database: Database, table: Table) -> int:
    """Deletes answers older than KEEP_HOURS; returns how many. At most 10,000 in a transaction."""
    forgotten = 0
    while True:
        with database.transaction(ALL_WORKSPACES) as tx:
            deleted = tx.execute(
                text(
                    f"DELETE FROM {table.name} WHERE ctid IN (SELECT ctid FROM {table.name}"  # noqa: S608 - our own name
                    " WHERE create_time < now() - make_interval(hours => :hours) LIMIT 10000)"
                ),
                {"hours": KEEP_HOURS},
            ).rowcount
        if not deleted:
            return forgotten
        forgotten += deleted
