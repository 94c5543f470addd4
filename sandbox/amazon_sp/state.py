"""What every part of the Selling Partner API's stand-in shares: database, clock, settings, tables, small helpers."""

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.amazon_sp.settings import AmazonSpSettings
from sandbox.clock import Clock
from sandbox.overrides import Overrides
from sandbox.store import Store

NAME = "amazon_sp"

TABLES = (
    *("amazon_seller", "amazon_grant", "amazon_access", "amazon_code", "amazon_sku", "amazon_stock_timer"),
    *("amazon_order", "amazon_package", "amazon_fate", "amazon_added"),
)

# Tokens and codes are kept as hashes. Of an order `request` is what was sent and stays as it is; `doc` is what became
# of it, with an agenda of what happens next, whose first time is `next_time`. `sold` of a SKU are the units that orders
# hold or have shipped, `shop_sold` those that Amazon's own shop sold; `shown` is what inventory summaries say of it.
SCHEMA = """
CREATE TABLE IF NOT EXISTS amazon_seller (
    name TEXT PRIMARY KEY, title TEXT NOT NULL, merchant_id TEXT NOT NULL UNIQUE, marketplaces TEXT NOT NULL,
    dormant INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS amazon_grant (
    id INTEGER PRIMARY KEY AUTOINCREMENT, seller TEXT NOT NULL, refresh_hash TEXT NOT NULL UNIQUE,
    revoked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS amazon_access (
    hash TEXT PRIMARY KEY, grant_id INTEGER NOT NULL, seller TEXT NOT NULL, expire_time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS amazon_code (hash TEXT PRIMARY KEY, seller TEXT NOT NULL, expire_time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS amazon_sku (
    seller TEXT NOT NULL, sku TEXT NOT NULL, marketplace_id TEXT NOT NULL, asin TEXT NOT NULL, fnsku TEXT NOT NULL,
    fba INTEGER NOT NULL, barcode TEXT NOT NULL, title TEXT NOT NULL, weight_g INTEGER NOT NULL,
    dangerous INTEGER NOT NULL, fulfillable INTEGER NOT NULL, reserved INTEGER NOT NULL,
    inbound_working INTEGER NOT NULL, inbound_shipped INTEGER NOT NULL, inbound_receiving INTEGER NOT NULL,
    unfulfillable INTEGER NOT NULL, researching INTEGER NOT NULL, sold INTEGER NOT NULL DEFAULT 0,
    shop_sold INTEGER NOT NULL DEFAULT 0, supplied INTEGER NOT NULL, shown TEXT NOT NULL, updated REAL NOT NULL,
    PRIMARY KEY (seller, sku));
CREATE INDEX IF NOT EXISTS amazon_sku_barcode ON amazon_sku (barcode);
CREATE TABLE IF NOT EXISTS amazon_stock_timer (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, seller TEXT NOT NULL, sku TEXT NOT NULL,
    shown TEXT NOT NULL, arrives INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS amazon_stock_timer_at ON amazon_stock_timer (at, id);
CREATE TABLE IF NOT EXISTS amazon_order (
    number INTEGER PRIMARY KEY AUTOINCREMENT, seller TEXT NOT NULL, id TEXT NOT NULL, displayable_id TEXT NOT NULL,
    status TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, next_time REAL, waiting INTEGER NOT NULL,
    request TEXT NOT NULL, doc TEXT NOT NULL, UNIQUE (seller, id));
CREATE INDEX IF NOT EXISTS amazon_order_updated ON amazon_order (seller, updated, number);
CREATE INDEX IF NOT EXISTS amazon_order_next ON amazon_order (next_time, number) WHERE next_time IS NOT NULL;
CREATE INDEX IF NOT EXISTS amazon_order_waiting ON amazon_order (seller) WHERE waiting = 1;
CREATE TABLE IF NOT EXISTS amazon_package (
    number INTEGER PRIMARY KEY AUTOINCREMENT, seller TEXT NOT NULL, order_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS amazon_fate (
    id INTEGER PRIMARY KEY AUTOINCREMENT, order_id TEXT NOT NULL, sku TEXT NOT NULL, fate TEXT NOT NULL,
    remaining INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS amazon_added (token TEXT PRIMARY KEY);
"""


def digest(secret: str) -> str:
    """How a token is kept: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def dice(*words: object) -> float:
    """From 0 to 1, and always the same for the same words: the same orders meet the same fates on each run."""
    text = "/".join(map(str, words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) / 2**48


def digits(count: int, *words: object) -> str:
    """Digits that are always the same for the same words."""
    text = "/".join(map(str, words))
    return str(int.from_bytes(hashlib.sha256(text.encode()).digest()) % 10**count).zfill(count)


def iso(unix_seconds: float) -> str:
    """A time as the API writes it, in whole seconds."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class AmazonState:
    """Shared by all parts of one sandbox; lives on its event loop."""

    store: Store
    clock: Clock
    client_id: str
    client_secret: str
    """The first one; it may be rotated."""
    defaults: AmazonSpSettings
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something is due sooner than what was known, or the clock moved."""
    next_due: float = -math.inf
    """Nothing is due before; minus infinity: unknown."""
    buckets: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    """Tokens left and when, by seller and operation. Not kept over a restart."""
    repeats: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often an order's id was sent again, by seller and id. Not kept over a restart."""

    def __post_init__(self) -> None:
        self._overrides = Overrides(self.store, NAME, self.defaults)
        self.clock.on_change(self._moved)

    @property
    def settings(self) -> AmazonSpSettings:
        """Those now in force."""
        return self._overrides.settings

    def change_settings(self, changes: Mapping[str, Any]) -> AmazonSpSettings:
        """Override some settings until the next reset. Raises ValueError that names the field, and changes nothing."""
        return self._overrides.change(changes)

    def forget_changes(self) -> None:
        """Back to the settings of the configuration, after the store was cleared."""
        self._overrides.read()
        self.buckets.clear()
        self.repeats.clear()
        self._moved()

    def due(self, at: float) -> None:
        """Something is to happen at this time."""
        if at < self.next_due:
            self.next_due = at
            self.wake.set()

    def wait_seconds(self, key: tuple[str, str], rate: float, burst: float) -> float:
        """Take a token of a bucket; 0 when there was one, else the seconds until there is (and none is taken)."""
        now = self.clock.now()
        left, since = self.buckets.get(key, (burst, now))
        # A clock that was set back gives nothing and takes nothing.
        left = min(burst, left + max(now - since, 0.0) * rate)
        if left < 1.0:
            self.buckets[key] = (left, now)
            return (1.0 - left) / rate
        self.buckets[key] = (left - 1.0, now)
        return 0.0

    def _moved(self) -> None:
        self.next_due = -math.inf
        self.wake.set()
