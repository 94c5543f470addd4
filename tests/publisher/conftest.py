from collections.abc import Iterator

import httpx
import pytest

from kit.db import Database
from sandbox.config import SandboxConfig
from services.publisher.ledger import Ledger
from tests.publisher.stage import Sandbox, Stage, a_vault, staged
from tests.sandbox.conftest import Served
from tests.services import service_database


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "publisher") as opened:
        yield opened


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database, a_vault(), "test/1")


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    with Served(SandboxConfig()) as url:
        yield url


@pytest.fixture
def sandbox(sandbox_url: str) -> Iterator[Sandbox]:
    with httpx.Client(base_url=sandbox_url, timeout=20, trust_env=False) as client:
        found = Sandbox(client)
        found.reset()
        yield found


@pytest.fixture
def stage(database: Database, sandbox: Sandbox) -> Iterator[Stage]:
    with staged(database, sandbox) as opened:
        yield opened
    # Nobody finds a call that does not say for whom it was made.
    assert [call.operation for call in opened.calls if call.subjects.workspace_id is None] == []
