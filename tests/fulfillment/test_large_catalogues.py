"""Catalogues that are longer than a search answers, change while they are read, or are left in the middle."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from kit.db import Database
from services.fulfillment import catalogue
from tests.fulfillment.fake_shop import FakeShop
from tests.fulfillment.stage import WORKSPACE, Stage, TikTokShop, a_config, staged

YEAR = 365 * 86_400


@pytest.fixture
def fake() -> Iterator[FakeShop]:
    with FakeShop() as shop:
        yield shop
    assert shop.problems == []


@pytest.fixture
def stage(database: Database, fake: FakeShop) -> Iterator[Stage]:
    config = a_config(fake.url, calls_per_second=2_000)
    with httpx.Client(base_url=fake.url) as client, staged(database, TikTokShop(client), config) as opened:
        yield opened


@pytest.fixture
def shop(stage: Stage) -> pb.Shop:
    return stage.finish(stage.start().state, "any-code")[0]


def sync(stage: Stage, shop: pb.Shop, *, everything: bool = False) -> int:
    request = pb.SyncCatalogueRequest(workspace_id=str(WORKSPACE), shop_id=shop.shop_id, everything=everything)
    return stage.stub.SyncCatalogue(request, timeout=100).products


def kept(stage: Stage, condition: str = "status <> 'DELETED'") -> set[str]:
    return {row["id"] for row in stage.rows(f"SELECT platform_product_id AS id FROM products WHERE {condition}")}


def test_of_twelve_thousand_products_none_is_missed(stage: Stage, shop: pb.Shop, fake: FakeShop) -> None:
    now = int(time.time())
    # Some made over a year, most of them imported within minutes.
    fake.add(4_000, begin=now - YEAR, every=7_000)
    fake.add(8_000, begin=now - 3_600, every=0)
    for number, one in enumerate(list(fake.products.values())[4_000:]):
        one.create_time = one.update_time = now - 3_600 + number % 600
    assert sync(stage, shop) == 12_000
    assert kept(stage) == set(fake.products)
    assert stage.get(shop).HasField("catalogue_time")
    assert fake.details == []


def test_a_product_made_and_one_taken_away_while_pages_are_read_are_neither_missed_nor_deleted(
    stage: Stage, shop: pb.Shop, fake: FakeShop
) -> None:
    now = int(time.time())
    fake.add(350, begin=now - 10_000)
    sync(stage, shop)
    newest = max(fake.products.values(), key=lambda one: one.create_time).id

    def meanwhile(number: int) -> None:
        # Pages shift up by one: what was first on the second page is on the first by now, and met by nobody.
        if number == before + 2:
            del fake.products[newest]

    before = len(fake.searches)
    fake.during = meanwhile
    assert sync(stage, shop, everything=True) == 349
    assert kept(stage, "status = 'DELETED'") == set()
    fake.during = lambda number: None
    sync(stage, shop, everything=True)
    assert kept(stage, "status = 'DELETED'") == {newest}
    assert kept(stage) == set(fake.products)


def test_only_what_changed_is_read_and_what_changes_meanwhile_is_read_next_time(
    stage: Stage, shop: pb.Shop, fake: FakeShop
) -> None:
    now = int(time.time())
    fake.add(300, begin=now - 10_000)
    sync(stage, shop)
    changed = fake.products["1729000000000000007"]
    changed.title, changed.update_time = "Changed", now + 1
    assert sync(stage, shop) == 1
    assert fake.searches[-1].keys() == {"update_time_ge"}
    assert kept(stage, "title = 'Changed'") == {changed.id}
    late = fake.products["1729000000000000008"]
    late.title, late.update_time = "Late", int(time.time()) - 300
    assert sync(stage, shop) == 2
    assert kept(stage, "title = 'Late'") == {late.id}


def test_a_reading_that_was_cut_short_moves_no_cursor_and_is_gone_on_with_by_another(
    stage: Stage, shop: pb.Shop, fake: FakeShop, database: Database
) -> None:
    fake.add(450, begin=int(time.time()) - 10_000)

    def stop(number: int) -> None:
        if number == 2:
            stage.catalogue.stop()

    fake.during = stop
    assert stage.catalogue.run_once()
    assert len(kept(stage)) == 200
    (row,) = stage.rows(
        "SELECT catalogue_cursor, catalogue_time, catalogue_lease_time, catalogue_due_time <= now() AS due FROM shops"
    )
    assert row == {"catalogue_cursor": None, "catalogue_time": None, "catalogue_lease_time": None, "due": True}
    fake.during = lambda number: None
    with staged(database, stage.shop, a_config(fake.url, calls_per_second=2_000)) as other:
        assert other.catalogue.run_once()
        assert kept(other) == set(fake.products)
        assert kept(other, "description = ''") == set()


def test_a_reader_whose_lease_has_ended_changes_nothing_more(
    stage: Stage, shop: pb.Shop, fake: FakeShop, database: Database
) -> None:
    fake.add(250, begin=int(time.time()) - 10_000)

    def lose(number: int) -> None:
        if number == 2:
            stage.rows("UPDATE shops SET catalogue_lease_time = now() + interval '1 hour'")

    fake.during = lose
    stage.catalogue.run_once()
    assert len(kept(stage)) == 100
    (row,) = stage.rows("SELECT catalogue_cursor, catalogue_lease_time > now() AS is_taken FROM shops")
    assert row == {"catalogue_cursor": None, "is_taken": True}


def test_details_are_read_in_turns_so_that_changes_are_not_late(
    stage: Stage, shop: pb.Shop, fake: FakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_DETAILS_A_TURN", 80)
    fake.add(100, begin=int(time.time()) - 10_000)
    assert stage.catalogue.run_once()
    assert len(kept(stage, "description <> ''")) == 80
    assert stage.catalogue.run_once()
    assert len(kept(stage, "description <> ''")) == 100
    assert not stage.catalogue.run_once()
    assert sorted(fake.details) == sorted(fake.products)
