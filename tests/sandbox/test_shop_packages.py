"""Shipping in the sandbox's TikTok Shop: what is taken, what is refused, and what follows."""

from typing import Any

import httpx
import pytest

from tests.sandbox.shop import ShopApp
from tests.sandbox.test_shop_orders import BLACK_BOX, MAT, detail, new_order, search

AMAZON = "7117858858072016645"
HOUR = 3600
ABROAD: dict[str, Any] = {"by": "emberfold-trading", "region": "SG"}


def mark(app: ShopApp, order_id: str, number: str = "TBA305500000102", provider: str = AMAZON, **more: Any) -> int:
    body = {"tracking_number": number, "shipping_provider_id": provider, **more}
    return app.code("POST", f"/fulfillment/202309/orders/{order_id}/packages", body=body)


def carriers(app: ShopApp, **shop: Any) -> dict[str, str]:
    option = "7091146663229654785"
    found = app.ok("GET", f"/logistics/202309/delivery_options/{option}/shipping_providers", **shop)
    return {one["name"]: one["id"] for one in found["shipping_providers"]}


def test_a_marked_order_gets_a_package_and_goes_its_way_by_the_clock(seller: ShopApp) -> None:
    seller.settings(access_token_seconds=90 * 24 * HOUR)
    seller.connect()
    order_id = new_order(seller, [{"sku_id": BLACK_BOX, "quantity": 2}])
    assert detail(seller, order_id)["packages"] == []
    body = {"tracking_number": "TBA305500000102", "shipping_provider_id": AMAZON}
    done = seller.ok("POST", f"/fulfillment/202309/orders/{order_id}/packages", body=body)
    order = detail(seller, order_id)
    assert (order["status"], order["tracking_number"], order["shipping_provider"]) == (
        "AWAITING_COLLECTION", "TBA305500000102", "Amazon",
    )  # fmt: skip
    assert {line["package_id"] for line in order["line_items"]} == {done["package_id"]}
    seen = []
    for wait in (6, 72, 336):
        seller.advance(wait * HOUR)
        seen.append(detail(seller, order_id)["status"])
    assert seen == ["IN_TRANSIT", "DELIVERED", "COMPLETED"]
    package = seller.ok("GET", f"/fulfillment/202309/packages/{done['package_id']}")
    assert package["package_status"] == "COMPLETED"
    told = seller.ok("GET", f"/fulfillment/202309/orders/{order_id}/tracking")["tracking"]
    assert [one["update_time_millis"] > 10**12 for one in told] == [True] * 3


def test_split_shipments_need_their_lines_named(seller: ShopApp) -> None:
    order_id = new_order(seller, [{"sku_id": BLACK_BOX, "quantity": 2}, {"sku_id": MAT}])
    lines = [line["id"] for line in detail(seller, order_id)["line_items"]]
    assert mark(seller, order_id, "TBA000000001", order_line_item_ids=lines[:1]) == 0
    assert detail(seller, order_id)["status"] == "PARTIALLY_SHIPPING"
    assert mark(seller, order_id, "TBA000000002") == 21011048
    assert mark(seller, order_id, "TBA000000002", order_line_item_ids=lines[:1]) == 21011006
    assert mark(seller, order_id, "TBA000000001", order_line_item_ids=lines[1:]) == 21011025
    assert mark(seller, order_id, "TBA000000002", order_line_item_ids=lines[1:]) == 0
    order = detail(seller, order_id)
    assert (order["status"], len(order["packages"])) == ("AWAITING_COLLECTION", 2)
    assert mark(seller, order_id, "TBA000000003") == 21011006


def test_what_may_not_be_shipped_is_refused_with_its_reason(seller: ShopApp) -> None:
    assert mark(seller, "1") == 21011028
    assert mark(seller, new_order(seller, status="UNPAID")) == 21001001
    assert mark(seller, new_order(seller, status="ON_HOLD")) == 21001001
    assert mark(seller, new_order(seller, fulfillment_type="FULFILLMENT_BY_TIKTOK")) == 21008025
    assert mark(seller, new_order(seller, shipping_type="TIKTOK")) == 21008106
    [cancelled] = search(seller, order_status="CANCELLED")
    assert mark(seller, cancelled["id"]) == 21011041
    doubtful = new_order(seller)
    seller.control("POST", f"/orders/{doubtful}/request-cancel")
    assert mark(seller, doubtful) == 21011007
    delivered, *_ = search(seller, order_status="DELIVERED")
    assert mark(seller, delivered["id"]) == 21011020
    assert mark(seller, new_order(seller), order_line_item_ids=[delivered["line_items"][0]["id"]]) == 21011029


