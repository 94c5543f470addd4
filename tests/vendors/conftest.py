from collections.abc import Iterator

import pytest

from sandbox.config import SandboxConfig
from tests.sandbox.conftest import Served


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A sandbox for the tests of one file."""
    with Served(SandboxConfig()) as url:
        yield url
