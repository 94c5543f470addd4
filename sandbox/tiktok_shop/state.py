"""What every part of the TikTok Shop stand-in shares: database, clock, settings, tables, and ids."""

import asyncio
import hashlib
import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from sandbox.calls import CallNote
from sandbox.clock import Clock
from sandbox.overrides import Overrides
from sandbox.store import Store
from sandbox.tiktok_shop.settings import TikTokShopSettings
from sandbox.webhooks import Webhooks

NAME = "tiktok_shop"

TABLES = (
    *("shop_shop", "shop_seller", "shop_creator", "shop_code", "shop_access", "shop_grant", "shop_timer"),
    *("shop_webhook", "shop_product", "shop_sku", "shop_stock", "shop_verdict", "shop_order", "shop_package"),
    *("shop_aftersale", "shop_showcase", "shop_file", "shop_precheck", "shop_post"),
)

# Tokens and codes are kept as hashes, as in a real service. A `subject` is a seller's or a creator's name.
# A timer is something that happens at a time of the sandbox's clock: `timers.py`.
SCHEMA = """
CREATE TABLE IF NOT EXISTS shop_seller (
    name TEXT PRIMARY KEY, title TEXT NOT NULL, base_region TEXT NOT NULL, open_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS shop_shop (
    id TEXT PRIMARY KEY, seller TEXT NOT NULL, name TEXT NOT NULL, code TEXT NOT NULL, region TEXT NOT NULL,
    seller_type TEXT NOT NULL, cipher TEXT NOT NULL UNIQUE, currency TEXT NOT NULL, timezone TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 1);
CREATE TABLE IF NOT EXISTS shop_creator (
    username TEXT PRIMARY KEY, nickname TEXT NOT NULL, open_id TEXT NOT NULL UNIQUE, region TEXT NOT NULL,
    restricted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS shop_code (
    hash TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, scopes TEXT NOT NULL, expire_time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS shop_grant (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL, scopes TEXT NOT NULL,
    refresh_hash TEXT NOT NULL UNIQUE, refresh_expire_time REAL NOT NULL, revoked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS shop_access (
    hash TEXT PRIMARY KEY, grant_id INTEGER NOT NULL, expire_time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS shop_timer (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_timer_at ON shop_timer (at, id);
CREATE TABLE IF NOT EXISTS shop_webhook (
    shop_id TEXT NOT NULL, event_type TEXT NOT NULL, address TEXT NOT NULL, create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL, PRIMARY KEY (shop_id, event_type));
CREATE TABLE IF NOT EXISTS shop_product (
    id TEXT PRIMARY KEY, shop_id TEXT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', dangerous INTEGER NOT NULL, lock_code INTEGER NOT NULL DEFAULT 0,
    create_time INTEGER NOT NULL, update_time INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS shop_product_time ON shop_product (shop_id, create_time, id);
CREATE TABLE IF NOT EXISTS shop_sku (
    id TEXT PRIMARY KEY, product_id TEXT NOT NULL, shop_id TEXT NOT NULL, position INTEGER NOT NULL,
    variant TEXT NOT NULL, seller_sku TEXT NOT NULL, price TEXT NOT NULL, bundle TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_sku_product ON shop_sku (product_id, position);
CREATE INDEX IF NOT EXISTS shop_sku_seller_sku ON shop_sku (shop_id, seller_sku);
CREATE TABLE IF NOT EXISTS shop_stock (
    sku_id TEXT NOT NULL, warehouse_id TEXT NOT NULL, available INTEGER NOT NULL, committed INTEGER NOT NULL,
    PRIMARY KEY (sku_id, warehouse_id));
CREATE TABLE IF NOT EXISTS shop_verdict (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, reason TEXT NOT NULL, subject TEXT NOT NULL,
    remaining INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS shop_order (
    id TEXT PRIMARY KEY, shop_id TEXT NOT NULL, status TEXT NOT NULL, user_id TEXT NOT NULL,
    shipping_type TEXT NOT NULL, warehouse_id TEXT NOT NULL, cancel_requested INTEGER NOT NULL,
    create_time INTEGER NOT NULL, update_time INTEGER NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_order_created ON shop_order (shop_id, create_time, id);
CREATE INDEX IF NOT EXISTS shop_order_updated ON shop_order (shop_id, update_time, id);
CREATE TABLE IF NOT EXISTS shop_package (
    id TEXT PRIMARY KEY, shop_id TEXT NOT NULL, status TEXT NOT NULL, tracking_number TEXT NOT NULL,
    create_time INTEGER NOT NULL, update_time INTEGER NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_package_created ON shop_package (shop_id, create_time, id);
CREATE INDEX IF NOT EXISTS shop_package_updated ON shop_package (shop_id, update_time, id);
CREATE TABLE IF NOT EXISTS shop_aftersale (
    id TEXT PRIMARY KEY, shop_id TEXT NOT NULL, order_id TEXT NOT NULL, kind TEXT NOT NULL, type TEXT NOT NULL,
    status TEXT NOT NULL, user_id TEXT NOT NULL, create_time INTEGER NOT NULL, update_time INTEGER NOT NULL,
    doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_aftersale_order ON shop_aftersale (order_id);
CREATE INDEX IF NOT EXISTS shop_aftersale_created ON shop_aftersale (shop_id, kind, create_time, id);
CREATE TABLE IF NOT EXISTS shop_showcase (
    username TEXT NOT NULL, product_id TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (username, product_id));
CREATE TABLE IF NOT EXISTS shop_file (
    id TEXT PRIMARY KEY, username TEXT NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL, md5 TEXT NOT NULL,
    create_time INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS shop_precheck (
    id TEXT PRIMARY KEY, username TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    create_time INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS shop_post (
    id TEXT PRIMARY KEY, username TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, products TEXT NOT NULL,
    details TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', create_time INTEGER NOT NULL,
    post_time INTEGER);
CREATE INDEX IF NOT EXISTS shop_post_creator ON shop_post (username, create_time);
CREATE INDEX IF NOT EXISTS shop_package_tracking ON shop_package (tracking_number) WHERE tracking_number != '';
"""


