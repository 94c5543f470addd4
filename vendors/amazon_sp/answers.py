"""What the models of Amazon's answers have in common: strict about what is needed, tolerant of the rest."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from kit.vendor_errors import clean_text
from kit.vendor_json import UnreadableAnswer, as_decimal, as_id

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")
M = TypeVar("M", bound="Model")
_WORDS_KEPT = 1_000
_log = structlog.get_logger("reelroute.vendor")
_told: set[tuple[str, str]] = set()


class Model(BaseModel):
    """Part of an answer. Fields that Amazon adds are left out; those of ours without a default must be there."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def read(cls: type[M], answer: Any) -> M:
        """The answer as this model. Raises UnreadableAnswer, which names the field and shows nothing of its value."""
        try:
            return cls.model_validate(answer)
        except ValidationError as error:
            place = error.errors(include_input=False, include_context=False, include_url=False)[0]["loc"]
            raise UnreadableAnswer(".".join(str(part) for part in place) or cls.__name__) from None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# An instant; None for what is none. Without a zone it counts as UTC, which is what Amazon writes everywhere else.
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
# Text; empty for what is none.
Words = Annotated[str, BeforeValidator(as_id)]
# An amount, which must be there.
Amount = Annotated[Decimal, BeforeValidator(as_decimal)]
# An id, which must be there.
Id = Annotated[str, BeforeValidator(as_id), Field(min_length=1)]
# How many; none of something that is not said.
Count = Annotated[int, BeforeValidator(lambda value: 0 if value is None else _whole(value))]
# A list; an empty one where there is none.
ListOf = Annotated[tuple[T, ...], BeforeValidator(lambda value: () if value is None else value)]


def word_of(kind: type[E], value: str) -> E | None:
    """The member that a word of Amazon's means, whose case and underscores differ from place to place.

    None for a word that Amazon added later; it is logged once.
    """
    known = _plain(value)
    for member in kind:
        if _plain(member.value) == known:
            return member
    if value and (kind.__name__, known) not in _told and len(_told) < _WORDS_KEPT:
        _told.add((kind.__name__, known))
        _log.warning("amazon_sp_unknown_word", kind=kind.__name__, word=clean_text(value)[:80])
    return None


def _plain(word: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", word.upper())
