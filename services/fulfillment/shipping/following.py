"""Following shipments: what Amazon makes of them, and the packages that come of it.

Amazon lists what changed, without shipments and packages. Where a shipment that goes on is by now is taken from the
list; those that came to an end, or changed in a way that it does not show, are read. Numbers come without a change of
status, and lists may lose things, so shipments that wait for numbers are read by themselves, the younger the sooner,
and all others a few times a day; only so many in a round. So most orders cost two readings, and those that are only
open cost none. One merchant by one process at a time; what was read is stored order by order.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from kit import context
from kit.db import ALL_WORKSPACES, Database
from kit.errors import ReelrouteError
from kit.vendor_errors import VendorNotFound
from services.fulfillment import store
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.merchants.domain import Merchant
from services.fulfillment.orders import order_store
from services.fulfillment.shipping import (
    alarm_store,
    following_store,
    guard,
    package_store,
    shipment_store,
    telling_store,
)
from services.fulfillment.shipping.domain import Proof, Shipment, TellState
from services.fulfillment.shipping.following_store import Known, Round
from services.fulfillment.shipping.story import events_of
from services.fulfillment.turns import TurnOver
from vendors.amazon_sp.client import Amazon
from vendors.amazon_sp.outbound import FulfillmentOrder, OrderPage, OrderStatus

log = structlog.get_logger()

# Longer than one page or one batch takes with its retries and waits; it begins anew with each.
_LEASE_SECONDS = 150.0
_SECONDS = 60.0  # of one page or batch
_BATCH = 8  # orders that are read at once
# Of those that are due by themselves, in one round: no more than Amazon's rate allows in a round's time.
_SWEEP = 100
_AGAIN_SECONDS = 60.0
# Clocks differ, and Amazon shows changes late.
_OVERLAP = timedelta(minutes=15)
_FIRST_SPAN = timedelta(days=2)
_NUMBER_WAIT = (180.0, 1800.0)  # seconds between readings of one that waits for a number
_NUMBER_GIVEN_UP_SECONDS = 14 * 86_400.0
_LOST_SECONDS = 300.0
_GOING_ON = (OrderStatus.NEW, OrderStatus.RECEIVED, OrderStatus.PLANNING, OrderStatus.PROCESSING)


class Following:
    """Follows shipments. `run_once` is for loops (kit.loop.Loop), of which there may be several."""

    def __init__(self, database: Database, amazon: AmazonCalls, *, every_seconds: float, sweep_seconds: float) -> None:
        self._database, self._amazon = database, amazon
        self._every_seconds, self._sweep_seconds = every_seconds, sweep_seconds
        self.stopping = threading.Event()
        self._unknown: set[str] = set()

    def stop(self) -> None:
        """Lets every round end after its present batch."""
        self.stopping.set()

    def run_once(self) -> bool:
        """Follows the merchant that is due for longest; False when none is."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            mine = following_store.claim_round(tx, _LEASE_SECONDS)
        if mine is None:
            return False
        turn, due = _Turn(self, self._database, mine), _AGAIN_SECONDS
        try:
            with self._database.transaction(mine.workspace_id) as tx:
                merchant = merchant_store.read_merchant(tx, mine.workspace_id, mine.merchant_id)
            turn.read_changed(merchant)
            turn.sweep(merchant)
            due = self._every_seconds
        except TurnOver:
            due = 0
        except ReelrouteError as refusal:
            log.warning("shipments are not followed", merchant_id=str(mine.merchant_id), reason=refusal.reason)
            due = max(_AGAIN_SECONDS, refusal.retry_after_seconds or 0)
        finally:
            turn.release(due)
        return True

    def read_now(self, shipment: Shipment) -> None:
        """Reads one shipment, whoever follows its merchant. Raises as `AmazonCalls.ask`."""
        with self._database.transaction(shipment.workspace_id) as tx:
            merchant = merchant_store.read_merchant(tx, shipment.workspace_id, shipment.merchant_id)
        self.read(merchant, [shipment])

    def page(self, merchant: Merchant, since: datetime, token: str) -> OrderPage:
        """One page of what changed. Raises as `AmazonCalls.ask`."""
        return self._amazon.ask(merchant, lambda amazon: amazon.outbound.changed(since, token), _SECONDS)

    def read(self, merchant: Merchant, shipments: Sequence[Shipment]) -> None:
        """Reads shipments at once. What was answered is stored, also when not all of it was. Raises as
        `AmazonCalls.ask`.
        """
        if not shipments:
            return
        found: dict[UUID, FulfillmentOrder] = {}
        lost: list[Shipment] = []

        async def one(amazon: Amazon, shipment: Shipment) -> None:
            try:
                with context.about(order_id=shipment.order_id):
                    found[shipment.shipment_id] = await amazon.outbound.get(shipment.fulfillment_order_id)
            except VendorNotFound:
                lost.append(shipment)

        async def question(amazon: Amazon) -> None:
            tasks = [asyncio.create_task(one(amazon, shipment)) for shipment in shipments]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

        with self._database.transaction(merchant.workspace_id) as tx:
            asked_time = store.database_time(tx)
        try:
            self._amazon.ask(merchant, question, _SECONDS)
        finally:
            for shipment in shipments:
                if shipment.shipment_id in found:
                    self._store(shipment, found[shipment.shipment_id], asked_time)
            if lost:
                log.warning(
                    "Amazon does not show orders that it has", merchant_id=str(merchant.merchant_id), n=len(lost)
                )
                with self._database.transaction(merchant.workspace_id) as tx:
                    following_store.read_again(tx, lost, _LOST_SECONDS)

    def note(self, workspace_id: UUID, listed: Sequence[tuple[Shipment, FulfillmentOrder]]) -> None:
        """Stores what a list tells of shipments that go on."""
        if not listed:
            return
        with self._database.transaction(workspace_id) as tx:
            # The orders' rows first, as everywhere.
            order_store.read_orders(tx, workspace_id, {shipment.order_id for shipment, _ in listed}, for_update=True)
            for shipment, told in listed:
                before = shipment_store.read_shipment(tx, workspace_id, shipment.shipment_id)
                after = shipment_store.set_amazon_status(tx, before, told)
                order_store.add_events(tx, events_of(before, after, told, ()))
                if may_have_numbers(before, told):
                    following_store.read_by(tx, after, _NUMBER_WAIT[0])

    def take_up(self, shipment: Shipment) -> None:
        """Amazon lists a shipment that it did not have: a call that was sent late, by whoever was thought dead."""
        workspace_id, order_id = shipment.workspace_id, shipment.order_id
        log.warning("Amazon has an order that was given up", order=shipment.fulfillment_order_id)
        with self._database.transaction(workspace_id) as tx:
            order_store.read_order(tx, workspace_id, order_id, for_update=True)
            if shipment_store.take_up(tx, shipment):
                text = f"Amazon has {shipment.fulfillment_order_id} after all, which was given up."
                order_store.add_event(tx, workspace_id, order_id, "shipment.found", text)
                order_store.wake(tx, workspace_id, [order_id])

    def _store(self, shipment: Shipment, reading: FulfillmentOrder, asked_time: datetime) -> None:
        """One transaction: where the shipment is, its packages, what happened, and who is to go on."""
        if reading.status is OrderStatus.UNKNOWN and reading.status_text not in self._unknown:
            self._unknown.add(reading.status_text)
            log.warning("Amazon has a new word for where an order is", word=reading.status_text[:60])
        try:
            seen = guard.proofs(shipment, reading)
        except guard.ReadingOfAnother as other:
            log.error("Amazon answers with another order", asked=shipment.fulfillment_order_id, answered=str(other))
            return
        workspace_id, order_id = shipment.workspace_id, shipment.order_id
        with (
            context.about(workspace_id=workspace_id, order_id=order_id),
            self._database.transaction(workspace_id) as tx,
        ):
            order = order_store.read_order(tx, workspace_id, order_id, for_update=True)
            before = shipment_store.read_shipment(tx, workspace_id, shipment.shipment_id)
            now = store.database_time(tx)
            again = next_reading(before, reading, seen, now, self._sweep_seconds)
            if not following_store.set_read(tx, before, asked_time, again):
                return
            after = shipment_store.set_amazon_status(tx, before, reading)
            changes = package_store.save_proofs(tx, after, order.shop_id, seen, asked_time)
            order_store.add_events(tx, events_of(before, after, reading, changes))
            if after.state is not before.state:
                order_store.wake(tx, workspace_id, [order_id])
            if changes:
                alarm_store.look_again(tx, workspace_id, order_id)
            if any(change.package.tell_state is TellState.DUE for change in changes):
                telling_store.wake_shop(tx, workspace_id, order.shop_id)


