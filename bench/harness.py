"""What all benchmarks stand on: a durable PostgreSQL, the platform, processes and what they cost, tables and JSON."""

from __future__ import annotations

import contextlib
import json
import os
import platform as machine
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import setpriv_path
from deploy.local.settings import ROOT

OUTPUT = ROOT / "build" / "bench"
_TICKS = os.sysconf("SC_CLK_TCK")
_POLL_SECONDS = 0.1


class BenchmarkFailed(Exception):
    """What was measured did not do its work; there are no figures."""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for everything that a run writes, which PostgreSQL's user may enter; removed afterwards."""
    made = Path(tempfile.mkdtemp(prefix="reelroute-bench-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def server(data: Path) -> Iterator[EmbeddedPostgres]:
    """A fresh PostgreSQL, durable and with the settings of `make run`, for us and for every peer."""
    with EmbeddedPostgres(data / "postgresql") as running:
        yield running


def new_database(postgres: EmbeddedPostgres, name: str) -> str:
    """Makes a database; returns its address."""
    with contextlib.closing(psycopg2.connect(postgres.admin_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f'CREATE DATABASE "{name}"')
    return urlunsplit(urlsplit(postgres.admin_url)._replace(path=f"/{name}"))


class Processes:
    """Programs that run for a benchmark; stopped when the block ends. What they write goes to a log each."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._logs.mkdir(exist_ok=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(*self._running)

    def start(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None, *, talks: bool = False
    ) -> None:
        """Starts a program. With `talks` its standard output is for words to us; else that goes to its log too."""
        # As `make run` does: a killed benchmark leaves nothing running.
        setpriv = setpriv_path()
        prefix = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        with (self._logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*prefix, *argv],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if talks else log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for_word(self, *names: str) -> None:
        """Waits until each has printed a line: that it is ready, or done. Raises BenchmarkFailed."""
        for name in names:
            output = self._running[name].stdout
            if output is None or not output.readline():
                raise BenchmarkFailed(f"{name} ended before it said so: {self.tail(name)}")

    def go(self, *names: str) -> None:
        """Lets those begin that wait for it."""
        for name in names:
            line = self._running[name].stdin
            if line is not None:
                line.write(b"go\n")
                line.flush()

    def check(self) -> None:
        """Raises BenchmarkFailed when one has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise BenchmarkFailed(f"{name} ended: {self.tail(name)}")

    def tail(self, name: str) -> str:
        """The end of a program's log."""
        return (self._logs / f"{name}.log").read_text(errors="replace")[-2000:]

    def pids(self) -> dict[str, int]:
        """By name."""
        return {name: process.pid for name, process in self._running.items()}

    def stop(self, *names: str) -> None:
        """SIGTERM, and SIGKILL after ten seconds."""
        stopping = [self._running.pop(name) for name in names]
        for process in stopping:
            process.send_signal(signal.SIGTERM)
        for process in stopping:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


class Cost:
    """What processes cost from now on: CPU seconds by name, and the most memory they ever held."""

    def __init__(self, pids: Mapping[str, int], postgres_pid: int | None) -> None:
        self._pids = pids
        self._postgres_pid = postgres_pid
        self._before = self._cpu()

    def figures(self, jobs: int) -> dict[str, Any]:
        """By process: milliseconds of CPU for each job, and peak resident memory in MB."""
        now = self._cpu()
        return {
            "cpu_ms_per_job": {name: round((now[name] - self._before[name]) * 1000 / jobs, 3) for name in now},
            "peak_rss_mb": {name: _peak_rss_mb(pid) for name, pid in self._pids.items()},
        }

    def _cpu(self) -> dict[str, float]:
        used = {name: _cpu_seconds(pid) for name, pid in self._pids.items()}
        if self._postgres_pid is not None:
            used["postgresql"] = _family_cpu_seconds(self._postgres_pid)
        return used


def _stat(pid: int | str) -> list[str]:
    # The name may hold anything, blanks and brackets included.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    return sum(int(field) for field in _stat(pid)[11:13]) / _TICKS


def _family_cpu_seconds(pid: int) -> float:
    """A server with its children, those that have ended included."""
    ticks = sum(int(field) for field in _stat(pid)[11:15])
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = _stat(entry.name)
            if int(stat[1]) == pid:
                ticks += sum(int(field) for field in stat[11:13])
    return ticks / _TICKS


def _peak_rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def seconds_until(is_over: Callable[[], bool], processes: Processes, limit: float) -> float:
    """How long it takes from now, looking every 100 ms. Raises BenchmarkFailed after `limit` seconds."""
    start = time.monotonic()
    while not is_over():
        processes.check()
        if time.monotonic() - start > limit:
            logs = "\n".join(f"{name}: {processes.tail(name)}" for name in processes.pids())
            raise BenchmarkFailed(f"not over after {limit} s\n{logs}")
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - start


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest, of milliseconds."""
    ordered = sorted(values)
    at = {f"p{each}_ms": ordered[min(len(ordered) - 1, len(ordered) * each // 100)] for each in (50, 95, 99)}
    return {name: round(value, 2) for name, value in {**at, "max_ms": ordered[-1]}.items()}


def table(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Prints rows; the first column is text, the others are numbers."""
    print(f"\n{title}")
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(column), *(len(row[at]) for row in cells)) for at, column in enumerate(columns)]
    for row in [list(columns), *cells]:
        print(
            "  "
            + "  ".join(c.rjust(w) if at else c.ljust(w) for at, (c, w) in enumerate(zip(row, widths, strict=True)))
        )
    sys.stdout.flush()


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def write(name: str, results: object) -> None:
    """Writes build/bench/<name>.json, with what the machine was."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": surroundings(), "results": results}, indent=1)
    (OUTPUT / f"{name}.json").write_text(text + "\n")


def surroundings() -> dict[str, Any]:
    """The machine, and how busy it is with other work."""
    cpuinfo = Path("/proc/cpuinfo")
    models = (
        [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")] if cpuinfo.exists() else []
    )
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "cpu": models[0].partition(":")[2].strip() if models else machine.machine(),
        "python": machine.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }
