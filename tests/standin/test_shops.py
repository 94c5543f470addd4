"""Shops over a strict stand-in of TikTok Shop: signed, in documented fields alone, within its rates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from tests.fulfillment.stage import WORKSPACE
from tests.standin import shop_data
from tests.standin.server import Fault, Reply
from tests.standin.shop import Owner, Shop, envelope
from tests.standin.shop_stage import Stage

W = str(WORKSPACE)
SPAN = pb.Span(start_date="2026-11-01", end_date="2026-11-08")


@pytest.fixture
def seller(shop: Shop) -> Owner:
    return shop.seller(shop_data.Shop("7495540735365777507", products=45, orders=45))


@pytest.fixture
def connected(shops: Stage, seller: Owner) -> pb.Shop:
    (found,) = shops.connect(seller.open_id)
    return found


def sync(shops: Stage, shop: pb.Shop, *, everything: bool = False) -> int:
    request = pb.SyncCatalogueRequest(workspace_id=W, shop_id=shop.shop_id, everything=everything)
    return shops.stub.SyncCatalogue(request, timeout=60).products


def titles(shops: Stage, status: str = "") -> list[str]:
    request = pb.ListProductsRequest(workspace_id=W, status=status, page_size=200)
    return [each.title for each in shops.stub.ListProducts(request, timeout=10).products]


def orders(shops: Stage, shop: pb.Shop, page_token: str = "") -> pb.ListShopOrdersResponse:
    request = pb.ListShopOrdersRequest(workspace_id=W, shop_id=shop.shop_id, page_token=page_token)
    return shops.stub.ListShopOrders(request, timeout=30)


def numbers_of(shops: Stage, shop: pb.Shop) -> pb.GetShopNumbersResponse:
    request = pb.GetShopNumbersRequest(workspace_id=W, shop_id=shop.shop_id, span=SPAN)
    return shops.stub.GetShopNumbers(request, timeout=30)


def test_a_seller_with_two_shops_is_connected_once(shops: Stage, shop: Shop) -> None:
    seller = shop.seller(shop_data.Shop("7495540735365777507"), shop_data.Shop("7495540735365777508", name="Ember UK"))
    found = shops.connect(seller.open_id)
    assert [each.platform_shop_id for each in found] == ["7495540735365777507", "7495540735365777508"]
    again = shops.connect(seller.open_id)
    assert {each.shop_id for each in again} == {each.shop_id for each in found}
    assert shop.violations() == []


def test_products_orders_and_numbers_are_read_as_documented(shops: Stage, shop: Shop, connected: pb.Shop) -> None:
    assert sync(shops, connected, everything=True) == 45
    assert len(titles(shops)) == 45
    first = orders(shops, connected)
    second = orders(shops, connected, page_token=first.next_page_token)
    third = orders(shops, connected, page_token=second.next_page_token)
    assert [len(each.orders) for each in (first, second, third)] == [20, 20, 5]
    assert first.orders[0].status == "A_STATUS_OF_TOMORROW"
    assert "secret" not in str(first).lower()  # nothing of who buys
    shop_id, numbers = connected.shop_id, numbers_of(shops, connected)
    videos = shops.stub.ListVideoNumbers(
        pb.ListVideoNumbersRequest(workspace_id=W, shop_id=shop_id, span=SPAN), timeout=30
    )
    products = shops.stub.ListProductNumbers(
        pb.ListProductNumbersRequest(workspace_id=W, shop_id=shop_id, span=SPAN), timeout=30
    )
    assert numbers.numbers[0].sales.minor_units == 12_050
    assert (videos.videos[0].platform_post_id, videos.videos[0].click_through_percent) == (
        "7400000000000000001",
        "12.5",
    )
    assert products.products[0].units_sold == 6
    assert shop.violations() == []


def test_what_changed_is_read_alone_and_what_is_gone_is_noticed(
    shops: Stage, shop: Shop, seller: Owner, connected: pb.Shop
) -> None:
    sync(shops, connected, everything=True)
    seller.shops[0].titles[7] = "Fries, extra crisp"
    assert sync(shops, connected) == 1
    assert "Fries, extra crisp" in titles(shops)
    seller.shops[0].gone.add(8)
    shop.fails("product", Fault(envelope(12052032)))
    sync(shops, connected, everything=True)
    assert titles(shops, "DELETED") == ["Fries 8"]
    assert shop.violations() == []


def test_a_token_that_is_over_is_refreshed_once_for_all(
    shops: Stage, shop: Shop, seller: Owner, connected: pb.Shop
) -> None:
    shop.expire(seller)
    shop.fails("token", Fault(lost=True))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: orders(shops, connected), range(8)))
    assert len(shop.journal.of("token")) == 3  # the consent, and a refresh whose first answer was lost
    assert shop.violations() == []


def test_busy_and_limited_answers_are_waited_for(shops: Stage, shop: Shop, seller: Owner, connected: pb.Shop) -> None:
    # More in one second than is allowed.
    seller.shops[0].products = 70
    shop.fails("orders_search", Fault(Reply(429, envelope(36009002).body, {"Retry-After": "1"}, code="36009002")))
    shop.fails("products_search", Fault(Reply(503, "<html>", content_type="text/html")))
    shop.fails("product", Fault(lost=True))
    shop.fails("product", Fault(envelope(36009003)))
    # HTTP says 200 to it, as to most.
    shop.fails("product", Fault(envelope(36009002)))
    assert len(orders(shops, connected).orders) == 20
    assert sync(shops, connected, everything=True) == 70
    while shops.catalogue.run_once():
        pass
    assert len({call.path for call in shop.journal.of("product")}) == 70
    assert shop.violations() == []


def test_a_code_with_many_meanings_is_read_by_its_message(shops: Stage, shop: Shop, connected: pb.Shop) -> None:
    shop.fails("orders_search", Fault(envelope(36009004, status=400, message="The access_token is invalid")))
    assert len(orders(shops, connected).orders) == 20
    assert [call.endpoint for call in shop.journal.calls][-3:] == ["orders_search", "token", "orders_search"]
    shop.fails("orders_search", Fault(envelope(36009004, status=400, message="body.address is missing")), times=2)
    with pytest.raises(grpc.RpcError) as refused:
        orders(shops, connected)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert len(shop.journal.of("orders_search")) == 3
    assert shop.violations() == []


def test_a_token_that_ends_soon_is_renewed_before_it_is_used(shops: Stage, shop: Shop, seller: Owner) -> None:
    shop.lifetime = 900
    (connected,) = shops.connect(seller.open_id)
    shop.lifetime = 7 * 86_400
    for _ in range(2):
        assert len(orders(shops, connected).orders) == 20
    assert len(shop.journal.of("token")) == 2
    assert not [call for call in shop.journal.calls if call.code in ("105001", "105002")]
    assert shop.violations() == []


def test_a_version_that_has_gone_is_replaced_and_a_refusal_is_final(
    shops: Stage, shop: Shop, seller: Owner, connected: pb.Shop
) -> None:
    shop.refusals["orders_search"] = 66009315
    with pytest.raises(grpc.RpcError) as refused:
        orders(shops, connected)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert len(shop.journal.of("orders_search")) == 1
    seller.scopes = tuple(each for each in seller.scopes if each != "seller.product.basic")
    with pytest.raises(grpc.RpcError):
        sync(shops, connected, everything=True)
    assert len(shop.journal.of("products_search")) == 1
    shop.refused_versions = {"202405"}
    numbers_of(shops, connected)
    assert [call.path for call in shop.journal.of("shop_numbers")][-1].startswith("/analytics/202509/")
    assert shop.violations() == []


def test_webhooks_are_hints_taken_once_and_a_seller_who_left_is_noticed(
    shops: Stage, shop: Shop, seller: Owner, connected: pb.Shop
) -> None:
    sync(shops, connected, everything=True)
    shop_id = seller.shops[0].id
    seller.shops[0].titles[3] = "Fries, changed"
    before = len(shop.journal.of("product"))
    signed, body = shop.webhook(15, shop_id=shop_id, data={"product_id": 1_729_500_000_000_000_003})
    for _ in range(2):
        shops.stub.ReceiveShopWebhook(
            pb.ReceiveShopWebhookRequest(body=body, signature=signed["Authorization"]), timeout=9
        )
        while shops.hints.run_once():
            pass
    assert len(shop.journal.of("product")) == before + 1
    assert "Fries, changed" in titles(shops)
    forged, false = shop.webhook(6, shop_id=shop_id, data={}, secret="guessed")
    with pytest.raises(grpc.RpcError) as refused:
        shops.stub.ReceiveShopWebhook(
            pb.ReceiveShopWebhookRequest(body=false, signature=forged["Authorization"]), timeout=9
        )
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    seller.left = True
    signed, body = shop.webhook(6, shop_id=shop_id, data={"message": "x"})
    shops.stub.ReceiveShopWebhook(pb.ReceiveShopWebhookRequest(body=body, signature=signed["Authorization"]), timeout=9)
    while shops.hints.run_once():
        pass
    assert shops.get(connected).state == pb.SHOP_STATE_AUTHORIZATION_LOST
    assert shop.violations() == []
