"""What of the process follows shipments and tells numbers: its loops, and what wakes and ends them."""

from __future__ import annotations

from datetime import timedelta

from kit.db import Database
from kit.loop import Loop
from services.fulfillment.calling import ShopCalls
from services.fulfillment.config import FulfillmentConfig
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.shipping.alarms import Alarms
from services.fulfillment.shipping.following import Following
from services.fulfillment.shipping.parcels import Parcels
from services.fulfillment.shipping.telling import Telling


class Tracking:
    """Its parts, wired. `loops` are started and ended with the process; they end before the calls do."""

    def __init__(self, config: FulfillmentConfig, database: Database, calls: ShopCalls, amazon: AmazonCalls) -> None:
        self._following = Following(
            database, amazon, every_seconds=config.shipment_seconds, sweep_seconds=config.shipment_sweep_seconds
        )
        self.telling = Telling(database, calls, self._following.read_now)
        self._parcels = Parcels(database, amazon, every_seconds=config.parcel_seconds)
        alarms = Alarms(database, [timedelta(hours=int(hours)) for hours in config.alarm_hours.split(",")])
        self._tellers = [
            Loop(f"tracking numbers {number + 1}", self.telling.run_once, interval_seconds=5)
            for number in range(config.tracking_tellers)
        ]
        followers = [
            Loop(f"shipments {number + 1}", self._following.run_once, interval_seconds=5)
            for number in range(config.shipment_followers)
        ]
        self.loops = [
            *self._tellers,
            *followers,
            Loop("parcels", self._parcels.run_once, interval_seconds=10),
            Loop("alarms", alarms.run_once, interval_seconds=30),
        ]

    def wake(self) -> None:
        """There are numbers to tell."""
        for teller in self._tellers:
            teller.wake()

    def stop(self) -> None:
        """Begins nothing new."""
        self._following.stop()
        self.telling.stop()
        self._parcels.stop()
