"""Recurrence rules against dateutil on naive times and zoneinfo."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import InvalidArgument
from services.scheduler import recurrence, rule_text, zones
from services.scheduler.recurrence import Recurrence, RuleKind
from services.scheduler.zones import GapRule

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
START = datetime(2027, 1, 5, 14)  # a Tuesday
NY = "America/New_York"


def rule(text: str, start: datetime = START, zone: str = NY, until: datetime | None = None) -> Recurrence:
    kind = RuleKind.RRULE if "FREQ" in text else RuleKind.CRON
    return Recurrence(kind, text, start, zone, until)


def first(rule: Recurrence, count: int = 5, start: datetime | None = None) -> list[datetime]:
    return list(islice(recurrence.occurrences(rule, start or rule.start_time), count))


WEEKDAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, max_size=4, unique=True)


def numbers(low: int, high: int, most: int = 3) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high).filter(bool), min_size=1, max_size=most, unique=True)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Rules that have times: without days that no month has."""
    freq = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"]))
    parts = {"FREQ": freq, "INTERVAL": draw(st.integers(1, 5))}
    optional: dict[str, st.SearchStrategy[object]] = {
        "BYMONTH": numbers(1, 12, 6),
        "BYHOUR": numbers(0, 23),
        "BYMINUTE": numbers(0, 59, 2) if freq != "HOURLY" else numbers(0, 59, 1),
        "BYDAY": WEEKDAYS,
        "WKST": st.sampled_from(["MO", "SU", "WE"]),
    }
    if freq in ("YEARLY", "MONTHLY"):
        optional["BYDAY"] = st.one_of(WEEKDAYS, st.sampled_from([["1MO"], ["-1FR"], ["2TU", "-1SU"]]))
    if freq != "WEEKLY":
        optional["BYMONTHDAY"] = numbers(-28, 28)
    for name in draw(st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=4)):
        parts[name] = draw(optional[name])
    if "BYDAY" in parts and freq != "HOURLY" and draw(st.booleans()):
        parts["BYSETPOS"] = draw(st.sampled_from([1, -1]))
    if draw(st.booleans()):
        parts["COUNT"] = draw(st.integers(1, 40))
    elif draw(st.booleans()):
        parts["UNTIL"] = draw(st.datetimes(START, START + timedelta(days=900))).strftime("%Y%m%dT%H%M%S")
    return ";".join(
        f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}" for name, value in parts.items()
    )


HORIZON = timedelta(days=500)


def by_dateutil(text: str, start: datetime) -> list[datetime]:
    """What dateutil says up to the horizon. Its weeks begin at the start: with BYSETPOS that is another set."""
    try:
        anchor = start
        if "WEEKLY" in text and "BYSETPOS" in text:
            parts = rule_text.parse(text)
            anchor -= timedelta(days=(start.weekday() - parts.wkst) % 7)
            count, text = parts.count, ";".join(each for each in text.split(";") if not each.startswith("COUNT"))
            text += "".join(
                f";BY{unit}={number}"
                for unit, number in (("HOUR", start.hour), ("MINUTE", start.minute))
                if f"BY{unit}" not in text
            )
            found = (each for each in rrulestr(text, dtstart=anchor.replace(hour=0, minute=0)) if each >= start)
            return list(takewhile(lambda each: each < start + HORIZON, islice(found, count)))
        return list(takewhile(lambda each: each < start + HORIZON, rrulestr(text, dtstart=anchor)))
    except ValueError:  # hours that the interval never meets
        return []


STARTS = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)).map(
    lambda each: each.replace(second=0, microsecond=0)
)


@settings(max_examples=200, deadline=None)
@given(rules(), STARTS, st.integers(0, 500))
def test_a_rule_has_the_times_that_dateutil_gives_it_wherever_a_listing_begins(
    text: str, start: datetime, days: int
) -> None:
    expected, late = by_dateutil(text, start), start + timedelta(days=days)
    found = recurrence.occurrences(rule(text, start, "UTC"), late)
    assert list(takewhile(lambda each: each < start + HORIZON, found)) == [each for each in expected if each >= late]


