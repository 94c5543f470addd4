"""Attempts against a platform that does as it is told: killed anywhere nothing is published twice, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import deque
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from services.publisher.domain import (
    AttemptFailed,
    Failure,
    FailureKind,
    Fenced,
    Step,
    Visibility,
    Withdrawn,
)
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import (
    Absent,
    Answer,
    Incomplete,
    Processing,
    Traits,
    Uncertain,
    Unknown,
    Unsettled,
    UploadEnded,
)
from tests.publisher.factories import LATER, PUBLIC, WORKSPACE, a_claim, at_step
from tests.publisher.rows import activities, holds, pass_time, reports, rows
from tests.publisher.scripted import BLIND, ONE_CALL, SIZE, WITH_HANDLE, Killed, Points, Scene, ScriptedPlatform

pytestmark = pytest.mark.anyio

AWAY = AttemptFailed(Failure(FailureKind.TRANSIENT, "TIKTOK_CONNECT_FAILED", "TikTok could not be reached."))
SHAPES = {"with a handle": WITH_HANDLE, "one call, with a list": ONE_CALL, "one call, and no way to know": BLIND}


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    return Scene.of(ledger, ScriptedPlatform())


@pytest.fixture(params=[ONE_CALL, BLIND], ids=["list", "blind"])
def one_call(ledger: Ledger, request: pytest.FixtureRequest) -> Scene:
    return Scene.of(ledger, ScriptedPlatform(traits=request.param))


# ---- crashes


async def killed_at(scene: Scene, attempt: int, fatal: int, *, observing: bool = False) -> Points:
    """One attempt, or one look of an observer, of a process that is killed at a point."""
    points = Points(fatal)
    with contextlib.suppress(Killed):
        await (scene.observe(points) if observing else scene.deliver(attempt, points))
    return points


async def ends_well(scene: Scene, attempt: int) -> None:
    """Later attempts and questions, undisturbed: published once, or left to a person; never sent again meanwhile."""
    for number in range(attempt, attempt + 4):
        await scene.deliver(number)
        while scene.step in ("ACCEPTED", "UNCERTAIN") and not scene.row()["needs_person"]:
            pass_time(scene.ledger.database, timedelta(minutes=2))
            await scene.observe()
        if scene.step not in ("OPENED", "COMMITTING"):
            break
    copies = scene.platform.copies(scene.claim.caption)
    story = scene.log()
    assert copies <= 1, story
    row = scene.row()
    if row["step"] == "UNCERTAIN":
        assert row["needs_person"], story
        scene.ledger.settle(WORKSPACE, scene.claim.delivery_id, PUBLIC if copies else None)
        await scene.deliver(attempt + 10)
    assert scene.step == "PUBLISHED", story
    assert scene.platform.copies(scene.claim.caption) == 1, story
    assert scene.told_last == "published"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("outcome", ["ok", "lost", "unsent"])
async def test_r1_killed_at_any_point_a_delivery_is_published_once_and_never_lost(
    ledger: Ledger, shape: str, outcome: str
) -> None:
    scene, fatal, over = Scene.of(ledger, ScriptedPlatform(traits=SHAPES[shape])), 0, False
    while not over:
        scene.claim = a_claim(account_id=scene.claim.account_id, caption=f"killed at {fatal}")
        scene.platform.sends = deque([outcome])
        points = await killed_at(scene, 1, fatal)
        over = fatal >= len(points.passed)
        scene.platform.sends.clear()
        await ends_well(scene, 2)
        fatal += 1
    # before and after: each write, the handle, what is sent
    assert fatal > 5


@pytest.mark.parametrize("shape", SHAPES)
async def test_r1_killed_twice_in_a_row_a_delivery_is_published_once_and_never_lost(ledger: Ledger, shape: str) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=SHAPES[shape]))
    first, second, over = 0, 0, False
    # Every third pair, staggered: each point has its turn as the first and as the second.
    while not over:
        scene.claim = a_claim(account_id=scene.claim.account_id, caption=f"killed at {first} and {second}")
        before = await killed_at(scene, 1, first)
        after = await killed_at(scene, 2, second)
        over = first >= len(before.passed)
        await ends_well(scene, 3)
        first, second = (first + 1, (first + 1) % 3) if second >= len(after.passed) else (first, second + 3)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("outcome", ["lost", "unsent"])
async def test_r1_an_observer_that_is_killed_at_any_point_is_replaced(ledger: Ledger, shape: str, outcome: str) -> None:
    scene, fatal, over = Scene.of(ledger, ScriptedPlatform(traits=SHAPES[shape])), 0, False
    while not over:
        scene.claim = a_claim(account_id=scene.claim.account_id, caption=f"killed at {fatal}")
        scene.platform.sends, scene.platform.asks = deque([outcome]), deque([AWAY] * 3)
        await scene.deliver()
        scene.platform.asks.clear()
        pass_time(ledger.database, timedelta(minutes=2))
        points = await killed_at(scene, 1, fatal, observing=True)
        over = fatal >= len(points.passed)
        await ends_well(scene, 2)
        fatal += 1


async def test_r20_what_fails_after_the_publication_never_repeats_it(scene: Scene) -> None:
    await scene.deliver()
    await scene.observe()
    for attempt in range(2, 6):
        await scene.deliver(attempt)
    assert scene.platform.posts == [("handle-1", scene.claim.caption)]
    assert scene.told[-4:] == [("published", attempt) for attempt in range(2, 6)]


# ---- doubt, with a handle


async def test_r3_after_a_lost_answer_the_platform_is_asked_and_what_it_has_is_not_sent_again(scene: Scene) -> None:
    scene.platform.sends = deque(["lost"])
    scene.platform.asks = deque([Processing()])
    await scene.deliver()
    assert scene.platform.calls == ["read_limits", "begin", "send handle-1", "ask"]
    assert scene.step == "ACCEPTED"


async def test_r3_what_the_platform_lacks_after_a_lost_answer_is_sent_again_to_the_same_handle(scene: Scene) -> None:
    scene.platform.sends = deque(["unsent", "ok"])
    await scene.deliver()
    assert scene.platform.calls == ["read_limits", "begin", "send handle-1", "ask", "send handle-1"]
    assert scene.step == "ACCEPTED"


async def test_a_failure_without_doubt_is_definite_at_once(scene: Scene) -> None:
    scene.platform.sends = deque([AWAY])
    await scene.deliver()
    assert "ask" not in scene.platform.calls
    assert scene.told == [("TRANSIENT", 1)]


async def test_after_doubt_no_failure_to_send_is_taken_for_a_no(scene: Scene) -> None:
    scene.platform.sends = deque([Uncertain("No answer."), AWAY, AWAY])
    await scene.deliver()
    assert (scene.step, scene.told) == ("UNCERTAIN", [("uncertain", 1)])
    assert scene.platform.calls.count("begin") == 1


async def test_an_upload_that_the_platform_ended_begins_anew_with_another_handle(scene: Scene) -> None:
    scene.platform.sends = deque([UploadEnded("The upload's address has expired.")])
    await scene.deliver()
    assert (scene.step, scene.row()["handle"], scene.row()["upload_url"]) == ("OPENED", "", None)
    await scene.deliver(2)
    assert scene.platform.calls[-1] == "send handle-2"
    assert scene.step == "ACCEPTED"


async def test_an_ended_upload_of_which_the_platform_has_everything_is_accepted(scene: Scene) -> None:
    scene.platform.sends = deque([UploadEnded("TikTok does not know this upload.")])
    scene.platform.asks = deque([Incomplete(SIZE)])
    await scene.deliver()
    assert scene.step == "ACCEPTED"


async def test_a_verdict_for_now_found_while_asking_gives_the_handle_up(scene: Scene) -> None:
    scene.platform.sends, scene.platform.asks = deque(["lost"]), deque([LATER])
    await scene.deliver()
    assert (scene.step, scene.told) == ("OPENED", [("TRANSIENT", 1)])
    await scene.deliver(2)
    assert scene.platform.calls[-1] == "send handle-2"


@pytest.mark.parametrize(
    ("answers", "step"), [([Unknown("?"), Processing()], "ACCEPTED"), ([Unknown("?")] * 3, "UNCERTAIN")]
)
async def test_a_handle_is_doubted_only_when_it_stays_unknown(scene: Scene, answers: list[Answer], step: str) -> None:
    scene.platform.sends, scene.platform.asks = deque(["lost"]), deque(answers)
    await scene.deliver()
    assert scene.step == step


async def test_a_platform_that_cannot_be_asked_leaves_the_outcome_uncertain_and_is_asked_later(scene: Scene) -> None:
    scene.platform.sends, scene.platform.asks = deque(["lost"]), deque([AWAY] * 3)
    await scene.deliver()
    assert (scene.step, scene.told) == ("UNCERTAIN", [("uncertain", 1)])
    await scene.deliver(2)
    assert scene.told[-1] == ("uncertain", 2)
    assert scene.platform.calls.count("send handle-1") == 1
    pass_time(scene.ledger.database, timedelta(seconds=5))
    await scene.observe()
    assert (scene.step, scene.told[-1]) == ("PUBLISHED", ("published", 2))


# ---- doubt, in one call


async def test_r3_without_a_handle_the_committing_call_is_made_once_and_its_lost_answer_is_uncertain(
    one_call: Scene,
) -> None:
    one_call.platform.sends = deque(["lost"])
    await one_call.deliver()
    for attempt in (2, 3):
        await one_call.deliver(attempt)
    assert one_call.platform.calls.count("send") == 1
    assert one_call.step == "UNCERTAIN"
    assert one_call.row()["needs_person"] is not one_call.platform.traits.can_find
    assert one_call.told == [("uncertain", attempt) for attempt in (1, 2, 3)]


async def uncertain_one(ledger: Ledger, outcome: str, traits: Traits = ONE_CALL) -> Scene:
    scene = Scene.of(ledger, ScriptedPlatform(traits=traits, sends=deque([outcome])))
    await scene.deliver()
    assert scene.step == "UNCERTAIN"
    pass_time(ledger.database, timedelta(minutes=1))
    return scene


async def test_an_uncertain_post_that_is_found_is_adopted(ledger: Ledger) -> None:
    scene = await uncertain_one(ledger, "lost")
    await scene.observe()
    assert (scene.step, scene.row()["platform_post_id"]) == ("PUBLISHED", "id-post-1")
    assert scene.told == [("uncertain", 1), ("published", 1)]


async def test_an_uncertain_post_that_is_proven_absent_is_tried_again_as_a_fresh_attempt(ledger: Ledger) -> None:
    scene = await uncertain_one(ledger, "unsent")
    await scene.observe()
    assert (scene.step, scene.told) == ("OPENED", [("uncertain", 1), ("TRANSIENT", 1)])
    await scene.deliver(2)
    assert (scene.step, scene.platform.copies("Fries")) == ("PUBLISHED", 1)


async def test_an_uncertain_post_that_no_list_settles_waits_for_a_person_after_a_day(ledger: Ledger) -> None:
    scene = await uncertain_one(ledger, "unsent")
    scene.platform.lists_all = False
    await scene.observe()
    assert not scene.row()["needs_person"]
    pass_time(ledger.database, timedelta(hours=25))
    await scene.observe()
    assert scene.row()["needs_person"]
    assert reports(ledger.database)[-1].uncertain.needs_person


async def test_a_search_that_can_never_tell_asks_a_person_at_once(ledger: Ledger) -> None:
    scene = await uncertain_one(ledger, "lost")
    scene.platform.finds = deque([Unsettled("The owner has not allowed it.", is_final=True)])
    await scene.observe()
    assert scene.row()["needs_person"]


async def test_the_post_of_another_delivery_with_the_same_text_is_not_adopted(ledger: Ledger) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=ONE_CALL))
    await scene.deliver()
    scene.claim = a_claim(account_id=scene.claim.account_id)
    scene.platform.sends = deque(["unsent"])
    await scene.deliver()
    pass_time(ledger.database, timedelta(seconds=5))
    await scene.observe()
    assert scene.step == "OPENED"


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_person_settles_what_nobody_can_know(ledger: Ledger, is_there: bool) -> None:
    scene = await uncertain_one(ledger, "lost" if is_there else "unsent", BLIND)
    scene.ledger.settle(WORKSPACE, scene.claim.delivery_id, PUBLIC if is_there else None)
    await scene.deliver(2)
    assert (scene.step, scene.platform.copies("Fries")) == ("PUBLISHED", 1)


# ---- leases and grants


async def test_r5_without_its_lease_nothing_is_sent_and_the_next_attempt_need_not_ask(one_call: Scene) -> None:
    one_call.leases.refuses.append(Fenced())
    await one_call.deliver()
    assert (one_call.platform.posts, one_call.step) == ([], "none")
    await one_call.deliver(2)
    assert one_call.step == "PUBLISHED"


@pytest.mark.parametrize("traits", [WITH_HANDLE, BLIND])
async def test_r5_a_process_that_was_frozen_past_its_lease_does_not_send(ledger: Ledger, traits: Traits) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=traits))

    async def freeze() -> None:
        assert scene.leases.held is not None
        scene.leases.held.lease_end = asyncio.get_running_loop().time()

    scene.platform.before_sending = freeze
    await scene.deliver()
    assert scene.platform.posts == []
    assert scene.step == ("HANDLE" if traits is WITH_HANDLE else "OPENED")
    scene.platform.before_sending = None
    await scene.deliver(2)
    assert scene.platform.copies("Fries") == 1


async def test_r5_a_process_that_was_frozen_past_its_grant_asks_again_before_it_sends(scene: Scene) -> None:
    freezes = deque([1.0, 0.0])

    async def freeze() -> None:
        assert scene.leases.held is not None
        assert scene.leases.held.granted_at is not None
        scene.leases.held.granted_at -= freezes.popleft()

    scene.platform.before_sending = freeze
    await scene.deliver()
    assert scene.leases.asked == 2
    assert scene.platform.calls.count("send handle-1") == 2
    assert (scene.step, scene.platform.copies("Fries")) == ("ACCEPTED", 1)


@pytest.mark.parametrize("traits", SHAPES.values(), ids=SHAPES)
async def test_a_withdrawn_delivery_is_taken_back_and_reports_nothing(ledger: Ledger, traits: Traits) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=traits))
    scene.leases.refuses.append(Withdrawn())
    await scene.deliver()
    assert (scene.platform.posts, scene.told) == ([], [])
    assert scene.step == ("HANDLE" if traits is WITH_HANDLE else "none")
    await scene.deliver(2)
    assert scene.platform.copies("Fries") == 1


async def test_an_intent_is_taken_back_when_its_grant_is_withdrawn_before_the_call_leaves(one_call: Scene) -> None:
    async def withdraw() -> None:
        assert one_call.leases.held is not None
        one_call.leases.held.granted_at = None
        one_call.leases.refuses.append(Withdrawn())

    one_call.platform.before_sending = withdraw
    await one_call.deliver()
    assert (one_call.step, one_call.platform.posts, one_call.told) == ("OPENED", [], [])


async def test_what_fails_before_the_call_leaves_takes_its_intent_back_and_needs_no_question(scene: Scene) -> None:
    async def busy() -> None:
        scene.platform.before_sending = None
        text = "The media library is busy with other files."
        raise AttemptFailed(Failure(FailureKind.RATE_LIMITED, "MEDIA_LIBRARY_BUSY", text, datetime.now(UTC)))

    scene.platform.before_sending = busy
    await scene.deliver()
    assert (scene.step, scene.told) == ("HANDLE", [("RATE_LIMITED", 1)])
    await scene.deliver(2)
    assert scene.platform.copies("Fries") == 1
    assert "ask" not in scene.platform.calls


async def test_what_an_earlier_attempt_may_have_sent_is_not_taken_back_but_asked_about(scene: Scene) -> None:
    await killed_at(scene, 1, (await points_of(scene)).index("before it is sent"))
    assert scene.step == "COMMITTING"
    scene.leases.refuses.append(Withdrawn())
    await scene.deliver(2)
    assert (scene.step, scene.told[-1]) == ("UNCERTAIN", ("uncertain", 2))


async def points_of(scene: Scene) -> list[str]:
    """The points of an undisturbed attempt at a delivery like this."""
    like_it = Scene(scene.ledger, ScriptedPlatform(traits=scene.platform.traits), a_claim(**_account(scene)))
    points = Points()
    await like_it.deliver(1, points)
    # The first attempt of a process looks at the epoch.
    return points.passed


def _account(scene: Scene) -> dict[str, object]:
    return {"account_id": scene.claim.account_id}


async def test_nothing_leaves_before_the_due_time_and_media_are_uploaded_ahead(scene: Scene) -> None:
    loop = asyncio.get_running_loop()
    due, sent = loop.time() + 0.6, []

    async def note() -> None:
        sent.append(loop.time())

    scene.platform.before_sending = note
    await scene.attempt(due_in=0.6).run()
    assert scene.platform.calls == ["read_limits", "begin", "stage", "send handle-1"]
    assert len(sent) == 1
    assert sent[0] >= due - 0.01
    assert scene.leases.asked == 1


# ---- the end of a process


@pytest.mark.parametrize("traits", [WITH_HANDLE, BLIND])
async def test_r17_a_canceled_attempt_gives_back_what_has_not_left(ledger: Ledger, traits: Traits) -> None:
    scene, reached = Scene.of(ledger, ScriptedPlatform(traits=traits)), asyncio.Event()

    async def wait_long() -> None:
        reached.set()
        await asyncio.sleep(60)

    scene.platform.before_sending = wait_long
    attempt = scene.attempt()
    running = asyncio.create_task(attempt.run())
    await reached.wait()
    assert scene.step == "COMMITTING"
    running.cancel()
    await running
    assert attempt.is_released
    assert scene.step == ("HANDLE" if traits is WITH_HANDLE else "OPENED")


@pytest.mark.parametrize("traits", [WITH_HANDLE, ONE_CALL])
async def test_r17_a_canceled_attempt_that_may_have_sent_is_uncertain_and_asked_about(
    ledger: Ledger, traits: Traits
) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=traits))
    attempt = scene.attempt()

    def cancel_after_sending(name: str) -> None:
        if name == "after it is sent":
            running.cancel()

    scene.platform.points.at = cancel_after_sending  # type: ignore[method-assign]
    running = asyncio.create_task(attempt.run())
    await running
    # The answer was there already with a handle that is asked about at once; else nobody heard it.
    assert not attempt.is_released
    assert scene.step in ("UNCERTAIN", "ACCEPTED", "PUBLISHED")
    await ends_well(scene, 2)


@pytest.mark.parametrize("number", range(12))
async def test_r17_an_attempt_that_is_canceled_at_any_await_leaves_the_ledger_as_it_says(
    ledger: Ledger, number: int
) -> None:
    for traits in SHAPES.values():
        scene = Scene.of(ledger, ScriptedPlatform(traits=traits))
        scene.claim = dataclasses.replace(scene.claim, caption=f"canceled after {number}")
        attempt = scene.attempt()
        running = asyncio.create_task(attempt.run())
        for _ in range(number * number):
            await asyncio.sleep(0.0005)
        running.cancel()
        await asyncio.wait({running})
        if attempt.is_released:
            assert scene.step in ("none", "OPENED", "PREPARED", "HANDLE")
            assert scene.platform.copies(scene.claim.caption) == 0
        else:
            assert scene.step in ("COMMITTING", "UNCERTAIN", "ACCEPTED", "PUBLISHED")
        await ends_well(scene, 2)


# ---- what fails


async def test_r14_a_retry_after_is_handed_on(scene: Scene) -> None:
    later = datetime.now(UTC) + timedelta(minutes=7)
    scene.platform.reads.append(AttemptFailed(Failure(FailureKind.RATE_LIMITED, "SLOW_DOWN", "Wait.", later)))
    await scene.deliver()
    (report,) = reports(scene.ledger.database)
    assert report.failure.retry_time.ToDatetime(tzinfo=UTC) == later


async def test_a_lost_authorisation_is_no_try_and_no_doubt(scene: Scene) -> None:
    lost = Failure(FailureKind.ACCOUNT, "AUTHORIZATION_LOST", "Connect it again.")
    scene.platform.reads.append(AttemptFailed(lost))
    await scene.deliver()
    assert (scene.step, scene.told, holds(scene.ledger.database)) == ("OPENED", [("ACCOUNT", 1)], [])


async def test_an_account_that_cannot_publish_until_its_owner_acts_is_held(scene: Scene) -> None:
    banned = Failure(FailureKind.ACCOUNT, "TIKTOK_BANNED", "The account may not post.")
    scene.platform.sends.append(AttemptFailed(banned))
    await scene.deliver()
    assert scene.told == [("ACCOUNT", 1)]
    assert holds(scene.ledger.database) == [("PlaceHold", str(scene.claim.account_id))]


async def test_a_refusal_before_anything_is_sent_ends_the_delivery_with_its_reason(scene: Scene) -> None:
    scene.platform.reads.append(AttemptFailed(Failure(FailureKind.PERMANENT, "MEDIA_UNFIT", "It is too long.")))
    await scene.deliver()
    assert (scene.step, scene.row()["failure_reason"]) == ("FAILED", "MEDIA_UNFIT")
    assert scene.told == [("PERMANENT", 1)]


async def test_a_fault_of_ours_before_anything_is_sent_counts_as_a_try_and_is_reported(scene: Scene) -> None:
    def fault() -> None:
        raise KeyError("privacy_level")

    scene.platform.while_preparing = fault
    await scene.deliver()
    scene.platform.while_preparing = lambda: None
    assert scene.told == [("TRANSIENT", 1)]
    await scene.deliver(2)
    assert scene.step == "ACCEPTED"


async def test_a_fault_of_ours_after_something_may_have_been_sent_reports_nothing(scene: Scene) -> None:
    scene.platform.sends = deque([ValueError("the body should have 10 bytes")])
    await scene.deliver()
    assert (scene.step, scene.told) == ("COMMITTING", [])
    await scene.deliver(2)
    assert scene.platform.calls[-2:] == ["ask", "send handle-1"]


async def test_an_account_that_is_gone_leaves_what_is_over_as_it_is(scene: Scene) -> None:
    scene.claim = a_claim()
    await at_step(scene.ledger, scene.claim, Step.ACCEPTED)
    await scene.deliver(2)
    assert (scene.step, scene.told[-1]) == ("ACCEPTED", ("accepted", 2))


async def test_an_account_that_never_was_fails_the_delivery_for_good(scene: Scene) -> None:
    scene.claim = a_claim()
    await scene.deliver()
    assert (scene.step, scene.row()["failure_reason"]) == ("FAILED", "ACCOUNT_NOT_FOUND")


async def test_an_account_that_is_gone_leaves_a_doubt_to_a_person(scene: Scene) -> None:
    scene.claim = a_claim()
    await at_step(scene.ledger, scene.claim, Step.COMMITTING)
    await scene.deliver(2)
    assert (scene.step, scene.row()["needs_person"]) == ("UNCERTAIN", True)


async def test_r2_an_edit_between_two_attempts_publishes_the_new_version_alone(scene: Scene) -> None:
    scene.platform.sends.append(AWAY)
    await scene.deliver()
    scene.claim = dataclasses.replace(scene.claim, caption="The new text", etag="r2")
    await scene.deliver(2)
    assert scene.platform.posts == [("handle-2", "The new text")]


async def test_a_handle_that_has_ended_is_not_sent_to(scene: Scene) -> None:
    await at_step(scene.ledger, scene.claim, Step.HANDLE)
    with scene.ledger.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE publications SET handle_expire_time = now()"))
    await scene.deliver(2)
    assert scene.platform.calls[-1] == "send handle-1"
    assert scene.platform.calls.count("begin") == 1  # the platform's own first one


# ---- what people see


@pytest.mark.parametrize("visibility", [Visibility.INBOX, Visibility.PRIVATE])
async def test_what_is_not_public_is_never_told_as_public(scene: Scene, visibility: Visibility) -> None:
    scene.platform.visibility = visibility
    await scene.deliver()
    await scene.observe()
    (*_, report) = reports(scene.ledger.database)
    assert (report.published.visibility, report.published.url) == (
        {Visibility.PRIVATE: 2, Visibility.INBOX: 3}[visibility],
        "",
    )
    assert scene.row()["next_check_time"] is None  # nobody can see whether it is removed
    assert "(public)" not in str(rows(scene.ledger.database, "attempt_entries"))


async def test_r36_the_log_tells_each_step_in_order(scene: Scene) -> None:
    await scene.deliver()
    await scene.observe()
    steps = [line["step"] for line in rows(scene.ledger.database, "attempt_entries")]
    assert steps == ["OPENED", "PREPARED", "HANDLE", "COMMITTING", "ACCEPTED", "PUBLISHED"]
    (attempt,) = rows(scene.ledger.database, "attempts")
    assert attempt["outcome"] == "accepted"
    assert activities(scene.ledger.database) == []


# ---- after a restore


async def test_r35_an_epoch_that_begins_in_the_middle_of_an_attempt_keeps_it_from_sending(scene: Scene) -> None:
    scene.platform.while_preparing = scene.restore
    await scene.deliver()
    assert scene.platform.calls == ["read_limits", "begin"]
    await scene.deliver(2)
    assert (scene.step, scene.row()["needs_person"]) == ("UNCERTAIN", False)
    pass_time(scene.ledger.database, timedelta(minutes=1))
    await scene.observe()
    # The platform lacks its bytes, and another upload may have been finished since.
    assert (scene.step, scene.row()["needs_person"], scene.platform.posts) == ("UNCERTAIN", True, [])


async def test_r35_what_was_due_before_the_restore_and_has_no_record_is_looked_for_and_not_sent(
    ledger: Ledger,
) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=ONE_CALL))
    scene.platform.posts.append(("post-0", "Fries"))
    scene.claim = dataclasses.replace(scene.claim, planned_time=datetime.now(UTC) - timedelta(minutes=10))
    scene.restore()
    await scene.deliver()
    assert scene.step == "UNCERTAIN"
    pass_time(ledger.database, timedelta(seconds=5))
    await scene.observe()
    assert (scene.step, scene.row()["platform_post_id"]) == ("PUBLISHED", "id-post-0")
    assert "send" not in scene.platform.calls


@pytest.mark.parametrize("by_a_person", [True, False])
async def test_r35_what_is_proven_not_to_be_out_goes_out_after_all(ledger: Ledger, by_a_person: bool) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(traits=ONE_CALL))
    scene.claim = dataclasses.replace(scene.claim, planned_time=datetime.now(UTC) - timedelta(minutes=10))
    scene.restore()
    await scene.deliver()
    if by_a_person:
        scene.ledger.settle(WORKSPACE, scene.claim.delivery_id, None)
    else:
        scene.platform.finds = deque([Absent()])
        pass_time(ledger.database, timedelta(seconds=5))
        await scene.observe()
    await scene.deliver(2)
    assert (scene.step, scene.platform.copies("Fries")) == ("PUBLISHED", 1)


async def test_r35_a_restored_scheduler_hears_again_what_is_over(scene: Scene) -> None:
    await scene.deliver(4)
    await scene.observe()
    scene.restore()
    await scene.deliver(1)
    assert (scene.told[-1], scene.platform.copies("Fries")) == (("published", 1), 1)


async def test_r35_a_handle_that_was_complete_before_the_restore_is_found_and_reported(scene: Scene) -> None:
    scene.platform.sends, scene.platform.asks = deque(["lost"]), deque([AWAY] * 3)
    await scene.deliver()
    scene.restore()
    pass_time(scene.ledger.database, timedelta(seconds=5))
    await scene.observe()
    assert scene.step == "PUBLISHED"
