"""SQL of what is personal: sealed recipients, their deletion, and who read them. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, func, insert, or_, select, text, update

from kit.db import new_id
from services.fulfillment.order_tables import order_events, orders, recipient_readings, shipments
from services.fulfillment.orders.domain import OrderNotFound, OrderState
from services.fulfillment.store import in_seconds

_DAY_SECONDS = 86_400.0
_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


@dataclass(frozen=True, slots=True)
class SealedRecipient:
    """What an order's row holds of whom it goes to."""

    order_id: UUID
    workspace_id: UUID
    platform_order_id: str
    state: OrderState
    is_erased: bool
    sealed_order: bytes | None = field(repr=False)
    sealed_address: bytes | None = field(repr=False)
    buyer_hash: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """That somebody read whom an order goes to. `number` counts within the workspace, `hash` covers all up to it."""

    reading_id: UUID
    workspace_id: UUID
    number: int
    order_id: UUID
    time: datetime
    actor: str
    purpose: str
    hash: bytes = field(repr=False)


def read_recipient(tx: Connection, workspace_id: UUID, order_id: UUID, *, for_update: bool = False) -> SealedRecipient:
    """Raises OrderNotFound."""
    query = _recipients().where(orders.c.workspace_id == workspace_id, orders.c.order_id == order_id)
    row = tx.execute(query.with_for_update() if for_update else query).mappings().first()
    if row is None:
        raise OrderNotFound(f"There is no order {order_id} in this workspace.")
    return _recipient(row)


def recipients_of_buyer(tx: Connection, workspace_id: UUID, buyer_hash: bytes) -> list[SealedRecipient]:
    """Those of all orders of a buyer that are not erased yet, locked."""
    query = _recipients().where(orders.c.workspace_id == workspace_id, orders.c.buyer_hash == buyer_hash)
    # In one order, so that two of this kind do not wait for each other.
    rows = tx.execute(query.order_by(orders.c.order_id).with_for_update()).mappings()
    return [_recipient(row) for row in rows]


def due_recipients(tx: Connection, days: int, most_days: int, limit: int) -> list[SealedRecipient]:
    """Those of orders that ended so many days ago, or were taken in `most_days` ago and never ended; locked.

    The transaction sees all workspaces.
    """
    ended = orders.c.end_time < in_seconds(-days * _DAY_SECONDS)
    endless = orders.c.end_time.is_(None) & (orders.c.create_time < in_seconds(-most_days * _DAY_SECONDS))
    query = _recipients().where(orders.c.erase_time.is_(None), or_(ended, endless)).limit(limit)
    return [_recipient(row) for row in tx.execute(query.with_for_update(skip_locked=True)).mappings()]


def erase(tx: Connection, found: Sequence[SealedRecipient], why: str, actor: str) -> None:
    """Deletes whom these orders went to, also from their shipments, and says so in their stories."""
    ids = [each.order_id for each in found]
    tx.execute(
        update(orders)
        .where(orders.c.order_id.in_(ids))
        .values(
            sealed_order=None,
            sealed_address=None,
            buyer_hash=None,
            masked_recipient="",
            erase_time=func.now(),
            update_time=func.now(),
        )
    )
    of_orders = [shipments.c.workspace_id.in_({each.workspace_id for each in found}), shipments.c.order_id.in_(ids)]
    tx.execute(update(shipments).where(*of_orders).values(sealed_destination=None))
    if found:
        events = [
            {
                "event_id": new_id(),
                "workspace_id": each.workspace_id,
                "order_id": each.order_id,
                "type": "recipient.erased",
                "text": f"Whom the order went to was deleted: {why}",
                "actor": actor,
            }
            for each in found
        ]
        tx.execute(insert(order_events), events)


def last_reading(tx: Connection, workspace_id: UUID) -> Reading | None:
    """The newest reading of a workspace. Until the transaction ends nobody else adds one."""
    tx.execute(_TAKE_TURNS, {"name": f"recipient_readings|{workspace_id}"})
    query = select(recipient_readings).where(recipient_readings.c.workspace_id == workspace_id)
    row = tx.execute(query.order_by(recipient_readings.c.number.desc()).limit(1)).mappings().first()
    return None if row is None else _reading(row)


def insert_reading(tx: Connection, reading: Reading) -> None:
    """Writes down a reading."""
    names = Reading.__dataclass_fields__
    tx.execute(insert(recipient_readings).values({name: getattr(reading, name) for name in names}))


def list_readings(
    tx: Connection, workspace_id: UUID, size: int, *, order_id: UUID | None, before: int | None
) -> list[Reading]:
    """The newest readings first, one more than `size` when there are more; those before that number."""
    query = select(recipient_readings).where(recipient_readings.c.workspace_id == workspace_id)
    if order_id is not None:
        query = query.where(recipient_readings.c.order_id == order_id)
    if before is not None:
        query = query.where(recipient_readings.c.number < before)
    query = query.order_by(recipient_readings.c.number.desc()).limit(size + 1)
    return [_reading(row) for row in tx.execute(query).mappings()]


def all_readings(tx: Connection) -> Iterator[Reading]:
    """Every reading, workspace by workspace in the order in which they were made, not held in memory."""
    query = select(recipient_readings).order_by(recipient_readings.c.workspace_id, recipient_readings.c.number)
    yield from map(_reading, tx.execute(query.execution_options(yield_per=1000)).mappings())


def _recipients() -> Select[tuple[object, ...]]:
    names = ("order_id", "workspace_id", "platform_order_id", "state", "erase_time")
    sealed = ("sealed_order", "sealed_address", "buyer_hash")
    return select(*(orders.c[name] for name in (*names, *sealed)))


def _recipient(row: RowMapping) -> SealedRecipient:
    return SealedRecipient(
        order_id=row["order_id"],
        workspace_id=row["workspace_id"],
        platform_order_id=row["platform_order_id"],
        state=OrderState(row["state"]),
        is_erased=row["erase_time"] is not None,
        sealed_order=_bytes(row["sealed_order"]),
        sealed_address=_bytes(row["sealed_address"]),
        buyer_hash=_bytes(row["buyer_hash"]),
    )


def _reading(row: RowMapping) -> Reading:
    return Reading(**{**row, "hash": bytes(row["hash"])})


def _bytes(value: object) -> bytes | None:
    return None if value is None else bytes(value)  # type: ignore[call-overload] # a memoryview
