from collections.abc import Iterator

import pytest

from kit.db import Database
from tests.services import service_database


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "content") as opened:
        yield opened
