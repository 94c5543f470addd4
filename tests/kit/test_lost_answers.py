"""What the kit promises while answers get lost, connections are cut, and the database is killed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from reelroute.notification.v1 import notification_pb2_grpc
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from deploy.local.postgres import EmbeddedPostgres
from kit import migrations, outbox, rpc
from kit.db import ALL_WORKSPACES, Database
from services.scheduler import tables
from tests.chaos.pg_proxy import open_pg_wire, statement_kind
from tests.chaos.rpc_proxy import open_rpc_wire
from tests.chaos.wires import Moment, Phase, Reaction, Wires, passes
from tests.database import public_folder
from tests.kit.test_idempotency import count, create
from tests.kit.test_outbox import WORKSPACE, Receiver, notice, time_passes, waiting, write
from tests.services import SERVICE_TOKEN, login_url, service_database, serving


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    with Wires() as opened:
        yield opened


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "scheduler") as opened:
        yield opened


@pytest.fixture
def wired(database: Database, wires: Wires) -> Iterator[Database]:
    """The same database behind a wire."""
    real = database.url.port or 5432
    behind = database.url.set(port=open_pg_wire(wires, "scheduler", lambda: real))
    opened = Database(behind.render_as_string(hide_password=False), "scheduler")
    yield opened
    wires.rule = passes
    opened.close()


class Dice:
    """Loses some of the answers to the moments that `hits` names; `lost` counts them."""

    def __init__(self, seed: int, share: float, hits: Callable[[Moment], bool]) -> None:
        self._chance, self._share, self._hits = random.Random(seed), share, hits
        self.lost = 0

    def __call__(self, moment: Moment) -> Reaction:
        if moment.phase is Phase.ANSWERED and self._hits(moment) and self._chance.random() < self._share:
            self.lost += 1
            return Reaction.CUT
        return Reaction.PASS


def is_commit(moment: Moment) -> bool:
    return moment.what.startswith("COMMIT")


def until_answered(work: Callable[[], str]) -> str:
    """What a caller does whose answer was lost: the same again."""
    for _ in range(50):
        with contextlib.suppress(DBAPIError):
            return work()
    pytest.fail("not answered in 50 tries")


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("WITH due AS (SELECT 1 FROM outbox FOR UPDATE SKIP LOCKED) UPDATE outbox SET x = 1", "UPDATE outbox"),
        ("INSERT INTO posts (a) VALUES (1) ON CONFLICT DO UPDATE SET a = 2", "INSERT INTO posts"),
        ("SELECT * FROM deliveries WHERE a = 1", "SELECT FROM deliveries"),
        ("SELECT 1 FROM holds FOR NO KEY UPDATE", "SELECT FROM holds"),
        ("COMMIT", "COMMIT"),
        ("", "NOTHING"),
    ],
)
def test_a_wire_names_statements_by_what_they_change(statement: str, kind: str) -> None:
    assert statement_kind(statement) == kind


def test_r4_r13_creations_whose_commits_lose_their_answers_are_repeated_and_made_once(
    database: Database, wired: Database, wires: Wires
) -> None:
    dice = wires.rule = Dice(4, 0.3, is_commit)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: until_answered(lambda: create(wired, f"r{number}")), range(100)))
    assert dice.lost > 10
    assert len(set(made)) == 100
    assert count(database, "posts") == 100


def test_r4_a_transaction_whose_statement_was_cut_has_changed_nothing(
    database: Database, wired: Database, wires: Wires
) -> None:
    wires.rule = Dice(1, 1.0, lambda moment: moment.what == "INSERT INTO posts")
    with pytest.raises(DBAPIError):
        create(wired)
    wires.rule = passes
    assert (count(database, "posts"), count(database, "requests")) == (0, 0)
    assert create(wired)


def test_r4_r12_a_relay_whose_commits_and_calls_lose_their_answers_skips_and_doubles_nothing(
    database: Database, wired: Database, wires: Wires
) -> None:
    receiver = Receiver()  # type: ignore[abstract]
    posts = [uuid4() for _ in range(20)]
    for number in range(10):
        write(database, *(notice(post_id, str(number)) for post_id in posts))
    dice = Dice(12, 0.2, lambda moment: is_commit(moment) or moment.what == "RecordActivity")
    with serving((notification_pb2_grpc.add_NotificationServiceServicer_to_server, receiver)) as address:
        channel = rpc.channel(open_rpc_wire(wires, "scheduler", [("notification", address)]), SERVICE_TOKEN)
        wires.rule = dice
        relay = outbox.Relay(wired, {"notification": channel})
        while waiting(database):
            with contextlib.suppress(DBAPIError):
                relay.run_once()
            time_passes(database)
        channel.close()
    assert dice.lost > 20
    assert receiver.effects == {str(post_id): [str(number) for number in range(10)] for post_id in posts}
    # Answers were lost after the effect, so some were told twice: the receiver's memory made it once.
    assert len(receiver.calls) > 20 * 10


def test_r6_what_a_killed_database_has_acknowledged_is_there_and_nothing_is_there_twice(
    durable_url: str, killable: EmbeddedPostgres
) -> None:
    database = Database(durable_url, "scheduler", pool_size=4)
    acknowledged: dict[str, str] = {}
    stopping = threading.Event()

    def work(worker: int) -> None:
        number = 0
        while not stopping.is_set():
            request_id = f"{worker}-{number}"
            with contextlib.suppress(DBAPIError):
                acknowledged[request_id] = create(database, request_id)
                number += 1

    workers = [threading.Thread(target=work, args=[worker]) for worker in range(4)]
    for worker in workers:
        worker.start()
    chance = random.Random(6)
    for _ in range(3):
        before = len(acknowledged)
        while len(acknowledged) < before + 20:
            stopping.wait(0.005)
        stopping.wait(chance.uniform(0, 0.05))
        assert killable.pid is not None
        os.kill(killable.pid, signal.SIGKILL)
        while killable.poll() is None:
            stopping.wait(0.01)
        killable.start()
    stopping.set()
    for worker in workers:
        worker.join(30)
    with database.transaction(ALL_WORKSPACES) as tx:
        posts = {str(post_id) for post_id in tx.execute(text("SELECT post_id FROM posts")).scalars()}
        requests = set(tx.execute(text("SELECT request_id FROM requests")).scalars())
    database.close()
    assert set(acknowledged) <= requests
    assert set(acknowledged.values()) <= posts
    # A post for each request, acknowledged or not.
    assert len(posts) == len(requests)


def test_r4_a_fact_and_its_message_are_there_together_or_not_at_all(
    database: Database, wired: Database, wires: Wires
) -> None:
    chance = random.Random(40)
    wires.rule = lambda moment: Reaction.CUT if is_commit(moment) and chance.random() < 0.5 else Reaction.PASS
    for number in range(60):
        with contextlib.suppress(DBAPIError), wired.transaction(WORKSPACE) as tx:
            fact = {"workspace": UUID(int=number + 1), "request_id": str(number)}
            tx.execute(
                text(
                    "INSERT INTO requests (workspace_id, request_id, fingerprint) VALUES (:workspace, :request_id, '')"
                ),
                {**fact, "workspace": WORKSPACE},
            )
            outbox.enqueue(tx, tables.outbox, [notice(fact["workspace"], str(number))], "scheduler")  # type: ignore[arg-type]
    wires.rule = passes
    with database.transaction(ALL_WORKSPACES) as tx:
        facts = {int(each) for each in tx.execute(text("SELECT request_id FROM requests")).scalars()}
        told = {each.int - 1 for each in tx.execute(text("SELECT aggregate_id FROM outbox")).scalars()}
    assert facts == told
    assert 10 < len(facts) < 60


@pytest.fixture
def killable() -> Iterator[EmbeddedPostgres]:
    """A durable server of the test's own."""
    folder = public_folder()
    server = EmbeddedPostgres(folder / "data")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def durable_url(killable: EmbeddedPostgres) -> str:
    url = login_url(killable.admin_url, "scheduler")
    migrations.prepare("scheduler", killable.admin_url, url)
    assert urlsplit(url).port == killable.port
    return url
