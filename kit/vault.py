"""Sealing secrets: one data key per workspace, wrapped by a master key of the ring, made at the first need.

The associated data of a sealed value is its place (table, column, row), so that a value moved elsewhere does not open.

The master key can be changed while everything runs. `Vault.rotate`, a duty of every process with a vault, wraps again
under the current master key what another one wraps. A data key stays the same, and so does what it has sealed: who has
it in memory goes on, who reads it finds the id of its master key beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from prometheus_client import Gauge
from sqlalchemy import Column, Connection, Index, LargeBinary, MetaData, Row, Table, Text, Uuid, func, select, update
from sqlalchemy.dialects.postgresql import insert

from kit import crypto
from kit.config import VaultSettings
from kit.crypto import KeyUnusable
from kit.db import ALL_WORKSPACES, Database, time_column
from kit.key_ring import KeyRing, MasterKey
from kit.kms import TransitKms

log = structlog.get_logger()

DATA_KEYS = Gauge(
    "reelroute_data_keys", "Data keys by the master key that wraps them, and what that is now.", ["master_key", "state"]
)
_BATCH = 100
_FIRST = UUID(int=0)
# The id of a master key in rows that were written before there were ids: any of the ring.
_ANY = ""


class MasterKeyMissing(crypto.SealBroken):
    """A data key is wrapped by a master key that is not in the ring."""


def data_keys_table(metadata: MetaData) -> Table:
    """The table of data keys. A service that keeps secrets has one, named `data_keys`."""
    return Table(
        "data_keys",
        metadata,
        Column("workspace_id", Uuid, primary_key=True),
        Column("wrapped_key", LargeBinary, nullable=False),
        Column("master_key_id", Text, nullable=False, server_default=_ANY),
        time_column("create_time", now=True),
        Index("data_keys_by_master_key", "master_key_id", "workspace_id"),
    )


def open_ring(config: VaultSettings) -> KeyRing:
    """The key ring that a service is configured with. Raises KeyUnusable."""
    kms = None
    if config.kms_url:
        if not config.kms_key or config.kms_token_file is None:
            raise KeyUnusable("REELROUTE_KMS_URL needs REELROUTE_KMS_KEY and REELROUTE_KMS_TOKEN_FILE beside it.")
        kms = TransitKms(config.kms_url, config.kms_mount, config.kms_key, config.kms_token_file, config.kms_seconds)
    if config.key_ring_file is not None:
        return KeyRing(config.key_ring_file, kms)
    if config.master_key is not None:
        return KeyRing(config.master_key.get_secret_value(), kms)
    raise KeyUnusable(
        "There is no master key. Set REELROUTE_KEY_RING_FILE to a file of master keys, or REELROUTE_MASTER_KEY to one."
    )


class Vault:
    """Seals and unseals text for workspaces. Holds unwrapped keys in memory; thread-safe."""

    def __init__(self, ring: KeyRing, table: Table) -> None:
        self._ring, self._table = ring, table
        self._keys: dict[UUID, bytes] = {}

    def seal(self, tx: Connection, workspace_id: UUID, place: str, value: str) -> bytes:
        """The value for storing at a place ("accounts.access_token|<id>")."""
        return crypto.seal(self._key(tx, workspace_id), value.encode(), f"{workspace_id}|{place}")

    def unseal(self, tx: Connection, workspace_id: UUID, place: str, sealed: bytes) -> str:
        """The value again. Raises crypto.SealBroken when it does not belong there; MasterKeyMissing."""
        return crypto.unseal(self._key(tx, workspace_id), sealed, f"{workspace_id}|{place}").decode()

    def fingerprint(self, tx: Connection, workspace_id: UUID, place: str, value: str) -> bytes:
        """A keyed hash by which the same value is found again in a column ("orders.buyer_hash") of one workspace."""
        return crypto.fingerprint(self._key(tx, workspace_id), value.encode(), f"{workspace_id}|{place}")

    def check(self, database: Database) -> None:
        """Raises MasterKeyMissing when a data key could not be opened. For the start of a process."""
        usage = self.usage(database)
        for key_id, count in usage.items():
            with database.transaction(ALL_WORKSPACES) as tx:
                table = self._table.c
                row = tx.execute(select(self._table).where(table.master_key_id == key_id).limit(1)).first()
            if row is not None:
                self._opened(row, f"Data keys ({count:,}) are")
        self._show(usage)

    def usage(self, database: Database) -> dict[str, int]:
        """How many data keys each master key wraps, by its id; "" for those from before ids were kept."""
        column = self._table.c.master_key_id
        with database.transaction(ALL_WORKSPACES) as tx:
            counted = tx.execute(select(column, func.count()).group_by(column))
            return {row[0]: row[1] for row in counted}

    def rotate(self, database: Database) -> int:
        """Reads the ring again, and wraps under its current key what others wrap; returns how many data keys.

        Of several processes at once each takes some. Those that cannot be opened are logged and stay as they are.
        """
        self._ring.refresh()
        current, rewrapped = self._ring.current, 0
        for old in [each.key_id for each in self._ring.keys if each.key_id != current.key_id] + [_ANY]:
            after: UUID | None = _FIRST
            while after is not None:
                with database.transaction(ALL_WORKSPACES) as tx:
                    done, after = self._rewrap(tx, old, current, after)
                rewrapped += done
        if rewrapped:
            log.info("data keys are wrapped anew", master_key=current.key_id, data_keys=rewrapped)
        self._show(self.usage(database))
        return rewrapped

    def _rewrap(self, tx: Connection, old: str, current: MasterKey, after: UUID) -> tuple[int, UUID | None]:
        """The next batch: how many were rewrapped, and the last that was looked at, None when there are no more."""
        table = self._table.c
        rows: Sequence[Row[tuple[object, ...]]] = tx.execute(
            select(self._table)
            .where(table.master_key_id == old, table.workspace_id > after)
            .order_by(table.workspace_id)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        done = 0
        for row in rows:
            try:
                key = self._opened(row, "A data key is")
            except crypto.SealBroken as error:
                log.error("a data key does not open", workspace_id=str(row.workspace_id), problem=str(error))
                continue
            wrapped = crypto.seal(current.key, key, _place(row.workspace_id))
            tx.execute(
                update(self._table)
                .where(table.workspace_id == row.workspace_id)
                .values(wrapped_key=wrapped, master_key_id=current.key_id)
            )
            done += 1
        return done, rows[-1].workspace_id if len(rows) == _BATCH else None

    def report(self, database: Database) -> str:
        """For people: each master key, where it stands in the ring, and how many data keys need it."""
        return "\n".join(
            f"{f'line {line}' if line else '-':8} {key_id:8} {state:8} {count:,} data keys"
            for key_id, line, state, count in self._standing(self.usage(database))
        )

    def _show(self, usage: dict[str, int]) -> None:
        DATA_KEYS.clear()
        for key_id, _, state, count in self._standing(usage):
            DATA_KEYS.labels(key_id, state).set(count)

    def _standing(self, usage: dict[str, int]) -> list[tuple[str, int, str, int]]:
        """Each master key's id, its line in the ring (0: none), what it is now, and how many data keys it wraps."""
        keys = self._ring.keys
        found = []
        for each in keys:
            state = "current" if each is keys[0] else "old" if each.line else "removed"
            found.append((each.key_id, each.line, state, usage.get(each.key_id, 0)))
        known = {each.key_id for each in keys}
        for key_id, count in usage.items():
            if key_id == _ANY:
                found.append(("any", 0, "old", count))
            elif key_id not in known:
                found.append((key_id, 0, "missing", count))
        return found

    def _key(self, tx: Connection, workspace_id: UUID) -> bytes:
        key = self._keys.get(workspace_id)
        if key is None:
            current = self._ring.current
            made = tx.execute(
                insert(self._table)
                .values(
                    workspace_id=workspace_id,
                    wrapped_key=crypto.seal(current.key, crypto.new_key(), _place(workspace_id)),
                    master_key_id=current.key_id,
                )
                .on_conflict_do_nothing()
            )
            row = tx.execute(select(self._table).where(self._table.c.workspace_id == workspace_id)).one()
            key = self._opened(row, "The workspace's data key is")
            # Not kept by the transaction that made it: it might yet be rolled back.
            if made.rowcount == 0:
                self._keys[workspace_id] = key
        return key

    def _opened(self, row: Row[tuple[object, ...]], what: str) -> bytes:
        """The data key of a row. Raises MasterKeyMissing, whose text begins with `what`."""
        place, wrapped = _place(row.workspace_id), bytes(row.wrapped_key)
        if row.master_key_id != _ANY:
            master = self._ring.find(row.master_key_id)
            if master is None:
                raise MasterKeyMissing(
                    f"{what} wrapped by the master key {row.master_key_id}, which is not in the key ring. Put it back,"
                    " below the current one, until no data key needs it."
                )
            return crypto.unseal(master.key, wrapped, place)
        for master in self._ring.keys:
            try:
                return crypto.unseal(master.key, wrapped, place)
            except crypto.SealBroken:
                continue
        raise MasterKeyMissing(
            f"{what} wrapped by a master key that is not in the key ring. Put the one that was used so far back, below"
            " the current one."
        )


def _place(workspace_id: UUID) -> str:
    return f"data_keys|{workspace_id}"
