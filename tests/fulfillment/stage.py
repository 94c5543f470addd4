"""A stage for fulfillment: the sandbox's TikTok Shop, the service on a real port, and a second replica of it."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
from pydantic import SecretStr
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb
from reelroute.fulfillment.v1.fulfillment_pb2_grpc import (
    FulfillmentServiceStub,
    add_FulfillmentServiceServicer_to_server,
)
from reelroute.notification.v1 import notification_pb2
from sqlalchemy import text

from kit.db import ALL_WORKSPACES, Database
from kit.key_ring import KeyRing
from kit.vault import Vault
from kit.vendor_calls import Recorder
from services.fulfillment.api import FulfillmentApi
from services.fulfillment.calling import ShopCalls
from services.fulfillment.catalogue import Catalogue
from services.fulfillment.tables import data_keys
from services.fulfillment.webhooks import Webhooks
from tests.services import served
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.config import TikTokShopConfig

Found = TypeVar("Found")

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
CALLBACK = "https://brand.example/tiktok-shop/callback"
WORKSPACE, OTHER = UUID(int=1), UUID(int=2)
SELLER, TWO_SHOPS = "emberfold", "emberfold-trading"


def until(find: Callable[[], Found | None], seconds: float = 20) -> Found:
    """Polls for what `find` finds."""
    pause, limit = threading.Event(), time.monotonic() + seconds
    while True:
        found = find()
        if found is not None:
            return found
        assert time.monotonic() < limit
        pause.wait(0.01)


def a_vault() -> Vault:
    return Vault(KeyRing(MASTER_KEY), data_keys)


def a_config(url: str, **changes: Any) -> TikTokShopConfig:
    """TikTok Shop where the sandbox, or another stand-in, is."""
    settings: dict[str, Any] = {
        "base_url": url,
        "token_url": url,
        "authorize_url": f"{url}/open/authorize",
        "us_authorize_url": f"{url}/open/authorize",
        "app_key": "sandbox-app-key",
        "app_secret": SecretStr("sandbox-app-secret"),
        "service_id": "sandbox-service-id",
        "analytics_interval_seconds": 0.01,
    }
    return TikTokShopConfig(**(settings | changes))


@dataclass
class TikTokShop:
    """The sandbox's controls."""

    http: httpx.Client

    def control(self, method: str, path: str, **body: Any) -> Any:
        response = self.http.request(method, f"/control{path}", json=body if method != "GET" else None)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def reset(self) -> None:
        self.control("POST", "/reset")
        self.settings(redirect_url=CALLBACK)

    def settings(self, **changes: Any) -> None:
        self.control("PATCH", "/tiktok_shop/settings", **changes)

    def fault(self, endpoint: str, mode: str, **more: Any) -> None:
        self.control("POST", "/faults", endpoint=f"tiktok_shop.{endpoint}", mode=mode, **more)

    def consent(self, consent_url: str, seller: str = SELLER) -> dict[str, str]:
        """What comes back to the callback when a seller agrees."""
        answer = self.control("POST", "/tiktok_shop/consents", authorize_url=consent_url, subject=seller)
        return {name: values[0] for name, values in parse_qs(urlsplit(answer["redirect_url"]).query).items()}

    def withdraw(self, seller: str = SELLER) -> None:
        self.control("POST", f"/tiktok_shop/sellers/{seller}/deauthorize")

    def expire(self, seller: str = SELLER, *, refresh_too: bool = False) -> None:
        self.control("POST", f"/tiktok_shop/sellers/{seller}/expire-tokens", refresh_too=refresh_too)

    def calls(self, endpoint: str) -> int:
        """How many calls of a kind there were."""
        entries = self.control("GET", "/calls?limit=10000")
        return sum(entry["endpoint"] == f"tiktok_shop.{endpoint}" for entry in entries)


@dataclass
class Stage:
    """A replica of fulfillment."""

    database: Database
    vault: Vault
    calls: ShopCalls
    catalogue: Catalogue
    hints: Webhooks
    recorder: Recorder
    stub: FulfillmentServiceStub
    shop: TikTokShop

    def start(self, workspace_id: UUID = WORKSPACE) -> pb.StartShopConnectionResponse:
        request = pb.StartShopConnectionRequest(workspace_id=str(workspace_id), seller_region=pb.SELLER_REGION_US)
        return self.stub.StartShopConnection(request, timeout=10)

    def finish(self, state: str, code: str, workspace_id: UUID = WORKSPACE) -> list[pb.Shop]:
        request = pb.FinishShopConnectionRequest(workspace_id=str(workspace_id), state=state, code=code)
        return list(self.stub.FinishShopConnection(request, timeout=30).shops)

    def connect(self, seller: str = SELLER, workspace_id: UUID = WORKSPACE) -> list[pb.Shop]:
        """From the consent page to the shops."""
        begun = self.start(workspace_id)
        back = self.shop.consent(begun.consent_url, seller)
        return self.finish(back["state"], back["code"], workspace_id)

    def get(self, shop: pb.Shop, workspace_id: UUID = WORKSPACE) -> pb.Shop:
        request = pb.GetShopRequest(workspace_id=str(workspace_id), shop_id=shop.shop_id)
        return self.stub.GetShop(request, timeout=10).shop

    def told(self) -> list[notification_pb2.RecordActivityRequest]:
        """The activities in the outbox, in their order."""
        return [
            notification_pb2.RecordActivityRequest.FromString(bytes(row["request"]))
            for row in self.rows("SELECT request FROM outbox ORDER BY position")
        ]

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """What a statement finds, in all workspaces."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            result = tx.execute(text(statement), values)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []


@contextlib.contextmanager
def staged(database: Database, shop: TikTokShop, config: TikTokShopConfig | None = None) -> Iterator[Stage]:
    """One replica on a database that others may have, too."""
    vault = a_vault()
    recorder = Recorder(database, 14)
    settings = config or a_config(str(shop.http.base_url).rstrip("/"))
    calls = ShopCalls(database, vault, TikTokShopClient(settings, on_call=recorder.on_call))
    calls.start()
    try:
        catalogue = Catalogue(database, calls, every_seconds=600, whole_seconds=86_400)
        hints = Webhooks(database, vault, calls, catalogue)
        api = FulfillmentApi(database, vault, calls, catalogue)
        with served((add_FulfillmentServiceServicer_to_server, api)) as channel:
            yield Stage(database, vault, calls, catalogue, hints, recorder, FulfillmentServiceStub(channel), shop)
    finally:
        assert calls.stop(10)
