"""Orders as the sandbox's TikTok Shop shows them, and how they move."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.shop import ShopApp

SEARCH = "/order/202309/orders/search"
BLACK_BOX, MAT = "1729662786851694749", "1729649418267134490"
HOUR = 3600


def search(app: ShopApp, query: dict[str, Any] | None = None, by: str = "emberfold", region: str = "US",
           **body: Any) -> list[dict[str, Any]]:  # fmt: skip
    """Every page of a search."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page = {"page_size": 10, **(query or {}), **({"page_token": token} if token else {})}
        data = app.ok("POST", SEARCH, page, body, by=by, region=region)
        found += data["orders"]
        token = data["next_page_token"]
        if not token:
            assert len(found) == data["total_count"]
            return found


def new_order(app: ShopApp, lines: list[dict[str, Any]] | None = None, **fields: Any) -> str:
    lines = lines or [{"sku_id": BLACK_BOX}]
    return str(app.control("POST", "/orders", lines=lines, **fields)["id"])


def detail(app: ShopApp, order_id: str) -> dict[str, Any]:
    [order] = app.ok("GET", "/order/202507/orders", {"ids": order_id})["orders"]
    return dict(order)


def test_seeded_orders_are_in_every_status_of_a_shops_life(seller: ShopApp) -> None:
    statuses = {order["status"] for order in search(seller)}
    assert statuses == {
        "UNPAID", "ON_HOLD", "AWAITING_SHIPMENT", "PARTIALLY_SHIPPING", "AWAITING_COLLECTION", "IN_TRANSIT",
        "DELIVERED", "COMPLETED", "CANCELLED",
    }  # fmt: skip


def test_pages_follow_the_asked_order_and_tokens_are_good_for_their_query_only(seller: ShopApp) -> None:
    ascending = search(seller, {"page_size": 7, "sort_field": "update_time", "sort_order": "ASC"})
    times = [order["update_time"] for order in ascending]
    assert times == sorted(times)
    assert len({order["id"] for order in ascending}) == len(ascending)
    token = seller.ok("POST", SEARCH, {"page_size": 7}, {})["next_page_token"]
    assert seller.code("POST", SEARCH, {"page_size": 7, "page_token": token}, {}) == 0
    other = {"order_status": "AWAITING_SHIPMENT"}
    assert seller.code("POST", SEARCH, {"page_size": 7, "page_token": token}, other) == 10002014
    assert seller.code("POST", SEARCH, {"page_size": 7, "page_token": "nonsense"}, {}) == 10002014


def test_an_order_that_changes_between_two_pages_moves_no_other(seller: ShopApp) -> None:
    query = {"page_size": 5, "sort_field": "update_time", "sort_order": "ASC"}
    first = seller.ok("POST", SEARCH, query, {})
    seller.control("POST", f"/orders/{new_order(seller, status='UNPAID')}/advance")
    rest = search(seller, query)[5:]
    second = seller.ok("POST", SEARCH, query | {"page_token": first["next_page_token"]}, {})["orders"]
    assert [order["id"] for order in second] == [order["id"] for order in rest[:5]]


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ({"page_size": 0}, {}, 10002014),
        ({"page_size": 101}, {}, 10002014),
        ({"sort_field": "id"}, {}, 10002014),
        ({"sort_order": "asc"}, {}, 10002014),
        ({}, {"order_status": "CANCEL"}, 10002014),
        ({}, {"create_time_ge": "1735689600"}, 10002014),
        ({}, {"create_time_le": 1735689600}, 36009004),
        ({"order_status": "UNPAID"}, {}, 36009004),
    ],
)
def test_a_search_that_the_api_does_not_have_is_refused(
    seller: ShopApp, query: dict[str, Any], body: dict[str, Any], code: int
) -> None:
    assert seller.code("POST", SEARCH, query, body) == code


def test_filters_narrow_the_search(seller: ShopApp) -> None:
    every = search(seller)
    assert [order["status"] for order in search(seller, order_status="UNPAID")] == ["UNPAID"]
    assert [order["is_buyer_request_cancel"] for order in search(seller, is_buyer_request_cancel=True)] == [True]
    garage = search(seller, warehouse_ids=["7301234567890199999"])
    assert {order["warehouse_id"] for order in garage} == {"7301234567890199999"}
    platform = search(seller, shipping_type="TIKTOK")
    assert {order["shipping_type"] for order in platform} == {"TIKTOK"}
    since = sorted(order["update_time"] for order in every)[-5]
    assert {order["id"] for order in search(seller, update_time_ge=since)} == {
        order["id"] for order in every if order["update_time"] >= since
    }
    one = every[3]
    assert one["id"] in {order["id"] for order in search(seller, buyer_user_id=one["user_id"])}


def test_every_unit_is_a_line_and_the_money_adds_up(seller: ShopApp) -> None:
    order = detail(seller, new_order(seller, [{"sku_id": BLACK_BOX, "quantity": 3}, {"sku_id": MAT}]))
    assert [line["sku_id"] for line in order["line_items"]] == [BLACK_BOX] * 3 + [MAT]
    assert len({line["id"] for line in order["line_items"]}) == 4
    money = {name: Decimal(value) for name, value in order["payment"].items() if name != "currency"}
    assert money["sub_total"] == sum(Decimal(line["sale_price"]) for line in order["line_items"]) == Decimal("84.96")
    assert money["total_amount"] == money["sub_total"] + money["shipping_fee"] + money["tax"]
    price = seller.ok("GET", f"/order/202407/orders/{order['id']}/price_detail")
    assert Decimal(price["payment"]) == money["total_amount"]
    assert [line["id"] for line in price["line_items"]] == [line["id"] for line in order["line_items"]]


