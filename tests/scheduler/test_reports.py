"""Batches of publishers: leases, reports, what is uncertain or removed, stalls, and turns of the workspaces."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from services.scheduler import dispatch, dispatch_store, store
from services.scheduler.domain import Draft, NewPost, Schedule
from tests.scheduler.stage import (
    ACCEPTED,
    OTHER,
    PUBLISHED,
    TIMEOUT,
    Stage,
    draft_of,
    failure,
    held_of,
    report_of,
    state_of,
)

DOUBT = pb.Uncertain(message="No answer came to the publishing call.")
BLIND = pb.Uncertain(message="No answer came, and the platform cannot be asked.", needs_person=True)
REMOVED = pb.Removed(remove_time=PUBLISHED.publish_time)


def claimed_one(stage: Stage) -> tuple[pb.Post, pb.ClaimedDelivery]:
    post = stage.create()
    stage.due_now()
    return post, stage.claim_one()


def test_a_batch_of_reports_is_taken_each_for_itself(stage: Stage) -> None:
    posts = [stage.create() for _ in range(4)]
    stage.due_now()
    by_post = {each.post_id: each for each in stage.claim()}
    first, second, third, fourth = (by_post[post.post_id] for post in posts)
    old = held_of(second)
    foreign = pb.DeliveryReport(
        workspace_id=OTHER, delivery_id=third.delivery_id, attempt=third.attempt, published=PUBLISHED
    )
    late = pb.DeliveryReport(
        workspace_id=old.workspace_id, delivery_id=old.delivery_id, attempt=old.attempt + 1, accepted=ACCEPTED
    )
    refusals = stage.send(
        report_of(first, PUBLISHED),
        late,
        foreign,
        pb.DeliveryReport(workspace_id="7", delivery_id="8", attempt=1, accepted=ACCEPTED),
        report_of(fourth, failure("REJECTED")),
    )
    assert [(each.index, each.reason) for each in refusals] == [
        (1, "LEASE_LOST"),
        (2, "DELIVERY_NOT_FOUND"),
        (3, "INVALID_ARGUMENT"),
    ]
    states = [state_of(stage.get(post)) for post in posts]
    assert states == ["PUBLISHED", "CLAIMED", "CLAIMED", "REJECTED"]


@pytest.mark.parametrize("order", list(itertools.permutations([DOUBT, ACCEPTED, PUBLISHED])))
@pytest.mark.parametrize("at_once", [True, False])
def test_the_order_of_an_attempts_reports_does_not_matter(
    stage: Stage, order: tuple[pb.Uncertain | pb.Accepted | pb.Published, ...], at_once: bool
) -> None:
    post, claimed = claimed_one(stage)
    reports = [report_of(claimed, outcome) for outcome in (*order, *order)]
    for batch in [reports] if at_once else [[each] for each in reports]:
        assert stage.send(*batch) == []
    assert state_of(stage.get(post)) == "PUBLISHED"
    assert stage.kinds().count("delivery.published") == 1


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([DOUBT], "UNCERTAIN"),
        ([DOUBT, ACCEPTED], "CONFIRMING"),
        ([ACCEPTED, DOUBT], "CONFIRMING"),
        ([ACCEPTED, BLIND], "UNCERTAIN"),
        ([DOUBT, failure("REJECTED")], "REJECTED"),
        ([DOUBT, failure("TRANSIENT")], "SCHEDULED"),
        ([PUBLISHED, REMOVED], "REMOVED"),
    ],
)
def test_r5_what_is_uncertain_is_never_claimed_again_until_the_platform_or_a_person_has_spoken(
    stage: Stage, outcomes: list[pb.Uncertain | pb.Accepted | pb.Published | pb.Failure | pb.Removed], state: str
) -> None:
    post, claimed = claimed_one(stage)
    for outcome in outcomes:
        assert stage.send(report_of(claimed, outcome)) == []
    assert state_of(stage.get(post)) == state
    stage.due_now()
    assert len(stage.claim()) == (state == "SCHEDULED")


def test_a_person_is_asked_for_once_only_when_nobody_else_can_know(stage: Stage) -> None:
    post, claimed = claimed_one(stage)
    stage.send(report_of(claimed, DOUBT))
    assert not stage.get(post).deliveries[0].needs_person
    stage.send(report_of(claimed, BLIND))
    (delivery,) = stage.get(post).deliveries
    assert (delivery.needs_person, delivery.failure_reason) == (True, "OUTCOME_UNKNOWN")
    stage.send(report_of(claimed, PUBLISHED))
    (delivery,) = stage.get(post).deliveries
    assert (delivery.needs_person, delivery.failure_reason) == (False, "")


def test_a_removal_is_shown_with_its_time_and_the_publication_stays_known(stage: Stage) -> None:
    post, claimed = claimed_one(stage)
    stage.send(report_of(claimed, PUBLISHED))
    stage.send(report_of(claimed, REMOVED))
    stage.send(report_of(claimed, PUBLISHED))
    (delivery,) = stage.get(post).deliveries
    assert (delivery.state, delivery.url) == (pb.DELIVERY_STATE_REMOVED, PUBLISHED.url)
    assert delivery.remove_time == REMOVED.remove_time
    assert stage.kinds()[-1] == "delivery.removed"


def test_finished_deliveries_leave_the_table_that_claims_read_and_are_shown_as_before(stage: Stage) -> None:
    posts = {state: stage.post_in(state) for state in ("PUBLISHED", "REJECTED", "FAILED", "CANCELED", "SCHEDULED")}
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        assert tx.execute(text("SELECT count(*) FROM deliveries")).scalar_one() == 1
        assert tx.execute(text("SELECT count(*) FROM finished_deliveries")).scalar_one() == 4
    for state, post in posts.items():
        (delivery,) = stage.get(post).deliveries
        assert state_of(stage.get(post)) == state
        assert delivery.schedule_time == post.schedule_time


def test_what_the_version_before_has_finished_is_moved(stage: Stage) -> None:
    post = stage.create()
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE deliveries SET state = 'FAILED', failure_reason = 'OLD', attempt = 1"))
    before = stage.get(post)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        assert dispatch_store.archive_leftovers(tx, 10) == 1
        assert tx.execute(text("SELECT count(*) FROM deliveries")).scalar_one() == 0
    after = stage.get(post)
    assert after.deliveries[0].failure_reason == before.deliveries[0].failure_reason == "OLD"


def test_leases_are_renewed_together_and_the_lost_ones_named(stage: Stage) -> None:
    for _ in range(3):
        stage.create()
    stage.due_now()
    mine = stage.claim()
    stage.send(report_of(mine[0], PUBLISHED))
    foreign = held_of(mine[1])
    foreign.workspace_id = OTHER
    request = pb.RenewDeliveriesRequest(
        deliveries=[held_of(mine[0]), foreign, held_of(mine[2])], lease_duration=Duration(seconds=600)
    )
    lost = stage.stub.RenewDeliveries(request, timeout=TIMEOUT).lost_delivery_ids
    assert list(lost) == [mine[0].delivery_id, mine[1].delivery_id]


def stall(stage: Stage, **idle: float) -> list[str]:
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text("UPDATE deliveries SET progress_time = now() - CAST(:idle AS interval)"), {"idle": timedelta(**idle)}
        )
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        dispatch.tell_stalled(tx)
    return [activity.summary for activity in stage.activities() if activity.type == "delivery.stalled"]


def test_r37_a_claim_that_does_not_move_on_is_told_once_with_its_cause(stage: Stage) -> None:
    _, claimed = claimed_one(stage)
    assert stall(stage, seconds=60) == []
    held = held_of(claimed)
    held.busy_with, held.idle_seconds = "uploading; the platform has 4,000,000 bytes", 95
    stage.stub.RenewDeliveries(
        pb.RenewDeliveriesRequest(deliveries=[held], lease_duration=Duration(seconds=600)), timeout=TIMEOUT
    )
    (told,) = stall(stage, seconds=95)
    assert "uploading; the platform has 4,000,000 bytes" in told
    assert "95 s" in told
    assert stall(stage, seconds=200) == [told]


def test_r37_a_claim_whose_publisher_is_gone_and_nobody_takes_over_is_told(stage: Stage) -> None:
    claimed_one(stage)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE deliveries SET lease_expire_time = now() - interval '31 seconds'"))
    (told,) = stall(stage, seconds=61)
    assert "Is a publisher running" in told


def test_r37_a_delivery_that_moved_on_and_stands_still_again_is_told_again(stage: Stage) -> None:
    _, claimed = claimed_one(stage)
    assert len(stall(stage, seconds=100)) == 1
    held = held_of(claimed)
    held.idle_seconds = 1
    stage.stub.RenewDeliveries(
        pb.RenewDeliveriesRequest(deliveries=[held], lease_duration=Duration(seconds=600)), timeout=TIMEOUT
    )
    assert len(stall(stage, seconds=100)) == 2


def test_r34_a_workspace_with_much_due_does_not_keep_the_others_waiting(stage: Stage) -> None:
    now = datetime.now(UTC)
    crowd, alone = uuid4(), uuid4()
    insert_due(stage, crowd, 3000, now - timedelta(minutes=5))
    assert len(stage.claim(batch=100)) == 100
    post_id = insert_due(stage, alone, 1, now - timedelta(seconds=1))[0]
    # The next full claim and the one after it at the latest: not behind the 2,900 that are older.
    taken = [each.post_id for _ in range(2) for each in stage.claim(batch=100)]
    assert str(post_id) in taken
    assert len(taken) == 200


def test_r34_turns_go_round_all_workspaces_however_many_there_are(stage: Stage) -> None:
    due = datetime.now(UTC) - timedelta(seconds=1)
    crowds = [uuid4() for _ in range(3)]
    for workspace in crowds:
        insert_due(stage, workspace, 400, due - timedelta(minutes=1))
    small = {str(insert_due(stage, uuid4(), 1, due)[0]) for _ in range(150)}
    claims = [{each.post_id for each in stage.claim(batch=50)} for _ in range(6)]
    assert small <= set().union(*claims)


def insert_due(stage: Stage, workspace: UUID, count: int, due: datetime) -> list[UUID]:
    schedule = Schedule(due.replace(tzinfo=None, microsecond=0), "UTC", 0, due)
    drafts = [Draft("air", (uuid4(),), "text", (), schedule, {}, "") for _ in range(count)]
    with stage.database.transaction(workspace) as tx:
        return store.insert_posts(tx, workspace, [NewPost(each) for each in drafts])


def test_a_post_with_its_own_lateness_keeps_it_through_every_door(stage: Stage) -> None:
    own = pb.Lateness(max_lateness=Duration(seconds=60), late_action=pb.LATE_ACTION_DROP)
    post = stage.create(draft_of(lateness=own))
    assert stage.get(post).lateness == own
    stage.late_by(post, seconds=61)
    assert stage.claim() == []
    assert state_of(stage.get(post)) == "CANCELED"
    assert stage.kinds()[-1] == "delivery.dropped"
