"""The scheduler as the worker knows it: claims, the leases that keep them, and grants, without which nothing goes out.

One call serves everything that this process holds: leases are renewed together, and grants that are asked for at the
same moment travel together.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from prometheus_client import Gauge
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1 import scheduler_pb2_grpc

from kit import rpc
from services.publisher.config import PublisherConfig
from services.publisher.domain import Account, Claim, Fenced, GrantStale, MediaRef, Options, Publication, Withdrawn

log = structlog.get_logger()

OLDEST_IDLE = Gauge("reelroute_oldest_idle_seconds", "How long the delivery that moves least has not moved on.")
# scheduler.proto: whoever has a grant commits within 500 ms. What is left is for the way of the call.
GRANT_SECONDS = 0.45
# How long an answer tells how the database's clock stands.
CLOCK_SECONDS = 10.0
_CALL_SECONDS = 5.0
_ASK_AGAIN_SECONDS = 0.2
_PER_CALL = 2000


@dataclass(slots=True, eq=False)
class Held:
    """A claim that this process holds. Times are of `time.monotonic()`; `granted_at` is when a grant was asked for."""

    claim: Claim
    due_at: float
    lease_end: float
    granted_at: float | None
    busy_with: str = "being prepared"
    moved_at: float = 0.0
    waits: bool = False
    lost: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def at(self, busy_with: str, *, waits: bool = False) -> None:
        """It moved on, and is now busy with this; `waits`: for its time, so that standing still is no stall."""
        self.busy_with, self.waits = busy_with, waits
        self.moved_at = time.monotonic()

    def check_last_moment(self) -> None:
        """Raises Fenced when the lease has ended by our own clock, GrantStale when the grant is too old.

        Called right before the committing call leaves: this process may have been frozen since anything before.
        """
        now = time.monotonic()
        if self.lost or now >= self.lease_end:
            raise Fenced
        if not self.has_grant:
            raise GrantStale

    @property
    def has_grant(self) -> bool:
        """Whether it may go out now."""
        now = time.monotonic()
        return self.granted_at is not None and now - self.granted_at <= GRANT_SECONDS


class DatabaseClock:
    """The database's clock, which decides what is early, by `time.monotonic()` of this process. It is never ahead of
    it, save for what the two clocks drift apart within CLOCK_SECONDS (at 50 ppm half a millisecond).
    """

    def __init__(self) -> None:
        # What was added to the database's time, by when it was learned; smaller ones behind larger ones are gone.
        self._lags: deque[tuple[float, float]] = deque()

    def learn(self, told: datetime, arrived: float) -> None:
        """An answer arrived that said this time when it left. It was on its way, and lay here until it was read, so of
        several answers the one that took least time tells most.
        """
        lag = arrived - told.timestamp()
        while self._lags and self._lags[-1][1] >= lag:
            self._lags.pop()
        self._lags.append((arrived, lag))
        while self._lags[0][0] < arrived - CLOCK_SECONDS:
            self._lags.popleft()

    def moment(self, instant: datetime) -> float:
        """When that clock will be there. Something has been learned before."""
        return instant.timestamp() + self._lags[0][1]


class SchedulerClient:
    """Claims, leases, grants."""

    def __init__(
        self, config: PublisherConfig, stub: scheduler_pb2_grpc.SchedulerServiceAsyncStub, service_token: str
    ) -> None:
        self._config = config
        self._stub = stub
        self._token = service_token
        self._lease = _duration(config.lease_seconds)
        self._holder = f"{config.holder}/{os.getpid()}"
        self._clock = DatabaseClock()
        self._held: set[Held] = set()
        self._asking: list[tuple[Held, asyncio.Future[pb.Authorization.ValueType]]] = []
        self._asker: asyncio.Task[None] | None = None

    async def claim(self, room: int) -> list[Held]:
        """What is due, or soon will be. Waits for it for a while."""
        request = pb.ClaimDueDeliveriesRequest(
            holder=self._holder,
            max_deliveries=room,
            lease_duration=self._lease,
            lead_time=_duration(self._config.lead_seconds),
            wait_duration=_duration(self._config.claim_wait_seconds),
            takes_ask_only=True,
        )
        answer = await self._stub.ClaimDueDeliveries(
            request, timeout=self._config.claim_wait_seconds + 10, metadata=rpc.call_metadata(self._token)
        )
        now, claim_time = time.monotonic(), answer.claim_time.ToDatetime(tzinfo=UTC)
        self._clock.learn(claim_time, now)
        held = []
        for message in answer.deliveries:
            claim = _claim(message)
            lease = (message.lease_expire_time.ToDatetime(tzinfo=UTC) - claim_time).total_seconds()
            # The answer was on its way for some of the lease.
            end = now + lease - min(2.0, lease / 4)
            held.append(
                Held(
                    claim,
                    self._clock.moment(claim.due_time),
                    end,
                    now if message.authorized else None,
                    moved_at=now,
                )
            )
        return held

    @contextlib.asynccontextmanager
    async def kept(self, held: Held) -> AsyncIterator[None]:
        """The lease is renewed while inside; when it is lost, what is inside is canceled and Fenced raised."""
        held.task = asyncio.current_task()
        self._held.add(held)
        try:
            yield
        except asyncio.CancelledError:
            if not held.lost:
                raise
            if held.task is not None:
                held.task.uncancel()
            raise Fenced from None
        finally:
            self._held.discard(held)

    async def keep(self) -> None:
        """Renews all leases every third of one, until canceled; and says what each delivery is busy with."""
        while True:
            await asyncio.sleep(self._config.lease_seconds / 3)
            held = list(self._held)
            OLDEST_IDLE.set(max((_idle(each) for each in held), default=0.0))
            for start in range(0, len(held), _PER_CALL):
                try:
                    await self._renew(held[start : start + _PER_CALL])
                except grpc.aio.AioRpcError as error:
                    # The next one may get through; the lease is proven anew before anything is published.
                    log.warning("renewing leases failed", code=error.code().name)
                except Exception as error:
                    log.error("renewing leases broke", exc_info=error)

    async def _renew(self, held: Sequence[Held]) -> None:
        asked = time.monotonic()
        request = pb.RenewDeliveriesRequest(deliveries=[_message(each) for each in held], lease_duration=self._lease)
        # A scheduler that is just being restarted is waited for: the lease outlives that.
        answer = await self._stub.RenewDeliveries(
            request, timeout=_CALL_SECONDS, metadata=rpc.call_metadata(self._token), wait_for_ready=True
        )
        lost = set(answer.lost_delivery_ids)
        for each in held:
            if str(each.claim.delivery_id) not in lost:
                each.lease_end = max(each.lease_end, asked + self._config.lease_seconds)
            elif each in self._held:
                each.lost = True
                if each.task is not None:
                    each.task.cancel()

    async def authorize(self, held: Held) -> None:
        """Gets the permission to commit within half a second. Raises Fenced when the lease is lost, Withdrawn when the
        scheduler has taken the delivery back. A scheduler that does not answer is asked again until the lease ends.
        """
        while True:
            try:
                verdict = await self._verdict(held)
                break
            except grpc.aio.AioRpcError as error:
                log.warning("no answer to the question for a grant", code=error.code().name)
                if held.lost or time.monotonic() >= held.lease_end:
                    raise Fenced from None
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
        match verdict:
            case pb.AUTHORIZATION_GRANTED:
                return
            case pb.AUTHORIZATION_WITHDRAWN:
                raise Withdrawn
            case _:
                raise Fenced

    async def _verdict(self, held: Held) -> pb.Authorization.ValueType:
        future: asyncio.Future[pb.Authorization.ValueType] = asyncio.get_running_loop().create_future()
        self._asking.append((held, future))
        if self._asker is None:
            # In a context of its own: it asks for all.
            self._asker = asyncio.create_task(self._ask(), context=contextvars.Context())
        return await future

    async def _ask(self) -> None:
        while self._asking:
            batch, self._asking = self._asking[:_PER_CALL], self._asking[_PER_CALL:]
            asked = time.monotonic()
            request = pb.AuthorizeDeliveriesRequest(
                deliveries=[_message(held) for held, _ in batch], lease_duration=self._lease
            )
            try:
                answer = await self._stub.AuthorizeDeliveries(
                    request, timeout=_CALL_SECONDS, metadata=rpc.call_metadata(self._token), wait_for_ready=True
                )
                verdicts = list(zip(batch, answer.authorizations, strict=True))
            except (grpc.aio.AioRpcError, ValueError) as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (held, future), verdict in verdicts:
                if verdict == pb.AUTHORIZATION_GRANTED:
                    held.granted_at = asked
                    held.lease_end = max(held.lease_end, asked + self._config.lease_seconds)
                if not future.done():
                    future.set_result(verdict)
        self._asker = None

    async def is_paused(self, publication: Publication, account: Account) -> bool:
        """Whether people have paused what a publication belongs to: everything, its platform, account or post. False
        when the scheduler does not say so now. A pause of a channel is not seen: the ledger knows none.
        """
        request = pb.ListHoldsRequest(workspace_id=str(publication.workspace_id), page_size=200)
        try:
            answer = await self._stub.ListHolds(request, timeout=_CALL_SECONDS, metadata=rpc.call_metadata(self._token))
        except grpc.aio.AioRpcError as error:
            log.warning("holds could not be read", code=error.code().name)
            return False
        ours = {
            (pb.HOLD_SCOPE_EVERYTHING, ""),
            (pb.HOLD_SCOPE_PLATFORM, account.platform.value.lower()),
            (pb.HOLD_SCOPE_WORKSPACE, ""),
            (pb.HOLD_SCOPE_ACCOUNT, str(publication.account_id)),
            (pb.HOLD_SCOPE_POST, str(publication.post_id)),
        }
        return any(each.cause == pb.HOLD_CAUSE_PAUSE and (each.scope, each.target) in ours for each in answer.holds)

    async def release(self, claims: Iterable[Claim]) -> None:
        """Gives deliveries back, of which nothing was sent. What does not get through waits for its lease's end."""
        reports = [
            pb.DeliveryReport(
                workspace_id=str(claim.workspace_id),
                delivery_id=str(claim.delivery_id),
                attempt=claim.attempt,
                released=pb.Released(),
            )
            for claim in claims
        ]
        for start in range(0, len(reports), 1000):
            try:
                await self._stub.ReportDeliveries(
                    pb.ReportDeliveriesRequest(reports=reports[start : start + 1000]),
                    timeout=_CALL_SECONDS,
                    metadata=rpc.call_metadata(self._token),
                    wait_for_ready=True,
                )
            except grpc.aio.AioRpcError as error:
                log.warning("deliveries could not be given back", code=error.code().name)


