"""Units of the sandbox's Amazon: what orders take, what summaries show, and what the sandbox-only calls do."""

from urllib.parse import quote

import pytest

from tests.sandbox.amazon import COUNTDOWN, MAT, ORDERS, TOKENS, TOWER, US, Amazon, error

SHIPPED = 912


def test_summaries_show_a_sale_some_time_after_it(seller_central: Amazon) -> None:
    assert seller_central.shown(COUNTDOWN) == 193
    seller_central.create("TTS-1", (COUNTDOWN, 3))
    assert seller_central.stock(COUNTDOWN)["fulfillable"] == 190
    seller_central.advance(59)
    assert seller_central.shown(COUNTDOWN) == 193
    seller_central.advance(1)
    (one,) = seller_central.summaries(sellerSkus=COUNTDOWN).json()["payload"]["inventorySummaries"]
    details = one["inventoryDetails"]
    assert (details["fulfillableQuantity"], details["reservedQuantity"]["totalReservedQuantity"]) == (190, 4)
    assert one["totalQuantity"] == 194, "what is reserved is still there"
    seller_central.settings(stock_seconds=0)
    seller_central.advance(SHIPPED)
    (one,) = seller_central.summaries(sellerSkus=COUNTDOWN).json()["payload"]["inventorySummaries"]
    assert (one["totalQuantity"], one["inventoryDetails"]["fulfillableQuantity"]) == (191, 190)


def test_a_shortage_is_answered_as_the_policy_says(seller_central: Amazon) -> None:
    seller_central.create("kill", (TOWER, 4))
    seller_central.create("available", (TOWER, 4), fulfillmentPolicy="FillAllAvailable")
    seller_central.create("all", (TOWER, 1), (COUNTDOWN, 1), fulfillmentPolicy="FillAll")
    seller_central.advance(SHIPPED)
    assert [seller_central.status(name) for name in ("kill", "available", "all")] == [
        "Unfulfillable", "CompletePartialled", "Processing",
    ]  # fmt: skip
    (item,) = seller_central.get("available")["fulfillmentOrderItems"]
    assert (item["quantity"], item["cancelledQuantity"]) == (4, 1)
    seller_central.advance(86_400)
    seller_central.connect()
    assert seller_central.status("all") == "CompletePartialled"
    assert seller_central.stock(TOWER)["fulfillable"] == 0


def test_a_shortage_may_be_refused_at_once(seller_central: Amazon) -> None:
    seller_central.settings(shortage_at_once=True)
    assert error(seller_central.create("TTS-1", (TOWER, 4))) == "400 InvalidInput"
    assert error(seller_central.create("TTS-2", (TOWER, 2), (TOWER, 2))) == "400 InvalidInput"
    assert seller_central.create("TTS-3", (TOWER, 3)).status_code == 200


def test_what_arrives_goes_to_orders_that_wait_for_it(seller_central: Amazon) -> None:
    seller_central.create("TTS-1", (MAT, 2), (COUNTDOWN, 1), fulfillmentPolicy="FillAll")
    seller_central.create("TTS-2", (MAT, 1), fulfillmentPolicy="FillAll")
    seller_central.advance(SHIPPED)
    assert (seller_central.status("TTS-1"), seller_central.status("TTS-2")) == ("Processing", "Received")
    seller_central.control("POST", f"/inbound/emberfold/{MAT}", quantity=3, seconds=60)
    seller_central.advance(60 + SHIPPED)
    assert (seller_central.status("TTS-1"), seller_central.status("TTS-2")) == ("Complete", "Complete")
    assert len(seller_central.get("TTS-1")["fulfillmentShipments"]) == 2
    one = seller_central.stock(MAT)
    assert (one["fulfillable"], one["sold"], one["oversold"]) == (0, 3, 0)


def test_units_found_damaged_leave_an_order_partly_done(seller_central: Amazon) -> None:
    seller_central.fate(short_units=2)
    seller_central.create("TTS-1", (COUNTDOWN, 3))
    seller_central.fate(short_units=1)
    seller_central.create("TTS-2", (COUNTDOWN, 1))
    seller_central.advance(SHIPPED)
    assert (seller_central.status("TTS-1"), seller_central.status("TTS-2")) == ("CompletePartialled", "Unfulfillable")
    (item,) = seller_central.get("TTS-1")["fulfillmentOrderItems"]
    assert (item["quantity"], item["unfulfillableQuantity"]) == (3, 2)
    one = seller_central.stock(COUNTDOWN)
    assert (one["fulfillable"], one["unfulfillable"], one["sold"]) == (189, 3, 1)


def test_amazon_s_own_shop_sells_the_same_units(seller_central: Amazon) -> None:
    assert seller_central.control("POST", f"/sell/emberfold/{TOWER}", quantity=2)["fulfillable"] == 1
    assert seller_central.control("POST", f"/sell/emberfold/{TOWER}", quantity=2)["fulfillable"] == 0
    seller_central.create("TTS-1", (TOWER, 1))
    seller_central.advance(2)
    assert seller_central.status() == "Unfulfillable"
    one = seller_central.stock(TOWER)
    assert (one["shop_sold"], one["sold"], one["supplied"], one["oversold"]) == (3, 0, 3, 0)


