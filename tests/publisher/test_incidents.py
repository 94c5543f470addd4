"""A platform that fails for many: one incident however many processes see it, probes, and an end."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from kit import context
from kit.db import ALL_WORKSPACES, Database
from services.publisher import domain, incident_store
from services.publisher.domain import Account, AttemptFailed, Failure, FailureKind, Platform
from services.publisher.incidents import Incidents
from services.publisher.ledger import Ledger
from tests.publisher.factories import a_claim, an_account, save_account
from tests.publisher.rows import activities, holds, outcomes, rows
from tests.publisher.scripted import NoTokens, Scene, ScriptedPlatform

pytestmark = pytest.mark.anyio

AWAY = AttemptFailed(Failure(FailureKind.TRANSIENT, "TIKTOK_CONNECT_FAILED", "TikTok could not be reached."))
LIMITED = AttemptFailed(Failure(FailureKind.RATE_LIMITED, "TIKTOK_RATE_LIMIT", "Wait."))
OURS = AttemptFailed(Failure(FailureKind.TRANSIENT, "MEDIA_UNAVAILABLE", "The media library does not answer."))


@dataclass
class Replicas:
    """Publisher processes by their view of the platforms; `look` is what each does every second."""

    database: Database
    platform: ScriptedPlatform = field(default_factory=ScriptedPlatform)
    each: list[Incidents] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=lambda: [an_account() for _ in range(4)])

    def __post_init__(self) -> None:
        adapters = {Platform.TIKTOK: self.platform}
        self.each = [Incidents(self.database, adapters, lambda account: NoTokens()) for _ in range(3)]

    async def fail(self, replica: Incidents, count: int = 6, error: AttemptFailed = AWAY, accounts: int = 4) -> None:
        for number in range(count):
            replica.note_failure(self.accounts[number % accounts], error)
        await self.settle(replica)

    async def settle(self, replica: Incidents) -> None:
        if replica._opening:
            await asyncio.wait(replica._opening)

    async def look(self) -> None:
        for replica in self.each:
            await replica._look()

    def is_open_in(self, replica: Incidents) -> bool:
        try:
            replica.check(Platform.TIKTOK)
        except AttemptFailed as error:
            return error.failure.kind is FailureKind.PLATFORM
        return False

    def make_probe_due(self) -> None:
        with self.database.transaction(ALL_WORKSPACES) as tx:
            tx.execute(text("UPDATE incidents SET next_probe_time = now() WHERE end_time IS NULL"))


@pytest.fixture
def replicas(ledger: Ledger) -> Replicas:
    save_account(ledger)
    return Replicas(ledger.database)


async def test_a_jump_of_failures_in_several_replicas_opens_one_incident_that_all_see(replicas: Replicas) -> None:
    await asyncio.gather(*(replicas.fail(replica) for replica in replicas.each))
    await replicas.look()
    assert len(rows(replicas.database, "incidents")) == 1
    assert all(replicas.is_open_in(replica) for replica in replicas.each)
    assert holds(replicas.database) == [("PlaceHold", "tiktok")]
    (told,) = activities(replicas.database)
    assert (told.type, told.attributes["platform"]) == ("incident.opened", "tiktok")
    assert "could not be reached" in told.summary


@pytest.mark.parametrize(
    ("count", "error", "accounts", "successes"),
    [
        (4, AWAY, 4, 0),  # too few
        (20, AWAY, 2, 0),  # trouble of two accounts
        (6, AWAY, 4, 6),  # half of the calls work
        (20, LIMITED, 4, 0),  # the platform answers
        (20, OURS, 4, 0),  # nothing of the platform
    ],
)
async def test_less_than_a_jump_opens_none(
    replicas: Replicas, count: int, error: AttemptFailed, accounts: int, successes: int
) -> None:
    for _ in range(successes):
        replicas.each[0].note_success(replicas.accounts[0])
    await replicas.fail(replicas.each[0], count, error, accounts)
    assert rows(replicas.database, "incidents") == []


async def test_failures_of_another_minute_do_not_count(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    await replicas.fail(replicas.each[0], 4)
    monkeypatch.setattr(domain, "HEALTH_WINDOW_SECONDS", 0.0)
    await replicas.fail(replicas.each[0], 4)
    assert rows(replicas.database, "incidents") == []


async def test_one_process_at_a_time_probes_and_less_often_while_it_fails(replicas: Replicas) -> None:
    await replicas.fail(replicas.each[0])
    await replicas.look()
    assert replicas.platform.calls == []  # the first probe is not due yet
    waits = []
    for probes in range(1, 7):
        replicas.platform.probes.append(AWAY)
        replicas.make_probe_due()
        await asyncio.gather(*(replica._look() for replica in replicas.each))
        assert replicas.platform.calls == ["probe"] * probes
        with replicas.database.transaction(ALL_WORKSPACES) as tx:
            waits.append(
                tx.execute(
                    text("SELECT extract(epoch FROM next_probe_time - now())::float8 FROM incidents")
                ).scalar_one()
            )
    assert waits == pytest.approx([4, 8, 15, 15, 15, 15], abs=1)
    assert all(replicas.is_open_in(replica) for replica in replicas.each)


async def test_a_probe_is_recorded_as_a_call_for_its_account(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    about: list[tuple[context.Subjects, Account]] = []

    async def probe(account: Account, _tokens: object) -> None:
        about.append((context.subjects(), account))

    monkeypatch.setattr(replicas.platform, "probe", probe)
    await replicas.fail(replicas.each[0])
    replicas.make_probe_due()
    await replicas.look()
    ((subjects, account),) = about
    assert (subjects.workspace_id, subjects.account_id) == (account.workspace_id, account.account_id)


async def test_two_passed_probes_in_a_row_close_it_and_nothing_less(replicas: Replicas) -> None:
    await replicas.fail(replicas.each[0])
    for fails in (False, True, False):
        replicas.platform.probes.extend([AWAY] if fails else [])
        replicas.make_probe_due()
        await replicas.look()
        assert replicas.is_open_in(replicas.each[1])
    replicas.make_probe_due()
    await replicas.look()
    await replicas.look()
    assert not any(replicas.is_open_in(replica) for replica in replicas.each)
    (incident,) = rows(replicas.database, "incidents")
    assert incident["probes"] == 4
    assert holds(replicas.database) == [("PlaceHold", "tiktok"), ("LiftHold", "tiktok")]
    opened, closed = activities(replicas.database)
    assert (opened.type, closed.type) == ("incident.opened", "incident.closed")
    # Each at its own time, so that the feed shows them in their order.
    assert opened.activity_time.ToDatetime() < closed.activity_time.ToDatetime()


async def test_holds_of_a_platform_reach_the_scheduler_in_their_order(replicas: Replicas) -> None:
    for _ in range(2):
        await replicas.fail(replicas.each[0])
        for _ in range(2):
            replicas.make_probe_due()
            await replicas.look()
        await replicas.look()
    sent = [row for row in rows(replicas.database, "outbox") if row["target"] == "scheduler"]
    assert holds(replicas.database) == [("PlaceHold", "tiktok"), ("LiftHold", "tiktok")] * 2
    # One aggregate: the relay sends no row before an earlier one was answered.
    assert len({row["aggregate_id"] for row in sent}) == 1


async def test_what_failed_before_the_end_does_not_open_the_next_one(replicas: Replicas) -> None:
    await asyncio.gather(*(replicas.fail(replica) for replica in replicas.each))
    await replicas.look()
    for replica in replicas.each:
        await replicas.fail(replica, 10)
    for _ in range(2):
        replicas.make_probe_due()
        await replicas.look()
    await replicas.look()
    for replica in replicas.each:
        await replicas.fail(replica, 1)
    assert len(rows(replicas.database, "incidents")) == 1
    assert not any(replicas.is_open_in(replica) for replica in replicas.each)


async def test_a_prober_that_froze_records_nothing_after_another_has_probed(replicas: Replicas) -> None:
    await replicas.fail(replicas.each[0])
    replicas.make_probe_due()
    with replicas.database.transaction(ALL_WORKSPACES) as tx:
        frozen = incident_store.take_probe(tx, [Platform.TIKTOK], 0)
        other = incident_store.take_probe(tx, [Platform.TIKTOK], 25)
    assert frozen is not None
    assert other is not None
    with replicas.database.transaction(ALL_WORKSPACES) as tx:
        incident_store.set_probe(tx, frozen, 1, timedelta(hours=1))
        assert incident_store.close_incident(tx, frozen) is None
    (incident,) = rows(replicas.database, "incidents")
    assert (incident["passed_probes"], incident["end_time"]) == (0, None)


async def test_a_platform_that_this_process_does_not_know_is_left_to_others(replicas: Replicas) -> None:
    await replicas.fail(replicas.each[0])
    replicas.make_probe_due()
    stranger = Incidents(replicas.database, {}, lambda account: NoTokens())
    await stranger._look()
    assert rows(replicas.database, "incidents")[0]["probes"] == 0


async def test_an_attempt_that_meets_an_incident_ends_without_a_try_and_sends_nothing(ledger: Ledger) -> None:
    scene = Scene.of(ledger, ScriptedPlatform())
    deliverer, _ = scene.process()
    incidents = deliverer.incidents
    for _ in range(2):
        for _ in range(3):
            incidents.note_failure(an_account(uuid4()), AWAY)
    await asyncio.wait(incidents._opening)
    await scene.attempt(deliverer=deliverer).run()
    assert (scene.step, scene.told, scene.platform.calls) == ("OPENED", [("PLATFORM", 1)], [])


async def test_an_incident_that_opens_while_a_delivery_waits_for_its_time_keeps_it_from_going_out(
    ledger: Ledger,
) -> None:
    scene = Scene.of(ledger, ScriptedPlatform())
    deliverer, _ = scene.process()
    running = asyncio.create_task(scene.attempt(due_in=1.0, deliverer=deliverer).run())
    await scene.platform.staged.wait()
    for _ in range(6):
        deliverer.incidents.note_failure(an_account(uuid4()), AWAY)
    await running
    assert (scene.step, outcomes(ledger.database), scene.platform.posts) == ("HANDLE", [("PLATFORM", 1)], [])


async def test_the_calls_of_attempts_and_questions_are_what_is_counted(ledger: Ledger) -> None:
    scene = Scene.of(ledger, ScriptedPlatform())
    scene.platform.reads = deque([AWAY] * 6)
    deliverer, _ = scene.process()
    for number in range(6):
        account = save_account(ledger, profile=f"open-{number % 4 + 10}")
        scene.claim = a_claim(account_id=account.account_id)
        await scene.attempt(deliverer=deliverer).run()
    if deliverer.incidents._opening:
        await asyncio.wait(deliverer.incidents._opening)
    assert len(rows(ledger.database, "incidents")) == 1
