"""The publisher's fan-out: one asyncio loop in a thread of its own, claiming what is due and asking for verdicts.

It takes no more deliveries than it has room for. SIGTERM ends the claims first, then lets running deliveries finish;
what does not finish in time is cut off where it stands, and the ledger says where that is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, TypeVar
from uuid import UUID

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from prometheus_client import Gauge
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1 import scheduler_pb2_grpc

from kit import rpc
from services.publisher import domain
from services.publisher.config import PublisherConfig
from services.publisher.delivering import Deliverer
from services.publisher.domain import Account, Claim, Fenced, MediaRef
from services.publisher.ledger import Ledger
from services.publisher.library import Library
from services.publisher.observing import Observer
from services.publisher.platforms.base import Adapter
from services.publisher.tokens import AccountTokens, TokenVendor

log = structlog.get_logger()
Result = TypeVar("Result")

IN_WORK = Gauge("reelroute_deliveries_in_work", "Deliveries that this process works on.")
_RENEW_SECONDS = 5.0
_DATABASE_THREADS = 8


@dataclass(frozen=True, slots=True)
class Platforms:
    """The adapters, and the vendors that refresh their accounts' tokens. Made inside the loop."""

    adapters: Mapping[domain.Platform, Adapter]
    vendors: Mapping[domain.Platform, TokenVendor]


