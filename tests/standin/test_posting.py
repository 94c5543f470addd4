"""Direct posts of videos over a strict stand-in of TikTok: what is sent is what is documented, and once."""

from __future__ import annotations

import time

import pytest
from reelroute.scheduler.v1 import scheduler_pb2

from kit.db import Database
from services.publisher.platforms import tiktok_upload
from tests.publisher.fake_scheduler import Planned
from tests.publisher.stage import LARGE, SMALL, Stage, staged, until
from tests.standin.server import Fault, Reply
from tests.standin.stage import digest_of, platform, scaled
from tests.standin.tiktok import TikTok, envelope

LOST, AWAY, BUSY = Fault(lost=True), Fault(away=True), Fault(Reply(503, "<html>busy</html>", content_type="text/html"))
# Done all the same.
BUSY_BUT_DONE = Fault(change=lambda _: Reply(503, "<html>busy</html>", content_type="text/html"))
LIMITED = Reply(429, envelope("rate_limit_exceeded").body, {"Retry-After": "1"}, code="rate_limit_exceeded")


def of_another(stage: Stage, tiktok: TikTok, *faults: tuple[str, Fault], size: int = SMALL) -> Planned:
    """A post of a creator of its own, for whom this goes wrong."""
    account = stage.sandbox.connect(stage.ledger, creator=f"creator{len(tiktok.users)}")
    for endpoint, fault in faults:
        tiktok.fails(endpoint, fault, who=account.platform_account_id)
    return stage.schedule(size, account_id=str(account.account_id))


def wait_told(stage: Stage, planned: Planned, times: int = 1) -> None:
    """Waits until so much was reported of a post."""
    until(lambda: planned.reports[times - 1 :] or None, story=lambda: stage.story(planned))


def calls(tiktok: TikTok, planned: Planned) -> list[str]:
    """The calls about a post of a creator of its own, in order."""
    (who,) = {call.who for call in tiktok.journal.calls if planned.caption in str(call.body)}
    return [call.endpoint for call in tiktok.journal.calls if call.who == who]


def test_a_video_is_posted_as_documented_and_followed_until_it_is_public(stage: Stage, tiktok: TikTok) -> None:
    stage.worker()
    planned = stage.assert_published_once(stage.schedule(SMALL))
    (post,) = tiktok.posts.published()
    assert planned.published.platform_post_id == post.post_id
    assert post.digest.hexdigest() == digest_of(SMALL)
    assert tiktok.violations() == []


def test_a_video_with_every_choice_is_sent_as_documented(stage: Stage, tiktok: TikTok) -> None:
    user = tiktok.user(stage.account.platform_account_id)
    user.comment_disabled = user.duet_disabled = True
    options = scheduler_pb2.TikTokOptions(
        privacy_level="MUTUAL_FOLLOW_FRIENDS", allow_comment=True, allow_duet=True, allow_stitch=True,
        brand_organic=True, branded_content=True, is_ai_generated=True, cover_time_ms=1500,
    )  # fmt: skip
    stage.worker()
    caption = "Ünïcode 🍟 @friend #fries \u2028 </script>" * 20
    planned = stage.schedule(SMALL, options=scheduler_pb2.PostOptions(tiktok=options), caption=caption)
    stage.wait_state(planned, "PUBLISHED")
    (init,) = tiktok.journal.of("video_init")
    assert init.body["post_info"] == {
        "title": caption, "privacy_level": "MUTUAL_FOLLOW_FRIENDS", "disable_comment": True, "disable_duet": True,
        "disable_stitch": False, "brand_organic_toggle": True, "brand_content_toggle": True, "is_aigc": True,
        "video_cover_timestamp_ms": 1500,
    }  # fmt: skip
    assert tiktok.violations() == []


def test_a_large_video_goes_in_chunks_whatever_their_answers_count(
    stage: Stage, tiktok: TikTok, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiktok_upload, "_CHUNK_WAIT_SECONDS", 0.1)
    tiktok.posts.counts = True
    # Lost and away once too often: the next attempt goes on where TikTok said that it stands.
    for fault in (Fault(), LOST, Fault(), AWAY, AWAY, BUSY):
        tiktok.fails("upload", fault)
    stage.worker()
    stage.assert_published_once(stage.schedule(LARGE))
    (post,) = tiktok.posts.published()
    assert post.count == 7
    assert post.digest.hexdigest() == digest_of(LARGE)
    assert tiktok.violations() == []


