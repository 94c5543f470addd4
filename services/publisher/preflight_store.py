"""SQL of how far preflights have come. The caller owns the transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, or_, select, update

from services.publisher.tables import preflights


def take_stage(tx: Connection, stage: str, until: datetime, lease_seconds: float) -> datetime | None:
    """Lets this caller look at what is due before `until`, and no other for a while. Returns from when on it has not
    been looked at; None when it has, or another does.
    """
    open_stage = (
        preflights.c.stage == stage,
        preflights.c.until_time < until,
        or_(preflights.c.lease_time.is_(None), preflights.c.lease_time <= func.now()),
    )
    taken = select(preflights.c.stage).where(*open_stage).with_for_update(skip_locked=True).scalar_subquery()
    since: datetime | None = tx.execute(
        update(preflights)
        .where(preflights.c.stage == taken)
        .values(lease_time=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds))
        .returning(preflights.c.until_time)
    ).scalar()
    return since


def advance_stage(tx: Connection, stage: str, since: datetime, until: datetime) -> bool:
    """What is due before `until` has been looked at. False, and nothing is changed, when another was first."""
    result = tx.execute(
        update(preflights)
        .where(preflights.c.stage == stage, preflights.c.until_time == since)
        .values(until_time=until, lease_time=None)
    )
    return result.rowcount == 1
