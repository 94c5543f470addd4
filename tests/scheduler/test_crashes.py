"""R1, R19: what has ended its publisher three times is asked about, and set aside only when it is not out."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from tests.scheduler.stage import (
    ACCEPTED,
    POLICY,
    PUBLISHED,
    TIMEOUT,
    Stage,
    claim_request,
    failure,
    held_of,
    refused,
    report_of,
    state_of,
)


def test_r19_a_delivery_whose_handling_ends_the_worker_three_times_is_parked_for_a_person(stage: Stage) -> None:
    post = stage.create()
    asking = stage.crash_thrice()
    assert stage.send(report_of(asking, pb.Released())) == []
    (delivery,) = stage.get(post).deliveries
    assert (delivery.state, delivery.hold_cause, delivery.needs_person) == (
        pb.DELIVERY_STATE_HELD,
        pb.HOLD_CAUSE_CRASHES,
        True,
    )
    assert stage.kinds()[-1] == "delivery.parked"
    assert "Nothing of it was sent." in delivery.failure_message
    stage.due_now()
    assert stage.claim() == []
    stage.decide("PUBLISH", delivery.delivery_id)
    again = stage.claim_one()
    assert (again.attempt, again.ask_only) == (asking.attempt + 1, False)
    assert stage.send(report_of(again, PUBLISHED)) == []


def test_r1_what_has_ended_three_publishers_is_not_set_aside_before_its_ledger_has_spoken(stage: Stage) -> None:
    post = stage.create()
    attempt = stage.crash_thrice().attempt
    # Those who ask may die as well: it goes on being asked about, and is never called not out meanwhile.
    for number in range(1, 4):
        stage.due_now()
        asking = stage.claim_one()
        assert (asking.ask_only, asking.authorized, asking.attempt) == (True, False, attempt + number)
        assert state_of(stage.get(post)) == "CLAIMED"
    with refused():
        stage.cancel(post)
    assert "delivery.parked" not in stage.kinds()


@pytest.mark.parametrize(
    ("word", "state", "kind"),
    [
        (PUBLISHED, "PUBLISHED", "delivery.published"),
        (ACCEPTED, "CONFIRMING", "delivery.confirming"),
        (failure("REJECTED"), "REJECTED", "delivery.rejected"),
        (failure("TRANSIENT"), "HELD", "delivery.parked"),
        (pb.Uncertain(message="It cannot be known.", needs_person=True), "UNCERTAIN", "delivery.uncertain"),
    ],
)
def test_r19_what_may_be_out_after_three_crashes_waits_for_the_platforms_word_and_goes_where_it_says(
    stage: Stage, word: pb.Published | pb.Accepted | pb.Failure | pb.Uncertain, state: str, kind: str
) -> None:
    post = stage.create()
    asking = stage.crash_thrice()
    stage.send(report_of(asking, pb.Uncertain(message="It may be out.")))
    assert state_of(stage.get(post)) == "UNCERTAIN"
    stage.due_now()
    assert stage.claim() == []
    # Nobody can decide what nobody knows.
    (result,) = stage.decide("PUBLISH", asking.delivery_id)
    assert result.refusal.reason == "DELIVERY_NOT_WAITING"
    assert stage.send(report_of(asking, word)) == []
    assert state_of(stage.get(post)) == state
    assert stage.kinds()[-1] == kind
    assert stage.kinds().count("delivery.parked") == (state == "HELD")


def test_r19_crashes_count_on_when_nothing_came_of_what_was_uncertain(stage: Stage) -> None:
    post = stage.create()
    for crashes in range(1, POLICY.max_crashes):
        stage.due_now()
        assert not stage.claim_one().ask_only
        # It ended its publisher in the one call that publishes. The next asks, and nothing is there.
        stage.due_now()
        asking = stage.claim_one()
        stage.send(report_of(asking, pb.Uncertain(message="It may be out.")))
        stage.send(report_of(asking, failure("RATE_LIMITED")))
        assert state_of(stage.get(post)) == "SCHEDULED", crashes
    stage.due_now()
    stage.claim_one()
    stage.due_now()
    asking = stage.claim_one()
    assert asking.ask_only
    stage.send(report_of(asking, pb.Uncertain(message="It may be out.")))
    stage.send(report_of(asking, failure("TRANSIENT")))
    (delivery,) = stage.get(post).deliveries
    assert delivery.hold_cause == pb.HOLD_CAUSE_CRASHES
    # A person who lets it go begins anew.
    stage.decide("PUBLISH", delivery.delivery_id)
    assert not stage.crash_thrice().authorized


def test_r30_a_publisher_that_cannot_ask_leaves_it_to_one_that_can(stage: Stage) -> None:
    stage.create()
    for _ in range(POLICY.max_crashes):
        stage.due_now()
        stage.claim_one()
    stage.due_now()
    of_before = claim_request()
    of_before.takes_ask_only = False
    assert list(stage.stub.ClaimDueDeliveries(of_before, timeout=TIMEOUT).deliveries) == []
    stage.due_now()
    assert stage.claim_one().ask_only


def test_r19_a_third_publisher_that_lives_is_left_alone(stage: Stage) -> None:
    stage.create()
    for _ in range(POLICY.max_crashes):
        stage.due_now()
        living = stage.claim_one()
    stage.due_now()
    request = pb.RenewDeliveriesRequest(deliveries=[held_of(living)], lease_duration=Duration(seconds=30))
    assert list(stage.stub.RenewDeliveries(request, timeout=TIMEOUT).lost_delivery_ids) == []
    assert stage.claim() == []
    assert stage.send(report_of(living, PUBLISHED)) == []


def test_r19_a_worker_that_says_a_word_is_no_crash(stage: Stage) -> None:
    stage.create()
    for _ in range(POLICY.max_crashes + 1):
        stage.due_now()
        stage.send(report_of(stage.claim_one(), pb.Released()))
    stage.due_now()
    assert stage.claim_one().attempt == POLICY.max_crashes + 2


def test_a_claim_after_a_crash_must_ask_before_it_goes_out(stage: Stage) -> None:
    stage.create()
    stage.due_now()
    assert stage.claim_one().authorized
    stage.due_now()
    again = stage.claim_one()
    assert not again.authorized
    stage.place("WORKSPACE")
    assert stage.authorize(again) == ["WITHDRAWN"]


def test_what_is_parked_and_turns_out_to_be_published_is_published(stage: Stage) -> None:
    post = stage.create()
    asking = stage.crash_thrice()
    stage.send(report_of(asking, pb.Released()))
    assert state_of(stage.get(post)) == "HELD"
    # As after a restore of the publisher's records: the ledger did not know.
    assert stage.send(report_of(asking, PUBLISHED)) == []
    assert state_of(stage.get(post)) == "PUBLISHED"
