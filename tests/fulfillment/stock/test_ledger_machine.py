"""The ledger beside an Amazon whose figures lag: whatever happens in whatever order, no unit is offered that is not
there, and the sums are those of the reservations.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kit.db import Database
from services.fulfillment.stock import ledger_store, reading_store
from services.fulfillment.stock.domain import InsufficientStock
from services.fulfillment.stock.reading_store import Figure
from tests.fulfillment.stage import WORKSPACE
from tests.fulfillment.stock.ledger import Ledger

DELAY = 900.0
SKUS = ("A", "B")


class Amazon:
    """Units of a SKU: what is true, and what its figure shows of that later. Times are seconds of the machine's."""

    def __init__(self, units: int) -> None:
        self.true = units
        self.changes = [(0.0, units)]

    def change(self, units: int, visible: float) -> None:
        self.true += units
        # What happened first is seen first.
        self.changes.append((max(visible, self.changes[-1][0]), units))

    def figure(self, now: float) -> tuple[int, float]:
        """What it shows, and when it last changed that."""
        seen = [each for each in self.changes if each[0] <= now]
        return max(0, sum(units for _, units in seen)), max(at for at, _ in seen)


class LedgerMachine(RuleBasedStateMachine):
    """Orders are reserved, sent, known to be sent, canceled and known to be canceled, each by itself; readings are made
    and stored by themselves, too.
    """

    ledger: Ledger

    @initialize(a=st.integers(0, 20), b=st.integers(0, 20))
    def begin(self, a: int, b: int) -> None:
        ledger = self.ledger
        for table in ("stock_entries", "reservations", "shipments", "orders", "stock"):
            ledger.rows(f"DELETE FROM {table}")
        self.now, self.count = 0.0, 0
        self.amazon = {"A": Amazon(a), "B": Amazon(b)}
        self.start = datetime.now(UTC) - timedelta(days=1)
        for sku, there in self.amazon.items():
            ledger.put(sku, there.true, read_time=self.at(0), amazon_update_time=self.at(0))
        self.reserved: dict[UUID, dict[str, int]] = {}
        self.sent: dict[UUID, dict[str, int]] = {}
        self.known: dict[UUID, dict[str, int]] = {}
        self.readings: list[tuple[float, dict[str, tuple[int, float]]]] = []

    def at(self, seconds: float) -> datetime:
        return self.start + timedelta(seconds=seconds)

    @rule(a=st.integers(0, 6), b=st.integers(0, 6))
    def reserve(self, a: int, b: int) -> None:
        wanted = {sku: units for sku, units in (("A", a), ("B", b)) if units}
        if not wanted:
            return
        self.count += 1
        shipment_id = UUID(int=self.count)
        (order_id,) = self.ledger.orders(1)
        free = {sku: self.ledger.available(sku) for sku in wanted}
        try:
            with self.ledger.database.transaction(WORKSPACE) as tx:
                self.ledger.reserve(tx, order_id, wanted, shipment_id)
        except InsufficientStock:
            assert any(free[sku] < units for sku, units in wanted.items())
            return
        assert all(free[sku] >= units for sku, units in wanted.items())
        self.reserved[shipment_id] = wanted

    @precondition(lambda self: self.reserved)
    @rule(data=st.data(), lag=st.floats(0, DELAY))
    def send(self, data: Any, lag: float) -> None:
        """Amazon takes it; that it did is known later."""
        shipment_id = data.draw(st.sampled_from(sorted(self.reserved)))
        self.sent[shipment_id] = self.reserved.pop(shipment_id)
        self.ledger.rows("UPDATE shipments SET begin_time = :at WHERE shipment_id = :id",
                         at=self.at(self.now), id=shipment_id)  # fmt: skip
        for sku, units in self.sent[shipment_id].items():
            assert self.amazon[sku].true >= units, "sold what is not there"
            self.amazon[sku].change(-units, self.now + lag)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def know(self, data: Any) -> None:
        shipment_id = data.draw(st.sampled_from(sorted(self.sent)))
        self.known[shipment_id] = self.sent.pop(shipment_id)
        with self.ledger.database.transaction(WORKSPACE) as tx:
            ledger_store.submitted(tx, shipment_id)
        self.ledger.rows("UPDATE reservations SET submit_time = :at WHERE shipment_id = :id AND state = 'IN_FLIGHT'",
                         at=self.at(self.now), id=shipment_id)  # fmt: skip

    @precondition(lambda self: self.reserved)
    @rule(data=st.data())
    def drop(self, data: Any) -> None:
        """What Amazon never got is given back, and once more."""
        shipment_id = data.draw(st.sampled_from(sorted(self.reserved)))
        del self.reserved[shipment_id]
        for _ in range(2):
            with self.ledger.database.transaction(WORKSPACE) as tx:
                ledger_store.release(tx, shipment_id)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), lag=st.floats(0, DELAY))
    def cancel(self, data: Any, lag: float) -> None:
        """Amazon cancels it, and we know at once; its figure shows it later."""
        shipment_id = data.draw(st.sampled_from(sorted(self.known)))
        for sku, units in self.known.pop(shipment_id).items():
            self.amazon[sku].change(units, self.now + lag)
        with self.ledger.database.transaction(WORKSPACE) as tx:
            ledger_store.release(tx, shipment_id)

    @rule(sku=st.sampled_from(SKUS), units=st.integers(1, 10), lag=st.floats(0, DELAY))
    def receive(self, sku: str, units: int, lag: float) -> None:
        self.amazon[sku].change(units, self.now + lag)

    @rule(seconds=st.sampled_from([1.0, 60.0, 400.0, 901.0, 2000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def read(self) -> None:
        """A reading begins and is answered; it is stored later, perhaps after another one."""
        self.readings.append((self.now, {sku: there.figure(self.now) for sku, there in self.amazon.items()}))

    @precondition(lambda self: self.readings)
    @rule(data=st.data())
    def store(self, data: Any) -> None:
        begun, figures = self.readings.pop(data.draw(st.integers(0, len(self.readings) - 1)))
        told = [Figure(sku, "", "", sku, units, 0, self.at(changed)) for sku, (units, changed) in figures.items()]
        with self.ledger.database.transaction(WORKSPACE) as tx:
            reading_store.record(tx, WORKSPACE, self.ledger.merchant_id, told, self.at(begun))
        while True:
            with self.ledger.database.transaction(WORKSPACE) as tx:
                if not ledger_store.settle(tx, self.ledger.merchant_id, self.at(begun), DELAY):
                    return

    @invariant()
    def nothing_is_offered_that_is_not_there(self) -> None:
        if not hasattr(self, "reserved"):
            return
        for sku, there in self.amazon.items():
            waiting = sum(wanted.get(sku, 0) for wanted in self.reserved.values())
            assert self.ledger.available(sku) <= there.true - waiting

    @invariant()
    def sums_are_those_of_the_reservations(self) -> None:
        assert self.ledger.wrong_sums() == []


def test_no_order_of_events_offers_what_is_not_there(database: Database) -> None:
    ledger = Ledger.of(database)
    machine = type("Machine", (LedgerMachine,), {"ledger": ledger})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
