from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from kit.crypto import SealBroken
from kit.db import ALL_WORKSPACES, Database
from services.publisher import account_store, store, tables
from services.publisher.account_store import PendingConnection, TokenPair
from services.publisher.domain import (
    Account,
    Claim,
    ConnectionStateUnknown,
    Failure,
    FailureKind,
    Fenced,
    Platform,
    Publication,
    Step,
    Verdict,
    Visibility,
)
from services.publisher.ledger import Ledger
from services.publisher.vault import Vault
from tests.publisher.factories import a_claim, a_handle, at_step
from tests.publisher.stage import MASTER_KEY, OTHER_WORKSPACE, WORKSPACE

REFUSED = Failure(FailureKind.REJECTED, "TIKTOK_SPAM_RISK", "No.")
FOR_NOW = Failure(FailureKind.TRANSIENT, "TIKTOK_INTERNAL", "Later.")
PUBLIC = Verdict(Visibility.PUBLIC, "7400", "https://www.tiktok.com/@emberfold.air/video/7400")
ACCESS, REFRESH, VERIFIER = "planted-access-token", "planted-refresh-token", "planted-verifier-" * 4


def save_account(
    ledger: Ledger, workspace_id: UUID = WORKSPACE, profile: str = "open-1", refresh: str = REFRESH
) -> Account:
    with ledger.database.transaction(workspace_id) as tx:
        return account_store.save_account(
            tx,
            ledger.vault,
            workspace_id=workspace_id,
            platform=Platform.TIKTOK,
            platform_account_id=profile,
            handle="emberfold.air",
            display_name="Air",
            scopes=("video.publish",),
            tokens=TokenPair(ACCESS, datetime.now(UTC) + timedelta(days=1), refresh, None),
        )


def rows(database: Database, table: str) -> list[dict[str, object]]:
    with database.transaction(ALL_WORKSPACES) as tx:
        return [dict(row) for row in tx.execute(text(f"SELECT * FROM {table} ORDER BY 1")).mappings()]


def everything(database: Database) -> list[list[dict[str, object]]]:
    return [rows(database, table) for table in ("publications", "attempts", "attempt_entries", "outbox")]


def reports(database: Database) -> list[tuple[str, int]]:
    """What waits for the scheduler: the method and the attempt it speaks for."""
    found = []
    for row in rows(database, "outbox"):
        if row["target"] == "scheduler":
            method = str(row["method"]).rpartition("/")[2]
            message = pb.FailDeliveryRequest if method == "FailDelivery" else pb.CompleteDeliveryRequest
            request = message.FromString(bytes(row["request"]))  # type: ignore[call-overload]
            found.append((method, request.attempt))
    return found


def test_the_tables_are_what_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name != "alembic_version"},
        )
        assert compare_metadata(context, tables.metadata) == []


WRITES: list[tuple[Step, Callable[[Ledger, Publication, Claim], object]]] = [
    (Step.OPENED, lambda ledger, publication, claim: ledger.prepared(publication, claim, "fits")),
    (Step.PREPARED, lambda ledger, publication, claim: ledger.handle_stored(publication, a_handle())),
    (Step.HANDLE, lambda ledger, publication, claim: ledger.committing(publication)),
    (Step.COMMITTING, lambda ledger, publication, claim: ledger.sent(publication, 500)),
    (Step.COMMITTING, lambda ledger, publication, claim: ledger.accepted(publication)),
    (Step.COMMITTING, lambda ledger, publication, claim: ledger.noted(publication, "The platform is asked.")),
    (Step.COMMITTING, lambda ledger, publication, claim: ledger.abandoned(publication, "Nobody answers.")),
    (Step.ACCEPTED, lambda ledger, publication, claim: ledger.report_again(publication)),
    (Step.COMMITTING, lambda ledger, publication, claim: ledger.failed(claim, REFUSED)),
    (Step.COMMITTING, lambda ledger, publication, claim: ledger.failed(claim, FOR_NOW, handle_ended=True)),
    (Step.OPENED, lambda ledger, publication, claim: ledger.broke(claim)),
    (Step.OPENED, lambda ledger, publication, claim: ledger.open(claim)),
]


@pytest.mark.parametrize(("step", "write"), WRITES)
def test_r5_an_older_attempt_writes_nothing(
    ledger: Ledger, step: Step, write: Callable[[Ledger, Publication, Claim], object]
) -> None:
    claim = a_claim()
    publication = at_step(ledger, claim, step)
    ledger.open(dataclasses.replace(claim, attempt=2))
    before = everything(ledger.database)
    with pytest.raises(Fenced):
        write(ledger, publication, claim)
    assert everything(ledger.database) == before


def test_a_verdict_counts_whoever_asked_and_is_reported_under_the_present_attempt(ledger: Ledger) -> None:
    published, refused = a_claim(), a_claim()
    for claim in (published, refused):
        at_step(ledger, claim, Step.ACCEPTED)
    asked = {publication.delivery_id: publication for publication in ledger.take_checks(10, 60)}
    for claim in (published, refused):
        # The scheduler had not heard of the acceptance in time, so another attempt took over meanwhile.
        ledger.open(dataclasses.replace(claim, attempt=2))
    ledger.published(asked[published.delivery_id], PUBLIC)
    ledger.refused(asked[refused.delivery_id], REFUSED)
    assert [row["step"] for row in rows(ledger.database, "publications")] == ["PUBLISHED", "REJECTED"]
    assert reports(ledger.database)[-2:] == [("CompleteDelivery", 2), ("FailDelivery", 2)]


