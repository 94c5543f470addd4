"""Packages as they are kept: which lines of which orders, with which carrier, how far."""

import json
import sqlite3
from typing import Any

from sandbox.tiktok_shop.answers import Refusal
from sandbox.tiktok_shop.people import Shop
from sandbox.tiktok_shop.state import ShopState, dumps, new_id

NOT_YOURS = 21011028
# How far a package is: TO_FULFILL, then PROCESSING (arranged), FULFILLING (with the carrier), COMPLETED (delivered).
PROGRESS = {"": 0, "TO_FULFILL": 0, "PROCESSING": 1, "FULFILLING": 2, "COMPLETED": 3}
_COLUMNS = ("id", "shop_id", "status", "tracking_number", "create_time", "update_time")


def new(
    state: ShopState,
    shop_id: str,
    order_ids: list[str],
    lines: list[str],
    at: float,
    tag: str = "DEFAULT",
    key: str = "",
) -> dict[str, Any]:
    """A package that waits to be shipped; call it inside a transaction. `key` is the id of a seeded one."""
    package: dict[str, Any] = {
        "id": key or new_id("1153"),
        "shop_id": shop_id,
        "status": "TO_FULFILL",
        "tracking_number": "",
        "create_time": int(at),
        "update_time": int(at),
        "provider_id": "",
        "provider_name": "",
        "order_ids": order_ids,
        "lines": lines,
        "tag": tag,
        "ship_time": None,
        "collect_time": None,
        "deliver_time": None,
        "edits": 0,
        "handover_method": "",
        "pickup_slot": None,
        "dimension": None,
        "weight": None,
    }
    state.store.run("INSERT INTO shop_package VALUES (?, ?, ?, ?, ?, ?, ?)", *_values(package))
    return package


def save(state: ShopState, package: dict[str, Any], at: float) -> None:
    """Keep a changed package."""
    package["update_time"] = int(at)
    state.store.run("INSERT OR REPLACE INTO shop_package VALUES (?, ?, ?, ?, ?, ?, ?)", *_values(package))


def remove(state: ShopState, package_id: str) -> None:
    """Forget a package that was split or combined into others."""
    state.store.run("DELETE FROM shop_package WHERE id = ?", package_id)


def load(row: sqlite3.Row) -> dict[str, Any]:
    """The package of a row."""
    package: dict[str, Any] = json.loads(row["doc"])
    return package


def find(state: ShopState, package_id: str) -> dict[str, Any]:
    """One package of any shop. Raises KeyError when there is none."""
    row = state.store.one("SELECT doc FROM shop_package WHERE id = ?", package_id)
    if row is None:
        raise KeyError(package_id)
    return load(row)


def own(state: ShopState, shop: Shop, package_id: str) -> dict[str, Any]:
    """One package of a shop. Raises Refusal."""
    row = state.store.one("SELECT doc FROM shop_package WHERE id = ? AND shop_id = ?", package_id, shop.id)
    if row is None:
        raise Refusal(NOT_YOURS, "The package does not exist in this shop.")
    return load(row)


def _values(package: dict[str, Any]) -> list[object]:
    return [*(package[name] for name in _COLUMNS), dumps(package)]
