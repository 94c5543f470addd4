"""Keeps the calls of all replicas together below a vendor's rates: the buckets are rows of PostgreSQL.

A bucket is the same as in kit.rate_limit: a token comes back one window after it was *used*, so no window of that
length, wherever it begins, sees more than the bucket holds. Who counts is the database, by its own clock.

One statement takes what all callers of this process lack at that moment, of any number of buckets. A process whose
calls are many is given tokens for the next moment ahead, as many as it has just used up in such a time and never more
than come back in it; a call then costs no statement. What it is given counts as used when it may no longer be used, and
what was not used is lost until it comes back: there may be fewer calls than allowed, never more.

A Refill is counted by one moment, when the bucket is full again if nothing more is taken. Tokens that are given ahead
move it as if they were used at the end of their time, so that none of them overlaps what flows in meanwhile.

When the database is away there are no tokens.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import BigInteger, Column, DateTime, Double, Integer, MetaData, Row, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import SQLAlchemyError

from kit.db import ALL_WORKSPACES, Database
from kit.rate_limit import BucketName, Rate, RateLimitFull, Refill

log = structlog.get_logger()

CALLS = Counter("reelroute_rate_limit_calls_total", "Calls that asked for a token.", ["vendor", "rate", "outcome"])
WAIT_SECONDS = Histogram("reelroute_rate_limit_wait_seconds", "How long calls waited for a token that was not at hand.")
TAKE_SECONDS = Histogram("reelroute_rate_limit_take_seconds", "Time of one statement that takes tokens.")

# What a process is given it may use for so long; a tenth of the window where that is less, and more while the database
# is slow, or tokens would have ended before they arrive.
_USE_SECONDS = 0.25
_SLOW_FACTOR = 3
_LONGEST_USE_SECONDS = 10.0
# How long nothing is asked of a database that has failed.
_AWAY_SECONDS = 0.5
_SWEEP_FLOOR = 1_000  # buckets in memory; below this many, idle ones cost too little to look for

# Of the proposed row `granted` is what is asked for. The moment is read inside of the update, when the row is locked:
# an earlier one would let tokens come back too early. Tokens are counted by sixtieths of the window, rounded up; the
# arrays are in order, and hold only what has not come back, so nothing has to be added up.
_TAKE = text("""
    INSERT INTO rate_buckets AS bucket
        (bucket, tokens, window_seconds, use_seconds, granted, pause_end_time, returned, taken_until, taken_totals)
    SELECT asked.bucket, asked.tokens, asked.window_seconds, asked.use_seconds, least(asked.wanted, asked.tokens),
           clock_timestamp() + make_interval(secs => asked.pause_seconds), 0,
           ARRAY[clock_timestamp() + make_interval(secs => asked.use_seconds)],
           ARRAY[CAST(least(asked.wanted, asked.tokens) AS bigint)]
    FROM unnest(CAST(:buckets AS text[]), CAST(:tokens AS int[]), CAST(:windows AS float8[]), CAST(:uses AS float8[]),
                CAST(:wanted AS int[]), CAST(:pauses AS float8[]))
         AS asked (bucket, tokens, window_seconds, use_seconds, wanted, pause_seconds)
    ON CONFLICT (bucket) DO UPDATE SET
        (tokens, window_seconds, use_seconds, pause_end_time, granted, returned, taken_until, taken_totals) = (
        SELECT excluded.tokens, excluded.window_seconds, excluded.use_seconds,
               greatest(bucket.pause_end_time, excluded.pause_end_time), given.count, sums.returned,
               CASE given.count WHEN 0 THEN bucket.taken_until[place.gone + 1 : place.last]
                    ELSE bucket.taken_until[place.gone + 1 : given.place - 1] || given.until END,
               CASE given.count WHEN 0 THEN bucket.taken_totals[place.gone + 1 : place.last]
                    ELSE bucket.taken_totals[place.gone + 1 : given.place - 1] || sums.total + given.count END
        FROM (SELECT clock_timestamp() AS now, make_interval(secs => excluded.window_seconds) AS length) AS moment,
             LATERAL (SELECT width_bucket(moment.now - moment.length, bucket.taken_until) AS gone,
                             cardinality(bucket.taken_until) AS last) AS place,
             LATERAL (SELECT coalesce(bucket.taken_totals[place.gone], bucket.returned) AS returned,
                             coalesce(bucket.taken_totals[place.last], bucket.returned) AS total) AS sums,
             LATERAL (SELECT greatest(
                                 bucket.taken_until[place.last],
                                 date_bin(moment.length / 60, moment.now + make_interval(secs => excluded.use_seconds),
                                          'epoch') + moment.length / 60
                             ) AS until) AS slice,
             LATERAL (SELECT CASE WHEN bucket.pause_end_time > moment.now THEN 0
                                  ELSE CAST(greatest(0, least(
                                      excluded.granted, excluded.tokens - (sums.total - sums.returned)
                                  )) AS int) END AS count,
                             slice.until AS until,
                             CASE WHEN slice.until = bucket.taken_until[place.last] THEN place.last
                                  ELSE place.last + 1 END AS place) AS given
        )
    RETURNING bucket, granted,
              CAST(extract(epoch FROM greatest(
                  pause_end_time,
                  CASE WHEN taken_totals[cardinality(taken_totals)] - returned >= tokens
                       THEN taken_until[1] + make_interval(secs => window_seconds) END
              ) - clock_timestamp()) AS float8) AS wait_seconds
