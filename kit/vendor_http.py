"""The one way out to vendors: every HTTP call to somebody else's API goes through VendorHttp.

It keeps to time-outs and the caller's deadline, limits connections, rates and the size of answers, follows no
redirects, and is the only layer that tries again: at most three tries, full jitter, only for calls marked as
repeatable, never sooner than Retry-After, and never more retries than a tenth of the calls of the last minute. (When a
vendor is away, every retry is load that delays its return.) Every try is measured, logged and handed to ``on_call``
without secrets.

The failures are the classes of kit.vendor_errors. The clock here is monotonic and in seconds.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import structlog
from prometheus_client import Histogram

from kit import context
from kit.rate_limit import Limiter, Rate, RateLimiter, RateLimitFull, Refill, RetryBudget
from kit.vendor_call import (
    CallRecord,
    Inspection,
    VendorAnswer,
    VendorCall,
    decoded,
    recorded_answer,
    recorded_request,
)
from kit.vendor_errors import VendorError, VendorRateLimited, VendorUnavailable, VendorUncertain
from kit.vendor_json import UnreadableAnswer, storable
from kit.vendor_transport import SendFailed, SendProgress, VendorTransport, WatchedBody

T = TypeVar("T")

CALL_SECONDS = Histogram(
    "reelroute_vendor_call_seconds",
    "Time of one try of one call to a vendor.",
    ["vendor", "operation", "outcome"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
_log = structlog.get_logger("reelroute.vendor")


@dataclass(frozen=True, kw_only=True)
class VendorHttpSettings:
    """One vendor's connection settings. Times in seconds, sizes in bytes."""

    vendor: str
    base_url: str
    connect_timeout: float = 5.0  # includes the wait for a free connection
    read_timeout: float = 30.0  # silence after the request was sent
    write_timeout: float = 60.0  # no progress of a streamed body
    max_connections: int = 64
    max_answer_bytes: int = 5 * 1024 * 1024
    max_tries: int = 3
    retry_base: float = 0.25  # the wait before try n+1 is random in 0 … base * 2^(n-1), at most retry_cap
    retry_cap: float = 5.0
    retry_share: float = 0.10  # retries per call over the last minute
    retry_floor: int = 3  # retries a minute that are always allowed
    max_rate_wait: float = 5.0  # for our own limits; a call that would wait longer is refused at once
    rates: Mapping[str, Rate | Refill] = field(default_factory=dict)


