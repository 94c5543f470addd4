"""The sandbox's clock: real time plus an offset, or frozen.

Delays, quotas, token lives and webhook retries follow it, so that a day's quota or a token's end can be tried in a
moment. Only the delay of a fault and the time-outs of outgoing calls run in real seconds. It is kept over a restart.
"""

import time
from collections.abc import Callable

from sandbox.store import Store

# Ten years: keeps every time a date that clients can read.
MAX_SHIFT_SECONDS = 10 * 365 * 86_400.0


class ClockOutOfRange(ValueError):
    """The clock would leave the ten years around the real time."""


class Clock:
    """Sandbox time in Unix seconds."""

    def __init__(self, store: Store, real: Callable[[], float] = time.time) -> None:
        self._store = store
        self._real = real
        self._listeners: list[Callable[[], None]] = []
        saved = store.setting("clock")
        self._offset = float(saved.get("offset", 0.0))
        self._frozen: float | None = saved.get("frozen")

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return self._frozen is not None

    @property
    def offset(self) -> float:
        """Seconds that the sandbox is ahead of the real time (negative: behind)."""
        return self.now() - self._real()

    def now(self) -> float:
        """The sandbox's time in Unix seconds."""
        return self._real() + self._offset if self._frozen is None else self._frozen

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change, so that sleepers look at the time again."""
        self._listeners.append(listener)

    def advance(self, seconds: float) -> None:
        """Move the clock; a frozen one stays frozen at the new time. Raises ClockOutOfRange."""
        if self._frozen is None:
            self._set(self._offset + seconds, None)
        else:
            self._set(self._offset, self._frozen + seconds)

    def freeze(self, at: float | None = None) -> None:
        """Stop the clock now, or at the Unix time given. Raises ClockOutOfRange."""
        self._set(self._offset, self.now() if at is None else at)

    def run(self) -> None:
        """Let a frozen clock go on from where it stands."""
        if self._frozen is not None:
            self._set(self._frozen - self._real(), None)

    def set_offset(self, seconds: float) -> None:
        """Run `seconds` ahead of the real time; 0 is the real time. Raises ClockOutOfRange."""
        self._set(seconds, None)

    def reset(self) -> None:
        """Back to the real time."""
        self._set(0.0, None)

    def _set(self, offset: float, frozen: float | None) -> None:
        shift = offset if frozen is None else frozen - self._real()
        if not abs(shift) <= MAX_SHIFT_SECONDS:
            raise ClockOutOfRange("The clock may be set at most ten years from the real time.")
        self._offset, self._frozen = offset, frozen
        self._store.put_setting("clock", {"offset": offset, "frozen": frozen})
        for listener in self._listeners:
            listener()
