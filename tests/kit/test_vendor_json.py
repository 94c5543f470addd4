"""Reading what vendors write: ids that keep their digits, exact numbers, and nothing that breaks a reader."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import vendor_json
from kit.vendor_json import UnreadableAnswer

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@given(st.integers(min_value=0))
def test_an_id_keeps_its_digits_as_a_number_and_as_text(number: int) -> None:
    assert vendor_json.id_text({"id": number}, "id") == vendor_json.id_text({"id": str(number)}, "id") == str(number)


@pytest.mark.parametrize("told", [None, 1.0, True, [], {}])
def test_what_is_no_id_is_empty_and_refused_where_one_is_needed(told: object) -> None:
    assert vendor_json.id_text({"id": told}, "id") == ""
    with pytest.raises(UnreadableAnswer, match="id"):
        vendor_json.needed_id({"id": told}, "id")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_a_decimal_is_exact(number: Decimal) -> None:
    assert vendor_json.as_decimal(str(number)) == number


@pytest.mark.parametrize("told", ["NaN", "-Infinity", "1e", "1_0", "", "١", "9" * 40, None, True, [], float("inf")])
def test_what_is_no_finite_number_is_none(told: object) -> None:
    assert vendor_json.as_decimal(told) is None


@pytest.mark.parametrize("told", [0, "0", None, "", -(10**18), 10**18, "soon", 1.5])
def test_an_instant_that_is_none_or_out_of_reach_is_none(told: object) -> None:
    assert vendor_json.moment({"time": told}, "time") is None


@given(JSON)
def test_no_value_breaks_a_reader(value: object) -> None:
    raw = {"it": value}
    for read in (
        vendor_json.text,
        vendor_json.id_text,
        vendor_json.whole,
        vendor_json.truth,
        vendor_json.decimal,
        vendor_json.moment,
        vendor_json.mapping,
        vendor_json.texts,
    ):
        read(raw, "it")
    list(vendor_json.mappings(raw, "it"))
    str(vendor_json.storable(raw)).encode()


def test_what_no_database_takes_is_replaced_wherever_it_is() -> None:
    told = {"a\x00": ["b\ud800", {"c": "d\udfff"}], "e": 1}
    assert vendor_json.storable(told) == {"a\ufffd": ["b\ufffd", {"c": "d\ufffd"}], "e": 1}
