"""Units of the sellers' SKUs: what can be sent, what is reserved, what is on its way, and what is shown of it later.

Amazon's own shop sells the same units. What changes is true at once, and inventory summaries show it some
time after.
"""

import csv
import json
import math
import sqlite3
from pathlib import Path
from typing import Any

from sandbox.amazon_sp.sellers import US
from sandbox.amazon_sp.state import AmazonState

COUNTS = (
    *("fulfillable", "reserved", "inbound_working", "inbound_shipped", "inbound_receiving"),
    *("unfulfillable", "researching"),
)
INBOUND = ("inbound_receiving", "inbound_shipped", "inbound_working")
_CATALOGUE = Path(__file__).with_name("catalogue.csv")


def seed(state: AmazonState, seller: str) -> None:
    """Give a seller the catalogue of the demonstration brand."""
    with _CATALOGUE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            counts = {name: int(row[name]) for name in COUNTS}
            add(
                state, seller, row["sku"], US, asin=row["asin"], fnsku=row["fnsku"], fba=row["fba"] == "true",
                barcode=row["barcode"], title=row["title"], weight_g=int(row["weight_g"]),
                dangerous=row["dangerous"] == "true", **counts,
            )  # fmt: skip


def add(state: AmazonState, seller: str, sku: str, marketplace_id: str, **fields: Any) -> None:
    """Add a SKU, or take the place of the one that is there."""
    counts = {name: fields.pop(name, 0) for name in COUNTS}
    row = {
        "seller": seller, "sku": sku, "marketplace_id": marketplace_id, "fba": True, "barcode": "", "title": sku,
        "weight_g": 200, "dangerous": False, **fields, **counts, "supplied": counts["fulfillable"],
        "shown": json.dumps(counts), "updated": state.clock.now(),
    }  # fmt: skip
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    # Column names are those of this module.
    state.store.run(f"INSERT OR REPLACE INTO amazon_sku ({names}) VALUES ({marks})", *row.values())  # noqa: S608


def find(state: AmazonState, seller: str, sku: str) -> sqlite3.Row | None:
    """One SKU of a seller, to the letter."""
    return state.store.one("SELECT * FROM amazon_sku WHERE seller = ? AND sku = ?", seller, sku)


def existing(state: AmazonState, seller: str, sku: str) -> sqlite3.Row:
    """The same. Raises KeyError where there is none."""
    row = find(state, seller, sku)
    if row is None:
        raise KeyError(sku)
    return row


def skus(state: AmazonState, seller: str) -> list[sqlite3.Row]:
    """Every SKU of a seller."""
    return state.store.all("SELECT * FROM amazon_sku WHERE seller = ? ORDER BY sku", seller)


def take(state: AmazonState, seller: str, sku: str, quantity: int, at: float) -> int:
    """Reserve as many units for an order as there are, at most `quantity`. Returns how many."""
    units = min(quantity, existing(state, seller, sku)["fulfillable"])
    if units:
        _change(state, seller, sku, at, fulfillable=-units, reserved=units, sold=units)
    return int(units)


def give_back(state: AmazonState, seller: str, sku: str, quantity: int, at: float) -> None:
    """An order lets go of units that it had reserved."""
    _change(state, seller, sku, at, fulfillable=quantity, reserved=-quantity, sold=-quantity)


def leave(state: AmazonState, seller: str, sku: str, quantity: int, at: float) -> None:
    """Reserved units have left the warehouse."""
    _change(state, seller, sku, at, reserved=-quantity)


def lose(state: AmazonState, seller: str, sku: str, quantity: int, at: float) -> None:
    """Reserved units are found to be damaged."""
    _change(state, seller, sku, at, reserved=-quantity, unfulfillable=quantity, sold=-quantity, supplied=-quantity)


def sell(state: AmazonState, seller: str, sku: str, quantity: int, at: float) -> int:
    """Amazon's own shop sells units, as many as there are. Returns how many. Raises KeyError."""
    units = min(quantity, existing(state, seller, sku)["fulfillable"])
    _change(state, seller, sku, at, fulfillable=-units, shop_sold=units)
    return int(units)


