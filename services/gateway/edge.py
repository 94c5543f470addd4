"""What every request passes first and every answer last: request id, log line, measurements, safe headers.

Pure ASGI, so that bodies stream through untouched and a closed connection ends the work behind it.
"""

from __future__ import annotations

import re
import time
import uuid

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit import context, errors
from services.gateway.errors import problem_response

log = structlog.get_logger()

REQUESTS = Counter("reelroute_http_requests_total", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("reelroute_http_request_seconds", "Time to answer a request.", ["method", "route"])

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# Asked every few seconds by whoever watches the process; logged only when something is wrong.
_QUIET = {"/healthz", "/readyz"}
# The client closed the connection before there was an answer (nginx's number; it is sent to nobody).
_CLIENT_GONE = 499


class Edge:
    """The outermost layer. See the head of this module."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; never raises for a fault of ours that can still be answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with context.call(request_id=request_id, timeout_seconds=None):
            await self._answer(scope, receive, send, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started = time.monotonic()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            await self.app(scope, receive, send_on)
        except ClientDisconnect:
            status = status or _CLIENT_GONE
        except Exception as error:
            log.error("unexpected error", exc_info=error)
            if status:
                # The answer has begun: only a broken connection tells the client that it is not whole.
                raise
            await problem_response(errors.Internal(""))(scope, receive, send_on)
        finally:
            _record(scope, status or _CLIENT_GONE, time.monotonic() - started)


def _complete(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers["X-Request-Id"] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "no-referrer"
    if path.startswith("/v1"):
        headers["Cache-Control"] = "no-store"


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path_format", "unmatched")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    REQUESTS.labels(method, route, str(status)).inc()
    REQUEST_SECONDS.labels(method, route).observe(seconds)
    if route in _QUIET and status < 400:
        return
    log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))
