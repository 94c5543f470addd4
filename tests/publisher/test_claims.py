"""Leases and grants over a real port: asked for together, waited for while the scheduler is away, and lost at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1 import scheduler_pb2_grpc

from kit import rpc, rpc_server
from services.publisher.claims import CLOCK_SECONDS, GRANT_SECONDS, DatabaseClock, Held, SchedulerClient
from services.publisher.config import PublisherConfig
from services.publisher.domain import Fenced, GrantStale, Withdrawn
from tests.publisher.factories import WORKSPACE, a_publication, an_account
from tests.publisher.fake_scheduler import FakeScheduler
from tests.publisher.stage import serving
from tests.services import SERVICE_TOKEN

pytestmark = pytest.mark.anyio
PUBLICATION = a_publication()

BEGIN = datetime(2026, 11, 28, tzinfo=UTC)


@given(st.lists(st.tuples(st.floats(0, CLOCK_SECONDS / 2), st.floats(0, 2)), min_size=1, max_size=30), st.floats(-9, 9))
def test_the_databases_clock_is_never_ahead_and_late_by_the_fastest_answer_of_late(
    answers: list[tuple[float, float]], start: float
) -> None:
    clock, now, delays = DatabaseClock(), start, []
    for pause, delay in answers:
        now += pause + delay
        delays.append((now, delay))
        # This clock stood at `start` when the database's was at BEGIN.
        clock.learn(BEGIN + timedelta(seconds=now - delay - start), now)
        late = clock.moment(BEGIN + timedelta(seconds=60)) - (start + 60)
        fastest = min(delay for arrived, delay in delays if arrived >= now - CLOCK_SECONDS)
        assert late == pytest.approx(fastest, abs=1e-5)


@pytest.fixture
def scheduler() -> Iterator[FakeScheduler]:
    fake = FakeScheduler()  # type: ignore[abstract]  # the other RPCs are not called
    yield fake
    fake.close()


@contextlib.asynccontextmanager
async def client_of(address: str) -> AsyncIterator[SchedulerClient]:
    config = PublisherConfig(
        database_url=SecretStr("postgresql://nobody"), service_token=SecretStr(SERVICE_TOKEN),
        lease_seconds=5, claim_wait_seconds=1, lead_seconds=30, holder="test",
    )  # fmt: skip
    async with rpc.aio_channel(address) as channel:
        yield SchedulerClient(config, scheduler_pb2_grpc.SchedulerServiceStub(channel), SERVICE_TOKEN)


@pytest.fixture
async def client(scheduler: FakeScheduler) -> AsyncIterator[SchedulerClient]:
    with serving((scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server, scheduler)) as address:
        async with client_of(address) as opened:
            yield opened


async def claimed(
    scheduler: FakeScheduler, client: SchedulerClient, count: int = 1, in_seconds: float = 0
) -> list[Held]:
    for _ in range(count):
        scheduler.plan(in_seconds, workspace_id=str(WORKSPACE), account_id=str(WORKSPACE), caption="Fries")
    held = await client.claim(500)
    assert len(held) == count
    return held


async def test_a_claim_of_what_is_due_is_its_own_grant_and_one_ahead_of_time_has_none(
    scheduler: FakeScheduler, client: SchedulerClient
) -> None:
    (due,) = await claimed(scheduler, client)
    (ahead,) = await claimed(scheduler, client, in_seconds=20)
    due.check_last_moment()
    with pytest.raises(GrantStale):
        ahead.check_last_moment()
    await client.authorize(ahead)
    ahead.check_last_moment()


async def test_a_claim_says_when_it_only_asks(scheduler: FakeScheduler, client: SchedulerClient) -> None:
    ids = {"workspace_id": str(WORKSPACE), "account_id": str(WORKSPACE)}
    scheduler.plan(0, caption="Fries", **ids)
    scheduler.plan(0, caption="Poison", ask_only=True, **ids)
    held = {each.claim.caption: each.claim.ask_only for each in await client.claim(500)}
    assert held == {"Fries": False, "Poison": True}


async def test_r5_a_grant_ends_before_its_half_second_and_a_lease_before_the_databases(
    scheduler: FakeScheduler, client: SchedulerClient
) -> None:
    (held,) = await claimed(scheduler, client)
    assert held.granted_at is not None
    assert held.lease_end < held.granted_at + 5
    held.granted_at -= GRANT_SECONDS + 0.01
    with pytest.raises(GrantStale):
        held.check_last_moment()
    held.lease_end = asyncio.get_running_loop().time()
    with pytest.raises(Fenced):
        held.check_last_moment()


async def test_grants_that_are_asked_for_together_travel_together_and_each_has_its_own_answer(
    scheduler: FakeScheduler, client: SchedulerClient
) -> None:
    held = await claimed(scheduler, client, 20)
    lost, taken_back = held[3], held[7]
    scheduler.deliveries[str(lost.claim.delivery_id)].attempt += 1
    found = await asyncio.gather(*(client.authorize(each) for each in held[:7]), return_exceptions=True)
    assert [type(each) for each in found] == [type(None)] * 3 + [Fenced] + [type(None)] * 3
    scheduler.paused = True
    with pytest.raises(Withdrawn):
        await client.authorize(taken_back)
    assert scheduler.deliveries[str(taken_back.claim.delivery_id)].state == "HELD"


async def test_a_lost_lease_ends_what_is_done_under_it_at_the_next_renewal(
    scheduler: FakeScheduler, client: SchedulerClient
) -> None:
    lost, kept = await claimed(scheduler, client, 2)
    ended = asyncio.Event()

    async def work() -> str:
        try:
            async with client.kept(lost):
                await asyncio.sleep(60)
        except Fenced:
            # The task goes on: it is not canceled.
            await asyncio.sleep(0)
            ended.set()
            return "fenced"
        return "done"

    working, keeping = asyncio.create_task(work()), asyncio.create_task(client.keep())
    before = kept.lease_end
    async with client.kept(kept):
        scheduler.deliveries[str(lost.claim.delivery_id)].attempt += 1
        assert await working == "fenced"
        assert kept.lease_end > before
    keeping.cancel()
    await asyncio.wait({keeping})


async def test_a_scheduler_that_comes_back_within_the_lease_is_waited_for(scheduler: FakeScheduler) -> None:
    server = rpc_server.build_server(SERVICE_TOKEN, threads=4)
    scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server(scheduler, server)
    port = rpc_server.listen(server, "127.0.0.1:0")
    server.start()
    async with client_of(f"127.0.0.1:{port}") as client:
        (held,) = await claimed(scheduler, client, in_seconds=20)
        await asyncio.to_thread(server.stop(0).wait, 5)
        asking = asyncio.create_task(client.authorize(held))
        await asyncio.sleep(0.3)
        assert not asking.done()
        again = rpc_server.build_server(SERVICE_TOKEN, threads=4)
        scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server(scheduler, again)
        rpc_server.listen(again, f"127.0.0.1:{port}")
        again.start()
        await asking
        # Its half second counts from when it was asked for, so it may be over by now: then it is asked for again.
        await client.authorize(held)
        held.check_last_moment()
        again.stop(0).wait(5)


async def test_a_scheduler_that_stays_away_ends_the_attempt_with_its_lease(scheduler: FakeScheduler) -> None:
    with serving((scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server, scheduler)) as address:
        async with client_of(address) as client:
            (held,) = await claimed(scheduler, client, in_seconds=20)
    async with client_of(address) as client:
        held.lease_end = asyncio.get_running_loop().time() + 1
        with pytest.raises(Fenced):
            await client.authorize(held)


async def test_r17_what_is_given_back_is_due_again(scheduler: FakeScheduler, client: SchedulerClient) -> None:
    held = await claimed(scheduler, client, 3)
    await client.release(each.claim for each in held)
    assert {planned.state for planned in scheduler.deliveries.values()} == {"SCHEDULED"}


@pytest.mark.parametrize(
    ("scope", "target", "cause", "expected"),
    [
        (pb.HOLD_SCOPE_EVERYTHING, "", pb.HOLD_CAUSE_PAUSE, True),
        (pb.HOLD_SCOPE_PLATFORM, "tiktok", pb.HOLD_CAUSE_PAUSE, True),
        (pb.HOLD_SCOPE_PLATFORM, "bulletin", pb.HOLD_CAUSE_PAUSE, False),
        (pb.HOLD_SCOPE_PLATFORM, "tiktok", pb.HOLD_CAUSE_INCIDENT, False),  # no person's word
        (pb.HOLD_SCOPE_POST, str(PUBLICATION.post_id), pb.HOLD_CAUSE_PAUSE, True),
        (pb.HOLD_SCOPE_POST, str(PUBLICATION.account_id), pb.HOLD_CAUSE_PAUSE, False),
    ],
    ids=["everything", "its platform", "another platform", "an incident", "its post", "another post"],
)
async def test_whether_people_have_paused_what_is_out_is_asked(
    scheduler: FakeScheduler,
    client: SchedulerClient,
    scope: pb.HoldScope.ValueType,
    target: str,
    cause: pb.HoldCause.ValueType,
    expected: bool,
) -> None:
    scheduler.applying = [pb.Hold(scope=scope, target=target, cause=cause)]
    assert await client.is_paused(PUBLICATION, an_account()) is expected