def put(state: AmazonState, seller: str, sku: str, quantity: int, at: float) -> None:
    """Set the units that can be sent. Raises KeyError."""
    more = quantity - existing(state, seller, sku)["fulfillable"]
    _change(state, seller, sku, at, fulfillable=more, supplied=more)


def receive(state: AmazonState, seller: str, sku: str, quantity: int, at: float) -> None:
    """Units arrive: those that were on their way first. Raises KeyError."""
    row = existing(state, seller, sku)
    left, changes = quantity, {}
    for name in INBOUND:
        changes[name] = -min(left, row[name])
        left += changes[name]
    _change(state, seller, sku, at, fulfillable=quantity, supplied=quantity, **changes)


def send_inbound(state: AmazonState, seller: str, sku: str, quantity: int, seconds: float) -> None:
    """Units set out for the warehouse and arrive after so long. Raises KeyError."""
    existing(state, seller, sku)
    now = state.clock.now()
    _change(state, seller, sku, now, inbound_shipped=quantity)
    _later(state, now + seconds, seller, sku, "", quantity)


def _change(state: AmazonState, seller: str, sku: str, at: float, **changes: int) -> None:
    # Column names are those of this module.
    columns = ", ".join(f"{name} = {name} + ?" for name in changes)
    rows = state.store.all(
        f"UPDATE amazon_sku SET {columns} WHERE seller = ? AND sku = ? RETURNING {', '.join(COUNTS)}",  # noqa: S608
        *(*changes.values(), seller, sku),
    )
    for row in rows:
        shown = json.dumps(dict(row))
        if state.settings.stock_seconds:
            _later(state, at + state.settings.stock_seconds, seller, sku, shown, 0)
        else:
            _show(state, seller, sku, shown, at)


def _later(state: AmazonState, at: float, seller: str, sku: str, shown: str, arrives: int) -> None:
    state.store.run(
        "INSERT INTO amazon_stock_timer (at, seller, sku, shown, arrives) VALUES (?, ?, ?, ?, ?)",
        *(at, seller, sku, shown, arrives),
    )
    state.due(at)


def _show(state: AmazonState, seller: str, sku: str, shown: str, at: float) -> None:
    state.store.run("UPDATE amazon_sku SET shown = ?, updated = ? WHERE seller = ? AND sku = ?", shown, at, seller, sku)


def settle_next(state: AmazonState, until: float) -> tuple[str, str, float] | None:
    """Do the first thing that is due by then. Returns seller, SKU and time of units that arrived, empty words for
    what is only shown, and None when nothing is due.
    """
    row = state.store.one("SELECT * FROM amazon_stock_timer WHERE at <= ? ORDER BY at, id LIMIT 1", until)
    if row is None:
        return None
    state.store.run("DELETE FROM amazon_stock_timer WHERE id = ?", row["id"])
    if not row["arrives"]:
        _show(state, row["seller"], row["sku"], row["shown"], row["at"])
        return "", "", row["at"]
    if find(state, row["seller"], row["sku"]) is None:
        return "", "", row["at"]
    receive(state, row["seller"], row["sku"], row["arrives"], row["at"])
    return row["seller"], row["sku"], row["at"]


def next_time(state: AmazonState) -> float:
    """When something is due next; infinity: never."""
    row = state.store.one("SELECT min(at) AS t FROM amazon_stock_timer")
    return math.inf if row is None or row["t"] is None else float(row["t"])


def summary(row: sqlite3.Row) -> dict[str, Any]:
    """A SKU for checks: its true counts, what is shown of them, and what was sold of what was ever there."""
    return {
        **{name: row[name] for name in ("seller", "sku", "asin", "fnsku", "barcode", "title", *COUNTS)},
        "fba": bool(row["fba"]),
        "supplied": row["supplied"], "sold": row["sold"], "shop_sold": row["shop_sold"],
        "shown": json.loads(row["shown"]), "updated": row["updated"],
    }  # fmt: skip
