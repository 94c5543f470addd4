"""Options of a form: JSON beside its file."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kit.errors import FieldViolation
from services.gateway.errors import invalid, violations_of
from services.gateway.route import parse_json

Options = TypeVar("Options", bound=BaseModel)


def form_options(model: type[Options], text: bytes) -> Options:
    """The options in a text; empty: the defaults. Raises RequestInvalid, JsonBroken, JsonTooDeep."""
    if not text.strip():
        return model()
    value = parse_json(text)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = violations_of(error.errors(include_url=False, include_context=False, include_input=False))
        raise invalid(
            [FieldViolation(f"options.{each.field}", each.description, each.reason) for each in found]
        ) from None
