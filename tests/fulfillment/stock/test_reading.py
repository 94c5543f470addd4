"""Reading stock from the sandbox's Amazon."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kit import context
from services.fulfillment.merchants.domain import AmazonUnavailable, MerchantAuthorizationLost
from services.fulfillment.stock.reading import StockBusy, StockReading
from tests.fulfillment.merchants.stage import AmazonSandbox, MerchantStage

SKU = "EF-CTR-SPN-10"


def a_reading(stage: MerchantStage, **changes: Any) -> StockReading:
    settings: dict[str, Any] = {"every_seconds": 300, "whole_seconds": 86_400, "delay_seconds": 900}
    return StockReading(stage.database, stage.calls, **(settings | changes))


@pytest.fixture
def reading(stage: MerchantStage) -> StockReading:
    stage.amazon.settings(rate_multiplier=0, stock_seconds=0)
    stage.connect()
    return a_reading(stage)


def skus(stage: MerchantStage) -> dict[str, dict[str, Any]]:
    return {row["amazon_sku"]: row for row in stage.rows("SELECT * FROM stock ORDER BY amazon_sku")}


def due(stage: MerchantStage) -> None:
    stage.rows("UPDATE merchants SET stock_due_time = now()")


def test_everything_is_read_first_then_what_changed_then_nothing_is_due(
    stage: MerchantStage,
    reading: StockReading,
) -> None:
    assert reading.run_once()
    assert not reading.run_once()
    told = {row["sku"]: row for row in stage.amazon.control("GET", "/amazon_sp/stock/emberfold") if row["fba"]}
    kept = skus(stage)
    assert kept.keys() == told.keys()
    assert {sku: row["fulfillable"] for sku, row in kept.items()} == {
        sku: row["fulfillable"] for sku, row in told.items()
    }
    assert all(row["is_at_amazon"] and row["asin"] and row["title"] for row in kept.values())
    assert kept[SKU]["inbound"] == sum(told[SKU][name] for name in told[SKU] if name.startswith("inbound"))
    before = stage.amazon.calls("getInventorySummaries")
    stage.amazon.control("PUT", f"/amazon_sp/stock/emberfold/{SKU}", fulfillable=17)
    due(stage)
    assert reading.run_once()
    assert skus(stage)[SKU]["fulfillable"] == 17
    assert stage.amazon.calls("getInventorySummaries") > before


def test_a_sku_that_everything_no_longer_has_is_gone_and_may_come_back(
    stage: MerchantStage,
    reading: StockReading,
) -> None:
    reading.run_once()
    before = skus(stage)[SKU]
    stage.rows("""
        INSERT INTO stock (merchant_id, amazon_sku, workspace_id, is_at_amazon, fulfillable, read_time)
        SELECT merchant_id, 'GONE', workspace_id, true, 9, now() - interval '1 day' FROM merchants""")
    stage.rows("UPDATE stock SET read_time = read_time - interval '1 hour', is_at_amazon = false, fulfillable = 0,"
               " amazon_update_time = null WHERE amazon_sku = :sku", sku=SKU)  # fmt: skip
    due(stage)
    a_reading(stage, whole_seconds=0.001).run_once()
    gone, back = skus(stage)["GONE"], skus(stage)[SKU]
    assert (gone["is_at_amazon"], gone["fulfillable"]) == (False, 0)
    assert (back["is_at_amazon"], back["fulfillable"]) == (True, before["fulfillable"])


def test_a_reading_that_fails_changes_nothing_and_is_due_later(
    stage: MerchantStage,
    reading: StockReading,
) -> None:
    reading.run_once()
    before = skus(stage)
    stage.amazon.fault("getInventorySummaries", "error", count=1)
    due(stage)
    assert a_reading(stage, whole_seconds=0.001).run_once()
    assert skus(stage) == before
    assert stage.rows("SELECT 1 AS one FROM merchants WHERE stock_due_time > now() + interval '20 seconds'")


def test_one_of_two_replicas_reads_a_merchant_and_a_call_for_it_waits_its_turn(
    stage: MerchantStage,
    other: MerchantStage,
    reading: StockReading,
) -> None:
    stage.amazon.fault("getInventorySummaries", "delay", delay_seconds=1.5, count=1)
    (merchant,) = stage.merchants()
    known = stage.known(merchant)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(reading.run_once)
        threading.Event().wait(0.5)
        assert not a_reading(other).run_once()
        with context.call(request_id="", timeout_seconds=1), pytest.raises(StockBusy):
            a_reading(other).sync(known)
        assert first.result(20)
    assert a_reading(other).sync(known) > 0


def test_what_cannot_be_read_is_due_later_and_a_lost_merchant_stops(
    stage: MerchantStage,
    reading: StockReading,
) -> None:
    (merchant,) = stage.merchants()
    known = stage.known(merchant)
    stage.amazon.fault("getInventorySummaries", "error", count=1)
    with pytest.raises(AmazonUnavailable):
        reading.sync(known)
    stage.amazon.control("POST", "/amazon_sp/sellers/emberfold/revoke")
    assert reading.run_once()
    assert stage.get(merchant).problem
    due(stage)
    assert not reading.run_once()
    with pytest.raises(MerchantAuthorizationLost):
        reading.sync(stage.known(merchant))


def test_a_reading_ends_with_the_process(stage: MerchantStage, reading: StockReading) -> None:
    stage.amazon.fault("getInventorySummaries", "delay", delay_seconds=5, count=1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(reading.run_once)
        threading.Event().wait(0.5)
        reading.stop()
        assert running.result(3)
    assert skus(stage) == {}
    assert a_reading(stage).run_once()
    assert skus(stage)


def test_barcodes_of_unmapped_skus_are_found_at_amazon(
    stage: MerchantStage,
    amazon: AmazonSandbox,
    reading: StockReading,
) -> None:
    (row,) = [each for each in amazon.control("GET", "/amazon_sp/stock/emberfold") if each["sku"] == SKU]
    shop = stage.rows("""
        WITH a AS (INSERT INTO authorizations (authorization_id, workspace_id, seller_open_id, seller_name,
            seller_region, scopes, state, problem) SELECT uuidv7(), workspace_id, 's', 's', 'US', '{}',
            'DISCONNECTED', 'x' FROM merchants RETURNING *)
        INSERT INTO shops (shop_id, workspace_id, authorization_id, platform_shop_id, name, code, region, seller_type)
        SELECT uuidv7(), workspace_id, authorization_id, '1', 's', 's', 'US', 'LOCAL' FROM a RETURNING shop_id""")
    stage.rows(
        """INSERT INTO products (product_id, workspace_id, shop_id, platform_product_id, title, status, skus,
            search_text, is_detail_due)
        SELECT uuidv7(), workspace_id, shop_id, '7', 't', 'ACTIVATE', CAST(:skus AS jsonb), '', false
        FROM shops""",
        skus=f'[{{"id": "71", "seller_sku": "T", "barcode": "{row["barcode"]}"}}, {{"id": "72", "barcode": "12"}}]',
    )
    assert shop
    reading.run_once()
    assert row["barcode"] in skus(stage)[SKU]["barcodes"]
