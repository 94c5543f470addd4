import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.database import public_folder


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user may enter, shared by these tests so that its programs are copied once."""
    folder = public_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def data_dir(folder: Path) -> Path:
    """A data folder for the tests of one worker to use in turn: made by the first, started by each."""
    return folder / "postgresql"
