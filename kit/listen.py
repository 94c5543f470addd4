"""PostgreSQL's LISTEN in a thread: calls back when another transaction has committed a NOTIFY.

A wake-up may be lost while the connection is down; whoever listens has a slow poll as the net, and is woken once
after each reconnection.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

import psycopg2
import structlog
from psycopg2 import extensions, sql
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

log = structlog.get_logger()


def notify(tx: Connection, channel: str) -> None:
    """Wakes the listeners of a channel when this transaction commits. Once a transaction is enough."""
    tx.execute(text("SELECT pg_notify(:channel, '')"), {"channel": channel})


class Listener:
    """Listens on channels, each with its callback, until stopped."""

    def __init__(self, url: URL, callbacks: dict[str, Callable[[], None]]) -> None:
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._callbacks = callbacks
        self._stopping = threading.Event()
        # Written to by `stop`, so that a wait for the database ends at once; closed with the thread's end.
        self._pipe: tuple[int, int] | None = os.pipe()
        self._connected = False
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Ends at once, or when the callback that runs now has returned; tells whether it did in time."""
        self._stopping.set()
        if self._pipe:
            os.write(self._pipe[1], b"x")
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        if self._pipe and not self._thread.is_alive():
            for end in self._pipe:
                os.close(end)
            self._pipe = None
        return not self._thread.is_alive()

    def _run(self) -> None:
        back_off = 0.1
        while self._pipe and not self._stopping.is_set():
            self._connected = False
            try:
                self._listen(self._pipe[0])
            except Exception as error:
                # Whatever it was, a callback's fault too: without this thread every wake-up would be lost.
                back_off = 0.1 if self._connected else min(back_off * 2, 5.0)
                unexpected = None if isinstance(error, psycopg2.Error) else error
                log.warning(
                    "listener lost its connection",
                    retry_in_seconds=back_off,
                    error_class=type(error).__name__,
                    exc_info=unexpected,
                )
                self._stopping.wait(back_off)

    def _listen(self, end_of_wait: int) -> None:
        connection = psycopg2.connect(
            self._dsn,
            connect_timeout=5,
            application_name="reelroute-listener",
            # A server that went without a word is noticed within a minute.
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )
        try:
            connection.set_isolation_level(extensions.ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                for channel in self._callbacks:
                    cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self._connected = True
            for callback in self._callbacks.values():
                callback()
            while not self._stopping.is_set():
                readable, _, _ = select.select([connection.fileno(), end_of_wait], [], [])
                if end_of_wait in readable:
                    return
                connection.poll()
                for channel in {note.channel for note in connection.notifies}:
                    self._callbacks[channel]()
                connection.notifies.clear()
        finally:
            connection.close()
