"""Connecting a seller's shops: what is asked of TikTok Shop between the consent page and the stored shops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kit.custody import TokenPair
from kit.errors import ReelrouteError
from kit.vendor_errors import VendorError, VendorRateLimited, VendorUnavailable, VendorUncertain
from services.fulfillment.domain import ConnectionRefused, OpenedShop, ShopUnavailable
from services.fulfillment.tokens import pair_of
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.oauth import UserType
from vendors.tiktok_shop.shops import Shop


@dataclass(frozen=True, slots=True)
class Consent:
    """A seller who has consented, and the shops that this opens."""

    seller_open_id: str
    seller_name: str
    seller_region: str
    scopes: tuple[str, ...]
    tokens: TokenPair = field(repr=False)
    shops: Sequence[OpenedShop]


_KINDS = {UserType.CREATOR: "a creator's", UserType.PARTNER: "a partner's"}


async def connect(client: TikTokShopClient, code: str) -> Consent:
    """Exchanges a code and reads whose shops it opens.

    Raises ConnectionRefused when TikTok Shop says no, or it was no seller who consented; ShopUnavailable when TikTok
    Shop does not answer (the code is then spent).
    """
    try:
        grant = await client.tokens.get(code)
        if grant.user_type is not UserType.SELLER:
            whose = _KINDS.get(grant.user_type, "another kind of user's")
            raise ConnectionRefused(
                f"This is {whose} consent, not a seller's. Open the link again, signed in as the main account of the"
                " seller.",
                metadata={"user_type": grant.user_type.name},
            )
        found = await client.shops.authorized(Access(grant.access_token, grant.open_id))
    except VendorError as error:
        raise _refusal(error) from None
    if not found:
        raise ConnectionRefused(
            "The consent opens no shop. Open the link again, signed in as the main account of a seller with a shop."
        )
    return Consent(
        grant.open_id, grant.seller_name, grant.seller_region, grant.scopes, pair_of(grant), opened_shops(found)
    )


def opened_shops(found: Sequence[Shop]) -> list[OpenedShop]:
    """Shops as the domain knows them, each once."""
    shops = {
        shop.id: OpenedShop(shop.id, shop.cipher, shop.name, shop.code, shop.region, shop.seller_type) for shop in found
    }
    return list(shops.values())


def _refusal(error: VendorError) -> ReelrouteError:
    metadata = {"code": error.code, "log_id": error.log_id or ""}
    if isinstance(error, VendorUnavailable | VendorUncertain | VendorRateLimited):
        return ShopUnavailable(
            f"TikTok Shop did not answer as needed: {error.message} Start the connection again.", (), metadata
        )
    return ConnectionRefused(
        f"TikTok Shop refused the connection: {error.message} {error.advice}".strip(), (), metadata
    )
