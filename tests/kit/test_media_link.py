"""Links to files for those who fetch them without a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kit.media_link import PATH, media_link, opens

SECRET = "s" * 32
NOW = datetime(2027, 1, 4, 18, tzinfo=UTC)


@given(st.uuids(), st.uuids(), st.integers(1, 10_000))
def test_a_link_opens_its_file_until_its_end_and_no_other(workspace: UUID, asset: UUID, seconds: int) -> None:
    link = media_link(SECRET, "https://media.example/", workspace, asset, NOW + timedelta(seconds=seconds))
    parts = urlsplit(link)
    assert parts.path == f"/{PATH}/{workspace}/{asset}"
    query = parse_qs(parts.query)
    expires, signature = int(query["expires"][0]), query["signature"][0]

    def is_open(
        of: tuple[UUID, UUID] = (workspace, asset), until: int = expires, by: str = SECRET, after: int = 0
    ) -> bool:
        return opens(by, *of, expires=until, signature=signature, now=NOW + timedelta(seconds=after))

    assert is_open()
    assert not is_open(after=seconds)
    assert not is_open(until=expires + 1)
    assert not is_open(by="t" * 32)
    assert not is_open((asset, workspace)) or asset == workspace
    assert not is_open((workspace, UUID(int=asset.int ^ 1)))
    assert SECRET not in link
