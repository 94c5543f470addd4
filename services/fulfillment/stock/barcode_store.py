"""SQL of barcodes: those of a shop's SKUs without a mapping, and which of Amazon's products have them. The caller owns
the transaction.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from services.fulfillment.products import DELETED
from vendors.amazon_sp.catalog import MAX_CODES, CatalogItem, CodeKind

# A day's worth: each 20 of them are a call.
_MOST = 400
_KINDS = {8: CodeKind.EAN, 12: CodeKind.UPC, 13: CodeKind.EAN, 14: CodeKind.GTIN}

_UNMAPPED = text("""
    SELECT DISTINCT sku->>'barcode' FROM products p JOIN shops s USING (shop_id)
        CROSS JOIN LATERAL jsonb_array_elements(p.skus) sku
    WHERE p.workspace_id = :workspace_id AND s.region = :marketplace AND p.status <> :deleted
      AND sku->>'barcode' ~ '^([0-9]{8}|[0-9]{12,14})$'
      AND NOT EXISTS (SELECT FROM sku_mappings m WHERE m.workspace_id = :workspace_id AND m.marketplace = s.region
                      AND m.platform_sku_id <> '' AND m.platform_sku_id = sku->>'id')
      AND NOT EXISTS (SELECT FROM sku_mappings m WHERE m.workspace_id = :workspace_id AND m.marketplace = s.region
                      AND m.platform_sku_id = '' AND m.seller_sku = sku->>'seller_sku')
    LIMIT :most
""")
_SAVE = text("""
    UPDATE stock SET barcodes = told.barcodes
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS told(asin text, barcodes text[])
    WHERE stock.merchant_id = :merchant_id AND stock.asin = told.asin
""")


def unmapped_barcodes(tx: Connection, workspace_id: UUID, marketplace: str) -> list[str]:
    """Barcodes of the workspace's SKUs in a marketplace that no mapping names; a few hundred at most."""
    values = {"workspace_id": workspace_id, "marketplace": marketplace, "deleted": DELETED, "most": _MOST}
    return sorted(tx.execute(_UNMAPPED, values).scalars())


def by_kind(barcodes: Collection[str]) -> Iterator[tuple[CodeKind, Sequence[str]]]:
    """Barcodes as Amazon is asked for them: some of one kind at a time."""
    for kind in CodeKind:
        codes = [code for code in barcodes if _KINDS.get(len(code)) is kind]
        for start in range(0, len(codes), MAX_CODES):
            yield kind, codes[start : start + MAX_CODES]


def save_barcodes(tx: Connection, merchant_id: UUID, items: Sequence[CatalogItem]) -> None:
    """Stores which barcodes products of Amazon's have, where the merchant has them."""
    rows = [{"asin": item.asin, "barcodes": sorted(set(item.codes))} for item in items if item.codes]
    if rows:
        tx.execute(_SAVE, {"merchant_id": merchant_id, "rows": json.dumps(rows)})
