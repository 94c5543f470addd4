"""The upload address: order, ranges, resuming, and calls that die."""

import httpx
import pytest

from tests.sandbox.conftest import MIB, App, a_video, raw_put, sha256

CHUNK = 5 * MIB
SIZE = 2 * CHUNK + 123
VIDEO = a_video(SIZE)


def _opened(app: App) -> tuple[str, str]:
    data = app.init(SIZE, CHUNK, 2).json()["data"]
    return data["publish_id"], data["upload_url"]


def test_chunks_in_order_are_206_then_201_and_hash_to_the_whole(connected: App) -> None:
    publish_id, url = _opened(connected)
    assert len(url) <= 256
    first = connected.put(url, VIDEO[:CHUNK], 0, SIZE)
    assert (first.status_code, first.headers["content-range"]) == (206, f"bytes 0-{CHUNK}/{SIZE}")
    assert connected.status(publish_id) == {"status": "PROCESSING_UPLOAD", "uploaded_bytes": CHUNK}
    assert connected.control("GET", "/tiktok/effects") == []
    assert connected.put(url, VIDEO[CHUNK:], CHUNK, SIZE).status_code == 201
    [post] = connected.control("GET", "/tiktok/posts")
    assert (post["received"], post["sha256"]) == (SIZE, sha256(VIDEO))


def test_a_chunk_out_of_order_is_416_and_tells_where_to_go_on(connected: App) -> None:
    _, url = _opened(connected)
    early = connected.put(url, VIDEO[CHUNK:], CHUNK, SIZE)
    assert (early.status_code, early.headers["content-range"]) == (416, f"bytes 0-0/{SIZE}")
    connected.put(url, VIDEO[:CHUNK], 0, SIZE)
    again = connected.put(url, VIDEO[:CHUNK], 0, SIZE)
    assert (again.status_code, again.headers["content-range"]) == (416, f"bytes 0-{CHUNK}/{SIZE}")
    assert connected.put(url, VIDEO[CHUNK:], CHUNK, SIZE).status_code == 201


def test_a_chunk_of_another_size_than_announced_is_refused(connected: App) -> None:
    _, url = _opened(connected)
    assert connected.put(url, VIDEO[: CHUNK + 1], 0, SIZE).status_code == 400
    assert connected.put(url, VIDEO, 0, SIZE).status_code == 400


def test_the_range_can_be_told_inclusively(connected: App) -> None:
    connected.settings(range_end_inclusive=True)
    _, url = _opened(connected)
    assert connected.put(url, VIDEO[CHUNK:], CHUNK, SIZE).headers["content-range"] == f"bytes */{SIZE}"
    assert connected.put(url, VIDEO[:CHUNK], 0, SIZE).headers["content-range"] == f"bytes 0-{CHUNK - 1}/{SIZE}"


@pytest.mark.parametrize(
    "changes",
    [
        {"Content-Range": ""},
        {"Content-Range": "bytes 0-/1000"},
        {"Content-Range": "bytes 0-999/1001"},
        {"Content-Range": "bytes 0-1000/1000"},
        {"Content-Range": "bytes 0-998/1000"},
        {"Content-Type": "application/octet-stream"},
        {"Transfer-Encoding": "chunked"},
    ],
)
def test_bad_headers_are_400_and_store_nothing(connected: App, changes: dict[str, str]) -> None:
    data = connected.init(1000).json()["data"]
    headers = {"Content-Range": "bytes 0-999/1000", "Content-Type": "video/mp4", "Content-Length": "1000"} | changes
    body = a_video()
    if "Transfer-Encoding" in changes:
        del headers["Content-Length"]
        body = b"3e8\r\n" + body + b"\r\n0\r\n\r\n"
    assert raw_put(data["upload_url"], body, headers) == 400
    assert connected.status(data["publish_id"])["uploaded_bytes"] == 0


def test_an_unknown_upload_is_404_a_wrong_token_403_and_a_late_one_403(connected: App) -> None:
    url = connected.init(1000).json()["data"]["upload_url"]
    assert connected.put(url.replace("upload_id=", "upload_id=0"), a_video(), 0, 1000).status_code == 404
    assert connected.put(url + "0", a_video(), 0, 1000).status_code == 403
    connected.control("POST", "/clock/advance", seconds=3600)
    assert connected.put(url, a_video(), 0, 1000).status_code == 403


def test_a_cut_chunk_leaves_nothing_and_can_be_sent_again(connected: App) -> None:
    publish_id, url = _opened(connected)
    connected.put(url, VIDEO[:CHUNK], 0, SIZE)
    connected.fault("upload", "cut_upload")
    with pytest.raises(httpx.TransportError):
        connected.put(url, VIDEO[CHUNK:], CHUNK, SIZE)
    assert connected.status(publish_id)["uploaded_bytes"] == CHUNK
    assert connected.put(url, VIDEO[CHUNK:], CHUNK, SIZE).status_code == 201
    assert connected.control("GET", "/tiktok/posts")[0]["sha256"] == sha256(VIDEO)


def test_a_lost_reply_of_the_last_chunk_has_its_effect(connected: App) -> None:
    publish_id, url = _opened(connected)
    connected.put(url, VIDEO[:CHUNK], 0, SIZE)
    connected.fault("upload", "lost_reply")
    with pytest.raises(httpx.TransportError):
        connected.put(url, VIDEO[CHUNK:], CHUNK, SIZE)
    repeated = connected.put(url, VIDEO[CHUNK:], CHUNK, SIZE)
    assert (repeated.status_code, repeated.headers["content-range"]) == (416, f"bytes 0-{SIZE}/{SIZE}")
    connected.control("POST", "/clock/advance", seconds=3)
    assert connected.status(publish_id)["status"] == "PUBLISH_COMPLETE"
    assert connected.control("GET", "/tiktok/effects")[0]["effects"] == 1


def test_a_reset_before_the_effect_has_none(connected: App) -> None:
    publish_id, url = _opened(connected)
    connected.fault("upload", "reset")
    with pytest.raises(httpx.TransportError):
        connected.put(url, VIDEO[:CHUNK], 0, SIZE)
    assert connected.status(publish_id)["uploaded_bytes"] == 0


def test_a_whole_chunk_of_64_megabytes_is_taken_in_one_call(connected: App) -> None:
    video = a_video(64_000_000)
    connected.post_video(video)
    assert connected.control("GET", "/tiktok/posts")[0]["sha256"] == sha256(video)