def test_what_had_no_answer_is_made_again_or_asked_about(stage: Stage, tiktok: TikTok) -> None:
    stage.worker()
    begun = [of_another(stage, tiktok, ("video_init", fault)) for fault in (LOST, BUSY_BUT_DONE, AWAY, BUSY)]
    sent = [of_another(stage, tiktok, ("upload", fault)) for fault in (LOST, BUSY_BUT_DONE, AWAY, BUSY)]
    over = of_another(stage, tiktok, ("upload", Fault(Reply(403, code="expired"))))
    for planned in (*begun, *sent, over):
        stage.assert_published_once(planned)
    for planned in begun:
        again = [each for each in calls(tiktok, planned) if each != "creator_info"]
        assert again[:3] == ["video_init", "video_init", "upload"]
    for planned in sent[:2]:
        assert calls(tiktok, planned)[2:4] == ["upload", "status"]
        assert calls(tiktok, planned).count("upload") == 1
    for planned in sent[2:]:
        assert calls(tiktok, planned)[2:5] == ["upload", "status", "upload"]
    # An address that is over: nothing can have been posted, and the new post is checked anew.
    assert [each for each in calls(tiktok, over) if each != "status"] == ["creator_info", "video_init", "upload"] * 2
    assert tiktok.violations() == []


def test_what_is_refused_is_not_sent_again_and_a_cap_is_waited_for(stage: Stage, tiktok: TikTok) -> None:
    stage.worker()
    ends = {
        "unaudited_client_can_only_post_to_private_accounts": "FAILED",
        "invalid_params": "FAILED",
        "privacy_level_option_mismatch": "FAILED",
        "a_refusal_of_tomorrow": "FAILED",
        "scope_not_authorized": "HELD",
        "spam_risk_too_many_posts": "SCHEDULED",
        "reached_active_user_cap": "SCHEDULED",
        "rate_limit_exceeded": "SCHEDULED",
    }
    posts = {code: of_another(stage, tiktok, ("video_init", Fault(envelope(code)))) for code in ends}
    for planned in posts.values():
        wait_told(stage, planned)
    time.sleep(0.6)
    for code, planned in posts.items():
        assert planned.failure.reason == f"TIKTOK_{code.upper()}"
        assert planned.state == ends[code], stage.story(planned)
        assert calls(tiktok, planned).count("video_init") == 1
        if planned.state == "SCHEDULED":
            # Without a time of TikTok's own: a minute for a rate, hours for a cap.
            rest = planned.due_time.timestamp() - time.time()
            assert rest > (55 if code == "rate_limit_exceeded" else 3600)
    assert tiktok.violations() == []


def test_a_refusal_with_http_200_keeps_a_post_from_being_begun(stage: Stage, tiktok: TikTok) -> None:
    refusals = {"spam_risk_user_banned_from_posting": "FAILED", "spam_risk_too_many_posts": "SCHEDULED"}
    posts = {}
    for code in refusals:
        account = stage.sandbox.connect(stage.ledger, creator=code)
        tiktok.user(account.platform_account_id).refusal = code
        posts[code] = stage.schedule(SMALL, account_id=str(account.account_id))
    tiktok.user(stage.account.platform_account_id).levels = ("FOLLOWER_OF_CREATOR", "SELF_ONLY")
    private = stage.schedule(SMALL)
    stage.worker()
    for planned in (*posts.values(), private):
        wait_told(stage, planned)
    time.sleep(0.6)
    for code, planned in posts.items():
        assert (planned.state, planned.failure.reason) == (refusals[code], f"TIKTOK_{code.upper()}")
    # The creator's choice has changed: nobody chooses for the author.
    assert (private.state, private.failure.reason) == ("HELD", "TIKTOK_PRIVACY_LEVEL_GONE")
    assert [call.endpoint for call in tiktok.journal.calls] == ["creator_info"] * 3
    assert tiktok.violations() == []


