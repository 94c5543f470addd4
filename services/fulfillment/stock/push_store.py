"""SQL of what TikTok Shop is to be told, and was told. The caller owns the transaction.

Stock rows are locked before rows of pushes, so that nobody waits for somebody who waits for him.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, case, delete, func, select, text, update

from kit.paging import Page
from services.fulfillment.order_tables import stock_pushes
from services.fulfillment.routing.mapping import SkuParts
from services.fulfillment.store import in_seconds

# After a refusal another figure is not tried sooner.
_AFTER_PROBLEM_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What TikTok Shop is to be told of a SKU of a shop."""

    platform_sku_id: str
    platform_product_id: str
    seller_sku: str
    parts: SkuParts
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A row of stock_pushes."""

    shop_id: UUID
    platform_sku_id: str
    platform_product_id: str
    seller_sku: str
    parts: SkuParts
    wanted_quantity: int
    wanted_version: int
    told_quantity: int | None
    told_version: int
    told_time: datetime | None
    problem: str
    next_time: datetime | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to tell TikTok Shop of some SKUs of a shop: each with the number of its attempt."""

    workspace_id: UUID
    shop_id: UUID
    attempts: Mapping[str, int]


_SAVE = text("""
    INSERT INTO stock_pushes AS p (shop_id, platform_sku_id, workspace_id, platform_product_id, seller_sku, parts,
        wanted_quantity, next_time)
    SELECT :shop_id, r.sku, :workspace_id, r.product, r.seller_sku, r.parts, r.wanted,
        now() + make_interval(secs => :delay)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        sku text, product text, seller_sku text, parts jsonb, wanted bigint)
    ORDER BY r.sku
    ON CONFLICT (shop_id, platform_sku_id) DO UPDATE SET
        platform_product_id = excluded.platform_product_id, seller_sku = excluded.seller_sku, parts = excluded.parts,
        wanted_quantity = excluded.wanted_quantity,
        wanted_version = p.wanted_version + (p.wanted_quantity <> excluded.wanted_quantity)::int,
        next_time = CASE WHEN p.wanted_quantity = excluded.wanted_quantity THEN p.next_time
            ELSE least(coalesce(p.next_time, 'infinity'),
                CASE WHEN p.problem = '' THEN excluded.next_time ELSE now() + make_interval(secs => :problem_delay) END)
            END
    WHERE (p.platform_product_id, p.seller_sku, p.parts, p.wanted_quantity)
        IS DISTINCT FROM (excluded.platform_product_id, excluded.seller_sku, excluded.parts, excluded.wanted_quantity)
""")
_CLAIM = text("""
    WITH first AS (
        SELECT workspace_id, shop_id FROM stock_pushes
        WHERE next_time <= now() AND (lease_time IS NULL OR lease_time <= now()) AND shop_id <> ALL(:served)
        ORDER BY next_time LIMIT 1),
    chosen AS (
        SELECT p.platform_product_id FROM stock_pushes p JOIN first USING (workspace_id, shop_id)
        WHERE p.next_time <= now() AND (p.lease_time IS NULL OR p.lease_time <= now())
        GROUP BY p.platform_product_id ORDER BY min(p.next_time) LIMIT :products),
    due AS MATERIALIZED (
        SELECT p.shop_id, p.platform_sku_id FROM stock_pushes p JOIN first USING (workspace_id, shop_id)
        WHERE p.platform_product_id IN (SELECT platform_product_id FROM chosen)
          AND p.next_time <= now() AND (p.lease_time IS NULL OR p.lease_time <= now())
        FOR UPDATE OF p SKIP LOCKED)
    UPDATE stock_pushes p SET attempt = attempt + 1, lease_time = now() + make_interval(secs => :lease),
        next_time = now() + make_interval(secs => :lease)
    FROM due WHERE p.shop_id = due.shop_id AND p.platform_sku_id = due.platform_sku_id
    RETURNING p.workspace_id, p.shop_id, p.platform_sku_id, p.attempt
""")
# Only what TikTok Shop surely has committed: of its own bundles, of samples and replacements it is not known what that
# is, and a number that is told, or is being told, may have ended it.
_RESERVED = text("""
    SELECT unit->>'sku_id' AS sku_id, count(DISTINCT unit->>'line') AS units
    FROM orders o
    JOIN shipments s ON s.workspace_id = o.workspace_id AND s.order_id = o.order_id
    CROSS JOIN LATERAL jsonb_array_elements(s.items) item
    CROSS JOIN LATERAL jsonb_array_elements_text(item->'platform_line_ids') line
    JOIN LATERAL jsonb_array_elements(o.facts->'units') unit ON unit->>'line' = line AND unit->>'state' = 'OPEN'
    WHERE o.workspace_id = :workspace_id AND o.shop_id = :shop_id AND o.state = 'ROUTED'
      AND o.facts->>'warehouse_id' = ANY(:warehouses)
      AND o.facts->>'is_sample' = 'false' AND o.facts->>'is_replacement' = 'false'
      AND unit->>'sku_id' = ANY(:skus) AND jsonb_array_length(unit->'parts') = 0
      AND s.state NOT IN ('CANCELED', 'FAILED')
      AND EXISTS (SELECT FROM reservations r WHERE r.shipment_id = s.shipment_id AND r.state <> 'RELEASED'
                  AND r.create_time < :before)
      AND NOT EXISTS (SELECT FROM packages p WHERE p.workspace_id = o.workspace_id AND p.order_id = o.order_id
                      AND p.told_number <> '' AND (line = ANY(p.told_line_ids) OR cardinality(p.told_line_ids) = 0))
    GROUP BY 1
""")


