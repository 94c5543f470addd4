"""How our gRPC servers answer.

Every call carries the service token (proof that the caller is ours), a request id and a deadline. The one
interceptor checks them, validates the request by the rules in its proto, logs and measures the call, and turns every
error into a status: ours as they are, a lost database into UNAVAILABLE, anything else into a neutral INTERNAL.
"""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, NoReturn

import grpc
import protovalidate
import structlog
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from grpc_status import rpc_status
from prometheus_client import Counter, Histogram
from psycopg2.errors import QueryCanceled
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kit import context, errors
from kit.rpc import MAX_MESSAGE_BYTES
from kit.rpc_status import code_of, to_status

log = structlog.get_logger()

# What anybody inside the network may call without a token and a deadline.
_OPEN_METHODS = ("/grpc.health.v1.Health/", "/grpc.reflection.")

CALLS = Counter("reelroute_rpc_calls_total", "Calls answered.", ["method", "code"])
CALL_SECONDS = Histogram("reelroute_rpc_seconds", "Time to answer a call.", ["method"])


class CallInterceptor(grpc.ServerInterceptor):
    """What every call to a service goes through. See the head of this module."""

    def __init__(self, service_token: str) -> None:
        self._expected = f"Bearer {service_token}".encode()
        self._validator = protovalidate.Validator()

    def intercept_service(self, continuation: Callable[..., Any], call: grpc.HandlerCallDetails) -> Any:
        """Wraps the method's handler; health and reflection stay as they are."""
        handler = continuation(call)
        if handler is None or call.method.startswith(_OPEN_METHODS):
            return handler
        metadata = dict(call.invocation_metadata)
        if handler.unary_unary:
            wrapped = self._unary(handler.unary_unary, call.method, metadata)
            build: Callable[..., Any] = grpc.unary_unary_rpc_method_handler
        elif handler.stream_unary:
            wrapped = self._unary(handler.stream_unary, call.method, metadata)
            build = grpc.stream_unary_rpc_method_handler
        elif handler.stream_stream:
            wrapped = self._stream(handler.stream_stream, call.method, metadata)
            build = grpc.stream_stream_rpc_method_handler
        else:
            wrapped = self._stream(handler.unary_stream, call.method, metadata)
            build = grpc.unary_stream_rpc_method_handler
        return build(
            wrapped, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )

    def _unary(self, inner: Callable[..., Any], method: str, metadata: dict[str, Any]) -> Callable[..., Any]:
        def answer(request: Any, rpc: grpc.ServicerContext) -> Any:
            started = time.monotonic()
            with self._call(method, metadata, request, rpc), _about(request):
                try:
                    self._admit(metadata, rpc)
                    response = inner(self._checked(request), rpc)
                except Exception as error:  # noqa: BLE001 - every error becomes a status; _refuse logs the unexpected
                    self._refuse(error, method, started, rpc)
                _record(method, grpc.StatusCode.OK, started)
                return response

        return answer

    def _stream(self, inner: Callable[..., Any], method: str, metadata: dict[str, Any]) -> Callable[..., Any]:
        def answer(request: Any, rpc: grpc.ServicerContext) -> Iterator[Any]:
            started = time.monotonic()
            with self._call(method, metadata, request, rpc), _about(request):
                try:
                    self._admit(metadata, rpc)
                    yield from inner(self._checked(request), rpc)
                except Exception as error:  # noqa: BLE001 - every error becomes a status; _refuse logs the unexpected
                    self._refuse(error, method, started, rpc)
                _record(method, grpc.StatusCode.OK, started)

        return answer

    def _call(self, method: str, metadata: dict[str, Any], request: Any, rpc: grpc.ServicerContext) -> Any:
        request_id = str(metadata.get("x-request-id") or uuid.uuid4())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, method=method)
        workspace_id = getattr(request, "workspace_id", "")
        if workspace_id:
            structlog.contextvars.bind_contextvars(workspace_id=workspace_id)
        return context.call(request_id=request_id, timeout_seconds=_remaining_seconds(rpc))

    def _admit(self, metadata: dict[str, Any], rpc: grpc.ServicerContext) -> None:
        given = metadata.get("authorization", "")
        given_bytes = given if isinstance(given, bytes) else str(given).encode()
        if not hmac.compare_digest(given_bytes, self._expected):
            raise errors.Unauthenticated(
                "The service token is missing or wrong. Send REELROUTE_SERVICE_TOKEN as 'authorization: Bearer …'.",
                # Told apart from a refused API key, which is the caller's own matter.
                code_reason="SERVICE_TOKEN_INVALID",
            )
        if _remaining_seconds(rpc) is None:
            raise errors.InvalidArgument(
                "The call has no deadline. Set one: every wait has a limit.", code_reason="DEADLINE_REQUIRED"
            )

    def _checked(self, request: Any) -> Any:
        """The request when it keeps the rules of its proto; a stream is checked message by message."""
        if isinstance(request, Message):
            self.validate(request)
            return request
        return self._checked_stream(request)

    def _checked_stream(self, requests: Iterator[Message]) -> Iterator[Message]:
        for request in requests:
            self.validate(request)
            yield request

    def validate(self, message: Message) -> None:
        """Raises InvalidArgument naming every field that breaks a rule of its proto."""
        violations = check(self._validator, message)
        if violations:
            raise errors.InvalidArgument(
                f"{violations[0].field}: {violations[0].description}"
                + (f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""),
                violations,
            )

    def _refuse(self, error: Exception, method: str, started: float, rpc: grpc.ServicerContext) -> NoReturn:
        if isinstance(error, grpc.RpcError) and not rpc.is_active():
            # The caller left in the middle of its stream: nobody is there to be answered, and nothing is wrong.
            log.info("caller left")
            _record(method, grpc.StatusCode.CANCELLED, started)
            raise error
        refusal = _as_refusal(error)
        code = code_of(refusal)
        _record(method, code, started)
        level = log.warning if code in _OURS else log.info
        # What lies behind a fault of ours is for the log alone: a full disk, a store that does not answer.
        cause = refusal.__cause__ if code in _OURS else None
        level("call refused", code=code.name, reason=refusal.reason, message=refusal.message, exc_info=cause)
        rpc.abort_with_status(rpc_status.to_status(to_status(refusal)))


