"""Wall-clock times against zoneinfo, over every zone and every change of a clock from 2024 to 2035."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import InvalidArgument
from services.scheduler import zones
from services.scheduler.domain import AmbiguousTime

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
CALENDAR = Path(__file__).parent.parent / "gateway" / "calendars" / "samples" / "brand_q1.expected_utc.csv"


@cache
def changes() -> tuple[zones.Change, ...]:
    """Every change of every zone, found day by day."""
    return tuple(change for name in sorted(zones.names()) for change in changes_of(name))


def changes_of(name: str) -> list[zones.Change]:
    zone, found, low = ZoneInfo(name), [], FIRST
    before = offset(low, zone)
    while low < LAST:
        high = low + DAY
        after = offset(high, zone)
        if after != before:
            early, late = low, high
            while late - early > SECOND:
                middle = early + timedelta(seconds=(late - early) // SECOND // 2)
                early, late = (middle, late) if offset(middle, zone) == before else (early, middle)
            found.append(zones.Change(name, late, before, after))
        low, before = high, after
    return found


def offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    found = instant.astimezone(zone).utcoffset()
    assert found is not None
    return found


def resolve(naive: datetime, zone: str, ambiguous: AmbiguousTime | None = None) -> datetime:
    now = naive.replace(tzinfo=UTC) - timedelta(days=30)
    return zones.resolve(naive.isoformat(), zone, ambiguous, now).instant


def test_r10_every_change_of_every_zone_from_2024_to_2035_is_met_to_the_second() -> None:
    assert len(changes()) > 4000
    for each in changes():
        zone = each.time_zone
        wall = each.instant.replace(tzinfo=None)
        # The clock is about to show `old` and shows `new`.
        old, new = wall + each.before, wall + each.after
        for naive in (min(old, new) - SECOND, max(old, new)):
            instant = naive.replace(tzinfo=UTC) - (each.before if naive < min(old, new) else each.after)
            assert resolve(naive, zone) == resolve(naive, zone, AmbiguousTime.LATER) == instant, each
        for naive in (min(old, new), min(old, new) + abs(new - old) / 2, max(old, new) - SECOND):
            by_old, by_new = naive.replace(tzinfo=UTC) - each.before, naive.replace(tzinfo=UTC) - each.after
            if new > old:
                for ambiguous in (None, *AmbiguousTime):
                    with pytest.raises(zones.LocalTimeNonexistent, match=f"Use {(naive + (new - old)).isoformat()} "):
                        resolve(naive, zone, ambiguous)
                assert zones.in_gap(naive, zone)
                assert zones.instant_at(naive, zone, 0) == zones.instant_at(naive, zone, 1) == by_old, each
                assert zones.schedule_at(naive, zone).local_time == naive + (new - old)
            else:
                with pytest.raises(zones.LocalTimeAmbiguous):
                    resolve(naive, zone)
                assert resolve(naive, zone, AmbiguousTime.EARLIER) == zones.instant_at(naive, zone, 0) == by_old, each
                assert resolve(naive, zone, AmbiguousTime.LATER) == zones.instant_at(naive, zone, 1) == by_new, each
                assert not zones.in_gap(naive, zone)


def test_the_changes_that_warnings_are_made_of_are_all_that_there_are() -> None:
    found = [each for name in sorted(zones.names()) for each in zones.changes(name, FIRST, LAST)]
    assert found == list(changes())


def showing(naive: datetime, zone: str) -> list[datetime]:
    """The instants, of all, at which a clock of the zone shows that time."""
    about = naive.replace(tzinfo=UTC)
    offsets = {offset(about + timedelta(hours=hours), ZoneInfo(zone)) for hours in (-36, -30, 30, 36)}
    return sorted(
        about - each
        for each in offsets
        if (about - each).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) == naive
    )


@settings(max_examples=5000, deadline=None)
@given(st.integers(0), st.integers(-3 * 3600, 3 * 3600))
def test_r10_whatever_is_accepted_is_what_a_clock_there_shows_and_the_rest_is_refused(index: int, seconds: int) -> None:
    change = changes()[index % len(changes())]
    naive = change.instant.replace(tzinfo=None) + change.before + timedelta(seconds=seconds)
    instants = showing(naive, change.time_zone)
    try:
        assert [resolve(naive, change.time_zone)] == instants
    except zones.LocalTimeNonexistent:
        assert instants == []
    except zones.LocalTimeAmbiguous:
        assert len(instants) == 2
        assert [resolve(naive, change.time_zone, each) for each in AmbiguousTime] == instants


def test_r10_the_instants_of_the_brands_quarter_are_met_to_the_second() -> None:
    with CALENDAR.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 100
    for row in rows:
        meant = zones.resolve(row["local"].replace(" ", "T"), row["timezone"], None, NOW).instant
        assert meant == datetime.fromisoformat(row["utc"]), row["ref"]


@pytest.mark.parametrize(
    ("local_time", "time_zone", "instant"),
    [
        ("2027-01-04T18:00:00", "Europe/Berlin", "2027-01-04T17:00:00+00:00"),  # winter: UTC+1
        ("2027-07-04T18:00", "Europe/Berlin", "2027-07-04T16:00:00+00:00"),  # summer: UTC+2, seconds left out
        ("2027-03-14T02:30:00", "America/Phoenix", "2027-03-14T09:30:00+00:00"),  # no clock change there
        ("2027-03-14T03:05:00", "America/New_York", "2027-03-14T07:05:00+00:00"),  # right after the jump
        ("2027-01-04T18:00:00", "UTC", "2027-01-04T18:00:00+00:00"),
    ],
)
def test_a_wall_clock_time_means_the_instant_of_its_zone(local_time: str, time_zone: str, instant: str) -> None:
    assert zones.resolve(local_time, time_zone, None, NOW).instant == datetime.fromisoformat(instant)


def test_a_time_that_the_clock_jumps_over_is_refused_and_the_next_one_named() -> None:
    with pytest.raises(zones.LocalTimeNonexistent, match="Use 2027-03-14T03:30:00"):
        zones.resolve("2027-03-14T02:30:00", "America/New_York", AmbiguousTime.LATER, NOW)


def test_a_time_that_comes_twice_needs_the_authors_choice() -> None:
    local, zone = "2027-10-31T02:30:00", "Europe/Berlin"
    with pytest.raises(zones.LocalTimeAmbiguous) as refusal:
        zones.resolve(local, zone, None, NOW)
    assert refusal.value.violations[0].field == "ambiguous_time"
    earlier = zones.resolve(local, zone, AmbiguousTime.EARLIER, NOW)
    later = zones.resolve(local, zone, AmbiguousTime.LATER, NOW)
    assert later.instant - earlier.instant == timedelta(hours=1)
    assert (earlier.fold, later.fold) == (0, 1)


@pytest.mark.parametrize(
    ("local_time", "time_zone", "reason"),
    [
        ("2027-01-04T18:00:00", "CET", "TIME_ZONE_UNKNOWN"),
        ("2027-01-04T18:00:00", "+01:00", "TIME_ZONE_UNKNOWN"),
        ("2027-01-04T18:00:00", "Mars/Olympus", "TIME_ZONE_UNKNOWN"),
        ("2027-02-30T18:00:00", "UTC", "LOCAL_TIME_INVALID"),
        ("2027-01-04T18:00:00+01:00", "UTC", "LOCAL_TIME_INVALID"),
        ("9999-12-31T23:59:00", "America/New_York", "LOCAL_TIME_INVALID"),  # the year 10000 in UTC
        ("2026-12-01T11:59:59", "UTC", "SCHEDULE_TIME_IN_PAST"),
        ("2036-01-04T18:00:00", "UTC", "SCHEDULE_TIME_TOO_FAR"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused_with_its_field(local_time: str, time_zone: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        zones.resolve(local_time, time_zone, None, NOW)
    assert refusal.value.reason == reason
    assert refusal.value.violations[0].field == ("time_zone" if "ZONE" in reason else "local_time")


def warning(local_time: str, zone: str, other: str = "") -> str:
    instant = zones.instant_at(datetime.fromisoformat(local_time), zone)
    return zones.local_times(instant, zone, other).warning


NY, BERLIN = "America/New_York", "Europe/Berlin"
AMERICA = f"Clocks in {NY} go forward 1 h on 14 March"
EUROPE = f"Clocks in {BERLIN} go forward 1 h on 28 March: {BERLIN} is 6 h ahead from then on, not 5."


@pytest.mark.parametrize(
    ("local_time", "zone", "other", "warning_text"),
    [
        ("2027-03-07T01:00", NY, BERLIN, ""),
        ("2027-03-09T12:00", NY, BERLIN, f"{AMERICA}: {BERLIN} is 5 h ahead from then until 28 March, not 6."),
        ("2027-03-14T12:00", NY, BERLIN, f"{AMERICA}: {BERLIN} is 5 h ahead until 28 March, not 6."),
        ("2027-03-26T12:00", NY, BERLIN, f"{AMERICA}: {BERLIN} is 5 h ahead until 28 March, not 6. {EUROPE}"),
        ("2027-03-30T12:00", NY, BERLIN, EUROPE),
        ("2027-04-10T12:00", NY, BERLIN, ""),
        ("2027-03-09T12:00", NY, "", f"{AMERICA}."),
        ("2027-03-18T12:00", NY, "", f"{AMERICA}."),
        ("2027-03-23T12:00", NY, NY, ""),
        ("2027-03-15T12:00", NY, "UTC", f"{AMERICA}: UTC is 4 h ahead from then on, not 5."),
        # Both at once, or hours apart: nothing is unusual between them.
        (
            "2027-03-27T12:00",
            BERLIN,
            "Europe/London",
            f"Clocks in {BERLIN} and Europe/London go forward 1 h on 28 March.",
        ),
        ("2027-03-14T12:00", NY, "America/Denver", f"Clocks in {NY} and America/Denver go forward 1 h on 14 March."),
        # In opposite directions, three weeks apart.
        (
            "2027-03-22T12:00",
            NY,
            "Australia/Sydney",
            f"{AMERICA}: Australia/Sydney is 15 h ahead until 4 April, not 16.",
        ),
        # Half an hour, and a zone of quarters.
        (
            "2027-04-05T12:00",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "Clocks in Australia/Lord_Howe go back 30 min on 4 April: Asia/Kathmandu is 4 h 45 min behind from then on,"
            " not 5 h 15 min behind.",
        ),
        # The clock of Morocco goes back for Ramadan.
        (
            "2027-02-20T12:00",
            "Europe/Paris",
            "Africa/Casablanca",
            "Clocks in Africa/Casablanca go back 1 h on 7 February: Africa/Casablanca is 1 h behind until 14 March, not"
            " at the same time.",
        ),
        ("2027-06-01T12:00", "Asia/Tokyo", "Asia/Kolkata", ""),
    ],
)
def test_a_week_of_a_change_says_what_changes_and_how_far_the_zones_are_apart(
    local_time: str, zone: str, other: str, warning_text: str
) -> None:
    assert warning(local_time, zone, other) == warning_text


def test_an_instant_is_shown_as_the_clocks_of_two_zones_show_it() -> None:
    shown = zones.local_times(datetime(2027, 3, 14, 12, tzinfo=UTC), NY, "Asia/Kolkata")
    assert shown.local_time == datetime(2027, 3, 14, 8)
    assert shown.other_local_time == datetime(2027, 3, 14, 17, 30)


def test_the_fingerprint_of_a_zone_is_of_its_rules() -> None:
    assert zones.fingerprint(BERLIN) == zones.fingerprint(BERLIN) != zones.fingerprint(NY)
    assert len({len(zones.fingerprint(name)) for name in zones.names()}) == 1
