"""A worker that stops dead at a chosen place, as by SIGSTOP or a kill, and may wake much later."""

from __future__ import annotations

import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from services.publisher import domain
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Adapter, Answer, Tokens, Work
from services.publisher.worker import Worker


class Stop:
    """The place, such as "after handle_stored" or "before send"; it stops the first to come by."""

    def __init__(self, place: str) -> None:
        self.when, self.name = place.split()
        self.reached, self.wake = threading.Event(), threading.Event()
        self.worker: Worker | None = None

    def passes(self, when: str, name: str) -> bool:
        """Whether this is another place, or nobody stops here any more."""
        return (when, name) != (self.when, self.name) or self.reached.is_set()

    def stop_loop(self) -> None:
        """Called in the worker's loop: nothing runs there until it wakes."""
        self.reached.set()
        assert self.wake.wait(60)

    def stop_thread(self) -> None:
        """Called in another thread of the worker: the loop stops, and then this thread."""
        assert self.worker is not None
        assert self.worker._loop is not None
        self.worker._loop.call_soon_threadsafe(self.stop_loop)
        assert self.wake.wait(60)


class StoppingLedger(Ledger):
    """A ledger in which one call, before or after its commit, stops the worker."""

    def __init__(self, ledger: Ledger, stop: Stop) -> None:
        super().__init__(ledger.database, ledger.vault, "stopping/1")
        for name in ("open", "prepared", "handle_stored", "committing", "accepted", "published"):
            setattr(self, name, functools.partial(self._call, stop, name, getattr(self, name)))

    @staticmethod
    def _call(stop: Stop, name: str, inner: Callable[..., Any], *arguments: Any) -> Any:
        if not stop.passes("before", name):
            stop.stop_thread()
        result = inner(*arguments)
        if not stop.passes("after", name):
            stop.stop_thread()
        return result


class StoppingAdapter:
    """An adapter around whose publishing step the worker stops."""

    def __init__(self, inner: Adapter, stop: Stop) -> None:
        self._inner, self._stop = inner, stop

    async def prepare(self, work: Work) -> str:
        return await self._inner.prepare(work)

    async def begin(self, work: Work) -> domain.Handle:
        handle = await self._inner.begin(work)
        if not self._stop.passes("after", "begin"):
            self._stop.stop_loop()
        return handle

    async def send(
        self, work: Work, handle: domain.Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        if not self._stop.passes("before", "send"):
            self._stop.stop_loop()
        await self._inner.send(work, handle, from_byte, on_stored)
        if not self._stop.passes("after", "send"):
            self._stop.stop_loop()

    async def ask(self, account: domain.Account, options: domain.Options, handle: str, tokens: Tokens) -> Answer:
        return await self._inner.ask(account, options, handle, tokens)
