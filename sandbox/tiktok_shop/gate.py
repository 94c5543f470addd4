"""The front door of the API: what every call must have before its operation sees it.

Checked in this order: version, common parameters, app key, time, content type, signature, token and its kind, scope,
shop cipher, rates, then the operation's own query and body. Unknown parameters and fields are refused, also where the
platform might let them pass.
"""

import hashlib
import hmac
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import Response

from sandbox.tiktok_shop import people, timers
from sandbox.tiktok_shop.answers import (
    BAD_REQUEST,
    BAD_SIGN,
    CIPHER_MISSING,
    ERROR_STATUS,
    FILE_TOO_LARGE,
    HOURLY_QUOTA,
    SCOPE_MISSING,
    SHOP_INACTIVE,
    TOO_MANY,
    WRONG_CONTENT_TYPE,
    WRONG_METHOD,
    WRONG_PATH,
    WRONG_TOKEN_KIND,
    WRONG_VERSION,
    Refusal,
    answer,
    ok,
)
from sandbox.tiktok_shop.people import Caller, Shop
from sandbox.tiktok_shop.settings import TikTokShopSettings
from sandbox.tiktok_shop.signing import sign_request
from sandbox.tiktok_shop.state import ShopState, note

MAX_BODY_BYTES = 1024 * 1024
OLDEST_SECONDS, NEWEST_SECONDS = 300, 30
HEAD_BYTES = 64
AREAS = (
    *("authorization", "seller", "order", "fulfillment", "logistics", "return_refund", "product", "analytics"),
    *("affiliate_creator", "event"),
)
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]
_COMMON = ("app_key", "timestamp", "sign", "shop_cipher")


class Query(BaseModel):
    """An operation's own query; values come as text."""

    model_config = ConfigDict(extra="forbid")


