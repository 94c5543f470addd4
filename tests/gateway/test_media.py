import http.client
import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.gateway.multipart import PIECE_BYTES
from tests.gateway.conftest import MAX_UPLOAD_BYTES
from tests.gateway.fakes import WORKSPACE, MediaTooLarge, MediaTruncated, Memory

BOUNDARY = "a-boundary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
WAIT_SECONDS = 20


def opening(name: str = "file", file_name: str = "clip.mp4", mime_type: str = "video/mp4") -> bytes:
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
        f"Content-Type: {mime_type}\r\n\r\n"
    ).encode()


CLOSING = f"\r\n--{BOUNDARY}--\r\n".encode()


def send(api: httpx.Client, body: Any, **headers: str) -> httpx.Response:
    return api.post("/v1/media", content=body, headers=FORM | headers)


def test_an_upload_arrives_whole_in_small_pieces(api: httpx.Client, memory: Memory) -> None:
    # Bytes that look like the boundary's beginning must not confuse the parser.
    data = os.urandom(3 * PIECE_BYTES) + b"\r\n--a-bound" + os.urandom(1001)
    answer = api.post("/v1/media", files={"file": ("Größe 9:16.mp4", data, "video/mp4")})
    assert answer.status_code == 201
    assert bytes(memory.uploaded) == data
    assert memory.upload_is_whole
    assert memory.piece_sizes == [PIECE_BYTES] * 3 + [1012]
    (header,) = memory.upload_headers
    assert (header.workspace_id, header.file_name, header.declared_mime_type) == (
        WORKSPACE,
        "Größe 9:16.mp4",
        "video/mp4",
    )
    asset = answer.json()
    assert answer.headers["Location"] == f"/v1/media/{asset['media_asset_id']}"
    assert (asset["size_bytes"], asset["kind"], asset["duration_ms"]) == (len(data), "VIDEO", 8_040)
    assert asset["already_existed"] is False
    assert api.get(answer.headers["Location"]).json()["sha256"] == asset["sha256"]
    assert [each["media_asset_id"] for each in api.get("/v1/media").json()["media"]] == [asset["media_asset_id"]]


def test_frame_hashes_keep_all_their_bits(api: httpx.Client, memory: Memory) -> None:
    media_asset_id = memory.asset(frame_hashes=[2**64 - 1, 0xBEEF])
    shown = api.get(f"/v1/media/{media_asset_id}").json()
    assert shown["frame_hashes"] == ["ffffffffffffffff", "000000000000beef"]


def test_an_upload_is_handed_on_while_it_arrives(api: httpx.Client, memory: Memory) -> None:
    piece = b"x" * 64 * 1024
    seen = []

    def arrived(count: int) -> Callable[[], bool]:
        return lambda: len(memory.uploaded) >= count

    def body() -> Iterator[bytes]:
        yield opening()
        for count in range(8, 33, 8):
            for _ in range(8):
                yield piece
            # The next half MiB is sent only after content has the last one.
            with memory.progress:
                seen.append(memory.progress.wait_for(arrived(count * len(piece)), WAIT_SECONDS))
        yield CLOSING

    assert send(api, body()).status_code == 201
    assert seen == [True] * 4


def test_a_declared_length_above_the_limit_is_refused_before_the_body(
    api: httpx.Client, url: str, memory: Memory
) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=WAIT_SECONDS)
    connection.putrequest("POST", "/v1/media")
    for name, value in (FORM | dict(api.headers) | {"Content-Length": "9000000"}).items():
        if name.lower() not in ("host", "accept-encoding", "connection"):
            connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert b'"BODY_TOO_LARGE"' in answer.read()
    assert answer.getheader("Connection") == "close"
    connection.close()
    assert memory.upload_headers == []


def test_an_upload_is_cut_off_where_it_passes_the_limit(api: httpx.Client, memory: Memory) -> None:
    def endless() -> Iterator[bytes]:
        yield opening()
        while True:
            yield b"x" * 64 * 1024

    answer = send(api, endless())
    assert (answer.status_code, answer.json()["reason"]) == (413, "BODY_TOO_LARGE")
    assert answer.json()["field_violations"][0]["field"] == "file"
    assert memory.upload_ended.wait(WAIT_SECONDS)
    assert len(memory.uploaded) <= MAX_UPLOAD_BYTES
    assert memory.assets == {}


