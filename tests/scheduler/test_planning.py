"""Plans, their slots and their rules, against an oracle that knows zoneinfo only."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import InvalidArgument
from services.scheduler import zones
from services.scheduler.conflicts import Calendar, Rule
from services.scheduler.planning import Blackout, PostingPlan, QuietHours, Slot, checked, slot_instants

NEW_YORK = "America/New_York"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
POST = UUID(int=7)


def at(text: str, zone: str = NEW_YORK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def plan(**fields: Any) -> PostingPlan:
    return PostingPlan(**{"channel": "air", "time_zone": NEW_YORK} | fields)


def daily(*times: str) -> tuple[Slot, ...]:
    return tuple(Slot(day, time.fromisoformat(each)) for day in range(7) for each in times)


def quiet(start: str, end: str, *weekdays: int) -> QuietHours:
    return QuietHours(frozenset(weekdays), time.fromisoformat(start), time.fromisoformat(end))


def calendar(of: PostingPlan, *posts: datetime, earliest: datetime = LONG_AGO, everyone: Any = None) -> Calendar:
    plans = {each.channel: each for each in (of, everyone) if each}
    return Calendar("air", plans, [(each, POST) for each in posts], earliest)


def broken(of: Calendar, instant: datetime) -> list[Rule]:
    found = [each.rule for each in of.conflicts(instant)]
    assert of.fits(instant) == (not found)
    return found


@pytest.mark.parametrize(
    ("clock", "is_quiet"),
    # 22:00 to 07:00, from Friday only.
    [
        ("2027-01-08T21:59:59", False),
        ("2027-01-08T22:00:00", True),
        ("2027-01-09T06:59:59", True),
        ("2027-01-09T07:00:00", False),
        ("2027-01-08T06:00:00", False),
        ("2027-01-09T23:00:00", False),
    ],
)
def test_quiet_hours_go_through_midnight_and_belong_to_the_day_on_which_they_begin(clock: str, is_quiet: bool) -> None:
    rules = calendar(plan(quiet_hours=(quiet("22:00", "07:00", 4),)))
    assert broken(rules, at(clock)) == ([Rule.QUIET_HOURS] if is_quiet else [])


def test_quiet_hours_are_of_the_clock_also_when_it_is_changed() -> None:
    # On 14 March 2027 02:00 is followed by 03:00, on 7 November 02:00 by 01:00.
    rules = calendar(plan(quiet_hours=(quiet("01:30", "03:00"),)))
    assert broken(rules, datetime(2027, 3, 14, 6, 59, tzinfo=UTC)) == [Rule.QUIET_HOURS]  # 01:59
    assert broken(rules, datetime(2027, 3, 14, 7, 0, tzinfo=UTC)) == []  # 03:00
    assert broken(rules, datetime(2027, 11, 7, 5, 45, tzinfo=UTC)) == [Rule.QUIET_HOURS]  # 01:45, the first
    assert broken(rules, datetime(2027, 11, 7, 6, 15, tzinfo=UTC)) == []  # 01:15, the second
    assert broken(rules, datetime(2027, 11, 7, 6, 45, tzinfo=UTC)) == [Rule.QUIET_HOURS]  # 01:45, the second


def test_a_whole_day_is_quiet_from_midnight_to_midnight() -> None:
    rules = calendar(plan(quiet_hours=(quiet("00:00", "00:00", 6),)))
    assert broken(rules, at("2027-01-09T23:59:59")) == []
    assert broken(rules, at("2027-01-10T00:00:00")) == [Rule.QUIET_HOURS]
    assert broken(rules, at("2027-01-10T23:59:59")) == [Rule.QUIET_HOURS]
    assert broken(rules, at("2027-01-11T00:00:00")) == []


def test_the_nearest_free_times_are_named_with_the_post_that_is_in_the_way() -> None:
    rules = calendar(
        plan(min_gap=timedelta(hours=2), quiet_hours=(quiet("15:30", "20:00"),)),
        at("2027-01-04T12:00"),
        at("2027-01-04T15:00"),
    )
    (conflict,) = rules.conflicts(at("2027-01-04T13:00"))
    assert (conflict.rule, conflict.field, conflict.other_post_id) == (Rule.MIN_GAP, "local_time", POST)
    # 14:00 is too near to 15:00, and 17:00 is quiet.
    assert conflict.message == (
        "Channel air: posts are at least 2 h apart, and there is one at 2027-01-04 12:00 (America/New_York)."
        " The nearest free time(s): 2027-01-04 10:00."
    )
    assert broken(rules, at("2027-01-04T10:00")) == []


def test_a_time_that_is_over_is_named_to_nobody() -> None:
    rules = calendar(plan(min_gap=timedelta(hours=2)), at("2027-01-04T12:00"), earliest=at("2027-01-04T10:30"))
    (conflict,) = rules.conflicts(at("2027-01-04T11:00"))
    assert conflict.message.endswith("The nearest free time(s): 2027-01-04 14:00.")


def test_a_day_is_that_of_the_plans_zone() -> None:
    rules = calendar(plan(daily_cap=1), at("2027-01-04T23:30"))
    assert broken(rules, at("2027-01-04T00:00")) == [Rule.DAILY_CAP]
    # The same day in UTC.
    assert broken(rules, at("2027-01-05T00:00")) == []


def test_a_blackout_is_of_days_of_the_zone_of_the_plan_that_says_it() -> None:
    everyone = plan(
        channel="", time_zone="Asia/Tokyo", blackouts=(Blackout(date(2027, 1, 5), date(2027, 1, 6), "Move"),)
    )
    rules = calendar(plan(), everyone=everyone)
    assert broken(rules, at("2027-01-04T09:59:59")) == []
    (conflict,) = rules.conflicts(at("2027-01-04T10:00"))  # midnight in Tokyo
    assert conflict.message == (
        "Nothing goes out on 2027-01-05 to 2027-01-06 (Move) (Asia/Tokyo). Choose a day before, or from 2027-01-07 on."
    )
    assert broken(rules, at("2027-01-06T10:00")) == []


def test_a_channel_without_a_plan_keeps_that_of_the_workspace_and_one_with_a_plan_only_its_blackouts() -> None:
    everyone = plan(channel="", daily_cap=1, quiet_hours=(quiet("00:00", "08:00"),))
    own = calendar(plan(), at("2027-01-04T12:00"), everyone=everyone)
    assert broken(own, at("2027-01-04T07:00")) == []
    without = Calendar("water", {"": everyone}, [(at("2027-01-04T12:00"), POST)], LONG_AGO)
    assert broken(without, at("2027-01-04T07:00")) == [Rule.QUIET_HOURS, Rule.DAILY_CAP]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"slots": (*daily("08:00"), Slot(6, time(8)))}, {"plan.slots[7].local_time": "SLOT_REPEATED"}),
        (
            {"slots": (Slot(0, time(6, 59)), Slot(0, time(7))), "quiet_hours": (quiet("22:00", "07:00", 6),)},
            {"plan.slots[0].local_time": "SLOT_IN_QUIET_HOURS"},
        ),
        # The week is a circle.
        (
            {"slots": (Slot(6, time(23, 30)), Slot(0, time(0, 15))), "min_gap": timedelta(hours=1)},
            {"plan.slots[1].local_time": "SLOTS_TOO_CLOSE"},
        ),
        ({"slots": daily("08:00", "12:00"), "daily_cap": 1}, {"plan.daily_cap": "SLOTS_OVER_CAP"}),
        ({"channel": "", "slots": daily("08:00")}, {"plan.slots": "SLOTS_WITHOUT_CHANNEL"}),
        ({"time_zone": "EST"}, {"plan.time_zone": ""}),
        (
            {"blackouts": (Blackout(date(2027, 1, 2), date(2027, 1, 1), ""),), "slots": (Slot(0, time(8)),) * 2},
            {"plan.slots[1].local_time": "SLOT_REPEATED", "plan.blackouts[0].last_date": "BLACKOUT_INVALID"},
        ),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused_with_every_fault_by_its_field(
    fields: dict[str, Any], faults: dict[str, str]
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        checked(plan(**fields))
    assert {each.field: each.reason for each in refused.value.violations} == faults
    first = next(iter(faults.values()))
    assert refused.value.reason == (first or "TIME_ZONE_UNKNOWN")


def test_a_plan_of_one_slot_a_week_may_have_a_gap_of_a_week() -> None:
    assert checked(plan(slots=(Slot(2, time(14)),), min_gap=timedelta(days=7)))


def test_a_slot_that_the_clock_jumps_over_is_after_the_gap_and_one_that_comes_twice_is_the_first() -> None:
    slots = plan(slots=daily("02:30", "03:30", "01:30"))
    spring = list(slot_instants(slots, at("2027-03-14T00:00"), at("2027-03-15T00:00")))
    # 02:30 is 03:30 on that day: one instant.
    assert spring == [datetime(2027, 3, 14, 6, 30, tzinfo=UTC), datetime(2027, 3, 14, 7, 30, tzinfo=UTC)]
    autumn = list(slot_instants(slots, at("2027-11-07T00:00"), at("2027-11-08T00:00")))
    assert autumn[0] == datetime(2027, 11, 7, 5, 30, tzinfo=UTC)
    assert len(autumn) == 3


def test_a_slot_in_a_gap_before_midnight_comes_after_the_first_ones_of_the_next_day() -> None:
    # In Nuuk 23:00 on Saturday 27 March 2027 is followed by midnight.
    nuuk = plan(time_zone="America/Nuuk", slots=(Slot(5, time(23, 30)), Slot(6, time(0, 15))))
    found = slot_instants(nuuk, at("2027-03-27T12:00", "UTC"), at("2027-03-28T12:00", "UTC"))
    shown = [each.astimezone(ZoneInfo("America/Nuuk")).replace(tzinfo=None) for each in found]
    assert shown == [datetime(2027, 3, 28, 0, 15), datetime(2027, 3, 28, 0, 30)]


ZONES = sorted(zones.names())


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone, and an instant that is mostly a few days before a change of its clock."""
    zone = draw(st.sampled_from(ZONES))
    at: int = draw(st.integers(0, 12 * 365 * 1440))
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=at)
    changes = zones.changes(zone, start, start + timedelta(days=400))
    near: int = draw(st.integers(0, 3))
    if changes and near:
        before: int = draw(st.integers(0, 4 * 1440))
        start = changes[0].instant - timedelta(minutes=before)
    return zone, start


