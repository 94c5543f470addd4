"""Draws the demo's video: `python -m demo.make_media [FILE]` writes demo/media/vertical_demo_6s.mp4.

Everything in it is drawn and sounded here, so that it may be published anywhere: the card of the demo's invented brand
"Emberfold" unfolds among rising embers. 720 x 1280, 30 frames per second, 6 s, H.264 and AAC. The same version of the
libraries makes the same bytes: nothing depends on the clock, and the encoders run on one thread.
"""

from __future__ import annotations

import math
import random
import sys
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT, RATE, SECONDS = 720, 1280, 30, 6
SOUND_RATE, SOUND_FRAME = 48_000, 1024
FINER = 2  # drawn at twice the size and shrunk: smooth edges
EMBER, GOLD, PALE, NIGHT = (255, 106, 44), (255, 190, 92), (250, 240, 226), (23, 17, 26)
DEFAULT_FILE = Path(__file__).parent / "media" / "vertical_demo_6s.mp4"


def make(path: Path) -> None:
    """Write the video to `path`, replacing what is there."""
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as media:
        picture = media.add_stream("libx264", rate=RATE, options={"crf": "25", "preset": "slow", "threads": "1"})
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.codec_context.flags |= av.codec.context.Flags.bitexact
        sound = media.add_stream("aac", rate=SOUND_RATE, layout="mono")
        sound.bit_rate = 64_000
        sound.codec_context.flags |= av.codec.context.Flags.bitexact
        tones = _sound()
        sounded = 0
        for index in range(RATE * SECONDS):
            frame = av.VideoFrame.from_image(draw(index / RATE))  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            media.mux(picture.encode(frame))
            # Sound goes in beside its picture, so that a player needs to look ahead only a little.
            while sounded < (index + 1) * SOUND_RATE // RATE and (samples := next(tones, None)):
                media.mux(sound.encode(_sound_frame(samples, sounded)))
                sounded += len(samples)
        media.mux(picture.encode(None))
        media.mux(sound.encode(None))


def draw(seconds: float) -> Image.Image:
    """The picture at a time of the video."""
    image = _background(seconds)
    _embers(image, seconds)
    _card(image, seconds)
    _words(image, seconds)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)


