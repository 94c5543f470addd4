"""What is paused, held or waits for a person, as those see it who place holds, lift them and decide."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.errors import FailedPrecondition, InvalidArgument, NotFound
from services.scheduler import hold_store, holding
from services.scheduler.domain import DueAction, HoldCause, HoldScope
from tests.scheduler.stage import (
    ACCEPTED,
    OTHER,
    POLICY,
    PUBLISHED,
    TIMEOUT,
    WORKSPACE,
    Stage,
    draft_of,
    failure,
    refused,
    report_of,
    state_of,
)


def listed(stage: Stage, workspace: str = WORKSPACE) -> list[tuple[str, int]]:
    answer = stage.stub.ListHolds(pb.ListHoldsRequest(workspace_id=workspace), timeout=TIMEOUT)
    return [(hold.hold_id, hold.held_deliveries) for hold in answer.holds]


@pytest.mark.parametrize("scope", ["EVERYTHING", "PLATFORM", "WORKSPACE", "CHANNEL", "ACCOUNT", "POST"])
def test_what_is_paused_is_not_handed_out_and_goes_out_when_the_pause_is_lifted(stage: Stage, scope: str) -> None:
    draft = draft_of()
    draft.platforms.append("tiktok")
    post = stage.create(draft)
    target = {
        "PLATFORM": "tiktok",
        "CHANNEL": "air",
        "ACCOUNT": post.deliveries[0].account_id,
        "POST": post.post_id,
    }.get(scope, "")
    hold = stage.place(scope, target)
    outside = stage.create(draft_of(channel="water"), workspace=OTHER)
    stage.due_now()
    claimed = [each.post_id for each in stage.claim()]
    assert claimed == ([] if scope == "EVERYTHING" else [outside.post_id])
    (delivery,) = stage.get(post).deliveries
    assert (delivery.state, delivery.hold_cause) == (pb.DELIVERY_STATE_HELD, pb.HOLD_CAUSE_PAUSE)
    assert listed(stage) == [(hold.hold_id, 1)]
    assert stage.lift(hold) == (2 if scope == "EVERYTHING" else 1)
    assert listed(stage) == []
    assert post.post_id in [each.post_id for each in stage.claim()]


def test_after_a_pause_nothing_that_was_claimed_ahead_gets_a_grant(stage: Stage) -> None:
    post = stage.create(draft_of(due_in=timedelta(seconds=2)))
    (ahead,) = stage.claim(lead=30)
    assert not ahead.authorized
    stage.place("WORKSPACE")
    assert stage.authorize(ahead) == ["WITHDRAWN"]
    assert state_of(stage.get(post)) == "HELD"
    assert stage.authorize(ahead) == ["LEASE_LOST"]


def test_a_pause_waits_for_grants_under_way_so_that_none_is_given_after_its_answer(stage: Stage) -> None:
    with stage.database.transaction(ALL_WORKSPACES) as granting:
        hold_store.wait_until_may_leave(granting)
        placed = threading.Event()

        def place() -> None:
            stage.place("WORKSPACE")
            placed.set()

        placing = threading.Thread(target=place)
        placing.start()
        assert not placed.wait(0.3)
    assert placed.wait(5)
    placing.join()


def test_a_grant_is_given_only_shortly_before_the_due_time(stage: Stage) -> None:
    stage.create(draft_of(due_in=timedelta(seconds=20)))
    (ahead,) = stage.claim(lead=30)
    # Whoever asks too early holds work that would rather be canceled or paused: it is taken back.
    assert stage.authorize(ahead) == ["WITHDRAWN"]
    stage.due_now()
    (due,) = stage.claim()
    assert due.authorized
    assert stage.authorize(due) == ["GRANTED"]


def test_what_was_let_go_can_no_longer_be_canceled_and_what_is_claimed_ahead_can(stage: Stage) -> None:
    ahead, due = (stage.create(draft_of(due_in=timedelta(seconds=20))) for _ in range(2))
    stage.claim(lead=30)
    assert state_of(stage.cancel(ahead)) == "CANCELED"
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE deliveries SET due_time = now()"))
    assert stage.authorize(pb.ClaimedDelivery(
        workspace_id=WORKSPACE, delivery_id=due.deliveries[0].delivery_id, attempt=1
    )) == ["GRANTED"]  # fmt: skip
    with refused() as refusals:
        stage.cancel(due)
    assert refusals[0].reason == "DELIVERY_IN_PROGRESS"


def test_an_edit_takes_back_what_was_claimed_ahead_and_the_next_claim_has_the_new_words(stage: Stage) -> None:
    post = stage.create(draft_of(due_in=timedelta(seconds=20)))
    (ahead,) = stage.claim(lead=30)
    stage.update(post, pb.PostDraft(caption="second"), "caption")
    assert stage.authorize(ahead) == ["LEASE_LOST"]
    (again,) = stage.claim(lead=30)
    assert (again.caption, again.attempt) == ("second", 2)


def test_the_same_pause_twice_is_one_and_is_told_once(stage: Stage) -> None:
    first, second = stage.place("CHANNEL", "air"), stage.place("CHANNEL", "air")
    assert first == second
    other = stage.place("CHANNEL", "air", workspace=OTHER)
    assert other.hold_id != first.hold_id
    stage.lift(first)
    assert listed(stage, OTHER) == [(other.hold_id, 0)]
    told = [activity for activity in stage.activities() if activity.type.startswith("hold.")]
    assert [(each.type, each.workspace_id) for each in told] == [
        ("hold.placed", WORKSPACE),
        ("hold.placed", OTHER),
        ("hold.lifted", WORKSPACE),
    ]
    assert told[0].attributes["cause"] == "PAUSE"


def test_a_hold_of_another_workspace_cannot_be_lifted(stage: Stage) -> None:
    hold = stage.place("WORKSPACE")
    everything = stage.place("EVERYTHING")
    for each in (hold, everything):
        foreign = pb.Hold(hold_id=each.hold_id, workspace_id=OTHER)
        with refused() as refusals:
            stage.lift(foreign)
        assert (type(refusals[0]), refusals[0].reason) == (NotFound, "HOLD_NOT_FOUND")
    assert {hold_id for hold_id, _ in listed(stage)} == {hold.hold_id, everything.hold_id}
    assert listed(stage, OTHER) == [(everything.hold_id, 0)]


def test_whoever_resumes_must_say_what_becomes_of_what_is_due(stage: Stage) -> None:
    hold = stage.place("WORKSPACE")
    stage.create()
    stage.due_now()
    stage.claim()
    with refused() as refusals:
        stage.lift(hold, "UNSPECIFIED")
    assert (type(refusals[0]), refusals[0].reason) == (FailedPrecondition, "DUE_ACTION_REQUIRED")
    assert refusals[0].metadata == {"held_deliveries": "1"}
    assert listed(stage) == [(hold.hold_id, 1)]
    empty = stage.place("CHANNEL", "earth")
    assert stage.lift(empty, "UNSPECIFIED") == 0


@pytest.mark.parametrize(
    ("action", "hours", "state"),
    [
        ("BY_RULE", 1, "CLAIMED"),
        ("BY_RULE", 7, "MISSED"),
        ("PUBLISH", 7, "CLAIMED"),
        ("NEXT_SLOT", 1, "SCHEDULED"),
        ("ASK", 1, "MISSED"),
        ("DROP", 1, "CANCELED"),
    ],
)
def test_what_a_pause_has_kept_back_goes_where_its_lifter_says(
    stage: Stage, action: str, hours: int, state: str
) -> None:
    post = stage.create()
    hold = stage.place("WORKSPACE")
    stage.late_by(post, hours=hours)
    assert stage.claim() == []
    assert stage.lift(hold, action) == 1
    stage.claim()
    assert state_of(stage.get(post)) == state
    if action == "NEXT_SLOT":
        (delivery,) = stage.get(post).deliveries
        assert delivery.due_time == delivery.schedule_time
        later = delivery.schedule_time.ToDatetime(tzinfo=UTC) - post.schedule_time.ToDatetime(tzinfo=UTC)
        assert later == timedelta(days=1)


def test_r8_late_posts_of_one_account_leave_in_pace_after_a_pause(stage: Stage) -> None:
    account = str(uuid4())
    hold = stage.place("WORKSPACE")
    for _ in range(3):
        draft = draft_of()
        draft.account_ids[:] = [account]
        stage.create(draft)
    stage.create()
    stage.due_now()
    stage.claim()
    stage.lift(hold)
    assert len(stage.claim()) == 2
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        waits = tx.execute(
            text("SELECT EXTRACT(EPOCH FROM due_time - now()) FROM deliveries WHERE state = 'SCHEDULED' ORDER BY 1")
        ).scalars()
        assert [round(float(wait), -1) for wait in waits] == [10, 20]


def test_a_lift_that_broke_off_is_finished_by_any_process(stage: Stage) -> None:
    hold = stage.place("WORKSPACE")
    post = stage.create()
    stage.due_now()
    stage.claim()
    with stage.database.transaction(UUID(WORKSPACE)) as tx:
        found = hold_store.read_hold(tx, UUID(WORKSPACE), UUID(hold.hold_id))
        assert found is not None
        holding.begin_lift(tx, found, DueAction.PUBLISH)
    # Here the process dies: the hold applies no more, and its deliveries wait.
    assert listed(stage) == []
    assert state_of(stage.get(post)) == "HELD"
    holding.give_back(stage.database, POLICY)
    assert [each.post_id for each in stage.claim()] == [post.post_id]


def test_a_pause_that_comes_back_while_it_is_lifted_keeps_what_was_not_yet_given_back(stage: Stage) -> None:
    hold = stage.place("WORKSPACE")
    stage.create()
    stage.due_now()
    stage.claim()
    with stage.database.transaction(UUID(WORKSPACE)) as tx:
        found = hold_store.read_hold(tx, UUID(WORKSPACE), UUID(hold.hold_id))
        assert found is not None
        holding.begin_lift(tx, found, DueAction.PUBLISH)
    again = stage.place("WORKSPACE")
    holding.give_back(stage.database, POLICY)
    assert listed(stage) == [(again.hold_id, 1)]


def test_a_lost_authorisation_holds_what_is_due_and_a_reconnection_lets_it_go(stage: Stage) -> None:
    post = stage.create()
    account = post.deliveries[0].account_id
    stage.due_now()
    claimed = stage.claim_one()
    stage.place("ACCOUNT", account, "ACCOUNT")
    assert stage.send(report_of(claimed, failure("ACCOUNT"))) == []
    (delivery,) = stage.get(post).deliveries
    assert (delivery.state, delivery.hold_cause, delivery.failed_attempts) == (
        pb.DELIVERY_STATE_HELD,
        pb.HOLD_CAUSE_ACCOUNT,
        0,
    )
    request = pb.LiftHoldRequest(
        workspace_id=WORKSPACE,
        scope=pb.HOLD_SCOPE_ACCOUNT,
        target=account,
        cause=pb.HOLD_CAUSE_ACCOUNT,
        due_action=pb.DUE_ACTION_BY_RULE,
    )
    assert stage.stub.LiftHold(request, timeout=TIMEOUT).held_deliveries == 1
    assert stage.stub.LiftHold(request, timeout=TIMEOUT).held_deliveries == 0
    assert stage.claim_one().attempt == 2


def test_a_report_that_overtakes_its_hold_waits_a_moment_for_it(stage: Stage) -> None:
    post = stage.create()
    stage.due_now()
    assert stage.send(report_of(stage.claim_one(), failure("ACCOUNT"))) == []
    (delivery,) = stage.get(post).deliveries
    assert (delivery.state, delivery.failed_attempts) == (pb.DELIVERY_STATE_SCHEDULED, 0)
    stage.place("ACCOUNT", delivery.account_id, "ACCOUNT")
    stage.due_now()
    assert stage.claim() == []
    assert state_of(stage.get(post)) == "HELD"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.LiftHoldRequest(workspace_id=WORKSPACE), "scope"),
        (pb.LiftHoldRequest(workspace_id=WORKSPACE, scope=pb.HOLD_SCOPE_WORKSPACE), "cause"),
        (pb.LiftHoldRequest(scope=pb.HOLD_SCOPE_WORKSPACE, cause=pb.HOLD_CAUSE_PAUSE), "workspace_id"),
        (pb.LiftHoldRequest(workspace_id=WORKSPACE, hold_id="7"), "hold_id"),
    ],
)
def test_a_lift_that_names_no_hold_is_refused_by_its_field(
    stage: Stage, request_: pb.LiftHoldRequest, field: str
) -> None:
    with refused() as refusals:
        stage.stub.LiftHold(request_, timeout=TIMEOUT)
    assert isinstance(refusals[0], InvalidArgument)
    assert [violation.field for violation in refusals[0].violations] == [field]


@pytest.mark.parametrize(
    ("decision", "state"), [("PUBLISH", "CLAIMED"), ("NEXT_SLOT", "SCHEDULED"), ("DROP", "CANCELED")]
)
def test_r8_a_missed_post_waits_for_a_person_and_goes_where_the_decision_says(
    stage: Stage, decision: str, state: str
) -> None:
    post = stage.post_in("MISSED")
    (delivery,) = post.deliveries
    assert (delivery.needs_person, delivery.failure_reason) == (True, "TOO_LATE")
    (result,) = stage.decide(decision, delivery.delivery_id)
    assert not result.delivery.needs_person
    stage.claim()
    assert state_of(stage.get(post)) == state
    (again,) = stage.decide(decision, delivery.delivery_id)
    assert again.refusal.reason == "DELIVERY_NOT_WAITING"


def test_each_decision_is_taken_or_refused_for_itself(stage: Stage) -> None:
    missed, waiting = stage.post_in("MISSED"), stage.create()
    foreign = stage.create(workspace=OTHER)
    ids = [post.deliveries[0].delivery_id for post in (waiting, missed, foreign)]
    results = stage.decide("DROP", *ids, str(uuid4()))
    assert [result.refusal.reason for result in results] == [
        "DELIVERY_NOT_WAITING",
        "",
        "DELIVERY_NOT_FOUND",
        "DELIVERY_NOT_FOUND",
    ]
    assert state_of(stage.get(missed)) == "CANCELED"
    assert state_of(stage.get(foreign)) == "SCHEDULED"


@pytest.mark.parametrize("scope", [HoldScope.POST, HoldScope.ACCOUNT])
def test_a_hold_of_a_post_or_account_is_told_beside_it(stage: Stage, scope: HoldScope) -> None:
    target = str(uuid4())
    stage.place(scope.value, target)
    (told,) = stage.activities()
    assert {HoldScope.POST: told.post_id, HoldScope.ACCOUNT: told.account_id}[scope] == target
    assert told.attributes["cause"] == HoldCause.PAUSE.value


def test_what_is_confirming_is_not_touched_by_a_pause(stage: Stage) -> None:
    post = stage.create()
    stage.due_now()
    claimed = stage.claim_one()
    stage.report(claimed, ACCEPTED)
    stage.place("WORKSPACE")
    stage.report(claimed, PUBLISHED)
    assert state_of(stage.get(post)) == "PUBLISHED"
    assert datetime.now(UTC) > post.create_time.ToDatetime(tzinfo=UTC)
