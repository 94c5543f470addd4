"""What those who take turns (turn_store.py) do alike: they wait for one, ask patiently, and end when it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from kit import context
from kit.errors import ReelrouteError
from services.fulfillment.turn_store import OneTurn

_BUSY_SECONDS = 0.5

Answer = TypeVar("Answer")


class TurnOver(Exception):
    """The process is ending, or another one has the turn. What was stored stays; the rest is done again."""


def wait_for_turn(
    take: Callable[[], OneTurn | None], seconds: float, stopping: threading.Event, busy: ReelrouteError
) -> OneTurn:
    """The turn, when another process gives it back within `seconds` and the caller's deadline; else raises `busy`."""
    while True:
        turn = take()
        if turn is not None:
            return turn
        if context.remaining_seconds(seconds) <= 2 * _BUSY_SECONDS or stopping.wait(_BUSY_SECONDS):
            raise busy


def patiently(
    ask: Callable[[], Answer],
    passing: tuple[type[ReelrouteError], ...],
    *,
    tries: int,
    longest_wait_seconds: float,
    stopping: threading.Event,
    keep: Callable[[], None],
) -> Answer:
    """Asks again after a while when a refusal is of a kind that passes; `keep` holds the turn after each wait. Raises
    TurnOver when the process is ending, and the refusal after so many tries or when it wants a longer wait.
    """
    for number in range(1, tries + 1):
        if stopping.is_set():
            raise TurnOver
        try:
            return ask()
        except passing as refusal:
            wait = refusal.retry_after_seconds or 2.0**number
            if number == tries or wait > longest_wait_seconds:
                raise
            if stopping.wait(context.remaining_seconds(wait)):
                raise TurnOver from None
            keep()
    raise AssertionError("not reached")
