"""What content knows about a media file: its facts, the limits it is read with, and why it may be refused.

Only words and plain functions on bytes live here. Nothing in this module decodes anything, so that the service process
can import it without loading a decoder. The way of one file: `sniff` looks at its first bytes and `check_claims`
compares them with the name and type it came with; only then `probe.py` hands it to a worker process, in which
`decode.py` reads it whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from kit.errors import FieldViolation, InvalidArgument

HEAD_BYTES = 4096
"""How much of a file `sniff` wants to see. An EBML header may be padded, hence more than the usual dozen bytes."""


class Kind(StrEnum):
    """What a file is to a person."""

    VIDEO = "VIDEO"
    """Moving pictures, with or without sound. Animated GIF, PNG and WebP count as video."""
    IMAGE = "IMAGE"
    """One still picture."""


class Container(StrEnum):
    """The file formats that content takes; anything else is refused."""

    MP4 = "mp4"
    MOV = "mov"
    WEBM = "webm"
    MATROSKA = "matroska"
    GIF = "gif"
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"


MIME_TYPES = {
    Container.MP4: "video/mp4",
    Container.MOV: "video/quicktime",
    Container.WEBM: "video/webm",
    Container.MATROSKA: "video/x-matroska",
    Container.GIF: "image/gif",
    Container.JPEG: "image/jpeg",
    Container.PNG: "image/png",
    Container.WEBP: "image/webp",
}

# MP4 and MOV are one family, and cameras and tools name them as they please; a WebM file is also a Matroska file.
_ISO = frozenset({Container.MP4, Container.MOV})
_CLAIMED_BY_EXTENSION: dict[str, frozenset[Container]] = {
    ".mp4": _ISO,
    ".m4v": _ISO,
    ".mov": _ISO,
    ".qt": _ISO,
    ".webm": frozenset({Container.WEBM}),
    ".mkv": frozenset({Container.MATROSKA, Container.WEBM}),
    ".gif": frozenset({Container.GIF}),
    ".jpg": frozenset({Container.JPEG}),
    ".jpeg": frozenset({Container.JPEG}),
    ".jpe": frozenset({Container.JPEG}),
    ".jfif": frozenset({Container.JPEG}),
    ".png": frozenset({Container.PNG}),
    ".apng": frozenset({Container.PNG}),
    ".webp": frozenset({Container.WEBP}),
}
# Names that promise something content never takes: bytes that are a picture all the same do not keep the promise.
_NEVER_MEDIA = frozenset(
    [
        ".aac",
        ".avi",
        ".avif",
        ".bmp",
        ".csv",
        ".heic",
        ".heif",
        ".htm",
        ".html",
        ".js",
        ".json",
        ".m3u8",
        ".m4a",
        ".mp3",
        ".mpd",
        ".mpg",
        ".ogg",
        ".pdf",
        ".php",
        ".svg",
        ".tif",
        ".tiff",
        ".txt",
        ".wav",
        ".wmv",
        ".xhtml",
        ".xml",
        ".zip",
    ]
)
_CLAIMED_BY_TYPE: dict[str, frozenset[Container]] = {
    "video/mp4": _ISO,
    "video/x-m4v": _ISO,
    "video/quicktime": _ISO,
    "video/webm": frozenset({Container.WEBM}),
    "video/x-matroska": frozenset({Container.MATROSKA, Container.WEBM}),
    "video/matroska": frozenset({Container.MATROSKA, Container.WEBM}),
    "image/gif": frozenset({Container.GIF}),
    "image/jpeg": frozenset({Container.JPEG}),
    "image/jpg": frozenset({Container.JPEG}),
    "image/pjpeg": frozenset({Container.JPEG}),
    "image/png": frozenset({Container.PNG}),
    "image/apng": frozenset({Container.PNG}),
    "image/webp": frozenset({Container.WEBP}),
}
# What a client sends when it does not know.
_CLAIMS_NOTHING = frozenset({"", "application/octet-stream", "binary/octet-stream"})


class Refusal(StrEnum):
    """Why a file is not taken into the library."""

    EMPTY = "MEDIA_EMPTY"
    """It has no bytes."""
    NOT_RECOGNIZED = "MEDIA_NOT_RECOGNIZED"
    """It is no video or picture of a format that content takes: a web page, SVG, text, a document, another format."""
    TYPE_MISMATCH = "MEDIA_TYPE_MISMATCH"
    """It is media, but not what its name or its declared type says."""
    UNREADABLE = "MEDIA_UNREADABLE"
    """It starts like media of its format and cannot be opened."""
    TRUNCATED = "MEDIA_TRUNCATED"
    """It ends before its end: a part is missing."""
    DAMAGED = "MEDIA_DAMAGED"
    """It opens, and somewhere in it the picture cannot be decoded."""
    NO_PICTURE = "MEDIA_NO_PICTURE"
    """It holds no moving picture, for example sound only."""
    CODEC_UNKNOWN = "MEDIA_CODEC_UNKNOWN"
    """Its picture is in a codec that cannot be decoded here."""
    TOO_MANY_PIXELS = "MEDIA_TOO_MANY_PIXELS"
    """A picture of it is larger than the limit; it was not decoded."""
    TOO_MANY_FRAMES = "MEDIA_TOO_MANY_FRAMES"
    """It holds more frames than the limit."""
    TOO_COSTLY = "MEDIA_TOO_COSTLY"
    """Reading it took more time or memory than a file may cost."""


class MediaRefused(InvalidArgument):
    """A file that is not taken. Its `reason` is a `Refusal`; its sentence helps a person to go on.

    The sentence never holds a path, a decoder's own text or anything else from inside.
    """

    @classmethod
    def because(cls, refusal: Refusal, message: str) -> MediaRefused:
        """The refusal of one file."""
        return cls(message, [FieldViolation("data", message, refusal.value)], code_reason=refusal.value)


@dataclass(frozen=True)
class ProbeLimits:
    """What reading one file may cost. All of it is configurable; the defaults fit phones and cameras of today."""

    image_pixels: int = 64_000_000
    """Largest still or animated picture, width times height. A 48-megapixel phone photo passes."""
    video_pixels: int = 36_000_000
    """Largest video frame, width times height. 8K (7680 x 4320 = 33,177,600) passes."""
    frames: int = 500_000
    """Most frames of one video: over two hours at 60 frames per second."""
    full_decode_seconds: float = 20.0
    """After this much time only key frames are decoded; the rest is still read to its end packet by packet."""
    wall_seconds: float = 60.0
    """The worker is ended after this much time and the file refused."""
    memory_bytes: int = 2 * 1024**3
    """Address space of the worker. Decoding measured 0.28 GiB at 4096 x 2160 and 0.8 GiB at 8K with four references."""
    decode_threads: int = 2
    """Decoder threads of one worker."""


@dataclass(frozen=True)
class MediaFacts:
    """What a file holds, read from its content alone: frame rates in thousandths of a frame per second, times in ms."""

    kind: Kind
    container: Container
    mime_type: str
    video_codec: str | None
    """Decoder's name of the codec in lower case (`h264`, `hevc`, `vp9`, `prores`, ...); absent for pictures."""
    audio_codec: str | None
    has_audio: bool
    width: int
    """Pixels as shown to a person: rotation and EXIF orientation are applied."""
    height: int
    coded_width: int
    """Pixels as stored in the file."""
    coded_height: int
    rotation_degrees: int
    """How far a player turns the stored picture clockwise: 0, 90, 180 or 270. A mirrored photo keeps only its turn."""
    average_frame_rate_mfps: int | None
    """Frames per 1,000 seconds over the whole video (23.976 fps is 23976); absent for stills and one-frame videos."""
    lowest_frame_rate_mfps: int | None
    """The same over the slowest second; equals the average when the video is shorter than that."""
    duration_ms: int | None
    """From the first to the end of the last packet of any stream; absent for stills."""
    frame_count: int
    """Frames in the file; 1 for stills."""
    pixel_mode: str
    """FFmpeg's pixel format of a video (`yuv420p`), Pillow's mode of a picture (`RGB`, `CMYK`, `P`)."""
    has_gps: bool
    """The file says where it was taken. Whoever publishes it must strip that first."""
    fully_decoded: bool
    """False when the time for a full decode ran out and the rest was checked by its key frames and packets."""
    frame_hashes: tuple[int, ...] | None
    """Perceptual hashes, 64 bits each without a sign: one of a picture, up to eight of frames that are evenly spread
    over a video, in the order of time. A picture or frame of one colour has none. None: not made yet.
    """


