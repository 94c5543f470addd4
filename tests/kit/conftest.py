import shutil
from collections.abc import Iterator

import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.database import public_folder


@pytest.fixture(scope="session")
def durable_server() -> Iterator[EmbeddedPostgres]:
    """A server that keeps what it acknowledges, unlike the one of most tests."""
    folder = public_folder()
    try:
        with EmbeddedPostgres(folder / "data") as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
