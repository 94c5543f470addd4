"""Amounts of money."""

from __future__ import annotations

from google.protobuf.message import Message
from pydantic import Field

from kit.money import decimal_text
from services.gateway.models.fields import AnswerModel


class Money(AnswerModel):
    """An amount of one currency."""

    currency: str = Field(description="ISO 4217.")
    amount: str = Field(
        description="A decimal number as text, with all the currency's places: `12.30`, in yen `1234`. As a number"
        " of JSON most programs would read it as a binary fraction, and sums would be off by cents."
    )


def money_of(message: Message, field: str) -> Money | None:
    """A Money field; None when it is absent."""
    if not message.HasField(field):
        return None
    found = getattr(message, field)
    return Money(currency=found.currency, amount=decimal_text(found.minor_units, found.currency))
