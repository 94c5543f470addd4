"""The kind of every route under /v1: who calls is known, and the body is bounded, before anything else is looked at."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog
from fastapi.routing import APIRoute
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from kit import context
from kit.errors import FieldViolation
from services.gateway.auth import ROUTE_SCOPES, Authenticator, Caller
from services.gateway.clients import Clients
from services.gateway.config import GatewayConfig
from services.gateway.errors import BodyTooLarge, BodyTooSlow, JsonBroken, JsonTooDeep, MediaTypeUnsupported, invalid

# Nothing that we take nests deeper than six.
MAX_JSON_DEPTH = 100
# They take as long as what they send, read or answer with.
_LONG = frozenset(
    {
        "POST /v1/media",
        "POST /v1/posts:import",
        "POST /v1/posts:batchChange",
        "POST /v1/shops/{shop_id}:syncCatalogue",
        "POST /v1/shops/{shop_id}:syncOrders",
        "POST /v1/sku-mappings:import",
        "POST /v1/merchants/{merchant_id}:syncStock",
        "POST /v1/merchants/{merchant_id}/drift-reports",
    }
)
_BATCHES = frozenset({"POST /v1/posts:batchCreate", "POST /v1/sku-mappings:batchSet"})

_JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json", re.IGNORECASE)
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class _IdConvertor(StringConvertor):
    """An id in a path ends before a verb: "/v1/posts/{post_id:id}" is not the route of "/v1/posts/…:cancel"."""

    regex = "[^/:]+"


register_url_convertor("id", _IdConvertor())


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the routes work with; made once, when the process starts."""

    config: GatewayConfig
    clients: Clients
    authenticator: Authenticator


def gateway_of(request: Request) -> Gateway:
    """The gateway that answers this request."""
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)  # noqa: S101 - set before the first request
    return gateway


def caller_of(request: Request) -> Caller:
    """Who makes this request."""
    caller = request.state.caller
    assert isinstance(caller, Caller)  # noqa: S101 - ApiRoute sets it or refuses the request
    return caller


class ApiRoute(APIRoute):
    """A route that needs a key. Its scope is in ROUTE_SCOPES; without an entry there the gateway does not start."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, behind authentication, scope, and the limits of a body."""
        answer = super().get_route_handler()
        (method,) = tuple(self.methods or ())
        operation = f"{method} {self.path_format}"
        scope = ROUTE_SCOPES[operation]
        parameters = {field.alias for field in self.dependant.query_params}
        takes_json = self.body_field is not None

        async def guarded(request: Request) -> Response:
            gateway = gateway_of(request)
            config = gateway.config
            seconds = config.upload_seconds if operation in _LONG else config.request_seconds
            with context.call(request_id=context.request_id(), timeout_seconds=seconds):
                caller = await gateway.authenticator.caller(request.headers.getlist("authorization"))
                structlog.contextvars.bind_contextvars(workspace_id=caller.workspace_id)
                caller.require(scope)
                request.state.caller = caller
                _refuse_unknown_parameters(request, parameters)
                if takes_json:
                    limit = config.max_batch_bytes if operation in _BATCHES else config.max_json_bytes
                    request = await JsonRequest.read(request, limit)
                return await answer(request)

        return guarded


def _refuse_unknown_parameters(request: Request, known: set[str]) -> None:
    """A misspelt filter would otherwise show everything."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        hint = f"Use one of: {', '.join(sorted(known))}." if known else "This route takes none."
        raise invalid([FieldViolation(_readable(name), f"Unknown parameter. {hint}", "UNKNOWN") for name in unknown])


def _readable(name: str) -> str:
    return name.encode(errors="replace").decode()[:100]


class JsonRequest(Request):
    """A request whose body was read and parsed within its limits."""

    _bytes: bytes
    _parsed: Any

    @classmethod
    async def read(cls, request: Request, limit: int) -> JsonRequest:
        """Reads the body. Raises MediaTypeUnsupported, BodyTooLarge, BodyTooSlow, JsonBroken or JsonTooDeep."""
        made = cls(request.scope, request.receive)
        made._bytes = await bounded_body(request, limit)
        if made._bytes:
            media_type = request.headers.get("content-type", "").partition(";")[0].strip()
            if not _JSON_TYPE.fullmatch(media_type):
                raise MediaTypeUnsupported("Send the body as JSON, with 'Content-Type: application/json'.")
            made._parsed = parse_json(made._bytes)
        return made

    async def body(self) -> bytes:
        """The whole body."""
        return self._bytes

    async def json(self) -> Any:
        """The parsed body."""
        return self._parsed


async def bounded_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTooSlow."""
    too_large = BodyTooLarge(f"The body is larger than {limit} bytes. Send less at a time.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(context.remaining_seconds(request.app.state.gateway.config.request_seconds)):
            async for piece in request.stream():
                body += piece
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise BodyTooSlow("The body did not arrive in time. Send it again.") from None
    return bytes(body)


def parse_json(body: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises JsonBroken, or JsonTooDeep beyond MAX_JSON_DEPTH."""
    try:
        text = body.decode("utf-8-sig")
        _check_depth(text)
        value = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text:
            # Half of a surrogate pair is no character; it could neither be stored nor answered.
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise JsonBroken(f"The body is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from None
    except UnicodeError:
        raise JsonBroken("The body is not JSON in UTF-8.") from None
    except ValueError:
        raise JsonBroken("The body is not JSON: a number in it is none, or far too long.") from None
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0] in "[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise JsonTooDeep(f"The body nests deeper than {MAX_JSON_DEPTH} levels.")
        elif match[0] in "]}":
            depth -= 1
