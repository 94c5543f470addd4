"""After a time in which no publisher asked for work."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.errors import NotFound
from tests.scheduler.stage import OTHER, TIMEOUT, WORKSPACE, Stage, draft_of, refused, state_of


def nobody_asked(stage: Stage, **ago: float) -> None:
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text("UPDATE claim_clock SET asked_time = now() - CAST(:ago AS interval)"), {"ago": timedelta(**ago)}
        )


def set_rules(stage: Stage, channel: str, action: pb.LateAction.ValueType, seconds: int = 60) -> pb.ChannelRules:
    rules = pb.ChannelRules(
        channel=channel,
        lateness=pb.Lateness(max_lateness=Duration(seconds=seconds), late_action=action),
        max_attempts=7,
        max_age=Duration(seconds=7200),
    )
    request = pb.SetChannelRulesRequest(workspace_id=WORKSPACE, rules=rules)
    return stage.stub.SetChannelRules(request, timeout=TIMEOUT).rules


def outages(stage: Stage, workspace: str = WORKSPACE) -> list[pb.Outage]:
    return list(stage.stub.ListOutages(pb.ListOutagesRequest(workspace_id=workspace), timeout=TIMEOUT).outages)


def delayed(stage: Stage, outage: pb.Outage, size: int = 0, workspace: str = WORKSPACE) -> list[pb.Delivery]:
    found: list[pb.Delivery] = []
    token = ""
    while True:
        answer = stage.stub.ListOutageDeliveries(
            pb.ListOutageDeliveriesRequest(
                workspace_id=workspace, outage_id=outage.outage_id, page_size=size, page_token=token
            ),
            timeout=TIMEOUT,
        )
        found += answer.deliveries
        token = answer.next_page_token
        if not token:
            return found


def test_r8_after_an_outage_no_burst_leaves_and_one_report_says_what_becomes_of_each(stage: Stage) -> None:
    set_rules(stage, "water", pb.LATE_ACTION_DROP)
    set_rules(stage, "fire", pb.LATE_ACTION_NEXT_SLOT)
    account = str(uuid4())
    posts = []
    for channel, hours in (("air", 1), ("air", 2), ("air", 7), ("water", 1), ("fire", 1)):
        draft = draft_of(channel=channel)
        draft.account_ids[:] = [account]
        posts.append(stage.create(draft))
        stage.late_by(posts[-1], hours=hours)
    future = stage.create()
    foreign = stage.create(workspace=OTHER)
    stage.late_by(foreign, hours=1)
    nobody_asked(stage, hours=8)

    # One of each account at once, the oldest first; the second of the account waits for its turn.
    assert [each.post_id for each in stage.claim()] == [posts[1].post_id, foreign.post_id]
    assert [state_of(stage.get(post)) for post in (*posts, future)] == [
        "SCHEDULED",
        "CLAIMED",
        "MISSED",
        "CANCELED",
        "SCHEDULED",
        "SCHEDULED",
    ]
    (outage,) = outages(stage)
    assert outage.deliveries == 5
    for size in (0, 2):
        ids = [each.post_id for each in delayed(stage, outage, size)]
        assert sorted(ids) == sorted(post.post_id for post in posts)
    assert [each.post_id for each in delayed(stage, outage, workspace=OTHER)] == [foreign.post_id]
    told = {each.workspace_id: each for each in stage.activities() if each.type == "outage.ended"}
    assert set(told) == {WORKSPACE, OTHER}
    assert "480 min" in told[WORKSPACE].summary
    counts = {name: value for name, value in told[WORKSPACE].attributes.items() if name != "outage_id"}
    assert counts == {"going_out": "2", "missed": "1", "moved": "1", "dropped": "1"}
    # It is planned once.
    stage.claim()
    assert len(outages(stage)) == 1


@pytest.mark.parametrize(("seconds", "planned"), [(50, 0), (70, 1)])
def test_an_outage_is_more_than_a_minute_without_a_claim(stage: Stage, seconds: int, planned: int) -> None:
    post = stage.create()
    stage.late_by(post, seconds=20)
    nobody_asked(stage, seconds=seconds)
    assert len(stage.claim()) == 1
    assert len(outages(stage)) == planned


def test_a_quiet_time_in_which_nothing_was_due_is_no_outage(stage: Stage) -> None:
    stage.create()
    nobody_asked(stage, days=3)
    stage.claim()
    assert outages(stage) == []
    with refused() as refusals:
        delayed(stage, pb.Outage(outage_id=str(uuid4())))
    assert (type(refusals[0]), refusals[0].reason) == (NotFound, "OUTAGE_NOT_FOUND")


def test_rules_of_channels_are_set_as_a_whole_and_listed(stage: Stage) -> None:
    kept = set_rules(stage, "air", pb.LATE_ACTION_DROP)
    default = set_rules(stage, "", pb.LATE_ACTION_NEXT_SLOT, 0)
    set_rules(stage, "air", pb.LATE_ACTION_ASK)
    replaced = set_rules(stage, "air", pb.LATE_ACTION_DROP)
    assert replaced == kept
    found: list[pb.ChannelRules] = []
    token = ""
    while True:
        answer = stage.stub.ListChannelRules(
            pb.ListChannelRulesRequest(workspace_id=WORKSPACE, page_size=1, page_token=token), timeout=TIMEOUT
        )
        found += answer.rules
        token = answer.next_page_token
        if not token:
            break
    assert found == [default, kept]