""")
# A Refill's row has in taken_until the one moment when the bucket is full, and nothing in the totals.
_TAKE_REFILL = text("""
    INSERT INTO rate_buckets AS bucket
        (bucket, tokens, window_seconds, use_seconds, granted, pause_end_time, returned, taken_until, taken_totals)
    SELECT asked.bucket, asked.tokens, asked.window_seconds, asked.use_seconds, least(asked.wanted, asked.tokens),
           clock_timestamp() + make_interval(secs => asked.pause_seconds), 0,
           ARRAY[clock_timestamp() + make_interval(
               secs => asked.use_seconds + least(asked.wanted, asked.tokens) * asked.window_seconds / asked.tokens
           )],
           CAST('{0}' AS bigint[])
    FROM unnest(CAST(:buckets AS text[]), CAST(:tokens AS int[]), CAST(:windows AS float8[]), CAST(:uses AS float8[]),
                CAST(:wanted AS int[]), CAST(:pauses AS float8[]))
         AS asked (bucket, tokens, window_seconds, use_seconds, wanted, pause_seconds)
    ON CONFLICT (bucket) DO UPDATE SET
        (tokens, window_seconds, use_seconds, pause_end_time, granted, taken_until) = (
        SELECT excluded.tokens, excluded.window_seconds, excluded.use_seconds,
               greatest(bucket.pause_end_time, excluded.pause_end_time), given.count,
               ARRAY[CASE given.count WHEN 0 THEN bucket.taken_until[1]
                     ELSE greatest(bucket.taken_until[1], moment.now + make_interval(secs => excluded.use_seconds))
                          + make_interval(secs => given.count * moment.token_seconds) END]
        FROM (SELECT clock_timestamp() AS now, excluded.window_seconds / excluded.tokens AS token_seconds) AS moment,
             LATERAL (SELECT greatest(0, extract(epoch FROM bucket.taken_until[1] - moment.now))
                             / moment.token_seconds AS tokens) AS lacking,
             LATERAL (SELECT CASE WHEN bucket.pause_end_time > moment.now THEN 0
                                  ELSE CAST(greatest(0, least(
                                      excluded.granted, floor(excluded.tokens - lacking.tokens)
                                  )) AS int) END AS count) AS given
        )
    RETURNING bucket, granted,
              CAST(extract(epoch FROM greatest(
                  pause_end_time,
                  taken_until[1] - make_interval(secs => (tokens - 1) * window_seconds / tokens)
              ) - clock_timestamp()) AS float8) AS wait_seconds
""")
_FORGET = text("""
    DELETE FROM rate_buckets WHERE bucket IN (
        SELECT bucket FROM rate_buckets
        WHERE greatest(pause_end_time,
                       taken_until[cardinality(taken_until)] + make_interval(secs => window_seconds)) < now()
        LIMIT 10000 FOR UPDATE SKIP LOCKED
    )
