"""Webhooks of TikTok, as they came to the gateway. Each is a hint to ask sooner, and is never believed: one that is
lost changes nothing but the delay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter

from kit.db import ALL_WORKSPACES, Database
from kit.listen import notify
from kit.vendor_webhook import WebhookReplayed
from services.publisher import account_store, store, webhook_store
from services.publisher.domain import Account, AccountState, Platform
from vendors.tiktok import webhooks as tiktok
from vendors.tiktok.config import TikTokConfig
from vendors.tiktok.webhooks import EventKind

log = structlog.get_logger()

WEBHOOKS = Counter("reelroute_webhooks_total", "Webhooks that were taken, by event.", ["event"])


class Webhooks:
    """Takes webhooks. `confirm` begins to ask whether an account can still be used, and returns at once."""

    def __init__(self, database: Database, config: TikTokConfig, confirm: Callable[[Account], None]) -> None:
        self._database = database
        self._config = config
        self._confirm = confirm

    def take_tiktok(self, body: bytes, signature: str) -> None:
        """Takes one. Raises WebhookForged, WebhookStale, WebhookReplayed, WebhookTooLarge, WebhookUnreadable."""
        now = datetime.now(UTC)
        secret = self._config.client_secret.get_secret_value()
        event = tiktok.read_event(body, signature, secret=secret, now=now)
        # The vendor sends an event again with a signature of that moment: only a copy has the same.
        digest = hashlib.sha256(signature.strip().encode()).hexdigest()
        with self._database.transaction(ALL_WORKSPACES) as tx:
            if not webhook_store.remember(tx, digest, now + 2 * tiktok.TOLERANCE):
                raise WebhookReplayed("This webhook was taken before.")
            accounts = account_store.accounts_of_profile(tx, Platform.TIKTOK, event.open_id)
            found = webhook_store.ask_soon(tx, accounts, event.publish_id) if event.publish_id else 0
            if found:
                notify(tx, store.CHECKS_CHANNEL)
        WEBHOOKS.labels(event.kind.value).inc()
        if event.kind is EventKind.UNKNOWN:
            log.warning("unknown webhook event", webhook_event=str(event.raw.get("event"))[:100])
        log.info("webhook", webhook_event=event.kind.value, publications=found, accounts=len(accounts))
        if event.kind is EventKind.AUTHORIZATION_REMOVED:
            for account in accounts:
                if account.state is AccountState.CONNECTED:
                    self._confirm(account)
