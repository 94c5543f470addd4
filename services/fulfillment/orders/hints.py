"""Webhooks about orders: each names orders that are read now instead of at the next turn."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import groupby

import structlog

from kit.db import ALL_WORKSPACES, Database
from kit.errors import FailedPrecondition, ReelrouteError
from services.fulfillment import event_store, shop_store
from services.fulfillment.domain import ShopUnavailable
from services.fulfillment.event_store import Event
from services.fulfillment.orders.intake import Intake

log = structlog.get_logger()

# About as many orders as one call of TikTok Shop's tells.
_AT_ONCE = 50
# Longer than a batch takes with all its retries.
_LEASE_SECONDS = 120.0
_TRIES = 6


class OrderHints:
    """Works on webhooks that name orders. `run_once` is for a kit.loop.Loop."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database, self._intake = database, intake
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Lets the present batch end after the question that is being asked."""
        self._stopping.set()

    def run_once(self) -> bool:
        """One batch; True when there may be more."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            due = event_store.claim_events(tx, _AT_ONCE, _LEASE_SECONDS, about_orders=True)

        def shop_of(event: Event) -> str:
            return str(event.owner.shop_id)

        for _, same in groupby(sorted(due, key=shop_of), shop_of):
            self._work_on(list(same))
        return bool(due)

    def _work_on(self, same: Sequence[Event]) -> None:
        owner = same[0].owner
        again: float | None = None
        try:
            if self._stopping.is_set():
                raise ShopUnavailable("The process is just ending.", retry_after_seconds=0)
            if owner.shop_id is not None:
                with self._database.transaction(owner.workspace_id) as tx:
                    shop = shop_store.read_shop(tx, owner.workspace_id, owner.shop_id)
                self._intake.read(shop, sorted({each for event in same for each in event.platform_order_ids}))
        except FailedPrecondition as refusal:
            # A definite no: what there is to know of it is stored.
            log.info("a webhook about orders changes nothing", reason=refusal.reason)
        except ReelrouteError as refusal:
            attempt = max(each.attempt for each in same)
            wait = refusal.retry_after_seconds
            again = (2.0 * 2**attempt if wait is None else wait) if attempt < _TRIES else None
            log.info("a webhook about orders is worked on later", reason=refusal.reason, again_seconds=again)
        with self._database.transaction(ALL_WORKSPACES) as tx:
            event_store.settle_events(tx, same, again)
