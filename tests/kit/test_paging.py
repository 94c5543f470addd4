import base64
import contextlib
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import InvalidArgument
from kit.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Page

KINDS = (datetime, UUID)


def test_a_token_brings_its_key_back() -> None:
    key = (datetime(2027, 1, 4, 17, 0, 0, 123456, tzinfo=UTC), uuid4())
    assert Page.parse(10, Page.token(*key), KINDS) == Page(10, key)


def test_a_token_of_a_text_that_is_not_ascii_is_no_longer_than_it_must_be() -> None:
    title = "カード" * 85
    token = Page.token(title, UUID(int=7))
    assert Page.parse(10, token, (str, UUID)) == Page(10, (title, UUID(int=7)))
    assert len(token) < 2048


@pytest.mark.parametrize(("asked", "size"), [(0, DEFAULT_PAGE_SIZE), (1, 1), (200, 200), (100_000, MAX_PAGE_SIZE)])
def test_a_page_has_a_usual_and_a_largest_size(asked: int, size: int) -> None:
    assert Page.parse(asked, "", KINDS) == Page(size, None)


def forged(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "äöü",
        "%%%",
        Page.token("2027-01-04T17:00:00+00:00"),  # a part is missing
        Page.token("yesterday", UUID(int=7)),
        Page.token(datetime(2027, 1, 4, tzinfo=UTC), "7"),
        forged([1, 2]),
        forged({"a": "b", "c": "d"}),
        forged(None),
        forged([["2027-01-04"], None]),
    ],
)
def test_a_token_that_we_did_not_give_out_is_refused_by_its_field(token: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        Page.parse(0, token, KINDS)
    assert refusal.value.violations[0].field == "page_token"


@given(st.text(max_size=60))
def test_no_token_whatever_does_more_than_be_refused(token: str) -> None:
    with contextlib.suppress(InvalidArgument):
        Page.parse(0, token, KINDS)
