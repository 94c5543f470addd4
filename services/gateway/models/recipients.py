"""Whom orders go to, unmasked. The only models with anything of a buyer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from reelroute.fulfillment.v1 import orders_pb2 as pb

from services.gateway.models import examples, order_examples
from services.gateway.models.fields import AnswerModel, RequestModel, Text, instant_of, matching, shown

_Line = Annotated[Text, Field(max_length=200)]


class RecipientDraft(RequestModel):
    """Whom an order is to go to."""

    name: _Line = Field(repr=False)
    lines: Annotated[list[_Line], Field(min_length=1, max_length=4)] = Field(repr=False)
    city: _Line = Field(repr=False)
    district: _Line = Field(default="", repr=False)
    state: _Line = Field(default="", repr=False, description="`TN`, or its name.")
    postal_code: _Line = Field(default="", repr=False)
    country_code: Annotated[Text, matching("[A-Z]{2}", "Name the country with two capital letters: US.")] = Field(
        json_schema_extra={"pattern": "^[A-Z]{2}$"}
    )
    phone: _Line = Field(default="", repr=False)

    def to_proto(self) -> pb.Recipient:
        """For fulfillment."""
        return pb.Recipient(
            name=self.name,
            lines=self.lines,
            city=self.city,
            district=self.district,
            state=self.state,
            postal_code=self.postal_code,
            country_code=self.country_code,
            phone=self.phone,
        )


class Recipient(AnswerModel):
    """Whom an order goes to."""

    name: str = Field(repr=False)
    lines: list[str] = Field(repr=False)
    city: str = Field(repr=False)
    district: str = Field(repr=False)
    state: str = Field(repr=False)
    postal_code: str = Field(repr=False)
    country_code: str
    phone: str = Field(repr=False)

    @classmethod
    def of(cls, recipient: pb.Recipient) -> Recipient:
        """From fulfillment."""
        return cls(
            name=recipient.name,
            lines=list(recipient.lines),
            city=recipient.city,
            district=recipient.district,
            state=recipient.state,
            postal_code=recipient.postal_code,
            country_code=recipient.country_code,
            phone=recipient.phone,
        )


class AddressChange(AnswerModel):
    """What was changed of an address, by which rule."""

    field: str
    rule: str = Field(description="`state_code`, `zip_padded`.")
    before: str = Field(repr=False)
    after: str = Field(repr=False)

    @classmethod
    def of(cls, change: pb.AddressChange) -> AddressChange:
        """From fulfillment."""
        return cls(field=change.field, rule=change.rule, before=change.before, after=change.after)


class RecipientPurpose(RequestModel):
    """What whom an order goes to is read for."""

    model_config = shown({"purpose": "The parcel came back: ask the buyer for the house number."})

    purpose: Annotated[
        Text, Field(min_length=1, max_length=200), matching(r"(?s).*\S.*", "Say what it is read for.")
    ] = Field(description="Written down with who read it. Put nothing of the buyer into it.")


class ReadRecipient(AnswerModel):
    """Whom an order goes to, with what was changed of it."""

    model_config = shown(order_examples.READ_RECIPIENT)

    recipient: Recipient | None = Field(repr=False, description="As it goes to Amazon; null: it could not be made fit.")
    told: Recipient | None = Field(repr=False, description="As TikTok Shop tells it.")
    changes: list[AddressChange] = Field(repr=False)
    buyer_message: str = Field(repr=False)

    @classmethod
    def of(cls, answer: pb.ReadRecipientResponse) -> ReadRecipient:
        """From fulfillment."""
        return cls(
            recipient=Recipient.of(answer.recipient) if answer.HasField("recipient") else None,
            told=Recipient.of(answer.told) if answer.HasField("told") else None,
            changes=[AddressChange.of(each) for each in answer.changes],
            buyer_message=answer.buyer_message,
        )


class Erasure(RequestModel):
    """Whose data to delete."""

    model_config = shown({"whole_buyer": True})

    whole_buyer: bool = Field(default=False, description="True: of all orders of the same buyer.")


class Erased(AnswerModel):
    """Of how many orders it was deleted."""

    model_config = shown({"orders": 2})

    orders: int


class RecipientReading(AnswerModel):
    """Who read whom an order goes to."""

    reading_id: str
    order_id: str
    time: datetime | None
    actor: str = Field(description="The id of the API key, or of a person.")
    purpose: str

    @classmethod
    def of(cls, reading: pb.RecipientReading) -> RecipientReading:
        """From fulfillment."""
        return cls(
            reading_id=reading.reading_id,
            order_id=reading.order_id,
            time=instant_of(reading, "time"),
            actor=reading.actor,
            purpose=reading.purpose,
        )


class RecipientReadingList(AnswerModel):
    """A page of readings, the newest first."""

    model_config = shown(examples.page("readings", order_examples.READING))

    readings: list[RecipientReading]
    next_page_token: str = Field(description="Empty on the last page.")
