"""SQL of mappings of SKUs, and of SKUs that have none. The caller owns the transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Text, delete, func, or_, select, text, tuple_

from kit.db import new_id
from kit.paging import Page
from services.fulfillment.order_tables import sku_mappings
from services.fulfillment.orders.domain import Unit
from services.fulfillment.routing.mapping import Mapped, SkuKey, SkuMap, SkuMapping, SkuParts, map_units, skus_of

# Two parts, as each has an index: by TikTok Shop's id, and by the seller's SKU where no id is given.
_FIND = text("""
    SELECT platform_sku_id, seller_sku, parts FROM sku_mappings
    WHERE workspace_id = :workspace_id AND marketplace = :marketplace AND platform_sku_id <> ''
      AND platform_sku_id = ANY(:platform_sku_ids)
    UNION ALL
    SELECT platform_sku_id, seller_sku, parts FROM sku_mappings
    WHERE workspace_id = :workspace_id AND marketplace = :marketplace AND platform_sku_id = ''
      AND seller_sku = ANY(:seller_skus)
""")
# In one order everywhere, or two that save the same could wait for each other's rows.
_SAVE = """
    INSERT INTO sku_mappings (mapping_id, workspace_id, marketplace, seller_sku, platform_sku_id, parts)
    SELECT mapping_id, :workspace_id, marketplace, seller_sku, platform_sku_id, parts
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        mapping_id uuid, marketplace text, seller_sku text, platform_sku_id text, parts jsonb)
    WHERE platform_sku_id {sign} ''
    ORDER BY marketplace, {key}
    ON CONFLICT (workspace_id, marketplace, {key}) WHERE platform_sku_id {sign} '' DO UPDATE SET
        (seller_sku, parts, update_time) = (excluded.seller_sku, excluded.parts, now())
    RETURNING mapping_id, marketplace, seller_sku, platform_sku_id, parts, update_time
"""
_SAVE_BY_ID = text(_SAVE.format(sign="<>", key="platform_sku_id"))
_SAVE_BY_SKU = text(_SAVE.format(sign="=", key="seller_sku"))


def mapped(tx: Connection, workspace_id: UUID, marketplace: str, units: Sequence[Unit]) -> Mapped:
    """An order's units in Amazon's SKUs."""
    return map_units(read_map(tx, workspace_id, marketplace, skus_of(units)), units)


def read_map(tx: Connection, workspace_id: UUID, marketplace: str, skus: Collection[SkuKey]) -> SkuMap:
    """The mappings of SKUs."""
    rows = tx.execute(
        _FIND,
        {
            "workspace_id": workspace_id,
            "marketplace": marketplace,
            "platform_sku_ids": sorted({platform_sku_id for platform_sku_id, _ in skus if platform_sku_id}),
            "seller_skus": sorted({seller_sku for _, seller_sku in skus if seller_sku}),
        },
    )
    by_platform_sku: dict[str, SkuParts] = {}
    by_seller_sku: dict[str, SkuParts] = {}
    for row in rows:
        table, key = (by_platform_sku, row[0]) if row[0] else (by_seller_sku, row[1])
        table[key] = _parts(row[2])
    return SkuMap(by_platform_sku, by_seller_sku)


def save_mappings(tx: Connection, workspace_id: UUID, mappings: Iterable[SkuMapping]) -> list[SkuMapping]:
    """Sets mappings, each as a whole: those of the same SKU are replaced. Returns them as they are kept, by SKU."""
    rows = [
        {
            "mapping_id": str(new_id()),
            "marketplace": each.marketplace,
            "seller_sku": each.seller_sku,
            "platform_sku_id": each.platform_sku_id,
            "parts": [list(part) for part in each.parts],
        }
        for each in mappings
    ]
    values = {"workspace_id": workspace_id, "rows": json.dumps(rows)}
    kept = [row for statement in (_SAVE_BY_ID, _SAVE_BY_SKU) for row in tx.execute(statement, values).mappings()]
    return sorted(map(_mapping, kept), key=lambda each: (each.marketplace, each.seller_sku, each.platform_sku_id))


def delete_mappings(tx: Connection, workspace_id: UUID, mapping_ids: Collection[UUID]) -> int:
    """Forgets mappings; returns how many there were."""
    return tx.execute(
        delete(sku_mappings).where(
            sku_mappings.c.workspace_id == workspace_id, sku_mappings.c.mapping_id.in_(mapping_ids)
        )
    ).rowcount


def list_mappings(tx: Connection, workspace_id: UUID, page: Page, marketplace: str, wanted: str) -> list[SkuMapping]:
    """Mappings by marketplace and the seller's SKU; one more than the page holds when there is a next page. With a
    wanted text those that have it in a SKU of either side.
    """
    table = sku_mappings.c
    query = select(sku_mappings).where(table.workspace_id == workspace_id)
    if marketplace:
        query = query.where(table.marketplace == marketplace)
    if wanted:
        # As for products: under row-level security the rows of the workspace are looked through.
        places = (table.seller_sku, table.platform_sku_id, table.parts.cast(Text))
        query = query.where(or_(*(func.strpos(func.lower(place), wanted.lower()) > 0 for place in places)))
    key = (table.marketplace, table.seller_sku, table.mapping_id)
    if page.after:
        query = query.where(tuple_(*key) > tuple_(*page.after))
    return [_mapping(row) for row in tx.execute(query.order_by(*key).limit(page.size + 1)).mappings()]


def _mapping(row: RowMapping) -> SkuMapping:
    return SkuMapping(
        mapping_id=row["mapping_id"],
        marketplace=row["marketplace"],
        seller_sku=row["seller_sku"],
        platform_sku_id=row["platform_sku_id"],
        parts=_parts(row["parts"]),
        update_time=row["update_time"],
    )


def _parts(told: list[list[Any]]) -> SkuParts:
    return tuple((sku, quantity) for sku, quantity in told)
