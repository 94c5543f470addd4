"""How orders come in: what changed in each shop is read every minute, one shop by one process at a time, and what a
webhook names is read at once. Each finds what the other lost; an order is stored once, whoever read it.

A reading lists orders by their last change, page by page, and stores each page as it comes. What changed before it
began is known only when the last page is stored. Lists longer than a search answers are read in parts, by time.

Orders that were created before a shop's routing was switched on are not taken in, not even open ones: somebody else has
sent them, or is about to, and a second parcel costs more than an order that its seller sends by hand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from prometheus_client import Counter

from kit.db import ALL_WORKSPACES, Database
from kit.errors import FailedPrecondition, ReelrouteError, Unavailable
from kit.vault import Vault
from services.fulfillment import shop_store
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop, ShopCallsLimited, ShopUnavailable
from services.fulfillment.orders import intake_store
from services.fulfillment.orders.intake_store import OrdersTurn, Saved
from services.fulfillment.products import OVERLAP, Span, SpanTooSmall, halves
from services.fulfillment.turns import TurnOver, patiently, wait_for_turn
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.order_models import Order
from vendors.tiktok_shop.orders import MAX_ORDERS, OrderFilter
from vendors.tiktok_shop.values import Page

log = structlog.get_logger()

Answer = TypeVar("Answer")

READ = Counter("reelroute_orders_read_total", "Orders that were read from TikTok Shop, by what came of it.", ["result"])

# Longer than one page takes with its retries and waits; it begins anew with each page.
_LEASE_SECONDS = 150.0
_PAGE = 100  # orders; the most that a page has
# TikTok Shop names no limit of this search; that of products is kept.
_MOST_IN_SEARCH = 10_000
_TRIES = 4  # of one page
_LONGEST_WAIT_SECONDS = 30.0


class OrdersBusy(Unavailable):
    """The shop's orders are being read by another process, and the caller's time ran out before it was done."""


class RoutingIsOff(FailedPrecondition):
    """The shop's orders are not routed, so they are not taken in. Switch its routing on."""


