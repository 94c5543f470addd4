"""Building blocks of the models: how requests are read, and how values of the protos are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Annotated, Any, Protocol
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError


def models_of(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Every model derived from a class, however far."""
    for child in kind.__subclasses__():
        yield child
        yield from models_of(child)


def shown(example: dict[str, Any], **more: Any) -> ConfigDict:
    """Puts an example, and more words of JSON Schema, into the reference of a model."""
    return ConfigDict(json_schema_extra={"examples": [example], **more})


_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class RequestModel(BaseModel):
    """A body. Strict: no field that is not known, and nothing read as what it is not ("1" is no number)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class AnswerModel(BaseModel):
    """An answer. Every field is always there; what does not apply is null or empty."""

    model_config = ConfigDict(frozen=True)


def _storable(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul_character", "The character U+0000 cannot be kept. Leave it out.")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[Text, Field(min_length=1, max_length=100)]


def _uuid(text: str) -> str:
    found = canonical_id(text)
    if found is None:
        raise PydanticCustomError("id", "Ids are UUIDs.")
    return found


# An id that must have the form of one, in its usual form.
IdText = Annotated[Text, AfterValidator(_uuid), Field(json_schema_extra={"format": "uuid"})]


def each_once(ids: list[str], noun: str) -> list[str]:
    """The ids, when none comes twice, perhaps in another spelling."""
    seen: dict[str, int] = {}
    for index, text in enumerate(ids):
        first = seen.setdefault(canonical_id(text) or text, index)
        if first != index:
            raise PydanticCustomError(
                "repeated",
                "The {noun} at index {index} is the one at index {first} again. Name each once.",
                {"noun": noun, "index": index, "first": first},
            )
    return ids


def matching(pattern: str, sentence: str) -> AfterValidator:
    """A validator for text of a certain form; the sentence says which."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise PydanticCustomError("form", "{sentence}", {"sentence": sentence})
        return text

    return AfterValidator(check)


_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
# A day in a request.
Date = Annotated[
    Text, Field(json_schema_extra={"pattern": f"^{_DATE}$"}), matching(_DATE, "Give the day as 2027-11-25.")
]


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise PydanticCustomError(
        "instant",
        "Give an instant as RFC 3339 says: 2027-01-04T17:00:00Z, or with an offset as 2027-01-04T18:00:00+01:00"
        " (in an address + is written %2B).",
    )


# An instant in a request.
_InstantText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Instant = Annotated[
    datetime,
    PlainValidator(_instant, json_schema_input_type=_InstantText),
    # Pydantic's own serializer of what a plain validator made warns of the text that it makes itself.
    PlainSerializer(lambda instant: instant, return_type=datetime),
]


class EnumType(Protocol):
    """The generated wrapper of a proto's enum."""

    def Name(self, number: Any) -> str: ...  # noqa: N802, D102 - protobuf's spelling
    def items(self) -> list[tuple[str, Any]]: ...  # noqa: D102 - protobuf's
    def __hash__(self) -> int: ...


def words_of(enum: EnumType, prefix: str) -> list[JsonValue]:
    """The words of an enum as REST shows them: the proto's names without the enum's, without UNSPECIFIED."""
    return [name.removeprefix(prefix) for name, number in enum.items() if number != 0]


def word_of(enum: EnumType, prefix: str, number: int) -> str | None:
    """The word for a value; None for UNSPECIFIED. A newer service's value is shown by its number."""
    if number == 0:
        return None
    return _words_by_number(enum, prefix).get(number) or f"UNKNOWN_{number}"


@cache
def _words_by_number(enum: EnumType, prefix: str) -> Mapping[int, str]:
    return {number: name.removeprefix(prefix) for name, number in enum.items()}


def count_of(message: Message, field: str) -> int | None:
    """An optional number; None when it is absent, which is not zero."""
    return int(getattr(message, field)) if message.HasField(field) else None


def instant_of(message: Message, field: str) -> datetime | None:
    """A Timestamp field as an aware datetime in UTC; None when it is absent."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return _instant_at(stamp.seconds, stamp.nanos)


# Lists show the same instants again and again.
@lru_cache(maxsize=4096)
def _instant_at(seconds: int, nanos: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)


def canonical_id(text: str) -> str | None:
    """The id in its usual form; None for what cannot be the id of anything."""
    try:
        return str(UUID(text))
    except ValueError:
        return None
