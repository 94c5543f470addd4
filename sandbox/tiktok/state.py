"""What every part of the TikTok stand-in shares: database, clock, settings, and the tables."""

import asyncio
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from sandbox.calls import CallNote
from sandbox.clock import Clock
from sandbox.overrides import Overrides
from sandbox.store import Store
from sandbox.tiktok.settings import CALLS_PER_MINUTE, TikTokSettings
from sandbox.webhooks import Webhooks

NAME = "tiktok"

TABLES = ("tiktok_share", "tiktok_access", "tiktok_grant", "tiktok_code", "tiktok_verdict", "tiktok_creator")

# Tokens, codes and upload keys are kept as hashes, as in a real service. A share is one publish_id: a draft or direct
# post on its way. It becomes an effect, something that exists on the platform, when effect_time is set.
# State moves at due_time: UPLOADING | DOWNLOADING → PROCESSING → MODERATING → COMPLETE, or INBOX for drafts, or FAILED.
SCHEMA = """
CREATE TABLE IF NOT EXISTS tiktok_creator (
    username TEXT PRIMARY KEY, nickname TEXT NOT NULL, open_id TEXT NOT NULL UNIQUE,
    private INTEGER NOT NULL, privacy_options TEXT NOT NULL, comment_disabled INTEGER NOT NULL,
    duet_disabled INTEGER NOT NULL, stitch_disabled INTEGER NOT NULL, max_duration_seconds INTEGER NOT NULL,
    banned INTEGER NOT NULL, follower_count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tiktok_code (
    hash TEXT PRIMARY KEY, username TEXT NOT NULL, scopes TEXT NOT NULL, redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL, expire_time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tiktok_grant (
    id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT NOT NULL, scopes TEXT NOT NULL,
    refresh_hash TEXT NOT NULL UNIQUE, refresh_expire_time REAL NOT NULL, revoked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS tiktok_access (
    hash TEXT PRIMARY KEY, grant_id INTEGER NOT NULL, expire_time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tiktok_verdict (
    id INTEGER PRIMARY KEY AUTOINCREMENT, fail_reason TEXT NOT NULL, username TEXT NOT NULL,
    remaining INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tiktok_share (
    publish_id TEXT PRIMARY KEY, username TEXT NOT NULL, grant_id INTEGER NOT NULL, draft INTEGER NOT NULL,
    media TEXT NOT NULL, source TEXT NOT NULL, caption TEXT NOT NULL, privacy_level TEXT NOT NULL,
    options TEXT NOT NULL, urls TEXT NOT NULL DEFAULT '[]',
    size INTEGER NOT NULL, chunk_size INTEGER NOT NULL, chunk_count INTEGER NOT NULL,
    received INTEGER NOT NULL DEFAULT 0, upload_id TEXT UNIQUE, upload_key_hash TEXT, upload_expire_time REAL,
    head BLOB NOT NULL DEFAULT x'', sha256 TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL, due_time REAL, planned_failure TEXT NOT NULL DEFAULT '', fail_reason TEXT NOT NULL DEFAULT '',
    create_time REAL NOT NULL, effect_time REAL, end_time REAL, public_time REAL, public_ms INTEGER,
    removed_time REAL, post_id INTEGER UNIQUE,
    view_count INTEGER NOT NULL DEFAULT 0, like_count INTEGER NOT NULL DEFAULT 0,
    comment_count INTEGER NOT NULL DEFAULT 0, share_count INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS tiktok_share_due ON tiktok_share (due_time) WHERE due_time IS NOT NULL;
CREATE INDEX IF NOT EXISTS tiktok_share_creator ON tiktok_share (username, create_time);
CREATE INDEX IF NOT EXISTS tiktok_share_public ON tiktok_share (username, public_ms) WHERE public_ms IS NOT NULL;
"""


def digest(secret: str) -> str:
    """How a token is kept: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def sign_webhook(secret: str, unix_time: int, body: bytes) -> str:
    """Value of the `TikTok-Signature` header: HMAC-SHA256 over time, a full stop and the raw body."""
    mac = hmac.new(secret.encode(), f"{unix_time}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={unix_time},s={mac}"


def note(request: Request) -> CallNote:
    """The log entry of the call that is being answered."""
    call: CallNote = request.state.call
    return call


@dataclass
class TikTokState:
    """Shared by all routes of one sandbox; lives on its event loop."""

    store: Store
    clock: Clock
    webhooks: Webhooks
    client_key: str
    client_secret: str
    defaults: TikTokSettings
    public_url: str | None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a due time was added or the clock moved."""
    windows: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    """Times of the calls of the last minute by user and endpoint. Not kept over a restart."""

    def __post_init__(self) -> None:
        self._overrides = Overrides(self.store, NAME, self.defaults)
        self.clock.on_change(self.wake.set)
        self.webhooks.sign_with(NAME, self._webhook_headers)

    @property
    def settings(self) -> TikTokSettings:
        """Those now in force."""
        return self._overrides.settings

    def change_settings(self, changes: Mapping[str, Any]) -> TikTokSettings:
        """Override some settings until the next reset. Raises ValueError that names the field, and changes nothing."""
        merged = self._overrides.change(changes)
        self.wake.set()
        return merged

    def forget_changes(self) -> None:
        """Back to the settings of the configuration, after the store was cleared."""
        self._overrides.read()
        self.windows.clear()
        self.wake.set()

    def over_rate(self, username: str, endpoint: str) -> bool:
        """Count a call in the sliding minute of that user; True when it is one too many (and not counted)."""
        limit = self.settings.calls_per_minute.get(endpoint, CALLS_PER_MINUTE.get(endpoint))
        if limit is None:
            return False
        now = self.clock.now()
        window = self.windows.setdefault((username, endpoint), deque())
        if window and window[-1] > now:  # from before the clock was set back
            window.clear()
        while window and window[0] <= now - 60.0:
            window.popleft()
        if len(window) >= limit:
            return True
        window.append(now)
        return False

    def base_url(self, request: Request) -> str:
        """Scheme and host for addresses in answers."""
        return self.public_url or f"{request.url.scheme}://{request.url.netloc}"

    def tell(self, event: str, username: str, content: dict[str, Any], at: float) -> None:
        """Queue a webhook, inside the transaction of the fact that it tells."""
        url = self.settings.webhook_url
        if url is None:
            return
        row = self.store.one("SELECT open_id FROM tiktok_creator WHERE username = ?", username)
        body = {
            "client_key": self.client_key,
            "event": event,
            "create_time": int(at),
            "user_openid": row["open_id"] if row is not None else "",
            "content": json.dumps(content, separators=(",", ":")),
        }
        self.webhooks.put(NAME, event, url, json.dumps(body, separators=(",", ":")).encode(), at)

    def _webhook_headers(self, body: bytes) -> dict[str, str]:
        # Real time on purpose: receivers compare it with their own clock, which the sandbox cannot move.
        return {"TikTok-Signature": sign_webhook(self.client_secret, int(time.time()), body)}
