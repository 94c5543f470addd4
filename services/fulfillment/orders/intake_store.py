"""SQL of how orders come in: whose orders are read next, and what was read of them. The caller owns the transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, null, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.db import new_id
from kit.listen import notify
from kit.vault import Vault
from services.fulfillment.domain import Shop, ShopState
from services.fulfillment.marketplaces import tiktok_shop
from services.fulfillment.order_tables import orders, shop_routings
from services.fulfillment.orders import changes, order_store
from services.fulfillment.orders.address import normalise
from services.fulfillment.orders.domain import OrderState, ShopOrder
from services.fulfillment.orders.sealing import Sealer, mask
from services.fulfillment.orders.shop_order import told_from_json, told_to_json
from services.fulfillment.tables import authorizations, shops
from services.fulfillment.turn_store import Turn, Turns
from vendors.tiktok_shop import order_models

_OVER = (OrderState.DELIVERED.value, OrderState.CANCELED.value)


@dataclass(frozen=True, slots=True)
class OrdersTurn(Turn):
    """The right to read a shop's orders. `cursor`: what changed before is known; `from_time`: orders that were created
    before are not ours.
    """

    shop_id: UUID
    cursor: datetime | None
    from_time: datetime


# The first turn of a shop says from when on its orders are taken in: since its routing was switched on.
_TURNS = Turns(
    OrdersTurn,
    key=shop_routings.c.shop_id,
    lease=shop_routings.c.orders_lease_time,
    due=shop_routings.c.orders_due_time,
    known=(shop_routings.c.orders_cursor, shop_routings.c.orders_from_time),
    taken={"orders_from_time": func.coalesce(shop_routings.c.orders_from_time, shop_routings.c.update_time)},
)


def claim_turn(tx: Connection, lease_seconds: float) -> OrdersTurn | None:
    """Takes the shop whose orders are due for longest and that nobody reads; None when there is none. It is one of any
    workspace.
    """
    return _TURNS.claim(
        tx,
        lease_seconds,
        shop_routings.c.is_on,
        shops.c.cipher.is_not(None),
        authorizations.c.state == ShopState.CONNECTED.value,
        among=shop_routings.join(shops, shops.c.shop_id == shop_routings.c.shop_id).join(
            authorizations, authorizations.c.authorization_id == shops.c.authorization_id
        ),
    )


def take_turn(tx: Connection, shop: Shop, lease_seconds: float) -> OrdersTurn | None:
    """Takes one shop whose routing is on, due or not; None while somebody reads its orders."""
    return _TURNS.take(tx, shop.workspace_id, shop.shop_id, lease_seconds, shop_routings.c.is_on)


def keep_turn(tx: Connection, turn: OrdersTurn, lease_seconds: float) -> OrdersTurn | None:
    """Holds it for longer; None when it is another's by now. `begin_time` stays."""
    return _TURNS.keep(tx, turn, lease_seconds)


def end_turn(tx: Connection, turn: OrdersTurn) -> None:
    """Records that all pages were read: what changed before this turn began is known."""
    _TURNS.store(tx, turn, {"orders_cursor": turn.begin_time})


def release_turn(tx: Connection, turn: OrdersTurn, due_seconds: float | None) -> None:
    """Lets others read it: in so many seconds, or (None) when it was due anyway. Nothing when it is another's."""
    _TURNS.release(tx, turn, due_seconds)


def from_time_of(tx: Connection, shop: Shop) -> datetime | None:
    """From when on a shop's orders are taken in; None while its routing is off."""
    return tx.execute(
        select(func.coalesce(shop_routings.c.orders_from_time, shop_routings.c.update_time)).where(
            shop_routings.c.workspace_id == shop.workspace_id,
            shop_routings.c.shop_id == shop.shop_id,
            shop_routings.c.is_on,
        )
    ).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class Saved:
    """What came of orders that were read: how many were new, how many had changed, and which there were at all."""

    new: int = 0
    changed: int = 0
    found: frozenset[str] = field(default=frozenset(), compare=False)

    def __add__(self, other: Saved) -> Saved:
        return Saved(self.new + other.new, self.changed + other.changed, self.found | other.found)


