"""Reads a media file whole and says what it holds. Runs only inside the worker process of `probe.py`.

A video is read to its last packet and every frame is decoded, because a header tells nothing about what follows it: a
file cut in the middle opens, and says its full length. Three checks find a missing end, each where the others cannot:
the boxes (or the segment) reach past the end of the file; the packets end earlier than the header says; a packet does
not decode. When a full decode takes longer than `full_decode_seconds`, the rest is decoded by key frames only.

No demuxer may open a second file: the format is given by our own signature check, the bytes come from an open file, and
any attempt to open something else is refused.
"""

from __future__ import annotations

import struct
import time
import warnings
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO, NoReturn

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import GifImagePlugin, Image, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from services.content.frame_hashes import FrameHashes, hash_of
from services.content.media import MIME_TYPES, Container, Kind, MediaFacts, MediaRefused, ProbeLimits, Refusal

# Pillow would load these when the first file asks for them, that is within the limits of the worker.
_LOADED = (GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
_MILLI = 1000
_VIDEO_DEMUXERS = {
    Container.MP4: "mov",
    Container.MOV: "mov",
    Container.WEBM: "matroska",
    Container.MATROSKA: "matroska",
}
_PICTURE_FORMATS = {Container.GIF: "GIF", Container.JPEG: "JPEG", Container.PNG: "PNG", Container.WEBP: "WEBP"}
# A header's length is rounded and its last frame's length guessed; audio may be cut a packet early. Less is no loss.
_MISSING_END_SECONDS = Fraction(1)
_ANY_TIME_BASE = Fraction(1, 1_000_000)
_EXIF_ORIENTATION, _EXIF_GPS = 0x0112, 0x8825
# EXIF 2.32, orientation: clockwise turn that shows the picture upright (mirroring aside).
_TURN_BY_ORIENTATION = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
# The same with the mirroring, and for videos by their turn. Pillow counts counter-clockwise.
_UPRIGHT_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_UPRIGHT_BY_TURN = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
# Where phones and cameras write their place: QuickTime's key, MP4's 3GPP atom.
_GPS_TAGS = ("location", "com.apple.quicktime.location.iso6709")


def inspect(file: BinaryIO, container: Container, limits: ProbeLimits) -> MediaFacts:
    """Read the file, which starts like `container`, to its end. Raises MediaRefused with the reason."""
    if container in _VIDEO_DEMUXERS:
        return _inspect_video(file, container, limits)
    return _inspect_picture(file, container, limits)


# ---- pictures


def _inspect_picture(file: BinaryIO, container: Container, limits: ProbeLimits) -> MediaFacts:
    # Pillow raises at twice this number and warns above it, at every place where a size is read from a file.
    Image.MAX_IMAGE_PIXELS = limits.image_pixels
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(file, formats=[_PICTURE_FORMATS[container]]) as picture:
            # Only the header has been read so far; JPEG files with several pictures count as their first one.
            animated = container is not Container.JPEG and bool(getattr(picture, "is_animated", False))
            try:
                frame_count, total_ms, lowest, hashes = _play(picture, limits) if animated else _show(picture)
            except (OSError, EOFError, SyntaxError, ValueError, IndexError, struct.error) as error:
                # Pillow's decoders raise all of these on a file that breaks off; which one depends on where.
                raise _picture_broken(container) from error
            turn = _TURN_BY_ORIENTATION.get(_orientation(picture), 0)
            coded_width, coded_height = picture.size
            width, height = (coded_height, coded_width) if turn in (90, 270) else (coded_width, coded_height)
            return MediaFacts(
                kind=Kind.VIDEO if animated else Kind.IMAGE,
                container=container,
                mime_type=MIME_TYPES[container],
                video_codec=container.value if animated else None,
                audio_codec=None,
                has_audio=False,
                width=width,
                height=height,
                coded_width=coded_width,
                coded_height=coded_height,
                rotation_degrees=turn,
                average_frame_rate_mfps=_rate(frame_count, Fraction(total_ms, 1000)) if animated else None,
                lowest_frame_rate_mfps=lowest,
                duration_ms=total_ms if animated else None,
                frame_count=frame_count,
                pixel_mode=picture.mode,
                has_gps=_has_gps(picture),
                fully_decoded=True,
                frame_hashes=hashes,
            )
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(limits.image_pixels) from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise MediaRefused.because(
            Refusal.UNREADABLE, f"The {container.value.upper()} picture cannot be opened. Export it again."
        ) from error


def _show(picture: Image.Image) -> tuple[int, int, None, tuple[int, ...]]:
    picture.load()
    hashed = _hash(picture)
    return 1, 0, None, () if hashed is None else (hashed,)


def _play(picture: Image.Image, limits: ProbeLimits) -> tuple[int, int, int | None, tuple[int, ...]]:
    """Decode every frame of an animation: frames, milliseconds, the rate of its longest frame, and its hashes."""
    frames = int(getattr(picture, "n_frames", 1))
    if frames > limits.frames:
        raise _too_many_frames(limits)
    total = longest = Fraction(0)
    hashes = FrameHashes(ticks_per_second=Fraction(1000), promised_seconds=Fraction(0))
    for index in range(frames):
        picture.seek(index)
        picture.load()
        hashes.see(int(total), lambda: _hash(picture))
        shown_ms = Fraction(picture.info.get("duration") or 0)
        total += shown_ms
        longest = max(longest, shown_ms)
    picture.seek(0)
    return frames, round(total), _rate(1, longest / 1000), hashes.all()


def _hash(picture: Image.Image) -> int | None:
    return hash_of(picture, _UPRIGHT_BY_ORIENTATION.get(_orientation(picture)))


def _orientation(picture: Image.Image) -> int:
    try:
        orientation = picture.getexif().get(_EXIF_ORIENTATION)
        return orientation if isinstance(orientation, int) else 1
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1  # EXIF that cannot be read turns nothing: viewers show such a picture as it is stored


def _has_gps(picture: Image.Image) -> bool:
    try:
        return bool(picture.getexif().get_ifd(_EXIF_GPS))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return bool(picture.info.get("exif"))  # unreadable, so it may hold a place: strip it


def _picture_broken(container: Container) -> MediaRefused:
    return MediaRefused.because(
        Refusal.TRUNCATED, f"The {container.value.upper()} picture breaks off or is damaged. Upload the complete file."
    )


# ---- videos


def _inspect_video(file: BinaryIO, container: Container, limits: ProbeLimits) -> MediaFacts:
    cut = _is_cut(file, container)
    file.seek(0)
    try:
        with av.open(
            file,
            mode="r",
            format=_VIDEO_DEMUXERS[container],
            options={"protocol_whitelist": "pipe"},
            metadata_errors="replace",
            io_open=_open_nothing_else,
        ) as media:
            return _read_video(media, container, limits, cut)
    except av.MemoryError as error:
        raise _too_much_memory() from error
    except av.FFmpegError as error:
        if cut:
            raise _cut_short() from error
        raise MediaRefused.because(
            Refusal.UNREADABLE, f"The {container.value.upper()} video cannot be opened. Export or upload it again."
        ) from error


def _open_nothing_else(*_args: object) -> NoReturn:
    raise MediaRefused.because(
        Refusal.UNREADABLE, "The video refers to another file. Export it with everything in one file."
    )


def _read_video(media: InputContainer, container: Container, limits: ProbeLimits, cut: bool) -> MediaFacts:
    # The cover picture of a song is a video stream too, hence the disposition.
    pictures = [s for s in media.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        raise MediaRefused.because(Refusal.NO_PICTURE, "The file holds no moving picture. Upload a video.")
    stream = pictures[0]
    if getattr(stream, "codec_context", None) is None:
        raise MediaRefused.because(
            Refusal.CODEC_UNKNOWN, "The video's codec is not known here. Export it as H.264 in MP4."
        )
    if stream.codec_context.width * stream.codec_context.height > limits.video_pixels:
        raise _too_many_pixels(limits.video_pixels)
    sound = media.streams.audio[0] if media.streams.audio else None
    metadata = {key.lower() for tags in (media.metadata, stream.metadata) for key in tags}
    reading = _Reading(media, stream, limits)
    reading.run(cut)
    if cut or reading.ends_early():
        raise _cut_short()
    coded_width, coded_height = stream.codec_context.width, stream.codec_context.height
    turn = reading.turn
    width, height = (coded_height, coded_width) if turn in (90, 270) else (coded_width, coded_height)
    average, lowest = _frame_rates(reading.times, stream.time_base or _ANY_TIME_BASE)
    return MediaFacts(
        kind=Kind.VIDEO,
        container=container,
        mime_type=MIME_TYPES[container],
        video_codec=stream.codec_context.codec.canonical_name,
        audio_codec=sound.codec_context.codec.canonical_name if sound and sound.codec_context else None,
        has_audio=sound is not None,
        width=width,
        height=height,
        coded_width=coded_width,
        coded_height=coded_height,
        rotation_degrees=turn,
        average_frame_rate_mfps=average,
        lowest_frame_rate_mfps=lowest,
        duration_ms=round(reading.length() * 1000),
        frame_count=len(reading.times),
        pixel_mode=stream.codec_context.pix_fmt or "",
        has_gps=any(key.startswith(_GPS_TAGS) for key in metadata),
        fully_decoded=not reading.sampling,
        frame_hashes=reading.hashes.all(),
    )


class _Reading:
    """One pass over a video: every packet of every stream is read, the picture's are decoded."""

    def __init__(self, media: InputContainer, stream: VideoStream, limits: ProbeLimits) -> None:
        self.media, self.stream, self.limits = media, stream, limits
        self.times = array("q")
        """When each frame is shown, in the stream's time base, in the order of the file."""
        self.turn = 0
        """Clockwise, as the first frame says: 0, 90, 180 or 270."""
        self.hashes = FrameHashes(
            ticks_per_second=1 / (stream.time_base or _ANY_TIME_BASE), promised_seconds=_promised_length(media)
        )
        self.sampling = False
        self.decoded = 0
        self._first: Fraction | None = None
        self._last = Fraction(0)
        self._give_up_full_decode_at = time.monotonic() + limits.full_decode_seconds

    def run(self, cut: bool) -> None:
        """Read to the end. Raises MediaRefused on the first thing that does not decode."""
        context = self.stream.codec_context
        context.thread_type, context.thread_count = "AUTO", self.limits.decode_threads
        # The loop filter makes pictures prettier and takes a third of the time; it cannot hide a missing part. It is
        # left out where nothing much is built on a frame: left out everywhere, pictures drift away from what a viewer
        # sees, and their hashes with them. A stream may grow its picture midway, so the decoder has a bound too: twice,
        # because it pads sides to blocks.
        context.options = {"skip_loop_filter": "bidir", "max_pixels": str(2 * self.limits.video_pixels)}
        try:
            for packet in self.media.demux():
                self._count(packet)
                if packet.stream is not self.stream:
                    continue
                if not self.sampling and time.monotonic() > self._give_up_full_decode_at:
                    self.sampling = True
                    context.skip_frame = "NONKEY"
                for frame in context.decode(packet if packet.size else None):
                    self._look_at(frame)
        except av.MemoryError as error:
            raise _too_much_memory() from error
        except av.FFmpegError as error:
            if cut:
                raise _cut_short() from error
            raise MediaRefused.because(
                Refusal.DAMAGED,
                f"The picture cannot be decoded after {self.decoded} frames: the file is damaged or incomplete. "
                "Export or upload it again.",
            ) from error
        if not self.decoded:
            raise MediaRefused.because(
                Refusal.NO_PICTURE, "Not one picture of the video can be decoded. Export it again."
            )

    def _look_at(self, frame: av.VideoFrame) -> None:
        self.decoded += 1
        if self.decoded == 1:
            turn = -frame.rotation % 360  # FFmpeg counts counter-clockwise
            self.turn = turn if turn in _UPRIGHT_BY_TURN else 0
        if frame.pts is not None:
            self.hashes.see(frame.pts, lambda: _hash_of_frame(frame, self.turn))

    def _count(self, packet: av.Packet[Any]) -> None:
        if packet.pts is None or not packet.size or packet.time_base is None or packet.is_discard:
            return
        start = packet.pts * packet.time_base
        self._first = start if self._first is None else min(self._first, start)
        self._last = max(self._last, start + (packet.duration or 0) * packet.time_base)
        if packet.stream is self.stream:
            self.times.append(packet.pts)
            if len(self.times) > self.limits.frames:
                raise _too_many_frames(self.limits)

    def length(self) -> Fraction:
        """Seconds from the first to the end of the last packet."""
        return self._last - (self._first or Fraction(0))

    def ends_early(self) -> bool:
        """Whether the header promises noticeably more than the packets hold."""
        return _promised_length(self.media) - self.length() > _MISSING_END_SECONDS


def _promised_length(media: InputContainer) -> Fraction:
    """Seconds by the header; 0 when it does not say."""
    return Fraction(media.duration or 0, av.time_base)


def _hash_of_frame(frame: av.VideoFrame, turn: int) -> int | None:
    try:
        # In its full size: FFmpeg shrinks faster than Pillow, and shifts by parts of a pixel, which is 4 bits and more.
        grey = frame.reformat(format="gray")
    except av.MemoryError:
        raise
    except av.FFmpegError:
        return None  # a rare format of pixels that nothing here can show
    plane = grey.planes[0]
    picture = Image.frombuffer("L", (grey.width, grey.height), bytes(plane), "raw", "L", plane.line_size, 1)
    return hash_of(picture, _UPRIGHT_BY_TURN.get(turn))


def _frame_rates(times: array[int], time_base: Fraction) -> tuple[int | None, int | None]:
    """Average over everything, and the lowest over any stretch of one second: a single late frame is no frame rate."""
    shown = sorted(times)
    if len(shown) < 2 or shown[-1] == shown[0]:
        return None, None
    average = _rate(len(shown) - 1, (shown[-1] - shown[0]) * time_base)
    slowest = [rate for rate in _rates_by_second(shown, time_base) if rate is not None]
    return average, min(slowest, default=average)


def _rates_by_second(shown: list[int], time_base: Fraction) -> Iterator[int | None]:
    second = 1 / time_base
    first = 0
    for last in range(1, len(shown)):
        while shown[last] - shown[first + 1] >= second:
            first += 1
        if shown[last] - shown[first] >= second:
            yield _rate(last - first, (shown[last] - shown[first]) * time_base)


def _rate(frames: int, seconds: Fraction) -> int | None:
    return round(frames * _MILLI / seconds) if seconds > 0 else None


def _is_cut(file: BinaryIO, container: Container) -> bool:
    size = file.seek(0, 2)
    file.seek(0)
    return _boxes_are_cut(file, size) if _VIDEO_DEMUXERS[container] == "mov" else _segment_is_cut(file, size)


def _boxes_are_cut(file: BinaryIO, size: int) -> bool:
    """Whether a top-level box of an MP4 or MOV (ISO/IEC 14496-12, 4.2) reaches past the end, or the index is
    missing."""
    at, has_index = 0, False
    for _ in range(100_000):  # a fragmented film has two boxes for each few seconds
        file.seek(at)
        header = file.read(16)
        if len(header) < 8:
            break
        length, name = struct.unpack(">I4s", header[:8])
        has_index = has_index or name == b"moov"
        if length == 1 and len(header) == 16:
            length = struct.unpack(">Q", header[8:])[0]
        elif length == 0:
            break  # to the end of the file
        if length < 8:
            break  # padding behind the last box
        if at + length > size:
            # A cut box of padding or remarks costs nothing that is shown.
            return name in (b"moov", b"mdat", b"moof") or not has_index
        at += length
    return not has_index


def _segment_is_cut(file: BinaryIO, size: int) -> bool:
    """Whether the Segment of a Matroska or WebM file (RFC 9559) is longer than the file; live ones state no length."""
    at = 0
    for _ in range(8):  # EBML header, perhaps a Void, Segment
        file.seek(at)
        head = file.read(16)
        if len(head) < 16:
            return True
        id_length = 9 - head[0].bit_length()
        marker = head[id_length] if id_length <= 4 else 0
        size_length = 9 - marker.bit_length()
        if not marker or id_length + size_length > 16:
            return False
        value = int.from_bytes(head[id_length : id_length + size_length]) & ((1 << (7 * size_length)) - 1)
        if head[:4] == b"\x18\x53\x80\x67":
            unknown = value == (1 << (7 * size_length)) - 1
            return not unknown and at + 4 + size_length + value > size
        at += id_length + size_length + value
    return False


# ---- refusals that both share


def _too_many_pixels(limit: int) -> MediaRefused:
    return MediaRefused.because(
        Refusal.TOO_MANY_PIXELS, f"The picture has more than {limit // 1_000_000} megapixels. Export it smaller."
    )


def _too_many_frames(limits: ProbeLimits) -> MediaRefused:
    return MediaRefused.because(
        Refusal.TOO_MANY_FRAMES, f"The video has more than {limits.frames} frames. Split it, or export it with fewer."
    )


def _cut_short() -> MediaRefused:
    return MediaRefused.because(
        Refusal.TRUNCATED, "The video breaks off: a part of the file is missing. Upload the complete file."
    )


def _too_much_memory() -> MediaRefused:
    return MediaRefused.because(
        Refusal.TOO_COSTLY, "Reading the file takes more memory than a file may. Export it with smaller pictures."
    )
