"""Puts the parts of the Selling Partner API's stand-in together behind `vendor.Vendor`."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp

from sandbox.amazon_sp import control, inventory_api, life, lwa, outbound_api, panel, sellers, stock
from sandbox.amazon_sp.answers import (
    INTERNAL,
    NOT_FOUND,
    OAUTH_STATUS,
    QUOTA,
    STATUS,
    UNAVAILABLE,
    errors,
    oauth_error,
)
from sandbox.amazon_sp.gate import Gate, request_id
from sandbox.amazon_sp.state import NAME, TABLES, AmazonState
from sandbox.html import proxy_page
from sandbox.vendor import Outage

OPERATIONS = [*outbound_api.OPERATIONS, *inventory_api.OPERATIONS]
# What the shared parts of the sandbox call their refusals.
_CODES = {"internal_error": INTERNAL, "rate_limit_exceeded": QUOTA}
_AREAS = ("fba", "catalog", "fulfillment", "notifications", "listings", "tracking", "auth")
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]
# Orders step often: what is due within so short a time is done together.
_LEAST_PAUSE = 0.05


class AmazonSp:
    """One Selling Partner API for the whole sandbox."""

    name = NAME
    has_webhooks = False
    endpoints: Mapping[tuple[str, str], str] = {
        ("POST", lwa.PATH): "token",
        **{operation.endpoint: operation.name for operation in OPERATIONS},
    }

    def __init__(self, state: AmazonState) -> None:
        self._state = state
        self._seed()

    def _seed(self) -> None:
        with self._state.store.transaction():
            for name in sellers.seed(self._state):
                stock.seed(self._state, name)

    def outage(self) -> Outage:
        """Whether Amazon is down."""
        return self._state.settings.outage

    def refusal(self, endpoint: str, status: int, code: str, message: str) -> Response:
        """An error in the operation's form; without a code, a page of a proxy."""
        headers = {"x-amzn-RequestId": request_id()}
        if not code:
            return HTMLResponse(proxy_page(status or 503), status_code=status or 503, headers=headers)
        if endpoint == "token":
            code = "server_error" if code == "internal_error" else code
            status = status or OAUTH_STATUS.get(code, 400)
            return JSONResponse(oauth_error(code, message), status_code=status, headers=headers)
        code = UNAVAILABLE if code == "internal_error" and status in (502, 503, 504) else _CODES.get(code, code)
        return JSONResponse(errors(code, message), status_code=status or STATUS.get(code, 400), headers=headers)

    def api(self) -> ASGIApp:
        """What answers the calls."""
        return Gate(self._state, {operation.name: operation for operation in OPERATIONS})

    def routes(self) -> APIRouter:
        """An answer for what is no operation."""
        router = APIRouter(include_in_schema=False)

        async def unknown(request: Request) -> Response:
            return self.refusal("", 404, NOT_FOUND, "The resource does not exist.")

        for area in _AREAS:
            router.add_api_route(f"/{area}/{{rest:path}}", unknown, methods=_METHODS)
        return router

    def control_routes(self) -> APIRouter:
        """Operations under `/control/amazon_sp`."""
        return control.routes(self._state)

    def panel(self) -> str:
        """Amazon's part of the control page."""
        return panel.render(self._state)

    def perform(self, operation: str, fields: Mapping[str, str]) -> None:
        """Carry out a form of the panel."""
        life.settle(self._state)
        panel.perform(self._state, operation, fields)

    def summary(self) -> dict[str, Any]:
        """Counts of orders by status."""
        life.settle(self._state)
        counts = self._state.store.all("SELECT status, count(*) AS n FROM amazon_order GROUP BY status ORDER BY status")
        return {"outage": self.outage(), "orders": {row["status"]: row["n"] for row in counts}}

    def reset(self) -> None:
        """Forget everything; what was seeded comes back. The shared tables are cleared by the caller."""
        self._state.store.clear(TABLES)
        self._state.forget_changes()
        self._seed()

    async def run(self) -> None:
        """Do what is due until cancelled."""
        wake = self._state.wake
        while True:
            wake.clear()
            following = life.settle(self._state)
            pause = None
            if following is not None and not self._state.clock.frozen:
                pause = max(following - self._state.clock.now(), _LEAST_PAUSE)
            try:
                await asyncio.wait_for(wake.wait(), pause)
            except TimeoutError:
                continue
