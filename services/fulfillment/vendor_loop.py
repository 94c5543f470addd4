"""Calls to a vendor for threads: in one event loop, with an owner's own token, refusals as ours.

A token that is refused is replaced once. When the vendor's definite no comes to one that it gave a moment ago, or to
the refresh token, the authorisation is lost, and that is told.
"""

from __future__ import annotations

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from kit import context
from kit.custody import AuthorizationLost, Custody, RefreshBusy, RefreshFailed, Tokens
from kit.errors import DeadlineExceeded, ReelrouteError
from kit.vendor_errors import AccountRemedy, VendorAccountProblem, VendorError, VendorNotFound

log = structlog.get_logger()

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Words:
    """How a vendor's refusals are told: its name, what is called in its name, and the errors of a lost authorisation
    and of no answer.
    """

    vendor: str
    owner: str
    lost: type[ReelrouteError]
    unavailable: type[ReelrouteError]


class VendorLoop(ABC):
    """A part of the process (see kit.service.Part); its methods are for any thread.

    The client is opened in the loop, and closed when it ends.
    """

    def __init__(self, words: Words, client: AbstractAsyncContextManager[object]) -> None:
        self._words, self._opened = words, client
        self._custody = Custody()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._ready, self._stopping = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"{words.owner} calls", daemon=True)

    @abstractmethod
    def refusal_of(self, error: VendorError) -> ReelrouteError:
        """What a failed call is to whoever asked."""

    def start(self) -> None:
        """Begins; returns when calls can be made."""
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError(
                f"The calls to {self._words.vendor} did not start within 30 seconds; the log has the cause."
            )

    def stop(self, timeout_seconds: float) -> bool:
        """Begins no call, and waits for those that run, and for refreshes of tokens."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def run(self, work: Callable[[], Coroutine[Any, Any, Answer]], seconds: float) -> Answer:
        """Runs something in the loop. Raises DeadlineExceeded, and that nothing answers when the process just ends."""
        loop, seconds = self._loop, context.remaining_seconds(seconds)
        if loop is None or self._stopping.is_set():
            raise self._ending()
        started = work()
        try:
            # Not bound by the caller's deadline: a token that was refreshed is stored however long that takes.
            with context.call(request_id=context.request_id(), timeout_seconds=None):
                running = asyncio.run_coroutine_threadsafe(self._counted(started), loop)
        except RuntimeError:
            started.close()
            raise self._ending() from None
        try:
            return running.result(seconds)
        except TimeoutError:
            raise DeadlineExceeded(f"{self._words.vendor} did not answer in time. Try again.") from None
        except CancelledError:
            raise self._ending() from None
        finally:
            running.cancel()

    async def with_token(self, tokens: Tokens, asked: Callable[[str], Awaitable[Answer]]) -> Answer:
        """What is answered to a question that needs a token, which is asked twice when a token is refused.

        Raises refusals, and VendorNotFound as it is.
        """
        token = await self.as_refusals(tokens.access())
        try:
            return await asked(token)
        except VendorAccountProblem:
            token = await self.as_refusals(tokens.fresh(token))
        except VendorNotFound:
            raise
        except VendorError as error:
            raise self.refusal_of(error) from None
        try:
            return await asked(token)
        except VendorNotFound:
            raise
        except VendorError as error:
            if isinstance(error, VendorAccountProblem) and error.remedy is AccountRemedy.RECONNECT:
                await asyncio.to_thread(self._lose, tokens, token, error)
            raise self.refusal_of(error) from None

    async def as_refusals(self, work: Awaitable[Answer]) -> Answer:
        """What is answered by work on tokens, whose failures are told as refusals."""
        words = self._words
        try:
            return await work
        except AuthorizationLost as lost:
            raise words.lost(lost.problem, (), {"log_id": lost.vendor_log_id}) from None
        except RefreshBusy:
            raise words.unavailable(
                f"Another process is refreshing the {words.owner}'s token and has not finished. Try again."
            ) from None
        except RefreshFailed as failed:
            text = (
                f"The {words.owner}'s token could not be refreshed now: {failed.message} The {words.owner} stays"
                " connected."
            )
            raise words.unavailable(text, (), {"log_id": failed.vendor_log_id}) from None

    async def _counted(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        self._count(asyncio.current_task())
        return await work

    def _count(self, task: asyncio.Task[Any] | None) -> None:
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _lose(self, tokens: Tokens, token: str, error: VendorAccountProblem) -> None:
        try:
            pair = tokens.store.read()
        except AuthorizationLost:
            return
        if pair.access_token == token:
            tokens.store.lose(pair, f"{error.message} Connect the {self._words.owner} again.")

    def _ending(self) -> ReelrouteError:
        return self._words.unavailable("The process is just ending. Try again.")

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            # A service that cannot call must not look alive: whoever runs it starts it again.
            log.critical(f"the calls to {self._words.vendor} died", exc_info=error)
            os._exit(70)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._opened:
            self._ready.set()
            await self._stopping.wait()
            if self._running:
                await asyncio.wait(self._running)
            await self._custody.finish()
