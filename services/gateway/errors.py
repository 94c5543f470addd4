"""Refusals as RFC 9457 problems: the gateway's own refusals, and the one table from their kinds to HTTP.

What a service refused arrives as an error of `kit.errors` (its kinds are gRPC's codes, one for one) and leaves by the
same table. Only sentences that were written for callers go out; anything unexpected is logged and answered neutrally.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from kit import context, errors

log = structlog.get_logger()


class RequestInvalid(errors.InvalidArgument):
    """A parameter or field is not what the reference says; the violations name them."""


class PostRefused(errors.InvalidArgument):
    """The media, accounts or settings of a post do not do. Its reason is that of the first problem."""


class JsonBroken(errors.InvalidArgument):
    """The body is no JSON."""


class JsonTooDeep(errors.InvalidArgument):
    """The body nests deeper than anything that we take."""


class MultipartBroken(errors.InvalidArgument):
    """The body is no multipart form, or it ended before its closing boundary."""


class RequestBroken(errors.InvalidArgument):
    """What arrived is no HTTP request."""


class HeadTooLong(errors.ResourceExhausted):
    """The address and headers are longer than anything that we take."""


class HeadTooSlow(errors.DeadlineExceeded):
    """The address and headers stopped arriving."""


class MediaTypeUnsupported(errors.InvalidArgument):
    """The body comes in another format than the route takes."""


class BodyTooLarge(errors.ResourceExhausted):
    """The body is larger than the route takes."""


class BodyTooSlow(errors.DeadlineExceeded):
    """The body stopped arriving."""


class ApiKeyMissing(errors.Unauthenticated):
    """The request carries no key."""


class ApiKeyInvalid(errors.Unauthenticated):
    """The key is malformed, unknown, revoked or expired; one answer for all of them."""


class ScopeMissing(errors.PermissionDenied):
    """The key is good, and not for this."""


class RouteNotFound(errors.NotFound):
    """There is nothing at this path."""


class MethodNotAllowed(errors.InvalidArgument):
    """The path is right, the method is not."""


class EtagNotCurrent(errors.Conflict):
    """The thing was changed since the version that If-Match names."""


# From most to least special: the first class that fits is taken. The second half is gRPC's codes by their kinds.
_HTTP: list[tuple[type[errors.ReelrouteError], int]] = [
    (JsonBroken, 400),
    (JsonTooDeep, 400),
    (MultipartBroken, 400),
    (RequestBroken, 400),
    (MethodNotAllowed, 405),
    (BodyTooSlow, 408),
    (HeadTooSlow, 408),
    (EtagNotCurrent, 412),
    (BodyTooLarge, 413),
    (MediaTypeUnsupported, 415),
    (HeadTooLong, 431),
    (errors.InvalidArgument, 422),  # INVALID_ARGUMENT, OUT_OF_RANGE
    (errors.Unauthenticated, 401),
    (errors.PermissionDenied, 403),
    (errors.NotFound, 404),
    (errors.AlreadyExists, 409),
    (errors.FailedPrecondition, 409),
    (errors.Conflict, 409),  # ABORTED
    (errors.ResourceExhausted, 429),
    (errors.Unavailable, 503),
    (errors.DeadlineExceeded, 504),
    (errors.Internal, 500),
]
# Where gRPC's code says less than HTTP can.
_HTTP_BY_REASON = {"MEDIA_TOO_LARGE": 413, "WEBHOOK_TOO_LARGE": 413, "WEBHOOK_UNREADABLE": 400}

TITLES = {
    400: "The request cannot be read",
    401: "Not authenticated",
    403: "The API key may not do this",
    404: "Not found",
    405: "Method not allowed",
    408: "The request took too long to arrive",
    409: "The present state does not allow it",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Unsupported format",
    422: "Invalid values",
    429: "A limit is reached",
    431: "The address or headers are too long",
    500: "Internal error",
    503: "Temporarily unavailable",
    504: "Took too long",
}
_NEUTRAL = "Something failed on our side. The log has the cause under this request's id."
# Answered with 503 and 429 when the service names no time, seconds.
_RETRY_AFTER_DEFAULT = 1.0

# How the protos name what REST names otherwise.
_REST_WORDS = {
    "request_id": "Idempotency-Key",
    "delivery_state": "state",
    "etag": "If-Match",
    "data": "file",
    "min_gap": "min_gap_seconds",
    "window": "window_seconds",
    "horizon": "horizon_days",
    "shift.time": "shift.time_seconds",
    "wait": "wait_seconds",
}
# What stands around a thing in a request of the protos, and is the body itself in REST.
_AROUND = re.compile(r"^(?:post|plan|rule|series|span|routing)\.|(?<=^edit\.)post\.")
# A message needs more levels than JSON to say what a condition consists of.
_CONDITION = re.compile(r"(?<=\.)test\.|(?<=\.(?:all|any))\.conditions")
_MEDIA = re.compile(r"(post\.|edit\.)?media(\[\d+\])?(\.|$)")


def status_of(error: errors.ReelrouteError) -> int:
    """The HTTP status of a refusal; 500 for a kind that has none."""
    by_reason = _HTTP_BY_REASON.get(error.reason)
    return by_reason or next((status for kind, status in _HTTP if isinstance(error, kind)), 500)


def in_rest_words(field: str) -> str:
    """A proto's field path as REST names it: "post.media[0].sha256" is "media_asset_ids[0]"."""
    field = _CONDITION.sub("", _AROUND.sub("", field))
    if media := _MEDIA.match(field):
        return f"{media[1] or ''}media_asset_ids{media[2] or ''}"
    if field.startswith("header."):
        return "file"  # what a form says of its file
    return _REST_WORDS.get(field, field)


