"""Files as files: what is read, and what is refused before any row is looked at."""

from __future__ import annotations

import re
import tempfile

import pytest

from services.gateway.calendars import entries as words
from services.gateway.calendars.entries import COLUMNS, NotACalendar, ReadOptions
from services.gateway.calendars.reading import read
from tests.gateway.calendars.given import NOW, SAMPLES, calendar, entries, expected, reasons, sample, table

FILES = SAMPLES / "bad_files"
FIVE = ["F01", "F02", "F03", "F04", "F05"]
GERMAN = "Grüße aus Köln: ein Spieltisch, zwei Kannen Tee – fertig."
HEADER = ",".join(COLUMNS)
RENAMED = {
    "ref": "Nr",
    "local_date": "Date",
    "local_time": "time",
    "timezone": "TZ",
    "account": "Handle",
    "caption": "Text",
    "media": "Asset",
}


@pytest.mark.parametrize("row", expected("bad_files.expected.csv"), ids=lambda row: row["file"])
def test_every_bad_file_gets_its_verdict(row: dict[str, str]) -> None:
    data = (FILES / row["file"]).read_bytes()
    if row["expected"] == "accept:5 rows" or row["expected"].startswith("accept:5 rows;"):
        found = entries(data)
        assert [each.ref for each in found] == FIVE
        assert not any(each.problems for each in found)
        assert found[1].text.startswith(GERMAN)
    elif row["file"] == "too_few_and_too_many_columns.csv":
        assert [reasons(each.problems) for each in entries(data)] == [
            [],
            [],
            ["too_few_columns"],
            ["too_many_columns"],
            [],
        ]
    else:
        wanted = re.findall(r"reject:(\w+)", row["expected"]) or ["columns_unknown"]
        with pytest.raises(NotACalendar) as caught:
            calendar(data)
        assert caught.value.reason == wanted[0]


def test_wrong_bytes_name_their_line_and_row() -> None:
    with pytest.raises(NotACalendar, match="row F02") as caught:
        calendar((FILES / "invalid_utf8.csv").read_bytes())
    assert caught.value.line == 3


def test_an_open_quote_names_its_line_and_swallows_no_row() -> None:
    with pytest.raises(NotACalendar) as caught:
        calendar((FILES / "unbalanced_quote.csv").read_bytes())
    assert caught.value.line == 4


def test_a_regional_file_is_taken_once_its_sender_says_what_it_is() -> None:
    found = sample("bad_files/semicolon_cp1252.csv", encoding="windows-1252", delimiter=";", date_order="dmy")
    assert [(each.ref, each.local_time[:10]) for each in found] == [
        (ref, f"2027-02-{day}") for ref, day in zip(FIVE, range(16, 21), strict=True)
    ]
    assert not any(each.problems for each in found)
    assert found[1].text.startswith(GERMAN)


def test_its_dates_are_not_guessed_when_only_the_encoding_is_said() -> None:
    found = sample("bad_files/semicolon_cp1252.csv", encoding="windows-1252")
    assert all(reasons(each.problems) == ["date_format"] for each in found)


def test_columns_under_other_names_are_read_once_somebody_says_which_is_which() -> None:
    found = calendar((FILES / "renamed_headers.csv").read_bytes(), columns=RENAMED)
    assert found.unknown_columns == ("Profile", "Tags", "Products", "Comment")
    assert [each.ref for each in found.entries] == FIVE


def test_a_mapped_column_that_is_not_there_is_named() -> None:
    with pytest.raises(NotACalendar, match="no column Remarks"):
        calendar((FILES / "renamed_headers.csv").read_bytes(), columns=RENAMED | {"notes": "Remarks"})


def test_semicolons_are_taken_where_the_encoding_is_certain() -> None:
    text = HEADER.replace(",", ";") + "\nS1;2027-02-02;10:00;UTC;air;@a;Sleeve first, then sort.;;a.mp4;;\n"
    (entry,) = entries(text.encode())
    assert entry.text == "Sleeve first, then sort."


def test_titles_above_the_table_are_no_rows() -> None:
    found = entries(b"Emberfold,,\n,,\nall times Berlin,,\n" + table({"ref": "A"}))
    assert [(each.ref, each.line) for each in found] == [("A", 5)]


def test_account_and_zone_may_be_said_for_the_whole_file() -> None:
    data = b"local_date,local_time,caption,media\n2027-02-10,10:00,Sort.,a.mp4\n"
    with pytest.raises(NotACalendar, match=r"timezone, account.*account=… and time_zone=…"):
        calendar(data)
    (entry,) = entries(data, account="@a|@b", time_zone="Europe/Berlin", channel="Air")
    assert (entry.accounts, entry.time_zone, entry.channel) == (("a", "b"), "Europe/Berlin", "air")


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    text = f'{HEADER}\r\n\r\nA,,,,,,"one\r\ntwo",,,,\r\nB,,,,,,x,,,,\r\n'
    assert [each.line for each in entries(text.encode())] == [3, 5]


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        (f"{HEADER},caption\nx\n".encode(), {}, "column_repeated"),
        (table({}), {"encoding": "utf-7"}, "encoding_unknown"),
        (table({}), {"delimiter": "x"}, "delimiter_unknown"),
        (table({}), {"format": "docx"}, "format_unknown"),
        (table({}), {"date_order": "ydm"}, "date_order_unknown"),
        (table({}), {"time_zone": "CET"}, "timezone_unknown"),
        (table({}), {"columns": {"title": "Title"}}, "columns_unknown"),
        (table({}), {"format": "xlsx"}, "not_a_workbook"),
        (table({}), {"format": "ics"}, "not_events"),
        (b'{"posts": []}', {}, "not_text_table"),
        (b"\x00\x01" * 3000, {}, "not_text"),
    ],
)
def test_what_cannot_be_read_is_refused_for_its_reason(data: bytes, options: dict[str, str], reason: str) -> None:
    with pytest.raises(NotACalendar) as caught:
        calendar(data, **options)
    assert caught.value.reason == reason


def test_a_file_or_a_table_that_is_too_large_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.calendars.tables.MAX_ROWS", 2)
    with pytest.raises(NotACalendar, match="at most 2 rows"):
        calendar(table({}, {}, {}))
    with pytest.raises(NotACalendar, match="At most 64 MB"):
        calendar(b"x" * (words.MAX_BYTES + 1))


def test_a_file_can_be_read_while_it_lies_in_a_spool() -> None:
    with tempfile.SpooledTemporaryFile(max_size=10) as file:
        file.write(table({"ref": "A"}, {"ref": "B", "local_time": "11:00"}))
        found = read(file, ReadOptions(), now=NOW)
        assert (found.row_count, [each.ref for each in found.entries]) == (2, ["A", "B"])
