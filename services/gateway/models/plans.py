"""Posting plans: when a channel posts, its slots, and rules about duplicates."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import Field
from reelroute.scheduler.v1 import plans_pb2 as pb

from services.gateway.models import examples, planning_examples
from services.gateway.models.channels import Channel
from services.gateway.models.drafts import TimeZone
from services.gateway.models.fields import (
    AnswerModel,
    Date,
    RequestModel,
    Text,
    instant_of,
    matching,
    shown,
    word_of,
)

WeekdayWord = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
ActionWord = Literal["ALLOW", "WARN", "REFUSE"]
_WEEK = 7 * 86_400
_THIRTY_DAYS = 30 * 86_400
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"

SlotTime = Annotated[
    Text,
    Field(json_schema_extra={"pattern": f"^{_CLOCK}(:[0-5][0-9])?$"}),
    matching(f"{_CLOCK}(:[0-5][0-9])?", "Give the time of day as 08:00, or 08:00:30."),
]
ClockTime = Annotated[
    Text, Field(json_schema_extra={"pattern": f"^{_CLOCK}$"}), matching(_CLOCK, "Give the time of day as 22:00.")
]


class Slot(RequestModel):
    """A weekly time."""

    weekday: WeekdayWord
    local_time: SlotTime


class QuietHours(RequestModel):
    """From `start_time` until before `end_time`; through midnight when the end is not after the start."""

    weekdays: Annotated[list[WeekdayWord], Field(max_length=7)] = Field(
        default=[], description="The days on which it begins; none: every day."
    )
    start_time: ClockTime
    end_time: ClockTime


class Blackout(RequestModel):
    """Days of the plan's zone on which nothing goes out, the last included."""

    first_date: Date
    last_date: Date
    reason: Text = Field(default="", max_length=200, description="For people.")


class PostingPlan(RequestModel):
    """When a channel posts. All its times are wall-clock times of its zone."""

    model_config = shown(planning_examples.POSTING_PLAN)

    channel: Channel = Field(
        description="Empty: its blackouts are for every channel, the rest for channels without a plan of their own."
    )
    time_zone: TimeZone
    slots: Annotated[list[Slot], Field(max_length=200)] = Field(
        default=[],
        description="Each day and time once. Where the clock jumps over one, it is at the time after the gap.",
    )
    quiet_hours: Annotated[list[QuietHours], Field(max_length=20)] = Field(
        default=[], description="Nothing goes out within these."
    )
    min_gap_seconds: int = Field(
        default=0, ge=0, le=_WEEK, description="Two posts of the channel are at least so far apart; 0: no rule."
    )
    daily_cap: int = Field(
        default=0, ge=0, le=1000, description="At most so many posts of the channel on one day of its zone; 0: no rule."
    )
    blackouts: Annotated[list[Blackout], Field(max_length=400)] = Field(
        default=[], description="Days on which nothing goes out."
    )
    requires_approval: bool = Field(default=False, description="True: its posts wait for `POST /v1/posts:approve`.")

    def to_proto(self) -> pb.PostingPlan:
        """For the scheduler."""
        plan = pb.PostingPlan(
            channel=self.channel,
            time_zone=self.time_zone,
            slots=[pb.Slot(weekday=_weekday(each.weekday), local_time=each.local_time) for each in self.slots],
            quiet_hours=[
                pb.QuietHours(
                    weekdays=[_weekday(day) for day in each.weekdays],
                    start_time=each.start_time,
                    end_time=each.end_time,
                )
                for each in self.quiet_hours
            ],
            daily_cap=self.daily_cap,
            blackouts=[
                pb.Blackout(first_date=each.first_date, last_date=each.last_date, reason=each.reason)
                for each in self.blackouts
            ],
            requires_approval=self.requires_approval,
        )
        if self.min_gap_seconds:
            plan.min_gap.FromSeconds(self.min_gap_seconds)
        return plan

    @classmethod
    def of(cls, plan: pb.PostingPlan) -> PostingPlan:
        """From the scheduler; not validated: what was stored under an earlier rule is still shown."""
        return cls.model_construct(
            channel=plan.channel,
            time_zone=plan.time_zone,
            slots=[
                Slot.model_construct(weekday=_word(each.weekday), local_time=each.local_time) for each in plan.slots
            ],
            quiet_hours=[
                QuietHours.model_construct(
                    weekdays=[_word(day) for day in each.weekdays], start_time=each.start_time, end_time=each.end_time
                )
                for each in plan.quiet_hours
            ],
            min_gap_seconds=plan.min_gap.ToSeconds(),
            daily_cap=plan.daily_cap,
            blackouts=[
                Blackout.model_construct(first_date=each.first_date, last_date=each.last_date, reason=each.reason)
                for each in plan.blackouts
            ],
            requires_approval=plan.requires_approval,
        )


