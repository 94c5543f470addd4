"""The forecast: what will fail in the next days."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from reelroute.publisher.v1 import publisher_pb2 as pb

from services.gateway.models import examples, planning_examples
from services.gateway.models.fields import AnswerModel, instant_of, shown, word_of, words_of


class ForeseenFailure(AnswerModel):
    """A delivery that will not go out at its time, and one reason why; with several there is one of each."""

    delivery_id: str
    post_id: str
    account_id: str
    schedule_time: datetime | None
    cause: str | None = Field(
        description="`QUOTA`: more posts than the platform takes by then. `TOKEN`: the account's authorisation ends"
        " before. `ACCOUNT`: it cannot publish now. `MEDIA` and `CONTENT`: files, text or choices do not fit."
        " `APPROVAL`: it is not approved. `PAUSE`: a pause holds it back. `DECISION`: it waits for a person.",
        json_schema_extra={"enum": [*words_of(pb.ForecastCause, "FORECAST_CAUSE_"), None]},
    )
    reason: str = Field(description="UPPER_SNAKE.")
    message: str = Field(description="What will happen, and what to do until when.")
    delayed_until_time: datetime | None = Field(
        description="When it may still go out, where it will only be late; null: it will not go out by itself."
    )

    @classmethod
    def of(cls, failure: pb.ForeseenFailure) -> ForeseenFailure:
        """From the publisher."""
        return cls(
            delivery_id=failure.delivery_id,
            post_id=failure.post_id,
            account_id=failure.account_id,
            schedule_time=instant_of(failure, "schedule_time"),
            cause=word_of(pb.ForecastCause, "FORECAST_CAUSE_", failure.cause),
            reason=failure.reason,
            message=failure.message,
            delayed_until_time=instant_of(failure, "delayed_until_time"),
        )


class Forecast(AnswerModel):
    """A page of what will fail, by schedule time. What is not listed is expected to go out."""

    model_config = shown(examples.page("failures", planning_examples.FORESEEN_FAILURE) | {"deliveries": 84})

    failures: list[ForeseenFailure]
    deliveries: int = Field(description="How many were looked at.")
    next_page_token: str = Field(description="Empty on the last page.")
