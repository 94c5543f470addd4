"""The little of TikTok Shop that the client's tests need, as strict as its documents, with memory.

It checks what the platform checks: signature, clock, content type, token, the shop cipher where it is needed and only
there, and that no parameter or field is sent that the call does not have.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from tests.vendors.tiktok_shop.endpoints import CIPHER, ENDPOINTS, Endpoint

KEY, SECRET = "app-key-1", "canary-app-secret-0123"
SELLER, CREATOR = "TTP_canary-seller-token", "TTP_canary-creator-token"


@dataclass
class StrictShop:
    """Answers every call by the book; set it as ``otherwise``. ``answers`` changes the data of a path."""

    endpoints: list[Endpoint] = field(default_factory=lambda: list(ENDPOINTS))
    violations: list[str] = field(default_factory=list)
    signs: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        endpoint = self._endpoint(request)
        if endpoint is None:
            return self.refusal(36009009, "Invalid path", 404)
        for code, message in self._faults(request, endpoint, body):
            self.violations.append(f"{request.method} {request.path}: {message}")
            return self.refusal(code, message)
        self.bodies.append(json.loads(body) if body and not endpoint.is_multipart else body)
        return web.json_response({"code": 0, "message": "Success", "request_id": "2026AA", "data": endpoint.data})

    @staticmethod
    def refusal(code: int, message: str, status: int = 200) -> web.StreamResponse:
        body = {"code": code, "message": message, "request_id": "2026EE"}
        return web.json_response(body, status=status)

    def answers(self, path: str, data: Any) -> None:
        """Let the call with this path answer other data."""
        place = next(place for place, each in enumerate(self.endpoints) if re.fullmatch(each.path, path))
        self.endpoints[place] = replace(self.endpoints[place], data=data)

    def _endpoint(self, request: web.BaseRequest) -> Endpoint | None:
        return next(
            (
                each
                for each in self.endpoints
                if each.method == request.method and re.fullmatch(each.path, request.path)
            ),
            None,
        )

    def _faults(self, request: web.BaseRequest, endpoint: Endpoint, body: bytes) -> list[tuple[int, str]]:
        params = dict(parse_qsl(urlsplit(request.raw_path).query, keep_blank_values=True))
        sign = params.pop("sign", "")
        self.signs.append(sign)
        content_type = request.headers.get("Content-Type", "")
        signed = b"" if content_type.startswith("multipart/form-data") else body
        expected = signature(request.path, params, signed)
        common = {"app_key", "timestamp"} | ({"shop_cipher"} if endpoint.needs_cipher else set())
        token = SELLER if endpoint.needs_cipher or "/authorization/" in request.path else CREATOR
        faults = [
            (36009004, "app_key is invalid", params.get("app_key") != KEY),
            (106001, "sign is invalid", not hmac.compare_digest(sign, expected)),
            (36009004, "timestamp is out of the window", not _in_time(params.get("timestamp", ""))),
            (105001, "access token is invalid", request.headers.get("x-tts-access-token") != token),
            (106013, "shop_cipher is missing", not common <= set(params)),
            (101000, "shop_cipher is of another token", params.get("shop_cipher", CIPHER) != CIPHER),
            (36009004, "unexpected identifier: shop_cipher", "shop_cipher" in set(params) - common),
            (
                36009004,
                f"unknown parameters: {sorted(set(params) - common - endpoint.query)}",
                bool(set(params) - common - endpoint.query),
            ),
            (36009022, f"content type {content_type}", not self._fits(endpoint, content_type)),
            (36009004, f"unknown or unreadable body {body[:80]!r}", not _body_fits(endpoint, body)),
            (106001, "a token in Authorization", "Authorization" in request.headers),
        ]
        return [(code, message) for code, message, is_fault in faults if is_fault]

    @staticmethod
    def _fits(endpoint: Endpoint, content_type: str) -> bool:
        if endpoint.is_multipart:
            return content_type.startswith("multipart/form-data; boundary=")
        return content_type == "application/json"


def signature(path: str, params: Mapping[str, str], body: bytes) -> str:
    """TikTok Shop's own computation, written again."""
    digest = hmac.new(SECRET.encode(), digestmod=hashlib.sha256)
    digest.update(SECRET.encode() + path.encode())
    for name, value in sorted(params.items()):
        digest.update(name.encode() + value.encode())
    digest.update(body + SECRET.encode())
    return digest.hexdigest()


def _in_time(timestamp: str) -> bool:
    return re.fullmatch(r"\d{10}", timestamp) is not None and -300 <= int(timestamp) - time.time() <= 30


def _body_fits(endpoint: Endpoint, body: bytes) -> bool:
    if endpoint.is_multipart:
        return body.startswith(b"--")
    if endpoint.body is None:
        return body == b""
    try:
        fields = json.loads(body)
    except ValueError:
        return False
    return isinstance(fields, dict) and set(fields) <= endpoint.body