class PostingPlanList(AnswerModel):
    """A page of plans, by channel."""

    model_config = shown(examples.page("plans", planning_examples.POSTING_PLAN))

    plans: list[PostingPlan]
    next_page_token: str = Field(description="Empty on the last page.")


class LocalTimes(AnswerModel):
    """An instant as clocks show it."""

    time: datetime | None
    local_time: str = Field(description="In `time_zone`, the zone that was asked about.")
    time_zone: str
    other_local_time: str = Field(description="In `other_time_zone`; empty without one.")
    other_time_zone: str
    warning: str = Field(
        description="What is unusual in that week, in sentences: a change of the clock, and what it does to the"
        " difference of the two zones. Empty in other weeks."
    )

    @classmethod
    def of(cls, times: pb.LocalTimes) -> LocalTimes:
        """From the scheduler."""
        return cls(
            time=instant_of(times, "time"),
            local_time=times.local_time,
            time_zone=times.time_zone,
            other_local_time=times.other_local_time,
            other_time_zone=times.other_time_zone,
            warning=times.warning,
        )


class PlannedSlot(AnswerModel):
    """One occurrence of a slot: free, taken, or closed."""

    times: LocalTimes
    post_id: str | None = Field(description="The post that is there.")
    closed_by: str | None = Field(
        description="The rule that lets nothing be put there, as in a conflict; null: it is free, or taken."
    )
    message: str = Field(description="Why it is closed, in a sentence.")

    @classmethod
    def of(cls, slot: pb.SlotTime) -> PlannedSlot:
        """From the scheduler."""
        return cls(
            times=LocalTimes.of(slot.times),
            post_id=slot.post_id or None,
            closed_by=slot.closed_by or None,
            message=slot.message,
        )


class PlannedSlotList(AnswerModel):
    """A page of a channel's slots, in their order."""

    model_config = shown(examples.page("slots", planning_examples.PLANNED_SLOT))

    slots: list[PlannedSlot]
    next_page_token: str = Field(description="Empty on the last page.")


class DuplicateRule(RequestModel):
    """What becomes of a post whose caption or media is on another channel at nearly the same time."""

    model_config = shown(planning_examples.DUPLICATE_RULE)

    channel: Channel = Field(description="Empty: any. In the answers the two are in the order of the alphabet.")
    other_channel: Channel
    action: ActionWord = Field(
        description="`ALLOW`: nothing is said. `WARN`: it is saved, and the conflict named. `REFUSE`: it is refused,"
        " unless its author accepts conflicts."
    )
    window_seconds: int = Field(
        default=86_400, ge=0, le=_THIRTY_DAYS, description="Posts so far apart, or nearer, are compared."
    )

    def to_proto(self) -> pb.DuplicateRule:
        """For the scheduler."""
        rule = pb.DuplicateRule(
            channel=self.channel,
            other_channel=self.other_channel,
            action=pb.DuplicateAction.Value(f"DUPLICATE_ACTION_{self.action}"),
        )
        rule.window.FromSeconds(self.window_seconds)
        return rule

    @classmethod
    def of(cls, rule: pb.DuplicateRule) -> DuplicateRule:
        """From the scheduler; not validated, as `PostingPlan.of`."""
        return cls.model_construct(
            channel=rule.channel,
            other_channel=rule.other_channel,
            action=cast(ActionWord, word_of(pb.DuplicateAction, "DUPLICATE_ACTION_", rule.action)),
            window_seconds=rule.window.ToSeconds(),
        )


class DuplicateRuleList(AnswerModel):
    """A page of rules, by pair of channels."""

    model_config = shown(examples.page("rules", planning_examples.DUPLICATE_RULE))

    rules: list[DuplicateRule]
    next_page_token: str = Field(description="Empty on the last page.")


def _weekday(word: WeekdayWord) -> pb.Weekday.ValueType:
    return pb.Weekday.Value(f"WEEKDAY_{word}")


def _word(weekday: pb.Weekday.ValueType) -> WeekdayWord:
    return cast(WeekdayWord, word_of(pb.Weekday, "WEEKDAY_", weekday))
