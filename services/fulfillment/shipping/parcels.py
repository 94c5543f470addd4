"""Parcels' ways: each package on its way is asked for at most once an hour, until it is delivered, back or lost.

Amazon's rate may allow less: those that wait for longest come first.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

import structlog

from kit.db import ALL_WORKSPACES, Database
from kit.errors import ReelrouteError
from kit.vendor_errors import VendorNotFound
from services.fulfillment import shop_store, store
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.orders import order_store
from services.fulfillment.orders.story import Story
from services.fulfillment.shipping import alarm_store, package_store
from services.fulfillment.shipping.package_store import ENDS, ToTrack
from vendors.amazon_sp.client import Amazon
from vendors.amazon_sp.outbound import PackageStatus, Tracking

log = structlog.get_logger()

_BATCH = 16
_SECONDS = 60.0
# Longer than a batch takes with all its retries.
_LEASE_SECONDS = 300.0
_AGAIN_SECONDS = 120.0
# One that is expected only days from now is asked for more rarely.
_FAR, _FAR_TIMES = timedelta(days=1), 4


class Parcels:
    """Asks for parcels' ways. `run_once` is for loops (kit.loop.Loop), of which there may be several."""

    def __init__(self, database: Database, amazon: AmazonCalls, *, every_seconds: float) -> None:
        self._database, self._amazon, self._every_seconds = database, amazon, every_seconds
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begins no other batch."""
        self._stopping.set()

    def run_once(self) -> bool:
        """One batch; True when there may be more."""
        if self._stopping.is_set():
            return False
        with self._database.transaction(ALL_WORKSPACES) as tx:
            due = package_store.claim_tracks(tx, _BATCH, _LEASE_SECONDS)

        def owner(each: ToTrack) -> tuple[UUID, UUID]:
            return (each.workspace_id, each.merchant_id)

        for _, same in groupby(sorted(due, key=owner), owner):
            self._track(list(same))
        return len(due) == _BATCH

    def _track(self, parcels: Sequence[ToTrack]) -> None:
        """Asks for parcels of one merchant at once. What was answered is stored, also when not all of it was."""
        workspace_id, merchant_id = parcels[0].workspace_id, parcels[0].merchant_id
        found: dict[UUID, Tracking | None] = {}

        async def one(amazon: Amazon, parcel: ToTrack) -> None:
            try:
                found[parcel.package_id] = await amazon.outbound.track(parcel.package_number)
            except VendorNotFound:
                found[parcel.package_id] = None

        async def question(amazon: Amazon) -> None:
            tasks = [asyncio.create_task(one(amazon, parcel)) for parcel in parcels]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

        again = _AGAIN_SECONDS
        try:
            with self._database.transaction(workspace_id) as tx:
                merchant = merchant_store.read_merchant(tx, workspace_id, merchant_id)
            self._amazon.ask(merchant, question, _SECONDS)
        except ReelrouteError as refusal:
            log.info("parcels are not tracked", merchant_id=str(merchant_id), reason=refusal.reason)
            again = max(again, refusal.retry_after_seconds or 0)
        for package_id, tracking in found.items():
            if tracking is not None:
                self._store(workspace_id, package_id, tracking)
        with self._database.transaction(workspace_id) as tx:
            untold = [package_id for package_id, tracking in found.items() if tracking is None]
            package_store.track_again(tx, untold, self._every_seconds)
            unasked = [each.package_id for each in parcels if each.package_id not in found]
            package_store.track_again(tx, unasked, again)

    def _store(self, workspace_id: UUID, package_id: UUID, tracking: Tracking) -> None:
        with self._database.transaction(workspace_id) as tx:
            order_id = package_store.read_package(tx, workspace_id, package_id).order_id
            order = order_store.read_order(tx, workspace_id, order_id, for_update=True)
            before = package_store.read_package(tx, workspace_id, package_id)
            now = store.database_time(tx)
            again = next_question(tracking, now, self._every_seconds)
            after = package_store.set_tracking(tx, before, tracking, again)
            if after.estimated_arrival_time != before.estimated_arrival_time:
                alarm_store.look_again(tx, workspace_id, order_id)
            if after.status == before.status:
                return
            text = _TEXTS.get(tracking.status, f"Its carrier says: {after.status}.")
            story = Story(tx, now, shop_store.read_shop(tx, workspace_id, order.shop_id).name)
            if tracking.status in (PackageStatus.RETURNED, PackageStatus.UNDELIVERABLE):
                story.tell(order, "package.lost", f"A parcel does not arrive. {text} {_NEXT_STEP}", after.status)
            else:
                kind = "package.delivered" if tracking.status is PackageStatus.DELIVERED else "package.moved"
                story.event(order, kind, text, {"package_id": str(package_id), "status": after.status[:60]})
            story.write()
            if after.status in ENDS:
                order_store.wake(tx, workspace_id, [order_id])


_NEXT_STEP = "Refund the buyer, or send it again."
_TEXTS = {
    PackageStatus.IN_TRANSIT: "It is on its way.",
    PackageStatus.OUT_FOR_DELIVERY: "It is out for delivery.",
    PackageStatus.DELIVERY_ATTEMPTED: "A delivery was attempted.",
    PackageStatus.DELAYED: "It is delayed.",
    PackageStatus.AVAILABLE_FOR_PICKUP: "The buyer can pick it up.",
    PackageStatus.CUSTOMER_ACTION: "The carrier needs something of the buyer.",
    PackageStatus.DELIVERED: "It was delivered.",
    PackageStatus.RETURNING: "It is on its way back.",
    PackageStatus.RETURNED: "It came back to Amazon.",
    PackageStatus.UNDELIVERABLE: "It is lost, or cannot be delivered.",
}


def next_question(tracking: Tracking, now: datetime, every_seconds: float) -> float | None:
    """In how many seconds a parcel is asked for again; None: never, its way is over."""
    if tracking.status.value in ENDS:
        return None
    expected = tracking.estimated_arrival_time
    is_far = tracking.in_transit_time is not None and expected is not None and expected - now > _FAR
    return every_seconds * (_FAR_TIMES if is_far else 1)
