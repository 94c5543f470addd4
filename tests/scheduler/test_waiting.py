from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from services.scheduler.waiting import DueBell, claim_or_wait
from tests.local.support import wait_until

LONG_SECONDS = 60


class Claims:
    """Answers claims from a list; counts them."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.due: float | None = None
        self.on_claim: Callable[[], object] = lambda: None

    def claim(self) -> list[str]:
        self.asked += 1
        self.on_claim()
        return self.answers.pop(0) if self.answers else []

    def until_due(self) -> float | None:
        return self.due


class Bell(DueBell):
    """Tells when somebody waits, and for how long at most."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, rings_before: int, seconds: float) -> None:
        self.waits.append(seconds)
        super().wait(rings_before, seconds)


def ask(bell: DueBell, claims: Claims, *, wait: float = LONG_SECONDS, is_wanted: bool = True) -> list[str]:
    return claim_or_wait(
        bell,
        wait_seconds=wait,
        poll_seconds=LONG_SECONDS,
        is_wanted=lambda: is_wanted,
        claim=claims.claim,
        seconds_until_due=claims.until_due,
    )


def waiting(bell: Bell, claims: Claims, pool: ThreadPoolExecutor) -> Future[list[str]]:
    asked = pool.submit(ask, bell, claims)
    wait_until(lambda: len(bell.waits) == 1, "somebody who waits")
    return asked


def test_what_is_due_is_handed_out_without_a_wait() -> None:
    bell = Bell()
    assert ask(bell, Claims(["a"])) == ["a"]
    assert bell.waits == []


def test_who_does_not_want_to_wait_goes_home_at_once() -> None:
    assert ask(Bell(), Claims(), wait=0) == []


def test_a_ring_wakes_everybody_who_waits() -> None:
    bell, first, second = Bell(), Claims([], ["a"]), Claims([], ["b"])
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask, bell, claims) for claims in (first, second)]
        wait_until(lambda: len(bell.waits) == 2, "two who wait")
        bell.ring()
        assert [each.result(5) for each in asked] == [["a"], ["b"]]


def test_a_ring_between_the_look_and_the_wait_is_not_lost() -> None:
    bell, claims = Bell(), Claims([], ["a"])
    claims.on_claim = bell.ring
    assert ask(bell, claims) == ["a"]


def test_the_wait_ends_at_the_next_due_time() -> None:
    bell, claims = Bell(), Claims([], ["a"])
    claims.due = 0.02
    assert ask(bell, claims) == ["a"]
    assert bell.waits == [0.02]


def test_what_is_due_but_locked_by_somebody_is_not_asked_for_without_pause() -> None:
    bell, claims = Bell(), Claims([], [], ["a"])
    claims.due = -5
    assert ask(bell, claims) == ["a"]
    assert min(bell.waits) >= 0.01


def test_nothing_comes_after_the_wait_that_was_asked_for() -> None:
    began = time.monotonic()
    claims = Claims()
    assert ask(Bell(), claims, wait=0.05) == []
    assert time.monotonic() - began >= 0.05
    # Once more at the end: what became due meanwhile need not wait for the next call.
    assert claims.asked == 2


def test_for_a_caller_who_has_gone_nothing_is_claimed() -> None:
    claims = Claims(["a"])
    assert ask(Bell(), claims, is_wanted=False) == []
    assert claims.asked == 0


@pytest.mark.parametrize("closed_first", [True, False])
def test_at_the_end_of_the_process_everybody_goes_home(closed_first: bool) -> None:
    bell, claims = Bell(), Claims()
    if closed_first:
        bell.close()
        assert ask(bell, claims) == []
        return
    with ThreadPoolExecutor(1) as pool:
        asked = waiting(bell, claims, pool)
        threading.Thread(target=bell.close).start()
        assert asked.result(5) == []
