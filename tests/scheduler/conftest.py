from collections.abc import Iterator

import pytest

from kit.db import Database
from tests.scheduler.stage import Stage, open_stage
from tests.services import service_database


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "scheduler") as opened:
        yield opened


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with open_stage(database) as opened:
        yield opened
