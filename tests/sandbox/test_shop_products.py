"""Products, stock and prices of the sandbox's TikTok Shop."""

from typing import Any

import pytest

from tests.sandbox.shop import ShopApp

SEARCH = "/product/202502/products/search"
INVENTORY = "/product/202309/inventory/search"
BOX, BLACK, EMBER, TEAL = "1729517744256656620", "1729662786851694749", "1729675798458002870", "1729618862329247723"
BUNDLE, BUNDLE_SKU = "1729567760938873662", "1729689738830966802"
MCF, GARAGE = "7301234567890123456", "7301234567890199999"
UPDATE = f"/product/202309/products/{BOX}/inventory/update"


def stock(app: ShopApp, sku: str) -> dict[str, Any]:
    [product] = app.ok("POST", INVENTORY, body={"sku_ids": [sku]})["inventory"]
    return dict(product["skus"][0])


def units(mcf: int, garage: int) -> list[dict[str, Any]]:
    return [{"warehouse_id": MCF, "quantity": mcf}, {"warehouse_id": GARAGE, "quantity": garage}]


def test_search_pages_through_all_products_and_filters(seller: ShopApp) -> None:
    found, token = [], ""
    while True:
        data = seller.ok("POST", SEARCH, {"page_size": 6, **({"page_token": token} if token else {})}, {})
        found += data["products"]
        token = data["next_page_token"]
        if not token:
            break
    assert len(found) == data["total_count"] == 15
    statuses = {product["status"] for product in found}
    assert statuses == {"ACTIVATE", "SELLER_DEACTIVATED", "PLATFORM_DEACTIVATED", "DRAFT"}
    twice = seller.ok("POST", SEARCH, {"page_size": 10}, {"seller_skus": ["EF-TWR-WAL"], "status": "ALL"})
    assert twice["total_count"] == 2
    assert [sku["seller_sku"] for product in twice["products"] for sku in product["skus"]].count("") == 1


def test_the_price_has_the_form_of_the_sellers_kind(seller: ShopApp) -> None:
    local = seller.ok("GET", f"/product/202309/products/{BOX}")
    assert local["skus"][0]["price"] == {"currency": "USD", "tax_exclusive_price": "19.99"}
    abroad = {"by": "emberfold-trading", "region": "GB"}
    [product, *_] = seller.ok("POST", SEARCH, {"page_size": 10}, {}, **abroad)["products"]
    assert set(product["skus"][0]["price"]) == {"currency", "sale_price"}
    assert seller.code("GET", f"/product/202309/products/{BOX}", **abroad) == 12052048
    assert seller.code("GET", "/product/202309/products/1", **abroad) == 12052032


def test_orders_commit_stock_shipping_releases_it_and_cancelling_gives_it_back(seller: ShopApp) -> None:
    before = stock(seller, BLACK)
    order = seller.control("POST", "/orders", lines=[{"sku_id": BLACK, "quantity": 2}])
    taken = stock(seller, BLACK)
    assert taken["total_available_quantity"] == before["total_available_quantity"] - 2
    assert taken["total_committed_quantity"] == before["total_committed_quantity"] + 2
    seller.control("POST", f"/orders/{order['id']}/advance")
    assert stock(seller, BLACK)["total_committed_quantity"] == before["total_committed_quantity"]
    held = seller.control("POST", "/orders", lines=[{"sku_id": BLACK}], status="UNPAID")
    seller.control("POST", f"/orders/{held['id']}/request-cancel")
    assert stock(seller, BLACK)["total_available_quantity"] == taken["total_available_quantity"]


def test_a_bundle_takes_its_parts(seller: ShopApp) -> None:
    before = stock(seller, BLACK)["total_available_quantity"]
    seller.control("POST", "/orders", lines=[{"sku_id": BUNDLE_SKU, "quantity": 3}])
    assert stock(seller, BLACK)["total_available_quantity"] == before - 3


def test_stock_is_set_not_added_and_only_with_every_warehouse_named(seller: ShopApp) -> None:
    assert seller.ok("POST", UPDATE, body={"skus": [{"id": BLACK, "inventory": units(77, 3)}]}) == {}
    assert stock(seller, BLACK)["total_available_quantity"] == 80
    half = {"id": BLACK, "inventory": units(50, 1)[:1]}
    good = {"id": EMBER, "inventory": units(5, 6)}
    [error] = seller.ok("POST", UPDATE, body={"skus": [half, good]})["errors"]
    assert (error["code"], error["detail"]["sku_id"]) == (12019028, BLACK)
    assert stock(seller, BLACK)["total_available_quantity"] == 80
    assert stock(seller, EMBER)["total_available_quantity"] == 11


