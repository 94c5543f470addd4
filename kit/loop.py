"""A loop in a thread: do a bit, then wait for a wake-up or an interval, until told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge

log = structlog.get_logger()

ERRORS = Counter("reelroute_loop_errors_total", "Rounds of a loop that failed.", ["loop"])
LAST_ROUND = Gauge("reelroute_loop_last_round_timestamp_seconds", "When a loop last finished a round.", ["loop"])
_LONGEST_BACK_OFF_SECONDS = 10.0


class Loop:
    """Calls `run_once` again and again. True from it means that there is more to do at once.

    Told to stop, it goes on for `drain_seconds` at most while there is more.
    An error is logged and the next round waits, from 0.1 s doubling to 10 s: a loop never dies of one.
    """

    def __init__(
        self, name: str, run_once: Callable[[], bool], interval_seconds: float, drain_seconds: float = 0
    ) -> None:
        self.name = name
        self.run_once = run_once
        self.interval_seconds = interval_seconds
        self.drain_seconds = drain_seconds
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def wake(self) -> None:
        """Ends the present wait."""
        self._wake.set()

    def stop(self, timeout_seconds: float) -> bool:
        """Lets the present round finish, and those of `drain_seconds`; tells whether they did in time."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        back_off = 0.1
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                more = self.run_once()
                back_off = 0.1
                LAST_ROUND.labels(self.name).set(time.time())
                if not more:
                    self._wake.wait(self.interval_seconds)
            except Exception as error:
                ERRORS.labels(self.name).inc()
                log.warning("loop round failed", loop=self.name, retry_in_seconds=back_off, exc_info=error)
                self._stopping.wait(back_off)
                back_off = min(back_off * 2, _LONGEST_BACK_OFF_SECONDS)
        self._drain()

    def _drain(self) -> None:
        end = time.monotonic() + self.drain_seconds
        try:
            while time.monotonic() < end and self.run_once():
                pass
        except Exception as error:
            ERRORS.labels(self.name).inc()
            log.warning("the last round of a loop failed", loop=self.name, exc_info=error)