@pytest.mark.parametrize(
    ("number", "carrier", "code"),
    [
        ("TBA 305", "Amazon", 21004012),
        ("TBA-305500", "Amazon", 21004012),
        ("1Z999AA1012345678", "UPS", 21004016),
        ("1Z999AA10123456784", "UPS", 0),
        ("TBA305500000102", "nobody", 21004015),
        ("TBA305500000102", "SingPost", 21008116),
    ],
)
def test_carrier_and_number_must_fit(seller: ShopApp, number: str, carrier: str, code: int) -> None:
    ids = {**carriers(seller), **carriers(seller, **ABROAD)}
    assert mark(seller, new_order(seller), number, ids.get(carrier, "1")) == code


def test_a_tracking_number_serves_so_many_orders_and_no_more(seller: ShopApp) -> None:
    seller.settings(orders_per_tracking_number=2)
    assert [mark(seller, new_order(seller), "TBA777777777") for _ in range(3)] == [0, 0, 21011026]


def test_a_lost_answer_has_shipped_all_the_same_and_a_second_try_says_so(seller: ShopApp) -> None:
    order_id = new_order(seller)
    seller.control("POST", "//faults", endpoint="tiktok_shop.mark_shipped", mode="lost_reply")
    with pytest.raises(httpx.TransportError):
        mark(seller, order_id)
    assert mark(seller, order_id) == 21011006
    assert detail(seller, order_id)["tracking_number"] == "TBA305500000102"


def test_shipping_information_can_be_corrected_once_within_72_hours(seller: ShopApp) -> None:
    def correct(order_id: str, number: str = "TBA999999999") -> int:
        body = {"tracking_number": number, "shipping_provider_id": AMAZON}
        return seller.code("POST", f"/fulfillment/202309/orders/{order_id}/shipping_info/update", body=body)

    first, second = new_order(seller), new_order(seller)
    assert correct(first) == 21001001
    assert mark(seller, first, "TBA000000011") == mark(seller, second, "TBA000000012") == 0
    seller.advance(72 * HOUR)
    assert correct(first) == 0
    assert detail(seller, first)["tracking_number"] == "TBA999999999"
    assert correct(first, "TBA888888888") == 21011051
    seller.advance(1)
    assert correct(second, "TBA888888888") == 21011050


def test_in_asia_packages_exist_already_and_are_shipped_by_their_id(seller: ShopApp) -> None:
    order = search(seller, order_status="AWAITING_SHIPMENT", shipping_type="SELLER", **ABROAD)[0]
    package = order["packages"][0]["id"]
    carrier = {"tracking_number": "SG12345678", "shipping_provider_id": carriers(seller, **ABROAD)["SingPost"]}
    path = f"/fulfillment/202309/orders/{order['id']}/packages"
    assert seller.code("POST", path, body=carrier, **ABROAD) == 21008106
    ship = f"/fulfillment/202309/packages/{package}/ship"
    assert seller.code("POST", ship, body={}, **ABROAD) == 21001001
    assert seller.code("POST", ship, body={"self_shipment": carrier}, **ABROAD) == 0
    assert seller.code("POST", ship, body={"self_shipment": carrier}, **ABROAD) == 21011006
    assert seller.code("POST", ship, body={"self_shipment": carrier}) == 21011028


def test_a_platform_label_abroad_wants_a_handover(seller: ShopApp) -> None:
    [order] = search(seller, order_status="AWAITING_SHIPMENT", shipping_type="TIKTOK", **ABROAD)
    package = order["packages"][0]["id"]
    slots = seller.ok("GET", f"/fulfillment/202309/packages/{package}/handover_time_slots", **ABROAD)["pickup_slots"]
    good = {name: slots[0][name] for name in ("start_time", "end_time")}
    taken = {name: slots[1][name] for name in ("start_time", "end_time")}
    many = "/fulfillment/202309/packages/ship"
    one = {"id": package, "handover_method": "PICKUP"}
    body = {"packages": [{**one, "pickup_slot": taken}, {"id": "1", "handover_method": "DROP_OFF"}]}
    errors = seller.ok("POST", many, body=body, **ABROAD)["errors"]
    assert [error["code"] for error in errors] == [21001001, 21011028]
    assert seller.ok("POST", many, body={"packages": [{**one, "pickup_slot": good}]}, **ABROAD) == {}
    path = f"/fulfillment/202309/packages/{package}/shipping_documents"
    document = seller.ok("GET", path, {"document_type": "SHIPPING_LABEL"}, **ABROAD)
    pdf = seller.http.get(document["doc_url"])
    assert (pdf.status_code, pdf.content[:5]) == (200, b"%PDF-")
    assert seller.http.get(document["doc_url"].replace("mark=", "mark=0")).status_code == 403


