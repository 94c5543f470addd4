"""The process as it is started in production: serves, measures, logs, and drains when it is told to stop."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.gateway.fakes import SERVICE_TOKEN, Memory
from tests.gateway.hub import Hub
from tests.gateway.test_media import CLOSING, FORM, opening

LIMIT_SECONDS = 30
# Ours to set; the process must not depend on what this machine has.
FOREIGN = ("REELROUTE_", "PYTEST_")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_ready(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail("the gateway did not become ready")


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture
def process(hub: Hub, ports: tuple[int, int]) -> Iterator[subprocess.Popen[str]]:
    settings = {
        "listen": f"127.0.0.1:{ports[0]}",
        "metrics_listen": f"127.0.0.1:{ports[1]}",
        "service_token": SERVICE_TOKEN,
        **hub.addresses,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environment |= {f"REELROUTE_{name.upper()}": value for name, value in settings.items()}
    started = subprocess.Popen(
        [sys.executable, "-m", "services.gateway"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield started
    started.kill()
    started.communicate()


def test_a_running_upload_is_finished_after_sigterm(
    process: subprocess.Popen[str], ports: tuple[int, int], memory: Memory
) -> None:
    url, key = f"http://127.0.0.1:{ports[0]}", memory.key()
    wait_until_ready(url, process)

    def body() -> Iterator[bytes]:
        yield opening() + b"x" * 1024 * 1024
        with memory.progress:
            assert memory.progress.wait_for(lambda: memory.uploaded, LIMIT_SECONDS)
        process.send_signal(signal.SIGTERM)
        # No new connection is taken any more; this one is still served.
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", ports[0])).close()
            except ConnectionRefusedError:
                break
            time.sleep(0.02)
        else:
            pytest.fail("the gateway still takes connections")
        yield CLOSING

    metrics = httpx.get(f"http://127.0.0.1:{ports[1]}/metrics", trust_env=False).text
    assert 'reelroute_http_requests_total{method="GET",route="/readyz",status="200"}' in metrics
    with ThreadPoolExecutor(1) as pool:
        headers = FORM | {"Authorization": f"Bearer {key}", "X-Request-Id": "last-one"}
        upload = pool.submit(
            httpx.post, f"{url}/v1/media", content=body(), headers=headers, timeout=LIMIT_SECONDS, trust_env=False
        )
        assert upload.result().status_code == 201
    output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["event"] for line in lines] == ["starting", "request", "stopped"]
    assert {name: lines[1][name] for name in ("request_id", "method", "route", "status", "service")} == {
        "request_id": "last-one",
        "method": "POST",
        "route": "/v1/media",
        "status": 201,
        "service": "gateway",
    }
    assert key not in output
    assert SERVICE_TOKEN not in output


def test_a_taken_port_ends_the_process_with_the_reason(
    process: subprocess.Popen[str], ports: tuple[int, int], memory: Memory
) -> None:
    wait_until_ready(f"http://127.0.0.1:{ports[0]}", process)
    again = subprocess.run(
        [sys.executable, "-m", "services.gateway"],
        env=os.environ
        | {
            "REELROUTE_LISTEN": f"127.0.0.1:{ports[0]}",
            "REELROUTE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            "REELROUTE_SERVICE_TOKEN": SERVICE_TOKEN,
        },
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert again.returncode != 0
    assert "address already in use" in again.stdout
