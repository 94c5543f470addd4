"""What of the process takes orders in and works on them: its loops, and what wakes and ends them."""

from __future__ import annotations

from kit.db import Database
from kit.loop import Loop
from kit.vault import Vault
from services.fulfillment.calling import ShopCalls
from services.fulfillment.config import FulfillmentConfig
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.orders.hints import OrderHints
from services.fulfillment.orders.intake import Intake
from services.fulfillment.orders.order_api import OrderApi
from services.fulfillment.orders.working import OrderWork
from services.fulfillment.shipping.submitting import Submitting
from services.fulfillment.shipping.telling import Telling


class Orders:
    """Its parts, wired. `loops` are started and ended with the process; they end before the calls do."""

    def __init__(
        self,
        config: FulfillmentConfig,
        database: Database,
        vault: Vault,
        calls: ShopCalls,
        amazon: AmazonCalls,
        telling: Telling,
    ) -> None:
        self._intake = Intake(database, vault, calls, every_seconds=config.orders_seconds)
        self._hints = OrderHints(database, self._intake)
        work = OrderWork(
            database,
            vault,
            calls,
            amazon,
            self._intake,
            Submitting(amazon),
            at_once=config.orders_at_once,
            lease_seconds=config.order_lease_seconds,
        )
        self.api = OrderApi(database, vault, self._intake, telling)
        self.measure = work.measure
        # Reads what changed of a shop's orders.
        self.refresh = self._intake.sync
        self._hint_loop = Loop("webhooks of orders", self._hints.run_once, interval_seconds=5)
        self._workers = [
            Loop(f"orders {number + 1}", work.run_once, interval_seconds=2) for number in range(config.order_workers)
        ]
        readers = [
            Loop(f"order intake {number + 1}", self._intake.run_once, interval_seconds=5)
            for number in range(config.order_readers)
        ]
        self.loops = [*self._workers, self._hint_loop, *readers]

    def wake(self) -> None:
        """There are orders to work on."""
        for worker in self._workers:
            worker.wake()

    def wake_hints(self) -> None:
        """There are webhooks that name orders."""
        self._hint_loop.wake()

    def stop(self) -> None:
        """Begins no reading any more."""
        self._intake.stop()
        self._hints.stop()
