"""The limiter and the retry budget, on a clock that jumps."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.rate_limit import Rate, RateLimiter, RateLimitFull, Refill, RetryBudget
from tests.vendors.fake_vendor import JumpingClock


def limiter(clock: JumpingClock, tokens: int, window: float = 60.0) -> RateLimiter:
    return RateLimiter({"init": Rate(tokens, window)}, clock=clock, sleep=clock.sleep)


@given(tokens=st.integers(1, 6), gaps=st.lists(st.floats(0, 50), min_size=1, max_size=40))
def test_no_window_ever_sees_more_calls_than_its_tokens(tokens: int, gaps: list[float]) -> None:
    clock = JumpingClock()
    limits = limiter(clock, tokens)
    times: list[float] = []

    async def run() -> None:
        for gap in gaps:
            clock.now += gap
            await limits.take(("init", "user"), max_wait_seconds=1e9)
            times.append(clock.now)

    asyncio.run(run())
    # Call n + tokens comes a whole window after call n; the slack is that of adding floats.
    assert all(later - earlier >= 60 - 1e-6 for earlier, later in zip(times, times[tokens:], strict=False))


def taken_times(rate: Refill, gaps: list[float], adapted: float | None = None) -> list[float]:
    """When calls were made whose callers came after these gaps."""
    clock = JumpingClock()
    limits = RateLimiter({"get": rate}, clock=clock, sleep=clock.sleep)
    times: list[float] = []

    async def run() -> None:
        if adapted is not None:
            limits.adapt(("get", "seller"), adapted)
        for gap in gaps:
            clock.now += gap
            await limits.take(("get", "seller"), max_wait_seconds=1e9)
            times.append(clock.now)

    asyncio.run(run())
    return times


@given(
    tokens=st.integers(1, 6),
    per_second=st.sampled_from([0.5, 2.0, 3.0]),
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=40),
)
def test_no_time_sees_more_calls_than_a_refilled_bucket_holds_and_what_flows_in(
    tokens: int, per_second: float, gaps: list[float]
) -> None:
    times = taken_times(Refill(tokens, per_second), gaps)
    for first in range(len(times)):
        for last in range(first, len(times)):
            allowed = tokens + per_second * (times[last] - times[first])
            assert last - first + 1 <= allowed + 1e-6


def test_a_refilled_bucket_is_used_to_the_last_token() -> None:
    times = taken_times(Refill(30, 2), [0.0] * 130)
    assert [time - times[0] for time in (times[29], times[30], times[129])] == [0, 0.5, 50]


def test_the_rate_that_the_vendor_says_holds_from_then_on() -> None:
    times = taken_times(Refill(1, 2), [0.0] * 9, adapted=4)
    assert times[-1] - times[0] == 2


def test_the_whole_burst_is_free_and_the_next_call_waits_for_the_first_token() -> None:
    clock = JumpingClock()
    limits = limiter(clock, 3)

    async def run() -> list[float]:
        return [await limits.take(("init", "user"), max_wait_seconds=100) for _ in range(4)]

    assert asyncio.run(run()) == [0, 0, 0, 60]


def test_users_do_not_share_a_bucket() -> None:
    clock = JumpingClock()
    limits = limiter(clock, 1)

    async def run() -> list[float]:
        return [await limits.take(("init", user), max_wait_seconds=0) for user in ("a", "b")]

    assert asyncio.run(run()) == [0, 0]


def test_a_wait_beyond_the_callers_time_is_refused_at_once_and_costs_no_token() -> None:
    clock = JumpingClock()
    limits = limiter(clock, 1)

    async def run() -> None:
        await limits.take(("init", "user"), max_wait_seconds=0)
        for _ in range(3):
            with pytest.raises(RateLimitFull) as refusal:
                await limits.take(("init", "user"), max_wait_seconds=59)
            assert refusal.value.wait_seconds == 60
        clock.now += 60
        assert await limits.take(("init", "user"), max_wait_seconds=0) == 0

    asyncio.run(run())


def test_a_caller_who_gives_up_while_waiting_returns_its_token() -> None:
    started = asyncio.Event()

    async def stuck(_seconds: float) -> None:
        started.set()
        await asyncio.Event().wait()

    clock = JumpingClock()
    limits = RateLimiter({"init": Rate(1, 60)}, clock=clock, sleep=stuck)

    async def run() -> None:
        await limits.take(("init", "user"), max_wait_seconds=0)
        waiting = asyncio.create_task(limits.take(("init", "user"), max_wait_seconds=100))
        await started.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        clock.now += 60
        assert await limits.take(("init", "user"), max_wait_seconds=0) == 0

    asyncio.run(run())


def test_a_pause_asked_for_by_the_vendor_holds_back_those_who_come_later() -> None:
    clock = JumpingClock()
    limits = limiter(clock, 5)
    limits.pause(("init", "user"), 30)

    assert asyncio.run(limits.take(("init", "user"), max_wait_seconds=100)) == 30


def test_a_pause_also_holds_back_those_who_already_wait() -> None:
    clock = JumpingClock()
    limits = limiter(clock, 1)

    async def sleep(seconds: float) -> None:
        if not clock.slept:
            limits.pause(("init", "user"), 200)
        await clock.sleep(seconds)

    limits = RateLimiter({"init": Rate(1, 60)}, clock=clock, sleep=sleep)

    async def run() -> float:
        await limits.take(("init", "user"), max_wait_seconds=0)
        return await limits.take(("init", "user"), max_wait_seconds=1_000)

    assert asyncio.run(run()) == 200


def test_retries_are_a_tenth_of_the_calls_and_never_fewer_than_the_floor() -> None:
    clock = JumpingClock()
    budget = RetryBudget(0.10, 3, clock)
    for _ in range(10):
        budget.count_call()
    assert [budget.allow_retry() for _ in range(4)] == [True, True, True, False]  # 10 * 0.1 = 1, the floor is 3

    for _ in range(90):
        budget.count_call()
    assert sum(budget.allow_retry() for _ in range(50)) == 7  # 100 * 0.1 = 10, 3 are used


def test_good_times_do_not_save_up_retries_for_bad_ones() -> None:
    clock = JumpingClock()
    budget = RetryBudget(0.10, 3, clock)
    for _ in range(1_000):
        budget.count_call()
    clock.now += 61
    assert sum(budget.allow_retry() for _ in range(50)) == 3
