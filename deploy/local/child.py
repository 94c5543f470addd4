"""What a supervised process is: what the supervisor asks of it, and our own programs as one."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from deploy.local.processes import spawn


class Supervised(Protocol):
    """What the supervisor asks of a process: `Child` and `EmbeddedPostgres` answer."""

    @property
    def name(self) -> str:
        """What people call it; unique within a supervisor."""

    @property
    def log_path(self) -> Path:
        """Where its output goes; kept below `processes.MAX_LOG_BYTES`, with one older file beside it."""

    @property
    def stop_timeout(self) -> float:
        """Seconds it may take to stop before it is killed."""

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""

    def spawn(self) -> None:
        """Launch it without waiting. Raises OSError or LocalError."""

    def poll(self) -> int | None:
        """Its return code if it ended, else None."""

    def is_ready(self) -> bool:
        """Whether it does its work; asked often, so it answers within a second."""

    def ask_to_stop(self) -> None:
        """Ask it to finish what it does and end."""

    def kill(self) -> None:
        """End it now."""

    def stop(self) -> None:
        """Ask, wait, kill; give free what it held. Harmless when it has ended."""


class Child:
    """A program of ours as a supervised process.

    `env` is the whole environment of the program, nothing is inherited: put `os.environ` in if it is wanted. Secrets
    go there or into files of mode 0600, never into `argv`, which everybody on the machine can read. `ready` tells
    whether the program does its work (a health call, an open port); without it, running is enough.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        log_path: Path,
        *,
        ready: Callable[[], bool] | None = None,
        stop_timeout: float = 20.0,
        death_signal: signal.Signals = signal.SIGKILL,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self.stop_timeout = stop_timeout
        self._argv = list(argv)
        self._env = dict(env)
        self._ready = ready
        self._death_signal = death_signal
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the program, None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def spawn(self) -> None:
        """Launch the program; nothing happens if it runs already. Raises OSError."""
        if self.pid is None:
            self._process = spawn(
                self._argv, env=self._env, log_path=self.log_path, death_signal=self._death_signal, cwd=self._cwd
            )

    def poll(self) -> int | None:
        """The return code of the program if it ended, None if it runs (or was never started)."""
        return self._process.poll() if self._process is not None else None

    def is_ready(self) -> bool:
        """Whether the program runs and says that it is ready."""
        return self.pid is not None and (self._ready is None or self._ready())

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the program."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to the program and to what it started in its session."""
        # While it has not been collected, its number cannot belong to anybody else.
        if (pid := self.pid) is not None:
            os.killpg(pid, signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, at most `stop_timeout` seconds of patience, then SIGKILL."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        self.ask_to_stop()
        try:
            process.wait(self.stop_timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            process.wait()
