"""What will not go out in the coming days, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.publisher.domain import Account, AccountLimits, AccountState, MediaRef, Options, Platform
from services.publisher.forecast import Foreseen, foresee, last_token_end
from services.publisher.obstacles import Cause, Facts, Upcoming
from services.publisher.platforms.base import MediaFile, unreadable
from services.publisher.quotas import DAY, Quotas, Uses
from tests.publisher.factories import WORKSPACE, an_account

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
VIDEO = MediaFile("v", "video/mp4", 300_000, 1080, 1920, "mp4", "h264", 30_000, 15_000, "yuv420p", unreadable)
REF = MediaRef("v", "0" * 64, "video/mp4")
PUBLIC: dict[str, Options] = {"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}}
PRIVATE: dict[str, Options] = {"tiktok": {"privacy_level": "SELF_ONLY"}}
LIMITS = AccountLimits(600, ("PUBLIC_TO_EVERYONE", "SELF_ONLY"))
HOUR = timedelta(hours=1)
# Its token was given an hour ago, and is good for a day; its authorisation has no end.
AIR = replace(
    an_account(), access_expire_time=NOW + 23 * HOUR, grant_time=NOW - HOUR, limits=LIMITS, limits_time=NOW - HOUR
)


def a_post(in_hours: float = 1, account: Account = AIR, **changes: Any) -> Upcoming:
    time = NOW + in_hours * HOUR
    post = Upcoming(
        workspace_id=WORKSPACE,
        delivery_id=uuid4(),
        post_id=uuid4(),
        account_id=account.account_id,
        schedule_time=time,
        due_time=time,
        caption="Air fryer fries",
        media=(REF,),
        options=PUBLIC,
    )
    return replace(post, **changes)


def facts(*accounts: Account, quotas: Quotas | None = None, **changes: Any) -> Facts:
    known = accounts or (AIR,)
    found = Facts(
        {each.account_id: each for each in known},
        {"v": ("0" * 64, VIDEO)},
        {Platform.TIKTOK: quotas or Quotas()},
        lead=timedelta(seconds=20),
    )
    return replace(found, **changes)


def reasons(found: list[Foreseen]) -> list[tuple[Cause, str]]:
    return [(each.cause, each.reason) for each in found]


def test_what_nothing_stands_in_the_way_of_is_not_mentioned() -> None:
    assert foresee([a_post(hour) for hour in range(24 * 14)], facts(), NOW) == []


@pytest.mark.parametrize(
    ("account", "cause", "reason"),
    [
        (replace(AIR, account_id=uuid4()), Cause.ACCOUNT, "ACCOUNT_NOT_FOUND"),
        (
            replace(AIR, state=AccountState.AUTHORIZATION_LOST, problem="TikTok revoked it. Connect it again."),
            Cause.ACCOUNT,
            "AUTHORIZATION_LOST",
        ),
        (replace(AIR, platform=Platform.BULLETIN), Cause.ACCOUNT, "PLATFORM_NOT_CONFIGURED"),
        (replace(AIR, limits=replace(LIMITS, longest_video_seconds=10)), Cause.MEDIA, "DURATION_CHECK_FAILED"),
        (
            replace(AIR, limits=replace(LIMITS, privacy_levels=("SELF_ONLY",))),
            Cause.CONTENT,
            "TIKTOK_PRIVACY_LEVEL_GONE",
        ),
    ],
)
def test_an_account_that_cannot_take_a_post_is_foreseen(account: Account, cause: Cause, reason: str) -> None:
    known = facts() if reason == "ACCOUNT_NOT_FOUND" else facts(account)
    found = foresee([a_post(account=account)], known, NOW)
    assert (cause, reason) in reasons(found)
    assert found[0].delayed_until is None


@pytest.mark.parametrize(
    ("change", "cause", "reason"),
    [
        ({"media": (replace(REF, media_asset_id="gone"),)}, Cause.MEDIA, "MEDIA_MISSING"),
        ({"media": (replace(REF, sha256="1" * 64),)}, Cause.MEDIA, "MEDIA_CHANGED"),
        ({"media": ()}, Cause.MEDIA, "VIDEO_MISSING"),
        ({"caption": "a" * 2201}, Cause.CONTENT, "CAPTION_TOO_LONG"),
        ({"options": {}}, Cause.CONTENT, "PRIVACY_LEVEL_MISSING"),
        ({"is_approved": False}, Cause.APPROVAL, "NOT_APPROVED"),
        ({"hold_cause": "PAUSE", "hold_reason": "Stock is out."}, Cause.PAUSE, "HELD_PAUSE"),
        ({"hold_cause": "ACCOUNT", "hold_reason": "It is banned."}, Cause.ACCOUNT, "HELD_ACCOUNT"),
        ({"needs_person": True, "failure_reason": "TOO_LATE"}, Cause.DECISION, "TOO_LATE"),
        (
            {"held_cause": "APPROVAL", "needs_person": True, "is_approved": False, "failure_reason": "HELD_APPROVAL"},
            Cause.APPROVAL,
            "NOT_APPROVED",
        ),
        ({"held_cause": "CRASHES", "failure_reason": "WORKER_CRASHED"}, Cause.DECISION, "WORKER_CRASHED"),
    ],
)
def test_what_stands_in_the_way_of_a_post_is_foreseen(change: dict[str, Any], cause: Cause, reason: str) -> None:
    good, bad = a_post(1), a_post(2, **change)
    found = foresee([good, bad], facts(), NOW)
    assert reasons(found) == [(cause, reason)]
    assert found[0].upcoming is bad
    assert "2027-01-04 14:00 UTC" in found[0].message


def test_what_has_just_been_approved_goes_out() -> None:
    assert foresee([a_post(held_cause="APPROVAL", needs_person=True)], facts(), NOW) == []


def test_an_open_incident_is_not_foreseen_to_last() -> None:
    assert foresee([a_post(hold_cause="INCIDENT", held_cause="INCIDENT")], facts(), NOW) == []


def test_each_cause_is_told_once_with_all_that_it_says() -> None:
    post = a_post(caption="a" * 2201, options={}, is_approved=False)
    found = foresee([post], facts(), NOW)
    assert [each.cause for each in found] == [Cause.APPROVAL, Cause.CONTENT]
    assert "2200" in found[1].message
    assert "privacy" in found[1].message.lower() or "who sees" in found[1].message


def test_found_failures_are_in_the_order_of_their_times() -> None:
    found = foresee([a_post(hour, is_approved=False) for hour in (5, 1, 3)], facts(), NOW)
    assert [each.upcoming.schedule_time for each in found] == [NOW + hour * HOUR for hour in (1, 3, 5)]


# ---- quotas


def test_the_sixteenth_post_of_a_day_waits_for_the_first_to_leave_it() -> None:
    posts = [a_post(1 + number / 4) for number in range(16)]
    (late,) = foresee(posts, facts(quotas=Quotas(posts_per_day=15)), NOW)
    # Twenty hours are longer than its rule allows.
    assert (late.upcoming, late.cause, late.reason) == (posts[15], Cause.QUOTA, "DAILY_CAP_REACHED")
    assert late.delayed_until is None
    assert "waits for your decision" in late.message
    patient = replace(posts[15], max_lateness=timedelta(days=2))
    (late,) = foresee([*posts[:15], patient], facts(quotas=Quotas(posts_per_day=15)), NOW)
    assert late.delayed_until == posts[0].schedule_time + DAY


def test_what_was_published_before_now_counts() -> None:
    used = {Platform.TIKTOK: Uses({AIR.account_id: [NOW - 23 * HOUR, NOW - 22.5 * HOUR, NOW - 40 * HOUR]})}
    known = facts(quotas=Quotas(posts_per_day=2), uses=used)
    (late,) = foresee([a_post(0.5)], known, NOW)
    assert late.delayed_until == NOW - 23 * HOUR + DAY
    assert foresee([a_post(1.1)], known, NOW) == []


def test_what_will_not_go_out_anyway_takes_no_place_of_others() -> None:
    posts = [a_post(1, hold_cause="PAUSE"), a_post(2, caption="a" * 2201), a_post(3), a_post(4)]
    found = foresee(posts, facts(quotas=Quotas(posts_per_day=2)), NOW)
    assert [each.upcoming for each in found] == posts[:2]


def test_a_post_that_was_put_off_takes_the_place_of_one_behind_it() -> None:
    # 13:00 and 14:00 fill the day, so 15:00 goes out a day after the first, and 13:30 of that day after the second.
    posts = [a_post(hours, max_lateness=timedelta(days=3)) for hours in (1, 2, 3, 25.5)]
    found = foresee(posts, facts(quotas=Quotas(posts_per_day=2)), NOW)
    assert [(each.upcoming, each.delayed_until) for each in found] == [
        (posts[2], posts[0].schedule_time + DAY),
        (posts[3], posts[1].schedule_time + DAY),
    ]


def test_a_delay_of_minutes_is_on_time() -> None:
    # The same two times each day: yesterday's post leaves the day a minute later than today's is to go out.
    posts = [a_post(hours) for hours in (1, 2, 25, 26)]
    assert foresee(posts, facts(quotas=Quotas(posts_per_day=2)), NOW) == []


def test_other_accounts_have_a_day_of_their_own() -> None:
    water = replace(AIR, account_id=uuid4())
    posts = [a_post(1), a_post(2, water), a_post(3), a_post(4, water)]
    found = foresee(posts, facts(AIR, water, quotas=Quotas(posts_per_day=1)), NOW)
    assert [each.upcoming for each in found] == [posts[2], posts[3]]


def test_an_application_that_may_have_few_accounts_a_day_keeps_the_others_back() -> None:
    water, fire = (replace(AIR, account_id=uuid4()) for _ in range(2))
    used = Uses({uuid4(): [NOW - 23.5 * HOUR]})
    posts = [a_post(1, AIR), a_post(2, water), a_post(2.5, fire), a_post(3, AIR)]
    known = facts(AIR, water, fire, quotas=Quotas(accounts_per_day=2), uses={Platform.TIKTOK: used})
    (late,) = foresee(posts, known, NOW)
    assert (late.upcoming, late.reason) == (posts[2], "ACTIVE_ACCOUNTS_REACHED")


def test_drafts_fill_the_inbox_and_not_the_day_of_posts() -> None:
    drafts = [a_post(hours, options={"tiktok": {"post_mode": "MEDIA_UPLOAD"}}) for hours in (1, 2, 3)]
    author = replace(AIR, scopes=("video.publish", "video.upload"))
    known = facts(author, quotas=Quotas(posts_per_day=1, drafts_per_day=2))
    (late,) = foresee([*drafts, a_post(4)], known, NOW)
    assert (late.upcoming, late.reason) == (drafts[2], "PENDING_DRAFTS_REACHED")


def test_more_posts_than_an_application_takes_in_a_minute_queue_up() -> None:
    accounts = [replace(AIR, account_id=uuid4()) for _ in range(100)]
    posts = [a_post(1, account) for account in accounts]
    found = foresee(posts, facts(*accounts, quotas=Quotas(posts_per_minute=5)), NOW)
    # Five leave at 13:00, five at 13:01:01, …; the first that are over ten minutes late are the eleventh five.
    assert len(found) == 50
    assert {each.reason for each in found} == {"RATE_REACHED"}
    assert max(each.delayed_until for each in found if each.delayed_until) == NOW + HOUR + 19 * timedelta(seconds=61)


def test_what_the_scheduler_has_put_off_is_late() -> None:
    post = a_post(1, due_time=NOW + 5 * HOUR, failure_reason="TIKTOK_SPAM_RISK_TOO_MANY_POSTS", failure_message="Full.")
    (late,) = foresee([post], facts(), NOW)
    assert (late.cause, late.reason, late.delayed_until) == (
        Cause.QUOTA,
        "TIKTOK_SPAM_RISK_TOO_MANY_POSTS",
        NOW + 5 * HOUR,
    )


@given(st.lists(st.tuples(st.integers(1, 14 * 24 * 60), st.integers(0, 2)), min_size=1, max_size=80), st.integers(1, 5))
def test_what_is_let_go_keeps_the_cap_of_every_24_hours(minutes: list[tuple[int, int]], cap: int) -> None:
    accounts = [replace(AIR, account_id=uuid4()) for _ in range(3)]
    posts = [a_post(minute / 60, accounts[which]) for minute, which in minutes]
    found = {each.upcoming.delivery_id: each for each in foresee(posts, facts(*accounts, quotas=Quotas(cap)), NOW)}
    for account in accounts:
        out = []
        for post in posts:
            if post.account_id == account.account_id:
                late = found.get(post.delivery_id)
                if late is None:
                    out.append(post.schedule_time)
                elif late.delayed_until is not None:
                    out.append(late.delayed_until)
                    assert timedelta(0) < late.delayed_until - post.schedule_time <= post.max_lateness
        for last in out:
            # What is minutes late is on time, so some are a little closer.
            day = timedelta(hours=24) - timedelta(minutes=10)
            assert len([each for each in out if last - day < each <= last]) <= cap


# ---- tokens


def test_an_authorisation_that_ends_lets_nothing_go_out_once_its_last_token_has_ended() -> None:
    # Its token is refreshed at 20 h and would be at 41 h; the one of 20 h is good until 44 h, but for five minutes.
    ending = replace(AIR, renew_time=NOW + 20 * HOUR, authorization_expire_time=NOW + 40 * HOUR)
    posts = [a_post(hours, ending, options=PRIVATE) for hours in (1, 22.5, 39, 43.9, 44, 46, 100)]
    found = foresee(posts, facts(ending), NOW)
    assert [each.upcoming for each in found] == posts[4:]
    assert reasons(found) == [(Cause.TOKEN, "TOKEN_ENDS")] * 3
    assert found[0].message == (
        "The authorisation of @emberfold.air ends on 2027-01-06 04:00 UTC, before this and 2 more of its posts go out."
        " Connect the account again before."
    )


def test_of_each_account_its_own_posts_are_counted() -> None:
    ending = [replace(AIR, account_id=uuid4(), authorization_expire_time=NOW + 24 * HOUR) for _ in range(2)]
    found = foresee([a_post(99, ending[0]), a_post(99, ending[1]), a_post(100, ending[1])], facts(*ending), NOW)
    assert sorted("1 more" in each.message for each in found) == [False, True, True]


def test_a_token_without_an_end_never_stands_in_the_way() -> None:
    assert last_token_end(replace(AIR, access_expire_time=datetime(9999, 1, 1, tzinfo=UTC)), NOW) is None


@given(
    life=st.integers(30, 60 * 24 * 8),
    lead=st.integers(5, 60 * 24),
    left=st.integers(-60 * 24, 60 * 24 * 8),
    end=st.integers(1, 60 * 24 * 40),
)
def test_the_end_of_the_last_token_is_what_refreshing_one_after_the_other_comes_to(
    life: int, lead: int, left: int, end: int
) -> None:
    minute = timedelta(minutes=1)
    lead, left = min(lead, life // 2), min(left, life)
    account = replace(
        AIR,
        access_expire_time=NOW + left * minute,
        grant_time=NOW + (left - life) * minute,
        renew_time=NOW + (left - lead) * minute,
        authorization_expire_time=NOW + end * minute,
    )
    access_end, renewal = left, max(0, left - lead)
    while renewal < end:
        access_end, renewal = renewal + life, renewal + life - lead
    assert last_token_end(account, NOW) == NOW + max(end, access_end - 5) * minute


def test_a_post_that_is_put_off_until_after_the_end_fails_by_it() -> None:
    ending = replace(AIR, authorization_expire_time=NOW + 3 * HOUR, access_expire_time=NOW + 4 * HOUR)
    posts = [a_post(1, ending), a_post(2, ending, max_lateness=timedelta(days=2))]
    found = foresee(posts, facts(ending, quotas=Quotas(posts_per_day=1)), NOW)
    assert [(each.upcoming, each.cause) for each in found] == [(posts[1], Cause.TOKEN)]
