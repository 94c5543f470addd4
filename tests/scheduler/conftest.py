from collections.abc import Iterator

import pytest
from sqlalchemy import text

from kit.db import ALL_WORKSPACES, Database
from tests.chaos.pg_proxy import open_pg_wire
from tests.chaos.wires import Wires, passes
from tests.scheduler.stage import Stage, open_stage
from tests.services import service_database


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "scheduler") as opened:
        # It is a copy of one that was made a while ago: not an outage.
        with opened.transaction(ALL_WORKSPACES) as tx:
            tx.execute(text("UPDATE claim_clock SET asked_time = now()"))
        yield opened


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with open_stage(database) as opened:
        yield opened


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    with Wires() as opened:
        yield opened


@pytest.fixture
def wired(database: Database, wires: Wires) -> Iterator[Database]:
    """The same database behind a wire."""
    real = database.url.port or 5432
    behind = database.url.set(port=open_pg_wire(wires, "scheduler", lambda: real))
    opened = Database(behind.render_as_string(hide_password=False), "scheduler")
    yield opened
    wires.rule = passes
    opened.close()
