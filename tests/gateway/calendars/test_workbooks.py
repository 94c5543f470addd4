"""Workbooks: an agency's sheet with its traps, and files that are not what they seem."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
import pytest

from services.gateway.calendars import workbooks
from services.gateway.calendars.entries import COLUMNS, Entry, NotACalendar
from tests.gateway.calendars.given import SAMPLES, calendar, entries, expected, reasons, sample, utc

AGENCY: dict[str, Any] = {
    "sheet": "Fire (agency)",
    "account": "@emberfold.fire",
    "channel": "fire",
    "time_zone": "America/Chicago",
    "date_order": "mdy",
    "columns": {"caption": "Copy + tags", "media": "Asset", "notes": "SKU / comments"},
}
# Row of the sheet: why it is not taken. All others are.
REFUSED = {
    15: [("local_date", "formula_without_value")],  # =C13+5, never calculated
    18: [("*", "row_hidden")],  # Q1-039
    21: [("*", "row_struck")],  # Q1-047
    22: [("local_time", "time_format")],  # 9:00 am AZ time
    36: [("local_time", "time_format")],
}
Q1 = {row["ref"]: row for row in expected("brand_q1.csv")}
INSTANTS = {row["ref"]: row["utc"] for row in expected("brand_q1.expected_utc.csv")}
FIRE = [row["ref"] for row in Q1.values() if row["channel"] == "fire"]


def book(fill: Callable[[Any], None], header: tuple[str, ...] = COLUMNS) -> bytes:
    """A workbook with one sheet, to be filled below its header."""
    workbook = openpyxl.Workbook()
    sheet: Any = workbook.active
    sheet.append(header)
    fill(sheet)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def row(
    sheet: Any, *, day: Any = "2027-02-10", clock: Any = "10:00", caption: Any = "Sort.", media: Any = "a.mp4"
) -> None:
    sheet.append(["", day, clock, "Europe/Berlin", "air", "@emberfold.air", caption, "", media, "", ""])


def changed(data: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """The workbook with one of its parts written otherwise."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return file.getvalue()


def refusal(data: bytes, **options: Any) -> NotACalendar:
    with pytest.raises(NotACalendar) as caught:
        list(calendar(data, **options).entries)
    return caught.value


def test_an_agency_s_sheet_gives_what_is_certain_and_names_the_rest() -> None:
    found = sample("brand_q1.xlsx", **AGENCY)
    assert len(found) == 30
    told = {each.line: [(problem.field, problem.reason) for problem in each.problems] for each in found}
    assert {line: verdict for line, verdict in told.items() if verdict} == REFUSED
    for entry, ref in zip(found, FIRE, strict=True):
        assert entry.text == f"{Q1[ref]['caption']}\n\n{Q1[ref]['hashtags']}"
        assert entry.accounts == ("emberfold.fire",)
        if entry.line not in REFUSED or entry.line in (18, 21):
            assert utc(entry) == INSTANTS[ref]


def test_hidden_and_struck_rows_are_taken_when_their_sender_says_so() -> None:
    found = sample("brand_q1.xlsx", **AGENCY, include_hidden=True)
    assert {each.line for each in found if each.problems} == set(REFUSED) - {18, 21}


def test_an_agency_s_columns_have_to_be_said() -> None:
    told = refusal((SAMPLES / "brand_q1.xlsx").read_bytes(), **AGENCY | {"columns": {}})
    assert (told.reason, told.line) == ("columns_unknown", 4)
    assert "caption, media" in told.message
    assert "Copy + tags" in told.message


def test_without_the_order_of_dates_the_typed_ones_are_refused() -> None:
    found = sample("brand_q1.xlsx", **AGENCY | {"date_order": ""})
    assert {each.line for each in found if reasons(each.problems) == ["date_format"]} == {12, 19, 26, 33, 40, 47}


def test_of_several_visible_sheets_one_must_be_named() -> None:
    data = (SAMPLES / "brand_q1.xlsx").read_bytes()
    assert refusal(data).reason == "sheet_unclear"
    assert refusal(data, sheet="Q2").reason == "sheet_unknown"


def one(**cells: Any) -> Entry:
    (entry,) = entries(book(lambda sheet: row(sheet, **cells)))
    return entry


