"""Tokens over a strict stand-in of TikTok: refreshed once, never used when they are over."""

from __future__ import annotations

import time

from services.publisher import account_store
from services.publisher.domain import AccountState
from tests.publisher.stage import SMALL, Stage, until
from tests.standin.server import Fault, Reply
from tests.standin.stage import AtTikTok
from tests.standin.tiktok import TikTok

UNAVAILABLE = Reply(200, {"error": "temporarily_unavailable", "error_description": "x", "log_id": "1"}, code="x")


def test_ten_posts_with_a_token_that_is_over_cause_one_refresh(stage: Stage, tiktok: TikTok) -> None:
    tiktok.login.expire(stage.account.platform_account_id)
    stage.worker(tiktok={"posts_per_day": 0})
    planned = [stage.schedule(SMALL) for _ in range(5)]
    for each in planned:
        stage.assert_published_once(each)
    assert len(tiktok.journal.of("token")) == 1
    assert tiktok.violations() == []


def test_a_token_that_ends_within_minutes_is_refreshed_before_it_is_used(
    stage: Stage, at_tiktok: AtTikTok, tiktok: TikTok
) -> None:
    tiktok.login.lifetime = 200
    account = at_tiktok.connect(stage.ledger, creator="short")
    tiktok.login.lifetime = 86_400
    stage.worker()
    stage.assert_published_once(stage.schedule(SMALL, account_id=str(account.account_id)))
    assert [call.endpoint for call in tiktok.journal.calls[:2]] == ["token", "creator_info"]
    assert not [call for call in tiktok.journal.calls if call.status == 401]
    assert tiktok.violations() == []


def test_a_lost_answer_to_a_refresh_costs_nothing_and_an_outage_only_time(stage: Stage, tiktok: TikTok) -> None:
    tiktok.login.expire(stage.account.platform_account_id)
    for fault in (Fault(lost=True), Fault(Reply(502, "<html>", content_type="text/html")), Fault(UNAVAILABLE)):
        tiktok.fails("token", fault)
    stage.worker()
    stage.assert_published_once(stage.schedule(SMALL))
    assert tiktok.violations() == []


def test_who_has_disconnected_the_app_is_asked_once_and_told(stage: Stage, tiktok: TikTok) -> None:
    tiktok.user(stage.account.platform_account_id).left = True
    stage.worker()
    planned = stage.schedule(SMALL)
    stage.wait_state(planned, "HELD")
    time.sleep(1)
    assert [call.endpoint for call in tiktok.journal.calls] == ["creator_info", "token"]
    until(lambda: "account.authorization_lost" in stage.feed.kinds() or None)
    with stage.database.transaction(stage.account.workspace_id) as tx:
        account = account_store.read_account(tx, stage.account.workspace_id, stage.account.account_id)
    assert account.state is AccountState.AUTHORIZATION_LOST
    assert tiktok.violations() == []