def save_wanted(
    tx: Connection, workspace_id: UUID, shop_id: UUID, wanted: Sequence[Wanted], delay_seconds: float
) -> None:
    """Stores what TikTok Shop is to be told, in so many seconds; what is wanted already changes nothing."""
    if not wanted:
        return
    rows = [
        {
            "sku": each.platform_sku_id,
            "product": each.platform_product_id,
            "seller_sku": each.seller_sku,
            "parts": [list(part) for part in each.parts],
            "wanted": each.quantity,
        }
        for each in wanted
    ]
    tx.execute(
        _SAVE,
        {
            "workspace_id": workspace_id,
            "shop_id": shop_id,
            "rows": json.dumps(rows),
            "delay": delay_seconds,
            "problem_delay": _AFTER_PROBLEM_SECONDS,
        },
    )


def keep_only(tx: Connection, workspace_id: UUID, shop_id: UUID, platform_sku_ids: Collection[str]) -> None:
    """Forgets the pushes of a shop's other SKUs: TikTok Shop is no longer told of them."""
    tx.execute(
        delete(stock_pushes).where(
            stock_pushes.c.workspace_id == workspace_id,
            stock_pushes.c.shop_id == shop_id,
            stock_pushes.c.platform_sku_id.not_in(platform_sku_ids),
        )
    )


def claim(tx: Connection, served: Collection[UUID], products: int, lease_seconds: float) -> Claim | None:
    """Takes all that is due of a few products of one shop that is none of `served`; None when nothing is due. Of all
    workspaces.
    """
    rows = tx.execute(_CLAIM, {"served": list(served), "products": products, "lease": lease_seconds}).all()
    if not rows:
        return None
    return Claim(rows[0].workspace_id, rows[0].shop_id, {row.platform_sku_id: row.attempt for row in rows})


def read_claimed(tx: Connection, claimed: Claim) -> list[Push]:
    """What was claimed and is still this claim's."""
    query = select(stock_pushes).where(
        stock_pushes.c.workspace_id == claimed.workspace_id,
        stock_pushes.c.shop_id == claimed.shop_id,
        stock_pushes.c.platform_sku_id.in_(claimed.attempts),
    )
    rows = tx.execute(query.order_by(stock_pushes.c.platform_sku_id)).mappings()
    found = [push_of(row) for row in rows]
    return [push for push in found if push.attempt == claimed.attempts[push.platform_sku_id]]


def set_wanted(tx: Connection, claimed: Claim, push: Push, quantity: int) -> int | None:
    """Stores what is wanted by now; returns its version, None when it is another's by now."""
    return tx.execute(
        update(stock_pushes)
        .where(*_is_mine(claimed, push.platform_sku_id))
        .values(
            wanted_version=stock_pushes.c.wanted_version
            + case((stock_pushes.c.wanted_quantity != quantity, 1), else_=0),
            wanted_quantity=quantity,
        )
        .returning(stock_pushes.c.wanted_version)
    ).scalar_one_or_none()


