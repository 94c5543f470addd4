"""Reading Amazon's stock: what changed every few minutes, everything once a day, one merchant by one process at a time.

A reading is asked for in one go. What changed before it began is known only when all of it is stored, and only then
what was in flight is settled. SKUs that a reading of everything did not meet are asked for by name before they are
taken for gone: pages shift while they are read. That Amazon has nothing at all any more is believed when the next
reading of everything tells the same.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog
from prometheus_client import Counter

from kit.db import ALL_WORKSPACES, Database
from kit.errors import ReelrouteError, Unavailable
from kit.vendor_errors import VendorNotFound
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.merchants.domain import Merchant, check_connected
from services.fulfillment.orders import order_store
from services.fulfillment.stock import barcode_store, ledger_store, reading_store
from services.fulfillment.stock.reading_store import Figure, Recorded, StockTurn
from services.fulfillment.turns import TurnOver, wait_for_turn
from vendors.amazon_sp.catalog import CatalogItem, CodeKind
from vendors.amazon_sp.client import Amazon
from vendors.amazon_sp.inventory import SkuStock
from vendors.amazon_sp.marketplaces import MARKETPLACES

log = structlog.get_logger()

Answer = TypeVar("Answer")

READ = Counter("reelroute_stock_read_total", "SKUs that were read from Amazon.")
CHANGED = Counter("reelroute_stock_changed_total", "SKUs of which Amazon's figure was found to have changed.")

_LEASE_SECONDS = 150.0
_KEPT_EVERY_SECONDS = 30.0
# Amazon tells about 100 SKUs a second.
_PART_SECONDS, _WHOLE_SECONDS = 600.0, 7200.0
_AT_ONCE = 500
_AGAIN_SECONDS = 60.0
# Clocks differ; and what Amazon shows late may bear the time at which it happened.
_OVERLAP = timedelta(minutes=5)
# Orders that are held for these may be sent when there is more.
_HELD_FOR_STOCK = ("insufficient_stock", "sku_unknown", "sku_not_fba")


class StockBusy(Unavailable):
    """The merchant's stock is being read by another process, and the caller's time ran out before it was done."""


class StockReading:
    """Reads stock. `run_once` is for loops (kit.loop.Loop), of which there may be several."""

    def __init__(
        self,
        database: Database,
        amazon: AmazonCalls,
        *,
        every_seconds: float,
        whole_seconds: float,
        delay_seconds: float,
        tolerance_seconds: float = 60,
        surely_seconds: float = 86_400,
    ) -> None:
        self._database, self._amazon = database, amazon
        self._every_seconds, self._whole = every_seconds, timedelta(seconds=whole_seconds)
        self._lag = _Lag(delay_seconds, tolerance_seconds, surely_seconds)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ends every reading soon."""
        self._stopping.set()

    def run_once(self) -> bool:
        """Reads the stock of the merchant that is due for longest; False when none is."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            turn = reading_store.claim_turn(tx, _LEASE_SECONDS)
        if turn is None:
            return False
        due = _AGAIN_SECONDS
        reading = _Reading(self._database, self._amazon, self._stopping, turn, self._lag)
        try:
            whole = turn.whole_time
            reading.run(is_whole=whole is None or turn.begin_time - whole >= self._whole)
            due = self._every_seconds
        except TurnOver:
            due = 0
        except ReelrouteError as refusal:
            log.warning("stock is not read", merchant_id=str(turn.merchant_id), reason=refusal.reason)
            due = max(_AGAIN_SECONDS, refusal.retry_after_seconds or 0)
        finally:
            reading.release(due)
        return True

    def sync(self, merchant: Merchant) -> int:
        """Reads a merchant's stock now, when nobody else does; returns how many SKUs were told. Raises StockBusy, and
        as `AmazonCalls.ask`.
        """
        check_connected(merchant)
        turn = self._take(merchant.workspace_id, merchant.merchant_id)
        reading = _Reading(self._database, self._amazon, self._stopping, turn, self._lag)
        try:
            return reading.run(is_whole=turn.whole_time is None)
        except TurnOver:
            raise StockBusy("The reading was cut short. Try again.") from None
        finally:
            reading.release(None)

    def _take(self, workspace_id: UUID, merchant_id: UUID) -> StockTurn:
        def take() -> StockTurn | None:
            with self._database.transaction(workspace_id) as tx:
                return reading_store.take_turn(tx, workspace_id, merchant_id, _LEASE_SECONDS)

        busy = StockBusy("Another process reads this merchant's stock at the moment. Try again.")
        return wait_for_turn(take, _LEASE_SECONDS, self._stopping, busy)


@dataclass(frozen=True, slots=True)
class _Lag:
    """When Amazon's figures have an order: see ledger_store.settle."""

    delay_seconds: float
    tolerance_seconds: float
    surely_seconds: float


