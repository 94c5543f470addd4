"""The whole product as real processes, in front of stand-ins: only addresses and the app's keys are configured."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.processes import free_port
from deploy.local.stack import start
from deploy.local.supervisor import Supervisor
from tests.e2e.conftest import LEASE_SECONDS, Product
from tests.services import starting
from tests.standin.shop import Owner, Shop
from tests.standin.tiktok import TikTok
from tests.standin.tiktok_posts import User

CALLBACK = "http://127.0.0.1:5000/callback"


@dataclass
class AtStandIn(Product):
    """A product whose TikTok and TikTok Shop are stand-ins."""

    tiktok: TikTok
    shop: Shop

    def connect(self, user: User) -> httpx.Response:
        """Through the consent page, as the owner's browser goes."""
        begun = self.api.post("/v1/connections", json={"platform": "TIKTOK", "redirect_uri": CALLBACK})
        code, state = self.tiktok.login.consent(begun.raise_for_status().json()["consent_url"], user.open_id)
        finished = self.api.post("/v1/connections:finish", json={"state": state, "code": code})
        if finished.is_success:
            self.accounts[user.handle] = finished.json()["account_id"]
        return finished

    def connect_creator(self, owner: Owner) -> httpx.Response:
        """A creator of TikTok Shop, the same way."""
        begun = self.api.post("/v1/connections", json={"platform": "TIKTOK_SHOP", "redirect_uri": CALLBACK})
        code, state = self.shop.consent(begun.raise_for_status().json()["consent_url"], owner)
        finished = self.api.post("/v1/connections:finish", json={"state": state, "code": code})
        if finished.is_success:
            self.accounts[owner.open_id] = finished.json()["account_id"]
        return finished

    def connect_seller(self, owner: Owner) -> Any:
        """A seller's shops, the same way."""
        begun = self.api.post("/v1/shop-connections", json={"seller_region": "US"}).raise_for_status()
        code, state = self.shop.consent(begun.json()["consent_url"], owner)
        finished = self.api.post("/v1/shop-connections:finish", json={"state": state, "code": code})
        return finished.raise_for_status().json()["shops"]

    def effects(self, post: Mapping[str, Any]) -> int:
        return len(self.tiktok.posts.published(post["caption"]))


@contextmanager
def product(tiktok: TikTok, shop: Shop) -> Iterator[AtStandIn]:
    """Everything but the sandbox, on a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="reelroute-standin-"))
    folder.chmod(0o711)
    told: list[str] = []
    try:
        with Supervisor(announce=told.append, stable_after=0) as supervisor:
            with starting():
                gateway = free_port()
                (folder / "ports.json").write_text(json.dumps({"gateway": gateway}))
                tiktok.verified = (f"http://127.0.0.1:{gateway}/",)
                environment = {
                    "REELROUTE_LEASE_SECONDS": str(LEASE_SECONDS),
                    "REELROUTE_OBSERVE_POLL_SECONDS": "0.2",
                    "REELROUTE_TIKTOK_CLIENT_KEY": tiktok.client_key,
                    "REELROUTE_TIKTOK_CLIENT_SECRET": tiktok.client_secret,
                    "REELROUTE_TIKTOK_BASE_URL": tiktok.url,
                    "REELROUTE_TIKTOK_AUTHORIZE_URL": f"{tiktok.url}/v2/auth/authorize/",
                    "REELROUTE_TIKTOK_MEDIA_URL_PREFIX": tiktok.verified[0],
                    "REELROUTE_TIKTOK_SHOP_APP_KEY": shop.app_key,
                    "REELROUTE_TIKTOK_SHOP_APP_SECRET": shop.app_secret,
                    "REELROUTE_TIKTOK_SHOP_SERVICE_ID": shop.service_id,
                    "REELROUTE_TIKTOK_SHOP_BASE_URL": shop.url,
                    "REELROUTE_TIKTOK_SHOP_TOKEN_URL": shop.url,
                    "REELROUTE_TIKTOK_SHOP_AUTHORIZE_URL": f"{shop.url}/open/authorize",
                    "REELROUTE_TIKTOK_SHOP_US_AUTHORIZE_URL": f"{shop.url}/open/authorize",
                    "REELROUTE_TIKTOK_SHOP_CREATOR_AUTHORIZE_URL": f"{shop.url}/alliance/creator/auth",
                }
                stack = start(supervisor, folder, told.append, {**os.environ, **environment})
            headers = {"Authorization": f"Bearer {stack.api_key_file.read_text().strip()}"}
            with (
                httpx.Client(base_url=stack.gateway_url, headers=headers, timeout=20, trust_env=False) as api,
                httpx.Client(base_url=tiktok.url, trust_env=False, verify=False) as platform,
            ):
                yield AtStandIn(stack, supervisor, api, platform, {}, tiktok, shop)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
