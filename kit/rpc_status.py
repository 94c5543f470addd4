"""Refusals as `google.rpc.Status`, and back. The one place where our errors and gRPC's codes meet."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from kit import errors

DOMAIN = "reelroute"
# A status travels in the call's trailing metadata, of which a client takes `rpc.MAX_METADATA_BYTES`.
_MESSAGE_CHARACTERS = 2_000
_VIOLATIONS_BYTES = 24 * 1024

# From most to least special: the first class that fits is taken.
_CODES: list[tuple[type[errors.ReelrouteError], grpc.StatusCode]] = [
    (errors.OutOfRange, grpc.StatusCode.OUT_OF_RANGE),
    (errors.InvalidArgument, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (errors.PermissionDenied, grpc.StatusCode.PERMISSION_DENIED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
    (errors.FailedPrecondition, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.Conflict, grpc.StatusCode.ABORTED),
    (errors.ResourceExhausted, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.Internal, grpc.StatusCode.INTERNAL),
]
_CLASSES = {code: kind for kind, code in _CODES}


def code_of(error: errors.ReelrouteError) -> grpc.StatusCode:
    """The gRPC code of a refusal; UNKNOWN for a kind that has none."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.UNKNOWN)


def to_status(error: errors.ReelrouteError) -> status_pb2.Status:
    """The refusal with its ErrorInfo, and BadRequest and RetryInfo where they apply."""
    details = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata),
    ]
    packed = [_pack(detail) for detail in details]
    if error.violations:
        packed.append(_pack(_bad_request(error.violations)))
    if error.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after_seconds * 1_000_000_000))
        packed.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    message = error.message[:_MESSAGE_CHARACTERS]
    return status_pb2.Status(code=code_of(error).value[0], message=message, details=packed)


def _bad_request(violations: Sequence[errors.FieldViolation]) -> error_details_pb2.BadRequest:
    """As many of the violations, from the first on, as fit."""
    request = error_details_pb2.BadRequest()
    for violation in violations:
        request.field_violations.add(field=violation.field, description=violation.description, reason=violation.reason)
        if request.ByteSize() > _VIOLATIONS_BYTES:
            del request.field_violations[-1]
            break
    return request


def from_rpc_error(error: grpc.RpcError) -> errors.ReelrouteError:
    """What another service refused, as our own error; Unavailable when it did not answer."""
    # An error of the asyncio interface is no grpc.Call, and answers the same questions.
    known = isinstance(error, grpc.Call | grpc.aio.AioRpcError)
    code = error.code() if known else grpc.StatusCode.UNKNOWN
    kind = _CLASSES.get(code, errors.Internal)
    try:
        status = rpc_status.from_call(error) if known else None
    except ValueError:
        # The call ended otherwise than its server said: cut off, or too large to be received.
        status = None
    if status is None:
        return kind(_NEUTRAL.get(code, "Another part of the system failed. Try again; the log has the cause."))
    result = kind(status.message)
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            result.code_reason, result.metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            request = error_details_pb2.BadRequest.FromString(detail.value)
            result.violations = [
                errors.FieldViolation(item.field, item.description, item.reason) for item in request.field_violations
            ]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo.FromString(detail.value)
            result.retry_after_seconds = retry.retry_delay.ToNanoseconds() / 1_000_000_000
    return result


_NEUTRAL = {
    grpc.StatusCode.UNAVAILABLE: "A part of the system does not answer now. Try again in a moment.",
    grpc.StatusCode.DEADLINE_EXCEEDED: "A part of the system took too long. Try again in a moment.",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "The request or its answer is larger than a service takes.",
}


def _pack(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
