"""What is done for tokens ahead of time, whether or not they are used: access tokens are refreshed, and people are told
of authorisations that end. The duties of every publisher; what one takes the others leave to it.

An authorisation that its owner has ended is found by the next refresh, so a quiet account is told of within a day, and
not in the minute of its next post.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

import structlog

from kit.activity import activity
from kit.db import ALL_WORKSPACES, Database
from kit.errors import ReelrouteError
from services.publisher import endings, renewal_store, store
from services.publisher.domain import Account
from services.publisher.forecast import TOKEN_ENDS
from services.publisher.foresight import Foresight
from services.publisher.renewal_store import Ending

log = structlog.get_logger()

# An account whose platform did not answer is refreshed again after that; its posts do so sooner.
_AGAIN = timedelta(minutes=10)
_ENDINGS_AT_ONCE = 100
_CHECK_AGAIN = timedelta(hours=1)
# Planned so far ahead, and so many of a workspace, posts are counted.
_HORIZON = timedelta(days=366)
_MOST_POSTS = 20_000


class Renewals:
    """Refreshes access tokens before they end. `refresh` does so for some accounts at once."""

    def __init__(
        self, database: Database, refresh: Callable[[Sequence[Account]], None], lead: timedelta, at_once: int
    ) -> None:
        self._database, self._refresh, self._lead, self._at_once = database, refresh, lead, at_once

    def run_once(self) -> None:
        """Refreshes what is due, no more than `at_once`: a platform is not asked for all accounts in one moment."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            renewal_store.count_renewals(tx, self._lead)
            due = renewal_store.take_renewals(tx, self._at_once, _AGAIN)
        if due:
            self._refresh(due)


class Endings:
    """Tells of authorisations that end."""

    def __init__(self, database: Database, foresight: Foresight) -> None:
        self._database, self._foresight = database, foresight

    def run_once(self) -> None:
        """Looks at those that were not looked at for an hour."""
        while True:
            with self._database.transaction(ALL_WORKSPACES) as tx:
                found = renewal_store.take_endings(tx, _ENDINGS_AT_ONCE, _CHECK_AGAIN)
            by_workspace: dict[UUID, list[Ending]] = {}
            for each in found:
                by_workspace.setdefault(each.account.workspace_id, []).append(each)
            for workspace_id, mine in by_workspace.items():
                self._look(workspace_id, mine)
            if len(found) < _ENDINGS_AT_ONCE:
                return

    def _look(self, workspace_id: UUID, found: Sequence[Ending]) -> None:
        try:
            behind = self._behind(workspace_id, found)
        except ReelrouteError as error:
            # The scheduler is away; of the stages it is told all the same, and of the posts an hour later.
            log.warning("posts behind the end of an authorisation are not counted", reason=error.reason)
            behind = {}
        for each in found:
            self._tell(each, behind.get(each.account.account_id, []))

    def _behind(self, workspace_id: UUID, found: Sequence[Ending]) -> dict[UUID, list[datetime]]:
        """When posts behind the ends are to go out, by account and time."""
        ends = {each.account.account_id: each.end for each in found}
        first = min(ends.values())
        times: dict[UUID, list[datetime]] = {}
        for each in islice(self._foresight.upcoming(str(workspace_id), first, first + _HORIZON), _MOST_POSTS):
            end = ends.get(each.account_id)
            if end is not None and each.due_time >= end:
                times.setdefault(each.account_id, []).append(each.due_time)
        return times

    def _tell(self, ending: Ending, behind: Sequence[datetime]) -> None:
        account = ending.account
        with self._database.transaction(account.workspace_id) as tx:
            now = store.database_time(tx)
            fresh = endings.to_tell(ending.end, ending.told, len(behind), now)
            if not fresh or not renewal_store.set_told(tx, ending, ending.told | fresh):
                return
            summary = endings.text(account.handle, ending.end, len(behind), behind[0] if behind else None, now)
            attributes = {
                "handle": account.handle,
                "platform": account.platform.value.lower(),
                "reason": TOKEN_ENDS,
                "posts": str(len(behind)),
            }
            told = activity(
                account.workspace_id,
                "account.authorization_ending",
                summary,
                now,
                account_id=account.account_id,
                attributes=attributes,
            )
            store.tell(tx, [told])
