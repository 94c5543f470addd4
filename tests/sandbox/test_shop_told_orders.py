"""Orders that are told whole to the sandbox's TikTok Shop."""

import json
from pathlib import Path
from typing import Any

from tests.sandbox.shop import ShopApp
from tests.sandbox.test_shop_orders import detail

SAMPLES = Path(__file__).parents[1] / "fulfillment/orders/samples/tiktok_orders.json"


def told() -> list[dict[str, Any]]:
    orders: list[dict[str, Any]] = json.loads(SAMPLES.read_text())["data"]["orders"]
    return orders


def test_orders_are_shown_as_they_were_told_the_newest_of_each(seller: ShopApp) -> None:
    seller.control("POST", "/told-orders", orders=told())
    wanted = {order["id"]: order for order in sorted(told(), key=lambda order: order["update_time"])}
    ids = list(wanted)
    for first in range(0, len(ids), 50):
        found = seller.ok("GET", "/order/202507/orders", {"ids": ",".join(ids[first : first + 50])})["orders"]
        assert {order["id"]: order for order in found} == {one: wanted[one] for one in ids[first : first + 50]}


def test_of_a_told_order_only_what_changes_is_shown_otherwise(seller: ShopApp) -> None:
    first = next(order for order in told() if len(order["line_items"]) > 1)
    seller.control("POST", "/told-orders", orders=[first])
    line = first["line_items"][0]["id"]
    body = {"shipping_provider_id": "7117858858072016645", "tracking_number": "TBA305000000001"}
    path = f"/fulfillment/202309/orders/{first['id']}/packages"
    package_id = seller.ok("POST", path, None, {**body, "order_line_item_ids": [line]})["package_id"]
    now = detail(seller, first["id"])
    assert {name for name in first if now[name] != first[name]} == {
        *("status", "update_time", "packages", "line_items", "shipping_provider_id", "shipping_provider"),
        "tracking_number",
    }
    assert now["status"] == "PARTIALLY_SHIPPING"
    assert now["line_items"][1:] == first["line_items"][1:]
    package = next(each for each in seller.control("GET", "/packages") if each["id"] == package_id)
    assert (package["tracking_number"], package["lines"]) == ("TBA305000000001", [line])
    sent = now["line_items"][0]
    assert (sent["package_id"], sent["tracking_number"]) == (package_id, "TBA305000000001")
    assert sent["product_name"] == first["line_items"][0]["product_name"]


def test_the_buyer_of_a_told_order_may_change_the_address_and_cancel(seller: ShopApp) -> None:
    first = told()[0]
    seller.control("POST", "/told-orders", orders=[first])
    seller.control("POST", f"/orders/{first['id']}/address", line1="1 New Road", city="Knoxville", postal_code="37901")
    now = detail(seller, first["id"])
    assert (now["recipient_address"]["address_line1"], now["has_updated_recipient_address"]) == ("1 New Road", True)
    assert now["payment"] == first["payment"]
    seller.control("POST", f"/orders/{first['id']}/request-cancel")
    assert detail(seller, first["id"])["is_buyer_request_cancel"] is True


def test_an_order_that_lacks_what_every_order_has_is_refused(seller: ShopApp) -> None:
    refused = seller.http.post("/control/tiktok_shop/told-orders", json={"orders": [{"id": "1"}]})
    assert refused.status_code == 404


def test_another_seller_has_a_shop_with_skus_of_its_own(seller: ShopApp) -> None:
    [shop] = seller.control("POST", "/sellers", name="second", shop="Second US")
    seller.connect("second")
    mine = seller.control("GET", f"/products?shop_id={shop['id']}")
    [other] = seller.control("GET", "/sellers")[0]["shops"]
    theirs = {sku["id"] for one in seller.control("GET", f"/products?shop_id={other['id']}") for sku in one["skus"]}
    skus = [sku for one in mine for sku in one["skus"]]
    assert {sku["id"] for sku in skus}.isdisjoint(theirs)
    assert "EF-SLV-STD-CLR" in {sku["seller_sku"] for sku in skus}
    order = seller.control("POST", "/orders", shop_id=shop["id"], lines=[{"sku_id": skus[0]["id"]}])
    assert order["shop_id"] == shop["id"]
    assert seller.http.post("/control/tiktok_shop/sellers", json={"name": "second", "shop": "Third"}).status_code == 409
