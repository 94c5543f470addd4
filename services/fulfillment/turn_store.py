"""SQL of turns: one process at a time does something about a shop or a merchant, for as long as its lease lasts.

A row has a column for the end of the lease, and one for when the next turn is due. Whoever takes the turn holds it for
longer while it works, and gives it back with the time of the next. A process that dies leaves its lease behind, and
whoever is late finds that the lease is no longer its own. The caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, FromClause, Table, and_, func, or_, select, update

from services.fulfillment.store import in_seconds


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to work on a row, until `lease_end`. `begin_time`: when it was taken. What is of a kind names the row,
    as its key column does, and what is known of it.
    """

    workspace_id: UUID
    lease_end: datetime
    begin_time: datetime


OneTurn = TypeVar("OneTurn", bound=Turn)


@dataclass(frozen=True, slots=True)
class Turns(Generic[OneTurn]):
    """Turns of one kind: by which columns, and which are read into their further fields. `taken`: what taking one
    sets.
    """

    kind: type[OneTurn]
    key: Column[Any]
    lease: Column[Any]
    due: Column[Any]
    known: tuple[Column[Any], ...] = ()
    taken: Mapping[str, ColumnElement[Any]] = field(default_factory=dict)

    @property
    def _table(self) -> Table:
        return self.key.table

    def claim(
        self, tx: Connection, seconds: float, *conditions: ColumnElement[bool], among: FromClause | None = None
    ) -> OneTurn | None:
        """Takes the row that is due for longest and that nobody has; None when there is none. Of all workspaces.
        `among`: the table joined with what the conditions are about.
        """
        due = (
            select(self.key)
            .select_from(self._table if among is None else among)
            .where(*conditions, self.due <= func.now(), self._is_free())
            .order_by(self.due)
            .limit(1)
            .with_for_update(of=self._table, skip_locked=True)
        )
        return self._take(tx, self.key == due.scalar_subquery(), seconds)

    def take(
        self, tx: Connection, workspace_id: UUID, key: UUID, seconds: float, *conditions: ColumnElement[bool]
    ) -> OneTurn | None:
        """Takes one row, due or not; None while somebody has it."""
        mine = (self._table.c.workspace_id == workspace_id) & (self.key == key)
        return self._take(tx, mine & self._is_free(), seconds, *conditions)

    def keep(self, tx: Connection, turn: OneTurn, seconds: float, *conditions: ColumnElement[bool]) -> OneTurn | None:
        """Holds it for longer; None when it is another's by now. `begin_time` stays."""
        kept = self._take(tx, self.is_mine(turn), seconds, *conditions)
        return None if kept is None else replace(kept, begin_time=turn.begin_time)

    def store(self, tx: Connection, turn: OneTurn, values: Mapping[str, Any]) -> None:
        """Stores something in the row; nothing when it is another's."""
        tx.execute(update(self._table).where(self.is_mine(turn)).values(values))

    def release(self, tx: Connection, turn: OneTurn, due_seconds: float | None) -> None:
        """Lets others have it: in so many seconds, or (None) when it was due anyway. Nothing when it is another's."""
        values: dict[str, Any] = {self.lease.name: None}
        if due_seconds is not None:
            values[self.due.name] = in_seconds(due_seconds)
        self.store(tx, turn, values)

    def is_mine(self, turn: OneTurn) -> ColumnElement[bool]:
        """Whether a row is the turn's still, as SQL."""
        return and_(
            self._table.c.workspace_id == turn.workspace_id,
            self.key == getattr(turn, self.key.name),
            self.lease == turn.lease_end,
        )

    def _is_free(self) -> ColumnElement[bool]:
        return or_(self.lease.is_(None), self.lease <= func.now())

    def _take(
        self, tx: Connection, which: ColumnElement[bool], seconds: float, *conditions: ColumnElement[bool]
    ) -> OneTurn | None:
        row = tx.execute(
            update(self._table)
            .where(which, *conditions)
            .values({self.lease.name: in_seconds(seconds), **self.taken})
            .returning(self._table.c.workspace_id, self.lease, func.now().label("begin_time"), self.key, *self.known)
        ).first()
        return None if row is None else self.kind(*row)
