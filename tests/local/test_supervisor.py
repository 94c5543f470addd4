import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import cut_log, spawn
from deploy.local.supervisor import Child, NotReady, Supervisor
from tests.local.stack import RECORDER, recorder
from tests.local.support import alive, wait_gone, wait_until

DEAF = RECORDER.replace("signal.signal(signal.SIGTERM, leave)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")


class Announcements:
    """Remembers what the person at the terminal would have read."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def announced() -> Announcements:
    return Announcements()


@pytest.fixture
def supervisor(announced: Announcements) -> Iterator[Supervisor]:
    with Supervisor(announced) as supervisor:
        yield supervisor


def pid_of(supervisor: Supervisor, name: str) -> int:
    pid = supervisor.pid(name)
    assert pid is not None
    return pid


def test_a_killed_child_is_started_again_and_announced_once(
    supervisor: Supervisor, announced: Announcements, tmp_path: Path
) -> None:
    supervisor.start(recorder("scheduler", tmp_path))
    supervisor.wait_ready()
    first = pid_of(supervisor, "scheduler")

    os.kill(first, signal.SIGKILL)
    wait_until(lambda: supervisor.pid("scheduler") not in (None, first), "restart")

    assert announced.lines == [
        f"scheduler died (killed by SIGKILL); restarting in 0.1 s. Log: {tmp_path / 'scheduler.log'}"
    ]


def test_the_pause_is_short_again_once_a_child_ran_long_enough(announced: Announcements, tmp_path: Path) -> None:
    with Supervisor(announced, stable_after=0) as supervisor:
        supervisor.start(Child("brief", ["/bin/true"], {}, tmp_path / "log"))
        wait_until(lambda: len(announced.lines) >= 3, "three deaths")

    assert all("restarting in 0.1 s" in line for line in announced.lines)


def test_a_killed_postgresql_comes_back_at_the_same_address(
    supervisor: Supervisor, announced: Announcements, data_dir: Path
) -> None:
    postgres = EmbeddedPostgres(data_dir)
    supervisor.start(postgres)
    supervisor.wait_ready()
    url, first = postgres.admin_url, pid_of(supervisor, "postgresql")

    os.kill(first, signal.SIGKILL)
    wait_until(lambda: supervisor.pid("postgresql") not in (None, first), "restart")
    supervisor.wait_ready(["postgresql"])

    psycopg2.connect(url).close()
    assert len(announced.lines) == 1


def test_children_leave_in_reverse_order_and_the_deaf_one_is_killed(announced: Announcements, tmp_path: Path) -> None:
    with Supervisor(announced) as supervisor:
        for child in (
            recorder("first", tmp_path),
            recorder("deaf", tmp_path, stop_timeout=0.2, program=DEAF),
            recorder("last", tmp_path),
        ):
            supervisor.start(child)
        supervisor.wait_ready()
        pids = [pid_of(supervisor, name) for name in ("first", "deaf", "last")]

    assert not any(map(alive, pids))
    assert (tmp_path / "left").read_text().split() == ["last", "first"]
    assert announced.lines == ["deaf did not stop within 0.2 s; killed."]


def test_a_child_that_cannot_start_is_reported_with_its_log_after_growing_pauses(
    supervisor: Supervisor, announced: Announcements, tmp_path: Path
) -> None:
    supervisor.start(Child("broken", ["/bin/sh", "-c", "echo no key >&2; exit 3"], {}, tmp_path / "log", ready=bool))

    with pytest.raises(NotReady, match=r"broken does not start. It last died \(exit status 3\)(?s:.*)no key"):
        supervisor.wait_ready()

    pauses = [line.partition("restarting in ")[2].partition(" s")[0] for line in announced.lines]
    assert pauses[:5] == ["0.1", "0.2", "0.4", "0.8", "1.6"]


def test_a_child_that_is_never_ready_is_named_at_the_time_limit(supervisor: Supervisor, tmp_path: Path) -> None:
    child = Child("slow", ["/bin/sleep", "60"], {}, tmp_path / "log", ready=lambda: False)
    supervisor.start(child)

    with pytest.raises(NotReady, match=r"Not ready after 0.1 s: slow. It runs, but does not say"):
        supervisor.wait_ready(timeout=0.1)


def test_a_name_is_given_once(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(recorder("one", tmp_path))

    with pytest.raises(ValueError, match="two processes are named one"):
        supervisor.start(recorder("one", tmp_path))


def test_a_child_gets_its_own_environment_and_nothing_of_ours(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor.start(Child("env", ["/bin/sh", "-c", "/usr/bin/env; exec sleep 60"], {"TOKEN": "t-1"}, log))
    wait_until(lambda: "TOKEN=t-1" in log.read_text(), "the environment in the log")

    assert "HOME" not in log.read_text()
    assert b"t-1" not in Path(f"/proc/{pid_of(supervisor, 'env')}/cmdline").read_bytes()
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def stack(folder: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """The program of tests/local/stack.py, ready, with the process ids of its children."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.local.stack", str(folder)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        pids = json.loads(program.stdout.readline())
        yield program, pids
        program.kill()
    for name in ("first", "second", "left"):
        (folder / name).unlink(missing_ok=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_all_cleanly(
    stack: tuple[subprocess.Popen[str], list[int]], folder: Path, number: signal.Signals
) -> None:
    program, pids = stack

    program.send_signal(number)
    output, _ = program.communicate(timeout=20)

    assert program.returncode == 0
    assert output.strip() == f"{number.name}: stopping. Once more to stop at once."
    assert not any(map(alive, pids))
    assert (folder / "left").read_text().split() == ["second", "first"]
    assert "database system is shut down" in (folder / "postgresql.log").read_text().splitlines()[-1]


def test_a_second_signal_ends_the_patience(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.local.stack import recorder;"
        "from deploy.local.supervisor import Supervisor; from tests.local.test_supervisor import DEAF\n"
        "with Supervisor() as supervisor:\n"
        "    supervisor.start(recorder('deaf', Path(sys.argv[1]), program=DEAF)); supervisor.wait_ready()\n"
        "    print(supervisor.pid('deaf'), flush=True); supervisor.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as supervising:
        assert supervising.stdout is not None
        deaf = int(supervising.stdout.readline())
        supervising.terminate()
        assert "stopping" in supervising.stdout.readline()

        supervising.terminate()

        assert supervising.wait(10) == 0
    assert not alive(deaf)


def test_nothing_is_left_when_the_supervisor_is_killed(stack: tuple[subprocess.Popen[str], list[int]]) -> None:
    program, pids = stack

    program.kill()

    wait_gone(pids)


def test_a_log_that_outgrew_its_limit_is_cut_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "echo before; read line < go; echo after"
    os.mkfifo(tmp_path / "go")
    with spawn(["/bin/sh", "-c", script], env={}, log_path=log, cwd=tmp_path) as writer:
        wait_until(lambda: log.read_text() == "before\n", "the first line")

        cut_log(log, max_bytes=6)
        (tmp_path / "go").write_text("go\n")
        writer.wait(10)

    assert log.read_text() == "after\n"
    assert (tmp_path / "log.1").read_text() == "before\n"
