"""Sealing tokens: one data key per workspace, wrapped by the master key, made at the first need.

The associated data of a sealed value is its place (table, column, row), so that a value moved elsewhere does not open.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from kit import crypto
from services.publisher.tables import data_keys


class Vault:
    """Seals and unseals text for workspaces. Holds unwrapped keys in memory; thread-safe."""

    def __init__(self, master_key: bytes) -> None:
        self._master_key = master_key
        self._keys: dict[UUID, bytes] = {}

    def seal(self, tx: Connection, workspace_id: UUID, place: str, value: str) -> bytes:
        """The value for storing at a place ("accounts.access_token|<id>")."""
        return crypto.seal(self._key(tx, workspace_id), value.encode(), f"{workspace_id}|{place}")

    def unseal(self, tx: Connection, workspace_id: UUID, place: str, sealed: bytes) -> str:
        """The value again. Raises crypto.SealBroken when it does not belong there, or the master key is another."""
        return crypto.unseal(self._key(tx, workspace_id), sealed, f"{workspace_id}|{place}").decode()

    def _key(self, tx: Connection, workspace_id: UUID) -> bytes:
        key = self._keys.get(workspace_id)
        if key is None:
            place = f"data_keys|{workspace_id}"
            made = tx.execute(
                insert(data_keys)
                .values(
                    workspace_id=workspace_id,
                    wrapped_key=crypto.seal(self._master_key, crypto.new_key(), place),
                )
                .on_conflict_do_nothing()
            )
            wrapped = tx.execute(
                select(data_keys.c.wrapped_key).where(data_keys.c.workspace_id == workspace_id)
            ).scalar_one()
            key = crypto.unseal(self._master_key, bytes(wrapped), place)
            # Not kept by the transaction that made it: it might yet be rolled back.
            if made.rowcount == 0:
                self._keys[workspace_id] = key
        return key