def sniff(head: bytes) -> Container:
    """Tell the format from the first bytes of a file (at least `HEAD_BYTES` of them, or all).

    Decided by signatures alone, never by a decoder's guess: formats that point to other files (playlists, scripts) are
    thereby never handed to one. Raises MediaRefused EMPTY or NOT_RECOGNIZED.
    """
    if not head:
        raise MediaRefused.because(Refusal.EMPTY, "The file is empty. Upload it again.")
    if head.startswith(b"\xff\xd8\xff"):
        return Container.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Container.PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Container.GIF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Container.WEBP
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _ebml_container(head)
    if head[4:8] == b"ftyp":
        return _iso_container(head)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return Container.MOV  # QuickTime files from before `ftyp` existed
    raise MediaRefused.because(
        Refusal.NOT_RECOGNIZED,
        "The file is not a video (MP4, MOV, WebM, Matroska) or a picture (JPEG, PNG, WebP, GIF)."
        + (" It holds text or a web page: was an error page saved instead of the media?" if _is_text(head) else ""),
    )


def check_claims(container: Container, *, claimed_name: str | None, claimed_type: str | None) -> None:
    """Compare the real format with the file's name and with the media type that was declared for it.

    A missing or unknown extension and a type such as application/octet-stream claim nothing.
    Raises MediaRefused TYPE_MISMATCH.
    """
    extension = PurePosixPath(claimed_name or "").suffix.lower()
    by_name = frozenset[Container]() if extension in _NEVER_MEDIA else _CLAIMED_BY_EXTENSION.get(extension)
    if by_name is not None and container not in by_name:
        raise _mismatch(f"is named {extension}", container)
    media_type = (claimed_type or "").partition(";")[0].strip().lower()
    if media_type not in _CLAIMS_NOTHING and container not in _CLAIMED_BY_TYPE.get(media_type, frozenset()):
        raise _mismatch("was declared as another media type", container)


