"""Calls to Amazon: one refresh for all replicas, lost only by Amazon's definite no, refusals by their kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from reelroute.fulfillment.v1 import merchants_pb2 as pb

from kit.db import Database
from kit.errors import ReelrouteError
from kit.vendor_errors import VendorNotFound
from services.fulfillment.merchants.domain import (
    AmazonAnswerLost,
    AmazonCallsLimited,
    AmazonRequestRefused,
    AmazonUnavailable,
    MerchantAuthorizationLost,
    MerchantNotConnected,
)
from tests.fulfillment.merchants.stage import AmazonSandbox, MerchantStage, an_amazon_config, staged_merchants
from tests.fulfillment.stage import until
from tests.vendors.amazon_sp.conftest import an_order
from vendors.amazon_sp.outbound import Item, NewOrder, OrderStatus

SKU = "EF-CTR-SPN-10"


@pytest.fixture
def merchant(stage: MerchantStage) -> pb.Merchant:
    return stage.connect()


def list_orders(stage: MerchantStage, merchant: pb.Merchant) -> int:
    """A call in the merchant's name."""
    known = stage.known(merchant)
    return len(stage.calls.ask(known, lambda amazon: amazon.outbound.changed(datetime.now(UTC))).orders)


def order(order_id: str) -> NewOrder:
    return an_order(order_id, items=(Item("line-1", SKU, 1),))


def ends_in(stage: MerchantStage, **time: float) -> None:
    """The access token as we know it ends soon."""
    stage.rows("UPDATE merchants SET access_expire_time = :end", end=datetime.now(UTC) + timedelta(**time))


def refused(kind: type[ReelrouteError], call: Callable[[], object]) -> ReelrouteError:
    with pytest.raises(kind) as refusal:
        call()
    assert type(refusal.value) is kind
    return refusal.value


def test_twenty_callers_of_two_replicas_on_an_expired_token_cause_one_refresh(
    stage: MerchantStage, other: MerchantStage, merchant: pb.Merchant
) -> None:
    before = stage.amazon.calls("token")
    ends_in(stage, seconds=-1)
    begin = threading.Barrier(20)

    def call(number: int) -> int:
        begin.wait()
        return list_orders(stage if number % 2 else other, merchant)

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(call, range(20))) == [0] * 20
    assert stage.amazon.calls("token") == before + 1


def test_a_token_that_amazon_refuses_before_its_end_is_replaced(stage: MerchantStage, merchant: pb.Merchant) -> None:
    before = stage.amazon.calls("token")
    stage.amazon.control("POST", "/amazon_sp/sellers/emberfold/expire-tokens")
    assert list_orders(stage, merchant) == 0
    assert stage.amazon.calls("token") == before + 1


def test_an_authorisation_that_was_revoked_is_lost_told_once_and_found_again_by_connecting(
    stage: MerchantStage, other: MerchantStage, merchant: pb.Merchant
) -> None:
    stage.amazon.control("POST", "/amazon_sp/sellers/emberfold/revoke")
    for replica in (stage, other, stage):
        lost = refused(MerchantAuthorizationLost, partial(list_orders, replica, merchant))
        assert "Seller Central" in lost.message or "Connect" in lost.message
    shown = stage.get(merchant)
    assert shown.state == pb.MERCHANT_STATE_AUTHORIZATION_LOST
    assert shown.problem
    assert [told.type for told in stage.told()] == ["merchant.connected", "merchant.authorization_lost"]
    stage.amazon.control("POST", "/amazon_sp/sellers/emberfold/grant")
    assert stage.connect().merchant_id == merchant.merchant_id
    assert list_orders(other, merchant) == 0


def test_a_denial_of_orders_to_a_fresh_token_loses_the_authorisation_and_of_stock_does_not(
    stage: MerchantStage, merchant: pb.Merchant
) -> None:
    known = stage.known(merchant)
    stage.amazon.settings(denied_operations=["getInventorySummaries", "createFulfillmentOrder"])
    refused(
        AmazonRequestRefused,
        lambda: stage.calls.ask(known, lambda amazon: amazon.inventory.of("ATVPDKIKX0DER", [SKU])),
    )
    assert stage.get(merchant).state == pb.MERCHANT_STATE_CONNECTED
    refused(
        MerchantAuthorizationLost,
        lambda: stage.calls.ask(known, lambda amazon: amazon.outbound.create(order("TTS-1"))),
    )
    assert stage.get(merchant).state == pb.MERCHANT_STATE_AUTHORIZATION_LOST
    assert [told.type for told in stage.told()] == ["merchant.connected", "merchant.authorization_lost"]


