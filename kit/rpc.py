"""How our services call each other: channels whose calls carry the service token, a request id and a deadline.

The other end is `kit.rpc_server`.
"""

from __future__ import annotations

import uuid
from typing import Any

import grpc

from kit import context

# One message may hold a batch of 500 posts; media travels in pieces of 1 MiB.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# A refusal that names many fields is larger than gRPC's usual 8 KiB.
MAX_METADATA_BYTES = 64 * 1024

_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    # A restarted peer is found again within a second or so, not after the default two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 30_000),
]


def call_metadata(service_token: str) -> list[tuple[str, str]]:
    """What every call of ours carries: the service token, and the request id of the call being answered."""
    return [
        ("authorization", f"Bearer {service_token}"),
        ("x-request-id", context.request_id() or str(uuid.uuid4())),
    ]


class _OutgoingCall(grpc.ClientCallDetails):
    def __init__(self, call: grpc.ClientCallDetails, service_token: str) -> None:
        self.method = call.method
        if call.timeout is None:
            raise ValueError(f"{call.method} was called without a timeout")
        self.timeout = context.remaining_seconds(call.timeout)
        self.metadata = (*(call.metadata or ()), *call_metadata(service_token))
        self.credentials, self.wait_for_ready, self.compression = (
            call.credentials,
            call.wait_for_ready,
            call.compression,
        )


class _ClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def __init__(self, service_token: str) -> None:
        self._token = service_token

    def intercept_unary_unary(self, continuation: Any, call: Any, request: Any) -> Any:
        return continuation(_OutgoingCall(call, self._token), request)

    def intercept_unary_stream(self, continuation: Any, call: Any, request: Any) -> Any:
        return continuation(_OutgoingCall(call, self._token), request)

    def intercept_stream_unary(self, continuation: Any, call: Any, request_iterator: Any) -> Any:
        return continuation(_OutgoingCall(call, self._token), request_iterator)

    def intercept_stream_stream(self, continuation: Any, call: Any, request_iterator: Any) -> Any:
        return continuation(_OutgoingCall(call, self._token), request_iterator)


def channel(address: str, service_token: str) -> grpc.Channel:
    """A channel to another service for synchronous callers. Calls must name a timeout, in seconds."""
    return grpc.intercept_channel(
        grpc.insecure_channel(address, options=_CHANNEL_OPTIONS), _ClientInterceptor(service_token)
    )


def aio_channel(address: str) -> grpc.aio.Channel:
    """A channel for asyncio callers; they pass `metadata=call_metadata(token)` and a timeout with each call."""
    return grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