def problem(error: errors.ReelrouteError) -> dict[str, Any]:
    """The body of the answer."""
    status = status_of(error)
    neutral = status == 500
    reason = "INTERNAL" if neutral else error.reason
    body: dict[str, Any] = {
        "type": f"/docs#problem-{reason.lower().replace('_', '-')}",
        "title": TITLES[status],
        "status": status,
        "detail": _NEUTRAL if neutral else error.message,
        "reason": reason,
        "field_violations": []
        if neutral
        else [
            {"field": each.field, "description": each.description, "reason": each.reason} for each in error.violations
        ],
        "request_id": context.request_id(),
    }
    if status in (429, 503):
        body["retry_after"] = math.ceil(error.retry_after_seconds or _RETRY_AFTER_DEFAULT)
    return body


def problem_response(error: errors.ReelrouteError) -> JSONResponse:
    """The answer to a refused request, with the headers that belong to its status."""
    body = problem(error)
    headers = {}
    if "retry_after" in body:
        headers["Retry-After"] = str(body["retry_after"])
    if isinstance(error, ApiKeyInvalid):
        headers["WWW-Authenticate"] = 'Bearer realm="reelroute", error="invalid_token"'
    elif isinstance(error, ApiKeyMissing):
        headers["WWW-Authenticate"] = 'Bearer realm="reelroute"'
    elif isinstance(error, ScopeMissing):
        headers["WWW-Authenticate"] = (
            f'Bearer realm="reelroute", error="insufficient_scope", scope="{error.metadata["scope"]}"'
        )
    return JSONResponse(body, body["status"], headers, media_type="application/problem+json")


def violations_of(details: Iterable[ErrorDetails | dict[str, Any]], skip: int = 0) -> list[errors.FieldViolation]:
    """What pydantic found, by REST's field paths. `skip` leaves out the first parts of each path ("body")."""
    return [
        errors.FieldViolation(_path(each["loc"][skip:]) or "body", each["msg"], each["type"].upper())
        for each in details
    ]


def invalid(violations: Sequence[errors.FieldViolation]) -> RequestInvalid:
    """The refusal for violations of the reference."""
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return RequestInvalid(f"{violations[0].field}: {violations[0].description}{more}", violations)


def _path(parts: Sequence[int | str]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.ReelrouteError)  # noqa: S101 - the only kind that this handler is given
    if status_of(error) >= 500:
        log.warning("request failed", reason=error.reason, message=error.message, error_class=type(error).__name__)
    return problem_response(error)


async def _malformed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the only kind that this handler is given
    details = error.errors()
    if any(each["loc"][0] == "path" for each in details):
        # What cannot be a name is the name of nothing.
        is_id = any(each["type"].startswith("uuid") for each in details)
        told = "There is nothing with this id: ids are UUIDs." if is_id else "There is nothing with this name."
        return problem_response(errors.NotFound(told))
    return problem_response(invalid(violations_of(details, skip=1)))


def _methods_at(request: Request) -> str:
    """What a path takes. The framework names the methods of its first route only."""
    methods = [
        method.upper()
        for template, operations in request.app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/:]+", re.escape(template)), request.url.path)
        for method in operations
    ]
    return ", ".join(sorted(methods))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - the only kind that this handler is given
    if error.status_code == 404:
        return problem_response(RouteNotFound("There is nothing at this path. The reference is at /docs."))
    if error.status_code == 405:
        allow = _methods_at(request) or (error.headers or {}).get("Allow", "")
        response = problem_response(MethodNotAllowed(f"{request.method} is not possible here. Use {allow}."))
        response.headers["Allow"] = allow
        return response
    log.error("unexpected refusal of the framework", status=error.status_code, detail=error.detail)
    return problem_response(errors.Internal(_NEUTRAL))


def install(app: FastAPI) -> None:
    """Makes every refusal of the application a problem. What no handler knows is caught by `services.gateway.edge`."""
    app.add_exception_handler(errors.ReelrouteError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
