"""SQL of what TikTok Shop is to be told by now: of SKUs whose stock changed, and of whole shops from time to time. The
caller owns the transaction, which sees all workspaces.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, text, update

from services.fulfillment.order_tables import shop_routings
from services.fulfillment.routing.mapping import SkuParts
from services.fulfillment.routing.routing_store import read_routings
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.stock import ledger_store, push_store
from services.fulfillment.stock.domain import sets
from services.fulfillment.stock.push_store import Wanted
from services.fulfillment.store import in_seconds

_SKUS_AT_ONCE = 500
# Of a merchant that was read never, nothing is known.
_NOT_READ_SECONDS = 30.0

_CHANGED = text("""
    WITH chosen AS (
        SELECT merchant_id FROM stock WHERE version <> spread_version AND merchant_id > :after
        ORDER BY merchant_id LIMIT 1),
    due AS MATERIALIZED (
        SELECT merchant_id, amazon_sku FROM stock
        WHERE version <> spread_version AND merchant_id = (SELECT merchant_id FROM chosen)
        LIMIT :most FOR UPDATE SKIP LOCKED)
    UPDATE stock s SET spread_version = version
    FROM due WHERE s.merchant_id = due.merchant_id AND s.amazon_sku = due.amazon_sku
    RETURNING s.workspace_id, s.merchant_id, s.amazon_sku
""")
_TOUCHED = text("""
    SELECT p.shop_id, p.platform_sku_id, p.platform_product_id, p.seller_sku, p.parts
    FROM shop_routings r JOIN stock_pushes p ON p.workspace_id = r.workspace_id AND p.shop_id = r.shop_id
    WHERE r.merchant_id = :merchant_id AND r.is_on
      AND EXISTS (SELECT FROM jsonb_array_elements(p.parts) part WHERE part->>0 = ANY(:skus))
""")
_DUE_SHOP = text("""
    SELECT r.workspace_id, r.shop_id, r.merchant_id, m.stock_whole_time IS NOT NULL AS is_read
    FROM shop_routings r LEFT JOIN merchants m USING (merchant_id)
    WHERE r.is_on AND r.stock_due_time <= now()
    ORDER BY r.stock_due_time LIMIT 1 FOR UPDATE OF r SKIP LOCKED
""")
_SOLD = text("""
    SELECT p.platform_product_id, sku->>'id', sku->>'seller_sku', coalesce(by_id.parts, by_sku.parts)
    FROM shops s JOIN products p ON p.workspace_id = s.workspace_id AND p.shop_id = s.shop_id
    CROSS JOIN LATERAL jsonb_array_elements(p.skus) sku
    LEFT JOIN sku_mappings by_id ON by_id.workspace_id = s.workspace_id AND by_id.marketplace = s.region
        AND by_id.platform_sku_id <> '' AND by_id.platform_sku_id = sku->>'id'
    LEFT JOIN sku_mappings by_sku ON by_sku.workspace_id = s.workspace_id AND by_sku.marketplace = s.region
        AND by_sku.platform_sku_id = '' AND by_sku.seller_sku = sku->>'seller_sku'
    WHERE s.workspace_id = :workspace_id AND s.shop_id = :shop_id AND p.status = 'ACTIVATE'
      AND coalesce(by_id.parts, by_sku.parts) IS NOT NULL
""")


def spread_changed(tx: Connection, after: UUID, delay_seconds: float) -> UUID | None:
    """Stores what TikTok Shop is to be told by now of SKUs whose stock changed, some of the next merchant behind
    `after`; returns which, None when there is none.
    """
    rows = tx.execute(_CHANGED, {"after": after, "most": _SKUS_AT_ONCE}).all()
    if not rows:
        return None
    workspace_id, merchant_id = rows[0].workspace_id, rows[0].merchant_id
    touched: dict[UUID, list[tuple[str, str, str, SkuParts]]] = {}
    skus = [row.amazon_sku for row in rows]
    for shop_id, sku_id, product_id, seller_sku, parts in tx.execute(
        _TOUCHED, {"merchant_id": merchant_id, "skus": skus}
    ):
        touched.setdefault(shop_id, []).append((sku_id, product_id, seller_sku, _parts(parts)))
    routings = read_routings(tx, workspace_id, touched) if touched else {}
    for shop_id in sorted(touched):
        if tells(routings[shop_id]):
            _save(tx, routings[shop_id], touched[shop_id], delay_seconds)
    return UUID(str(merchant_id))


def spread_shop(tx: Connection, every_seconds: float, delay_seconds: float) -> ShopRouting | None:
    """The same of all SKUs of the shop that is due for longest: its products, mappings and settings may be others by
    now. None when none is due.
    """
    due = tx.execute(_DUE_SHOP).first()
    if due is None:
        return None
    routing = read_routings(tx, due.workspace_id, [due.shop_id])[due.shop_id]
    again = every_seconds
    if not tells(routing):
        push_store.forget_shop(tx, due.workspace_id, due.shop_id)
    elif not due.is_read:
        again = min(_NOT_READ_SECONDS, every_seconds)
    else:
        sold = tx.execute(_SOLD, {"workspace_id": due.workspace_id, "shop_id": due.shop_id})
        found = {
            sku_id: (sku_id, product, seller_sku or "", _parts(parts)) for product, sku_id, seller_sku, parts in sold
        }
        push_store.keep_only(tx, due.workspace_id, due.shop_id, found)
        _save(tx, routing, list(found.values()), delay_seconds)
    tx.execute(
        update(shop_routings).where(shop_routings.c.shop_id == due.shop_id).values(stock_due_time=in_seconds(again))
    )
    return routing


def tells(routing: ShopRouting) -> bool:
    """Whether TikTok Shop is told of a shop's stock."""
    is_set_up = routing.merchant_id is not None and bool(routing.platform_warehouse_ids)
    return routing.is_on and routing.push_stock and is_set_up


def _save(
    tx: Connection, routing: ShopRouting, of: Collection[tuple[str, str, str, SkuParts]], delay_seconds: float
) -> None:
    if routing.merchant_id is None:
        return
    skus = sorted({sku for *_, parts in of for sku, _ in parts})
    stock = ledger_store.available(tx, routing.workspace_id, routing.merchant_id, skus, routing.safety_stock)
    wanted = [
        Wanted(sku_id, product_id, seller_sku, parts, sets(parts, stock))
        for sku_id, product_id, seller_sku, parts in of
    ]
    push_store.save_wanted(tx, routing.workspace_id, routing.shop_id, wanted, delay_seconds)


def _parts(told: Collection[tuple[str, int]]) -> SkuParts:
    return tuple((sku, quantity) for sku, quantity in told)
