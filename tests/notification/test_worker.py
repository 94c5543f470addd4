from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from structlog.testing import capture_logs

from kit.db import ALL_WORKSPACES, Database
from kit.listen import Listener
from kit.paging import Page
from kit.service import Part
from services.notification import store, worker
from services.notification.domain import RetryPolicy, Send, SendState
from services.notification.targets import Target, build_targets
from services.notification.worker import ABANDONED_ATTEMPTS, Sender
from tests.local.support import wait_until
from tests.notification.receivers import WORKSPACE, FakeTarget, HangingTarget, MailServer, WebServer, add_message

TWO_ATTEMPTS = RetryPolicy(attempts=2)


class Killed(BaseException):
    """Ends the sender at once, as a kill does: nothing after it runs."""


def sender(database: Database, target: Target, *, limit: float = 10) -> Sender:
    return Sender(database, "team", target, TWO_ATTEMPTS, limit_seconds=limit)


def send_of(database: Database, message_id: UUID, target: str = "team") -> Send:
    with database.transaction(WORKSPACE) as tx:
        found = store.list_messages(tx, WORKSPACE, Page(200, None))
    (send,) = [s for m in found if m.message_id == message_id for s in m.sends if s.target == target]
    return send


def make_due(database: Database) -> None:
    """What waits for its retry, and what a dead sender holds, is due now."""
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(update(store.message_sends).values(next_time=store.message_sends.c.next_time - timedelta(days=1)))


@pytest.fixture
def hanging() -> Iterator[HangingTarget]:
    target = HangingTarget()
    yield target
    target.end.set()


def test_messages_go_out_in_the_order_they_were_made(database: Database) -> None:
    target = FakeTarget()
    expected = [add_message(database, "team", title=str(number)) for number in range(5)]
    while sender(database, target).run_once():
        pass
    assert [claimed.message_id for claimed in target.taken] == expected
    assert send_of(database, expected[0]).state is SendState.SENT


def test_a_failed_attempt_is_repeated_and_a_success_is_not(database: Database, web_server: WebServer) -> None:
    message_id = add_message(database, "team")
    web_server.answers = [500]
    target = build_targets({"team": SecretStr(f"json://127.0.0.1:{web_server.port}/hook")})["team"]
    assert sender(database, target).run_once()
    assert send_of(database, message_id) == Send(
        "team", SendState.WAITING, 1, "The target answered with HTTP status 500.", None
    )
    assert not sender(database, target).run_once()
    make_due(database)
    assert sender(database, target).run_once()
    sent = send_of(database, message_id)
    assert (sent.state, sent.attempts, sent.last_error) == (SendState.SENT, 2, "")
    make_due(database)
    assert not sender(database, target).run_once()
    assert len(web_server.bodies) == 2


def test_after_the_last_attempt_a_message_is_given_up_aloud(database: Database) -> None:
    message_id = add_message(database, "team")
    target = FakeTarget(fail_times=2)
    with capture_logs() as lines:
        for _ in range(3):
            sender(database, target).run_once()
            make_due(database)
    assert send_of(database, message_id) == Send("team", SendState.FAILED, 2, "The fake target is out of order.", None)
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "message not sent"),
        ("error", "message given up"),
    ]


def test_a_sender_killed_between_sending_and_recording_sends_again(
    database: Database, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = add_message(database, "team")
    login = f"mailto://reelroute:{mail_server.password}@127.0.0.1:{mail_server.port}"
    address = f"{login}?mode=insecure&from=bot@example.com&to=team@example.com"

    def started_anew() -> Sender:
        return sender(database, build_targets({"team": SecretStr(address)})["team"])

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store, "mark_sent", die)
        with pytest.raises(Killed):
            started_anew().run_once()
    assert len(mail_server.mails) == 1
    # The dead sender's lease holds: nobody else takes the message before it ends.
    assert not started_anew().run_once()
    make_due(database)
    assert started_anew().run_once()
    assert len(mail_server.mails) == 2
    sent = send_of(database, message_id)
    assert (sent.state, sent.attempts) == (SendState.SENT, 2)


def test_a_target_that_hangs_costs_its_attempt_and_never_more_than_a_few_threads(
    database: Database, hanging: HangingTarget
) -> None:
    ids = [add_message(database, "team") for _ in range(ABANDONED_ATTEMPTS + 1)]
    impatient = sender(database, hanging, limit=0.02)
    for _ in range(ABANDONED_ATTEMPTS):
        assert impatient.run_once()
    assert send_of(database, ids[0]) == Send(
        "team", SendState.WAITING, 1, "The target did not answer in time. The message may have arrived.", None
    )
    assert not impatient.run_once()
    assert send_of(database, ids[-1]).attempts == 0


def test_an_error_of_a_foreign_library_is_recorded_without_its_text(database: Database) -> None:
    message_id = add_message(database, "team")

    def break_down() -> None:
        raise RuntimeError("mailto://user:T0PSECRET@example.com is broken")

    sender(database, FakeTarget(on_send=break_down)).run_once()
    assert send_of(database, message_id).last_error == "The target's program failed (RuntimeError)."


def test_a_target_that_hangs_holds_up_no_other_and_new_messages_wake_the_senders(
    database: Database, hanging: HangingTarget
) -> None:
    quick = FakeTarget()
    # Polls far apart: only a wake-up can be in time.
    loops = worker.build_loops(
        database, {"slow": hanging, "quick": quick}, RetryPolicy(), limit_seconds=30, poll_seconds=600
    )

    def wake() -> None:
        for loop in loops:
            loop.wake()

    parts: list[Part] = [*loops, Listener(database.url, {store.SENDS_CHANNEL: wake})]
    for part in parts:
        part.start()
    try:
        for wanted in range(1, 4):
            add_message(database, "slow", "quick")
            wait_until(lambda wanted=wanted: len(quick.taken) == wanted, "message at the quick target")  # type: ignore[misc]
    finally:
        hanging.end.set()
        for part in reversed(parts):
            assert part.stop(5)


def test_the_sweep_says_what_it_gives_up(database: Database) -> None:
    message_id = add_message(database, "team")
    with database.transaction(ALL_WORKSPACES) as tx:
        store.claim_send(tx, "team", lease_seconds=-1, max_attempts=1)
    with capture_logs() as lines:
        assert worker.sweep(database, {"team": FakeTarget()}, replace(TWO_ATTEMPTS, attempts=1)) == 1
        assert worker.sweep(database, {"team": FakeTarget()}, replace(TWO_ATTEMPTS, attempts=1)) == 0
    assert [(line["log_level"], line["event"]) for line in lines] == [("error", "messages given up")]
    assert send_of(database, message_id).state is SendState.FAILED
