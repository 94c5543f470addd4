"""Drift reports: once a day, and on demand, orders, ledger, Amazon and TikTok Shop are compared, and each difference is
named. What differs is looked at once more before it is: it may just be on its way from one side to the other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog
from prometheus_client import Gauge

from kit.db import ALL_WORKSPACES, Database
from kit.errors import ReelrouteError, Unavailable
from kit.vendor_errors import VendorNotFound
from services.fulfillment import shop_store
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop, ShopState
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.merchants.domain import Merchant
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.shipping import package_store
from services.fulfillment.shipping.domain import Shipment, ShipmentState
from services.fulfillment.stock import drift, drift_store, spread_store
from services.fulfillment.stock.drift import Drift
from services.fulfillment.stock.drift_store import DriftReport
from services.fulfillment.stock.looking import Look, Looking
from services.fulfillment.stock.offering import units_of
from services.fulfillment.stock.push_store import Push
from services.fulfillment.store import database_time
from vendors.amazon_sp.client import Amazon
from vendors.amazon_sp.outbound import FulfillmentOrder, OrderPage
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.order_models import Order

log = structlog.get_logger()

Item = TypeVar("Item")

DRIFTS = Gauge("reelroute_stock_drifts", "Differences that the latest report of a merchant found.", ["merchant_id"])

# Unless it was made, a report is tried again so soon.
_LEASE_SECONDS = 3600.0
# What changed before is compared only while it is open.
_SPAN = timedelta(days=2)
_CALL_SECONDS = 60.0
_AT_ONCE = 8
# Amazon's rate is shared with those who send orders: so many are read whole.
_MOST_READ = 400
_PRODUCTS = 100
_MOST_PUSHES = 600
_ORDERS = 50
_MOST_NUMBERS = 1000
_OVER = (ShipmentState.CANCELED, ShipmentState.FAILED, ShipmentState.SHIPPED)
_NOT_THERE = (ShipmentState.CANCELED, ShipmentState.FAILED)


class DriftStopped(Unavailable):
    """The process is ending: the report was not made."""


class Drifting:
    """Makes reports. `run_once` is for a loop (kit.loop.Loop). `grace_seconds`: how long what changed on one side may
    be on its way to the other.
    """

    def __init__(
        self,
        database: Database,
        calls: ShopCalls,
        amazon: AmazonCalls,
        refresh: Callable[[Shop], object],
        *,
        every_seconds: float,
        grace_seconds: float,
    ) -> None:
        self._database, self._calls, self._amazon = database, calls, amazon
        self._looking = Looking(database, calls, refresh)
        self._every_seconds, self._grace = every_seconds, timedelta(seconds=grace_seconds)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ends a report that is being made, soon."""
        self._stopping.set()

    def run_once(self) -> bool:
        """Makes the report that is due for longest; False when none is."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            due = drift_store.claim_merchant(tx, _LEASE_SECONDS)
        if due is None:
            return False
        with self._database.transaction(due[0]) as tx:
            merchant = merchant_store.read_merchant(tx, *due)
        try:
            self.make(merchant)
        except ReelrouteError as refusal:
            log.warning("a drift report is not made", merchant_id=str(due[1]), reason=refusal.reason)
        return True

    def make(self, merchant: Merchant) -> DriftReport:
        """Compares everything of a merchant now, and keeps what was found. Raises as `AmazonCalls.ask` and
        `ShopCalls.ask`, and DriftStopped.
        """
        workspace_id, merchant_id = merchant.workspace_id, merchant.merchant_id
        with self._database.transaction(workspace_id) as tx:
            now = database_time(tx)
            routings = drift_store.routings_of(tx, workspace_id, merchant_id)
            held = drift_store.held_of(tx, workspace_id, merchant_id, now - _SPAN)
            sums = drift_store.sums_of(tx, workspace_id, merchant_id)
        found = [each for one in held for each in drift.of_reservations(one, now)]
        found += [each for one in sums for each in drift.of_sums(one)]
        compared, different = self._at_amazon(merchant, routings, now)
        found += different + self._of_orders(merchant, compared, routings, now)
        for routing in routings:
            self._check_going()
            with self._database.transaction(workspace_id) as tx:
                shop = shop_store.read_shop(tx, workspace_id, routing.shop_id)
            if shop.state is ShopState.CONNECTED:
                found += self._numbers(shop, compared, now)
                found += self._quantities(shop, routing)
        with self._database.transaction(workspace_id) as tx:
            counted = len({each.order_id for each in compared}), len(sums)
            report = drift_store.save_report(tx, workspace_id, merchant_id, counted, found)
            drift_store.due_again(tx, merchant_id, self._every_seconds)
            if found:
                kinds = ", ".join(sorted({each.kind.replace("_", " ") for each in found}))
                count = f"{len(found)} difference{'s' if len(found) > 1 else ''}"
                text = f"{merchant.name}: orders, ledger, Amazon and TikTok Shop have {count}: {kinds}."
                merchant_store.tell_of_merchant(tx, workspace_id, "stock.drift", text, merchant.name)
        DRIFTS.labels(str(merchant_id)).set(len(found))
        return report

    def _at_amazon(
        self, merchant: Merchant, routings: Sequence[ShopRouting], now: datetime
    ) -> tuple[list[Shipment], list[Drift]]:
        """Shipments that were compared with Amazon's, and what is different."""
        since = now - _SPAN
        listed = {each.order_id: each for each in self._listed(merchant, since)}
        with self._database.transaction(merchant.workspace_id) as tx:
            ours = drift_store.recent_shipments(tx, merchant.workspace_id, merchant.merchant_id, since)
            known = drift_store.known_ids(tx, merchant.merchant_id, list(listed))
            strangers = [each for name, each in listed.items() if name not in known]
            names = {name for each in strangers for name in drift.names_of(each) if name}
            named = drift_store.orders_named(tx, merchant.workspace_id, names)
        prefixes = {routing.order_prefix for routing in routings}
        found = list(drift.of_strangers(strangers, prefixes, named))
        settled = [each for each in ours if each.update_time <= now - self._grace]
        whole = self._read(merchant, [each for each in settled if _is_to_read(each, listed)][:_MOST_READ])
        with self._database.transaction(merchant.workspace_id) as tx:
            again = drift_store.recent_shipments(tx, merchant.workspace_id, merchant.merchant_id, since)
        unchanged = {each.shipment_id for each in again if each.update_time <= now - self._grace}
        for shipment in settled:
            if shipment.shipment_id in unchanged and shipment.shipment_id in whole:
                found += drift.of_shipment(shipment, whole[shipment.shipment_id])
        return ours, found

    def _listed(self, merchant: Merchant, since: datetime) -> list[FulfillmentOrder]:
        found: list[FulfillmentOrder] = []
        token = ""
        while True:
            self._check_going()
            page = self._amazon.ask(merchant, partial(_changed, since, token), _CALL_SECONDS)
            found += page.orders
            if not page.next_token or page.next_token == token:
                return found
            token = page.next_token

    def _read(self, merchant: Merchant, shipments: Sequence[Shipment]) -> dict[UUID, FulfillmentOrder | None]:
        """Orders at Amazon, whole; None for those that it does not have."""
        found: dict[UUID, FulfillmentOrder | None] = {}

        async def one(amazon: Amazon, shipment: Shipment) -> None:
            try:
                found[shipment.shipment_id] = await amazon.outbound.get(shipment.fulfillment_order_id)
            except VendorNotFound:
                found[shipment.shipment_id] = None

        for some in _parts(shipments, _AT_ONCE):
            self._check_going()

            async def question(amazon: Amazon, some: Sequence[Shipment] = some) -> None:
                await asyncio.gather(*(one(amazon, shipment) for shipment in some))

            self._amazon.ask(merchant, question, _CALL_SECONDS)
        return found

    def _of_orders(
        self, merchant: Merchant, compared: Sequence[Shipment], routings: Sequence[ShopRouting], now: datetime
    ) -> list[Drift]:
        """Orders that are not where their shipments are, and numbers that TikTok Shop was not told."""
        workspace_id, before = merchant.workspace_id, now - self._grace
        with self._database.transaction(workspace_id) as tx:
            lost = drift_store.without_shipment(tx, workspace_id, merchant.merchant_id, before)
            shop_ids = [routing.shop_id for routing in routings]
            alive = drift_store.canceled_alive(tx, workspace_id, shop_ids, now - _SPAN, before)
            packages = package_store.packages_of_orders(tx, workspace_id, {each.order_id for each in compared})
        found = [drift.without_shipment(order_id) for order_id in lost]
        found += [drift.of_cancellation(order_id, status) for order_id, status in alive]
        for shipment in compared:
            if shipment.state not in _NOT_THERE:
                of = [each for each in packages.get(shipment.order_id, []) if each.shipment_id == shipment.shipment_id]
                found += drift.of_packages(shipment, of, now)
        return found

    def _numbers(self, shop: Shop, compared: Sequence[Shipment], now: datetime) -> list[Drift]:
        """Numbers that TikTok Shop was told and shows otherwise."""
        with self._database.transaction(shop.workspace_id) as tx:
            told = drift_store.told_packages(
                tx, shop.workspace_id, shop.shop_id, now - _SPAN, now - self._grace, _MOST_NUMBERS
            )
        found: list[Drift] = []
        for some in _parts(sorted(told), _ORDERS):
            self._check_going()

            async def question(access: Access, seconds: float, some: Sequence[str] = some) -> tuple[Order, ...]:
                return await self._calls.client.orders.get(access, some, timeout_seconds=seconds)

            for order in self._calls.ask(shop, question, _CALL_SECONDS):
                numbers = {line.id: line.tracking_number for line in order.line_items}
                for package in told.get(order.id, []):
                    found += drift.of_numbers(package, numbers)
        return found

    def _quantities(self, shop: Shop, routing: ShopRouting) -> list[Drift]:
        """What TikTok Shop offers and is not right, twice in a row. It is told again."""
        if not spread_store.tells(routing):
            return []
        found: list[Drift] = []
        after = ""
        while True:
            self._check_going()
            with self._database.transaction(shop.workspace_id) as tx:
                pushes = drift_store.pushes_of(tx, shop.workspace_id, shop.shop_id, after, _MOST_PUSHES)
            if not pushes:
                return found
            products = list(dict.fromkeys(push.platform_product_id for push in pushes))
            if len(pushes) == _MOST_PUSHES and len(products) > 1:
                products.pop()  # perhaps not whole
            products = products[:_PRODUCTS]
            after = products[-1]
            wrong = self._wrong(shop, routing, [push for push in pushes if push.platform_product_id in products])
            # Once more, without those of which something is being told by now.
            names = {push.platform_sku_id for push, _, _ in wrong}
            with self._database.transaction(shop.workspace_id) as tx:
                still = drift_store.still_at_rest(tx, shop.workspace_id, shop.shop_id, names)
            wrong = self._wrong(shop, routing, [push for push in still if push.platform_sku_id in names])
            for push, offered, right in wrong:
                name = push.seller_sku or push.platform_sku_id
                found += drift.of_quantity(name, push.parts[0][0], offered, right, push.problem)
            with self._database.transaction(shop.workspace_id) as tx:
                drift_store.tell_again(
                    tx, shop.workspace_id, shop.shop_id, [push.platform_sku_id for push, _, _ in wrong]
                )

    def _wrong(self, shop: Shop, routing: ShopRouting, pushes: Sequence[Push]) -> list[tuple[Push, int, int]]:
        """SKUs of which TikTok Shop offers so many, and other so many are right."""
        if not pushes:
            return []
        sight = self._looking.read(shop, sorted({push.platform_product_id for push in pushes}))
        look: Look = self._looking.look(shop, routing, pushes, sight, sight.skus)
        found = []
        for push in pushes:
            target = look.targets.get(push.platform_sku_id)
            if target is None:
                continue
            warehouses = routing.platform_warehouse_ids
            seen = {each.warehouse_id: each.available or 0 for each in look.seen[push.platform_sku_id].warehouses}
            offered, right = units_of(seen, warehouses), units_of(target, warehouses)
            if offered != right:
                found.append((push, offered, right))
        return found

    def _check_going(self) -> None:
        if self._stopping.is_set():
            raise DriftStopped("The process is just ending. Try again.")


async def _changed(since: datetime, token: str, amazon: Amazon) -> OrderPage:
    return await amazon.outbound.changed(since, token)


def _is_to_read(shipment: Shipment, listed: dict[str, FulfillmentOrder]) -> bool:
    """Whether Amazon's list says too little of a shipment, or something else than is known here."""
    there = listed.get(shipment.fulfillment_order_id)
    if shipment.state in _NOT_THERE:
        return there is not None and any(True for _ in drift.of_shipment(shipment, there))
    return there is None or shipment.state not in _OVER


def _parts(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
