"""What all SQL of fulfillment shares, and consents that were asked for. The caller owns the transaction.

Shops are in shop_store.py, products in catalogue_store.py, webhooks in event_store.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from kit.activity import activity
from kit.outbox import Notice, enqueue
from services.fulfillment.domain import ConnectionStateUnknown
from services.fulfillment.tables import connections, outbox

SCHEMA = "fulfillment"
EVENTS_CHANNEL = "fulfillment_events"
ORDER_EVENTS_CHANNEL = "fulfillment_order_events"
CATALOGUES_CHANNEL = "fulfillment_catalogues"


def database_time(tx: Connection) -> datetime:
    """The clock that decides: when this transaction began."""
    return tx.execute(select(func.now())).scalar_one()


def in_seconds(seconds: float) -> ColumnElement[datetime]:
    """So many seconds from when this transaction began."""
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def tell(tx: Connection, notices: list[Notice]) -> None:
    """Writes what other services must know."""
    enqueue(tx, outbox, notices, SCHEMA)


def tell_of_shops(tx: Connection, workspace_id: UUID, kind: str, summary: str, label: str) -> None:
    """Tells the activity feed what happened to shops, which people know by this label."""
    attributes = {"shop": label, "platform": "tiktok_shop"}
    tell(tx, [activity(workspace_id, kind, summary, database_time(tx), attributes=attributes)])


def insert_connection(tx: Connection, workspace_id: UUID, state: str, life: timedelta) -> datetime:
    """Remembers a consent that was asked for; returns when it is too late to come back."""
    row = tx.execute(
        insert(connections)
        .values(state=state, workspace_id=workspace_id, expire_time=in_seconds(life.total_seconds()))
        .returning(connections.c.expire_time)
    ).one()
    end: datetime = row.expire_time
    return end


def take_connection(tx: Connection, workspace_id: UUID, state: str) -> None:
    """Uses up the state of a consent. Raises ConnectionStateUnknown."""
    taken = tx.execute(
        delete(connections).where(
            connections.c.workspace_id == workspace_id,
            connections.c.state == state,
            connections.c.expire_time > func.now(),
        )
    )
    if not taken.rowcount:
        raise ConnectionStateUnknown(
            "This state is unknown, already used, or older than ten minutes. Start the connection again."
        )


def forget_connections(tx: Connection) -> int:
    """Deletes consents that nobody finished; returns how many."""
    return tx.execute(delete(connections).where(connections.c.expire_time <= func.now())).rowcount
