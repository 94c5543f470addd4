"""Reads vendors' JSON leniently: what is missing or of another kind is empty, what is needed raises UnreadableAnswer.

Ids are text: as numbers they do not fit a double. A JSON number is taken for an id too, a float is not: it has already
lost digits.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

_WHOLE_DIGITS = 19  # of a number given as text; more fit no 64-bit integer
_DECIMAL_LENGTH = 32  # characters of an amount
# JSON can write them, and no database takes them: zero, and halves of characters.
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


class UnreadableAnswer(ValueError):
    """An answer without an error that lacks what it must have; the text names the field."""


def storable(value: Any) -> Any:
    """The same JSON, with U+FFFD for what no database takes as text: a buyer's message must not stop a whole page."""
    if isinstance(value, str):
        return _NOT_STORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def text(raw: Mapping[str, Any], name: str) -> str:
    """The text of a field; empty when there is none."""
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def needed_text(raw: Mapping[str, Any], name: str) -> str:
    """The text of a field. Raises UnreadableAnswer when it is missing or empty."""
    value = text(raw, name)
    if not value:
        raise UnreadableAnswer(name)
    return value


def id_text(raw: Mapping[str, Any], name: str) -> str:
    """An id as text; empty for what is none."""
    return as_id(raw.get(name))


def needed_id(raw: Mapping[str, Any], name: str) -> str:
    """An id as text. Raises UnreadableAnswer without one."""
    value = id_text(raw, name)
    if not value:
        raise UnreadableAnswer(name)
    return value


def as_id(value: object) -> str:
    """A value as an id; empty for what is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def whole(raw: Mapping[str, Any], name: str) -> int | None:
    """A whole number, given as such or as its decimal digits."""
    return as_whole(raw.get(name))


def as_whole(value: object) -> int | None:
    """A value as a whole number; None for what is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _WHOLE_DIGITS:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def truth(raw: Mapping[str, Any], name: str) -> bool:
    """Whether a field is true; some vendors write it as text."""
    return as_truth(raw.get(name))


def as_truth(value: object) -> bool:
    """Whether a value is true."""
    return value in (True, "true", "TRUE", "True")


def decimal(raw: Mapping[str, Any], name: str) -> Decimal | None:
    """A finite decimal number, as text or as a JSON number."""
    return as_decimal(raw.get(name))


def as_decimal(value: object) -> Decimal | None:
    """A value as a finite decimal number; None for what is none. A float is read as it was written."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    written = str(value).strip()
    if not written.isascii() or "_" in written or len(written) > _DECIMAL_LENGTH:
        return None
    try:
        number = Decimal(written)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def moment(raw: Mapping[str, Any], name: str) -> datetime | None:
    """An instant given as Unix seconds; None for zero, which vendors send for "not yet"."""
    return as_moment(raw.get(name))


def as_moment(value: object) -> datetime | None:
    """A value of Unix seconds as an instant; None for zero and for what is none."""
    seconds = as_whole(value)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (OverflowError, ValueError, OSError):
        return None


def mapping(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object of a field; an empty one when there is none."""
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def needed_mapping(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object of a field. Raises UnreadableAnswer without one."""
    value = raw.get(name)
    if not isinstance(value, Mapping):
        raise UnreadableAnswer(name)
    return value


def mappings(raw: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a list; none when there is no list. What is no object is left out."""
    value = raw.get(name)
    yield from (item for item in (value if isinstance(value, list) else ()) if isinstance(item, Mapping))


def texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The texts of a list, ids among them; what is neither is left out."""
    value = raw.get(name)
    return tuple(word for item in (value if isinstance(value, list) else ()) if (word := as_id(item)))
