"""What another service must know: a row written in the same transaction as the fact, delivered until answered.

A row names its target service, the RPC, and the request; receivers are idempotent by its request id. Rows of one
aggregate go to a target in the order in which they were written: a row is taken only when no earlier one of its
aggregate waits for the same target. A row may carry the messages of a whole batch, as a request with a repeated field;
its receiver answers each for itself, and names those that it refuses in `refusals` of its answer. A relay takes rows
with a lease (SKIP LOCKED), calls, and deletes what was answered. What the receiver definitely refuses is kept with the
reason (`refusal`), logged, and no longer in the way.
Any number of relays may run; one that dies leaves a lease that ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import structlog
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from prometheus_client import Counter
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    insert,
    text,
)

from kit import rpc
from kit.db import ALL_WORKSPACES, Database
from kit.listen import notify
from kit.rpc_status import from_rpc_error

log = structlog.get_logger()

SENT = Counter("reelroute_outbox_sent_total", "Outbox rows by result.", ["target", "result"])

_BATCH = 100
# A relay that dies while calling holds its rows, and what waits behind them, for so long.
_LEASE_SECONDS = 12
_CALL_TIMEOUT_SECONDS = 5.0
_LONGEST_BACK_OFF_SECONDS = 60
# The receiver has understood and said no; the same request will get the same answer. (UNIMPLEMENTED is a receiver of
# the version before: it will be upgraded.)
_DEFINITE = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
}


def outbox_table(metadata: MetaData) -> Table:
    """The outbox of a service. Its migration makes the same."""
    return Table(
        "outbox",
        metadata,
        Column("position", BigInteger, Identity(always=True), primary_key=True),
        Column("workspace_id", Uuid, nullable=False),
        # What must stay in order: the delivery, the post.
        Column("aggregate_id", Uuid, nullable=False),
        Column("target", Text, nullable=False),
        # Full method name: "/reelroute.notification.v1.NotificationService/RecordActivity"
        Column("method", Text, nullable=False),
        Column("request", LargeBinary, nullable=False),
        Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("attempts", Integer, nullable=False, server_default="0"),
        # Not to be taken before: after a failure, or while a relay has it.
        Column("next_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
        # Why the receiver refuses it for good; such rows are no longer sent.
        Column("refusal", Text),
        Index("outbox_waiting", "next_time", "position", postgresql_where=text("refusal IS NULL")),
        Index("outbox_order", "aggregate_id", "target", "position", postgresql_where=text("refusal IS NULL")),
    )


@dataclass(frozen=True, slots=True)
class Notice:
    """One call to make."""

    workspace_id: UUID
    aggregate_id: UUID
    target: str
    method: str
    request: Message


def enqueue(tx: Connection, table: Table, notices: list[Notice], schema: str) -> None:
    """Writes calls into the outbox; they are made after the commit, in this order per aggregate and target."""
    if not notices:
        return
    tx.execute(
        insert(table),
        [
            {
                "workspace_id": notice.workspace_id,
                "aggregate_id": notice.aggregate_id,
                "target": notice.target,
                "method": notice.method,
                "request": notice.request.SerializeToString(),
            }
            for notice in notices
        ],
    )
    notify(tx, f"{schema}_outbox")


# The MATERIALIZED CTE fences the LIMIT: without it the planner may lock more rows than it returns.
_TAKE = """
WITH due AS MATERIALIZED (
    SELECT position FROM outbox AS candidate
    WHERE refusal IS NULL AND next_time <= now()
      AND NOT EXISTS (
        SELECT 1 FROM outbox AS earlier
        WHERE earlier.refusal IS NULL AND earlier.aggregate_id = candidate.aggregate_id
          AND earlier.target = candidate.target AND earlier.position < candidate.position)
    ORDER BY next_time, position LIMIT :batch FOR UPDATE SKIP LOCKED)
