"""Puts the parts of the TikTok Shop stand-in together behind `vendor.Vendor`."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from sandbox.html import proxy_page
from sandbox.tiktok_shop import (
    aftersale_api,
    analytics_api,
    consent,
    control,
    creator_api,
    creator_reads,
    creators,
    event_api,
    events,
    label_api,
    logistics_api,
    order_api,
    order_seed,
    package_api,
    panel,
    people,
    product_api,
    products,
    shops,
    timers,
    tokens,
)
from sandbox.tiktok_shop.answers import INTERNAL, TOO_MANY, Refusal
from sandbox.tiktok_shop.gate import Gate, refused
from sandbox.tiktok_shop.state import NAME, TABLES, ShopState
from sandbox.vendor import Outage

_PARTS = (
    *(shops, event_api, order_api, product_api, logistics_api, package_api, label_api, aftersale_api),
    *(analytics_api, creator_api, creator_reads),
)
OPERATIONS = [operation for part in _PARTS for operation in part.OPERATIONS]
# What the shared parts of the sandbox call their refusals.
_CODES = {"internal_error": INTERNAL, "rate_limit_exceeded": TOO_MANY}


class TikTokShop:
    """One TikTok Shop for the whole sandbox."""

    name = NAME
    has_webhooks = True
    endpoints: Mapping[tuple[str, str], str] = {
        ("GET", consent.SELLER_PATH): "consent_page",
        ("POST", consent.SELLER_PATH): "consent",
        ("GET", consent.CREATOR_PATH): "creator_consent_page",
        ("POST", consent.CREATOR_PATH): "creator_consent",
        ("GET", tokens.GET_PATH): "token_get",
        ("GET", tokens.REFRESH_PATH): "token_refresh",
        **{operation.endpoint: operation.name for operation in OPERATIONS},
    }

    def __init__(self, state: ShopState) -> None:
        self._state = state
        events.sign_with(state)
        self._seed()

    def _seed(self) -> None:
        with self._state.store.transaction():
            for part in (people, products, order_seed, creators):
                part.seed(self._state)

    def outage(self) -> Outage:
        """Whether TikTok Shop is down."""
        return self._state.settings.outage

    def refusal(self, endpoint: str, status: int, code: str, message: str) -> Response:
        """An error in the envelope; without a code, a page of a proxy. Words that are no code are internal errors."""
        if not code:
            return HTMLResponse(proxy_page(status or 502), status_code=status or 502)
        number = int(code) if code.isdigit() else _CODES.get(code, INTERNAL)
        return refused(self._state.settings, Refusal(number, message), status)

    def api(self) -> ASGIApp | None:
        """None: `routes` answers."""
        return None

    def routes(self) -> APIRouter:
        """TikTok Shop's own API."""
        router = APIRouter()
        for part in (consent.routes, tokens.routes, label_api.document_routes):
            router.include_router(part(self._state))
        router.include_router(Gate(self._state, OPERATIONS).routes())
        return router

    def control_routes(self) -> APIRouter:
        """Operations under `/control/tiktok_shop`."""
        return control.routes(self._state)

    def panel(self) -> str:
        """TikTok Shop's part of the control page."""
        return panel.render(self._state)

    def perform(self, operation: str, fields: Mapping[str, str]) -> None:
        """Carry out a form of the panel."""
        timers.settle(self._state)
        panel.perform(self._state, operation, fields)

    def summary(self) -> dict[str, Any]:
        """Counts of orders by status."""
        timers.settle(self._state)
        counts = self._state.store.all("SELECT status, count(*) AS n FROM shop_order GROUP BY status ORDER BY status")
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
            following = timers.settle(self._state)
            pause = None
            if following is not None and not self._state.clock.frozen:
                pause = max(following - self._state.clock.now(), 0.0)
            try:
                await asyncio.wait_for(wake.wait(), pause)
            except TimeoutError:
                continue
