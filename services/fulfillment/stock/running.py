"""What of the process keeps stock: its loops, and what wakes and ends them."""

from __future__ import annotations

from collections.abc import Callable

from kit.db import Database
from kit.loop import Loop
from services.fulfillment.calling import ShopCalls
from services.fulfillment.config import FulfillmentConfig
from services.fulfillment.domain import Shop
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.stock.drifting import Drifting
from services.fulfillment.stock.pushing import Pushing
from services.fulfillment.stock.reading import StockReading
from services.fulfillment.stock.spreading import Spreading
from services.fulfillment.stock.stock_api import StockApi


class StockKeeping:
    """Its parts, wired. `refresh` reads the orders of a shop that changed. `loops` are started and ended with the
    process; they end before the calls do.
    """

    def __init__(
        self,
        config: FulfillmentConfig,
        database: Database,
        calls: ShopCalls,
        amazon: AmazonCalls,
        refresh: Callable[[Shop], object],
    ) -> None:
        self._reading = StockReading(
            database,
            amazon,
            every_seconds=config.stock_seconds,
            whole_seconds=config.stock_whole_seconds,
            delay_seconds=config.stock_delay_seconds,
        )
        spreading = Spreading(
            database, shop_seconds=config.stock_shop_seconds, delay_seconds=config.stock_push_delay_seconds
        )
        self._pushing = Pushing(database, calls, refresh)
        self._drifting = Drifting(
            database,
            calls,
            amazon,
            refresh,
            every_seconds=config.drift_seconds,
            grace_seconds=config.stock_delay_seconds,
        )
        self.api = StockApi(database, self._reading, self._drifting)
        self.measure = self._pushing.measure
        self._spread = Loop("stock", spreading.run_once, interval_seconds=5)
        pushers = [
            Loop(f"stock pushes {number + 1}", self._pushing.run_once, interval_seconds=2)
            for number in range(config.stock_pushers)
        ]
        readers = [
            Loop(f"stock at Amazon {number + 1}", self._reading.run_once, interval_seconds=5)
            for number in range(config.stock_readers)
        ]
        self.loops = [
            self._spread,
            *pushers,
            *readers,
            Loop("drift reports", self._drifting.run_once, interval_seconds=60),
        ]

    def wake(self) -> None:
        """Stock has changed."""
        self._spread.wake()

    def stop(self) -> None:
        """Begins nothing new."""
        self._reading.stop()
        self._pushing.stop()
        self._drifting.stop()
