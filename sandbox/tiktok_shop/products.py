"""Products, their SKUs, and stock by warehouse."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.tiktok_shop import catalog, events, people
from sandbox.tiktok_shop.people import Shop
from sandbox.tiktok_shop.state import ShopState, dumps

Status = Literal[
    "DRAFT", "PENDING", "FAILED", "ACTIVATE", "SELLER_DEACTIVATED", "PLATFORM_DEACTIVATED", "FREEZE", "DELETED"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """What is taken from stock: a plain SKU of a warehouse, and how many."""

    sku_id: str
    warehouse_id: str
    count: int


def seed(state: ShopState) -> None:
    """Add what the shops list at first, where it is missing."""
    now = int(state.clock.now())
    for shop in people.shops(state):
        if state.store.one("SELECT 1 FROM shop_product WHERE shop_id = ?", shop.id) is not None:
            continue
        for number, product in enumerate(catalog.products(shop)):
            created = now - (200 - number) * 86_400
            state.store.run(
                "INSERT INTO shop_product (id, shop_id, title, status, dangerous, create_time, update_time)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(product.id, shop.id, product.title, product.status, product.dangerous, created, created),
            )
            for position, sku in enumerate(product.skus):
                add_sku(state, shop, product.id, position, sku)


def add_sku(state: ShopState, shop: Shop, product_id: str, position: int, sku: catalog.SeedSku) -> None:
    """Add a SKU with its stock; call it inside a transaction."""
    state.store.run(
        "INSERT INTO shop_sku (id, product_id, shop_id, position, variant, seller_sku, price, bundle)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        *(sku.id, product_id, shop.id, position, sku.variant, sku.seller_sku, sku.price, dumps(sku.bundle)),
    )
    # A bundle has no stock of its own: it is as many as the scarcest of its parts allows.
    for warehouse, count in zip(catalog.sales_warehouses(shop), sku.stock, strict=False):
        if not sku.bundle:
            state.store.run("INSERT INTO shop_stock VALUES (?, ?, ?, 0)", sku.id, warehouse, count)


def product(state: ShopState, product_id: str) -> sqlite3.Row | None:
    """One product of any shop."""
    return state.store.one("SELECT * FROM shop_product WHERE id = ?", product_id)


def skus(state: ShopState, product_id: str) -> list[sqlite3.Row]:
    """The SKUs of a product, in their order."""
    return state.store.all("SELECT * FROM shop_sku WHERE product_id = ? ORDER BY position", product_id)


def sku(state: ShopState, sku_id: str) -> sqlite3.Row:
    """One SKU. Raises KeyError when there is none."""
    row = state.store.one("SELECT * FROM shop_sku WHERE id = ?", sku_id)
    if row is None:
        raise KeyError(sku_id)
    return row


def stock(state: ShopState, sku_id: str) -> list[sqlite3.Row]:
    """Stock of a SKU by warehouse; a bundle has none."""
    return state.store.all("SELECT * FROM shop_stock WHERE sku_id = ? ORDER BY warehouse_id", sku_id)


def sellable(state: ShopState, sku_row: sqlite3.Row) -> int:
    """Units that can be ordered: over all warehouses, and of a bundle as many as its scarcest part allows."""
    parts = json.loads(sku_row["bundle"]) or [(sku_row["id"], 1)]
    return min(int(sum(one["available"] for one in stock(state, part)) // count) for part, count in parts)


def reserve(state: ShopState, units: list[Unit], sign: int = 1) -> None:
    """An order takes units from what is available (or, with -1, a cancellation gives them back)."""
    for unit in units:
        state.store.run(
            "UPDATE shop_stock SET available = max(available - ?, 0), committed = max(committed + ?, 0)"
            " WHERE sku_id = ? AND warehouse_id = ?",
            *(sign * unit.count, sign * unit.count, unit.sku_id, unit.warehouse_id),
        )


def release(state: ShopState, units: list[Unit]) -> None:
    """Units leave the warehouse: they are committed no longer."""
    for unit in units:
        state.store.run(
            "UPDATE shop_stock SET committed = max(committed - ?, 0) WHERE sku_id = ? AND warehouse_id = ?",
            *(unit.count, unit.sku_id, unit.warehouse_id),
        )


def set_status(state: ShopState, product_id: str, status: str, at: float, reason: str = "") -> None:
    """Move a product, and tell it; call it inside a transaction. Raises KeyError for an unknown product."""
    row = product(state, product_id)
    if row is None:
        raise KeyError(product_id)
    state.no_longer("audit", product_id)
    state.store.run(
        "UPDATE shop_product SET status = ?, reason = ?, update_time = ? WHERE id = ?",
        *(status, reason, int(at), product_id),
    )
    if status == "PENDING":
        state.later(at + state.settings.audit_seconds, "audit", product_id)
    # As a number on purpose: that is how it may arrive.
    data: dict[str, Any] = {"product_id": int(product_id), "status": status, "update_time": int(at)}
    events.tell_shop(
        state, "PRODUCT_STATUS_CHANGE", row["shop_id"], {**data, "suspended_reason": reason} if reason else data, at
    )


def end_audit(state: ShopState, product_id: str, at: float) -> None:
    """The audit of an activated product ends: well, unless a verdict was ordered."""
    row = product(state, product_id)
    if row is None or row["status"] != "PENDING":
        return
    verdict = next_verdict(state, "product", product_id)
    set_status(state, product_id, "FAILED" if verdict else "ACTIVATE", at, verdict)


def next_verdict(state: ShopState, kind: str, subject: str) -> str:
    """Take one ordered failure that fits; empty when there is none."""
    row = state.store.one(
        "SELECT * FROM shop_verdict WHERE remaining > 0 AND kind = ? AND subject IN ('', ?) ORDER BY id LIMIT 1",
        *(kind, subject),
    )
    if row is None:
        return ""
    state.store.run("UPDATE shop_verdict SET remaining = remaining - 1 WHERE id = ?", row["id"])
    return str(row["reason"])
