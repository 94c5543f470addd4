import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text, update
from sqlalchemy.exc import ProgrammingError

from kit.db import ALL_WORKSPACES, Database
from kit.paging import Page
from services.notification import store, worker
from services.notification.domain import ClaimedSend, Send, SendState
from tests.notification.receivers import OTHER_WORKSPACE, WORKSPACE, add_message, facts


def claim(database: Database, target: str = "log", *, lease: float = 30, attempts: int = 6) -> ClaimedSend | None:
    with database.transaction(ALL_WORKSPACES) as tx:
        return store.claim_send(tx, target, lease_seconds=lease, max_attempts=attempts)


def sends(database: Database, message_id: UUID) -> dict[str, Send]:
    with database.transaction(WORKSPACE) as tx:
        found = store.list_messages(tx, WORKSPACE, Page(200, None))
    return {send.target: send for message in found if message.message_id == message_id for send in message.sends}


def age_sends(database: Database, **age: float) -> None:
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(update(store.message_sends).values(next_time=store.message_sends.c.next_time - timedelta(**age)))


def give_up(database: Database, *targets: str) -> int:
    with database.transaction(ALL_WORKSPACES) as tx:
        return store.give_up_sends(tx, targets, max_attempts=2, grace_seconds=3600)


def test_the_tables_are_what_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name != "alembic_version"}
        )
        assert compare_metadata(context, store.metadata) == []


def test_every_table_with_a_workspace_shows_only_the_workspace_of_the_transaction(database: Database) -> None:
    add_message(database, "log")
    for table in store.metadata.tables.values():
        for workspace, rows in ((WORKSPACE, 1), (OTHER_WORKSPACE, 0), (ALL_WORKSPACES, 1)):
            with database.transaction(workspace) as tx:
                assert len(tx.execute(table.select()).all()) == rows, (table.name, workspace)


def test_a_row_cannot_be_written_into_another_workspace(database: Database) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), database.transaction(OTHER_WORKSPACE) as tx:
        store.keep_activities(tx, [facts()])


def test_an_activity_is_kept_once_however_many_report_it_at_once(database: Database) -> None:
    reported = facts("request-1")
    kept: list[tuple[UUID, bool] | None] = []
    start = threading.Barrier(8)

    def report() -> None:
        start.wait()
        with database.transaction(WORKSPACE) as tx:
            kept.extend(store.keep_activities(tx, [reported]))

    reporters = [threading.Thread(target=report) for _ in range(8)]
    for reporter in reporters:
        reporter.start()
    for reporter in reporters:
        reporter.join()
    assert len(kept) == 8
    known = [each for each in kept if each]
    assert len({activity_id for activity_id, _ in known}) == 1
    assert Counter(is_new for _, is_new in known) == {True: 1, False: 7}


def test_a_request_id_is_refused_for_another_activity_and_free_in_another_workspace(database: Database) -> None:
    with database.transaction(WORKSPACE) as tx:
        (kept,) = store.keep_activities(tx, [facts("request-1")])
        assert store.keep_activities(tx, [facts("request-1", summary="Something else.")]) == [None]
        assert kept
        assert store.keep_activities(tx, [facts("request-1")]) == [(kept[0], False)]
    with database.transaction(OTHER_WORKSPACE) as tx:
        (other,) = store.keep_activities(tx, [facts("request-1", workspace_id=OTHER_WORKSPACE)])
    assert other
    assert other[1]