""")


def rate_buckets_table(metadata: MetaData) -> Table:
    """The table of a service that calls vendors. All of a row is written by each take."""
    return Table(
        "rate_buckets",
        metadata,
        # Vendor, name of the rate, and whose it is.
        Column("bucket", Text, primary_key=True),
        Column("tokens", Integer, nullable=False),
        Column("window_seconds", Double, nullable=False),
        Column("use_seconds", Double, nullable=False),
        # What the last take was given.
        Column("granted", Integer, nullable=False),
        # No token before it: the vendor asked for a pause.
        Column("pause_end_time", DateTime(timezone=True), nullable=False),
        # How many tokens were taken and came back, ever.
        Column("returned", BigInteger, nullable=False),
        # Until when the others may be used (they come back a window later), and how many were taken by then, ever.
        Column("taken_until", ARRAY(DateTime(timezone=True)), nullable=False),
        Column("taken_totals", ARRAY(BigInteger), nullable=False),
    )


def forget_idle_buckets(database: Database) -> None:
    """Deletes rows that say nothing any more: all their tokens are back. Keys such as tokens change daily."""
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(_FORGET)


@dataclass(slots=True, eq=False)
class _Bucket:
    """What this process knows of a bucket. Times are of the process's clock."""

    row: str
    name: str
    rate: Rate | Refill
    held: int = 0  # tokens that it may use
    held_until: float = 0.0
    empty_until: float = 0.0  # no token comes before
    pause_end: float = 0.0
    spent: int = 0  # tokens used since the last take
    take_time: float = 0.0
    turned_away: int = 0  # callers since a token was last given


@dataclass(frozen=True, slots=True)
class _Asked:
    bucket: _Bucket
    tokens: int
    wanted: int
    use_seconds: float
    pause_seconds: float = 0.0


@dataclass(slots=True, eq=False)
class _Caller:
    buckets: Sequence[_Bucket]
    latest: float
    answer: asyncio.Future[RateLimitFull | None]


