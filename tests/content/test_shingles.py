"""What makes two texts nearly the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.shingles import SKETCH, sketch, words

CAPTION = (
    "Double-sleeving in two moves: inner sleeve with the opening down, outer sleeve with the opening up. Dust has no"
    " straight way in.\n\n#emberfold #cardstorage #sleevetips"
)
OTHER = "A river you can play on. 24 by 14 inches, stitched edge, quiet colours.\n\n#emberfold #deskaesthetic #cards"


def similarity(one: str, other: str) -> float:
    a, b = set(sketch(one)), set(sketch(other))
    smallest = sorted(a | b)[:SKETCH]
    return sum(each in a and each in b for each in smallest) / len(smallest)


@pytest.mark.parametrize(
    "again",
    [
        CAPTION.upper(),
        CAPTION.replace(" ", "  \n"),
        CAPTION.replace(",", "").replace(".", "!"),
        f"{CAPTION} https://example.com/shop?id=1",
    ],
)
def test_case_blanks_punctuation_and_addresses_do_not_count(again: str) -> None:
    assert sketch(again) == sketch(CAPTION)


@pytest.mark.parametrize(
    "again",
    [
        f"{CAPTION} 🎲",
        f"🎲 {CAPTION}",
        CAPTION.replace("Dust", "🎲 Dust 🃏"),
        f"{CAPTION} #tabletop",
        CAPTION.replace("Dust", "Water"),
    ],
)
def test_a_text_with_one_word_more_or_another_is_nearly_the_same(again: str) -> None:
    assert similarity(CAPTION, again) >= 0.6


def test_other_texts_share_next_to_nothing() -> None:
    assert similarity(CAPTION, OTHER) < 0.1


def test_scripts_without_blanks_are_compared_by_characters() -> None:
    text = "新しいカードケースが入荷しました。今週だけ送料無料です。"
    assert len(sketch(text)) == SKETCH
    assert similarity(text, text.replace("今週", "来週")) >= 0.6
    assert similarity(text, "木製のダイストレイ、四つの仕切り付き。手作業で仕上げています。") < 0.2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("हिन्दी में नया केस", ["हिन्दी", "में", "नया", "केस"]),
        ("اَلْعَرَبِيَّةُ جميلة", ["اَلْعَرَبِيَّةُ", "جميلة"]),
        ("한국어 카드", ["한국어", "카드"]),
        ("USBケース新", ["usb", "ケ", "ー", "ス", "新"]),
        ("ใหม่", ["ใ", "ห", "ม่"]),
        ("#card_sleeves by @ember.fold", ["card", "sleeves", "by", "ember", "fold"]),
        ("❤️ new 👩🏽‍💻 1️⃣", ["new", "1", "❤", "👩", "💻"]),
        ("Straße STRASSE ﬁne hel​lo", ["strasse", "strasse", "fine", "hello"]),
    ],
)
def test_words_are_those_of_their_script_and_emoji_come_last(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_letters_with_accents_are_the_same_in_both_forms() -> None:
    assert sketch("Kartenbox für Würfel, schön leise") == sketch("Kartenbox fu\u0308r Wu\u0308rfel, scho\u0308n leise")


@pytest.mark.parametrize("text", ["", "   ", "!!! …", "https://example.com"])
def test_a_text_without_words_has_no_sketch(text: str) -> None:
    assert sketch(text) == []


def test_a_short_text_is_compared_as_a_whole() -> None:
    assert sketch("New drop") == sketch("new DROP!")
    assert sketch("New drop") != sketch("New drop soon")


@given(st.text(max_size=300))
def test_a_sketch_is_small_sorted_and_of_32_bits(text: str) -> None:
    found = sketch(text)
    assert found == sorted(set(found))
    assert len(found) <= SKETCH
    assert all(0 <= each < 2**32 for each in found)


@given(st.text(max_size=300))
def test_nothing_changes_when_a_text_is_reduced_to_its_words(text: str) -> None:
    assert words(" ".join(words(text))) == words(text)


_SPELT = st.text(st.sampled_from("abcXYZ0189äÖßéÑжЩλΩ新カمرन🎲"), min_size=1, max_size=8)


@given(st.lists(_SPELT, max_size=40), st.sampled_from([" ", "  ", "\n", "\u00a0", " – ", ", "]))
def test_neither_case_nor_what_is_between_words_counts(spelt: list[str], between: str) -> None:
    expected = sketch(" ".join(spelt))
    assert sketch(between.join(spelt)) == expected
    assert sketch(" ".join(spelt).swapcase()) == expected