class Intake:
    """Reads orders. `run_once` is for loops (kit.loop.Loop), of which there may be several."""

    def __init__(self, database: Database, vault: Vault, calls: ShopCalls, *, every_seconds: float) -> None:
        self.database, self.vault, self.calls = database, vault, calls
        self._every_seconds = every_seconds
        self.stopping = threading.Event()

    def stop(self) -> None:
        """Lets every reading end after its present page."""
        self.stopping.set()

    def run_once(self) -> bool:
        """Reads the orders of the shop that is due for longest; False when none is."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            turn = intake_store.claim_turn(tx, _LEASE_SECONDS)
        if turn is None:
            return False
        due, listing = self._every_seconds, _Listing(self, turn)
        try:
            listing.run()
        except TurnOver:
            due = 0
        except ReelrouteError as refusal:
            log.warning("a shop's orders are not read", shop_id=str(turn.shop_id), reason=refusal.reason)
            due = max(self._every_seconds, refusal.retry_after_seconds or 0)
        except SpanTooSmall:
            log.error("a shop's orders cannot be read: too many of one second", shop_id=str(turn.shop_id))
        finally:
            listing.release(due)
        return True

    def sync(self, shop: Shop) -> tuple[int, int]:
        """Reads what changed of one shop's orders now, when nobody else does; returns how many orders had, and how many
        of them were new. Raises RoutingIsOff, OrdersBusy, and as `ShopCalls.ask`.
        """
        listing = _Listing(self, self._take(shop))
        try:
            saved = listing.run()
        except TurnOver:
            raise OrdersBusy("The reading was cut short. Try again.") from None
        except SpanTooSmall:
            raise OrdersBusy("The shop has too many orders of one second to be listed.") from None
        finally:
            listing.release(None)
        return saved.new + saved.changed, saved.new

    def read(self, shop: Shop, platform_order_ids: Sequence[str]) -> Saved:
        """Reads some orders now, 50 in a call, and stores them; nothing of a shop whose routing is off. Raises as
        `ShopCalls.ask`.
        """
        with self.database.transaction(shop.workspace_id) as tx:
            from_time = intake_store.from_time_of(tx, shop)
        saved = Saved()
        if from_time is None:
            return saved
        for start in range(0, len(platform_order_ids), MAX_ORDERS):
            ids = platform_order_ids[start : start + MAX_ORDERS]
            saved += self.save(shop, self.calls.ask(shop, partial(self._details, ids)), from_time)
        return saved

    async def _details(self, ids: Sequence[str], access: Access, seconds: float) -> tuple[Order, ...]:
        return await self.calls.client.orders.get(access, ids, timeout_seconds=seconds)

    def save(self, shop: Shop, found: Sequence[Order], from_time: datetime) -> Saved:
        """Stores orders as they were just read."""
        if not found:
            return Saved()
        with self.database.transaction(shop.workspace_id) as tx:
            saved = intake_store.save_orders(tx, self.vault, shop, found, from_time)
        READ.labels("new").inc(saved.new)
        READ.labels("changed").inc(saved.changed)
        READ.labels("known").inc(max(0, len(found) - saved.new - saved.changed))
        return saved

    def _take(self, shop: Shop) -> OrdersTurn:
        def take() -> OrdersTurn | None:
            with self.database.transaction(shop.workspace_id) as tx:
                if intake_store.from_time_of(tx, shop) is None:
                    raise RoutingIsOff(
                        "The shop's orders are not routed, so they are not taken in. Switch its routing on first."
                    )
                return intake_store.take_turn(tx, shop, _LEASE_SECONDS)

        busy = OrdersBusy("Another process reads this shop's orders at the moment. Try again.")
        return wait_for_turn(take, _LEASE_SECONDS, self.stopping, busy)


class _Listing:
    """One reading of one shop's orders."""

    def __init__(self, intake: Intake, turn: OrdersTurn) -> None:
        self._intake, self._turn = intake, turn
        with intake.database.transaction(turn.workspace_id) as tx:
            self._shop = shop_store.read_shop(tx, turn.workspace_id, turn.shop_id)

    def run(self) -> Saved:
        """Reads and stores all pages of what changed."""
        turn = self._turn
        saved, spans = Saved(), [Span((turn.cursor or turn.from_time) - OVERLAP, None)]
        while spans:
            span = spans.pop()
            listed = self._list(span)
            if listed is None:
                spans += halves(span, turn.begin_time)
            else:
                saved += listed
        with self._intake.database.transaction(turn.workspace_id) as tx:
            intake_store.end_turn(tx, self._turn)
        return saved

    def release(self, due_seconds: float | None) -> None:
        """Ends the turn."""
        with self._intake.database.transaction(self._turn.workspace_id) as tx:
            intake_store.release_turn(tx, self._turn, due_seconds)

    def _list(self, span: Span) -> Saved | None:
        """Reads and stores all pages of a span; None when a search does not answer all of it."""
        saved, token = Saved(), ""
        while True:
            page = self._patiently(partial(self._page, span, token))
            if (page.total_count or 0) > _MOST_IN_SEARCH:
                return None
            saved += self._intake.save(self._shop, page.items, self._turn.from_time)
            self._keep()
            if not page.next_page_token or page.next_page_token == token:
                return saved
            token = page.next_page_token

    def _page(self, span: Span, token: str) -> Page[Order]:
        # Theirs ends before the last second, ours with it.
        end = span.end and span.end + timedelta(seconds=1)
        wanted = OrderFilter(update_time_ge=span.start, update_time_lt=end)
        calls = self._intake.calls

        async def question(access: Access, seconds: float) -> Page[Order]:
            return await calls.client.orders.search(
                access, wanted, page_size=_PAGE, page_token=token, timeout_seconds=seconds
            )

        return calls.ask(self._shop, question)

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        return patiently(
            ask,
            (ShopCallsLimited, ShopUnavailable),
            tries=_TRIES,
            longest_wait_seconds=_LONGEST_WAIT_SECONDS,
            stopping=self._intake.stopping,
            keep=self._keep,
        )

    def _keep(self) -> None:
        """Raises TurnOver when the turn is another's by now."""
        with self._intake.database.transaction(self._turn.workspace_id) as tx:
            kept = intake_store.keep_turn(tx, self._turn, _LEASE_SECONDS)
        if kept is None:
            raise TurnOver
        self._turn = kept
