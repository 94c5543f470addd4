"""What rows mean, on whole calendars with the verdict expected for each row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.calendars.entries import TikTokChoices
from services.gateway.calendars.resolving import Resolver
from tests.gateway.calendars.given import (
    ACCOUNTS,
    NOW,
    entries,
    expected,
    one,
    reasons,
    sample,
    table,
    verdicts,
)

# Found out with the bytes of the file, when the draft is checked.
WITH_THE_FILE = {"B38"}


def test_every_bad_row_is_refused_for_its_own_reason_and_no_other() -> None:
    found = sample("bad_calendar.csv")
    skus = {sku for entry in found for sku in entry.skus} - {"EF-BND-9P-GOLD"}
    media = {name: f"id-{name}" for entry in found for name in entry.media if "does_not_exist" not in name}
    drafts = {draft.entry.ref: draft for draft in Resolver(ACCOUNTS, media, skus).resolve(found)}
    for row in expected("bad_calendar.expected.csv"):
        draft = drafts[row["ref"]]
        assert draft.entry.line == int(row["first_physical_line"])
        told = [(each.field, each.reason) for each in draft.problems]
        wanted = [(row["field"], row["reason"])]
        if row["severity"] == "ok" or row["ref"] in WITH_THE_FILE:
            assert told == [], row["ref"]
        elif row["severity"] == "warning" and not told:
            assert [(each.field, each.reason) for each in draft.entry.warnings] == wanted
        else:
            assert told == wanted, row["ref"]


def test_rows_that_only_look_wrong_are_taken_with_their_text_unchanged() -> None:
    found = {each.ref: each for each in sample("tricky_but_valid.csv")}
    media = {name: f"id-{name}" for entry in found.values() for name in entry.media}
    drafts = list(Resolver(ACCOUNTS, media).resolve(found.values()))
    assert {row["ref"] for row in expected("tricky_but_valid.expected.csv")} == set(found)
    assert not any(draft.problems for draft in drafts)
    for row in expected("tricky_but_valid.csv"):
        assert found[row["ref"]].text.removesuffix(f"\n\n{row['hashtags']}") == row["caption"]


def test_hashtags_that_do_not_fit_beside_a_full_caption_are_left_out_and_told() -> None:
    entry = one(caption="x" * 2190, hashtags="#sleeve #a #binder")
    # 2190 + 2 + "#sleeve" is 2199; " #a" would make it 2202 of 2200.
    assert entry.text == "x" * 2190 + "\n\n#sleeve"
    (warning,) = entry.warnings
    assert warning.reason == "hashtags_left_out"
    assert "Left out: #a #binder." in warning.message


@pytest.mark.parametrize(("choice", "utc_hour"), [("EARLIER", 5), ("LATER", 6)])
def test_a_time_that_comes_twice_is_taken_once_somebody_chose(choice: str, utc_hour: int) -> None:
    for entry in (
        next(each for each in sample("bad_calendar.csv", ambiguous_time=choice) if each.ref == "B13"),
        one(local_date="2027-11-07", local_time="01:30", timezone="America/New_York", ambiguous_time=choice),
    ):
        assert entry.instant == datetime(2027, 11, 7, utc_hour, 30, tzinfo=UTC)
        assert entry.ambiguous_time == choice


def test_a_choice_is_not_kept_of_a_time_that_comes_once() -> None:
    assert one(ambiguous_time="LATER").ambiguous_time == ""


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"timezone": "GMT+2"}, "timezone_offset"),
        ({"timezone": "PST8PDT"}, "timezone_abbreviation"),
        ({"timezone": "Pacific Standard Time"}, "timezone_unknown"),
        ({"local_time": "24:00"}, "time_invalid"),
        ({"local_time": "13:05 pm"}, "time_invalid"),
        ({"local_time": "0:05 am"}, "time_invalid"),
        ({"local_time": "9:05 AZ"}, "time_format"),
        ({"local_date": "٢٠٢٧-٠٢-١٠"}, "date_odd_characters"),
        ({"local_date": "25/02/2027"}, "date_format"),
        ({"local_date": "0001-01-01"}, "time_in_past"),
        ({"local_date": "9999-12-31"}, "date_too_far"),
        ({"media": "a.mp4||b.mp4"}, "media_empty"),
        ({"media": "|".join(f"{number}.jpg" for number in range(36))}, "media_too_many"),
        ({"media": "C:\\a.mp4"}, "media_path_not_allowed"),
        ({"media": "a/../../b.mp4"}, "media_path_not_allowed"),
        ({"media": "file:///etc/passwd"}, "media_url_not_allowed"),
        ({"hashtags": "#a,#b"}, "hashtags_invalid"),
        ({"hashtags": "#"}, "hashtags_invalid"),
        ({"caption": " \n"}, "caption_empty"),
        ({"account": ""}, "account_missing"),
        ({"channel": "a b"}, "channel_unknown"),
        ({"ref": "x" * 101}, "ref_too_long"),
    ],
)
def test_slips_are_named(cells: dict[str, str], reason: str) -> None:
    assert reasons(one(**cells).problems) == [reason]


@pytest.mark.parametrize(
    ("written", "order", "meant"),
    [
        ("03/04/2027", "dmy", "2027-04-03"),
        ("03/04/2027", "mdy", "2027-03-04"),
        ("3.4.27", "dmy", "2027-04-03"),
        ("2027/04/03", "", "2027-04-03"),
        ("2027-04-03", "mdy", "2027-04-03"),
    ],
)
def test_the_order_of_a_date_is_what_its_sender_said(written: str, order: str, meant: str) -> None:
    (entry,) = entries(table({"local_date": written}), date_order=order)
    assert entry.local_time == f"{meant}T10:00:00"


def test_a_month_that_does_not_exist_is_not_read_the_other_way_round() -> None:
    (entry,) = entries(table({"local_date": "02/25/2027"}), date_order="dmy")
    assert reasons(entry.problems) == ["date_invalid"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("5:00 pm", "17:00:00"), ("12:15 a.m.", "00:15:00"), ("12:15PM", "12:15:00"), ("7:05", "07:05:00")],
)
def test_hours_of_twelve_are_certain_with_am_or_pm(written: str, meant: str) -> None:
    assert one(local_time=written).local_time == f"2027-02-10T{meant}"


def test_hashtags_of_any_script_are_taken() -> None:
    assert not one(hashtags="#gemütlich #खेल #カード #2027_plan").problems


def test_one_row_may_be_for_several_accounts() -> None:
    assert one(account="@Emberfold.air | emberfold.fire|@emberfold.air").accounts == ("emberfold.air", "emberfold.fire")


def test_the_author_choices_of_a_row_are_read() -> None:
    entry = one(privacy_level="Only me", allow_comment="TRUE", allow_duet="no", cover_time_ms="1500")
    assert entry.tiktok == TikTokChoices("SELF_ONLY", allow_comment=True, allow_duet=False, cover_time_ms=1500)
    wrong = one(privacy_level="family", allow_stitch="maybe", cover_time_ms="1.5 s", ambiguous_time="both")
    assert verdicts(wrong) == [
        (name, "choice_unknown") for name in ("ambiguous_time", "privacy_level", "allow_stitch", "cover_time_ms")
    ]


def test_a_ref_is_one_row() -> None:
    found = entries(table({"ref": "A"}, {"ref": "A", "account": "@emberfold.fire"}))
    assert [reasons(each.problems) for each in found] == [[], ["ref_repeated"]]


def test_the_same_post_twice_on_one_of_its_accounts_is_refused() -> None:
    found = entries(table({"account": "@emberfold.air|@emberfold.fire"}, {"account": "@emberfold.fire"}))
    assert [reasons(each.problems) for each in found] == [[], ["duplicate_row"]]


def test_a_row_tells_all_that_is_wrong_with_it() -> None:
    found = one(local_date="", timezone="EST", caption="", media="", account="")
    assert [field for field, _ in verdicts(found)] == ["local_date", "timezone", "account", "caption", "media"]


def test_the_two_years_ahead_are_taken_and_not_a_minute_more() -> None:
    last = NOW + timedelta(days=732)
    at = {"local_date": f"{last:%Y-%m-%d}", "timezone": "UTC"}
    assert not one(**at, local_time="12:00").problems
    assert reasons(one(**at, local_time="12:01").problems) == ["date_too_far"]
