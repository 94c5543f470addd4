"""The real worker and the platform's sandbox over HTTP: what is due is published once, whatever happens on the way."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from reelroute.scheduler.v1 import scheduler_pb2
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.errors import Unavailable
from kit.listen import notify
from kit.loop import Loop
from services.publisher import store
from services.publisher.delivering import ATTEMPTS
from tests.publisher.fake_scheduler import Planned
from tests.publisher.stage import CREATOR, LARGE, Stage, until
from tests.publisher.stopping import Stop, stopping_ledger, wrapping

PRIVATE = scheduler_pb2.PostOptions(tiktok=scheduler_pb2.TikTokOptions(privacy_level="SELF_ONLY"))


def step(stage: Stage, planned: Planned, *steps: str) -> dict[str, Any] | None:
    publication = stage.publication(planned)
    return publication if publication and publication["step"] in steps else None


def ask_now(stage: Stage) -> None:
    """The time for the next question has come."""
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text(
                "UPDATE publications SET next_check_time = now() WHERE next_check_time > now() AND step <> 'PUBLISHED'"
            )
        )
        notify(tx, store.CHECKS_CHANNEL)


def test_a_due_post_ends_published_once_with_the_platforms_video_id(stage: Stage) -> None:
    stage.worker()
    planned = stage.assert_published_once(stage.schedule())
    post_id = planned.published.platform_post_id
    assert planned.published.url == f"https://www.tiktok.com/@{CREATOR}/video/{post_id}"
    assert [line.partition(":")[0] for line in stage.lines(planned)] == [
        f"1 {name}" for name in ("OPENED", "PREPARED", "HANDLE", "COMMITTING", "ACCEPTED", "PUBLISHED")
    ]


def test_every_call_for_a_post_says_so(stage: Stage) -> None:
    stage.worker()
    posts = [stage.assert_published_once(stage.schedule()) for _ in range(2)]
    for planned in posts:
        made = [call for call in stage.calls if str(call.subjects.delivery_id) == planned.delivery_id]
        assert {call.operation for call in made} == {"creator_info", "video_init", "upload_chunk", "status_fetch"}
        assert {str(call.subjects.post_id) for call in made} == {planned.claimed.post_id}
        assert {call.subjects.account_id for call in made} == {stage.account.account_id}


def test_many_due_posts_are_published_side_by_side(stage: Stage) -> None:
    stage.worker(max_deliveries=10)
    posts = [stage.schedule() for _ in range(40)]
    for planned in posts:
        stage.assert_published_once(planned, 60)


def test_nothing_is_sent_before_the_due_time_nor_without_a_grant(stage: Stage) -> None:
    stage.worker(lead_seconds=10)
    planned = stage.schedule(in_seconds=1.5)
    stage.assert_published_once(planned)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        times = tx.execute(text("SELECT step, min(entry_time) AS first FROM attempt_entries GROUP BY step")).all()
    first = {row.step: row.first for row in times}
    assert first["HANDLE"] < planned.due_time <= first["ACCEPTED"]
    assert len(planned.granted_at) >= 1
    assert first["COMMITTING"] >= planned.granted_at[0]


PLACES = [
    "before PREPARED", "after PREPARED", "after begin", "before HANDLE", "after HANDLE", "before COMMITTING",
    "after COMMITTING", "before send", "before the last moment", "after send", "before ACCEPTED", "after ACCEPTED",
    "before PUBLISHED", "after PUBLISHED",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_r5_a_worker_that_stops_dead_is_replaced_and_does_nothing_when_it_wakes(stage: Stage, place: str) -> None:
    stop = Stop(place)
    stop.worker = stage.worker(stopping_ledger(stage.ledger, stop), wrap=wrapping(stop), max_deliveries=1)
    planned = stage.schedule()
    try:
        assert stop.reached.wait(10), stage.story(planned)
        stage.worker()
        stage.scheduler.end_lease(planned)
        if "PUBLISHED" in place:
            # The one who asks for a verdict has a lease of its own.
            ask_now(stage)
        stage.assert_published_once(planned)
        before = (stage.publication(planned), stage.lines(planned))
    finally:
        stop.wake.set()
    assert stop.worker.stop(20)
    assert (stage.publication(planned), stage.lines(planned)) == before
    assert stage.sandbox.effects(planned.caption) == 1


def test_r1_two_stops_in_a_row_still_publish_once(stage: Stage) -> None:
    stops = [Stop("before send"), Stop("after send")]
    planned = stage.schedule()
    try:
        for stop in stops:
            stop.worker = stage.worker(stopping_ledger(stage.ledger, stop), wrap=wrapping(stop), max_deliveries=1)
            stage.scheduler.end_lease(planned)
            assert stop.reached.wait(10), stage.story(planned)
        stage.worker()
        stage.scheduler.end_lease(planned)
        stage.assert_published_once(planned)
    finally:
        for stop in stops:
            stop.wake.set()
    assert planned.attempt == 3


def test_r36_a_report_that_never_arrived_is_made_again_by_the_next_attempt(stage: Stage) -> None:
    stage.relay.stop(5)
    stage.worker()
    planned = stage.schedule()
    until(lambda: step(stage, planned, "PUBLISHED"), story=lambda: stage.story(planned))
    stage.scheduler.end_lease(planned)
    until(lambda: True if any("reported again" in line for line in stage.lines(planned)) else None)
    stage.start_relay()
    stage.assert_published_once(planned)
    assert planned.attempt == 2


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        ("creator_info", {"mode": "lost_reply"}),
        ("video_init", {"mode": "lost_reply"}),
        ("upload", {"mode": "lost_reply"}),
        ("status_fetch", {"mode": "lost_reply"}),
        ("upload", {"mode": "cut_upload"}),
        ("upload", {"mode": "reset"}),
        ("creator_info", {"mode": "error", "code": "internal_error"}),
        ("video_init", {"mode": "error", "code": "internal_error"}),
        ("upload", {"mode": "error", "status": 503}),
        ("status_fetch", {"mode": "error", "code": "internal_error", "count": 4}),
        ("upload", {"mode": "delay", "delay_seconds": 2}),
    ],
)
def test_r3_a_fault_of_the_platform_neither_loses_nor_doubles(
    stage: Stage, endpoint: str, fault: dict[str, Any]
) -> None:
    stage.sandbox.fault(endpoint, **fault)
    stage.worker(tiktok={"read_timeout_seconds": 1})
    stage.assert_published_once(stage.schedule())


def test_r3_with_half_of_the_answers_to_the_publishing_call_lost_each_post_is_published_once(stage: Stage) -> None:
    stage.sandbox.fault("upload", "lost_reply", probability=0.5, seed=11)
    stage.worker()
    posts = [stage.schedule() for _ in range(12)]
    for planned in posts:
        stage.assert_published_once(planned, 60)


@pytest.mark.parametrize("skip", [3, 6])
def test_an_upload_that_broke_in_its_middle_or_last_chunk_goes_on_where_it_stands(stage: Stage, skip: int) -> None:
    stage.sandbox.fault("upload", "cut_upload", skip=skip)
    stage.worker()
    stage.assert_published_once(stage.schedule(LARGE), 60)
    # Seven chunks, and one of them twice.
    assert stage.sandbox.calls("upload") == 8
    until(lambda: True if stage.library.reading == 0 else None)


def test_all_but_the_last_chunk_is_uploaded_ahead_of_the_due_time(stage: Stage) -> None:
    stage.worker(lead_seconds=60)
    planned = stage.schedule(LARGE, in_seconds=8)
    until(lambda: True if stage.sandbox.calls("upload") == 6 else None, story=lambda: stage.story(planned))
    assert datetime.now(UTC) < planned.due_time
    assert stage.sandbox.effects(planned.caption) == 0
    stage.assert_published_once(planned)
    assert stage.sandbox.calls("upload") == 7


@pytest.mark.parametrize("endpoint", ["creator_info", "video_init", "upload"])
def test_r14_a_rate_limit_puts_the_delivery_off_as_long_as_the_platform_asks(stage: Stage, endpoint: str) -> None:
    stage.sandbox.fault(endpoint, "rate_limit")
    stage.worker()
    planned = stage.schedule()
    until(lambda: planned.reports or None, story=lambda: stage.story(planned))
    assert planned.failure.kind == scheduler_pb2.FAILURE_KIND_RATE_LIMITED
    wait = planned.failure.retry_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
    assert 55 < wait.total_seconds() < 70


def test_a_verdict_against_the_post_is_told_with_its_reason(stage: Stage) -> None:
    stage.sandbox.control("POST", "/tiktok/verdicts", fail_reason="spam_risk_text")
    stage.worker()
    planned = stage.wait_state(stage.schedule(), "REJECTED")
    assert planned.failure.reason == "TIKTOK_SPAM_RISK_TEXT"
    assert "caption" in planned.failure.message
    assert step(stage, planned, "REJECTED")


def test_a_fault_of_the_platform_while_it_processed_is_tried_again_with_a_new_handle(stage: Stage) -> None:
    stage.sandbox.control("POST", "/tiktok/verdicts", fail_reason="internal")
    stage.worker()
    planned = stage.wait_state(stage.schedule(), "PUBLISHED")
    assert planned.attempt == 2
    rows = stage.sandbox.control("GET", "/tiktok/effects")
    assert [(row["effects"], row["failed"], row["published"]) for row in rows] == [(2, 1, 1)]


def test_a_private_post_ends_published_and_private_without_an_id(stage: Stage) -> None:
    stage.worker()
    planned = stage.assert_published_once(stage.schedule(options=PRIVATE))
    assert planned.published.visibility == scheduler_pb2.VISIBILITY_PRIVATE
    assert (planned.published.platform_post_id, planned.published.url) == ("", "")


def test_r21_a_token_that_ends_between_acceptance_and_verdict_is_refreshed_and_the_post_published_once(
    stage: Stage,
) -> None:
    stage.sandbox.control("PATCH", "/tiktok/settings", moderation_seconds=1)
    stage.worker()
    planned = stage.schedule()
    until(lambda: step(stage, planned, "ACCEPTED"))
    stage.sandbox.control("POST", f"/tiktok/creators/{CREATOR}/expire-tokens", refresh_too=False)
    stage.assert_published_once(planned)
    assert planned.attempt == 1


def test_a_lost_authorisation_holds_its_account_and_is_told_once(stage: Stage) -> None:
    stage.sandbox.control("POST", f"/tiktok/creators/{CREATOR}/revoke")
    stage.worker()
    posts = [stage.schedule() for _ in range(3)]
    for planned in posts:
        stage.wait_state(planned, "HELD")
        assert planned.failure.reason == "AUTHORIZATION_LOST", stage.story(planned)
        assert stage.sandbox.effects(planned.caption) == 0
    until(lambda: stage.scheduler.holds or None)
    (hold,) = stage.scheduler.holds
    assert (hold.target, hold.cause) == (str(stage.account.account_id), scheduler_pb2.HOLD_CAUSE_ACCOUNT)
    until(lambda: stage.feed.kinds(account_id=str(stage.account.account_id)) or None)
    assert stage.feed.kinds().count("account.authorization_lost") == 1


def test_an_authorisation_lost_before_the_verdict_is_said_once_at_the_post(stage: Stage) -> None:
    stage.sandbox.control("PATCH", "/tiktok/settings", moderation_seconds=3600)
    stage.worker()
    planned = stage.schedule()
    until(lambda: step(stage, planned, "ACCEPTED"))
    stage.sandbox.control("POST", f"/tiktok/creators/{CREATOR}/revoke")
    until(lambda: "publication.unanswered" in stage.feed.kinds() or None)
    checks = stage.publication(planned)["checks"]  # type: ignore[index]
    ask_now(stage)
    until(lambda: stage.publication(planned)["checks"] > checks or None)  # type: ignore[index]
    assert stage.feed.kinds().count("publication.unanswered") == 1
    assert planned.state == "CONFIRMING"


def test_a_library_that_does_not_answer_is_tried_again(stage: Stage) -> None:
    stage.library.refuse_with = Unavailable("not now")
    stage.worker()
    planned = stage.schedule()
    until(lambda: planned.reports or None)
    assert planned.failure.reason == "MEDIA_UNAVAILABLE"
    stage.library.refuse_with = None
    stage.assert_published_once(planned)


def test_a_file_that_is_gone_ends_the_delivery(stage: Stage) -> None:
    planned = stage.schedule()
    stage.library.assets.clear()
    stage.worker()
    assert stage.wait_state(planned, "FAILED").failure.reason == "MEDIA_MISSING"


def test_another_file_than_the_post_was_made_with_is_not_published(stage: Stage) -> None:
    planned = stage.schedule()
    for asset in stage.library.assets.values():
        asset.sha256 = "0" * 64
    stage.worker()
    assert stage.wait_state(planned, "FAILED").failure.reason == "MEDIA_CHANGED"
    assert stage.sandbox.effects(planned.caption) == 0


def test_r35_what_was_complete_before_the_new_epoch_is_found_and_reported(stage: Stage) -> None:
    stop = Stop("after send")
    stop.worker = stage.worker(stopping_ledger(stage.ledger, stop), wrap=wrapping(stop), max_deliveries=1)
    planned = stage.schedule()
    try:
        assert stop.reached.wait(10)
        with stage.database.transaction(ALL_WORKSPACES) as tx:
            store.begin_epoch(tx, "restored from a backup")
        stage.worker()
        stage.scheduler.end_lease(planned)
        stage.assert_published_once(planned)
    finally:
        stop.wake.set()


def test_r5_an_attempt_whose_lease_is_lost_while_it_sends_ends_at_the_next_renewal(stage: Stage) -> None:
    stage.sandbox.fault("upload", "delay", delay_seconds=4)
    before = ATTEMPTS.labels("fenced")._value.get()
    stage.worker()
    planned = stage.schedule()
    until(lambda: step(stage, planned, "COMMITTING"))
    with stage.scheduler._lock:
        planned.attempt += 1
    until(lambda: True if ATTEMPTS.labels("fenced")._value.get() > before else None, seconds=4)


def test_what_is_paused_when_it_asks_to_go_out_is_taken_back(stage: Stage) -> None:
    stage.scheduler.paused = True
    stage.worker()
    planned = stage.wait_state(stage.schedule(), "HELD")
    until(lambda: step(stage, planned, "HANDLE"))
    until(lambda: True if any("withdrawn" in line for line in stage.lines(planned)) else None)
    assert (stage.sandbox.effects(planned.caption), planned.reports) == (0, [])


def test_r17_a_worker_told_to_stop_finishes_what_it_is_sending(stage: Stage) -> None:
    stage.sandbox.fault("upload", "delay", delay_seconds=1)
    worker = stage.worker()
    planned = stage.schedule()
    until(lambda: step(stage, planned, "COMMITTING"))
    until(lambda: stage.sandbox.calls("upload") or None)
    assert worker.stop(10)
    assert step(stage, planned, "ACCEPTED")
    assert stage.sandbox.effects(planned.caption) == 1


def test_r17_a_worker_told_to_stop_claims_nothing_new_and_gives_back_what_waits_for_its_time(stage: Stage) -> None:
    worker = stage.worker(lead_seconds=60)
    posts = [stage.schedule(in_seconds=50) for _ in range(5)]
    until(lambda: True if all(step(stage, planned, "HANDLE") for planned in posts) else None)
    # It stays for a while: for what it is sending.
    stage.sandbox.fault("upload", "delay", delay_seconds=1)
    sending = stage.schedule()
    until(lambda: stage.sandbox.calls("upload") or None)
    stopping = threading.Thread(target=worker.stop, args=(10,))
    stopping.start()
    until(lambda: True if stage.scheduler.claimers == 0 else None)
    late = stage.schedule()
    stopping.join()
    assert step(stage, sending, "ACCEPTED")
    assert [planned.state for planned in (*posts, late)] == ["SCHEDULED"] * 6
    # The next one goes on with the same handles.
    stage.worker()
    for planned in posts:
        with stage.scheduler._lock:
            planned.due_time = datetime.now(UTC)
    for planned in posts:
        stage.assert_published_once(planned)
    assert stage.sandbox.calls("video_init") == 7


def test_r17_the_last_reports_of_a_worker_leave_before_its_process_ends(stage: Stage) -> None:
    # As in the process: the relay is told to stop after the worker.
    stage.relay.stop(5)
    worker = stage.worker()
    planned = stage.schedule()
    until(lambda: step(stage, planned, "PUBLISHED"))
    relay = Loop("last relay", stage.outbox.run_once, interval_seconds=60, drain_seconds=5)
    first_round = threading.Event()
    relay.run_once = lambda: first_round.wait(5) and False
    relay.start()
    assert worker.stop(10)
    relay.run_once = stage.outbox.run_once
    first_round.set()
    assert relay.stop(5)
    assert planned.state == "PUBLISHED"


def test_a_scheduler_that_is_away_is_waited_for(stage: Stage) -> None:
    worker = stage.worker(scheduler_address="127.0.0.1:1")
    assert worker.stop(10)


def test_r9_what_takes_long_does_not_keep_the_last_places_empty(stage: Stage) -> None:
    stage.worker(max_deliveries=5, lead_seconds=60)
    waiting = [stage.schedule(in_seconds=50) for _ in range(4)]
    until(lambda: True if all(planned.state == "CLAIMED" for planned in waiting) else None)
    for _ in range(3):
        stage.assert_published_once(stage.schedule())
