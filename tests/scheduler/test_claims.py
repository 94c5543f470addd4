from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.errors import FailedPrecondition, InvalidArgument, ReelrouteError
from kit.rpc_status import from_rpc_error
from services.scheduler import store
from services.scheduler.domain import Draft, Media, NewPost, Schedule
from tests.local.support import wait_until
from tests.scheduler.stage import (
    ACCEPTED,
    OTHER,
    POLICY,
    PUBLISHED,
    TIMEOUT,
    WORKSPACE,
    Stage,
    claim_request,
    complete_request,
    draft_of,
    failure,
    refused,
    state_of,
)


def test_a_claim_holds_everything_that_the_publisher_needs(stage: Stage) -> None:
    draft = draft_of()
    post = stage.create(draft)
    stage.due_now()
    claimed = stage.claim_one()
    assert (claimed.workspace_id, claimed.post_id, claimed.attempt) == (WORKSPACE, post.post_id, 1)
    assert (claimed.delivery_id, claimed.account_id) == (post.deliveries[0].delivery_id, draft.account_ids[0])
    assert (claimed.caption, list(claimed.media), claimed.options) == (draft.caption, list(draft.media), draft.options)
    assert claimed.post_etag == post.etag
    assert state_of(stage.get(post)) == "CLAIMED"


def test_a_claim_serves_every_workspace_the_oldest_due_first_and_no_more_than_asked_for(stage: Stage) -> None:
    posts = [stage.create(workspace=workspace) for workspace in (WORKSPACE, OTHER, WORKSPACE)]
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        for age, post in enumerate(posts):
            change = text("UPDATE deliveries SET due_time = now() - make_interval(mins => :age) WHERE post_id = :post")
            tx.execute(change, {"age": age, "post": post.post_id})
    claimed = stage.claim(batch=2)
    assert [(each.post_id, each.workspace_id) for each in claimed] == [
        (posts[2].post_id, WORKSPACE),
        (posts[1].post_id, OTHER),
    ]
    assert [each.post_id for each in stage.claim()] == [posts[0].post_id]


def test_lead_time_hands_out_what_is_due_soon_with_its_true_due_time(stage: Stage) -> None:
    post = stage.create(draft_of(due_in=timedelta(seconds=6)))
    assert stage.claim(lead=1) == []
    (claimed,) = stage.claim(lead=10)
    assert claimed.due_time == post.schedule_time


def test_a_waiting_claim_is_woken_by_a_new_post(stage: Stage) -> None:
    for _ in range(3):
        # Nothing but the post's own commit can wake it: the poll takes minutes.
        asked = waiting_claim(stage, lead=10)
        post = stage.create(draft_of(due_in=timedelta(seconds=6)))
        assert [each.post_id for each in asked.result(timeout=5).deliveries] == [post.post_id]


def test_a_waiting_claim_is_answered_at_the_due_time_and_never_before(stage: Stage) -> None:
    insert(stage, [datetime.now(UTC) + timedelta(seconds=0.3)])
    answer = stage.stub.ClaimDueDeliveries(claim_request(wait=20), timeout=TIMEOUT)
    (claimed,) = answer.deliveries
    late = answer.claim_time.ToDatetime() - claimed.due_time.ToDatetime()
    assert timedelta(0) <= late < timedelta(seconds=5)


def test_a_waiting_claim_is_woken_by_an_edit_that_brings_a_post_forward(stage: Stage) -> None:
    post = stage.create(draft_of(due_in=timedelta(days=1)))
    asked = waiting_claim(stage, lead=10)
    stage.update(post, draft_of(due_in=timedelta(seconds=6)), "local_time")
    assert len(asked.result(timeout=5).deliveries) == 1


def waiting_claim(stage: Stage, lead: int = 0) -> grpc.Future[pb.ClaimDueDeliveriesResponse]:
    waits = stage.bell.waits
    asked = stage.stub.ClaimDueDeliveries.future(claim_request(lead=lead, wait=20), timeout=TIMEOUT)
    wait_until(lambda: stage.bell.waits > waits, "the claim's wait")
    return asked


def test_nothing_is_leased_to_a_caller_who_has_gone(stage: Stage) -> None:
    gone = waiting_claim(stage, lead=10)
    gone.cancel()
    post = stage.create(draft_of(due_in=timedelta(minutes=10)))  # on the same connection: the server has heard both
    wait_until(lambda: stage.bell.rings > 1, "the ring for the post")
    stage.update(post, draft_of(due_in=timedelta(seconds=6)), "local_time")
    (claimed,) = stage.claim(lead=10, wait=5)
    assert claimed.attempt == 1


def test_posts_of_a_later_day_wake_nobody(stage: Stage) -> None:
    stage.create(draft_of(due_in=timedelta(minutes=10)))
    wait_until(lambda: stage.bell.rings > 1, "the rings for the connection and the post")
    rings = stage.bell.rings
    stage.create(draft_of(due_in=timedelta(days=1)))
    stage.create(draft_of(due_in=timedelta(minutes=10)))
    wait_until(lambda: stage.bell.rings > rings, "the ring for what is due soon")
    assert stage.bell.rings == rings + 1


