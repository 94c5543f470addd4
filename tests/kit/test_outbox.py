from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import grpc
import pytest
from reelroute.notification.v1 import notification_pb2 as pb
from reelroute.notification.v1 import notification_pb2_grpc
from sqlalchemy import text

from kit import errors, outbox
from kit.activity import activity
from kit.db import ALL_WORKSPACES, Database
from kit.listen import Listener
from kit.loop import Loop
from services.scheduler import tables
from tests.local.support import wait_until
from tests.services import served, service_database

WORKSPACE = UUID(int=1)


class Receiver(notification_pb2_grpc.NotificationServiceServicer):
    """Notification with a memory: an effect per request id, and what it is told to answer first."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        # The effects of each post, in order.
        self.effects: dict[str, list[str]] = {}
        self.before: Callable[[pb.RecordActivityRequest], object] = lambda _: None
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def RecordActivity(  # noqa: N802
        self, request: pb.RecordActivityRequest, context: grpc.ServicerContext
    ) -> pb.RecordActivityResponse:
        with self._lock:
            self.calls.append(request.summary)
            self.before(request)
            if request.request_id not in self._known:
                self._known.add(request.request_id)
                self.effects.setdefault(request.post_id, []).append(request.summary)
        return pb.RecordActivityResponse()


class Killed(BaseException):
    """What a relay that is killed between the answer and its note of it leaves behind."""


class MortalRelay(outbox.Relay):
    """A relay that dies before it notes the first answers."""

    def _settle(self, *_: object) -> None:
        raise Killed


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "scheduler") as opened:
        yield opened


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()  # type: ignore[abstract]


@pytest.fixture
def channels(receiver: Receiver) -> Iterator[dict[str, grpc.Channel]]:
    with served((notification_pb2_grpc.add_NotificationServiceServicer_to_server, receiver)) as channel:
        yield {"notification": channel}


@pytest.fixture
def relay(database: Database, channels: dict[str, grpc.Channel]) -> outbox.Relay:
    return outbox.Relay(database, channels)


def notice(post_id: UUID, summary: str) -> outbox.Notice:
    return activity(WORKSPACE, "post.changed", summary, datetime.now(UTC), post_id=post_id)


def write(database: Database, *notices: outbox.Notice) -> None:
    with database.transaction(WORKSPACE) as tx:
        outbox.enqueue(tx, tables.outbox, list(notices), "scheduler")


def waiting(database: Database) -> int:
    with database.transaction(ALL_WORKSPACES) as tx:
        return int(tx.execute(text("SELECT count(*) FROM outbox WHERE refusal IS NULL")).scalar_one())


def time_passes(database: Database) -> None:
    """Every back-off and every lease is over."""
    with database.transaction(ALL_WORKSPACES) as tx:
        # But for rows that a relay has just in hand: whoever updates them all may block it, and be blocked by it.
        tx.execute(
            text(
                "UPDATE outbox SET next_time = now() WHERE position IN"
                " (SELECT position FROM outbox WHERE refusal IS NULL ORDER BY position FOR UPDATE SKIP LOCKED)"
            )
        )


def test_r12_order_is_kept_and_effects_happen_once_under_two_relays_that_fail_and_die(
    database: Database, channels: dict[str, grpc.Channel], receiver: Receiver
) -> None:
    chance = random.Random(12)
    posts = [uuid4() for _ in range(15)]
    for number in range(12):
        write(database, *(notice(post_id, str(number)) for post_id in posts))

    def stumble(_: object) -> None:
        if chance.random() < 0.2:
            raise errors.Unavailable("Not now.")

    receiver.before = stumble
    relays: list[outbox.Relay] = [outbox.Relay(database, channels), MortalRelay(database, channels)]
    faults: list[BaseException] = []

    def relay_on(relay: outbox.Relay) -> None:
        while waiting(database):
            with contextlib.suppress(Killed):
                try:
                    relay.run_once()
                except Exception as fault:
                    faults.append(fault)
                    raise
            time_passes(database)

    threads = [threading.Thread(target=relay_on, args=[relay]) for relay in relays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert receiver.effects == {str(post_id): [str(number) for number in range(12)] for post_id in posts}
    assert len(receiver.calls) > 15 * 12


def test_r12_nothing_is_skipped_when_transactions_commit_in_another_order_than_they_wrote(
    database: Database, relay: outbox.Relay, receiver: Receiver
) -> None:
    chance = random.Random(7)
    written: list[str] = []
    for _ in range(20):
        with contextlib.ExitStack() as cleanup:
            # Six transactions hold their positions; the first of all commits late.
            held = []
            for _ in range(6):
                transaction = database.transaction(WORKSPACE)
                tx = cleanup.enter_context(transaction)
                written.append(str(len(written)))
                outbox.enqueue(tx, tables.outbox, [notice(uuid4(), written[-1])], "scheduler")
                held.append(tx)
            chance.shuffle(held)
            for tx in held:
                tx.commit()
                relay.run_once()
    assert waiting(database) == 0
    assert Counter(receiver.calls) == Counter(written)


def test_what_is_rolled_back_is_never_sent(database: Database, relay: outbox.Relay, receiver: Receiver) -> None:
    with database.transaction(WORKSPACE) as tx:
        outbox.enqueue(tx, tables.outbox, [notice(uuid4(), "never")], "scheduler")
        tx.rollback()
    relay.run_once()
    assert receiver.calls == []


def test_what_the_receiver_refuses_is_kept_with_its_reason_and_out_of_the_way(
    database: Database, relay: outbox.Relay, receiver: Receiver
) -> None:
    def refuse(request: pb.RecordActivityRequest) -> None:
        if request.summary == "second":
            raise errors.FailedPrecondition("This cannot be taken.", code_reason="NOT_TAKEN")

    receiver.before = refuse
    post_id = uuid4()
    write(database, *(notice(post_id, summary) for summary in ("first", "second", "third")))
    while relay.run_once():
        pass
    time_passes(database)
    relay.run_once()
    assert receiver.calls == ["first", "second", "third"]
    with database.transaction(ALL_WORKSPACES) as tx:
        (kept,) = tx.execute(text("SELECT refusal FROM outbox")).scalars()
    assert kept == "NOT_TAKEN: This cannot be taken."


def test_a_failure_holds_up_its_own_aggregate_only(database: Database, relay: outbox.Relay, receiver: Receiver) -> None:
    def refuse(request: pb.RecordActivityRequest) -> None:
        if request.summary == "stuck":
            raise errors.Unavailable("Not now.")

    receiver.before = refuse
    post_id = uuid4()
    write(database, notice(post_id, "stuck"), notice(post_id, "behind"), notice(uuid4(), "free"))
    while relay.run_once():
        pass
    assert sorted(receiver.calls) == ["free", "stuck"]
    receiver.before = lambda _: None
    time_passes(database)
    while relay.run_once():
        pass
    assert receiver.calls[2:] == ["stuck", "behind"]


def test_a_target_that_nobody_knows_holds_up_nobody_else(
    database: Database, relay: outbox.Relay, receiver: Receiver
) -> None:
    lost = outbox.Notice(WORKSPACE, uuid4(), "elsewhere", "/elsewhere/Call", pb.RecordActivityRequest())
    write(database, lost, notice(uuid4(), "known"))
    relay.run_once()
    assert receiver.calls == ["known"]
    assert waiting(database) == 1


def test_a_relay_is_woken_by_the_commit_and_not_by_its_interval(
    database: Database, relay: outbox.Relay, receiver: Receiver
) -> None:
    loop = Loop("test relay", relay.run_once, interval_seconds=60)
    listening = threading.Event()
    listener = Listener(database.url, {"scheduler_outbox": loop.wake, "scheduler_due": listening.set})
    loop.start()
    listener.start()
    assert listening.wait(5)
    write(database, notice(uuid4(), "now"))
    wait_until(lambda: waiting(database) == 0, "delivery", seconds=5)
    assert loop.stop(5)
    assert listener.stop(5)
    assert receiver.calls == ["now"]
