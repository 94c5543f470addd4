"""Deliveries: how they stand, the ledger of each, and what a person decides of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import (
    AnswerModel,
    IdText,
    RequestModel,
    Text,
    each_once,
    instant_of,
    shown,
    word_of,
    words_of,
)
from services.gateway.models.problems import Refusal

StateWord = Literal[
    "SCHEDULED",
    "CLAIMED",
    "CONFIRMING",
    "PUBLISHED",
    "REJECTED",
    "FAILED",
    "CANCELED",
    "UNCERTAIN",
    "HELD",
    "MISSED",
    "REMOVED",
]
DecisionWord = Literal["PUBLISH", "NEXT_SLOT", "DROP"]


class Delivery(AnswerModel):
    """One post for one account."""

    model_config = shown(examples.DELIVERY)

    delivery_id: str | None = Field(description="Null in the answer to `validate_only`.")
    post_id: str | None = Field(description="Null in the answer to `validate_only`.")
    account_id: str
    platform: str | None = Field(description="`TIKTOK`; null where it is not known yet.")
    state: str = Field(
        description="`SCHEDULED`: waits for its time. `CLAIMED`: is being published. `CONFIRMING`: the platform has it,"
        " and its verdict is awaited. `UNCERTAIN`: it may be out, and the platform is asked. `HELD`: kept back by"
        " `hold_cause`. `MISSED`: too late, and waits for a decision. Final: `PUBLISHED`, `REMOVED` (the platform no"
        " longer shows it), `REJECTED` (the platform said no), `FAILED`, `CANCELED`.",
        json_schema_extra={"enum": words_of(pb.DeliveryState, "DELIVERY_STATE_")},
    )
    schedule_time: datetime | None = Field(
        description="When it was to go out: the post's time, or a later slot that was chosen for it."
    )
    due_time: datetime | None = Field(description="When it may go out next: later after a failed attempt.")
    attempt: int = Field(description="Attempts so far.")
    failed_attempts: int = Field(description="Those that failed and count; compared with `max_attempts`.")
    hold_cause: str | None = Field(
        description="Why it is HELD; `CRASHES`: it was set aside, and waits for a decision; `CHOICE`: it waits for a"
        " change of its post, or a decision.",
        json_schema_extra={"enum": [*words_of(pb.HoldCause, "HOLD_CAUSE_"), None]},
    )
    needs_person: bool = Field(description="True while only a person can move it on: decide it, or settle it.")
    platform_post_id: str = Field(description="The platform's id; empty before, and where the platform gives none.")
    url: str = Field(description="Where people see it; empty where unknown.")
    visibility: str | None = Field(
        description="Who sees it; null before it is published.",
        json_schema_extra={"enum": [*words_of(pb.Visibility, "VISIBILITY_"), None]},
    )
    publish_time: datetime | None
    remove_time: datetime | None = Field(description="When the platform no longer showed it.")
    failure_reason: str = Field(description="Why it is not out, UPPER_SNAKE; empty after success.")
    failure_message: str = Field(description="The same for people: what comes next, and who can do it.")
    update_time: datetime | None

    @classmethod
    def of(cls, delivery: pb.Delivery) -> Delivery:
        """From the scheduler."""
        return cls(**delivery_values(delivery))


def delivery_values(delivery: pb.Delivery) -> dict[str, Any]:
    """The fields of a Delivery."""
    return {
        "delivery_id": delivery.delivery_id or None,
        "post_id": delivery.post_id or None,
        "account_id": delivery.account_id,
        "platform": delivery.platform.upper() or None,
        "state": word_of(pb.DeliveryState, "DELIVERY_STATE_", delivery.state) or "UNKNOWN_0",
        "schedule_time": instant_of(delivery, "schedule_time"),
        "due_time": instant_of(delivery, "due_time"),
        "attempt": delivery.attempt,
        "failed_attempts": delivery.failed_attempts,
        "hold_cause": word_of(pb.HoldCause, "HOLD_CAUSE_", delivery.hold_cause),
        "needs_person": delivery.needs_person,
        "platform_post_id": delivery.platform_post_id,
        "url": delivery.url,
        "visibility": word_of(pb.Visibility, "VISIBILITY_", delivery.visibility),
        "publish_time": instant_of(delivery, "publish_time"),
        "remove_time": instant_of(delivery, "remove_time"),
        "failure_reason": delivery.failure_reason,
        "failure_message": delivery.failure_message,
        "update_time": instant_of(delivery, "update_time"),
    }


def state_to(word: StateWord | None) -> pb.DeliveryState.ValueType:
    """The state that a word of REST means; UNSPECIFIED for none."""
    return pb.DeliveryState.Value(f"DELIVERY_STATE_{word or 'UNSPECIFIED'}")


class Decision(RequestModel):
    """What becomes of deliveries that wait for a person."""

    model_config = shown(examples.DECISION)

    delivery_ids: Annotated[list[IdText], Field(min_length=1, max_length=500)]
    decision: DecisionWord = Field(
        description="`PUBLISH`: it goes out now, paced with the others of its account. `NEXT_SLOT`: at its wall-clock"
        " time on the next day on which its account has nothing then. `DROP`: it is CANCELED."
    )

    @field_validator("delivery_ids")
    @classmethod
    def _each_once(cls, ids: list[str]) -> list[str]:
        return each_once(ids, "delivery")


class DecisionResult(AnswerModel):
    """What became of one delivery: as it stands now, or why it was not decided."""

    delivery_id: str
    delivery: Delivery | None
    refusal: Refusal | None


class DecisionAnswer(AnswerModel):
    """One result for each delivery, in its order."""

    model_config = shown(examples.DECISION_ANSWER)

    results: list[DecisionResult]


class Settlement(RequestModel):
    """What a person saw on the platform."""

    model_config = shown(examples.SETTLEMENT)

    is_published: bool = Field(description="True: the post is there. False: it is not, and it is published again.")
    url: Text = Field(default="", max_length=2000, description="Where it is seen, if it is; may be empty.")


class AttemptEntry(AnswerModel):
    """One line of the attempt log."""

    entry_time: datetime | None
    step: str | None = Field(description="The ledger's step when the line was written.")
    message: str
    vendor_log_id: str = Field(description="The platform's id of the call, for its support; may be empty.")


class Attempt(AnswerModel):
    """One try at a delivery."""

    attempt: int
    holder: str = Field(description="Host and process that made it.")
    start_time: datetime | None
    end_time: datetime | None = Field(description="Null while it runs, or when its process died.")
    outcome: str = Field(description="Empty while it runs.")
    entries: list[AttemptEntry]


_STEPS = publisher_pb2.PublicationStep
_STEP_PREFIX = "PUBLICATION_STEP_"


class Publication(AnswerModel):
    """The ledger of one delivery: its steps, attempts and evidence."""

    model_config = shown(examples.PUBLICATION)

    publication_id: str
    delivery_id: str
    post_id: str
    account_id: str
    step: str | None = Field(json_schema_extra={"enum": [*words_of(_STEPS, _STEP_PREFIX), None]})
    handle: str = Field(description="The platform's handle (TikTok: publish_id); empty before it gave one.")
    platform_post_id: str
    url: str
    needs_person: bool = Field(description="True: the platform gives no way to know the outcome; settle it.")
    publish_epoch: int
    create_time: datetime | None
    update_time: datetime | None
    attempts: list[Attempt] = Field(description="Oldest first.")

    @classmethod
    def of(cls, publication: publisher_pb2.Publication) -> Publication:
        """From the publisher."""
        return cls(
            publication_id=publication.publication_id,
            delivery_id=publication.delivery_id,
            post_id=publication.post_id,
            account_id=publication.account_id,
            step=word_of(_STEPS, _STEP_PREFIX, publication.step),
            handle=publication.handle,
            platform_post_id=publication.platform_post_id,
            url=publication.url,
            needs_person=publication.needs_person,
            publish_epoch=publication.publish_epoch,
            create_time=instant_of(publication, "create_time"),
            update_time=instant_of(publication, "update_time"),
            attempts=[_attempt(each) for each in publication.attempts],
        )


def _attempt(attempt: publisher_pb2.Attempt) -> Attempt:
    return Attempt(
        attempt=attempt.attempt,
        holder=attempt.holder,
        start_time=instant_of(attempt, "start_time"),
        end_time=instant_of(attempt, "end_time"),
        outcome=attempt.outcome,
        entries=[
            AttemptEntry(
                entry_time=instant_of(each, "entry_time"),
                step=word_of(_STEPS, _STEP_PREFIX, each.step),
                message=each.message,
                vendor_log_id=each.vendor_log_id,
            )
            for each in attempt.entries
        ],
    )
