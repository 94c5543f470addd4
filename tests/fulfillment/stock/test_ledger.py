"""R26: units are held once, moved once and given back once, whoever else takes some and whoever dies."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from kit.db import ALL_WORKSPACES, Database
from services.fulfillment.stock import ledger_store, reading_store
from services.fulfillment.stock.domain import Available, InsufficientStock, sets
from services.fulfillment.stock.reading_store import Figure
from tests.fulfillment.stage import WORKSPACE
from tests.fulfillment.stock.ledger import Ledger

DELAY = 900.0


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger.of(database)


def a_figure(sku: str, fulfillable: int, update_time: datetime | None) -> Figure:
    return Figure(sku, "B01", "X01", sku, fulfillable, 0, update_time)


def test_r26_two_thousand_orders_on_a_hundred_units_with_deaths_sell_a_hundred(ledger: Ledger) -> None:
    ledger.put("A", 100)
    ledger.put("B", 60)
    dice = random.Random(26)
    wishes = [({"A": 1}, {"B": 1, "A": 1}, {"B": 1})[dice.randrange(3)] for _ in range(2000)]
    todo = list(zip(ledger.orders(2000), wishes, strict=True))
    over = threading.Event()
    deaths: list[object] = []

    def kill() -> None:
        """Whatever a process does not end, the database ends for it: half a transaction is none."""
        while not over.wait(0.2):
            with ledger.database.transaction(ALL_WORKSPACES) as tx:
                deaths.extend(
                    tx.execute(
                        text(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                            " AND datname = current_database() AND state LIKE 'idle in transaction%' LIMIT 1"
                        )
                    ).all()
                )

    def survive(work: Callable[[Connection], bool]) -> bool:
        while True:
            try:
                with ledger.database.transaction(WORKSPACE) as tx:
                    return work(tx)
            except InsufficientStock:
                return False
            except DBAPIError:
                continue  # the next process does it again

    def one(order: tuple[UUID, dict[str, int]]) -> UUID | None:
        order_id, wish = order
        shipment_id = uuid4()

        def reserved(tx: Connection) -> bool:
            known = tx.execute(text("SELECT 1 FROM shipments WHERE shipment_id = :id"), {"id": shipment_id}).first()
            if known is None:
                ledger.reserve(tx, order_id, wish, shipment_id)
            else:
                ledger_store.reserve(tx, WORKSPACE, ledger.merchant_id, order_id, shipment_id, wish, 0)
            return True

        def moved(tx: Connection) -> bool:
            ledger_store.submitted(tx, shipment_id)
            return True

        if not survive(reserved):
            return None
        survive(moved)
        survive(moved)
        return shipment_id

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with ThreadPoolExecutor(10) as pool:
            held = [each for each in pool.map(one, todo) if each is not None]
            taken = {sku: ledger.row(sku)["in_flight"] for sku in ("A", "B")}
            given_back = held[::2]

            def back(shipment_id: UUID) -> None:
                def released(tx: Connection) -> bool:
                    ledger_store.release(tx, shipment_id)
                    return True

                survive(released)
                survive(released)

            list(pool.map(back, given_back))
    finally:
        over.set()
        killer.join()
    assert deaths
    # All that could be sold is, and not one more.
    assert taken == {"A": 100, "B": 60}
    assert ledger.wrong_sums() == []
    left = ledger.rows("SELECT count(*) AS n FROM reservations WHERE state = 'IN_FLIGHT' AND shipment_id = ANY(:ids)",
                       ids=given_back)  # fmt: skip
    assert left == [{"n": 0}]
    for sku in ("A", "B"):
        row = ledger.row(sku)
        assert ledger.available(sku) == row["fulfillable"] - row["in_flight"]


def test_what_is_too_little_is_named_and_nothing_is_held(ledger: Ledger) -> None:
    ledger.put("A", 5)
    ledger.put("B", 1)
    (order,) = ledger.orders(1)
    with (
        pytest.raises(InsufficientStock, match=r"B, C") as refused,
        ledger.database.transaction(WORKSPACE) as tx,
    ):
        ledger.reserve(tx, order, {"C": 1, "B": 2, "A": 1})
    assert refused.value.skus == ("B", "C")
    assert ledger.rows("SELECT * FROM reservations") == []


def test_a_part_of_what_a_shipment_holds_is_given_back(ledger: Ledger) -> None:
    ledger.put("A", 5)
    ledger.put("B", 5)
    (order,) = ledger.orders(1)
    with ledger.database.transaction(WORKSPACE) as tx:
        shipment = ledger.reserve(tx, order, {"A": 3, "B": 2})
        ledger_store.submitted(tx, shipment)
        ledger_store.release(tx, shipment, {"A": 1, "B": 2})
    assert (ledger.available("A"), ledger.available("B")) == (3, 5)
    assert ledger.wrong_sums() == []


def submitted_at(ledger: Ledger, ago: float, quantities: dict[str, int]) -> UUID:
    """A shipment that Amazon has had for so many seconds."""
    (order,) = ledger.orders(1)
    with ledger.database.transaction(WORKSPACE) as tx:
        shipment = ledger.reserve(tx, order, quantities)
        ledger_store.submitted(tx, shipment)
        for table, column in (("shipments", "begin_time"), ("reservations", "submit_time")):
            tx.execute(
                text(f"UPDATE {table} SET {column} = now() - make_interval(secs => :ago) WHERE shipment_id = :id"),
                {"ago": ago, "id": shipment},
            )
    return shipment


def read(ledger: Ledger, figure: Figure, ago: float = 0.0) -> int:
    """A reading that began so many seconds ago; how many reservations it settles."""
    begun = datetime.now(UTC) - timedelta(seconds=ago)
    with ledger.database.transaction(WORKSPACE) as tx:
        reading_store.record(tx, WORKSPACE, ledger.merchant_id, [figure], begun)
        return ledger_store.settle(tx, ledger.merchant_id, begun, DELAY)


@pytest.mark.parametrize(
    ("submitted_ago", "figure_ago", "read_ago", "is_settled"),
    [
        (1000, 990, 0, True),
        (1000, 990, 150, False),  # the reading began too soon after the order
        (800, 700, 0, False),
        (1000, 1010, 0, False),  # the figure is from before the order
        (90_000, 90_010, 0, True),  # a day proves it
        (90_000, None, 0, True),
    ],
)
def test_what_is_in_flight_is_settled_by_a_figure_that_has_it(
    ledger: Ledger, submitted_ago: float, figure_ago: float | None, read_ago: float, *, is_settled: bool
) -> None:
    now = datetime.now(UTC)
    ledger.put("A", 10, read_time=now - timedelta(days=3))
    submitted_at(ledger, submitted_ago, {"A": 4})
    update_time = None if figure_ago is None else now - timedelta(seconds=figure_ago)
    assert read(ledger, a_figure("A", 6, update_time), read_ago) == is_settled
    assert ledger.available("A") == (6 if is_settled else 2)
    assert ledger.wrong_sums() == []


def test_readings_out_of_their_order_change_nothing(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    ledger.put("A", 10, read_time=now - timedelta(hours=1), amazon_update_time=now - timedelta(hours=2))
    read(ledger, a_figure("A", 7, now - timedelta(minutes=10)), 60)
    read(ledger, a_figure("A", 10, now - timedelta(minutes=20)), 300)
    assert ledger.available("A") == 7
    # Asked for later, and made earlier: another of Amazon's servers answered.
    read(ledger, a_figure("A", 10, now - timedelta(minutes=20)), 30)
    assert ledger.available("A") == 7
    read(ledger, a_figure("A", 3, now - timedelta(minutes=5)), 10)
    assert ledger.available("A") == 3
    assert [row["quantity"] for row in ledger.rows("SELECT quantity FROM stock_entries ORDER BY entry_id")] == [-3, -4]


def test_bundles_are_limited_by_their_scarcest_part() -> None:
    stock = {
        "A": Available(10, is_at_amazon=True, known=True),
        "B": Available(7, is_at_amazon=True, known=True),
    }
    assert sets((("A", 2), ("B", 1)), stock) == 5
    assert sets((("A", 1), ("B", 2), ("A", 2)), stock) == 3
    assert sets((("A", 1), ("C", 1)), stock) == 0
    assert sets((), stock) == 0
