"""Orders and numbers, read through from the sandbox's TikTok Shop."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from kit.rpc_status import from_rpc_error
from tests.fulfillment.stage import OTHER, TWO_SHOPS, WORKSPACE, Stage
from tests.fulfillment.test_connecting import refused


@pytest.fixture
def shop(stage: Stage) -> pb.Shop:
    return stage.connect()[0]


def orders_of(stage: Stage, shop: pb.Shop, **wanted: Any) -> list[pb.ShopOrder]:
    """All pages of a list."""
    found: list[pb.ShopOrder] = []
    request = pb.ListShopOrdersRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id, **wanted)
    while True:
        answer = stage.stub.ListShopOrders(request, timeout=30)
        found += answer.orders
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


def in_shop(stage: Stage, shop: pb.Shop) -> dict[str, dict[str, Any]]:
    """The sandbox's orders, buyers unmasked."""
    found = stage.shop.control("GET", f"/tiktok_shop/orders?shop_id={shop.platform_shop_id}&limit=200")
    return {order["id"]: order for order in found}


def a_span() -> pb.Span:
    today = date.today()  # noqa: DTZ011 - the shop's days, any of them
    return pb.Span(start_date=str(today - timedelta(days=10)), end_date=str(today - timedelta(days=3)))


def test_orders_are_read_in_pages_the_last_changed_first(stage: Stage, shop: pb.Shop) -> None:
    found, there = orders_of(stage, shop, page_size=7), in_shop(stage, shop)
    assert {order.platform_order_id for order in found} == set(there)
    assert len(found) == len(there) > 7
    changes = [order.update_time.ToDatetime() for order in found]
    assert changes == sorted(changes, reverse=True)
    for order in found:
        assert sum(line.quantity for line in order.lines) == len(there[order.platform_order_id]["lines"])
        assert order.total.currency == "USD"
        assert order.HasField("ship_until_time") == (order.status in ("AWAITING_SHIPMENT", "PARTIALLY_SHIPPING"))
    waiting = orders_of(stage, shop, status="AWAITING_SHIPMENT")
    assert waiting == [order for order in found if order.status == "AWAITING_SHIPMENT"]


def test_no_buyer_s_data_is_answered_logged_or_recorded(
    stage: Stage, shop: pb.Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of larger pages no more than their size is recorded.
    found = orders_of(stage, shop, page_size=5)
    stage.recorder.run_once()
    recorded = stage.rows("SELECT * FROM vendor_calls WHERE operation = 'orders_search'")
    assert {row["shop_id"] for row in recorded} == {UUID(shop.shop_id)}
    assert any("line_items" in repr(row["answer"]) for row in recorded)
    told = "".join(repr(each) for each in (*found, *recorded)) + "".join(capsys.readouterr())
    secrets: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)
        elif isinstance(value, str) and len(value) > 5:
            secrets.add(value)

    for order in in_shop(stage, shop).values():
        collect([order.get("address"), order["user_id"], order.get("buyer_message")])
    assert len(secrets) > 10
    assert not [secret for secret in secrets if secret in told]


def test_a_page_of_another_list_shop_or_workspace_is_not_given(stage: Stage) -> None:
    first, second = stage.connect(TWO_SHOPS)
    request = pb.ListShopOrdersRequest(workspace_id=str(WORKSPACE), shop_id=second.shop_id, page_size=1)
    request.page_token = stage.stub.ListShopOrders(request, timeout=30).next_page_token
    assert request.page_token
    stage.stub.ListShopOrders(request, timeout=30)
    for changes in ({"shop_id": first.shop_id}, {"status": "COMPLETED"}, {"page_token": "bm8="}):
        changed = pb.ListShopOrdersRequest.FromString(request.SerializeToString())
        for name, value in changes.items():
            setattr(changed, name, value)
        with pytest.raises(grpc.RpcError) as caught:
            stage.stub.ListShopOrders(changed, timeout=30)
        refusal = from_rpc_error(caught.value)
        assert [each.field for each in refusal.violations] == ["page_token"]
    request.workspace_id = str(OTHER)
    assert refused(lambda: stage.stub.ListShopOrders(request, timeout=30))[1] == "SHOP_NOT_FOUND"


def test_a_status_that_no_order_has_is_refused_with_those_there_are(stage: Stage, shop: pb.Shop) -> None:
    request = pb.ListShopOrdersRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id, status="SHIPPED")
    code, _, text = refused(lambda: stage.stub.ListShopOrders(request, timeout=30))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "AWAITING_SHIPMENT" in text


