"""The database of one service: an engine, and transactions that see one workspace.

Every table with a workspace has row-level security. A transaction names its workspace, and sees and writes nothing
else; claims and sweeps name ALL_WORKSPACES. Without a name there are no rows. The name is local to the transaction,
so a pooled connection carries nothing over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import structlog
import uuid_utils.compat
from sqlalchemy import Column, Connection, DateTime, create_engine, func, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from kit import context

log = structlog.get_logger()

ALL_WORKSPACES: Final = "*"


class UnsafeDatabase(RuntimeError):
    """The server would forget what it acknowledged, or show a workspace the rows of another. The text says why."""


class AddressUnusable(RuntimeError):
    """A database's address cannot be read. The text does not repeat it: it holds a password."""


def parse_url(url: str, setting: str) -> URL:
    """The address of a PostgreSQL database. Raises AddressUnusable, naming the setting that it came from."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("postgresql", "postgres") or not parsed.username:
        raise AddressUnusable(
            f"{setting} is not an address like postgresql://user:password@host:5432/database. Signs such as @ and /"
            " in a password are written as %40 and %2F."
        )
    return parsed.set(drivername="postgresql+psycopg2")


class Database:
    """Connections of one service to its schema. Thread-safe."""

    def __init__(self, url: str, schema: str, *, pool_size: int = 8, statement_timeout_seconds: float = 30) -> None:
        self.schema = schema
        self.statement_timeout_seconds = statement_timeout_seconds
        self.url = parse_url(url, "REELROUTE_DATABASE_URL")
        self.engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=4,
            pool_timeout=5,
            # A connection that died with its server is replaced before a caller meets it.
            pool_pre_ping=True,
            # Errors reach the log with their statement, never with its values.
            hide_parameters=True,
            connect_args={
                "connect_timeout": 5,
                "application_name": f"reelroute-{schema}",
                # Data is in memory or on a solid disk. With the default, for disks that turn, the planner reads and
                # sorts a whole month rather than follow an index for a page of it.
                "options": f"-c search_path={schema} -c timezone=UTC -c idle_in_transaction_session_timeout=60000"
                " -c random_page_cost=1.1",
                "keepalives_idle": 30,
            },
        )

    @contextmanager
    def transaction(self, workspace_id: UUID | str) -> Iterator[Connection]:
        """One transaction that sees one workspace, or all of them with ALL_WORKSPACES. Commits at the end.

        No statement runs longer than the caller's deadline. Never call the outside inside of it.
        Raises DeadlineExceeded when that has passed.
        """
        context.remaining_seconds(self.statement_timeout_seconds)
        with self.engine.begin() as connection:
            # Asked again: the wait for a connection took time.
            milliseconds = int(context.remaining_seconds(self.statement_timeout_seconds) * 1000) or 1
            connection.execute(
                text(
                    "SELECT set_config('app.workspace', :workspace, true),"
                    " set_config('statement_timeout', :milliseconds, true)"
                ),
                {"workspace": str(workspace_id), "milliseconds": str(milliseconds)},
            )
            yield connection

    def check_safe(self) -> None:
        """Raises UnsafeDatabase when the server may forget what it acknowledged, or our role sees every workspace."""
        with self.engine.connect() as connection:
            if connection.scalar(text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")):
                raise UnsafeDatabase(
                    f"The role {self.url.username} may pass row-level security, so nothing would keep workspaces"
                    " apart. Give REELROUTE_DATABASE_URL a role of the service's own; its migration makes one."
                )
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                value = connection.scalar(text(f"SHOW {setting}"))
                if value == "off":
                    raise UnsafeDatabase(
                        f"PostgreSQL runs with {setting}=off: a crash could lose posts that were acknowledged, or "
                        f"publish them twice. Set {setting}=on and start again."
                    )

    def close(self) -> None:
        """Closes the pool."""
        self.engine.dispose()


def time_column(name: str, *, now: bool = False) -> Column[object]:
    """A column of instants, which may be lacking; with `now`, the time of the insertion, which never is."""
    return Column(name, DateTime(timezone=True), nullable=not now, server_default=func.now() if now else None)


def array_literal(values: Sequence[str | None]) -> str:
    """Texts as PostgreSQL writes an array: for thousands of them half the work of as many parameters, on both sides."""
    texts = [value for value in values if value is not None]
    joined = '","'.join(texts)
    if texts and len(texts) == len(values) and "\\" not in joined and joined.count('"') == 2 * len(texts) - 2:
        return f'{{"{joined}"}}'
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(text_: str) -> str:
    return '"' + text_.replace("\\", "\\\\").replace('"', '\\"') + '"'


def new_id() -> UUID:
    """A UUID version 7: unique, and in the order of creation."""
    return uuid_utils.compat.uuid7()
