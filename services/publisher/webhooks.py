"""Webhooks of platforms, as they came to the gateway. Each is a hint to ask sooner, and is never believed: one that is
lost changes nothing but the delay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Counter

from kit.db import ALL_WORKSPACES, Database
from kit.listen import notify
from kit.vendor_webhook import WebhookReplayed, WebhookStale, WebhookUnreadable
from services.publisher import account_store, store, webhook_store
from services.publisher.domain import Account, AccountState, Platform
from services.publisher.platforms import tiktok_shop as shop_platform
from vendors.tiktok import webhooks as tiktok
from vendors.tiktok.config import TikTokConfig
from vendors.tiktok.webhooks import EventKind
from vendors.tiktok_shop import webhooks as shop
from vendors.tiktok_shop.config import TikTokShopConfig

log = structlog.get_logger()

WEBHOOKS = Counter("reelroute_webhooks_total", "Webhooks that were taken, by event.", ["event"])
# TikTok Shop sends for the last time after 2 min, 30 min, 3 h and 12 h; its clock may be ahead of ours.
_SHOP_OLDEST = timedelta(days=2)
_SHOP_NEWEST = timedelta(minutes=10)


class Webhooks:
    """Takes webhooks. `confirm` begins to ask whether an account can still be used, and returns at once."""

    def __init__(
        self,
        database: Database,
        config: TikTokConfig,
        shop_config: TikTokShopConfig,
        confirm: Callable[[Account], None],
    ) -> None:
        self._database = database
        self._config, self._shop_config = config, shop_config
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

    def take_tiktok_shop(self, body: bytes, signature: str) -> None:
        """Takes one of TikTok Shop; those about sellers and shops are fulfillment's, and do nothing here. Its signature
        holds no time, and an event that is sent again has the same: taken before, it does nothing.

        Raises WebhookForged, WebhookStale, WebhookTooLarge, WebhookUnreadable.
        """
        now, config = datetime.now(UTC), self._shop_config
        secret = config.app_secret.get_secret_value()
        event = shop.read_event(body, signature, app_key=config.app_key, app_secret=secret)
        if event.time is None:
            raise WebhookUnreadable("The webhook has no timestamp.")
        if not now - _SHOP_OLDEST <= event.time <= now + _SHOP_NEWEST:
            raise WebhookStale("The webhook is older than what TikTok Shop sends again, or of the future.")
        if not event.creator_open_id:
            return
        digest = hashlib.sha256(f"tiktok_shop {event.notification_id}".encode()).hexdigest()
        with self._database.transaction(ALL_WORKSPACES) as tx:
            if not webhook_store.remember(tx, digest, now + _SHOP_OLDEST + _SHOP_NEWEST):
                return
            accounts = account_store.accounts_of_profile(tx, Platform.TIKTOK_SHOP, event.creator_open_id)
            found = 0
            if isinstance(event.detail, shop.ContentLinked):
                handle = shop_platform.video_handle(event.detail.content_id)
                found = webhook_store.ask_soon(tx, accounts, handle)
            if found:
                notify(tx, store.CHECKS_CHANNEL)
        WEBHOOKS.labels(f"tiktok_shop.{event.type}").inc()
        log.info("webhook", webhook_event=event.type, publications=found, accounts=len(accounts))
        if isinstance(event.detail, shop.CreatorDeauthorized):
            for account in accounts:
                if account.state is AccountState.CONNECTED:
                    self._confirm(account)
