"""Fulfilment orders: what is taken, what is refused, and how they live."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.amazon import ADDRESS, COUNTDOWN, MAT, ORDERS, TOKENS, TOWER, US, Amazon, error, order

CREATED, CHECKED, PLANNED, PROCESSED, SHIPPED = 0, 2, 12, 312, 912
DELIVERED = SHIPPED + 3600 + 2 * 86_400


def test_a_creation_answers_nothing_and_the_order_is_read_back(seller_central: Amazon) -> None:
    answer = seller_central.create("TTS-576461413038785752-1")
    assert (answer.status_code, answer.json()) == (200, {})
    payload = seller_central.get("TTS-576461413038785752-1")
    head = payload["fulfillmentOrder"]
    sent = order("TTS-576461413038785752-1")
    assert {name: head[name] for name in sent if name != "items"} == {
        name: value for name, value in sent.items() if name != "items"
    }
    assert (head["fulfillmentOrderStatus"], head["fulfillmentPolicy"], head["fulfillmentAction"]) == (
        "New", "FillOrKill", "Ship",
    )  # fmt: skip
    (item,) = payload["fulfillmentOrderItems"]
    assert (item["sellerSku"], item["quantity"], item["cancelledQuantity"]) == (COUNTDOWN, 1, 0)
    assert payload["fulfillmentShipments"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"sellerFulfillmentOrderId": "x" * 41},
        {"sellerFulfillmentOrderId": ""},
        {"displayableOrderId": "x" * 41},
        {"displayableOrderId": "two  blanks"},
        {"displayableOrderId": " trimmed"},
        {"displayableOrderId": "限定"},
        {"displayableOrderDate": "2026-11-20"},
        {"displayableOrderDate": "2026-11-20T18:00:00"},
        {"displayableOrderComment": ""},
        {"displayableOrderComment": "x" * 751},
        {"displayableOrderComment": None},
        {"shippingSpeedCategory": "Priority"},
        {"shippingSpeedCategory": "ScheduledDelivery"},
        {"shippingSpeedCategory": "standard"},
        {"fulfillmentPolicy": "fillorkill"},
        {"marketplaceId": "A1F83G8C2ARO7P"},
        {"notificationEmails": ["x" * 65]},
        {"featureConstraints": [{"featureName": "GIFT_WRAP", "featureFulfillmentPolicy": "Required"}]},
        {"codSettings": {"isCodRequired": False}},
        {"destinationAddress": {**ADDRESS, "name": "x" * 51}},
        {"destinationAddress": {**ADDRESS, "addressLine1": "x" * 61}},
        {"destinationAddress": {**ADDRESS, "city": None}},
        {"destinationAddress": {**ADDRESS, "countryCode": "us"}},
        {"destinationAddress": {name: value for name, value in ADDRESS.items() if name != "postalCode"}},
        {"items": []},
        {"items": [{"sellerSku": COUNTDOWN, "sellerFulfillmentOrderItemId": "1", "quantity": 0}]},
        {"items": [{"sellerSku": "unknown", "sellerFulfillmentOrderItemId": "1", "quantity": 1}]},
        {"items": [{"sellerSku": COUNTDOWN.lower(), "sellerFulfillmentOrderItemId": "1", "quantity": 1}]},
        {"items": [{"sellerSku": "EF-STO-VLT-1200-MFN", "sellerFulfillmentOrderItemId": "1", "quantity": 1}]},
        {"items": [{"sellerSku": TOKENS, "sellerFulfillmentOrderItemId": "1", "quantity": 251}]},
        {"items": [{"sellerSku": COUNTDOWN, "sellerFulfillmentOrderItemId": "1", "quantity": 1}] * 2},
        {"MarketplaceIds": [US]},
    ],
)
def test_what_breaks_a_documented_rule_is_refused_and_nothing_is_created(
    seller_central: Amazon, changes: dict[str, Any]
) -> None:
    answer = seller_central.create("TTS-1", **changes)
    assert error(answer) == "400 InvalidInput"
    assert ADDRESS["addressLine1"] not in answer.text
    assert seller_central.control("GET", "/orders") == []


def test_a_refusal_names_every_missing_parameter(seller_central: Amazon) -> None:
    address = {name: value for name, value in ADDRESS.items() if name not in ("postalCode", "name")}
    message = seller_central.create(destinationAddress=address).json()["errors"][0]["message"]
    assert "Name" in message
    assert "PostalCode" in message


def test_an_id_is_taken_once_for_ever(seller_central: Amazon) -> None:
    seller_central.create("TTS-1")
    assert error(seller_central.create("TTS-1")) == "400 InvalidInput"
    assert seller_central.call("PUT", f"{ORDERS}/TTS-1/cancel").json() == {}
    assert error(seller_central.create("TTS-1")) == "400 InvalidInput"
    (one,) = seller_central.control("GET", "/orders")
    assert one["repeats"] == 2


def test_a_plus_sign_is_read_back_as_a_blank_and_two_blanks_hide_an_order(seller_central: Amazon) -> None:
    seller_central.create("A+1")
    for path in ("A+1", "A%2B1", "A%201"):
        found = seller_central.call("GET", f"{ORDERS}/{path}").json()["payload"]["fulfillmentOrder"]
        assert found["sellerFulfillmentOrderId"] == "A 1"
    seller_central.create("B  1")
    assert seller_central.call("GET", f"{ORDERS}/{quote('B  1')}").status_code == 403


def test_a_new_order_may_stay_hidden_for_a_while_and_is_refused_twice_all_the_same(seller_central: Amazon) -> None:
    seller_central.settings(visible_seconds=10)
    seller_central.create("TTS-1")
    assert error(seller_central.call("GET", f"{ORDERS}/TTS-1")) == "404 NotFound"
    assert error(seller_central.create("TTS-1")) == "400 InvalidInput"
    seller_central.advance(10)
    assert seller_central.status("TTS-1") == "Received"


def test_an_order_goes_its_way_until_it_is_shipped_and_then_delivered(seller_central: Amazon) -> None:
    seller_central.create("TTS-1", (COUNTDOWN, 2), (TOKENS, 1))
    seen = []
    for seconds in (CHECKED, PLANNED - CHECKED, PROCESSED - PLANNED, SHIPPED - PROCESSED):
        seller_central.advance(seconds)
        shipments = seller_central.get()["fulfillmentShipments"]
        seen.append((seller_central.status(), [one["fulfillmentShipmentStatus"] for one in shipments]))
    assert seen == [("Received", []), ("Planning", ["PENDING"]), ("Processing", ["PENDING"]), ("Complete", ["SHIPPED"])]
    (package,) = seller_central.packages()
    assert package["trackingNumber"]
    (shipment,) = seller_central.get()["fulfillmentShipments"]
    assert {item["packageNumber"] for item in shipment["fulfillmentShipmentItem"]} == {package["packageNumber"]}
    assert sorted(item["quantity"] for item in shipment["fulfillmentShipmentItem"]) == [1, 2]
    tracked = seller_central.track(package["packageNumber"])
    assert (tracked["currentStatus"], tracked["trackingEvents"][0]["eventCode"]) == ("IN_TRANSIT", "EVENT_101")
    seller_central.advance(DELIVERED - SHIPPED)
    seller_central.connect()
    tracked = seller_central.track(package["packageNumber"])
    assert (tracked["currentStatus"], tracked["trackingEvents"][0]["eventCode"]) == ("DELIVERED", "EVENT_301")
    assert tracked["shipToAddress"] == {"city": "Bridgeport", "state": "CA", "country": "US"}


def test_what_happened_while_nobody_looked_has_its_own_time(seller_central: Amazon) -> None:
    start = seller_central.control("GET", "//clock")["now"]
    seller_central.create()
    seller_central.advance(SHIPPED + 3000)
    one = seller_central.control("GET", "/orders/emberfold/TTS-1")
    assert (one["status"], one["updated"]) == ("Complete", pytest.approx(start + SHIPPED))


def test_an_american_order_of_one_unit_gets_amazon_s_number_before_the_carrier_s(seller_central: Amazon) -> None:
    seller_central.fate(carrier_code="USPS", sku=COUNTDOWN, count=2)
    seller_central.create("TTS-1", (COUNTDOWN, 1))
    seller_central.create("TTS-2", (COUNTDOWN, 2))
    seller_central.advance(120)
    (early,) = seller_central.packages("TTS-1")
    assert early["amazonFulfillmentTrackingNumber"]
    assert "trackingNumber" not in early
    assert seller_central.packages("TTS-2") == []
    assert seller_central.track(early["packageNumber"])["trackingEvents"] == []
    seller_central.advance(SHIPPED - 120)
    (late,) = seller_central.packages("TTS-1")
    assert late["amazonFulfillmentTrackingNumber"] == early["amazonFulfillmentTrackingNumber"]
    assert (late["carrierCode"], late["trackingNumber"][:2]) == ("USPS", "94")


@pytest.mark.parametrize(
    ("fate", "package"),
    [
        ({"lose_aftn": True}, {"amazonFulfillmentTrackingNumber": None}),
        ({"carrier_code": "Hermes IT"}, {"carrierCode": "Hermes IT"}),
        ({"tracking_number": "1Z999"}, {"trackingNumber": "1Z999"}),
        ({"tracking_number": ""}, {"trackingNumber": None}),
        ({"tracking_number_seconds": 60}, {"trackingNumber": None}),
    ],
)
def test_a_fate_changes_what_a_package_shows(
    seller_central: Amazon, fate: dict[str, Any], package: dict[str, Any]
) -> None:
    seller_central.fate(**fate)
    seller_central.create()
    seller_central.advance(SHIPPED)
    (found,) = seller_central.packages()
    assert {name: found.get(name) for name in package} == package
    seller_central.advance(60)
    if "tracking_number_seconds" in fate:
        assert seller_central.packages()[0]["trackingNumber"]


def test_an_order_may_go_in_several_shipments_and_packages(seller_central: Amazon) -> None:
    seller_central.settings(package_seconds=60)
    seller_central.fate(shipments=2, packages=2)
    seller_central.create("TTS-1", (COUNTDOWN, 3), (TOKENS, 1))
    seller_central.advance(SHIPPED)
    assert seller_central.status() == "Processing"
    assert len(seller_central.packages()) == 2, "one of each shipment has left"
    seller_central.advance(60)
    assert seller_central.status() == "Complete"
    assert len({package["packageNumber"] for package in seller_central.packages()}) == 4
    shipments = seller_central.get()["fulfillmentShipments"]
    units: dict[str, int] = {}
    for item in (item for shipment in shipments for item in shipment["fulfillmentShipmentItem"]):
        units[item["sellerSku"]] = units.get(item["sellerSku"], 0) + item["quantity"]
    assert units == {COUNTDOWN: 3, TOKENS: 1}


def test_a_shipment_that_amazon_cancels_is_followed_by_another(seller_central: Amazon) -> None:
    seller_central.fate(replans=1)
    seller_central.create()
    seller_central.advance(120)
    first = seller_central.packages()[0]["amazonFulfillmentTrackingNumber"]
    seller_central.advance(SHIPPED - 120)
    statuses = [one["fulfillmentShipmentStatus"] for one in seller_central.get()["fulfillmentShipments"]]
    assert (seller_central.status(), statuses) == ("Processing", ["CANCELLED_BY_FULFILLER", "PENDING"])
    seller_central.advance(600)
    old, new = seller_central.packages()
    assert seller_central.status() == "Complete"
    assert "trackingNumber" not in old
    assert new["trackingNumber"]
    assert old["amazonFulfillmentTrackingNumber"] == first
    assert new["amazonFulfillmentTrackingNumber"] != first


@pytest.mark.parametrize(("check", "status"), [("invalid", "Invalid"), ("unfulfillable", "Unfulfillable")])
def test_an_order_that_was_taken_may_still_end_badly(seller_central: Amazon, check: str, status: str) -> None:
    seller_central.fate(check=check)
    before = seller_central.stock(COUNTDOWN)["fulfillable"]
    assert seller_central.create().json() == {}
    assert seller_central.status() == "New"
    seller_central.advance(CHECKED)
    assert seller_central.status() == status
    assert seller_central.get()["fulfillmentOrderItems"][0]["unfulfillableQuantity"] == 1
    assert seller_central.stock(COUNTDOWN)["fulfillable"] == before


def test_an_address_abroad_ends_as_invalid(seller_central: Amazon) -> None:
    seller_central.create(destinationAddress={**ADDRESS, "countryCode": "CA"})
    seller_central.advance(CHECKED)
    assert seller_central.status() == "Invalid"


def test_dangerous_goods_go_to_no_post_box(seller_central: Amazon) -> None:
    box = {**ADDRESS, "addressLine1": "PO Box 1088"}
    seller_central.create("TTS-1", ("EF-CLN-100", 1), destinationAddress=box)
    seller_central.create("TTS-2", (COUNTDOWN, 1), destinationAddress=box)
    seller_central.advance(CHECKED)
    assert (seller_central.status("TTS-1"), seller_central.status("TTS-2")) == ("Invalid", "Received")


def test_an_order_is_canceled_until_it_is_processed(seller_central: Amazon) -> None:
    before = seller_central.stock(COUNTDOWN)["fulfillable"]
    seller_central.create("TTS-1", (COUNTDOWN, 3))
    seller_central.create("TTS-2")
    seller_central.advance(PLANNED)
    for _ in range(2):
        answer = seller_central.call("PUT", f"{ORDERS}/TTS-1/cancel")
        assert (answer.status_code, answer.json()) == (200, {}), "it may be asked for again"
    payload = seller_central.get("TTS-1")
    assert payload["fulfillmentOrder"]["fulfillmentOrderStatus"] == "Cancelled"
    assert payload["fulfillmentOrderItems"][0]["cancelledQuantity"] == 3
    assert payload["fulfillmentShipments"][0]["fulfillmentShipmentStatus"] == "CANCELLED_BY_SELLER"
    seller_central.advance(PROCESSED - PLANNED)
    assert error(seller_central.call("PUT", f"{ORDERS}/TTS-2/cancel")) == "400 InvalidInput"
    assert seller_central.status("TTS-2") == "Processing"
    assert seller_central.stock(COUNTDOWN)["fulfillable"] == before - 1


def test_a_cancellation_is_a_request_that_may_come_too_late(seller_central: Amazon) -> None:
    seller_central.settings(cancel_seconds=30)
    seller_central.create()
    seller_central.advance(PROCESSED - 10)
    assert seller_central.call("PUT", f"{ORDERS}/TTS-1/cancel").json() == {}
    assert seller_central.status() == "Planning"
    seller_central.advance(SHIPPED)
    assert seller_central.status() == "Complete"


def test_an_order_on_hold_waits_can_be_changed_and_is_released(seller_central: Amazon) -> None:
    seller_central.create("TTS-1", fulfillmentAction="Hold")
    seller_central.create("TTS-2", fulfillmentAction="Hold")
    seller_central.advance(86_400)
    seller_central.connect()
    assert seller_central.status("TTS-1") == "Received"
    change = {"items": [{"sellerFulfillmentOrderItemId": "line-0", "quantity": 2}], "displayableOrderComment": "New"}
    assert seller_central.call("PUT", f"{ORDERS}/TTS-1", json=change).json() == {}
    assert seller_central.call("PUT", f"{ORDERS}/TTS-1", json={"fulfillmentAction": "Ship"}).json() == {}
    assert error(seller_central.call("PUT", f"{ORDERS}/TTS-1", json=change)) == "400 InvalidInput"
    payload = seller_central.get("TTS-1")
    assert payload["fulfillmentOrder"]["displayableOrderComment"] == "New"
    assert payload["fulfillmentOrderItems"][0]["quantity"] == 2
    seller_central.advance(14 * 86_400)
    seller_central.connect()
    assert (seller_central.status("TTS-1"), seller_central.status("TTS-2")) == ("Complete", "Cancelled")


def test_the_list_has_orders_that_changed_without_their_items_fifty_at_a_time(seller_central: Amazon) -> None:
    seller_central.settings(rate_multiplier=0)
    for number in range(60):
        seller_central.create(f"TTS-{number}")
    seller_central.advance(SHIPPED)
    start = seller_central.get("TTS-0")["fulfillmentOrder"]["statusUpdatedDate"]
    first = seller_central.call("GET", ORDERS, params={"queryStartDate": start}).json()["payload"]
    rest = seller_central.call("GET", ORDERS, params={"nextToken": first["nextToken"]}).json()["payload"]
    found = first["fulfillmentOrders"] + rest["fulfillmentOrders"]
    assert len(first["fulfillmentOrders"]) == 50
    assert "nextToken" not in rest
    assert len({one["sellerFulfillmentOrderId"] for one in found}) == 60
    assert not {"items", "fulfillmentShipments"} & set(found[0])
    assert error(seller_central.call("GET", ORDERS, params={"nextToken": "x"})) == "400 InvalidInput"
    seller_central.advance(36 * 3600 + 1)
    seller_central.connect()
    assert seller_central.call("GET", ORDERS).json()["payload"]["fulfillmentOrders"] == []


@pytest.mark.parametrize(
    ("spelling", "order_status", "shipment_status"),
    [("model", "Complete", "SHIPPED"), ("notifications", "Complete", "Shipped"), ("upper", "COMPLETE", "SHIPPED")],
)
def test_statuses_come_in_each_spelling(
    seller_central: Amazon, spelling: str, order_status: str, shipment_status: str
) -> None:
    seller_central.settings(status_spelling=spelling, marketplace_spelling="missing")
    seller_central.create()
    seller_central.advance(SHIPPED)
    (shipment,) = seller_central.get()["fulfillmentShipments"]
    assert (seller_central.status(), shipment["fulfillmentShipmentStatus"]) == (order_status, shipment_status)
    (listed,) = seller_central.call("GET", ORDERS).json()["payload"]["fulfillmentOrders"]
    assert "marketplaceId" not in listed


def test_a_preview_tells_speeds_dates_and_fees(seller_central: Amazon) -> None:
    standard, expedited, priority = seller_central.preview((COUNTDOWN, 1))
    assert [one["isFulfillable"] for one in (standard, expedited, priority)] == [True, True, False]
    assert priority["orderUnfulfillableReasons"] == ["DeliverySLAUnavailable"]
    (fast,), (slow,) = expedited["fulfillmentPreviewShipments"], standard["fulfillmentPreviewShipments"]
    assert fast["latestArrivalDate"] < slow["latestArrivalDate"]
    assert all(float(fee["amount"]["value"]) >= 0 for fee in standard["estimatedFees"])
    hawaii = {**ADDRESS, "stateOrRegion": "HI"}
    (far,) = seller_central.preview((COUNTDOWN, 1), address=hawaii, shippingSpeedCategories=["Standard"])
    assert far["fulfillmentPreviewShipments"][0]["latestArrivalDate"] > slow["latestArrivalDate"]
    abroad = {**ADDRESS, "countryCode": "CA"}
    for one in seller_central.preview((COUNTDOWN, 1), address=abroad):
        assert not one["isFulfillable"]
        assert "InvalidDestinationAddress" in one["orderUnfulfillableReasons"]


def test_a_preview_counts_goods_that_are_still_on_the_road(seller_central: Amazon) -> None:
    assert seller_central.stock(MAT)["fulfillable"] == 0
    assert seller_central.preview((MAT, 1))[0]["isFulfillable"]
    (missing,) = seller_central.preview((TOWER, 4))[0]["unfulfillablePreviewItems"]
    assert (missing["sellerSku"], missing["quantity"]) == (TOWER, 4)
    seller_central.create("TTS-1", (MAT, 1))
    seller_central.advance(CHECKED)
    assert seller_central.status() == "Unfulfillable"


def test_a_test_order_can_be_moved(seller_central: Amazon) -> None:
    for order_id, status in (("a", "Processing"), ("b", "Complete"), ("c", "Invalid"), ("d", "CompletePartialled")):
        seller_central.create(order_id, (COUNTDOWN, 2))
        body = {"fulfillmentOrderStatus": status}
        assert seller_central.call("PUT", f"{ORDERS}/{order_id}/status", json=body).json() == {}
        assert seller_central.status(order_id) == status
    body = {"fulfillmentOrderStatus": "Planning"}
    assert error(seller_central.call("PUT", f"{ORDERS}/b/status", json=body)) == "400 InvalidInput"


def test_features_are_listed_and_looked_up_by_sku(seller_central: Amazon) -> None:
    path, query = "/fba/outbound/2020-07-01/features", {"marketplaceId": US}
    listed = seller_central.call("GET", path, params=query).json()["payload"]["features"]
    assert {"BLOCK_AMZL", "BLANK_BOX"} <= {one["featureName"] for one in listed}
    tray = quote("EF/TRY/FLD/BLK", safe="")
    one = seller_central.call("GET", f"{path}/inventory/BLANK_BOX/{tray}", params=query).json()["payload"]
    assert one["isEligible"]
    none = seller_central.call("GET", f"{path}/inventory/BLANK_BOX/none", params=query).json()["payload"]
    assert none["ineligibleReasons"] == ["INVALID_SKU"]
    every = seller_central.call("GET", f"{path}/inventory/BLANK_BOX", params=query).json()["payload"]
    assert len(every["featureSkus"]) == 53


def test_a_package_of_another_seller_is_not_found(seller_central: Amazon) -> None:
    seller_central.connect("second", seller_central.control("POST", "/sellers", name="second")["refresh_token"])
    seller_central.create()
    seller_central.advance(120)
    number = seller_central.packages()[0]["packageNumber"]
    path = "/fba/outbound/2020-07-01/tracking"
    assert error(seller_central.call("GET", path, "second", params={"packageNumber": number})) == "404 NotFound"
    assert error(seller_central.call("GET", f"{ORDERS}/TTS-1", "second")) == "404 NotFound"
    assert error(seller_central.call("GET", path, params={"packageNumber": 2**31})) == "400 InvalidInput"
