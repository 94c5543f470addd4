"""The outermost layer: names each call to a platform, applies faults and outages, and logs it.

A lost reply must look like one on the wire, so connections are really reset. The server protocol below puts a function
for that into the request's scope.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.calls import Call, CallLog, CallNote
from sandbox.clock import Clock
from sandbox.faults import FaultMode, Faults, FaultSpec
from sandbox.vendor import Vendor

_RESET = "sandbox.reset"
# Names in a call's scope["state"]: its CallNote, its arrival by time.perf_counter(), and its endpoint's name.
CALL = "call"
ARRIVAL = "arrival"
ENDPOINT = "endpoint"


class ResettableProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol with a way for the application to reset the connection."""

    def on_message_begin(self) -> None:
        """Add the reset function to the scope of the request that begins."""
        super().on_message_begin()
        self.scope["extensions"] = {_RESET: {"call": self._reset}}

    def _reset(self) -> None:
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            # Linger of zero seconds: the peer gets RST, as from a dying machine, instead of an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Wire:
    """Wraps the application; control and page calls pass untouched."""

    def __init__(self, app: ASGIApp, vendors: Sequence[Vendor], faults: Faults, calls: CallLog, clock: Clock) -> None:
        self._app = app
        self._faults = faults
        self._calls = calls
        self._clock = clock
        self._endpoints: dict[tuple[str, str], tuple[Vendor, str]] = {}
        self._patterns: dict[tuple[str, int], list[tuple[list[str], tuple[Vendor, str]]]] = {}
        every = [(key, (vendor, name)) for vendor in vendors for key, name in vendor.endpoints.items()]
        # Those with fewer `*` go first: a literal word is more than any word.
        for (method, path), found in sorted(every, key=lambda one: one[0][1].count("*")):
            if "*" in path:
                words = path.split("/")
                self._patterns.setdefault((method, len(words)), []).append((words, found))
            else:
                self._endpoints[method, path] = found
        self._own = {vendor.name: vendor.api() for vendor in vendors}

    def _find(self, scope: Scope) -> tuple[Vendor, str] | None:
        method, path = scope["method"], scope["path"]
        found = self._endpoints.get((method, path))
        if found is not None:
            return found
        # An encoded slash is part of its word.
        words = scope["raw_path"].decode("latin-1").split("/")
        for pattern, found in self._patterns.get((method, len(words)), ()):
            if all(wanted in ("*", word) for wanted, word in zip(pattern, words, strict=True)):
                return found
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI call."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        vendor, endpoint = found
        call = _WiredCall(scope, receive, send)
        started = scope["state"][ARRIVAL] = time.perf_counter()
        scope["state"][ENDPOINT] = endpoint
        at = self._clock.now()
        try:
            await self._answer(call, vendor, endpoint)
        finally:
            self._calls.add(
                Call(
                    time=at,
                    endpoint=f"{vendor.name}.{endpoint}",
                    method=scope["method"],
                    path=scope["path"],
                    status=call.status,
                    code=call.note.code,
                    creator=call.note.creator,
                    publish_id=call.note.publish_id,
                    fault=call.fault,
                    duration_ms=round((time.perf_counter() - started) * 1000, 2),
                )
            )

    async def _answer(self, call: "_WiredCall", vendor: Vendor, endpoint: str) -> None:
        outage = vendor.outage()
        if outage == "reset":
            call.fault = "outage"
            await call.reset()
            return
        if outage == "error":
            call.fault = "outage"
            await call.respond(vendor, endpoint, 503, "internal_error", "The service is not available.")
            return
        after: FaultSpec | None = None
        for fault in self._faults.take(f"{vendor.name}.{endpoint}"):
            spec = fault.spec
            call.fault = f"{call.fault} {spec.mode}".strip()
            match spec.mode:
                case FaultMode.DELAY:
                    await asyncio.sleep(spec.delay_seconds)
                case FaultMode.RESET:
                    await call.reset()
                    return
                case FaultMode.ERROR:
                    await call.respond(vendor, endpoint, spec.status, spec.code, spec.message, spec.retry_after_seconds)
                    return
                case FaultMode.RATE_LIMIT:
                    code = spec.code or "rate_limit_exceeded"
                    await call.respond(vendor, endpoint, 429, code, spec.message, spec.retry_after_seconds)
                    return
                case FaultMode.LOST_REPLY | FaultMode.LATE_ERROR:
                    call.swallow, after = True, spec
                case FaultMode.CUT_UPLOAD:
                    call.cut = True
        await (self._own[vendor.name] or self._app)(call.scope, call.receive, call.send)
        if after is None:
            return
        call.swallow = False
        if after.mode is FaultMode.LATE_ERROR:
            await call.respond(vendor, endpoint, after.status, after.code, after.message, after.retry_after_seconds)
        else:
            await asyncio.sleep(after.delay_seconds)
            await call.reset()


class _WiredCall:
    """One call on its way through: watches the status, holds the answer back or cuts the body when told to."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.note = CallNote()
        scope.setdefault("state", {})[CALL] = self.note
        self._receive = receive
        self._send = send
        self.status = 0
        self.fault = ""
        self.swallow = False
        self.cut = False
        self._first_part_passed = False

    async def receive(self) -> Message:
        if self.cut and self._first_part_passed:
            await self.reset()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if self.cut and message["type"] == "http.request":
            self._first_part_passed = True
            body = message.get("body", b"")
            return {"type": "http.request", "body": body[: len(body) // 2], "more_body": True}
        return message

    async def send(self, message: Message) -> None:
        if self.swallow:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def respond(
        self, vendor: Vendor, endpoint: str, status: int, code: str, message: str, retry_after: int | None = None
    ) -> None:
        self.note.code = code
        response = vendor.refusal(endpoint, status, code, message)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        await response(self.scope, self._receive, self.send)

    async def reset(self) -> None:
        extension = self.scope.get("extensions", {}).get(_RESET)
        if extension is None:
            raise ConnectionResetError("this server cannot reset connections; serve the sandbox with sandbox.server")
        reset: Callable[[], None] = extension["call"]
        reset()
        # The server answers 500 for a handler that ends without an answer, unless it has noticed the end by then.
        while (await self._receive())["type"] != "http.disconnect":
            pass