class VendorHttp:
    """Calls one vendor. Use as ``async with`` or call ``aclose``; one instance per process and vendor.

    Without a ``limiter`` the rates of the settings hold for this process alone.
    """

    def __init__(
        self,
        settings: VendorHttpSettings,
        *,
        on_call: Callable[[CallRecord], None] | None = None,
        limiter: Limiter | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._on_call = on_call
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._limiter = limiter or RateLimiter(settings.rates, clock=clock, sleep=sleep)
        self._budget = RetryBudget(settings.retry_share, settings.retry_floor, clock)
        self._base_url = settings.base_url.rstrip("/")
        self._transport = VendorTransport(
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            max_connections=settings.max_connections,
            max_answer_bytes=settings.max_answer_bytes,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def call(self, call: VendorCall, *, timeout_seconds: float) -> VendorAnswer:
        """Make one call and answer what the vendor said, once ``call.inspect`` finds no error in it.

        ``timeout_seconds`` covers everything: waiting for the rate, all tries, and the waits between them. Raises a
        VendorError; or what a streamed body's source raised, if that failed (the vendor then has not got the body).
        """
        deadline = self._clock() + timeout_seconds
        self._budget.count_call()
        attempt = 0
        while True:
            attempt += 1
            await self._take_token(call, deadline)
            result = await self._try_once(call, attempt, deadline)
            if isinstance(result, VendorAnswer):
                return result
            wait = self._retry_wait(call, result, attempt, deadline)
            if wait is None:
                raise result
            await self._sleep(wait)

    async def read(self, call: VendorCall, read: Callable[[Any], T], *, timeout_seconds: float) -> T:
        """Make one call and answer what ``read`` makes of the JSON that came.

        Where it raises a ValueError the answer counts as none: in doubt for a call that commits. Raises as ``call``.
        """
        found: list[T] = []

        def inspect(answer: VendorAnswer) -> Inspection:
            seen = call.inspect(answer)
            if seen.error is not None:
                return seen
            try:
                found.append(read(storable(answer.json())))
            except ValueError as unreadable:
                lack = f" It lacks {unreadable}." if isinstance(unreadable, UnreadableAnswer) else ""
                text = f"The vendor's answer could not be read.{lack}"
                error = VendorUnavailable(text, sent=True, code="unreadable_answer", status=answer.status)
                return replace(seen, error=error)
            return seen

        await self.call(replace(call, inspect=inspect), timeout_seconds=timeout_seconds)
        return found[-1]

    async def _take_token(self, call: VendorCall, deadline: float) -> None:
        left = deadline - self._clock()
        if left <= 0:
            raise VendorUnavailable(
                "No time was left for the call.",
                sent=False,
                vendor=self.settings.vendor,
                operation=call.operation,
                code="deadline_exceeded",
            )
        if not call.rates:
            return
        full: RateLimitFull
        try:
            await self._limiter.take(*call.rates, max_wait_seconds=min(left, self.settings.max_rate_wait))
            return
        except RateLimitFull as refused:
            full = refused
        raise VendorRateLimited(
            "Our own limit for this call is used up.",
            retry_after_seconds=full.wait_seconds,
            vendor=self.settings.vendor,
            operation=call.operation,
            code="local_rate_limit",
        )

    def _retry_wait(self, call: VendorCall, error: VendorError, attempt: int, deadline: float) -> float | None:
        """Seconds to wait before the next try; None when there must be none."""
        if not isinstance(error, VendorUnavailable | VendorRateLimited):
            return None
        asked = error.retry_after_seconds
        if call.rates and isinstance(error, VendorRateLimited):
            # Others who share the bucket must not run into the same refusal.
            self._limiter.pause(call.rates[0], error.retry_after_seconds)
        if not call.repeatable or attempt >= self.settings.max_tries or error.code == "answer_too_large":
            return None
        wait: float = self._jitter() * min(self.settings.retry_cap, self.settings.retry_base * 2 ** (attempt - 1))
        wait += asked or 0.0
        if self._clock() + wait >= deadline or not self._budget.allow_retry():
            return None
        return wait

    async def _try_once(self, call: VendorCall, attempt: int, deadline: float) -> VendorAnswer | VendorError:
        start_time, start = datetime.now(UTC), self._clock()
        progress = SendProgress()
        answer: VendorAnswer | None = None
        error: VendorError | None = None
        seen = Inspection()
        outcome = "abandoned"
        try:
            result = await self._exchange(call, progress, deadline)
            if isinstance(result, VendorAnswer):
                answer = result
                seen = call.inspect(answer)
            else:
                seen = Inspection(result)
            if seen.per_second is not None and call.rates:
                self._limiter.adapt(call.rates[0], seen.per_second)
            error = None if seen.error is None else self._settled(call, seen.error)
            outcome = "ok" if error is None else _outcome(error)
            return result if error is None else error
        finally:
            self._record(
                CallRecord(
                    subjects=context.subjects(),
                    vendor=self.settings.vendor,
                    operation=call.operation,
                    method=call.method,
                    path=call.shown_path(),
                    attempt=attempt,
                    start_time=start_time,
                    duration_seconds=self._clock() - start,
                    outcome=outcome,
                    status=answer.status if answer is not None else error.status if error is not None else None,
                    code="" if error is None else error.code,
                    log_id=seen.log_id if error is None else error.log_id or seen.log_id,
                    handle=seen.handle or call.handle,
                    # Bodies cost time to redact; nobody but the hook sees them.
                    request=recorded_request(call) if self._on_call else None,
                    answer=recorded_answer(call, answer) if self._on_call else None,
                )
            )

    def _settled(self, call: VendorCall, error: VendorError) -> VendorError:
        """The error as the caller sees it: named, scrubbed, and in doubt if the call commits and may have arrived."""
        if call.commits and isinstance(error, VendorUnavailable) and error.sent:
            error = VendorUncertain(
                "No usable answer came; the call may have taken effect.",
                code=error.code,
                status=error.status,
                log_id=error.log_id,
                vendor_message=error.vendor_message,
                advice="Read the state first; repeat only if nothing happened.",
            )
        error.vendor, error.operation = self.settings.vendor, call.operation
        error.scrub(call.known_secrets())
        return error

    async def _exchange(self, call: VendorCall, progress: SendProgress, deadline: float) -> VendorAnswer | VendorError:
        """Send the request and read the answer whole; or say why there is none."""
        body: WatchedBody | None = None
        code = ""
        try:
            async with asyncio.timeout(deadline - self._clock()) as limit:
                if call.stream is not None:
                    body = WatchedBody(call.stream.pieces, call.stream.length, limit, self.settings.write_timeout)
                return await self._send(call, body, progress)
        except TimeoutError:
            code = "timed_out"
        except SendFailed as failed:
            code = failed.code
        if body is not None and body.failure is not None:
            raise body.failure
        text = "The vendor did not answer." if progress.sent else "The vendor could not be reached."
        return VendorUnavailable(text, sent=progress.sent, code=code)

    async def _send(
        self, call: VendorCall, body: WatchedBody | None, progress: SendProgress
    ) -> VendorAnswer | VendorError:
        content = _content(call) if body is None else body
        signed = content if isinstance(content, bytes) else b""
        url = call.url if call.sign is None else call.sign(call.url, signed)
        if not call.to_foreign_host:
            url = self._base_url + url
        headers = self._headers(call)
        if call.headers_of_try is not None:
            headers |= call.headers_of_try(url, signed)
        reply = await self._transport.send(call.method, url, headers, content, progress)
        if reply.content is None:
            return self._too_large(reply.status)
        encoding = reply.headers.get("content-encoding", "").lower()
        plain = decoded(reply.content, encoding, self.settings.max_answer_bytes)
        if plain is None:
            return self._too_large(reply.status)
        return VendorAnswer(reply.status, reply.headers, plain, datetime.now(UTC))

    def _too_large(self, status: int) -> VendorUnavailable:
        return VendorUnavailable(
            "The vendor's answer is too large or packed in a way that we did not ask for.",
            sent=True,
            code="answer_too_large",
            status=status,
        )

    @staticmethod
    def _headers(call: VendorCall) -> dict[str, str]:
        headers = dict(call.headers)
        if call.json is not None:
            headers.setdefault("Content-Type", "application/json")
        if call.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if call.bearer is not None:
            headers["Authorization"] = f"Bearer {call.bearer}"
        if call.stream is not None:
            headers["Content-Type"] = call.stream.content_type
            # Given by hand, else the body would be sent in chunked encoding.
            headers["Content-Length"] = str(call.stream.length)
        return headers

    def _record(self, record: CallRecord) -> None:
        CALL_SECONDS.labels(record.vendor, record.operation, record.outcome).observe(record.duration_seconds)
        _log.debug(
            "vendor_call",
            vendor=record.vendor,
            operation=record.operation,
            method=record.method,
            path=record.path,
            attempt=record.attempt,
            outcome=record.outcome,
            status=record.status,
            code=record.code,
            duration_ms=round(record.duration_seconds * 1000, 1),
            log_id=record.log_id,
            handle=record.handle,
        )
        if self._on_call is None:
            return
        try:
            self._on_call(record)
        except Exception:  # noqa: BLE001 - a broken recorder must not hide from the caller what the vendor answered
            _log.exception("vendor_call_not_recorded", vendor=record.vendor, operation=record.operation)


def _content(call: VendorCall) -> bytes | None:
    if call.json is not None:
        return json.dumps(call.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return None if call.form is None else urlencode(call.form).encode()


def _outcome(error: VendorError) -> str:
    kind = next(each for each in type(error).__mro__ if VendorError in each.__bases__)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__.removeprefix("Vendor")).lower()
