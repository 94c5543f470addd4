from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen
from uuid import uuid4

import grpc
import psycopg2
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceStub

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from kit import migrations, rpc
from tests.database import create_database
from tests.local.support import wait_until
from tests.services import SERVICE_TOKEN, login_url

ROOT = Path(__file__).resolve().parents[2]
SECRET = "T0PSECRET"
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module")
def database_url(durable_server: EmbeddedPostgres) -> str:
    """A superuser's address of a database with the scheduler's schema, on a server that may be trusted."""
    url = create_database(durable_server.admin_url)
    migrations.prepare("scheduler", url, login_url(url, "scheduler"))
    return url


def environment(database_url: str, **settings: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "REELROUTE_DATABASE_URL": login_url(database_url, "scheduler"),
        "REELROUTE_SERVICE_TOKEN": SERVICE_TOKEN,
        "REELROUTE_LISTEN": f"127.0.0.1:{free_port()}",
        "REELROUTE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "REELROUTE_NOTIFICATION_ADDRESS": f"127.0.0.1:{free_port()}",
        **settings,
    }


def start(settings: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.scheduler", *arguments],
        env=settings,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Running:
    """A scheduler in a process of its own, ready."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings
        self.process = start(settings)
        self.address = settings["REELROUTE_LISTEN"]
        self.channel = rpc.channel(self.address, SERVICE_TOKEN)
        self.stub = SchedulerServiceStub(self.channel)
        self._health = health_pb2_grpc.HealthStub(self.channel)
        self.states = self._health.Watch(health_pb2.HealthCheckRequest(), timeout=60, wait_for_ready=True)
        state = next(self.states).status
        assert state == SERVING

    def health(self, service: str = "") -> object:
        return self._health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status


@pytest.fixture
def running(database_url: str) -> Iterator[Running]:
    scheduler = Running(environment(database_url, REELROUTE_DRAIN_SECONDS="10"))
    yield scheduler
    scheduler.channel.close()
    scheduler.process.kill()
    scheduler.process.communicate()


def draft() -> pb.PostDraft:
    return pb.PostDraft(
        account_ids=[str(uuid4())],
        media=[pb.PostMedia(media_asset_id=str(uuid4()), sha256="0" * 64, mime_type="video/mp4")],
        local_time=f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%S}",
        time_zone="UTC",
    )


def test_a_service_is_ready_describes_itself_and_shows_its_metrics(running: Running) -> None:
    assert running.health() == running.health("reelroute.scheduler.v1.SchedulerService") == SERVING
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = reflection_pb2_grpc.ServerReflectionStub(running.channel).ServerReflectionInfo(iter([asked]), timeout=5)
    assert "reelroute.scheduler.v1.SchedulerService" in {
        service.name for service in answer.list_services_response.service
    }
    running.stub.CreatePost(pb.CreatePostRequest(workspace_id=str(uuid4()), request_id="1", post=draft()), timeout=10)
    with urlopen(f"http://{running.settings['REELROUTE_METRICS_LISTEN']}/metrics", timeout=5) as page:
        text = page.read().decode()
    method = "/reelroute.scheduler.v1.SchedulerService/CreatePost"
    assert f'reelroute_rpc_calls_total{{code="OK",method="{method}"}} 1.0' in text


def test_r17_at_sigterm_waiting_claims_go_home_running_calls_finish_and_new_ones_are_refused(
    running: Running, database_url: str
) -> None:
    claim = running.stub.ClaimDueDeliveries.future(
        pb.ClaimDueDeliveriesRequest(
            holder="test", max_deliveries=1, lease_duration=Duration(seconds=5), wait_duration=Duration(seconds=30)
        ),
        timeout=40,
    )
    with contextlib.closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        # A call that waits for a lock is running until we let it.
        cursor.execute("LOCK TABLE scheduler.posts IN ACCESS EXCLUSIVE MODE")
        create = running.stub.CreatePost.future(
            pb.CreatePostRequest(workspace_id=str(uuid4()), request_id="1", post=draft()), timeout=30
        )
        wait_until(lambda: _waits(cursor), "the call's wait for the lock")
        running.process.send_signal(signal.SIGTERM)
        assert next(running.states).status == health_pb2.HealthCheckResponse.NOT_SERVING
        running.states.cancel()
        assert list(claim.result(timeout=5).deliveries) == []
        wait_until(lambda: _refuses(running.address), "the refusal of new calls")
        assert running.process.poll() is None
        connection.rollback()
    assert create.result(timeout=5).post.post_id
    output, faults = running.process.communicate(timeout=15)
    assert (running.process.returncode, faults) == (0, "")
    assert '"event": "stopped"' in output.splitlines()[-1]
    assert SERVICE_TOKEN not in output


def _waits(cursor: psycopg2.extensions.cursor) -> bool:
    cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'scheduler.posts'::regclass")
    row = cursor.fetchone()
    return bool(row and row[0])


def _refuses(address: str) -> bool:
    with grpc.insecure_channel(address) as fresh:
        try:
            health_pb2_grpc.HealthStub(fresh).Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError as error:
            return isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.UNAVAILABLE
    return False


# Starts the scheduler once for each case, in one process: most of a start is the loading of libraries.
STARTER = """
import json, os, sys
from kit import service
from services.scheduler.__main__ import run
from services.scheduler.config import SchedulerConfig

for environment, arguments in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    try:
        service.main("scheduler", SchedulerConfig, run)
    except SystemExit as end:
        print(json.dumps(end.code))
"""


def test_what_whoever_starts_it_can_put_right_is_said_in_one_line_without_secrets(
    durable_server: EmbeddedPostgres, database_url: str
) -> None:
    empty = login_url(create_database(durable_server.admin_url), "scheduler")
    login = login_url(database_url, "scheduler")
    parts = urlsplit(login)
    nowhere = urlunsplit(parts._replace(netloc=f"me:{SECRET}@127.0.0.1:{free_port()}"))
    wrong = urlunsplit(parts._replace(netloc=f"reelroute_scheduler:{SECRET}@{parts.netloc.rpartition('@')[2]}"))
    cases = [
        ({"REELROUTE_SERVICE_TOKEN": SECRET}, "REELROUTE_SERVICE_TOKEN: Value should have at least 32 items"),
        ({"REELROUTE_RPC_THREADS": "many"}, "REELROUTE_RPC_THREADS: Input should be a valid integer"),
        ({"REELROUTE_LOG_LEVEL": "loud"}, "REELROUTE_LOG_LEVEL is 'loud'; it may be DEBUG"),
        ({"REELROUTE_DATABASE_URL": f"mysql://me:{SECRET}@db/x"}, "REELROUTE_DATABASE_URL is not an address like"),
        ({"REELROUTE_DATABASE_URL": nowhere}, "Connection refused"),
        ({"REELROUTE_DATABASE_URL": wrong}, 'password authentication failed for user "reelroute_scheduler"'),
        ({"REELROUTE_DATABASE_URL": empty}, "Run: python -m services.scheduler migrate"),
        ({"REELROUTE_DATABASE_URL": database_url}, "may pass row-level security"),
    ]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        cases += [
            ({"REELROUTE_LISTEN": busy}, "set REELROUTE_LISTEN to another"),
            ({"REELROUTE_METRICS_LISTEN": busy}, "set REELROUTE_METRICS_LISTEN to another"),
        ]
        starts: list[tuple[dict[str, str], list[str]]] = [
            *((environment(database_url, **settings), []) for settings, _ in cases),
            (environment(database_url), ["migrate"]),
            (environment(database_url), ["fly"]),
        ]
        ran = subprocess.run(
            [sys.executable, "-c", STARTER],
            input=json.dumps(starts),
            capture_output=True,
            cwd=ROOT,
            text=True,
            timeout=60,
            check=True,
        )
    ends = [json.loads(line) for line in ran.stdout.splitlines()]
    expected = [said for _, said in cases] + ["Set REELROUTE_ADMIN_DATABASE_URL", "usage: python -m services.scheduler"]
    for end, said in zip(ends, expected, strict=True):
        assert said in end
        assert "\n" not in end
    assert SECRET not in ran.stdout + ran.stderr


def test_a_start_that_fails_ends_with_code_1_and_its_line_on_standard_error(database_url: str) -> None:
    process = start(environment(database_url, REELROUTE_RPC_THREADS="many"))
    output, faults = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, "")
    assert faults == (
        "The configuration cannot be used. REELROUTE_RPC_THREADS: Input should be a valid integer, unable to parse "
        "string as an integer\n"
    )
