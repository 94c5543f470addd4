"""Carriers and the forms of their numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.fulfillment.shipping.carriers import (
    AMAZON,
    CARRIERS,
    UPS,
    USPS,
    carrier_of,
    is_plain,
    normal,
    owner_of,
    provider_of,
)

BY_NAME = {carrier.name: carrier for carrier in CARRIERS}
# Numbers of USPS, UPS and FedEx as they are published as examples.
USPS_NUMBERS = [
    "9400111201080805483016", "9505511069605048600624", "9101123456789000000013", "9361289878700317633795",
    "03071790000523483741", "71969010756003077385",
]  # fmt: skip
UPS_NUMBERS = ["1Z5R89390357567127", "1Z879E930346834440", "1Z410E7W0392751591", "1Z8V92A70367203024"]


def changed(number: str, place: int) -> str:
    """The same with one digit one higher."""
    digit = str((int(number[place]) + 1) % 10)
    return number[:place] + digit + number[place + 1 :]


@pytest.mark.parametrize("number", USPS_NUMBERS)
def test_a_number_of_usps_has_its_check_digit(number: str) -> None:
    assert USPS.takes(number)
    assert not any(USPS.takes(changed(number, place)) for place in range(len(number)))


@pytest.mark.parametrize("number", UPS_NUMBERS)
def test_a_number_of_ups_has_its_check_digit(number: str) -> None:
    assert UPS.takes(number)
    assert not UPS.takes(changed(number, 17))
    assert UPS.takes(number.lower())
    # By its form it is nobody else's.
    assert not any(carrier.takes(number) for carrier in CARRIERS if carrier is not UPS)


@settings(deadline=None)
@given(st.integers(9, 15).flatmap(lambda length: st.text("0123456789", min_size=length, max_size=length)))
def test_numbers_of_amazon_logistics_are_nobody_else_s(digits: str) -> None:
    assert owner_of(f"TBA{digits}") is AMAZON
    assert [carrier.name for carrier in CARRIERS if carrier.takes(f"TBA{digits}")] == ["Amazon"]


@settings(deadline=None)
@given(st.text(max_size=45))
def test_only_letters_and_digits_are_a_number(text: str) -> None:
    if not (4 <= len(text) <= 40 and text.isascii() and text.isalnum()):
        assert not is_plain(text)
        assert not any(carrier.takes(text) for carrier in CARRIERS)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("Amazon Logistics", "Amazon"), ("AMZN_US", "Amazon"), ("SWSHIP", "Amazon"), ("usps", "USPS"),
        ("UPS", "UPS"), ("FedEx SmartPost", "FedEx"), ("LaserShip", "OnTrac"), ("Royal Mail", "Royal Mail"),
    ],
)  # fmt: skip
def test_carriers_are_known_however_amazon_spells_them(code: str, name: str) -> None:
    assert carrier_of(code) is BY_NAME[name]


@pytest.mark.parametrize("code", ["", "HERMESIT", "Pigeon Post", "UPS2"])
def test_an_unknown_carrier_is_not_guessed(code: str) -> None:
    assert carrier_of(code, "123456789012") is None
    # But its number may say whose it is beyond doubt.
    assert carrier_of(code, "TBA305123456789") is AMAZON


def test_providers_are_found_by_name_alone() -> None:
    offered = {"7117858858072016645": "amazon shipping + Amazon MCF", "1": "UPS Mail Innovations"}
    assert provider_of(AMAZON, offered) == ("7117858858072016645", "amazon shipping + Amazon MCF")
    assert provider_of(UPS, offered) is None
    assert normal("Amazon Shipping + Amazon MCF") == "AMAZONSHIPPINGAMAZONMCF"


def test_no_carrier_s_name_means_two_of_them() -> None:
    codes = [code for carrier in CARRIERS for code in carrier.codes]
    providers = [name for carrier in CARRIERS for name in carrier.providers]
    assert len(codes) == len(set(codes))
    assert len(providers) == len(set(providers))
