"""Telling TikTok Shop how many can be sold, some products of a shop at a time.

    claim → look (read its stock, read orders, make figures) → set ─┐
              ↑                                                      │ until it has them
              └──────────────────────────────────────────────────────┘

What buyers bought while it was set, and was given back by that, is seen by the next look and taken off. An answer that
was lost is settled by it, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge

from kit import context
from kit.db import ALL_WORKSPACES, Database
from kit.errors import DeadlineExceeded, ReelrouteError
from kit.vendor_codes import Kind
from kit.vendor_errors import VendorNotFound
from services.fulfillment import shop_store
from services.fulfillment.calling import ShopCalls, check_connected
from services.fulfillment.domain import Shop, ShopCallsLimited, ShopRequestRefused, ShopUnavailable
from services.fulfillment.routing import routing_store
from services.fulfillment.stock import push_store, spread_store
from services.fulfillment.stock.looking import Look, Looking
from services.fulfillment.stock.offering import Target, committed_of, has, units_of
from services.fulfillment.stock.push_store import Claim, Push
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.errors import rule_of
from vendors.tiktok_shop.products import SkuStock
from vendors.tiktok_shop.values import ItemError

log = structlog.get_logger()

PUSHES = Counter(
    "reelroute_stock_pushes_total", "SKUs of which TikTok Shop was to be told, by what came of it.", ["result"]
)
OLDEST_DUE = Gauge("reelroute_stock_push_oldest_due_seconds", "How long what waits for longest has waited to be told.")

_LEASE_SECONDS = 150.0
# Nothing is set in the last part of a lease: it could arrive after a newer figure.
_MARGIN_SECONDS = 45.0
_CALL_SECONDS = 20.0
_PRODUCTS = 20
_ROUNDS = 4
_SOON_SECONDS, _LATER_SECONDS, _REFUSED_SECONDS = 30.0, 900.0, 6 * 3600.0


class Pushing:
    """Tells TikTok Shop. `run_once` is for loops (kit.loop.Loop), of which there may be several."""

    def __init__(self, database: Database, calls: ShopCalls, refresh: Callable[[Shop], object]) -> None:
        self._database, self._calls = database, calls
        self._looking = Looking(database, calls, refresh)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._served: set[UUID] = set()
        self._busy: set[UUID] = set()

    def stop(self) -> None:
        """Begins no call any more."""
        self._stopping.set()

    def run_once(self) -> bool:
        """Tells of some products of the shop whose turn it is; False when nothing is due."""
        begin = time.monotonic()
        claimed = self._claim()
        if claimed is None:
            return False
        try:
            with context.about(workspace_id=claimed.workspace_id, shop_id=claimed.shop_id):
                _Telling(self._database, self._calls, self._looking, self._stopping, claimed, begin).run()
        finally:
            with self._lock:
                self._busy.discard(claimed.shop_id)
        return True

    def measure(self) -> None:
        """Sets the gauge of how long figures wait."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            OLDEST_DUE.set(push_store.oldest_due(tx))

    def _claim(self) -> Claim | None:
        """Every shop that waits has its turn before one has it again, and none has two here at once."""
        with self._lock, self._database.transaction(ALL_WORKSPACES) as tx:
            found = push_store.claim(tx, self._served | self._busy, _PRODUCTS, _LEASE_SECONDS)
            if found is None and self._served:
                self._served.clear()
                found = push_store.claim(tx, self._busy, _PRODUCTS, _LEASE_SECONDS)
            if found is not None:
                self._served.add(found.shop_id)
                self._busy.add(found.shop_id)
        return found


