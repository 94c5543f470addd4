"""Says in one sentence what is wrong with given fields, without repeating their values."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError


def first_problem(error: ValidationError) -> str:
    """The first bad field of a refused model: `post_info.title: longer than 2200 UTF-16 units`."""
    return sentence(error.errors(include_url=False, include_input=False, include_context=False)[:1])


def sentence(problems: Sequence[Mapping[str, Any]]) -> str:
    """Pydantic's error details as text, place and message of each."""
    return "; ".join(
        ": ".join(part for part in (".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) if part)
        for one in problems
    )
