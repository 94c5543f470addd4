"""Money: nothing is lost between smallest units and decimal numbers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.money import decimal_text, minor_units

CURRENCIES = st.sampled_from(["USD", "GBP", "JPY", "VND", "KWD", "CLF", "XXX"])
INT64 = st.integers(-(2**63), 2**63 - 1)


@given(INT64, CURRENCIES)
def test_an_amount_survives_being_written(units: int, currency: str) -> None:
    assert minor_units(Decimal(decimal_text(units, currency)), currency) == units


@pytest.mark.parametrize(
    ("units", "currency", "text"),
    [
        (1234, "USD", "12.34"),
        (1230, "GBP", "12.30"),
        (5, "USD", "0.05"),
        (-5, "USD", "-0.05"),
        (0, "USD", "0.00"),
        (0, "JPY", "0"),
        (1234, "JPY", "1234"),
        (12_000_000, "VND", "12000000"),
        (1234, "KWD", "1.234"),
        (2**63 - 1, "USD", "92233720368547758.07"),
    ],
)
def test_an_amount_is_written_with_all_places_of_its_currency(units: int, currency: str, text: str) -> None:
    assert decimal_text(units, currency) == text


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.34", "USD", 1234),
        ("12.3", "USD", 1230),
        ("1234", "JPY", 1234),
        ("1234.00", "JPY", 1234),
        ("0.125", "USD", 12),
        ("0.135", "USD", 14),
        ("-0.129", "USD", -13),
        ("1E+3", "USD", 100_000),
    ],
)
def test_what_is_finer_than_the_smallest_unit_is_rounded_without_a_trend(
    amount: str, currency: str, units: int
) -> None:
    assert minor_units(Decimal(amount), currency) == units
