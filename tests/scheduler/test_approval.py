"""Posts that wait for approval, as callers see them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from reelroute.scheduler.v1 import plans_pb2 as plans
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from tests.scheduler.stage import POLICY, PUBLISHED, WORKSPACE, Stage, draft_of, failure, refused, state_of


def asks_for_approval(stage: Stage, channel: str = "air", *, asks: bool = True) -> None:
    plan = plans.PostingPlan(channel=channel, time_zone="America/New_York", requires_approval=asks)
    stage.plans.SetPostingPlan(plans.SetPostingPlanRequest(workspace_id=WORKSPACE, plan=plan), timeout=10)


def approve(stage: Stage, post: pb.Post, *, withdraw: bool = False, etag: str = "") -> plans.ApprovalResult:
    asked = [plans.PostApproval(post_id=post.post_id, etag=etag or post.etag)]
    request = plans.ApprovePostsRequest(workspace_id=WORKSPACE, posts=asked, withdraw=withdraw)
    (result,) = stage.plans.ApprovePosts(request, timeout=10).results
    return result


def test_what_is_due_without_approval_is_held_and_goes_out_when_it_is_approved(stage: Stage) -> None:
    asks_for_approval(stage)
    post = stage.create()
    assert post.approval == pb.APPROVAL_PENDING
    stage.due_now()
    assert stage.claim() == []
    held = stage.get(post).deliveries[0]
    assert (held.state, held.hold_cause, held.needs_person) == (
        pb.DELIVERY_STATE_HELD, pb.HOLD_CAUSE_APPROVAL, True,
    )  # fmt: skip
    approved = approve(stage, post).post
    assert (approved.approval, state_of(approved)) == (pb.APPROVAL_APPROVED, "SCHEDULED")
    assert stage.claim_one().post_id == post.post_id


def test_an_edit_takes_the_approval_back_and_an_approval_is_of_what_was_looked_at(stage: Stage) -> None:
    asks_for_approval(stage)
    post = stage.create()
    assert approve(stage, post).post.approval == pb.APPROVAL_APPROVED
    edited = stage.update(post, draft_of(caption=" Other words"), "caption")
    assert edited.approval == pb.APPROVAL_PENDING
    assert approve(stage, post).refusal.reason == "POST_CHANGED"
    assert approve(stage, edited).post.approval == pb.APPROVAL_APPROVED
    assert approve(stage, edited).post.approval == pb.APPROVAL_APPROVED


def test_what_is_held_for_approval_can_be_changed_first(stage: Stage) -> None:
    asks_for_approval(stage)
    post = stage.create()
    stage.due_now()
    assert stage.claim() == []
    edited = stage.update(post, draft_of(caption=" Better words"), "caption")
    assert state_of(edited) == "HELD"
    moved = stage.update(edited, draft_of(due_in=timedelta(hours=5)), "local_time")
    assert state_of(moved) == "SCHEDULED"


def test_an_approval_that_is_taken_back_stops_what_was_claimed_ahead(stage: Stage) -> None:
    asks_for_approval(stage)
    post = stage.create(draft_of(due_in=timedelta(seconds=30)))
    approve(stage, post)
    (claimed,) = stage.claim(lead=120)
    assert approve(stage, post, withdraw=True).post.approval == pb.APPROVAL_PENDING
    assert state_of(stage.get(post)) == "SCHEDULED"
    assert stage.authorize(claimed) == ["LEASE_LOST"]


def test_a_post_that_needs_no_approval_has_none(stage: Stage) -> None:
    post = stage.create()
    assert post.approval == pb.APPROVAL_UNSPECIFIED
    assert approve(stage, post).refusal.reason == "APPROVAL_NOT_NEEDED"


def held(stage: Stage, **fields: object) -> pb.Post:
    """A post that is due and not approved."""
    asks_for_approval(stage)
    post = stage.create(draft_of(**fields))  # type: ignore[arg-type]
    stage.due_now()
    assert stage.claim() == []
    return stage.get(post)


def test_what_is_approved_too_late_is_decided_by_its_lateness_rule(stage: Stage) -> None:
    asks_for_approval(stage)
    post = stage.create()
    stage.late_by(post, hours=7)
    assert stage.claim() == []
    assert state_of(stage.get(post)) == "HELD"
    assert state_of(approve(stage, post).post) == "MISSED"
    (decided,) = stage.decide("PUBLISH", post.deliveries[0].delivery_id)
    assert decided.WhichOneof("result") == "delivery"
    assert stage.claim_one().post_id == post.post_id


def test_the_deliveries_of_an_account_go_out_in_pace_when_they_are_approved_together(stage: Stage) -> None:
    account = str(uuid4())
    asks_for_approval(stage)
    drafts = [draft_of(due_in=timedelta(hours=hour), caption=f" {hour}") for hour in (1, 2, 3)]
    for draft in drafts:
        draft.account_ids[:] = [account]
    posts = [stage.create(each) for each in drafts]
    stage.due_now()
    assert stage.claim() == []
    asked = [plans.PostApproval(post_id=each.post_id, etag=each.etag) for each in posts]
    request = plans.ApprovePostsRequest(workspace_id=WORKSPACE, posts=asked)
    results = stage.plans.ApprovePosts(request, timeout=10).results
    due = [each.post.deliveries[0].due_time.ToDatetime() for each in results]
    gap = timedelta(seconds=POLICY.catch_up_gap_seconds)
    assert [later - earlier for earlier, later in pairwise(due)] == [gap, gap]


def test_whoever_waits_for_approval_is_kept_back_by_that_before_all_else_but_a_pause(stage: Stage) -> None:
    post = held(stage)
    (decision,) = stage.decide("PUBLISH", post.deliveries[0].delivery_id)
    assert "approve its post" in decision.refusal.message
    with refused() as refusals:
        stage.place("CHANNEL", "air", cause="APPROVAL")
    assert refusals[0].reason == "HOLD_INVALID"
    hold = stage.place("CHANNEL", "air")
    approve(stage, post)
    assert stage.claim() == []
    assert stage.get(post).deliveries[0].hold_cause == pb.HOLD_CAUSE_PAUSE
    stage.lift(hold)
    assert stage.claim_one().post_id == post.post_id


def test_a_post_that_is_edited_when_its_channel_asks_no_longer_is_not_held(stage: Stage) -> None:
    post = held(stage)
    asks_for_approval(stage, asks=False)
    # What was saved before still waits.
    assert stage.get(post).approval == pb.APPROVAL_PENDING
    edited = stage.update(post, draft_of(caption=" Other words"), "caption")
    assert (edited.approval, state_of(edited)) == (pb.APPROVAL_UNSPECIFIED, "SCHEDULED")
    assert (edited.deliveries[0].failure_reason, edited.deliveries[0].needs_person) == ("", False)
    assert stage.claim_one().post_id == post.post_id


def test_a_post_that_moves_to_a_channel_that_asks_for_approval_waits_for_it(stage: Stage) -> None:
    asks_for_approval(stage, "water")
    post = stage.create()
    moved = stage.update(post, draft_of(channel="water"), "channel")
    assert moved.approval == pb.APPROVAL_PENDING
    # How late it may be is no part of what is published.
    approve(stage, moved)
    patient = draft_of(lateness=pb.Lateness(late_action=pb.LATE_ACTION_DROP))
    assert stage.update(moved, patient, "lateness").approval == pb.APPROVAL_APPROVED


@pytest.mark.parametrize("ended", ["published", "failed for now", "canceled"])
def test_an_approval_stays_once_something_of_the_post_was_let_go_or_all_of_it_is_over(stage: Stage, ended: str) -> None:
    asks_for_approval(stage)
    post = stage.create()
    approve(stage, post)
    if ended == "canceled":
        stage.cancel(post)
    else:
        stage.due_now()
        claimed = stage.claim_one()
        assert approve(stage, post, withdraw=True).refusal.reason == "POST_NOT_EDITABLE"
        stage.report(claimed, PUBLISHED if ended == "published" else failure("TRANSIENT"))
    # A repetition is no refusal.
    assert approve(stage, post).post.approval == pb.APPROVAL_APPROVED
    withdrawn = approve(stage, post, withdraw=True)
    if ended == "failed for now":
        assert withdrawn.post.approval == pb.APPROVAL_PENDING
        stage.due_now()
        assert stage.claim() == []
    else:
        assert withdrawn.refusal.reason == "POST_NOT_EDITABLE"


def test_what_waits_for_approval_can_be_listed(stage: Stage) -> None:
    asks_for_approval(stage)
    waiting, approved = stage.create(draft_of(caption=" 1")), stage.create(draft_of(caption=" 2"))
    approve(stage, approved)
    stage.create(draft_of(caption=" 3", channel="water"))

    def listed(approval: pb.Approval.ValueType, view: pb.PostView.ValueType = pb.POST_VIEW_UNSPECIFIED) -> list[str]:
        request = pb.ListPostsRequest(workspace_id=WORKSPACE, approval=approval, view=view)
        return [each.post_id for each in stage.stub.ListPosts(request, timeout=10).posts]

    assert listed(pb.APPROVAL_PENDING) == listed(pb.APPROVAL_PENDING, pb.POST_VIEW_SUMMARY) == [waiting.post_id]
    assert listed(pb.APPROVAL_APPROVED) == [approved.post_id]
    assert len(listed(pb.APPROVAL_UNSPECIFIED)) == 3


def test_of_many_each_is_decided_for_itself_and_people_are_told(stage: Stage) -> None:
    asks_for_approval(stage)
    post, other = stage.create(draft_of(caption=" 1")), stage.create(draft_of(caption=" 2", channel="water"))
    asked = [
        plans.PostApproval(post_id=post.post_id, etag="r0"),
        plans.PostApproval(post_id=str(uuid4()), etag="r1"),
        plans.PostApproval(post_id=post.post_id, etag=post.etag),
    ]
    request = plans.ApprovePostsRequest(workspace_id=WORKSPACE, posts=asked)
    first, second, third = stage.plans.ApprovePosts(request, timeout=10).results
    assert [first.refusal.reason, second.refusal.reason] == ["POST_CHANGED", "POST_NOT_FOUND"]
    assert third.post.approval == pb.APPROVAL_APPROVED
    assert [each.post_id for each in stage.activities() if each.type == "post.approved"] == [post.post_id]
    assert stage.get(other).approval == pb.APPROVAL_UNSPECIFIED
