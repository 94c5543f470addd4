"""Amounts of money in the smallest unit of their currency. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from kit.money import minor_units

_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Money:
    """An amount; `currency` is its ISO 4217 code."""

    currency: str
    minor_units: int


def money(amount: Decimal, currency: str) -> Money | None:
    """A marketplace's amount as money; None beyond 64 bits, and without a code of a currency."""
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        return None
    units = minor_units(amount, currency)
    return Money(currency, units) if -_MOST <= units <= _MOST else None
