"""Shops and what may be done with them. Pure: the clock is an argument.

A seller consents, and the consent's tokens open one shop or several:

    (nothing) → CONNECTED → AUTHORIZATION_LOST     TikTok Shop's definite no; the seller connects again
                    ↑ └────→ DISCONNECTED          somebody wished it: the tokens are forgotten
                    └── either of them, by a new consent

A shop is in its consent's state. One that the consent no longer opens is DISCONNECTED.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from kit.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted, Unavailable

CONNECTION_LIFE = timedelta(minutes=10)
# What each part of the service needs of the seller.
SCOPES = {
    "seller.authorization.info": "the list of shops",
    "seller.product.basic": "products",
    "seller.order.info": "orders",
    "seller.fulfillment.basic": "telling tracking numbers",
    "seller.logistics": "carriers and warehouses",
    "data.shop_analytics.public.read": "numbers",
}
# An access token lasts for 7 days. One that ends sooner than this is renewed before it is used…
ACCESS_MARGIN = timedelta(hours=1)
# …and one that ends sooner than this is renewed by itself, so that a day without TikTok Shop's token host does no harm.
REFRESH_AHEAD = timedelta(days=2)
# The end of an authorisation is told so long ahead, as TikTok Shop's own notice.
END_NOTICE = timedelta(days=30)
_NAME_CHARACTERS = 100


class ShopState(enum.Enum):
    """Whether a shop can be called. The value is its text in the database."""

    CONNECTED = "CONNECTED"
    AUTHORIZATION_LOST = "AUTHORIZATION_LOST"
    DISCONNECTED = "DISCONNECTED"


@dataclass(frozen=True, slots=True)
class OpenedShop:
    """A shop as the seller's consent opens it."""

    platform_shop_id: str
    cipher: str = field(repr=False)
    name: str
    code: str
    region: str
    seller_type: str


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop of a workspace, with its seller."""

    shop_id: UUID
    workspace_id: UUID
    authorization_id: UUID
    platform_shop_id: str
    name: str
    code: str
    region: str
    seller_type: str
    seller_name: str
    state: ShopState
    problem: str
    scopes: tuple[str, ...]
    authorization_expire_time: datetime | None
    catalogue_time: datetime | None
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Authorization:
    """A seller's consent, without its tokens. `shop_names`: of the shops that it opens."""

    authorization_id: UUID
    workspace_id: UUID
    seller_name: str
    state: ShopState
    problem: str
    access_expire_time: datetime | None
    refresh_expire_time: datetime | None
    shop_names: tuple[str, ...]

    @property
    def label(self) -> str:
        """What people know it by."""
        return ", ".join(self.shop_names) or self.seller_name


class ShopNotFound(NotFound):
    """The workspace has no shop with that id."""


class ProductNotFound(NotFound):
    """The workspace has no product with that id."""


class ConnectionStateUnknown(InvalidArgument):
    """The state of a connection is unknown, used, or over ten minutes old."""


class TiktokShopNotConfigured(FailedPrecondition):
    """The installation has no app credentials for TikTok Shop."""


class ConnectionRefused(FailedPrecondition):
    """TikTok Shop, or what was consented to, does not make a connection; a new start is needed."""


class ShopBelongsToAnother(FailedPrecondition):
    """Another workspace has the shop. It is disconnected there first."""


class ShopNotConnected(FailedPrecondition):
    """The shop's tokens were forgotten. Connect it again."""


class ShopAuthorizationLost(FailedPrecondition):
    """TikTok Shop no longer accepts the shop's authorisation. Its seller connects it again."""


class ShopScopeMissing(FailedPrecondition):
    """The app or the consent lacks a scope. It is enabled in Partner Center, then the seller connects again."""


class ShopRequestRefused(FailedPrecondition):
    """TikTok Shop refuses the call for good, with a reason."""


class ShopCallsLimited(ResourceExhausted):
    """Too many calls for this shop in a short time."""


class ShopUnavailable(Unavailable):
    """TikTok Shop, or the shop's token, is not to be had now."""


class CatalogueBusy(Unavailable):
    """The shop's catalogue is being read by another process, and the caller's time ran out before it was done."""


def missing_scopes(scopes: Iterable[str]) -> str:
    """What a consent lacks and what to do about it, for people; empty when it lacks nothing."""
    lacking = [f"{scope} ({use})" for scope, use in SCOPES.items() if scope not in set(scopes)]
    if not lacking:
        return ""
    return (
        f"The consent lacks {', '.join(lacking)}. Enable it for the app in Partner Center, publish the app's change,"
        " and let the seller connect again."
    )


def shop_name(name: str, platform_shop_id: str) -> str:
    """A shop's name as it is kept."""
    return name.strip()[:_NAME_CHARACTERS] or platform_shop_id


def renew_time(access_expire_time: datetime, now: datetime) -> datetime:
    """When a token that was given now is renewed. No sooner than in the middle of its life: a short one would else be
    renewed all the time.
    """
    return access_expire_time - min(REFRESH_AHEAD, (access_expire_time - now) / 2)
