"""Keeping catalogues: what changed in each shop is read every few minutes, everything once a day, one shop by one
process at a time.

A reading lists products page by page and stores each page as it comes. What changed before it began is known only when
the last page is stored: a reading that was cut short is made again from where it began. Lists longer than a search
answers are read in parts, by time. Products that a reading of everything did not meet are not yet gone: pages shift
while they are read, so each is asked for by itself. Descriptions and pictures are read by themselves, too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from kit.db import ALL_WORKSPACES, Database
from kit.errors import ReelrouteError
from kit.vendor_errors import VendorNotFound, VendorRejected
from services.fulfillment import catalogue_store, shop_store, store
from services.fulfillment.calling import ShopCalls
from services.fulfillment.catalogue_store import Reading
from services.fulfillment.domain import (
    CatalogueBusy,
    Shop,
    ShopCallsLimited,
    ShopRequestRefused,
    ShopUnavailable,
)
from services.fulfillment.marketplaces import tiktok_shop
from services.fulfillment.products import MOST_IN_SEARCH, OVERLAP, SeenProduct, Span, SpanTooSmall, halves
from services.fulfillment.turns import TurnOver, patiently, wait_for_turn
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.products import Product, ProductFilter
from vendors.tiktok_shop.values import Page

log = structlog.get_logger()

Answer = TypeVar("Answer")

# Longer than one page takes with its retries and waits; it begins anew with each page.
_LEASE_SECONDS = 150.0
_PAGE = 100  # products; the most that a page has
_TRIES = 5  # of one page
_LONGEST_WAIT_SECONDS = 60.0
_DETAILS_AT_ONCE = 8
_DETAILS_BATCH = 40
# So many in one turn of a shop, so that its changes are not read late and other shops get their turn.
_DETAILS_A_TURN = 1_000
_AGAIN_SECONDS = 60.0
_TOO_MANY_CODE = "12052180"
_PRODUCT_CODES = "12"  # they begin so


class Catalogue:
    """Reads catalogues. `run_once` is for loops (kit.loop.Loop), of which there may be several."""

    def __init__(self, database: Database, calls: ShopCalls, *, every_seconds: float, whole_seconds: float) -> None:
        self._database, self._calls = database, calls
        self._every_seconds, self._whole = every_seconds, timedelta(seconds=whole_seconds)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Lets every reading end after its present page."""
        self._stopping.set()

    def run_once(self) -> bool:
        """Reads the catalogue that is due for longest; False when none is."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            reading = catalogue_store.claim_reading(tx, _LEASE_SECONDS)
        if reading is None:
            return False
        turn = _Turn(self._database, self._calls, self._stopping, reading)
        due = _AGAIN_SECONDS
        try:
            whole = reading.whole_time
            turn.list_products(everything=whole is None or reading.begin_time - whole >= self._whole)
            is_more = turn.read_details(_DETAILS_A_TURN)
            due = 0 if is_more else self._every_seconds
        except TurnOver:
            due = 0
        except ReelrouteError as refusal:
            log.warning("a catalogue is not read", shop_id=str(reading.shop_id), reason=refusal.reason)
            due = max(_AGAIN_SECONDS, refusal.retry_after_seconds or 0)
        except SpanTooSmall:
            log.error("a catalogue cannot be read: too many products of one second", shop_id=str(reading.shop_id))
            due = self._every_seconds
        finally:
            turn.release(due)
        return True

    def sync(self, shop: Shop, *, everything: bool) -> int:
        """Reads one shop's products now, when nobody else does; returns how many were listed. Details follow in turns
        of `run_once`. Raises CatalogueBusy, and as `ShopCalls.ask`.
        """
        turn = _Turn(self._database, self._calls, self._stopping, self._taken(shop))
        try:
            count = turn.list_products(everything=everything or turn.reading.whole_time is None)
        except TurnOver:
            raise CatalogueBusy("The reading was cut short. Try again.") from None
        except SpanTooSmall:
            raise ShopRequestRefused("The shop has too many products of one second to be listed.") from None
        finally:
            turn.release(None)
        return count

    def read_one(self, shop: Shop, platform_product_id: str) -> None:
        """Reads one product now. Raises as `ShopCalls.ask`."""
        asked_time = self._now(shop)
        client = self._calls.client

        async def question(access: Access, seconds: float) -> Product:
            return await client.products.get(access, platform_product_id, timeout_seconds=seconds)

        try:
            found = self._calls.ask(shop, question)
        except VendorNotFound:
            with self._database.transaction(shop.workspace_id) as tx:
                catalogue_store.set_gone(tx, shop, [platform_product_id], asked_time)
            return
        seen = tiktok_shop.product_of(found, shop.seller_type, is_whole=True)
        with self._database.transaction(shop.workspace_id) as tx:
            catalogue_store.save_products(tx, shop, [seen], asked_time)

    def _now(self, shop: Shop) -> datetime:
        with self._database.transaction(shop.workspace_id) as tx:
            return store.database_time(tx)

    def _taken(self, shop: Shop) -> Reading:
        def take() -> Reading | None:
            with self._database.transaction(shop.workspace_id) as tx:
                return catalogue_store.take_reading(tx, shop, _LEASE_SECONDS)

        busy = CatalogueBusy("Another process reads this catalogue at the moment. Try again.")
        return wait_for_turn(take, _LEASE_SECONDS, self._stopping, busy)


class _Turn:
    """One reading of one shop."""

    def __init__(self, database: Database, calls: ShopCalls, stopping: threading.Event, reading: Reading) -> None:
        self.reading = reading
        self._database, self._calls, self._stopping = database, calls, stopping
        with database.transaction(reading.workspace_id) as tx:
            self._shop = shop_store.read_shop(tx, reading.workspace_id, reading.shop_id)
        # When TikTok Shop is asked next: the database's time, a little before.
        self._asked_time = reading.begin_time

    def list_products(self, *, everything: bool) -> int:
        """Reads all pages of what changed, or of everything, and looks for what is gone; returns how many products."""
        cursor = None if everything else self.reading.cursor
        count, spans = 0, [Span(cursor - OVERLAP if cursor else None, None)]
        while spans:
            span = spans.pop()
            listed = self._list(span, by_change=cursor is not None)
            if listed is None:
                spans += halves(span, self.reading.begin_time)
            else:
                count += listed
        if everything:
            with self._database.transaction(self._shop.workspace_id) as tx:
                catalogue_store.suspect_gone(tx, self._shop, self.reading.begin_time)
            self.read_details(None, read_before=self.reading.begin_time)
        with self._database.transaction(self._shop.workspace_id) as tx:
            self._keep(catalogue_store.keep_reading(tx, self.reading, _LEASE_SECONDS))
            catalogue_store.end_listing(tx, self.reading, is_whole=everything)
        return count

    def read_details(self, most: int | None, *, read_before: datetime | None = None) -> bool:
        """Reads products by themselves that are to be, `most` at most; tells whether there are more. With `read_before`
        those that were not met since: TikTok Shop's no means that they are gone.
        """
        done = 0
        while most is None or done < most:
            with self._database.transaction(self._shop.workspace_id) as tx:
                ids = catalogue_store.without_detail(tx, self._shop, _DETAILS_BATCH, read_before=read_before)
            if not ids:
                return False
            found = self._patiently(partial(self._details, ids))
            gone = [name for name, product in found.items() if product is None]
            seen = [product for product in found.values() if product is not None]
            with self._database.transaction(self._shop.workspace_id) as tx:
                catalogue_store.save_products(tx, self._shop, seen, self._asked_time)
                if read_before is not None:
                    catalogue_store.set_gone(tx, self._shop, gone, self._asked_time)
                # Whatever was answered: none is asked for again before it changes.
                catalogue_store.leave_detail(tx, self._shop, ids)
                self._keep(catalogue_store.keep_reading(tx, self.reading, _LEASE_SECONDS))
            done += len(ids)
        return True

    def release(self, due_seconds: float | None) -> None:
        """Ends the turn."""
        with self._database.transaction(self._shop.workspace_id) as tx:
            catalogue_store.release_reading(tx, self.reading, due_seconds)

    def _list(self, span: Span, *, by_change: bool) -> int | None:
        """Reads and stores all pages of a span; how many products, or None when a search does not answer all."""
        count, token = 0, ""
        while True:
            try:
                page = self._patiently(partial(self._page, span, token, by_change=by_change))
            except ShopRequestRefused as refusal:
                if refusal.metadata.get("code") == _TOO_MANY_CODE:
                    return None
                raise
            if (page.total_count or 0) > MOST_IN_SEARCH:
                return None
            seen = [tiktok_shop.product_of(each, self._shop.seller_type, is_whole=False) for each in page.items]
            with self._database.transaction(self._shop.workspace_id) as tx:
                catalogue_store.save_products(tx, self._shop, seen, self._asked_time)
                self._keep(catalogue_store.keep_reading(tx, self.reading, _LEASE_SECONDS))
                self._asked_time = store.database_time(tx)
            count += len(page.items)
            if not page.next_page_token or page.next_page_token == token:
                return count
            token = page.next_page_token

    def _page(self, span: Span, token: str, *, by_change: bool) -> Page[Product]:
        wanted = (
            ProductFilter(update_time_ge=span.start, update_time_le=span.end)
            if by_change
            else ProductFilter(create_time_ge=span.start, create_time_le=span.end)
        )

        async def question(access: Access, seconds: float) -> Page[Product]:
            return await self._calls.client.products.search(
                access, wanted, page_size=_PAGE, page_token=token, timeout_seconds=seconds
            )

        return self._calls.ask(self._shop, question)

    def _details(self, platform_product_ids: list[str]) -> dict[str, SeenProduct | None]:
        """Products by their ids; None for what TikTok Shop does not have. What it does not tell is left out."""
        client, room = self._calls.client, asyncio.Semaphore(_DETAILS_AT_ONCE)

        async def one(access: Access, name: str, seconds: float) -> tuple[str, Product | None] | None:
            async with room:
                try:
                    return name, await client.products.get(access, name, timeout_seconds=seconds)
                except VendorNotFound:
                    return name, None
                except VendorRejected as refusal:
                    if not refusal.code.startswith(_PRODUCT_CODES):
                        raise
                    log.warning("a product is not told", shop_id=str(self._shop.shop_id), refusal=str(refusal))
                    return None

        async def question(access: Access, seconds: float) -> list[tuple[str, Product | None] | None]:
            tasks = [asyncio.create_task(one(access, name, seconds)) for name in platform_product_ids]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

        found = dict(each for each in self._calls.ask(self._shop, question) if each is not None)
        return {
            name: tiktok_shop.product_of(product, self._shop.seller_type, is_whole=True) if product else None
            for name, product in found.items()
        }

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        return patiently(
            ask,
            (ShopCallsLimited, ShopUnavailable),
            tries=_TRIES,
            longest_wait_seconds=_LONGEST_WAIT_SECONDS,
            stopping=self._stopping,
            keep=self._keep_on,
        )

    def _keep_on(self) -> None:
        with self._database.transaction(self._shop.workspace_id) as tx:
            self._keep(catalogue_store.keep_reading(tx, self.reading, _LEASE_SECONDS))

    def _keep(self, reading: Reading | None) -> None:
        if reading is None:
            raise TurnOver
        self.reading = reading
