"""Who calls and what they may: API keys, and the one table from route to scope."""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reelroute.identity.v1 import identity_pb2
from reelroute.identity.v1.identity_pb2 import Scope

from kit.errors import Unauthenticated
from services.gateway.clients import Clients
from services.gateway.errors import ApiKeyInvalid, ApiKeyMissing, ScopeMissing

# Every route under /v1 is here, or the gateway does not start. None: any valid key.
ROUTE_SCOPES: dict[str, Scope.ValueType | None] = {
    "POST /v1/media": Scope.SCOPE_MEDIA_WRITE,
    "GET /v1/media": Scope.SCOPE_MEDIA_READ,
    "GET /v1/media/{media_asset_id}": Scope.SCOPE_MEDIA_READ,
    "POST /v1/posts": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/posts:batchCreate": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/posts:queue": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/posts:approve": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/posts:batchChange": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/posts:import": Scope.SCOPE_POSTS_WRITE,
    "GET /v1/posts:export": Scope.SCOPE_POSTS_READ,
    "GET /v1/posts": Scope.SCOPE_POSTS_READ,
    "GET /v1/posts/{post_id}": Scope.SCOPE_POSTS_READ,
    "PATCH /v1/posts/{post_id}": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/posts/{post_id}:cancel": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/deliveries:decide": Scope.SCOPE_POSTS_WRITE,
    "GET /v1/deliveries/{delivery_id}/publication": Scope.SCOPE_POSTS_READ,
    "POST /v1/deliveries/{delivery_id}/publication:settle": Scope.SCOPE_POSTS_WRITE,
    # Holds of everything and of a platform need OPERATOR besides.
    "GET /v1/holds": Scope.SCOPE_POSTS_READ,
    "POST /v1/holds": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/holds:lift": Scope.SCOPE_POSTS_WRITE,
    "GET /v1/channel-rules": Scope.SCOPE_POSTS_READ,
    "PUT /v1/channel-rules": Scope.SCOPE_POSTS_WRITE,
    "GET /v1/plans": Scope.SCOPE_POSTS_READ,
    "PUT /v1/plans": Scope.SCOPE_POSTS_WRITE,
    "GET /v1/plans/{channel}": Scope.SCOPE_POSTS_READ,
    "DELETE /v1/plans/{channel}": Scope.SCOPE_POSTS_WRITE,
    "GET /v1/plans/{channel}/slots": Scope.SCOPE_POSTS_READ,
    "GET /v1/duplicate-rules": Scope.SCOPE_POSTS_READ,
    "PUT /v1/duplicate-rules": Scope.SCOPE_POSTS_WRITE,
    "DELETE /v1/duplicate-rules/{channel}/{other_channel}": Scope.SCOPE_POSTS_WRITE,
    "GET /v1/series": Scope.SCOPE_POSTS_READ,
    "POST /v1/series": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/series:preview": Scope.SCOPE_POSTS_READ,
    "GET /v1/series/{series_id}": Scope.SCOPE_POSTS_READ,
    "PATCH /v1/series/{series_id}": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/series/{series_id}:end": Scope.SCOPE_POSTS_WRITE,
    "GET /v1/series/{series_id}/occurrences": Scope.SCOPE_POSTS_READ,
    "POST /v1/series/{series_id}/occurrences/{occurrence_time}:skip": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/series/{series_id}/occurrences/{occurrence_time}:move": Scope.SCOPE_POSTS_WRITE,
    "POST /v1/series/{series_id}/occurrences/{occurrence_time}:restore": Scope.SCOPE_POSTS_WRITE,
    "GET /v1/forecast": Scope.SCOPE_POSTS_READ,
    "GET /v1/outages": Scope.SCOPE_POSTS_READ,
    "GET /v1/outages/{outage_id}/deliveries": Scope.SCOPE_POSTS_READ,
    "GET /v1/incidents": Scope.SCOPE_POSTS_READ,
    "POST /v1/connections": Scope.SCOPE_ACCOUNTS_WRITE,
    "POST /v1/connections:finish": Scope.SCOPE_ACCOUNTS_WRITE,
    "GET /v1/accounts": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/accounts/{account_id}": Scope.SCOPE_ACCOUNTS_READ,
    "POST /v1/accounts/{account_id}:disconnect": Scope.SCOPE_ACCOUNTS_WRITE,
    "GET /v1/accounts/{account_id}/limits": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/accounts/{account_id}/numbers": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/accounts/{account_id}/posts/numbers": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/agents": None,
    # What an agent may touch is what an account's owner may: shops, their orders and numbers.
    "POST /v1/agents:useSkill": Scope.SCOPE_ACCOUNTS_WRITE,
    "POST /v1/shop-connections": Scope.SCOPE_ACCOUNTS_WRITE,
    "POST /v1/shop-connections:finish": Scope.SCOPE_ACCOUNTS_WRITE,
    "GET /v1/shops": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/shops/{shop_id}": Scope.SCOPE_ACCOUNTS_READ,
    "POST /v1/shops/{shop_id}:disconnect": Scope.SCOPE_ACCOUNTS_WRITE,
    "POST /v1/shops/{shop_id}:syncCatalogue": Scope.SCOPE_ACCOUNTS_WRITE,
    "GET /v1/products": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/products/{product_id}": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/shops/{shop_id}/orders": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/shops/{shop_id}/numbers": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/shops/{shop_id}/numbers/videos": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/shops/{shop_id}/numbers/products": Scope.SCOPE_ACCOUNTS_READ,
    "POST /v1/merchants": Scope.SCOPE_ACCOUNTS_WRITE,
    "GET /v1/merchants": Scope.SCOPE_ACCOUNTS_READ,
    "GET /v1/merchants/{merchant_id}": Scope.SCOPE_ACCOUNTS_READ,
    "POST /v1/merchants/{merchant_id}:disconnect": Scope.SCOPE_ACCOUNTS_WRITE,
    "GET /v1/shops/{shop_id}/routing": Scope.SCOPE_ORDERS_READ,
    "PUT /v1/shops/{shop_id}/routing": Scope.SCOPE_ORDERS_WRITE,
    "GET /v1/shops/{shop_id}/warehouses": Scope.SCOPE_ORDERS_READ,
    "POST /v1/shops/{shop_id}:resumeTracking": Scope.SCOPE_ORDERS_WRITE,
    "GET /v1/sku-mappings": Scope.SCOPE_ORDERS_READ,
    "POST /v1/sku-mappings:batchSet": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/sku-mappings:batchDelete": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/sku-mappings:import": Scope.SCOPE_ORDERS_WRITE,
    "GET /v1/sku-mappings:export": Scope.SCOPE_ORDERS_READ,
    "GET /v1/unmapped-skus": Scope.SCOPE_ORDERS_READ,
    "GET /v1/routing-rules": Scope.SCOPE_ORDERS_READ,
    "POST /v1/routing-rules": Scope.SCOPE_ORDERS_WRITE,
    "PUT /v1/routing-rules/{rule_id}": Scope.SCOPE_ORDERS_WRITE,
    "DELETE /v1/routing-rules/{rule_id}": Scope.SCOPE_ORDERS_WRITE,
    "GET /v1/orders": Scope.SCOPE_ORDERS_READ,
    "GET /v1/orders/held": Scope.SCOPE_ORDERS_READ,
    "GET /v1/orders/{order_id}": Scope.SCOPE_ORDERS_READ,
    "GET /v1/orders/{order_id}/events": Scope.SCOPE_ORDERS_READ,
    "GET /v1/orders/{order_id}/decision": Scope.SCOPE_ORDERS_READ,
    "POST /v1/orders/{order_id}:testRouting": Scope.SCOPE_ORDERS_READ,
    "POST /v1/orders:replay": Scope.SCOPE_ORDERS_READ,
    "POST /v1/orders:release": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/orders:retry": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/orders:leave": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/orders:cancel": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/orders/{order_id}:correct": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/orders/{order_id}:route": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/shops/{shop_id}:syncOrders": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/packages/{package_id}:correctTracking": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/orders/{order_id}:readRecipient": Scope.SCOPE_RECIPIENTS_READ,
    # Deleting shows nothing.
    "POST /v1/orders/{order_id}:eraseRecipient": Scope.SCOPE_ORDERS_WRITE,
    # Who read what is for those who give out the keys, and not for those who read.
    "GET /v1/recipient-readings": Scope.SCOPE_WORKSPACE_ADMIN,
    "GET /v1/merchants/{merchant_id}/stock": Scope.SCOPE_ORDERS_READ,
    "GET /v1/merchants/{merchant_id}/stock/{amazon_sku}": Scope.SCOPE_ORDERS_READ,
    "PUT /v1/merchants/{merchant_id}/safety-stock": Scope.SCOPE_ORDERS_WRITE,
    "POST /v1/merchants/{merchant_id}:syncStock": Scope.SCOPE_ORDERS_WRITE,
    "GET /v1/shops/{shop_id}/stock-pushes": Scope.SCOPE_ORDERS_READ,
    "POST /v1/merchants/{merchant_id}/drift-reports": Scope.SCOPE_ORDERS_WRITE,
    "GET /v1/merchants/{merchant_id}/drift-reports": Scope.SCOPE_ORDERS_READ,
    "GET /v1/drift-reports/{report_id}/drifts": Scope.SCOPE_ORDERS_READ,
    "GET /v1/activities": Scope.SCOPE_ACTIVITY_READ,
    "GET /v1/messages": Scope.SCOPE_ACTIVITY_READ,
    "GET /v1/vendor-calls": Scope.SCOPE_ACTIVITY_READ,
    "GET /v1/vendor-calls/{vendor_call_id}": Scope.SCOPE_ACTIVITY_READ,
    "GET /v1/workspace": None,
    "GET /v1/users": Scope.SCOPE_WORKSPACE_ADMIN,
    "POST /v1/users": Scope.SCOPE_WORKSPACE_ADMIN,
    "GET /v1/keys": Scope.SCOPE_WORKSPACE_ADMIN,
    "POST /v1/keys": Scope.SCOPE_WORKSPACE_ADMIN,
    "POST /v1/keys/{api_key_id}:revoke": Scope.SCOPE_WORKSPACE_ADMIN,
    "GET /v1/workspaces": Scope.SCOPE_OPERATOR,
    "POST /v1/workspaces": Scope.SCOPE_OPERATOR,
    "POST /v1/workspaces/{workspace_id}/keys": Scope.SCOPE_OPERATOR,
    "POST /v1/publish-epochs": Scope.SCOPE_OPERATOR,
}

