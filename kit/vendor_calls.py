"""Keeps what was asked of vendors and what they answered, for some days: a table of each service that calls them.

A call never waits for its record. Records gather in memory, and a loop writes what has gathered in one statement. While
the database is away the oldest give way to new ones, which is counted and logged: the truth of the work is elsewhere.

An id is of the moment at which its call began. So the primary key finds what is too old, and every other index ends in
the id: a list is read from its newest row on, and no further than its page. What is too old is deleted in pieces;
partitions by day could not be dropped, because the role of a service owns no table.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    Uuid,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kit.context import Subjects
from kit.db import ALL_WORKSPACES, Database, array_literal, new_id
from kit.errors import NotFound
from kit.paging import Page
from kit.vendor_call import CallRecord

log = structlog.get_logger()

DROPPED = Counter("reelroute_vendor_calls_dropped_total", "Records of vendor calls that were not stored.")

_BATCH = 500
# What may gather in memory, and what is kept of a request or an answer; characters.
_MOST_WAITING = 16 * 1024 * 1024
_LONGEST_BODY = 64 * 1024
_LONGEST_TEXT = 500
_FORGOTTEN_AT_ONCE = 10_000
_SUBJECTS = ("post_id", "delivery_id", "account_id", "order_id", "shop_id")


class VendorCallNotFound(NotFound):
    """There is no such call, or it is older than calls are kept (REELROUTE_VENDOR_CALL_DAYS)."""


def vendor_calls_table(metadata: MetaData) -> Table:
    """The table of a service that calls vendors. Its migration makes the same."""
    return Table(
        "vendor_calls",
        metadata,
        Column("vendor_call_id", Uuid, primary_key=True),
        # None: made for no workspace, and seen by none.
        Column("workspace_id", Uuid),
        *(Column(name, Uuid) for name in _SUBJECTS),
        Column("vendor", Text, nullable=False),
        Column("operation", Text, nullable=False),
        Column("method", Text, nullable=False),
        Column("path", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("start_time", DateTime(timezone=True), nullable=False),
        Column("duration_seconds", Double, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("status", Integer),
        Column("code", Text, nullable=False),
        Column("log_id", Text),
        Column("handle", Text),
        # Read whole and never looked into: JSON keeps order and spelling, and costs less than JSONB.
        Column("request", postgresql.JSON(none_as_null=True)),
        Column("answer", postgresql.JSON(none_as_null=True)),
        Index("vendor_calls_of_workspace", "workspace_id", "vendor_call_id"),
        Index("vendor_calls_that_failed", "workspace_id", "vendor_call_id", postgresql_where=text("outcome <> 'ok'")),
        *(
            Index(
                f"vendor_calls_of_{name.removesuffix('_id')}",
                *("workspace_id", name, "vendor_call_id"),
                postgresql_where=text(f"{name} IS NOT NULL"),
            )
            for name in _SUBJECTS
        ),
    )


_calls = vendor_calls_table(MetaData())
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call] # as SQLAlchemy has it
_COLUMNS = [(column.name, column.type.compile(_DIALECT)) for column in _calls.columns]
_INSERT = text(
    f"INSERT INTO vendor_calls ({', '.join(name for name, _ in _COLUMNS)}) SELECT * FROM unnest("  # noqa: S608 - our own
    + ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS)
    # Its answer was lost, perhaps: then they are there.
    + ") ON CONFLICT DO NOTHING"
)
_FORGET = text(
    "DELETE FROM vendor_calls WHERE vendor_call_id = ANY(ARRAY(SELECT vendor_call_id FROM vendor_calls"
    " WHERE vendor_call_id < :first ORDER BY vendor_call_id LIMIT :most))"
)
# A row as its columns' texts.
_Texts = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call that is kept. In lists its record has no request and no answer."""

    vendor_call_id: UUID
    record: CallRecord


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls a list has: those for which all holds that is given. Begun at `from_time` or later, and before
    `until_time`.
    """

    about: Subjects = Subjects()  # noqa: RUF009 - frozen
    vendor: str = ""
    outcomes: Sequence[str] = ()
    from_time: datetime | None = None
    until_time: datetime | None = None


class Recorder:
    """Takes records from any thread and stores them. `run_once` is for a `kit.loop.Loop`, `forget` for a duty.

    `days` is how long calls are kept. 0: nothing is recorded, and what was is forgotten.
    """

    def __init__(self, database: Database, days: int, *, most_waiting: int = _MOST_WAITING) -> None:
        self._database = database
        self._days = days
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, _Texts]] = deque()
        self._size = 0
        self._dropped = 0

    @property
    def on_call(self) -> Callable[[CallRecord], None] | None:
        """For a vendor's client (see kit.vendor_http.VendorHttp)."""
        return self.record if self._days else None

    def record(self, call: CallRecord) -> None:
        """Takes a record; it is stored in a moment."""
        row = _texts(call)
        size = sum([len(each) for each in row if each])
        with self._lock:
            self._waiting.append((size, row))
            self._size += size
            self._make_room()

    def run_once(self) -> bool:
        """Stores what has gathered, or the first of it; True when there is more. Raises what the database says: then
        it is still there.
        """
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            self._size -= sum(size for size, _ in batch)
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("vendor calls were not recorded", calls=dropped)
        if not batch:
            return False
        try:
            self._store([row for _, row in batch])
        except Exception:
            with self._lock:
                self._waiting.extendleft(reversed(batch))
                self._size += sum(size for size, _ in batch)
                self._make_room()
            raise
        return len(batch) == _BATCH

    def forget(self) -> int:
        """Deletes calls that are older than they are kept; returns how many. At most 10,000 in a transaction."""
        first = _first_id(datetime.now(UTC) - timedelta(days=self._days))
        forgotten = 0
        while True:
            with self._database.transaction(ALL_WORKSPACES) as tx:
                deleted = tx.execute(_FORGET, {"first": first, "most": _FORGOTTEN_AT_ONCE}).rowcount
            forgotten += deleted
            if deleted < _FORGOTTEN_AT_ONCE:
                return forgotten

    def _make_room(self) -> None:
        while self._size > self._most_waiting:
            size, _ = self._waiting.popleft()
            self._size -= size
            self._drop()

    def _drop(self) -> None:
        self._dropped += 1
        DROPPED.inc()

    def _store(self, rows: Sequence[_Texts]) -> None:
        values = {
            name: array_literal(column)
            for (name, _), column in zip(_COLUMNS, zip(*rows, strict=True), strict=True)
        }  # fmt: skip
        try:
            with self._database.transaction(ALL_WORKSPACES) as tx:
                tx.execute(_INSERT, values)
        except (OperationalError, InterfaceError, PoolTimeout):
            raise
        except (SQLAlchemyError, ValueError) as error:
            # One that the database does not take must not keep out the others.
            if len(rows) == 1:
                log.warning("a vendor call cannot be recorded", error=type(error).__name__)
                self._drop()
                return
            half = len(rows) // 2
            self._store(rows[:half])
            self._store(rows[half:])


