"""Calendars of events: odd ones, and those that recur."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.calendars import events
from services.gateway.calendars.entries import NotACalendar
from tests.gateway.calendars.given import calendar, entries, reasons, sample

AIR = "slot-air@calendar.example.com"


def ics(*lines: str, more: str = "") -> bytes:
    """A calendar of one event that is right but for the lines that are given."""
    event = ["BEGIN:VEVENT", "UID:e1", "X-ANY-ACCOUNT:@a", "ATTACH:a.mp4", "DESCRIPTION:Sort.", *lines, "END:VEVENT"]
    text = "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *event, *([more] if more else []), "END:VCALENDAR", ""])
    return text.encode()


def of_oddities(**options: Any) -> dict[str, tuple[str, str, list[str], list[str]]]:
    found = sample("slots_and_oddities.ics", account="@emberfold.air", **options)
    # None of them names a file; what else is said of them is of interest here.
    return {
        each.ref: (
            each.local_time,
            each.time_zone,
            [reason for reason in reasons(each.problems) if reason != "media_empty"],
            reasons(each.warnings),
        )
        for each in found
    }


def test_a_weekly_slot_is_its_occurrences_without_the_one_left_out_and_with_the_one_that_moved() -> None:
    found = {ref: each for ref, each in of_oddities().items() if ref.startswith(AIR)}
    days = ["01-05", "01-12", "01-19", "01-26", "02-02", "02-09", "02-23", "03-02", "03-09", "03-16", "03-23", "03-30"]
    assert list(found) == [f"{AIR}#2027-{day}T12:00:00" for day in days]
    assert found[f"{AIR}#2027-03-16T12:00:00"][0] == "2027-03-17T12:00:00"
    assert all(zone == "America/New_York" and not problems for _, zone, problems, _ in found.values())


def test_an_end_in_utc_and_a_change_of_the_clock_keep_the_wall_time() -> None:
    found = [each for ref, each in of_oddities().items() if ref.startswith("slot-earth")]
    days = ["01-04", "01-18", "02-01", "02-15", "03-01", "03-15", "03-29"]
    assert [local for local, *_ in found] == [f"2027-{day}T18:00:00" for day in days]


def test_an_occurrence_that_the_clock_leaves_out_is_refused_alone() -> None:
    found = {
        ref[-19:-9]: problems for ref, (_, _, problems, _) in of_oddities().items() if ref.startswith("slot-night")
    }
    assert found == {
        "2027-03-12": [],
        "2027-03-13": [],
        "2027-03-14": ["local_time_nonexistent"],
        "2027-03-15": [],
        "2027-03-16": [],
    }


@pytest.mark.parametrize(
    ("uid", "local_time", "zone", "problems", "warnings"),
    [
        ("utc", "2027-03-14T10:00:00", "UTC", [], []),
        ("floating", "", "", ["timezone_missing"], []),
        ("allday", "", "UTC", ["time_missing"], []),
        ("cancelled", "2027-02-02T18:00:00", "America/New_York", ["event_cancelled"], []),
        ("fold", "2027-02-03T18:00:00", "Europe/Berlin", [], []),
        ("outlook", "2027-03-15T09:30:00", "America/Los_Angeles", [], ["timezone_mapped"]),
    ],
)
def test_odd_events(uid: str, local_time: str, zone: str, problems: list[str], warnings: list[str]) -> None:
    assert of_oddities()[f"{uid}@calendar.example.com"] == (local_time, zone, problems, warnings)


def test_a_floating_time_is_in_the_zone_that_its_sender_said() -> None:
    found = of_oddities(time_zone="America/Los_Angeles")
    assert found["floating@calendar.example.com"] == ("2027-03-20T09:30:00", "America/Los_Angeles", [], [])


def test_folded_text_is_whole() -> None:
    (text,) = (each.text for each in sample("slots_and_oddities.ics", account="a") if each.ref.startswith("fold"))
    assert text.startswith("[Earth] long text, comma, semicolon; umlaut ä and 🎲, backslash \\ and\nnew line so that")


def test_events_name_the_line_that_they_begin_at() -> None:
    found = sample("slots_and_oddities.ics", account="a")
    assert [(each.line, each.ref[:5]) for each in found if each.ref.startswith(("utc", "float"))] == [
        (72, "utc@c"),
        (79, "float"),
    ]
    assert [each.line for each in found if each.ref == f"{AIR}#2027-03-16T12:00:00"] == [48]


def test_any_brand_s_properties_name_the_columns() -> None:
    data = ics(
        "DTSTART:20270210T100000Z",
        "X-BRAND-CHANNEL:Air",
        "X-BRAND-SKU:A\\,1|B",
        "X-REELROUTE-PRIVACY-LEVEL:SELF_ONLY",
        "X-REELROUTE-REF:Q1-001",
    )
    (entry,) = entries(data)
    assert (entry.ref, entry.channel, entry.skus) == ("Q1-001", "air", ("A,1", "B"))
    assert entry.tiktok.privacy_level == "SELF_ONLY"
    assert not entry.problems


def test_other_properties_can_be_said_to_be_a_column() -> None:
    (entry,) = entries(ics("DTSTART:20270210T100000Z", "LOCATION:@b"), columns={"account": "LOCATION"})
    assert entry.accounts == ("b",)


def test_a_uid_that_is_longer_than_a_ref_keeps_its_beginning_and_is_always_the_same() -> None:
    uid = "040000008200E00074C5B7101A82E008" * 4
    found = [entries(ics("DTSTART:20270210T100000Z", f"UID:{uid}{end}").replace(b"UID:e1\r\n", b"")) for end in "112"]
    first, same, other = (each[0].ref for each in found)
    assert first == same != other
    assert len(first) == 100
    assert first.startswith(uid[:70])


def test_a_broken_event_is_refused_alone() -> None:
    good = (
        "BEGIN:VEVENT\r\nUID:e2\r\nDTSTART:20270210T100000Z\r\nX-A-ACCOUNT:a\r\nATTACH:a.mp4\r\nSUMMARY:S\r\nEND:VEVENT"
    )
    found = entries(ics("DTSTART:20270210T100000Z", "no line of an event", more=good))
    assert [(each.ref, reasons(each.problems)) for each in found] == [("e1", ["event_broken"]), ("e2", [])]


@pytest.mark.parametrize(
    "start", ["DTSTART:nonsense", "SUMMARY:no start at all", "DTSTART;TZID=Mars/Olympus:20270210T1000"]
)
def test_an_event_without_a_certain_start_is_refused(start: str) -> None:
    (entry,) = entries(ics(start))
    assert entry.problems
    assert entry.instant is None


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("FREQ=SECONDLY", "recurrence_too_many"),
        ("FREQ=HOURLY;COUNT=2", "recurrence_too_many"),
        ("FREQ=DAILY;BYHOUR=8,12,16", "recurrence_too_many"),  # 3 × 732
        ("FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=0,10,20,30,40", "recurrence_too_many"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "recurrence_empty"),
        ("FREQ=YEARLY;UNTIL=20200101T000000Z", "recurrence_empty"),
    ],
)
def test_a_rule_without_measure_is_refused_whole(rule: str, reason: str) -> None:
    (entry,) = entries(ics("DTSTART;TZID=Europe/Berlin:20190101T100000", f"RRULE:{rule}"))
    assert reasons(entry.problems) == [reason]


def test_an_endless_rule_is_taken_for_two_years_from_now_and_says_so() -> None:
    found = entries(ics("DTSTART;TZID=Europe/Berlin:20190101T100000", "RRULE:FREQ=MONTHLY"))
    assert found[0].local_time == "2027-01-01T10:00:00"
    assert found[-1].local_time == "2028-12-01T10:00:00"
    assert len(found) == 24
    assert not any(each.problems for each in found)
    assert "began earlier" in found[0].warnings[0].message
    assert "no end" in found[-1].warnings[0].message


def test_recurring_events_are_unfolded_within_limits_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.calendars.recurring.MAX_OCCURRENCES", 15)
    again = ics("DTSTART:20270101T100000Z", "RRULE:FREQ=DAILY;COUNT=10").decode().replace("UID:e1", "UID:e2")
    more = "\r\n".join(again.splitlines()[2:-1])
    found = entries(ics("DTSTART:20270101T110000Z", "RRULE:FREQ=DAILY;COUNT=10", more=more))
    assert [reasons(each.problems) for each in found] == [[]] * 10 + [["recurrence_too_many"]]


def test_an_exception_that_is_cancelled_is_not_planned() -> None:
    exception = (
        "BEGIN:VEVENT\r\nUID:e1\r\nRECURRENCE-ID:20270102T100000Z\r\nDTSTART:20270102T100000Z\r\nSTATUS:CANCELLED\r\n"
        "X-A-ACCOUNT:a\r\nATTACH:a.mp4\r\nSUMMARY:S\r\nEND:VEVENT"
    )
    found = entries(ics("DTSTART:20270101T100000Z", "RRULE:FREQ=DAILY;COUNT=3", more=exception))
    assert [reasons(each.problems) for each in found] == [[], ["event_cancelled"], []]


def test_files_without_an_end_or_without_measure_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for data, reason in (
        (ics("DTSTART:20270210T100000Z").replace(b"END:VEVENT", b"X-NO-END:1"), "event_unfinished"),
        (b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "no_rows"),
        (ics("DTSTART:20270210T100000Z").replace(b"Sort", b"S\xff"), "encoding_invalid"),
    ):
        with pytest.raises(NotACalendar) as caught:
            calendar(data)
        assert caught.value.reason == reason
    monkeypatch.setattr(events, "MAX_EVENTS", 0)
    with pytest.raises(NotACalendar, match="at most 0 events"):
        calendar(ics("DTSTART:20270210T100000Z"))
