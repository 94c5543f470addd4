"""Buckets that replicas share, on a real database: each limiter here has a loop of its own, as a process has."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from kit import context
from kit.db import ALL_WORKSPACES, Database
from kit.rate_limit import Rate, RateLimitFull, Refill
from kit.shared_rate_limit import TAKE_SECONDS, SharedRateLimiter, forget_idle_buckets
from tests.services import service_database
from tests.vendors.fake_vendor import closed_port

pytestmark = pytest.mark.anyio
USER = ("init", "user")
APP = ("app", "reelroute")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "publisher") as opened:
        yield opened


def limiter(database: Database, tokens: int = 3, window: float = 60.0, app: int = 100) -> SharedRateLimiter:
    return SharedRateLimiter(database, "vendor", {"init": Rate(tokens, window), "app": Rate(app, window)})


async def refusal(taking: Awaitable[float]) -> RateLimitFull:
    with pytest.raises(RateLimitFull) as refused:
        await taking
    return refused.value


def statements() -> int:
    (metric,) = TAKE_SECONDS.collect()
    return int(next(sample.value for sample in metric.samples if sample.name.endswith("_count")))


def rows(database: Database) -> int:
    with database.transaction(ALL_WORKSPACES) as tx:
        return int(tx.scalar(text("SELECT count(*) FROM rate_buckets")) or 0)


@pytest.mark.parametrize(("tokens", "callers"), [(5, 4), (40, 20), (2000, 8)], ids=["few", "some", "ahead"])
def test_no_window_sees_more_calls_of_all_replicas_than_the_bucket_holds(
    database: Database, tokens: int, callers: int
) -> None:
    window, end = 0.5, time.monotonic() + 2.5
    together = threading.Barrier(3)

    async def replica() -> list[float]:
        limits, used = limiter(database, tokens, window), list[float]()

        async def call() -> None:
            while time.monotonic() < end:
                try:
                    await limits.take(USER, max_wait_seconds=0.3)
                    used.append(time.monotonic())
                    await asyncio.sleep(0)
                except RateLimitFull as full:
                    await asyncio.sleep(min(full.wait_seconds, 0.1))

        await asyncio.gather(*(call() for _ in range(callers)))
        return used

    def run(_number: int) -> list[float]:
        together.wait()
        return asyncio.run(replica())

    with ThreadPoolExecutor(3) as threads:
        used = sorted(moment for replica in threads.map(run, range(3)) for moment in replica)
    assert len(used) > tokens  # they did come back
    # Call n + tokens comes a whole window after call n; the slack is that of two clocks.
    closest = min(later - earlier for earlier, later in zip(used, used[tokens:], strict=False))
    assert closest >= window - 0.001


@pytest.mark.parametrize(("burst", "per_second"), [(3, 40.0), (30, 20.0)], ids=["small", "large"])
def test_a_refilled_bucket_is_used_whole_by_all_replicas_and_never_beyond(
    database: Database, burst: int, per_second: float
) -> None:
    seconds = 2.5
    together = threading.Barrier(3)

    async def replica(number: int) -> list[float]:
        limits = SharedRateLimiter(database, "vendor", {"get": Refill(burst, per_second)})
        used, end = list[float](), time.monotonic() + seconds

        async def call() -> None:
            while time.monotonic() < end:
                try:
                    await limits.take(("get", "seller"), max_wait_seconds=0.5)
                except RateLimitFull as full:
                    await asyncio.sleep(min(full.wait_seconds, 0.05))
                else:
                    used.append(time.monotonic())

        await asyncio.gather(*(call() for _ in range(4 + number)))
        return used

    def run(number: int) -> list[float]:
        together.wait()
        return asyncio.run(replica(number))

    with ThreadPoolExecutor(3) as threads:
        used = sorted(moment for replica in threads.map(run, range(3)) for moment in replica)
    for first in range(len(used)):
        for last in range(first + burst, len(used)):
            # The slack is that of two clocks.
            assert last - first + 1 <= burst + per_second * (used[last] - used[first] + 0.002) + 1e-6
    assert len(used) > burst + per_second * seconds / 2


async def test_replicas_hear_of_another_rate_each_for_itself(database: Database) -> None:
    first, second = (SharedRateLimiter(database, "vendor", {"get": Refill(1, 0.01)}) for _ in range(2))
    await first.take(("get", "seller"), max_wait_seconds=0)
    assert (await refusal(second.take(("get", "seller"), max_wait_seconds=1))).wait_seconds > 90
    first.adapt(("get", "seller"), 1000)
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE rate_buckets SET taken_until = ARRAY[now()]"))
    assert await first.take(("get", "seller"), max_wait_seconds=1) < 1
    assert await first.take(("get", "seller"), max_wait_seconds=1) < 1


async def test_a_pause_holds_back_a_refilled_bucket_in_every_replica(database: Database) -> None:
    told, other = (SharedRateLimiter(database, "vendor", {"get": Refill(5, 2)}) for _ in range(2))
    await other.take(("get", "seller"), max_wait_seconds=0)
    told.pause(("get", "seller"), 30)
    await in_the_database(database, "pause_end_time > now()")
    assert 25 < (await refusal(other.take(("get", "seller"), max_wait_seconds=5))).wait_seconds <= 30


async def test_a_refusal_comes_at_once_says_when_to_come_back_and_costs_nothing(database: Database) -> None:
    first, second = limiter(database), limiter(database)
    for limits in (first, second, first):
        assert await limits.take(USER, max_wait_seconds=0) < 60
    waits = [(await refusal(second.take(USER, max_wait_seconds=5))).wait_seconds for _ in range(3)]
    assert all(55 < wait < 62 for wait in waits)
    # More than come back at that time are told the time after it.
    assert 115 < (await refusal(second.take(USER, max_wait_seconds=5))).wait_seconds < 122


async def test_callers_are_served_when_tokens_come_back(database: Database) -> None:
    limits = limiter(database, tokens=2, window=0.4)
    waited = await asyncio.gather(*(limits.take(USER, max_wait_seconds=10) for _ in range(6)))
    assert len([wait for wait in waited if wait > 0.3]) >= 4


async def test_all_who_wait_are_served_by_one_statement(database: Database) -> None:
    limits, before = limiter(database), statements()
    users = [("init", f"user {number}") for number in range(50)]
    await asyncio.gather(*(limits.take(user, APP, max_wait_seconds=1) for user in users))
    assert statements() - before == 1
    assert rows(database) == 51


async def test_a_busy_process_takes_ahead(database: Database) -> None:
    limits, before = limiter(database, tokens=1_000_000, window=1), statements()
    for _ in range(2_000):
        await limits.take(USER, max_wait_seconds=10)
    assert statements() - before < 500


async def test_what_was_taken_ahead_is_not_used_after_its_time(database: Database) -> None:
    later = 0.0
    limits = SharedRateLimiter(database, "vendor", {"init": Rate(1_000_000, 1)}, clock=lambda: time.monotonic() + later)
    while await limits.take(USER, max_wait_seconds=10) > 0:
        pass  # until it has some at hand
    before, later = statements(), 60
    await limits.take(USER, max_wait_seconds=10)
    assert statements() == before + 1


async def test_tokens_count_from_the_moment_at_which_the_row_was_had_not_asked_for(database: Database) -> None:
    await limiter(database, window=0.6).take(USER, max_wait_seconds=0)
    await asyncio.sleep(0.1)  # so that the next token is counted for itself
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("SELECT 1 FROM rate_buckets FOR UPDATE"))
        taking = asyncio.create_task(limiter(database, window=0.6).take(USER, max_wait_seconds=10))
        await asyncio.sleep(0.3)  # it waits for the row meanwhile
        had = tx.scalar(text("SELECT clock_timestamp()"))
    await taking
    with database.transaction(ALL_WORKSPACES) as tx:
        assert tx.scalar(text("SELECT taken_until[2] FROM rate_buckets")) > had


async def test_who_waits_for_one_bucket_takes_nothing_of_the_others(database: Database) -> None:
    limits = limiter(database, tokens=1, app=3)
    await limits.take(USER, APP, max_wait_seconds=0)
    await refusal(limits.take(USER, max_wait_seconds=0))
    waiting = [asyncio.create_task(limits.take(USER, APP, max_wait_seconds=100)) for _ in range(5)]
    for user in ("a", "b"):
        await limits.take(("init", user), APP, max_wait_seconds=0)
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_what_a_caller_who_gave_up_had_asked_for_is_given_to_another(database: Database) -> None:
    limits = limiter(database, tokens=1)
    gone = asyncio.create_task(limits.take(USER, max_wait_seconds=1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone.cancel()
    assert await limits.take(USER, max_wait_seconds=0) < 10
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_a_pause_that_the_vendor_asked_for_holds_back_every_replica(database: Database) -> None:
    told, other = limiter(database), limiter(database)
    await other.take(USER, max_wait_seconds=0)
    told.pause(USER, 30)
    assert 25 < (await refusal(told.take(USER, max_wait_seconds=5))).wait_seconds <= 30
    await in_the_database(database, "pause_end_time > now()")
    assert 25 < (await refusal(other.take(USER, max_wait_seconds=5))).wait_seconds <= 30


async def test_what_the_vendor_says_is_left_is_all_that_is_left_to_every_replica(database: Database) -> None:
    told, other = limiter(database, tokens=10), limiter(database, tokens=10)
    await told.take(USER, max_wait_seconds=0)
    told.lower(USER, 2)
    await in_the_database(database, "granted = 7")
    for limits in (told, other):
        await limits.take(USER, max_wait_seconds=0)
    for limits in (told, other):
        await refusal(limits.take(USER, max_wait_seconds=0))


async def in_the_database(database: Database, condition: str) -> None:
    async with asyncio.timeout(10):
        while True:
            with database.transaction(ALL_WORKSPACES) as tx:
                if tx.scalar(text(f"SELECT bool_or({condition}) FROM rate_buckets")):
                    return
            await asyncio.sleep(0.01)


async def test_without_the_database_there_are_no_tokens_and_nobody_waits_for_ever() -> None:
    away = Database(f"postgresql://nobody:x@127.0.0.1:{closed_port()}/none", "publisher")
    await refusal(limiter(away).take(USER, max_wait_seconds=0.1))
    away.close()


async def test_the_deadline_of_one_caller_does_not_bind_the_others(database: Database) -> None:
    limits = limiter(database, tokens=1)
    await limits.take(USER, max_wait_seconds=0)
    with context.call(request_id="", timeout_seconds=0.05):
        waiting = asyncio.create_task(limits.take(USER, max_wait_seconds=100))
        await asyncio.sleep(0.1)  # the deadline is what is waited for
    await limits.take(("init", "another"), max_wait_seconds=0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait({waiting})


async def test_rows_that_say_nothing_any_more_are_deleted(database: Database) -> None:
    await limiter(database, window=60).take(USER, max_wait_seconds=0)
    await limiter(database, window=0.01).take(("init", "long ago"), max_wait_seconds=0)
    deadline = asyncio.get_running_loop().time() + 10
    while rows(database) > 1 and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)  # the window, and the time for which a process may use what it took
        forget_idle_buckets(database)
    assert rows(database) == 1
