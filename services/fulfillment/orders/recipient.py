"""Whom an order goes to: as the marketplace tells it, and as Amazon takes it. Nothing personal is part of a repr."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class District:
    """One level of a place: `L0` is the country, `L1` the state, and so on down. `level_name` is such as "County"."""

    level: str
    level_name: str
    name: str = field(repr=False)
    iso_code: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Recipient:
    """Name and address as they were told: any text, parts of it empty or hidden behind stars."""

    name: str = field(default="", repr=False)
    first_name: str = field(default="", repr=False)
    last_name: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    lines: tuple[str, ...] = field(default=(), repr=False)  # up to four; empty ones keep their place
    address_detail: str = field(default="", repr=False)
    full_address: str = field(default="", repr=False)
    districts: tuple[District, ...] = field(default=(), repr=False)  # in any order
    postal_code: str = field(default="", repr=False)
    post_town: str = field(default="", repr=False)  # United Kingdom only
    country_code: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """What Amazon is given. `country_code` is ISO 3166-1 alpha-2, `phone` is E.164; empty texts are not there.

    `state` is the postal code of a state where the country has such (US, CA, AU, IT), elsewhere its name as told.
    """

    name: str = field(repr=False)
    lines: tuple[str, ...] = field(repr=False)  # one to three
    city: str = field(repr=False)
    district: str = field(repr=False)
    state: str = field(repr=False)
    postal_code: str = field(repr=False)
    country_code: str
    phone: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many characters Amazon takes. What it does with more is not documented, so that more is never sent."""

    name: int = 50
    line: int = 60
    lines: int = 3
    city: int = 50
    district: int = 150
    state: int = 150


@dataclass(frozen=True, slots=True)
class Change:
    """What one rule made of one field."""

    field: str
    rule: str
    before: str = dataclasses.field(repr=False)
    after: str = dataclasses.field(repr=False)


class Kind(enum.Enum):
    """What makes an address slower, dearer or subject to rules of its own."""

    PO_BOX = "PO_BOX"
    MILITARY = "MILITARY"  # APO, FPO, DPO
    TERRITORY = "TERRITORY"  # Puerto Rico, Guam and the like: the country is US
    NONCONTIGUOUS = "NONCONTIGUOUS"  # Alaska, Hawaii


class Problem(enum.StrEnum):
    """Why there is no address that could be sent, the first that counts first."""

    MASKED_ADDRESS = "masked_address"  # hidden for now, or for good
    COUNTRY_UNKNOWN = "country_unknown"
    NAME_MISSING = "name_missing"
    ADDRESS_MISSING = "address_missing"
    ADDRESS_TOO_LONG = "address_too_long"
    CITY_MISSING = "city_missing"
    STATE_UNKNOWN = "state_unknown"
    ZIP_INVALID = "zip_invalid"
    ZIP_STATE_MISMATCH = "zip_state_mismatch"


class Note(enum.StrEnum):
    """What a person may want to know of an address that can be sent."""

    NAME_CUT = "name_cut"
    REFLOWED = "reflowed"  # the lines were broken or joined anew
    LINES_SWAPPED = "lines_swapped"  # the unit stood before the street
    DETAIL_DIFFERS = "detail_differs"  # address_detail has words that the lines lack
    STATE_UNLISTED = "state_unlisted"  # not US, and not in the list of the country
    ZIP_PADDED = "zip_padded"
    NO_PHONE = "no_phone"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a recipient: an address, or the problems that a person or time has to solve first.

    `country_code` is told with a problem too, and is empty only when nobody told a country.
    """

    address: Address | None
    country_code: str
    problems: tuple[Problem, ...] = ()
    kinds: frozenset[Kind] = frozenset()
    notes: tuple[Note, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def problem(self) -> str:
        """The problem that counts; empty when there is an address."""
        return self.problems[0].value if self.problems else ""


def as_recipient(address: Address) -> Recipient:
    """An address in the form in which it is normalised: to be corrected by hand, and checked again."""
    return Recipient(
        name=address.name,
        phone=address.phone,
        lines=address.lines,
        districts=(
            District("L1", "State", address.state),
            District("L2", "County", address.district),
            District("L3", "City", address.city),
        ),
        postal_code=address.postal_code,
        country_code=address.country_code,
    )
