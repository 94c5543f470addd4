import warnings
from collections.abc import Iterator

import pytest
from apprise import Apprise

from kit.db import Database
from tests.notification.receivers import MailServer, WebServer
from tests.services import service_database


@pytest.fixture(scope="session", autouse=True)
def _apprise_is_loaded() -> None:
    # At its first use Apprise loads all its services, one of which imports a deprecated module.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        Apprise.instantiate("json://localhost")


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "notification") as opened:
        yield opened


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server
