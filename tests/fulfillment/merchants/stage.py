"""A replica of what fulfillment has for merchants, on the sandbox's Amazon."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr
from reelroute.fulfillment.v1 import merchants_pb2 as pb
from reelroute.fulfillment.v1.merchants_pb2_grpc import MerchantServiceStub, add_MerchantServiceServicer_to_server
from reelroute.notification.v1 import notification_pb2
from sqlalchemy import text

from kit.db import ALL_WORKSPACES, Database
from kit.shared_rate_limit import SharedRateLimiter
from kit.vault import Vault
from kit.vendor_calls import Recorder
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.merchants.domain import Merchant
from services.fulfillment.merchants.merchants_api import MerchantApi
from tests.fulfillment.stage import WORKSPACE, a_vault
from tests.services import served
from vendors.amazon_sp.client import AmazonSpClient
from vendors.amazon_sp.config import AmazonSpConfig

SELLER_ID, REFRESH = "A2EMBERFOLD", "Atzr|sandbox-emberfold"


def an_amazon_config(url: str, **changes: Any) -> AmazonSpConfig:
    """Amazon where the sandbox is."""
    settings: dict[str, Any] = {
        **dict.fromkeys(("lwa_url", "na_url", "eu_url", "fe_url"), url),
        "client_id": "amzn1.application-oa2-client.sandbox",
        "client_secret": SecretStr("amzn1.oa2-cs.v1.sandbox"),
        "max_tries": 1,
    }
    return AmazonSpConfig(**(settings | changes))


@dataclass
class AmazonSandbox:
    """The sandbox's controls."""

    http: httpx.Client

    def control(self, method: str, path: str, **body: Any) -> Any:
        response = self.http.request(method, f"/control{path}", json=body if method != "GET" else None)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def settings(self, **changes: Any) -> None:
        self.control("PATCH", "/amazon_sp/settings", **changes)

    def fault(self, endpoint: str, mode: str, **more: Any) -> None:
        self.control("POST", "/faults", endpoint=f"amazon_sp.{endpoint}", mode=mode, **more)

    def calls(self, endpoint: str) -> int:
        """How many calls of a kind there were."""
        entries = self.control("GET", "/calls?limit=10000")
        return sum(entry["endpoint"] == f"amazon_sp.{endpoint}" for entry in entries)


@dataclass
class MerchantStage:
    """A replica."""

    database: Database
    vault: Vault
    calls: AmazonCalls
    recorder: Recorder
    stub: MerchantServiceStub
    amazon: AmazonSandbox

    def connect(self, workspace_id: UUID = WORKSPACE, **changes: str) -> pb.Merchant:
        fields = {"name": "Emberfold", "seller_id": SELLER_ID, "marketplace": "US", "refresh_token": REFRESH}
        request = pb.ConnectMerchantRequest(workspace_id=str(workspace_id), **(fields | changes))
        return self.stub.ConnectMerchant(request, timeout=30).merchant

    def get(self, merchant: pb.Merchant, workspace_id: UUID = WORKSPACE) -> pb.Merchant:
        request = pb.GetMerchantRequest(workspace_id=str(workspace_id), merchant_id=merchant.merchant_id)
        return self.stub.GetMerchant(request, timeout=10).merchant

    def merchants(self, workspace_id: UUID = WORKSPACE) -> list[pb.Merchant]:
        request = pb.ListMerchantsRequest(workspace_id=str(workspace_id))
        return list(self.stub.ListMerchants(request, timeout=10).merchants)

    def disconnect(self, merchant: pb.Merchant) -> pb.Merchant:
        request = pb.DisconnectMerchantRequest(workspace_id=str(WORKSPACE), merchant_id=merchant.merchant_id)
        return self.stub.DisconnectMerchant(request, timeout=10).merchant

    def known(self, merchant: pb.Merchant) -> Merchant:
        """The merchant as the rest of the service reads it."""
        with self.database.transaction(WORKSPACE) as tx:
            return merchant_store.read_merchant(tx, WORKSPACE, UUID(merchant.merchant_id))

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
def staged_merchants(
    database: Database, amazon: AmazonSandbox, config: AmazonSpConfig | None = None
) -> Iterator[MerchantStage]:
    """One replica on a database that others may have, too."""
    vault, recorder = a_vault(), Recorder(database, 14)
    settings = config or an_amazon_config(str(amazon.http.base_url).rstrip("/"))
    limiter = SharedRateLimiter(database, "amazon_sp", settings.limits())
    calls = AmazonCalls(database, vault, AmazonSpClient(settings, on_call=recorder.on_call, limiter=limiter))
    calls.start()
    try:
        with served((add_MerchantServiceServicer_to_server, MerchantApi(database, vault, calls))) as channel:
            yield MerchantStage(database, vault, calls, recorder, MerchantServiceStub(channel), amazon)
    finally:
        assert calls.stop(10)
