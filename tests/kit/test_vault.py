"""Data keys under master keys that change, by several processes at once."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from kit.config import VaultSettings
from kit.crypto import KeyUnusable
from kit.db import ALL_WORKSPACES, Database
from kit.key_ring import KeyRing, id_of
from kit.vault import MasterKeyMissing, Vault, open_ring
from services.publisher.tables import data_keys
from tests.services import service_database

PLACE = "accounts.access_token|1"


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "publisher") as opened:
        yield opened


def vault_of(*numbers: int) -> Vault:
    """The vault of a process whose ring has the keys of these numbers."""
    return Vault(KeyRing("\n".join(base64.b64encode(bytes([each]) * 32).decode() for each in numbers)), data_keys)


def key_id(number: int) -> str:
    return id_of(bytes([number]) * 32)


def seal(database: Database, vault: Vault, workspace_id: UUID) -> bytes:
    with database.transaction(workspace_id) as tx:
        return vault.seal(tx, workspace_id, PLACE, f"token of {workspace_id}")


def unseal(database: Database, vault: Vault, workspace_id: UUID, sealed: bytes) -> str:
    with database.transaction(workspace_id) as tx:
        return vault.unseal(tx, workspace_id, PLACE, sealed)


def test_what_was_sealed_before_a_rotation_opens_after_it_and_without_the_old_key(database: Database) -> None:
    old = vault_of(1)
    sealed = {workspace: seal(database, old, workspace) for workspace in (uuid4() for _ in range(250))}
    # In memory from its first use on.
    first = next(iter(sealed))
    unseal(database, old, first, sealed[first])
    rotating = [vault_of(2, 1) for _ in range(3)]
    with ThreadPoolExecutor(3) as processes:
        done = list(processes.map(lambda each: each.rotate(database), rotating))
    # What one has locked the others leave to it.
    assert sum(done) == 250
    assert rotating[0].usage(database) == {key_id(2): 250}
    assert rotating[0].rotate(database) == 0
    after = vault_of(2)
    after.check(database)
    for workspace, value in sealed.items():
        assert unseal(database, after, workspace, value) == f"token of {workspace}"
    # Who has the data key in memory goes on; who would have to open it is told what is lacking.
    unseal(database, old, first, sealed[first])
    with pytest.raises(MasterKeyMissing, match=f"wrapped by the master key {key_id(2)}, which is not in the key ring"):
        unseal(database, vault_of(1), first, sealed[first])


def test_data_keys_from_before_master_keys_had_ids_are_opened_and_get_one(database: Database) -> None:
    workspace = uuid4()
    sealed = seal(database, vault_of(1), workspace)
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE data_keys SET master_key_id = ''"))
    with pytest.raises(MasterKeyMissing, match="a master key that is not in the key ring"):
        vault_of(2).check(database)
    ring = vault_of(2, 1)
    ring.check(database)
    assert unseal(database, ring, workspace, sealed) == f"token of {workspace}"
    assert ring.rotate(database) == 1
    assert ring.usage(database) == {key_id(2): 1}


def test_a_data_key_that_cannot_be_opened_stops_neither_the_others_nor_is_forgotten(database: Database) -> None:
    workspaces = sorted(uuid4() for _ in range(3))
    for workspace in workspaces:
        seal(database, vault_of(1), workspace)
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text("UPDATE data_keys SET wrapped_key = 'spoilt' WHERE workspace_id = :first"), {"first": workspaces[0]}
        )
    ring = vault_of(2, 1)
    assert ring.rotate(database) == 2
    assert ring.usage(database) == {key_id(1): 1, key_id(2): 2}


def test_the_report_says_which_keys_are_needed(database: Database) -> None:
    seal(database, vault_of(3), uuid4())
    seal(database, vault_of(2), uuid4())
    assert vault_of(1, 2).report(database).splitlines() == [
        f"line 1   {key_id(1)} current  0 data keys",
        f"line 2   {key_id(2)} old      1 data keys",
        f"-        {key_id(3)} missing  1 data keys",
    ]
    with pytest.raises(MasterKeyMissing, match=rf"Data keys \(1\) are wrapped by the master key {key_id(3)}"):
        vault_of(1, 2).check(database)


def test_a_service_without_a_master_key_or_with_half_a_kms_is_told_what_to_set() -> None:
    def ring(**values: object) -> KeyRing:
        settings = {"database_url": SecretStr("x"), "service_token": SecretStr("x" * 32), "listen": "", **values}
        return open_ring(VaultSettings.model_validate({"metrics_listen": "", **settings}))

    with pytest.raises(KeyUnusable, match="Set REELROUTE_KEY_RING_FILE"):
        ring()
    with pytest.raises(KeyUnusable, match="needs REELROUTE_KMS_KEY and REELROUTE_KMS_TOKEN_FILE"):
        ring(kms_url="https://vault.example:8200", master_key=SecretStr("x"))
