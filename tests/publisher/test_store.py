"""What lies in the publisher's database: its tables, what is sealed in them, who sees which row."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from kit.crypto import SealBroken
from kit.db import ALL_WORKSPACES, Database
from services.publisher import account_store, store, tables, use_store
from services.publisher.account_store import PendingConnection
from services.publisher.domain import Account, ConnectionStateUnknown, Platform, Step
from services.publisher.ledger import Ledger
from tests.publisher.factories import (
    ACCESS,
    OTHER_WORKSPACE,
    REFRESH,
    WORKSPACE,
    a_claim,
    a_publication,
    at_step,
    save_account,
)
from tests.publisher.rows import rows
from tests.publisher.stage import a_vault

VERIFIER = "planted-verifier-" * 4


def test_the_tables_are_what_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name != "alembic_version"},
        )
        assert compare_metadata(context, tables.metadata) == []


@pytest.mark.anyio
async def test_s16_no_token_and_no_upload_address_lies_open_in_any_column(ledger: Ledger) -> None:
    save_account(ledger)
    await at_step(ledger, a_claim(), Step.COMMITTING)
    with ledger.database.transaction(WORKSPACE) as tx:
        pending = PendingConnection(WORKSPACE, Platform.TIKTOK, "http://127.0.0.1:5000/", VERIFIER)
        account_store.insert_connection(tx, ledger.vault, "state-1", pending, datetime.now(UTC) + timedelta(minutes=10))
    planted = (ACCESS, REFRESH, VERIFIER, "upload-secret")
    columns = 0
    for table in tables.metadata.sorted_tables:
        for row in rows(ledger.database, table.name):
            for value in row.values():
                raw = bytes(value) if isinstance(value, memoryview | bytes) else str(value).encode()
                columns += 1
                assert not [secret for secret in planted if secret.encode() in raw]
    assert columns > 90


def test_s16_a_sealed_value_opens_at_no_other_place(ledger: Ledger) -> None:
    mine = [save_account(ledger, profile=profile) for profile in ("open-1", "open-2")]
    theirs = save_account(ledger, OTHER_WORKSPACE)

    def copy(column: str, source: Account, target: Account, target_column: str) -> None:
        with ledger.database.transaction(ALL_WORKSPACES) as tx:
            tx.execute(
                text(
                    f"UPDATE accounts SET {target_column} = (SELECT {column} FROM accounts WHERE account_id = :source)"
                    " WHERE account_id = :target"
                ),
                {"source": source.account_id, "target": target.account_id},
            )

    for source, target, column in ((mine[0], mine[1], "access_token"), (mine[0], theirs, "access_token")):
        copy("access_token", source, target, column)
        with pytest.raises(SealBroken), ledger.database.transaction(target.workspace_id) as tx:
            account_store.read_tokens(tx, ledger.vault, target)
    copy("access_token", mine[0], mine[0], "refresh_token")
    with pytest.raises(SealBroken), ledger.database.transaction(WORKSPACE) as tx:
        account_store.read_tokens(tx, ledger.vault, mine[0])


def test_another_master_key_opens_nothing(ledger: Ledger) -> None:
    account = save_account(ledger)
    with pytest.raises(SealBroken), ledger.database.transaction(WORKSPACE) as tx:
        account_store.read_tokens(tx, a_vault(base64.b64encode(bytes(32)).decode()), account)


def test_r23_connecting_again_keeps_the_id_and_a_stored_refresh_token(ledger: Ledger) -> None:
    first = save_account(ledger)
    again = save_account(ledger, refresh="")
    assert again.account_id == first.account_id
    with ledger.database.transaction(WORKSPACE) as tx:
        assert account_store.read_tokens(tx, ledger.vault, again).refresh_token == REFRESH


def test_a_connections_state_is_good_once_in_its_workspace_and_time(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    pending = PendingConnection(WORKSPACE, Platform.TIKTOK, "http://127.0.0.1:5000/", VERIFIER)
    with ledger.database.transaction(WORKSPACE) as tx:
        account_store.insert_connection(tx, ledger.vault, "good", pending, now + timedelta(minutes=10))
        account_store.insert_connection(tx, ledger.vault, "old", pending, now - timedelta(seconds=1))

    def take(workspace_id: UUID, state: str) -> PendingConnection:
        with ledger.database.transaction(workspace_id) as tx:
            return account_store.take_connection(tx, ledger.vault, workspace_id, state)

    for workspace_id, state in ((OTHER_WORKSPACE, "good"), (WORKSPACE, "old"), (WORKSPACE, "never")):
        with pytest.raises(ConnectionStateUnknown):
            take(workspace_id, state)
    assert take(WORKSPACE, "good") == pending
    with pytest.raises(ConnectionStateUnknown):
        take(WORKSPACE, "good")
    with ledger.database.transaction(ALL_WORKSPACES) as tx:
        assert account_store.forget_connections(tx) == 1


@pytest.mark.anyio
async def test_a_transaction_sees_only_its_workspace_and_nothing_without_one(ledger: Ledger) -> None:
    for workspace_id in (WORKSPACE, OTHER_WORKSPACE):
        account, claim = save_account(ledger, workspace_id), a_claim(workspace_id=workspace_id)
        await at_step(ledger, claim, Step.ACCEPTED)
        with ledger.database.transaction(workspace_id) as tx:
            use_store.take_place(tx, account, claim.delivery_id, draft=False)
    isolated = [table.name for table in tables.metadata.sorted_tables if "workspace_id" in table.c]
    assert len(isolated) == 9

    def count(tx: Connection, table: str) -> int:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    # Reports and activities of a batch belong to the installation.
    for table in set(isolated) - {"connections", "outbox", "vendor_calls"}:
        with ledger.database.transaction(WORKSPACE) as tx:
            mine = count(tx, table)
        with ledger.database.transaction(ALL_WORKSPACES) as tx:
            assert (mine, count(tx, table)) == (mine, 2 * mine)
        assert mine > 0
        with ledger.database.transaction(uuid4()) as tx:
            assert count(tx, table) == 0
        with ledger.database.engine.connect() as unscoped:
            assert count(unscoped, table) == 0


def test_a_row_for_another_workspace_cannot_be_written(ledger: Ledger) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), ledger.database.transaction(WORKSPACE) as tx:
        store.write_publications(tx, ledger.vault, [a_publication(workspace_id=OTHER_WORKSPACE, revision=1)])


@pytest.mark.anyio
@pytest.mark.parametrize(
    "change",
    [
        "step = 'HANDLE'",  # without a handle
        "step = 'ACCEPTED'",  # without a time for the question
        "step = 'UNCERTAIN'",  # neither asked about nor left to a person
        "step = 'PREPARED', next_check_time = now()",  # there is nothing to ask
        "step = 'PUBLISHED'",  # without time and visibility
        "step = 'FAILED'",  # without a failure
        "step = 'LOST'",  # unknown
    ],
)
async def test_the_database_refuses_steps_that_contradict_themselves(ledger: Ledger, change: str) -> None:
    await at_step(ledger, a_claim(), Step.OPENED)
    with pytest.raises(DBAPIError, match="check constraint"), ledger.database.transaction(WORKSPACE) as tx:
        tx.execute(text(f"UPDATE publications SET {change}"))
