"""A small HTTP server for stand-ins: keeps a journal, and can lose answers, be away, or answer what it is told."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.standin.journal import Call, Journal

_PIECE = 1 << 20


@dataclass(frozen=True)
class Reply:
    """An answer. A mapping goes out as JSON."""

    status: int = 200
    body: Mapping[str, Any] | str | bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"
    code: str = ""

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next call of an endpoint: `reply` instead of doing it; done but not answered (`lost`);
    neither done nor answered (`away`); the answer is changed (`change`), or comes so many seconds `late`.
    """

    reply: Reply | None = None
    lost: bool = False
    away: bool = False
    change: Callable[[Reply], Reply] | None = None
    late: float = 0.0


class Body:
    """A request's body, read when it is asked for."""

    def __init__(self, source: Any, length: int) -> None:
        self._source, self.left = source, length

    def pieces(self) -> Iterator[bytes]:
        while self.left:
            piece = self._source.read(min(self.left, _PIECE))
            if not piece:
                raise ConnectionError("the caller went away")
            self.left -= len(piece)
            yield piece

    def all(self) -> bytes:
        return b"".join(self.pieces())


class StandIn:
    """One vendor. A subclass answers the calls; `journal` has them, and `violations` what was wrong with them."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.url = ""
        self._faults: dict[tuple[str, str], list[Fault]] = {}
        self._fault_of: dict[int, Fault] = {}

    def violations(self) -> list[str]:
        """Every rule that a call has broken, in sentences."""
        return self.journal.violations()

    def fails(self, endpoint: str, fault: Fault, times: int = 1, who: str = "") -> None:
        """The next calls of an endpoint go wrong: those of one user or shop, or of anybody."""
        self._faults.setdefault((endpoint, who), []).extend([fault] * times)

    def endpoint(self, call: Call) -> str:
        """The name of what is called; "" for what is not documented."""
        raise NotImplementedError

    def identify(self, call: Call) -> None:
        """Fills in whose call it is."""

    def answer(self, call: Call, body: Body) -> Reply:
        """Does what is asked for."""
        raise NotImplementedError

    def answered(self, call: Call, reply: Reply) -> None:
        """Notes what follows from an answer that left."""

    def handle(self, call: Call, body: Body) -> Reply | None:
        """The answer; None: there is none."""
        journal = self.journal
        with journal.lock:
            call.number = len(journal.calls) + 1
            journal.calls.append(call)
            call.endpoint = self.endpoint(call)
            if not call.endpoint:
                journal.breaks(call, f"{call.method} {call.path} is not documented")
                return Reply(404, "no such page", content_type="text/plain")
            self.identify(call)
            faults = self._faults.get((call.endpoint, call.who)) or self._faults.get((call.endpoint, ""))
            fault = faults.pop(0) if faults else Fault()
            self._fault_of[call.number] = fault
        reply = self.answer(call, body)
        if fault.lost or fault.away:
            return None
        time.sleep(fault.late)
        reply = fault.change(reply) if fault.change else reply
        with journal.lock:
            call.status, call.code, call.answered = reply.status, reply.code, time.monotonic()
            self.answered(call, reply)
        return reply

    def instead(self, call: Call) -> Reply | None:
        """What comes instead of doing what is asked for; a subclass looks when it has judged the call."""
        fault = self._fault_of[call.number]
        return Reply(503) if fault.away else fault.reply


@contextmanager
def serving(standin: StandIn) -> Iterator[StandIn]:
    """Serves it on a free port; `standin.url` is its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            address = urlsplit(self.path)
            query = parse_qsl(address.query, keep_blank_values=True)
            call = Call(0, time.monotonic(), self.command, address.path, dict(query), list(self.headers.items()))
            call.target = self.path
            length = self.headers.get("Content-Length")
            if "Transfer-Encoding" in self.headers:
                standin.journal.breaks(call, "the body came in chunked encoding, without Content-Length")
            if len(query) != len(call.query):
                standin.journal.breaks(call, "a query parameter came twice")
            body = Body(self.rfile, int(length or 0))
            try:
                reply = standin.handle(call, body)
                if reply is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                # To its end: an answer before it would be lost when the connection is closed.
                for _ in body.pieces():
                    pass
                self._send(reply)
            except OSError:
                self.close_connection = True  # whoever called does not wait any more

        def _send(self, reply: Reply) -> None:
            content = reply.content()
            self.send_response(reply.status)
            for name, value in {"Content-Type": reply.content_type, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            if isinstance(sys.exception(), ConnectionError):
                return  # the caller closed the connection
            standin.journal.broken.append(f"the stand-in itself broke: {traceback.format_exc()}")

    with Server(("127.0.0.1", 0), Handler) as server:
        standin.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield standin
        finally:
            server.shutdown()
            thread.join(5)
