"""A wire to an HTTP server: it knows each request by its method and path, ids left out."""

from __future__ import annotations

import asyncio
import re

import aiohttp
from aiohttp import web

from tests.chaos.wires import Moment, Phase, Reaction, Wires

# What belongs to one connection and is not handed on, and what the proxy's own client writes anew.
_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect"}
_AN_ID = re.compile(r"[^/]*\d[^/]*")


def open_http_wire(wires: Wires, client: str, server: str, url: str) -> str:
    """An address at which `client` finds the HTTP server of `url`."""

    async def begin() -> str:
        session = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))
        runner = web.ServerRunner(web.Server(_Forward(wires, client, server, url, session)))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0)
        await site.start()

        async def close() -> None:
            await runner.cleanup()
            await session.close()

        wires.on_close(close)
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    return wires.run(begin())


class _Forward:
    def __init__(self, wires: Wires, client: str, server: str, url: str, session: aiohttp.ClientSession) -> None:
        self._wires, self._client, self._server, self._url, self._session = wires, client, server, url, session

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        what = f"{request.method} {_kind(request.path)}"
        text = f"{request.path} {body[:100_000].decode(errors='replace')}"
        if await self._is_cut(Moment(self._client, self._server, Phase.ASKED, what, text)):
            return _cut(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        headers["Host"] = request.headers["Host"]
        try:
            async with self._session.request(
                request.method,
                f"{self._url}{request.path_qs}",
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
        except aiohttp.ClientError:
            return _cut(request)
        if await self._is_cut(Moment(self._client, self._server, Phase.ANSWERED, what, text)):
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


def _kind(path: str) -> str:
    return _AN_ID.sub(lambda found: found[0] if re.fullmatch(r"v\d+", found[0]) else "*", path)


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
