"""What TikTok Shop is told of stock, on the sandbox's TikTok Shop and Amazon."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from kit.db import ALL_WORKSPACES
from services.fulfillment.stock import push_store
from services.fulfillment.stock.push_store import Push
from tests.fulfillment.orders.life import MCF, SLEEVES, SLEEVES_SKU, OrderStage
from tests.fulfillment.stage import WORKSPACE
from tests.fulfillment.stock.keeping import Keeping

TOPLOADERS = "1729637100323846272"


@pytest.fixture
def keeping(life: OrderStage) -> Keeping:
    life.amazon.settings(stock_seconds=0)
    life.tiktok_shop.settings(zero_stock=True)
    found = Keeping.of(life)
    found.begin()
    return found


SECOND = "7301234567890199999"


def committed(keeping: Keeping, sku_id: str = SLEEVES) -> int:
    return keeping.there(sku_id)[MCF]["committed"]


def right(keeping: Keeping, sku_id: str = SLEEVES, sku: str = SLEEVES_SKU, own: int = 0) -> int:
    """What is to be offered: what is free, less what TikTok Shop sold and we hold nothing for (`own` we do)."""
    return max(0, keeping.available(sku) - (committed(keeping, sku_id) - own))


def test_what_can_be_sold_is_told_once_and_nothing_is_told_again(keeping: Keeping) -> None:
    row = keeping.row()
    # Orders of the sandbox's past are committed, and none of ours.
    assert committed(keeping) > 0
    assert row["wanted_quantity"] == keeping.available()
    assert row["told_quantity"] == keeping.offered() == right(keeping)
    assert (row["told_version"], row["next_time"], row["problem"]) == (row["wanted_version"], None, "")
    before = keeping.life.tiktok_shop.calls("inventory_update")
    keeping.keep(whole=True)
    assert keeping.life.tiktok_shop.calls("inventory_update") == before


def test_a_change_at_amazon_comes_to_tiktok_shop(keeping: Keeping) -> None:
    keeping.put(SLEEVES_SKU, 441)
    keeping.keep()
    assert keeping.row()["wanted_quantity"] == 441
    assert keeping.offered() == right(keeping)


def test_an_order_on_its_way_through_us_never_raises_the_figure(keeping: Keeping) -> None:
    life = keeping.life
    before = keeping.offered()
    life.buy(quantity=3)
    assert keeping.offered() == before - 3
    # Not taken in yet: a new figure leaves what was bought.
    keeping.put(SLEEVES_SKU, keeping.available() + 10)
    keeping.keep()
    assert keeping.offered() == before - 3 + 10
    life.take_in()
    keeping.keep(whole=True)
    assert keeping.offered() == before - 3 + 10
    life.go()
    keeping.keep(whole=True)
    assert keeping.offered() == before - 3 + 10 == right(keeping, own=3)


def test_held_and_unpaid_orders_stay_taken_off(keeping: Keeping) -> None:
    life = keeping.life
    life.route(wait=timedelta(hours=5))
    before = keeping.offered()
    life.buy(quantity=2)
    life.take_in()
    life.go()
    assert life.rows("SELECT state FROM orders") == [{"state": "PENDING"}]
    keeping.put(SLEEVES_SKU, keeping.available() + 1)
    keeping.keep()
    assert keeping.offered() == before - 2 + 1


def test_what_a_buyer_takes_while_it_is_told_is_taken_off_at_once(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = keeping.life
    set_stock = type(life.shops.calls.client.products).set_stock
    bought: list[str] = []

    async def slow(self: Any, *given: Any, **more: Any) -> Any:
        if len(bought) < 2:
            bought.append(await asyncio.to_thread(life.buy, quantity=2))
        return await set_stock(self, *given, **more)

    monkeypatch.setattr(type(life.shops.calls.client.products), "set_stock", slow)
    keeping.put(SLEEVES_SKU, 400)
    keeping.keep()
    assert len(bought) == 2
    assert keeping.offered() == right(keeping)
    assert keeping.row()["told_quantity"] == keeping.offered()


def test_bundles_are_offered_by_their_scarcest_part(keeping: Keeping) -> None:
    life = keeping.life
    (mapping,) = life.rows("SELECT parts, platform_sku_id FROM sku_mappings WHERE seller_sku = 'EF-TPL-35-100'")
    assert mapping["parts"] == [["EF-TPL-35-25-FBA", 4]]
    life.rows(
        "UPDATE sku_mappings SET parts = CAST(:parts AS jsonb) WHERE seller_sku = 'EF-TPL-35-100'",
        parts=f'[["EF-TPL-35-25-FBA", 4], ["{SLEEVES_SKU}", 3]]',
    )
    keeping.keep(whole=True)
    keeping.put("EF-TPL-35-25-FBA", 1003)
    keeping.put(SLEEVES_SKU, 302)
    keeping.keep()
    assert keeping.row(TOPLOADERS)["wanted_quantity"] == 100
    keeping.put("EF-TPL-35-25-FBA", 43)
    keeping.keep()
    assert keeping.row(TOPLOADERS)["wanted_quantity"] == 10


def test_other_warehouses_keep_theirs_and_further_ones_of_amazon_have_none(keeping: Keeping) -> None:
    keeping.set_there(77, warehouse_id=SECOND)
    keeping.put(SLEEVES_SKU, 300)
    keeping.keep()
    assert keeping.there()[SECOND]["available"] == 77
    keeping.life.route(platform_warehouse_ids=frozenset({MCF, SECOND}))
    keeping.put(SLEEVES_SKU, 310)
    keeping.keep()
    assert keeping.there()[SECOND]["available"] == 0
    assert keeping.offered() == right(keeping)


def test_an_answer_that_is_lost_is_settled_by_reading(keeping: Keeping) -> None:
    keeping.life.tiktok_shop.fault("inventory_update", "lost_reply", count=1)
    keeping.put(SLEEVES_SKU, 333)
    keeping.keep()
    row = keeping.row()
    assert keeping.offered() == right(keeping) == row["told_quantity"]
    assert row["told_version"] == row["wanted_version"]


def test_what_is_locked_is_told_later_and_why(keeping: Keeping) -> None:
    life = keeping.life
    product = keeping.row()["platform_product_id"]
    life.tiktok_shop.control("PATCH", f"/tiktok_shop/products/{product}", lock_code=12052393)
    keeping.put(SLEEVES_SKU, 333)
    keeping.keep()
    row = keeping.row()
    assert "locked" in row["problem"]
    assert row["told_version"] < row["wanted_version"]
    assert row["next_time"] is not None
    life.tiktok_shop.control("PATCH", f"/tiktok_shop/products/{product}", lock_code=0)
    life.rows("UPDATE stock_pushes SET next_time = now() WHERE problem <> ''")
    keeping.push()
    assert (keeping.row()["problem"], keeping.offered()) == ("", right(keeping))


def test_what_tiktok_shop_refuses_of_one_sku_is_its_problem_alone(keeping: Keeping) -> None:
    life = keeping.life
    life.tiktok_shop.settings(zero_stock=False)
    same = life.rows("SELECT platform_sku_id, parts FROM stock_pushes WHERE platform_product_id = :id"
                     " ORDER BY platform_sku_id", id=keeping.row()["platform_product_id"])  # fmt: skip
    assert len(same) > 1
    for each in same:
        keeping.set_there(5, each["platform_sku_id"], SECOND)
        keeping.put(each["parts"][0][0], 500 if each["platform_sku_id"] != SLEEVES else 0)
    keeping.keep()
    for each in same:
        problem = keeping.row(each["platform_sku_id"])["problem"]
        assert ("quantity" in problem) == (each["platform_sku_id"] == SLEEVES)


def test_an_older_push_overwrites_nothing(keeping: Keeping) -> None:
    life = keeping.life
    keeping.put(SLEEVES_SKU, 333)
    keeping.spread()
    with life.database.transaction(ALL_WORKSPACES) as tx:
        late = push_store.claim(tx, (), 20, 150)
    assert late is not None
    life.rows("UPDATE stock_pushes SET lease_time = now(), next_time = now() WHERE lease_time IS NOT NULL")
    keeping.push()
    before = keeping.row()
    with life.database.transaction(WORKSPACE) as tx:
        assert push_store.read_claimed(tx, late) == []
        assert not push_store.set_told(tx, late, SLEEVES, 9999, 99)
        assert not push_store.put_off(tx, late, SLEEVES, 0, "late")
        assert push_store.set_wanted(tx, late, a_push(before), 5) is None
    assert keeping.row() == before


def test_a_change_while_it_is_told_is_told_after_it(keeping: Keeping) -> None:
    life = keeping.life
    keeping.put(SLEEVES_SKU, 333)
    keeping.spread()
    with life.database.transaction(ALL_WORKSPACES) as tx:
        claimed = push_store.claim(tx, (), 20, 150)
    assert claimed is not None
    keeping.put(SLEEVES_SKU, 300)
    keeping.spread()
    assert not keeping.pushing.run_once()
    with life.database.transaction(WORKSPACE) as tx:
        assert push_store.set_told(tx, claimed, SLEEVES, 333, 2)
    assert keeping.row()["next_time"] is not None
    keeping.push()
    assert keeping.offered() == right(keeping)


def test_two_replicas_tell_the_same_shop_and_it_ends_right(keeping: Keeping) -> None:
    life = keeping.life
    others = [Keeping.of(life), Keeping.of(life), keeping]
    dice = random.Random(7)
    skus = [row["amazon_sku"] for row in life.rows("SELECT amazon_sku FROM stock WHERE is_at_amazon LIMIT 8")]
    over = threading.Event()

    def work(one: Keeping) -> None:
        while not over.is_set():
            if not (one.spreading.run_once() or one.pushing.run_once()):
                over.wait(0.02)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(work, one) for one in others]
        for _ in range(25):
            life.rows("UPDATE stock SET fulfillable = :units, version = version + 1 WHERE amazon_sku = :sku",
                      units=dice.randrange(1, 900), sku=dice.choice([*skus, SLEEVES_SKU]))  # fmt: skip
            if dice.random() < 0.3:
                life.buy(quantity=1)
            over.wait(0.05)
        over.wait(1)
        over.set()
        for each in running:
            each.result(60)
    life.rows("UPDATE stock_pushes SET lease_time = NULL, next_time = now() WHERE next_time IS NOT NULL")
    keeping.keep()
    assert life.rows("SELECT 1 AS n FROM stock_pushes WHERE told_version <> wanted_version AND problem = ''") == []
    assert keeping.offered() == right(keeping)


def test_nothing_is_told_before_amazons_stock_is_known_or_when_it_is_not_wished(keeping: Keeping) -> None:
    life = keeping.life
    life.rows("UPDATE merchants SET stock_whole_time = NULL")
    life.rows("DELETE FROM stock_pushes")
    keeping.spread(whole=True)
    assert life.rows("SELECT * FROM stock_pushes") == []
    keeping.life.rows("UPDATE merchants SET stock_whole_time = now()")
    keeping.spread(whole=True)
    assert life.rows("SELECT count(*) > 10 AS many FROM stock_pushes") == [{"many": True}]
    life.route(push_stock=False)
    before = life.tiktok_shop.calls("inventory_update")
    keeping.push()
    assert life.tiktok_shop.calls("inventory_update") == before
    assert life.rows("SELECT * FROM stock_pushes") == []


def test_held_orders_go_on_when_there_is_more(keeping: Keeping) -> None:
    life = keeping.life
    keeping.put(SLEEVES_SKU, 0)
    bought = life.buy(quantity=2)
    life.take_in()
    life.go()
    assert life.where(bought) == ("HELD", "insufficient_stock")
    keeping.put(SLEEVES_SKU, 10)
    life.go()
    assert life.where(bought) == ("ROUTED", "")


def a_push(row: dict[str, Any]) -> Push:
    return push_store.push_of(row)  # type: ignore[arg-type]
