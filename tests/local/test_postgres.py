import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from deploy.local.postgres import EmbeddedPostgres, PostgresError
from deploy.local.processes import identity
from tests.local.support import alive, wait_gone, wait_until


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(data_dir) as server:
        yield server


def ask(server: EmbeddedPostgres, *statements: str) -> object:
    """Run the statements, each committed; the first column of the last one's row, if it has one."""
    with contextlib.closing(psycopg2.connect(server.admin_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def server_pid(server: EmbeddedPostgres) -> int:
    assert server.pid is not None
    return server.pid


def test_a_restarted_server_keeps_its_data_and_its_address(server: EmbeddedPostgres) -> None:
    ask(server, "CREATE TABLE kept_by_restart AS SELECT 42 AS answer")
    url, pid = server.admin_url, server_pid(server)

    server.stop()
    wait_gone([pid])
    server.start()

    assert server.admin_url == url
    assert ask(server, "SELECT answer FROM kept_by_restart") == 42


def test_a_commit_survives_the_kill_of_the_server_even_while_a_backend_goes_on(server: EmbeddedPostgres) -> None:
    # A backend in a tight loop does not notice that its server died, and keeps the shared memory.
    busy = psycopg2.connect(server.admin_url)
    backend = busy.info.backend_pid

    def loop() -> None:
        with contextlib.suppress(psycopg2.OperationalError), busy.cursor() as cursor:
            cursor.execute("DO $$ BEGIN LOOP END LOOP; END $$")

    looping = threading.Thread(target=loop)
    looping.start()
    try:
        wait_until(
            lambda: ask(server, f"SELECT 1 FROM pg_stat_activity WHERE pid = {backend} AND state = 'active'"),
            "the busy backend",
        )
        ask(server, "CREATE TABLE kept_by_kill AS SELECT generate_series(1, 50000) AS n")
        os.kill(server_pid(server), signal.SIGKILL)
        wait_until(lambda: server.poll() is not None, "the server's end")
        assert alive(backend)

        server.start()

        assert ask(server, "SELECT count(*) FROM kept_by_kill") == 50000
        assert not alive(backend)
    finally:
        if alive(backend):
            os.kill(backend, signal.SIGKILL)
        looping.join()
        busy.close()


def test_a_second_starter_is_told_who_uses_the_folder(server: EmbeddedPostgres, data_dir: Path) -> None:
    with pytest.raises(PostgresError, match=f"already in use by another Reelroute .process {os.getpid()}."):
        EmbeddedPostgres(data_dir).start()

    assert ask(server, "SELECT 1") == 1


def test_a_stale_pid_file_that_names_a_living_process_does_not_block_the_start(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    server.stop()
    # PostgreSQL is only misled by a process of its own user.
    user = identity(pwd.getpwnam("nobody") if os.geteuid() == 0 else None)
    with subprocess.Popen(["sleep", "60"], **user) as bystander:
        try:
            pid_file = data_dir / "postmaster.pid"
            pid_file.write_text(f"{bystander.pid}\n{data_dir}\n0\n{server.port}\n\n127.0.0.1\n\nready\n")
            os.chown(pid_file, data_dir.stat().st_uid, data_dir.stat().st_gid)
            assert not server.is_ready()

            server.start()

            assert bystander.poll() is None
        finally:
            bystander.kill()
    assert ask(server, "SELECT 1") == 1


def test_durability_cannot_be_switched_off_from_inside(server: EmbeddedPostgres) -> None:
    ask(server, "ALTER SYSTEM SET fsync = off")
    ask(server, "ALTER SYSTEM SET synchronous_commit = off")

    server.stop()
    server.start()

    assert ask(server, "SHOW fsync") == "on"
    assert ask(server, "SHOW synchronous_commit") == "on"
    assert ask(server, "SHOW full_page_writes") == "on"


def test_secrets_are_in_no_argument_and_no_log(server: EmbeddedPostgres, data_dir: Path) -> None:
    with pytest.raises(psycopg2.errors.DuplicateObject):
        ask(server, "CREATE ROLE keeper PASSWORD 'hush-1'", "CREATE ROLE keeper PASSWORD 'hush-2'")
    password = data_dir.with_name("postgresql.password")

    log = server.log_path.read_text()
    assert 'role "keeper" already exists' in log
    assert "hush" not in log
    assert password.read_text().strip() not in log
    assert password.read_text().strip() not in Path(f"/proc/{server_pid(server)}/cmdline").read_text()
    assert password.stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_named(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PostgresError, match=f"Port {port} .* is taken by another program"):
            EmbeddedPostgres(data_dir, port).start()


def existing_data(folder: Path, name: str, version: str) -> Path:
    data = folder / name
    data.mkdir()
    (data / "PG_VERSION").write_text(version + "\n")
    if os.geteuid() == 0:
        shutil.chown(data, "nobody")
    return data


def test_data_of_another_version_is_refused_with_a_way_out(folder: Path) -> None:
    with pytest.raises(PostgresError, match=r"written by PostgreSQL 17; this is PostgreSQL 18.*pg_dump"):
        EmbeddedPostgres(existing_data(folder, "older", "17")).start()


def test_data_without_its_password_is_refused_with_a_way_out(folder: Path) -> None:
    with pytest.raises(PostgresError, match=r"locked\.password is missing.*Put the file back"):
        EmbeddedPostgres(existing_data(folder, "locked", "18")).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as somebody else")
def test_root_is_told_when_the_other_user_cannot_reach_the_folder(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(PostgresError, match=f"nobody, who may not enter {closed}"):
        EmbeddedPostgres(closed / "postgresql").start()


def test_without_setpriv_the_next_starter_ends_what_a_killed_one_left(data_dir: Path) -> None:
    program = (
        "import pathlib, signal, sys; from deploy.local.postgres import EmbeddedPostgres;"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1])); server.start(); print(server.pid, flush=True);"
        "signal.pause()"
    )
    environment = {"PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(data_dir)], env=environment, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        left_behind = int(owner.stdout.readline())
        owner.kill()
    assert alive(left_behind)

    with EmbeddedPostgres(data_dir) as server:
        assert ask(server, "SELECT 1") == 1
    assert not alive(left_behind)
