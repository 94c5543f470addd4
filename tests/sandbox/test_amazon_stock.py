"""Units of the sandbox's Amazon: what orders take, what summaries show, and what the sandbox-only calls do."""

import contextlib
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.amazon_sp import life, orders, sellers, stock
from sandbox.amazon_sp.answers import Refusal
from sandbox.amazon_sp.fates import Fate
from sandbox.amazon_sp.settings import AmazonSpSettings
from sandbox.amazon_sp.state import SCHEMA, AmazonState
from sandbox.clock import Clock
from sandbox.store import Store
from tests.sandbox.amazon import COUNTDOWN, MAT, ORDERS, TOKENS, TOWER, US, Amazon, error, order

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
    assert (one["fulfillable"], one["sold"]) == (0, 3)


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
    assert (one["shop_sold"], one["sold"], one["supplied"]) == (3, 0, 3)


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


SKUS = (TOWER, MAT)
_UNITS = st.integers(1, 4)
_FATES = st.fixed_dictionaries(
    {},
    optional={
        "check": st.sampled_from(["good", "invalid", "unfulfillable"]), "shipments": st.integers(1, 3),
        "packages": st.integers(1, 3), "replans": st.integers(0, 2), "short_units": st.integers(0, 3),
        "tracking_number_seconds": st.sampled_from([0, 50]),
    },
)  # fmt: skip
_LINES = st.lists(st.tuples(st.sampled_from(SKUS), _UNITS), min_size=1, max_size=3)
_POLICIES = st.sampled_from(["FillOrKill", "FillAll", "FillAllAvailable"])
_STEPS = st.one_of(
    st.tuples(st.just("order"), _LINES, _POLICIES, st.sampled_from(["Ship", "Hold"]), _FATES),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("release"), st.integers(0, 5)),
    st.tuples(st.just("resize"), st.integers(0, 5), st.integers(0, 5)),
    st.tuples(st.sampled_from(["sell", "receive", "inbound"]), st.sampled_from(SKUS), _UNITS),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 20.0, 400.0, 700.0, 90_000.0])),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(_STEPS, min_size=1, max_size=25))
def test_units_are_never_lost_nor_sold_twice_whatever_happens(steps: list[tuple[Any, ...]]) -> None:
    store = Store(None, [SCHEMA])
    clock = Clock(store)
    clock.freeze()
    defaults = AmazonSpSettings(package_seconds=30, cancel_seconds=5)
    state = AmazonState(store, clock, "id", "secret", defaults)
    for name in sellers.seed(state):
        stock.seed(state, name)
    seller = sellers.seller(state, "emberfold")
    for number, step in enumerate(steps):
        life.settle(state)
        with contextlib.suppress(Refusal), store.transaction():
            _do(state, seller, number, step)
        _balance(state)
    clock.advance(40 * 86_400)
    life.settle(state)
    for one in _balance(state):
        assert one.status in life.FINAL
        assert not any(line["reserved"] or line["waiting"] for line in one.doc["lines"])
    store.close()


def _do(state: AmazonState, seller: sellers.Seller, number: int, step: tuple[Any, ...]) -> None:
    match step:
        case ("order", items, policy, action, fate):
            state.store.run(
                "INSERT INTO amazon_fate (order_id, sku, fate, remaining) VALUES (?, '', ?, 1)",
                *(f"T{number}", Fate.model_validate(fate).model_dump_json()),
            )
            body = order(f"T{number}", *items, fulfillmentPolicy=policy, fulfillmentAction=action)
            orders.create(state, seller, json.dumps(body).encode())
        case ("cancel", which):
            orders.cancel(state, seller, f"T{which}")
        case ("release", which):
            orders.update(state, seller, f"T{which}", b'{"fulfillmentAction": "Ship"}')
        case ("resize", which, units):
            items = [{"sellerFulfillmentOrderItemId": "line-0", "quantity": units}]
            orders.update(state, seller, f"T{which}", json.dumps({"items": items}).encode())
        case ("sell", sku, units):
            stock.sell(state, seller.name, sku, units, state.clock.now())
        case ("receive", sku, units):
            stock.receive(state, seller.name, sku, units, state.clock.now())
            life.goods_arrived(state, seller.name, sku, state.clock.now())
        case ("inbound", sku, units):
            stock.send_inbound(state, seller.name, sku, units, 100)
        case ("wait", seconds):
            state.clock.advance(seconds)


def _balance(state: AmazonState) -> list[life.Order]:
    found = [life.load(row) for row in state.store.all("SELECT * FROM amazon_order")]
    for one in found:
        shipped = [0] * len(one.doc["lines"])
        for shipment in one.doc["shipments"]:
            for index, quantity, place in shipment["items"]:
                shipped[index] += quantity if shipment["packages"][place]["left"] is not None else 0
        for line, units in zip(one.doc["lines"], shipped, strict=True):
            parts = [line[name] for name in ("reserved", "shipped", "waiting", "unfulfillable", "cancelled")]
            assert min(parts) >= 0
            assert sum(parts) == line["quantity"]
            assert line["shipped"] == units
    for sku in SKUS:
        row = stock.existing(state, "emberfold", sku)
        assert min(row[name] for name in stock.COUNTS) >= 0
        assert row["supplied"] == row["fulfillable"] + row["sold"] + row["shop_sold"]
        lines = [line for one in found for line in one.doc["lines"] if line["sku"] == sku]
        assert row["sold"] == sum(line["reserved"] + line["shipped"] for line in lines)
    return found