class SharedRateLimiter:
    """A kit.rate_limit.Limiter whose buckets all replicas share. For use in one event loop."""

    def __init__(
        self,
        database: Database,
        vendor: str,
        rates: Mapping[str, Rate | Refill],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._vendor = vendor
        self._rates = dict(rates)
        self._clock = clock
        self._buckets: dict[BucketName, _Bucket] = {}
        self._sweep_at = _SWEEP_FLOOR
        self._callers: list[_Caller] = []
        self._hints: list[_Asked] = []
        self._come = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._take_seconds = 0.0
        self._calls = {
            (name, outcome): CALLS.labels(vendor, name, outcome)
            for name in rates
            for outcome in ("at hand", "waited", "refused")
        }

    async def take(self, *buckets: BucketName, max_wait_seconds: float) -> float:
        """Take one token of each bucket, waiting for them if need be; answers the seconds waited.

        With a `max_wait_seconds` of 0 the database is asked once. Raises RateLimitFull when a wait would be longer, as
        soon as that is known; tokens of other buckets may be lost then.
        """
        begin = self._clock()
        wanted = [self._buckets.get(name) or self._opened(name) for name in buckets]
        if _spend(wanted, begin):
            self._calls[wanted[0].name, "at hand"].inc()
            return 0.0
        refusal = self._refusal(wanted, begin, begin + max_wait_seconds)
        if refusal is None:
            refusal = await self._wait(_Caller(wanted, begin + max_wait_seconds, asyncio.Future()))
        self._calls[wanted[0].name, "waited" if refusal is None else "refused"].inc()
        if refusal is not None:
            raise refusal
        waited = self._clock() - begin
        WAIT_SECONDS.observe(waited)
        return waited

    def pause(self, bucket: BucketName, seconds: float) -> None:
        """Hand out no token of this bucket for so many seconds, in any replica: the vendor itself asked us to wait."""
        paused = self._buckets.get(bucket) or self._opened(bucket)
        paused.held = 0
        paused.pause_end = max(paused.pause_end, self._clock() + seconds)
        paused.empty_until = max(paused.empty_until, paused.pause_end)
        self._hint(_Asked(paused, paused.rate.tokens, 0, self._use_seconds(paused.rate), seconds))

    def adapt(self, bucket: BucketName, per_second: float) -> None:
        """The vendor says how many tokens a second flow into this bucket, a Refill. Replicas hear it each."""
        adapted = self._buckets.get(bucket) or self._opened(bucket)
        if isinstance(adapted.rate, Rate):
            raise TypeError(f"the bucket {bucket[0]} is no Refill")
        adapted.rate = replace(adapted.rate, per_second=per_second)

    def lower(self, bucket: BucketName, remaining: int) -> None:
        """The vendor says how many calls are left in this bucket, a Rate: no more tokens are left to all replicas.

        What was taken before comes back as before.
        """
        lowered = self._buckets.get(bucket) or self._opened(bucket)
        if isinstance(lowered.rate, Refill):
            raise TypeError(f"the bucket {bucket[0]} is a Refill")
        lowered.held = min(lowered.held, remaining)
        # Taken, and used by nobody.
        tokens = lowered.rate.tokens
        self._hint(_Asked(lowered, max(0, tokens - remaining), tokens, self._use_seconds(lowered.rate)))

    def _hint(self, hint: _Asked) -> None:
        self._hints.append(hint)
        self._begin()

    async def _wait(self, caller: _Caller) -> RateLimitFull | None:
        self._callers.append(caller)
        self._begin()
        try:
            return await caller.answer
        except asyncio.CancelledError:
            if caller.answer.done() and not caller.answer.cancelled() and caller.answer.result() is None:
                # It has just been given its tokens, and does not need them.
                for bucket in caller.buckets:
                    bucket.held, bucket.spent = bucket.held + 1, bucket.spent - 1
            raise

    def _begin(self) -> None:
        self._come.set()
        if self._running is None:
            # In a context of its own: it serves others too, and is not bound by the first caller's deadline.
            self._running = asyncio.create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        try:
            while self._hints or self._callers:
                self._come.clear()
                if self._hints:
                    hints, self._hints = self._hints, []
                    await self._told(hints)
                    continue
                asked = self._serve(self._clock())
                if asked:
                    await self._fill(asked)
                elif self._callers:
                    next_time = min(_ready(caller) for caller in self._callers)
                    await self._until_come_or(next_time - self._clock())
        finally:
            self._running = None

    async def _until_come_or(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._come.wait()
        except TimeoutError:
            return

    def _serve(self, now: float) -> list[_Asked]:
        """Gives what is held, in the order of the callers, and answers what must be asked for."""
        waiting, lacks = [], dict[_Bucket, int]()
        for caller in self._callers:
            if caller.answer.done():
                continue
            if _spend(caller.buckets, now):
                caller.answer.set_result(None)
                continue
            refusal = self._refusal(caller.buckets, now, caller.latest)
            if refusal is not None:
                caller.answer.set_result(refusal)
                continue
            waiting.append(caller)
            # Who has to wait for one bucket takes nothing of the others yet.
            if _ready(caller) <= now:
                for bucket in caller.buckets:
                    lacks[bucket] = lacks.get(bucket, 0) + 1
        self._callers = waiting
        asked = []
        for bucket, lack in lacks.items():
            lack -= bucket.held if now < bucket.held_until else 0
            if lack > 0:
                use = self._use_seconds(bucket.rate)
                wanted = min(bucket.rate.tokens, lack + _ahead(bucket, use, now))
                asked.append(_Asked(bucket, bucket.rate.tokens, wanted, use))
        return asked

    async def _fill(self, asked: list[_Asked]) -> None:
        begin = self._clock()
        rows = await self._asked(asked)
        now = self._clock()
        for each in asked:
            bucket = each.bucket
            if rows is None:
                bucket.empty_until = now + _AWAY_SECONDS
                continue
            row = rows[bucket.row]
            if row.granted and bucket.pause_end <= now:
                # Older ones may end sooner: then all do.
                until = begin + each.use_seconds
                mixed = bucket.held > 0 and bucket.held_until > now
                bucket.held_until = min(until, bucket.held_until) if mixed else until
                bucket.held = row.granted + (bucket.held if mixed else 0)
                bucket.spent, bucket.take_time, bucket.turned_away = 0, now, 0
            if row.granted < each.wanted:
                bucket.empty_until = max(bucket.empty_until, now + max(row.wait_seconds, 0.001))

    async def _told(self, hints: list[_Asked]) -> None:
        # One row at a time: a statement cannot write a row twice.
        for hint in hints:
            await self._asked([hint])

    async def _asked(self, asked: list[_Asked]) -> dict[str, Row[tuple[str, int, float]]] | None:
        """What the database says, by row; None when it is away."""
        begin = self._clock()
        try:
            rows = await asyncio.to_thread(self._take, asked)
        except Exception as error:
            # Whatever it was: without this task every caller would wait for ever.
            unexpected = None if isinstance(error, SQLAlchemyError) else error
            log.warning(
                "tokens of a rate cannot be taken",
                vendor=self._vendor,
                error_class=type(error).__name__,
                exc_info=unexpected,
            )
            return None
        seconds = self._clock() - begin
        TAKE_SECONDS.observe(seconds)
        self._take_seconds = max(seconds, 0.9 * self._take_seconds)
        return rows

    def _take(self, asked: Sequence[_Asked]) -> dict[str, Row[tuple[str, int, float]]]:
        # In one order everywhere, or two processes could wait for each other's rows.
        ordered = sorted(asked, key=lambda each: each.bucket.row)
        rows = dict[str, Row[tuple[str, int, float]]]()
        with self._database.transaction(ALL_WORKSPACES) as tx:
            for kind, statement in ((Rate, _TAKE), (Refill, _TAKE_REFILL)):
                of_kind = [each for each in ordered if isinstance(each.bucket.rate, kind)]
                if of_kind:
                    rows |= {row.bucket: row for row in tx.execute(statement, _parameters(of_kind))}
        return rows

    def _use_seconds(self, rate: Rate | Refill) -> float:
        usual = min(_USE_SECONDS, rate.window_seconds / 10)
        return min(_LONGEST_USE_SECONDS, max(usual, _SLOW_FACTOR * self._take_seconds))

    def _refusal(self, buckets: Sequence[_Bucket], now: float, latest: float) -> RateLimitFull | None:
        worst = max(buckets, key=lambda bucket: bucket.empty_until)
        if worst.empty_until <= max(now, latest):
            return None
        # Not all are told the same moment: it has tokens for some of them only.
        turn_seconds = worst.rate.turn_seconds(worst.turned_away)
        worst.turned_away += 1
        return RateLimitFull(worst.name, worst.empty_until - now + turn_seconds)

    def _opened(self, name: BucketName) -> _Bucket:
        if len(self._buckets) >= self._sweep_at:
            self._sweep()
        rate, key = name
        bucket = self._buckets[name] = _Bucket(f"{self._vendor}/{rate}/{key}", rate, self._rates[rate])
        return bucket

    def _sweep(self) -> None:
        """Forget buckets that nobody has used for a window; the database knows what must be known."""
        now = self._clock()
        waited_for = {bucket for caller in self._callers for bucket in caller.buckets}
        for name, bucket in list(self._buckets.items()):
            idle_since = max(bucket.take_time, bucket.empty_until, bucket.held_until)
            if idle_since < now - bucket.rate.window_seconds and bucket not in waited_for:
                del self._buckets[name]
        self._sweep_at = max(_SWEEP_FLOOR, 2 * len(self._buckets))


def _parameters(asked: Sequence[_Asked]) -> dict[str, list[object]]:
    return {
        "buckets": [each.bucket.row for each in asked],
        "tokens": [each.tokens for each in asked],
        "windows": [each.bucket.rate.window_seconds for each in asked],
        "uses": [each.use_seconds for each in asked],
        "wanted": [each.wanted for each in asked],
        "pauses": [each.pause_seconds for each in asked],
    }


def _spend(buckets: Sequence[_Bucket], now: float) -> bool:
    """Uses one held token of each, if all have one."""
    for bucket in buckets:
        if bucket.held <= 0 or now >= bucket.held_until:
            return False
    for bucket in buckets:
        bucket.held -= 1
        bucket.spent += 1
    return True


def _ready(caller: _Caller) -> float:
    return max(bucket.empty_until for bucket in caller.buckets)


def _ahead(bucket: _Bucket, use_seconds: float, now: float) -> int:
    """How many more tokens than its callers lack this process will likely use while it may."""
    likely = bucket.spent * use_seconds / max(now - bucket.take_time, 0.001)
    return int(min(likely, bucket.rate.tokens * use_seconds / bucket.rate.window_seconds))
