"""Consents in time: access tokens are renewed well ahead, and people are told when a seller must consent again."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import Connection

from kit.db import ALL_WORKSPACES, Database
from kit.errors import ReelrouteError
from services.fulfillment import authorization_store, store
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import END_NOTICE, Authorization

log = structlog.get_logger()

_AT_ONCE = 100  # consents in one round
# One whose token could not be renewed is tried again after that; its calls do so sooner.
_AGAIN = timedelta(minutes=10)


class Renewing:
    """Two duties. Any number of replicas may have them: one of them refreshes, and an end is told once."""

    def __init__(self, database: Database, calls: ShopCalls) -> None:
        self._database, self._calls = database, calls

    def run_once(self) -> None:
        """Renews access tokens that end soon."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            due = authorization_store.take_renewals(tx, _AT_ONCE, _AGAIN)
        for authorization in due:
            try:
                self._calls.refresh_ahead(authorization)
            except ReelrouteError as refusal:
                log.info(
                    "a token is not renewed yet",
                    authorization_id=str(authorization.authorization_id),
                    reason=refusal.reason,
                )

    def tell_of_ends(self) -> None:
        """Tells of consents that end within 30 days, of each once."""
        with self._database.transaction(ALL_WORKSPACES) as tx:
            for authorization in authorization_store.to_tell_of_end(tx, END_NOTICE, _AT_ONCE):
                tell_of_end(tx, authorization)


def tell_of_end(tx: Connection, authorization: Authorization) -> None:
    """Tells that a seller has to consent again."""
    end = authorization.refresh_expire_time
    when = f"on {end:%Y-%m-%d}" if end else "soon"
    text = f"The authorisation of {authorization.label} ends {when}. Let its seller connect it again before."
    store.tell_of_shops(tx, authorization.workspace_id, "shop.authorization_ending", text, authorization.label)
