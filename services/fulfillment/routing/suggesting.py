"""What a SKU without a mapping might be at Amazon: the same SKU or barcode, or a title that is much alike. Pure."""

from __future__ import annotations

import enum
import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_WORD = re.compile(r"\w+")
# Less alike than this is chance: two products of one brand share its name and some words.
_LEAST_LIKENESS = 25
_MOST_SUGGESTIONS = 3
# So many titles with the most in common are looked at closely.
_COMPARED = 10


class Ground(enum.Enum):
    """Why something is suggested; the surest first."""

    SAME_SKU = "SAME_SKU"
    BARCODE = "BARCODE"
    TITLE = "TITLE"


@dataclass(frozen=True, slots=True)
class Offer:
    """A SKU that Amazon has."""

    amazon_sku: str
    title: str
    barcodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A guess. `likeness`: of the titles, 0 to 100; 100 on another ground."""

    amazon_sku: str
    title: str
    ground: Ground
    likeness: int


class Offers:
    """Amazon's SKUs of one marketplace, to be searched."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._offers = tuple(offers)
        self._words = [_words(offer.title) for offer in self._offers]
        self._by_word: dict[str, list[int]] = {}
        self._by_barcode: dict[str, list[int]] = {}
        self._by_sku = {offer.amazon_sku: index for index, offer in enumerate(self._offers)}
        for index, offer in enumerate(self._offers):
            for word in self._words[index]:
                self._by_word.setdefault(word, []).append(index)
            for barcode in offer.barcodes:
                self._by_barcode.setdefault(_barcode(barcode), []).append(index)

    def like(self, seller_sku: str, barcode: str, title: str) -> list[Suggestion]:
        """What a SKU might be, the best first; few."""
        found: dict[int, tuple[Ground, int]] = {}
        if (same := self._by_sku.get(seller_sku)) is not None:
            found[same] = Ground.SAME_SKU, 100
        for index in self._by_barcode.get(_barcode(barcode), []) if barcode else []:
            found.setdefault(index, (Ground.BARCODE, 100))
        for likeness, index in self._alike(title):
            found.setdefault(index, (Ground.TITLE, likeness))
        return [
            Suggestion(self._offers[index].amazon_sku, self._offers[index].title, ground, likeness)
            for index, (ground, likeness) in list(found.items())[:_MOST_SUGGESTIONS]
        ]

    def _alike(self, title: str) -> list[tuple[int, int]]:
        """The most alike titles: of the weight of their words, the part of those in both. Rare words weigh more."""
        wanted = _words(title)
        shared: dict[int, float] = {}
        for word in wanted:
            for index in self._by_word.get(word, []):
                shared[index] = shared.get(index, 0.0) + self._weight(word)
        mine = sum(map(self._weight, wanted))
        scored = []
        for index, weight in sorted(shared.items(), key=lambda each: -each[1])[:_COMPARED]:
            both = mine + sum(map(self._weight, self._words[index])) - weight
            likeness = round(100 * weight / both)
            if likeness >= _LEAST_LIKENESS:
                scored.append((likeness, index))
        return sorted(scored, key=lambda each: (-each[0], each[1]))

    def _weight(self, word: str) -> float:
        return 1 + math.log((1 + len(self._offers)) / (1 + len(self._by_word.get(word, []))))


def _words(title: str) -> frozenset[str]:
    return frozenset(_WORD.findall(unicodedata.normalize("NFKC", title).casefold()))


def _barcode(told: str) -> str:
    # An UPC is an EAN without its leading zero.
    return told.strip().lstrip("0")
