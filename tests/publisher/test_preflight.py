"""People are told a day and ten minutes ahead of what will not go out; and the forecast that they can ask for."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from reelroute.notification.v1 import notification_pb2
from reelroute.publisher.v1 import publisher_pb2 as pb
from reelroute.publisher.v1 import publisher_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.errors import Unavailable
from kit.timestamps import to_timestamp
from services.publisher import account_store, foresight
from services.publisher.domain import Account, AccountLimits
from services.publisher.preflight import STAGES, Preflight, Stage
from tests.publisher.factories import OTHER_WORKSPACE, WORKSPACE, save_account
from tests.publisher.fake_scheduler import Planned
from tests.publisher.rows import activities
from tests.publisher.stage import Stage as Publisher

DAY, MINUTES = STAGES
HOUR = 3600
UNAPPROVED = scheduler_pb2.UpcomingDelivery(approval=scheduler_pb2.APPROVAL_PENDING)
PAUSED = scheduler_pb2.UpcomingDelivery(
    hold=scheduler_pb2.Hold(cause=scheduler_pb2.HOLD_CAUSE_PAUSE, reason="Stock is out.")
)


@dataclass
class Duty:
    """The preflight of one process, and what it asks the platforms."""

    stage: Publisher
    read: list[Account] = field(default_factory=list)
    quotas: dict[str, int] = field(default_factory=dict)

    def look(self, at: Stage) -> list[notification_pb2.RecordActivityRequest]:
        """What is told in a round."""
        before = len(activities(self.stage.database))
        Preflight(self.stage.database, self.stage.foresight(**self.quotas), self.read.extend).look(at)
        return activities(self.stage.database)[before:]

    def pass_time(self, time: timedelta) -> None:
        """So much time passes: everything was that much earlier."""
        for each in self.stage.scheduler.deliveries.values():
            each.due_time -= time
            each.claimed.due_time.CopyFrom(to_timestamp(each.claimed.due_time.ToDatetime(tzinfo=UTC) - time))
        with self.stage.database.transaction(ALL_WORKSPACES) as tx:
            tx.execute(
                text("UPDATE preflights SET until_time = until_time - :time, lease_time = lease_time - :time"),
                {"time": time},
            )

    def lease_ends(self) -> None:
        """Whoever has taken a stage has had its time."""
        with self.stage.database.transaction(ALL_WORKSPACES) as tx:
            tx.execute(text("UPDATE preflights SET lease_time = now()"))


@pytest.fixture
def duty(stage: Publisher) -> Duty:
    stage.relay.stop(5)  # what is told stays where the tests look
    return Duty(stage)


def unapproved(stage: Publisher, in_hours: float) -> Planned:
    planned = stage.schedule(in_seconds=in_hours * HOUR)
    planned.upcoming.MergeFrom(UNAPPROVED)
    return planned


def test_nothing_is_told_while_nothing_is_wrong(duty: Duty) -> None:
    duty.stage.schedule(in_seconds=3 * HOUR)
    assert (duty.look(DAY), duty.look(MINUTES)) == ([], [])


def test_what_will_not_go_out_is_told_a_day_ahead_once(duty: Duty) -> None:
    planned = unapproved(duty.stage, in_hours=23)
    (told,) = duty.look(DAY)
    assert (told.type, told.delivery_id, told.post_id) == (
        "delivery.foreseen",
        planned.delivery_id,
        planned.claimed.post_id,
    )
    assert dict(told.attributes) == {"cause": "APPROVAL", "reason": "NOT_APPROVED", "posts": "1", "stage": "DAY"}
    assert "Approve it" in told.summary
    for hours in (0, 1, 7, 12):
        duty.pass_time(timedelta(hours=hours))
        assert duty.look(DAY) == []


def test_and_ten_minutes_ahead_once_more(duty: Duty) -> None:
    planned = unapproved(duty.stage, in_hours=23)
    assert len(duty.look(DAY)) == 1
    assert duty.look(MINUTES) == []
    duty.pass_time(timedelta(hours=22, minutes=49, seconds=30))
    (told,) = duty.look(MINUTES)
    assert (told.delivery_id, told.attributes["stage"]) == (planned.delivery_id, "MINUTES")
    duty.pass_time(timedelta(minutes=5))
    assert duty.look(MINUTES) == []


def test_what_has_one_cause_is_told_in_one_message_and_each_workspace_hears_its_own(duty: Duty) -> None:
    stage = duty.stage
    first = unapproved(stage, in_hours=20)
    for hours in (21, 22):
        unapproved(stage, hours)
    theirs = save_account(stage.ledger, OTHER_WORKSPACE)
    stage.schedule(
        in_seconds=20 * HOUR, workspace_id=str(OTHER_WORKSPACE), account_id=str(theirs.account_id), caption="a" * 2201
    )
    told = {each.workspace_id: each for each in duty.look(DAY)}
    assert told.keys() == {str(WORKSPACE), str(OTHER_WORKSPACE)}
    mine = told[str(WORKSPACE)]
    assert mine.summary.startswith("3 posts will not go out, the first at ")
    assert (mine.attributes["posts"], mine.delivery_id, mine.account_id) == ("3", first.delivery_id, "")
    assert told[str(OTHER_WORKSPACE)].attributes["cause"] == "CONTENT"


def test_a_token_that_dies_is_told_with_the_number_of_posts_that_it_dies_before(duty: Duty) -> None:
    stage = duty.stage
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text(
                "UPDATE accounts SET access_expire_time = now() + interval '2 hours',"
                " refresh_expire_time = now() + interval '1 hour'"
            )
        )
    for hours in (1, 3, 4, 5):
        stage.schedule(in_seconds=hours * HOUR)
    (told,) = duty.look(DAY)
    assert (told.attributes["cause"], told.attributes["posts"]) == ("TOKEN", "3")
    assert told.account_id == str(stage.account.account_id)
    assert "Connect the account again" in told.summary


def test_a_pause_is_told_a_day_ahead_and_not_again(duty: Duty) -> None:
    duty.stage.schedule(in_seconds=0.1 * HOUR).upcoming.MergeFrom(PAUSED)
    (told,) = duty.look(DAY)
    assert "Stock is out." in told.summary
    assert duty.look(MINUTES) == []


def test_what_was_put_off_has_been_told_already(duty: Duty) -> None:
    planned = unapproved(duty.stage, in_hours=1)
    planned.due_time += timedelta(hours=5)
    assert duty.look(DAY) == []


def test_posts_before_the_window_use_the_quota_of_those_in_it(duty: Duty) -> None:
    duty.quotas = {"posts_per_day": 2}
    assert duty.look(MINUTES) == []
    for minutes in (2, 5, 12):
        over = duty.stage.schedule(in_seconds=minutes * 60)
    duty.pass_time(timedelta(minutes=1, seconds=30))
    # Of the three only the last has not been looked at.
    (told,) = duty.look(MINUTES)
    assert (told.delivery_id, told.attributes["reason"]) == (over.delivery_id, "DAILY_CAP_REACHED")


def test_a_process_that_dies_on_the_way_leaves_its_work_to_the_next(duty: Duty) -> None:
    unapproved(duty.stage, in_hours=3)
    duty.stage.library.refuse_with = Unavailable("The library is away.")
    with pytest.raises(Unavailable):
        duty.look(DAY)
    duty.stage.library.refuse_with = None
    # It has died with its lease; until that ends nobody else looks.
    assert duty.look(DAY) == []
    duty.lease_ends()
    assert len(duty.look(DAY)) == 1


def test_of_two_that_look_at_the_same_piece_one_tells(duty: Duty, monkeypatch: pytest.MonkeyPatch) -> None:
    unapproved(duty.stage, in_hours=3)
    barrier = threading.Barrier(2, timeout=20)
    inner = foresight.Foresight.forecast

    def together(self: foresight.Foresight, workspace_id: uuid.UUID, horizon: timedelta) -> foresight.Forecast:
        duty.lease_ends()
        barrier.wait()
        return inner(self, workspace_id, horizon)

    monkeypatch.setattr(foresight.Foresight, "forecast", together)
    first = threading.Thread(target=lambda: duty.look(DAY))
    first.start()
    while not barrier.n_waiting:
        assert first.is_alive()
    duty.look(DAY)
    first.join(20)
    assert len(activities(duty.stage.database)) == 1


def test_what_accounts_may_do_is_read_anew_ten_minutes_ahead_when_it_was_read_long_ago(duty: Duty) -> None:
    stage = duty.stage
    stage.schedule(in_seconds=300)
    assert (duty.look(DAY), duty.read) == ([], [])
    duty.look(MINUTES)
    assert [each.account_id for each in duty.read] == [stage.account.account_id]
    with stage.database.transaction(WORKSPACE) as tx:
        account_store.save_limits(tx, stage.account, AccountLimits(600, ("PUBLIC_TO_EVERYONE",)))
    stage.schedule(in_seconds=700)
    duty.pass_time(timedelta(minutes=2))
    duty.look(MINUTES)
    assert len(duty.read) == 1


def test_a_worker_reads_what_accounts_may_do_and_finds_those_that_are_lost(stage: Publisher) -> None:
    worker = stage.worker()
    stage.sandbox.control("PATCH", f"/tiktok/creators/{stage.account.handle}", max_duration_seconds=10)
    worker.read_limits([stage.account])
    stored = _account(stage)
    assert stored.limits is not None
    assert stored.limits.longest_video_seconds == 10
    stage.sandbox.control("POST", f"/tiktok/creators/{stage.account.handle}/revoke")
    worker.read_limits([stored])
    assert _account(stage).state.value == "AUTHORIZATION_LOST"


def _account(stage: Publisher) -> Account:
    with stage.database.transaction(WORKSPACE) as tx:
        return account_store.read_account(tx, WORKSPACE, stage.account.account_id)


# ---- the RPC


def forecast(
    api: publisher_pb2_grpc.PublisherServiceStub, days: float = 14, size: int = 0, workspace: uuid.UUID = WORKSPACE
) -> tuple[list[pb.ForeseenFailure], pb.ForecastPostsResponse]:
    """All pages, and the last."""
    found: list[pb.ForeseenFailure] = []
    token = ""
    while True:
        request = pb.ForecastPostsRequest(
            workspace_id=str(workspace), horizon=Duration(seconds=int(days * 86_400)), page_size=size, page_token=token
        )
        answer = api.ForecastPosts(request, timeout=20)
        found += answer.failures
        token = answer.next_page_token
        if not token:
            return found, answer


def test_a_forecast_lists_what_will_fail_by_its_time_page_by_page(stage: Publisher) -> None:
    api = stage.api(stage.worker())
    planned = [unapproved(stage, hours) for hours in (5, 3, 4)]
    planned[0].claimed.caption = "a" * 2201
    good = stage.schedule(in_seconds=2 * HOUR)
    stage.schedule(in_seconds=15 * 24 * HOUR)
    found, last = forecast(api)
    assert [(each.delivery_id, pb.ForecastCause.Name(each.cause)) for each in found] == [
        (planned[1].delivery_id, "FORECAST_CAUSE_APPROVAL"),
        (planned[2].delivery_id, "FORECAST_CAUSE_APPROVAL"),
        (planned[0].delivery_id, "FORECAST_CAUSE_APPROVAL"),
        (planned[0].delivery_id, "FORECAST_CAUSE_CONTENT"),
    ]
    assert (found[0].post_id, found[0].account_id) == (planned[1].claimed.post_id, planned[1].claimed.account_id)
    assert found[0].schedule_time == planned[1].claimed.due_time
    assert good.delivery_id not in {each.delivery_id for each in found}
    assert last.deliveries == 4
    assert timedelta(days=13) < last.until_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC) < timedelta(days=14)
    assert [each.delivery_id for each in forecast(api, size=1)[0]] == [each.delivery_id for each in found]
    assert forecast(api, workspace=OTHER_WORKSPACE)[0] == []


def test_what_waits_since_its_time_is_in_the_forecast_with_what_is_to_come(stage: Publisher) -> None:
    api = stage.api(stage.worker())
    missed = stage.schedule(in_seconds=-HOUR)
    missed.state = "MISSED"
    missed.upcoming.delivery.needs_person = True
    (found,) = forecast(api)[0]
    assert (found.delivery_id, found.cause) == (missed.delivery_id, pb.FORECAST_CAUSE_DECISION)


def test_a_forecast_of_too_many_says_how_far_it_came(stage: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "MOST_DELIVERIES", 3)
    api = stage.api(stage.worker())
    planned = [unapproved(stage, hours) for hours in (1, 2, 3, 4, 5)]
    found, last = forecast(api)
    assert [each.delivery_id for each in found] == [each.delivery_id for each in planned[:3]]
    assert last.until_time == planned[3].claimed.due_time


def test_a_forecast_foresees_by_media_and_tokens_and_uses_as_they_are_stored(stage: Publisher) -> None:
    api = stage.api(stage.worker())
    gone, fine = stage.schedule(in_seconds=HOUR), stage.schedule(in_seconds=2 * HOUR)
    del stage.library.assets[gone.claimed.media[0].media_asset_id]
    (found,) = forecast(api)[0]
    assert (found.delivery_id, found.cause, found.reason) == (
        gone.delivery_id,
        pb.FORECAST_CAUSE_MEDIA,
        "MEDIA_MISSING",
    )
    assert fine.state == "SCHEDULED"


def test_while_the_scheduler_or_the_library_is_away_there_is_no_forecast(stage: Publisher) -> None:
    api = stage.api(stage.worker())
    stage.schedule(in_seconds=HOUR)
    stage.library.refuse_with = Unavailable("The library is away.")
    with pytest.raises(grpc.RpcError) as refused:
        forecast(api)
    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def check(api: publisher_pb2_grpc.PublisherServiceStub, draft: pb.PostCheck) -> list[tuple[str, bool]]:
    request = pb.CheckPostsRequest(workspace_id=str(WORKSPACE), posts=[draft])
    (result,) = api.CheckPosts(request, timeout=5).results
    return [(problem.reason, problem.blocking) for problem in result.problems]


def test_a_draft_is_checked_at_its_time_by_what_is_known_of_its_account(stage: Publisher) -> None:
    api = stage.api(stage.worker())
    with stage.database.transaction(WORKSPACE) as tx:
        account_store.save_limits(tx, stage.account, AccountLimits(10, ("SELF_ONLY",)))
        tx.execute(text("UPDATE accounts SET refresh_expire_time = now() + interval '3 days'"))
    draft = pb.PostCheck(
        account_ids=[str(stage.account.account_id)],
        media=[
            pb.MediaFacts(
                mime_type="video/mp4", size_bytes=300_000, width=1080, height=1920, container="mp4", codec="h264",
                frame_rate_millis=30_000, duration_ms=15_000, pixel_mode="yuv420p",
            )
        ],
        tiktok_options={"privacy_level": "PUBLIC_TO_EVERYONE"},
    )  # fmt: skip
    of_account = [("TIKTOK_PRIVACY_LEVEL_GONE", False), ("DURATION_CHECK_FAILED", False)]
    assert check(api, draft) == of_account
    for days, expected in ((2, of_account), (6, [("TOKEN_ENDS", False), *of_account])):
        draft.schedule_time.CopyFrom(to_timestamp(datetime.now(UTC) + timedelta(days=days)))
        assert check(api, draft) == expected
