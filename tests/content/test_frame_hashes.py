"""What looks alike has hashes of which few bits differ; what does not has others, or none."""

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from math import cos, pi
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from services.content.frame_hashes import MOST_HASHES, FrameHashes, hash_of
from services.content.media import ProbeLimits
from services.content.probe import probe
from tests.content.samples import DEMO_VIDEO, MEDIA

PICTURES = ["draw_boxes_1080x1350.jpg", "hubble_1080x1350.webp", "IMG_0042.JPG"]
# Scheduler's `NEAR_BITS`, which content may not import.
NEAR_BITS = 7
OTHER_BITS = 16


def picture(name: str) -> Image.Image:
    """As a viewer shows it."""
    with Image.open(MEDIA / name) as opened:
        return ImageOps.exif_transpose(opened).convert("RGBA" if opened.has_transparency_data else "RGB")


def hashed(shown: Image.Image) -> int:
    found = hash_of(shown, None)
    assert found is not None
    return found


def differing(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def saved(shown: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    shown.save(file, "JPEG", quality=quality)
    return Image.open(file)


def cut(shown: Image.Image, part: float) -> Image.Image:
    width, height = shown.size
    return shown.crop(
        (round(width * part), round(height * part), round(width * (1 - part)), round(height * (1 - part)))
    )


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda shown: shown.resize((shown.width // 2, shown.height // 2)),
    "a square of 320": lambda shown: shown.resize((320, 320), Image.Resampling.BICUBIC),
    "quality 20": lambda shown: saved(shown, 20),
    "brighter": lambda shown: ImageEnhance.Brightness(shown).enhance(1.2),
    "darker": lambda shown: ImageEnhance.Brightness(shown).enhance(0.7),
    "more contrast": lambda shown: ImageEnhance.Contrast(shown).enhance(1.3),
    "without colours": lambda shown: shown.convert("L"),
    "1 % cut off each side": lambda shown: cut(shown, 0.01),
}


# ---- pictures


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_near(name: str, how: str) -> None:
    original = picture(name)
    assert differing(hashed(original), hashed(COPIES[how](original))) <= NEAR_BITS


def test_other_pictures_are_far() -> None:
    hashes = [hashed(picture(name)) for name in (*PICTURES, "alpha.png")]
    assert min(differing(one, other) for one, other in combinations(hashes, 2)) >= OTHER_BITS


def test_each_bit_is_the_sign_of_a_low_frequency() -> None:
    cells = picture("draw_boxes_1080x1350.jpg").convert("L").resize((32, 32), Image.Resampling.BOX)
    levels = cells.tobytes()

    def strength(down: int, across: int) -> float:
        waves = [[cos(pi * (2 * at + 1) * frequency / 64) for at in range(32)] for frequency in (down, across)]
        return sum(levels[32 * y + x] * waves[0][y] * waves[1][x] for y in range(32) for x in range(32))

    expected = "".join(str(int(strength(down, across) > 0)) for down in range(8) for across in range(8))
    assert differing(hashed(cells), int(expected, 2)) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_hashed_as_it_is_shown(tmp_path: Path, orientation: int) -> None:
    shown = picture("draw_boxes_1080x1350.jpg")
    # Turned so that EXIF's orientation turns it back.
    back = {5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE}
    back |= {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM}
    back |= {8: Image.Transpose.ROTATE_270}
    stored = shown.transpose(back[orientation]) if orientation in back else shown
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    found = probe(tmp_path / "photo.png").frame_hashes
    assert found
    assert differing(found[0], hashed(shown)) <= 2


@pytest.mark.parametrize("colour", ["black", "white", "#1f7a78"])
def test_a_picture_of_one_colour_has_no_hash(tmp_path: Path, colour: str) -> None:
    Image.new("RGB", (300, 500), colour).save(tmp_path / "flat.jpg", quality=30)
    assert probe(tmp_path / "flat.jpg").frame_hashes == ()


def test_a_transparent_picture_is_hashed_as_it_looks_on_white() -> None:
    drawn = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    ImageDraw.Draw(drawn).ellipse((40, 90, 260, 330), fill=(200, 30, 60, 255))
    on_white = Image.new("RGBA", drawn.size, "white")
    on_white.alpha_composite(drawn)
    assert differing(hashed(drawn), hashed(on_white.convert("RGB"))) <= 1
    assert differing(hashed(drawn.quantize(16)), hashed(on_white.convert("RGB"))) <= 2
    assert hash_of(Image.new("RGBA", (90, 90), (255, 0, 0, 0)), None) is None


@pytest.mark.parametrize("mode", ["CMYK", "L", "LA", "P", "RGBA", "I;16"])
def test_the_same_picture_in_another_mode_is_near(mode: str) -> None:
    original = picture("draw_boxes_1080x1350.jpg")
    if mode == "I;16":
        other = original.convert("L").convert("I").point(lambda level: level * 256).convert("I;16")
    else:
        other = original.convert(mode)
    assert differing(hashed(original), hashed(other)) <= 2


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (12_000, 3), (31, 33)])
def test_any_size_can_be_hashed(size: tuple[int, int]) -> None:
    hash_of(Image.radial_gradient("L").resize(size), None)


# ---- videos


def film(path: Path, pictures: Sequence[Image.Image], size: tuple[int, int], rate: int = 12, crf: int = 23) -> Path:
    """A video that shows each picture for a second, and slowly comes closer."""
    with av.open(str(path), "w") as media:
        stream = media.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for shown in pictures:
            for number in range(rate):
                frame = cut(shown, 0.05 * number / rate).resize(size)
                media.mux(stream.encode(av.VideoFrame.from_image(frame)))  # type: ignore[no-untyped-call]
        media.mux(stream.encode(None))
    return path


def test_a_video_has_hashes_of_frames_all_over_it_and_a_copy_has_near_ones(tmp_path: Path) -> None:
    pictures = [picture(name) for name in PICTURES]
    original = probe(film(tmp_path / "a.mp4", pictures, (360, 450))).frame_hashes
    copy = probe(film(tmp_path / "b.mp4", pictures, (240, 300), rate=10, crf=33)).frame_hashes
    reverse = probe(film(tmp_path / "c.mp4", pictures[::-1], (360, 450))).frame_hashes
    assert original
    assert copy
    assert reverse
    assert len(original) == len(copy) == 6  # 3 s in stretches of half a second
    assert max(differing(one, other) for one, other in zip(original, copy, strict=True)) <= NEAR_BITS
    # The first frame of each second is one of the pictures as it is.
    assert max(differing(one, hashed(shown)) for one, shown in zip(original[::2], pictures, strict=True)) <= NEAR_BITS
    assert differing(original[0], reverse[0]) >= OTHER_BITS


def test_frames_are_hashed_as_a_viewer_shows_them_though_decoding_is_cheap(tmp_path: Path) -> None:
    path = film(tmp_path / "pressed.mp4", [picture("hubble_1080x1350.webp")] * 3, (360, 450), crf=40)
    found = probe(path).frame_hashes
    with av.open(str(path)) as media:
        shown = [frame.to_image() for frame in media.decode(video=0)][::6]  # type: ignore[no-untyped-call]
    assert found
    assert max(differing(one, hashed(each)) for one, each in zip(found, shown, strict=True)) <= 3


def test_a_turned_video_is_hashed_as_it_is_shown() -> None:
    found = probe(MEDIA / "rotated_meta_5s.mp4").frame_hashes
    with av.open(str(MEDIA / "rotated_meta_5s.mp4")) as media:
        first = next(media.decode(video=0))
        shown = first.to_image().rotate(first.rotation, expand=True)  # type: ignore[no-untyped-call]
    assert found
    assert differing(found[0], hashed(shown)) <= 2


def test_key_frames_are_hashed_when_there_is_no_time_for_all() -> None:
    whole, hurried = (probe(DEMO_VIDEO, limits=ProbeLimits(full_decode_seconds=most)) for most in (20, 0))
    assert whole.frame_hashes
    assert hurried.frame_hashes
    assert len(hurried.frame_hashes) <= len(whole.frame_hashes)
    # Its first frame is a key frame.
    assert hurried.frame_hashes[0] == whole.frame_hashes[0]


def test_frames_of_an_animated_picture_are_hashed(tmp_path: Path) -> None:
    shown = [picture(name).resize((270, 338)) for name in PICTURES]
    shown[0].save(tmp_path / "loop.gif", save_all=True, append_images=shown[1:], duration=1000)
    found = probe(tmp_path / "loop.gif").frame_hashes
    assert found
    assert len(found) == 3
    assert all(differing(one, hashed(each)) <= NEAR_BITS for one, each in zip(found, shown, strict=True))


def test_a_frame_of_one_colour_is_left_out(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (360, 450)), picture(PICTURES[0])]
    found = probe(film(tmp_path / "fade.mp4", pictures, (360, 450))).frame_hashes
    assert found
    assert len(found) == 4  # of 2 s in stretches of a quarter, half are black


