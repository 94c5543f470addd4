import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
import pytest
from psycopg2 import sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from deploy.local.postgres import EmbeddedPostgres
from kit import migrations
from kit.db import ALL_WORKSPACES, AddressUnusable, Database, UnsafeDatabase, array_literal, new_id, parse_url
from tests.database import create_database, public_folder
from tests.services import login_url, service_database

INSERT = "INSERT INTO requests (workspace_id, request_id, fingerprint) VALUES (:workspace, 'r', '')"


@pytest.fixture(scope="module")
def durable_url(durable_server: EmbeddedPostgres) -> str:
    """A superuser's address of a database with the scheduler's schema."""
    url = create_database(durable_server.admin_url)
    migrations.prepare("scheduler", url, login_url(url, "scheduler"))
    return url


def checked(url: str) -> None:
    with contextlib.closing(Database(url, "scheduler")) as database:
        database.check_safe()


def test_r33_a_server_that_keeps_its_word_is_taken(durable_url: str) -> None:
    checked(login_url(durable_url, "scheduler"))


def test_r33_a_server_that_does_not_flush_is_refused() -> None:
    folder = public_folder()
    with EmbeddedPostgres(folder / "data", durable=False) as server:
        migrations.prepare("scheduler", server.admin_url, login_url(server.admin_url, "scheduler"))
        with pytest.raises(UnsafeDatabase, match="fsync=off: a crash could lose posts"):
            checked(login_url(server.admin_url, "scheduler"))
    shutil.rmtree(folder)


def test_r33_a_database_that_answers_before_it_keeps_is_refused(durable_url: str) -> None:
    name = urlsplit(durable_url).path[1:]
    with contextlib.closing(psycopg2.connect(durable_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            change = sql.SQL("ALTER DATABASE {} {} synchronous_commit")
            cursor.execute(change.format(sql.Identifier(name), sql.SQL("SET")) + sql.SQL(" = off"))
            try:
                with pytest.raises(UnsafeDatabase, match="synchronous_commit=off"):
                    checked(login_url(durable_url, "scheduler"))
            finally:
                cursor.execute(change.format(sql.Identifier(name), sql.SQL("RESET")))


def test_a_role_that_would_see_every_workspace_is_refused(durable_url: str) -> None:
    with pytest.raises(UnsafeDatabase, match="may pass row-level security"):
        checked(durable_url)


@pytest.fixture(scope="module")
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "scheduler") as opened:
        yield opened


def test_s17_a_pooled_connection_carries_no_workspace_over(database: Database) -> None:
    narrow = Database(database.url.render_as_string(hide_password=False), "scheduler", pool_size=2)
    workspaces = [uuid4() for _ in range(4)]
    for workspace in workspaces:
        with narrow.transaction(workspace) as tx:
            tx.execute(text(INSERT), {"workspace": workspace})

    def look(number: int) -> bool:
        if number % 5 == 4:
            with narrow.engine.connect() as unscoped:
                return unscoped.execute(text("SELECT workspace_id FROM requests")).all() == []
        workspace = workspaces[number % 5]
        with narrow.transaction(workspace) as tx:
            return tx.execute(text("SELECT workspace_id FROM requests")).scalars().all() == [workspace]

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(look, range(500)))
    narrow.close()


def test_a_transaction_is_undone_by_an_error(database: Database) -> None:
    workspace = uuid4()
    with pytest.raises(DBAPIError, match="division"), database.transaction(workspace) as tx:
        tx.execute(text(f"{INSERT}; SELECT 1 / 0"), {"workspace": workspace})
    with database.transaction(ALL_WORKSPACES) as tx:
        found = text("SELECT count(*) FROM requests WHERE workspace_id = :workspace")
        assert tx.scalar(found, {"workspace": workspace}) == 0


def test_an_error_of_the_database_does_not_show_the_values_of_its_statement(database: Database) -> None:
    with pytest.raises(DBAPIError, match="division by zero") as caught, database.transaction(uuid4()) as tx:
        tx.execute(text("SELECT CAST(:token AS text), 1 / 0"), {"token": "T0PSECRET"})
    assert "T0PSECRET" not in str(caught.value)


def test_a_broken_connection_is_replaced_before_a_caller_meets_it(database: Database, database_server: str) -> None:
    with database.transaction(ALL_WORKSPACES) as tx:
        before = tx.scalar(text("SELECT pg_backend_pid()"))
    with contextlib.closing(psycopg2.connect(database_server)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [database.url.database]
        )
    with database.transaction(ALL_WORKSPACES) as tx:
        assert tx.scalar(text("SELECT pg_backend_pid()")) != before


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost/reelroute",
        "mysql://me:T0PSECRET@db/x",
        "postgresql://me:T0PSECRET@db:port/x",
        "postgresql://db/x",
        "sqlite://",
    ],
)
def test_an_address_that_is_none_is_refused_by_its_setting_and_not_repeated(url: str) -> None:
    with pytest.raises(AddressUnusable, match="REELROUTE_DATABASE_URL is not an address like") as refusal:
        parse_url(url, "REELROUTE_DATABASE_URL")
    assert "T0P" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_ids_come_in_the_order_of_their_creation() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert ids == sorted(ids)
    assert {made.version for made in ids} == {7}


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["plain", "texts, with {signs}", "", "NULL", "two\nlines", "ümläut"],
        ['a "quoted" one', "plain"],
        ["back\\slash", '\\"', "100 %s"],
        ["some", None, "none"],
        [None],
    ],
)
def test_texts_come_out_of_an_array_as_they_went_in(database_server: str, values: list[str | None]) -> None:
    with contextlib.closing(psycopg2.connect(database_server)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[]", [array_literal(values)])
        assert cursor.fetchone() == (values,)
