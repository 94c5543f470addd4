"""Holds: what lets nothing of its scope go out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import AnswerModel, RequestModel, Text, instant_of, shown, word_of, words_of

ScopeWord = Literal["EVERYTHING", "PLATFORM", "WORKSPACE", "CHANNEL", "ACCOUNT", "POST"]
CauseWord = Literal["PAUSE", "ACCOUNT", "INCIDENT"]
DueActionWord = Literal["BY_RULE", "PUBLISH", "NEXT_SLOT", "ASK", "DROP"]

Scope = Annotated[
    ScopeWord,
    Field(description="How much is kept back. `EVERYTHING` and `PLATFORM` need a key with the scope `OPERATOR`."),
]
Target = Annotated[
    Text,
    Field(
        max_length=100,
        description="What the scope names: the id of a post or account, the name of a channel, the word of a platform"
        " (`TIKTOK`). Empty for `EVERYTHING` and `WORKSPACE`.",
    ),
]


class HoldDraft(RequestModel):
    """What to pause."""

    model_config = shown(examples.HOLD_DRAFT)

    scope: Scope
    target: Target = ""
    reason: Text = Field(default="", max_length=500, description="Why, in a sentence for people.")


class HoldLift(RequestModel):
    """Which hold to lift, and what becomes of the deliveries that it has kept back."""

    model_config = shown(examples.HOLD_LIFT)

    scope: Scope
    target: Target = ""
    cause: CauseWord = Field(
        default="PAUSE",
        description="Of `ACCOUNT` and `INCIDENT` the publisher takes care; lifting one is a last resort.",
    )
    due_action: DueActionWord | None = Field(
        default=None,
        description="Required when deliveries became due meanwhile. `BY_RULE`: each by its lateness rule. `PUBLISH`:"
        " all go out, paced, however late. `NEXT_SLOT`: each at its wall-clock time on its account's next free day."
        " `ASK`: all become MISSED and wait for a decision. `DROP`: all are CANCELED.",
    )


class Hold(AnswerModel):
    """Something that lets nothing of its scope go out."""

    model_config = shown(examples.HOLD)

    hold_id: str
    scope: str | None = Field(json_schema_extra={"enum": [*words_of(pb.HoldScope, "HOLD_SCOPE_"), None]})
    target: str = Field(description="What the scope names; empty for `EVERYTHING` and `WORKSPACE`.")
    cause: str | None = Field(
        description="`PAUSE`: a person stopped it. `ACCOUNT`: connect the account again. `INCIDENT`: the platform is"
        " failing, and is probed.",
        json_schema_extra={"enum": [*words_of(pb.HoldCause, "HOLD_CAUSE_"), None]},
    )
    reason: str
    create_time: datetime | None
    held_deliveries: int = Field(description="Deliveries of the workspace that it keeps back now.")

    @classmethod
    def of(cls, hold: pb.Hold) -> Hold:
        """From the scheduler."""
        return cls(
            hold_id=hold.hold_id,
            scope=word_of(pb.HoldScope, "HOLD_SCOPE_", hold.scope),
            target=hold.target.upper() if hold.scope == pb.HOLD_SCOPE_PLATFORM else hold.target,
            cause=word_of(pb.HoldCause, "HOLD_CAUSE_", hold.cause),
            reason=hold.reason,
            create_time=instant_of(hold, "create_time"),
            held_deliveries=hold.held_deliveries,
        )


class HoldList(AnswerModel):
    """A page of holds, newest first."""

    model_config = shown(examples.page("holds", examples.HOLD))

    holds: list[Hold]
    next_page_token: str = Field(description="Empty on the last page.")


class HoldLifted(AnswerModel):
    """What lifting a hold has let go."""

    model_config = shown(examples.HOLD_LIFTED)

    held_deliveries: int = Field(description="How many deliveries it had kept back; 0 also when there was no hold.")