def test_an_ended_lease_is_handed_out_again_and_the_first_holder_can_change_nothing_more(stage: Stage) -> None:
    post = stage.create()
    stage.due_now()
    first = stage.claim_one()
    assert stage.claim() == []
    stage.due_now()
    second = stage.claim_one()
    assert (second.delivery_id, second.attempt) == (first.delivery_id, 2)
    before = stage.get(post)
    for report in (ACCEPTED, PUBLISHED, failure("TRANSIENT"), failure("REJECTED")):
        with refused() as refusals:
            stage.report(first, report)
        assert (type(refusals[0]), refusals[0].reason) == (FailedPrecondition, "LEASE_LOST")
        assert refusals[0].metadata == {"state": "CLAIMED", "attempt": "2"}
    with refused() as refusals:
        renew(stage, first)
    assert refusals[0].reason == "LEASE_LOST"
    assert stage.get(post) == before
    stage.report(second, PUBLISHED)


def renew(stage: Stage, claimed: pb.ClaimedDelivery, seconds: int = 600) -> Timestamp:
    request = pb.RenewDeliveryRequest(
        workspace_id=claimed.workspace_id,
        delivery_id=claimed.delivery_id,
        attempt=claimed.attempt,
        lease_duration=Duration(seconds=seconds),
    )
    return stage.stub.RenewDelivery(request, timeout=TIMEOUT).lease_expire_time


def test_a_lease_is_renewed_from_now_on_and_even_late_while_nobody_else_took_over(stage: Stage) -> None:
    stage.create()
    stage.due_now()
    claimed = stage.claim_one()
    assert renew(stage, claimed).seconds - claimed.lease_expire_time.seconds >= 560
    stage.due_now()
    renew(stage, claimed)
    assert stage.claim() == []
    stage.report(claimed, ACCEPTED)
    with refused() as refusals:
        renew(stage, claimed)
    assert refusals[0].reason == "LEASE_LOST"


def test_the_verdict_is_kept_with_its_evidence(stage: Stage) -> None:
    post = stage.create()
    stage.due_now()
    claimed = stage.claim_one()
    for report in (ACCEPTED, ACCEPTED, PUBLISHED, PUBLISHED, ACCEPTED):
        # What was sent may arrive twice, and the earlier report once more.
        stage.report(claimed, report)
    (delivery,) = stage.get(post).deliveries
    assert delivery.state == pb.DELIVERY_STATE_PUBLISHED
    assert (delivery.platform_post_id, delivery.url, delivery.visibility, delivery.publish_time) == (
        PUBLISHED.platform_post_id,
        PUBLISHED.url,
        PUBLISHED.visibility,
        PUBLISHED.publish_time,
    )
    kinds = [activity.type for activity in stage.activities()]
    assert kinds == ["post.created", "delivery.confirming", "delivery.published"]


def test_an_attempt_that_ended_cannot_say_otherwise_afterwards(stage: Stage) -> None:
    post = stage.create()
    stage.due_now()
    claimed = stage.claim_one()
    stage.report(claimed, failure("TRANSIENT"))
    stage.report(claimed, failure("REJECTED"))
    stage.report(claimed, ACCEPTED)
    assert state_of(stage.get(post)) == "SCHEDULED"
    stage.due_now()
    again = stage.claim_one()
    stage.report(again, PUBLISHED)
    stage.report(again, failure("REJECTED"))
    assert state_of(stage.get(post)) == "PUBLISHED"


def test_a_transient_failure_is_tried_again_later_and_the_last_try_is_final(stage: Stage) -> None:
    post = stage.create()
    for attempt in range(1, POLICY.max_attempts + 1):
        stage.due_now()
        claimed = stage.claim_one()
        assert claimed.attempt == attempt
        stage.report(claimed, failure("TRANSIENT"))
        stage.report(claimed, failure("TRANSIENT"))
        assert stage.claim() == []
        delivery = stage.get(post).deliveries[0]
        assert (delivery.failure_reason, delivery.failed_attempts) == ("TIKTOK_SAID_SO", attempt)
        assert "TikTok said so." in delivery.failure_message
        if attempt < POLICY.max_attempts:
            assert state_of(stage.get(post)) == "SCHEDULED"
            assert delivery.due_time.ToDatetime(tzinfo=UTC) > datetime.now(UTC)
    assert state_of(stage.get(post)) == "FAILED"
    stage.due_now()
    assert stage.claim() == []
    kinds = [activity.type for activity in stage.activities()]
    assert kinds == ["post.created", "delivery.retrying", "delivery.retrying", "delivery.failed"]


