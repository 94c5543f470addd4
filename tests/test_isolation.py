"""What keeps services and workspaces apart in the database, looked up in the catalogue over all services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import ProgrammingError

from kit import migrations
from kit.db import parse_url
from tests.database import create_database, drop_database
from tests.services import login_url

SERVICES = sorted(
    path.parent.name for path in (Path(__file__).resolve().parent.parent / "services").glob("*/migrations")
)
# Tables that hold nothing of any workspace.
OF_NO_WORKSPACE = {
    "alembic_version",
    "publisher.incidents",
    "publisher.preflights",
    "publisher.publish_epochs",
    "publisher.rate_buckets",
    "publisher.webhooks",
    "fulfillment.rate_buckets",
    "scheduler.claim_clock",
    "scheduler.outages",
    "scheduler.zone_rules",
}
ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture(scope="module")
def everything(database_server: str) -> Iterator[str]:
    """A superuser's address of one database with the schemas of all services."""
    url = create_database(database_server)
    for service in SERVICES:
        migrations.prepare(service, url, login_url(url, service))
    yield url
    drop_database(database_server, url)


@pytest.fixture
def admin(everything: str) -> Iterator[Connection]:
    """A superuser's transaction, undone after the test."""
    engine = create_engine(parse_url(everything, "test"))
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def tables(admin: Connection) -> list[tuple[str, str]]:
    rows = admin.execute(
        text("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(:schemas)"), {"schemas": SERVICES}
    )
    return sorted((schema, table) for schema, table in rows)


def tables_of_workspaces(admin: Connection) -> list[tuple[str, str]]:
    rows = admin.execute(
        text(
            "SELECT table_schema, table_name FROM information_schema.columns"
            " WHERE column_name = 'workspace_id' AND table_schema = ANY(:schemas)"
        ),
        {"schemas": SERVICES},
    )
    return sorted((schema, table) for schema, table in rows)


def test_all_services_are_looked_at() -> None:
    assert {"content", "fulfillment", "identity", "notification", "publisher", "scheduler"} <= set(SERVICES)


def test_every_table_names_its_workspace_or_is_known_to_have_none(admin: Connection) -> None:
    without = set(tables(admin)) - set(tables_of_workspaces(admin))
    assert {f"{schema}.{table}" for schema, table in without if table not in OF_NO_WORKSPACE} <= OF_NO_WORKSPACE


def test_s17_every_table_of_workspaces_has_forced_row_level_security_and_one_policy_for_everything(
    admin: Connection,
) -> None:
    found = admin.execute(
        text(
            "SELECT schemaname, tablename, relrowsecurity, relforcerowsecurity, cmd, permissive, roles::text[], qual,"
            " with_check FROM pg_policies JOIN pg_class ON oid = (schemaname || '.' || tablename)::regclass"
        )
    ).all()
    assert sorted((row.schemaname, row.tablename) for row in found) == tables_of_workspaces(admin)
    for row in found:
        assert (row.relrowsecurity, row.relforcerowsecurity) == (True, True)
        # Without a check of its own a policy for all commands checks what is written by the same rule.
        assert (row.cmd, row.permissive, row.roles, row.with_check) == ("ALL", "PERMISSIVE", ["public"], None)
        assert "workspace_id = " in row.qual