class _Reading:
    """One reading of one merchant."""

    def __init__(
        self, database: Database, amazon: AmazonCalls, stopping: threading.Event, turn: StockTurn, lag: _Lag
    ) -> None:
        self._database, self._amazon, self._stopping, self._turn = database, amazon, stopping, turn
        self._lag = lag
        with database.transaction(turn.workspace_id) as tx:
            self._merchant = merchant_store.read_merchant(tx, turn.workspace_id, turn.merchant_id)
        self._marketplace_id = MARKETPLACES[self._merchant.marketplace].id

    def run(self, *, is_whole: bool) -> int:
        """Reads and stores what changed, or everything; returns how many SKUs were told. Raises TurnOver, and as
        `AmazonCalls.ask`.
        """
        cursor = None if is_whole else self._turn.cursor
        since = cursor - _OVERLAP - timedelta(seconds=self._lag.delay_seconds) if cursor else None
        place = self._marketplace_id
        found = self._ask(
            lambda amazon: amazon.inventory.all(place, changed_since=since),
            _PART_SECONDS if since else _WHOLE_SECONDS,
        )
        recorded = self._record(found)
        is_doubted = False
        if since is None:
            unmet = self._unmet()
            # More likely a fault of Amazon's than the truth.
            is_doubted = bool(unmet) and not found and self._turn.empty_time is None
            if is_doubted:
                log.warning("Amazon tells of no stock at all", merchant_id=str(self._turn.merchant_id))
            elif unmet:
                recorded += self._look_for_gone(unmet)
        self._settle()
        with self._database.transaction(self._turn.workspace_id) as tx:
            reading_store.end_turn(tx, self._turn, is_whole=since is None, is_doubted=is_doubted)
            if recorded.grown:
                order_store.wake_held(tx, self._turn.workspace_id, reasons=_HELD_FOR_STOCK)
        READ.inc(len(found))
        CHANGED.inc(recorded.changed)
        if since is None:
            self._learn_barcodes()
        return len(found)

    def release(self, due_seconds: float | None) -> None:
        """Ends the turn."""
        with self._database.transaction(self._turn.workspace_id) as tx:
            reading_store.release_turn(tx, self._turn, due_seconds)

    def _record(self, found: Sequence[SkuStock]) -> Recorded:
        recorded, turn = Recorded(), self._turn
        for start in range(0, len(found), _AT_ONCE):
            self._keep()
            figures = [_figure(each) for each in found[start : start + _AT_ONCE]]
            with self._database.transaction(turn.workspace_id) as tx:
                recorded += reading_store.record(tx, turn.workspace_id, turn.merchant_id, figures, turn.begin_time)
        return recorded

    def _unmet(self) -> list[str]:
        with self._database.transaction(self._turn.workspace_id) as tx:
            return reading_store.unmet(tx, self._turn)

    def _look_for_gone(self, skus: Sequence[str]) -> Recorded:
        place = self._marketplace_id
        found = self._ask(lambda amazon: amazon.inventory.of(place, skus), _WHOLE_SECONDS)
        recorded = self._record(found)
        gone = sorted(set(skus) - {each.sku for each in found})
        for start in range(0, len(gone), _AT_ONCE):
            with self._database.transaction(self._turn.workspace_id) as tx:
                count = reading_store.mark_gone(tx, self._turn, gone[start : start + _AT_ONCE])
            recorded += Recorded(changed=count)
        return recorded

    def _settle(self) -> None:
        is_more = True
        while is_more:
            self._keep()
            with self._database.transaction(self._turn.workspace_id) as tx:
                settled = ledger_store.settle(
                    tx,
                    self._turn.merchant_id,
                    self._turn.begin_time,
                    self._lag.delay_seconds,
                    tolerance_seconds=self._lag.tolerance_seconds,
                    surely_seconds=self._lag.surely_seconds,
                )
            is_more = settled > 0

    def _learn_barcodes(self) -> None:
        """Asks Amazon which of its products have the barcodes of SKUs that no mapping names, for suggestions."""
        with self._database.transaction(self._turn.workspace_id) as tx:
            wanted = barcode_store.unmapped_barcodes(tx, self._turn.workspace_id, self._merchant.marketplace)
        place = self._marketplace_id
        for kind, codes in barcode_store.by_kind(wanted):
            try:
                items = self._ask(partial(_with_codes, place, kind, codes), _PART_SECONDS)
            except (ReelrouteError, VendorNotFound) as refusal:
                # Suggestions do without.
                log.info("barcodes are not looked up", merchant_id=str(self._turn.merchant_id), refusal=str(refusal))
                return
            with self._database.transaction(self._turn.workspace_id) as tx:
                barcode_store.save_barcodes(tx, self._turn.merchant_id, items)

    def _ask(self, asked: Callable[[Amazon], Awaitable[Answer]], seconds: float) -> Answer:
        """The answer to a question that may take long: the turn is kept, and the process can end meanwhile."""

        async def question(amazon: Amazon) -> Answer:
            task = asyncio.ensure_future(asked(amazon))
            loop = asyncio.get_running_loop()
            kept = loop.time()
            try:
                while not (await asyncio.wait({task}, timeout=0.25))[0]:
                    if self._stopping.is_set():
                        raise TurnOver
                    if loop.time() - kept > _KEPT_EVERY_SECONDS:
                        await asyncio.to_thread(self._keep)
                        kept = loop.time()
                return task.result()
            finally:
                task.cancel()

        return self._amazon.ask(self._merchant, question, seconds)

    def _keep(self) -> None:
        """Raises TurnOver when the turn is another's by now."""
        if self._stopping.is_set():
            raise TurnOver
        with self._database.transaction(self._turn.workspace_id) as tx:
            kept = reading_store.keep_turn(tx, self._turn, _LEASE_SECONDS)
        if kept is None:
            raise TurnOver
        self._turn = kept


def _figure(told: SkuStock) -> Figure:
    return Figure(told.sku, told.asin, told.fnsku, told.title, told.fulfillable, told.inbound, told.update_time)


async def _with_codes(
    marketplace_id: str, kind: CodeKind, codes: Sequence[str], amazon: Amazon
) -> tuple[CatalogItem, ...]:
    return await amazon.catalog.with_codes(marketplace_id, kind, codes)