def list_calls(tx: Connection, workspace_id: UUID, wanted: Wanted, page: Page) -> list[StoredCall]:
    """Calls by their start, the newest first; one more than the page holds when there is a next page."""
    columns = [column for column in _calls.columns if column.name not in ("request", "answer")]
    query = select(*columns).where(_calls.c.workspace_id == workspace_id)
    for name in _SUBJECTS:
        if (subject := getattr(wanted.about, name)) is not None:
            query = query.where(_calls.c[name] == subject)
    if wanted.vendor:
        query = query.where(_calls.c.vendor == wanted.vendor)
    if wanted.outcomes:
        query = query.where(_calls.c.outcome.in_(wanted.outcomes))
    # By the id for the index, which has milliseconds.
    if wanted.from_time:
        query = query.where(_calls.c.vendor_call_id >= _first_id(wanted.from_time))
        query = query.where(_calls.c.start_time >= wanted.from_time)
    if wanted.until_time:
        query = query.where(_calls.c.vendor_call_id < _first_id(wanted.until_time, later=1))
        query = query.where(_calls.c.start_time < wanted.until_time)
    if page.after:
        query = query.where(_calls.c.vendor_call_id < page.after[0])
    rows = tx.execute(query.order_by(_calls.c.vendor_call_id.desc()).limit(page.size + 1)).mappings()
    return [_stored(row) for row in rows]


