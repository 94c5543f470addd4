"""Waiting with limits, and looking at processes from outside."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path


def wait_until(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Return when `condition` is true; fail, naming `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether the process runs. One that ended and that nobody has collected yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def wait_gone(pids: Iterable[int]) -> None:
    """Return when none of the processes runs; fail after a limit."""
    pids = list(pids)
    wait_until(lambda: not any(map(alive, pids)), f"end of the processes {pids}")