# Visible ASCII; identity knows the exact form. The limit is that of AuthenticateApiKeyRequest.
_KEY_TEXT = re.compile(r"rr_[!-~]{1,197}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a key acts for, and what it may do."""

    workspace_id: str
    api_key_id: str
    scopes: frozenset[Scope.ValueType]

    def require(self, scope: Scope.ValueType | None) -> None:
        """Raises ScopeMissing unless the key has the scope."""
        if scope is not None and scope not in self.scopes:
            word = Scope.Name(scope).removeprefix("SCOPE_")
            raise ScopeMissing(f"This needs a key with the scope {word}.", metadata={"scope": word})


class Authenticator:
    """Asks identity whom a key acts for, and remembers good answers for at most `seconds`.

    Keys are remembered by their SHA-256, and only good ones: a new key works at once, and strangers fill no memory.
    When the memory is full, the key that was asked about longest ago is forgotten.
    """

    def __init__(
        self, clients: Clients, *, seconds: float, entries: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clients, self._seconds, self._entries, self._clock = clients, seconds, entries, clock
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def caller(self, authorization: Sequence[str]) -> Caller:
        """Whom the Authorization headers of a request stand for. Raises ApiKeyMissing or ApiKeyInvalid."""
        key_text = _key_text(authorization)
        digest = hashlib.sha256(key_text.encode()).digest()
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        caller = await self._ask(key_text)
        # Counted from before the question: what was revoked since is noticed in time.
        self._known[digest] = (now + self._seconds, caller)
        self._known.move_to_end(digest)
        while len(self._known) > self._entries:
            self._known.popitem(last=False)
        return caller

    async def _ask(self, key_text: str) -> Caller:
        try:
            answer = await self._clients.call(
                self._clients.identity.AuthenticateApiKey, identity_pb2.AuthenticateApiKeyRequest(key_text=key_text)
            )
        except Unauthenticated:
            raise _invalid() from None
        return Caller(answer.workspace_id, answer.api_key_id, frozenset(answer.scopes))


def _key_text(authorization: Sequence[str]) -> str:
    if not authorization:
        raise ApiKeyMissing("Send an API key in the header 'Authorization: Bearer rr_…'.")
    scheme, _, key_text = authorization[0].partition(" ")
    if len(authorization) > 1 or scheme.lower() != "bearer" or not _KEY_TEXT.fullmatch(key_text.strip(" ")):
        raise _invalid()
    return key_text.strip(" ")


def _invalid() -> ApiKeyInvalid:
    return ApiKeyInvalid(
        "The API key is malformed, unknown, revoked or expired. Send a good one as 'Authorization: Bearer rr_…'."
    )
