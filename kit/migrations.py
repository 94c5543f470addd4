"""The schema of a service: its role, its schema, its own Alembic history.

`prepare` runs as a superuser: it makes the service's login role (which owns nothing), an owner role that nobody can
log in as, and the schema, and then runs the service's migrations as the owner. An advisory lock lets only one
migration of a schema run at a time.

Alembic is loaded by what migrates alone: a service that runs asks for its schema's version, and is 10 MB smaller.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from psycopg2.extensions import encrypt_password
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL

from kit.db import UnsafeDatabase, parse_url

if TYPE_CHECKING:
    from alembic.operations import Operations

log = structlog.get_logger()

_SERVICES = Path(__file__).resolve().parent.parent / "services"
_LOCK_TIMEOUT_MILLISECONDS = 10_000
_STATEMENT_TIMEOUT_MILLISECONDS = 300_000


class SchemaOutdated(RuntimeError):
    """The schema is not at this version's head. Run `python -m services.<name> migrate` first."""


def prepare(service: str, admin_url: str, service_url: str) -> None:
    """Makes or updates a service's role, schema and tables. May be repeated.

    `service_url` names the login role and its password; the role gets that password. Raises AddressUnusable, and
    UnsafeDatabase when that role exists and may do more than a service may.
    """
    admin = create_engine(parse_url(admin_url, "REELROUTE_ADMIN_DATABASE_URL"), hide_parameters=True)
    login = parse_url(service_url, "REELROUTE_DATABASE_URL")
    try:
        with admin.begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MILLISECONDS}"))
            # Roles belong to the whole server, an advisory lock to one database: this makes services that start
            # together take turns, whatever their databases. Nobody's login waits for it.
            connection.execute(text("LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE"))
            _prepare_roles(connection, service, login)
        with admin.begin() as connection:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"reelroute migrations {service}"}
            )
            for statement in (
                f'SET LOCAL ROLE "{service_owner(login)}"',
                f"SET LOCAL search_path = {service}",
                f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MILLISECONDS}",
                f"SET LOCAL statement_timeout = {_STATEMENT_TIMEOUT_MILLISECONDS}",
            ):
                connection.execute(text(statement))
            _upgrade(connection, service)
    finally:
        admin.dispose()


def _upgrade(connection: Connection, service: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(_SERVICES / service / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def service_owner(login: URL) -> str:
    """The role that owns a service's tables; it cannot log in."""
    return f"{login.username}_owner"


def _prepare_roles(connection: Connection, service: str, login: URL) -> None:
    owner, user = service_owner(login), str(login.username)
    for role, kind in ((owner, "NOLOGIN"), (user, "LOGIN")):
        if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}):
            connection.execute(text(f'CREATE ROLE "{role}" {kind} NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE'))
    if connection.scalar(
        text("SELECT 1 FROM pg_roles WHERE rolname = :role AND (rolsuper OR rolbypassrls)"), {"role": user}
    ):
        raise UnsafeDatabase(
            f"The role {user} of REELROUTE_DATABASE_URL may pass row-level security, so nothing would keep workspaces"
            " apart. Name a role that does not exist yet; it is made here."
        )
    if login.password is not None:
        # As its verifier: the statement may be seen in the server's log.
        verifier = encrypt_password(str(login.password), user, connection.connection.driver_connection, "scram-sha-256")
        connection.exec_driver_sql(f"ALTER ROLE \"{user}\" PASSWORD '{verifier}'")
    for statement in (
        f'CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION "{owner}"',
        f'GRANT USAGE ON SCHEMA {service} TO "{user}"',
        f'ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA {service}'
        f' GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{user}"',
        f'ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA {service} GRANT USAGE ON SEQUENCES TO "{user}"',
    ):
        connection.execute(text(statement))


def check_current(connection: Connection, service: str) -> None:
    """Raises SchemaOutdated when the schema is older than the one that this code was written for.

    A version that this code does not know is of a newer release, and newer schemas serve the release before them too.
    """
    known = sorted(path.stem for path in (_SERVICES / service / "migrations" / "versions").glob("[0-9]*.py"))
    version, head = None, known[-1]
    if connection.scalar(text("SELECT to_regclass('alembic_version')")):
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if version is not None and version not in known:
        log.warning("the schema is newer than this program", schema=service, version=version, known=head)
    elif version != head:
        raise SchemaOutdated(
            f"The schema of {service} is at {version or 'nothing'}, this program needs {head}. "
            f"Run: python -m services.{service} migrate"
        )


def run_env() -> None:
    """What each service's migrations/env.py does: run on the connection that `prepare` gives."""
    from alembic import context

    context.configure(
        connection=context.config.attributes["connection"], transactional_ddl=True, transaction_per_migration=False
    )
    context.run_migrations()


def isolate_by_workspace(op: Operations, *tables: str, column: str = "workspace_id") -> None:
    """Turns on row-level security by workspace for tables, owner included. Part of released migrations: never changed.

    A transaction sees the workspace that it named, all of them when it named '*', none when it named nothing.
    """
    for table in tables:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_of_workspace ON {table} USING ("
            f"{column} = NULLIF(NULLIF(current_setting('app.workspace', true), ''), '*')::uuid"
            " OR current_setting('app.workspace', true) = '*')"
        )


def append_only(op: Operations, *tables: str) -> None:
    """Leaves the service's role nothing but reading and adding rows of tables. Part of released migrations: never
    changed.
    """
    login = str(op.get_bind().scalar(text("SELECT current_user"))).removesuffix("_owner")
    for table in tables:
        op.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM "{login}"')
