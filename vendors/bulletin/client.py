"""Bulletin as typed calls.

Every method takes ``timeout_seconds``, the time for the whole call with its retries (the configured one by default),
and raises the errors of kit.vendor_errors. Reads are tried again here. A post without a usable answer is
VendorUncertain: it is looked for in the list before anything else.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

from kit.vendor_call import CallRecord, StreamBody, VendorCall
from kit.vendor_http import VendorHttp
from vendors.bulletin import models
from vendors.bulletin.config import BulletinConfig
from vendors.bulletin.errors import inspect

T = TypeVar("T")
PAGE_SIZE = 100


class BulletinClient:
    """Calls Bulletin for any number of accounts; holds connections, no tokens."""

    def __init__(self, config: BulletinConfig, *, on_call: Callable[[CallRecord], None] | None = None) -> None:
        self.config = config
        self._http = VendorHttp(config.http_settings(), on_call=on_call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str:
        """The address of the consent page. ``code_challenge``: hexadecimal SHA-256 of the verifier."""
        page = self.config.authorize_url or f"{self.config.base_url}/bulletin/authorize"
        return f"{page}?{urlencode({'redirect_uri': redirect_uri, 'state': state, 'code_challenge': code_challenge})}"

    async def exchange_code(
        self, *, code: str, redirect_uri: str, code_verifier: str, timeout_seconds: float | None = None
    ) -> models.Grant:
        """Turn the callback's code into a token. A code works once: without an answer, go through consent again."""
        call = VendorCall(
            operation="exchange_code",
            method="POST",
            url="/bulletin/v1/token",
            json={"code": code, "redirect_uri": redirect_uri, "code_verifier": code_verifier},
            commits=True,
            secrets=(code, code_verifier),
            answer_is_secret=True,
        )
        return await self._typed(call, models.grant, timeout_seconds)

    async def me(self, access_token: str, *, timeout_seconds: float | None = None) -> models.Profile:
        """Whose token it is."""
        return await self._typed(_read("me", "/bulletin/v1/me", access_token), models.profile, timeout_seconds)

    async def create_post(
        self,
        access_token: str,
        text: str,
        *,
        last_moment: Callable[[], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> models.Post:
        """Publish a text. Twice is two posts.

        ``last_moment`` is called when the connection stands, right before the text leaves; what it raises ends the
        call before that, and comes through as it is.
        """
        body = json.dumps({"text": text}).encode()

        async def leaving() -> AsyncIterator[bytes]:
            if last_moment is not None:
                last_moment()
            yield body

        call = VendorCall(
            operation="create_post",
            method="POST",
            url="/bulletin/v1/posts",
            bearer=access_token,
            stream=StreamBody(leaving(), len(body), "application/json"),
            commits=True,
        )
        return await self._typed(call, models.post, timeout_seconds)

    async def posts(
        self, access_token: str, *, since: float = 0.0, before: str | None = None, timeout_seconds: float | None = None
    ) -> models.Page:
        """The token's own posts, newest first, published at `since` (Bulletin's time) or later; ``before`` is
        ``Page.next``.
        """
        query = {"limit": str(PAGE_SIZE), "since": repr(since)} | ({} if before is None else {"before": before})
        call = _read("posts", f"/bulletin/v1/posts?{urlencode(query)}", access_token)
        return await self._typed(call, models.page, timeout_seconds)

    async def post(self, access_token: str, post_id: str, *, timeout_seconds: float | None = None) -> models.ListedPost:
        """A post by its id. Raises PostGone when it is not there."""
        call = replace(_read("post", f"/bulletin/v1/posts/{quote(post_id, safe='')}", access_token), handle=post_id)
        return await self._typed(call, models.listed_post, timeout_seconds)

    async def _typed(
        self, call: VendorCall, read: Callable[[Mapping[str, Any]], T], timeout_seconds: float | None
    ) -> T:
        seconds = self.config.call_timeout_seconds if timeout_seconds is None else timeout_seconds
        return await self._http.read(
            replace(call, inspect=inspect),
            lambda body: read(body if isinstance(body, Mapping) else {}),
            timeout_seconds=seconds,
        )


def _read(operation: str, url: str, access_token: str) -> VendorCall:
    return VendorCall(operation=operation, method="GET", url=url, bearer=access_token, repeatable=True)
