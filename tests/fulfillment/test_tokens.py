"""Tokens of sellers: renewed once and well ahead, lost only by TikTok Shop's definite no, told once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from kit.db import Database
from kit.errors import ReelrouteError
from services.fulfillment import shop_store
from services.fulfillment.domain import ShopAuthorizationLost, ShopNotConnected, ShopScopeMissing, ShopUnavailable
from services.fulfillment.renewing import Renewing
from tests.fulfillment.stage import WORKSPACE, Stage, TikTokShop, staged
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.products import ProductFilter


@pytest.fixture
def shop(stage: Stage) -> pb.Shop:
    return stage.connect()[0]


@pytest.fixture
def other(database: Database, tiktok_shop: TikTokShop) -> Iterator[Stage]:
    """A second replica."""
    with staged(database, tiktok_shop) as opened:
        yield opened


def read_products(stage: Stage, shop: pb.Shop) -> int:
    """A call in the shop's name."""

    async def question(access: Access, seconds: float) -> Any:
        return await stage.calls.client.products.search(access, ProductFilter(), timeout_seconds=seconds)

    with stage.database.transaction(WORKSPACE) as tx:
        known = shop_store.read_shop(tx, WORKSPACE, UUID(shop.shop_id))
    return len(stage.calls.ask(known, question).items)


def ends_in(stage: Stage, **time: float) -> None:
    """The access token as we know it ends soon."""
    end = datetime.now(UTC) + timedelta(**time)
    stage.rows("UPDATE authorizations SET access_expire_time = :end", end=end)


def test_fifty_callers_of_two_replicas_on_an_expiring_token_cause_one_refresh(
    stage: Stage, other: Stage, shop: pb.Shop
) -> None:
    ends_in(stage, minutes=1)
    begin = threading.Barrier(50)

    def call(number: int) -> int:
        begin.wait()
        return read_products(stage if number % 2 else other, shop)

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(call, range(50)))
    assert min(found) > 0
    assert stage.shop.calls("token_refresh") == 1


def test_a_token_that_is_refused_before_its_end_is_replaced(stage: Stage, shop: pb.Shop) -> None:
    stage.shop.expire()
    assert read_products(stage, shop) > 0
    assert stage.shop.calls("token_refresh") == 1
    assert stage.get(shop).state == pb.SHOP_STATE_CONNECTED


def test_a_consent_that_was_taken_back_is_lost_told_once_and_found_again_by_connecting(
    stage: Stage, other: Stage, shop: pb.Shop
) -> None:
    stage.shop.withdraw()
    for replica in (stage, other, stage):
        with pytest.raises(ShopAuthorizationLost, match="Connect the shop again"):
            read_products(replica, shop)
    lost = stage.get(shop)
    assert lost.state == pb.SHOP_STATE_AUTHORIZATION_LOST
    assert "Connect the shop again" in lost.problem
    assert [told.type for told in stage.told()] == ["shop.connected", "shop.authorization_lost"]
    assert stage.told()[1].attributes["shop"] == "Emberfold US"
    (found,) = stage.connect()
    assert (found.shop_id, found.state, found.problem) == (shop.shop_id, pb.SHOP_STATE_CONNECTED, "")
    assert read_products(stage, found) > 0


def test_a_caller_whose_time_runs_out_during_a_refresh_loses_no_token(stage: Stage, shop: pb.Shop) -> None:
    ends_in(stage, minutes=1)
    stage.shop.fault("token_refresh", "delay", delay_seconds=1)
    request = pb.ListShopOrdersRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id)
    with pytest.raises(grpc.RpcError) as caught:
        stage.stub.ListShopOrders(request, timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert stage.stub.ListShopOrders(request, timeout=20).orders
    assert stage.shop.calls("token_refresh") == 1


def test_a_token_host_that_is_away_loses_nothing(stage: Stage, shop: pb.Shop) -> None:
    ends_in(stage, minutes=1)
    stage.shop.fault("token_refresh", "error", status=503, count=3)
    with pytest.raises(ShopUnavailable, match="stays connected"):
        read_products(stage, shop)
    assert stage.get(shop).state == pb.SHOP_STATE_CONNECTED
    assert read_products(stage, shop) > 0


def test_an_answer_that_is_lost_with_its_process_says_so_and_connecting_again_helps(
    stage: Stage, other: Stage, shop: pb.Shop
) -> None:
    ends_in(stage, minutes=1)
    # A process that died after TikTok Shop's answer: the pair is used up, nothing is stored, its lease is left behind.
    spent = stage.rows("SELECT 1 FROM authorizations")
    sent = stage.calls.client.tokens.refresh

    async def died(refresh_token: str, **more: Any) -> Any:
        await sent(refresh_token)
        stage.rows("UPDATE authorizations SET refresh_lease_time = now() - interval '1 second'")
        raise ShopUnavailable("killed")

    stage.calls.client.tokens.refresh = died  # type: ignore[method-assign]
    with pytest.raises(ReelrouteError):
        read_products(stage, shop)
    stage.calls.client.tokens.refresh = sent  # type: ignore[method-assign]
    stage.rows("UPDATE authorizations SET refresh_lease_time = now() - interval '1 second'")
    with pytest.raises(ShopAuthorizationLost, match="cut short"):
        read_products(other, shop)
    assert len(spent) == 1
    assert read_products(other, stage.connect()[0]) > 0


def test_a_scope_that_is_missing_is_told_as_such_and_loses_nothing(stage: Stage) -> None:
    stage.shop.settings(app_scopes=["seller.authorization.info"])
    (shop,) = stage.connect()
    with pytest.raises(ShopScopeMissing, match=r"seller\.product\.basic"):
        read_products(stage, shop)
    assert stage.get(shop).state == pb.SHOP_STATE_CONNECTED


def test_a_shop_that_was_disconnected_is_not_called(stage: Stage, shop: pb.Shop) -> None:
    request = pb.DisconnectShopRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id)
    stage.stub.DisconnectShop(request, timeout=10)
    before = stage.shop.calls("product_search")
    with pytest.raises(ShopNotConnected):
        read_products(stage, shop)
    assert stage.shop.calls("product_search") == before


def test_tokens_are_renewed_ahead_of_their_end_by_one_replica(stage: Stage, other: Stage, shop: pb.Shop) -> None:
    replicas = [Renewing(each.database, each.calls) for each in (stage, other)]
    for replica in replicas:
        replica.run_once()
    assert stage.shop.calls("token_refresh") == 0
    ahead = "renew_time - now() BETWEEN '4 days 23 hours' AND '5 days'"
    (row,) = stage.rows(f"SELECT {ahead} AS is_ahead FROM authorizations")
    assert row["is_ahead"]
    stage.rows("UPDATE authorizations SET renew_time = now() - interval '1 second'")
    for replica in replicas:
        replica.run_once()
    assert stage.shop.calls("token_refresh") == 1
    (row,) = stage.rows("SELECT access_expire_time - now() > interval '6 days' AS is_new FROM authorizations")
    assert row["is_new"]


def test_the_end_of_an_authorisation_is_told_once_a_month_ahead(stage: Stage, other: Stage, shop: pb.Shop) -> None:
    replicas = [Renewing(each.database, each.calls) for each in (stage, other)]
    replicas[0].tell_of_ends()
    end = datetime.now(UTC) + timedelta(days=29)
    stage.rows("UPDATE authorizations SET refresh_expire_time = :end", end=end)
    for replica in replicas:
        replica.tell_of_ends()
    _, told = stage.told()
    assert told.type == "shop.authorization_ending"
    assert f"Emberfold US ends on {end:%Y-%m-%d}" in told.summary
