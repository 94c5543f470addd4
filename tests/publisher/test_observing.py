"""What is open at a platform is asked about with patience, but not for ever; and a public post is looked after."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta

import pytest

from services.publisher.domain import AttemptFailed, Failure, FailureKind, Step, Visibility
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import (
    Absent,
    Answer,
    Complete,
    Found,
    Gone,
    Incomplete,
    Processing,
    Taken,
    Trace,
    Unknown,
    Unsettled,
)
from tests.publisher.factories import LATER, PUBLIC, REFUSED, WORKSPACE, a_claim, at_step
from tests.publisher.rows import activities, outcomes, pass_time, rows
from tests.publisher.scripted import ONE_CALL, SIZE, Scene, ScriptedPlatform

pytestmark = pytest.mark.anyio

AWAY = AttemptFailed(Failure(FailureKind.TRANSIENT, "TIKTOK_CONNECT_FAILED", "TikTok could not be reached."))
LOST = AttemptFailed(Failure(FailureKind.ACCOUNT, "AUTHORIZATION_LOST", "Connect it again."))
A_PERSON = "UNCERTAIN and a person"


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    return Scene.of(ledger, ScriptedPlatform())


def stands(scene: Scene) -> str:
    row = scene.row()
    return A_PERSON if row["needs_person"] else str(row["step"])


@pytest.mark.parametrize(
    ("answer", "since", "expected"),
    [
        (Processing(), timedelta(hours=1), "ACCEPTED"),
        (Processing(), timedelta(days=8), A_PERSON),
        (AWAY, timedelta(days=6), "ACCEPTED"),
        (AWAY, timedelta(days=8), A_PERSON),
        (LOST, timedelta(days=6), "ACCEPTED"),
        (Unknown("?"), timedelta(minutes=9), "ACCEPTED"),
        (Unknown("?"), timedelta(minutes=11), A_PERSON),
        (Complete(PUBLIC, settled=False), timedelta(hours=23), "ACCEPTED"),
        (Complete(PUBLIC, settled=False), timedelta(hours=25), "PUBLISHED"),
        (Complete(PUBLIC, settled=True), timedelta(), "PUBLISHED"),
        (LATER, timedelta(), "OPENED"),
        (REFUSED, timedelta(), "REJECTED"),
        (Gone(), timedelta(), "REJECTED"),
    ],
)
async def test_a_verdict_is_awaited_with_patience_but_not_for_ever(
    scene: Scene, answer: Answer | Exception, since: timedelta, expected: str
) -> None:
    await at_step(scene.ledger, scene.claim, Step.ACCEPTED)
    pass_time(scene.ledger.database, since + timedelta(seconds=1))
    scene.platform.asks.append(answer)
    await scene.observe()
    assert stands(scene) == expected


@pytest.mark.parametrize(
    ("answer", "since", "expected"),
    [
        (Processing(), timedelta(), "ACCEPTED"),
        (Complete(PUBLIC, settled=True), timedelta(), "PUBLISHED"),
        (Complete(PUBLIC, settled=False), timedelta(), "ACCEPTED"),
        (Incomplete(SIZE), timedelta(), "ACCEPTED"),
        # The last bytes may still be on their way through the platform.
        (Incomplete(10), timedelta(seconds=20), "UNCERTAIN"),
        (Incomplete(10), timedelta(seconds=40), "COMMITTING"),
        (Incomplete(None), timedelta(hours=1), "UNCERTAIN"),
        (LATER, timedelta(), "OPENED"),
        (REFUSED, timedelta(), "REJECTED"),
        (Unknown("?"), timedelta(minutes=9), "UNCERTAIN"),
        (Unknown("?"), timedelta(minutes=11), A_PERSON),
        (AWAY, timedelta(days=6), "UNCERTAIN"),
        (AWAY, timedelta(days=8), A_PERSON),
    ],
)
async def test_a_doubt_about_a_handle_is_settled_by_the_platforms_word_alone(
    scene: Scene, answer: Answer | Exception, since: timedelta, expected: str
) -> None:
    await at_step(scene.ledger, scene.claim, Step.UNCERTAIN)
    pass_time(scene.ledger.database, since + timedelta(seconds=2))
    scene.platform.asks.append(answer)
    await scene.observe()
    assert stands(scene) == expected


@pytest.mark.parametrize(
    ("trace", "since", "expected"),
    [
        (Found(Taken("h", PUBLIC)), timedelta(), "PUBLISHED"),
        (Found(Taken("h")), timedelta(), "ACCEPTED"),
        (Absent(), timedelta(), "OPENED"),
        (Unsettled("It may lag."), timedelta(hours=23), "UNCERTAIN"),
        (Unsettled("It may lag."), timedelta(hours=25), A_PERSON),
        (Unsettled("Not allowed.", is_final=True), timedelta(), A_PERSON),
        (AWAY, timedelta(days=6), "UNCERTAIN"),
        (AWAY, timedelta(days=8), A_PERSON),
    ],
)
async def test_a_doubt_without_a_handle_is_settled_by_the_accounts_recent_posts(
    ledger: Ledger, trace: Trace | Exception, since: timedelta, expected: str
) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=ONE_CALL, sends=deque(["lost"])))
    await scene.deliver()
    pass_time(ledger.database, since + timedelta(seconds=2))
    scene.platform.finds.append(trace)
    await scene.observe()
    assert stands(scene) == expected


async def test_a_rate_limit_on_a_question_puts_it_off_as_long_as_the_platform_asks(scene: Scene) -> None:
    await at_step(scene.ledger, scene.claim, Step.ACCEPTED)
    later = datetime.now(UTC) + timedelta(minutes=7)
    scene.platform.asks.append(AttemptFailed(Failure(FailureKind.RATE_LIMITED, "SLOW_DOWN", "Wait.", later)))
    pass_time(scene.ledger.database, timedelta(seconds=1))
    await scene.observe()
    assert abs(scene.row()["next_check_time"] - later) < timedelta(seconds=30)
    assert activities(scene.ledger.database) == []


async def test_a_question_that_fails_is_told_once_however_often_it_fails(scene: Scene) -> None:
    await at_step(scene.ledger, scene.claim, Step.ACCEPTED)
    for error in (AWAY, AWAY, LOST, LOST):
        scene.platform.asks.append(error)
        pass_time(scene.ledger.database, timedelta(minutes=10))
        await scene.observe()
    assert scene.platform.calls == ["ask"] * 4
    assert [each.type for each in activities(scene.ledger.database)] == ["publication.unanswered"] * 2


async def published(scene: Scene) -> None:
    await scene.deliver()
    await scene.observe()
    assert scene.step == "PUBLISHED"
    scene.platform.calls.clear()


async def test_a_post_that_is_removed_within_the_week_is_told(scene: Scene) -> None:
    await published(scene)
    await scene.observe()
    assert scene.platform.calls == []  # not yet
    pass_time(scene.ledger.database, timedelta(minutes=11))
    await scene.observe()
    assert scene.step == "PUBLISHED"
    scene.platform.asks.append(Gone())
    pass_time(scene.ledger.database, timedelta(minutes=61))
    await scene.observe()
    assert (scene.step, scene.told[-2:]) == ("REMOVED", [("published", 1), ("removed", 1)])
    assert scene.row()["next_check_time"] is None


async def test_a_post_that_stays_is_looked_at_a_few_times_and_then_left_alone(scene: Scene) -> None:
    await published(scene)
    # Whatever else the platform answers says nothing of a removal, and nobody need hear of it.
    scene.platform.asks.extend([Processing(), AWAY, Unknown("?"), Incomplete(0)])
    for _ in range(6):
        pass_time(scene.ledger.database, timedelta(days=8))
        await scene.observe()
    assert scene.platform.calls == ["ask"] * 4
    assert (scene.step, scene.row()["next_check_time"]) == ("PUBLISHED", None)
    assert activities(scene.ledger.database) == []
    assert scene.told[-1] == ("published", 1)


async def test_a_private_post_is_not_watched(scene: Scene) -> None:
    scene.platform.visibility = Visibility.PRIVATE
    await published(scene)
    pass_time(scene.ledger.database, timedelta(days=8))
    await scene.observe()
    assert scene.platform.calls == []


async def test_r11_of_many_observers_each_publication_has_one(ledger: Ledger) -> None:
    for _ in range(30):
        await at_step(ledger, a_claim(), Step.ACCEPTED)
    pass_time(ledger.database, timedelta(seconds=1))
    found = await asyncio.gather(*(asyncio.to_thread(ledger.take_checks, 10, 25) for _ in range(6)))
    taken = [publication.delivery_id for batch in found for publication in batch]
    assert len(taken) == len(set(taken)) == 30


async def test_an_unexpected_fault_of_one_question_leaves_it_to_the_next(scene: Scene) -> None:
    await at_step(scene.ledger, scene.claim, Step.ACCEPTED)
    pass_time(scene.ledger.database, timedelta(seconds=1))
    scene.platform.asks.append(KeyError("status"))
    await scene.observe()
    assert scene.step == "ACCEPTED"
    pass_time(scene.ledger.database, timedelta(minutes=1))
    scene.platform.asks.append(Complete(PUBLIC, settled=True))
    await scene.observe()
    assert scene.step == "PUBLISHED"


async def test_a_word_of_a_person_stands_against_an_observer_who_asks_meanwhile(ledger: Ledger) -> None:
    claim = a_claim()
    await at_step(ledger, claim, Step.UNCERTAIN)
    pass_time(ledger.database, timedelta(seconds=2))
    (asked,) = ledger.take_checks(10, 25)
    ledger.settle(WORKSPACE, claim.delivery_id, PUBLIC)
    observer = Scene(ledger, ScriptedPlatform(asks=deque([REFUSED])), claim).process()[1]
    await observer.check(asked)
    assert [row["step"] for row in rows(ledger.database, "publications")] == ["PUBLISHED"]
    assert outcomes(ledger.database)[-1] == ("published", 1)


@pytest.mark.parametrize(
    ("answer", "paused", "stops", "step"),
    [
        (Processing(can_be_stopped=True), True, True, "OPENED"),
        (Processing(can_be_stopped=True), True, False, "ACCEPTED"),  # too late: its verdict is awaited
        (Processing(can_be_stopped=True), True, AWAY, "ACCEPTED"),
        (Processing(can_be_stopped=True), False, True, "ACCEPTED"),
        (Processing(), True, True, "ACCEPTED"),
    ],
)
async def test_a_pause_stops_what_the_platform_still_fetches(
    scene: Scene, answer: Answer, paused: bool, stops: bool | Exception, step: str
) -> None:
    await at_step(scene.ledger, scene.claim, Step.ACCEPTED)
    scene.is_paused = paused
    scene.platform.asks.append(answer)
    scene.platform.stops.append(stops)
    await scene.observe()
    assert scene.step == step
    if step == "OPENED":
        # Held by the pause, without a try; then it goes out anew.
        assert scene.told_last == "PLATFORM"
        await scene.deliver(2)
        assert scene.platform.copies(scene.claim.caption) == 1