class Worker:
    """A part of the process (see kit.service.Part). `platforms` opens the vendors' clients inside the loop."""

    def __init__(
        self, config: PublisherConfig, ledger: Ledger, platforms: AbstractAsyncContextManager[Platforms]
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._platforms_context = platforms
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._observe = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self.platforms: Platforms | None = None

    def start(self) -> None:
        """Begins; returns when the vendors' clients are open."""
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("The worker did not start within 30 seconds; the log has the cause.")

    def stop(self, timeout_seconds: float) -> bool:
        """Takes nothing new, and waits for what is in work."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def look_for_verdicts(self) -> None:
        """Something was accepted: ask soon. May be called from any thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._observe.set)

    def call(self, work: Coroutine[Any, Any, Result], timeout_seconds: float) -> Result:
        """Runs something in the loop for a caller in another thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_seconds)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(ThreadPoolExecutor(_DATABASE_THREADS, thread_name_prefix="ledger"))
        try:
            self._loop.run_until_complete(self._main())
        except Exception as error:
            # A publisher that cannot publish must not look alive: whoever runs it starts it again.
            log.critical("the worker died", exc_info=error)
            os._exit(70)

    async def _main(self) -> None:
        config, token = self._config, self._config.service_token.get_secret_value()
        async with (
            self._platforms_context as platforms,
            rpc.aio_channel(config.scheduler_address) as to_scheduler,
            rpc.aio_channel(config.content_address) as to_content,
        ):
            self.platforms = platforms

            def tokens_of(account: Account) -> AccountTokens:
                vendor = platforms.vendors[account.platform]
                return AccountTokens(self._ledger.database, self._ledger.vault, account, vendor)

            scheduler = _Scheduler(config, scheduler_pb2_grpc.SchedulerServiceStub(to_scheduler), token)
            deliverer = Deliverer(self._ledger, Library(to_content, token), platforms.adapters, scheduler, tokens_of)
            observer = Observer(self._ledger, platforms.adapters, tokens_of, config.max_observations)
            self._ready.set()
            observing = asyncio.create_task(self._observe_again_and_again(observer))
            await self._claim_again_and_again(scheduler, deliverer)
            await observing

    async def _claim_again_and_again(self, scheduler: _Scheduler, deliverer: Deliverer) -> None:
        running: set[asyncio.Task[None]] = set()
        stopped = asyncio.create_task(self._stopping.wait())
        back_off = 0.1
        while not stopped.done():
            room = self._config.max_deliveries - len(running)
            if room <= 0:
                await asyncio.wait({*running, stopped}, return_when=asyncio.FIRST_COMPLETED)
                continue
            claiming = asyncio.create_task(scheduler.claim(room))
            await asyncio.wait({claiming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not claiming.done():
                # Nothing is handed to a caller who has gone.
                claiming.cancel()
                break
            try:
                claims = claiming.result()
                back_off = 0.1
            except grpc.aio.AioRpcError as error:
                log.warning("claiming failed", code=error.code().name, retry_in_seconds=back_off)
                await asyncio.wait({stopped}, timeout=back_off)
                back_off = min(back_off * 2, 2.0)
                continue
            for claim, due_at in claims:
                task = asyncio.create_task(deliverer.deliver(claim, due_at))
                running.add(task)
                task.add_done_callback(running.discard)
                task.add_done_callback(lambda _: IN_WORK.dec())
                IN_WORK.inc()
        if running:
            await asyncio.wait(running)

    async def _observe_again_and_again(self, observer: Observer) -> None:
        poll = self._config.observe_poll_seconds
        back_off = 0.1
        while not self._stopping.is_set():
            self._observe.clear()
            try:
                more = await observer.run_once() == self._config.max_observations
                until_next = await asyncio.to_thread(self._ledger.seconds_until_check)
                wait = 0.0 if more else min(poll, max(0.05, poll if until_next is None else until_next))
                back_off = 0.1
            except Exception as error:
                log.warning("looking for verdicts failed", retry_in_seconds=back_off, exc_info=error)
                wait, back_off = back_off, min(back_off * 2, 5.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_first(self._observe, self._stopping), wait)


class _Scheduler:
    """The scheduler's claims and leases; see delivering.LeaseHolder."""

    def __init__(
        self, config: PublisherConfig, stub: scheduler_pb2_grpc.SchedulerServiceAsyncStub, service_token: str
    ) -> None:
        self._config = config
        self._stub = stub
        self._token = service_token
        self._lease = _duration(config.lease_seconds)
        self._holder = f"{config.holder}/{os.getpid()}"

    async def claim(self, room: int) -> list[tuple[Claim, float]]:
        """What is due, each with its due time on the loop's clock. Waits for it for a while."""
        request = pb.ClaimDueDeliveriesRequest(
            holder=self._holder,
            max_deliveries=room,
            lease_duration=self._lease,
            lead_time=_duration(self._config.lead_seconds),
            wait_duration=_duration(self._config.claim_wait_seconds),
        )
        answer = await self._stub.ClaimDueDeliveries(
            request, timeout=self._config.claim_wait_seconds + 10, metadata=rpc.call_metadata(self._token)
        )
        # The database's clock decides what is early. Counted from the answer's arrival, never too soon.
        now, claim_time = asyncio.get_running_loop().time(), answer.claim_time.ToDatetime(tzinfo=UTC)
        return [
            (claim, now + (claim.due_time - claim_time).total_seconds())
            for claim in (_claim(message) for message in answer.deliveries)
        ]

    async def renew(self, claim: Claim) -> None:
        """Prolongs the lease. Raises Fenced when it is lost."""
        request = pb.RenewDeliveryRequest(
            workspace_id=str(claim.workspace_id),
            delivery_id=str(claim.delivery_id),
            attempt=claim.attempt,
            lease_duration=self._lease,
        )
        try:
            await self._stub.RenewDelivery(request, timeout=_RENEW_SECONDS, metadata=rpc.call_metadata(self._token))
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND):
                raise Fenced from None
            raise

    @contextlib.asynccontextmanager
    async def kept(self, claim: Claim) -> AsyncIterator[None]:
        """Prolongs the lease every third of it; when it is lost, what is inside is canceled and Fenced raised."""
        inside = asyncio.current_task()
        lost = False

        async def keep() -> None:
            nonlocal lost
            while True:
                await asyncio.sleep(self._config.lease_seconds / 3)
                try:
                    await self.renew(claim)
                except Fenced:
                    lost = True
                    if inside is not None:
                        inside.cancel()
                    return
                except grpc.aio.AioRpcError as error:
                    # The next one may get through; the lease is proven anew before anything is published.
                    log.warning("renewing a lease failed", code=error.code().name)

        keeper = asyncio.create_task(keep())
        try:
            yield
        except asyncio.CancelledError:
            if not lost:
                raise
            if inside is not None:
                inside.uncancel()
            raise Fenced from None
        finally:
            keeper.cancel()


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _duration(seconds: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message


def _claim(message: pb.ClaimedDelivery) -> Claim:
    return Claim(
        workspace_id=UUID(message.workspace_id),
        delivery_id=UUID(message.delivery_id),
        post_id=UUID(message.post_id),
        account_id=UUID(message.account_id),
        attempt=message.attempt,
        due_time=message.due_time.ToDatetime(tzinfo=UTC),
        caption=message.caption,
        media=tuple(MediaRef(media.media_asset_id, media.sha256, media.mime_type) for media in message.media),
        options={
            platform.name: {field.name: getattr(choices, field.name) for field in choices.DESCRIPTOR.fields}
            for platform, choices in message.options.ListFields()
        },
        etag=message.post_etag,
    )
