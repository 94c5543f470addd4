"""The wires between processes, in our hands: every message between two of them is a moment at which things may break.

A wire is a proxy that understands its protocol: it tells the rule of its `Wires` of each request before it is handed
on (ASKED) and of each answer before it is handed back (ANSWERED), and does what the rule says. The rule runs in the
wires' own thread while the message waits, so a process that it kills is dead before anything else of it happens.
That makes a crash at a message exact, without anything in the product that knows of it.
"""

from __future__ import annotations

import asyncio
import enum
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")
_START_SECONDS = 10.0


class Phase(enum.Enum):
    """Where a message is."""

    ASKED = "asked"  # the request is here, the other side knows nothing of it
    ANSWERED = "answered"  # the other side has done it, the asker does not know


class Reaction(enum.Enum):
    """What becomes of a message."""

    PASS = "pass"
    CUT = "cut"  # it is lost, and so is its connection
    SILENCE = "silence"  # it is lost, and the connection stays open without a word


@dataclass(frozen=True, slots=True)
class Moment:
    """A message on a wire. `what` is its kind ("AuthorizeDeliveries", "COMMIT after UPDATE publications"); `text` is
    all of it that the wire can read, for rules about one post.
    """

    client: str
    server: str
    phase: Phase
    what: str
    text: str = field(default="", compare=False, repr=False)

    @property
    def key(self) -> tuple[str, str, Phase, str]:
        """The same for the same message of any replica."""
        return (_part(self.client), _part(self.server), self.phase, self.what)


# Answers Reaction.PASS, another reaction, or seconds to wait before it passes.
Rule = Callable[[Moment], Reaction | float]


def passes(moment: Moment) -> Reaction:
    """The rule of a quiet day."""
    return Reaction.PASS


class Wires:
    """Opens proxies in a thread of its own. `rule` may be changed at any time."""

    def __init__(self) -> None:
        self.rule: Rule = passes
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires", daemon=True)
        self._closing: list[Callable[[], Awaitable[object]]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECONDS)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Does something in the wires' thread and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)

    def on_close(self, close: Callable[[], Awaitable[object]]) -> None:
        """What ends with the wires."""
        self._closing.append(close)

    async def reaction(self, moment: Moment) -> Reaction:
        """What the rule says; a delay is over when this returns."""
        verdict = self.rule(moment)
        if isinstance(verdict, Reaction):
            return verdict
        await asyncio.sleep(verdict)
        return Reaction.PASS

    async def _close(self) -> None:
        for close in reversed(self._closing):
            await close()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _part(process: str) -> str:
    """ "publisher-2" is a publisher."""
    return process.partition("-")[0]
