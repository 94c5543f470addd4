from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg2
import pytest

from kit.db import Database
from kit.listen import Listener, notify
from tests.local.support import wait_until
from tests.services import service_database

WORKSPACE = UUID(int=1)


@pytest.fixture(scope="module")
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "scheduler") as opened:
        yield opened


class Ears:
    """Counts what was heard."""

    def __init__(self) -> None:
        self.heard = 0
        self.fault: Exception | None = None

    def hear(self) -> None:
        self.heard += 1
        if self.fault:
            fault, self.fault = self.fault, None
            raise fault


@contextmanager
def listening(database: Database, ears: Ears) -> Iterator[None]:
    listener = Listener(database.url, {"here": ears.hear})
    listener.start()
    # The first call says that the listener is there.
    wait_until(lambda: ears.heard == 1, "connection")
    try:
        yield
    finally:
        assert listener.stop(5)


def test_a_commit_is_heard_and_a_rollback_is_not(database: Database) -> None:
    ears = Ears()
    with listening(database, ears):
        with database.transaction(WORKSPACE) as tx:
            notify(tx, "here")
            tx.rollback()
        with database.transaction(WORKSPACE) as tx:
            notify(tx, "elsewhere")
        with database.transaction(WORKSPACE) as tx:
            notify(tx, "here")
            still_open = ears.heard
        wait_until(lambda: ears.heard == 2, "notification")
    assert (still_open, ears.heard) == (1, 2)


def test_after_a_lost_connection_it_is_called_once_because_something_may_have_been_missed(
    database: Database, database_server: str
) -> None:
    ears = Ears()
    name = database.url.database
    with listening(database, ears):
        connection = psycopg2.connect(database_server)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'reelroute-listener' AND datname = %s",
                [name],
            )
            assert cursor.rowcount == 1
        connection.close()
        wait_until(lambda: ears.heard == 2, "the call after the reconnection")


def test_a_fault_of_who_is_called_does_not_end_the_listening(database: Database) -> None:
    ears = Ears()
    with listening(database, ears):
        ears.fault = ValueError("a fault")
        with database.transaction(WORKSPACE) as tx:
            notify(tx, "here")
        # The notification, and the call after the reconnection.
        wait_until(lambda: ears.heard == 3, "the listener's return")
