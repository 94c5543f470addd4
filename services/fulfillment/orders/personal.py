"""Who may know whom an order goes to, and for how long.

Each reading is a row of a chain: its hash, keyed by the workspace's data key, covers the row and the hash before it, so
that none can be changed, put in or taken out of the middle unseen. The service itself may only add rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC
from uuid import UUID

from sqlalchemy import Connection

from kit.db import ALL_WORKSPACES, Database, new_id
from kit.errors import FailedPrecondition
from kit.vault import Vault
from services.fulfillment.marketplaces.tiktok_shop import recipient_of
from services.fulfillment.orders import personal_store
from services.fulfillment.orders.domain import OrderState
from services.fulfillment.orders.personal_store import Reading
from services.fulfillment.orders.recipient import Recipient, Verdict
from services.fulfillment.orders.sealing import Sealer
from services.fulfillment.store import database_time
from vendors.tiktok_shop.order_models import order

# Nothing more is sent to where these go.
_OVER = (OrderState.LEFT, OrderState.DELIVERED, OrderState.CANCELED)
_NAMED = 5
_AT_ONCE = 500


class RecipientErased(FailedPrecondition):
    """Whom the order went to was deleted, as it is some time after an order's end, or when somebody wishes it."""


class OrderIsOpen(FailedPrecondition):
    """The order is on its way, or about to be: where it goes is needed until its end."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Whom an order goes to, as it was told and as it was made fit; None where nothing was stored."""

    told: Recipient | None
    verdict: Verdict | None
    buyer_message: str = field(default="", repr=False)


def open_recipient(
    tx: Connection, vault: Vault, workspace_id: UUID, order_id: UUID, *, actor: str, purpose: str
) -> Opened:
    """Opens whom an order goes to, and writes down that `actor` read it. Nothing may be shown before the commit.

    Raises OrderNotFound or RecipientErased.
    """
    found = personal_store.read_recipient(tx, workspace_id, order_id)
    if found.is_erased:
        raise RecipientErased(
            "Whom this order went to was deleted. Its story says when and why; TikTok Shop may still show it."
        )
    _write_down(tx, vault, workspace_id, order_id, actor, purpose)
    sealer = Sealer(vault, tx, workspace_id)
    raw = None if found.sealed_order is None else order(sealer.open_order(order_id, found.sealed_order))
    return Opened(
        told=None if raw is None else recipient_of(raw),
        verdict=None if found.sealed_address is None else sealer.open_verdict(order_id, found.sealed_address),
        buyer_message="" if raw is None else raw.buyer_message,
    )


def erase_recipient(tx: Connection, workspace_id: UUID, order_id: UUID, *, whole_buyer: bool, actor: str) -> int:
    """Deletes whom an order went to, or all orders of its buyer; returns of how many orders that was.

    Raises OrderNotFound; OrderIsOpen, and deletes nothing, when one of them is not over.
    """
    first = personal_store.read_recipient(tx, workspace_id, order_id, for_update=not whole_buyer)
    found = [first]
    if whole_buyer and first.buyer_hash is not None:
        found = personal_store.recipients_of_buyer(tx, workspace_id, first.buyer_hash)
    elif whole_buyer and first.is_erased:
        raise RecipientErased(
            "By whom this order was is deleted, too. Name another order of the same buyer, one that is not erased yet."
        )
    kept = [each for each in found if not each.is_erased]
    if still := [each.platform_order_id for each in kept if each.state not in _OVER]:
        more = f" and {len(still) - _NAMED} more" if len(still) > _NAMED else ""
        raise OrderIsOpen(
            f"Not over yet: {', '.join(still[:_NAMED])}{more}. Cancel, leave or wait for the end of these orders, then"
            " erase again.",
            metadata={"orders": str(len(still))},
        )
    personal_store.erase(tx, kept, "somebody wished it.", actor)
    return len(kept)


@dataclass(frozen=True, slots=True)
class Erasing:
    """Deletes whom orders went to, some time after their end. `run_once` is for a duty; any number may run at once."""

    database: Database
    days: int
    most_days: int

    def run_once(self) -> int:
        """Deletes what is due, batch by batch; returns of how many orders that was."""
        erased, batch = 0, _AT_ONCE
        while batch == _AT_ONCE:
            with self.database.transaction(ALL_WORKSPACES) as tx:
                found = personal_store.due_recipients(tx, self.days, self.most_days, _AT_ONCE)
                personal_store.erase(tx, found, f"it is kept for {self.days} days after an order's end.", "")
            batch = len(found)
            erased += batch
        return erased


def first_broken(tx: Connection, vault: Vault) -> dict[UUID, int | None]:
    """By workspace: the number of the first reading that does not fit the chain; None where all do.

    The transaction sees all workspaces.
    """
    broken: dict[UUID, int | None] = {}
    before: Reading | None = None
    for each in personal_store.all_readings(tx):
        if before is not None and before.workspace_id != each.workspace_id:
            before = None
        number = before.number + 1 if before else 1
        is_whole = each.number == number and _hash(tx, vault, each, before) == each.hash
        if broken.setdefault(each.workspace_id, None) is None and not is_whole:
            broken[each.workspace_id] = each.number
        before = each
    return broken


def _write_down(tx: Connection, vault: Vault, workspace_id: UUID, order_id: UUID, actor: str, purpose: str) -> None:
    before = personal_store.last_reading(tx, workspace_id)
    reading = Reading(
        reading_id=new_id(),
        workspace_id=workspace_id,
        number=before.number + 1 if before else 1,
        order_id=order_id,
        time=database_time(tx),
        actor=actor,
        purpose=purpose,
        hash=b"",
    )
    personal_store.insert_reading(tx, replace(reading, hash=_hash(tx, vault, reading, before)))


def _hash(tx: Connection, vault: Vault, reading: Reading, before: Reading | None) -> bytes:
    said = [
        before.hash.hex() if before else "",
        str(reading.reading_id),
        str(reading.order_id),
        reading.time.astimezone(UTC).isoformat(),
        reading.actor,
        reading.purpose,
    ]
    return vault.fingerprint(tx, reading.workspace_id, f"recipient_readings.hash|{reading.number}", json.dumps(said))
