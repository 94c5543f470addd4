"""Keeps a handful of processes running on one machine: starts, watches, restarts, and stops them in reverse order.

    with Supervisor() as supervisor:
        supervisor.start(EmbeddedPostgres(data / "postgresql"))
        supervisor.wait_ready()
        supervisor.start(Child("scheduler", [sys.executable, "-m", "services.scheduler"], env, log_path, ready=...))
        supervisor.wait_ready()
        supervisor.wait()                     # until SIGINT, SIGTERM or SIGHUP

What dies is started again after 0.1 s, then 0.2, 0.4, ... up to 5 s; the wait is short again once a process has run
for 30 s. A signal unwinds the `with` block by SystemExit, wherever the main thread is, so that a demo or a migration
inside the block is left too; a second signal ends the polite part of the stopping. If the supervisor itself is
killed, the kernel kills its children.

Three threads: the main one runs the block; one watches; one starts every process and lives until all have ended,
because a child is signalled when the thread that started it ends (see `processes`).
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Self

from deploy.local.child import Child, Supervised
from deploy.local.processes import LocalError, cut_log, describe_exit, setpriv_path, tail

__all__ = ["Child", "NotReady", "Supervised", "Supervisor"]

FIRST_RESTART_DELAY_SECONDS = 0.1
LONGEST_RESTART_DELAY_SECONDS = 5.0
STABLE_AFTER_SECONDS = 30.0
# A service that dies this often before it is ready does not start late, it does not start.
HOPELESS_DEATHS = 5

_WATCH_SECONDS = 0.05
_LOG_CHECK_SECONDS = 1.0
_LOG_RETRY_SECONDS = 60.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NotReady(LocalError):
    """A process did not become ready; the text names it, what became of it, and the end of its log."""


@dataclass
class _Entry:
    process: Supervised
    started: float
    delay: float = FIRST_RESTART_DELAY_SECONDS
    restart_at: float | None = None
    deaths: int = 0
    last_exit: str = ""


def _print(line: str) -> None:
    print(line, flush=True)


@dataclass
class Supervisor:
    """Runs processes until the `with` block is left, by its end, by an error or by a signal.

    `announce` gets one line for each thing that a person at the terminal should know. Enter the block in the main
    thread if signals shall stop it; elsewhere the signals are left alone. A process that ran for `stable_after`
    seconds begins with the shortest restart pause again.
    """

    announce: Callable[[str], None] = _print
    stable_after: float = STABLE_AFTER_SECONDS
    _entries: dict[str, _Entry] = field(default_factory=dict, init=False)
    _signal: signal.Signals | None = field(default=None, init=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)
    _hurry: threading.Event = field(default_factory=threading.Event, init=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False)

    def __enter__(self) -> Self:
        self._launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="launcher")
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._watcher.start()
        self._old_handlers = {}
        if threading.current_thread() is threading.main_thread():
            # What is ignored stays ignored: so nohup and background jobs ask for it.
            wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._old_handlers = {number: signal.signal(number, self._on_signal) for number in wanted}
        if setpriv_path() is None:
            self._say("No usable setpriv (package util-linux): if this program is killed, its processes stay behind.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._signal is not None:
            # Not said by the handler: it may have interrupted another print, which Python does not allow.
            self._say(f"{self._signal.name}: stopping. Once more to stop at once.")
        self._watcher.join()
        # A signal may have left `start` in the middle. Wait until what it was launching is there to be stopped.
        self._launcher.submit(int).result()
        try:
            for entry in reversed(self._entries.values()):
                self._stop(entry.process)
        finally:
            self._launcher.shutdown()
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)

    def start(self, process: Supervised) -> None:
        """Launch `process` and keep it running from now on; does not wait until it is ready.

        Raises LocalError or OSError when it cannot be launched, ValueError when the name is in use.
        """
        if process.name in self._entries:
            raise ValueError(f"two processes are named {process.name}")
        # Listed before it is launched, so that whatever happens now, it will be stopped. A new dictionary, because the
        # watcher may be walking the present one.
        self._entries = {**self._entries, process.name: _Entry(process, started=time.monotonic())}
        try:
            self._launcher.submit(process.spawn).result()
        except (OSError, LocalError):
            self._entries = {name: entry for name, entry in self._entries.items() if name != process.name}
            raise

    def pid(self, name: str) -> int | None:
        """Process id of the process called `name`, None while it does not run. Raises KeyError."""
        return self._entries[name].process.pid

    def wait_ready(self, names: Iterable[str] | None = None, timeout: float = 60.0) -> None:
        """Return when all of `names` (default: everything started) are ready.

        Raises NotReady after `timeout` seconds, or as soon as one of them died `HOPELESS_DEATHS` times meanwhile.
        """
        waiting = [self._entries[name] for name in (self._entries if names is None else names)]
        deaths_before = {entry.process.name: entry.deaths for entry in waiting}
        deadline = time.monotonic() + timeout
        while True:
            waiting = [entry for entry in waiting if not entry.process.is_ready()]
            if not waiting:
                return
            for entry in waiting:
                if entry.deaths - deaths_before[entry.process.name] >= HOPELESS_DEATHS:
                    raise NotReady(f"{entry.process.name} does not start. {_account(entry)}")
            if time.monotonic() >= deadline:
                raise NotReady(
                    f"Not ready after {timeout:g} s: {', '.join(entry.process.name for entry in waiting)}. "
                    + _account(waiting[0])
                )
            if self._ended.wait(_WATCH_SECONDS):
                raise LocalError("The supervisor's watch ended by an error of its own, printed above.")

    def wait(self) -> None:
        """Block until a signal leaves the `with` block. Raises LocalError if the watch itself breaks."""
        self._ended.wait()
        raise LocalError("The supervisor's watch ended by an error of its own, printed above.")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stopping.is_set():
            self._hurry.set()
            return
        # Set here, not only on leaving the block: a second signal must not interrupt the way out.
        self._stopping.set()
        self._signal = signal.Signals(number)
        raise SystemExit(0)

    def _watch(self) -> None:
        next_log_check = 0.0
        try:
            while not self._stopping.wait(_WATCH_SECONDS):
                now = time.monotonic()
                for entry in self._entries.values():
                    self._tend(entry, now)
                if now >= next_log_check:
                    next_log_check = now + self._cut_logs()
        finally:
            self._ended.set()

    def _cut_logs(self) -> float:
        """Keep the logs short; returns the seconds until it is worth looking again."""
        for entry in self._entries.values():
            try:
                cut_log(entry.process.log_path)
            except OSError as error:
                self._say(f"The log {entry.process.log_path} cannot be shortened ({error.strerror}).")
                return _LOG_RETRY_SECONDS
        return _LOG_CHECK_SECONDS

    def _tend(self, entry: _Entry, now: float) -> None:
        if entry.restart_at is None:
            status = entry.process.poll()
            if status is not None:
                self._bury(entry, now, f"died ({describe_exit(status)})")
        elif now >= entry.restart_at:
            try:
                self._launcher.submit(entry.process.spawn).result()
            except (OSError, LocalError) as error:
                self._bury(entry, time.monotonic(), f"could not be started ({error})")
            else:
                entry.started, entry.restart_at = time.monotonic(), None

    def _bury(self, entry: _Entry, now: float, what: str) -> None:
        if entry.restart_at is None and now - entry.started >= self.stable_after:
            entry.delay = FIRST_RESTART_DELAY_SECONDS
        entry.deaths += 1
        entry.last_exit = what
        entry.restart_at = now + entry.delay
        self._say(f"{entry.process.name} {what}; restarting in {entry.delay:g} s. Log: {entry.process.log_path}")
        entry.delay = min(entry.delay * 2, LONGEST_RESTART_DELAY_SECONDS)

    def _stop(self, process: Supervised) -> None:
        if process.pid is not None:
            process.ask_to_stop()
            deadline = time.monotonic() + process.stop_timeout
            while process.poll() is None and time.monotonic() < deadline and not self._hurry.wait(0.01):
                pass
            if process.poll() is None:
                if not self._hurry.is_set():
                    self._say(f"{process.name} did not stop within {process.stop_timeout:g} s; killed.")
                process.kill()
        process.stop()

    def _say(self, line: str) -> None:
        try:
            self.announce(line)
        except OSError:
            # The terminal is gone. That is no reason to leave the processes alone.
            self.announce = _say_nothing


def _say_nothing(line: str) -> None:
    """Stands in for a terminal that is gone; the logs hold what happened."""


def _account(entry: _Entry) -> str:
    state = f"It last {entry.last_exit}" if entry.last_exit else "It runs, but does not say that it is ready"
    return f"{state}. {entry.process.log_path} says:\n{tail(entry.process.log_path)}"
