"""Webhooks of TikTok Shop: hints of what to read again now instead of at the next turn.

Nothing in them is believed. A product that may have changed is read, and so are orders (orders/hints.py); a consent
that was taken back is looked at with the token that we have; an end that is announced is told as we know it. A webhook
is a row, taken once by its id, and worked on after it was answered. Its signature has no time in it: one that is older
than TikTok Shop ever sends again is refused, and ids are remembered for longer than that.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

import structlog
from sqlalchemy import Connection

from kit.db import ALL_WORKSPACES, Database
from kit.errors import FailedPrecondition, ReelrouteError
from kit.vault import Vault
from kit.vendor_webhook import WebhookStale, WebhookUnreadable
from services.fulfillment import authorization_store, event_store, renewing, shop_store, store
from services.fulfillment.calling import ShopCalls
from services.fulfillment.catalogue import Catalogue
from services.fulfillment.connecting import opened_shops
from services.fulfillment.domain import ShopState, ShopUnavailable
from services.fulfillment.event_store import Event
from vendors.tiktok_shop.config import TikTokShopConfig
from vendors.tiktok_shop.webhooks import (
    AddressChanged,
    AuthorizationEnding,
    CancellationChanged,
    Detail,
    OrderChanged,
    PackagesChanged,
    ProductChanged,
    ReturnChanged,
    SellerDeauthorized,
    read_event,
)

log = structlog.get_logger()

# TikTok Shop sends for the last time after 2 min, 30 min, 3 h and 12 h.
_OLDEST = timedelta(days=2)
_NEWEST = timedelta(minutes=10)  # ahead of our clock
_KEEP_SECONDS = 3 * 86_400.0
_FORGET_AT_ONCE = 10_000
_AT_ONCE = 10
# Longer than a batch takes with all its retries.
_LEASE_SECONDS = 600.0
_TRIES = 6
_SELLER_DEAUTHORIZED = 6


def take(tx: Connection, config: TikTokShopConfig, body: bytes, signature: str, now: datetime) -> None:
    """Takes a webhook as it came; one that was taken before does nothing.

    Raises WebhookTooLarge, WebhookForged, WebhookStale or WebhookUnreadable.
    """
    event = read_event(body, signature, app_key=config.app_key, app_secret=config.app_secret.get_secret_value())
    if event.time is None:
        raise WebhookUnreadable("The webhook has no timestamp.")
    if not now - _OLDEST <= event.time <= now + _NEWEST:
        raise WebhookStale("The webhook is older than what TikTok Shop sends again, or of the future.")
    owners = event_store.owners(tx, event.shop_id, event.seller_open_id)
    if not owners:
        log.info("a webhook for nobody", type=event.type)
    detail = event.detail
    product_id = detail.product_id if isinstance(detail, ProductChanged) else ""
    order_ids = _order_ids(detail)
    for owner in owners:
        is_work = isinstance(detail, SellerDeauthorized) or bool((product_id or order_ids) and owner.shop_id)
        is_new = event_store.keep_event(
            tx, owner, event.notification_id, event.type, product_id, order_ids, is_work=is_work
        )
        if is_new and isinstance(detail, AuthorizationEnding):
            authorization = authorization_store.read_authorization(tx, owner.workspace_id, owner.authorization_id)
            if authorization_store.set_end_told(tx, authorization):
                renewing.tell_of_end(tx, authorization)


def _order_ids(detail: Detail) -> list[str]:
    match detail:
        case OrderChanged() | AddressChanged() | CancellationChanged() | ReturnChanged():
            return [detail.order_id]
        case PackagesChanged():
            return sorted({each for ids in detail.order_ids.values() for each in ids})
    return []


class Webhooks:
    """Works on webhooks that were taken, save those about orders. `run_once` is for a kit.loop.Loop."""

    def __init__(self, database: Database, vault: Vault, calls: ShopCalls, catalogue: Catalogue) -> None:
        self._database, self._vault, self._calls, self._catalogue = database, vault, calls, catalogue
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Lets the present batch end after the question that is being asked."""
        self._stopping.set()

    def run_once(self) -> bool:
        """One batch; True when there may be more."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            due = event_store.claim_events(tx, _AT_ONCE, _LEASE_SECONDS)

        def about(event: Event) -> tuple[str, str, str]:
            return (str(event.owner.authorization_id), str(event.owner.shop_id), event.platform_product_id)

        # Several about the same thing are one question.
        for _, same in groupby(sorted(due, key=about), about):
            self._work_on(list(same))
        return bool(due)

    def forget(self) -> None:
        """Deletes what was taken long ago."""
        forgotten = _FORGET_AT_ONCE
        while forgotten == _FORGET_AT_ONCE:
            with self._database.transaction(ALL_WORKSPACES) as tx:
                forgotten = event_store.forget_events(tx, _KEEP_SECONDS, _FORGET_AT_ONCE)

    def _work_on(self, same: Sequence[Event]) -> None:
        event = same[0]
        again: float | None = None
        try:
            if self._stopping.is_set():
                raise ShopUnavailable("The process is just ending.", retry_after_seconds=0)
            if any(each.type == _SELLER_DEAUTHORIZED for each in same):
                self._look_at_consent(event)
            elif event.owner.shop_id is not None:
                with self._database.transaction(event.owner.workspace_id) as tx:
                    shop = shop_store.read_shop(tx, event.owner.workspace_id, event.owner.shop_id)
                self._catalogue.read_one(shop, event.platform_product_id)
        except FailedPrecondition as refusal:
            # A definite no: what there is to know of it is stored.
            log.info("a webhook changes nothing", type=event.type, reason=refusal.reason)
        except ReelrouteError as refusal:
            attempt = max(each.attempt for each in same)
            wait = refusal.retry_after_seconds
            again = (5.0 * 2**attempt if wait is None else wait) if attempt < _TRIES else None
            log.info("a webhook is worked on later", type=event.type, reason=refusal.reason, again_seconds=again)
        with self._database.transaction(ALL_WORKSPACES) as tx:
            event_store.settle_events(tx, same, again)

    def _look_at_consent(self, event: Event) -> None:
        """Asks with the token that we have which shops the consent opens; a loss is found, stored and told by that."""
        owner = event.owner
        with self._database.transaction(owner.workspace_id) as tx:
            authorization = authorization_store.read_authorization(tx, owner.workspace_id, owner.authorization_id)
        opened = opened_shops(self._calls.opened(authorization))
        with self._database.transaction(owner.workspace_id) as tx:
            now = authorization_store.read_authorization(
                tx, owner.workspace_id, owner.authorization_id, for_update=True
            )
            if now.state is not ShopState.CONNECTED:
                return
            closed = shop_store.save_opened(tx, self._vault, owner.workspace_id, owner.authorization_id, opened)
            if closed:
                names = ", ".join(closed)
                text = f"{names} can no longer be used: the seller's consent no longer opens it. Connect it again."
                store.tell_of_shops(tx, owner.workspace_id, "shop.authorization_lost", text, names)
