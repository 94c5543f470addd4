"""Files of other tools, as people and exporters in the wild write them."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from services.gateway.calendars.entries import Entry, NotACalendar
from services.gateway.calendars.tools import METRICOOL, PUBLER
from tests.gateway.calendars.given import calendar, reasons

URL = "https://media.example.com/emberfold/good/clip.mp4"
SAID: dict[str, Any] = {"account": "@emberfold.air", "time_zone": "America/New_York"}


def written(*rows: list[str]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def read(data: bytes, tool: str, **options: Any) -> list[Entry]:
    found = calendar(data, **SAID | options)
    assert found.format == tool
    return list(found.entries)


def metricool(**cells: str) -> Entry:
    usual = {"Text": "Sort.", "Date": "2027-02-10", "Time": "10:00:00", "TikTok": "TRUE", "Picture Url 1": URL}
    values = usual | {name.replace("_", " "): value for name, value in cells.items()}
    (entry,) = read(written(list(METRICOOL), [values.get(name, "") for name in METRICOOL]), "metricool")
    return entry


def publer(*, day: str = "2027/02/10 10:00", media: str = URL, **cells: str) -> Entry:
    values = dict.fromkeys(PUBLER, "") | {PUBLER[0]: day, PUBLER[1]: "Sort.", PUBLER[3]: media}
    values |= {name: cells[word] for word in cells for name in PUBLER if name.startswith(word)}
    (entry,) = read(written(list(PUBLER), list(values.values())), "publer")
    return entry


def test_account_and_zone_have_to_be_said() -> None:
    data = written(["Text", "Image URL", "Tags", "Posting Time"], ["Sort.", URL, "", "2027-02-10 10:00"])
    for missing, reason in (("account", "account_missing"), ("time_zone", "timezone_missing")):
        with pytest.raises(NotACalendar) as caught:
            calendar(data, **{name: value for name, value in SAID.items() if name != missing})
        assert caught.value.reason == reason


def test_hootsuite_s_dates_need_their_order_said() -> None:
    data = written(["02/03/2027 10:00", "Sort.", URL])
    assert reasons(read(data, "hootsuite")[0].problems) == ["date_format"]
    for order, day in (("mdy", "2027-02-03"), ("dmy", "2027-03-02")):
        (entry,) = read(data, "hootsuite", date_order=order)
        assert (entry.local_time, entry.problems) == (f"{day}T10:00:00", ())


def test_hootsuite_s_files_of_exporters_may_have_a_header_and_more_columns() -> None:
    data = written(["Date", "Message", "Link", "Tags", "Location"], ["2027-02-10 10:00", "Sort.", URL, "a", ""])
    (entry,) = read(data, "hootsuite")
    assert (entry.local_time, entry.text, entry.media) == ("2027-02-10T10:00:00", "Sort.", ("emberfold/good/clip.mp4",))


def test_a_link_that_is_no_file_is_no_media() -> None:
    (entry,) = read(written(["2027-02-10 10:00", "Sort.", "https://example.com/shop?x=clip.mp4"]), "hootsuite")
    assert reasons(entry.problems) == ["media_missing"]


def test_buffer_s_header_may_be_in_another_case_and_lack_columns() -> None:
    (entry,) = read(written(["text", "posting time", "image url"], ["Sort.", "2027-02-10 10:00", URL]), "buffer")
    assert not entry.problems


def test_addresses_name_files_and_are_never_opened() -> None:
    address = "https://cdn.example.com/W%C3%BCrfel%20%26%20Karten%20(final)%20v2.jpg?sig=1#x"
    assert publer(media=f"{address}, {URL}").media == ("Würfel & Karten (final) v2.jpg", "emberfold/good/clip.mp4")
    assert reasons(publer(media="https://example.com/").problems) == ["media_url_not_allowed"]
    assert reasons(publer(media="https://example.com/a/%2e%2e/%2e%2e/etc/passwd").problems) == [
        "media_path_not_allowed"
    ]
    assert reasons(publer(media="file:///etc/passwd").problems) == ["media_url_not_allowed"]


def test_publer_s_empty_date_asks_for_a_queue() -> None:
    entry = publer(day="")
    assert reasons(entry.problems) == ["date_missing", "time_missing"]
    assert "next free slot" in entry.problems[0].message


def test_publer_s_phrases_and_reminders_are_refused_and_comments_are_told() -> None:
    assert "date_format" in reasons(publer(day="tomorrow at 5pm").problems)
    assert reasons(publer(Reminder="true").problems) == ["draft_not_supported"]
    assert reasons(publer(Comment="First!").warnings) == ["not_kept"]


def test_metricool_s_drafts_and_posts_for_others_are_refused() -> None:
    assert reasons(metricool(Draft="TRUE").problems) == ["draft_not_supported"]
    assert reasons(metricool(TikTok="FALSE", Instagram="TRUE").problems) == ["other_network"]


def test_metricool_s_negative_choices_are_turned_round() -> None:
    entry = metricool(
        TikTok_disable_comments="TRUE",
        TikTok_disable_duet="no",
        TikTok_disable_stitch="yes",
        TikTok_Post_Privacy="FOLLOWER_OF_CREATOR",
        TikTok_Branded_Content="TRUE",
        TikTok_is_AI_generated_content="TRUE",
    )
    chosen = entry.tiktok
    assert (chosen.allow_comment, chosen.allow_duet, chosen.allow_stitch) == (False, True, False)
    assert (chosen.privacy_level, chosen.branded_content, chosen.is_ai_generated) == ("FOLLOWER_OF_CREATOR", True, True)
    assert chosen.brand_organic is None


def test_what_a_post_has_no_place_for_is_told() -> None:
    entry = metricool(First_Comment_Text="First!", TikTok_Title="Another title")
    assert [each.message for each in entry.warnings] == ["A post has no place for: First Comment Text, TikTok Title."]
    assert not metricool(TikTok_Title="Sort").warnings


def test_metricool_s_photo_choices_are_ours() -> None:
    entry = metricool(
        Picture_Url_1="https://cdn.example/one.jpg",
        TikTok_Title="Sorted",
        TikTok_Auto_Add_Music="TRUE",
        TikTok_Photo_Cover_Index="1",
    )
    chosen = entry.tiktok
    assert (chosen.photo_title, chosen.auto_add_music, chosen.photo_cover_index) == ("Sorted", True, 1)


def test_a_row_with_too_many_cells_is_refused() -> None:
    data = written(["Text", "Image URL", "Tags", "Posting Time"], ["Sort.", URL, "", "2027-02-10 10:00", "more"])
    assert reasons(read(data, "buffer")[0].problems) == ["too_many_columns"]


def test_a_file_said_to_be_of_a_tool_must_be_one() -> None:
    with pytest.raises(NotACalendar, match="posting_time"):
        calendar(written(["Text", "When"], ["Sort.", "2027-02-10 10:00"]), format="buffer", **SAID)
