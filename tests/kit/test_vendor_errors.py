from __future__ import annotations

import pytest

from kit.vendor_errors import scrub_text


@pytest.mark.parametrize(
    "written",
    [
        *("+18655550108", "8655550108", "(865) 555-0108", "865.555.0108", "+1-865-555-0108", "(+1)8655550108"),
        *("1 865 555 0108", "555-0108"),
    ],
)
def test_a_phone_number_is_hidden_however_it_is_written(written: str) -> None:
    assert scrub_text(f"Call {written}, or write.", ["+18655550108"]) == "Call [redacted], or write."


@pytest.mark.parametrize("text", ["Call (865) 555-0109.", "order 576918655550108123", "SKU EF-5550108X1"])
def test_other_numbers_stay(text: str) -> None:
    assert scrub_text(text, ["+18655550177"]) == text