def save_orders(
    tx: Connection, vault: Vault, shop: Shop, found: Sequence[order_models.Order], from_time: datetime
) -> Saved:
    """Stores orders as TikTok Shop told them now, each once; those that were created before `from_time` only when they
    are known. What is older than what is stored, or the same, changes nothing. What is news wakes its order.
    """
    newest: dict[str, order_models.Order] = {}
    for each in found:
        other = newest.get(each.id)
        if other is None or _version(each) >= _version(other):
            newest[each.id] = each
    sealer = Sealer(vault, tx, shop.workspace_id)
    news = _without_the_known(tx, sealer, shop, newest)
    changed = _update_known(tx, sealer, shop, news)
    fresh = {name: each for name, each in news.items() if name not in changed and _is_ours(each, from_time)}
    inserted = _insert(tx, sealer, shop, fresh)
    if late := {name: each for name, each in fresh.items() if name not in inserted}:
        # Another process was faster with these.
        changed |= _update_known(tx, sealer, shop, late)
    changed_count = sum(changed.values())
    if inserted or changed_count:
        notify(tx, order_store.ORDERS_CHANNEL)
    return Saved(len(inserted), changed_count, frozenset(newest))


def _version(found: order_models.Order) -> float:
    return found.update_time.timestamp() if found.update_time else 0.0


def _is_ours(found: order_models.Order, from_time: datetime) -> bool:
    return found.create_time is None or found.create_time >= from_time.replace(microsecond=0)


def _without_the_known(
    tx: Connection, sealer: Sealer, shop: Shop, found: Mapping[str, order_models.Order]
) -> dict[str, order_models.Order]:
    """Those that are new, or not as they are stored: one question for a page of what is mostly known."""
    rows = tx.execute(
        select(orders.c.platform_order_id, orders.c.platform_update_time, orders.c.told_hash).where(
            orders.c.workspace_id == shop.workspace_id,
            orders.c.shop_id == shop.shop_id,
            orders.c.platform_order_id.in_(found),
        )
    )
    news = dict(found)
    for name, update_time, told_hash in rows:
        if _is_known(sealer, found[name], update_time, told_hash):
            del news[name]
    return news


def _is_known(sealer: Sealer, found: order_models.Order, update_time: datetime | None, told_hash: bytes | None) -> bool:
    if update_time is not None and found.update_time is not None and found.update_time != update_time:
        return found.update_time < update_time
    # Their times are whole seconds: two changes may have the same.
    return told_hash is not None and bytes(told_hash) == _hash(sealer, found)


def _hash(sealer: Sealer, found: order_models.Order) -> bytes:
    told = json.dumps(found.raw, sort_keys=True, separators=(",", ":"))
    return sealer.vault.fingerprint(sealer.tx, sealer.workspace_id, f"orders.told_hash|{found.id}", told)


def _insert(tx: Connection, sealer: Sealer, shop: Shop, found: Mapping[str, order_models.Order]) -> set[str]:
    """Stores new orders; returns those that were."""
    rows, events = [], {}
    # In one order everywhere, or two processes could wait for each other's rows.
    for name in sorted(found):
        each, order_id = found[name], new_id()
        told, recipient = tiktok_shop.shop_order_of(each), tiktok_shop.recipient_of(each)
        verdict = normalise(recipient)
        rows.append(
            {
                "order_id": order_id,
                "workspace_id": shop.workspace_id,
                "shop_id": shop.shop_id,
                "platform_order_id": name,
                "platform_create_time": told.create_time or func.now(),
                "state": OrderState.PENDING.value,
                "sealed_order": sealer.seal_order(order_id, each.raw),
                "sealed_address": sealer.seal_verdict(order_id, verdict),
                "masked_recipient": mask(recipient, verdict),
                "buyer_hash": sealer.buyer_hash(each.buyer_user_id),
                "alarm_time": func.now() if told.ship_until_time or told.deliver_until_time else None,
                "next_time": func.now(),
                **_told_values(sealer, each, told),
            }
        )
        events[name] = order_store.event_row(
            shop.workspace_id,
            order_id,
            "order.imported",
            changes.imported_text(told),
            attributes={"status": told.status},
        )
    inserted: set[str] = set()
    for row in rows:
        statement = upsert(orders).values(row).on_conflict_do_nothing().returning(orders.c.platform_order_id)
        inserted.update(tx.execute(statement).scalars())
    order_store.add_events(tx, [events[name] for name in sorted(inserted)])
    return inserted