class _Telling:
    """What is done about one claim."""

    def __init__(
        self,
        database: Database,
        calls: ShopCalls,
        looking: Looking,
        stopping: threading.Event,
        claimed: Claim,
        begin: float,
    ) -> None:
        self._database, self._calls, self._looking, self._stopping = database, calls, looking, stopping
        self._claimed, self._end = claimed, begin + _LEASE_SECONDS - _MARGIN_SECONDS
        self._versions: dict[str, int] = {}

    def run(self) -> None:
        """Reads, sets, and reads again until TikTok Shop has all of it, or says why not."""
        claimed = self._claimed
        with self._database.transaction(claimed.workspace_id) as tx:
            self._shop = shop_store.read_shop(tx, claimed.workspace_id, claimed.shop_id)
            self._routing = routing_store.read_routing(tx, claimed.workspace_id, claimed.shop_id)
            pushes = push_store.read_claimed(tx, claimed)
            if not spread_store.tells(self._routing):
                # Made anew when it is switched on again.
                push_store.forget_shop(tx, claimed.workspace_id, claimed.shop_id)
                return
        left = {push.platform_sku_id: push for push in pushes}
        try:
            check_connected(self._shop)
            self._tell(left)
        except ReelrouteError as refusal:
            log.info("stock is not told", shop_id=str(claimed.shop_id), reason=refusal.reason)
            is_passing = isinstance(refusal, ShopCallsLimited | ShopUnavailable | DeadlineExceeded)
            wait = refusal.retry_after_seconds or (_SOON_SECONDS if is_passing else _LATER_SECONDS)
            for sku_id in left:
                self._put_off(sku_id, wait, None if is_passing else refusal.message)
        except Exception:
            for sku_id in left:
                self._put_off(sku_id, _SOON_SECONDS, None)
            raise

    def _tell(self, left: dict[str, Push]) -> None:
        """Takes out of `left` what is done."""
        first_seen: dict[str, SkuStock] = {}
        was: Look | None = None
        for _ in range(_ROUNDS):
            sight = self._looking.read(self._shop, sorted({push.platform_product_id for push in left.values()}))
            first_seen = {**sight.skus, **first_seen}
            if was is not None:
                self._take_told(left, was, sight.skus)
            if not left:
                return
            look = self._looking.look(self._shop, self._routing, list(left.values()), sight, first_seen)
            self._keep_wanted(left, look)
            for sku_id, reason in look.untold.items():
                if left.pop(sku_id, None):
                    self._put_off(sku_id, _REFUSED_SECONDS, reason)
            for sku_id in [sku_id for sku_id in left if has(look.seen[sku_id], look.targets[sku_id])]:
                self._told(left, sku_id, look, "same")
            if not left:
                return
            self._set_all(left, look)
            was = look
            if not left:
                return
        # It was taken, and is not to be seen yet.
        for sku_id in list(left):
            self._put_off(sku_id, _SOON_SECONDS, None)
            del left[sku_id]

    def _take_told(self, left: dict[str, Push], was: Look, seen: Mapping[str, SkuStock]) -> None:
        """What was set is there, and nobody bought meanwhile."""
        warehouses = self._routing.platform_warehouse_ids
        for sku_id in list(left):
            now, before = seen.get(sku_id), was.seen.get(sku_id)
            if now is None or before is None or sku_id not in was.targets:
                continue
            is_untouched = committed_of(now, warehouses) == committed_of(before, warehouses)
            if is_untouched and has(now, was.targets[sku_id]):
                self._told(left, sku_id, was, "told")

    def _keep_wanted(self, left: dict[str, Push], look: Look) -> None:
        with self._database.transaction(self._claimed.workspace_id) as tx:
            for sku_id in sorted(left):
                version = push_store.set_wanted(tx, self._claimed, left[sku_id], look.known[sku_id].wanted)
                if version is None:
                    # Another process has it by now: whatever it does is newer.
                    del left[sku_id]
                else:
                    self._versions[sku_id] = version

    def _set_all(self, left: dict[str, Push], look: Look) -> None:
        by_product: dict[str, dict[str, Target]] = {}
        for sku_id, push in left.items():
            by_product.setdefault(push.platform_product_id, {})[sku_id] = look.targets[sku_id]
        for product_id, targets in sorted(by_product.items()):
            if self._stopping.is_set() or time.monotonic() > self._end:
                raise ShopUnavailable("There is no time left to tell it.")
            for sku_id, (wait, problem) in self._set(product_id, targets).items():
                if left.pop(sku_id, None):
                    self._put_off(sku_id, wait, problem)

    def _set(self, product_id: str, targets: Mapping[str, Target]) -> dict[str, tuple[float, str]]:
        """Sets stock of a product; returns what is refused, when it is tried again, and why. An answer that was lost
        is settled by the next reading.
        """

        async def question(access: Access, seconds: float) -> tuple[ItemError, ...]:
            return await self._calls.client.products.set_stock(access, product_id, targets, timeout_seconds=seconds)

        try:
            errors = self._calls.ask(self._shop, question, _CALL_SECONDS)
        except (ShopUnavailable, DeadlineExceeded):
            return {}
        except VendorNotFound:
            return dict.fromkeys(targets, (_REFUSED_SECONDS, "TikTok Shop does not know this product any more."))
        except ShopRequestRefused as refusal:
            return dict.fromkeys(targets, (_REFUSED_SECONDS, refusal.message))
        except ShopCallsLimited as refusal:
            if (
                rule_of(refusal.metadata.get("code", ""), "") is None
                or (refusal.retry_after_seconds or 0) < _LATER_SECONDS
            ):
                raise
            # Locked by a promotion, an auction or an appeal.
            return dict.fromkeys(targets, (_LATER_SECONDS, refusal.message))
        found: dict[str, tuple[float, str]] = {}
        for error in errors:
            for sku_id in [error.target] if error.target in targets else targets:
                found[sku_id] = _refusal(error)
        return found

    def _told(self, left: dict[str, Push], sku_id: str, look: Look, result: str) -> None:
        del left[sku_id]
        units = units_of(look.targets[sku_id], self._routing.platform_warehouse_ids)
        with self._database.transaction(self._claimed.workspace_id) as tx:
            push_store.set_told(tx, self._claimed, sku_id, units, self._versions[sku_id])
        PUSHES.labels(result).inc()

    def _put_off(self, sku_id: str, seconds: float, problem: str | None) -> None:
        with self._database.transaction(self._claimed.workspace_id) as tx:
            push_store.put_off(tx, self._claimed, sku_id, seconds, problem)
        PUSHES.labels("later" if problem is None else "problem").inc()


def _refusal(error: ItemError) -> tuple[float, str]:
    """When a SKU that TikTok Shop refused is tried again, and why it was refused."""
    rule = rule_of(error.code, error.message)
    wait = _LATER_SECONDS if rule is not None and rule.kind is Kind.QUOTA else _REFUSED_SECONDS
    if rule is None:
        return wait, f"TikTok Shop refuses it. It says: {error.message[:200]} ({error.code})"
    return wait, f"{rule.message} {rule.advice}"
