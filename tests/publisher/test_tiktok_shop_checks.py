"""What is refused of a TikTok Shop creator's post before anything is sent."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.publisher.domain import Options, Platform
from services.publisher.platforms import checks
from services.publisher.platforms.base import MediaFile
from tests.publisher.factories import an_account
from tests.publisher.shop_creators import PRODUCT, a_creator, a_photo, a_video

LINKED: Options = {"product_id": PRODUCT, "product_title": "Amber dice"}
FIELD = "options.tiktok_shop"


def reasons(
    *media: MediaFile, caption: str = "Dice", options: Options | None = LINKED, **account: Any
) -> list[tuple[str, str]]:
    """Field and reason of each problem."""
    found = checks.problems(a_creator(**account), caption, media or (a_video(),), options, serves_media=False)
    assert all(each.blocking for each in found)
    return [(each.field, each.reason) for each in found]


def test_a_video_or_photos_with_a_link_are_taken() -> None:
    assert reasons() == []
    assert reasons(a_photo(), a_photo(codec="png", mime_type="image/png")) == []


def test_a_creator_who_left_out_the_scope_is_refused_with_what_to_do() -> None:
    assert reasons(scopes=("creator.showcase.read",)) == [(FIELD, "SCOPE_NOT_GRANTED")]
    (problem,) = checks.problems(a_creator(scopes=()), "", (a_video(),), LINKED, serves_media=False)
    assert "creator.video.write" in problem.message
    assert "connect the TikTok Shop creator again" in problem.message


@pytest.mark.parametrize("options", [None, {}, {"product_id": "", "product_title": " "}])
def test_without_a_product_there_is_no_post(options: Options | None) -> None:
    assert reasons(options=options) == [
        (f"{FIELD}.product_id", "PRODUCT_MISSING"),
        (f"{FIELD}.product_title", "PRODUCT_TITLE_MISSING"),
    ]


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("Amber dice", None),
        ("x" * 29, None),
        ("Würfel 琥珀 3", None),
        ("नमस्ते", None),  # with the marks that its letters need
        ("x" * 30, "PRODUCT_TITLE_TOO_LONG"),
        ("Dice!", "PRODUCT_TITLE_CHARACTERS"),
        ("Dice 🎲", "PRODUCT_TITLE_CHARACTERS"),
        ("Dice 3\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}", "PRODUCT_TITLE_CHARACTERS"),
        ("5 € off", "PRODUCT_TITLE_CHARACTERS"),
        ("Dice\ttray", "PRODUCT_TITLE_CHARACTERS"),
    ],
)
def test_the_title_of_a_link_has_letters_digits_and_spaces(title: str, reason: str | None) -> None:
    expected = [] if reason is None else [(f"{FIELD}.product_title", reason)]
    assert reasons(options={**LINKED, "product_title": title}) == expected


@given(st.text(max_size=40))
def test_no_title_with_punctuation_or_a_symbol_passes_whatever_it_is(title: str) -> None:
    if reasons(options={**LINKED, "product_title": title}):
        return
    kept = title.strip()
    assert 0 < len(kept) < 30
    assert not {unicodedata.category(each)[0] for each in kept} & {"P", "S", "C"}


@pytest.mark.parametrize(("media", "most"), [((a_video(),), 4000), ((a_photo(),), 5000)], ids=["video", "photos"])
def test_captions_are_counted_in_utf_16_units(media: tuple[MediaFile, ...], most: int) -> None:
    assert reasons(*media, caption="🎲" * (most // 2)) == []
    assert reasons(*media, caption="🎲" * (most // 2) + "x") == [("caption", "CAPTION_TOO_LONG")]


@pytest.mark.parametrize(
    ("media", "reason"),
    [
        (a_video(container="matroska", codec="hevc"), None),
        (a_video(size=100_000_000), None),
        (a_video(size=100_000_001), "FILE_TOO_LARGE"),
        (a_video(container="avs"), "FILE_FORMAT_CHECK_FAILED"),
        (a_video(width=1920, height=1080), None),
        (a_video(width=1079, height=1920), None),
        (a_video(width=1000, height=1920), "PICTURE_SIZE_CHECK_FAILED"),
        (a_video(width=2560, height=1080), "PICTURE_SIZE_CHECK_FAILED"),
        (a_photo(size=10_000_001), "FILE_TOO_LARGE"),
        (a_photo(codec="gif", mime_type="image/gif"), "FILE_FORMAT_CHECK_FAILED"),
        (a_photo(width=500, height=2000), "PICTURE_SIZE_CHECK_FAILED"),
    ],
)
def test_files_fit_what_tiktok_shop_takes(media: MediaFile, reason: str | None) -> None:
    assert reasons(media) == ([] if reason is None else [("media[0]", reason)])


def test_a_post_has_one_video_or_photos() -> None:
    found = checks.problems(a_creator(), "", (), LINKED, serves_media=False)
    assert [each.reason for each in found] == ["VIDEO_MISSING"]
    assert reasons(a_video(), a_video()) == [("media", "TOO_MANY_VIDEOS")]
    assert reasons(a_video(), a_photo()) == [("media", "MEDIA_MIXED")]


def test_a_cover_behind_the_end_of_the_video_is_refused() -> None:
    assert reasons(options={**LINKED, "cover_time_ms": 14_999}) == []
    assert reasons(options={**LINKED, "cover_time_ms": 15_000}) == [(f"{FIELD}.cover_time_ms", "COVER_OUTSIDE")]


def test_photos_that_ai_made_are_refused_because_nothing_would_say_so() -> None:
    made: Options = {**LINKED, "is_ai_generated": True}
    assert reasons(options=made) == []
    assert reasons(a_photo(), options=made) == [(f"{FIELD}.is_ai_generated", "AI_LABEL_NOT_POSSIBLE")]


def test_a_cover_of_photos_is_told_to_be_left_out() -> None:
    chosen: Options = {**LINKED, "cover_time_ms": 500}
    (note,) = checks.notes(a_creator(), "", (a_photo(),), chosen)
    assert (note.reason, note.blocking) == ("COVER_NOT_SENT", False)
    assert checks.notes(a_creator(), "", (a_video(),), chosen) == []


def test_a_product_link_on_a_tiktok_account_is_refused_with_both_ways_out() -> None:
    tiktok = an_account()
    (refused,) = checks.product_link(tiktok, {Platform.TIKTOK_SHOP: LINKED, Platform.TIKTOK: {}})
    assert (refused.field, refused.reason, refused.blocking) == (
        f"{FIELD}.product_id", "PRODUCT_LINK_NOT_POSSIBLE", True
    )  # fmt: skip
    assert "TikTok Shop creator account" in refused.message
    assert "add the link in the app" in refused.message

    draft: Options = {"post_mode": "MEDIA_UPLOAD"}
    (noted,) = checks.product_link(tiktok, {Platform.TIKTOK_SHOP: LINKED, Platform.TIKTOK: draft})
    assert (noted.reason, noted.blocking) == ("PRODUCT_LINK_NOT_SENT", False)

    assert checks.product_link(tiktok, {Platform.TIKTOK: {}, Platform.TIKTOK_SHOP: None}) == []
    assert checks.product_link(a_creator(), {Platform.TIKTOK_SHOP: LINKED}) == []
    bulletin = dataclasses.replace(tiktok, platform=Platform.BULLETIN)
    assert checks.product_link(bulletin, {Platform.TIKTOK_SHOP: LINKED}) == []