def test_a_rest_without_a_time_is_a_minute_for_questions_too(stage: Stage, tiktok: TikTok) -> None:
    stage.worker()
    refused = Fault(envelope("rate_limit_exceeded"))
    asked, told = of_another(stage, tiktok, ("status", refused)), of_another(stage, tiktok, ("creator_info", refused))
    stage.wait_state(asked, "CONFIRMING")
    wait_told(stage, told)
    time.sleep(1)
    assert [call.endpoint for call in tiktok.journal.calls].count("status") == 1
    assert [call.endpoint for call in tiktok.journal.calls].count("creator_info") == 2
    assert told.due_time.timestamp() > time.time() + 55
    assert tiktok.violations() == []


def test_a_token_that_is_refused_right_after_it_was_given_is_not_tried_for_ever(stage: Stage, tiktok: TikTok) -> None:
    stage.worker()
    tiktok.fails("creator_info", Fault(envelope("access_token_invalid")), times=20)
    planned = stage.schedule(SMALL)
    wait_told(stage, planned)
    time.sleep(0.6)
    assert planned.state == "HELD", stage.story(planned)
    assert [call.endpoint for call in tiktok.journal.calls] == ["creator_info", "token", "creator_info"]
    assert tiktok.violations() == []


def test_a_publisher_that_stops_in_the_middle_of_a_video_leaves_the_rest_to_another(
    stage: Stage, tiktok: TikTok
) -> None:
    first = stage.worker()
    planned = stage.schedule(LARGE)
    until(lambda: tiktok.journal.of("upload")[2:] or None)
    first.stop(20)
    tiktok.posts.caller_ended()
    stage.worker()
    stage.assert_published_once(planned)
    (post,) = tiktok.posts.published()
    assert post.digest.hexdigest() == digest_of(LARGE)
    assert tiktok.violations() == []


def test_when_tiktok_asks_for_a_rest_it_gets_it(stage: Stage, tiktok: TikTok) -> None:
    stage.worker()
    posts = [
        of_another(stage, tiktok, (endpoint, Fault(LIMITED))) for endpoint in ("creator_info", "video_init", "status")
    ]
    for planned in posts:
        stage.assert_published_once(planned)
    assert tiktok.violations() == []


def test_a_verdict_is_final_unless_it_was_a_fault_of_tiktoks_own(stage: Stage, tiktok: TikTok) -> None:
    stage.worker()
    ends = {"picture_size_check_failed": "REJECTED", "a_reason_of_tomorrow": "REJECTED", "internal": "PUBLISHED"}
    for reason, state in ends.items():
        tiktok.posts.verdict = reason
        planned = of_another(stage, tiktok)
        wait_told(stage, planned, 2)
        tiktok.posts.verdict = ""
        stage.wait_state(planned, state)
        time.sleep(0.2)
        assert calls(tiktok, planned).count("video_init") == (1 if state == "REJECTED" else 2)
    assert tiktok.violations() == []


def test_fifty_posts_at_once_all_go_out_and_two_publishers_together_keep_the_rates(database: Database) -> None:
    # A minute of 0.6 s here and there: the same limits, a hundred times as fast.
    with platform(minute=0.6) as at_tiktok, staged(database, at_tiktok) as stage:
        tiktok = at_tiktok.tiktok
        tiktok.posts_a_day = 50
        # It is not at its best today, and what it says to that counts for the rates, too.
        for endpoint in ("creator_info", "video_init", "status"):
            tiktok.fails(endpoint, BUSY, times=6)
        for _ in range(2):
            stage.worker(tiktok={"posts_per_day": 50})
            scaled(stage.client, database, 0.6)
        accounts = [stage.account, at_tiktok.connect(stage.ledger, creator="another")]
        planned = [
            stage.schedule(20_000, in_seconds=0.5, account_id=str(accounts[number % 2].account_id))
            for number in range(50)
        ]
        for each in planned:
            stage.wait_state(each, "PUBLISHED", seconds=40)
        assert len(tiktok.posts.published()) == 50
        assert tiktok.violations() == []
