"""Calendars written, and read again: unchanged, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from dateutil.tz import tzical
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.gateway.calendars.entries import Entry, TikTokChoices
from services.gateway.calendars.formulas import guarded, unguarded
from services.gateway.calendars.posts import WRITTEN, Post, Remark
from services.gateway.calendars.times import zone_names
from services.gateway.calendars.tools import BUFFER, METRICOOL, PUBLER
from services.gateway.calendars.writing import TOOLS, write
from tests.gateway.calendars.given import NOW, SAMPLES, ZONES, entries, sample

PREFIX = "https://media.example.com/emberfold/"
KEPT_WHOLE = ["csv", "xlsx", "ics"]
POST = Post(
    post_id="0190a0b0-0000-7000-8000-000000000001",
    ref="Q1-001",
    channel="air",
    handles=("emberfold.air",),
    caption="Sort.",
    media=("good/a.mp4",),
    local_time="2027-02-10T10:00:00",
    time_zone="Europe/Berlin",
    schedule_time=datetime(2027, 2, 10, 9, tzinfo=UTC),
    state="SCHEDULED",
    url="https://example.com/1",
)
# What can stand in a caption, in one line of a file, in a name. A lone carriage return is a line feed to everybody.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t'=@"), max_size=60)
LINES = st.text(
    st.characters(categories=["L", "M", "N", "P", "S"], exclude_characters="|/~\\"), min_size=1, max_size=30
)
NASTY = [
    "=1+1",
    "'=1+1",
    "''=1",
    "'",
    "'quoted'",
    "-",
    "\t=1",
    " =1",
    "@a",
    "+1",
    "'\n=1",
    "_x000D_",
    "_x0041_",
    "\\n",
]


def written(format_: str, *posts: Post, remarks: list[Remark] | None = None, zone: str = "UTC") -> bytes:
    told = remarks if remarks is not None else []
    return b"".join(write(format_, posts, told, now=NOW, time_zone=zone, media_prefix=PREFIX))


def again(format_: str, *posts: Post) -> list[Entry]:
    return entries(written(format_, *posts))


def what_it_is(each: Entry) -> dict[str, Any]:
    return {
        "ref": each.ref,
        "channel": each.channel,
        "handles": each.accounts,
        "caption": each.text,
        "media": each.media,
        "local_time": each.local_time,
        "time_zone": each.time_zone,
        "schedule_time": each.instant,
        "tiktok": each.tiktok,
    }


def of(entry: Entry) -> Post:
    return replace(POST, **what_it_is(entry), post_id=entry.ref)


def unchanged(format_: str, post: Post) -> None:
    (entry,) = again(format_, post)
    assert what_it_is(entry) == {name: getattr(post, name) for name in what_it_is(entry)}


@pytest.mark.parametrize("format_", KEPT_WHOLE)
def test_a_quarter_is_the_same_after_writing_and_reading(format_: str) -> None:
    quarter = sample("brand_q1.csv")
    found = again(format_, *(of(entry) for entry in quarter))
    assert [what_it_is(each) for each in found] == [what_it_is(each) for each in quarter]
    assert not any(each.problems or each.warnings for each in found)


@pytest.mark.parametrize("format_", KEPT_WHOLE)
@pytest.mark.parametrize("caption", NASTY)
def test_text_that_a_file_format_has_its_own_ideas_about_survives(format_: str, caption: str) -> None:
    unchanged(format_, replace(POST, caption=caption))


@given(TEXTS.filter(str.strip))
@settings(max_examples=300)
def test_any_caption_survives_a_text_file(caption: str) -> None:
    (entry,) = again("csv", replace(POST, caption=caption))
    assert entry.text == caption


@pytest.mark.parametrize("format_", ["xlsx", "ics"])
@given(caption=TEXTS.filter(str.strip))
@settings(max_examples=100, deadline=None)
def test_any_caption_survives_a_workbook_and_an_event(format_: str, caption: str) -> None:
    # The library takes a byte order mark off a value, invisible as it is.
    caption = caption.lstrip("\ufeff") or "Sort." if format_ == "ics" else caption
    (entry,) = again(format_, replace(POST, caption=caption))
    assert entry.text == caption


@pytest.mark.parametrize("format_", KEPT_WHOLE)
@given(
    ref=LINES, media=st.lists(LINES.filter(lambda name: ":" not in name and ".." not in name), min_size=1, max_size=3)
)
@settings(max_examples=100, deadline=None)
def test_any_ref_and_any_file_name_survive(format_: str, ref: str, media: list[str]) -> None:
    unchanged(format_, replace(POST, ref=ref, media=tuple(media)))


@pytest.mark.parametrize("format_", KEPT_WHOLE)
@given(
    zone=st.sampled_from(sorted(zone_names())),
    instant=st.datetimes(datetime(2026, 12, 2), datetime(2028, 12, 1)).map(lambda each: each.replace(microsecond=0)),
)
@example(zone="Europe/Berlin", instant=datetime(2027, 10, 31, 0, 30))  # the first 02:30
@example(zone="Europe/Berlin", instant=datetime(2027, 10, 31, 1, 30))  # the second
@settings(max_examples=100, deadline=None)
def test_any_instant_in_any_zone_survives(format_: str, zone: str, instant: datetime) -> None:
    instant = instant.replace(tzinfo=UTC)
    local = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0).isoformat()
    unchanged(format_, replace(POST, time_zone=zone, schedule_time=instant, local_time=local))


@pytest.mark.parametrize("format_", KEPT_WHOLE)
def test_the_author_s_choices_and_several_accounts_survive(format_: str) -> None:
    tiktok = TikTokChoices(
        "SELF_ONLY", allow_comment=True, allow_duet=False, is_ai_generated=True, cover_time_ms=1500,
        auto_add_music=True, photo_cover_index=3, photo_title="Sorted", post_mode="MEDIA_UPLOAD",
        music_usage_confirm_time=datetime(2027, 1, 4, 17, tzinfo=UTC),
    )  # fmt: skip
    unchanged(format_, replace(POST, handles=("a", "b"), tiktok=tiktok))


@given(TEXTS)
def test_guarding_is_undone_exactly(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_no_cell_of_a_text_file_begins_a_formula() -> None:
    post = replace(
        POST, caption='=HYPERLINK("https://example.com")', ref="-1+1", handles=("a",), media=("@SUM(1).mp4",)
    )
    for format_ in ("csv", *TOOLS):
        rows = list(csv.reader(io.StringIO(written(format_, post).decode(), newline="")))
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)


def test_a_workbook_has_real_dates_and_times_and_no_formula() -> None:
    book = openpyxl.load_workbook(
        io.BytesIO(written("xlsx", replace(POST, caption="=1+1", local_time="2027-02-10T10:00:30")))
    )
    cells: dict[str, Any] = dict(zip(WRITTEN, book.worksheets[0][2], strict=True))
    assert (cells["local_date"].value, cells["local_date"].is_date) == (datetime(2027, 2, 10), True)
    assert cells["local_time"].value.isoformat() == "10:00:30"
    assert (cells["caption"].value, cells["caption"].data_type) == ("=1+1", "s")


def test_an_event_has_a_stable_uid_and_the_rules_of_its_zone() -> None:
    text = written("ics", POST, replace(POST, time_zone="UTC")).decode()
    assert text.count("BEGIN:VTIMEZONE") == 1
    assert f"UID:{POST.post_id}@reelroute" in text
    assert "DTSTART;TZID=Europe/Berlin:20270210T100000" in text
    assert "DTSTART:20270210T100000Z" in text


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tokyo"]
)
def test_the_rules_of_a_zone_are_right_at_every_hour(zone: str) -> None:
    text = written("ics", replace(POST, time_zone=zone)).decode()
    begin, end = text.index("BEGIN:VTIMEZONE"), text.index("END:VTIMEZONE")
    # dateutil wants each observance in one line of dates, and knows no COMMENT.
    told: Any = tzical(io.StringIO(text[begin : end + len("END:VTIMEZONE\r\n")])).get(zone)
    place = ZoneInfo(zone)
    moment = datetime(2026, 1, 2)
    while moment < datetime(2029, 12, 30):
        aware = moment.replace(tzinfo=place)
        # Wall-clock times that do not exist are not asked for.
        if aware.astimezone(UTC).astimezone(place).replace(tzinfo=None) == moment:
            assert moment.replace(tzinfo=told).utcoffset() == aware.utcoffset(), moment
        moment += timedelta(hours=1)


@pytest.mark.parametrize(("tool", "header"), [("buffer", BUFFER), ("publer", PUBLER), ("metricool", METRICOOL)])
def test_other_tools_get_their_header_to_the_letter(tool: str, header: tuple[str, ...]) -> None:
    sent = next(csv.reader(io.StringIO((SAMPLES / tool / "air.csv").read_text("utf-8-sig"), newline="")))
    (first, row) = csv.reader(io.StringIO(written(tool, POST).decode(), newline=""))
    assert first == sent == list(header)
    assert len(row) == len(header)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_file_of_another_tool_means_the_same_when_it_is_read_again(tool: str) -> None:
    remarks: list[Remark] = []
    fire = [entry for entry in sample("brand_q1.csv") if entry.channel == "fire"]
    data = written(tool, *(of(entry) for entry in fire), remarks=remarks, zone=ZONES["fire"])
    said = {"account": "emberfold.fire", "channel": "fire", "time_zone": ZONES["fire"], "date_order": "mdy"}
    found = entries(data, **said)
    assert [(each.instant, each.text, each.channel) for each in found] == [
        (each.instant, each.text, each.channel) for each in fire
    ]
    if tool in ("publer", "metricool"):
        assert [each.media for each in found] == [tuple(f"emberfold/{name}" for name in each.media) for each in fire]
        assert not remarks


def test_what_cannot_travel_is_said() -> None:
    remarks: list[Remark] = []
    tiktok = TikTokChoices("SELF_ONLY", cover_time_ms=1500)
    post = replace(
        POST,
        caption="-50 %",
        handles=("a", "b"),
        media=("a.webp", "b.jpg", "c.jpg"),
        tiktok=tiktok,
        schedule_time=datetime(2027, 10, 31, 0, 30, 10, tzinfo=UTC),
    )
    written("buffer", post, remarks=remarks, zone="Europe/Berlin")
    told = " ".join(each.message for each in remarks)
    for words in (
        "by the minute",
        "comes twice",
        "one account",
        "apostrophe",
        "privacy",
        "cover",
        "JPEG",
        "first picture",
    ):
        assert words in told
    assert {each.ref for each in remarks} == {"Q1-001"}


def test_posts_are_written_as_they_come() -> None:
    taken = 0

    def posts() -> Any:
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield POST

    pieces = write("csv", posts(), [], now=NOW)
    assert len(next(pieces)) > 60_000
    assert taken < 1_000
