"""A day and ten minutes before posts go out, people are told of those that will not: the forecast, made in time.

Each stage has a row that says up to which due time it has looked. One process at a time takes the next piece of time,
foresees the workspaces that have something due in it, and moves the row on in the transaction that tells of what was
found. So each delivery is looked at once in each stage, whoever dies; and one that moves to a later time once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from reelroute.notification.v1 import notification_pb2
from sqlalchemy.exc import SQLAlchemyError

from kit.activity import activities, activity_request
from kit.db import ALL_WORKSPACES, Database
from kit.errors import DeadlineExceeded, Unavailable
from services.publisher import account_store, preflight_store, store
from services.publisher.accounts import LIMITS_LAST
from services.publisher.domain import Account, AccountState
from services.publisher.forecast import ON_TIME, Foreseen
from services.publisher.foresight import Foresight
from services.publisher.obstacles import Cause, Upcoming

log = structlog.get_logger()

_LEASE_SECONDS = 300.0
_NAMED = 5  # posts that a message names


@dataclass(frozen=True, slots=True)
class Stage:
    """Looks at what is due `ahead` of now. It takes `piece` at once, so that what has one cause is told in one message:
    some of it is told that much sooner. Asks the platforms what accounts may do with `reads`.
    """

    name: str
    ahead: timedelta
    piece: timedelta
    reads: bool
    untold: frozenset[Cause] = frozenset()


STAGES = (
    Stage("DAY", timedelta(hours=24), timedelta(hours=6), reads=False),
    # Who paused something was told a day ahead what that keeps back, or has done it since.
    Stage("MINUTES", timedelta(minutes=10), timedelta(minutes=1), reads=True, untold=frozenset({Cause.PAUSE})),
)
# What is a matter of an account is told for each; everything else for the workspace.
_OF_ACCOUNT = (Cause.QUOTA, Cause.TOKEN, Cause.ACCOUNT)


class Preflight:
    """The duty. `read_limits` asks the platforms what accounts may do now, and keeps the answers."""

    def __init__(
        self, database: Database, foresight: Foresight, read_limits: Callable[[Sequence[Account]], None]
    ) -> None:
        self._database = database
        self._foresight = foresight
        self._read_limits = read_limits

    def run_once(self) -> None:
        """Each stage that has something to look at. What fails is tried again in the next round."""
        for stage in STAGES:
            self.look(stage)

    def look(self, stage: Stage) -> None:
        """The next piece of a stage, if its time has come."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            now = store.database_time(tx)
            since = preflight_store.take_stage(tx, stage.name, now + stage.ahead, _LEASE_SECONDS)
        if since is None:
            return
        until = now + stage.ahead + stage.piece
        found = self._found(stage, max(since, now), until, now)
        with self._database.transaction(ALL_WORKSPACES) as tx:
            if preflight_store.advance_stage(tx, stage.name, since, until) and found:
                told = [_told(group, stage, now) for group in _groups(found)]
                store.tell(tx, activities(told))

    def _found(self, stage: Stage, since: datetime, until: datetime, now: datetime) -> list[Foreseen]:
        """What of the piece will not go out."""
        entering: dict[UUID, set[UUID]] = {}
        for each in self._foresight.upcoming("", since, until):
            if not _is_told_already(each):
                entering.setdefault(each.workspace_id, set()).add(each.account_id)
        found: list[Foreseen] = []
        for workspace_id, account_ids in entering.items():
            if stage.reads:
                self._refresh(workspace_id, account_ids, now)
            try:
                forecast = self._foresight.forecast(workspace_id, until - now)
            except (Unavailable, DeadlineExceeded, SQLAlchemyError):
                raise
            except Exception as error:
                # One workspace's odd data keeps nothing from the others.
                log.error("a preflight broke", workspace_id=str(workspace_id), exc_info=error)
                continue
            found += [
                each
                for each in forecast.failures
                if since <= each.upcoming.due_time < until
                and each.cause not in stage.untold
                and not _is_told_already(each.upcoming)
            ]
        return found

    def _refresh(self, workspace_id: UUID, account_ids: set[UUID], now: datetime) -> None:
        with self._database.transaction(workspace_id) as tx:
            accounts = account_store.read_accounts(tx, workspace_id, account_ids)
        self._read_limits(
            [
                each
                for each in accounts.values()
                if each.state is AccountState.CONNECTED
                and (each.limits_time is None or now - each.limits_time > LIMITS_LAST)
            ]
        )


def _is_told_already(each: Upcoming) -> bool:
    """What was put off is told when it is."""
    return each.due_time > each.schedule_time + ON_TIME


def _groups(found: Sequence[Foreseen]) -> list[list[Foreseen]]:
    """What is told in one message: what fails for one cause."""
    groups: dict[tuple[UUID, Cause, UUID | None], list[Foreseen]] = {}
    for each in sorted(found, key=lambda each: each.key):
        account = each.upcoming.account_id if each.cause in _OF_ACCOUNT else None
        groups.setdefault((each.upcoming.workspace_id, each.cause, account), []).append(each)
    return list(groups.values())


def _told(group: Sequence[Foreseen], stage: Stage, now: datetime) -> notification_pb2.RecordActivityRequest:
    first, upcoming = group[0], group[0].upcoming
    of_account = first.cause in _OF_ACCOUNT or len(group) == 1
    becomes = "be late" if all(each.delayed_until for each in group) else "not go out"
    time = f"{upcoming.schedule_time:%Y-%m-%d %H:%M} UTC"
    if len(group) == 1:
        name = f" {upcoming.ref}" if upcoming.ref else ""
        text = f"The post{name} for {time} will {becomes}: {first.message}"
    else:
        names = ", ".join(each.upcoming.ref for each in group[:_NAMED] if each.upcoming.ref)
        more = f" ({names}{', …' if len(group) > _NAMED else ''})" if names else ""
        text = f"{len(group)} posts{more} will {becomes}, the first at {time}: {first.message}"
    return activity_request(
        upcoming.workspace_id,
        "delivery.foreseen",
        text,
        now,
        post_id=upcoming.post_id,
        delivery_id=upcoming.delivery_id,
        account_id=upcoming.account_id if of_account else None,
        attributes={
            "cause": first.cause.value,
            "reason": first.reason,
            "posts": str(len(group)),
            "stage": stage.name,
        },
    )
