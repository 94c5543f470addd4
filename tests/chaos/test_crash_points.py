"""R1 to R4: kills at the publisher's crash points, lost answers of the platform and of the database, random kills."""

from __future__ import annotations

import random
import threading

import pytest

from tests.chaos import checker, matrix, seeds
from tests.chaos.campaign import Campaign
from tests.chaos.installation import Installation, Planned, soon
from tests.chaos.matrix import Point
from tests.chaos.sized import sized, whole_only
from tests.chaos.wires import Moment, Phase, Reaction, passes

SCHEDULER, PLATFORM, DATABASE = "scheduler", "sandbox", "postgresql"
# The commit that stores an acceptance: the last that it writes are lines of the ledger, or what is told of it.
_LEDGER = ("COMMIT after INSERT INTO attempt_entries", "COMMIT after INSERT INTO outbox")
POST = "POST /bulletin/v1/posts"
INIT, UPLOAD, STATUS = "POST /v2/post/publish/video/init/", "PUT /upload/video/", "POST /v2/post/publish/status/fetch/"


def publisher_dies(server: str, phase: Phase, what: str) -> Point:
    return Point("publisher", server, phase, what, 1, kills_server=False)


CRASH_POINTS = {
    "C1 claimed": publisher_dies(SCHEDULER, Phase.ANSWERED, "ClaimDueDeliveries"),
    "C2 during the harmless call": publisher_dies(PLATFORM, Phase.ASKED, INIT),
    "C3 handle not stored": publisher_dies(PLATFORM, Phase.ANSWERED, INIT),
    "C4 handle stored": publisher_dies(SCHEDULER, Phase.ASKED, "AuthorizeDeliveries"),
    "C5 the platform has read nothing": publisher_dies(PLATFORM, Phase.ASKED, UPLOAD),
    "C6 the platform's answer on its way": publisher_dies(PLATFORM, Phase.ANSWERED, UPLOAD),
    "C8 stored and not relayed": publisher_dies(SCHEDULER, Phase.ASKED, "ReportDeliveries"),
    "C9 relayed and not marked": publisher_dies(SCHEDULER, Phase.ANSWERED, "ReportDeliveries"),
    "C10 applied and not acknowledged": Point(
        "publisher", SCHEDULER, Phase.ANSWERED, "ReportDeliveries", 1, kills_server=True
    ),
    "C11 during a question for the verdict": publisher_dies(PLATFORM, Phase.ANSWERED, STATUS),
}


def assert_all_is_well(running: Installation, posts: list[Planned], *, state: str = "PUBLISHED") -> None:
    """Every post has settled in this state, and nothing is wrong with it."""
    running.wires.rule = passes
    running.wait_ready()
    for record in checker.settle(running, posts, 90):
        assert [record.state, *checker.judge(record)] == [state], checker.story(running, record)


# The three that go wrong most easily are in every test run.
_IN_EVERY_RUN = ("C3", "C6", "C10")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name.startswith(_IN_EVERY_RUN) else whole_only) for name in CRASH_POINTS]
)
def test_r1_the_publisher_killed_at_a_crash_point_publishes_once(running: Installation, name: str) -> None:
    done = threading.Event()
    running.wires.rule = matrix.kill_at(running, CRASH_POINTS[name], done)
    posts = running.plan(["creator.0"], soon(1))
    assert done.wait(20), "the moment did not come"
    assert_all_is_well(running, posts)


def test_r1_c7_an_answer_that_could_not_be_stored_is_asked_for_again(running: Installation) -> None:
    done, has_sent = threading.Event(), threading.Event()

    def rule(moment: Moment) -> Reaction:
        if moment.what == UPLOAD and moment.phase is Phase.ANSWERED:
            has_sent.set()
        elif has_sent.is_set() and not done.is_set() and moment.what in _LEDGER:
            running.kill(moment.client)
            done.set()
            return Reaction.CUT
        return Reaction.PASS

    running.wires.rule = rule
    posts = running.plan(["creator.1"], soon(1))
    assert done.wait(20), "the moment did not come"
    assert_all_is_well(running, posts)


