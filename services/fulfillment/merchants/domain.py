"""Merchants: connected Amazon sellers, each in one marketplace. Pure.

(nothing) → CONNECTED → AUTHORIZATION_LOST     Amazon's definite no; the seller authorises the app again
                ↑ └────→ DISCONNECTED          somebody wished it: the tokens are forgotten
                └── either of them, by a new refresh token
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from kit.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted, Unavailable

# An access token lasts for an hour. One that ends sooner than this is renewed before it is used…
ACCESS_MARGIN = timedelta(minutes=1)
# …and one that ends sooner than this is renewed beside the calls that use it.
REFRESH_AHEAD = timedelta(minutes=10)


class MerchantState(enum.Enum):
    """Whether a merchant can be called. The value is its text in the database."""

    CONNECTED = "CONNECTED"
    AUTHORIZATION_LOST = "AUTHORIZATION_LOST"
    DISCONNECTED = "DISCONNECTED"


@dataclass(frozen=True, slots=True)
class Merchant:
    """A row of merchants, without its tokens."""

    merchant_id: UUID
    workspace_id: UUID
    name: str
    # Amazon's merchant token.
    seller_id: str
    # "US"
    marketplace: str
    state: MerchantState
    problem: str
    stock_time: datetime | None
    create_time: datetime
    update_time: datetime


class MerchantNotFound(NotFound):
    """The workspace has no merchant with that id."""


class MarketplaceUnknown(InvalidArgument):
    """Amazon has no marketplace in that country, or we do not know it."""


class AmazonNotConfigured(FailedPrecondition):
    """The installation has no app credentials for Amazon."""


class MerchantBelongsToAnother(FailedPrecondition):
    """Another workspace has the merchant. It is disconnected there first."""


class MerchantNotConnected(FailedPrecondition):
    """The merchant's tokens were forgotten. Connect it again."""


class MerchantAuthorizationLost(FailedPrecondition):
    """Amazon does not accept the merchant's authorisation. The seller authorises the app again."""


class AmazonRequestRefused(FailedPrecondition):
    """Amazon refuses the call for good, with a reason."""


class AmazonCallsLimited(ResourceExhausted):
    """Too many calls for this seller in a short time."""


class AmazonUnavailable(Unavailable):
    """Amazon, or the merchant's token, is not to be had now. Nothing was created."""


class AmazonAnswerLost(Unavailable):
    """No usable answer came to a call that creates an order: it may be there. Only reading it tells."""


def check_connected(merchant: Merchant) -> None:
    """Raises MerchantNotConnected or MerchantAuthorizationLost unless the merchant can be called."""
    metadata = {"merchant_id": str(merchant.merchant_id)}
    match merchant.state:
        case MerchantState.DISCONNECTED:
            raise MerchantNotConnected(merchant.problem, metadata=metadata)
        case MerchantState.AUTHORIZATION_LOST:
            raise MerchantAuthorizationLost(merchant.problem, metadata=metadata)
