"""The PostgreSQL server that a test run uses, and databases on it.

Which server, in this order:

1. `TEST_DATABASE_URL`: a superuser's address, used as it is.
2. A container of postgres:18-alpine, where a Docker engine answers and gives us the image.
3. The embedded server, in memory and without durability.

`TEST_DB=docker` or `TEST_DB=embedded` forces one of the last two; what is forced and cannot be had is an error.
"""

import contextlib
import fcntl
import gc
import os
import secrets
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import LocalError

URL_VARIABLE = "REELROUTE_TEST_DATABASE_URL"
IMAGE = "postgres:18-alpine"
_FOLDER_PREFIX = "reelroute-test-"
# A database of the whole product, its log and PostgreSQL's programs; a container's /dev/shm has 64 MB by default.
_ROOM_BYTES = 1024**3


class DatabaseUnavailable(Exception):
    """No PostgreSQL can be had for the tests; the text says what was tried."""


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL server: the address of its superuser, a name for people, and how to end it."""

    url: str
    description: str
    stop: Callable[[], None]


def start_server(environment: Mapping[str, str]) -> Server:
    """Find or start the server that `environment` asks for (see the head of this module).

    Raises DatabaseUnavailable.
    """
    if url := environment.get("TEST_DATABASE_URL"):
        return Server(url, "the server of TEST_DATABASE_URL", stop=lambda: None)
    wish = environment.get("TEST_DB", "")
    match wish:
        case "docker":
            return _container()
        case "embedded":
            return _embedded("as asked")
        case "":
            try:
                return _container()
            except DatabaseUnavailable as reason:
                return _embedded(str(reason))
        case _:
            raise DatabaseUnavailable(f"TEST_DB is {wish!r}; it may be docker, embedded, or not set.")


def create_database(admin_url: str, template: str | None = None) -> str:
    """Make a database with a name of its own, a copy of `template` if given; returns its address for the superuser.

    A copy needs that nobody is connected to the template.
    """
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{secrets.token_hex(6)}"
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    _execute(admin_url, statement)
    return urlunsplit(urlsplit(admin_url)._replace(path=f"/{name}"))


def drop_database(admin_url: str, url: str) -> None:
    """Remove the database at `url`, whoever is still connected to it; harmless when it is gone."""
    name = urlsplit(url).path.removeprefix("/")
    _execute(admin_url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def public_folder() -> Path:
    """A new folder, in memory if there is room, that PostgreSQL's user may enter. The caller removes it."""
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=_fast_place()))
    folder.chmod(0o755)
    return folder


def _execute(admin_url: str, statement: sql.Composable) -> None:
    with contextlib.closing(psycopg2.connect(admin_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


def _engine_answers() -> bool:
    import docker  # here, because it is slow to import
    from docker.errors import DockerException

    with warnings.catch_warnings():
        # A client that cannot connect leaves its socket to the garbage collector, which warns; here, not in some test.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with contextlib.closing(docker.from_env(timeout=2)) as engine:
                answers = bool(engine.ping())
        except (DockerException, OSError):
            answers = False
        gc.collect()
    return answers


def _container() -> Server:
    if not _engine_answers():
        raise DatabaseUnavailable("no Docker engine answers")

    # Here, because they cost two seconds and most machines need them not.
    from docker.errors import DockerException
    from testcontainers.community.postgres import PostgresContainer

    with contextlib.ExitStack() as cleanup:
        try:
            container = PostgresContainer(IMAGE, username="postgres", password=secrets.token_hex(12), driver=None)
            cleanup.callback(container.stop)
            container.with_command("postgres -c fsync=off -c synchronous_commit=off -c full_page_writes=off")
            container.start()
        # Whatever keeps the image from running: registry, disk, rights, time-outs (they are OSErrors), a failed start.
        except (DockerException, OSError, RuntimeError) as error:
            raise DatabaseUnavailable(f"the Docker engine answers, but {IMAGE} does not run: {error}") from error
        cleanup.pop_all()
    return Server(container.get_connection_url(), f"a container of {IMAGE}", stop=container.stop)


def _embedded(reason: str) -> Server:
    _remove_old_folders(_fast_place())
    folder = public_folder()
    postgres = EmbeddedPostgres(folder / "data", durable=False)

    def stop() -> None:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)

    try:
        postgres.start()
    except LocalError as error:
        stop()
        raise DatabaseUnavailable(f"Neither Docker ({reason}) nor the embedded server: {error}") from error
    return Server(postgres.admin_url, f"the embedded server ({reason})", stop)


def _fast_place() -> Path:
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK):
        state = os.statvfs(memory)
        if state.f_bavail * state.f_frsize >= _ROOM_BYTES and not state.f_flag & os.ST_NOEXEC:
            return memory
    return Path(tempfile.gettempdir())


def _remove_old_folders(place: Path) -> None:
    """Remove what killed test runs left: their server is gone, so its lock is free."""
    for folder in place.glob(_FOLDER_PREFIX + "*"):
        # Vanished meanwhile, another user's, or in use: not ours to remove.
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < 60:
                continue  # perhaps just being made
            lock = os.open(folder / "data.lock", os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)
