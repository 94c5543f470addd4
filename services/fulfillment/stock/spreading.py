"""Making what TikTok Shop is to be told of what changed: of single SKUs at once, of whole shops every few minutes."""

from __future__ import annotations

from uuid import UUID

from kit.db import ALL_WORKSPACES, Database
from services.fulfillment.orders import order_store
from services.fulfillment.stock import spread_store

_NO_MERCHANT = UUID(int=0)


class Spreading:
    """Makes what is wanted of what changed. `run_once` is for a loop (kit.loop.Loop)."""

    def __init__(self, database: Database, *, shop_seconds: float, delay_seconds: float) -> None:
        self._database = database
        self._shop_seconds, self._delay_seconds = shop_seconds, delay_seconds
        self._after = _NO_MERCHANT

    def run_once(self) -> bool:
        """Some SKUs of one merchant, and one shop; False when there is none."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            merchant_id = spread_store.spread_changed(tx, self._after, self._delay_seconds)
        # Every merchant has its turn before one has it again.
        is_begun_anew = merchant_id is None and self._after != _NO_MERCHANT
        self._after = merchant_id or _NO_MERCHANT
        with self._database.transaction(ALL_WORKSPACES) as tx:
            routing = spread_store.spread_shop(tx, self._shop_seconds, self._delay_seconds)
        if routing is not None:
            # What was given back is sold again.
            with self._database.transaction(routing.workspace_id) as tx:
                order_store.wake_held(
                    tx, routing.workspace_id, reasons=("insufficient_stock",), shop_id=routing.shop_id
                )
        return merchant_id is not None or routing is not None or is_begun_anew
