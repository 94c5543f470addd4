"""SKUs that share one pool of units, and locks that are taken in one order."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection

from kit.db import Database
from services.fulfillment.routing.facts import sku_facts
from services.fulfillment.routing.mapping import Mapped, MappedUnit
from services.fulfillment.stock import barcode_store, ledger_store, reading_store
from services.fulfillment.stock.domain import AlreadyReleased, Available, InsufficientStock, drawn, sets
from services.fulfillment.stock.reading_store import Figure
from tests.fulfillment.stage import WORKSPACE
from tests.fulfillment.stock.ledger import Ledger
from vendors.amazon_sp.catalog import CatalogItem


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger.of(database)


def versions(ledger: Ledger) -> dict[str, int]:
    return {row["amazon_sku"]: row["version"] for row in ledger.rows("SELECT amazon_sku, version FROM stock")}


def grown(ledger: Ledger, work: Callable[[Connection], object]) -> set[str]:
    """SKUs that are offered anew after some work."""
    before = versions(ledger)
    with ledger.database.transaction(WORKSPACE) as tx:
        work(tx)
    return {sku for sku, version in versions(ledger).items() if version > before.get(sku, 0)}


def reserved(ledger: Ledger, quantities: dict[str, int], order: UUID | None = None) -> UUID:
    with ledger.database.transaction(WORKSPACE) as tx:
        return ledger.reserve(tx, order or ledger.orders(1)[0], quantities)


def test_skus_of_one_pool_sell_its_units_once(ledger: Ledger) -> None:
    ledger.put("A", 10, fnsku="X1")
    ledger.put("B", 10, fnsku="X1")
    ledger.put("C", 10, fnsku="X2")
    ledger.put("D", 10)
    ledger.put("E", 10)
    first = reserved(ledger, {"A": 6, "D": 1})
    assert [ledger.available(sku) for sku in "ABCDE"] == [4, 4, 10, 9, 10]
    for too_many in ({"B": 5}, {"A": 2, "B": 3}):
        with pytest.raises(InsufficientStock) as refused:
            reserved(ledger, too_many)
        assert refused.value.skus == tuple(too_many)
    second = reserved(ledger, {"A": 2, "B": 2})
    assert [ledger.available(sku) for sku in "AB"] == [0, 0]
    with ledger.database.transaction(WORKSPACE) as tx:
        ledger_store.submitted(tx, first)
        ledger_store.release(tx, second)
    assert [ledger.available(sku) for sku in "AB"] == [4, 4]
    assert ledger.wrong_sums() == []


def test_a_pool_has_the_least_that_amazon_says_of_its_skus(ledger: Ledger) -> None:
    ledger.put("A", 10, fnsku="X1")
    ledger.put("B", 7, fnsku="X1", safety_stock=3)
    ledger.put("C", 0, fnsku="X1", is_at_amazon=False)
    assert [ledger.available(sku) for sku in "ABC"] == [7, 4, 0]


def test_whatever_changes_a_sku_offers_all_of_its_pool_anew(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    for sku, fnsku in (("A", "X1"), ("B", "X1"), ("C", "X2"), ("D", "")):
        ledger.put(sku, 10, fnsku=fnsku, read_time=now - timedelta(days=2))
    (order,) = ledger.orders(1)
    shipment = uuid4()

    def read(sku: str, fulfillable: int, fnsku: str, ago: float = 0) -> Callable[[Connection], object]:
        figure = Figure(sku, "", fnsku, "", fulfillable, 0, None)
        begun = now - timedelta(seconds=ago)
        return lambda tx: reading_store.record(tx, WORKSPACE, ledger.merchant_id, [figure], begun)

    assert grown(ledger, lambda tx: ledger.reserve(tx, order, {"A": 3}, shipment)) == {"A", "B"}
    assert grown(ledger, lambda tx: ledger_store.submitted(tx, shipment)) == set()
    assert grown(ledger, lambda tx: ledger_store.release(tx, shipment, {"A": 1})) == {"A", "B"}
    assert grown(ledger, read("B", 9, "X1", 90)) == {"A", "B"}
    assert grown(ledger, read("B", 9, "X1", 80)) == set()
    settled = now + timedelta(hours=1)
    assert grown(ledger, lambda tx: ledger_store.settle(tx, ledger.merchant_id, settled, 60)) == {"A", "B"}
    assert grown(ledger, read("B", 9, "X2", 70)) == {"A", "B", "C"}
    assert grown(ledger, read("E", 4, "X2", 60)) == {"B", "C", "E"}
    assert [ledger.available(sku) for sku in "ABCDE"] == [10, 4, 4, 10, 4]
    with ledger.database.transaction(WORKSPACE) as tx:
        turn = reading_store.take_turn(tx, WORKSPACE, ledger.merchant_id, 60)
    assert turn is not None
    assert grown(ledger, lambda tx: reading_store.mark_gone(tx, turn, ["E"])) == {"B", "C", "E"}
    assert [ledger.available(sku) for sku in "ABCDE"] == [10, 9, 9, 10, 0]
    assert ledger.wrong_sums() == []


def test_r26_orders_for_skus_of_one_pool_at_once_sell_what_it_has(ledger: Ledger) -> None:
    ledger.put("A", 40, fnsku="X1")
    ledger.put("B", 40, fnsku="X1")
    dice = random.Random(26)
    wishes = [({"A": 1}, {"B": 1}, {"B": 1, "A": 1})[dice.randrange(3)] for _ in range(200)]

    def one(wish: dict[str, int], order: UUID) -> None:
        try:
            shipment = reserved(ledger, wish, order)
        except InsufficientStock:
            return
        with ledger.database.transaction(WORKSPACE) as tx:
            ledger_store.submitted(tx, shipment)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, wishes, ledger.orders(200)))
    assert sum(ledger.row(sku)["in_flight"] for sku in "AB") == 40
    assert [ledger.available(sku) for sku in "AB"] == [0, 0]
    assert ledger.wrong_sums() == []


def test_needs_of_one_pool_are_added_up() -> None:
    stock = {
        "A": Available(10, is_at_amazon=True, known=True, pool="X1"),
        "B": Available(8, is_at_amazon=True, known=True, pool="X1"),
        "C": Available(9, is_at_amazon=True, known=True),
    }
    assert drawn({"A": 6, "B": 3, "C": 9, "D": 1}, stock) == {"A": 9, "B": 9, "C": 9, "D": 1}
    assert sets((("A", 1), ("B", 1)), stock) == 4
    assert sets((("A", 1), ("C", 1)), stock) == 9


def test_a_shipment_that_gave_its_units_back_holds_none_again(ledger: Ledger) -> None:
    ledger.put("A", 10)
    ledger.put("B", 10)
    (order,) = ledger.orders(1)
    with ledger.database.transaction(WORKSPACE) as tx:
        shipment = ledger.reserve(tx, order, {"A": 3, "B": 1})
        ledger_store.release(tx, shipment, {"A": 3})
        ledger_store.reserve(tx, WORKSPACE, ledger.merchant_id, order, shipment, {"A": 3, "B": 1}, 0)
        ledger_store.release(tx, shipment)
    with pytest.raises(AlreadyReleased), ledger.database.transaction(WORKSPACE) as tx:
        ledger_store.reserve(tx, WORKSPACE, ledger.merchant_id, order, shipment, {"A": 3, "B": 1}, 0)
    assert [ledger.available(sku) for sku in "AB"] == [10, 10]


def test_a_shipment_that_two_reserve_for_at_once_holds_its_units_once(ledger: Ledger) -> None:
    ledger.put("A", 1000)
    orders = ledger.orders(20)
    shipments = [uuid4() for _ in orders]
    with ledger.database.transaction(WORKSPACE) as tx:
        for order, shipment in zip(orders, shipments, strict=True):
            ledger.ship(tx, order, shipment)
    for order, shipment in zip(orders, shipments, strict=True):
        together = threading.Barrier(3)

        def one(_: int, order: UUID = order, shipment: UUID = shipment, together: threading.Barrier = together) -> None:
            with ledger.database.transaction(WORKSPACE) as tx:
                together.wait(10)
                ledger_store.reserve(tx, WORKSPACE, ledger.merchant_id, order, shipment, {"A": 2}, 0)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(one, range(3)))
    assert ledger.available("A") == 1000 - 2 * len(orders)
    assert ledger.wrong_sums() == []


def test_barcodes_are_stored_while_units_are_reserved_and_nobody_waits_for_ever(ledger: Ledger) -> None:
    skus = [f"S{number:03}" for number in range(60)]
    for number, sku in enumerate(skus):
        ledger.put(sku, 1000, asin=f"B{(997 - number * 31) % 997:04}")
    found = [row["asin"] for row in ledger.rows("SELECT asin FROM stock ORDER BY amazon_sku DESC")]
    end = datetime.now(UTC) + timedelta(seconds=2)

    def barcodes() -> int:
        code = 0
        while datetime.now(UTC) < end:
            code += 1
            with ledger.database.transaction(WORKSPACE) as tx:
                items = [CatalogItem(asin, "", (str(code),)) for asin in found]
                barcode_store.save_barcodes(tx, ledger.merchant_id, items)
        return code

    def reserving() -> int:
        done = 0
        while datetime.now(UTC) < end:
            with ledger.database.transaction(WORKSPACE) as tx:
                ledger_store.lock(tx, ledger.merchant_id, skus)
            done += 1
        return done

    with ThreadPoolExecutor(3) as pool:
        stored, *locked = [pool.submit(work) for work in (barcodes, reserving, reserving)]
        assert all(each.result(30) for each in locked)
        last = str(stored.result(30))
    assert {tuple(row["barcodes"]) for row in ledger.rows("SELECT barcodes FROM stock")} == {(last,)}


def test_barcodes_that_are_known_lock_nothing(ledger: Ledger) -> None:
    ledger.put("A", 1, asin="B01", barcodes=["12"])
    with ledger.database.transaction(WORKSPACE) as tx:
        barcode_store.save_barcodes(tx, ledger.merchant_id, [CatalogItem("B01", "", ("12", "12"))])
        assert ledger.rows("SELECT 1 AS one FROM stock FOR UPDATE NOWAIT")


def test_of_a_sku_that_is_told_twice_the_last_figure_is_stored(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    figures = [Figure("A", "", "", "", units, 0, now) for units in (5, 3)]
    with ledger.database.transaction(WORKSPACE) as tx:
        recorded = reading_store.record(tx, WORKSPACE, ledger.merchant_id, figures, now)
    assert (recorded.changed, ledger.available("A")) == (1, 3)


def test_an_order_that_wants_too_much_of_a_pool_is_short_of_its_skus() -> None:
    stock = {sku: Available(10, is_at_amazon=True, known=True, pool="X1") for sku in "AB"}

    def short(*parts: tuple[str, int]) -> object:
        return sku_facts(Mapped((MappedUnit(("1",), parts),)), stock)["short_skus"]

    assert short(("A", 6), ("B", 6)) == ("A", "B")
    assert short(("A", 6), ("B", 4)) == ()
