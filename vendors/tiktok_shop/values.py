"""What several answers of TikTok Shop have in common: money, pages, masked fields and failures of single items."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from kit.vendor_json import UnreadableAnswer, as_decimal, decimal, id_text, mapping, mappings, text, whole

T = TypeVar("T")


@dataclass(frozen=True)
class Money:
    """An amount and its ISO 4217 currency."""

    amount: Decimal
    currency: str


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a list. ``next_page_token`` asks for the next part and is empty at the end."""

    items: tuple[T, ...]
    next_page_token: str
    total_count: int | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class ItemError:
    """Why one thing of several was refused. ``target`` is its id (a SKU), ``part`` that of its part (a warehouse)."""

    target: str
    part: str
    code: str
    message: str  # TikTok Shop's words: data, never trusted


def is_masked(value: str) -> bool:
    """Whether a text of a buyer's address is hidden or not there: it must never replace one that was readable."""
    return "*" in value or not value.strip()


def money(raw: Mapping[str, Any], name: str, currency: str = "") -> Money | None:
    """The amount of a field: an object with its currency, or a number in ``currency``. None where either is missing."""
    value = raw.get(name)
    if isinstance(value, Mapping):
        amount, currency = decimal(value, "amount"), text(value, "currency") or currency
    else:
        amount = as_decimal(value)
    return None if amount is None or not currency else Money(amount, currency)


def share(raw: Mapping[str, Any], name: str) -> Decimal | None:
    """A rate as a share: 0.0528 for "5.28%" and for "0.0528", as the versions write it. None for what is neither.

    A bare number above 1 is None: whether it means per cent is not documented.
    """
    value = raw.get(name)
    if isinstance(value, str) and value.strip().endswith("%"):
        per_cent = as_decimal(value.strip().removesuffix("%"))
        return None if per_cent is None or per_cent < 0 else per_cent / 100
    number = as_decimal(value)
    return number if number is not None and 0 <= number <= 1 else None


def objects(data: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    """The objects of a list that an answer consists of. No list, or null, is an empty one.

    Raises UnreadableAnswer for something else, and for an entry that is no object: it must not get lost unseen.
    """
    value = data.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise UnreadableAnswer(name)
    return tuple(value)


def seconds(moment: datetime | None) -> int | None:
    """An instant as whole Unix seconds."""
    return None if moment is None else int(moment.timestamp())


def without_none(**fields: Any) -> dict[str, Any]:
    """A body without the fields that are None."""
    return {name: value for name, value in fields.items() if value is not None}


def page(data: Mapping[str, Any], items: tuple[T, ...]) -> Page[T]:
    """A page of these items with what the answer says about the next one."""
    return Page(items, text(data, "next_page_token"), whole(data, "total_count"), data)


def item_errors(data: Mapping[str, Any], target: str, part: str) -> tuple[ItemError, ...]:
    """``data.errors``: for each thing, or for each part of it; ``target`` and ``part`` name the fields of the ids."""
    found = []
    for each in mappings(data, "errors"):
        detail = mapping(each, "detail")
        name = id_text(detail, target)
        parts = [
            ItemError(name, id_text(inner, part), id_text(inner, "code"), text(inner, "message"))
            for inner in mappings(detail, "extra_errors")
        ]
        found += parts or [ItemError(name, "", id_text(each, "code"), text(each, "message"))]
    return tuple(found)
