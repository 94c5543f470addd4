import contextlib

import psycopg2
import pytest

from tests import database
from tests.conftest import CreateDatabase


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


def tables(url: str) -> list[str]:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [name for (name,) in cursor.fetchall()]


def test_the_address_in_the_environment_wins() -> None:
    server = database.start_server({"TEST_DATABASE_URL": "postgresql://me@elsewhere/db", "TEST_DB": "docker"})

    assert server.url == "postgresql://me@elsewhere/db"


def test_docker_that_was_asked_for_and_is_not_there_is_an_error() -> None:
    with pytest.raises(database.DatabaseUnavailable, match="no Docker engine answers"):
        database.start_server({"TEST_DB": "docker"})


def test_a_misspelt_wish_is_an_error() -> None:
    with pytest.raises(database.DatabaseUnavailable, match="TEST_DB is 'dokcer'; it may be"):
        database.start_server({"TEST_DB": "dokcer"})


def test_without_an_engine_the_embedded_server_answers_and_leaves_no_trace() -> None:
    server = database.start_server({})

    assert tables(server.url) == []
    assert "no Docker engine answers" in server.description
    server.stop()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(server.url)


def test_a_database_is_a_copy_of_its_template_and_goes_even_while_in_use(
    create_database: CreateDatabase, database_server: str
) -> None:
    template = create_database()
    with contextlib.closing(psycopg2.connect(template)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE posts (id int)")

    copy = create_database(template=psycopg2.extensions.parse_dsn(template)["dbname"])

    assert tables(copy) == ["posts"]
    with contextlib.closing(psycopg2.connect(copy)):
        database.drop_database(database_server, copy)
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(copy)
