"""R9, R30, R32, R35: installations of a kind of their own: three schedulers, a publisher of the version before, wrong
clocks, a restored backup.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.settings import ROOT
from tests.chaos import checker
from tests.chaos.installation import Installation, Planned, installation, soon
from tests.chaos.sized import whole_only
from tests.chaos.test_bad_days import _children, claimed, sleep_until
from tests.chaos.test_crash_points import assert_all_is_well


def lateness(running: Installation, posts: Sequence[Planned]) -> list[float]:
    """Seconds from each due time to the platform's last byte, by the platform's clock; ascending."""
    times = {post["caption"]: post["effect_time"] for post in running.control("GET", "/tiktok/posts?limit=10000")}
    times |= {row["text"]: row["first"] for row in running.control("GET", "/bulletin/effects?limit=10000")}
    return sorted(times[post.caption] - post.due.timestamp() for post in posts)


@whole_only
@pytest.mark.timeout(600)
def test_r9_a_thousand_posts_of_one_minute_with_three_schedulers_one_of_which_dies() -> None:
    # Nothing is done to single messages here, so that what is measured is the product's.
    with installation(schedulers=3, creators=40, is_wired=False) as running:
        handles = [*running.creators, *running.writers]
        first = soon(20)
        posts: list[Planned] = []
        for second in range(60):
            mine = [handles[(second * 17 + number) % len(handles)] for number in range(17)]
            posts += running.plan(mine, first + timedelta(seconds=second))
        sleep_until(first + timedelta(seconds=20))
        running.kill("scheduler-2")
        checker.settle(running, posts, 180)
        assert_all_is_well(running, posts)
        late = lateness(running, posts)
        print(f"R9: {len(late)} posts, late p50 {late[len(late) // 2]:.3f} s, p99 {late[-len(late) // 100]:.3f} s,"
              f" max {late[-1]:.3f} s, earliest {late[0]:+.3f} s")  # fmt: skip
        assert late[0] >= 0


# The last state of the sources before the scheduler's RPCs of batches: its publisher knows none of them.
_VERSION_BEFORE = "be595b6"


@pytest.fixture
def version_before(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "before"
    git = ["git", "-C", str(ROOT), "worktree"]
    made = subprocess.run([*git, "add", "--detach", str(folder), _VERSION_BEFORE], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("needs the history of the sources, to run a publisher of the version before")
    yield folder
    subprocess.run([*git, "remove", "--force", str(folder)], check=True)


@whole_only
@pytest.mark.timeout(300)
def test_r30_a_publisher_of_the_version_before_works_beside_the_new_one_until_it_is_replaced(
    version_before: Path,
) -> None:
    with installation(sources={"publisher-2": version_before}, creators=6) as running:
        posts: list[Planned] = []
        for number in range(8):
            due = soon(2)
            posts += running.plan(running.creators, due)
            sleep_until(due)
            if number == 5:
                running.send("publisher-2", signal.SIGTERM)
        checker.settle(running, posts, 90)
        assert_all_is_well(running, posts)
        by = running.rows("SELECT DISTINCT split_part(holder, '/', 1) AS name FROM publisher.attempts")
        assert {row["name"] for row in by} == {"publisher-1", "publisher-2"}


@pytest.fixture
def wrong_clock(tmp_path: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler to give a process a clock of its own")
    library = tmp_path / "shifted_clock.so"
    source = Path(__file__).with_name("shifted_clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


@whole_only
@pytest.mark.timeout(240)
def test_r32_processes_whose_clocks_are_ten_minutes_wrong_publish_nothing_early(wrong_clock: Path) -> None:
    def by(seconds: int) -> dict[str, str]:
        return {"LD_PRELOAD": str(wrong_clock), "CLOCK_OFFSET_SECONDS": str(seconds)}

    clocks = {"publisher-1": by(600), "publisher-2": by(-600), "scheduler-2": by(600)}
    with installation(own_environment=clocks, creators=4) as running:
        posts = running.plan([*running.creators, *running.writers] * 10, soon(3))
        checker.settle(running, posts, 60)
        assert_all_is_well(running, posts)
        assert lateness(running, posts)[0] >= 0
        # The clocks are wrong indeed.
        assert (_clock_of(running, "publisher-1") - datetime.now(UTC)).total_seconds() > 500


def _clock_of(running: Installation, name: str) -> datetime:
    """What time a process takes it for, by the last line of its log."""
    lines = [line for line in (running.folder / f"{name}.log").read_text().splitlines() if '"timestamp"' in line]
    return datetime.fromisoformat(json.loads(lines[-1])["timestamp"])


def _frozen_server(running: Installation) -> list[int]:
    """Ids of the database's processes, none of which moves any more."""
    server = running.postgres.pid
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    processes = [server, *_children(server)]
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    return processes


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@whole_only
@pytest.mark.timeout(300)
def test_r35_after_a_restore_from_an_older_backup_nothing_goes_out_again() -> None:
    with installation(creators=6) as running:
        data, backup = running.postgres.data_dir, running.folder / "backup"
        due = soon(4)
        handles = [*running.creators, *running.writers]
        posts = running.plan(handles, due)
        # Due only after the backup and before the restore.
        posts += running.plan(handles, due + timedelta(seconds=3))
        claimed(running, len(handles))
        processes = _frozen_server(running)
        subprocess.run(["cp", "-a", data, backup], check=True)
        _signal(processes, signal.SIGCONT)
        checker.settle(running, posts, 60)
        assert_all_is_well(running, posts)

        with running.frozen(*running.replicas("publisher")):
            processes = _frozen_server(running)
            shutil.rmtree(data)
            subprocess.run(["cp", "-a", backup, data], check=True)
            _signal(processes, signal.SIGKILL)
            running.wait(lambda: True if running.pid("postgresql") not in (None, processes[0]) else None, 30)
            running.supervisor.wait_ready(["postgresql"])
            running.rows(
                "INSERT INTO publisher.publish_epochs (publish_epoch, reason)"
                " SELECT max(publish_epoch) + 1, 'restored from a backup' FROM publisher.publish_epochs"
            )
        for name in running.replicas("publisher"):
            running.kill(name)
        running.wait_ready()
        for record in checker.settle(running, posts, 90):
            assert record.effects == 1, checker.story(running, record)
            is_known = record.state == "PUBLISHED"
            assert is_known or record.delivery["needs_person"], checker.story(running, record)
        assert datetime.now(UTC) > posts[-1].due
