"""One quarter in nine formats: the same posts, to the second."""

from __future__ import annotations

import pytest

from services.gateway.calendars.entries import Entry, TikTokChoices
from services.gateway.calendars.resolving import Resolver
from tests.gateway.calendars.given import ACCOUNTS, CHANNELS, SAMPLES, ZONES, calendar, expected, reasons, sample, utc

INSTANTS = {row["ref"]: row["utc"] for row in expected("brand_q1.expected_utc.csv")}
# The files as the library has them: the addresses in other tools' files end with these names.
LIBRARY = {name: f"id-{name}" for entry in sample("brand_q1.csv") for name in entry.media}


def what_is_posted(entry: Entry) -> tuple[object, ...]:
    return entry.instant, entry.text, entry.accounts, entry.channel, entry.skus


def test_the_neutral_csv_means_the_expected_instants() -> None:
    found = sample("brand_q1.csv")
    assert {each.ref: utc(each) for each in found} == INSTANTS
    assert len(found) == 120
    assert not any(each.problems or each.warnings for each in found)


def test_a_workbook_has_the_same_rows() -> None:
    found, same = sample("brand_q1.xlsx", sheet="Q1 plan"), sample("brand_q1.csv")
    assert [(each.ref, each.media, *what_is_posted(each)) for each in found] == [
        (each.ref, each.media, *what_is_posted(each)) for each in same
    ]
    assert not any(each.problems or each.warnings for each in found)


def test_a_calendar_of_events_has_the_same_posts() -> None:
    found, same = sample("brand_q1.ics"), sample("brand_q1.csv")
    assert [what_is_posted(each) for each in found] == [what_is_posted(each) for each in same]
    assert [each.ref for each in found] == [f"{each.ref.lower()}@calendar.example.com" for each in same]
    assert not any(each.problems or each.warnings for each in found)
    drafts = zip(*(Resolver(ACCOUNTS, LIBRARY).resolve(each) for each in (found, same)), strict=True)
    assert all(one.media == other.media and not one.problems for one, other in drafts)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("tool", ["hootsuite", "buffer", "publer", "metricool"])
def test_the_file_of_another_tool_has_the_posts_of_its_channel(tool: str, channel: str) -> None:
    found = calendar(
        (SAMPLES / tool / f"{channel}.csv").read_bytes(),
        account=f"@emberfold.{channel}",
        channel=channel,
        time_zone=ZONES[channel],
        date_order="mdy" if tool == "hootsuite" else "",
    )
    assert (found.format, found.row_count) == (tool, 30)
    drafts = list(Resolver(ACCOUNTS, LIBRARY).resolve(found.entries))
    same = [
        draft for draft in Resolver(ACCOUNTS, LIBRARY).resolve(sample("brand_q1.csv")) if draft.entry.channel == channel
    ]
    assert sorted(utc(each.entry) for each in drafts) == sorted(INSTANTS[each.entry.ref] for each in same)
    by_time = {each.entry.instant: each for each in same}
    for draft in drafts:
        twin = by_time[draft.entry.instant]
        assert (draft.entry.text, draft.accounts) == (twin.entry.text, twin.accounts)
        if tool in ("publer", "metricool"):
            assert (draft.media, draft.problems) == (twin.media, ())
        elif tool == "hootsuite":
            # One link for each post: the first file.
            assert (draft.media, draft.problems) == (twin.media[:1], ())
        else:
            # No video, no WebP, one picture: the others are lost in Buffer's own format.
            assert draft.media == twin.media[:1] or reasons(draft.problems) == ["media_empty"]


def test_metricool_s_choices_are_ours() -> None:
    found = sample("metricool/air.csv", account="@emberfold.air", time_zone=ZONES["air"])
    assert {each.tiktok for each in found} == {
        TikTokChoices(
            "PUBLIC_TO_EVERYONE",
            allow_comment=True,
            allow_duet=True,
            allow_stitch=True,
            brand_organic=True,
            branded_content=False,
            is_ai_generated=False,
        )
    }