def test_while_login_with_amazon_is_away_a_token_is_used_to_its_end_and_nothing_is_lost(
    stage: MerchantStage, merchant: pb.Merchant
) -> None:
    ends_in(stage, minutes=3)
    stage.amazon.fault("token", "error", count=1000)
    for _ in range(3):
        assert list_orders(stage, merchant) == 0
    ends_in(stage, seconds=-1)
    stage.calls._custody.known.clear()
    refused(AmazonUnavailable, lambda: list_orders(stage, merchant))
    assert stage.get(merchant).state == pb.MERCHANT_STATE_CONNECTED
    assert [told.type for told in stage.told()] == ["merchant.connected"]


def test_a_token_that_ends_soon_is_renewed_beside_the_calls(stage: MerchantStage, merchant: pb.Merchant) -> None:
    before = stage.amazon.calls("token")
    ends_in(stage, minutes=3)
    for _ in range(5):
        list_orders(stage, merchant)
    until(
        lambda: (
            stage.rows("SELECT 1 AS one FROM merchants WHERE access_expire_time > now() + interval '30 min'") or None
        )
    )
    assert stage.amazon.calls("token") == before + 1


def test_the_apps_wrong_secret_is_no_sellers_fault(stage: MerchantStage, merchant: pb.Merchant) -> None:
    stage.amazon.control("POST", "/amazon_sp/secret", secret="another", old_good_seconds=0)
    ends_in(stage, seconds=-1)
    failure = refused(AmazonUnavailable, lambda: list_orders(stage, merchant))
    assert "180 days" in failure.message
    assert stage.get(merchant).state == pb.MERCHANT_STATE_CONNECTED


def test_r27_a_creation_whose_answer_is_lost_says_so_and_reading_settles_it(
    stage: MerchantStage, merchant: pb.Merchant
) -> None:
    known, calls = stage.known(merchant), stage.calls
    stage.amazon.fault("createFulfillmentOrder", "lost_reply", count=1)
    refused(AmazonAnswerLost, lambda: calls.ask(known, lambda amazon: amazon.outbound.create(order("TTS-1"))))
    assert calls.ask(known, lambda amazon: amazon.outbound.get("TTS-1")).status is OrderStatus.NEW
    with pytest.raises(VendorNotFound):
        calls.ask(known, lambda amazon: amazon.outbound.get("TTS-2"))
    again = refused(
        AmazonRequestRefused, lambda: calls.ask(known, lambda amazon: amazon.outbound.create(order("TTS-1")))
    )
    assert "Amazon says:" in again.message
    assert again.metadata["log_id"]


def test_an_answer_that_comes_too_late_to_a_creation_is_a_lost_one(stage: MerchantStage, merchant: pb.Merchant) -> None:
    stage.amazon.fault("createFulfillmentOrder", "delay", delay_seconds=3, count=1)
    known = stage.known(merchant)
    refused(
        AmazonAnswerLost, lambda: stage.calls.ask(known, lambda amazon: amazon.outbound.create(order("TTS-1")), 0.5)
    )


def test_what_goes_beyond_the_rate_is_told_with_the_time_to_come_back(
    database: Database, amazon: AmazonSandbox
) -> None:
    config = an_amazon_config(
        str(amazon.http.base_url), rate_wait_seconds=0, rates={"listAllFulfillmentOrders": (1, 2)}
    )
    with staged_merchants(database, amazon, config) as stage:
        merchant = stage.connect()
        limited = refused(AmazonCallsLimited, lambda: list_orders(stage, merchant))
        assert limited.retry_after_seconds is not None
        assert 0 < limited.retry_after_seconds <= 1.1
        time.sleep(limited.retry_after_seconds)
        assert list_orders(stage, merchant) == 0


def test_a_disconnected_merchant_is_not_called(
    stage: MerchantStage, other: MerchantStage, merchant: pb.Merchant
) -> None:
    stage.disconnect(merchant)
    before = stage.amazon.calls("listAllFulfillmentOrders")
    refused(MerchantNotConnected, lambda: list_orders(stage, merchant))
    assert stage.amazon.calls("listAllFulfillmentOrders") == before
    assert stage.disconnect(merchant).state == pb.MERCHANT_STATE_DISCONNECTED