def _mismatch(claim: str, container: Container) -> MediaRefused:
    return MediaRefused.because(
        Refusal.TYPE_MISMATCH,
        f"The file {claim}, but its content is {container.value.upper()} ({MIME_TYPES[container]}). "
        "Name it after its content, or convert it.",
    )


def _iso_container(head: bytes) -> Container:
    """MOV when the major brand is QuickTime's, else MP4; pictures and sound in the same box format are not taken."""
    brand = head[8:12]
    if brand == b"qt  ":
        return Container.MOV
    if brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"):
        raise MediaRefused.because(
            Refusal.NOT_RECOGNIZED, "HEIC and AVIF pictures are not taken. Save the picture as JPEG."
        )
    if brand in (b"M4A ", b"M4B ", b"M4P "):
        raise MediaRefused.because(Refusal.NO_PICTURE, "The file holds sound only. Upload a video.")
    return Container.MP4


def _ebml_container(head: bytes) -> Container:
    """WebM and Matroska share everything but the DocType element (id 0x4282, RFC 8794 section 11.2.5)."""
    at = head.find(b"\x42\x82")
    if at >= 0 and head[at + 3 : at + 7] == b"webm":
        return Container.WEBM
    return Container.MATROSKA


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # only cut inside its last character
    return b"\x00" not in head
