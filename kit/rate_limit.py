"""Keeps our own calls below a vendor's rates, per key (for instance per user token), inside one process.

What holds over several processes is kit.shared_rate_limit.

A bucket holds ``tokens`` tokens. A token comes back one window *after it was taken*, not drop by drop. That is what a
sliding window at the vendor counts: the whole burst may be used, and no window of that length ever sees more. A bucket
that refills steadily would let almost twice the rate through in its first minute.

Where the vendor's own bucket refills steadily, ours is a Refill: the vendor says how many tokens it keeps, and how many
a second flow in.

Beside it the budget of retries, which limits what we add to a vendor's trouble.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

_SWEEP_FLOOR = 1_000  # buckets; below this many, idle ones cost too little to look for


@dataclass(frozen=True)
class Rate:
    """At most ``tokens`` calls in any ``window_seconds``.

    The default window is one second longer than a minute: two calls may travel for different times, so the vendor can
    see them closer together than we sent them.
    """

    tokens: int
    window_seconds: float = 61.0

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.window_seconds <= 0:
            raise ValueError("a rate needs at least one token and a window longer than zero seconds")

    def turn_seconds(self, turn: int) -> float:
        """How much later than the first of several callers the one with this number (from 0) gets a token."""
        return turn // self.tokens * self.window_seconds


@dataclass(frozen=True)
class Refill:
    """At most ``tokens`` calls at once, and ``per_second`` more in every second: no time T sees more than both add to.

    Calls travel for different times: with as many tokens as the vendor keeps, one that overtakes another is refused.
    """

    tokens: int
    per_second: float

    def __post_init__(self) -> None:
        if self.tokens < 1 or not 0 < self.per_second < math.inf:
            raise ValueError("a rate needs at least one token and more than zero a second")

    @property
    def window_seconds(self) -> float:
        """How long an empty bucket takes to be full."""
        return self.tokens / self.per_second

    def turn_seconds(self, turn: int) -> float:
        """How much later than the first of several callers the one with this number (from 0) gets a token."""
        return turn / self.per_second


# Name of the rate, and whose bucket it is.
BucketName = tuple[str, str]


class Limiter(Protocol):
    """Hands out the tokens of buckets. RateLimiter does for one process, kit.shared_rate_limit for all replicas."""

    async def take(self, *buckets: BucketName, max_wait_seconds: float) -> float:
        """Take one token of each, waiting for them if need be; answers the seconds waited. Raises RateLimitFull."""

    def pause(self, bucket: BucketName, seconds: float) -> None:
        """Hand out no token of this bucket for so many seconds: the vendor itself asked us to wait."""

    def adapt(self, bucket: BucketName, per_second: float) -> None:
        """The vendor says how many tokens a second flow into this bucket, a Refill."""


class RateLimitFull(Exception):
    """No token comes back within the time the caller can wait. ``wait_seconds``: when one will."""

    def __init__(self, name: str, wait_seconds: float) -> None:
        super().__init__(f"no token of {name} for another {wait_seconds:.1f} s")
        self.name = name
        self.wait_seconds = wait_seconds


@dataclass
class _Bucket:
    rate: Rate | Refill
    # Of a Refill: when it is full again if nothing more is taken.
    full_time: float = 0.0
    # Of a Rate: when each token was taken, oldest first; times in the future are reservations of callers that wait.
    taken: deque[float] = field(default_factory=deque)
    paused_until: float = 0.0


class RateLimiter:
    """Buckets by rate name and key; callers are served in the order in which they came."""

    def __init__(
        self,
        rates: Mapping[str, Rate | Refill],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rates = dict(rates)
        self._clock = clock
        self._sleep = sleep
        self._buckets: dict[BucketName, _Bucket] = {}
        self._sweep_at = _SWEEP_FLOOR

    async def take(self, *buckets: BucketName, max_wait_seconds: float) -> float:
        """Take one token of each bucket, waiting for them if need be; answers the seconds waited.

        Raises RateLimitFull at once when the wait would be longer than ``max_wait_seconds``; that bucket gives nothing
        then, while tokens of those before it are lost.
        """
        begin = self._clock()
        for name in buckets:
            await self._take_one(name, begin + max_wait_seconds)
        return self._clock() - begin

    def pause(self, bucket: BucketName, seconds: float) -> None:
        """Hand out no token of this bucket for so many seconds: the vendor itself asked us to wait."""
        paused = self._bucket(bucket)
        paused.paused_until = max(paused.paused_until, self._clock() + seconds)

    def adapt(self, bucket: BucketName, per_second: float) -> None:
        """The vendor says how many tokens a second flow into this bucket, a Refill."""
        adapted = self._bucket(bucket)
        if isinstance(adapted.rate, Rate):
            raise TypeError(f"the bucket {bucket[0]} is no Refill")
        adapted.rate = replace(adapted.rate, per_second=per_second)

    async def _take_one(self, name: BucketName, latest: float) -> None:
        bucket = self._bucket(name)
        while True:
            now = self._clock()
            start = self._reserve(name[0], bucket, now, latest)
            if start > now:
                try:
                    await self._sleep(start - now)
                except BaseException:
                    _give_back(bucket, start)
                    raise
            if bucket.paused_until <= self._clock():
                return
            # The vendor told us to wait while we were already waiting: give the token back and queue again.
            _give_back(bucket, start)

    def _reserve(self, name: str, bucket: _Bucket, now: float, latest: float) -> float:
        rate, start = bucket.rate, max(now, bucket.paused_until)
        if isinstance(rate, Refill):
            start = max(start, bucket.full_time - (rate.tokens - 1) / rate.per_second)
        else:
            while bucket.taken and bucket.taken[0] <= now - rate.window_seconds:
                bucket.taken.popleft()
            if len(bucket.taken) >= rate.tokens:
                start = max(start, bucket.taken[len(bucket.taken) - rate.tokens] + rate.window_seconds)
        if start > now and start > latest:
            raise RateLimitFull(name, start - now)
        if isinstance(rate, Refill):
            bucket.full_time = max(bucket.full_time, start) + 1 / rate.per_second
        else:
            bucket.taken.append(start)
        return start

    def _bucket(self, name: BucketName) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= self._sweep_at:
                self._sweep()
            bucket = self._buckets[name] = _Bucket(self._rates[name[0]])
        return bucket

    def _sweep(self) -> None:
        """Forget buckets that are full again; keys such as tokens change daily and would pile up."""
        now = self._clock()
        for name, bucket in list(self._buckets.items()):
            full_time = max(bucket.full_time, bucket.taken[-1] + bucket.rate.window_seconds if bucket.taken else 0.0)
            if full_time <= now and bucket.paused_until <= now:
                del self._buckets[name]
        self._sweep_at = max(_SWEEP_FLOOR, 2 * len(self._buckets))


def _give_back(bucket: _Bucket, start: float) -> None:
    if isinstance(bucket.rate, Refill):
        bucket.full_time -= 1 / bucket.rate.per_second
    else:
        bucket.taken.remove(start)


class RetryBudget:
    """Allows retries up to a share of the calls of the last minute, and always a small number."""

    _WINDOW_SECONDS = 60.0

    def __init__(self, share: float, floor: int, clock: Callable[[], float]) -> None:
        self._share = share
        self._floor = floor
        self._clock = clock
        self._calls: deque[float] = deque()
        self._retries: deque[float] = deque()

    def count_call(self) -> None:
        """Note a call's first try."""
        self._forget_old()
        self._calls.append(self._clock())

    def allow_retry(self) -> bool:
        """Whether one more retry fits; if so it is counted."""
        self._forget_old()
        if len(self._retries) >= max(self._floor, self._share * len(self._calls)):
            return False
        self._retries.append(self._clock())
        return True

    def _forget_old(self) -> None:
        start = self._clock() - self._WINDOW_SECONDS
        for times in (self._calls, self._retries):
            while times and times[0] <= start:
                times.popleft()
