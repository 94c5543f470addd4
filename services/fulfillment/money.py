"""Amounts of money in the smallest unit of their currency. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

# Digits behind the point, by ISO 4217, where they are not two.
_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Money:
    """An amount; `currency` is its ISO 4217 code."""

    currency: str
    minor_units: int


def money(amount: Decimal, currency: str) -> Money | None:
    """A decimal amount as money; what is finer than the smallest unit is rounded, half to even.

    None beyond 64 bits, and without a code of a currency.
    """
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        return None
    digits = _DIGITS.get(currency, 2)
    minor = int(amount.scaleb(digits).to_integral_value(ROUND_HALF_EVEN))
    return Money(currency, minor) if -_MOST <= minor <= _MOST else None
