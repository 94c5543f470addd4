"""Calls to TikTok Shop for threads: in one event loop, with a shop's own token and cipher, refusals as ours.

A token that is refused is replaced once. When TikTok Shop's definite no comes to one that it gave a moment ago, or to
the refresh token, the authorisation is lost, and that is told.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from typing import Any, TypeVar
from uuid import UUID

import structlog

from kit import context
from kit.custody import AuthorizationLost, Custody, RefreshBusy, RefreshFailed
from kit.db import Database
from kit.errors import DeadlineExceeded, ReelrouteError
from kit.vault import Vault
from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorNotFound,
    VendorQuotaReached,
    VendorRateLimited,
    VendorRejected,
)
from services.fulfillment import authorization_store, shop_store
from services.fulfillment.domain import (
    Authorization,
    Shop,
    ShopAuthorizationLost,
    ShopCallsLimited,
    ShopNotConnected,
    ShopRequestRefused,
    ShopScopeMissing,
    ShopState,
    ShopUnavailable,
)
from services.fulfillment.tokens import AuthorizationRow, tokens_of
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.shops import Shop as VendorShop

log = structlog.get_logger()

Answer = TypeVar("Answer")
# What is asked with a shop's access, in so many seconds at most.
Question = Callable[[Access, float], Awaitable[Answer]]

_SECONDS = 30.0
_SCOPE_CODE = "105005"


class ShopCalls:
    """A part of the process (see kit.service.Part); its methods are for any thread. `client` is opened in its loop."""

    def __init__(self, database: Database, vault: Vault, client: TikTokShopClient) -> None:
        self.client = client
        self._database, self._vault = database, vault
        self._custody = Custody()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._ready, self._stopping = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="shop calls", daemon=True)

    def start(self) -> None:
        """Begins; returns when calls can be made."""
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("The calls to TikTok Shop did not start within 30 seconds; the log has the cause.")

    def stop(self, timeout_seconds: float) -> bool:
        """Begins no call, and waits for those that run, and for refreshes of tokens."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def ask(self, shop: Shop, question: Question[Answer], seconds: float = _SECONDS) -> Answer:
        """The answer to a question about a shop, within `seconds` and the caller's deadline.

        Raises ShopNotConnected, ShopAuthorizationLost, ShopScopeMissing, ShopRequestRefused, ShopCallsLimited,
        ShopUnavailable, DeadlineExceeded; VendorNotFound when TikTok Shop has no such thing.
        """
        left = context.remaining_seconds(seconds)
        with context.about(workspace_id=shop.workspace_id, shop_id=shop.shop_id):
            return self.run(lambda: self._ask(shop, question, left), left)

    def opened(self, authorization: Authorization) -> Sequence[VendorShop]:
        """The shops that a consent opens now. Raises as `ask`."""

        async def asked(token: str) -> Sequence[VendorShop]:
            return await self.client.shops.authorized(Access(token, str(authorization.authorization_id)))

        with context.about(workspace_id=authorization.workspace_id):
            return self.run(lambda: self._with_token(authorization, asked), _SECONDS)

    def refresh_ahead(self, authorization: Authorization) -> None:
        """Refreshes an access token that ends soon, unless that was done meanwhile. Raises as `ask`."""
        end = authorization.access_expire_time
        if end is not None:
            tokens = tokens_of(authorization, self._custody, self.client, self._database, self._vault)
            with context.about(workspace_id=authorization.workspace_id):
                self.run(lambda: _as_refusals(tokens.refresh_ahead(end)), _SECONDS)

    def run(self, work: Callable[[], Coroutine[Any, Any, Answer]], seconds: float) -> Answer:
        """Runs something in the loop. Raises DeadlineExceeded, and ShopUnavailable when the process is just ending."""
        loop, seconds = self._loop, context.remaining_seconds(seconds)
        if loop is None or self._stopping.is_set():
            raise _ending()
        started = work()
        try:
            # Not bound by the caller's deadline: a token that was refreshed is stored however long that takes.
            with context.call(request_id=context.request_id(), timeout_seconds=None):
                running = asyncio.run_coroutine_threadsafe(self._counted(started), loop)
        except RuntimeError:
            started.close()
            raise _ending() from None
        try:
            return running.result(seconds)
        except TimeoutError:
            raise DeadlineExceeded("TikTok Shop did not answer in time. Try again.") from None
        except CancelledError:
            raise _ending() from None
        finally:
            running.cancel()

    async def _counted(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await work

    async def _ask(self, shop: Shop, question: Question[Answer], seconds: float) -> Answer:
        authorization, cipher = await asyncio.to_thread(self._open, shop.workspace_id, shop.shop_id)
        end = asyncio.get_running_loop().time() + seconds

        async def asked(token: str) -> Answer:
            left = end - asyncio.get_running_loop().time()
            return await question(Access(token, shop.platform_shop_id, cipher), max(left, 0.1))

        return await self._with_token(authorization, asked)

    async def _with_token(self, authorization: Authorization, asked: Callable[[str], Awaitable[Answer]]) -> Answer:
        tokens = tokens_of(authorization, self._custody, self.client, self._database, self._vault)
        token = await _as_refusals(tokens.access())
        try:
            return await asked(token)
        except VendorAccountProblem:
            token = await _as_refusals(tokens.fresh(token))
        except VendorNotFound:
            raise
        except VendorError as error:
            raise refusal_of(error) from None
        try:
            return await asked(token)
        except VendorNotFound:
            raise
        except VendorError as error:
            if isinstance(error, VendorAccountProblem) and error.remedy is AccountRemedy.RECONNECT:
                await asyncio.to_thread(self._lose, authorization, token, error)
            raise refusal_of(error) from None

    def _open(self, workspace_id: UUID, shop_id: UUID) -> tuple[Authorization, str]:
        """What opens the shop now, whatever it was when the caller read it."""
        with self._database.transaction(workspace_id) as tx:
            shop = shop_store.read_shop(tx, workspace_id, shop_id)
            check_connected(shop)
            authorization = authorization_store.read_authorization(tx, workspace_id, shop.authorization_id)
            return authorization, shop_store.read_cipher(tx, self._vault, shop)

    def _lose(self, authorization: Authorization, token: str, error: VendorAccountProblem) -> None:
        row = AuthorizationRow(self._database, self._vault, authorization)
        try:
            pair = row.read()
        except AuthorizationLost:
            return
        if pair.access_token == token:
            row.lose(pair, f"{error.message} Connect the shop again.")

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            # A service that cannot call must not look alive: whoever runs it starts it again.
            log.critical("the calls to TikTok Shop died", exc_info=error)
            os._exit(70)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self.client:
            self._ready.set()
            await self._stopping.wait()
            if self._running:
                await asyncio.wait(self._running)
            await self._custody.finish()


def check_connected(shop: Shop) -> None:
    """Raises ShopNotConnected or ShopAuthorizationLost unless the shop can be called."""
    match shop.state:
        case ShopState.DISCONNECTED:
            raise ShopNotConnected(shop.problem, metadata={"shop_id": str(shop.shop_id)})
        case ShopState.AUTHORIZATION_LOST:
            raise ShopAuthorizationLost(shop.problem, metadata={"shop_id": str(shop.shop_id)})


def refusal_of(error: VendorError) -> ReelrouteError:
    """What a failed call is to whoever asked."""
    metadata = {"code": error.code, "log_id": error.log_id or ""}
    text = f"{error.message} {error.advice}".strip()
    if isinstance(error, VendorRateLimited | VendorQuotaReached):
        text = f"{error.message} Try again in {math.ceil(error.retry_after_seconds)} s."
        return ShopCallsLimited(text, (), metadata, error.retry_after_seconds)
    if isinstance(error, VendorAccountProblem):
        if error.remedy is AccountRemedy.RECONNECT:
            return ShopAuthorizationLost(text, (), metadata)
        return ShopUnavailable("TikTok Shop refuses a token that it has just given. Try again.", (), metadata)
    if error.code == _SCOPE_CODE:
        return ShopScopeMissing(text, (), metadata)
    if isinstance(error, VendorRejected | VendorNotFound):
        said = f" TikTok Shop says: {error.vendor_message}" if error.vendor_message else ""
        return ShopRequestRefused(text + said, (), metadata)
    return ShopUnavailable(f"TikTok Shop did not answer as needed: {text}", (), metadata)


async def _as_refusals(work: Awaitable[Answer]) -> Answer:
    try:
        return await work
    except AuthorizationLost as lost:
        raise ShopAuthorizationLost(lost.problem, (), {"log_id": lost.vendor_log_id}) from None
    except RefreshBusy:
        raise ShopUnavailable(
            "Another process is refreshing the shop's token and has not finished. Try again."
        ) from None
    except RefreshFailed as failed:
        text = f"The shop's token could not be refreshed now: {failed.message} The shop stays connected."
        raise ShopUnavailable(text, (), {"log_id": failed.vendor_log_id}) from None


def _ending() -> ShopUnavailable:
    return ShopUnavailable("The process is just ending. Try again.")