def test_the_platforms_wish_to_be_left_alone_is_obeyed(stage: Stage) -> None:
    post = stage.create()
    stage.due_now()
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=6)
    stage.report(stage.claim_one(), failure("RATE_LIMITED", later))
    assert stage.get(post).deliveries[0].due_time.ToDatetime(tzinfo=UTC) >= later
    assert stage.get(post).schedule_time == post.schedule_time


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("PERMANENT", "FAILED"),
        ("OUTCOME_UNKNOWN", "UNCERTAIN"),
        ("REJECTED", "REJECTED"),
    ],
)
@pytest.mark.parametrize("confirming", [False, True])
def test_what_cannot_work_later_is_not_tried_again(stage: Stage, kind: str, state: str, confirming: bool) -> None:
    post = stage.create()
    stage.due_now()
    claimed = stage.claim_one()
    if confirming:
        stage.report(claimed, ACCEPTED)
    stage.report(claimed, failure(kind))
    stage.due_now()
    assert (state_of(stage.get(post)), stage.claim()) == (state, [])


@pytest.mark.parametrize(
    "result",
    [
        pb.Accepted(accept_time=Timestamp(seconds=10**15)),
        pb.Published(visibility=pb.VISIBILITY_PUBLIC, publish_time=Timestamp(seconds=10**15)),
        pb.Published(visibility=pb.VISIBILITY_UNSPECIFIED, publish_time=PUBLISHED.publish_time),
        pb.Published(visibility=pb.VISIBILITY_PUBLIC),
    ],
)
def test_a_report_that_makes_no_sense_is_refused_and_changes_nothing(
    stage: Stage, result: pb.Accepted | pb.Published
) -> None:
    post = stage.post_in("CLAIMED")
    with refused() as refusals:
        stage.stub.CompleteDelivery(
            complete_request(WORKSPACE, post.deliveries[0].delivery_id, 1, result), timeout=TIMEOUT
        )
    assert isinstance(refusals[0], InvalidArgument)
    assert refusals[0].violations[0].field.startswith(("accepted.", "published."))
    assert stage.get(post) == post


def insert(stage: Stage, due_times: list[datetime]) -> list[str]:
    """Posts that are due to the microsecond, which no wall-clock time is."""
    media = (Media(str(uuid4()), "0" * 64, "video/mp4"),)
    drafts = [
        Draft(
            "air", (uuid4(),), "first", media, Schedule(due.replace(tzinfo=None, microsecond=0), "UTC", 0, due), {}, ""
        )
        for due in due_times
    ]
    with stage.database.transaction(UUID(WORKSPACE)) as tx:
        return [str(post_id) for post_id in store.insert_posts(tx, UUID(WORKSPACE), [NewPost(each) for each in drafts])]


@pytest.mark.parametrize("seed", [24, 2024])
def test_r24_cancels_and_edits_at_the_due_time_win_or_lose_and_never_half(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)
    count = 250
    start = datetime.now(UTC) + timedelta(seconds=0.2)
    times = [start + timedelta(milliseconds=4 * number) for number in range(count)]
    due = dict(zip(insert(stage, times), times, strict=True))
    # One kind for each post, within 50 ms of its due time.
    changes = sorted(
        (time + timedelta(milliseconds=chance.uniform(-50, 50)), post_id, chance.choice(["cancel", "edit"]))
        for post_id, time in due.items()
    )
    acknowledged: dict[str, str] = {}
    refusals: dict[str, ReelrouteError] = {}
    claims: list[pb.ClaimedDelivery] = []
    done = threading.Event()
    never = threading.Event()

    def change(mine: list[tuple[datetime, str, str]]) -> None:
        for time, post_id, kind in mine:
            never.wait(max(0.0, (time - datetime.now(UTC)).total_seconds()))
            post = pb.Post(workspace_id=WORKSPACE, post_id=post_id)
            try:
                if kind == "cancel":
                    stage.cancel(post)
                else:
                    stage.update(post, pb.PostDraft(caption="second"), "caption")
                acknowledged[post_id] = kind
            except grpc.RpcError as error:
                refusals[post_id] = from_rpc_error(error)

    def claim() -> None:
        while not done.is_set():
            claims.extend(stage.claim(batch=5, wait=1))

    claimers = [threading.Thread(target=claim) for _ in range(2)]
    changers = [threading.Thread(target=change, args=[changes[offset::4]]) for offset in range(4)]
    for thread in claimers + changers:
        thread.start()
    for thread in changers:
        thread.join(60)
    wait_until(lambda: len(claims) >= count - list(acknowledged.values()).count("cancel"), "the last claim", 30)
    done.set()
    for thread in claimers:
        thread.join(30)

    assert {(type(refusal), refusal.reason) for refusal in refusals.values()} <= {
        (FailedPrecondition, "DELIVERY_IN_PROGRESS"),
        (FailedPrecondition, "POST_NOT_EDITABLE"),
    }
    canceled = {post_id for post_id, kind in acknowledged.items() if kind == "cancel"}
    edited = {post_id for post_id, kind in acknowledged.items() if kind == "edit"}
    assert Counter(claimed.post_id for claimed in claims) == Counter(set(due) - canceled)
    assert {claimed.post_id for claimed in claims if claimed.caption == "second"} == edited
    assert {(claimed.caption, claimed.post_etag) for claimed in claims} == {("first", "r1"), ("second", "r2")}
    # It was a race: each side won some of both kinds.
    assert min(len(canceled), len(edited), len(refusals)) > 0
