"""A PostgreSQL 18 server of our own, from the programs of a Python wheel: no Docker, no root, no installation.

The server is a direct child on 127.0.0.1 with a random password. What can go wrong, and what happens then:

* We are killed: the kernel sends the server SIGQUIT, it stops at once, and recovers from its log at the next start.
* The server is killed: its backends notice and leave; `spawn` waits for them (and ends those that do not), because
  a new server refuses to start while an old backend holds the shared memory.
* The dead server's `postmaster.pid` names a process id that lives again as something else: PostgreSQL would refuse
  to start. We hold the folder's lock and have seen that no server lives in it, so the file is removed.
* A second program starts on the same folder: it is refused, with the first one's process id.
* The machine loses power: nothing that was committed is lost; with `durable=True` no setting can switch that off.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local import cluster as clusters
from deploy.local.cluster import Cluster, PostgresError
from deploy.local.processes import LOCALHOST, describe_exit, free_port, spawn, tail

__all__ = ["EmbeddedPostgres", "PostgresError"]

_SETTINGS = {
    "listen_addresses": LOCALHOST,
    "unix_socket_directories": "",
    "timezone": "UTC",
    "max_connections": "200",
    # The log names errors, never statements or their values: those may hold secrets and people's data.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# Given on the command line, where no configuration file and no ALTER SYSTEM can overrule them.
_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
_FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # In the data folder instead of /dev/shm, so that removing the folder removes all there is.
    "dynamic_shared_memory_type": "mmap",
}
_LEFTOVER_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.01
_PORT_ATTEMPTS = 3


class EmbeddedPostgres:
    """One PostgreSQL server on one data folder. Use `start`/`stop`, a `with` block, or hand it to a `Supervisor`.

    `port=0` takes a free port at the first start and keeps it for the life of this object. `durable=False` is for
    tests: faster, and a crash of the machine may lose everything. The log is `<data_dir>.log`.

    Start it from a thread that lives as long as the server is wanted: the server stops when that thread ends.
    """

    name = "postgresql"

    def __init__(self, data_dir: Path, port: int = 0, *, durable: bool = True, stop_timeout: float = 20.0) -> None:
        self.data_dir = data_dir.resolve()
        self.log_path = self.data_dir.with_name(self.data_dir.name + ".log")
        self.stop_timeout = stop_timeout
        self.port = port
        self._port_is_free_to_change = port == 0
        self._durable = durable
        self._lock: int | None = None
        self._cluster: Cluster | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def admin_url(self) -> str:
        """Address of the database `postgres` for its superuser, as libpq reads it: `postgresql://user:password@...`.

        Final once the server has been ready. Raises PostgresError before the first start.
        """
        if self._cluster is None:
            raise PostgresError("The embedded PostgreSQL has no address yet: start it first.")
        return f"postgresql://postgres:{self._cluster.password}@{LOCALHOST}:{self.port}/postgres"

    @property
    def pid(self) -> int | None:
        """Process id of the server, None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout: float = 60.0) -> None:
        """Start the server and return when it takes connections. Nothing happens if it runs already.

        Raises PostgresError when it ends before it is ready, or is not ready after `timeout` seconds.
        """
        try:
            for attempt in range(1, _PORT_ATTEMPTS + 1):
                self.spawn()
                if self._await_ready(timeout):
                    return
                # Somebody may have taken the port between our choice and the server's start.
                if not (self._port_is_free_to_change and attempt < _PORT_ATTEMPTS and self._port_was_taken()):
                    break
            raise PostgresError(self._why_not_started())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and give the data folder free; harmless when it does not run.

        Clients are disconnected and their open transactions rolled back. After `stop_timeout` seconds the server is
        made to leave at once, which costs a recovery at the next start and no committed row.
        """
        process = self._process
        if process is not None and process.poll() is None:
            self.ask_to_stop()
            try:
                process.wait(self.stop_timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                process.wait()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What a supervisor needs: the same verbs as `supervisor.Child`.

    def spawn(self) -> None:
        """Launch the server without waiting until it is ready. Nothing happens if it runs already.

        The first time on a folder this makes the database (about half a second); after a crash it first waits for
        what the dead server left. Raises PostgresError.
        """
        if self.pid is not None:
            return
        try:
            self._take_lock()
            self._cluster = cluster = clusters.prepare(self.data_dir, durable=self._durable)
            self._clear_leftovers()
            if self._port_is_free_to_change:
                self.port = free_port()
            settings = _SETTINGS | (_DURABLE if self._durable else _FAST) | {"port": str(self.port)}
            options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
            self._process = spawn(
                [cluster.program("postgres"), "-D", str(self.data_dir), *options],
                env=clusters.ENVIRONMENT,
                log_path=self.log_path,
                death_signal=signal.SIGQUIT,
                run_as=cluster.run_as,
                cwd=Path("/"),
            )
        except OSError as error:
            raise PostgresError(
                f"PostgreSQL could not be started in {self.data_dir}: {error.strerror or error} "
                f"({error.filename or 'no file named'}). Make sure that the folder may be written to and the disk has "
                "room, or choose another data folder."
            ) from error

    def poll(self) -> int | None:
        """The return code of the server if it ended, None if it runs (or was never started)."""
        return self._process.poll() if self._process is not None else None

    def is_ready(self) -> bool:
        """Whether the server that we started takes connections."""
        lines = self._pid_file_lines()
        # The file survives a crash, "ready" included; only our own process id makes it true.
        ready = self.pid is not None and len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        if ready:
            self._port_is_free_to_change = False
        return ready

    def ask_to_stop(self) -> None:
        """Ask for a fast shutdown: disconnect clients, write everything down, leave."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Make the server leave at once. SIGQUIT, so that it still takes its backends along; then SIGKILL."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.data_dir.with_name(self.data_dir.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode().strip() or "unknown"
            os.close(lock)
            raise PostgresError(
                f"{self.data_dir} is already in use by another Reelroute (process {holder}). Stop that one, or choose "
                "another data folder."
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock

    def _clear_leftovers(self) -> None:
        start = time.monotonic()
        asked: set[int] = set()
        while leftovers := _servers_in(self.data_dir):
            waited = time.monotonic() - start
            if waited > 2 * _LEFTOVER_PATIENCE_SECONDS:
                raise PostgresError(
                    f"Old PostgreSQL processes still use {self.data_dir} and cannot be ended: "
                    f"{', '.join(map(str, sorted(leftovers)))}. End them, then start again."
                )
            if waited > _LEFTOVER_PATIENCE_SECONDS:
                _send(leftovers, signal.SIGKILL)
            elif (server := self._pid_in_file()) in leftovers:
                # A whole server that outlived its supervisor; it takes its backends along.
                _send({server} - asked, signal.SIGINT)
                asked.add(server)
            else:
                _send(leftovers - asked, signal.SIGQUIT)
                asked |= leftovers
            time.sleep(_POLL_SECONDS)
        if (pid := self._pid_in_file()) and Path(f"/proc/{pid}").exists():
            # Another program, or a zombie that nobody collects, bears the dead server's number.
            (self.data_dir / "postmaster.pid").unlink()

    def _pid_in_file(self) -> int:
        lines = self._pid_file_lines()
        return int(lines[0]) if lines and lines[0].isdigit() else 0

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _await_ready(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.pid is not None and time.monotonic() < deadline:
            if self.is_ready():
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _port_was_taken(self) -> bool:
        return self.poll() is not None and "Address already in use" in tail(self.log_path, 5)

    def _why_not_started(self) -> str:
        status = self.poll()
        if status is None:
            return (
                "PostgreSQL is still not ready. If it is recovering a large database, start again with more patience; "
                f"else see {self.log_path}:\n{tail(self.log_path)}"
            )
        if self._port_was_taken():
            return (
                f"Port {self.port} on {LOCALHOST} is taken by another program. Stop that program, or choose another "
                "port for the embedded PostgreSQL."
            )
        return f"PostgreSQL ended before it was ready ({describe_exit(status)}). {self.log_path} says:\n" + tail(
            self.log_path
        )


def _servers_in(data_dir: Path) -> set[int]:
    """Process ids of PostgreSQL servers and backends of this folder: each of them works in its data folder."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        # Processes end while we look, and those of other people are closed to us.
        with contextlib.suppress(OSError):
            if (entry / "comm").read_text().strip() == "postgres" and (entry / "cwd").readlink() == data_dir:
                found.add(int(entry.name))
    return found


def _send(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
