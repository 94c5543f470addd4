"""Near-duplicates among thousands of captions: all are found, and what a brand writes under each costs nothing."""

from __future__ import annotations

import random

from services.scheduler.duplicates import SAME_TEXT, Compared, Duplicates, Wanted, similarity


def sketches(seed: int, texts: int, *, common: int) -> list[tuple[int, ...]]:
    """Of texts of which some are altered copies of others; `common` hashes, the smallest of all, are in each."""
    drawn = random.Random(seed)
    made: list[list[int]] = []
    for _ in range(texts):
        own = drawn.choice(made)[:] if made and drawn.random() < 0.5 else drawn.sample(range(100, 10_000), 16)
        for _ in range(drawn.randrange(6)):
            own[drawn.randrange(len(own))] = drawn.randrange(100, 10_000)
        made.append(own[: drawn.choice((16, 16, 16, 3))])
    return [tuple(sorted({*range(common), *each}))[:16] for each in made]


def test_every_text_that_is_alike_is_found_and_no_other() -> None:
    for seed in range(20):
        texts = sketches(seed, 60, common=seed % 6)
        for judged in range(len(texts)):
            others = [each for each in range(len(texts)) if each != judged]
            duplicates, wanted = Duplicates({}), Wanted([post(judged, "air", texts)])
            for each in others:
                duplicates.add(post(each, "fire", texts))
            alike = [each for each in others if similarity(texts[judged], texts[each]) >= SAME_TEXT]
            assert bool(duplicates.captions(post(judged, "air", texts))) == bool(alike)
            assert all(wanted.has_text(f"text {each}", texts[each]) for each in alike)


def post(number: int, channel: str, texts: list[tuple[int, ...]]) -> Compared:
    return Compared(None, channel, 0, f"text {number}", texts[number], ())
