"""Builds a sandbox: the one place where everything is put together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from sandbox import control, page
from sandbox.amazon_sp.platform import AmazonSp
from sandbox.amazon_sp.state import SCHEMA as AMAZON_SP_SCHEMA
from sandbox.amazon_sp.state import AmazonState
from sandbox.bulletin.platform import Bulletin
from sandbox.bulletin.state import SCHEMA as BULLETIN_SCHEMA
from sandbox.bulletin.state import BulletinState
from sandbox.calls import CallLog
from sandbox.clock import Clock
from sandbox.config import SandboxConfig
from sandbox.faults import Faults
from sandbox.problems import sentence
from sandbox.store import Store
from sandbox.tiktok.answers import OAuthRefusal, Refusal
from sandbox.tiktok.platform import TikTok
from sandbox.tiktok.progress import public_videos
from sandbox.tiktok.state import SCHEMA as TIKTOK_SCHEMA
from sandbox.tiktok.state import TikTokState, note
from sandbox.tiktok_shop.platform import TikTokShop
from sandbox.tiktok_shop.state import SCHEMA as TIKTOK_SHOP_SCHEMA
from sandbox.tiktok_shop.state import PublicVideo, ShopState
from sandbox.vendor import Vendor
from sandbox.webhooks import Webhooks
from sandbox.wire import Wire

log = logging.getLogger("sandbox")


@dataclass(frozen=True)
class Sandbox:
    """A built sandbox. `app` is to be served on one event loop, with `wire.ResettableProtocol`."""

    config: SandboxConfig
    store: Store
    clock: Clock
    app: ASGIApp


def build(config: SandboxConfig) -> Sandbox:
    """Open the state and wire all parts. Raises store.StateFileUnusable."""
    store = Store(config.state_file, [TIKTOK_SCHEMA, TIKTOK_SHOP_SCHEMA, AMAZON_SP_SCHEMA, BULLETIN_SCHEMA])
    clock, faults, calls = Clock(store), Faults(store), CallLog()
    webhooks = Webhooks(store, clock, faults)
    tiktok_state = TikTokState(
        store=store,
        clock=clock,
        webhooks=webhooks,
        client_key=config.tiktok_client_key,
        client_secret=config.tiktok_client_secret.get_secret_value(),
        defaults=config.tiktok,
        public_url=config.public_url,
    )
    tiktok = TikTok(tiktok_state)
    tiktok_shop = TikTokShop(
        ShopState(
            store=store,
            clock=clock,
            webhooks=webhooks,
            app_key=config.tiktok_shop_app_key,
            app_secret=config.tiktok_shop_app_secret.get_secret_value(),
            service_id=config.tiktok_shop_service_id,
            defaults=config.tiktok_shop,
            public_url=config.public_url,
            public_videos=lambda: _public_videos(tiktok_state),
        )
    )
    amazon_sp = AmazonSp(
        AmazonState(
            store=store,
            clock=clock,
            client_id=config.amazon_sp_client_id,
            client_secret=config.amazon_sp_client_secret.get_secret_value(),
            defaults=config.amazon_sp,
        )
    )
    bulletin = Bulletin(BulletinState(store, clock, config.bulletin, config.public_url))
    vendors: list[Vendor] = [tiktok, tiktok_shop, amazon_sp, bulletin]
    controls = control.Controls(store, clock, faults, calls, vendors)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with _running([*vendors, webhooks]):
            yield
        store.close()

    app = FastAPI(
        title="Sandbox control",
        description="Sets the scene of the platform sandbox: clock, faults, creators, verdicts, limits.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    guarded = [Depends(control.Access(config.control_token))]
    app.include_router(page.routes(controls), dependencies=guarded)
    app.include_router(control.routes(controls), dependencies=guarded)
    for vendor in vendors:
        app.include_router(vendor.control_routes(), dependencies=guarded)
        app.include_router(vendor.routes())

    @app.get("/control/openapi.json", include_in_schema=False, dependencies=guarded)
    async def openapi() -> dict[str, object]:
        return app.openapi()

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    _answer_refusals(app, tiktok)
    return Sandbox(config, store, clock, Wire(app, vendors, faults, calls, clock))


def _public_videos(tiktok: TikTokState) -> list[PublicVideo]:
    """What TikTok shows is what TikTok Shop has figures of: the two know the same videos by the same ids."""
    return [
        PublicVideo(
            id=str(row["post_id"]),
            username=row["username"],
            title=row["caption"],
            time=row["public_time"],
            views=row["view_count"],
            likes=row["like_count"],
            comments=row["comment_count"],
            shares=row["share_count"],
        )
        for row in public_videos(tiktok)
    ]


def _answer_refusals(app: FastAPI, tiktok: TikTok) -> None:
    async def refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, Refusal):
            raise error
        note(request).code = error.code
        return tiktok.refusal("", error.status, error.code, error.message)

    async def oauth_refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, OAuthRefusal):
            raise error
        note(request).code = error.code
        return tiktok.refusal("token", 0, error.code, error.message)

    async def failed(request: Request, error: Exception) -> Response:
        # The server logs the error itself; a client learns nothing of the inside.
        return tiktok.refusal("", 500, "internal_error", "Something went wrong. Please try again later.")

    async def invalid(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        # Without the input that FastAPI's own answer repeats: it may be secret, or not even text.
        return JSONResponse({"detail": sentence(error.errors())}, status_code=422)

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(OAuthRefusal, oauth_refused)
    app.add_exception_handler(Exception, failed)


@asynccontextmanager
async def _running(workers: Sequence[Vendor | Webhooks]) -> AsyncIterator[None]:
    """Run the background work for as long as the application runs; a worker that dies says so in the log."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("background work ended; restart the sandbox", exc_info=task.exception())

    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
