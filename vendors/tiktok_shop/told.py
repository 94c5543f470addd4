"""What TikTok Shop tells, as models: lenient about what varies, strict about what is needed, with everything kept.

What is missing or of another kind is empty; a needed field raises UnreadableAnswer. A word or a field that is new is no
error: the words have an UNKNOWN, and ``raw`` has the answer as it came.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SkipValidation,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from kit.vendor_json import UnreadableAnswer, as_id, as_moment, as_truth, as_whole

T = TypeVar("T")
M = TypeVar("M", bound="Told")


class _Or:
    """A default also for a value that is of another kind."""

    def __init__(self, default: object) -> None:
        self._default = default

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default=self._default, on_error="default")


def _needed(value: object) -> object:
    if not value:
        raise ValueError("is needed")
    return value


def _word(value: object) -> object:
    return _needed(value if isinstance(value, str) else "")


def _count(value: object) -> int:
    return as_whole(value) or 1


Text = Annotated[str, _Or("")]
Id = Annotated[str, BeforeValidator(as_id)]
NeededId = Annotated[str, BeforeValidator(lambda value: _needed(as_id(value)))]
NeededWord = Annotated[T, BeforeValidator(_word)]
Truth = Annotated[bool, BeforeValidator(as_truth)]
Moment = Annotated[datetime | None, BeforeValidator(as_moment)]
Count = Annotated[int, BeforeValidator(_count)]
# A buyer's: not part of a repr.
Hidden = Annotated[T, Field(repr=False)]


def named(name: str, default: Any = "") -> Any:
    """A field that TikTok Shop calls otherwise."""
    return Field(default, validation_alias=name)


class Told(BaseModel):
    """Something as it was told. ``raw`` is all of it, no part of a repr, and does not count when two are compared."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, arbitrary_types_allowed=True)

    raw: SkipValidation[Mapping[str, Any]] = Field(repr=False)

    @classmethod
    def shaped(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that are not simply those of the answer."""
        return {}

    @model_validator(mode="before")
    @classmethod
    def _with_raw(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        return {**raw, **cls.shaped(raw), "raw": raw}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._told() == other._told()

    def __hash__(self) -> int:
        return hash(self._told())

    def _told(self) -> tuple[Any, ...]:
        return tuple(value for name, value in self.__dict__.items() if name != "raw")


def read(model: type[M], raw: Mapping[str, Any]) -> M:
    """An answer as a model. Raises UnreadableAnswer, whose text is the name of the field that lacks."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        inner = first.get("ctx", {}).get("error")
        fields = [part for part in first["loc"] if isinstance(part, str)]
        name = str(inner) if isinstance(inner, UnreadableAnswer) else (fields or [model.__name__])[-1]
        # Not as its cause: it quotes what was told.
        raise UnreadableAnswer(name) from None