def read_call(tx: Connection, workspace_id: UUID, vendor_call_id: UUID) -> StoredCall:
    """One call, whole. Raises VendorCallNotFound."""
    mine = (_calls.c.workspace_id == workspace_id) & (_calls.c.vendor_call_id == vendor_call_id)
    row = tx.execute(select(_calls).where(mine)).mappings().first()
    if row is None:
        raise VendorCallNotFound(
            "There is no such call. It may be too old: calls are kept for the days of REELROUTE_VENDOR_CALL_DAYS."
        )
    return _stored(row)


def _first_id(moment: datetime, *, later: int = 0) -> UUID:
    """No call that began at a moment, or so many milliseconds later, has a smaller id."""
    return UUID(int=min(_milliseconds(moment) + later, _LAST_MILLISECOND) << 80)


def _id_at(moment: datetime) -> int:
    """A new id of a moment."""
    return _milliseconds(moment) << 80 | new_id().int & _BELOW_MILLISECONDS


_EPOCH = datetime.fromtimestamp(0, UTC)
_LAST_MILLISECOND = (1 << 48) - 1
_BELOW_MILLISECONDS = (1 << 80) - 1


def _milliseconds(moment: datetime) -> int:
    return max(0, (moment - _EPOCH) // timedelta(milliseconds=1))


def _texts(call: CallRecord) -> _Texts:
    """The row in the order of the columns."""
    about = call.subjects
    ids = (about.workspace_id, about.post_id, about.delivery_id, about.account_id, about.order_id, about.shop_id)
    return (
        f"{_id_at(call.start_time):032x}",
        *[None if each is None else each.hex for each in ids],
        call.vendor,
        call.operation,
        call.method,
        _plain(call.path),
        str(call.attempt),
        call.start_time.isoformat(),
        str(call.duration_seconds),
        call.outcome,
        None if call.status is None else str(call.status),
        _plain(call.code),
        None if call.log_id is None else _plain(call.log_id),
        None if call.handle is None else _plain(call.handle),
        _json(call.request),
        _json(call.answer),
    )


def _plain(value: str) -> str:
    """A vendor's text as PostgreSQL takes it, and no longer than is of use."""
    if value.isascii() and value.isprintable() and len(value) <= _LONGEST_TEXT:
        return value
    return value[:_LONGEST_TEXT].encode("utf-8", "replace").decode().replace("\0", "")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _json(document: dict[str, Any] | None) -> str | None:
    """A body as text; only its size where it is too large, None where it holds a number that JSON has not."""
    if document is None:
        return None
    try:
        written = _encode(document)
    except ValueError:
        return None
    if len(written) > _LONGEST_BODY:
        return f'{{"bytes":{len(written)}}}'
    # Half of a pair of surrogates is no text.
    return written if written.isascii() else written.encode("utf-8", "replace").decode()


def _stored(row: RowMapping) -> StoredCall:
    subjects = Subjects(**{each.name: row[each.name] for each in fields(Subjects)})
    rest: dict[str, Any] = {each.name: row.get(each.name) for each in fields(CallRecord) if each.name != "subjects"}
    return StoredCall(row["vendor_call_id"], CallRecord(subjects=subjects, **rest))
