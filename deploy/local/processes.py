"""Processes of the local stack: started so that none outlives us, logging into files that cannot grow without end.

A child asks the kernel for a signal when its parent dies (`setpriv --pdeathsig`), so that even `kill -9` of the
parent leaves nothing behind. Two details of that mechanism shape this module:

* The kernel signals when the *thread* that started the child ends. Start children from a thread that lives as long
  as they do.
* The parent may die before the child has asked. The child therefore compares its parent with the one that it should
  have, after asking, and gives up if they differ.
"""

import contextlib
import functools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

MAX_LOG_BYTES = 10 * 1024 * 1024
LOCALHOST = "127.0.0.1"

# $0 is the process id that the parent must have; a program that fails the test was orphaned before it began.
_STILL_OURS = 'test "$PPID" = "$0" || exit 1; exec "$@"'


class LocalError(Exception):
    """Something on this machine keeps the local stack from running; the text says what to do about it."""


class Identity(TypedDict, total=False):
    """Arguments of `subprocess` that change the user of a process; empty means: as we are."""

    user: int
    group: int
    extra_groups: list[int]


def identity(run_as: pwd.struct_passwd | None) -> Identity:
    """The arguments of `subprocess` that make a process run as `run_as`, without supplementary groups."""
    if run_as is None:
        return {}
    return {"user": run_as.pw_uid, "group": run_as.pw_gid, "extra_groups": []}


@functools.cache
def setpriv_path() -> str | None:
    """The `setpriv` of util-linux, or None where it is missing or cannot set a parent-death signal (busybox)."""
    path = shutil.which("setpriv")
    if path is None:
        return None
    probe = subprocess.run([path, "--pdeathsig", "KILL", "true"], capture_output=True, check=False)
    return path if probe.returncode == 0 else None


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log_path: Path,
    death_signal: signal.Signals = signal.SIGKILL,
    run_as: pwd.struct_passwd | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, with exactly the environment `env`, its output appended to `log_path`.

    The process gets `death_signal` when the calling thread ends. Without a usable `setpriv` it does not: a parent
    that is killed then leaves it running. `run_as` needs root. The process id is that of `argv` itself.
    Raises OSError when the log cannot be opened or the process cannot be made.
    """
    setpriv = setpriv_path()
    prefix: list[str] = []
    if setpriv is not None:
        prefix = [setpriv, "--pdeathsig", death_signal.name.removeprefix("SIG")]
        if run_as is not None:
            # Not by Popen(user=...): the kernel forgets the death signal when the user changes. setpriv changes first.
            prefix += ["--reuid", str(run_as.pw_uid), "--regid", str(run_as.pw_gid), "--clear-groups"]
        prefix += ["/bin/sh", "-c", _STILL_OURS, str(os.getpid())]
    with _log(log_path) as log:
        return subprocess.Popen(
            [*prefix, *argv],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **identity(run_as if setpriv is None else None),
        )


def describe_exit(status: int) -> str:
    """How a process ended, in words, from the return code of `Popen` (negative: the signal)."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


@contextlib.contextmanager
def _log(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_log(path)
    # O_APPEND is what allows cut_log to empty the file while the process goes on writing.
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield log
    finally:
        os.close(log)


def cut_log(path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
    """Move a log that outgrew `max_bytes` to `<path>.1` and go on with an empty file; the older `.1` is given up.

    The writer keeps its file open, so the text is copied, not renamed; what is written during the copy may be lost.
    Raises OSError when the file cannot be emptied.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    if size <= max_bytes:
        return
    old = path.with_name(path.name + ".1")
    try:
        with path.open("rb") as source, open(old, "wb", opener=_private) as target:
            shutil.copyfileobj(source, target)
    except OSError:
        # Most likely the disk is full. Then the bound matters more than the old lines.
        old.unlink(missing_ok=True)
    os.truncate(path, 0)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def tail(path: Path, lines: int = 15) -> str:
    """The last `lines` lines of a log for an error message, from its last 16 KB; a sentence if there is no log."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 16 * 1024))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log was written)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens now.

    Taken from below the range that the kernel gives to outgoing connections (32768 and up by default): a client that
    keeps trying a port of that range while the server is down may be given the very same port as its own, connect to
    itself, and keep the server from coming back.
    """
    range_file = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first_outgoing = int(range_file.read_text().split()[0]) if range_file.exists() else 32768
    lowest = 20000
    candidates = [lowest + secrets.randbelow(first_outgoing - lowest) for _ in range(50) if first_outgoing > lowest]
    for port in [*candidates, 0]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOCALHOST, port))
            return int(probe.getsockname()[1])
    raise LocalError("No free TCP port was found on 127.0.0.1. Stop some programs that listen, and try again.")
