"""Puts the parts of the TikTok stand-in together behind `vendor.Vendor`."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from sandbox.html import proxy_page
from sandbox.tiktok import control, display, oauth, panel, people, progress, publish, upload
from sandbox.tiktok.answers import ERROR_STATUS, OAUTH_STATUS, refuse, refuse_oauth
from sandbox.tiktok.pull import Puller
from sandbox.tiktok.state import NAME, TABLES, TikTokState
from sandbox.vendor import Outage

_POST, _GET, _PUT = "POST", "GET", "PUT"
_OAUTH = frozenset({"token", "revoke"})
_FETCH_TIMEOUT_SECONDS = 20.0


class TikTok:
    """One TikTok for the whole sandbox."""

    name = NAME
    has_webhooks = True
    endpoints: Mapping[tuple[str, str], str] = {
        (_GET, "/v2/auth/authorize/"): "consent_page",
        (_POST, "/v2/auth/authorize/"): "consent",
        (_POST, "/v2/oauth/token/"): "token",
        (_POST, "/v2/oauth/revoke/"): "revoke",
        (_POST, "/v2/post/publish/creator_info/query/"): "creator_info",
        (_POST, "/v2/post/publish/video/init/"): "video_init",
        (_POST, "/v2/post/publish/inbox/video/init/"): "inbox_init",
        (_POST, "/v2/post/publish/content/init/"): "content_init",
        (_POST, "/v2/post/publish/status/fetch/"): "status_fetch",
        (_POST, "/v2/post/publish/cancel/"): "cancel",
        (_PUT, "/upload/video/"): "upload",
        (_GET, "/v2/user/info/"): "user_info",
        (_POST, "/v2/video/list/"): "video_list",
        (_POST, "/v2/video/query/"): "video_query",
    }

    def __init__(self, state: TikTokState) -> None:
        self._state = state
        self._uploads = upload.Uploads(state)
        people.seed(state)

    def outage(self) -> Outage:
        """Whether TikTok is down."""
        return self._state.settings.outage

    def refusal(self, endpoint: str, status: int, code: str, message: str) -> Response:
        """An error in the form of that endpoint; without a code, a page of a proxy."""
        if not code:
            return HTMLResponse(proxy_page(status or 502), status_code=status or 502)
        if endpoint in _OAUTH:
            code = {"internal_error": "server_error"}.get(code, code)
            return refuse_oauth(code, message, status or self.oauth_status(code))
        if endpoint == "upload":
            return Response(message, status_code=status or 500, media_type="text/plain")
        return refuse(code, message, status or ERROR_STATUS.get(code, 400))

    def oauth_status(self, code: str) -> int:
        """HTTP status of an OAuth error under the present settings."""
        return 200 if self._state.settings.oauth_errors_as_200 else OAUTH_STATUS.get(code, 400)

    def api(self) -> ASGIApp | None:
        """None: `routes` answers."""
        return None

    def routes(self) -> APIRouter:
        """TikTok's own API."""
        router = APIRouter()
        for part in (oauth.routes(self._state), publish.routes(self._state), display.routes(self._state)):
            router.include_router(part)
        router.include_router(self._uploads.routes())
        return router

    def control_routes(self) -> APIRouter:
        """Operations under `/control/tiktok`."""
        return control.routes(self._state)

    def panel(self) -> str:
        """TikTok's part of the control page."""
        return panel.render(self._state)

    def perform(self, operation: str, fields: Mapping[str, str]) -> None:
        """Carry out a form of the panel."""
        panel.perform(self._state, operation, fields)

    def summary(self) -> dict[str, Any]:
        """Counts of shares by status."""
        progress.settle(self._state)
        counts = self._state.store.all("SELECT state, count(*) AS n FROM tiktok_share GROUP BY state ORDER BY state")
        return {"outage": self.outage(), "shares": {row["state"]: row["n"] for row in counts}}

    def reset(self) -> None:
        """Forget everything; the seeded creators come back. The shared tables are cleared by the caller."""
        self._state.store.clear(TABLES)
        self._state.forget_changes()
        self._uploads.forget_old()
        people.seed(self._state)

    async def run(self) -> None:
        """Settle what is due and fetch what is to be pulled, until cancelled."""
        puller, wake = Puller(self._state), self._state.wake
        self._uploads.forget_old()
        client = httpx.AsyncClient(timeout=_FETCH_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)
        async with client, asyncio.TaskGroup() as group:
            while True:
                wake.clear()
                following = progress.settle(self._state)
                puller.keep_up(group, client)
                pause = None
                if following is not None and not self._state.clock.frozen:
                    pause = max(following - self._state.clock.now(), 0.0)
                try:
                    await asyncio.wait_for(wake.wait(), pause)
                except TimeoutError:
                    continue
