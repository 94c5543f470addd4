"""The front door of the API, as a bare ASGI application: what every call must have before its operation sees it.

Checked in this order: token, role, rate, account, user agent, body. Signatures are disregarded, as
Amazon does since 2023.
"""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

from starlette.types import Receive, Scope, Send

from sandbox.amazon_sp import life, lwa, sellers
from sandbox.amazon_sp.answers import (
    INTERNAL,
    INVALID,
    MEDIA_TYPE,
    QUOTA,
    TOO_LARGE,
    UNAUTHORIZED,
    OAuthRefusal,
    Refusal,
    errors,
    oauth_error,
)
from sandbox.amazon_sp.state import AmazonState
from sandbox.wire import CALL, ENDPOINT

_MOST_BYTES = 1024 * 1024
_AGENT = re.compile(rb"[^/()\s][^/()]*/[^()]+ \(([^()]*; *)?Language=[^();]+(;[^()]*)?\).*")
_STAMP = re.compile(rb"\d{8}T\d{6}Z")


def request_id() -> str:
    """What `x-amzn-RequestId` says of an answer."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Call:
    """One call that passed the front door. `ids` are the parts of the path that vary, decoded."""

    seller: sellers.Seller
    ids: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes
    headers: Mapping[bytes, bytes]


@dataclass(frozen=True)
class Operation:
    """One documented call, with its rate per second and its burst."""

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    """With `*` for each part that varies."""
    handler: Callable[[AmazonState, Call], dict[str, Any]]
    rate: float = 2.0
    burst: int = 30

    @property
    def endpoint(self) -> tuple[str, str]:
        """Method and path, as `vendor.Vendor.endpoints` has them."""
        return self.method, self.path


@dataclass(frozen=True)
class Gate:
    """All operations behind one front door, and Login with Amazon."""

    state: AmazonState
    operations: Mapping[str, Operation]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call of `platform.AmazonSp.endpoints`."""
        name, note = scope["state"][ENDPOINT], scope["state"][CALL]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        answer: dict[str, Any]
        status, operation = 200, self.operations.get(name)
        try:
            body = await _body(receive)
            if operation is None:
                answer = self._token(headers, body)
            else:
                answer = self._enter(operation, scope, headers, body)
        except OAuthRefusal as refusal:
            status, note.code = refusal.status, refusal.code
            answer = oauth_error(refusal.code, refusal.message)
        except Refusal as refusal:
            status, note.code = refusal.status, refusal.code
            answer = errors(refusal.code, refusal.message, refusal.details)
        raw = json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
        fields = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(raw)),
            (b"x-amzn-requestid", request_id().encode()),
        ]
        if operation is not None and status in (200, 400, 404) and self.state.settings.rate_limit_header:
            rate, _ = self._limit(operation)
            if rate:
                fields.append((b"x-amzn-ratelimit-limit", str(rate).encode()))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": raw})

    def _token(self, headers: Mapping[bytes, bytes], body: bytes) -> dict[str, Any]:
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/x-www-form-urlencoded":
            raise OAuthRefusal("invalid_request", "The body must be application/x-www-form-urlencoded.")
        form = parse_qs(body.decode("utf-8", "replace"))
        return lwa.token(self.state, {name: values[-1] for name, values in form.items()})

    def _enter(self, operation: Operation, scope: Scope, headers: Mapping[bytes, bytes], body: bytes) -> dict[str, Any]:
        """Check a call as the front door does and answer it. Raises Refusal."""
        state = self.state
        name = sellers.caller(state, headers.get(b"x-amz-access-token", b"").decode("latin-1"))
        scope["state"][CALL].creator = name
        if operation.name in state.settings.denied_operations:
            raise Refusal(UNAUTHORIZED, "Access to requested resource is denied.", "", 403)
        rate, burst = self._limit(operation)
        if rate and state.wait_seconds((name, operation.name), rate, burst):
            raise Refusal(QUOTA, "You exceeded your quota for the requested resource.")
        seller = sellers.seller(state, name)
        if seller.dormant:
            raise Refusal(INVALID, "The seller's account is not active.")
        _check_headers(operation, headers, body, state.settings.check_user_agent)
        words = scope["raw_path"].decode("latin-1").split("/")
        wanted = operation.path.split("/")
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        call = Call(
            seller=seller,
            ids=tuple(unquote(word) for word, want in zip(words, wanted, strict=True) if want == "*"),
            query={key: ",".join(values) for key, values in query.items()},
            body=body,
            headers=headers,
        )
        life.settle(state)
        with state.store.transaction():
            return operation.handler(state, call)

    def _limit(self, operation: Operation) -> tuple[float, float]:
        """Rate and burst of an operation now; 0: none."""
        settings = self.state.settings
        rate, burst = settings.rates.get(operation.name, (operation.rate, operation.burst))
        return rate * settings.rate_multiplier, max(burst * settings.rate_multiplier, 1.0)


def _check_headers(operation: Operation, headers: Mapping[bytes, bytes], body: bytes, check_agent: bool) -> None:
    if check_agent and not _AGENT.fullmatch(headers.get(b"user-agent", b"")):
        raise Refusal(INVALID, "The user-agent header must be App/Version (Language=Python/3.12; Platform=Linux).")
    stamp = headers.get(b"x-amz-date")
    if stamp is not None and not _STAMP.fullmatch(stamp):
        raise Refusal(INVALID, "The x-amz-date header must be YYYYMMDDTHHMMSSZ.")
    if operation.method == "GET" and (b"content-length" in headers or b"transfer-encoding" in headers):
        raise Refusal(INVALID, "A GET request has no body and no Content-Length.")
    if body and headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        raise Refusal(MEDIA_TYPE, "The content-type of a body is application/json.")


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(INTERNAL, "The connection ended before the body did.")
        body += message.get("body", b"")
        if len(body) > _MOST_BYTES:
            raise Refusal(TOO_LARGE, f"The body has more than {_MOST_BYTES} bytes.")
        if not message.get("more_body"):
            return body