def _background(seconds: float) -> Image.Image:
    """Night above, glow below; the glow breathes once in three seconds."""
    size = (WIDTH * FINER, HEIGHT * FINER)
    image = Image.new("RGB", size, NIGHT)
    breath = 0.8 + 0.2 * math.sin(2 * math.pi * seconds / 3)
    # The gradient counts 181 in the middle of each edge and more towards the corners: the glow has to be over by then.
    glow = Image.radial_gradient("L").point([int(max(0, 181 - value) * 0.95 * breath) for value in range(256)])
    place = Image.new("L", size, 0)
    place.paste(glow.resize((size[0] * 3, size[1] * 3 // 2)), (-size[0], size[1] * 3 // 8))
    image.paste(Image.new("RGB", size, (150, 44, 26)), mask=place)
    return image


def _embers(image: Image.Image, seconds: float) -> None:
    """Sparks that rise, sway and fade. Each has its own numbers, the same in every frame."""
    dice = random.Random(7)  # noqa: S311 - a drawing, not a secret
    sparks = Image.new("RGB", image.size, (0, 0, 0))
    pen = ImageDraw.Draw(sparks)
    for _ in range(70):
        start, speed, column = dice.random(), dice.uniform(0.08, 0.2), dice.random()
        sway, phase, radius = dice.uniform(6, 34), dice.uniform(0, 6.28), dice.uniform(1.2, 4.6)
        risen = (start + speed * seconds) % 1
        x = (column * WIDTH + sway * math.sin(phase + 1.7 * seconds)) * FINER
        y = (1.05 - risen * 1.15) * HEIGHT * FINER
        bright = math.sin(math.pi * min(1.0, risen * 1.1)) ** 0.7
        colour = tuple(int(part * bright) for part in (EMBER if radius > 2.4 else GOLD))
        r = radius * FINER * (1.1 - 0.5 * risen)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    halo = sparks.resize((WIDTH // 4, HEIGHT // 4)).filter(ImageFilter.GaussianBlur(4)).resize(image.size)
    image.paste(ImageChops.screen(ImageChops.screen(image, halo), sparks))


def _card(image: Image.Image, seconds: float) -> None:
    """The mark: a sheet in four leaves that unfold one after the other, then sway."""
    centre_x, centre_y, side = WIDTH / 2, HEIGHT * 0.37, 150.0
    sway = 0.10 * math.sin(2 * math.pi * seconds / SECONDS * 2)
    shades = [EMBER, (226, 74, 38), GOLD, (255, 142, 62)]
    pen = ImageDraw.Draw(image)
    for leaf, shade in enumerate(shades):
        open_by = _eased((seconds + 0.1 - 0.28 * leaf) / 0.7)
        if open_by <= 0:
            continue
        angle = leaf * math.pi / 2 - math.pi / 2 + sway + (1 - open_by) * 0.9
        tip = side * (1.25 + 0.06 * math.sin(2.1 * seconds + leaf)) * open_by
        wing = side * 0.78 * open_by
        points = [(0.0, 0.0), (wing, angle - 0.62), (tip, angle), (wing, angle + 0.62)]
        place = [
            ((centre_x + far * math.cos(turn)) * FINER, (centre_y + far * math.sin(turn)) * FINER)
            for far, turn in points
        ]
        pen.polygon(place, fill=shade)
        # The fold: one half of each leaf lies in shade.
        pen.polygon([place[0], place[2], place[3]], fill=tuple(int(part * 0.82) for part in shade))
    heart = 15 * _eased((seconds - 1.4) / 0.5) * FINER
    if heart > 0:
        x, y = centre_x * FINER, centre_y * FINER
        pen.ellipse((x - heart, y - heart, x + heart, y + heart), fill=PALE)


def _words(image: Image.Image, seconds: float) -> None:
    """Name, line and a stroke between them; they come up from a little below."""
    for text, size, height, begins, colour in (
        ("Emberfold", 104, 0.620, 1.5, PALE),
        ("Room for every card you keep", 38, 0.715, 2.1, GOLD),
    ):
        shown = _eased((seconds - begins) / 0.7)
        if shown <= 0:
            continue
        mask = Image.new("L", image.size, 0)
        font = ImageFont.load_default(size * FINER)
        place = (WIDTH / 2 * FINER, (height * HEIGHT + 26 * (1 - shown)) * FINER)
        ImageDraw.Draw(mask).text(place, text, font=font, fill=int(255 * shown), anchor="mm")
        image.paste(Image.new("RGB", image.size, colour), mask=mask)
    half = 150 * _eased((seconds - 1.9) / 0.8) * FINER
    if half > 0:
        middle, line = WIDTH / 2 * FINER, 0.672 * HEIGHT * FINER
        ImageDraw.Draw(image).rounded_rectangle((middle - half, line - 3, middle + half, line + 3), 3, fill=EMBER)


def _eased(progress: float) -> float:
    """0 to 1, slowing down towards the end."""
    return 1 - (1 - min(1.0, max(0.0, progress))) ** 3


def _sound() -> Iterator[array[int]]:
    """A soft chord that swells and fades, one encoder frame at a time, 16 bit."""
    total = SOUND_RATE * SECONDS
    notes = [(110.0, 0.30), (164.81, 0.22), (220.0, 0.20), (277.18, 0.16)]
    for start in range(0, total, SOUND_FRAME):
        samples = array("h")
        for at in range(start, min(start + SOUND_FRAME, total)):
            time = at / SOUND_RATE
            swell = min(1.0, time / 1.5, (SECONDS - time) / 1.2)
            wave = sum(loud * math.sin(2 * math.pi * pitch * time) for pitch, loud in notes)
            samples.append(int(9000 * swell * (0.85 + 0.15 * math.sin(2 * math.pi * 0.5 * time)) * wave))
        yield samples


def _sound_frame(samples: array[int], at: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples))
    frame.planes[0].update(samples.tobytes())
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
    return frame


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FILE
    make(target)
    print(f"{target}: {target.stat().st_size} bytes")
