"""What TikTok Shop has of a shop's SKUs, and what it is to have, at one moment.

TikTok Shop's stock is read first, then the orders that changed, then our ledger. Of what is reserved here those units
count as committed there that were reserved before the first reading, and that the second does not show as shipped or
canceled: so each of them is surely in the first. Whatever happens in between, the figure is too low for a moment rather
than too high.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kit import context
from kit.db import Database
from kit.vendor_errors import VendorNotFound
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.stock import ledger_store, push_store
from services.fulfillment.stock.domain import sets
from services.fulfillment.stock.offering import Known, NotOffered, Target, committed_of, target_of
from services.fulfillment.stock.push_store import Push
from services.fulfillment.store import database_time
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.products import SkuStock

_CALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What TikTok Shop has, by SKU; it was asked after `time`."""

    time: datetime
    skus: Mapping[str, SkuStock]


@dataclass(slots=True)
class Look:
    """What is known of a shop's SKUs at one moment. `targets`: what each is to have; `untold`: why one cannot be."""

    seen: dict[str, SkuStock] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    untold: dict[str, str] = field(default_factory=dict)


class Looking:
    """Reads what TikTok Shop has, and makes what it is to have."""

    def __init__(self, database: Database, calls: ShopCalls, refresh: Callable[[Shop], object]) -> None:
        self._database, self._calls, self._refresh = database, calls, refresh

    def read(self, shop: Shop, product_ids: Sequence[str]) -> Sight:
        """What TikTok Shop has of up to 100 products. Raises as `ShopCalls.ask`."""
        with self._database.transaction(shop.workspace_id) as tx:
            time = database_time(tx)
        return Sight(time, self._read(shop, product_ids))

    def _read(self, shop: Shop, product_ids: Sequence[str]) -> dict[str, SkuStock]:
        async def question(access: Access, seconds: float) -> tuple[SkuStock, ...]:
            return await self._calls.client.products.stock(access, product_ids=product_ids, timeout_seconds=seconds)

        try:
            return {each.sku_id: each for each in self._calls.ask(shop, question, _CALL_SECONDS)}
        except VendorNotFound:
            # One that is gone hides the others.
            single = [self._read(shop, [product_id]) for product_id in product_ids] if len(product_ids) > 1 else []
            return {sku_id: each for found in single for sku_id, each in found.items()}

    def look(
        self,
        shop: Shop,
        routing: ShopRouting,
        pushes: Sequence[Push],
        sight: Sight,
        first_seen: Mapping[str, SkuStock],
    ) -> Look:
        """What SKUs are to have, by what TikTok Shop was just seen to have. Raises as `ShopCalls.ask`."""
        warehouses = routing.platform_warehouse_ids
        skus = [push.platform_sku_id for push in pushes]
        found = Look(seen={sku_id: sight.skus[sku_id] for sku_id in skus if sku_id in sight.skus})
        if any(committed_of(each, warehouses) for each in found.seen.values()):
            with context.call(
                request_id=context.request_id(), timeout_seconds=context.remaining_seconds(_CALL_SECONDS)
            ):
                self._refresh(shop)
        found.known = self._known(routing, pushes, sight.time)
        for push in pushes:
            sku_id = push.platform_sku_id
            if sku_id not in found.seen:
                found.untold[sku_id] = "TikTok Shop does not know this SKU any more. Read the products again."
                continue
            try:
                first = first_seen.get(sku_id, found.seen[sku_id])
                found.targets[sku_id] = target_of(found.seen[sku_id], first, warehouses, found.known[sku_id])
            except NotOffered as reason:
                found.untold[sku_id] = str(reason)
        return found

    def _known(self, routing: ShopRouting, pushes: Sequence[Push], before: datetime) -> dict[str, Known]:
        """At one moment: while the stock is locked, nothing is reserved and nothing given back."""
        if routing.merchant_id is None:
            raise AssertionError("a shop without a merchant is not told of")
        workspace_id, shop_id = routing.workspace_id, routing.shop_id
        parts = {sku for push in pushes for sku, _ in push.parts}
        with self._database.transaction(workspace_id) as tx:
            rows = ledger_store.lock(tx, routing.merchant_id, parts)
            stock = {sku: row.available(routing.safety_stock) for sku, row in rows.items()}
            reserved = push_store.reserved_units(
                tx,
                workspace_id,
                shop_id,
                [push.platform_sku_id for push in pushes],
                routing.platform_warehouse_ids,
                before,
            )
        return {
            push.platform_sku_id: Known(sets(push.parts, stock), reserved.get(push.platform_sku_id, 0))
            for push in pushes
        }
