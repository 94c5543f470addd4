"""Webhooks of TikTok Shop: taken once, believed never, worked on by reading."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import grpc
import pytest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from tests.fulfillment.stage import TWO_SHOPS, WORKSPACE, Stage
from tests.fulfillment.test_catalogue import listed
from tests.fulfillment.test_connecting import refused

SLEEVES = "1729579864326162243"


@pytest.fixture
def shop(stage: Stage) -> pb.Shop:
    return stage.connect()[0]


def an_event(kind: int, shop: pb.Shop | None, data: dict[str, Any], **changes: Any) -> bytes:
    owner = {"shop_id": shop.platform_shop_id} if shop else {}
    event = {"type": kind, "tts_notification_id": "7380066284010030890", **owner, "timestamp": int(time.time())}
    return json.dumps(event | {"data": data} | changes).encode()


def send(stage: Stage, body: bytes, signature: str | None = None) -> None:
    """As TikTok Shop would."""
    if signature is None:
        signature = hmac.new(b"sandbox-app-secret", b"sandbox-app-key" + body, hashlib.sha256).hexdigest()
    stage.stub.ReceiveShopWebhook(pb.ReceiveShopWebhookRequest(body=body, signature=signature), timeout=10)


def work(stage: Stage) -> None:
    while stage.hints.run_once():
        pass


def test_a_hint_about_a_product_reads_that_product_alone(stage: Stage, shop: pb.Shop) -> None:
    send(stage, an_event(5, shop, {"product_id": int(SLEEVES), "status": "FREEZE"}))
    work(stage)
    (product,) = listed(stage)
    # What it is, is what TikTok Shop answers and not what the webhook says.
    assert (product.platform_product_id, product.status) == (SLEEVES, "ACTIVATE")
    assert product.description
    assert (stage.shop.calls("product_get"), stage.shop.calls("product_search")) == (1, 0)


def test_a_product_that_a_hint_finds_gone_is_deleted(stage: Stage, shop: pb.Shop) -> None:
    stage.catalogue.run_once()
    stage.rows(
        "UPDATE products SET platform_product_id = '1729000000000000001' WHERE platform_product_id = :id", id=SLEEVES
    )
    send(stage, an_event(15, shop, {"product_id": "1729000000000000001"}))
    work(stage)
    assert [product.platform_product_id for product in listed(stage, status="DELETED")] == ["1729000000000000001"]


def test_a_replayed_webhook_does_nothing(stage: Stage, shop: pb.Shop) -> None:
    body = an_event(16, shop, {"product_id": SLEEVES})
    for _ in range(3):
        send(stage, body)
        work(stage)
    assert stage.shop.calls("product_get") == 1
    assert len(stage.rows("SELECT 1 FROM webhook_events")) == 1


def test_a_forged_stale_or_unreadable_webhook_is_refused_and_nothing_is_kept(stage: Stage, shop: pb.Shop) -> None:
    body = an_event(5, shop, {"product_id": SLEEVES})
    forged = (grpc.StatusCode.UNAUTHENTICATED, "WEBHOOK_FORGED")
    assert refused(lambda: send(stage, body, "0" * 64))[:2] == forged
    assert refused(lambda: send(stage, body, ""))[:2] == forged
    whose = hmac.new(b"sandbox-app-secret", b"sandbox-app-key" + body, hashlib.sha256).hexdigest()
    assert refused(lambda: send(stage, body.replace(b"1729", b"1728"), whose))[:2] == forged
    stale = (grpc.StatusCode.UNAUTHENTICATED, "WEBHOOK_STALE")
    for off in (-3 * 86_400, 3_600):
        late = an_event(5, shop, {"product_id": SLEEVES}, timestamp=int(time.time()) + off)
        assert refused(lambda body=late: send(stage, body))[:2] == stale  # type: ignore[misc]
    unreadable = (grpc.StatusCode.INVALID_ARGUMENT, "WEBHOOK_UNREADABLE")
    for broken in (b"[]", b"{", b'{"type": 5}', an_event(5, shop, {}, timestamp=0)):
        assert refused(lambda body=broken: send(stage, body))[:2] == unreadable  # type: ignore[misc]
    assert stage.rows("SELECT 1 FROM webhook_events") == []


def test_unknown_kinds_and_unknown_shops_are_answered_and_change_nothing(stage: Stage, shop: pb.Shop) -> None:
    send(stage, an_event(9_999, shop, {"news": 1}))
    send(stage, an_event(1, shop, {"order_id": "1"}, tts_notification_id="2"))
    send(stage, an_event(5, None, {"product_id": SLEEVES}, shop_id="7000000000000000000", tts_notification_id="3"))
    work(stage)
    kept = stage.rows("SELECT type FROM webhook_events ORDER BY notification_id")
    assert sorted(row["type"] for row in kept) == [1, 9_999]
    assert stage.shop.calls("product_get") == 0


def test_a_seller_who_removed_the_app_is_believed_only_when_the_token_is_refused(stage: Stage, shop: pb.Shop) -> None:
    send(stage, an_event(6, shop, {}))
    work(stage)
    assert stage.get(shop).state == pb.SHOP_STATE_CONNECTED
    stage.shop.withdraw()
    send(stage, an_event(6, shop, {}, tts_notification_id="2"))
    work(stage)
    assert stage.get(shop).state == pb.SHOP_STATE_AUTHORIZATION_LOST
    assert [told.type for told in stage.told()] == ["shop.connected", "shop.authorization_lost"]


def test_a_seller_s_own_id_means_all_shops_of_the_consent(stage: Stage) -> None:
    shops = stage.connect(TWO_SHOPS)
    (row,) = stage.rows("SELECT seller_open_id FROM authorizations")
    stage.shop.withdraw(TWO_SHOPS)
    send(stage, an_event(6, None, {}, seller_open_id=row["seller_open_id"]))
    work(stage)
    assert {stage.get(shop).state for shop in shops} == {pb.SHOP_STATE_AUTHORIZATION_LOST}


def test_the_announced_end_of_an_authorisation_is_told_once(stage: Stage, shop: pb.Shop) -> None:
    for number in "12":
        send(stage, an_event(7, shop, {"message": "soon", "expiration_time": 1}, tts_notification_id=number))
    _, told = stage.told()
    assert told.type == "shop.authorization_ending"
    end = stage.get(shop).authorization_expire_time.ToDatetime()
    assert f"{end:%Y-%m-%d}" in told.summary


def test_work_that_fails_is_done_later_and_given_up_at_last(stage: Stage, shop: pb.Shop) -> None:
    stage.shop.fault("product_get", "error", code="36009003", count=0)
    send(stage, an_event(5, shop, {"product_id": SLEEVES}))
    work(stage)
    (row,) = stage.rows("SELECT next_time > now() AS is_later, attempts FROM webhook_events")
    assert row == {"is_later": True, "attempts": 1}
    stage.rows("UPDATE webhook_events SET next_time = now(), attempts = 5")
    work(stage)
    (row,) = stage.rows("SELECT next_time FROM webhook_events")
    assert row["next_time"] is None
    stage.shop.control("DELETE", "/faults")
    assert stage.catalogue.run_once()
    assert SLEEVES in {product.platform_product_id for product in listed(stage)}


def test_webhooks_are_forgotten_when_none_of_them_can_come_again(stage: Stage, shop: pb.Shop) -> None:
    send(stage, an_event(1, shop, {"order_id": "1"}))
    stage.hints.forget()
    assert len(stage.rows("SELECT 1 FROM webhook_events")) == 1
    stage.rows("UPDATE webhook_events SET receive_time = now() - interval '4 days'")
    stage.hints.forget()
    assert stage.rows("SELECT 1 FROM webhook_events") == []
    assert stage.stub.ListShops(pb.ListShopsRequest(workspace_id=str(WORKSPACE)), timeout=10).shops
