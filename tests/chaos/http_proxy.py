"""A wire to an HTTP server: it knows each request by its method and path, ids left out."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.chaos.wires import Moment, Phase, Reaction, Wires

# What belongs to one connection and is not handed on, and what the proxy's own client writes anew.
_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect"}
_AN_ID = re.compile(r"[^/]*\d[^/]*")


def open_http_wire(wires: Wires, clients: Callable[[], dict[int, str]], server: str, url: str) -> str:
    """An address at which everybody finds the HTTP server of `url`; `clients` names them by their process ids.

    One address for all, because what a platform hands out to one of them (an upload address) another may use.
    """

    async def begin() -> str:
        session = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))
        runner = web.ServerRunner(web.Server(_Forward(wires, clients, server, url, session)), shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()

        async def close() -> None:
            await runner.cleanup()
            await session.close()

        wires.on_close(close)
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    return wires.run(begin())


class _Forward:
    def __init__(
        self,
        wires: Wires,
        clients: Callable[[], dict[int, str]],
        server: str,
        url: str,
        session: aiohttp.ClientSession,
    ) -> None:
        self._wires, self._clients, self._server, self._url, self._session = wires, clients, server, url, session

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        client = _owner(request, self._clients())
        body = await request.read()
        what = f"{request.method} {_kind(request.path)}"
        text = f"{request.path} {body[:100_000].decode(errors='replace')}"
        if await self._is_cut(Moment(client, self._server, Phase.ASKED, what, text)):
            return _cut(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        headers["Host"] = request.headers["Host"]
        try:
            async with self._session.request(
                request.method,
                f"{self._url}{request.path_qs}",
                data=body or None,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
        except aiohttp.ClientError:
            return _cut(request)
        if await self._is_cut(Moment(client, self._server, Phase.ANSWERED, what, text)):
            return _cut(request)
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _OF_THE_CONNECTION]
        response = web.Response(status=answer.status, body=content)
        for name, value in kept:
            response.headers[name] = value
        return response

    async def _is_cut(self, moment: Moment) -> bool:
        reaction = await self._wires.reaction(moment)
        if reaction is Reaction.SILENCE:
            await asyncio.Event().wait()
        return reaction is Reaction.CUT


def _owner(request: web.BaseRequest, clients: dict[int, str]) -> str:
    """Which process has the other end of a connection of this machine."""
    if request.transport is None:
        return "nobody"
    theirs, ours = (f":{request.transport.get_extra_info(end)[1]:04X}" for end in ("peername", "sockname"))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(theirs) and fields[2].endswith(ours):
            socket = f"socket:[{fields[9]}]"
            return next((name for pid, name in clients.items() if socket in _open_files(pid)), "nobody")
    return "nobody"


def _open_files(pid: int) -> set[str]:
    found = set()
    # Processes and files come and go.
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(file.readlink()))
    return found


def _kind(path: str) -> str:
    return _AN_ID.sub(lambda found: found[0] if re.fullmatch(r"v\d+", found[0]) else "*", path)


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
