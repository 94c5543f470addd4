from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.installation import Installation, installation
from tests.chaos.wires import passes


@pytest.fixture(scope="session")
def running() -> Iterator[Installation]:
    """One installation for all scenarios of a worker; they break it and mend it."""
    with installation() as started:
        yield started


@pytest.fixture(autouse=True)
def _mended(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "running" in request.fixturenames:
        running: Installation = request.getfixturevalue("running")
        running.wires.rule = passes
        running.control("DELETE", "/faults")
        running.wait_ready()
