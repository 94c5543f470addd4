"""What a connection may cost before there is a request: the length of a head, and the time that it takes.

Uvicorn's fast parser has no limit for either, and copies a long header anew with each piece: one stranger without a
key could fill the memory, or stop the event loop for everybody (measured: 300 MB in one header, 52 s).
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kit import context, errors
from services.gateway.config import GatewayConfig
from services.gateway.errors import HeadTooLong, HeadTooSlow, RequestBroken, problem_response

log = structlog.get_logger()


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which refuses a request whose head is too long or too slow.

    A body may be of any length here: what counts are the bytes since the parser last understood a whole piece.
    """

    max_head_bytes: int
    head_seconds: float

    _head_bytes = 0
    _pending_bytes = 0
    _understood = False
    _refused = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begins to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the wait."""
        self._head_is_whole()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what arrived, unless it is too much."""
        if self._refused:
            return
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()
        self._understood = False
        super().data_received(data)
        self._pending_bytes = 0 if self._understood else self._pending_bytes + len(data)
        if max(self._pending_bytes, self._head_bytes) > self.max_head_bytes:
            self._refuse(HeadTooLong(f"The address and headers of a request may have {self.max_head_bytes} bytes."))

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer after a body."""
        self._head_bytes += len(name) + len(value) + 4
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head is whole; the request begins."""
        self._understood = True
        self._head_is_whole()
        if self._head_bytes > self.max_head_bytes:
            raise ValueError("the head is too long")  # ends the parser's work; send_400_response answers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._understood = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._understood = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read, or was told not to."""
        if self._head_bytes <= self.max_head_bytes:  # else data_received says why
            self._refuse(RequestBroken("This is no HTTP request. Let an HTTP client build it."))

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def _head_is_whole(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._pending_bytes == 0:
            self.transport.close()  # nothing was asked, so nothing is answered
        else:
            self._refuse(HeadTooSlow("The head of the request did not arrive in time. Send it again."))

    def _refuse(self, error: errors.ReelrouteError) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()  # an answer is on its way: a second one inside it would only confuse
            return
        with context.call(request_id=str(uuid.uuid4()), timeout_seconds=None):
            answer = problem_response(error)
        log.info("connection refused", status=answer.status_code, reason=error.reason)
        lines = [f"HTTP/1.1 {answer.status_code} Refused".encode(), b"connection: close"]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()


def protocol_of(config: GatewayConfig) -> type[BoundedProtocol]:
    """The protocol with the limits of a configuration, for uvicorn."""
    limits = {"max_head_bytes": config.max_head_bytes, "head_seconds": config.head_seconds}
    return type("ConfiguredProtocol", (BoundedProtocol,), limits)
