"""What is still to go out, as publishers read it to foresee what will fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from tests.scheduler.stage import OTHER, TIMEOUT, WORKSPACE, Stage, at, draft_of


def upcoming(
    stage: Stage,
    workspace: str = WORKSPACE,
    *,
    from_in: timedelta | None = None,
    until_in: timedelta = timedelta(days=1),
    page_size: int = 0,
) -> list[pb.UpcomingDelivery]:
    """All pages."""
    found: list[pb.UpcomingDelivery] = []
    token, now = "", datetime.now(UTC)
    while True:
        answer = stage.stub.ListUpcomingDeliveries(
            pb.ListUpcomingDeliveriesRequest(
                workspace_id=workspace,
                from_time=at(now + from_in) if from_in is not None else None,
                until_time=at(now + until_in),
                page_size=page_size,
                page_token=token,
            ),
            timeout=TIMEOUT,
        )
        found += answer.deliveries
        token = answer.next_page_token
        if not token:
            return found


def ids(found: list[pb.UpcomingDelivery]) -> list[str]:
    return [each.delivery.post_id for each in found]


def test_what_waits_is_listed_by_due_time_with_what_it_would_publish(stage: Stage) -> None:
    late = stage.create(draft_of(due_in=timedelta(hours=3), ref="Q1-001"))
    soon = stage.create(draft_of(due_in=timedelta(hours=2), accounts=2))
    stage.create(draft_of(due_in=timedelta(days=2)))
    found = upcoming(stage)
    assert ids(found) == [soon.post_id, soon.post_id, late.post_id]
    last = found[-1]
    assert last.delivery == late.deliveries[0]
    assert (last.workspace_id, last.channel, last.ref, last.caption) == (WORKSPACE, "air", "Q1-001", late.caption)
    assert (last.media, last.options, last.etag) == (late.media, late.options, late.etag)
    assert (last.local_time, last.time_zone, last.HasField("hold")) == (late.local_time, "UTC", False)
    assert last.approval == pb.APPROVAL_UNSPECIFIED
    assert last.lateness == pb.Lateness(max_lateness=Duration(seconds=6 * 3600), late_action=pb.LATE_ACTION_ASK)


def test_only_what_can_still_fail_to_go_out_is_listed(stage: Stage) -> None:
    waiting = {state: stage.post_in(state).post_id for state in ("HELD", "MISSED")}
    for state in ("CONFIRMING", "UNCERTAIN", "PUBLISHED", "FAILED", "REJECTED", "CANCELED", "REMOVED"):
        stage.post_in(state)
    ahead = stage.create(draft_of(due_in=timedelta(seconds=30)))
    let_go = stage.create()
    stage.due_now()
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text("UPDATE deliveries SET due_time = now() + interval '30 seconds' WHERE post_id = :post"),
            {"post": ahead.post_id},
        )
    assert {each.post_id for each in stage.claim(lead=60)} == {ahead.post_id, let_go.post_id}
    scheduled = stage.create()
    found = {each.delivery.post_id: each.delivery.state for each in upcoming(stage)}
    assert found == {
        waiting["HELD"]: pb.DELIVERY_STATE_HELD,
        waiting["MISSED"]: pb.DELIVERY_STATE_MISSED,
        ahead.post_id: pb.DELIVERY_STATE_CLAIMED,
        scheduled.post_id: pb.DELIVERY_STATE_SCHEDULED,
    }


def test_the_widest_hold_that_applies_now_is_named_and_a_lifted_one_is_not(stage: Stage) -> None:
    post = stage.create()
    stage.place("POST", post.post_id)
    channel = stage.place("CHANNEL", "air")
    (found,) = upcoming(stage)
    assert (found.hold.scope, found.hold.target, found.hold.cause) == (
        pb.HOLD_SCOPE_CHANNEL,
        "air",
        pb.HOLD_CAUSE_PAUSE,
    )
    stage.lift(channel)
    (found,) = upcoming(stage)
    assert found.hold.scope == pb.HOLD_SCOPE_POST
    assert found.delivery.state == pb.DELIVERY_STATE_SCHEDULED


def test_a_delivery_has_the_lateness_of_its_post_or_else_of_its_channel(stage: Stage) -> None:
    drop = pb.Lateness(max_lateness=Duration(seconds=60), late_action=pb.LATE_ACTION_DROP)
    move = pb.Lateness(max_lateness=Duration(seconds=3600), late_action=pb.LATE_ACTION_NEXT_SLOT)
    rules = pb.ChannelRules(channel="air", lateness=move)
    stage.stub.SetChannelRules(pb.SetChannelRulesRequest(workspace_id=WORKSPACE, rules=rules), timeout=TIMEOUT)
    own = stage.create(draft_of(lateness=drop, due_in=timedelta(hours=1)))
    channels = stage.create(draft_of(due_in=timedelta(hours=2)))
    found = upcoming(stage)
    assert ids(found) == [own.post_id, channels.post_id]
    assert [each.lateness for each in found] == [drop, move]


def test_a_post_that_is_not_approved_says_so(stage: Stage) -> None:
    post = stage.create()
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE posts SET approval = 'PENDING' WHERE post_id = :post"), {"post": post.post_id})
    (found,) = upcoming(stage)
    assert found.approval == pb.APPROVAL_PENDING


def test_a_workspace_sees_its_own_and_publishers_see_what_is_scheduled_in_all(stage: Stage) -> None:
    held, mine, other = stage.post_in("HELD"), stage.create(), stage.create(workspace=OTHER)
    assert ids(upcoming(stage, OTHER)) == [other.post_id]
    assert set(ids(upcoming(stage))) == {held.post_id, mine.post_id}
    assert {(each.workspace_id, each.delivery.post_id) for each in upcoming(stage, "")} == {
        (WORKSPACE, mine.post_id),
        (OTHER, other.post_id),
    }


def test_a_window_is_read_page_by_page_without_a_gap_or_a_repetition(stage: Stage) -> None:
    missed = stage.post_in("MISSED")
    posts = [stage.create(draft_of(due_in=timedelta(hours=hour), accounts=2)) for hour in (2, 2, 3, 4)]
    everything = upcoming(stage)
    assert len(everything) == 9
    assert ids(everything)[0] == missed.post_id
    assert upcoming(stage, page_size=2) == everything
    window = upcoming(stage, from_in=timedelta(hours=2, minutes=30), until_in=timedelta(hours=3, minutes=30))
    assert set(ids(window)) == {posts[2].post_id}


def test_large_captions_make_smaller_pages_and_not_a_message_that_is_too_large(stage: Stage) -> None:
    drafts = [draft_of(caption="🜂" * 10_000) for _ in range(250)]
    request = pb.BatchCreatePostsRequest(workspace_id=WORKSPACE, request_id=str(uuid4()), posts=drafts)
    stage.stub.BatchCreatePosts(request, timeout=TIMEOUT)
    window = pb.ListUpcomingDeliveriesRequest(
        workspace_id=WORKSPACE, until_time=at(datetime.now(UTC) + timedelta(days=1)), page_size=1000
    )
    page = stage.stub.ListUpcomingDeliveries(window, timeout=TIMEOUT)
    assert 0 < len(page.deliveries) < 250
    assert page.ByteSize() < 9 * 1024 * 1024
    assert len(set(ids(upcoming(stage, page_size=1000)))) == 250
