"""Calls to TikTok Shop for threads, with a shop's own token and cipher."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from kit import context
from kit.db import Database
from kit.errors import ReelrouteError
from kit.vault import Vault
from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
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
from services.fulfillment.tokens import tokens_of
from services.fulfillment.vendor_loop import VendorLoop, Words
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.shops import Shop as VendorShop

Answer = TypeVar("Answer")
# What is asked with a shop's access, in so many seconds at most.
Question = Callable[[Access, float], Awaitable[Answer]]

_SECONDS = 30.0
_SCOPE_CODE = "105005"


class ShopCalls(VendorLoop):
    """The calls to TikTok Shop of a process."""

    def __init__(self, database: Database, vault: Vault, client: TikTokShopClient) -> None:
        super().__init__(Words("TikTok Shop", "shop", ShopAuthorizationLost, ShopUnavailable), client)
        self.client = client
        self._database, self._vault = database, vault

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
                self.run(lambda: self.as_refusals(tokens.refresh_ahead(end)), _SECONDS)

    def refusal_of(self, error: VendorError) -> ReelrouteError:
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
        if isinstance(error, VendorRejected):
            said = f" TikTok Shop says: {error.vendor_message}" if error.vendor_message else ""
            return ShopRequestRefused(text + said, (), metadata)
        return ShopUnavailable(f"TikTok Shop did not answer as needed: {text}", (), metadata)

    async def _ask(self, shop: Shop, question: Question[Answer], seconds: float) -> Answer:
        authorization, cipher = await asyncio.to_thread(self._open, shop.workspace_id, shop.shop_id)
        end = asyncio.get_running_loop().time() + seconds

        async def asked(token: str) -> Answer:
            left = end - asyncio.get_running_loop().time()
            return await question(Access(token, shop.platform_shop_id, cipher), max(left, 0.1))

        return await self._with_token(authorization, asked)

    async def _with_token(self, authorization: Authorization, asked: Callable[[str], Awaitable[Answer]]) -> Answer:
        tokens = tokens_of(authorization, self._custody, self.client, self._database, self._vault)
        return await self.with_token(tokens, asked)

    def _open(self, workspace_id: UUID, shop_id: UUID) -> tuple[Authorization, str]:
        """What opens the shop now, whatever it was when the caller read it."""
        with self._database.transaction(workspace_id) as tx:
            shop = shop_store.read_shop(tx, workspace_id, shop_id)
            check_connected(shop)
            authorization = authorization_store.read_authorization(tx, workspace_id, shop.authorization_id)
            return authorization, shop_store.read_cipher(tx, self._vault, shop)


def check_connected(shop: Shop) -> None:
    """Raises ShopNotConnected or ShopAuthorizationLost unless the shop can be called."""
    match shop.state:
        case ShopState.DISCONNECTED:
            raise ShopNotConnected(shop.problem, metadata={"shop_id": str(shop.shop_id)})
        case ShopState.AUTHORIZATION_LOST:
            raise ShopAuthorizationLost(shop.problem, metadata={"shop_id": str(shop.shop_id)})
