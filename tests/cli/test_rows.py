"""What rows mean, on whole calendars with the verdict expected for each row."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli import calendar, channels
from cli.calendar import Problem
from cli.channels import Accounts
from cli.rows import Entry, understand

FOLDER = Path(__file__).parents[1] / "gateway/calendars/samples"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
CHANNELS = ("air", "water", "fire", "earth")
ACCOUNTS = [{"account_id": f"id-{name}", "handle": f"emberfold.{name}"} for name in CHANNELS]
# Found out only with the files, or by the platform's adapter.
WITH_FILES = {"B34", "B38"}


def understood(name: str, ambiguous_time: str = "") -> list[Entry]:
    return understand(calendar.read((FOLDER / name).read_bytes()).rows, now=NOW, ambiguous_time=ambiguous_time)


def one(**cells: str) -> Entry:
    usual = dict.fromkeys(calendar.COLUMNS, "") | {
        "local_date": "2027-02-10",
        "local_time": "10:00",
        "timezone": "Europe/Berlin",
        "account": "@emberfold.air",
        "caption": "Sort.",
        "media": "a.mp4",
    }
    (entry,) = understand([calendar.Row(2, usual | cells)], now=NOW)
    return entry


def reasons(found: tuple[Problem, ...]) -> list[str]:
    return [each.reason for each in found]


def expected(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_of_a_quarter_means_the_expected_instant() -> None:
    entries = understood("brand_q1.csv")
    found = {each.ref: f"{each.instant:%Y-%m-%dT%H:%M:%SZ}" for each in entries}
    assert found == {row["ref"]: row["utc"] for row in expected("brand_q1.expected_utc.csv")}
    assert len(found) == 120
    assert not any(each.problems or each.warnings for each in entries)


def test_every_bad_row_is_refused_for_its_own_reason_and_no_other() -> None:
    entries = understood("bad_calendar.csv")
    skus = {sku for entry in entries for sku in entry.skus} - {"EF-BND-9P-GOLD"}
    _, more = channels.check(entries, Accounts(ACCOUNTS), skus)
    found = {each.ref: (each, [*each.problems, *more[each.line]]) for each in entries}
    for row in expected("bad_calendar.expected.csv"):
        entry, problems = found[row["ref"]]
        assert entry.line == int(row["first_physical_line"])
        verdicts = [(each.field, each.reason) for each in problems]
        wanted = [(row["field"], row["reason"])]
        if row["severity"] == "ok" or row["ref"] in WITH_FILES:
            assert verdicts == [], row["ref"]
        elif row["severity"] == "warning" and not verdicts:
            assert [(each.field, each.reason) for each in entry.warnings] == wanted
        else:
            assert verdicts == wanted, row["ref"]


def test_rows_that_only_look_wrong_are_taken_with_their_text_unchanged() -> None:
    entries = {each.ref: each for each in understood("tricky_but_valid.csv")}
    _, more = channels.check(list(entries.values()), Accounts(ACCOUNTS), None)
    assert len(entries) == 21
    assert not any(each.problems or more[each.line] for each in entries.values())
    for row in expected("tricky_but_valid.csv"):
        assert entries[row["ref"]].text.removesuffix(f"\n\n{row['hashtags']}") == row["caption"]


def test_hashtags_that_do_not_fit_beside_a_full_caption_are_left_out_and_told() -> None:
    entry = one(caption="x" * 2190, hashtags="#sleeve #a #binder")
    # 2190 + 2 + "#sleeve" is 2199; " #a" would make it 2202 of 2200.
    assert entry.text == "x" * 2190 + "\n\n#sleeve"
    (warning,) = entry.warnings
    assert warning.reason == "hashtags_left_out"
    assert "Left out: #a #binder." in warning.message


@pytest.mark.parametrize(("choice", "utc_hour"), [("EARLIER", 5), ("LATER", 6)])
def test_a_time_that_comes_twice_is_taken_once_somebody_chose(choice: str, utc_hour: int) -> None:
    entry = next(each for each in understood("bad_calendar.csv", choice) if each.ref == "B13")
    assert entry.instant == datetime(2027, 11, 7, utc_hour, 30, tzinfo=UTC)
    assert entry.ambiguous


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"timezone": "GMT+2"}, "timezone_offset"),
        ({"timezone": "PST8PDT"}, "timezone_abbreviation"),
        ({"timezone": "Pacific Standard Time"}, "timezone_unknown"),
        ({"local_time": "24:00"}, "time_invalid"),
        ({"local_time": "9:05 pm"}, "time_format"),
        ({"local_date": "٢٠٢٧-٠٢-١٠"}, "date_odd_characters"),
        ({"media": "a.mp4||b.mp4"}, "media_empty"),
        ({"media": "C:\\a.mp4"}, "media_path_not_allowed"),
        ({"media": "a/../../b.mp4"}, "media_path_not_allowed"),
        ({"media": "file:///etc/passwd"}, "media_url_not_allowed"),
        ({"hashtags": "#a,#b"}, "hashtags_invalid"),
        ({"hashtags": "#"}, "hashtags_invalid"),
        ({"caption": " \n"}, "caption_empty"),
        ({"account": ""}, "account_missing"),
        ({"channel": "a b"}, "channel_unknown"),
    ],
)
def test_slips_are_named(cells: dict[str, str], reason: str) -> None:
    assert reasons(one(**cells).problems) == [reason]


def test_hashtags_of_any_script_are_taken() -> None:
    assert not one(hashtags="#gemütlich #खेल #カード #2027_plan").problems


def test_an_account_that_names_no_channel_may_have_any() -> None:
    accounts = Accounts([{"account_id": "1", "handle": "emberfold_official"}])
    assert accounts.mismatch(one(account="@emberfold_official", channel="fire"), {"fire"}) is None


def test_a_channel_that_was_said_to_belong_to_an_account_does() -> None:
    entry = one(account="@emberfold.air", channel="fire")
    told = Accounts(ACCOUNTS).mismatch(entry, {"fire"})
    assert told is not None
    assert told.reason == "channel_account_mismatch"
    assert Accounts(ACCOUNTS, [("fire", "emberfold.air")]).mismatch(entry, {"fire"}) is None