def _about(request: Any) -> AbstractContextManager[None]:
    """What is done for a request of a workspace is about that workspace. Not checked yet, it may name none."""
    try:
        return context.about(workspace_id=uuid.UUID(getattr(request, "workspace_id", "")))
    except ValueError:
        return nullcontext()


_NO_DEADLINE_SECONDS = 10 * 365 * 86_400
_OURS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN)


def _remaining_seconds(rpc: grpc.ServicerContext) -> float | None:
    """What is left of the caller's deadline; None without one, which gRPC tells as many thousand years."""
    seconds = rpc.time_remaining()
    return seconds if seconds is not None and seconds < _NO_DEADLINE_SECONDS else None


def check(validator: protovalidate.Validator, message: Message) -> list[errors.FieldViolation]:
    """The rules that a message breaks: those of its proto, and that no text holds U+0000. Empty when it keeps all.

    Items of a batch whose proto says IGNORE_ALWAYS are left out: whoever handles the batch checks each for itself.
    """
    found = [
        errors.FieldViolation(
            _path(violation), violation.proto.message or violation.proto.rule_id, _rule_reason(violation)
        )
        for violation in validator.collect_violations(message)
    ]
    # Most messages have no such byte at all, not even in their numbers.
    if b"\0" in message.SerializeToString():
        found += [
            errors.FieldViolation(path, "must not contain the character U+0000", "STRING_NUL")
            for path in _texts_with_nul(message)
        ]
    return found