def test_the_buyers_hour_ends_by_the_sandboxs_clock_and_only_then_the_address_shows(seller: ShopApp) -> None:
    order_id = new_order(seller, status="UNPAID")
    unpaid = detail(seller, order_id)["recipient_address"]
    assert (unpaid["district_info"], unpaid["address_line1"], unpaid["postal_code"]) == ([], "*** ****", "37***")
    seller.control("POST", f"/orders/{order_id}/advance")
    held = detail(seller, order_id)
    assert (held["status"], held["is_on_hold_order"]) == ("ON_HOLD", True)
    assert "Rahimi" not in str(held)
    seller.advance(HOUR - 1)
    assert detail(seller, order_id)["status"] == "ON_HOLD"
    seller.advance(1)
    ready = detail(seller, order_id)
    assert ready["status"] == "AWAITING_SHIPMENT"
    assert ready["recipient_address"]["name"] == "Ingrid Rahimi"
    assert [one["address_level"] for one in ready["recipient_address"]["district_info"]] == ["L0", "L1", "L2", "L3"]


def test_cancelled_and_long_completed_orders_are_masked_again(seller: ShopApp) -> None:
    [cancelled] = search(seller, order_status="CANCELLED")
    assert cancelled["recipient_address"]["name"] == "M*** C***"
    cities = {
        one["address_name"] for one in cancelled["recipient_address"]["district_info"] if one["address_level"] == "L3"
    }
    assert cities == {"***"}
    closed = search(seller, order_status="COMPLETED")
    assert {order["recipient_address"]["name"] for order in closed} == {"Nadia Halloran", "N*** H***"}


def test_an_order_of_the_platform_ships_by_itself_and_stays_masked(seller: ShopApp) -> None:
    order_id = new_order(seller, fulfillment_type="FULFILLMENT_BY_TIKTOK")
    assert "***" in detail(seller, order_id)["recipient_address"]["name"]
    seller.advance(6 * HOUR)
    assert detail(seller, order_id)["status"] == "AWAITING_COLLECTION"


def test_seeded_orders_hold_what_makes_software_stumble(seller: ShopApp) -> None:
    orders = search(seller)
    lines = [line for order in orders for line in order["line_items"]]
    addresses = [order["recipient_address"] for order in orders]
    assert any(line["seller_sku"] == "" for line in lines)
    assert any(line["is_gift"] and line["sale_price"] == "0.00" for line in lines)
    assert any(line.get("combined_listing_skus") for line in lines)
    assert any(len(one["postal_code"]) == 4 and one["postal_code"].isdigit() for one in addresses)
    assert any(one["address_line1"].startswith("PO Box") for one in addresses)
    assert any(not one["name"].isascii() for one in addresses)
    assert any(order["is_sample_order"] for order in orders)
    assert any(order.get("replaced_order_id") for order in orders)
    assert any(order["is_cod"] for order in orders)
    assert any(order["split_or_combine_tag"] == "COMBINED" for order in orders)
    cancelled = [order for order in orders if {line["display_status"] for line in order["line_items"]} >= {
        "CANCELLED", "AWAITING_SHIPMENT"}]  # fmt: skip
    assert len(cancelled) == 1


def test_abroad_a_package_exists_from_payment_on(seller: ShopApp) -> None:
    ready = search(seller, by="emberfold-trading", region="GB", order_status="AWAITING_SHIPMENT")
    assert all(order["packages"] for order in ready)
    assert any(len(order["packages"]) == 2 for order in ready)
    assert not any(order["packages"] for order in search(seller, order_status="AWAITING_SHIPMENT"))


def test_orders_of_other_shops_and_too_many_are_refused(seller: ShopApp) -> None:
    order_id = new_order(seller)
    assert seller.code("GET", "/order/202309/orders", {"ids": order_id}) == 0
    abroad = {"by": "emberfold-trading", "region": "GB"}
    assert seller.code("GET", "/order/202309/orders", {"ids": order_id}, **abroad) == 10006402
    assert seller.ok("GET", "/order/202309/orders", {"ids": "5769"})["orders"] == []
    assert seller.code("GET", "/order/202309/orders", {"ids": ",".join([order_id] * 51)}) == 10002014
    assert seller.code("GET", "/order/202309/orders") == 36009004


def test_a_changed_address_is_marked_and_refused_once_it_is_too_late(seller: ShopApp) -> None:
    order_id = new_order(seller)
    seller.control("POST", f"/orders/{order_id}/address", first_name="Ida", last_name="Roe", line1="1 New Road")
    order = detail(seller, order_id)
    assert (order["has_updated_recipient_address"], order["recipient_address"]["name"]) == (True, "Ida Roe")
    seller.control("POST", f"/orders/{order_id}/advance")
    answer = seller.http.post(f"/control/tiktok_shop/orders/{order_id}/address", json={"line1": "2"})
    assert answer.status_code == 409


def test_an_order_can_be_led_through_its_whole_life(seller: ShopApp) -> None:
    order_id = new_order(seller, status="UNPAID")
    seen = ["UNPAID"]
    while seen[-1] != "COMPLETED":
        seller.control("POST", f"/orders/{order_id}/advance")
        seen.append(detail(seller, order_id)["status"])
    assert seen[1:] == [
        "ON_HOLD", "AWAITING_SHIPMENT", "AWAITING_COLLECTION", "IN_TRANSIT", "DELIVERED", "COMPLETED",
    ]  # fmt: skip
