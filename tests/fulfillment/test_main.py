"""The process itself: it reads catalogues and takes webhooks by itself, ends on SIGTERM, and logs no secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb
from reelroute.fulfillment.v1 import merchants_pb2
from reelroute.fulfillment.v1.fulfillment_pb2_grpc import FulfillmentServiceStub
from reelroute.fulfillment.v1.merchants_pb2_grpc import MerchantServiceStub

from deploy.local.processes import free_port
from kit import rpc
from kit.db import Database
from tests.fulfillment.stage import MASTER_KEY, WORKSPACE, TikTokShop
from tests.local.support import wait_until
from tests.services import SERVICE_TOKEN

ROOT = Path(__file__).resolve().parents[2]

Start = Callable[[str], tuple[subprocess.Popen[bytes], grpc.Channel, Path]]


@pytest.fixture
def start(database: Database, sandbox_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a replica by its name: the process, a channel to it, and the file of its log."""
    started: list[subprocess.Popen[bytes]] = []
    channels = []

    def begin(name: str) -> tuple[subprocess.Popen[bytes], grpc.Channel, Path]:
        listen, output = f"127.0.0.1:{free_port()}", tmp_path / name
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "REELROUTE_DATABASE_URL": database.url.set(drivername="postgresql").render_as_string(hide_password=False),
            "REELROUTE_SERVICE_TOKEN": SERVICE_TOKEN,
            "REELROUTE_MASTER_KEY": MASTER_KEY,
            "REELROUTE_LISTEN": listen,
            "REELROUTE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            "REELROUTE_ALLOW_UNSAFE_DATABASE": "true",
            "REELROUTE_LOG_LEVEL": "DEBUG",
            "REELROUTE_TIKTOK_SHOP_BASE_URL": sandbox_url,
            "REELROUTE_TIKTOK_SHOP_TOKEN_URL": sandbox_url,
            "REELROUTE_TIKTOK_SHOP_US_AUTHORIZE_URL": f"{sandbox_url}/open/authorize",
            "REELROUTE_TIKTOK_SHOP_APP_KEY": "sandbox-app-key",
            "REELROUTE_TIKTOK_SHOP_APP_SECRET": "sandbox-app-secret",
            "REELROUTE_TIKTOK_SHOP_SERVICE_ID": "sandbox-service-id",
            **{f"REELROUTE_AMAZON_SP_{name}_URL": sandbox_url for name in ("LWA", "NA", "EU", "FE")},
            "REELROUTE_AMAZON_SP_CLIENT_ID": "amzn1.application-oa2-client.sandbox",
            "REELROUTE_AMAZON_SP_CLIENT_SECRET": "amzn1.oa2-cs.v1.sandbox",
        }
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.fulfillment"],
                env=environment,
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        channels.append(rpc.channel(listen, SERVICE_TOKEN))
        return process, channels[-1], output

    yield begin
    for channel in channels:
        channel.close()
    for process in started:
        process.kill()
        process.wait()


def connect(stub: FulfillmentServiceStub, shop: TikTokShop) -> pb.Shop:
    request = pb.StartShopConnectionRequest(workspace_id=str(WORKSPACE), seller_region=pb.SELLER_REGION_US)
    begun = stub.StartShopConnection(request, timeout=30, wait_for_ready=True)
    code = shop.consent(begun.consent_url)["code"]
    finish = pb.FinishShopConnectionRequest(workspace_id=str(WORKSPACE), state=begun.state, code=code)
    return stub.FinishShopConnection(finish, timeout=30).shops[0]


def products(stub: FulfillmentServiceStub) -> list[pb.Product]:
    return list(stub.ListProducts(pb.ListProductsRequest(workspace_id=str(WORKSPACE)), timeout=10).products)


def test_a_process_reads_the_catalogue_takes_a_webhook_ends_on_sigterm_and_logs_no_secret(
    start: Start, tiktok_shop: TikTokShop
) -> None:
    process, channel, output = start("one")
    stub = FulfillmentServiceStub(channel)
    shop = connect(stub, tiktok_shop)
    refresh_token = "Atzr|sandbox-emberfold"
    MerchantServiceStub(channel).ConnectMerchant(
        merchants_pb2.ConnectMerchantRequest(
            workspace_id=str(WORKSPACE), name="Emberfold", seller_id="A2EMBERFOLD", marketplace="US",
            refresh_token=refresh_token,
        ),
        timeout=30,
    )  # fmt: skip
    wait_until(lambda: bool(products(stub)) and all(each.description for each in products(stub)), "the catalogue")
    product = products(stub)[0]
    tiktok_shop.control("PATCH", f"/tiktok_shop/products/{product.platform_product_id}", title="Renamed")
    event = {
        "type": 15,
        "tts_notification_id": "1",
        "shop_id": shop.platform_shop_id,
        "timestamp": int(time.time()),
        "data": {"product_id": product.platform_product_id},
    }
    body = json.dumps(event).encode()
    signature = hmac.new(b"sandbox-app-secret", b"sandbox-app-key" + body, hashlib.sha256).hexdigest()
    stub.ReceiveShopWebhook(pb.ReceiveShopWebhookRequest(body=body, signature=signature), timeout=10)
    wait_until(lambda: "Renamed" in [each.title for each in products(stub)], "the product that the webhook hints at")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    text = output.read_text()
    assert json.loads(text.splitlines()[-1])["event"] == "stopped"
    assert "vendor_call" in text
    cipher = next(
        each["cipher"]
        for seller in tiktok_shop.control("GET", "/tiktok_shop/sellers")
        for each in seller["shops"]
        if each["id"] == shop.platform_shop_id
    )
    for secret in (
        cipher,
        "sandbox-app-secret",
        refresh_token,
        "Atza|",
        "amzn1.oa2-cs.v1",
        MASTER_KEY,
        "auth_code",
        "refresh_token=",
    ):
        assert secret not in text
