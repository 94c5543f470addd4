"""When the rules of a time zone change, posts keep their wall-clock times and their instants move.

The fingerprint of every zone that there is is compared with the one by which instants were last made, at the start of a
process and each hour: six hundred small files, read in a tenth of a second. So nobody keeps account of the zones that
posts use. An update of the time zone data changes a few of them, a few times a year; then the posts that are still to
come are walked through, workspace by workspace in the order of an index, and those of the changed zones are derived
again. The fingerprints are stored last: whoever dies before leaves the walk to the next, which finds what is left.

For a day after a change its zones are walked through again each hour: a replica of the version before, or a call that
was under way, may have saved posts by the former rules. Replicas that do not have the same rules for longer each derive
by their own; the last one to stay has the last word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Connection

from kit.activity import activity
from kit.db import ALL_WORKSPACES, Database
from services.scheduler import store, zone_store, zones
from services.scheduler.deciding import NOBODY

log = structlog.get_logger()

_BATCH = 2000  # posts in one transaction
_SETTLED_AFTER = timedelta(days=1)


class ZoneWatch:
    """Goes its rounds, in steps of one transaction. One for a process."""

    def __init__(self, database: Database, *, batch: int = _BATCH) -> None:
        self._database = database
        self._batch = batch
        self._round: Iterator[None] | None = None

    def run_once(self) -> bool:
        """One step. True while the round goes on; after an error it begins anew."""
        steps, self._round = self._round or self._walk(), None
        for _ in steps:
            self._round = steps
            return True
        return False

    def _walk(self) -> Iterator[None]:
        zones.read_again()
        rules = {name: zones.fingerprint(name) for name in zones.names()}
        with self._database.transaction(ALL_WORKSPACES) as tx:
            known = zone_store.read_rules(tx, _SETTLED_AFTER)
        changed = {
            name
            for name, fingerprint in rules.items()
            if name not in known or known[name].fingerprint != fingerprint or not known[name].is_settled
        }
        if not changed:
            return
        workspace_id: UUID | None = NOBODY
        while workspace_id is not None:
            with self._database.transaction(ALL_WORKSPACES) as tx:
                workspace_id = zone_store.next_workspace(tx, workspace_id)
            after: tuple[datetime, UUID] | None = None
            while workspace_id is not None:
                with self._database.transaction(workspace_id) as tx:
                    after = self._derive(tx, workspace_id, changed, after)
                yield
                if after is None:
                    break
        with self._database.transaction(ALL_WORKSPACES) as tx:
            zone_store.put_rules(tx, {name: rules[name] for name in changed})

    def _derive(
        self, tx: Connection, workspace_id: UUID, time_zones: Collection[str], after: tuple[datetime, UUID] | None
    ) -> tuple[datetime, UUID] | None:
        """Derives the instants of a batch of posts again. Where the next begins; None at the end of the workspace."""
        found = zone_store.coming_posts(tx, workspace_id, time_zones, after, self._batch)
        wrong = [post_id for post_id, schedule in found if zones.instant_of(schedule) != schedule.instant]
        if wrong:
            locked = zone_store.lock_posts(tx, workspace_id, wrong)
            derived = {post_id: (schedule.instant, zones.instant_of(schedule)) for post_id, schedule in locked}
            instants = {post_id: (old, new) for post_id, (old, new) in derived.items() if old != new}
            moved = zone_store.move(tx, workspace_id, instants)
            told = Counter(
                (schedule.time_zone, instants[post_id][1] - instants[post_id][0])
                for post_id, schedule in locked
                if post_id in moved
            )
            _tell(tx, workspace_id, told)
        if len(found) < self._batch:
            return None
        post_id, schedule = found[-1]
        return schedule.instant, post_id


def _tell(tx: Connection, workspace_id: UUID, moved: Counter[tuple[str, timedelta]]) -> None:
    """Tells how many posts moved, and how far."""
    parts = [
        f"{count} {'post' if count == 1 else 'posts'} in {zone} {zones.span(abs(by))}"
        f" {'later' if by > timedelta() else 'earlier'}"
        for (zone, by), count in sorted(moved.items())
    ]
    if parts:
        log.info("instants moved with the rules of their zones", workspace_id=str(workspace_id), moved="; ".join(parts))
        text = f"The rules of time zones changed. Posts keep their wall-clock times and go out: {'; '.join(parts)}."
        now = store.database_time(tx)
        attributes = {"posts": str(moved.total())}
        store.tell(tx, [activity(workspace_id, "time_zone.changed", text, now, attributes=attributes)])