@settings(max_examples=200, deadline=None)
@given(rules(), STARTS, st.integers(0), st.sampled_from(GapRule), st.integers(0, 1))
def test_r10_recurring_times_are_the_instants_of_zoneinfo_in_every_zone(
    text: str, start: datetime, index: int, gap_rule: GapRule, fold: int
) -> None:
    name = sorted(zones.names())[index % len(zones.names())]
    expected = []
    times = by_dateutil(text, start)
    for naive in times:
        aware = naive.replace(tzinfo=ZoneInfo(name), fold=fold)
        shown = aware.astimezone(UTC).astimezone(ZoneInfo(name)).replace(tzinfo=None, fold=0)
        if shown != naive:  # a gap
            aware = aware.replace(fold=0)
            shifted = aware.astimezone(UTC).astimezone(ZoneInfo(name)).replace(tzinfo=None, fold=0)
            if gap_rule is GapRule.SKIP or shifted in times:
                continue
        expected.append(aware.astimezone(UTC))
    series = replace(rule(text, start, name), gap_rule=gap_rule, fold=fold)
    found = takewhile(lambda each: each < start + HORIZON, recurrence.occurrences(series, start))
    assert [zones.schedule_at(each, name, fold).instant for each in found] == expected


@pytest.mark.parametrize("expression", ["0 14 * * tue,thu,sat", "*/30 9-11 * * 1-5", "0 0 L * *", "30 2 1,15 * *"])
def test_a_cron_expression_has_its_wall_clock_times_whatever_the_clocks_of_the_zone_do(expression: str) -> None:
    expected = list(islice(CronSim(expression, START - timedelta(seconds=1)), 500))
    assert first(rule(expression), 500) == expected
    late = expected[300]
    assert first(rule(expression), 200, late) == expected[300:]


def test_a_time_in_a_gap_is_at_the_time_after_it_or_left_out() -> None:
    daily = rule("FREQ=DAILY", datetime(2027, 3, 13, 2, 30))
    assert first(daily, 2) == [datetime(2027, 3, 13, 2, 30), datetime(2027, 3, 14, 2, 30)]
    shown = zones.schedule_at(datetime(2027, 3, 14, 2, 30), NY)
    assert (shown.local_time, shown.instant) == (datetime(2027, 3, 14, 3, 30), datetime(2027, 3, 14, 7, 30, tzinfo=UTC))
    skipping = replace(daily, gap_rule=GapRule.SKIP)
    assert first(skipping, 2) == [datetime(2027, 3, 13, 2, 30), datetime(2027, 3, 15, 2, 30)]
    assert not recurrence.has(skipping, datetime(2027, 3, 14, 2, 30))


@pytest.mark.parametrize("text", ["FREQ=HOURLY", "0 * * * *"])
def test_two_times_of_one_rule_are_never_at_one_instant(text: str) -> None:
    hourly = rule(text, datetime(2027, 3, 14, 0))
    assert [each.hour for each in first(hourly, 4)] == [0, 1, 3, 4]


def test_it_begins_with_the_first_time_of_the_rule_and_ends_with_the_last_before_its_end() -> None:
    weekly = rule("FREQ=WEEKLY;BYDAY=TH", until=datetime(2027, 1, 21, 14))
    assert first(weekly) == [datetime(2027, 1, day, 14) for day in (7, 14, 21)]


def test_the_end_of_a_rule_is_a_whole_day_a_wall_clock_time_or_as_calendars_write_it_in_utc() -> None:
    for until, last in (("20270107", 7), ("20270107T140000", 7), ("20270107T135959", 6), ("20270107T190000Z", 7)):
        assert first(rule(f"FREQ=DAILY;UNTIL={until}"))[-1].day == last


@settings(max_examples=100, deadline=None)
@given(rules(), STARTS, st.integers(0, 30))
def test_what_goes_on_from_one_of_its_times_has_the_same_times_from_there_on(
    text: str, start: datetime, index: int
) -> None:
    whole = rule(text, start)
    times = first(whole, 60)
    if times:
        cut = min(index, len(times) - 1)
        rest = recurrence.without_first(whole, times[cut])
        assert first(rest, 60 - cut) == times[cut:]