class _Turn:
    """One round of one merchant."""

    def __init__(self, following: Following, database: Database, mine: Round) -> None:
        self._following, self._database, self._round = following, database, mine

    def read_changed(self, merchant: Merchant) -> None:
        """Reads what Amazon lists as changed. Raises TurnOver, and as `AmazonCalls.ask`."""
        mine = self._round
        since, token = (mine.cursor or mine.begin_time - _FIRST_SPAN) - _OVERLAP, ""
        while True:
            page = self._following.page(merchant, since, token)
            listed = {each.order_id: each for each in page.orders}
            with self._database.transaction(mine.workspace_id) as tx:
                known = following_store.followed(tx, mine.merchant_id, list(listed)) if listed else []
                alive = [name for name, each in listed.items() if not each.status.is_final]
                given_up = shipment_store.given_up(tx, mine.merchant_id, alive) if alive else []
            for shipment in given_up:
                self._following.take_up(shipment)
            news = [each for each in known if is_news(each, listed[each.shipment.fulfillment_order_id], since)]
            told = [each for each in news if not needs_reading(listed[each.shipment.fulfillment_order_id], since)]
            self._following.note(
                mine.workspace_id, [(each.shipment, listed[each.shipment.fulfillment_order_id]) for each in told]
            )
            self._read_all(merchant, [each.shipment for each in news if each not in told])
            if not page.next_token or page.next_token == token:
                break
            token = page.next_token
        with self._database.transaction(mine.workspace_id) as tx:
            following_store.end_list(tx, self._round)

    def sweep(self, merchant: Merchant) -> None:
        """Reads what is due by itself. Raises as `read_changed`."""
        with self._database.transaction(self._round.workspace_id) as tx:
            due = following_store.due_shipments(tx, self._round.merchant_id, _SWEEP)
        self._read_all(merchant, due)

    def release(self, due_seconds: float) -> None:
        """Ends the round."""
        with self._database.transaction(self._round.workspace_id) as tx:
            following_store.release_round(tx, self._round, due_seconds)

    def _read_all(self, merchant: Merchant, wanted: Sequence[Shipment]) -> None:
        for start in range(0, len(wanted), _BATCH):
            if self._following.stopping.is_set():
                raise TurnOver
            self._following.read(merchant, wanted[start : start + _BATCH])
            with self._database.transaction(self._round.workspace_id) as tx:
                kept = following_store.keep_round(tx, self._round, _LEASE_SECONDS)
            if kept is None:
                raise TurnOver
            self._round = kept


