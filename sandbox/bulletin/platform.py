"""Puts the parts of Bulletin together behind `vendor.Vendor`."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp

from sandbox.bulletin import control, pages, panel
from sandbox.bulletin.api import POSTS, Api, code_of
from sandbox.bulletin.state import NAME, TABLES, BulletinState
from sandbox.html import proxy_page
from sandbox.vendor import Outage


class Bulletin:
    """One Bulletin for the whole sandbox."""

    name = NAME
    has_webhooks = False
    endpoints: Mapping[tuple[str, str], str] = {
        ("POST", "/bulletin/v1/token"): "token",
        ("GET", "/bulletin/v1/me"): "me",
        ("POST", POSTS): "create",
        ("GET", POSTS): "list",
        ("GET", f"{POSTS}/*"): "get",
    }

    def __init__(self, state: BulletinState) -> None:
        self._state = state

    def outage(self) -> Outage:
        """Whether Bulletin is down."""
        return self._state.settings.outage

    def refusal(self, endpoint: str, status: int, code: str, message: str) -> Response:
        """An error answer; without a code, a page of a proxy. 429 asks for a wait of a second."""
        status = status or 503
        if not code:
            return HTMLResponse(proxy_page(status), status_code=status)
        return JSONResponse(
            {"error": {"code": code_of(status), "message": message}},
            status_code=status,
            headers={"Retry-After": "1"} if status == 429 else None,
        )

    def api(self) -> ASGIApp:
        """What answers the calls."""
        return Api(self._state)

    def routes(self) -> APIRouter:
        """The consent page and the posts' pages."""
        return pages.routes(self._state)

    def control_routes(self) -> APIRouter:
        """Operations under `/control/bulletin`."""
        return control.routes(self._state)

    def panel(self) -> str:
        """Bulletin's part of the control page."""
        return panel.render(self._state)

    def perform(self, operation: str, fields: Mapping[str, str]) -> None:
        """Carry out a form of the panel."""
        panel.perform(self._state, operation, fields)

    def summary(self) -> dict[str, Any]:
        """Counts for the overview."""
        return self._state.totals()

    def reset(self) -> None:
        """Forget everything; the seeded accounts come back. The shared tables are cleared by the caller."""
        self._state.store.clear(TABLES)
        self._state.load()

    async def run(self) -> None:
        """Bulletin has nothing to do by itself."""
        await asyncio.Event().wait()
