"""Each routable order is exactly one order at Amazon, whatever is lost, repeated, killed or done by two at once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from reelroute.fulfillment.v1 import orders_pb2 as pb
from sqlalchemy import Connection

from kit.db import Database
from services.fulfillment.orders.intake import Intake
from services.fulfillment.orders.working import OrderWork
from services.fulfillment.shipping import submitting
from services.fulfillment.shipping.submitting import Submitting
from tests.fulfillment.orders.life import OrderStage, staged_orders
from tests.fulfillment.orders.test_life import about
from tests.fulfillment.stage import TikTokShop


class Killed(BaseException):
    """The process died here."""


class MortalDatabase:
    """A database whose process dies right before, or right after, its transaction number `fatal`."""

    def __init__(self, real: Database, fatal: int, *, is_after: bool) -> None:
        self._real, self._fatal, self._is_after = real, fatal, is_after
        self.count = 0

    @contextmanager
    def transaction(self, workspace_id: UUID | str) -> Iterator[Connection]:
        self.count += 1
        is_fatal = self.count == self._fatal
        if is_fatal and not self._is_after:
            raise Killed
        with self._real.transaction(workspace_id) as tx:
            yield tx
        if is_fatal:
            raise Killed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def a_worker(life: OrderStage, database: Any = None) -> OrderWork:
    """Another process that works on orders."""
    opened = database or life.database
    shops = life.shops
    intake = Intake(opened, shops.vault, shops.calls, every_seconds=60)
    asking = Submitting(life.merchants.calls, doubt_seconds=0.02, settle_seconds=0.05)
    return OrderWork(
        opened, shops.vault, shops.calls, life.merchants.calls, intake, asking, at_once=20, lease_seconds=60
    )


def finish(life: OrderStage, bought: list[str], rounds: int = 60) -> None:
    """Works until every order is at Amazon for certain."""
    worker = a_worker(life)
    for _ in range(rounds):
        life.hasten()
        while worker.run_once():
            pass
        if not life.rows("SELECT 1 FROM shipments WHERE state IN ('PLANNED', 'SUBMITTING') LIMIT 1") and not life.rows(
            "SELECT 1 FROM orders WHERE state = 'PENDING' LIMIT 1"
        ):
            return
    raise AssertionError("some are still not at Amazon")


def assert_each_once(life: OrderStage, bought: list[str]) -> None:
    there = Counter(each["id"] for each in life.at_amazon() if each["status"] != "Cancelled")
    assert there == Counter(f"TTS-{each}-1" for each in bought)
    assert {row["state"] for row in life.rows("SELECT state FROM orders")} == {"ROUTED"}
    assert {row["state"] for row in life.rows("SELECT state FROM shipments")} == {"SUBMITTED"}
    assert life.stock()["in_flight"] == len(bought)
    assert life.stock()["reserved"] == 0


@pytest.mark.parametrize("is_after", [False, True])
def test_r27_killed_between_any_two_commits_an_order_is_sent_once(life: OrderStage, is_after: bool) -> None:
    bought = []
    for fatal in range(1, 30):
        bought.append(life.buy())
        life.take_in()
        database = MortalDatabase(life.database, fatal, is_after=is_after)
        worker = a_worker(life, database)
        try:
            while worker.run_once():
                pass
        except Killed:
            finish(life, bought)
            # Killed twice in a row at the same place.
            continue
        break
    else:
        raise AssertionError("there are more commits than are tried")
    assert database.count > 4
    assert_each_once(life, bought)


def test_r27_lost_and_late_answers_are_settled_by_reading(life: OrderStage) -> None:
    bought = [life.buy() for _ in range(40)]
    for mode in ("lost_reply", "late_error", "error", "reset", "rate_limit"):
        more: dict[str, Any] = {"status": 503} if mode in ("error", "late_error") else {}
        for endpoint in ("createFulfillmentOrder", "getFulfillmentOrder", "listAllFulfillmentOrders"):
            life.amazon.fault(endpoint, mode, probability=0.12, seed=len(mode), **more)
    life.take_in()
    life.go()
    finish(life, bought)
    assert_each_once(life, bought)


def test_an_order_that_is_seen_late_after_a_lost_answer_is_not_created_under_another_id(life: OrderStage) -> None:
    life.amazon.settings(visible_seconds=1.5)
    bought = [life.buy()]
    life.amazon.fault("createFulfillmentOrder", "lost_reply")
    life.take_in()
    life.go()
    finish(life, bought)
    assert_each_once(life, bought)
    (there,) = life.at_amazon()
    # It was asked for again under the same id, which Amazon refuses: that is no failure.
    assert there["repeats"] >= 1


def test_an_id_that_amazon_has_given_to_something_else_is_held(life: OrderStage) -> None:
    bought = life.buy()
    life.amazon.fault("createFulfillmentOrder", "lost_reply")
    life.take_in()
    life.go()
    # As if another program had made it: with other items.
    life.rows("UPDATE shipments SET items = jsonb_set(items, '{0,quantity}', '7')")
    life.rows("UPDATE shipments SET state = 'SUBMITTING'")
    life.hasten()
    life.rows("UPDATE orders SET next_time = now()")
    life.go()
    assert life.where(bought) == ("HELD", "amazon_differs")


def test_r27_two_processes_at_once_send_each_order_once(
    life: OrderStage, database: Database, tiktok_shop: TikTokShop
) -> None:
    with staged_orders(database, tiktok_shop, life.amazon, like=life) as other:
        bought = [life.buy() for _ in range(30)]
        in_parallel([life.take_in, other.take_in])
        in_parallel([partial(work_off, a_worker(each)) for each in (life, other, other)])
        finish(life, bought)
    assert_each_once(life, bought)
    assert life.amazon.calls("createFulfillmentOrder") == len(bought)


def test_a_worker_that_was_overtaken_stores_nothing_and_what_it_sends_is_nothing_new(
    life: OrderStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = [life.buy()]
    life.take_in()
    slow, real = a_worker(life), submitting.Submitting.work

    def overtaken(self: Submitting, *arguments: Any) -> Any:
        # While it slept, another took the order and finished it.
        monkeypatch.setattr(submitting.Submitting, "work", real)
        life.hasten()
        work_off(a_worker(life))
        return real(self, *arguments)

    monkeypatch.setattr(submitting.Submitting, "work", overtaken)
    slow.run_once()
    assert_each_once(life, bought)
    assert life.events(bought[0]).count("shipment.submitted") == 1


def test_r26_stock_is_never_sold_twice(life: OrderStage, database: Database, tiktok_shop: TikTokShop) -> None:
    life.set_stock(20)
    bought = [life.buy(quantity=random.Random(number).randint(1, 2)) for number in range(30)]
    life.take_in()
    lowest: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            row = life.stock()
            lowest.append(row["fulfillable"] - row["reserved"] - row["in_flight"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with staged_orders(database, tiktok_shop, life.amazon, like=life) as other:
            in_parallel([partial(work_off, a_worker(each)) for each in (life, other, life)])
            for _ in range(5):
                life.hasten()
                work_off(a_worker(life))
    finally:
        done.set()
        watcher.join()
    assert min(lowest) >= 0
    states = Counter(life.where(each) for each in bought)
    assert set(states) == {("ROUTED", ""), ("HELD", "insufficient_stock")}
    sent = sum(item["quantity"] for each in life.at_amazon() for item in each["request"]["items"])
    assert sent == life.stock()["in_flight"] <= 20
    assert sent >= 19
    assert life.stock()["reserved"] == 0
    # What is canceled is there for the next.
    routed = next(each for each in bought if life.where(each) == ("ROUTED", ""))
    life.stub.CancelOrders(about(life, routed, pb.CancelOrdersRequest), timeout=10)
    work_off(a_worker(life))
    assert life.where(routed) == ("CANCELED", "")
    assert life.stock()["in_flight"] < sent


def work_off(worker: OrderWork) -> None:
    while worker.run_once():
        pass


def in_parallel(works: list[Callable[[], object]]) -> None:
    """Runs all at once; raises the first failure."""
    with ThreadPoolExecutor(len(works)) as pool:
        for running in [pool.submit(work) for work in works]:
            running.result()
