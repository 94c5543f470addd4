"""The sandbox as people start it: `python -m sandbox`."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.sandbox.conftest import App


@contextmanager
def _started(state_file: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A process that is ready, and a client of it; killed in the end."""
    environment = {**os.environ, "REELROUTE_SANDBOX_PORT": "0", "REELROUTE_SANDBOX_STATE_FILE": str(state_file)}
    process = subprocess.Popen([sys.executable, "-m", "sandbox"], env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        ready = re.search(r"ready on (\S+),", process.stderr.readline())
        assert ready is not None
        with httpx.Client(base_url=ready[1]) as client:
            yield process, client
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()


def test_kill_9_loses_no_token_and_no_post_and_a_second_sandbox_on_the_file_is_refused(tmp_path: Path) -> None:
    state_file = tmp_path / "state" / "sandbox.db"
    with _started(state_file) as (_, client):
        app = App(client)
        app.connect()
        publish_id = app.post_video(title="kept")
        second = subprocess.run(
            [sys.executable, "-m", "sandbox"],
            env={**os.environ, "REELROUTE_SANDBOX_PORT": "0", "REELROUTE_SANDBOX_STATE_FILE": str(state_file)},
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert second.returncode == 2
        assert "another sandbox" in second.stderr
    with _started(state_file) as (process, client):
        again = App(client, app.tokens)
        again.control("POST", "/clock/advance", seconds=5)
        assert again.status(publish_id)["status"] == "PUBLISH_COMPLETE"
        assert again.control("GET", "/tiktok/effects")[0]["effects"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM)


def test_a_bad_setting_is_named_and_nothing_is_started() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "sandbox"],
        env={**os.environ, "REELROUTE_SANDBOX_PORT": "http"},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert "port" in result.stderr
    assert "Traceback" not in result.stderr
