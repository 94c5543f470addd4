"""What every test may use. One PostgreSQL server serves a whole run, with xdist too; each test makes its databases."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests import database

CreateDatabase = Callable[..., str]

_server = pytest.StashKey[database.Server]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the database server, once: workers of xdist inherit its address through the environment."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    try:
        server = database.start_server(os.environ)
    except database.DatabaseUnavailable as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[_server] = server
    os.environ[database.URL_VARIABLE] = server.url


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which server is used, and why."""
    server = config.stash.get(_server, None)
    return f"database: {server.description}" if server else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started for this run."""
    server = config.stash.get(_server, None)
    if server is not None:
        os.environ.pop(database.URL_VARIABLE, None)
        server.stop()


@pytest.fixture(scope="session")
def database_server() -> str:
    """Address of the superuser on the run's PostgreSQL server: `postgresql://user:password@host:port/name`."""
    return os.environ[database.URL_VARIABLE]


@pytest.fixture
def create_database(database_server: str) -> Iterator[CreateDatabase]:
    """`create_database(template=None) -> url`: a new database, removed after the test."""
    made: list[str] = []

    def create(template: str | None = None) -> str:
        made.append(database.create_database(database_server, template))
        return made[-1]

    yield create
    for url in made:
        database.drop_database(database_server, url)