@whole_only
def test_r1_c13_two_kills_in_a_row_the_second_during_recovery(running: Installation) -> None:
    kills = 0

    def rule(moment: Moment) -> Reaction:
        nonlocal kills
        # Only a second attempt asks before anything is published.
        if kills < 2 and moment.phase is Phase.ANSWERED and moment.what == (UPLOAD, STATUS)[kills]:
            kills += 1
            running.kill(moment.client)
            return Reaction.CUT
        return Reaction.PASS

    running.wires.rule = rule
    posts = running.plan(["creator.2"], soon(1))
    running.wait(lambda: True if kills == 2 else None, 30)
    assert_all_is_well(running, posts)


@pytest.mark.parametrize("handle", ["creator.3", pytest.param("writer.1", marks=whole_only)])
def test_r1_three_kills_at_the_commit_of_the_answer_never_make_a_post_that_is_out_look_set_aside(
    running: Installation, handle: str
) -> None:
    kills, has_answered = 0, threading.Event()

    def rule(moment: Moment) -> Reaction:
        nonlocal kills
        if moment.phase is Phase.ANSWERED and moment.what in (UPLOAD, POST):
            has_answered.set()
        elif kills < 3 and has_answered.is_set() and moment.phase is Phase.ASKED and moment.what in _LEDGER:
            # Also of those who take over: three in a row have died with it, and no commit says what became of it.
            kills += 1
            running.kill(moment.client)
            return Reaction.CUT
        return Reaction.PASS

    running.wires.rule = rule
    posts = running.plan([handle], soon(1))
    (record,) = checker.settle(running, posts, 90)
    assert kills == 3
    assert record.told.get("delivery.uncertain") == 1, checker.story(running, record)
    assert "delivery.parked" not in record.told
    assert_all_is_well(running, posts)


@pytest.mark.timeout(600)
def test_r2_seeded_random_kills_with_a_platform_on_a_bad_day(running: Installation) -> None:
    campaign = Campaign(running)
    for number in [*seeds.kept(), *range(1, sized(3, 30))]:
        seeds.strike(running, campaign, seeds.plan(number))
    campaign.finish()
    assert campaign.faults == {}


@whole_only
@pytest.mark.timeout(300)
def test_r3_a_third_of_the_publishing_calls_lose_their_answers(running: Installation) -> None:
    chance = random.Random(3)

    def rule(moment: Moment) -> Reaction:
        is_lost = moment.what == UPLOAD and moment.phase is Phase.ANSWERED and chance.random() < 0.3
        return Reaction.CUT if is_lost else Reaction.PASS

    running.wires.rule = rule
    posts = running.plan([*running.accounts] * 20, soon(2))
    checker.settle(running, posts, 120)
    assert_all_is_well(running, posts)


@whole_only
@pytest.mark.timeout(300)
def test_r4_a_tenth_of_the_commits_lose_their_answers(running: Installation) -> None:
    chance = random.Random(4)
    lost = 0

    def rule(moment: Moment) -> Reaction:
        nonlocal lost
        if moment.what.startswith("COMMIT") and moment.phase is Phase.ANSWERED and chance.random() < 0.1:
            lost += 1
            return Reaction.CUT
        return Reaction.PASS

    running.wires.rule = rule
    posts = running.plan([*running.accounts] * 20, soon(2))
    checker.settle(running, posts, 120)
    assert lost > 0
    assert_all_is_well(running, posts)


@whole_only
@pytest.mark.timeout(900)
def test_r5_a_frozen_publisher_writes_nothing_after_waking(running: Installation) -> None:
    for number in range(10):
        posts = running.plan([*running.accounts], soon(1))
        running.wait(lambda: running.rows("SELECT 1 FROM scheduler.deliveries WHERE state = 'CLAIMED'") or None, 20)
        with running.frozen(f"publisher-{number % 2 + 1}"):
            # Three times its lease.
            threading.Event().wait(15)
        assert_all_is_well(running, posts)
