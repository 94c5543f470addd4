"""The lines of an address: from what was told to at most three that fit, without losing a word. Pure."""

from __future__ import annotations

import re

from services.fulfillment.orders.address_text import Trail, words
from services.fulfillment.orders.recipient import Limits, Note, Recipient

_UNIT = re.compile(
    r"(?:(?:apt|apartment|unit|suite|ste|room|rm|floor|fl|building|bldg|lot|space|spc|trailer|trlr)\b\.?\s*#?|#)\s*"
    r"[\w-]{1,10}(?:\s[\w-]{1,3})?",
    re.IGNORECASE,
)
_STREET = re.compile(r"\d[\w/-]*\s+\S")
_JOINT = "\n"


def street_lines(recipient: Recipient, trail: Trail, country: str, city: str, limits: Limits) -> list[str] | None:
    """The lines, none when no street was told. None: they do not fit, and nothing is cut.

    `city` is that of a country whose addresses have it in the lines (Japan), else empty.
    """
    told = [trail.clean(f"line{number}", line) for number, line in enumerate(recipient.lines, 1)]
    lines = [line for line in told if line]
    detail = trail.clean("address_detail", recipient.address_detail)
    if not lines:
        street = detail or _street_of(trail.clean("full_address", recipient.full_address), recipient)
        lines = [trail.step("line1", "detail_for_lines", "", street)] if street else []
    elif set(words(detail)) - set(words(" ".join(lines))):
        trail.step("address_detail", "lines_before_detail", detail, _JOINT.join(lines))
        trail.note(Note.DETAIL_DIFFERS)
    if not lines:
        return []
    if city and city not in lines[0]:
        trail.step("city", "city_into_lines", city, "")
        lines = [city, *lines]
    fitted = _fitted(lines, bool(told[3:] and told[3]), trail, limits)
    if country == "US" and fitted and len(fitted) > 1 and _UNIT.fullmatch(fitted[0]) and _STREET.match(fitted[1]):
        swapped = [fitted[1], fitted[0], *fitted[2:]]
        trail.step("lines", "street_before_unit", _JOINT.join(fitted), _JOINT.join(swapped))
        trail.note(Note.LINES_SWAPPED)
        return swapped
    return fitted


def _fitted(lines: list[str], has_fourth: bool, trail: Trail, limits: Limits) -> list[str] | None:
    before = lines
    if has_fourth and len(lines) > 1 and len(joined := " ".join(lines[-2:])) <= limits.line:
        lines = [*lines[:-2], joined]
    broken = [part for line in lines for part in _broken(line, limits.line)]
    # A unit keeps a line of its own while there is room.
    if len(broken) > limits.lines:
        broken = _broken(" ".join(lines), limits.line)
    if len(broken) > limits.lines or any(len(line) > limits.line for line in broken):
        return None
    if broken != before:
        trail.step("lines", "reflowed", _JOINT.join(before), _JOINT.join(broken))
        trail.note(Note.REFLOWED)
    return broken


def _broken(line: str, limit: int) -> list[str]:
    """A text in lines broken at blanks. A word that is longer than the limit stays whole."""
    made: list[str] = []
    for word in line.split(" "):
        if made and len(made[-1]) + 1 + len(word) <= limit:
            made[-1] += " " + word
        else:
            made.append(word)
    return made


def _street_of(full_address: str, recipient: Recipient) -> str:
    """What a whole address in one line says before its places, which are told apart from it, too; empty when it says
    nothing but places.
    """
    places = " ".join(f"{each.name} {each.iso_code}" for each in recipient.districts)
    known = set(words(f"{places} {recipient.post_town} {recipient.postal_code} {recipient.country_code}"))
    parts = [part.strip() for part in full_address.split(",") if part.strip()]
    while parts and set(words(parts[-1])) <= known:
        parts.pop()
    return ", ".join(parts)
