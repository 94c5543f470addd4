import threading

from structlog.testing import capture_logs

from kit.loop import Loop
from tests.local.support import wait_until

LONG_SECONDS = 60


def test_an_error_is_logged_and_the_loop_goes_on() -> None:
    rounds: list[int] = []

    def run_once() -> bool:
        rounds.append(1)
        if len(rounds) < 3:
            raise RuntimeError("this round")
        return False

    loop = Loop("test", run_once, LONG_SECONDS)
    with capture_logs() as logs:
        loop.start()
        wait_until(lambda: len(rounds) == 3, "third round")
        assert loop.stop(5)
    assert [entry["retry_in_seconds"] for entry in logs] == [0.1, 0.2]


def test_more_to_do_is_done_at_once_and_a_wake_up_ends_a_wait() -> None:
    rounds: list[int] = []

    def run_once() -> bool:
        rounds.append(1)
        return len(rounds) < 5

    loop = Loop("test", run_once, LONG_SECONDS)
    loop.start()
    wait_until(lambda: len(rounds) == 5, "five rounds without a wait")
    loop.wake()
    wait_until(lambda: len(rounds) == 6, "a round for the wake-up")
    assert loop.stop(5)


def test_a_wake_up_during_a_round_leads_to_another_one() -> None:
    inside, go_on = threading.Event(), threading.Event()
    rounds: list[int] = []

    def run_once() -> bool:
        rounds.append(1)
        inside.set()
        assert go_on.wait(5)
        return False

    loop = Loop("test", run_once, LONG_SECONDS)
    loop.start()
    assert inside.wait(5)
    loop.wake()
    go_on.set()
    wait_until(lambda: len(rounds) == 2, "second round")
    assert loop.stop(5)


def test_stop_lets_the_present_round_finish() -> None:
    inside, go_on, finished = threading.Event(), threading.Event(), threading.Event()

    def run_once() -> bool:
        inside.set()
        assert go_on.wait(5)
        finished.set()
        return True

    loop = Loop("test", run_once, LONG_SECONDS)
    loop.start()
    assert inside.wait(5)
    assert not loop.stop(0.01)
    go_on.set()
    assert loop.stop(5)
    assert finished.is_set()


def test_a_loop_that_never_began_stops() -> None:
    assert Loop("test", lambda: False, LONG_SECONDS).stop(1)


def test_a_loop_that_drains_goes_on_after_its_end_while_there_is_more_and_not_for_ever() -> None:
    begun, rounds = threading.Event(), iter([False, True, True, False])

    def run_once() -> bool:
        begun.set()
        return next(rounds)

    loop = Loop("drains", run_once, interval_seconds=60, drain_seconds=5)
    loop.start()
    assert begun.wait(5)
    assert loop.stop(5)
    assert list(rounds) == []
    endless = Loop("endless", lambda: True, interval_seconds=60, drain_seconds=0.1)
    endless.start()
    assert endless.stop(5)
