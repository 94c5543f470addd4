"""A worker that stops dead at a chosen place, as by SIGSTOP or a kill, and may wake much later."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from services.publisher import domain
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Adapter, Taken, Work
from services.publisher.worker import Worker
from services.publisher.writer import Request, Result, Write, Writer


class Stop:
    """The place, such as "after HANDLE" (a commit) or "before send" (a call); it stops the first to come by."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.reached, self.wake = threading.Event(), threading.Event()
        self.worker: Worker | None = None

    def is_here(self, place: str) -> bool:
        """Whether this is the place, and nobody stopped here yet."""
        return place == self.place and not self.reached.is_set()

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


class StoppingWriter(Writer):
    """A writer that stops the worker before or after the commit of a step."""

    def __init__(self, ledger: Ledger, stop: Stop) -> None:
        super().__init__(ledger.database, ledger.vault, "stopping/1")
        self._stop = stop

    def commit(self, requests: Sequence[Request], *, again: bool = False) -> list[Result]:
        steps = [each.state.step.value for each in requests if isinstance(each, Write)]
        if any(self._stop.is_here(f"before {step}") for step in steps):
            self._stop.stop_thread()
        results = super().commit(requests, again=again)
        if any(self._stop.is_here(f"after {step}") for step in steps):
            self._stop.stop_thread()
        return results


def stopping_ledger(ledger: Ledger, stop: Stop) -> Ledger:
    """A ledger of its own for the worker that is to stop."""
    own = Ledger(ledger.database, ledger.vault, "stopping/1")
    own.writer = StoppingWriter(own, stop)
    return own


class StoppingAdapter:
    """An adapter around whose steps the worker stops."""

    def __init__(self, inner: Adapter, stop: Stop) -> None:
        self._inner, self._stop = inner, stop
        self.traits, self.quotas = inner.traits, inner.quotas
        self.has_handle, self.stop = inner.has_handle, inner.stop
        self.check, self.read_limits = inner.check, inner.read_limits
        self.stage, self.ask = inner.stage, inner.ask
        self.find, self.probe = inner.find, inner.probe

    def _at(self, place: str) -> None:
        if self._stop.is_here(place):
            self._stop.stop_loop()

    async def begin(self, work: Work) -> domain.Handle:
        handle = await self._inner.begin(work)
        self._at("after begin")
        return handle

    async def send(
        self,
        work: Work,
        handle: domain.Handle | None,
        from_byte: int,
        on_stored: Callable[[int], Awaitable[None]],
        last_moment: Callable[[], None],
    ) -> Taken:
        self._at("before send")
        taken = await self._inner.send(work, handle, from_byte, on_stored, self._watched(last_moment))
        self._at("after send")
        return taken

    def _watched(self, last_moment: Callable[[], None]) -> Callable[[], None]:
        def watched() -> None:
            self._at("before the last moment")
            last_moment()

        return watched


def wrapping(stop: Stop) -> Callable[[Adapter], Any]:
    """Wraps an adapter."""
    return lambda inner: StoppingAdapter(inner, stop)