UPDATE outbox SET attempts = attempts + 1, next_time = now() + make_interval(secs => :lease)
FROM due WHERE outbox.position = due.position
RETURNING outbox.position, outbox.workspace_id, outbox.target, outbox.method, outbox.request, outbox.attempts
"""


class Relay:
    """Makes the calls that wait in one service's outbox. `run_once` is for a `kit.loop.Loop`."""

    def __init__(self, database: Database, channels: Mapping[str, grpc.Channel]) -> None:
        self._database = database
        self._methods: dict[tuple[str, str], Any] = {}
        self._channels = channels

    def run_once(self) -> bool:
        """One batch, its calls side by side; True when there may be more."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            rows = tx.execute(text(_TAKE), {"batch": _BATCH, "lease": _LEASE_SECONDS}).all()
        answered, refused, failed = [], [], []
        calls = []
        for row in rows:
            if row.target in self._channels:
                calls.append((row, self._call(row)))
            else:
                # Of another release, perhaps. It waits, and holds up nothing but its aggregate.
                log.error("outbox row for an unknown target", target=row.target, method=row.method)
                failed.append({"position": row.position, "wait": _LONGEST_BACK_OFF_SECONDS, "attempts": row.attempts})
        for row, call in calls:
            try:
                answer = call.result()
                answered.append(row.position)
                SENT.labels(row.target, "answered").inc()
                for refusal in _refusals(row.method, answer):
                    SENT.labels(row.target, "refused").inc()
                    log.warning("message refused", target=row.target, method=row.method, reason=refusal.reason)
            except grpc.RpcError as error:
                refusal = from_rpc_error(error)
                code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
                if code in _DEFINITE:
                    refused.append({"position": row.position, "refusal": f"{refusal.reason}: {refusal.message}"[:500]})
                    SENT.labels(row.target, "refused").inc()
                    log.warning("outbox row refused", target=row.target, method=row.method, reason=refusal.reason)
                else:
                    wait = min(0.2 * 2 ** min(row.attempts, 12), _LONGEST_BACK_OFF_SECONDS)
                    failed.append({"position": row.position, "wait": wait, "attempts": row.attempts})
                    SENT.labels(row.target, "failed").inc()
        self._settle(answered, refused, failed)
        return bool(answered) or bool(refused)

    def _call(self, row: Any) -> Any:
        key = (row.target, row.method)
        if key not in self._methods:
            # The rows hold serialised messages: they travel as they are.
            self._methods[key] = self._channels[row.target].unary_unary(
                row.method, request_serializer=bytes, response_deserializer=bytes
            )
        return self._methods[key].future(bytes(row.request), timeout=_CALL_TIMEOUT_SECONDS)

    def _settle(self, answered: list[int], refused: list[dict[str, Any]], failed: list[dict[str, Any]]) -> None:
        if not (answered or refused or failed):
            return
        with self._database.transaction(ALL_WORKSPACES) as tx:
            if answered:
                tx.execute(text("DELETE FROM outbox WHERE position = ANY(:positions)"), {"positions": answered})
            if refused:
                tx.execute(text("UPDATE outbox SET refusal = :refusal WHERE position = :position"), refused)
            if failed:
                tx.execute(
                    text(
                        # Not what another relay has taken since.
                        "UPDATE outbox SET next_time = now() + make_interval(secs => :wait)"
                        " WHERE position = :position AND attempts = :attempts"
                    ),
                    failed,
                )


def _refusals(method: str, answer: bytes) -> list[Any]:
    """What the receiver of a batch did not take: the `refusals` of its answer, if its type has them."""
    if not answer:
        return []
    name = method.removeprefix("/").replace("/", ".")
    kind = descriptor_pool.Default().FindMethodByName(name).output_type
    if "refusals" not in kind.fields_by_name:
        return []
    response: Any = message_factory.GetMessageClass(kind).FromString(answer)
    return list(response.refusals)


def open_channels(addresses: Mapping[str, str], service_token: str) -> dict[str, grpc.Channel]:
    """A channel to each target, by its name."""
    return {name: rpc.channel(address, service_token) for name, address in addresses.items()}
