"""The 150 sample orders on real processes: placed at TikTok Shop's stand-in as told, decided, sent to Amazon's,
shipped and delivered by a clock that is moved, each number told. All that a seller does is done through REST.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from services.fulfillment.orders.recipient import Address
from tests.e2e.conftest import TEST_ENVIRONMENT, Product, product
from tests.fulfillment.orders.samples_of import SAMPLES, expected_routing, orders_of_now
from tests.fulfillment.orders.test_address import assert_address_is_as_expected
from tests.fulfillment.routing.cases import rows, sample_context

MINUTE, HOUR, DAY = 60, 3600, 86_400
_REDIRECT_URI = "http://127.0.0.1:8765/callback"
_SELLER = "emberfold"
# Amazon lists the stock of SKUs that it sends, and no others: what the seller sends himself is not known there.
_AS_READ = {"sku_not_fba": "sku_unknown"}
_KINDS = {"route": "ROUTE", "hold": "HOLD", "reject": "LEAVE"}
_OPERATIONS = (
    *("createFulfillmentOrder", "getFulfillmentOrder", "listAllFulfillmentOrders", "cancelFulfillmentOrder"),
    *("getPackageTrackingDetails", "getInventorySummaries"),
)
# What takes a minute takes a second, and the stand-in keeps no rates.
_ENVIRONMENT = {
    **TEST_ENVIRONMENT,
    "REELROUTE_ORDERS_SECONDS": "1",
    "REELROUTE_SHIPMENT_SECONDS": "1",
    "REELROUTE_SHIPMENT_SWEEP_SECONDS": "5",
    "REELROUTE_PARCEL_SECONDS": "2",
    "REELROUTE_STOCK_SECONDS": "1",
    "REELROUTE_STOCK_WHOLE_SECONDS": "20",
    "REELROUTE_AMAZON_SP_RATES": json.dumps({name: [200, 400] for name in _OPERATIONS}),
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Product]:
    with product(_ENVIRONMENT) as started:
        yield started


def test_the_150_sample_orders_end_as_they_should_at_both_vendors(stack: Product) -> None:
    shop_id, merchant_id = furnish(stack)
    moved = place_samples(stack)
    before = {package["id"] for package in packages(stack)}
    expected = expected_routing()
    ours = stack.wait(lambda: decided(stack, set(expected)), 120, lambda: story(stack))
    for order_id, row in expected.items():
        whole = stack.get(f"/v1/orders/{ours[order_id]['order_id']}")
        assert_decided(whole, row)
    routed = {order_id: row for order_id, row in expected.items() if row["decision"] == "route"}
    there = {each["displayable_id"]: each for each in control(stack, "GET", "/amazon_sp/orders?limit=1000")}
    assert there.keys() == routed.keys()
    for order_id, row in routed.items():
        assert_sent(there[order_id], row, moved[order_id])
    # What happens to parcels in days happens now: planning and shipping, the first scan, the way, the delivery.
    for seconds in (2 * MINUTE, 20 * MINUTE):
        control(stack, "POST", "/clock/advance", {"seconds": seconds})
    stack.wait(lambda: told(stack, set(routed)), 120, lambda: story(stack))
    assert_numbers_are_amazons(stack, before)
    for seconds in (12 * HOUR, 4 * DAY):
        control(stack, "POST", "/clock/advance", {"seconds": seconds})
    stack.wait(lambda: delivered(stack, set(routed)), 120, lambda: story(stack))
    assert_no_drift(stack, merchant_id)
    assert stack.get(f"/v1/shops/{shop_id}/routing")["tracking_stop"] == ""


def furnish(stack: Product) -> tuple[str, str]:
    """Connects shop and merchant, brings stock and the map of SKUs, and switches routing on."""
    control(stack, "PATCH", "/amazon_sp/settings", {"rate_multiplier": 0, "stock_seconds": 1})
    start = posted(stack, "/v1/shop-connections", {"seller_region": "US"})
    order = {"authorize_url": start["consent_url"], "subject": _SELLER}
    back = control(stack, "POST", "/tiktok_shop/consents", order)
    code = httpx.URL(back["redirect_url"]).params["code"]
    [shop] = posted(stack, "/v1/shop-connections:finish", {"state": start["state"], "code": code})["shops"]
    sellers = {each["name"]: each for each in control(stack, "GET", "/amazon_sp/sellers")}
    merchant = posted(
        stack,
        "/v1/merchants",
        {
            "name": "Emberfold",
            "seller_id": sellers[_SELLER]["merchant_id"],
            "marketplace": "US",
            "refresh_token": f"Atzr|sandbox-{_SELLER}",
        },
    )
    for row in rows("amazon_inventory.csv"):
        level = {"fulfillable": int(row["fulfillable_quantity"])}
        control(stack, "PUT", f"/amazon_sp/stock/{_SELLER}/{row['amazon_seller_sku']}", level)
    imported = stack.api.post(
        "/v1/sku-mappings:import",
        files={
            "options": (None, json.dumps({"marketplace": "US"}), "application/json"),
            "file": ("sku_map.csv", (SAMPLES / "sku_map.csv").read_bytes(), "text/csv"),
        },
    )
    assert imported.status_code == 200, imported.text
    context = sample_context()
    settings = {
        "is_on": True,
        "merchant_id": merchant["merchant_id"],
        "platform_warehouse_ids": [each["id"] for each in context["warehouses"] if each["fulfils_by_mcf"]],
        "order_prefix": context["sfo_prefix"],
        "speeds": {name: speed.upper() for name, speed in context["delivery_options"].items()},
        "safety_stock": context["settings"]["safety_stock"],
    }
    answer = stack.api.put(f"/v1/shops/{shop['shop_id']}/routing", json=settings)
    assert answer.status_code == 200, answer.text
    wanted = {row["amazon_seller_sku"]: int(row["fulfillable_quantity"]) for row in rows("amazon_inventory.csv")}

    def has_stock() -> bool | None:
        known = {row["amazon_sku"]: row["fulfillable"] for row in pages(stack, path, "stock")}
        at_amazon = {row["amazon_seller_sku"] for row in rows("amazon_inventory.csv") if row["fba"] == "true"}
        return True if all(known.get(sku) == wanted[sku] for sku in at_amazon) else None

    path = f"/v1/merchants/{merchant['merchant_id']}/stock"
    stack.wait(has_stock, 60, lambda: str(list(pages(stack, path, "stock"))[:3]))
    return str(shop["shop_id"]), str(merchant["merchant_id"])


def place_samples(stack: Product) -> dict[str, int]:
    """Places the samples as if each had been created now; returns by how many seconds each was moved."""
    # So that none is changed in the future.
    control(stack, "POST", "/clock/advance", {"seconds": 3 * HOUR})
    orders, moved = orders_of_now()
    for first in range(0, len(orders), 50):
        control(stack, "POST", "/tiktok_shop/told-orders", {"orders": orders[first : first + 50]})
    return moved


def decided(stack: Product, wanted: set[str]) -> dict[str, dict[str, Any]] | None:
    """Our orders by TikTok Shop's ids, once each is decided and what is routed is at Amazon."""
    found = {each["platform_order_id"]: each for each in pages(stack, "/v1/orders", "orders")}
    sent = {each["displayable_id"] for each in control(stack, "GET", "/amazon_sp/orders?limit=1000")}
    is_done = found.keys() >= wanted and all(
        found[each]["state"] != "PENDING" or found[each]["reason"] for each in wanted
    )
    routed = {each for each in wanted if each in found and found[each]["state"] == "ROUTED"}
    return found if is_done and routed <= sent else None