class Body(BaseModel):
    """An operation's JSON body."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NoQuery(Query):
    """No parameters of its own."""


class NoBody(Body):
    """Nothing: an empty body, or `{}`."""


@dataclass(frozen=True, slots=True)
class File:
    """The one file of a multipart call. Its bytes are not kept."""

    name: str
    size: int
    head: bytes
    md5: str


@dataclass(frozen=True)
class Call:
    """One call that passed the front door."""

    caller: Caller
    version: str
    path: dict[str, str]
    query: Any
    body: Any
    base_url: str
    own_shop: Shop | None = None
    own_file: File | None = None

    @property
    def shop(self) -> Shop:
        """The shop of the cipher. Raises ValueError for an operation without one."""
        if self.own_shop is None:
            raise ValueError("the operation takes no shop_cipher")
        return self.own_shop

    @property
    def file(self) -> File:
        """The uploaded file. Raises ValueError for an operation without one."""
        if self.own_file is None:
            raise ValueError("the operation takes no file")
        return self.own_file


@dataclass(frozen=True)
class Operation:
    """One documented call."""

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    """With `{version}` and ids in braces."""
    versions: tuple[str, ...]
    scopes: tuple[str, ...]
    """Any of these is enough."""
    handler: Callable[[ShopState, Call], dict[str, Any]]
    query: type[Query] = NoQuery
    body: type[Body] = NoBody
    kind: Literal["seller", "creator"] = "seller"
    cipher: bool = True
    invalid: int = BAD_REQUEST
    """Code for a value that the operation does not take."""
    max_file_bytes: int = 0
    """Largest file of a multipart call; 0: the call has JSON."""

    @property
    def endpoint(self) -> tuple[str, str]:
        """Method and path with `*` for each part that varies, as `vendor.Vendor.endpoints` has them."""
        return self.method, re.sub(r"{\w+}", "*", self.path)


@dataclass
class Gate:
    """All operations behind one front door."""

    state: ShopState
    operations: Sequence[Operation]
    paths: list[tuple[re.Pattern[str], Operation]] = field(init=False)

    def __post_init__(self) -> None:
        # Literal words before ids: /packages/search is no package.
        self.operations = sorted(self.operations, key=lambda one: one.path.count("{"))
        self.paths = [(re.compile(re.sub(r"{\w+}", "[^/]+", one.path)), one) for one in self.operations]

    def routes(self) -> APIRouter:
        """Every operation, and an answer for what is none."""
        router = APIRouter(include_in_schema=False)
        for operation in self.operations:
            router.add_api_route(operation.path, self._endpoint(operation), methods=[operation.method])
        for area in AREAS:
            router.add_api_route(f"/{area}/{{rest:path}}", self._unknown, methods=_METHODS)
        return router

    def _endpoint(self, operation: Operation) -> Callable[[Request], Any]:
        async def answer_call(request: Request) -> Response:
            try:
                body, file = await _read(operation, request)
                timers.settle(self.state)
                with self.state.store.transaction():
                    return ok(operation.handler(self.state, self._enter(operation, request, body, file)))
            except Refusal as refusal:
                return self._refuse(request, refusal)

        return answer_call

    async def _unknown(self, request: Request) -> Response:
        path = request.url.path
        if any(pattern.fullmatch(path) for pattern, _ in self.paths):
            return self._refuse(
                request, Refusal(WRONG_METHOD, f"Method {request.method} is not allowed for this path.")
            )
        return self._refuse(request, Refusal(WRONG_PATH, "Invalid path. Check the path and the version in it."))

    def _refuse(self, request: Request, refusal: Refusal) -> Response:
        note(request).code = str(refusal.code)
        return refused(self.state.settings, refusal)

    def _enter(self, operation: Operation, request: Request, body: bytes, file: File | None) -> Call:
        """Check a call as the front door does. Raises Refusal."""
        state = self.state
        version = request.path_params["version"]
        if version not in operation.versions or f"{operation.name}/{version}" in state.settings.retired_versions:
            raise Refusal(WRONG_VERSION, f"Invalid API version {version[:20]}.")
        query = check_signature(state, request, body)
        caller = people.caller(state, request.headers.get("x-tts-access-token"))
        note(request).creator = caller.subject
        if caller.kind != operation.kind:
            raise Refusal(WRONG_TOKEN_KIND, f"The user_type of the token must be that of a {operation.kind}.")
        if not any(scope in caller.scopes and scope in state.settings.app_scopes for scope in operation.scopes):
            raise Refusal(SCOPE_MISSING, "Access denied: a scope is missing on the app or on the token.")
        shop = _shop(state, operation, caller, query)
        self._check_rates(operation, caller, shop)
        own = {name: value for name, value in query.items() if name not in _COMMON}
        return Call(
            caller=caller,
            version=version,
            path={name: value for name, value in request.path_params.items() if name != "version"},
            query=_parsed(operation.query, own, "query", operation.invalid),
            body=_parsed(operation.body, body or b"{}", "body", operation.invalid) if file is None else None,
            base_url=state.base_url(request),
            own_shop=shop,
            own_file=file,
        )

    def _check_rates(self, operation: Operation, caller: Caller, shop: Shop | None) -> None:
        settings = self.state.settings
        wait = self.state.wait_seconds(("", "hour"), settings.calls_per_hour, 3600.0)
        if wait:
            raise Refusal(HOURLY_QUOTA, "The hourly quota of test shops is used up.", math.ceil(wait))
        who = shop.id if shop is not None else f"{caller.kind}/{caller.subject}"
        limit = settings.calls_per_second_by_endpoint.get(operation.name, settings.calls_per_second)
        if self.state.wait_seconds((who, operation.name), limit, 1.0):
            raise Refusal(TOO_MANY, "Too many requests. Slow down and try again.", 1)


def refused(settings: TikTokShopSettings, refusal: Refusal, status: int | None = None) -> Response:
    """A refusal as clients see it; `status` overrides the one of the code."""
    usual = 200 if settings.errors_as_200 else ERROR_STATUS.get(refusal.code, 200)
    response = answer(refusal.code, refusal.message, {}, status or usual)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


async def _read(operation: Operation, request: Request) -> tuple[bytes, File | None]:
    """Body of a JSON call, or the file of a multipart one. Raises Refusal for what is too large or not of the kind."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    wanted = "multipart/form-data" if operation.max_file_bytes else "application/json"
    if kind != wanted:
        raise Refusal(WRONG_CONTENT_TYPE, f"Content-Type must be {wanted}, also without a body.")
    if not operation.max_file_bytes:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                raise Refusal(BAD_REQUEST, "The request body is too large.")
        return body, None
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > operation.max_file_bytes + MAX_BODY_BYTES:
        raise Refusal(FILE_TOO_LARGE, f"The file is larger than {operation.max_file_bytes} bytes.")
    try:
        async with request.form(max_files=1, max_fields=0) as form:
            data = form.get("data")
            if not isinstance(data, UploadFile):
                raise Refusal(BAD_REQUEST, "body.data is missing.")
            return b"", await _look_at(data, operation.max_file_bytes)
    except MultiPartException as error:
        raise Refusal(BAD_REQUEST, "The multipart body must have one part, the file `data`.") from error


