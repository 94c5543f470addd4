import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from kit.db import ALL_WORKSPACES, Database
from services.scheduler import dispatch, dispatch_store, store, tables
from services.scheduler.domain import Claimed, Draft, NewPost, Policy, Schedule

WORKSPACE = UUID(int=1)


def draft(due: datetime, accounts: int = 1) -> Draft:
    schedule = Schedule(due.replace(tzinfo=None), "UTC", 0, due)
    return Draft("air", tuple(uuid4() for _ in range(accounts)), "caption", (), schedule, {}, "")


def plan(database: Database, count: int, *, due_in: float = -1, workspace: UUID = WORKSPACE) -> list[UUID]:
    due = datetime.now(UTC) + timedelta(seconds=due_in)
    with database.transaction(workspace) as tx:
        return store.insert_posts(tx, workspace, [NewPost(draft(due)) for _ in range(count)])


def claim(database: Database, batch: int = 100, lease: float = 30, lead: float = 0) -> list[Claimed]:
    with database.transaction(ALL_WORKSPACES) as tx:
        return dispatch.claim(
            tx, Policy(), dispatch.Turns(), holder="test", batch=batch, lease_seconds=lease, lead_seconds=lead
        )


def test_the_tables_are_what_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name != "alembic_version"},
        )
        assert compare_metadata(context, tables.metadata) == []


def test_nothing_is_claimed_before_its_time_and_with_lead_time_a_little_before(database: Database) -> None:
    plan(database, 1, due_in=5)
    assert claim(database) == []
    assert len(claim(database, lead=6)) == 1


def test_r11_every_delivery_is_claimed_by_exactly_one_of_many_workers(database: Database) -> None:
    plan(database, 500)
    taken: list[UUID] = []
    lock = threading.Lock()

    def work() -> None:
        while claimed := claim(database, batch=7):
            with lock:
                taken.extend(delivery.delivery_id for delivery in claimed)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert max(Counter(taken).values()) == 1
    assert len(taken) == 500


def test_an_ended_lease_is_handed_out_again_under_a_higher_attempt(database: Database) -> None:
    plan(database, 1)
    (first,) = claim(database, lease=0)
    (second,) = claim(database)
    assert (first.delivery_id, first.attempt, second.attempt) == (second.delivery_id, 1, 2)


PLANS: dict[str, tuple[TextClause, dict[str, Any], str]] = {
    "expired": (dispatch_store._EXPIRED, {"batch": 100}, "deliveries_leased"),
    "due": (dispatch_store._DUE, {"batch": 100, "lead": 0, "but": []}, "deliveries_due"),
    "turns": (
        dispatch_store._TURNS,
        {"batch": 100, "lead": 0, "each": 6, "after": UUID(int=0), "probes": 1000},
        "deliveries_due_by_workspace",
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_claim_asks_for_partial_indexes_and_not_for_the_table(database: Database, name: str) -> None:
    statement, parameters, index = PLANS[name]
    with database.transaction(ALL_WORKSPACES) as tx:
        # So few rows would be read whole; what matters is that the index can serve the claim.
        tx.execute(text("SET LOCAL enable_seqscan = off"))
        explained = text("EXPLAIN " + statement.text).bindparams(*statement._bindparams.values())
        lines = "\n".join(row[0] for row in tx.execute(explained, parameters))
    assert index in lines
    assert "Seq Scan" not in lines
    assert "Sort" not in lines


def test_the_time_to_the_next_due_delivery_or_ended_lease_is_known(database: Database) -> None:
    with database.transaction(ALL_WORKSPACES) as tx:
        assert dispatch_store.seconds_until_due(tx, 0) is None
    plan(database, 1, due_in=100)
    with database.transaction(ALL_WORKSPACES) as tx:
        assert dispatch_store.seconds_until_due(tx, 40) == pytest.approx(60, abs=5)


def test_a_transaction_sees_only_its_workspace_and_nothing_without_one(database: Database) -> None:
    other = UUID(int=2)
    plan(database, 2, due_in=100)
    plan(database, 3, due_in=100, workspace=other)
    for workspace, seen in ((WORKSPACE, 2), (other, 3), (ALL_WORKSPACES, 5), (uuid4(), 0)):
        with database.transaction(workspace) as tx:
            assert tx.execute(text("SELECT count(*) FROM deliveries")).scalar() == seen
    with database.engine.connect() as unscoped:
        assert unscoped.execute(text("SELECT count(*) FROM posts")).scalar() == 0


def test_a_row_for_another_workspace_cannot_be_written(database: Database) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), database.transaction(WORKSPACE) as tx:
        store.insert_posts(tx, UUID(int=2), [NewPost(draft(datetime.now(UTC)))])


@pytest.mark.parametrize(
    "change",
    [
        "state = 'CLAIMED'",  # without a lease
        "state = 'PUBLISHED', attempt = 1",  # without its time
        "state = 'FAILED'",  # without a reason
        "state = 'LOST'",  # unknown
        "state = 'CONFIRMING'",  # without an attempt
        "state = 'HELD'",  # without a cause
    ],
)
def test_the_database_refuses_states_that_contradict_themselves(database: Database, change: str) -> None:
    plan(database, 1)
    with pytest.raises(DBAPIError, match="check constraint"), database.transaction(WORKSPACE) as tx:
        tx.execute(text(f"UPDATE deliveries SET {change}"))
