"""What tests of services share: migrated databases, and servers on real ports."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import psycopg2
from psycopg2 import sql

from deploy.local.stack import service_url
from kit import migrations, rpc, rpc_server
from kit.db import Database
from tests import database

SERVICE_TOKEN = "a-service-token-for-tests-0123456789"
ROLE_PASSWORD = "test"
_ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """One at a time, over all workers: two that look for free ports at once may find the same, until each is taken."""
    with (Path(tempfile.gettempdir()) / "reelroute-tests-start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def login_url(admin_url: str, service: str) -> str:
    """The address of a service's own role on the database of `admin_url`."""
    return service_url(admin_url, service, ROLE_PASSWORD)


def migrated_template(admin_url: str, service: str) -> str:
    """The name of a database that holds the service's schema and nothing else; made at first use."""
    migration_files = sorted((_ROOT / "services" / service / "migrations").rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in migration_files)).hexdigest()[:12]
    name = f"template_{service}_{digest}"
    # Roles belong to the whole server, so workers take turns.
    with (Path(tempfile.gettempdir()) / "reelroute-test-templates.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.closing(psycopg2.connect(admin_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
                if cursor.fetchone():
                    return name
                made = database.create_database(admin_url)
                migrations.prepare(service, made, login_url(made, service))
                cursor.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                        sql.Identifier(urlsplit(made).path[1:]), sql.Identifier(name)
                    )
                )
    return name


@contextlib.contextmanager
def service_database(admin_url: str, service: str) -> Iterator[Database]:
    """A fresh database with one service's schema, opened as that service's role."""
    made = database.create_database(admin_url, migrated_template(admin_url, service))
    opened = Database(login_url(made, service), service)
    try:
        yield opened
    finally:
        opened.close()
        database.drop_database(admin_url, made)


@contextlib.contextmanager
def serving(*servicers: tuple[Callable[..., None], object]) -> Iterator[str]:
    """A server with our interceptor on a free port; yields its address."""
    server = rpc_server.build_server(SERVICE_TOKEN, threads=16)
    for add, servicer in servicers:
        add(servicer, server)
    port = rpc_server.listen(server, "127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(5)


@contextlib.contextmanager
def served(*servicers: tuple[Callable[..., None], object]) -> Iterator[grpc.Channel]:
    """A server with our interceptor on a free port, and a channel to it that carries the service token."""
    with serving(*servicers) as address:
        channel = rpc.channel(address, SERVICE_TOKEN)
        try:
            yield channel
        finally:
            channel.close()