quarters = st.integers(0, 95).map(lambda number: time(number // 4, number % 4 * 15))
week = st.integers(0, 6)
a_slot = st.builds(Slot, week, quarters)


@st.composite
def busy_channels(draw: st.DrawFn) -> tuple[PostingPlan, datetime, list[datetime]]:
    """Any plan, consistent or not, a moment, and posts around it."""
    zone, start = draw(moments())
    today = start.date()
    blackout = st.tuples(st.integers(-2, 8), st.integers(0, 2)).map(
        lambda ends: Blackout(today + ends[0] * DAY, today + (ends[0] + ends[1]) * DAY, "")
    )
    made = PostingPlan(
        "air",
        zone,
        tuple(draw(st.lists(a_slot, min_size=1, max_size=20, unique=True))),
        tuple(draw(st.lists(st.builds(QuietHours, st.frozensets(week, max_size=3), quarters, quarters), max_size=2))),
        timedelta(minutes=draw(st.sampled_from([0, 0, 30, 90, 360, 1500]))),
        draw(st.integers(0, 4)),
        tuple(draw(st.lists(blackout, max_size=2))),
    )
    posts = draw(st.lists(st.integers(-2 * 1440, 10 * 1440), max_size=8))
    return made, start, [start.replace(second=0, microsecond=0) + each * MINUTE for each in posts]


def oracle(of: PostingPlan, instant: datetime, posts: list[datetime]) -> bool:
    """Whether one more post keeps every rule, asked in the plainest way."""
    zone = ZoneInfo(of.time_zone)
    local = instant.astimezone(zone)
    if any(each.first <= local.date() <= each.last for each in of.blackouts):
        return False
    for hours in of.quiet_hours:
        for begins in (local.date() - DAY, local.date()):
            start = datetime.combine(begins, hours.start)
            end = datetime.combine(begins if hours.end > hours.start else begins + DAY, hours.end)
            on_that_day = not hours.weekdays or begins.weekday() in hours.weekdays
            if on_that_day and start <= local.replace(tzinfo=None, fold=0) < end:
                return False
    if any(abs(each - instant) < of.min_gap for each in posts):
        return False
    same_day = [each for each in posts if each.astimezone(zone).date() == local.date()]
    return not of.daily_cap or len(same_day) < of.daily_cap


@settings(max_examples=300, deadline=None)
@given(busy_channels())
def test_slots_come_in_order_each_once_at_their_clock_time_over_every_change(
    channel: tuple[PostingPlan, datetime, list[datetime]],
) -> None:
    made, start, _ = channel
    end = start + 10 * DAY
    zone = ZoneInfo(made.time_zone)
    found = list(slot_instants(made, start, end))
    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(start <= each < end for each in found)
    wanted = set()
    day = start.astimezone(zone).date() - 2 * DAY
    while day < end.date() + 3 * DAY:
        for slot in made.slots:
            if slot.weekday == day.weekday():
                # What zoneinfo makes of the first of two, and, in a gap, of the time by the clock before it.
                wanted.add(datetime.combine(day, slot.local_time, zone).astimezone(UTC))
        day += DAY
    assert set(found) == {each for each in wanted if start <= each < end}


@settings(max_examples=300, deadline=None)
@given(busy_channels())
def test_the_queue_takes_the_first_slot_that_keeps_every_rule_and_never_another(
    channel: tuple[PostingPlan, datetime, list[datetime]],
) -> None:
    made, start, posts = channel
    rules = calendar(made, *posts)
    taken = list(posts)
    before = start
    for instant in slot_instants(made, start, start + 12 * DAY):
        is_free = rules.post_at(instant) is None and not rules.conflicts(instant)
        assert rules.fits(instant) == (not rules.conflicts(instant))
        assert is_free == (instant not in taken and oracle(made, instant, taken))
        assert instant >= before
        before = instant
        if is_free:
            rules.add(instant, POST)
            taken.append(instant)


@settings(max_examples=200, deadline=None)
@given(busy_channels(), st.integers(0, 8 * 1440))
def test_every_time_that_a_refusal_names_is_accepted(
    channel: tuple[PostingPlan, datetime, list[datetime]], minutes: int
) -> None:
    made, start, posts = channel
    if not posts:
        return
    instant = start.replace(second=0, microsecond=0) + minutes * MINUTE
    rules = calendar(made, *posts)
    for conflict in rules.conflicts(instant):
        if conflict.rule is Rule.MIN_GAP and "nearest" in conflict.message:
            named = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", conflict.message.partition("nearest")[2])
            assert named
            for each in named:
                clock = datetime.fromisoformat(each)
                # A time that comes twice may be meant either way.
                meant = {zones.instant_at(clock, made.time_zone, fold) for fold in (0, 1)}
                assert any(oracle(made, instant, posts) for instant in meant)


@settings(max_examples=100, deadline=None)
@given(busy_channels(), st.data())
def test_what_is_taken_out_of_a_calendar_leaves_no_trace(
    channel: tuple[PostingPlan, datetime, list[datetime]], data: st.DataObject
) -> None:
    made, start, posts = channel
    rules = calendar(made, *posts)
    other = start.replace(second=0, microsecond=0) + data.draw(st.integers(0, 8 * 1440)) * MINUTE
    rules.add(other, UUID(int=8))
    rules.remove(other, UUID(int=8))
    plain = calendar(made, *posts)
    for instant in slot_instants(made, start, start + 8 * DAY):
        assert rules.conflicts(instant) == plain.conflicts(instant)
