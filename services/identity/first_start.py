"""The first start: a workspace, its owner and a key that may do everything, made when there is no workspace yet.

The key is shown once, and a crash at any moment must not lock the owner out:

* With a file, the text is on disk before the commit. Crash before the commit: the file holds a key that never became
  good, and the next start replaces it. Crash after: the file holds the good key. When the answer to the commit is lost,
  nobody can tell which it was, so the file always stays.
* Without a file, the text is printed after the commit. A crash in between loses it; so does a lost log. Then
  `python -m services.identity new-key` makes another.
* Replicas that start together take turns; only the first finds nothing.
"""

from __future__ import annotations

import os
import stat
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TextIO
from uuid import UUID

import structlog
from sqlalchemy import Connection

from kit.db import ALL_WORKSPACES, Database, new_id
from services.identity import domain, store
from services.identity.config import IdentityConfig
from services.identity.domain import ApiKeyRefused, KeyText, Scope

log = structlog.get_logger()


class FirstKeyFileUnusable(RuntimeError):
    """The first key cannot be written where the configuration says. Nothing was made; the text says what to do."""


def ensure_workspace(db: Database, config: IdentityConfig, now: datetime, out: TextIO) -> None:
    """Makes the first workspace when there is none, and shows its key once: in the configured file, else on `out`.

    Raises FirstKeyFileUnusable, and then nothing was made.
    """
    key_text = KeyText.make()
    with db.transaction(ALL_WORKSPACES) as tx:
        store.wait_for_turn_to_begin(tx)
        if store.has_workspace(tx):
            return
        workspace = domain.new_workspace(new_id(), config.first_workspace_name, now)
        store.insert_workspace(tx, workspace)
        owner = domain.new_user(new_id(), workspace.workspace_id, config.first_user_email, "Owner", now)
        store.insert_user(tx, owner)
        add_full_key(tx, workspace.workspace_id, key_text, "First key", now, user_id=owner.user_id)
        if config.first_key_file is not None:
            # Inside of the transaction on purpose, see above; a local file is quick.
            write_key_file(config.first_key_file, key_text)
    log.info(
        "first workspace made", workspace_id=str(workspace.workspace_id), key_file=str(config.first_key_file or "")
    )
    if config.first_key_file is None:
        out.write(
            f'The workspace "{workspace.display_name}" ({workspace.workspace_id}) is ready. '
            f"Keep its API key, it is shown this once: {key_text.text}\n"
        )
        out.flush()


def add_full_key(
    tx: Connection, workspace_id: UUID, key_text: KeyText, name: str, now: datetime, user_id: UUID | None = None
) -> None:
    """Adds a key with every scope that never expires. Raises WorkspaceNotFound."""
    key = domain.new_api_key(
        new_id(), workspace_id, key_text, display_name=name, scopes=list(Scope), now=now, user_id=user_id
    )
    store.insert_api_key(tx, key, key_text.digest)


def write_key_file(path: Path, key_text: KeyText) -> None:
    """Puts the key into a file of mode 0600 and has it on disk when it returns; the file appears whole or not at all.

    A file that holds a key already is replaced: with no workspace in the database, that key opens nothing. Any other
    file is left alone. Raises FirstKeyFileUnusable.
    """
    try:
        if os.path.lexists(path) and not _holds_key(path):
            raise FirstKeyFileUnusable(
                f"{path} exists and is not a key of Reelroute, so it was left alone. Move it away, or name another "
                "file with REELROUTE_FIRST_KEY_FILE, and start again."
            )
        # Made with mode 0600, and only if no such file is there.
        handle, work = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(key_text.text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(work, path)
        finally:
            Path(work).unlink(missing_ok=True)
        _flush_folder(path.parent)
    except OSError as error:
        raise FirstKeyFileUnusable(
            f"The first key cannot be written to {path}: {error.strerror}. Make its folder writable, or name another "
            "file with REELROUTE_FIRST_KEY_FILE, and start again."
        ) from error


def _holds_key(path: Path) -> bool:
    if not stat.S_ISREG(path.lstat().st_mode):
        return False
    with path.open("rb") as file:
        content = file.read(200)
    try:
        KeyText.parse(content.decode("ascii", "replace").removesuffix("\n"))
    except ApiKeyRefused:
        return False
    return True


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
