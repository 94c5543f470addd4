"""Wall-clock times of any zone: the short way means what the long way means."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.calendars.entries import Problem
from services.gateway.calendars.times import instant_of, zone_names


@given(
    zone=st.sampled_from(sorted(zone_names())),
    local=st.datetimes(datetime(2024, 1, 1), datetime(2035, 12, 31)).map(lambda each: each.replace(microsecond=0)),
)
@settings(max_examples=500)
def test_an_instant_is_what_the_zone_s_rules_say(zone: str, local: datetime) -> None:
    first, second = (local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
    earlier, later = (instant_of(local.date(), local.time(), zone, choice)[0] for choice in ("EARLIER", "LATER"))
    if first > second:
        assert isinstance(earlier, Problem)
        assert earlier.reason == "local_time_nonexistent"
    else:
        assert (earlier, later) == (first, second)


def test_a_zone_that_changes_at_midnight_is_not_taken_for_a_steady_one() -> None:
    # Beirut goes back from midnight to 23:00 of the day before.
    instant, _ = instant_of(datetime(2027, 10, 30).date(), datetime(2027, 10, 30, 23, 30).time(), "Asia/Beirut")
    assert isinstance(instant, Problem)
    assert instant.reason == "local_time_ambiguous"
