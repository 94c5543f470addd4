"""Merchants: connected Amazon sellers, each in one marketplace. Pure.

(nothing) → CONNECTED → AUTHORIZATION_LOST     Amazon's definite no; the seller authorises the app again
                ↑ └────→ DISCONNECTED          somebody wished it: the tokens are forgotten
                └── either of them, by a new refresh token
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.errors import NotFound


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