def test_a_shop_s_numbers_by_day_add_up_to_those_of_the_span(stage: Stage, shop: pb.Shop) -> None:
    request = pb.GetShopNumbersRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id, span=a_span(), by_day=True)
    days = stage.stub.GetShopNumbers(request, timeout=30)
    assert len(days.numbers) == 7
    assert days.numbers[0].start_date == a_span().start_date
    request.by_day = False
    (whole,) = stage.stub.GetShopNumbers(request, timeout=30).numbers
    assert whole.units_sold == sum(day.units_sold for day in days.numbers)
    assert whole.sales.minor_units == sum(day.sales.minor_units for day in days.numbers)
    assert whole.sales.currency == "USD"
    assert days.latest_available_date


def test_numbers_of_videos_come_in_pages_the_highest_sales_first(stage: Stage, shop: pb.Shop) -> None:
    request = pb.ListVideoNumbersRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id, span=a_span(), page_size=2)
    videos: list[pb.VideoNumbers] = []
    while True:
        answer = stage.stub.ListVideoNumbers(request, timeout=30)
        videos += answer.videos
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    sales = [video.sales.minor_units for video in videos]
    assert sales == sorted(sales, reverse=True)
    assert len({video.platform_post_id for video in videos}) == len(videos)
    for video in videos:
        assert video.handle
        assert 0 <= float(video.click_through_percent) <= 100


def test_numbers_of_products_name_the_products(stage: Stage, shop: pb.Shop) -> None:
    request = pb.ListProductNumbersRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id, span=a_span())
    found = stage.stub.ListProductNumbers(request, timeout=30).products
    products = stage.shop.control("GET", f"/tiktok_shop/products?shop_id={shop.platform_shop_id}")
    assert found
    assert {each.platform_product_id for each in found} <= {product["id"] for product in products}


def test_a_span_that_is_none_is_refused_by_its_field(stage: Stage, shop: pb.Shop) -> None:
    for start, end, field in (
        ("2026-02-30", "2026-03-02", "span.start_date"),
        ("2026-03-02", "2026-03-02", "span.end_date"),
    ):
        request = pb.GetShopNumbersRequest(
            workspace_id=str(WORKSPACE), shop_id=shop.shop_id, span=pb.Span(start_date=start, end_date=end)
        )
        with pytest.raises(grpc.RpcError) as caught:
            stage.stub.GetShopNumbers(request, timeout=30)
        assert [each.field for each in from_rpc_error(caught.value).violations] == [field]


def test_a_rate_that_is_used_up_tells_when_to_come_back(stage: Stage, shop: pb.Shop) -> None:
    stage.shop.fault("order_search", "rate_limit", retry_after_seconds=90, count=0)
    with pytest.raises(grpc.RpcError) as caught:
        orders_of(stage, shop)
    limited = from_rpc_error(caught.value)
    assert (caught.value.code(), limited.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SHOP_CALLS_LIMITED")
    assert limited.retry_after_seconds == 90
    assert "in 90 s" in limited.message


def test_what_tiktok_shop_refuses_tells_what_to_do(stage: Stage, shop: pb.Shop) -> None:
    def ask() -> object:
        request = pb.ListShopOrdersRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id)
        return stage.stub.ListShopOrders(request, timeout=30)

    stage.shop.fault("order_search", "error", code="36009003", count=0)
    assert refused(ask)[:2] == (grpc.StatusCode.UNAVAILABLE, "SHOP_UNAVAILABLE")
    stage.shop.control("DELETE", "/faults")
    stage.shop.fault("order_search", "error", code="105005", count=0)
    code, reason, text = refused(ask)
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SHOP_SCOPE_MISSING")
    assert "seller.order.info" in text
    assert "Partner Center" in text
    stage.shop.control("DELETE", "/faults")
    stage.shop.fault("order_search", "error", code="36009043", message="The shop is closed.", count=0)
    code, reason, text = refused(ask)
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SHOP_REQUEST_REFUSED")
    assert "The shop is closed." in text
    stage.shop.control("DELETE", "/faults")
    stage.shop.withdraw()
    assert refused(ask)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "SHOP_AUTHORIZATION_LOST")
    assert [told.type for told in stage.told()] == ["shop.connected", "shop.authorization_lost"]
