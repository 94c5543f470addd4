"""Shops by REST: connected, looked at, synced, and what they sell."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from kit.money import minor_units
from services.gateway.models.money import money_of
from tests.gateway.fakes import OTHER_WORKSPACE, WORKSPACE, Memory
from tests.gateway.given import fields
from tests.gateway.shop_fakes import GOOD_STATE
from tests.gateway.test_problems import assert_is_problem

SPAN = {"start_date": "2027-01-01", "end_date": "2027-01-08"}


def test_a_sellers_shops_are_connected_by_consent(api: httpx.Client, memory: Memory) -> None:
    started = api.post("/v1/shop-connections", json={"seller_region": "REST_OF_WORLD"})
    assert (started.status_code, started.json()["state"]) == (201, GOOD_STATE)
    asked = memory.request(pb.StartShopConnectionRequest)
    assert (asked.workspace_id, asked.seller_region) == (WORKSPACE, pb.SELLER_REGION_REST_OF_WORLD)
    finished = api.post("/v1/shop-connections:finish", json={"state": GOOD_STATE, "code": "ROW_a+/1"}).json()
    assert memory.request(pb.FinishShopConnectionRequest).code == "ROW_a+/1"
    (shop,) = finished["shops"]
    assert (shop["name"], shop["state"], shop["catalogue_time"]) == ("Emberfold", "CONNECTED", None)
    assert api.get(f"/v1/shops/{shop['shop_id']}").json() == shop
    assert api.get("/v1/shops").json() == {"shops": [shop], "next_page_token": ""}


def test_a_connection_that_is_over_names_the_state(api: httpx.Client, memory: Memory) -> None:
    answer = api.post("/v1/shop-connections:finish", json={"state": "s0", "code": "c"})
    assert_is_problem(answer, 422, "CONNECTION_STATE_UNKNOWN")
    assert fields(answer) == ["state"]
    assert fields(api.post("/v1/shop-connections", json={"seller_region": "GB"})) == ["seller_region"]


def test_disconnecting_one_shop_disconnects_all_of_its_seller(api: httpx.Client, memory: Memory) -> None:
    shop_id, _, other = memory.shop(), memory.shop(name="Second"), memory.shop(seller_name="Another Ltd.")
    answer = api.post(f"/v1/shops/{shop_id}:disconnect").json()
    assert [(each["name"], each["state"]) for each in answer["shops"]] == [
        ("Emberfold", "DISCONNECTED"),
        ("Second", "DISCONNECTED"),
    ]
    assert memory.shops[other].state == pb.SHOP_STATE_CONNECTED


def test_a_catalogue_is_read_again_and_not_without_tokens(api: httpx.Client, memory: Memory) -> None:
    shop_id = memory.shop()
    memory.product(shop_id)
    synced = api.post(f"/v1/shops/{shop_id}:syncCatalogue", json={"everything": True}).json()
    assert synced["products"] == 1
    assert synced["shop"]["catalogue_time"] is not None
    assert memory.request(pb.SyncCatalogueRequest).everything
    api.post(f"/v1/shops/{shop_id}:syncCatalogue", json={})
    assert not memory.request(pb.SyncCatalogueRequest).everything
    memory.shops[shop_id].state = pb.SHOP_STATE_DISCONNECTED
    assert_is_problem(api.post(f"/v1/shops/{shop_id}:syncCatalogue", json={}), 409, "SHOP_NOT_CONNECTED")


def test_what_waits_on_the_vendor_has_longer_than_another_call(api: httpx.Client, memory: Memory) -> None:
    path = f"/v1/shops/{memory.shop()}"
    api.get(path)
    api.get(f"{path}/orders")
    api.post(f"{path}:syncCatalogue", json={})
    left = memory.seconds_left
    # By default 10, 30 and 3600; gRPC is off by a little.
    assert left["GetShopRequest"] < 20 < left["ListShopOrdersRequest"] < 40 < left["SyncCatalogueRequest"]


def test_products_are_found_by_shop_status_and_text(api: httpx.Client, memory: Memory) -> None:
    shop_id = memory.shop()
    product_id = memory.product(shop_id)
    query: dict[str, str | int] = {
        "shop_id": shop_id,
        "status": "ACTIVATE",
        "text": "mat",
        "page_size": 7,
        "page_token": "t" * 1024,
    }
    (product,) = api.get("/v1/products", params=query).json()["products"]
    asked = memory.request(pb.ListProductsRequest)
    assert {name: getattr(asked, name) for name in query} == query
    assert api.get(f"/v1/products/{product_id}").json() == product
    priced, unpriced = product["skus"]
    assert (priced["price"], priced["available_quantity"]) == ({"currency": "USD", "amount": "34.90"}, 212)
    assert unpriced["price"] is None
    api.get("/v1/products")
    assert memory.request(pb.ListProductsRequest).shop_id == ""
    assert_is_problem(api.get(f"/v1/products/{uuid4()}"), 404, "PRODUCT_NOT_FOUND")
    assert fields(api.get("/v1/products", params={"shop_id": "emberfold"})) == ["shop_id"]


def test_orders_are_read_of_a_span_page_by_page(api: httpx.Client, memory: Memory) -> None:
    order = pb.ShopOrder(
        platform_order_id="576461413038785752",
        status="AWAITING_SHIPMENT",
        lines=[pb.OrderLine(seller_sku="MAT-WATER", quantity=2, price=pb.Money(currency="JPY", minor_units=5200))],
        total=pb.Money(currency="KWD", minor_units=5),
    )
    order.ship_until_time.FromJsonString("2027-01-06T23:59:59Z")
    memory.shop_orders.append(order)
    query = {"status": "AWAITING_SHIPMENT", "from_time": "2027-01-01T00:00:00+01:00", "page_token": "t" * 2048}
    page = api.get(f"/v1/shops/{memory.shop()}/orders", params=query).json()
    assert page["next_page_token"] == "more"
    (read,) = page["orders"]
    assert (read["lines"][0]["price"]["amount"], read["total"]["amount"]) == ("5200", "0.005")
    assert (read["ship_until_time"], read["create_time"]) == ("2027-01-06T23:59:59Z", None)
    asked = memory.request(pb.ListShopOrdersRequest)
    assert asked.from_time.ToJsonString() == "2026-12-31T23:00:00Z"
    assert not asked.HasField("until_time")
    assert (asked.status, asked.page_token) == ("AWAITING_SHIPMENT", "t" * 2048)


def test_numbers_are_read_of_a_shop_its_videos_and_its_products(api: httpx.Client, memory: Memory) -> None:
    path = f"/v1/shops/{memory.shop()}/numbers"
    shop = api.get(path, params=SPAN | {"by_day": True}).json()
    assert memory.request(pb.GetShopNumbersRequest).by_day
    assert shop["latest_available_date"] == "2027-01-04"
    (numbers,) = shop["numbers"]
    assert (numbers["start_date"], numbers["end_date"]) == ("2027-01-01", "2027-01-08")
    assert (numbers["sales"], numbers["refunds"]) == ({"currency": "JPY", "amount": "125640"}, None)
    videos = api.get(f"{path}/videos", params=SPAN | {"page_size": 2}).json()
    assert memory.request(pb.ListVideoNumbersRequest).page_size == 2
    assert [each["click_through_percent"] for each in videos["videos"]] == ["5.28", None]
    assert (videos["next_page_token"], videos["latest_available_date"]) == ("more", None)
    (product,) = api.get(f"{path}/products", params=SPAN).json()["products"]
    assert (product["sales"]["amount"], product["units_sold"], product["orders"]) == ("-0.05", 41, None)


def test_a_span_that_is_none_is_refused_by_its_rest_name(api: httpx.Client, memory: Memory) -> None:
    path = f"/v1/shops/{memory.shop()}/numbers"
    assert fields(api.get(path, params=SPAN | {"end_date": "2027-01-01"})) == ["end_date"]
    assert fields(api.get(path, params=SPAN | {"start_date": "1 January"})) == ["start_date"]
    assert set(fields(api.get(path))) == {"start_date", "end_date"}


@pytest.mark.parametrize("path", ["", "/orders", "/numbers?start_date=2027-01-01&end_date=2027-01-02"])
def test_a_shop_of_another_workspace_is_not_there(api: httpx.Client, memory: Memory, path: str) -> None:
    shop_id = memory.shop(workspace_id=OTHER_WORKSPACE)
    assert_is_problem(api.get(f"/v1/shops/{shop_id}{path}"), 404, "SHOP_NOT_FOUND")


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["USD", "JPY", "KWD", "VND", "XXX"]))
def test_money_is_exact_text_in_every_currency(units: int, currency: str) -> None:
    shown = money_of(pb.OrderLine(price=pb.Money(currency=currency, minor_units=units)), "price")
    assert shown is not None
    assert minor_units(Decimal(shown.amount), shown.currency) == units
    assert "E" not in shown.amount