REFUSED = {
    "FREQ=MINUTELY": "FREQ=MINUTELY is not accepted",
    "FREQ=SECONDLY": "Use one of YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY",
    "FREQ=": "FREQ= is not accepted",
    "INTERVAL=2;FREQ": "'FREQ' is no part of a rule",
    "INTERVAL=2;FREQ=DAILY;FREQ=DAILY": "FREQ comes twice",
    "FREQ=DAILY;INTERVAL=0": "INTERVAL=0: a whole number from 1 to 1000",
    "FREQ=DAILY;COUNT=ten": "COUNT=TEN: a whole number from 1 to 10000",
    "FREQ=DAILY;COUNT=1;UNTIL=20270301": "COUNT and UNTIL do not go together",
    "FREQ=DAILY;UNTIL=20270230": "UNTIL=20270230 is no date",
    "FREQ=DAILY;BYHOUR=24": "BYHOUR=24: a whole number from 0 to 23",
    "FREQ=MONTHLY;BYMONTHDAY=0": "BYMONTHDAY=0: a whole number from 1 to 31, or -1 to -31",
    "FREQ=WEEKLY;BYDAY=XX": "BYDAY=XX is no day",
    "FREQ=WEEKLY;BYDAY=": "BYDAY= is no day",
    "FREQ=WEEKLY;BYDAY=1MO": "only FREQ=MONTHLY and YEARLY count days",
    "FREQ=MONTHLY;BYDAY=6MO": "the number is from 1 to 5",
    "FREQ=HOURLY;BYMINUTE=1;BYSETPOS=1": "BYSETPOS does not go with FREQ=HOURLY",
    "FREQ=WEEKLY;BYMONTHDAY=1": "BYMONTHDAY does not go with FREQ=WEEKLY",
    "FREQ=DAILY;BYSETPOS=1": "BYSETPOS chooses among the times of other BY parts",
    "DTSTART=20270105T140000;FREQ=DAILY": "Its start is start_time",
    "FREQ=DAILY;BYEASTER=1": "'BYEASTER=1' is no part of a rule",
    "0 14 * *": "has 4 fields. A cron expression has five",
    "0 0 14 * * *": "has 6 fields",
    "60 14 * * *": "The minute '60' cannot be",
    "0 14 30 2 *": "The day-of-month '30' cannot be",
    "0 14 * * FUN": "The day-of-week 'FUN' cannot be",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_rule_that_cannot_be_read_is_refused_with_the_part_at_fault(text: str) -> None:
    with pytest.raises(recurrence.RecurrenceInvalid) as refusal:
        recurrence.check(rule(text), NOW)
    assert REFUSED[text] in refusal.value.message
    assert refusal.value.violations[0].field == ("rrule" if "FREQ" in text else "cron")


def test_a_start_that_cannot_be_meant_is_refused() -> None:
    for year in (1969, 2030):
        with pytest.raises(recurrence.RecurrenceInvalid) as refusal:
            recurrence.check(rule("FREQ=DAILY", START.replace(year=year)), NOW)
        assert refusal.value.violations[0].field == "start_time"


BARREN = [
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=5",
    "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2,4,6,9,11",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
    "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
    "FREQ=HOURLY;INTERVAL=2;BYHOUR=13",
    "0 0 31 2 1#5",
]


@pytest.mark.parametrize("text", [*BARREN, "FREQ=DAILY;UNTIL=20270104", "0 0 * 2 MON#5"])
def test_a_rule_without_times_is_refused_and_does_not_hang(text: str) -> None:
    began = time.process_time()
    with pytest.raises(recurrence.RecurrenceEmpty):
        recurrence.check(rule(text), NOW)
    # dateutil alone takes up to six seconds; here it is a tenth.
    assert time.process_time() - began < 1


def test_a_rule_that_is_over_is_refused() -> None:
    with pytest.raises(recurrence.RecurrenceEmpty, match="has no time from 2026-12-01T07:00 on"):
        recurrence.check(rule("FREQ=DAILY", START.replace(year=2026), until=START.replace(year=2026, month=2)), NOW)


@pytest.mark.parametrize(
    "text",
    ["FREQ=HOURLY;BYMINUTE=0,30", "FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=0,10,20,30,40", "* * * * *", "0,30 * 1 6 *"],
)
def test_a_rule_with_more_than_24_times_on_a_day_is_refused(text: str) -> None:
    with pytest.raises(recurrence.RecurrenceTooFrequent, match="At most 24 times a day"):
        recurrence.check(rule(text), NOW)


@pytest.mark.parametrize("text", ["FREQ=HOURLY", "0 * * * *", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"])
def test_what_is_rare_or_hourly_is_taken(text: str) -> None:
    recurrence.check(rule(text), NOW)


def test_a_zone_that_is_unknown_is_refused() -> None:
    with pytest.raises(zones.TimeZoneUnknown):
        recurrence.check(rule("FREQ=DAILY", zone="CET"), NOW)


IN_WORDS = {
    "FREQ=WEEKLY;BYDAY=TU,TH,SA": "every Tuesday, Thursday and Saturday at 14:00 in America/New_York",
    "FREQ=WEEKLY;BYDAY=TU,TH,SA;BYHOUR=9;BYMINUTE=30": (
        "every Tuesday, Thursday and Saturday at 09:30 in America/New_York"
    ),
    "FREQ=DAILY;BYHOUR=8,15,19": "every day at 08:00, 15:00 and 19:00 in America/New_York",
    "FREQ=DAILY;INTERVAL=3;COUNT=10": "every 3 days at 14:00 in America/New_York, 10 times",
    "FREQ=WEEKLY;INTERVAL=2;UNTIL=20270331": (
        "every 2 weeks on Tuesday at 14:00 in America/New_York, until 2027-03-31 23:59"
    ),
    "FREQ=DAILY;BYMONTH=6,7": "every day in June and July at 14:00 in America/New_York",
    "FREQ=MONTHLY": "every month on day 5 at 14:00 in America/New_York",
    "FREQ=MONTHLY;BYMONTHDAY=-1": "every month on the last day at 14:00 in America/New_York",
    "FREQ=MONTHLY;BYDAY=-1FR": "every month on the last Friday at 14:00 in America/New_York",
    "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24": "every year on 24 December at 14:00 in America/New_York",
    "FREQ=HOURLY;INTERVAL=6": "every 6 hours at minute 0 in America/New_York",
    "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-1": "by the rule FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-1 in America/New_York",
    "0 14 * * tue,thu,sat": "every Tuesday, Thursday and Saturday at 14:00 in America/New_York",
    "0 9 * * 0,7": "every Sunday at 09:00 in America/New_York",
    "30 8,15 * * *": "every day at 08:30 and 15:30 in America/New_York",
    "0 0 L * *": "at 00:00 on the last day of every month in America/New_York",
}


@pytest.mark.parametrize("text", IN_WORDS)
def test_a_rule_is_said_in_words(text: str) -> None:
    assert recurrence.describe(rule(text)) == IN_WORDS[text]


def test_the_words_name_the_end() -> None:
    said = recurrence.describe(rule("FREQ=DAILY", until=datetime(2027, 3, 31, 18)))
    assert said == "every day at 14:00 in America/New_York, until 2027-03-31 18:00"


@st.composite
def wild_rules(draw: st.DrawFn) -> str:
    """Rules that are well-formed, at least nearly, and mostly make no sense."""
    one_day = st.from_regex(r"([+-]?[1-5]?[0-9])?(MO|WE|SU)", fullmatch=True)
    values: dict[str, st.SearchStrategy[list[Any]]] = {
        **{name: numbers(low, high) for name, (low, high) in rule_text._RANGES.items()},
        "BYDAY": st.lists(one_day, min_size=1, max_size=2),
        "INTERVAL": numbers(1, 1000, 1),
        "COUNT": numbers(1, 10_000, 1),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(values)), unique=True, max_size=6))
    parts = [f"{name}={','.join(map(str, draw(values[name])))}" for name in chosen]
    return ";".join([f"FREQ={draw(st.sampled_from(rule_text.Freq)).value}", *parts])


@settings(max_examples=500, deadline=None)
@given(st.one_of(wild_rules(), st.text(max_size=30), st.text("FREQDAILYBY=;,0123456789*/-LW# ", max_size=40)))
def test_whatever_is_given_is_taken_and_said_or_refused_with_a_field_and_does_not_hang(text: str) -> None:
    began = time.process_time()
    for kind in RuleKind:
        given_rule = Recurrence(kind, text, START, NY)
        fields = {""}
        try:
            recurrence.check(given_rule, NOW)
        except InvalidArgument as refusal:
            fields = {each.field for each in refusal.violations}
        else:
            assert recurrence.describe(given_rule)
            assert first(given_rule, 1)
        assert fields in ({""}, {kind.field})
    assert time.process_time() - began < 2
