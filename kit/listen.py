"""PostgreSQL's LISTEN in a thread: calls back when another transaction has committed a NOTIFY.

A wake-up may be lost while the connection is down; whoever listens has a slow poll as the net, and is woken once
after each reconnection.
"""

from __future__ import annotations

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
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Ends within half a second; tells whether it did in time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        back_off = 0.1
        while not self._stopping.is_set():
            try:
                self._listen()
                back_off = 0.1
            except psycopg2.Error as error:
                log.warning("listener lost its connection", retry_in_seconds=back_off, error_class=type(error).__name__)
                self._stopping.wait(back_off)
                back_off = min(back_off * 2, 5.0)

    def _listen(self) -> None:
        connection = psycopg2.connect(self._dsn, connect_timeout=5, application_name="reelroute-listener")
        try:
            connection.set_isolation_level(extensions.ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                for channel in self._callbacks:
                    cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            for callback in self._callbacks.values():
                callback()
            while not self._stopping.is_set():
                if not select.select([connection], [], [], 0.5)[0]:
                    continue
                connection.poll()
                for channel in {note.channel for note in connection.notifies}:
                    self._callbacks[channel]()
                connection.notifies.clear()
        finally:
            connection.close()
