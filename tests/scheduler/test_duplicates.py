"""Which captions and files are alike, and which rule speaks of them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.errors import InvalidArgument
from services.scheduler.domain import Media
from services.scheduler.duplicates import (
    NEAR_BITS,
    SAME_TEXT,
    Compared,
    DuplicateAction,
    DuplicateRule,
    Duplicates,
    Rules,
    Wanted,
    looks_alike,
    pair,
    rule_for,
    similarity,
)

HOUR = 3600
POST, OTHER = UUID(int=7), UUID(int=8)


def compared(channel: str, time: int = 0, text: str = "", post_id: UUID | None = None, **fields: object) -> Compared:
    values: dict[str, object] = {"shingles": (), "media": ()} | fields
    return Compared(post_id, channel, time, text, **values)  # type: ignore[arg-type]


def file(sha256: str, *frames: int) -> Media:
    return Media("asset", sha256, "video/mp4", frames)


def ruled(*rules: tuple[str, str, str, int]) -> Rules:
    return {
        pair(one, other): DuplicateRule(*pair(one, other), DuplicateAction(action), timedelta(hours=hours))
        for one, other, action, hours in rules
    }


def found(
    among: list[Compared], asked: Compared, rules: Rules | None = None
) -> list[tuple[str, str, UUID | None, bool]]:
    """What is said of a post: rule, field, other post, whether it blocks."""
    duplicates = Duplicates(rules or {})
    for each in among:
        duplicates.add(each)
    conflicts = [*duplicates.captions(asked), *duplicates.files(asked)]
    return [(each.rule.value, each.field, each.other_post_id, each.blocking) for each in conflicts]


CAPTION = ("DUPLICATE_CAPTION", "caption")


def test_the_same_words_on_another_channel_are_told_within_a_day_and_no_longer() -> None:
    known = [compared("air", 0, "same words", POST)]
    assert found(known, compared("fire", 24 * HOUR, "same words")) == [(*CAPTION, POST, False)]
    assert found(known, compared("fire", 24 * HOUR + 1, "same words")) == []
    assert found(known, compared("fire", 0, "other words")) == []
    # A channel may repeat itself, and posts without any caption are no copies of each other.
    assert found(known, compared("air", 0, "same words")) == []
    assert found([compared("air", 0, "", POST)], compared("fire", 0, "")) == []


def test_a_caption_is_the_same_when_one_word_of_twenty_was_exchanged_and_not_when_three_were() -> None:
    # 18 groups of three words: an exchanged word changes three of them.
    groups = list(range(100, 118))
    one = sorted([*groups[:8], 1, 2, 3, *groups[11:]])
    three = sorted([*groups[:2], *range(50, 59), *groups[11:]])
    known = [compared("air", 0, "a", POST, shingles=tuple(groups[:16]))]
    assert found(known, compared("fire", 0, "b", shingles=tuple(one[:16]))) == [(*CAPTION, POST, False)]
    assert found(known, compared("fire", 0, "b", shingles=tuple(three[:16]))) == []


sketches = st.frozensets(st.integers(0, 40), min_size=1, max_size=30).map(lambda groups: tuple(sorted(groups)[:16]))


@settings(deadline=None)
@given(st.lists(sketches, max_size=12), sketches)
# As far apart as alike texts can be: the first six groups of each are not in the other.
@example([tuple(range(16))], (*range(6, 16), *range(20, 26)))
@example([(*range(3), *range(6, 16), *range(30, 33))], (*range(3, 16), *range(40, 43)))
def test_no_caption_that_is_alike_is_overlooked(known: list[tuple[int, ...]], asked: tuple[int, ...]) -> None:
    posts = [
        compared("air", index, f"text {index}", UUID(int=index), shingles=each) for index, each in enumerate(known)
    ]
    alike = {UUID(int=index) for index, each in enumerate(known) if similarity(each, asked) >= SAME_TEXT}
    # Each alone, so that each is asked about.
    told = {
        other
        for each in posts
        for _, _, other, _ in found([each], compared("fire", 0, "asked", shingles=asked))
        if other
    }
    assert told == alike
    wanted = Wanted([compared("fire", 0, "asked", shingles=asked)])
    assert all(wanted.has_text(each.text, each.shingles) for each in posts if each.post_id in alike)


hashes = st.integers(0, 2**64 - 1)


@settings(deadline=None)
@given(hashes, st.sets(st.integers(0, 63), max_size=12))
def test_two_pictures_are_alike_when_few_bits_differ(picture: int, bits: set[int]) -> None:
    other = picture
    for bit in bits:
        other ^= 1 << bit
    known = [compared("air", 0, post_id=POST, media=(file("a", picture),))]
    told = found(known, compared("fire", 0, media=(file("x"), file("b", other))))
    assert told == ([("DUPLICATE_MEDIA", "media[1]", POST, False)] if len(bits) <= NEAR_BITS else [])
    assert Wanted([compared("fire", media=(file("b", other),))]).has_file(file("a", picture)) == bool(told)


@settings(deadline=None)
@given(st.lists(hashes, min_size=1, max_size=6), st.lists(hashes, min_size=1, max_size=6), st.integers(0, 6))
def test_two_videos_are_alike_when_half_of_the_shorters_frames_are_in_the_other(
    one: list[int], other: list[int], shared: int
) -> None:
    other = one[:shared] + other
    known = [compared("air", 0, post_id=POST, media=(file("a", *one),))]
    told = found(known, compared("fire", 0, media=(file("b", *other),)))
    assert bool(told) == looks_alike(one, other)
    if min(shared, len(one)) * 2 >= min(len(one), len(other)):
        assert told


def test_the_same_file_is_a_duplicate_without_any_fingerprint() -> None:
    known = [compared("air", 0, post_id=POST, media=(file("a"), file("b")))]
    assert found(known, compared("fire", 0, media=(file("c"), file("b")))) == [
        ("DUPLICATE_MEDIA", "media[1]", POST, False)
    ]


def test_the_rule_that_names_more_channels_wins_and_of_two_halves_the_stricter() -> None:
    rules = ruled(("", "", "ALLOW", 1), ("", "air", "WARN", 2), ("fire", "", "REFUSE", 3), ("water", "air", "ALLOW", 4))

    def window(one: str, other: str) -> int:
        return rule_for(one, other, rules).window // timedelta(hours=1)

    assert [window("earth", "moss"), window("earth", "air"), window("air", "fire"), window("air", "water")] == [
        1,
        2,
        3,
        4,
    ]
    assert rule_for("air", "fire", {}) == rule_for("fire", "air", {})


def test_of_several_duplicates_that_of_the_strictest_rule_is_told_and_of_these_the_nearest() -> None:
    known = [
        compared("air", 10, "same", UUID(int=1)),
        compared("water", 500, "same", UUID(int=2)),
        compared("water", 300, "same", UUID(int=3)),
    ]
    rules = ruled(("fire", "water", "REFUSE", 24))
    assert found(known, compared("fire", 0, "same"), rules) == [(*CAPTION, UUID(int=3), True)]
    assert found(known, compared("fire", 0, "same"), ruled(("fire", "water", "ALLOW", 24))) == [
        (*CAPTION, UUID(int=1), False)
    ]


def test_a_channel_is_no_pair() -> None:
    with pytest.raises(InvalidArgument) as refused:
        pair("air", "air")
    assert [each.field for each in refused.value.violations] == ["rule.other_channel"]
    assert pair("", "") == ("", "")


def test_what_comes_later_is_found_by_what_was_asked_about_before() -> None:
    duplicates = Duplicates({})
    first = compared("fire", 0, "first", shingles=(1, 2, 3))
    assert duplicates.captions(first) == []
    duplicates.add(compared("air", 0, "second", POST, shingles=(1, 2, 3)))
    assert [each.other_post_id for each in duplicates.captions(first)] == [POST]
    duplicates.remove(compared("air", 0, "second", POST, shingles=(1, 2, 3)))
    assert duplicates.captions(first) == []