def test_s17_an_unscoped_statement_sees_nothing_and_a_scoped_one_its_workspace_on_every_table(
    admin: Connection,
) -> None:
    for schema, table in tables_of_workspaces(admin):
        name = f"{schema}.{table}"
        _without_rules(admin, name)
        admin.execute(text(f"INSERT INTO {name} (workspace_id) VALUES (:one), (:other)"), {"one": ONE, "other": OTHER})
        admin.execute(text(f"SET LOCAL ROLE reelroute_{schema}"))
        for scope, seen in (("", []), (str(ONE), [ONE]), (str(uuid4()), []), ("*", [ONE, OTHER])):
            admin.execute(text("SELECT set_config('app.workspace', :scope, true)"), {"scope": scope})
            query = text(f"SELECT workspace_id FROM {name} WHERE workspace_id IN (:one, :other) ORDER BY 1")
            assert admin.execute(query, {"one": ONE, "other": OTHER}).scalars().all() == seen, (name, scope)
        admin.execute(text("SELECT set_config('app.workspace', :scope, true)"), {"scope": str(ONE)})
        # What is only ever added to may not even be changed within the workspace.
        may_change = admin.execute(text("SELECT has_table_privilege(:name, 'UPDATE')"), {"name": name}).scalar_one()
        refused = "row-level security" if may_change else "permission denied"
        with pytest.raises(ProgrammingError, match=refused), admin.begin_nested():
            admin.execute(text(f"UPDATE {name} SET workspace_id = :other"), {"other": OTHER})
        with pytest.raises(ProgrammingError, match="row-level security"), admin.begin_nested():
            admin.execute(text(f"INSERT INTO {name} (workspace_id) VALUES (:other)"), {"other": OTHER})
        admin.execute(text("RESET ROLE"))


def _without_rules(admin: Connection, name: str) -> None:
    """Lets any row in: what a row must hold besides its workspace is not the question here. Undone with the rest."""
    constraints = text(
        # The primary key first: it insists on its columns. An identity fills itself.
        "SELECT conname FROM pg_constraint WHERE conrelid = CAST(:name AS regclass) AND NOT EXISTS (SELECT 1 FROM"
        " pg_attribute WHERE attrelid = conrelid AND contype = 'n' AND attnum = conkey[1] AND attidentity <> '')"
        " ORDER BY contype <> 'p'"
    )
    for constraint in admin.execute(constraints, {"name": name}).scalars().all():
        admin.execute(text(f'ALTER TABLE {name} DROP CONSTRAINT IF EXISTS "{constraint}" CASCADE'))
    indexes = text(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = CAST(:name AS regclass) AND indisunique"
    )
    for index in admin.execute(indexes, {"name": name}).scalars().all():
        admin.execute(text(f"DROP INDEX {index}"))


def test_s18_a_service_reads_no_table_of_another(admin: Connection) -> None:
    refused = 0
    for service in SERVICES:
        admin.execute(text(f"SET LOCAL ROLE reelroute_{service}"))
        for schema, table in tables(admin):
            if schema == service:
                admin.execute(text(f"SELECT 1 FROM {schema}.{table} LIMIT 1"))
                continue
            with (
                pytest.raises(ProgrammingError, match=f"permission denied for schema {schema}"),
                admin.begin_nested(),
            ):
                admin.execute(text(f"SELECT 1 FROM {schema}.{table} LIMIT 1"))
            refused += 1
        admin.execute(text("RESET ROLE"))
    assert refused == (len(SERVICES) - 1) * len(tables(admin))


def test_s17_the_roles_that_services_log_in_with_own_nothing_and_pass_no_policy(admin: Connection) -> None:
    logins = [f"reelroute_{service}" for service in SERVICES]
    roles = admin.execute(
        text(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(:logins) AND rolcanlogin"
            " AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)"
        ),
        {"logins": logins},
    )
    assert sorted(roles.scalars()) == sorted(logins)
    for login in logins:
        owned = admin.scalar(
            text(
                "SELECT count(*) FROM pg_shdepend JOIN pg_roles ON pg_roles.oid = refobjid"
                " WHERE deptype = 'o' AND rolname = :login"
            ),
            {"login": login},
        )
        members = admin.scalar(
            text("SELECT count(*) FROM pg_auth_members WHERE member = CAST(:login AS regrole)"), {"login": login}
        )
        assert (owned, members) == (0, 0), login


def test_no_role_of_ours_may_log_in_as_an_owner_of_tables(admin: Connection) -> None:
    owners = admin.execute(
        text(
            "SELECT DISTINCT tableowner, rolcanlogin FROM pg_tables JOIN pg_roles ON rolname = tableowner"
            " WHERE schemaname = ANY(:schemas)"
        ),
        {"schemas": SERVICES},
    )
    assert sorted(tuple(row) for row in owners) == [(f"reelroute_{service}_owner", False) for service in SERVICES]
