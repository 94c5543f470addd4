"""TikTok Shop creators of the sandbox, for tests."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from pydantic import SecretStr

from services.publisher.domain import Account, AccountState, Platform
from services.publisher.platforms.base import MediaFile
from services.publisher.platforms.tiktok_shop_checks import POST_SCOPE
from tests.publisher.factories import WORKSPACE
from tests.publisher.stage import FakeLibrary, Sandbox
from vendors.tiktok_shop import oauth
from vendors.tiktok_shop.config import TikTokShopConfig

CREATOR = "emberfold.fire"
CALLBACK = "http://127.0.0.1:8765/callback"
# Of the sandbox's catalogue.
PRODUCT = "1729558652170587422"
JPEG = b"\xff\xd8\xff\xe0"


def config_of(sandbox: Sandbox, **changes: Any) -> TikTokShopConfig:
    """A client's configuration for the sandbox's app."""
    values: dict[str, Any] = {
        "base_url": sandbox.url,
        "token_url": sandbox.url,
        "creator_authorize_url": f"{sandbox.url}/alliance/creator/auth",
        "app_key": "sandbox-app-key",
        "app_secret": SecretStr("sandbox-app-secret"),
        "service_id": "sandbox-service-id",
        "read_timeout_seconds": 5,
        "max_tries": 1,
    } | changes
    return TikTokShopConfig(**values)


def code_of(sandbox: Sandbox, consent_url: str, creator: str = CREATOR, scopes: list[str] | None = None) -> str:
    """The code with which a consenting creator's browser comes back."""
    sandbox.control("PATCH", "/tiktok_shop/settings", redirect_url=CALLBACK)
    order = {"authorize_url": consent_url, "subject": creator, "scopes": scopes}
    answer = sandbox.control("POST", "/tiktok_shop/consents", **order)
    return str(httpx.URL(answer["redirect_url"]).params["code"])


def access_token(sandbox: Sandbox, creator: str = CREATOR) -> str:
    """An access token of a creator who has consented."""
    config = config_of(sandbox)
    code = code_of(sandbox, oauth.creator_authorize_url(config, state="s"), creator)
    secret = config.app_secret.get_secret_value()
    query = {"app_key": config.app_key, "app_secret": secret, "auth_code": code, "grant_type": "authorized_code"}
    answer = sandbox.http.get("/api/v2/token/get", params=query).json()
    return str(answer["data"]["access_token"])


def posts(sandbox: Sandbox, creator: str = CREATOR) -> list[dict[str, Any]]:
    """What the creator posted, newest first."""
    found: list[dict[str, Any]] = sandbox.http.get("/control/tiktok_shop/posts", params={"creator": creator}).json()
    return found


def a_creator(**changes: Any) -> Account:
    now = datetime.now(UTC)
    account = Account(
        uuid4(), WORKSPACE, Platform.TIKTOK_SHOP, "7020open", "emberfold.fire", "Fire", (POST_SCOPE,),
        AccountState.CONNECTED, "", None, now, now,
    )  # fmt: skip
    return dataclasses.replace(account, **changes)


def a_file(head: bytes, size: int, **facts: Any) -> MediaFile:
    """A file of zeros behind its first bytes."""

    @contextlib.asynccontextmanager
    async def read(offset: int, length: int) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncIterator[bytes]:
            for first in range(offset, offset + length, 2**20):
                piece = bytes(min(2**20, offset + length - first))
                yield (head + piece)[: len(piece)] if first == 0 else piece

        yield pieces()

    values: dict[str, Any] = {
        "media_asset_id": "m", "size_bytes": size, "width": 1080, "height": 1920, "frame_rate_millis": 0,
        "duration_ms": 0, "pixel_mode": "", "read": read,
    } | facts  # fmt: skip
    return MediaFile(**values)


def a_video(size: int = 300_000, **changes: Any) -> MediaFile:
    facts: dict[str, Any] = {
        "mime_type": "video/mp4", "container": "mp4", "codec": "h264", "duration_ms": 15_000,
    } | changes  # fmt: skip
    return a_file(FakeLibrary.HEAD, size, **facts)


def a_photo(size: int = 100_000, **changes: Any) -> MediaFile:
    facts: dict[str, Any] = {"mime_type": "image/jpeg", "container": "", "codec": "jpeg"} | changes
    return a_file(JPEG, size, **facts)