def assert_decided(whole: dict[str, Any], row: dict[str, str]) -> None:
    """What we say of an order against what the samples say."""
    decision, order = whole["decision"], whole["order"]
    if row["reason"] == "cancelled":
        # There is nothing to decide.
        assert (order["state"], whole["shipments"]) == ("CANCELED", [])
        return
    reason = _AS_READ.get(row["reason"], row["reason"])
    assert (decision["kind"], decision["reason"]) == (_KINDS[row["decision"]], reason), row["case"]
    if row["decision"] == "route":
        assert order["state"] == "ROUTED", row["case"]
        [shipment] = whole["shipments"]
        assert shipment["fulfillment_order_id"] == row["sfo_id"]
        return
    assert order["reason"] == reason, row["case"]
    assert order["next_step"], row["case"]
    # What waits for its time is not held.
    assert order["state"] in {"hold": ("HELD", "PENDING"), "reject": ("LEFT",)}[row["decision"]], row["case"]
    assert whole["shipments"] == []


def assert_sent(there: dict[str, Any], row: dict[str, str], moved: int) -> None:
    """What Amazon's stand-in received."""
    request = there["request"]
    assert there["id"] == request["sellerFulfillmentOrderId"] == row["sfo_id"]
    items: dict[str, int] = {}
    for item in request["items"]:
        items[item["sellerSku"]] = items.get(item["sellerSku"], 0) + item["quantity"]
    assert ";".join(f"{sku}*{count}" for sku, count in sorted(items.items())) == row["items"], row["case"]
    assert request["shippingSpeedCategory"] == row["speed"], row["case"]
    assert request["fulfillmentPolicy"] == sample_context()["settings"]["fulfillment_policy"]
    date = datetime.fromisoformat(row["displayable_order_date"]).timestamp() + moved
    assert datetime.fromisoformat(request["displayableOrderDate"]).timestamp() == date, row["case"]
    to = request["destinationAddress"]
    assert_address_is_as_expected(
        Address(
            name=to["name"],
            lines=tuple(to[name] for name in ("addressLine1", "addressLine2", "addressLine3") if to.get(name)),
            city=to.get("city", ""),
            district=to.get("districtOrCounty", ""),
            state=to["stateOrRegion"],
            postal_code=to["postalCode"],
            country_code=to["countryCode"],
            phone=to.get("phone", ""),
        ),
        row,
    )