def _update_known(
    tx: Connection, sealer: Sealer, shop: Shop, news: Mapping[str, order_models.Order]
) -> dict[str, bool]:
    """Stores what changed of orders that are known; returns which are known, and whether they had changed."""
    columns = (*order_store.COLUMNS, orders.c.sealed_order, orders.c.sealed_address)
    query = select(*columns).where(
        orders.c.workspace_id == shop.workspace_id,
        orders.c.shop_id == shop.shop_id,
        orders.c.platform_order_id.in_(news),
    )
    known: dict[str, bool] = {}
    events = []
    for row in tx.execute(query.order_by(orders.c.order_id).with_for_update()).mappings().all():
        each = news[row["platform_order_id"]]
        known[each.id] = not _is_known(sealer, each, row["platform_update_time"], row["told_hash"])
        if not known[each.id]:
            continue
        before, told = told_from_json(row["facts"]), tiktok_shop.shop_order_of(each)
        values = _told_values(sealer, each, told)
        personal, moved = _personal_values(sealer, row, each)
        values |= personal
        if (told.ship_until_time, told.deliver_until_time) != (before.ship_until_time, before.deliver_until_time):
            values["alarm_time"] = func.now()
        if row["state"] not in _OVER:
            values["next_time"] = order_store.now_at_last()
        tx.execute(update(orders).where(orders.c.order_id == row["order_id"]).values(values))
        if text := changes.changed_text(before, told, has_new_address=moved):
            events.append(
                order_store.event_row(
                    shop.workspace_id, row["order_id"], "order.changed", text, attributes={"status": told.status}
                )
            )
    order_store.add_events(tx, events)
    return known


def _told_values(sealer: Sealer, found: order_models.Order, told: ShopOrder) -> dict[str, Any]:
    return {
        "platform_status": told.status,
        "platform_update_time": told.update_time,
        "told_hash": _hash(sealer, found),
        "facts": told_to_json(told),
        "ship_until_time": told.ship_until_time,
        "in_transit_until_time": told.in_transit_until_time,
        "deliver_until_time": told.deliver_until_time,
        "update_time": func.now(),
    }


def _personal_values(sealer: Sealer, row: RowMapping, found: order_models.Order) -> tuple[dict[str, Any], bool]:
    """What is to be sealed anew, and whether the order goes elsewhere. What TikTok Shop hides by now, or what was
    deleted here, is not put in the place of what is known.
    """
    if row["erase_time"] is not None:
        return {}, False
    order_id, by_hand = row["order_id"], order_store.by_hand_from_json(row["by_hand"])
    recipient = tiktok_shop.recipient_of(found)
    verdict = normalise(recipient)
    if row["sealed_order"] is not None and row["sealed_address"] is not None:
        told = tiktok_shop.recipient_of(order_models.order(sealer.open_order(order_id, bytes(row["sealed_order"]))))
        known = sealer.open_verdict(order_id, bytes(row["sealed_address"]))
        if recipient == told:
            return {"sealed_order": sealer.seal_order(order_id, found.raw)}, False
        if changes.is_hidden_now(verdict, normalise(told)):
            return {}, False
        moved = known.address is not None and (by_hand.is_corrected or known.address != verdict.address)
    else:
        moved = False
    values: dict[str, Any] = {
        "sealed_order": sealer.seal_order(order_id, found.raw),
        "sealed_address": sealer.seal_verdict(order_id, verdict),
        "masked_recipient": mask(recipient, verdict),
        "buyer_hash": sealer.buyer_hash(found.buyer_user_id),
    }
    if by_hand.is_corrected:
        values["by_hand"] = order_store.by_hand_to_json(replace(by_hand, is_corrected=False)) or null()
    return values, moved
