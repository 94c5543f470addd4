"""Who works on orders: takes some that are due, all of one shop, and does what is next about each.

    claim → plan (decisions, reservations, shipments: one transaction) ─┬→ read at TikTok Shop ─→ plan
                                                                        ├→ preview at Amazon ───→ plan
                                                                        └→ ask Amazon → settle (one transaction)

What could be sent is read at TikTok Shop right before it is, whatever is stored. All that is asked is asked side by
side, and Amazon's rates are kept by its client, so they are what bounds it. A worker that dies leaves a lease that
ends; what it had begun is in its shipments.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

import structlog
from prometheus_client import Gauge
from psycopg2.errors import DeadlockDetected
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from kit import context
from kit.db import ALL_WORKSPACES, Database
from kit.errors import FailedPrecondition, ReelrouteError
from kit.vault import Vault
from kit.vendor_errors import VendorAccountProblem, VendorError
from services.fulfillment import shop_store
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.orders import canceling, work_store
from services.fulfillment.orders.building import Previewed
from services.fulfillment.orders.domain import Order, OrderState
from services.fulfillment.orders.intake import Intake
from services.fulfillment.orders.planning import Plan, Planning
from services.fulfillment.orders.settling import Settling
from services.fulfillment.orders.story import Story
from services.fulfillment.orders.work_store import Claim, Move
from services.fulfillment.routing.reasons import reason_of
from services.fulfillment.shipping.submitting import Known, Submitting
from services.fulfillment.store import database_time
from vendors.amazon_sp.client import Amazon
from vendors.amazon_sp.marketplaces import MARKETPLACES
from vendors.amazon_sp.outbound import Preview

log = structlog.get_logger()

Answer = TypeVar("Answer")

OLDEST_DUE = Gauge("reelroute_orders_oldest_due_seconds", "How long the order that waits for longest has been due.")

# Nothing is begun at Amazon in the last part of a lease.
_MARGIN_SECONDS = 15.0
_TRIES = 3  # of a transaction that met another's locks
_LATER_SECONDS = 30.0
_AFTER_ERROR_SECONDS = 300.0
# Until a shop is connected again, or an order is there again.
_ABSENT_SECONDS = 600.0


class OrderWork:
    """Works on orders. `run_once` is for loops (kit.loop.Loop), of which there may be several."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        calls: ShopCalls,
        amazon: AmazonCalls,
        intake: Intake,
        submitting: Submitting,
        *,
        at_once: int,
        lease_seconds: float,
    ) -> None:
        self._database, self._vault, self._calls, self._amazon = database, vault, calls, amazon
        self._intake, self._submitting = intake, submitting
        self._at_once, self._lease_seconds = at_once, lease_seconds
        self._lock = threading.Lock()
        # Shops that have had their turn since all of those that wait had one, and those that have it now.
        self._served: set[UUID] = set()
        self._busy: set[UUID] = set()

    def run_once(self) -> bool:
        """Some orders of the shop whose turn it is; False when none is due."""
        begin = time.monotonic()
        claim = self._claim()
        if claim is None:
            return False
        end = begin + self._lease_seconds - _MARGIN_SECONDS
        try:
            with context.about(workspace_id=claim.workspace_id, shop_id=claim.shop_id):
                try:
                    self._work(claim, end)
                except Exception as error:
                    log.warning("orders are worked on one by one after an error", exc_info=error)
                    self._work_singly(claim, end)
        finally:
            with self._lock:
                self._busy.discard(claim.shop_id)
        return True

    def _work_singly(self, claim: Claim, end: float) -> None:
        """So that an order that cannot be worked on holds up no other."""
        for order_id in claim.attempts:
            part = _only(claim, [order_id])
            try:
                self._work(part, end)
            except Exception as error:
                log.error("an order cannot be worked on", order_id=str(order_id), exc_info=error)
                self._put_off(part, [order_id], _AFTER_ERROR_SECONDS)

    def measure(self) -> None:
        """Sets the gauge of how long orders wait."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            OLDEST_DUE.set(work_store.oldest_due(tx))

    def _claim(self) -> Claim | None:
        """Every shop that waits has its turn before one has it again, and none has two here at once."""
        with self._lock, self._database.transaction(ALL_WORKSPACES) as tx:
            found = work_store.claim(tx, self._at_once, self._lease_seconds, self._served | self._busy)
            if found is None and self._served:
                self._served.clear()
                found = work_store.claim(tx, self._at_once, self._lease_seconds, self._busy)
            if found is not None:
                self._served.add(found.shop_id)
                self._busy.add(found.shop_id)
        return found

    def _work(self, claim: Claim, end: float) -> None:
        with self._database.transaction(claim.workspace_id) as tx:
            shop = shop_store.read_shop(tx, claim.workspace_id, claim.shop_id)
        plan = self._plan(claim, shop)
        plans = [plan]
        if plan.to_read and (fresh := self._read(claim, shop, plan.to_read)) is not None:
            ids = set(fresh.attempts)
            plan = self._plan(fresh, shop, fresh=ids)
            plans.append(plan)
            if plan.to_preview:
                previews = self._preview(claim, plan)
                again = _only(claim, [each.order_id for each in plan.to_preview])
                plans.append(self._plan(again, shop, fresh=ids, previews=previews))
        for each in plans:
            for order in each.to_cancel:
                self._cancel_there(claim, shop, order)
        known: dict[UUID, Known] = {}
        asked: set[UUID] = set()
        for each in plans:
            for merchant_id, jobs in each.jobs.items():
                known |= self._submitting.work(each.merchants[merchant_id], jobs, max(1.0, end - time.monotonic()))
                asked |= {job.order_id for job in jobs}
        if asked:
            part = _only(claim, asked)
            self._transact(claim.workspace_id, lambda tx: Settling(tx, part, shop.name, known).run())

    def _plan(
        self,
        claim: Claim,
        shop: Shop,
        *,
        fresh: set[UUID] | None = None,
        previews: dict[UUID, tuple[Preview, ...]] | None = None,
    ) -> Plan:
        return self._transact(
            claim.workspace_id,
            lambda tx: Planning(tx, self._vault, claim, shop.name, fresh=fresh or set(), previews=previews or {}).run(),
        )

    def _read(self, claim: Claim, shop: Shop, orders: Sequence[Order]) -> Claim | None:
        """Reads orders at TikTok Shop before they are decided for good; None, and they are put off, when it does not
        answer.
        """
        ids = [order.order_id for order in orders]
        try:
            saved = self._intake.read(shop, [order.told.platform_order_id for order in orders])
        except ReelrouteError as refusal:
            log.info("orders are not read before they are sent", shop_id=str(shop.shop_id), reason=refusal.reason)
            is_definite = isinstance(refusal, FailedPrecondition)
            self._put_off(
                claim, ids, refusal.retry_after_seconds or (_ABSENT_SECONDS if is_definite else _LATER_SECONDS)
            )
            return None
        absent = [order.order_id for order in orders if order.told.platform_order_id not in saved.found]
        if absent:
            log.warning(
                "TikTok Shop does not tell orders that are to be sent", shop_id=str(shop.shop_id), n=len(absent)
            )
            self._put_off(claim, absent, _ABSENT_SECONDS)
        return _only(claim, set(ids) - set(absent))

    def _preview(self, claim: Claim, plan: Plan) -> dict[UUID, tuple[Preview, ...]]:
        """What Amazon foresees; nothing of an order for which it does not answer, which is then decided without."""
        found: dict[UUID, tuple[Preview, ...]] = {each.order_id: () for each in plan.to_preview}

        async def one(amazon: Amazon, each: Previewed, marketplace_id: str) -> None:
            try:
                found[each.order_id] = await amazon.outbound.preview(
                    marketplace_id, each.destination, each.items, each.speeds, each.features
                )
            except VendorAccountProblem:
                raise
            except VendorError as error:
                log.info("an order is not previewed", order_id=str(each.order_id), code=error.code)

        # A shop's orders go to one merchant.
        with self._database.transaction(claim.workspace_id) as tx:
            merchant = merchant_store.read_merchant(tx, claim.workspace_id, plan.to_preview[0].merchant_id)
        marketplace_id = MARKETPLACES[merchant.marketplace].id

        async def all_of(amazon: Amazon) -> None:
            await asyncio.gather(*(one(amazon, each, marketplace_id) for each in plan.to_preview))

        try:
            self._amazon.ask(merchant, all_of)
        except ReelrouteError as refusal:
            log.info("orders are not previewed", reason=refusal.reason)
        return found

    def _cancel_there(self, claim: Claim, shop: Shop, order: Order) -> None:
        """Cancels an order at TikTok Shop, and stores what came of it."""
        done = canceling.cancel(self._calls, shop, order)
        if done.is_begun:
            try:
                self._intake.read(shop, [order.told.platform_order_id])
            except ReelrouteError as refusal:
                log.info("a canceled order is not read", order_id=str(order.order_id), reason=refusal.reason)

        def stored(tx: Connection) -> None:
            story = Story(tx, database_time(tx), shop.name)
            for now in work_store.read_claimed(tx, _only(claim, [order.order_id]), for_update=True):
                if not done.refusal:
                    kept = Move(state=now.state, reason=now.reason, text=now.reason_text, next=done.again_seconds)
                    work_store.store(tx, now, kept)
                    continue
                reason = "platform_cancel_refused"
                text = f"{reason_of(reason).text} It says: {done.refusal}"
                story.tell(now, "order.held", text, reason)
                story.moved(now.state, OrderState.HELD)
                values = {"is_cancel_wanted": False, "cancel_reason": ""}
                work_store.store(tx, now, Move(state=OrderState.HELD, reason=reason, text=text, values=values))
            story.write()

        self._transact(claim.workspace_id, stored)

    def _put_off(self, claim: Claim, order_ids: Sequence[UUID], seconds: float) -> None:
        self._transact(claim.workspace_id, lambda tx: work_store.put_off(tx, claim, order_ids, seconds))

    def _transact(self, workspace_id: UUID, work: Callable[[Connection], Answer]) -> Answer:
        """Does something in a transaction, again when another's locks stood against its own."""
        for tries in range(1, _TRIES + 1):
            try:
                with self._database.transaction(workspace_id) as tx:
                    return work(tx)
            except OperationalError as error:
                if tries == _TRIES or not isinstance(error.orig, DeadlockDetected):
                    raise
        raise AssertionError("not reached")


def _only(claim: Claim, order_ids: Sequence[UUID] | set[UUID]) -> Claim:
    """The part of a claim that is about these orders."""
    return replace(claim, attempts={each: claim.attempts[each] for each in order_ids if each in claim.attempts})
