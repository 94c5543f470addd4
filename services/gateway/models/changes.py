"""Changes of many posts at once, by a filter."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from google.protobuf.duration_pb2 import Duration
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from reelroute.scheduler.v1 import bulk_pb2

from services.gateway.errors import in_rest_words
from services.gateway.models import planning_examples
from services.gateway.models.channels import Channel
from services.gateway.models.conflicts import Conflict
from services.gateway.models.deliveries import StateWord, state_to
from services.gateway.models.drafts import Caption, MediaAssetIds, OwnLateness, PostOptions, TimeZone
from services.gateway.models.fields import AnswerModel, IdText, Instant, RequestModel, Text, instant_of, shown
from services.gateway.models.posts import Warned
from services.gateway.models.problems import Problem, Refusal

_ALMOST_A_DAY = 86_399


class PostFilter(RequestModel):
    """Which posts: all that it names must hold. Name something: a time range at least."""

    from_time: Instant | None = Field(default=None, description="Scheduled from this instant on.")
    until_time: Instant | None = Field(default=None, description="Scheduled before this instant.")
    channel: Channel = ""
    account_id: IdText | None = Field(default=None, description="With a delivery for this account.")
    series_id: IdText | None = Field(default=None, description="Occurrences of this series.")
    state: StateWord | None = Field(default=None, description="With a delivery in this state.")
    post_ids: Annotated[list[IdText], Field(max_length=500)] = Field(default=[])
    ref: Text = Field(default="", max_length=100)

    @model_validator(mode="after")
    def _names_something(self) -> PostFilter:
        if self == PostFilter.model_construct():
            raise PydanticCustomError(
                "filter_empty",
                "Say which posts are meant: a time range, a channel, an account, a series, or their ids.",
            )
        return self

    def to_proto(self) -> bulk_pb2.PostFilter:
        """For the scheduler."""
        wanted = bulk_pb2.PostFilter(
            channel=self.channel,
            account_id=self.account_id or "",
            series_id=self.series_id or "",
            delivery_state=state_to(self.state),
            post_ids=dict.fromkeys(self.post_ids),
            ref=self.ref,
        )
        if self.from_time:
            wanted.from_time.FromDatetime(self.from_time)
        if self.until_time:
            wanted.until_time.FromDatetime(self.until_time)
        return wanted


class Shift(RequestModel):
    """By how much wall-clock times move. Ten o'clock stays ten o'clock when it is moved by days."""

    days: int = Field(default=0, ge=-732, le=732)
    time_seconds: int = Field(default=0, ge=-_ALMOST_A_DAY, le=_ALMOST_A_DAY, description="Besides the days.")

    @model_validator(mode="after")
    def _moves(self) -> Shift:
        if not self.days and not self.time_seconds:
            raise PydanticCustomError("empty", "Say by how much: days, time_seconds, or both. Both may be negative.")
        return self

    def to_proto(self) -> bulk_pb2.Shift:
        """For the scheduler."""
        return bulk_pb2.Shift(days=self.days, time=Duration(seconds=self.time_seconds))


class Edit(RequestModel):
    """The same new values for every post; fields that are left out stay."""

    # The defaults are never read: only the fields that were given count.
    channel: Channel = Field(default_factory=str)
    caption: Caption = Field(default_factory=str)
    media_asset_ids: MediaAssetIds = Field(default_factory=list)
    time_zone: TimeZone = Field(default_factory=str, description="IANA name. The wall-clock times stay.")
    options: PostOptions = Field(default_factory=PostOptions)
    lateness: OwnLateness = None

    @model_validator(mode="after")
    def _not_empty(self) -> Edit:
        if not self.model_fields_set:
            raise PydanticCustomError("empty", "Name at least one field to change.")
        return self


class PostChange(RequestModel):
    """Which posts change, and how: one of `shift`, `edit` and `cancel`."""

    model_config = shown(planning_examples.POST_CHANGE)

    filter: PostFilter
    shift: Shift | None = None
    edit: Edit | None = None
    cancel: Literal[True] | None = Field(default=None, description="True: what of them has not begun is canceled.")
    validate_only: bool = Field(default=False, description="True: only say what would happen; nothing is changed.")
    accept_conflicts: bool = Field(
        default=False,
        description="True: rules of posting plans, and about duplicates, do not stand in the way.",
    )

    @model_validator(mode="after")
    def _one_change(self) -> PostChange:
        if sum(each is not None for each in (self.shift, self.edit, self.cancel)) != 1:
            raise PydanticCustomError("change", "Give one of shift, edit and cancel.")
        return self


class FieldChange(AnswerModel):
    """A field that differs, in words; long texts are cut."""

    field: str
    before: str
    after: str

    @classmethod
    def of(cls, change: bulk_pb2.FieldChange) -> FieldChange:
        """From the scheduler."""
        return cls(field=in_rest_words(change.field), before=change.before, after=change.after)


class PostChangeResult(AnswerModel):
    """What differs in one post, or why it is not changed."""

    post_id: str
    ref: str
    schedule_time: datetime | None = Field(description="After the change.")
    changes: list[FieldChange] = Field(
        description="None where nothing differs, or where an earlier call with the same `Idempotency-Key` did it."
    )
    refusal: Refusal | None
    warnings: list[Warned]
    conflicts: list[Conflict]

    @classmethod
    def of(cls, result: bulk_pb2.ChangeResult, warnings: list[Warned]) -> PostChangeResult:
        """From the scheduler."""
        return cls(
            post_id=result.post_id,
            ref=result.ref,
            schedule_time=instant_of(result, "schedule_time"),
            changes=[FieldChange.of(each) for each in result.changes.changes],
            refusal=Refusal.of(result.refusal) if result.HasField("refusal") else None,
            warnings=warnings,
            conflicts=[Conflict.of(each) for each in result.conflicts],
        )


class ChangeSummary(AnswerModel):
    """How many posts."""

    posts: int
    changed: int
    unchanged: int
    refused: int
    validate_only: bool


class ChangeLine(AnswerModel):
    """One line of the answer: each has one of these. The last is the summary, or the problem that ended the change."""

    model_config = shown(planning_examples.CHANGE_LINE)

    post: PostChangeResult | None = None
    summary: ChangeSummary | None = None
    problem: Problem | None = None