def test_errors_of_single_warehouses_stand_in_the_details(seller: ShopApp) -> None:
    strange = [*units(1, 1), {"warehouse_id": "1", "quantity": 1}]
    [error] = seller.ok("POST", UPDATE, body={"skus": [{"id": BLACK, "inventory": strange}]})["errors"]
    assert error["code"] == 12019022
    assert [one["warehouse_id"] for one in error["detail"]["extra_errors"]] == ["1"]
    seller.settings(zero_stock=False)
    [error] = seller.ok("POST", UPDATE, body={"skus": [{"id": BLACK, "inventory": units(0, 100_000)}]})["errors"]
    assert error["code"] == 12019024
    assert len(error["detail"]["extra_errors"]) == 2
    seller.settings(zero_stock=True)
    assert seller.ok("POST", UPDATE, body={"skus": [{"id": BLACK, "inventory": units(0, 0)}]}) == {}


@pytest.mark.parametrize(
    ("path", "skus", "code"),
    [
        ("/product/202309/products/1/inventory/update", [BLACK], 12052032),
        (UPDATE, ["1"], 12052556),
        (UPDATE, [BLACK, BLACK], 12052553),
        ("/product/202309/products/1729597018115673520/inventory/update", ["1729698543584526535"], 12052901),
    ],
)
def test_a_stock_update_that_fits_no_product_is_refused(seller: ShopApp, path: str, skus: list[str], code: int) -> None:
    assert seller.code("POST", path, body={"skus": [{"id": sku, "inventory": units(1, 1)} for sku in skus]}) == code


def test_a_bundles_stock_and_a_locked_product_cannot_be_set(seller: ShopApp) -> None:
    path = f"/product/202309/products/{BUNDLE}/inventory/update"
    [error] = seller.ok("POST", path, body={"skus": [{"id": BUNDLE_SKU, "inventory": units(1, 1)}]})["errors"]
    assert error["code"] == 12052849
    seller.control("PATCH", f"/products/{BOX}", lock_code=12052393)
    assert seller.code("POST", UPDATE, body={"skus": [{"id": BLACK, "inventory": units(1, 1)}]}) == 12052393


def test_prices_change_in_the_currency_of_the_shop(seller: ShopApp) -> None:
    path = f"/product/202309/products/{BOX}/prices/update"

    def body(amount: str, currency: str = "USD") -> dict[str, Any]:
        return {"skus": [{"id": BLACK, "price": {"amount": amount, "currency": currency}}]}

    seller.ok("POST", path, body=body("21.50"))
    skus = seller.ok("GET", f"/product/202309/products/{BOX}")["skus"]
    assert skus[0]["price"]["tax_exclusive_price"] == "21.50"
    assert [seller.code("POST", path, body=one) for one in (body("1", "EUR"), body("0"), body("1.234"))] == [
        36009004
    ] * 3


def test_an_activated_product_is_audited_and_may_fail(seller: ShopApp) -> None:
    def status() -> str:
        return str(seller.ok("GET", f"/product/202309/products/{BOX}")["status"])

    seller.ok("POST", "/product/202309/products/deactivate", body={"product_ids": [BOX]})
    assert status() == "SELLER_DEACTIVATED"
    seller.control("POST", "/verdicts", kind="product", reason="Prohibited words")
    seller.ok("POST", "/product/202309/products/activate", body={"product_ids": [BOX]})
    assert status() == "PENDING"
    seller.advance(5)
    assert status() == "FAILED"
    seller.ok("POST", "/product/202309/products/activate", body={"product_ids": [BOX]})
    seller.advance(5)
    assert status() == "ACTIVATE"
    [error] = seller.ok("POST", "/product/202309/products/activate", body={"product_ids": ["1"]})["errors"]
    assert (error["code"], error["detail"]) == (12052032, {"product_id": "1"})


def test_reading_needs_one_scope_and_writing_the_other(seller: ShopApp) -> None:
    scopes = seller.control("GET", "/settings")["app_scopes"]
    seller.settings(app_scopes=[scope for scope in scopes if scope != "seller.product.write"])
    assert seller.code("POST", SEARCH, {"page_size": 1}, {}) == 0
    assert seller.code("POST", UPDATE, body={"skus": [{"id": BLACK, "inventory": units(1, 1)}]}) == 105005


def test_a_warehouse_that_has_none_is_named_with_none(seller: ShopApp) -> None:
    seller.settings(zero_stock=False)
    seller.control("PUT", f"/skus/{EMBER}/stock", warehouse_id=units(0, 0)[1]["warehouse_id"], available=0)
    assert seller.ok("POST", UPDATE, body={"skus": [{"id": EMBER, "inventory": units(9, 0)}]}) == {}
    [error] = seller.ok("POST", UPDATE, body={"skus": [{"id": EMBER, "inventory": units(0, 0)}]})["errors"]
    assert error["code"] == 12019024
