"""A small HTTP server with memory that plays a vendor, well or badly, and a clock that jumps instead of waiting."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

Behaviour = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request as it came over the wire."""

    method: str
    raw_path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class FakeVendor:
    """Does what it was told to, call by call, then ``otherwise``; remembers every request."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    script: list[Behaviour] = field(default_factory=list)
    otherwise: Behaviour | None = None
    reads_body: bool = True

    def then(self, *behaviours: Behaviour) -> Self:
        """Queue what to do for the next calls."""
        self.script.extend(behaviours)
        return self

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read() if self.reads_body else b""
        self.seen.append(Seen(request.method, request.raw_path, request.headers.copy(), body))
        behaviour = self.script.pop(0) if self.script else self.otherwise
        assert behaviour is not None, "an unexpected call"
        return await behaviour(request)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["FakeVendor"]:
        """Serve on a free port of this machine."""
        vendor = cls()
        runner = web.ServerRunner(web.Server(vendor.handle, access_log=None), shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            vendor.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield vendor
        finally:
            await runner.cleanup()


def answers(body: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Answer JSON."""

    async def behave(_request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({} if body is None else body, status=status, headers=headers)

    return behave


def answers_bytes(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Answer raw bytes."""

    async def behave(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return behave


def echoes(status: int) -> Behaviour:
    """Repeat everything that it was told, as careless vendors do."""

    async def behave(request: web.BaseRequest) -> web.StreamResponse:
        told = f"{request.headers.get('Authorization')} {request.raw_path} {(await request.read())!r}"
        return web.json_response({"error": {"code": "bad", "message": told}, "told": [told]}, status=status)

    return behave


async def drops_the_connection(request: web.BaseRequest) -> web.StreamResponse:
    """Do the work and lose the reply."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def waits_for(event: asyncio.Event) -> Behaviour:
    """Stay silent until told otherwise."""

    async def behave(_request: web.BaseRequest) -> web.StreamResponse:
        await event.wait()
        return web.json_response({})

    return behave


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class JumpingClock:
    """Monotonic seconds; sleeping moves them on at once and is remembered."""

    now: float = 1_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """A body from its parts."""
    for part in parts:
        yield part
