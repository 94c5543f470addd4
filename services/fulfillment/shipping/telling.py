"""Telling TikTok Shop the numbers of packages: each once, in steps that are stored before the next begins.

    due → judged by the guard → looked for at TikTok Shop → TELLING stored → told → TOLD

TikTok Shop has no key against repeating: whatever happens between, the next turn begins with the look, and a number of
ours that is found there counts as told. One process at a time tells for a shop, one number after the other, so that the
first one that TikTok Shop rejects is the last: it stops the shop until a person lets it go on.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from kit import context
from kit.db import ALL_WORKSPACES, Database
from kit.errors import DeadlineExceeded, ReelrouteError
from kit.vendor_errors import VendorNotFound
from services.fulfillment import shop_store, store
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop, ShopCallsLimited, ShopRequestRefused, ShopUnavailable
from services.fulfillment.orders import order_store
from services.fulfillment.routing import routing_store
from services.fulfillment.shipping import guard, outcomes, package_store, shipment_store, telling_store
from services.fulfillment.shipping.domain import Package, Shipment, TellState
from services.fulfillment.shipping.guard import Case, Tell, Withheld
from services.fulfillment.shipping.outcomes import being_told, edit_refused, edited_package_id
from services.fulfillment.shipping.providers import Providers
from services.fulfillment.shipping.shop_side import Has, Refusal, ShopSide, refusal_of
from services.fulfillment.shipping.telling_store import Shift

log = structlog.get_logger()

# Longer than one number takes with its retries; it begins anew with each.
LEASE_SECONDS = 150.0
# What Amazon showed longer ago than this is asked for again before it is told.
_FRESH = timedelta(minutes=15)
_SHOP_SECONDS = 120.0  # until a shop that cannot be called is looked at again
_UNCLEAR_SECONDS = (10.0, 600.0)  # after a call without a usable answer: the first wait, doubling to the last
_PAUSE_SECONDS = 5.0


class Interrupted(Exception):
    """The shop's numbers cannot be told for so many seconds; or another process tells them, or they are stopped."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Telling:
    """Tells numbers. `run_once` is for loops (kit.loop.Loop), of which there may be several. `read_now` reads a
    shipment from Amazon; it raises a ReelrouteError when that cannot be done.
    """

    def __init__(self, database: Database, calls: ShopCalls, read_now: Callable[[Shipment], None]) -> None:
        self._database, self._read_now = database, read_now
        self._providers, self._shop_side = Providers(calls), ShopSide(calls)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Lets the present number be told to its end, and no other."""
        self._stopping.set()

    def run_once(self) -> bool:
        """Tells the numbers of the shop that waits for longest; False when none does."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            shift = telling_store.claim_shop(tx, LEASE_SECONDS)
        if shift is None:
            return False
        again = 0.0
        try:
            while not self._stopping.is_set():
                with self._database.transaction(shift.workspace_id) as tx:
                    package = telling_store.next_package(tx, shift)
                    kept = telling_store.keep_shop(tx, shift, LEASE_SECONDS) if package else None
                if package is None or kept is None:
                    break
                shift = kept
                self.work_on(shift, package)
        except Interrupted as interruption:
            again = interruption.seconds
        finally:
            with self._database.transaction(shift.workspace_id) as tx:
                telling_store.release_shop(tx, shift, again)
        return True

    def work_on(self, shift: Shift, package: Package) -> None:
        """One number, to its end or until later. Raises Interrupted."""
        subjects = {"workspace_id": shift.workspace_id, "shop_id": shift.shop_id, "order_id": package.order_id}
        with context.about(**subjects):
            try:
                self._step(shift, package)
            except (ShopUnavailable, DeadlineExceeded) as failure:
                first, last = _UNCLEAR_SECONDS
                wait = min(first * 2 ** min(package.tell_attempt, 10), last)
                log.info("a number is told later", reason=failure.reason, again_seconds=wait)
                with self._database.transaction(package.workspace_id) as tx:
                    telling_store.tell_later(tx, package, wait)
                raise Interrupted(_PAUSE_SECONDS) from None
            except ShopCallsLimited as limited:
                raise Interrupted(limited.retry_after_seconds or _PAUSE_SECONDS) from None
            except ReelrouteError as refusal:
                log.warning("a shop is not told its numbers", reason=refusal.reason)
                raise Interrupted(_SHOP_SECONDS) from None

    def case_of(self, package: Package, *, not_number: str = "") -> tuple[Case, Shop]:
        """All that the guard looks at. Raises as `ShopCalls.ask`."""
        with self._database.transaction(package.workspace_id) as tx:
            case, shop = _case(tx, package, not_number)
        try:
            offered = self._providers.offered(shop, case.order.told)
        except (ShopRequestRefused, VendorNotFound):
            offered = {}
        return dataclasses.replace(case, offered=offered), shop

    def refresh(self, package: Package) -> None:
        """Has Amazon asked again when it showed the package too long ago. Raises as `AmazonCalls.ask`."""
        with self._database.transaction(package.workspace_id) as tx:
            if store.database_time(tx) - package.proven_time <= _FRESH:
                return
            shipment = shipment_store.read_shipment(tx, package.workspace_id, package.shipment_id)
        self._read_now(shipment)

    def begin(self, shift: Shift, case: Case, tell: Tell) -> Package | None:
        """Stores that it is being told, if all is still as it was judged; None when it is not."""
        package = case.package
        try:
            with self._database.transaction(package.workspace_id) as tx:
                now, _ = _case(tx, package, case.not_number)
                if not telling_store.holds(tx, shift):
                    raise Interrupted(0)
                if guard.judge(dataclasses.replace(now, offered=case.offered)) != tell:
                    return None
                return telling_store.set_telling(tx, now.package, tell, by_edit_of=edited_package_id(now, tell))
        except IntegrityError as error:
            if "a_number_is_told_for_one_package" not in str(error.orig):
                raise
            return None

    def say(self, shop: Shop, case: Case, package: Package, tell: Tell, has: Has) -> None:
        """Tells what is stored as TELLING, unless TikTok Shop has it. Raises as `ShopCalls.ask`, and Interrupted."""
        order = case.order
        platform_package_id = has.platform_package_id
        try:
            if not has.is_ours:
                edited = package.platform_package_id if package.is_edit_used else ""
                platform_package_id = self._shop_side.say(shop, order.told.platform_order_id, tell, edited)
        except (ShopRequestRefused, VendorNotFound) as error:
            refusal, why = refusal_of(error)
            if refusal is Refusal.PROVIDER:
                self._providers.forget(shop.shop_id)
            with self._database.transaction(package.workspace_id) as tx:
                outcomes.refused(tx, shop, order, package, refusal, why, has)
            if refusal is Refusal.REJECTED:
                raise Interrupted(0) from None
            return
        with self._database.transaction(package.workspace_id) as tx:
            outcomes.told(tx, order, package, platform_package_id)

    def look(self, shop: Shop, case: Case, tell: Tell) -> Has | Withheld:
        """What TikTok Shop has of it. Raises as `ShopCalls.ask`."""
        package = case.package
        is_edited = package.tell_state is TellState.TELLING and package.is_edit_used
        edited = package.platform_package_id if is_edited else edited_package_id(case, tell)
        try:
            return self._shop_side.look(shop, case.order.told.platform_order_id, tell, edited)
        except (ShopRequestRefused, VendorNotFound) as error:
            return refusal_of(error)[1]

    def _step(self, shift: Shift, package: Package) -> None:
        begun = being_told(package)
        if begun is None:
            try:
                self.refresh(package)
            except ReelrouteError as refusal:
                log.info("Amazon cannot be asked about a number", reason=refusal.reason)
                with self._database.transaction(package.workspace_id) as tx:
                    telling_store.tell_later(tx, package, _UNCLEAR_SECONDS[1])
                return
        case, shop = self.case_of(package)
        if begun is not None:
            # Its answer is lacking.
            has = self.look(shop, case, begun)
            if isinstance(has, Has) and (has.is_ours or package.is_edit_used):
                self.say(shop, case, package, begun, has)
                return
        why = self._judged(shift, shop, case)
        if why is not None:
            with self._database.transaction(package.workspace_id) as tx:
                outcomes.withhold(tx, case.order, case.package, why)

    def _judged(self, shift: Shift, shop: Shop, case: Case) -> Withheld | None:
        """Tells what the guard lets be told; why nothing is told, else."""
        tell = guard.judge(case)
        if isinstance(tell, Withheld):
            return tell
        has = edit_refused(tell, case.now) or self.look(shop, case, tell)
        if isinstance(has, Withheld):
            return has
        stored = self.begin(shift, case, tell)
        if stored is not None:
            self.say(shop, case, stored, tell, has)
        return None


def _case(tx: Connection, package: Package, not_number: str) -> tuple[Case, Shop]:
    """All that the guard looks at but the providers. The order's row is locked."""
    workspace_id = package.workspace_id
    order = order_store.read_order(tx, workspace_id, package.order_id, for_update=True)
    routing = routing_store.read_routing(tx, workspace_id, order.shop_id)
    case = Case(
        now=store.database_time(tx),
        order=order,
        shipment=shipment_store.read_shipment(tx, workspace_id, package.shipment_id),
        package=package_store.read_package(tx, workspace_id, package.package_id),
        siblings=package_store.packages_of(tx, workspace_id, package.order_id),
        told_elsewhere=telling_store.told_elsewhere(tx, package),
        offered={},
        prefer_amazon=routing.prefer_amazon_tracking,
        own_carriers=routing.carriers,
        not_number=not_number,
    )
    return case, shop_store.read_shop(tx, workspace_id, order.shop_id)