def test_no_order_takes_what_another_one_has(seller_central: Amazon) -> None:
    for number in range(5):
        seller_central.create(f"TTS-{number}", (TOWER, 1))
    seller_central.call("PUT", f"{ORDERS}/TTS-0/cancel")
    seller_central.create("TTS-5", (TOWER, 1))
    seller_central.advance(SHIPPED)
    statuses = [seller_central.status(f"TTS-{number}") for number in range(6)]
    assert statuses == ["Cancelled", "Complete", "Complete", "Unfulfillable", "Unfulfillable", "Complete"]
    assert seller_central.stock(TOWER)["sold"] == 3


@pytest.mark.parametrize(
    "query",
    [
        {"granularityType": "Region"},
        {"granularityId": "A1F83G8C2ARO7P"},
        {"marketplaceIds": f"{US},A2EUQ1WTGCTBG2"},
        {"sellerSkus": ",".join(f"sku-{number}" for number in range(51))},
        {"startDateTime": "2020-01-01T00:00:00Z"},
        {"startDateTime": "yesterday"},
        {"nextToken": "x"},
    ],
)
def test_a_bad_question_for_stock_is_refused(seller_central: Amazon, query: dict[str, str]) -> None:
    assert error(seller_central.summaries(**query)) == "400 InvalidInput"


def test_summaries_come_in_pages_whose_token_lasts_thirty_seconds(seller_central: Amazon) -> None:
    seller_central.settings(rate_multiplier=0)
    first = seller_central.summaries().json()
    token = first["pagination"]["nextToken"]
    assert "nextToken" not in first["payload"]
    rest = seller_central.summaries(nextToken=token).json()
    assert "pagination" not in rest
    found = [one["sellerSku"] for page in (first, rest) for one in page["payload"]["inventorySummaries"]]
    assert len(found) == len(set(found)) == 53
    assert "EF-STO-VLT-1200-MFN" not in found, "not at Amazon"
    seller_central.advance(30)
    assert error(seller_central.summaries(nextToken=token)) == "400 InvalidInput"


def test_summaries_of_some_skus_and_of_what_changed(seller_central: Amazon) -> None:
    seller_central.settings(rate_multiplier=0)
    odd = "EF DIC 7 AMB,EF/TRY/FLD/BLK,ef-ctr-spn-10"
    found = seller_central.summaries(sellerSkus=odd, details="false").json()["payload"]["inventorySummaries"]
    assert [one["sellerSku"] for one in found] == ["EF DIC 7 AMB", "EF/TRY/FLD/BLK"]
    assert "inventoryDetails" not in found[0]
    seller_central.advance(3600)
    seller_central.connect()
    start = seller_central.control("GET", "//clock")["now"]
    seller_central.create("TTS-1", (TOKENS, 1))
    seller_central.advance(60)
    when = seller_central.get()["fulfillmentOrder"]["receivedDate"]
    changed = seller_central.summaries(startDateTime=when, sellerSkus=TOWER).json()["payload"]["inventorySummaries"]
    assert [one["sellerSku"] for one in changed] == [TOKENS], "the filter of SKUs is disregarded"
    assert start < seller_central.stock(TOKENS)["updated"]


def test_the_calls_of_sandboxes_make_add_and_delete_a_sku(seller_central: Amazon) -> None:
    seller_central.settings(stock_seconds=0, rate_multiplier=0)
    path, sku = "/fba/inventory/v1/items", "NEW/1 x"
    new = {"sellerSku": sku, "marketplaceId": US, "productName": "New thing"}
    assert seller_central.call("POST", path, json=new).status_code == 200
    assert error(seller_central.call("POST", path, json=new)) == "400 InvalidInput"
    body = {"inventoryItems": [{"sellerSku": sku, "marketplaceId": US, "quantity": 5}]}
    assert error(seller_central.call("POST", f"{path}/inventory", json=body)) == "400 InvalidInput"
    for token in ("a", "a", "b"):
        headers = {"x-amzn-idempotency-token": token}
        assert seller_central.call("POST", f"{path}/inventory", json=body, headers=headers).status_code == 200
    assert seller_central.shown(sku) == 10
    for status in (200, 404):
        gone = seller_central.call("DELETE", f"{path}/{quote(sku, safe='')}", params={"marketplaceId": US})
        assert gone.status_code == status


def test_a_barcode_finds_the_asin(seller_central: Amazon) -> None:
    def search(identifiers: str, kind: str = "EAN") -> list[str]:
        query = {"identifiers": identifiers, "identifiersType": kind, "marketplaceIds": US}
        answer = seller_central.call("GET", "/catalog/2022-04-01/items", params=query).json()
        assert answer["numberOfResults"] == len(answer["items"])
        return [one["asin"] for one in answer["items"]]

    seller_central.settings(rate_multiplier=0)
    seller_central.control("POST", "/sellers", name="second")
    assert search("9520000000516") == ["B0EF000048"]
    assert search("9520000000516,9520000000011,0000000000000") == ["B0EF000001", "B0EF000048"]
    assert search("EF-CTR-SPN-10", "SKU") == ["B0EF000048"]
    query = {"identifiers": "1", "identifiersType": "ISSN", "marketplaceIds": US}
    assert error(seller_central.call("GET", "/catalog/2022-04-01/items", params=query)) == "400 InvalidInput"
