"""A wire to a gRPC service of one or more replicas: it knows each call by its method. Unary calls only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc

from kit.rpc import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from tests.chaos.wires import Moment, Phase, Reaction, Wires

_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
]
# How long a call waits for a replica that is being started.
_REPLICA_SECONDS = 1.0


def open_rpc_wire(wires: Wires, client: str, servers: Sequence[tuple[str, str]]) -> str:
    """An address at which `client` finds the first of `servers` (name, address) that is there.

    A caller who is cut off gets UNAVAILABLE, as gRPC says it of a broken connection.
    """

    async def begin() -> str:
        forward = _Forward(wires, client, servers)
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((forward,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()

        async def close() -> None:
            await server.stop(0)
            await forward.close()

        wires.on_close(close)
        return f"127.0.0.1:{port}"

    return wires.run(begin())


class _Forward(grpc.GenericRpcHandler):
    def __init__(self, wires: Wires, client: str, servers: Sequence[tuple[str, str]]) -> None:
        self._wires, self._client = wires, client
        self._channels = [(name, grpc.aio.insecure_channel(address, options=_OPTIONS)) for name, address in servers]

    async def close(self) -> None:
        for _, channel in self._channels:
            await channel.close(None)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = details.method

        async def call(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            return await self._call(method, request, context)

        return grpc.unary_unary_rpc_method_handler(call)

    async def _call(self, method: str, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        what = method.rpartition("/")[2]
        name, channel = await self._replica()
        text = request.decode("utf-8", "replace")
        await self._moment(context, Moment(self._client, name, Phase.ASKED, what, text))
        metadata = [(key, value) for key, value in context.invocation_metadata() or () if not key.startswith("grpc-")]
        forward: Any = channel.unary_unary(method)
        try:
            answer: bytes = await forward(request, timeout=context.time_remaining(), metadata=tuple(metadata))
        except grpc.aio.AioRpcError as error:
            await self._moment(context, Moment(self._client, name, Phase.ANSWERED, what, text))
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
        await self._moment(context, Moment(self._client, name, Phase.ANSWERED, what, text))
        return answer

    async def _replica(self) -> tuple[str, grpc.aio.Channel]:
        for _ in range(int(_REPLICA_SECONDS / 0.02)):
            for name, channel in self._channels:
                if channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
                    return name, channel
            await asyncio.sleep(0.02)
        return self._channels[0]

    async def _moment(self, context: grpc.aio.ServicerContext[bytes, bytes], moment: Moment) -> None:
        match await self._wires.reaction(moment):
            case Reaction.CUT:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was cut")
            case Reaction.SILENCE:
                await asyncio.Event().wait()