def told(stack: Product, wanted: set[str]) -> bool | None:
    """Whether TikTok Shop's stand-in knows a number for each unit that was sent."""
    orders = [each for each in control(stack, "GET", "/tiktok_shop/orders?limit=1000") if each["id"] in wanted]
    lines = [line for order in orders for line in order["lines"] if not line["cancelled"]]
    return True if all(line["package_id"] for line in lines) else None


def delivered(stack: Product, wanted: set[str]) -> bool | None:
    """Whether all of them are, for us."""
    states = {each["platform_order_id"]: each["state"] for each in pages(stack, "/v1/orders", "orders")}
    return True if all(states[each] == "DELIVERED" for each in wanted) else None


def assert_numbers_are_amazons(stack: Product, before: set[str]) -> None:
    """Each number that was told since is of a parcel of that order, and was told once."""
    numbers: dict[str, set[str]] = {}
    for each in control(stack, "GET", "/amazon_sp/numbers"):
        numbers.setdefault(each["displayable_id"], set()).update({each["tracking"], each["aftn"]} - {"", None})
    told_since = [package for package in packages(stack) if package["id"] not in before]
    assert {order_id for package in told_since for order_id in package["order_ids"]} == numbers.keys()
    for package in told_since:
        [order_id] = package["order_ids"]
        assert package["tracking_number"] in numbers[order_id], order_id
        assert package["edits"] == 0


def assert_no_drift(stack: Product, merchant_id: str) -> None:
    """Orders, ledger, Amazon and TikTok Shop agree."""

    def agrees() -> bool | None:
        report = posted(stack, f"/v1/merchants/{merchant_id}/drift-reports", {})
        found[:] = list(pages(stack, f"/v1/drift-reports/{report['report_id']}/drifts", "drifts"))
        return None if found else True

    found: list[Any] = []
    # What was sold last is shown by Amazon, and told to TikTok Shop, a little later.
    stack.wait(agrees, 30, lambda: str(found))


def packages(stack: Product) -> list[dict[str, Any]]:
    """What TikTok Shop's stand-in has of parcels."""
    found: list[dict[str, Any]] = control(stack, "GET", "/tiktok_shop/packages?limit=1000")
    return found


def control(stack: Product, method: str, path: str, body: Any = None) -> Any:
    """The sandbox's control API."""
    answer = stack.sandbox.request(method, f"/control{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def posted(stack: Product, path: str, body: Any) -> Any:
    answer = stack.api.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def pages(stack: Product, path: str, name: str) -> Iterator[dict[str, Any]]:
    """All rows of all pages."""
    token = ""
    while True:
        answer = stack.get(path, page_size="200", page_token=token)
        yield from answer[name]
        token = answer["next_page_token"]
        if not token:
            return


def story(stack: Product) -> str:
    """Orders that are not over, for the message of a failed test."""
    found = [
        {name: each[name] for name in ("platform_order_id", "platform_status", "state", "reason", "next_time")}
        for each in pages(stack, "/v1/orders", "orders")
        if each["state"] not in ("LEFT", "DELIVERED")
    ]
    return json.dumps(found[:40], indent=1)