def test_in_the_us_a_label_is_bought_with_the_package(seller: ShopApp) -> None:
    order_id = new_order(seller, shipping_type="TIKTOK")
    size = {"length": "20", "width": "10", "height": "8", "unit": "CM"}
    body: dict[str, Any] = {"order_id": order_id, "dimension": size, "weight": {"value": "1", "unit": "POUND"}}

    def create(**changes: Any) -> int:
        return seller.code("POST", "/fulfillment/202309/packages", body=body | changes)

    assert create(weight={"value": "99", "unit": "POUND"}) == 11021012
    assert create(dimension=size | {"length": "48", "unit": "INCH"}) == 11021010
    assert create(shipping_service_id="1") == 21001001
    services = seller.ok("POST", f"/fulfillment/202309/orders/{order_id}/shipping_services/query", body={})
    assert create(shipping_service_id=services["shipping_services"][0]["id"]) == 0
    assert create() == 21011006
    assert seller.code("POST", "/fulfillment/202309/packages", body={"order_id": new_order(seller)}) == 21008106


def test_packages_are_found_by_state_and_time(seller: ShopApp) -> None:
    path = "/fulfillment/202309/packages/search"
    found = seller.ok("POST", path, {"page_size": 50}, {})
    assert found["total_count"] == len(found["packages"])
    moving = seller.ok("POST", path, {"page_size": 50}, {"package_status": "FULFILLING"})["packages"]
    assert {one["status"] for one in moving} == {"FULFILLING"}
    assert seller.code("POST", path, {"page_size": 51}, {}) == 21001001
    assert seller.code("POST", path, {}, {}) == 36009004


def test_packages_can_be_split_combined_and_taken_apart(seller: ShopApp) -> None:
    sku = search(seller, order_status="AWAITING_SHIPMENT", **ABROAD)[0]["line_items"][0]["sku_id"]
    shop = next(one["id"] for row in seller.control("GET", "/sellers") for one in row["shops"] if one["region"] == "SG")
    ids = [new_order(seller, [{"sku_id": sku, "quantity": 2}], shop_id=shop, user_id="7494") for _ in range(2)]

    def packages(order_id: str) -> list[str]:
        [order] = seller.ok("GET", "/order/202309/orders", {"ids": order_id}, **ABROAD)["orders"]
        return [one["id"] for one in order["packages"]]

    both = [{"id": packages(order_id)[0]} for order_id in ids]
    combined = seller.ok("POST", "/fulfillment/202309/packages/combine", body={"combinable_packages": both}, **ABROAD)
    [package] = combined["packages"]
    assert packages(ids[0]) == packages(ids[1]) == [package["id"]]
    apart = seller.ok("POST", f"/fulfillment/202309/packages/{package['id']}/uncombine", **ABROAD)
    assert [one["order_ids"] for one in apart["packages"]] == [[order_id] for order_id in ids]
    [order] = seller.ok("GET", "/order/202309/orders", {"ids": ids[0]}, **ABROAD)["orders"]
    groups = [
        {"id": str(number), "order_line_item_ids": [line["id"]]} for number, line in enumerate(order["line_items"])
    ]
    path = f"/fulfillment/202309/orders/{ids[0]}/split"
    made = seller.ok("POST", path, body={"splittable_groups": groups}, **ABROAD)["packages"]
    assert sorted(packages(ids[0])) == sorted(one["id"] for one in made)


def test_warehouses_lead_to_options_and_options_to_carriers(seller: ShopApp) -> None:
    warehouses = seller.ok("GET", "/logistics/202309/warehouses")["warehouses"]
    assert [one["type"] for one in warehouses] == ["SALES_WAREHOUSE", "SALES_WAREHOUSE", "RETURN_WAREHOUSE"]
    assert "distict" in warehouses[0]["address"]
    options = seller.ok("GET", f"/logistics/202309/warehouses/{warehouses[0]['id']}/delivery_options")
    assert "SEND_BY_SELLER" in {one["type"] for one in options["delivery_options"]}
    assert set(carriers(seller)) == {"Amazon", "USPS", "UPS", "FedEx"}
