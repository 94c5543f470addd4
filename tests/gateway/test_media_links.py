"""Files that a platform fetches by a signed link, without a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from kit.media_link import media_link
from services.gateway.routes.media_links import span_of
from tests.gateway.conftest import Connect
from tests.gateway.fakes import SERVICE_TOKEN, WORKSPACE, Memory

BYTES = bytes(range(256)) * 40_000  # ten messages of content's


@pytest.fixture
def stranger(connect: Connect) -> httpx.Client:
    """A client without a key."""
    return connect()


@pytest.fixture
def link(url: str, memory: Memory) -> str:
    """A link to a file of the library."""
    asset = memory.asset(mime_type="image/jpeg", size_bytes=len(BYTES))
    memory.files[asset] = BYTES
    return link_to(url, asset)


def link_to(url: str, asset: str, workspace: str = WORKSPACE, seconds: float = 60) -> str:
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    return media_link(SERVICE_TOKEN, f"{url}/", UUID(workspace), UUID(asset), end)


def test_a_link_gives_the_whole_file_and_says_what_it_is(stranger: httpx.Client, link: str) -> None:
    answer = stranger.get(link)
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert (answer.headers["Content-Type"], answer.headers["Content-Length"]) == ("image/jpeg", str(len(BYTES)))
    assert (answer.headers["Accept-Ranges"], answer.headers["Cache-Control"]) == ("bytes", "private, no-store")
    head = stranger.head(link)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(BYTES)))
    assert head.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize(
    ("wanted", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, len(BYTES)),
        ("bytes=-5", len(BYTES) - 5, len(BYTES)),
        (f"bytes=5-{10**17}", 5, len(BYTES)),
    ],
)
def test_a_part_is_given_where_it_is_asked_for(
    stranger: httpx.Client, link: str, wanted: str, first: int, end: int
) -> None:
    answer = stranger.get(link, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (206, BYTES[first:end])
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(BYTES)}"


def test_what_is_no_part_of_it_is_said_and_several_parts_are_the_whole(stranger: httpx.Client, link: str) -> None:
    behind = stranger.get(link, headers={"Range": f"bytes={len(BYTES)}-"})
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{len(BYTES)}")
    assert stranger.get(link, headers={"Range": "bytes=0-1,5-6"}).status_code == 200
    assert stranger.get(link, headers={"Range": "bytes=0-1", "If-Range": '"another"'}).status_code == 200


@pytest.mark.parametrize(("header", "span"), [("bytes=5-3", None), ("bytes=-0", (9, 0)), ("lines=1-2", None)])
def test_an_odd_range_is_none(header: str, span: tuple[int, int] | None) -> None:
    assert span_of(header, 9) == span


def test_only_what_was_given_away_opens_and_only_in_its_time(stranger: httpx.Client, link: str, url: str) -> None:
    parts = httpx.URL(link)
    other = str(uuid4())
    for wrong in (
        link_to(url, parts.path.rpartition("/")[2], seconds=-1),
        str(parts.copy_with(path=parts.path[:-36] + other)),
        str(parts.copy_set_param("expires", str(int(parts.params["expires"]) + 1))),
        str(parts.copy_set_param("signature", "0" * 64)),
        str(parts.copy_set_param("expires", "²")),
        link.partition("?")[0],
        f"{url}/media-links/none/none?{parts.query.decode()}",
    ):
        answer = stranger.get(wrong)
        assert (answer.status_code, answer.json()["reason"]) == (404, "MEDIA_LINK_CLOSED"), wrong
    assert stranger.post(link).status_code == 405


def test_a_link_to_a_file_that_is_gone_is_not_found(stranger: httpx.Client, url: str, memory: Memory) -> None:
    assert stranger.get(link_to(url, str(uuid4()))).status_code == 404
