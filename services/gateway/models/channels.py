"""Rules of channels: how often is tried again, and what becomes of what is late."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import AnswerModel, RequestModel, Text, matching, shown, word_of

LateActionWord = Literal["ASK", "NEXT_SLOT", "DROP"]
_THIRTY_DAYS = 30 * 86_400

Channel = Annotated[
    Text,
    Field(max_length=64, description="The content strategy that it belongs to: `air`. Empty for none."),
    matching(r"([a-z0-9][a-z0-9_-]*)?", "Use lower-case letters, digits, - and _; begin with a letter or digit."),
]


class Lateness(RequestModel):
    """Until when it still goes out when it is late, and what becomes of it afterwards."""

    max_lateness_seconds: int | None = Field(
        default=None, ge=0, le=_THIRTY_DAYS, description="It goes out when it is at most so late. Null: 21600 (6 h)."
    )
    late_action: LateActionWord = Field(
        default="ASK",
        description="Afterwards. `ASK`: it is MISSED until somebody decides. `NEXT_SLOT`: it moves to its wall-clock"
        " time on the next day on which its account has nothing then. `DROP`: it is CANCELED.",
    )

    def to_proto(self) -> pb.Lateness:
        """For the scheduler."""
        lateness = pb.Lateness(late_action=pb.LateAction.Value(f"LATE_ACTION_{self.late_action}"))
        if self.max_lateness_seconds is not None:
            lateness.max_lateness.FromSeconds(self.max_lateness_seconds)
        return lateness

    @classmethod
    def of(cls, lateness: pb.Lateness) -> Lateness:
        """From the scheduler; not validated: what was stored under an earlier rule is still shown."""
        action = word_of(pb.LateAction, "LATE_ACTION_", lateness.late_action) or "ASK"
        return cls.model_construct(
            max_lateness_seconds=lateness.max_lateness.ToSeconds() if lateness.HasField("max_lateness") else None,
            late_action=cast(LateActionWord, action),
        )


class ChannelRules(RequestModel):
    """How the posts of a channel are tried again, and what becomes of those that are late."""

    model_config = shown(examples.CHANNEL_RULES)

    channel: Channel = Field(description="Empty: every channel of the workspace without rules of its own.")
    lateness: Lateness | None = Field(
        default=None, description="Of posts that say nothing themselves. Null: 6 h, and `ASK`."
    )
    max_attempts: int = Field(
        default=0,
        ge=0,
        le=50,
        description="Failed tries of one delivery before it is FAILED; 0: the installation's default, 10. Waits for a"
        " rate limit, an account or an incident are no tries.",
    )
    max_age_seconds: int | None = Field(
        default=None,
        ge=60,
        le=_THIRTY_DAYS,
        description="So long after its schedule time a delivery is still tried again. Null: without end.",
    )

    def to_proto(self) -> pb.ChannelRules:
        """For the scheduler."""
        rules = pb.ChannelRules(
            channel=self.channel,
            lateness=self.lateness.to_proto() if self.lateness else None,
            max_attempts=self.max_attempts,
        )
        if self.max_age_seconds is not None:
            rules.max_age.FromSeconds(self.max_age_seconds)
        return rules

    @classmethod
    def of(cls, rules: pb.ChannelRules) -> ChannelRules:
        """From the scheduler; not validated, as `Lateness.of`."""
        return cls.model_construct(
            channel=rules.channel,
            lateness=Lateness.of(rules.lateness) if rules.HasField("lateness") else None,
            max_attempts=rules.max_attempts,
            max_age_seconds=rules.max_age.ToSeconds() if rules.HasField("max_age") else None,
        )


class ChannelRulesList(AnswerModel):
    """A page of rules, by channel."""

    model_config = shown(examples.page("rules", examples.CHANNEL_RULES))

    rules: list[ChannelRules]
    next_page_token: str = Field(description="Empty on the last page.")