def needs_reading(listed: FulfillmentOrder, since: datetime) -> bool:
    """Whether there is more to know of a shipment that changed than its list shows."""
    updated = listed.status_update_time
    return listed.status not in _GOING_ON or updated is None or updated < since


def may_have_numbers(before: Shipment, listed: FulfillmentOrder) -> bool:
    """Whether Amazon began to pack a shipment: numbers may come from now on."""
    packs = (OrderStatus.PLANNING.value, OrderStatus.PROCESSING.value)
    return listed.status.value in packs and before.amazon_status.upper() not in packs


def is_news(known: Known, listed: FulfillmentOrder, since: datetime) -> bool:
    """Whether a shipment that Amazon lists as changed is to be read: it may be listed again for what is known."""
    updated = listed.status_update_time
    if updated is None or updated < since:
        # Something changed that the list does not show.
        return True
    text = listed.status_text or listed.status.value
    return text != known.shipment.amazon_status or updated != known.amazon_update_time


def next_reading(
    shipment: Shipment, reading: FulfillmentOrder, seen: Sequence[Proof], now: datetime, sweep_seconds: float
) -> float | None:
    """In how many seconds a shipment is read again whatever the list says; None: never."""
    current = [each for each in seen if each.is_current]
    age = (now - (shipment.submit_time or shipment.create_time)).total_seconds()
    wait = min(max(age / 3, _NUMBER_WAIT[0]), _NUMBER_WAIT[1], sweep_seconds)
    if reading.status in (OrderStatus.CANCELLED, OrderStatus.INVALID, OrderStatus.UNFULFILLABLE):
        return None
    if reading.status.is_final:
        is_known = bool(current) and all(each.tracking_number for each in current)
        return None if is_known or age > _NUMBER_GIVEN_UP_SECONDS else wait
    has_numbers = bool(current) and all(each.tracking_number or each.amazon_tracking_number for each in current)
    return sweep_seconds if has_numbers or reading.status in (OrderStatus.NEW, OrderStatus.RECEIVED) else wait
