"""The real worker, scheduler and sandbox together: what is due is published once, whatever happens on the way."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import pytest
from reelroute.scheduler.v1 import scheduler_pb2
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.errors import Unavailable
from kit.listen import notify
from services.publisher import store
from services.publisher.delivering import ATTEMPTS
from tests.publisher.stage import CREATOR, LARGE, WORKSPACE, Stage, until
from tests.publisher.stopping import Stop, StoppingAdapter, StoppingLedger

PRIVATE = scheduler_pb2.PostOptions(tiktok=scheduler_pb2.TikTokOptions(privacy_level="SELF_ONLY"))


def step(stage: Stage, post: scheduler_pb2.Post, *steps: str) -> dict[str, Any] | None:
    publication = stage.publication(post)
    return publication if publication and publication["step"] in steps else None


def test_a_due_post_ends_published_once_with_the_platforms_video_id(stage: Stage) -> None:
    stage.worker()
    post = stage.schedule()
    delivery = stage.assert_published_once(post)
    assert delivery.url == f"https://www.tiktok.com/@{CREATOR}/video/{delivery.platform_post_id}"
    assert [line.partition(":")[0] for line in stage.lines(post)] == [
        f"1 {name}" for name in ("OPENED", "PREPARED", "HANDLE", "COMMITTING", "ACCEPTED", "PUBLISHED")
    ]
    until(lambda: "publication.accepted" in stage.feed.kinds(post_id=post.post_id) or None)
    assert stage.feed.kinds(post_id=post.post_id) == [
        f"publication.{name}" for name in ("prepared", "handle_stored", "committing", "accepted")
    ]


def test_nothing_is_sent_before_the_due_time(stage: Stage) -> None:
    stage.worker(lead_seconds=10)
    post = stage.schedule()
    with stage.scheduler_database.transaction(ALL_WORKSPACES) as tx:
        due: datetime = tx.execute(
            text("UPDATE deliveries SET due_time = now() + interval '1.5 s', state = 'SCHEDULED' RETURNING due_time")
        ).scalar_one()
    stage.assert_published_once(post)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        times = tx.execute(text("SELECT step, min(entry_time) AS first FROM attempt_entries GROUP BY step")).all()
    first = {row.step: row.first for row in times}
    assert first["PREPARED"] < due <= first["HANDLE"]


PLACES = [
    "after open", "before prepared", "after prepared", "after begin", "before handle_stored", "after handle_stored",
    "before committing", "after committing", "before send", "after send", "before accepted", "after accepted",
    "before published", "after published",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_r1_r5_a_worker_that_stops_dead_is_replaced_and_does_nothing_when_it_wakes(stage: Stage, place: str) -> None:
    stop = Stop(place)
    stop.worker = stage.worker(
        StoppingLedger(stage.ledger, stop), wrap=functools.partial(StoppingAdapter, stop=stop), max_deliveries=1
    )
    post = stage.schedule()
    try:
        assert stop.reached.wait(10), stage.story(post)
        stage.worker()
        stage.end_lease(post)
        if "published" in place:
            # The one who asks for a verdict has a lease of its own.
            with stage.database.transaction(ALL_WORKSPACES) as tx:
                tx.execute(text("UPDATE publications SET next_check_time = now() WHERE step = 'ACCEPTED'"))
        stage.assert_published_once(post)
        before = (stage.publication(post), stage.lines(post))
    finally:
        stop.wake.set()
    assert stop.worker.stop(20)
    assert (stage.publication(post), stage.lines(post)) == before
    assert stage.sandbox.effects(post.caption) == 1


def test_r1_two_stops_in_a_row_still_publish_once(stage: Stage) -> None:
    stops = [Stop("before send"), Stop("after send")]
    post = stage.schedule()
    try:
        for stop in stops:
            stop.worker = stage.worker(
                StoppingLedger(stage.ledger, stop),
                wrap=functools.partial(StoppingAdapter, stop=stop),
                max_deliveries=1,
            )
            stage.end_lease(post)
            assert stop.reached.wait(10), stage.story(post)
        stage.worker()
        stage.end_lease(post)
        stage.assert_published_once(post)
    finally:
        for stop in stops:
            stop.wake.set()
    assert stage.delivery(post).attempt == 3


def test_a_report_that_never_arrived_is_made_again_by_the_next_attempt(stage: Stage) -> None:
    stage.relay.stop(5)
    stage.worker()
    post = stage.schedule()
    until(lambda: step(stage, post, "PUBLISHED"), story=lambda: stage.story(post))
    stage.end_lease(post)
    until(lambda: True if stage.delivery(post).attempt == 2 else None)
    until(lambda: True if any("reported again" in line for line in stage.lines(post)) else None)
    stage.start_relay()
    stage.assert_published_once(post)


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
    for post in posts:
        stage.assert_published_once(post, 60)


@pytest.mark.parametrize("skip", [3, 6])
def test_an_upload_that_broke_in_its_middle_or_last_chunk_goes_on_where_it_stands(stage: Stage, skip: int) -> None:
    stage.sandbox.fault("upload", "cut_upload", skip=skip)
    stage.worker()
    stage.assert_published_once(stage.schedule(LARGE), 60)
    # Seven chunks, and one of them twice.
    assert stage.sandbox.calls("upload") == 8
    until(lambda: True if stage.library.reading == 0 else None)


@pytest.mark.parametrize("endpoint", ["creator_info", "video_init", "upload"])
def test_a_rate_limit_puts_the_delivery_off_as_long_as_the_platform_asks(stage: Stage, endpoint: str) -> None:
    stage.sandbox.fault(endpoint, "rate_limit")
    worker = stage.worker()
    post = stage.schedule()
    until(lambda: stage.delivery(post).failure_reason or None, story=lambda: stage.story(post))
    delivery = stage.wait_state(post, "SCHEDULED")
    wait = delivery.due_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
    assert 55 < wait.total_seconds() < 70
    # Another process has another count of calls.
    worker.stop(10)
    stage.worker()
    stage.make_due(post)
    stage.assert_published_once(post)


def test_a_rate_limit_on_the_question_for_the_verdict_puts_the_question_off(stage: Stage) -> None:
    stage.sandbox.fault("status_fetch", "rate_limit")
    stage.worker()
    post = stage.schedule()
    publication = until(lambda: step(stage, post, "ACCEPTED"))
    until(lambda: stage.sandbox.calls("status_fetch") or None)

    def wait() -> float | None:
        publication = stage.publication(post)
        assert publication is not None
        seconds: float = (publication["next_check_time"] - datetime.now(UTC)).total_seconds()
        return seconds if seconds > 55 else None

    assert until(wait) < 70
    assert publication["attempt"] == 1


def test_a_verdict_against_the_post_is_told_with_its_reason(stage: Stage) -> None:
    stage.sandbox.control("POST", "/tiktok/verdicts", fail_reason="spam_risk_text")
    stage.worker()
    post = stage.schedule()
    delivery = stage.wait_over(post)
    assert stage.state(post) == "REJECTED"
    assert delivery.failure_reason == "TIKTOK_SPAM_RISK_TEXT"
    assert "caption" in delivery.failure_message
    assert step(stage, post, "REJECTED")


def test_a_fault_of_the_platform_while_it_processed_is_tried_again_with_a_new_handle(stage: Stage) -> None:
    stage.sandbox.control("POST", "/tiktok/verdicts", fail_reason="internal")
    stage.worker()
    post = stage.schedule()
    delivery = stage.wait_over(post)
    assert stage.state(post) == "PUBLISHED", stage.story(post)
    assert delivery.attempt == 2
    rows = stage.sandbox.control("GET", "/tiktok/effects")
    assert [(row["effects"], row["failed"], row["published"]) for row in rows] == [(2, 1, 1)]


def test_a_private_post_ends_published_and_private_without_an_id(stage: Stage) -> None:
    stage.worker()
    delivery = stage.assert_published_once(stage.schedule(options=PRIVATE))
    assert delivery.visibility == scheduler_pb2.VISIBILITY_PRIVATE
    assert (delivery.platform_post_id, delivery.url) == ("", "")


def test_r21_a_token_that_ends_between_acceptance_and_verdict_is_refreshed_and_the_post_published_once(
    stage: Stage,
) -> None:
    stage.sandbox.control("PATCH", "/tiktok/settings", moderation_seconds=1)
    stage.worker()
    post = stage.schedule()
    until(lambda: step(stage, post, "ACCEPTED"))
    stage.sandbox.control("POST", f"/tiktok/creators/{CREATOR}/expire-tokens", refresh_too=False)
    stage.assert_published_once(post)
    assert stage.delivery(post).attempt == 1


def test_a_lost_authorisation_fails_the_delivery_and_is_told_once(stage: Stage) -> None:
    stage.sandbox.control("POST", f"/tiktok/creators/{CREATOR}/revoke")
    stage.worker()
    posts = [stage.schedule() for _ in range(3)]
    for post in posts:
        stage.wait_over(post)
        assert stage.delivery(post).failure_reason == "AUTHORIZATION_LOST", stage.story(post)
        assert stage.sandbox.effects(post.caption) == 0
    until(
        lambda: stage.feed.kinds(account_id=str(stage.account.account_id)).count("account.authorization_lost") or None
    )
    assert stage.feed.kinds().count("account.authorization_lost") == 1


def test_an_authorisation_lost_before_the_verdict_is_said_once_at_the_post(stage: Stage) -> None:
    stage.sandbox.control("PATCH", "/tiktok/settings", moderation_seconds=3600)
    stage.worker()
    post = stage.schedule()
    until(lambda: step(stage, post, "ACCEPTED"))
    stage.sandbox.control("POST", f"/tiktok/creators/{CREATOR}/revoke")
    until(lambda: "publication.unanswered" in stage.feed.kinds() or None)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE publications SET next_check_time = now()"))
        notify(tx, store.OPEN_CHANNEL)
    until(lambda: stage.publication(post)["checks"] >= 2 or None)  # type: ignore[index]
    assert stage.feed.kinds().count("publication.unanswered") == 1
    assert stage.delivery(post).state == scheduler_pb2.DELIVERY_STATE_CONFIRMING


def test_a_library_that_does_not_answer_is_tried_again(stage: Stage) -> None:
    stage.library.refuse_with = Unavailable("not now")
    stage.worker()
    post = stage.schedule()
    until(lambda: stage.delivery(post).failure_reason == "MEDIA_UNAVAILABLE" or None)
    stage.library.refuse_with = None
    stage.assert_published_once(post)


def test_a_file_that_is_gone_ends_the_delivery(stage: Stage) -> None:
    post = stage.schedule()
    stage.library.assets.clear()
    stage.worker()
    assert stage.wait_over(post).failure_reason == "MEDIA_MISSING"


def test_another_file_than_the_post_was_made_with_is_not_published(stage: Stage) -> None:
    post = stage.schedule()
    for asset in stage.library.assets.values():
        asset.sha256 = "0" * 64
    stage.worker()
    assert stage.wait_over(post).failure_reason == "MEDIA_CHANGED"
    assert stage.sandbox.effects(post.caption) == 0


def test_r35_after_a_new_publish_epoch_nothing_older_is_sent_again(stage: Stage) -> None:
    lost, kept = stage.schedule(), stage.schedule()
    stop = Stop("after handle_stored")
    stop.worker = stage.worker(StoppingLedger(stage.ledger, stop), max_deliveries=1)
    try:
        # One has a handle and not a byte sent; of the other the restored records know nothing.
        assert stop.reached.wait(10)
        with stage.database.transaction(ALL_WORKSPACES) as tx:
            store.begin_epoch(tx, "restored from a backup")
        stage.worker()
        for post in (lost, kept):
            stage.end_lease(post)
            assert stage.wait_over(post).failure_reason == "OUTCOME_UNKNOWN"
    finally:
        stop.wake.set()
    assert stop.worker.stop(20)
    new = stage.schedule()
    stage.assert_published_once(new)
    assert [stage.sandbox.effects(post.caption) for post in (lost, kept)] == [0, 0]


def test_r35_what_was_complete_before_the_new_epoch_is_found_and_reported(stage: Stage) -> None:
    stop = Stop("after send")
    stop.worker = stage.worker(wrap=functools.partial(StoppingAdapter, stop=stop), max_deliveries=1)
    post = stage.schedule()
    try:
        assert stop.reached.wait(10)
        with stage.database.transaction(ALL_WORKSPACES) as tx:
            store.begin_epoch(tx, "restored from a backup")
        stage.worker()
        stage.end_lease(post)
        stage.assert_published_once(post)
    finally:
        stop.wake.set()


def test_an_attempt_whose_lease_is_lost_while_it_sends_ends_at_the_next_renewal(stage: Stage) -> None:
    stage.sandbox.fault("upload", "delay", delay_seconds=4)
    before = ATTEMPTS.labels("fenced")._value.get()
    stage.worker()
    post = stage.schedule()
    until(lambda: step(stage, post, "COMMITTING"))
    with stage.scheduler_database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE deliveries SET attempt = 2, lease_expire_time = now() + interval '1 hour'"))
    lines = stage.lines(post)
    until(lambda: True if ATTEMPTS.labels("fenced")._value.get() > before else None, seconds=3)
    assert stage.lines(post) == lines


def test_r17_a_worker_told_to_stop_finishes_what_it_is_sending(stage: Stage) -> None:
    stage.sandbox.fault("upload", "delay", delay_seconds=1)
    worker = stage.worker()
    post = stage.schedule()
    until(lambda: step(stage, post, "COMMITTING"))
    assert worker.stop(10)
    assert step(stage, post, "ACCEPTED")
    assert stage.sandbox.effects(post.caption) == 1


def test_an_edit_between_two_attempts_publishes_the_new_version_alone(stage: Stage) -> None:
    stage.sandbox.fault("upload", "rate_limit")
    worker = stage.worker()
    post = stage.schedule()
    until(lambda: stage.delivery(post).failure_reason or None)
    stage.wait_state(post, "SCHEDULED")
    worker.stop(10)
    edited = f"{post.caption} edited"
    stage.scheduler.UpdatePost(
        scheduler_pb2.UpdatePostRequest(
            workspace_id=str(WORKSPACE),
            post_id=post.post_id,
            post=scheduler_pb2.PostDraft(caption=edited),
            update_mask=["caption"],
        ),
        timeout=5,
    )
    stage.worker()
    stage.make_due(post)
    stage.wait_over(post)
    assert stage.sandbox.effects(edited) == 1
    assert stage.sandbox.effects(post.caption) == 0
