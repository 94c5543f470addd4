"""R1, R19: a claim that only asks, after its post has ended too many publishers, sends nothing and guesses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import deque
from datetime import timedelta

import pytest

from services.publisher.domain import AttemptFailed, Failure, FailureKind, Step
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Absent, Answer, Complete, Incomplete, Trace, Traits, Unknown, Unsettled
from tests.publisher.factories import PUBLIC, REFUSED, a_claim, at_step
from tests.publisher.rows import pass_time, rows
from tests.publisher.scripted import ONE_CALL, SIZE, WITH_HANDLE, Killed, Points, Scene, ScriptedPlatform
from tests.publisher.test_delivering import SHAPES, ends_well

pytestmark = pytest.mark.anyio

AWAY = AttemptFailed(Failure(FailureKind.TRANSIENT, "TIKTOK_CONNECT_FAILED", "TikTok could not be reached."))


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    return Scene.of(ledger, ScriptedPlatform())


async def killed(scene: Scene, attempt: int, fatal: int) -> Points:
    points = Points(fatal)
    with contextlib.suppress(Killed):
        await scene.deliver(attempt, points)
    return points


async def killed_after_sending(scene: Scene) -> None:
    """The platform has it, and the process ends before it can store that."""

    class AfterSending(Points):
        def at(self, name: str) -> None:
            if name == "after it is sent":
                raise Killed

    with contextlib.suppress(Killed):
        await scene.deliver(1, AfterSending())
    assert (scene.step, scene.platform.copies("Fries")) == ("COMMITTING", 1)


async def asks_only(scene: Scene, attempt: int, fatal: int = -1) -> None:
    """A claim that only asks: it calls no platform, and is killed at a point."""
    calls = len(scene.platform.calls)
    scene.claim = dataclasses.replace(scene.claim, ask_only=True)
    await killed(scene, attempt, fatal)
    scene.claim = dataclasses.replace(scene.claim, ask_only=False)
    assert len(scene.platform.calls) == calls


async def observed(scene: Scene, **time: float) -> None:
    pass_time(scene.ledger.database, timedelta(**time))
    await scene.observe()


def attempt_outcomes(scene: Scene) -> list[str]:
    return [row["outcome"] for row in rows(scene.ledger.database, "attempts")]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("outcome", ["ok", "unsent"])
async def test_r1_killed_three_times_and_while_it_is_asked_about_a_delivery_is_out_once_and_never_called_unsent(
    ledger: Ledger, shape: str, outcome: str
) -> None:
    scene, fatal, over = Scene.of(ledger, ScriptedPlatform(traits=SHAPES[shape])), 0, False
    while not over:
        scene.claim = a_claim(account_id=scene.claim.account_id, caption=f"killed at {fatal}")
        scene.platform.sends = deque([outcome])
        points = await killed(scene, 1, fatal)
        over = fatal >= len(points.passed)
        scene.platform.sends.clear()
        # In taking over, or in whatever comes first after it.
        for attempt in (2, 3):
            await killed(scene, attempt, fatal % 3)
        await asks_only(scene, 4, fatal % 5)
        await asks_only(scene, 5)
        is_out = bool(scene.platform.copies(scene.claim.caption))
        assert scene.step in (
            ("UNCERTAIN", "ACCEPTED", "PUBLISHED") if is_out else ("OPENED", "PREPARED", "HANDLE", "UNCERTAIN")
        ), scene.log()
        assert scene.told_last != "released" or not is_out, scene.log()
        await ends_well(scene, 6)
        fatal += 1
    assert fatal > 5


@pytest.mark.parametrize(
    ("answer", "since", "step", "told"),
    [
        (Complete(PUBLIC, settled=True), 2, "PUBLISHED", "published"),
        (REFUSED, 2, "REJECTED", "REJECTED"),
        (Incomplete(SIZE), 2, "ACCEPTED", "accepted"),
        (Incomplete(0), 40, "COMMITTING", "TRANSIENT"),
        (Unknown("?"), 2, "UNCERTAIN", "uncertain"),
        (AWAY, 2, "UNCERTAIN", "uncertain"),
    ],
)
async def test_r1_three_crashes_while_sending_to_a_handle_are_settled_by_the_platforms_word(
    scene: Scene, answer: Answer | Exception, since: float, step: str, told: str
) -> None:
    await at_step(scene.ledger, scene.claim, Step.COMMITTING)
    await asks_only(scene, 4)
    assert (scene.step, scene.told) == ("UNCERTAIN", [("uncertain", 4)])
    scene.platform.asks.append(answer)
    await observed(scene, seconds=since)
    assert (scene.step, scene.told[-1]) == (step, (told, 4))
    assert "send" not in " ".join(scene.platform.calls)


@pytest.mark.parametrize(
    ("trace", "step", "told"),
    [
        (None, "PUBLISHED", "published"),
        (Absent(), "OPENED", "TRANSIENT"),
        (Unsettled("It may lag."), "UNCERTAIN", "uncertain"),
    ],
)
async def test_r1_three_crashes_in_the_one_call_are_settled_by_the_accounts_recent_posts(
    ledger: Ledger, trace: Trace | None, step: str, told: str
) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=ONE_CALL))
    await killed_after_sending(scene)
    await asks_only(scene, 4)
    scene.platform.finds.extend([trace] if trace else [])
    await observed(scene, seconds=5)
    assert (scene.step, scene.told[-1]) == (step, (told, 4))
    assert scene.platform.calls.count("send") == 1


async def test_r1_what_nobody_can_be_asked_about_waits_for_a_person_at_once(ledger: Ledger) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=SHAPES["one call, and no way to know"]))
    publication, _ = await ledger.open(scene.claim)
    await ledger.committing(publication, scene.claim, "Sending.")
    await asks_only(scene, 4)
    assert (scene.step, scene.row()["needs_person"]) == ("UNCERTAIN", True)


@pytest.mark.parametrize("step", [None, Step.OPENED, Step.PREPARED, Step.HANDLE])
async def test_r19_what_was_never_sent_is_given_back_as_that_with_its_attempt_recorded(
    scene: Scene, step: Step | None
) -> None:
    if step:
        await at_step(scene.ledger, scene.claim, step)
    await asks_only(scene, 4)
    assert (scene.step, scene.told[-1]) == (step.value if step else "OPENED", ("released", 4))
    assert attempt_outcomes(scene)[-1] == "unsent"
    # A person has decided it: it goes out as ever.
    await ends_well(scene, 5)


@pytest.mark.parametrize("step", [Step.ACCEPTED, Step.PUBLISHED, Step.REJECTED, Step.UNCERTAIN])
async def test_what_is_known_already_is_reported_again(scene: Scene, step: Step) -> None:
    await at_step(scene.ledger, scene.claim, step)
    before = scene.told[-1][0]
    await asks_only(scene, 4)
    assert (scene.step, scene.told[-1]) == (step.value, (before, 4))


async def test_r35_after_a_restore_what_the_ledger_calls_unsent_may_be_out_all_the_same(scene: Scene) -> None:
    await at_step(scene.ledger, scene.claim, Step.HANDLE)
    scene.restore()
    await asks_only(scene, 4)
    assert (scene.step, scene.told[-1]) == ("UNCERTAIN", ("uncertain", 4))


async def test_of_two_that_ask_the_later_claim_alone_writes(scene: Scene) -> None:
    await at_step(scene.ledger, scene.claim, Step.COMMITTING)
    scene.claim = dataclasses.replace(scene.claim, ask_only=True)
    earlier, later = scene.attempt(4), scene.attempt(5)
    await asyncio.gather(later.run(), earlier.run())
    assert scene.step == "UNCERTAIN"
    assert scene.told in ([("uncertain", 5)], [("uncertain", 4), ("uncertain", 5)])
    await scene.attempt(4).run()
    assert scene.told[-1] == ("uncertain", 5)


async def test_two_observers_who_ask_at_once_settle_it_once(scene: Scene) -> None:
    await at_step(scene.ledger, scene.claim, Step.COMMITTING)
    await asks_only(scene, 4)
    scene.platform.asks.extend([Complete(PUBLIC, settled=True)] * 2)
    pass_time(scene.ledger.database, timedelta(seconds=2))
    await asyncio.gather(scene.observe(), scene.observe())
    assert scene.told == [("uncertain", 4), ("published", 4)]


@pytest.mark.parametrize("traits", [WITH_HANDLE, ONE_CALL])
async def test_r1_a_person_who_publishes_what_was_set_aside_while_it_may_be_out_makes_no_second_copy(
    ledger: Ledger, traits: Traits
) -> None:
    # As the version before has left it: set aside at COMMITTING, and the platform has it.
    scene = Scene.of(ledger, ScriptedPlatform(traits=traits))
    await killed_after_sending(scene)
    await ends_well(scene, 4)
    assert sum("send" in call for call in scene.platform.calls) == 1


async def test_r17_a_claim_that_only_asks_is_never_given_back_by_a_process_that_ends(scene: Scene) -> None:
    await at_step(scene.ledger, scene.claim, Step.COMMITTING)
    scene.claim = dataclasses.replace(scene.claim, ask_only=True)
    waiting = scene.attempt(4)
    assert not waiting.is_released
    for number in range(8):
        attempt = scene.attempt(5 + number)
        running = asyncio.create_task(attempt.run())
        await asyncio.sleep(0.001 * number)
        running.cancel()
        await asyncio.wait({running})
        assert not attempt.is_released
        assert scene.step in ("COMMITTING", "UNCERTAIN")


async def test_an_account_that_is_gone_leaves_it_to_a_person(scene: Scene) -> None:
    scene.claim = a_claim()
    await at_step(scene.ledger, scene.claim, Step.COMMITTING)
    await asks_only(scene, 4)
    assert (scene.step, scene.row()["needs_person"]) == ("UNCERTAIN", True)
