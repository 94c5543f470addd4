"""Catalogues: what is in the sandbox's shops is read, kept up, and searched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from kit.db import Database
from tests.fulfillment.stage import OTHER, TWO_SHOPS, WORKSPACE, Stage, TikTokShop, staged
from tests.fulfillment.test_connecting import refused


@pytest.fixture
def shop(stage: Stage) -> pb.Shop:
    return stage.connect()[0]


@pytest.fixture
def other(database: Database, tiktok_shop: TikTokShop) -> Iterator[Stage]:
    with staged(database, tiktok_shop) as opened:
        yield opened


def sync(stage: Stage, shop: pb.Shop, *, everything: bool = False) -> pb.SyncCatalogueResponse:
    request = pb.SyncCatalogueRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id, everything=everything)
    return stage.stub.SyncCatalogue(request, timeout=60)


def listed(stage: Stage, **wanted: Any) -> list[pb.Product]:
    """All pages of a list."""
    found: list[pb.Product] = []
    request = pb.ListProductsRequest(workspace_id=str(WORKSPACE), **wanted)
    while True:
        answer = stage.stub.ListProducts(request, timeout=10)
        found += answer.products
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


def in_shop(stage: Stage, shop: pb.Shop) -> dict[str, dict[str, Any]]:
    """What the sandbox's shop sells, by its ids."""
    found = stage.shop.control("GET", f"/tiktok_shop/products?shop_id={shop.platform_shop_id}")
    return {product["id"]: product for product in found}


def due(stage: Stage) -> None:
    stage.rows("UPDATE shops SET catalogue_due_time = now()")


def test_everything_that_a_shop_sells_is_read_with_its_details(stage: Stage, shop: pb.Shop) -> None:
    assert stage.catalogue.run_once()
    found = {product.platform_product_id: product for product in listed(stage)}
    there = in_shop(stage, shop)
    assert set(found) == {name for name, product in there.items() if product["status"] != "DELETED"}
    sleeves = found["1729579864326162243"]
    assert sleeves.title == "Emberfold Matte Sleeves, Standard, 100 ct"
    assert sleeves.status == "ACTIVATE"
    assert sleeves.description == sleeves.title
    assert sleeves.image_urls
    clear = next(sku for sku in sleeves.skus if sku.seller_sku == "EF-SLV-STD-CLR")
    assert clear.price == pb.Money(currency="USD", minor_units=899)
    assert clear.available_quantity == 801
    assert stage.get(shop).HasField("catalogue_time")
    assert not stage.catalogue.run_once()
    answer = stage.stub.GetProduct(
        pb.GetProductRequest(workspace_id=str(WORKSPACE), product_id=sleeves.product_id), timeout=10
    )
    assert answer.product == sleeves


def test_a_change_is_read_at_the_next_turn_and_costs_one_detail(stage: Stage, shop: pb.Shop) -> None:
    stage.catalogue.run_once()
    # The overlap is for what changed around the last reading: without it nothing else is read again.
    stage.rows("UPDATE shops SET catalogue_cursor = now() + interval '10 minutes'")
    before, details = listed(stage), stage.shop.calls("product_get")
    stage.shop.control("POST", "/clock/advance", seconds=60)
    stage.shop.control("PATCH", "/tiktok_shop/products/1729579864326162243", title="Matte Sleeves, new")
    due(stage)
    assert stage.catalogue.run_once()
    after = {product.platform_product_id: product for product in listed(stage)}
    changed = after["1729579864326162243"]
    assert changed.title == "Matte Sleeves, new"
    assert changed.product_id in {product.product_id for product in before}
    assert stage.shop.calls("product_get") == details + 1


def test_a_product_that_is_gone_is_found_by_reading_everything_and_asking_for_it(stage: Stage, shop: pb.Shop) -> None:
    stage.catalogue.run_once()
    stage.rows(
        "INSERT INTO products (product_id, workspace_id, shop_id, platform_product_id, title, status, skus,"
        " search_text, read_time, is_detail_due) SELECT gen_random_uuid(), workspace_id, shop_id,"
        " '1729000000000000001', 'Gone', 'ACTIVATE', '[]', 'gone', now() - interval '1 day', false FROM shops"
    )
    assert [product.title for product in listed(stage, text="gone")] == ["Gone"]
    sync(stage, shop)
    assert [product.status for product in listed(stage, text="gone")] == ["ACTIVATE"]
    answer = sync(stage, shop, everything=True)
    assert answer.products == len(in_shop(stage, shop))
    assert listed(stage, text="gone") == []
    assert [product.title for product in listed(stage, status="DELETED", text="gone")] == ["Gone"]


def test_products_are_found_by_part_of_a_title_or_a_seller_s_sku_in_pages(stage: Stage, shop: pb.Shop) -> None:
    stage.catalogue.run_once()
    assert [p.platform_product_id for p in listed(stage, text="MATTE SLEEVES, STAND")] == ["1729579864326162243"]
    assert [p.platform_product_id for p in listed(stage, text="slv-std-clr")] == ["1729579864326162243"]
    assert listed(stage, text="100%") == []
    everything = listed(stage, shop_id=shop.shop_id)
    assert [p.title for p in everything] == sorted(p.title for p in everything)
    assert listed(stage, page_size=3) == everything
    assert listed(stage, status="ACTIVATE") == [p for p in everything if p.status == "ACTIVATE"]


def test_another_workspace_sees_no_product_of_ours(stage: Stage, shop: pb.Shop) -> None:
    stage.catalogue.run_once()
    product = listed(stage)[0]
    theirs = pb.GetProductRequest(workspace_id=str(OTHER), product_id=product.product_id)
    assert refused(lambda: stage.stub.GetProduct(theirs, timeout=10))[:2] == (
        grpc.StatusCode.NOT_FOUND,
        "PRODUCT_NOT_FOUND",
    )
    assert not stage.stub.ListProducts(pb.ListProductsRequest(workspace_id=str(OTHER)), timeout=10).products
    request = pb.SyncCatalogueRequest(workspace_id=str(OTHER), shop_id=shop.shop_id)
    assert refused(lambda: stage.stub.SyncCatalogue(request, timeout=10))[1] == "SHOP_NOT_FOUND"


def test_two_replicas_never_read_one_shop_at_once(stage: Stage, other: Stage) -> None:
    stage.connect(TWO_SHOPS)
    stage.shop.fault("product_search", "delay", delay_seconds=1, count=2)
    import threading

    readers = [threading.Thread(target=each.catalogue.run_once) for each in (stage, other, stage, other)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert stage.shop.calls("product_search") == 2
    assert not stage.catalogue.run_once()


def test_a_shop_without_authorisation_is_not_read_and_one_that_loses_it_is_told(stage: Stage, shop: pb.Shop) -> None:
    stage.shop.withdraw()
    assert stage.catalogue.run_once()
    assert stage.get(shop).state == pb.SHOP_STATE_AUTHORIZATION_LOST
    due(stage)
    assert not stage.catalogue.run_once()
    assert refused(lambda: sync(stage, shop))[:2] == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "SHOP_AUTHORIZATION_LOST",
    )
    assert [told.type for told in stage.told()] == ["shop.connected", "shop.authorization_lost"]
    stage.connect()
    due(stage)
    assert stage.catalogue.run_once()
    assert listed(stage)
