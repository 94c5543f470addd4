"""Files as files: what is read, and what is refused before any row is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import calendar
from cli.calendar import NotACalendar

FILES = Path(__file__).parents[1] / "gateway/calendars/samples/bad_files"
FIVE = ["F01", "F02", "F03", "F04", "F05"]
GERMAN = "Grüße aus Köln: ein Spieltisch, zwei Kannen Tee – fertig."
HEADER = ",".join(calendar.COLUMNS)


@pytest.mark.parametrize("name", ["utf16le_bom_tab.csv", "utf8_bom.csv", "cr_only.csv", "blank_lines.csv"])
def test_unusual_but_certain_files_are_taken_whole(name: str) -> None:
    rows = calendar.read((FILES / name).read_bytes()).rows
    assert [row.cells["ref"] for row in rows] == FIVE
    assert rows[1].cells["caption"] == GERMAN
    assert rows[2].cells["caption"].split() == [
        "Two",
        "lines",
        "in",
        "one",
        "caption.",
        "This",
        "is",
        "the",
        "second",
        "one.",
    ]
    assert not any(row.problem for row in rows)


@pytest.mark.parametrize(
    ("name", "reason", "line"),
    [
        ("semicolon_cp1252.csv", "delimiter_or_encoding", 3),
        ("invalid_utf8.csv", "encoding_invalid", 3),
        ("unbalanced_quote.csv", "quote_unbalanced", 4),
        ("no_header.csv", "header_missing", 1),
        ("renamed_headers.csv", "columns_unknown", 1),
        ("header_only.csv", "no_rows", 0),
        ("empty.csv", "file_empty", 0),
        ("xlsx_named.csv", "not_text", 0),
        ("html_login_page.csv", "not_text_table", 0),
    ],
)
def test_a_file_that_would_have_to_be_guessed_is_refused_with_the_reason(name: str, reason: str, line: int) -> None:
    with pytest.raises(NotACalendar) as caught:
        calendar.read((FILES / name).read_bytes())
    assert (caught.value.reason, caught.value.line) == (reason, line)


def test_wrong_bytes_name_their_row() -> None:
    with pytest.raises(NotACalendar, match="row F02"):
        calendar.read((FILES / "invalid_utf8.csv").read_bytes())


def test_a_row_with_too_few_or_too_many_cells_is_refused_alone() -> None:
    rows = calendar.read((FILES / "too_few_and_too_many_columns.csv").read_bytes()).rows
    assert [row.problem.reason if row.problem else "" for row in rows] == [
        "",
        "",
        "too_few_columns",
        "too_many_columns",
        "",
    ]


def test_columns_under_other_names_are_read_once_somebody_says_which_is_which() -> None:
    names = {
        "ref": "Nr",
        "local_date": "Date",
        "local_time": "time",
        "timezone": "TZ",
        "account": "Handle",
        "caption": "Text",
        "media": "Asset",
    }
    found = calendar.read((FILES / "renamed_headers.csv").read_bytes(), names)
    assert [row.cells["ref"] for row in found.rows] == FIVE
    assert found.unknown_columns == ("Profile", "Tags", "Products", "Comment")


def test_semicolons_are_taken_where_the_encoding_is_certain() -> None:
    text = HEADER.replace(",", ";") + "\nS1;2027-02-02;10:00;UTC;air;@a;Sleeve first, then sort.;;a.mp4;;\n"
    (row,) = calendar.read(text.encode()).rows
    assert row.cells["caption"] == "Sleeve first, then sort."


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    text = f'{HEADER}\r\n\r\nA,,,,,,"one\r\ntwo",,,,\r\nB,,,,,,x,,,,\r\n'
    assert [row.line for row in calendar.read(text.encode()).rows] == [3, 5]


def test_a_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(NotACalendar, match="twice"):
        calendar.read(f"{HEADER},caption\nx\n".encode())
