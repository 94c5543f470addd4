"""What a documented request looks like, and every way in which one that came differs from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

# A shape is a type, a set of allowed values, a list with the shape of its items, a mapping of fields (a name that ends
# with "?" may be left out), or a function that says what is wrong with a value.
Shape = Any
Check = Callable[[Any], str]


def misfits(value: Any, shape: Shape, where: str = "body") -> Iterator[str]:
    """One sentence for each difference, at any depth."""
    if isinstance(shape, Mapping):
        yield from _fields(value, shape, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{where} is no list but {value!r}"
            return
        for index, item in enumerate(value):
            yield from misfits(item, shape[0], f"{where}[{index}]")
    elif isinstance(shape, frozenset | set):
        if not isinstance(value, str) or value not in shape:
            yield f"{where} is {value!r}, which is not documented"
    elif isinstance(shape, type):
        if type(value) is not shape:
            yield f"{where} is {value!r}, not of type {shape.__name__}"
    elif problem := shape(value):
        yield f"{where} {problem}"


def _fields(value: Any, shape: Mapping[str, Shape], where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no object but {value!r}"
        return
    known = {name.removesuffix("?"): (name.endswith("?"), inner) for name, inner in shape.items()}
    for name in value:
        if name not in known:
            yield f"{where}.{name} is not documented"
    for name, (optional, inner) in known.items():
        if name in value:
            yield from misfits(value[name], inner, f"{where}.{name}")
        elif not optional:
            yield f"{where}.{name} is missing"


def text(most: int, least: int = 0) -> Check:
    """A text of so many UTF-16 units."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            return f"is {value!r}, not a text"
        units = len(value.encode("utf-16-le")) // 2
        return "" if least <= units <= most else f"has {units} UTF-16 units, allowed are {least} to {most}"

    return check


def whole(least: int, most: int) -> Check:
    """A JSON integer of a range; True is none."""

    def check(value: Any) -> str:
        return "" if type(value) is int and least <= value <= most else f"is {value!r}, not {least} to {most}"

    return check


def several(shape: Shape, least: int, most: int) -> Check:
    """A list of so many items."""

    def check(value: Any) -> str:
        if not isinstance(value, list) or not least <= len(value) <= most:
            return f"is {value!r}, not a list of {least} to {most}"
        return "; ".join(problem for each in value for problem in misfits(each, shape, "item"))

    return check


def number_word(least: int, most: int) -> Check:
    """A whole number in a query."""

    def check(value: Any) -> str:
        fits = isinstance(value, str) and value.isascii() and value.isdigit() and least <= int(value) <= most
        return "" if fits else f"is {value!r}, not {least} to {most}"

    return check


def words(allowed: frozenset[str], most: int = 1000) -> Check:
    """A comma-separated list in a query, without spaces."""

    def check(value: Any) -> str:
        parts = value.split(",") if isinstance(value, str) else []
        wrong = [part for part in parts if part not in allowed]
        return f"has {wrong!r}, which are not documented" if wrong or not 1 <= len(parts) <= most else ""

    return check


def ids(most: int) -> Check:
    """Vendor ids, comma-separated in a query."""

    def check(value: Any) -> str:
        parts = value.split(",") if isinstance(value, str) else []
        return "" if 1 <= len(parts) <= most and all(part.isdigit() for part in parts) else f"is {value!r}, no ids"

    return check