def test_a_file_of_exactly_the_limit_is_taken(api: httpx.Client, memory: Memory) -> None:
    assert send(api, opening() + b"x" * MAX_UPLOAD_BYTES + CLOSING).status_code == 201
    assert send(api, opening() + b"x" * (MAX_UPLOAD_BYTES + 1) + CLOSING).status_code == 413


def test_an_upload_without_its_end_leaves_nothing(api: httpx.Client, memory: Memory) -> None:
    answer = send(api, opening() + b"x" * PIECE_BYTES * 2)
    assert (answer.status_code, answer.json()["reason"]) == (400, "MULTIPART_BROKEN")
    assert memory.upload_ended.wait(WAIT_SECONDS)
    assert memory.assets == {}


def test_a_sender_who_goes_away_ends_the_call_to_content(api: httpx.Client, memory: Memory) -> None:
    class GoneAway(Exception):
        pass

    def broken() -> Iterator[bytes]:
        yield opening() + b"x" * PIECE_BYTES * 2
        with memory.progress:
            assert memory.progress.wait_for(lambda: memory.uploaded, WAIT_SECONDS)
        raise GoneAway

    with pytest.raises(GoneAway):
        send(api, broken())
    assert memory.upload_ended.wait(WAIT_SECONDS)
    assert memory.assets == {}


def test_content_may_refuse_in_the_middle(api: httpx.Client, memory: Memory) -> None:
    memory.failures["UploadMedia"] = MediaTruncated("The video stops early. Export it again.")
    answer = send(api, opening() + b"x" * (MAX_UPLOAD_BYTES - 1000) + CLOSING)
    assert (answer.status_code, answer.json()["reason"]) == (422, "MEDIA_TRUNCATED")
    assert answer.json()["detail"] == "The video stops early. Export it again."


def test_too_large_for_content_is_413_as_well(api: httpx.Client, memory: Memory) -> None:
    memory.failures["UploadMedia"] = MediaTooLarge("The file is larger than 5 MB.")
    assert send(api, opening() + b"x" + CLOSING).status_code == 413


def test_a_content_service_that_fails_is_not_shown(api: httpx.Client, memory: Memory) -> None:
    memory.failures["UploadMedia"] = RuntimeError("/var/lib/blobs is full")
    answer = send(api, opening() + b"x" * PIECE_BYTES * 3 + CLOSING)
    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert "blobs" not in answer.text


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (r"C:\Users\ada\clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("a\tb\x7f.mp4", "ab.mp4"),
    ],
)
def test_a_file_name_is_a_name_and_no_path(api: httpx.Client, memory: Memory, given: str, kept: str) -> None:
    assert send(api, opening(file_name=given) + b"x" + CLOSING).status_code == 201
    assert memory.upload_headers[0].file_name == kept


def test_an_unknown_type_is_no_claim(api: httpx.Client, memory: Memory) -> None:
    send(api, opening(mime_type="application/octet-stream") + b"x" + CLOSING)
    assert memory.upload_headers[0].declared_mime_type == ""


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (opening(name="video") + b"x" + CLOSING, "video"),
        (opening(file_name="") + b"x" + CLOSING, "file"),
        (opening(file_name="x" * 256) + b"x" + CLOSING, "file"),
        (opening() + b"x\r\n" + opening() + b"y" + CLOSING, "file"),
        (f"--{BOUNDARY}--\r\n".encode(), "file"),
    ],
)
def test_a_form_that_does_not_hold_one_named_file_is_refused(
    api: httpx.Client, memory: Memory, body: bytes, field: str
) -> None:
    answer = send(api, body)
    assert (answer.status_code, answer.json()["field_violations"][0]["field"]) == (422, field)
    assert memory.assets == {}


def test_an_empty_file_is_for_content_to_judge(api: httpx.Client, memory: Memory) -> None:
    answer = send(api, opening() + CLOSING)
    assert (answer.status_code, answer.json()["reason"]) == (422, "MEDIA_EMPTY")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 415),
        ("multipart/form-data", 415),
        (f"multipart/form-data; boundary={'x' * 300}", 400),
        ("multipart/form-data; boundary=other", 400),
    ],
)
def test_a_body_that_is_no_form_is_refused(api: httpx.Client, content_type: str, status: int) -> None:
    body = opening() + b"x" + CLOSING
    assert api.post("/v1/media", content=body, headers={"Content-Type": content_type}).status_code == status
