"""Claimers that wait for work: woken by NOTIFY, by the clock at the next due time, and by a slow poll as the net.

One waiting claimer holds one thread of the server, for at most the wait that it asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Work = TypeVar("Work")
_SHORTEST_WAIT_SECONDS = 0.01


class DueBell:
    """Rings when something may have become claimable. A ring between two looks is not lost."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0
        self._closed = False

    def ring(self) -> None:
        """Wakes everybody who waits."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def close(self) -> None:
        """Lets everybody go, now and from now on: the process ends."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the process ends."""
        return self._closed

    @property
    def rings(self) -> int:
        """How often it rang; to be read before looking for work."""
        return self._rings

    def wait(self, rings_before: int, seconds: float) -> None:
        """Returns at the first ring after `rings_before`, when closed, or after `seconds`."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings != rings_before or self._closed, max(0.0, seconds))


def claim_or_wait(
    bell: DueBell,
    *,
    wait_seconds: float,
    poll_seconds: float,
    is_wanted: Callable[[], bool],
    claim: Callable[[], list[Work]],
    seconds_until_due: Callable[[], float | None],
) -> list[Work]:
    """What `claim` hands out, as soon as there is something; nothing after `wait_seconds`.

    `is_wanted` is asked right before each claim: work must not be leased to a caller who has gone.
    """
    end = time.monotonic() + wait_seconds
    while True:
        rings = bell.rings
        if not is_wanted():
            return []
        claimed = claim()
        left = end - time.monotonic()
        if claimed or left <= 0 or bell.closed:
            return claimed
        until_due = seconds_until_due()
        # Something that is due and was not handed out is locked by somebody, for a moment.
        until_due = poll_seconds if until_due is None else max(_SHORTEST_WAIT_SECONDS, until_due)
        bell.wait(rings, min(left, poll_seconds, until_due))
