"""Identity's process: nothing to serve, `migrate` to prepare its schema, `new-key` to let an owner in again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from uuid import UUID

from reelroute.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server

from kit import idempotency, service
from kit.db import ALL_WORKSPACES, Database
from kit.paging import MAX_PAGE_SIZE, Page
from services.identity import store
from services.identity.api import IdentityApi, utc_now
from services.identity.config import IdentityConfig
from services.identity.domain import KeyText, WorkspaceNotFound
from services.identity.first_start import FirstKeyFileUnusable, add_full_key, ensure_workspace

_FORGET_EVERY_SECONDS = 3600


def run(config: IdentityConfig) -> None:
    """Serves until told to stop; the first start of all makes a workspace and shows its key."""
    db = service.open_database("identity", config)
    try:
        ensure_workspace(db, config, utc_now(), sys.stdout)
    except FirstKeyFileUnusable as error:
        sys.exit(str(error))
    service.serve(
        "identity",
        config,
        servicers=[(add_IdentityServiceServicer_to_server, IdentityApi(db), "reelroute.identity.v1.IdentityService")],
        duties=[
            service.Duty(
                "forget answered requests", _FORGET_EVERY_SECONDS, lambda: idempotency.forget(db, store.requests)
            )
        ],
    )
    db.close()


def new_key(config: IdentityConfig, arguments: Sequence[str]) -> None:
    """Makes a key with every scope for the workspace named by its id, and prints its text: the way back in.

    Standard output gets the text alone, so that it can go into a file; everything else goes to standard error.
    """
    db = service.open_database("identity", config)
    workspace_id = _workspace_id(arguments)
    if workspace_id is None:
        sys.exit(f"usage: python -m services.identity new-key WORKSPACE_ID\n{_known_workspaces(db)}")
    key_text = KeyText.make()
    try:
        with db.transaction(workspace_id) as tx:
            add_full_key(tx, workspace_id, key_text, "Made on the command line", utc_now())
    except WorkspaceNotFound as error:
        sys.exit(f"{error}\n{_known_workspaces(db)}")
    db.close()
    sys.stderr.write("The new key may do everything. It is shown this once; revoke the keys that it replaces.\n")
    sys.stdout.write(key_text.text + "\n")


def _workspace_id(arguments: Sequence[str]) -> UUID | None:
    try:
        return UUID(" ".join(arguments))
    except ValueError:
        return None


def _known_workspaces(db: Database) -> str:
    with db.transaction(ALL_WORKSPACES) as tx:
        known = store.list_workspaces(tx, Page(MAX_PAGE_SIZE, None))
    if not known:
        return "There is no workspace yet. Start the service once: it makes one, and a key."
    return "\n".join(["The workspaces:", *(f"  {item.workspace_id}  {item.display_name}" for item in known)])


if __name__ == "__main__":
    service.main("identity", IdentityConfig, run, {"new-key": new_key})