def test_every_send_is_claimed_by_exactly_one_of_many_senders(database: Database) -> None:
    expected = {add_message(database, "log") for _ in range(60)}
    taken: list[UUID] = []

    def work() -> None:
        while claimed := claim(database):
            taken.append(claimed.message_id)

    senders = [threading.Thread(target=work) for _ in range(6)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(taken) == sorted(expected)


def test_a_sender_takes_only_what_is_for_its_target(database: Database) -> None:
    message_id = add_message(database, "log", "mail")
    claimed = claim(database, "mail")
    assert claimed is not None
    assert (claimed.message_id, claimed.target, claimed.attempt) == (message_id, "mail", 1)
    assert claim(database, "mail") is None
    assert sends(database, message_id)["log"].attempts == 0


def test_a_late_sender_changes_nothing(database: Database) -> None:
    message_id = add_message(database, "log")
    late, current = claim(database, lease=-1), claim(database)
    assert late is not None
    assert current is not None
    assert current.attempt == 2
    with database.transaction(ALL_WORKSPACES) as tx:
        assert not store.mark_sent(tx, late)
        assert not store.mark_unsent(tx, late, "too late", None)
        assert sends(database, message_id)["log"] == Send("log", SendState.WAITING, 2, "", None)
        assert store.mark_sent(tx, current)
        assert not store.mark_sent(tx, current)


def test_a_failed_attempt_waits_its_time_and_success_clears_the_error(database: Database) -> None:
    message_id = add_message(database, "log")
    first = claim(database)
    assert first is not None
    with database.transaction(ALL_WORKSPACES) as tx:
        store.mark_unsent(tx, first, "no answer", 60)
    assert claim(database) is None
    assert sends(database, message_id)["log"] == Send("log", SendState.WAITING, 1, "no answer", None)
    age_sends(database, seconds=61)
    second = claim(database)
    assert second is not None
    with database.transaction(ALL_WORKSPACES) as tx:
        store.mark_sent(tx, second)
    done = sends(database, message_id)["log"]
    assert (done.state, done.attempts, done.last_error) == (SendState.SENT, 2, "")
    assert done.send_time is not None


def test_a_send_whose_last_attempt_was_cut_off_is_given_up_with_a_reason(database: Database) -> None:
    message_id = add_message(database, "log")
    assert claim(database, lease=-1, attempts=2)
    assert give_up(database, "log") == 0
    assert claim(database, lease=-1, attempts=2)
    assert claim(database, attempts=2) is None
    assert give_up(database, "log") == 1
    ended = sends(database, message_id)["log"]
    assert ended.state is SendState.FAILED
    assert "cut off" in ended.last_error


def test_a_send_for_a_target_that_left_the_configuration_is_given_up_after_the_grace(database: Database) -> None:
    message_id = add_message(database, "log", "old-mail")
    assert give_up(database, "log") == 0
    age_sends(database, minutes=61)
    assert give_up(database, "log") == 1
    ended = sends(database, message_id)
    assert ended["old-mail"].last_error == "This target is no longer in the configuration."
    assert ended["log"].state is SendState.WAITING


def test_old_activities_go_with_their_messages_and_younger_ones_stay(database: Database) -> None:
    old, young = add_message(database, "log"), add_message(database, "log")
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text(
                "UPDATE activities SET create_time = now() - interval '401 days' FROM messages"
                " WHERE messages.activity_id = activities.activity_id AND message_id = :old"
            ),
            {"old": old},
        )
    assert worker.delete_old(database, keep_days=400) == 1
    assert sends(database, old) == {}
    assert sends(database, young).keys() == {"log"}
    with database.transaction(WORKSPACE) as tx:
        assert len(store.list_activities(tx, WORKSPACE, Page(10, None))) == 1


def test_activities_of_one_moment_are_paged_without_gap_or_repeat(database: Database) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    with database.transaction(WORKSPACE) as tx:
        reported = [facts(activity_time=moment, post_id=uuid4()) for _ in range(5)]
        ids = [each[0] for each in store.keep_activities(tx, reported) if each]
        for oldest_first in (True, False):
            seen: list[UUID] = []
            page = Page(2, None)
            while len(found := store.list_activities(tx, WORKSPACE, page, oldest_first=oldest_first)) > page.size:
                seen += [activity.activity_id for activity in found[: page.size]]
                page = Page(2, (moment, seen[-1]))
            seen += [activity.activity_id for activity in found]
            assert seen == sorted(ids, reverse=not oldest_first)
