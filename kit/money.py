"""Amounts of money: whole numbers of the smallest unit between services, decimal numbers for everybody else."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

# ISO 4217: how many decimal places the smallest unit has, where it is not two.
_PLACES = {
    currency: places
    for places, currencies in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for currency in currencies.split()
}
_USUAL_PLACES = 2
# More than any 64-bit number has, so that nothing is rounded but what is meant to be.
_EXACT = Context(prec=60)


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount in the currency's smallest unit: 12.34 USD are 1234, 1234 JPY are 1234.

    What is finer than the smallest unit (vendors' averages are) is rounded to the nearer one, a half to the even one.
    """
    return int(amount.scaleb(_places(currency), _EXACT).to_integral_value(ROUND_HALF_EVEN, _EXACT))


def decimal_text(units: int, currency: str) -> str:
    """The amount as a decimal number with all the currency's places: "12.30", and "1234" for yen. Exact."""
    return f"{Decimal(units).scaleb(-_places(currency), _EXACT):f}"


def _places(currency: str) -> int:
    return _PLACES.get(currency, _USUAL_PLACES)
