"""Perceptual hashes: 64 bits that say what a picture looks like. Runs only inside the worker process of `probe.py`.

A picture is averaged into 32 x 32 grey cells and transformed (DCT), and each of its 8 x 8 lowest frequencies gives one
bit: its sign. Size, compression and brightness leave the signs of all but the weakest alone; of another picture about
half differ. This is what others call pHash, with two differences: they compare with the median of the strengths instead
of zero, which loses more to crops and to things laid over the picture; and whole numbers are summed here, so that every
machine gets the same bits. Pillow and the standard library suffice. decisions/0013 has what was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import cos, pi
from operator import mul

from PIL import Image

MOST_HASHES = 8
"""Of one file."""
_SIDE = 32
_CELLS = (_SIDE, _SIDE)
_FREQUENCIES = 8
# A picture of one colour says nothing: its bits would be noise, or make all such pictures equal. Of 256 levels, between
# the darkest and the brightest cell.
_LEAST_CONTRAST = 8
_SHORTEST_STRETCH = Fraction(1, 8)  # seconds
_WAVES = [
    [round(4096 * cos(pi * (2 * cell + 1) * frequency / (2 * _SIDE))) for cell in range(_SIDE)]
    for frequency in range(_FREQUENCIES)
]


def hash_of(picture: Image.Image, turned: Image.Transpose | None) -> int | None:
    """The hash of a picture as it is seen, that is turned or mirrored first; None when it is (nearly) of one colour."""
    cells = _grey(picture)
    if turned is not None:
        cells = cells.transpose(turned)
    levels = cells.tobytes()
    if max(levels) - min(levels) < _LEAST_CONTRAST:
        return None
    rows = [levels[at : at + _SIDE] for at in range(0, len(levels), _SIDE)]
    columns = list(zip(*([_strength(row, wave) for wave in _WAVES] for row in rows), strict=True))
    bits = 0
    for wave in _WAVES:
        for column in columns:
            bits = bits << 1 | (_strength(column, wave) > 0)
    return bits


def _strength(levels: bytes | tuple[int, ...], wave: list[int]) -> int:
    return sum(map(mul, levels, wave))


def _grey(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:  # as it looks on a white page
        cells = _shrunk(picture.convert("RGBA"))
        return Image.alpha_composite(Image.new("RGBA", _CELLS, "white"), cells).convert("L")
    if picture.mode.startswith("I"):  # 16 bits for each pixel
        return _shrunk(picture.convert("F")).point(lambda level: level / 256).convert("L")
    if picture.mode in ("1", "P"):  # of these Pillow would pick single pixels
        picture = picture.convert("L")
    return _shrunk(picture).convert("L")


def _shrunk(picture: Image.Image) -> Image.Image:
    return picture.resize(_CELLS, Image.Resampling.BOX, reducing_gap=2)


class FrameHashes:
    """Hashes of at most eight frames, evenly spread over a video, whose true length is known only at its end.

    Time is divided into stretches of 1/8, 1/4, 1/2, 1, 2 … seconds, and the first frame of each is hashed. When there
    are more stretches than hashes may be, each two become one. So a video keeps most of its hashes when its end is cut
    off or something is added to it.
    """

    def __init__(self, ticks_per_second: Fraction, promised_seconds: Fraction) -> None:
        """`promised_seconds` saves hashing what is thrown away later; it may be wrong."""
        stretch = _SHORTEST_STRETCH
        while stretch * MOST_HASHES < promised_seconds:
            stretch *= 2
        self._stretch = max(1, int(stretch * ticks_per_second))
        self._first: int | None = None
        # By the number of the stretch, in order of time.
        self._hashes: dict[int, int | None] = {}
        self._last = -1

    def see(self, ticks: int, hashed: Callable[[], int | None]) -> None:
        """Takes note of the next frame, shown at `ticks`; asks for its hash only when it is wanted."""
        if self._first is None:
            self._first = ticks
        number = (ticks - self._first) // self._stretch
        if number <= self._last:
            return
        self._hashes[number] = hashed()
        while len(self._hashes) > MOST_HASHES:
            self._stretch *= 2
            earlier, self._hashes = self._hashes, {}
            for each, value in earlier.items():
                self._hashes.setdefault(each // 2, value)
        self._last = next(reversed(self._hashes))

    def all(self) -> tuple[int, ...]:
        """In order of time. A frame of one colour has none."""
        return tuple(value for value in self._hashes.values() if value is not None)
