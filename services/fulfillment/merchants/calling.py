"""Calls to Amazon for threads, with a merchant's own token."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import structlog

from kit import context
from kit.custody import AuthorizationLost, RefreshFailed, Tokens
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
    VendorUncertain,
)
from services.fulfillment.merchants.domain import (
    REFRESH_AHEAD,
    AmazonAnswerLost,
    AmazonCallsLimited,
    AmazonRequestRefused,
    AmazonUnavailable,
    Merchant,
    MerchantAuthorizationLost,
    check_connected,
)
from services.fulfillment.merchants.tokens import tokens_of
from services.fulfillment.vendor_loop import VendorLoop, Words
from vendors.amazon_sp.calls import Access
from vendors.amazon_sp.client import Amazon, AmazonSpClient
from vendors.amazon_sp.marketplaces import MARKETPLACES

log = structlog.get_logger()

Answer = TypeVar("Answer")
# What is asked in the name of a merchant: `lambda amazon: amazon.outbound.get(order_id)`.
Question = Callable[[Amazon], Awaitable[Answer]]

_SECONDS = 30.0
# The question has its own end before, so that its failure is told as what it is.
_GRACE_SECONDS = 2.0
# How long after a renewal ahead was begun another one is, should the first fail.
_AGAIN_SECONDS = 30.0


class AmazonCalls(VendorLoop):
    """The calls to Amazon of a process."""

    def __init__(self, database: Database, vault: Vault, client: AmazonSpClient) -> None:
        super().__init__(Words("Amazon", "merchant", MerchantAuthorizationLost, AmazonUnavailable), client)
        self.client = client
        self._database, self._vault = database, vault
        self._renewing: dict[UUID, float] = {}

    def ask(self, merchant: Merchant, question: Question[Answer], seconds: float = _SECONDS) -> Answer:
        """The answer to a question in the name of a merchant, within `seconds` and the caller's deadline.

        A question may call several times. It is put once more from its beginning when Amazon refuses the token at its
        first call; so a question that creates an order does nothing else. `merchant` is as it was just read: that it
        was disconnected since is noticed within half a minute.

        Raises MerchantNotConnected, MerchantAuthorizationLost, AmazonRequestRefused, AmazonCallsLimited (nothing was
        done, in any of these), AmazonUnavailable (of what creates: nothing was done), AmazonAnswerLost and
        DeadlineExceeded (what creates may have happened: read it first); VendorNotFound when Amazon has no such thing.
        """
        check_connected(merchant)
        left = context.remaining_seconds(seconds)
        with context.about(workspace_id=merchant.workspace_id):
            return self.run(lambda: self._ask(merchant, question, left), left + _GRACE_SECONDS)

    def refusal_of(self, error: VendorError) -> ReelrouteError:
        """What a failed call is to whoever asked."""
        metadata = {"code": error.code, "log_id": error.log_id or ""}
        text = f"{error.message} {error.advice}".strip()
        if isinstance(error, VendorRateLimited | VendorQuotaReached):
            text = f"{error.message} Try again in {math.ceil(error.retry_after_seconds)} s."
            return AmazonCallsLimited(text, (), metadata, error.retry_after_seconds)
        if isinstance(error, VendorAccountProblem):
            if error.remedy is AccountRemedy.RECONNECT:
                return MerchantAuthorizationLost(text, (), metadata)
            return AmazonUnavailable("Amazon refuses a token that it has just given. Try again.", (), metadata)
        if isinstance(error, VendorUncertain):
            return AmazonAnswerLost(text, (), metadata)
        if isinstance(error, VendorRejected):
            said = f" Amazon says: {error.vendor_message}" if error.vendor_message else ""
            return AmazonRequestRefused(text + said, (), metadata)
        return AmazonUnavailable(f"Amazon did not answer as needed: {text}", (), metadata)

    async def _ask(self, merchant: Merchant, question: Question[Answer], seconds: float) -> Answer:
        deadline = time.monotonic() + seconds
        tokens = tokens_of(merchant, self._custody, self.client, self._database, self._vault)
        region = MARKETPLACES[merchant.marketplace].region

        async def asked(token: str) -> Answer:
            self._renew_ahead(merchant.merchant_id, tokens)
            return await question(self.client.of(Access(token, merchant.seller_id, region, deadline)))

        return await self.with_token(tokens, asked)

    def _renew_ahead(self, merchant_id: UUID, tokens: Tokens) -> None:
        """Begins to renew a token that ends soon, beside the calls that go on with it: so none of them waits, and Login
        with Amazon may be away for a while.
        """
        known, now = self._custody.known.get(merchant_id), time.monotonic()
        if known is None or known[1].access_expire_time - datetime.now(UTC) > REFRESH_AHEAD:
            return
        if now < self._renewing.get(merchant_id, 0.0):
            return
        if len(self._renewing) > 10_000:
            self._renewing.clear()
        self._renewing[merchant_id] = now + _AGAIN_SECONDS
        self._count(asyncio.create_task(_renew(merchant_id, tokens, known[1].access_expire_time)))


async def _renew(merchant_id: UUID, tokens: Tokens, end: datetime) -> None:
    try:
        await tokens.refresh_ahead(end)
    except (AuthorizationLost, RefreshFailed) as failure:
        log.info("a token is not renewed yet", merchant_id=str(merchant_id), failure=type(failure).__name__)