def test_of_two_verdicts_the_first_stands(ledger: Ledger) -> None:
    at_step(ledger, a_claim(), Step.ACCEPTED)
    (asked,) = ledger.take_checks(10, 60)
    ledger.published(asked, PUBLIC)
    before = everything(ledger.database)
    ledger.refused(asked, REFUSED)
    ledger.published(asked, PUBLIC)
    assert everything(ledger.database) == before


def test_a_verdict_on_a_handle_that_was_given_up_changes_nothing(ledger: Ledger) -> None:
    claim = a_claim()
    at_step(ledger, claim, Step.ACCEPTED)
    (asked,) = ledger.take_checks(10, 60)
    ledger.refused(asked, FOR_NOW)
    second = dataclasses.replace(claim, attempt=2)
    publication = ledger.prepared(ledger.open(second)[0], second, "fits")
    publication = ledger.handle_stored(publication, a_handle(handle="v_pub_file~2"))
    ledger.accepted(ledger.committing(publication))
    before = everything(ledger.database)
    ledger.refused(asked, REFUSED)
    assert everything(ledger.database) == before


def test_what_is_over_is_reported_again_to_each_later_attempt(ledger: Ledger) -> None:
    claim = a_claim()
    at_step(ledger, claim, Step.ACCEPTED)
    ledger.published(ledger.take_checks(10, 60)[0], PUBLIC)
    publication, _ = ledger.open(dataclasses.replace(claim, attempt=2))
    ledger.report_again(publication)
    assert reports(ledger.database) == [("CompleteDelivery", 1)] * 2 + [("CompleteDelivery", 2)] * 2


def test_an_attempt_that_broke_failed_for_now_unless_something_may_have_been_sent(ledger: Ledger) -> None:
    before, after = a_claim(), a_claim()
    at_step(ledger, before, Step.HANDLE)
    at_step(ledger, after, Step.COMMITTING)
    assert ledger.broke(before)
    assert not ledger.broke(after)
    assert reports(ledger.database) == [("FailDelivery", 1)]


def test_r35_a_new_epoch_keeps_an_older_publication_from_being_sent(ledger: Ledger) -> None:
    publication = at_step(ledger, a_claim(), Step.HANDLE)
    with ledger.database.transaction(ALL_WORKSPACES) as tx:
        assert store.begin_epoch(tx, "restored").number == 2
    before = everything(ledger.database)
    with pytest.raises(Fenced):
        ledger.committing(publication)
    assert everything(ledger.database) == before
    new, epoch = ledger.open(a_claim())
    assert (new.publish_epoch, epoch.number) == (2, 2)


def test_a_verdict_is_asked_for_by_one_and_again_when_its_time_has_come(ledger: Ledger) -> None:
    assert ledger.seconds_until_check() is None
    at_step(ledger, a_claim(), Step.ACCEPTED)
    assert ledger.seconds_until_check() == pytest.approx(0, abs=2)
    (taken,) = ledger.take_checks(10, 60)
    assert taken.checks == 1
    assert ledger.take_checks(10, 60) == []
    ledger.still_open(taken, seconds=0)
    assert len(ledger.take_checks(10, 60)) == 1


def test_s16_no_token_and_no_upload_address_lies_open_in_any_column(ledger: Ledger) -> None:
    save_account(ledger)
    at_step(ledger, a_claim(), Step.COMMITTING)
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
    assert columns > 100


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
        account_store.read_tokens(tx, Vault(bytes(reversed(MASTER_KEY))), account)


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


def test_a_transaction_sees_only_its_workspace_and_nothing_without_one(ledger: Ledger) -> None:
    for workspace_id in (WORKSPACE, OTHER_WORKSPACE):
        save_account(ledger, workspace_id)
        at_step(ledger, a_claim(workspace_id=workspace_id), Step.ACCEPTED)
    isolated = [table.name for table in tables.metadata.sorted_tables if "workspace_id" in table.c]
    assert len(isolated) == 7

    def count(tx: Connection, table: str) -> int:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    for table in set(isolated) - {"connections"}:
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
        store.open_publication(tx, ledger.vault, a_claim(workspace_id=OTHER_WORKSPACE), "test")


@pytest.mark.parametrize(
    "change",
    [
        "step = 'COMMITTING'",  # without a handle
        "step = 'ACCEPTED', handle = 'h'",  # without a time for the question
        "step = 'PUBLISHED', handle = 'h'",  # without time and visibility
        "step = 'FAILED'",  # without a failure
        "step = 'LOST'",  # unknown
    ],
)
def test_the_database_refuses_steps_that_contradict_themselves(ledger: Ledger, change: str) -> None:
    ledger.open(a_claim())
    with pytest.raises(DBAPIError, match="check constraint"), ledger.database.transaction(WORKSPACE) as tx:
        tx.execute(text(f"UPDATE publications SET {change}"))
