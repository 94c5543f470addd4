"""SQL of what is shown of stock, and of what people set. The caller owns the transaction."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, func, or_, select, update

from kit.listen import notify
from kit.paging import Page
from services.fulfillment.order_tables import shop_routings, stock, stock_entries
from services.fulfillment.stock.domain import Stock, StockEntry, StockNotFound
from services.fulfillment.stock.ledger_store import SHOWN, STOCK_CHANNEL, stock_of


def read_stock(tx: Connection, workspace_id: UUID, merchant_id: UUID, amazon_sku: str) -> Stock:
    """A SKU of a merchant. Raises StockNotFound."""
    query = select(*SHOWN).where(
        stock.c.workspace_id == workspace_id, stock.c.merchant_id == merchant_id, stock.c.amazon_sku == amazon_sku
    )
    row = tx.execute(query).mappings().first()
    if row is None:
        raise StockNotFound(
            "Amazon's stock of this merchant does not list this SKU. Look at its spelling, or read the stock now.",
            metadata={"amazon_sku": amazon_sku},
        )
    return stock_of(row)


def list_stock(tx: Connection, workspace_id: UUID, merchant_id: UUID, page: Page, wanted: str) -> list[Stock]:
    """SKUs of a merchant; one more than the page holds when there is a next page."""
    query = select(*SHOWN).where(stock.c.workspace_id == workspace_id, stock.c.merchant_id == merchant_id)
    if wanted:
        query = query.where(
            or_(
                func.strpos(func.lower(stock.c.amazon_sku), wanted.lower()) > 0,
                func.strpos(func.lower(stock.c.title), wanted.lower()) > 0,
            )
        )
    if page.after:
        query = query.where(stock.c.amazon_sku > page.after[0])
    rows = tx.execute(query.order_by(stock.c.amazon_sku).limit(page.size + 1)).mappings()
    return [stock_of(row) for row in rows]


def list_entries(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, amazon_sku: str, limit: int
) -> list[StockEntry]:
    """The latest entries of a SKU, the newest first."""
    query = (
        select(stock_entries)
        .where(
            stock_entries.c.workspace_id == workspace_id,
            stock_entries.c.merchant_id == merchant_id,
            stock_entries.c.amazon_sku == amazon_sku,
        )
        .order_by(stock_entries.c.entry_id.desc())
        .limit(limit)
    )
    return [
        StockEntry(row.time, row.kind, row.quantity, row.order_id, row.fulfillment_order_id)
        for row in tx.execute(query)
    ]


def set_safety_stock(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, amazon_sku: str, safety_stock: int | None
) -> None:
    """Sets how many units of a SKU are never sold; None: as the shop's setting says."""
    tx.execute(
        update(stock)
        .where(
            stock.c.workspace_id == workspace_id,
            stock.c.merchant_id == merchant_id,
            stock.c.amazon_sku == amazon_sku,
        )
        .values(safety_stock=safety_stock, version=stock.c.version + 1)
    )
    notify(tx, STOCK_CHANNEL)


def default_safety_stock(tx: Connection, workspace_id: UUID, merchant_id: UUID) -> int:
    """How many units of a SKU without its own figure are never sold: the most that a shop of the merchant keeps."""
    rows = tx.execute(
        select(shop_routings.c.settings).where(
            shop_routings.c.workspace_id == workspace_id, shop_routings.c.merchant_id == merchant_id
        )
    ).scalars()
    return max((settings.get("safety_stock", 0) for settings in rows), default=0)
