"""SQL of incidents. The caller owns the transaction. At most one incident of a platform is open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.db import new_id
from kit.paging import Page
from services.publisher.domain import AccountState, Incident, Platform
from services.publisher.tables import accounts, incidents


def open_incident(tx: Connection, platform: Platform, cause: str, wait: timedelta) -> Incident | None:
    """Opens one, to be probed after `wait`; None when one is open already."""
    row = (
        tx.execute(
            upsert(incidents)
            .values(incident_id=new_id(), platform=platform.value, cause=cause[:500], next_probe_time=func.now() + wait)
            .on_conflict_do_nothing(index_elements=["platform"], index_where=incidents.c.end_time.is_(None))
            .returning(incidents)
        )
        .mappings()
        .first()
    )
    return _incident(row) if row else None


def open_incidents(tx: Connection) -> list[Incident]:
    """Those that are open."""
    rows = tx.execute(select(incidents).where(incidents.c.end_time.is_(None))).mappings()
    return [_incident(row) for row in rows]


# A probe is made under a short lease: its next time moves ahead.
_TAKE_PROBE = text(
    """
WITH due AS MATERIALIZED (
    SELECT incident_id FROM incidents WHERE end_time IS NULL AND next_probe_time <= now() AND platform = ANY(:platforms)
    ORDER BY next_probe_time LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE incidents SET probes = probes + 1, next_probe_time = now() + make_interval(secs => :lease)
FROM due WHERE incidents.incident_id = due.incident_id
RETURNING incidents.*
"""
)


def take_probe(tx: Connection, platforms: Sequence[Platform], lease_seconds: float) -> Incident | None:
    """An incident of one of these platforms, which this caller may probe now; None when none is due."""
    names = [platform.value for platform in platforms]
    row = tx.execute(_TAKE_PROBE, {"platforms": names, "lease": lease_seconds}).mappings().first()
    return _incident(row) if row else None


def set_probe(tx: Connection, incident: Incident, passed_probes: int, wait: timedelta) -> None:
    """What a probe found, and when the next one is made; nothing, when another has probed since."""
    tx.execute(
        update(incidents)
        .where(*_is_still(incident))
        .values(passed_probes=passed_probes, next_probe_time=func.now() + wait)
    )


def close_incident(tx: Connection, incident: Incident) -> datetime | None:
    """Ends it; returns when, None when it was over already, or another has probed since."""
    end: datetime | None = tx.execute(
        update(incidents)
        .where(*_is_still(incident))
        .values(end_time=func.now(), next_probe_time=None)
        .returning(incidents.c.end_time)
    ).scalar()
    return end


def _is_still(incident: Incident) -> tuple[ColumnElement[bool], ...]:
    return (
        incidents.c.incident_id == incident.incident_id,
        incidents.c.probes == incident.probes,
        incidents.c.end_time.is_(None),
    )


def list_incidents(tx: Connection, page: Page) -> list[Incident]:
    """Incidents, newest first; one more than the page holds when there is a next page."""
    query = select(incidents)
    if page.after:
        query = query.where(tuple_(incidents.c.start_time, incidents.c.incident_id) < tuple_(*page.after))
    rows = tx.execute(
        query.order_by(incidents.c.start_time.desc(), incidents.c.incident_id.desc()).limit(page.size + 1)
    ).mappings()
    return [_incident(row) for row in rows]


def some_account(tx: Connection, platform: Platform) -> tuple[UUID, UUID] | None:
    """Workspace and id of a connected account of a platform, to probe it with; None without one."""
    row = tx.execute(
        select(accounts.c.workspace_id, accounts.c.account_id)
        .where(accounts.c.platform == platform.value, accounts.c.state == AccountState.CONNECTED.value)
        .order_by(func.random())
        .limit(1)
    ).first()
    return (row.workspace_id, row.account_id) if row else None


def _incident(row: RowMapping) -> Incident:
    return Incident(
        incident_id=row["incident_id"],
        platform=Platform(row["platform"]),
        start_time=row["start_time"],
        end_time=row["end_time"],
        cause=row["cause"],
        probes=row["probes"],
        passed_probes=row["passed_probes"],
        next_probe_time=row["next_probe_time"],
    )