async def _look_at(data: UploadFile, most: int) -> File:
    head, size, md5 = b"", 0, hashlib.md5(usedforsecurity=False)
    while piece := await data.read(1024 * 1024):
        head = head or piece[:HEAD_BYTES]
        size += len(piece)
        md5.update(piece)
    if size > most:
        raise Refusal(FILE_TOO_LARGE, f"The file is larger than {most} bytes.")
    return File(data.filename or "", size, head, md5.hexdigest().upper())


def check_signature(state: ShopState, request: Request, body: bytes) -> dict[str, str]:
    """The decoded query of a request of the app that is signed and in time. Raises Refusal."""
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    query = dict(pairs)
    if len(query) != len(pairs):
        raise Refusal(BAD_REQUEST, "A query parameter is given twice.")
    for name in ("app_key", "timestamp", "sign"):
        if not query.get(name):
            raise Refusal(BAD_REQUEST, f"{name} is missing.")
    if query["app_key"] != state.app_key:
        raise Refusal(BAD_REQUEST, "app_key is invalid.")
    # Real time on purpose: clients stamp with their own clock, which the sandbox cannot move.
    if not re.fullmatch("[0-9]{10}", query["timestamp"]) or not (
        -OLDEST_SECONDS <= int(query["timestamp"]) - time.time() <= NEWEST_SECONDS
    ):
        raise Refusal(BAD_REQUEST, "timestamp is out of the window of five minutes past to 30 seconds ahead.")
    kind = request.headers.get("content-type", "")
    expected = sign_request(state.app_secret, request.url.path, pairs, body, kind)
    if not hmac.compare_digest(query["sign"].encode(), expected.encode()):
        raise Refusal(BAD_SIGN, "The signature is invalid.")
    return query


def _shop(state: ShopState, operation: Operation, caller: Caller, query: dict[str, str]) -> Shop | None:
    cipher = query.get("shop_cipher")
    if not operation.cipher:
        if cipher is not None:
            raise Refusal(BAD_REQUEST, "unexpected identifier: shop_cipher")
        return None
    if not cipher:
        raise Refusal(CIPHER_MISSING, "shop_cipher is missing.")
    shop = next((one for one in people.shops(state, caller.subject) if one.cipher == cipher), None)
    if shop is None:
        raise Refusal(WRONG_TOKEN_KIND, "The token and the shop_cipher do not match.")
    if not shop.active:
        raise Refusal(SHOP_INACTIVE, "The shop is not active.")
    return shop


def _parsed(model: type[BaseModel], given: dict[str, str] | bytes, where: str, invalid: int) -> BaseModel:
    try:
        return model.model_validate_json(given) if isinstance(given, bytes) else model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, (where, *first["loc"])))[:200]
        if first["type"] == "missing":
            raise Refusal(BAD_REQUEST, f"{place} is missing.") from error
        if first["type"] == "extra_forbidden":
            raise Refusal(BAD_REQUEST, f"unexpected identifier: {place}") from error
        raise Refusal(invalid, f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
