"""Fulfillment in front of a strict stand-in of TikTok Shop, with the means of tests.fulfillment.stage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from kit.db import Database
from tests.fulfillment.stage import Stage, TikTokShop
from tests.fulfillment.stage import staged as fulfillment
from tests.standin.shop import Owner, Shop
from vendors.tiktok_shop.config import TikTokShopConfig

__all__ = ["Stage", "config_of", "staged"]


@dataclass
class AtShop(TikTokShop):
    """Stands where the stage expects the sandbox's controls."""

    standin: Shop

    def consent(self, consent_url: str, seller: str = "") -> dict[str, str]:
        """The last seller of the stand-in agrees, or the one that is named."""
        owner: Owner = self.standin.owners[seller or max(self.standin.owners)]
        code, state = self.standin.consent(consent_url, owner)
        return {"code": code, "state": state}


def config_of(shop: Shop, **changes: Any) -> TikTokShopConfig:
    """As an operator would configure it: the addresses, the app, and nothing else."""
    values: dict[str, Any] = {
        "base_url": shop.url, "token_url": shop.url, "authorize_url": f"{shop.url}/open/authorize",
        "us_authorize_url": f"{shop.url}/open/authorize", "creator_authorize_url": f"{shop.url}/alliance/creator/auth",
        "app_key": shop.app_key, "app_secret": SecretStr(shop.app_secret), "service_id": shop.service_id,
    } | changes  # fmt: skip
    return TikTokShopConfig(**values)


@contextlib.contextmanager
def staged(database: Database, shop: Shop) -> Iterator[Stage]:
    """One replica of fulfillment."""
    with (
        httpx.Client(base_url=shop.url, trust_env=False, verify=False) as http,
        fulfillment(database, AtShop(http, shop), config_of(shop)) as stage,
    ):
        yield stage
