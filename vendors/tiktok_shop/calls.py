"""How a call to TikTok Shop is made: signed at each try, kept to the rates of its shop, in a version that is taken."""

import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

import structlog

from kit.vendor_call import StreamBody, VendorCall
from kit.vendor_errors import VendorRejected
from kit.vendor_http import VendorHttp
from kit.vendor_json import UnreadableAnswer
from vendors.tiktok_shop.config import TikTokShopConfig
from vendors.tiktok_shop.errors import inspect_items, inspect_read, inspect_write, is_version_refused
from vendors.tiktok_shop.operations import Effect, Operation
from vendors.tiktok_shop.signing import query_text, signed_url

T = TypeVar("T")
Reader = Callable[[Mapping[str, Any]], T]
# Values of a query; those that are None are left out.
Query = Mapping[str, str | int | bool | date | Sequence[str] | None]
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_log = structlog.get_logger("reelroute.vendor")


@dataclass(frozen=True)
class Access:
    """In whose name a call is made.

    ``owner_id`` is the id of the shop, or the open id of the creator or seller: the rates are counted by it.
    ``shop_cipher`` goes with a seller's token and names one of the token's shops.
    """

    token: str = field(repr=False)
    owner_id: str
    shop_cipher: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for. ``ids`` go into the path, in order; ``about`` is the id of the thing that it is about."""

    operation: Operation
    access: Access
    ids: Sequence[str] = ()
    query: Query = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    stream: StreamBody | None = None
    about: str = ""
    # Whoever reads the answer looks at `data.errors`, which otherwise fail a call that changes something.
    by_item: bool = False
    # Called when the connection stands, right before `body` leaves; what it raises ends the call before that, and comes
    # through as it is.
    last_moment: Callable[[], None] | None = None


class Calls:
    """Makes the calls of all topics."""

    def __init__(self, config: TikTokShopConfig, http: VendorHttp, *, now: Callable[[], float] = time.time) -> None:
        self.config = config
        self._http = http
        self._now = now
        # By operation: how many of its versions TikTok Shop has refused.
        self._refused: dict[str, int] = {}

    async def data(self, request: Request, read: Reader[T], timeout_seconds: float | None) -> T:
        """Make a call and read ``data`` of its answer. Raises a VendorError; ValueError for an id that cannot be one.

        ``timeout_seconds`` is the time for everything; None: the configured one.
        """
        return await self.versioned(request, lambda data, _version: read(data), timeout_seconds)

    async def versioned(
        self, request: Request, read: Callable[[Mapping[str, Any], str], T], timeout_seconds: float | None
    ) -> T:
        """The same for a call whose answer differs by version: ``read`` is told which one answered.

        A version that was refused is not asked for again by this process, except the last one.
        """
        operation = request.operation
        seconds = self.config.call_timeout_seconds if timeout_seconds is None else timeout_seconds
        end = time.monotonic() + seconds
        while True:
            place = self._refused.get(operation.name, 0)
            version = operation.versions[place]
            call = self._call(request, version)
            left = min(seconds, end - time.monotonic())
            try:
                return await self._http.read(call, _of_data(read, version), timeout_seconds=left)
            except VendorRejected as refusal:
                if not is_version_refused(refusal) or place + 1 == len(operation.versions):
                    raise _explained(refusal, operation) from None
            _log.warning("tiktok_shop_version_refused", operation=operation.name, version=version)
            self._refused[operation.name] = max(place + 1, self._refused.get(operation.name, 0))

    def _call(self, request: Request, version: str) -> VendorCall:
        operation, access = request.operation, request.access
        secret = self.config.app_secret.get_secret_value()
        if not self.config.app_key or not secret:
            raise unconfigured(operation.name)
        params = {name: _word(value) for name, value in request.query.items() if value is not None}
        if operation.needs_cipher:
            if not access.shop_cipher:
                raise VendorRejected(
                    "The shop's cipher is not known.",
                    vendor="tiktok_shop",
                    operation=operation.name,
                    code="shop_cipher_missing",
                    advice="Read the authorised shops.",
                )
            params["shop_cipher"] = access.shop_cipher
        path = operation.path.format(*(_path_id(each) for each in request.ids), version=version)

        stream, streamed = request.stream, b""
        if request.last_moment is not None:
            streamed = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode()
            stream = StreamBody(_leaving(streamed, request.last_moment), len(streamed), "application/json")

        def sign(url: str, content: bytes) -> str:
            return signed_url(
                url, content or streamed, app_key=self.config.app_key, secret=secret, timestamp=int(self._now())
            )

        is_read = operation.effect is Effect.READ
        hourly = (("shop_hour", access.owner_id),) if self.config.shop_calls_per_hour else ()
        return VendorCall(
            operation=operation.name,
            method=operation.method,
            url=f"{path}?{query_text(params)}" if params else path,
            sign=sign,
            # The content type is asked for on every call, those without a body among them.
            headers={"Content-Type": "application/json", "x-tts-access-token": access.token},
            json=request.body,
            stream=stream,
            repeatable=operation.effect in (Effect.READ, Effect.SET),
            commits=operation.effect is Effect.COMMIT,
            rates=((operation.name, access.owner_id), *hourly),
            inspect=inspect_read if is_read else inspect_items if request.by_item else inspect_write,
            handle=request.about or (request.ids[0] if request.ids else None),
            secrets=(access.token, access.shop_cipher, secret),
        )


async def _leaving(content: bytes, last_moment: Callable[[], None]) -> AsyncIterator[bytes]:
    last_moment()
    yield content


def unconfigured(operation: str) -> VendorRejected:
    """The refusal of everything while there is no app."""
    return VendorRejected(
        "No TikTok Shop app is configured.",
        vendor="tiktok_shop",
        operation=operation,
        code="not_configured",
        advice="Set REELROUTE_TIKTOK_SHOP_APP_KEY, _APP_SECRET and _SERVICE_ID from the app's page in Partner Center.",
    )


def _of_data(read: Callable[[Mapping[str, Any], str], T], version: str) -> Callable[[Any], T]:
    def reads(answer: Any) -> T:
        data = answer.get("data") if isinstance(answer, Mapping) else None
        # Calls that answer nothing leave it out, or send null.
        if data is not None and not isinstance(data, Mapping):
            raise UnreadableAnswer("data")
        return read(data or {}, version)

    return reads


def _explained(refusal: VendorRejected, operation: Operation) -> VendorRejected:
    if refusal.code == "105005" and operation.scope:
        refusal.advice += f" It needs {operation.scope}."
    return refusal


def _word(value: str | int | bool | date | Sequence[str]) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case int():
            return str(value)
    return ",".join(value)


def _path_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(f"{value[:40]!r} is no id of TikTok Shop")
    return value
