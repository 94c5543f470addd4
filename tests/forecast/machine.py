"""A time machine for an installation: not the clock moves on, but everything that is kept moves back.

No process notices: what was an hour ahead is due now, what was published a moment ago was published an hour ago. The
platform's sandbox has a clock of its own, which moves on by as much.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psycopg2
from psycopg2 import errors, sql

from tests.chaos.installation import Installation

_SCHEMAS = ("scheduler", "publisher")
# When a publisher last asked for work, and what was taken of rates: they are of the real time, in which publishers ask
# all the while.
_REAL = ("claim_clock", "rate_buckets")
_COLUMNS = """
SELECT table_schema, table_name, array_agg(column_name::text) AS columns FROM information_schema.columns
JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = ANY(%(schemas)s) AND table_type = 'BASE TABLE' AND table_name <> ALL(%(real)s)
  AND data_type IN ('timestamp with time zone', 'timestamp without time zone')
GROUP BY table_schema, table_name
"""
# Nothing is on its way: no delivery in work or due, no report that has not arrived.
_MOVING = """
SELECT (SELECT count(*) FROM scheduler.deliveries WHERE state IN ('CLAIMED','CONFIRMING','UNCERTAIN')
        OR (state = 'SCHEDULED' AND due_time <= now() + interval '3 seconds'))
     + (SELECT count(*) FROM publisher.outbox WHERE refusal IS NULL)
     + (SELECT count(*) FROM scheduler.outbox WHERE refusal IS NULL) AS moving
"""
_NEXT_DUE = "SELECT min(due_time) AS due FROM scheduler.deliveries WHERE state = 'SCHEDULED'"
_TO_RENEW = "SELECT renew_time FROM publisher.accounts WHERE state = 'CONNECTED'"
_OVERDUE = f"{_TO_RENEW} AND renew_time <= now()"
_LOOKED = "SELECT until_time FROM publisher.preflights WHERE stage = 'MINUTES'"


class TimeMachine:
    """`passed`: how much more time has passed for the installation than for us."""

    def __init__(self, running: Installation) -> None:
        self._running = running
        self.passed = timedelta(0)
        self._tables = running.rows(_COLUMNS, schemas=list(_SCHEMAS), real=list(_REAL))

    @property
    def now(self) -> datetime:
        """The installation's time, counted on from its beginning."""
        return datetime.now(UTC) + self.passed

    def next_due(self) -> datetime | None:
        """When something is due next, in the same count."""
        due: datetime | None = self._running.rows(_NEXT_DUE)[0]["due"]
        return due + self.passed if due else None

    def go_to(self, moment: datetime) -> None:
        """Lets all time until then pass; none, when it is over."""
        step = moment - self.now
        if step <= timedelta(0):
            return
        self._running.wait(lambda: self._move(step), 60, lambda: "the database is busy")
        self._running.control("POST", "/clock/advance", {"seconds": step.total_seconds()})
        self.passed += step

    def wait_until(self, moment: datetime) -> None:
        """Waits in real time."""
        while (left := (moment - self.now).total_seconds()) > 0:
            time.sleep(left)

    def renewed_until(self, moment: datetime) -> None:
        """Lets publishers refresh each token that is due for it by then, at its time."""
        while True:
            times = [row["renew_time"] for row in self._running.rows(_TO_RENEW)]
            if None in times:
                time.sleep(0.1)  # it is new, and its time not counted yet
            elif (first := min(times, default=moment)) + self.passed < moment:
                self.go_to(first + self.passed)
                self._running.wait(lambda: True if not self._running.rows(_OVERDUE) else None, 60)
            else:
                return

    def settle(self, seconds: float = 240) -> None:
        """Returns when nothing is on its way. Minutes, when something waits for a place in its account's day."""
        self._running.wait(
            lambda: True if self._running.rows(_MOVING)[0]["moving"] == 0 else None, seconds, self._story
        )

    def preflown(self, moment: datetime) -> None:
        """Returns when the preflight has looked at what is due then."""
        self._running.wait(
            lambda: True if self._running.rows(_LOOKED)[0]["until_time"] + self.passed > moment else None, 60
        )

    def _story(self) -> object:
        return self._running.rows(
            "SELECT d.state, d.due_time, now() AS now, d.failure_reason, p.step, p.caption FROM scheduler.deliveries d"
            " LEFT JOIN publisher.publications p USING (delivery_id) WHERE d.state IN"
            " ('CLAIMED','CONFIRMING','UNCERTAIN') OR d.due_time <= now() + interval '3 seconds' LIMIT 20"
        )

    def _move(self, step: timedelta) -> bool | None:
        with psycopg2.connect(self._running.postgres.admin_url) as connection, connection.cursor() as cursor:
            try:
                for table in self._tables:
                    cursor.execute(
                        sql.SQL("UPDATE {} SET {}").format(
                            sql.Identifier(table["table_schema"], table["table_name"]),
                            sql.SQL(", ").join(
                                sql.SQL("{0} = {0} - %(step)s").format(sql.Identifier(column))
                                for column in table["columns"]
                            ),
                        ),
                        {"step": step},
                    )
                cursor.execute("DELETE FROM publisher.rate_buckets")
                cursor.execute("NOTIFY scheduler_due")
            except errors.DeadlockDetected:
                connection.rollback()
                return None
        connection.close()
        return True
