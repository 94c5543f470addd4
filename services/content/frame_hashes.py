"""Perceptual hashes: 64 bits that say what a picture looks like. Runs only inside the worker process of `probe.py`.

It is the DCT hash that others call pHash: the picture is averaged into 32 x 32 grey cells, transformed, and each of the
8 x 8 lowest frequencies gives one bit, set when its strength is above the median. Another size, compression or
brightness changes few of these bits; another picture changes about half of them. It needs no more than Pillow and sums
of whole numbers, so that every machine gets the same bits from the same cells. What was measured is in
docs/decisions/0013-fingerprints.md.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import cos, pi
from operator import mul

from PIL import Image

MOST_HASHES = 8
"""Of one file."""
_CELLS = (32, 32)
_FREQUENCIES = 8
# A picture without light and dark says nothing: noise would decide its bits, or none, and make all such pictures equal.
# Of 256 levels, between the darkest and the brightest cell.
_LEAST_CONTRAST = 8
_SHORTEST_STRETCH = Fraction(1, 8)  # seconds
_COSINES = [
    [round(4096 * cos(pi * (2 * cell + 1) * frequency / 64)) for cell in range(_CELLS[0])]
    for frequency in range(_FREQUENCIES)
]


def hash_of(picture: Image.Image, turned: Image.Transpose | None) -> int | None:
    """The hash of a picture as it is seen, that is turned or mirrored first; none when it is (nearly) of one colour."""
    cells = _grey(picture)
    if turned is not None:
        cells = cells.transpose(turned)
    values = cells.tobytes()
    if max(values) - min(values) < _LEAST_CONTRAST:
        return None
    width = _CELLS[0]
    rows = [values[at : at + width] for at in range(0, len(values), width)]
    columns = zip(*([sum(map(mul, row, wave)) for wave in _COSINES] for row in rows), strict=True)
    across = list(columns)
    strengths = [sum(map(mul, column, wave)) for wave in _COSINES for column in across]
    median = sorted(strengths)[len(strengths) // 2 - 1]
    bits = 0
    for strength in strengths:
        bits = bits << 1 | (strength > median)
    return bits


def _grey(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        cells = _shrunk(picture.convert("RGBA"))
        return Image.alpha_composite(Image.new("RGBA", _CELLS, "white"), cells).convert("L")
    if picture.mode.startswith("I"):  # PNG with 16 bits
        cells = _shrunk(picture.convert("F"))
        return cells.point(lambda level: level / 256).convert("L")
    if picture.mode in ("1", "P"):  # Pillow would pick single pixels of these
        picture = picture.convert("L")
    return _shrunk(picture).convert("L")


def _shrunk(picture: Image.Image) -> Image.Image:
    return picture.resize(_CELLS, Image.Resampling.BOX, reducing_gap=2)


class FrameHashes:
    """Hashes of at most eight frames, evenly spread over a video whose length is known only at its end.

    Time is divided into stretches of equal length, and the first frame of each is hashed. When there are more stretches
    than hashes may be, each two become one. So a longer video keeps the times that a shorter one has, and the same
    video with an end cut off or added still has most of its hashes.
    """

    def __init__(self, ticks_per_second: Fraction, promised_seconds: Fraction) -> None:
        stretch = _SHORTEST_STRETCH
        while stretch * MOST_HASHES < promised_seconds:
            stretch *= 2
        self._stretch = max(1, int(stretch * ticks_per_second))
        self._first: int | None = None
        self._hashes: dict[int, int | None] = {}
        """By the number of the stretch, in order of time."""
        self._last = -1

    def see(self, ticks: int, hashed: Callable[[], int | None]) -> None:
        """Takes note of a frame; asks for its hash only when that is wanted."""
        if self._first is None:
            self._first = ticks
        number = (ticks - self._first) // self._stretch
        if number <= self._last:
            return
        self._hashes[number] = hashed()
        while len(self._hashes) > MOST_HASHES:
            self._stretch *= 2
            kept: dict[int, int | None] = {}
            for earlier, value in self._hashes.items():
                kept.setdefault(earlier // 2, value)
            self._hashes = kept
        self._last = next(reversed(self._hashes))

    def all(self) -> tuple[int, ...]:
        """In order of time. A frame of one colour has none."""
        return tuple(value for value in self._hashes.values() if value is not None)
