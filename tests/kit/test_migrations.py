from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg2
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg2 import sql
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from kit import migrations
from kit.db import AddressUnusable, Database, UnsafeDatabase
from tests.conftest import CreateDatabase
from tests.services import SERVICE_TOKEN, service_database

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def role(database_server: str) -> Iterator[str]:
    """The name of a login role that no other test has."""
    name = f"reelroute_test_{secrets.token_hex(6)}"
    yield name
    _execute(database_server, *(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(each)) for each in _both(name)))


@pytest.fixture
def url(role: str, create_database: CreateDatabase) -> str:
    """A superuser's address of a new database, which goes before the role that has things in it."""
    return create_database()


def _both(role: str) -> tuple[str, str]:
    return role, f"{role}_owner"


def _execute(url: str, *statements: sql.Composable) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def login(url: str, role: str, password: str | None = "test") -> str:
    parts = urlsplit(url)
    secret = "" if password is None else f":{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{role}{secret}@{parts.netloc.rpartition('@')[2]}"))


def works(url: str) -> bool:
    """Whether the scheduler's code can use the database."""
    with contextlib.closing(Database(url, "scheduler")) as database, database.transaction("*") as tx:
        migrations.check_current(tx, "scheduler")
        return tx.execute(text("SELECT post_id FROM posts")).all() == []


def test_preparing_again_changes_nothing(url: str, role: str) -> None:
    for _ in range(2):
        migrations.prepare("scheduler", url, login(url, role))
        assert works(login(url, role))


def test_services_of_one_server_may_prepare_at_the_same_time(
    role: str, url: str, create_database: CreateDatabase
) -> None:
    # The same role in three databases and two services in each: roles belong to the server, locks to a database.
    commands = [
        (service, database)
        for database in (url, create_database(), create_database())
        for service in ("content", "scheduler")
    ]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", f"services.{service}", "migrate"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "REELROUTE_DATABASE_URL": login(database, role),
                "REELROUTE_ADMIN_DATABASE_URL": database,
                "REELROUTE_SERVICE_TOKEN": SERVICE_TOKEN,
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for service, database in commands
    ]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in running] == [("", 0)] * 6
    for database in {database for _, database in commands}:
        assert works(login(database, role))


@pytest.mark.parametrize("password", ['it\'s 100 % \\ "quoted" :?', "@/#&", "Größe"])
def test_any_password_is_taken_as_it_is(url: str, role: str, password: str) -> None:
    migrations.prepare("scheduler", url, login(url, role, password))
    assert works(login(url, role, password))
    with pytest.raises(OperationalError, match="password authentication failed"):
        works(login(url, role, password + "x"))


def test_an_address_without_a_password_leaves_the_roles_own(url: str, role: str) -> None:
    migrations.prepare("scheduler", url, login(url, role, "first"))
    migrations.prepare("scheduler", url, login(url, role, None))
    assert works(login(url, role, "first"))
    with pytest.raises(OperationalError):
        works(login(url, role, "None"))


def test_a_role_that_may_do_everything_is_not_taken_for_a_service(url: str) -> None:
    with pytest.raises(UnsafeDatabase, match="may pass row-level security"):
        migrations.prepare("scheduler", url, url)


def test_an_address_that_names_no_role_is_refused_by_its_setting(url: str) -> None:
    with pytest.raises(AddressUnusable, match="REELROUTE_ADMIN_DATABASE_URL"):
        migrations.prepare("scheduler", "postgresql://localhost/x", url)


def test_an_old_schema_is_refused_with_the_command_that_helps_and_a_newer_one_is_taken(database_server: str) -> None:
    with service_database(database_server, "scheduler") as database, database.transaction("*") as tx:
        migrations.check_current(tx, "scheduler")
        tx.execute(text("UPDATE alembic_version SET version_num = '9999_of_the_next_release'"))
        migrations.check_current(tx, "scheduler")
        tx.execute(text("DELETE FROM alembic_version"))
        with pytest.raises(migrations.SchemaOutdated, match=r"at nothing.*Run: python -m services\.scheduler migrate"):
            migrations.check_current(tx, "scheduler")


@pytest.mark.parametrize("folder", sorted(ROOT.glob("services/*/migrations")), ids=lambda folder: folder.parent.name)
def test_revisions_are_named_as_their_files_and_follow_each_other_in_the_files_order(folder: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(folder))
    in_order = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    assert in_order == sorted(path.stem for path in (folder / "versions").glob("*.py") if path.stem != "__init__")
