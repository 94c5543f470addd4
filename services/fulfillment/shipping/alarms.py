"""The duty that watches orders' deadlines: each alarm is given once, before the deadline and after it.

An order's `alarm_time` says when it is looked at next; whoever changes its deadlines, state or packages sets it to now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from kit.activity import activity
from kit.db import ALL_WORKSPACES, Database
from services.fulfillment import store
from services.fulfillment.orders import order_store
from services.fulfillment.orders.domain import Order
from services.fulfillment.shipping import alarm_store, clock, package_store

_BATCH = 200


class Alarms:
    """Gives alarms. `run_once` is for a kit.loop.Loop; any number of replicas may have it. `ahead`: how long before a
    deadline.
    """

    def __init__(self, database: Database, ahead: Sequence[timedelta]) -> None:
        self._database, self._ahead = database, tuple(ahead)

    def run_once(self) -> bool:
        """Looks at orders whose time has come; True when there may be more."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            due = alarm_store.claim_alarms(tx, _BATCH)
            for order in due:
                self._look_at(tx, order)
        return len(due) == _BATCH

    def _look_at(self, tx: Connection, order: Order) -> None:
        now = store.database_time(tx)
        packages = package_store.packages_of(tx, order.workspace_id, order.order_id)
        given = list(order.alarms)
        for alarm in clock.alarms_due(order, packages, now, self._ahead):
            given += [name for name in alarm.names if name not in given]
            kind = "order.late" if alarm.is_late else "order.at_risk"
            about = {"next_step": alarm.next_step, "alarm": alarm.names[-1]}
            order_store.add_event(tx, order.workspace_id, order.order_id, kind, alarm.text, attributes=about)
            label = order.told.platform_order_id
            people = {"platform": "tiktok_shop", "order_id": str(order.order_id), "order": label}
            text = f"Order {label}: {alarm.text} {alarm.next_step}"
            store.tell(tx, [activity(order.workspace_id, kind, text, now, attributes=about | people)])
        following = clock.next_alarm_time(order, packages, now, self._ahead)
        alarm_store.set_alarms(tx, order, given, following)