def set_told(tx: Connection, claimed: Claim, platform_sku_id: str, quantity: int, version: int) -> bool:
    """TikTok Shop has this version; False, and nothing is stored, when it is another's by now."""
    values = {
        "told_quantity": quantity,
        "told_version": func.greatest(stock_pushes.c.told_version, version),
        "told_time": func.now(),
        "problem": "",
    }
    return _end(tx, claimed, platform_sku_id, values, None)


def put_off(tx: Connection, claimed: Claim, platform_sku_id: str, seconds: float, problem: str | None) -> bool:
    """It is told later, for this reason; None: what is known of it stays."""
    return _end(tx, claimed, platform_sku_id, {} if problem is None else {"problem": problem}, seconds)


def forget_shop(tx: Connection, workspace_id: UUID, shop_id: UUID) -> None:
    """Forgets what a shop is to be told: its stock is no longer ours to tell."""
    tx.execute(
        delete(stock_pushes).where(stock_pushes.c.workspace_id == workspace_id, stock_pushes.c.shop_id == shop_id)
    )


def reserved_units(
    tx: Connection,
    workspace_id: UUID,
    shop_id: UUID,
    platform_sku_ids: Collection[str],
    warehouses: Collection[str],
    before: datetime,
) -> dict[str, int]:
    """Units of a shop's SKUs in routed orders that have held stock since before an instant, and that TikTok Shop was
    not told to be shipped.
    """
    values = {
        "workspace_id": workspace_id,
        "shop_id": shop_id,
        "skus": list(platform_sku_ids),
        "warehouses": list(warehouses),
        "before": before,
    }
    return {row.sku_id: row.units for row in tx.execute(_RESERVED, values)}


def list_pushes(tx: Connection, workspace_id: UUID, shop_id: UUID, page: Page) -> list[Push]:
    """Pushes of a shop, those with a problem first; one more than the page holds when there is a next page."""
    rank = case((stock_pushes.c.problem == "", 1), else_=0)
    query = select(stock_pushes).where(stock_pushes.c.workspace_id == workspace_id, stock_pushes.c.shop_id == shop_id)
    if page.after:
        after_rank, after_sku = page.after
        query = query.where((rank > after_rank) | ((rank == after_rank) & (stock_pushes.c.platform_sku_id > after_sku)))
    rows = tx.execute(query.order_by(rank, stock_pushes.c.platform_sku_id).limit(page.size + 1)).mappings()
    return [push_of(row) for row in rows]


def oldest_due(tx: Connection) -> float:
    """How long what waits for longest to be told has been due, seconds. Of all workspaces."""
    found = tx.execute(
        select(func.extract("epoch", func.now() - func.min(stock_pushes.c.next_time))).where(
            stock_pushes.c.next_time <= func.now()
        )
    ).scalar_one()
    return float(found or 0)


def push_of(row: RowMapping) -> Push:
    """A row as a push."""
    values: dict[str, Any] = {name: row[name] for name in Push.__dataclass_fields__}
    return Push(**(values | {"parts": tuple((sku, quantity) for sku, quantity in row["parts"])}))


def _is_mine(claimed: Claim, platform_sku_id: str) -> tuple[Any, ...]:
    return (
        stock_pushes.c.workspace_id == claimed.workspace_id,
        stock_pushes.c.shop_id == claimed.shop_id,
        stock_pushes.c.platform_sku_id == platform_sku_id,
        stock_pushes.c.attempt == claimed.attempts[platform_sku_id],
    )


def _end(
    tx: Connection, claimed: Claim, platform_sku_id: str, values: dict[str, Any], again_seconds: float | None
) -> bool:
    # Another figure is wanted meanwhile: it is due already.
    is_due = stock_pushes.c.next_time < stock_pushes.c.lease_time
    following = None if again_seconds is None else in_seconds(again_seconds)
    return bool(
        tx.execute(
            update(stock_pushes)
            .where(*_is_mine(claimed, platform_sku_id))
            .values(**values, lease_time=None, next_time=case((is_due, stock_pushes.c.next_time), else_=following))
        ).rowcount
    )
