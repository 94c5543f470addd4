"""Carriers: what Amazon calls them, what TikTok Shop calls them, and what their numbers look like. Data. Pure.

Amazon's `carrierCode` is free text, and TikTok Shop's ids of providers are each shop's own: both are matched by name,
letters and digits alone. A carrier that is not here is not guessed; a shop's own table may name its provider.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_TEXT = re.compile("[A-Za-z0-9]{4,40}")
_TBA = re.compile("TBA[0-9]{9,15}")
_DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class Carrier:
    """One carrier. `codes` and `providers` are normalised, the provider that is looked for first is first."""

    name: str
    codes: frozenset[str]
    providers: tuple[str, ...]
    has_form: Callable[[str], bool]

    def takes(self, number: str) -> bool:
        """Whether a number can be this carrier's: it has its form, and not one that only another carrier has."""
        number = number.upper()
        owner = owner_of(number)
        return is_plain(number) and (owner is None or owner is self) and self.has_form(number)


def normal(name: str) -> str:
    """A name as it is compared: upper case, letters and digits."""
    return "".join(sign for sign in name.upper() if sign.isascii() and sign.isalnum())


def is_plain(number: str) -> bool:
    """Whether TikTok Shop takes it for a number at all: 4 to 40 letters and digits."""
    return _TEXT.fullmatch(number) is not None


def owner_of(number: str) -> Carrier | None:
    """Whose a number is by its form alone; None when several carriers have such numbers."""
    number = number.upper()
    if number.startswith("TBA"):
        return AMAZON
    if number.startswith("1Z") and _is_ups(number):
        return UPS
    return None


def carrier_of(code: str, number: str = "") -> Carrier | None:
    """The carrier that Amazon names; None when it is not known. One that names nothing known, with Amazon Logistics'
    own kind of number, is that.
    """
    return _BY_CODE.get(normal(code)) or (AMAZON if _TBA.fullmatch(number.upper()) else None)


def provider_carrier(provider: str) -> Carrier | None:
    """The carrier that TikTok Shop names; None when it is not known."""
    return _BY_PROVIDER.get(normal(provider))


def provider_of(carrier: Carrier, offered: Mapping[str, str]) -> tuple[str, str] | None:
    """Id and name of the carrier among the providers that are offered (id → name); None when it is not."""
    by_name = {normal(name): (provider_id, name) for provider_id, name in offered.items()}
    return next((by_name[each] for each in carrier.providers if each in by_name), None)


def provider_named(name: str, offered: Mapping[str, str]) -> tuple[str, str] | None:
    """Id and name of a provider among those that are offered; None when it is not."""
    wanted = normal(name)
    return next(((each, found) for each, found in offered.items() if normal(found) == wanted), None)


def _is_amazon(number: str) -> bool:
    # Abroad they begin otherwise; Amazon's own (AFTN) have no form that is published.
    return _TBA.fullmatch(number) is not None or not number.startswith("TBA")


def _is_ups(number: str) -> bool:
    """1Z, fifteen letters and digits, and a check digit. A letter counts as the last digit of its place."""
    if not re.fullmatch("1Z[0-9A-Z]{15}[0-9]", number):
        return False
    values = [int(sign) if sign.isdigit() else (ord(sign) - 63) % 10 for sign in number[2:17]]
    total = sum(value * (2 if place % 2 else 1) for place, value in enumerate(values))
    return -total % 10 == int(number[17])


def _is_usps(number: str) -> bool:
    """20 to 22 digits with a check digit; older ones of 20 are checked as if 91 stood before them."""
    if not re.fullmatch("[0-9]{20,22}", number):
        return False
    return _mod_10(number) or (len(number) == 20 and _mod_10("91" + number))


def _mod_10(number: str) -> bool:
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(number[:-1])))
    return -total % 10 == int(number[-1])


def _is_fedex(number: str) -> bool:
    return _DIGITS.fullmatch(number) is not None and len(number) in (12, 15, 20, 22, 34)


def _form(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda number: compiled.fullmatch(number) is not None


def _carrier(name: str, codes: str, providers: tuple[str, ...], has_form: Callable[[str], bool]) -> Carrier:
    return Carrier(name, frozenset(codes.split()), tuple(normal(each) for each in providers), has_form)


AMAZON = _carrier(
    "Amazon",
    "AMAZONLOGISTICS AMAZON AMZL AMZLUS AMZN AMZNUS SWSHIP",
    ("Amazon", "Amazon Shipping + Amazon MCF", "Amazon Shipping", "Amazon Logistics", "Amazon MCF"),
    _is_amazon,
)
UPS = _carrier("UPS", "UPS", ("UPS",), _is_ups)
USPS = _carrier("USPS", "USPS", ("USPS",), _is_usps)
# Where a form is not published, letters and digits of the usual length are all that is asked.
CARRIERS = (
    AMAZON,
    UPS,
    _carrier("UPS Mail Innovations", "UPSMI", ("UPS Mail Innovations",), _form("MI[0-9A-Z]{7,28}|[0-9]{18,34}")),
    USPS,
    _carrier("FedEx", "FEDEX FEDEXSMARTPOST", ("FedEx",), _is_fedex),
    _carrier(
        "OnTrac", "ONTRAC LASERSHIP", ("OnTrac", "LaserShip"), _form("[CD][0-9]{14}|1LS[0-9A-Z]{9,20}|L[A-Z][0-9]{8}")
    ),
    _carrier("DHL eCommerce", "DHL DHLECOMMERCE", ("DHL eCommerce", "DHL"), _form("[0-9A-Z]{10,39}")),
    _carrier("Royal Mail", "ROYALMAIL", ("Royal Mail",), _form("[A-Z]{2}[0-9]{9}GB|[0-9A-Z]{11,21}")),
    _carrier("DPD", "DPD DPDUK", ("DPD UK", "DPD"), _form("[0-9]{10,14}[0-9A-Z]?")),
    _carrier("Evri", "EVRI HERMES HERMESUK", ("Evri", "Hermes"), _form("[0-9A-Z]{16}")),
    _carrier("Yodel", "YODEL", ("Yodel",), _form("JJ?D[0-9]{16}|[0-9A-Z]{12,20}")),
)
_BY_CODE = {code: each for each in CARRIERS for code in each.codes}
_BY_PROVIDER = {name: each for each in CARRIERS for name in each.providers}
