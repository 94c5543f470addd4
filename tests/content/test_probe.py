"""Media is read to its end in a worker process, refused with a reason, and checked against what TikTok takes."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest
from PIL import Image

from services.content.media import Kind, MediaFacts, MediaRefused, ProbeLimits, Refusal
from services.content.probe import Prober, ProbeUnavailable, probe
from services.publisher.platforms import tiktok_media

MEDIA = Path(__file__).parents[1] / "media"
DEMO_VIDEO = Path(__file__).parents[2] / "demo" / "media" / "vertical_demo_6s.mp4"


def refusal_of(path: Path, **how: object) -> MediaRefused:
    with pytest.raises(MediaRefused) as caught:
        probe(path, **{"claimed_name": path.name, **how})  # type: ignore[arg-type]
    return caught.value


def tiktok_reasons(facts: MediaFacts, size_bytes: int) -> list[str]:
    media = tiktok_media.MediaToPost(
        kind="video" if facts.kind is Kind.VIDEO else "photo",
        container=facts.container.value,
        video_codec=facts.video_codec,
        width=facts.width,
        height=facts.height,
        size_bytes=size_bytes,
        average_frame_rate_mfps=facts.average_frame_rate_mfps,
        duration_ms=facts.duration_ms,
        pixel_mode=facts.pixel_mode,
    )
    return [problem.reason for problem in tiktok_media.problems(media)]


def encode(path: Path, codec: str, size: tuple[int, int], frames: int, pixels: str = "yuv420p") -> Path:
    """A small video of one colour."""
    with av.open(str(path), "w") as media:
        stream = media.add_stream(codec, rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        for number in range(frames):
            frame = av.VideoFrame.from_image(Image.new("RGB", size, (number, 80, 40)))  # type: ignore[no-untyped-call]
            media.mux(stream.encode(frame))
        media.mux(stream.encode(None))
    return path


# ---- the verdicts


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("audio_only.mp4", Refusal.NO_PICTURE),
        ("bomb_20000x20000.png", Refusal.TOO_MANY_PIXELS),
        ("html_error.jpg", Refusal.NOT_RECOGNIZED),
        ("script.svg", Refusal.NOT_RECOGNIZED),
        ("matroska_named.mp4", Refusal.TYPE_MISMATCH),
        ("truncated.jpg", Refusal.TRUNCATED),
        ("truncated_midway.mp4", Refusal.TRUNCATED),
        ("truncated_nomoov.mp4", Refusal.TRUNCATED),
    ],
)
def test_what_is_no_valid_media_is_refused_with_the_reason(name: str, reason: Refusal) -> None:
    assert refusal_of(MEDIA / name).reason == reason


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("IMG_0042.JPG", []),
        ("alpha.png", ["photo_format"]),
        ("cmyk.jpg", ["photo_colour_mode"]),
        ("draw_boxes_1080x1350.jpg", []),
        ("fps10_5s.mp4", ["frame_rate_check_failed"]),
        ("hevc_6s.mov", []),
        ("hubble_1080x1350.webp", []),
        ("noaudio_5s.mp4", []),
        ("rotated_meta_5s.mp4", []),
        ("tiny_240p_2s.mp4", ["picture_size_check_failed"]),
        # 60, then 15, then 30 frames per second: the average of 35 passes, and TikTok's page speaks of no other number.
        ("vfr_6s.mp4", []),
        ("vp9_5s.webm", []),
    ],
)
def test_valid_media_is_taken_and_tiktoks_objections_are_told_apart(name: str, reasons: list[str]) -> None:
    path = MEDIA / name
    assert tiktok_reasons(probe(path, claimed_name=name), path.stat().st_size) == reasons


def test_the_demo_video_is_fit_for_tiktok() -> None:
    assert tiktok_reasons(probe(DEMO_VIDEO, claimed_name=DEMO_VIDEO.name), DEMO_VIDEO.stat().st_size) == []


def test_an_animated_gif_is_a_video_that_tiktok_does_not_take(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (400, 600), (40 * number, 80, 40)) for number in range(6)]
    frames[0].save(tmp_path / "loop.gif", save_all=True, append_images=frames[1:], duration=100)
    facts = probe(tmp_path / "loop.gif", claimed_name="loop.gif")
    assert (facts.kind, facts.frame_count, facts.duration_ms) == (Kind.VIDEO, 6, 600)
    assert facts.average_frame_rate_mfps == 10_000  # 6 frames in 0.6 s
    assert "file_format_check_failed" in tiktok_reasons(facts, 1000)


def test_prores_is_valid_media_in_a_codec_that_tiktok_does_not_take(tmp_path: Path) -> None:
    facts = probe(encode(tmp_path / "a.mov", "prores_ks", (360, 640), 24, "yuv422p10le"), claimed_name="a.mov")
    assert (facts.container, facts.video_codec) == ("mov", "prores")
    assert tiktok_reasons(facts, 1000) == ["file_format_check_failed"]


def test_a_side_over_tiktoks_limit_is_an_objection_and_no_refusal(tmp_path: Path) -> None:
    facts = probe(encode(tmp_path / "a.mp4", "libx264", (400, 4320), 4), claimed_name="a.mp4")
    assert tiktok_reasons(facts, 1000) == ["picture_size_check_failed"]
    Image.new("RGB", (12_000, 200)).save(tmp_path / "wide.jpg")
    assert tiktok_reasons(probe(tmp_path / "wide.jpg"), 1000) == ["photo_dimensions"]


def test_every_limit_of_tiktok_holds_at_its_edge() -> None:
    def reasons(**changed: object) -> list[str]:
        video: dict[str, object] = {
            "kind": "video",
            "container": "mp4",
            "video_codec": "h264",
            "width": 720,
            "height": 1280,
            "size_bytes": 4_000_000_000,
            "average_frame_rate_mfps": 30_000,
            "duration_ms": 600_000,
            "pixel_mode": "yuv420p",
        }
        media = tiktok_media.MediaToPost(**video | changed)  # type: ignore[arg-type]
        return [problem.reason for problem in tiktok_media.problems(media)]

    assert reasons() == []
    assert reasons(average_frame_rate_mfps=23_000) == reasons(average_frame_rate_mfps=60_020) == []
    assert (
        reasons(average_frame_rate_mfps=22_800)
        == reasons(average_frame_rate_mfps=61_000)
        == ["frame_rate_check_failed"]
    )
    assert reasons(average_frame_rate_mfps=None) == ["frame_rate_check_failed"]
    assert reasons(duration_ms=600_001) == ["duration_check_failed"]
    assert reasons(width=360, height=4096) == []
    assert reasons(width=359) == reasons(height=4097) == ["picture_size_check_failed"]
    assert reasons(size_bytes=4_000_000_001) == ["video_too_large"]
    assert reasons(container="matroska") == reasons(video_codec="av1") == ["file_format_check_failed"]
    photo = {"kind": "photo", "container": "jpeg", "pixel_mode": "RGB", "width": 1080, "size_bytes": 20_000_000}
    assert reasons(**photo, height=1920) == []
    assert reasons(**photo, height=1921) == ["photo_dimensions"]
    assert reasons(**photo | {"width": 1081}, height=1200) == ["photo_dimensions"]
    assert reasons(**photo | {"size_bytes": 20_000_001}, height=1) == ["photo_too_large"]


def test_a_creators_own_limit_of_duration_counts_when_it_is_lower() -> None:
    media = tiktok_media.MediaToPost("video", "mp4", "h264", 720, 1280, 1000, 30_000, 200_000, "yuv420p")
    assert [p.reason for p in tiktok_media.problems(media, longest_video_ms=180_000)] == ["duration_check_failed"]
    assert tiktok_media.problems(media, longest_video_ms=3_600_000) == []


# ---- the facts


def test_a_rotated_video_has_its_sides_as_shown() -> None:
    facts = probe(MEDIA / "rotated_meta_5s.mp4")
    assert (facts.width, facts.height, facts.rotation_degrees) == (720, 1280, 90)
    assert (facts.coded_width, facts.coded_height) == (1280, 720)


def test_a_phone_photo_is_shown_upright_and_its_place_is_reported() -> None:
    facts = probe(MEDIA / "IMG_0042.JPG", claimed_name="IMG_0042.JPG", claimed_type="image/jpeg")
    assert (facts.width, facts.height, facts.coded_width, facts.coded_height) == (1080, 810, 810, 1080)
    assert facts.has_gps
    assert not probe(MEDIA / "draw_boxes_1080x1350.jpg").has_gps


def test_the_place_that_a_phone_writes_into_a_video_is_reported(tmp_path: Path) -> None:
    with av.open(str(MEDIA / "noaudio_5s.mp4")) as source, av.open(str(tmp_path / "there.mp4"), "w") as target:
        target.metadata["location"] = "+38.8887-077.0047/"
        copy = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    assert probe(tmp_path / "there.mp4").has_gps
    assert not probe(MEDIA / "noaudio_5s.mp4").has_gps


def test_a_variable_frame_rate_is_told_by_its_average_and_its_slowest_second() -> None:
    facts = probe(MEDIA / "vfr_6s.mp4")
    # 210 frames: 2 s at 60, 2 s at 15, 2 s at 30; 209 steps from the first frame to the last.
    assert facts.average_frame_rate_mfps == 35_028
    assert facts.lowest_frame_rate_mfps == 15_000
    assert facts.duration_ms == 6000


def test_codecs_sound_and_media_type_are_those_of_the_content() -> None:
    phone, web, silent = (probe(MEDIA / name) for name in ("hevc_6s.mov", "vp9_5s.webm", "noaudio_5s.mp4"))
    assert (phone.mime_type, phone.video_codec, phone.audio_codec) == ("video/quicktime", "hevc", "aac")
    assert (web.mime_type, web.video_codec, web.audio_codec) == ("video/webm", "vp9", "opus")
    assert (silent.mime_type, silent.has_audio, silent.audio_codec) == ("video/mp4", False, None)


def test_after_the_time_for_a_full_decode_key_frames_suffice_and_it_is_said() -> None:
    in_a_hurry = ProbeLimits(full_decode_seconds=0)
    facts = probe(DEMO_VIDEO, limits=in_a_hurry)
    assert (facts.fully_decoded, facts.frame_count, facts.duration_ms) == (False, 180, 6000)
    assert refusal_of(MEDIA / "truncated_midway.mp4", limits=in_a_hurry).reason == Refusal.TRUNCATED


# ---- names and types


def test_a_file_is_refused_when_it_is_not_what_its_name_or_type_says(tmp_path: Path) -> None:
    Image.new("RGB", (360, 360)).save(tmp_path / "picture", "PNG")
    assert refusal_of(tmp_path / "picture", claimed_name="picture.jpg").reason == Refusal.TYPE_MISMATCH
    assert refusal_of(tmp_path / "picture", claimed_name="picture.html").reason == Refusal.TYPE_MISMATCH
    assert refusal_of(tmp_path / "picture", claimed_type="image/jpeg").reason == Refusal.TYPE_MISMATCH
    assert refusal_of(tmp_path / "picture", claimed_type="text/html").reason == Refusal.TYPE_MISMATCH
    assert refusal_of(MEDIA / "vp9_5s.webm", claimed_name="film.mp4").reason == Refusal.TYPE_MISMATCH


def test_a_name_or_type_that_claims_nothing_is_no_reason_to_refuse(tmp_path: Path) -> None:
    Image.new("RGB", (360, 360)).save(tmp_path / "picture", "PNG")
    for name, media_type in [
        (None, None),
        ("", ""),
        ("Würfel & Karten (final) v2", "application/octet-stream"),
        ("A.PNG", "IMAGE/PNG; name=a"),
    ]:
        assert probe(tmp_path / "picture", claimed_name=name, claimed_type=media_type).container == "png"
    # One family, and cameras and tools name its files as they please.
    assert probe(MEDIA / "hevc_6s.mov", claimed_name="film.mp4", claimed_type="video/mp4").container == "mov"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Refusal.EMPTY),
        (b"just words " * 300, Refusal.NOT_RECOGNIZED),
        # Formats that make a demuxer open other files: never handed to one.
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", Refusal.NOT_RECOGNIZED),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", Refusal.NOT_RECOGNIZED),
        (b"\x00\x00\x00\x18ftypheic" + bytes(200), Refusal.NOT_RECOGNIZED),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(200), Refusal.TRUNCATED),
        (b"\xff\xd8\xff\xe0" + bytes(200), Refusal.UNREADABLE),
    ],
)
def test_bytes_that_are_no_media_are_refused_whatever_they_claim(
    tmp_path: Path, content: bytes, reason: Refusal
) -> None:
    (tmp_path / "upload").write_bytes(content)
    refused = refusal_of(tmp_path / "upload", claimed_name="film.mp4" if b"ftyp" in content else "picture.jpg")
    assert refused.reason == reason
    assert str(tmp_path) not in refused.message


# ---- broken files


@pytest.mark.parametrize("name", ["vp9_5s.webm", "hevc_6s.mov", "noaudio_5s.mp4", "hubble_1080x1350.webp"])
@pytest.mark.parametrize("kept", [0.5, 0.98])
def test_a_missing_end_is_found_wherever_the_cut_falls(tmp_path: Path, name: str, kept: float) -> None:
    whole = (MEDIA / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * kept)])
    assert refusal_of(tmp_path / name).reason in (Refusal.TRUNCATED, Refusal.UNREADABLE)


def test_a_hole_in_the_middle_is_found_by_decoding(tmp_path: Path) -> None:
    content = bytearray((MEDIA / "noaudio_5s.mp4").read_bytes())
    content[100_000:140_000] = bytes(40_000)
    (tmp_path / "hole.mp4").write_bytes(content)
    assert refusal_of(tmp_path / "hole.mp4").reason == Refusal.DAMAGED


# ---- limits


def test_a_file_is_refused_before_it_costs_more_than_its_limits(tmp_path: Path) -> None:
    video = MEDIA / "noaudio_5s.mp4"
    assert refusal_of(video, limits=ProbeLimits(video_pixels=720 * 1280 - 1)).reason == Refusal.TOO_MANY_PIXELS
    assert refusal_of(video, limits=ProbeLimits(frames=149)).reason == Refusal.TOO_MANY_FRAMES
    assert probe(video, limits=ProbeLimits(video_pixels=720 * 1280, frames=150)).frame_count == 150
    picture = MEDIA / "hubble_1080x1350.webp"
    assert refusal_of(picture, limits=ProbeLimits(image_pixels=1_000_000)).reason == Refusal.TOO_MANY_PIXELS


def test_a_picture_that_needs_more_memory_than_allowed_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8000, 8000)).save(tmp_path / "large.jpg")  # 256 MB decoded
    assert refusal_of(tmp_path / "large.jpg", limits=ProbeLimits(memory_bytes=320_000_000)).reason == Refusal.TOO_COSTLY


# ---- the worker


def script(body: str) -> list[str]:
    """A worker that says it has started and then does something else than decode."""
    return [sys.executable, "-c", f"import os, sys, time\nprint('started', flush=True)\n{body}"]


@pytest.mark.parametrize(
    "body",
    ["os.kill(os.getpid(), 11)", "raise RuntimeError", "os._exit(0)", "print('{\"facts\": 1}')", "print('x' * 10**6)"],
)
def test_a_worker_that_dies_or_babbles_refuses_the_file_and_harms_nobody(body: str) -> None:
    assert refusal_of(DEMO_VIDEO, worker=script(body)).reason == Refusal.UNREADABLE


def test_a_worker_that_hangs_is_ended_at_the_time_limit() -> None:
    refused = refusal_of(DEMO_VIDEO, worker=script("time.sleep(60)"), limits=ProbeLimits(wall_seconds=0.5))
    assert refused.reason == Refusal.TOO_COSTLY


@pytest.mark.parametrize("worker", [["/nowhere/python"], [sys.executable, "-c", "raise ImportError"]])
def test_a_worker_that_cannot_start_says_nothing_about_the_file(worker: list[str]) -> None:
    with pytest.raises(ProbeUnavailable):
        probe(DEMO_VIDEO, worker=worker)


def test_a_worker_killed_by_somebody_else_says_nothing_about_the_file() -> None:
    with pytest.raises(ProbeUnavailable):
        probe(DEMO_VIDEO, worker=script("os.kill(os.getpid(), 9)"))


def test_a_worker_inherits_no_secret_and_no_other_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELROUTE_MASTER_KEY", "not for decoders")
    tell = "import json\nopen_files = sorted(set(os.listdir('/proc/self/fd')) - {'3'})\n" + (
        "print(json.dumps({'refused': 'MEDIA_DAMAGED', 'message': json.dumps([sorted(os.environ), open_files])}))"
    )
    names, open_files = json.loads(refusal_of(DEMO_VIDEO, worker=script(tell)).message)
    assert not [name for name in names if name.startswith("REELROUTE")]
    assert open_files == ["0", "1", "2"]  # 3 is the listing itself


def test_no_more_workers_run_at_once_than_allowed(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    prober = Prober(ProbeLimits(), parallel=1, wait_seconds=0, worker=script(f"open({str(gate)!r}).read()"))
    with ThreadPoolExecutor(1) as elsewhere:
        first = elsewhere.submit(prober.probe, DEMO_VIDEO)
        # The gate opens only when the first worker waits at its other end.
        with gate.open("w"), pytest.raises(ProbeUnavailable):
            prober.probe(DEMO_VIDEO)
        with pytest.raises(MediaRefused):
            first.result(30)


def test_the_service_itself_loads_no_decoder() -> None:
    loaded = "import sys, services.content.probe; sys.exit('av' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=MEDIA.parents[1], check=False).returncode == 0