@pytest.mark.parametrize(
    ("day", "clock"),
    [
        (date(2027, 2, 10), time(17, 0)),
        (datetime(2027, 2, 10), timedelta(hours=17)),
        # What a spreadsheet makes of 17:00 by adding minutes up.
        ("2027-02-10", timedelta(hours=16, minutes=59, seconds=59, milliseconds=999)),
    ],
)
def test_real_dates_and_times_are_read_to_the_second(day: Any, clock: Any) -> None:
    assert one(day=day, clock=clock).local_time == "2027-02-10T17:00:00"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"day": 46428}, "date_excel_serial"),
        ({"day": datetime(2027, 2, 10, 17)}, "date_format"),
        ({"clock": datetime(2027, 2, 10, 17)}, "time_format"),
        ({"clock": timedelta(hours=30)}, "time_format"),
        ({"clock": "=B2+1"}, "formula_without_value"),
        ({"caption": '=HYPERLINK("https://example.com")'}, "formula_without_value"),
        ({"caption": "#REF!"}, "cell_error"),
        ({"media": None}, "media_empty"),
    ],
)
def test_cells_that_are_no_certain_value_are_refused(cells: dict[str, Any], reason: str) -> None:
    assert reasons(one(**cells).problems) == [reason]


def test_a_formula_whose_value_is_stored_is_its_value() -> None:
    data = book(lambda sheet: row(sheet, caption="=A1"))
    stored = changed(data, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b"<v />", b"<v>Sort.</v>", 1))
    typed = changed(stored, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'<c r="G2">', b'<c r="G2" t="str">'))
    (entry,) = entries(typed)
    assert (entry.text, entry.problems) == ("Sort.", ())


def test_numbers_are_texts_and_lists_may_stand_on_lines() -> None:
    entry = one(caption=36, media="a/1.jpg\nb/2.jpg\n")
    assert (entry.text, entry.media) == ("36", ("a/1.jpg", "b/2.jpg"))


def test_cells_that_are_merged_downwards_count_for_all_their_rows() -> None:
    def fill(sheet: Any) -> None:
        row(sheet, clock="10:00", caption="One.")
        row(sheet, day=None, clock="11:00", caption="Two.")
        row(sheet, day=None, clock="12:00", caption="Three.")
        sheet.merge_cells("B2:B3")

    found = entries(book(fill))
    assert [each.local_time for each in found] == ["2027-02-10T10:00:00", "2027-02-10T11:00:00", ""]
    assert reasons(found[2].problems) == ["date_missing"]


def test_a_row_that_only_has_a_share_of_merged_cells_is_blank() -> None:
    def fill(sheet: Any) -> None:
        row(sheet)
        for letter in "BCDEFGI":
            sheet.merge_cells(f"{letter}2:{letter}4")

    assert [each.line for each in entries(book(fill))] == [2]


def test_a_hidden_sheet_is_not_in_the_way() -> None:
    workbook = openpyxl.Workbook()
    sheet: Any = workbook.active
    sheet.append(COLUMNS)
    row(sheet)
    workbook.create_sheet("Lists").sheet_state = "hidden"
    file = io.BytesIO()
    workbook.save(file)
    assert len(entries(file.getvalue())) == 1


def test_a_workbook_is_judged_by_its_declared_size_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = changed(book(row), "xl/theme/theme1.xml", lambda _: b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    monkeypatch.setattr(workbooks, "load_workbook", lambda *_, **__: pytest.fail("it was opened"))
    assert refusal(bomb).reason == "workbook_too_large"
    monkeypatch.setattr(workbooks, "MAX_ENTRIES", 3)
    assert refusal(book(row)).reason == "workbook_too_large"


def test_entities_of_xml_are_not_unfolded() -> None:
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'

    def with_entities(xml: bytes) -> bytes:
        return laughs + xml.replace(b"Sort.", b"&b;")

    for part in ("xl/worksheets/sheet1.xml", "xl/styles.xml"):
        assert refusal(changed(book(row), part, with_entities)).reason == "workbook_broken"


def test_a_sheet_that_breaks_off_is_refused() -> None:
    part = "xl/worksheets/sheet1.xml"
    assert refusal(changed(book(row), part, lambda xml: xml[: len(xml) // 2])).reason == "workbook_broken"

    def many(sheet: Any) -> None:
        for _ in range(200):
            row(sheet)

    data = bytearray(book(many))
    data[data.index(b"xl/worksheets/sheet1.xml") + 200] ^= 0xFF
    assert refusal(bytes(data)).reason == "workbook_broken"


def test_cells_far_to_the_right_cost_nothing() -> None:
    def fill(sheet: Any) -> None:
        row(sheet)
        sheet["XFD2"] = "x"

    assert len(entries(book(fill))) == 1