def _texts_with_nul(message: Message, prefix: str = "") -> Iterator[str]:
    """Paths of the texts that PostgreSQL cannot keep: U+0000 is the one character that it has no place for."""
    wanted = _fields_with_text(message.DESCRIPTOR)
    for field, value in message.ListFields():
        name = field.name
        if name not in wanted:
            continue
        if isinstance(value, str):
            if "\0" in value:
                yield f"{prefix}{name}"
        elif isinstance(value, Message):
            yield from _texts_with_nul(value, f"{prefix}{name}.")
        elif hasattr(value, "items"):
            for key in value:
                yield from _in_item(key, f"{prefix}{name}")
                yield from _in_item(value[key], f"{prefix}{name}[{key}]")
        else:
            for index, item in enumerate(value):
                yield from _in_item(item, f"{prefix}{name}[{index}]")


def _in_item(item: object, path: str) -> Iterator[str]:
    if isinstance(item, Message):
        yield from _texts_with_nul(item, f"{path}.")
    elif isinstance(item, str) and "\0" in item:
        yield path.replace("\0", "")


@cache
def _fields_with_text(descriptor: Descriptor) -> frozenset[str]:
    """Those that may hold text, here or in their messages. An import asks a hundred thousand times."""
    return frozenset(
        field.name
        for field in descriptor.fields
        if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE)
        and not _checks_its_items_itself(field)
    )


@cache
def _checks_its_items_itself(descriptor: FieldDescriptor) -> bool:
    rules = descriptor.GetOptions().Extensions[validate_pb2.field]
    return bool(rules.repeated.items.ignore == validate_pb2.IGNORE_ALWAYS)


def _rule_reason(violation: Any) -> str:
    return str(violation.proto.rule_id).replace(".", "_").upper()


def _path(violation: Any) -> str:
    return ".".join(
        # The subscript is a position in a list or a key of a map.
        f"{element.field_name}[{element.subscript.value}]" if element.subscript else element.field_name
        for element in violation.proto.field.elements
    )


def _as_refusal(error: Exception) -> errors.ReelrouteError:
    if isinstance(error, errors.ReelrouteError):
        return error
    if isinstance(error, OperationalError | PoolTimeout) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        log.warning("database call failed", error_class=type(error).__name__, exc_info=error)
        if isinstance(error, OperationalError) and isinstance(error.orig, QueryCanceled):
            return errors.DeadlineExceeded("The database took longer than this call allows. Call again with more time.")
        return errors.Unavailable("The database does not answer now. Try again in a moment.", retry_after_seconds=1)
    log.error("unexpected error", exc_info=error)
    return errors.Internal("Something failed on our side. The log has the cause under this request's id.")


def _record(method: str, code: grpc.StatusCode, started: float) -> None:
    CALLS.labels(method, code.name).inc()
    CALL_SECONDS.labels(method).observe(time.monotonic() - started)


def build_server(service_token: str, threads: int) -> grpc.Server:
    """A server with our interceptor; add servicers, then `listen`."""
    return grpc.server(
        futures.ThreadPoolExecutor(threads, thread_name_prefix="rpc"),
        interceptors=[CallInterceptor(service_token)],
        options=[
            # Two servers on one port must be an error, not a silent sharing.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # Our clients ask every 30 s whether we are there; the default calls that abuse.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
            # A caller who went without a word is noticed, and no work is handed to it.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ],
    )


class AddressTaken(RuntimeError):
    """A process cannot listen where it should."""

    def __init__(self, address: str, setting: str) -> None:
        super().__init__(
            f"Nothing can listen on {address!r}: another program does, or it is no address of this machine. Stop that"
            f" program, or set {setting} to another host:port."
        )


def listen(server: grpc.Server, address: str) -> int:
    """Binds the server and returns its port. Here, and in `kit.rpc.channel`, is where certificates will go.

    Raises AddressTaken when that cannot be.
    """
    try:
        return int(server.add_insecure_port(address))
    except RuntimeError as error:
        raise AddressTaken(address, "REELROUTE_LISTEN") from error
