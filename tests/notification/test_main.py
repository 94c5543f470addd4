import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from reelroute.notification.v1 import notification_pb2 as pb
from reelroute.notification.v1.notification_pb2_grpc import NotificationServiceStub

from deploy.local.processes import free_port
from kit import rpc
from kit.db import Database
from tests.local.support import wait_until
from tests.notification.receivers import WORKSPACE, MailServer, WebServer
from tests.services import SERVICE_TOKEN

ROOT = Path(__file__).resolve().parents[2]
SECRET = "T0PSECRET"


@pytest.fixture
def environment(database: Database) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "REELROUTE_DATABASE_URL": database.url.set(drivername="postgresql").render_as_string(hide_password=False),
        "REELROUTE_SERVICE_TOKEN": SERVICE_TOKEN,
        "REELROUTE_LISTEN": f"127.0.0.1:{free_port()}",
        "REELROUTE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "REELROUTE_ALLOW_UNSAFE_DATABASE": "true",
        "REELROUTE_LOG_LEVEL": "DEBUG",
    }


def start(environment: dict[str, str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "services.notification"],
            env=environment,
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_the_service_tells_everybody_and_its_log_tells_nobody_the_addresses(
    environment: dict[str, str],
    processes: list[subprocess.Popen[bytes]],
    mail_server: MailServer,
    web_server: WebServer,
    tmp_path: Path,
) -> None:
    login = f"reelroute:{mail_server.password}@127.0.0.1:{mail_server.port}"
    environment["REELROUTE_NOTIFY_TARGETS"] = json.dumps(
        {
            "log": "log://",
            "mail": f"mailto://{login}?mode=insecure&from=bot@example.com&to=team@example.com",
            "broken-web": f"json://user:{SECRET}@127.0.0.1:{web_server.port}/{SECRET}",
            "broken-mail": f"mailto://{SECRET}:{SECRET}@127.0.0.1:{mail_server.port}?mode=insecure&from=a@b.de&to=c@d.de",
        }
    )
    web_server.answers = [500]
    output = tmp_path / "output"
    processes.append(start(environment, output))
    with rpc.channel(environment["REELROUTE_LISTEN"], SERVICE_TOKEN) as channel:
        service = NotificationServiceStub(channel)
        reported = pb.RecordActivityRequest(
            workspace_id=str(WORKSPACE), request_id="1", type="delivery.published", summary="TikTok shows the video."
        )
        reported.activity_time.GetCurrentTime()
        service.RecordActivity(reported, timeout=20, wait_for_ready=True)

        def states() -> dict[str, tuple[int, str]]:
            asked = pb.ListMessagesRequest(workspace_id=str(WORKSPACE))
            (message,) = service.ListMessages(asked, timeout=10).messages
            return {send.target: (send.state, send.last_error) for send in message.sends}

        waiting, sent = pb.MESSAGE_SEND_STATE_WAITING, pb.MESSAGE_SEND_STATE_SENT
        expected = {
            "log": (sent, ""),
            "mail": (sent, ""),
            "broken-web": (waiting, "The target answered with HTTP status 500."),
            "broken-mail": (
                waiting,
                "The target could not be reached, or it refused the login or the message.",
            ),
        }
        wait_until(lambda: states() == expected, "an attempt at each target")
        with pytest.raises(grpc.RpcError) as caught:
            service.RecordActivity(pb.RecordActivityRequest(workspace_id=str(WORKSPACE)), timeout=10)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    processes[0].send_signal(signal.SIGTERM)
    assert processes[0].wait(15) == 0
    text = output.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    (told,) = [line for line in lines if line["event"] == "message sent to log"]
    assert told["body"] == "TikTok shows the video."
    assert lines[-1]["event"] == "stopped"
    assert SECRET not in text
    assert mail_server.password not in text
    assert [mail["Subject"] for mail in mail_server.mails] == [told["title"]]


def test_a_target_that_cannot_be_used_stops_the_start_with_its_name(
    environment: dict[str, str], processes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    environment["REELROUTE_NOTIFY_TARGETS"] = json.dumps({"team-chat": f"slak://{SECRET}"})
    output = tmp_path / "output"
    processes.append(start(environment, output))
    assert processes[0].wait(20) == 1
    text = output.read_text()
    assert text.startswith("The address of the notification target 'team-chat' in REELROUTE_NOTIFY_TARGETS")
    assert text.count("\n") == 1
    assert SECRET not in text
