"""Rules that a post breaks."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import Field
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from services.gateway.errors import in_rest_words
from services.gateway.models import examples
from services.gateway.models.fields import AnswerModel, shown

RuleWord = Literal["QUIET_HOURS", "MIN_GAP", "DAILY_CAP", "BLACKOUT", "DUPLICATE_CAPTION", "DUPLICATE_MEDIA"]


class Conflict(AnswerModel):
    """A rule of the channel's posting plan, or about duplicates, that a post breaks."""

    model_config = shown(examples.CONFLICT)

    rule: RuleWord
    field: str = Field(description="Path in the post: `local_time`, `caption`, `media_asset_ids[0]`.")
    message: str = Field(description="What is broken, and what would be accepted.")
    other_post_id: str | None = Field(description="The post that is in the way, if one is.")
    blocking: bool = Field(description="True: the post is refused, unless its author sets `accept_conflicts`.")

    @classmethod
    def of(cls, conflict: pb.Conflict) -> Conflict:
        """From the scheduler."""
        return cls.model_construct(
            rule=cast(RuleWord, conflict.rule),
            field=in_rest_words(conflict.field),
            message=conflict.message,
            other_post_id=conflict.other_post_id or None,
            blocking=conflict.blocking,
        )