# ---- which frames


@given(
    seconds=st.floats(0.05, 20_000),
    rate=st.sampled_from([1, 10, 24, 30, 60]),
    promised=st.one_of(st.just(0.0), st.floats(0, 40_000)),
)
def test_whatever_its_length_frames_are_few_in_order_and_evenly_spread(
    seconds: float, rate: int, promised: float
) -> None:
    frames = min(int(seconds * rate) + 1, 3000)
    step = max(1, int(seconds * 1000 / frames))
    asked: list[int] = []

    def look(at: int) -> int:
        asked.append(at)
        return at

    hashes = FrameHashes(ticks_per_second=Fraction(1000), promised_seconds=Fraction(promised))
    for at in range(0, frames * step, step):
        hashes.see(5_000 + at, lambda at=at: look(at))  # type: ignore[misc]
    chosen = hashes.all()
    assert 1 <= len(chosen) <= MOST_HASHES
    assert list(chosen) == sorted(set(chosen))
    assert len(asked) <= 100
    gaps = [later - earlier for earlier, later in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 2 * step
    if not promised:
        # Half of the stretches at least are in use, unless there are not as many frames or not as much time.
        assert len(chosen) >= min(frames, int(seconds * 8), MOST_HASHES // 2)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=200))
def test_absurd_times_do_no_harm(times: list[int]) -> None:
    hashes = FrameHashes(ticks_per_second=Fraction(90_000), promised_seconds=Fraction(0))
    for at in times:
        hashes.see(at, lambda: 1)
    assert len(hashes.all()) <= MOST_HASHES
