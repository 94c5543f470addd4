"""Options of a form: JSON beside its file."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kit.errors import FieldViolation
from services.gateway.errors import invalid, violations_of
from services.gateway.route import parse_json

Options = TypeVar("Options", bound=BaseModel)


def form_body(model: type[BaseModel], about: str, about_file: str, example: dict[str, Any]) -> dict[str, Any]:
    """What the reference says of such a form: `about` its options, `about_file` its file."""
    options = {"allOf": [{"$ref": f"#/components/schemas/{model.__name__}"}], "description": about}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "options": options,
                            "file": {"type": "string", "format": "binary", "description": about_file},
                        },
                        "required": ["file"],
                        "additionalProperties": False,
                    },
                    "encoding": {"options": {"contentType": "application/json"}},
                    "example": example,
                }
            },
        }
    }


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
