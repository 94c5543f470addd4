"""The sandbox's memory: one SQLite database, in a file or in memory.

All calls happen on the event loop's thread and no transaction is open over an `await`, so one connection without
locks of our own is enough, and each statement costs some tens of microseconds. The write-ahead log without a sync per
commit survives a killed process (not a power cut), which is what a stand-in has to promise.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Raised whenever a table changes: an older file is refused instead of half understood.
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fault (
    id INTEGER PRIMARY KEY AUTOINCREMENT, spec TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0,
    hits INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT, vendor TEXT NOT NULL, event TEXT NOT NULL, url TEXT NOT NULL,
    body BLOB NOT NULL, create_time REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_time REAL,
    end_time REAL, outcome TEXT NOT NULL DEFAULT 'waiting', last_answer TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS webhook_next ON webhook (next_time) WHERE next_time IS NOT NULL;
"""


class StateFileUnusable(Exception):
    """The state file belongs to another release or another running sandbox; the sentence says what to do."""


class Store:
    """One open database with the shared tables and those of every vendor."""

    def __init__(self, path: Path | None, schemas: Iterable[str] = ()) -> None:
        self.path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", timeout=1.0, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        try:
            # Exclusive: a second sandbox on the same file is refused here, not found out by lost posts.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("BEGIN IMMEDIATE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._db.close()
            raise StateFileUnusable(f"{path} cannot be opened ({error}). Is another sandbox using it?") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StateFileUnusable(
                f"{path} is not a state file of the sandbox. Move it away and start again."
            ) from error
        if version not in (0, SCHEMA_VERSION):
            self._db.close()
            raise StateFileUnusable(f"{path} was written by another release. Delete it to start with an empty sandbox.")
        for schema in (_SCHEMA, *schemas):
            self._db.executescript(schema)
        self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside take effect together or not at all. Must not contain an `await`; joins an open one."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def run(self, sql: str, *values: object) -> int:
        """Execute one statement and return how many rows it changed."""
        return self._db.execute(sql, values).rowcount

    def insert(self, sql: str, *values: object) -> int:
        """Execute one INSERT and return the new row's id."""
        row_id = self._db.execute(sql, values).lastrowid
        if row_id is None:
            raise ValueError("the statement inserted nothing")
        return row_id

    def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Every row of a query."""
        return self._db.execute(sql, values).fetchall()

    def number(self, sql: str, *values: object) -> int:
        """The first column of the first row as an integer, for counts."""
        row = self.one(sql, *values)
        return int(row[0]) if row is not None else 0

    def setting(self, name: str) -> dict[str, Any]:
        """A stored group of settings; empty when nothing was stored."""
        row = self.one("SELECT value FROM setting WHERE name = ?", name)
        if row is None:
            return {}
        value: dict[str, Any] = json.loads(row["value"])
        return value

    def put_setting(self, name: str, value: dict[str, Any]) -> None:
        """Replace a stored group of settings."""
        self.run("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, json.dumps(value))

    def clear(self, tables: Iterable[str]) -> None:
        """Empty the shared tables and the vendor tables that are named (names come from code, never from a request)."""
        with self.transaction():
            for table in ("setting", "fault", "webhook", *tables):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608

    def close(self) -> None:
        """Close the database and fold the write-ahead log into the file."""
        self._db.close()
