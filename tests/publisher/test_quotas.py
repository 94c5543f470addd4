"""When there is room for one more post."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.publisher.quotas import DAY, Quotas, Uses, free_at

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
HOURS = st.lists(st.integers(0, 14 * 24 * 60), min_size=1, max_size=80).map(sorted)


def test_a_cap_of_none_and_a_day_with_room_let_go_at_once() -> None:
    assert free_at([NOW] * 5, 0, DAY, NOW) == NOW
    assert free_at([NOW - timedelta(hours=1)] * 2, 3, DAY, NOW) == NOW


def test_a_full_day_has_room_when_its_first_post_leaves_it() -> None:
    uses = [NOW - timedelta(hours=hours) for hours in (30, 20, 10)]
    # Of the three only two are of the last day.
    assert free_at(uses, 3, DAY, NOW) == NOW
    assert free_at(uses, 2, DAY, NOW) == NOW - timedelta(hours=20) + DAY


@given(HOURS, st.integers(1, 15))
def test_no_24_hours_see_more_than_the_cap_and_nobody_waits_without_need(minutes: list[int], cap: int) -> None:
    uses, quotas = Uses(), Quotas(posts_per_day=cap)
    left: list[datetime] = []
    for minute in minutes:
        wanted = max(NOW + timedelta(minutes=minute), left[-1] if left else NOW)
        free, _ = uses.room(quotas, "air", wanted)
        uses.add("air", free)
        left.append(free)
        if free > wanted:
            # A moment sooner the day was full.
            before = free - timedelta(microseconds=1)
            assert len([each for each in left[:-1] if before - DAY < each <= before]) == cap
    for last in left:
        assert len([each for each in left if last - DAY < each <= last]) <= cap


@given(st.lists(st.tuples(st.integers(0, 3 * 24 * 60), st.integers(0, 7)), min_size=1, max_size=60), st.integers(1, 4))
def test_no_24_hours_see_more_accounts_than_the_application_may_have(posts: list[tuple[int, int]], cap: int) -> None:
    uses, quotas = Uses(), Quotas(accounts_per_day=cap)
    left: list[tuple[datetime, int]] = []
    for minute, account in sorted(posts):
        wanted = max(NOW + timedelta(minutes=minute), left[-1][0] if left else NOW)
        free, reason = uses.room(quotas, account, wanted)
        assert free == wanted or reason == "ACTIVE_ACCOUNTS_REACHED"
        uses.add(account, free)
        left.append((free, account))
    for last, _ in left:
        assert len({account for time, account in left if last - DAY < time <= last}) <= cap


def test_an_account_that_has_posted_today_takes_no_other_place() -> None:
    uses = Uses({"air": [NOW - timedelta(hours=3)], "water": [NOW - timedelta(hours=2)]})
    quotas = Quotas(accounts_per_day=2)
    assert uses.room(quotas, "air", NOW)[0] == NOW
    assert uses.room(quotas, "fire", NOW) == (NOW - timedelta(hours=3) + DAY, "ACTIVE_ACCOUNTS_REACHED")
