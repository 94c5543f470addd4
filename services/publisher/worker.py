"""The publisher's fan-out: one asyncio loop in a thread of its own, claiming what is due and asking for verdicts.

It takes no more deliveries than it has room for. SIGTERM ends the claims first; what has not left is given back, what
has may finish, and what does not finish in time is UNCERTAIN, so that another process asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import structlog
import uvloop
from prometheus_client import Gauge
from reelroute.scheduler.v1 import scheduler_pb2_grpc

from kit import context, rpc
from kit.custody import Custody
from kit.errors import DeadlineExceeded, Unavailable
from services.publisher import domain
from services.publisher.accounts import Accounts
from services.publisher.caps import Caps
from services.publisher.claims import SchedulerClient
from services.publisher.config import PublisherConfig
from services.publisher.delivering import Attempt, Deliverer
from services.publisher.domain import Account, AttemptFailed
from services.publisher.incidents import Incidents
from services.publisher.ledger import Ledger
from services.publisher.library import Library
from services.publisher.observing import Observer
from services.publisher.platforms.base import Adapter
from services.publisher.tokens import AccountTokens, TokenVendor

log = structlog.get_logger()
Result = TypeVar("Result")

IN_WORK = Gauge("reelroute_deliveries_in_work", "Deliveries that this process works on.")
_DATABASE_THREADS = 8
# How long a small claim waits for more room.
_ROOM_SECONDS = 0.25
# Accounts whose limits are read at once, and how long that may take.
_READS_AT_ONCE = 8
_READ_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Platforms:
    """The adapters, and the vendors that refresh their accounts' tokens where these end. Made inside the loop."""

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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._accounts: Accounts | None = None
        self._tokens_of: Callable[[Account], AccountTokens] | None = None
        self._adapters: Mapping[domain.Platform, Adapter] = {}
        self._stopping = asyncio.Event()
        self._observe = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begins; returns when the vendors' clients are open."""
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("The worker did not start within 30 seconds; the log has the cause.")

    def stop(self, timeout_seconds: float) -> bool:
        """Takes nothing new, and waits for what is in work."""
        self._signal(self._stopping)
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def look_for_verdicts(self) -> None:
        """Something was accepted: ask soon. May be called from any thread, at any time."""
        self._signal(self._observe)

    def call(self, work: Coroutine[Any, Any, Result], timeout_seconds: float) -> Result:
        """Runs something in the loop for a caller in another thread, who waits no longer than its own deadline.

        Raises DeadlineExceeded, and Unavailable when the process is just ending.
        """
        running: Future[Result] | None = None
        try:
            seconds = context.remaining_seconds(timeout_seconds)
            running = self._begin(work)
            return running.result(seconds)
        except TimeoutError:
            raise DeadlineExceeded("The platform did not answer in time. Start again.") from None
        except CancelledError:
            raise _not_running() from None
        finally:
            if running is None:
                work.close()
            else:
                running.cancel()

    def read_limits(self, accounts: Sequence[Account]) -> None:
        """Asks platforms what accounts may do, and keeps the answers. Whom a platform does not answer about keeps the
        old ones; a lost authorisation is found, and told. Not where the application's calls are limited: posts need
        them. Raises as `call`.
        """
        for start in range(0, len(accounts), _READS_AT_ONCE):
            self.call(self._read_limits(accounts[start : start + _READS_AT_ONCE]), _READ_SECONDS)

    async def _read_limits(self, accounts: Sequence[Account]) -> None:
        await asyncio.gather(*(self._read_limits_of(account) for account in accounts))

    async def _read_limits_of(self, account: Account) -> None:
        adapter = self._adapters.get(account.platform)
        if adapter is None or adapter.quotas.posts_per_minute or self._accounts is None:
            return
        try:
            with context.about(workspace_id=account.workspace_id, account_id=account.account_id):
                limits = await adapter.read_limits(account, {}, self._accounts.tokens_of(account))
        except AttemptFailed as refusal:
            log.info("limits not read", account_id=str(account.account_id), reason=refusal.failure.reason)
            return
        if limits is not None:
            await self._accounts.learned(account, limits)

    def tokens_of(self, account: Account) -> AccountTokens:
        """An account's tokens, for a `call`. Raises Unavailable when the process is not running yet."""
        if self._tokens_of is None:
            raise _not_running()
        return self._tokens_of(account)

    def confirm(self, account: Account) -> None:
        """Begins to ask the platform whether an account can still be used; a lost authorisation is found, and told.
        Does nothing when the process is just ending: whatever is posted next finds it too.
        """
        if self._accounts is None:
            return
        asking = self._confirm(account)
        try:
            self._begin(asking)
        except Unavailable:
            asking.close()

    async def _confirm(self, account: Account) -> None:
        adapter = self._adapters.get(account.platform)
        if adapter is None or self._accounts is None:
            return
        try:
            with context.about(workspace_id=account.workspace_id, account_id=account.account_id):
                await adapter.probe(account, self._accounts.tokens_of(account))
        except AttemptFailed as refusal:
            log.info("account confirmed to fail", account_id=str(account.account_id), reason=refusal.failure.reason)

    def refresh_ahead(self, accounts: Sequence[Account]) -> None:
        """Refreshes the access tokens that accounts have. What fails is logged; a lost authorisation is told. Raises as
        `call`; what has begun is finished all the same.
        """
        self.call(self._refresh_ahead(accounts), _READ_SECONDS)

    async def _refresh_ahead(self, accounts: Sequence[Account]) -> None:
        await asyncio.gather(*(self._refresh_ahead_of(account) for account in accounts))

    async def _refresh_ahead_of(self, account: Account) -> None:
        if self._tokens_of is None:
            return
        try:
            with context.about(workspace_id=account.workspace_id, account_id=account.account_id):
                await self._tokens_of(account).refresh_ahead()
        except AttemptFailed as refusal:
            log.info("token not refreshed ahead", account_id=str(account.account_id), reason=refusal.failure.reason)

    def _begin(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        if self._loop is None:
            raise _not_running()
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            # The loop is closed.
            raise _not_running() from None

    def _signal(self, event: asyncio.Event) -> None:
        if self._loop is not None:
            # The loop may end at this moment: then there is nobody left to tell.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(event.set)

    def _run(self) -> None:
        try:
            # A fifth less of the process's time; its clock stands still while it is busy, so ours is time.monotonic().
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                self._loop = runner.get_loop()
                self._loop.set_default_executor(ThreadPoolExecutor(_DATABASE_THREADS, thread_name_prefix="ledger"))
                runner.run(self._main())
        except Exception as error:
            # A publisher that cannot publish must not look alive: whoever runs it starts it again.
            log.critical("the worker died", exc_info=error)
            os._exit(70)

    async def _main(self) -> None:
        config, token = self._config, self._config.service_token.get_secret_value()
        custody = Custody()
        async with (
            self._platforms_context as platforms,
            rpc.aio_channel(config.scheduler_address) as to_scheduler,
            rpc.aio_channel(config.content_address) as to_content,
        ):
            ledger, adapters = self._ledger, platforms.adapters

            def tokens_of(account: Account) -> AccountTokens:
                return AccountTokens(
                    ledger.database, ledger.vault, account, platforms.vendors.get(account.platform), custody
                )

            scheduler = SchedulerClient(config, scheduler_pb2_grpc.SchedulerServiceStub(to_scheduler), token)
            accounts = self._accounts = Accounts(ledger.database, tokens_of)
            self._adapters, self._tokens_of = adapters, tokens_of
            incidents = Incidents(ledger.database, adapters, tokens_of)
            caps = Caps(ledger.database)
            deliverer = Deliverer(ledger, Library(to_content, token), adapters, scheduler, accounts, caps, incidents)
            self._ready.set()
            helpers = [asyncio.create_task(scheduler.keep()), asyncio.create_task(incidents.watch())]
            observing = asyncio.create_task(
                self._observe_again_and_again(Observer(ledger, adapters, accounts, incidents, scheduler.is_paused))
            )
            await self._claim_again_and_again(scheduler, deliverer)
            await observing
            for helper in helpers:
                helper.cancel()
            await asyncio.wait(helpers)
            await custody.finish()
            await ledger.writer.finish()

    async def _claim_again_and_again(self, scheduler: SchedulerClient, deliverer: Deliverer) -> None:
        running: dict[asyncio.Task[None], Attempt] = {}
        # Small claims cost as much as large ones: while many deliveries are in work, a few places are waited for.
        most, least = self._config.max_deliveries, max(1, self._config.max_moving // 3)
        freed = asyncio.Event()

        def ended(task: asyncio.Task[None]) -> None:
            running.pop(task, None)
            IN_WORK.dec()
            freed.set()

        def room() -> int:
            moving = sum(not attempt.waits for attempt in running.values())
            return min(most - len(running), self._config.max_moving - moving)

        async def enough_room() -> None:
            while room() < least and not self._stopping.is_set():
                freed.clear()
                await _first(freed, self._stopping)

        back_off = 0.1
        while not self._stopping.is_set():
            # Not for ever: what is in work may take long.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(enough_room(), _ROOM_SECONDS)
            wanted = room()
            if wanted <= 0:
                continue
            claiming = asyncio.create_task(scheduler.claim(wanted))
            stopped = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({claiming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not claiming.done():
                # Nothing is handed to a caller who has gone.
                claiming.cancel()
                await asyncio.wait({claiming})
                break
            try:
                held = claiming.result()
                back_off = 0.1
            except grpc.aio.AioRpcError as error:
                log.warning("claiming failed", code=error.code().name, retry_in_seconds=back_off)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), back_off)
                back_off = min(back_off * 2, 2.0)
                continue
            for each in held:
                attempt = deliverer.attempt(each)
                task = asyncio.create_task(attempt.run())
                running[task] = attempt
                task.add_done_callback(ended)
                IN_WORK.inc()
        await self._wind_up(scheduler, dict(running))

    async def _wind_up(self, scheduler: SchedulerClient, running: dict[asyncio.Task[None], Attempt]) -> None:
        """Gives back what has not left, and waits for what has; not longer than the process has time."""
        if not running:
            return
        for task, attempt in running.items():
            if not attempt.has_sent:
                task.cancel()
        await asyncio.wait(running, timeout=self._config.drain_seconds / 2)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await scheduler.release([attempt.claim for attempt in running.values() if attempt.is_released])

    async def _observe_again_and_again(self, observer: Observer) -> None:
        poll, most = self._config.observe_poll_seconds, self._config.max_observations
        running: set[asyncio.Task[None]] = set()
        more, back_off = False, 0.1

        def finished(task: asyncio.Task[None]) -> None:
            running.discard(task)
            if more:
                self._observe.set()

        while not self._stopping.is_set():
            self._observe.clear()
            room = most - len(running)
            try:
                taken = await observer.take(room) if room else []
                more = len(taken) == room
                until_next = await asyncio.to_thread(self._ledger.seconds_until_check)
                wait = poll if more else min(poll, max(0.05, poll if until_next is None else until_next))
                back_off = 0.1
            except Exception as error:
                log.warning("looking for verdicts failed", retry_in_seconds=back_off, exc_info=error)
                taken, wait, back_off = [], back_off, min(back_off * 2, 5.0)
            for publication in taken:
                task = asyncio.create_task(observer.check(publication))
                running.add(task)
                task.add_done_callback(finished)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_first(self._observe, self._stopping), wait)
        # A question may be given up at any moment: another process asks it again.
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


def _not_running() -> Unavailable:
    return Unavailable("The publisher is being restarted. Start again in a moment.", retry_after_seconds=1)


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
