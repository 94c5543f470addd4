"""SQL of webhooks: whose they are, that each is taken once, and which wait to be worked on. The caller owns the
transaction, which sees all workspaces: a webhook names none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.listen import notify
from services.fulfillment.domain import ShopState
from services.fulfillment.store import EVENTS_CHANNEL, ORDER_EVENTS_CHANNEL, in_seconds
from services.fulfillment.tables import authorizations, shops, webhook_events


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a webhook is for. `shop_id` is None when it is about the seller."""

    workspace_id: UUID
    authorization_id: UUID
    shop_id: UUID | None


@dataclass(frozen=True, slots=True)
class Event:
    """A webhook that waits to be worked on, as attempt number `attempt`."""

    owner: Owner
    notification_id: str
    type: int
    platform_product_id: str
    platform_order_ids: tuple[str, ...]
    attempt: int


def owners(tx: Connection, platform_shop_id: str, seller_open_id: str) -> list[Owner]:
    """Whom a webhook about a shop or a seller is for; nobody when none of ours is connected."""
    if platform_shop_id:
        query = select(shops.c.workspace_id, shops.c.authorization_id, shops.c.shop_id).where(
            shops.c.platform_shop_id == platform_shop_id, shops.c.cipher.is_not(None)
        )
        return [Owner(*row) for row in tx.execute(query)]
    seller = select(authorizations.c.workspace_id, authorizations.c.authorization_id).where(
        authorizations.c.seller_open_id == seller_open_id,
        authorizations.c.state != ShopState.DISCONNECTED.value,
    )
    return [Owner(*row, None) for row in tx.execute(seller)]


def keep_event(
    tx: Connection,
    owner: Owner,
    notification_id: str,
    kind: int,
    platform_product_id: str = "",
    platform_order_ids: Sequence[str] = (),
    *,
    is_work: bool,
) -> bool:
    """Stores a webhook, and wakes whoever works on them; False when it was taken before."""
    kept = tx.execute(
        upsert(webhook_events)
        .values(
            workspace_id=owner.workspace_id,
            notification_id=notification_id,
            authorization_id=owner.authorization_id,
            shop_id=owner.shop_id,
            type=kind,
            platform_product_id=platform_product_id,
            platform_order_ids=list(platform_order_ids),
            next_time=func.now() if is_work else None,
        )
        .on_conflict_do_nothing()
    )
    if kept.rowcount and is_work:
        notify(tx, ORDER_EVENTS_CHANNEL if platform_order_ids else EVENTS_CHANNEL)
    return bool(kept.rowcount)


def claim_events(tx: Connection, limit: int, lease_seconds: float, *, about_orders: bool = False) -> list[Event]:
    """Takes webhooks that are due, for so long: those about orders, or the others."""
    is_about_orders = webhook_events.c.platform_order_ids != []
    due = (
        select(webhook_events.c.workspace_id, webhook_events.c.notification_id)
        .where(webhook_events.c.next_time <= func.now(), is_about_orders if about_orders else ~is_about_orders)
        .order_by(webhook_events.c.next_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # Fences the limit: without it the planner may lock more rows than it returns.
        .cte("due")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    rows = tx.execute(
        update(webhook_events)
        .where(
            webhook_events.c.workspace_id == due.c.workspace_id,
            webhook_events.c.notification_id == due.c.notification_id,
        )
        .values(attempts=webhook_events.c.attempts + 1, next_time=in_seconds(lease_seconds))
        .returning(webhook_events)
    ).mappings()
    return [
        Event(
            Owner(row["workspace_id"], row["authorization_id"], row["shop_id"]),
            row["notification_id"],
            row["type"],
            row["platform_product_id"],
            tuple(row["platform_order_ids"]),
            row["attempts"],
        )
        for row in rows
    ]


def settle_events(tx: Connection, events: Sequence[Event], again_seconds: float | None) -> None:
    """Ends the work on webhooks (None), or puts it off. What another has taken since stays his."""
    key = (webhook_events.c.workspace_id, webhook_events.c.notification_id, webhook_events.c.attempts)
    tx.execute(
        update(webhook_events)
        .where(tuple_(*key).in_([(each.owner.workspace_id, each.notification_id, each.attempt) for each in events]))
        .values(next_time=None if again_seconds is None else in_seconds(again_seconds))
    )


def forget_events(tx: Connection, keep_seconds: float, limit: int) -> int:
    """Deletes webhooks that were taken so long ago, `limit` at most; returns how many."""
    old = (
        select(webhook_events.c.workspace_id, webhook_events.c.notification_id)
        .where(webhook_events.c.receive_time < in_seconds(-keep_seconds))
        .limit(limit)
    )
    key = tuple_(webhook_events.c.workspace_id, webhook_events.c.notification_id)
    return tx.execute(delete(webhook_events).where(key.in_(old))).rowcount
