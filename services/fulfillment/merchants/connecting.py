"""Connecting an Amazon seller: its refresh token is tried before it is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from kit.custody import TokenPair
from kit.errors import ReelrouteError
from kit.vendor_errors import VendorAccountProblem, VendorError
from services.fulfillment.merchants.domain import MerchantAuthorizationLost
from services.fulfillment.merchants.tokens import pair_of
from vendors.amazon_sp.calls import Access
from vendors.amazon_sp.client import AmazonSpClient
from vendors.amazon_sp.marketplaces import Marketplace

# Nobody has it: the question is whether it may be asked.
_NO_SKU = "reelroute-connection-check"


async def connect(
    client: AmazonSpClient,
    seller_id: str,
    marketplace: Marketplace,
    refresh_token: str,
    refusal_of: Callable[[VendorError], ReelrouteError],
) -> TokenPair:
    """Gets an access token, and asks with it what orders and stock need: whether they may be read, in this marketplace.

    Raises MerchantAuthorizationLost when Amazon does not take the token, or it does not open that, and as `refusal_of`.
    """
    try:
        pair = pair_of(await client.lwa.refresh(refresh_token), refresh_token)
        amazon = client.of(Access(pair.access_token, seller_id, marketplace.region))
        await amazon.outbound.changed(datetime.now(UTC))
        await amazon.inventory.of(marketplace.id, [_NO_SKU])
    except VendorAccountProblem as problem:
        raise MerchantAuthorizationLost(
            f"{problem.message} {problem.advice} Then connect the merchant with the refresh token that is shown there.",
            metadata={"code": problem.code, "log_id": problem.log_id or ""},
        ) from None
    except VendorError as error:
        raise refusal_of(error) from None
    return pair
