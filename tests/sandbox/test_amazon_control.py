"""Control API and page of the sandbox's Amazon, its memory, and the one story that it tells with TikTok Shop."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.amazon_sp.settings import AmazonSpSettings
from sandbox.config import SandboxConfig
from sandbox.tiktok_shop.catalog import MCF_WAREHOUSE
from tests.sandbox.amazon import ADDRESS, COUNTDOWN, TOKENS, TOWER, US, Amazon
from tests.sandbox.conftest import Served
from tests.sandbox.shop import ShopApp
from tests.sandbox.test_shop_orders import BLACK_BOX

SHIPPED = 912


def test_two_orders_for_one_displayable_id_are_found(seller_central: Amazon) -> None:
    seller_central.create("TTS-1-1", displayableOrderId="once")
    seller_central.create("TTS-2-1", displayableOrderId="twice")
    seller_central.create("TTS-2-2", displayableOrderId="twice")
    seller_central.fate(check="invalid")
    seller_central.create("TTS-1-2", displayableOrderId="once")
    seller_central.advance(2)
    found = seller_central.http.get("/control/amazon_sp/created", params={"least": 2}).json()
    assert [(one["displayable_id"], one["orders"], one["alive"]) for one in found] == [("once", 2, 1), ("twice", 2, 2)]
    assert found[0]["ids"] == ["TTS-1-1", "TTS-1-2"]


def test_every_number_that_was_ever_shown_is_listed_with_its_order(seller_central: Amazon) -> None:
    seller_central.fate(replans=1)
    seller_central.create()
    seller_central.advance(2 * SHIPPED)
    found = seller_central.control("GET", "/numbers")
    assert [one["shipment_status"] for one in found] == ["CANCELLED_BY_FULFILLER", "SHIPPED"]
    assert [bool(one["tracking"]) for one in found] == [False, True]
    assert {one["id"] for one in found} == {"TTS-1"}


def test_an_order_is_led_step_by_step(seller_central: Amazon) -> None:
    seller_central.create()
    seen = [seller_central.control("POST", "/orders/emberfold/TTS-1/advance")["status"] for _ in range(5)]
    assert seen == ["Received", "Planning", "Planning", "Processing", "Complete"]
    over = seller_central.http.post("/control/amazon_sp/orders/emberfold/TTS-1/advance")
    assert (over.status_code, over.json()["detail"]) == (409, "Nothing follows for an order that is Complete.")
    assert seller_central.http.get("/control/amazon_sp/orders/emberfold/none").status_code == 404


def test_the_fate_of_an_order_can_be_changed_while_it_has_not_come_about(seller_central: Amazon) -> None:
    seller_central.create()
    seller_central.advance(12)
    seller_central.control("PATCH", "/orders/emberfold/TTS-1/fate", carrier_code="OnTrac", delivery="stuck")
    seller_central.advance(SHIPPED)
    (package,) = seller_central.packages()
    assert package["carrierCode"] == "OnTrac"
    assert seller_central.http.patch("/control/amazon_sp/orders/emberfold/TTS-1/fate", json={"x": 1}).status_code == 422


@pytest.mark.parametrize(
    ("delivery", "status"), [("returned", "RETURNED"), ("undeliverable", "UNDELIVERABLE"), ("delivered", "DELIVERED")]
)
def test_a_package_s_way_can_be_ended(seller_central: Amazon, delivery: str, status: str) -> None:
    seller_central.create()
    seller_central.advance(120)
    number = seller_central.packages()[0]["packageNumber"]
    end = f"/packages/{number}/end"
    assert seller_central.http.post(f"/control/amazon_sp{end}", json={}).status_code == 409, "it has not left"
    seller_central.advance(SHIPPED)
    seller_central.control("POST", end, delivery=delivery)
    assert seller_central.track(number)["currentStatus"] == status


def test_fates_are_for_so_many_orders_of_a_sku_or_an_id(seller_central: Amazon) -> None:
    seller_central.fate(check="invalid", sku=TOKENS, count=2)
    seller_central.fate(check="unfulfillable", order_id="TTS-0")
    for number, sku in enumerate((COUNTDOWN, TOKENS, TOKENS, TOKENS)):
        seller_central.create(f"TTS-{number}", (sku, 1))
    seller_central.advance(2)
    statuses = [seller_central.status(f"TTS-{number}") for number in range(4)]
    assert statuses == ["Unfulfillable", "Invalid", "Invalid", "Received"]
    assert seller_central.control("GET", "/fates") == []


def test_shares_of_bad_ends_fall_the_same_way_on_each_run(seller_central: Amazon) -> None:
    def run() -> list[str]:
        seller_central.control("POST", "//reset")
        seller_central.control("POST", "//clock/freeze")
        seller_central.connect()
        seller_central.settings(rate_multiplier=0, invalid_share=0.3, unfulfillable_share=0.3, split_share=0.5)
        for number in range(40):
            seller_central.create(f"TTS-{number}", (COUNTDOWN, 2))
        seller_central.advance(12)
        found = seller_central.control("GET", "/orders")
        return [f"{one['status']} {len(one['shipments'])}" for one in found]

    first = run()
    assert set(first) == {"Invalid 0", "Unfulfillable 0", "Planning 1", "Planning 2"}
    assert run() == first


def test_settings_that_are_none_are_refused_by_name(amazon: Amazon) -> None:
    answer = amazon.http.patch("/control/amazon_sp/settings", json={"fast": True})
    assert (answer.status_code, answer.json()["detail"]) == (422, "fast is not a setting.")
    answer = amazon.http.patch("/control/amazon_sp/settings", json={"split_share": 2})
    assert (answer.status_code, "split_share" in answer.json()["detail"]) == (422, True)


def test_the_page_shows_amazon_and_its_forms_work(seller_central: Amazon) -> None:
    seller_central.create(displayableOrderId="<b>", destinationAddress={**ADDRESS, "name": "Nobody Sees"})
    page = seller_central.http.get("/control").text
    for part in ("Amazon SP-API", "&lt;b&gt;", "1 x EF-CTR-SPN-10", "emberfold.deckbox.100.black"):
        assert part in page
    assert "<b>" not in page
    assert "Nobody" not in page

    def send(operation: str, **fields: str) -> int:
        return seller_central.http.post(f"/control/forms/amazon_sp/{operation}", data=fields).status_code

    assert send("advance", seller="emberfold", id="TTS-1") == 303
    assert seller_central.status() == "Received"
    assert send("sell", seller="emberfold", sku=TOWER, quantity="1") == 303
    assert send("receive", seller="emberfold", sku=TOWER, quantity="5") == 303
    assert seller_central.stock(TOWER)["fulfillable"] == 7
    assert send("sell", seller="emberfold", sku=TOWER, quantity="x") == 422
    assert send("fate", check="invalid", shipments="2", count="1") == 303
    assert send("fate", shipments="0") == 422
    assert send("settings", rate_multiplier="0", status_spelling="upper") == 303
    assert send("revoke", name="emberfold") == 303
    assert send("grant", name="emberfold") == 303
    assert send("nothing") == 404


def test_a_restart_keeps_sellers_tokens_orders_and_what_is_to_come(tmp_path: Path) -> None:
    config = SandboxConfig(state_file=tmp_path / "sandbox.db", amazon_sp=AmazonSpSettings(rate_multiplier=0))
    with Served(config) as url, httpx.Client(base_url=url) as client:
        first = Amazon(client)
        first.connect()
        first.create()
    with Served(config) as url, httpx.Client(base_url=url) as client:
        again = Amazon(client, first.tokens)
        again.advance(SHIPPED)
        assert again.status() == "Complete"
        assert again.stock(COUNTDOWN)["sold"] == 1


def test_a_sale_at_the_sandbox_s_tiktok_shop_is_shipped_from_its_amazon(seller: ShopApp) -> None:
    amazon = Amazon(seller.http)
    amazon.connect()
    amazon.settings(rate_multiplier=0)
    order = seller.control("POST", "/orders", lines=[{"sku_id": BLACK_BOX}])
    assert order["warehouse_id"] == MCF_WAREHOUSE
    line = order["lines"][0]
    product = seller.ok("GET", f"/product/202309/products/{line['product_id']}")
    sku = next(one for one in product["skus"] if one["id"] == line["sku_id"])
    barcode = sku["identifier_code"]["code"]
    query = {"identifiers": barcode, "identifiersType": "EAN", "marketplaceIds": US}
    (item,) = amazon.call("GET", "/catalog/2022-04-01/items", params=query).json()["items"]
    (stock,) = [one for one in amazon.control("GET", "/stock/emberfold") if one["asin"] == item["asin"]]
    (at_tiktok,) = [one for one in stock_of(seller, line["sku_id"]) if one["warehouse_id"] == MCF_WAREHOUSE]
    assert 0 < at_tiktok["available"] <= stock["fulfillable"]
    amazon.create("TTS-1", (stock["sku"], 1), displayableOrderId=order["id"])
    amazon.advance(SHIPPED)
    assert amazon.status() == "Complete"


def stock_of(seller: ShopApp, sku_id: str) -> list[dict[str, Any]]:
    products: list[dict[str, Any]] = seller.http.get("/control/tiktok_shop/products").json()
    return [one for product in products for sku in product["skus"] if sku["id"] == sku_id for one in sku["stock"]]
