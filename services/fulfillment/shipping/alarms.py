"""The duty that watches orders' deadlines: each alarm is given once, before the deadline and after it.

An order's `alarm_time` says when it is looked at next; whoever changes its deadlines, state or packages sets it to now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from kit.db import ALL_WORKSPACES, Database
from services.fulfillment import shop_store, store
from services.fulfillment.orders.domain import Order
from services.fulfillment.orders.story import Story
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
        story = Story(tx, now, shop_store.read_shop(tx, order.workspace_id, order.shop_id).name)
        for alarm in clock.alarms_due(order, packages, now, self._ahead):
            given += [name for name in alarm.names if name not in given]
            kind = "order.late" if alarm.is_late else "order.at_risk"
            story.tell(order, kind, f"{alarm.text} {alarm.next_step}", alarm.names[-1])
        story.write()
        following = clock.next_alarm_time(order, packages, now, self._ahead)
        alarm_store.set_alarms(tx, order, given, following)
