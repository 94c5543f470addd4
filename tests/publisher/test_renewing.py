"""Tokens of accounts that nobody uses: refreshed before they end, and told of where only their owner can renew them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reelroute.notification.v1 import notification_pb2
from sqlalchemy import text

from kit.custody import TokenPair
from kit.db import ALL_WORKSPACES
from kit.errors import Unavailable
from services.publisher import account_store, endings, foresight
from services.publisher.domain import Account, AccountState
from services.publisher.foresight import Foresight
from services.publisher.renewing import Endings, Renewals
from services.publisher.worker import Worker
from tests.publisher.factories import OTHER_WORKSPACE, WORKSPACE, save_account
from tests.publisher.rows import activities, holds, rows
from tests.publisher.stage import CREATOR, Stage

LEAD = timedelta(hours=3)
NOW = datetime(2027, 1, 4, 18, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def quiet(stage: Stage) -> Stage:
    """A publisher whose account has nothing to publish; what is told stays where the tests look."""
    stage.relay.stop(5)
    return stage


def change(stage: Stage, what: str, **values: Any) -> None:
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text(f"UPDATE accounts SET {what}"), values)


def present(stage: Stage) -> Account:
    with stage.database.transaction(WORKSPACE) as tx:
        return account_store.read_account(tx, WORKSPACE, stage.account.account_id)


def renewals(stage: Stage, worker: Worker, at_once: int = 8) -> Renewals:
    return Renewals(stage.database, worker.refresh_ahead, LEAD, at_once)


def refreshes(stage: Stage) -> int:
    """Besides the exchange of the code."""
    return stage.sandbox.calls("token") - 1


def test_the_token_of_a_quiet_account_is_refreshed_before_its_end_and_once_by_three_replicas(quiet: Stage) -> None:
    replicas = [renewals(quiet, quiet.worker()) for _ in range(3)]
    replicas[0].run_once()
    assert refreshes(quiet) == 0
    assert present(quiet).renew_time == quiet.account.access_expire_time - LEAD  # type: ignore[operator]
    change(quiet, "access_expire_time = now() + interval '2 hours', renew_time = now()")
    with ThreadPoolExecutor(3) as processes:
        list(processes.map(lambda each: each.run_once(), replicas))
    assert refreshes(quiet) == 1
    account = present(quiet)
    assert account.access_expire_time is not None
    assert account.access_expire_time > datetime.now(UTC) + timedelta(hours=23)
    assert [each.type for each in activities(quiet.database)] == []


def test_a_short_life_is_not_spent_on_refreshing(quiet: Stage) -> None:
    quiet.sandbox.control("PATCH", "/tiktok/settings", access_token_seconds=3600)
    change(quiet, "renew_time = now()")
    duty = renewals(quiet, quiet.worker())
    for _ in range(3):
        duty.run_once()
    assert refreshes(quiet) == 1
    account = present(quiet)
    assert account.renew_time is not None
    assert account.access_expire_time is not None
    assert timedelta(minutes=29) < account.access_expire_time - account.renew_time <= timedelta(minutes=30)


def test_an_owner_who_has_disconnected_is_found_without_a_post(quiet: Stage) -> None:
    quiet.sandbox.control("POST", f"/tiktok/creators/{CREATOR}/revoke")
    change(quiet, "renew_time = now()")
    renewals(quiet, quiet.worker()).run_once()
    assert present(quiet).state is AccountState.AUTHORIZATION_LOST
    assert [each.type for each in activities(quiet.database)] == ["account.authorization_lost"]
    assert holds(quiet.database) == [("PlaceHold", str(quiet.account.account_id))]


def test_a_platform_that_is_away_is_asked_again_after_a_while_and_the_account_stays(quiet: Stage) -> None:
    quiet.sandbox.fault("token", "error", count=10)
    change(quiet, "renew_time = now()")
    duty = renewals(quiet, quiet.worker())
    duty.run_once()
    account = present(quiet)
    assert account.state is AccountState.CONNECTED
    assert account.renew_time is not None
    assert account.renew_time > datetime.now(UTC) + timedelta(minutes=9)


def test_a_token_that_nothing_can_refresh_is_left_to_its_end(quiet: Stage) -> None:
    with quiet.database.transaction(WORKSPACE) as tx:
        pair = account_store.read_tokens(tx, quiet.ledger.vault, quiet.account)
        lone = TokenPair(pair.access_token, datetime.now(UTC) + timedelta(hours=2), "", None)
        assert account_store.save_tokens(tx, quiet.ledger.vault, quiet.account, pair, lone)
    change(quiet, "renew_time = now()")
    renewals(quiet, quiet.worker()).run_once()
    assert present(quiet).state is AccountState.CONNECTED
    assert refreshes(quiet) == 0


def test_no_more_are_refreshed_at_once_than_is_allowed(quiet: Stage) -> None:
    for number in range(5):
        save_account(quiet.ledger, OTHER_WORKSPACE, f"open-{number}")
    change(quiet, "renew_time = now()")
    taken: list[Sequence[Account]] = []
    duty = Renewals(quiet.database, taken.append, LEAD, at_once=2)
    for _ in range(4):
        duty.run_once()
    assert [len(each) for each in taken] == [2, 2, 2]


# ---- ends of authorisations


def end_in(stage: Stage, time: timedelta) -> None:
    mine = stage.account.account_id
    change(stage, "refresh_expire_time = now() + :time WHERE account_id = :mine", time=time, mine=mine)


def told(stage: Stage, foreseeing: Foresight | None = None) -> list[notification_pb2.RecordActivityRequest]:
    """What three replicas tell, an hour after they have last looked."""
    before = len(activities(stage.database))
    change(stage, "ending_check_time = LEAST(now(), refresh_expire_time - interval '30 days')")
    duties = [Endings(stage.database, foreseeing or stage.foresight()) for _ in range(3)]
    with ThreadPoolExecutor(3) as processes:
        list(processes.map(lambda each: each.run_once(), duties))
    return activities(stage.database)[before:]


def test_an_end_is_told_once_at_each_stage(quiet: Stage) -> None:
    end_in(quiet, 40 * DAY)
    assert told(quiet) == []
    for left, text_ in ((29, "in 29 days"), (6.5, "in 7 days"), (0.9, "in 22 hours")):
        end_in(quiet, left * DAY)
        (message,) = told(quiet)
        assert (message.type, message.account_id) == (
            "account.authorization_ending",
            str(quiet.account.account_id),
        )
        assert text_ in message.summary
        assert message.summary.endswith("Connect the account again before.")
        assert told(quiet) == []


def test_posts_behind_the_end_are_counted_and_told_once_between_the_stages(quiet: Stage) -> None:
    end_in(quiet, 20 * DAY)
    assert len(told(quiet)) == 1
    other = save_account(quiet.ledger, profile="open-of-another")
    quiet.schedule(in_seconds=19 * DAY.total_seconds())
    quiet.schedule(in_seconds=21 * DAY.total_seconds(), account_id=str(other.account_id))
    assert told(quiet) == []
    for days in (25, 21, 30):
        quiet.schedule(in_seconds=days * DAY.total_seconds())
    (message,) = told(quiet)
    assert "3 posts are planned behind that, the first at" in message.summary
    assert (message.attributes["posts"], message.attributes["reason"]) == ("3", "TOKEN_ENDS")
    quiet.schedule(in_seconds=22 * DAY.total_seconds())
    assert told(quiet) == []
    end_in(quiet, 5 * DAY)
    assert ["5 posts are planned" in each.summary for each in told(quiet)] == [True]


def test_a_stage_is_told_although_the_scheduler_is_away(quiet: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> object:
        raise Unavailable("The scheduler does not answer.")

    monkeypatch.setattr(foresight, "_answer", away)
    end_in(quiet, 6 * DAY)
    quiet.schedule(in_seconds=8 * DAY.total_seconds())
    assert ["planned behind" in each.summary for each in told(quiet)] == [False]
    monkeypatch.undo()
    # And of the posts as soon as they can be counted.
    assert ["A post is planned behind" in each.summary for each in told(quiet)] == [True]


def test_a_connection_made_again_begins_anew_and_what_is_over_then_is_not_told(quiet: Stage) -> None:
    end_in(quiet, 6 * DAY)
    assert len(told(quiet)) == 1
    with quiet.database.transaction(WORKSPACE) as tx:
        pair = account_store.read_tokens(tx, quiet.ledger.vault, quiet.account)
    for life, expected in ((365, 0), (20, 0)):
        connect_again(quiet, TokenPair("access", NOW + DAY, pair.refresh_token, datetime.now(UTC) + life * DAY))
        assert len(told(quiet)) == expected
    end_in(quiet, 6 * DAY)
    assert len(told(quiet)) == 1


def connect_again(stage: Stage, pair: TokenPair) -> None:
    account = stage.account
    with stage.database.transaction(WORKSPACE) as tx:
        account_store.save_account(
            tx, stage.ledger.vault, workspace_id=WORKSPACE, platform=account.platform,
            platform_account_id=account.platform_account_id, handle=account.handle, display_name="Air",
            scopes=account.scopes, tokens=pair,
        )  # fmt: skip


def test_an_end_that_renewals_move_is_no_danger_to_what_is_planned_behind_it(quiet: Stage) -> None:
    quiet.schedule(in_seconds=25 * DAY.total_seconds())
    for days, expected in ((20, []), (20.01, []), (21, []), (22, [])):
        with quiet.database.transaction(WORKSPACE) as tx:
            pair = account_store.read_tokens(tx, quiet.ledger.vault, quiet.account)
            moved = TokenPair("access", NOW + DAY, pair.refresh_token, datetime.now(UTC) + days * DAY)
            assert account_store.save_tokens(tx, quiet.ledger.vault, quiet.account, pair, moved)
        assert told(quiet) == expected
    # A refresh that leaves the end where it is changes nothing of what was told.
    before = rows(quiet.database, "accounts")[0]["endings_told"]
    with quiet.database.transaction(WORKSPACE) as tx:
        pair = account_store.read_tokens(tx, quiet.ledger.vault, quiet.account)
        assert account_store.save_tokens(tx, quiet.ledger.vault, quiet.account, pair, pair)
    assert rows(quiet.database, "accounts")[0]["endings_told"] == before == [0, 30]


@given(st.lists(st.integers(1, 40 * 24 - 1), min_size=1, max_size=40), st.integers(0, 3))
def test_however_often_it_is_looked_each_stage_is_told_once_at_most(hours: list[int], posts: int) -> None:
    end, known = NOW + 40 * DAY, endings.reached(NOW + 40 * DAY, NOW)
    heard: list[int] = []
    for hour in sorted(hours):
        fresh = endings.to_tell(end, known, posts, NOW + timedelta(hours=hour))
        known |= fresh
        heard += fresh
    assert len(heard) == len(set(heard))
    last = (40 * 24 - max(hours)) / 24
    assert set(heard) == {days for days in endings.STAGES if days >= last} | ({endings.POSTS} if posts else set())
