"""The upload plan against TikTok's written rules."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vendors.tiktok.chunks import ChunkPlan, plan_chunks

MB, MIB = 10**6, 2**20
SIZES = st.integers(1, 10_000_000_000)


@pytest.mark.parametrize(
    ("size", "chunk", "count", "last"),
    [
        (64_000_000, 64_000_000, 1, 64_000_000),
        (64_000_001, 10_000_000, 6, 14_000_001),  # 6 * 10 MB = 60 MB, the rest rides with the last
        (50_000_123, 50_000_123, 1, 50_000_123),
        (4_000_000_000, 10_000_000, 400, 10_000_000),
        (1, 1, 1, 1),
    ],
)
def test_the_plans_of_known_sizes(size: int, chunk: int, count: int, last: int) -> None:
    plan = plan_chunks(size)
    assert (plan.chunk_size, plan.count, plan.spans()[-1].length) == (chunk, count, last)


@given(SIZES)
@example(64_000_000)
@example(64_000_001)
@example(69_999_999)
@example(10_000_000_000)
def test_every_plan_obeys_the_rules_whatever_a_megabyte_is(size: int) -> None:
    plan = plan_chunks(size)
    assert 1 <= plan.count <= 1_000
    assert plan.count == size // plan.chunk_size
    if plan.count == 1:
        assert plan.chunk_size == size <= 64 * MB
    else:
        assert 5 * MIB <= plan.chunk_size <= 64 * MB
        assert plan.span(plan.count - 1).length <= 128 * MB


@given(SIZES)
def test_the_chunks_cover_every_byte_once_in_order(size: int) -> None:
    spans = plan_chunks(size).spans()
    assert spans[0].first == 0
    assert spans[-1].last == size - 1
    assert all(later.first == earlier.last + 1 for earlier, later in pairwise(spans))
    assert [span.is_final for span in spans] == [False] * (len(spans) - 1) + [True]


@given(st.integers(2, 4_000_000_000), st.booleans(), st.data())
def test_an_upload_goes_on_where_tiktok_stands(size: int, counts_bytes: bool, data: st.DataObject) -> None:
    plan = plan_chunks(size)
    sent = data.draw(st.integers(1, plan.count))
    stored = plan.span(sent - 1).last + 1
    assert plan.index_after(stored if counts_bytes else stored - 1) == sent


def test_bytes_that_end_inside_a_chunk_ask_for_a_new_upload() -> None:
    assert plan_chunks(70_000_000).index_after(12_345_678) is None


def test_nothing_stored_means_the_first_chunk() -> None:
    assert plan_chunks(70_000_000).index_after(0) == 0


def test_a_content_range_is_inclusive() -> None:
    assert ChunkPlan(25, 10, 2).span(1).content_range == "bytes 10-24/25"


@pytest.mark.parametrize("size", [0, -1, 10_010_000_000])
def test_a_size_that_cannot_be_uploaded_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"cannot be uploaded|TikTok takes"):
        plan_chunks(size)


@pytest.mark.parametrize("index", [-1, 6])
def test_a_chunk_outside_of_the_plan_is_an_error(index: int) -> None:
    with pytest.raises(IndexError):
        plan_chunks(64_000_001).span(index)