def _idle(held: Held) -> float:
    return 0.0 if held.waits else time.monotonic() - held.moved_at


def _message(held: Held) -> pb.HeldDelivery:
    return pb.HeldDelivery(
        workspace_id=str(held.claim.workspace_id),
        delivery_id=str(held.claim.delivery_id),
        attempt=held.claim.attempt,
        busy_with=held.busy_with[:200],
        idle_seconds=_idle(held),
    )


def _duration(seconds: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message


def media_of(media: Iterable[pb.PostMedia]) -> tuple[MediaRef, ...]:
    """The files that a post refers to."""
    return tuple(MediaRef(each.media_asset_id, each.sha256, each.mime_type) for each in media)


def options_of(options: pb.PostOptions) -> dict[str, Options]:
    """Each platform's choices, by their names."""
    return {
        platform.name: {field.name: getattr(choices, field.name) for field in choices.DESCRIPTOR.fields}
        for platform, choices in options.ListFields()
    }


def _claim(message: pb.ClaimedDelivery) -> Claim:
    return Claim(
        workspace_id=UUID(message.workspace_id),
        delivery_id=UUID(message.delivery_id),
        post_id=UUID(message.post_id),
        account_id=UUID(message.account_id),
        attempt=message.attempt,
        due_time=message.due_time.ToDatetime(tzinfo=UTC),
        # A scheduler of the version before does not say it.
        planned_time=(message.planned_time if message.HasField("planned_time") else message.due_time).ToDatetime(
            tzinfo=UTC
        ),
        caption=message.caption,
        media=media_of(message.media),
        options=options_of(message.options),
        etag=message.post_etag,
        ask_only=message.ask_only,
    )