def digest(secret: str) -> str:
    """How a token is kept: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def stable_id(prefix: str, text: str, length: int = 19) -> str:
    """An id of digits that is the same for the same text: seeded things keep theirs over a reset."""
    number = int.from_bytes(hashlib.sha256(f"{prefix}/{text}".encode()).digest()[:16])
    return prefix + str(number % 10 ** (length - len(prefix))).zfill(length - len(prefix))


def new_id(prefix: str, length: int = 19) -> str:
    """A new id of digits, above 2^53 as real ones are."""
    return prefix + str(secrets.randbelow(10 ** (length - len(prefix)))).zfill(length - len(prefix))


def note(request: Request) -> CallNote:
    """The log entry of the call that is being answered; an unheard one for a call outside of the known endpoints."""
    call: CallNote = getattr(request.state, "call", None) or CallNote()
    return call


@dataclass(frozen=True, slots=True)
class PublicVideo:
    """A video that TikTok shows, with its lifetime counts. `time` is Unix seconds."""

    id: str
    username: str
    title: str
    time: float
    views: int
    likes: int
    comments: int
    shares: int


@dataclass
class ShopState:
    """Shared by all routes of one sandbox; lives on its event loop."""

    store: Store
    clock: Clock
    webhooks: Webhooks
    app_key: str
    app_secret: str
    service_id: str
    defaults: TikTokShopSettings
    public_url: str | None
    public_videos: Callable[[], list[PublicVideo]]
    """What the sandbox's TikTok shows of its creators."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a timer was added or the clock moved."""
    windows: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    """Times of the last calls by caller and endpoint. Not kept over a restart."""

    def __post_init__(self) -> None:
        self._overrides = Overrides(self.store, NAME, self.defaults)
        self.clock.on_change(self.wake.set)

    @property
    def settings(self) -> TikTokShopSettings:
        """Those now in force."""
        return self._overrides.settings

    def change_settings(self, changes: Mapping[str, Any]) -> TikTokShopSettings:
        """Override some settings until the next reset. Raises ValueError that names the field, and changes nothing."""
        merged = self._overrides.change(changes)
        self.wake.set()
        return merged

    def forget_changes(self) -> None:
        """Back to the settings of the configuration, after the store was cleared."""
        self._overrides.read()
        self.windows.clear()
        self.wake.set()

    def wait_seconds(self, key: tuple[str, str], limit: int, span: float) -> float:
        """Count a call in a sliding window; 0 when it passes, else the seconds until one would (and it is not counted).

        A limit of 0 is none.
        """
        if limit == 0:
            return 0.0
        now = self.clock.now()
        window = self.windows.setdefault(key, deque())
        if window and window[-1] > now:  # from before the clock was set back
            window.clear()
        while window and window[0] <= now - span:
            window.popleft()
        if len(window) >= limit:
            return window[0] + span - now
        window.append(now)
        return 0.0

    def base_url(self, request: Request) -> str:
        """Scheme and host for addresses in answers."""
        return self.public_url or f"{request.url.scheme}://{request.url.netloc}"

    def later(self, at: float, kind: str, subject: str) -> None:
        """Set a timer, inside the transaction of the fact that it follows from. `timers.py` says what happens then."""
        self.store.run("INSERT INTO shop_timer (at, kind, subject) VALUES (?, ?, ?)", at, kind, subject)
        self.wake.set()

    def no_longer(self, kind: str, subject: str) -> None:
        """Take timers away."""
        self.store.run("DELETE FROM shop_timer WHERE kind = ? AND subject = ?", kind, subject)


def dumps(value: object) -> str:
    """JSON as it is kept: compact, in Unicode."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
