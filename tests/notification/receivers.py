"""Real receivers on this machine: a web server and a mail server that remember what they got, and a hanging target."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from uuid import UUID, uuid4

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from deploy.local.processes import free_port
from kit.db import Database, new_id
from services.notification import store
from services.notification.domain import ClaimedSend, Draft, Facts, Severity, Telling
from services.notification.targets import NotSent

WORKSPACE = UUID(int=1)
OTHER_WORKSPACE = UUID(int=2)


class WebServer:
    """Answers every POST with the next of `answers` (then 200) and keeps what came."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.paths: list[str] = []
        self.bodies: list[Any] = []
        remember = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                remember.paths.append(self.path)
                remember.bodies.append(json.loads(body))
                self.send_response(remember.answers.pop(0) if remember.answers else 200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class MailServer:
    """Takes mail from whoever logs in as reelroute with the password `password`."""

    password = "correct-horse"

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.port = free_port()
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=self._authenticate,
            auth_require_tls=False,
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=data.password == self.password.encode(), handled=False)

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if not session.authenticated:
            return "530 log in first"
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class FakeTarget:
    """Keeps what it took. `fail_times` refusals first; `on_send` may do anything."""

    def __init__(self, fail_times: int = 0, on_send: Callable[[], object] = lambda: None) -> None:
        self.taken: list[ClaimedSend] = []
        self.fail_times = fail_times
        self.on_send = on_send

    def send(self, claimed: ClaimedSend) -> None:
        self.on_send()
        if self.fail_times:
            self.fail_times -= 1
            raise NotSent("The fake target is out of order.")
        self.taken.append(claimed)


class HangingTarget(FakeTarget):
    """Does not answer before `end` is set."""

    def __init__(self) -> None:
        self.end = threading.Event()
        super().__init__(on_send=lambda: self.end.wait(30))


def facts(request_id: str = "", **changes: Any) -> Facts:
    """An activity that makes a message."""
    values: dict[str, Any] = {
        "workspace_id": WORKSPACE,
        "request_id": request_id or str(uuid4()),
        "activity_time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "type": "delivery.published",
        "summary": "TikTok shows the video.",
        "post_id": UUID(int=7),
        "attributes": {"platform": "tiktok", "handle": "reel_air", "url": "https://www.tiktok.com/@reel_air/video/1"},
    }
    return Facts(**(values | changes))


def add_message(database: Database, *targets: str, title: str = "Published") -> UUID:
    """Stores an activity with its message for the targets, as RecordActivity does; returns the message's id."""
    reported = facts()
    with database.transaction(WORKSPACE) as tx:
        ((activity_id, _),) = [each for each in store.keep_activities(tx, [reported]) if each]
        telling = Telling(new_id(), activity_id, reported)
        store.insert_messages(tx, [(telling, Draft(Severity.INFO, title, "TikTok shows the video."), 0.0)], targets)
        return telling.message_id
