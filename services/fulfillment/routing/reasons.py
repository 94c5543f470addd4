"""Why orders are held or left, in words, with what is to be done about it. Pure: the words are in reasons.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Reason:
    """What a reason's word means. `text` may name facts in braces. `who_can`: seller, operator, buyer or nobody.

    `can_pass`: whether a person may let an order go on although it holds. `retry`: when time may have ended it.
    """

    word: str
    text: str
    next_step: str
    who_can: str
    can_pass: bool
    retry: timedelta | None


def _read() -> dict[str, Reason]:
    told = json.loads((files(__package__) / "reasons.json").read_text())
    return {
        word: Reason(
            word,
            each["text"],
            each["next_step"],
            each["who_can"],
            each["can_pass"],
            timedelta(minutes=each["retry_minutes"]) if "retry_minutes" in each else None,
        )
        for word, each in told.items()
    }


REASONS = _read()


def reason_of(word: str) -> Reason:
    """What a word means; one that is not ours is of a rule of the workspace's own."""
    return REASONS.get(word) or Reason(
        word,
        "A rule of the workspace holds it.",
        "Release it, leave it to the seller or cancel it, or change the rule.",
        "seller",
        can_pass=True,
        retry=None,
    )
