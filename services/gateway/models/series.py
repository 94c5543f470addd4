"""Series: posts that recur by a rule."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from reelroute.scheduler.v1 import scheduler_pb2, series_pb2

from services.gateway.models import examples, planning_examples
from services.gateway.models.channels import Lateness
from services.gateway.models.drafts import (
    AmbiguousTimeWord,
    LocalTime,
    PostContent,
    PostOptions,
    TimeZone,
)
from services.gateway.models.fields import (
    AnswerModel,
    RequestModel,
    Text,
    instant_of,
    shown,
    word_of,
    words_of,
)
from services.gateway.models.plans import LocalTimes
from services.gateway.models.posts import Warned

GapWord = Literal["SHIFT", "SKIP"]
StateWord = Literal["ACTIVE", "ENDED"]

SeriesName = Annotated[Text, Field(max_length=100, description="For people: `Weekly tip`.")]


class Recurrence(RequestModel):
    """When it recurs: wall-clock times of its zone. A change of the clock moves the instants, not the times."""

    rrule: Annotated[Text, Field(min_length=1, max_length=500)] | None = Field(
        default=None, description="RFC 5545, without DTSTART; an UNTIL is a wall-clock time. Either this or `cron`."
    )
    cron: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Five fields: `0 14 * * tue,thu,sat`."
    )
    start_time: LocalTime = Field(
        description="It begins at this wall-clock time, or at the rule's first time after it."
    )
    time_zone: TimeZone
    until_time: LocalTime | None = Field(
        default=None, description="Its last wall-clock time, itself included. Null: without end."
    )
    gap_rule: GapWord = Field(
        default="SHIFT",
        description="Of a time that the clock jumps over. `SHIFT`: it is at the time after the gap (02:30 → 03:30)."
        " `SKIP`: it is left out on that day.",
    )
    ambiguous_time: AmbiguousTimeWord = Field(
        default="EARLIER", description="Which of two equal wall-clock times is meant when the clock goes back."
    )

    @model_validator(mode="after")
    def _one_rule(self) -> Recurrence:
        if (self.rrule is None) == (self.cron is None):
            raise PydanticCustomError("rule", "Give either rrule or cron: FREQ=WEEKLY;BYDAY=TU or 0 14 * * tue.")
        return self

    def to_proto(self) -> series_pb2.Recurrence:
        """For the scheduler."""
        recurrence = series_pb2.Recurrence(
            start_time=self.start_time,
            time_zone=self.time_zone,
            until_time=self.until_time or "",
            gap_rule=series_pb2.GapRule.Value(f"GAP_RULE_{self.gap_rule}"),
            ambiguous_time=scheduler_pb2.AmbiguousTime.Value(f"AMBIGUOUS_TIME_{self.ambiguous_time}"),
        )
        if self.rrule is not None:
            recurrence.rrule = self.rrule
        if self.cron is not None:
            recurrence.cron = self.cron
        return recurrence

    @classmethod
    def of(cls, recurrence: series_pb2.Recurrence) -> Recurrence:
        """From the scheduler; not validated: what was stored under an earlier rule is still shown."""
        ambiguous = word_of(scheduler_pb2.AmbiguousTime, "AMBIGUOUS_TIME_", recurrence.ambiguous_time) or "EARLIER"
        return cls.model_construct(
            rrule=recurrence.rrule or None,
            cron=recurrence.cron or None,
            start_time=recurrence.start_time,
            time_zone=recurrence.time_zone,
            until_time=recurrence.until_time or None,
            gap_rule=cast(GapWord, word_of(series_pb2.GapRule, "GAP_RULE_", recurrence.gap_rule) or "SHIFT"),
            ambiguous_time=cast(AmbiguousTimeWord, ambiguous),
        )


class SeriesDraft(RequestModel):
    """A series as its author wants it."""

    model_config = shown(planning_examples.SERIES_DRAFT)

    name: SeriesName = ""
    recurrence: Recurrence
    post: PostContent = Field(description="What each occurrence publishes. Its `ref` is that of every occurrence.")


class SeriesPatch(RequestModel):
    """What to change of a series; what is left out stays. Each is replaced as a whole."""

    model_config = shown(planning_examples.SERIES_PATCH, minProperties=1)

    name: SeriesName | None = None
    recurrence: Recurrence | None = None
    post: PostContent | None = None

    @model_validator(mode="after")
    def _something(self) -> SeriesPatch:
        if not self.given:
            raise PydanticCustomError("empty", "Give at least one of name, recurrence and post.")
        return self

    @property
    def given(self) -> list[str]:
        """The names of the fields to change."""
        return [name for name in SeriesPatch.model_fields if getattr(self, name) is not None]


class Series(AnswerModel):
    """A series as it is kept."""

    model_config = shown(planning_examples.SERIES)

    series_id: str
    name: str
    recurrence: Recurrence
    post: PostContent
    state: str | None = Field(
        description="`ENDED`: nothing more comes of it.",
        json_schema_extra={"enum": [*words_of(series_pb2.SeriesState, "SERIES_STATE_"), None]},
    )
    made_until_time: str | None = Field(description="Occurrences up to this wall-clock time are posts already.")
    previous_series_id: str | None = Field(
        description="The series that it goes on from, after an edit of “this and following”."
    )
    etag: str = Field(description="Changes with every edit. Send it as `If-Match` to change this version only.")
    create_time: datetime | None
    update_time: datetime | None

    @classmethod
    def of(cls, series: series_pb2.Series) -> Series:
        """From the scheduler."""
        return cls(**_series_values(series))


class SeriesList(AnswerModel):
    """A page of series, newest first."""

    model_config = shown(examples.page("series", planning_examples.SERIES))

    series: list[Series]
    next_page_token: str = Field(description="Empty on the last page.")


class Occurrence(AnswerModel):
    """One time of a series."""

    model_config = shown(planning_examples.OCCURRENCE)

    occurrence_time: str = Field(description="As the rule gives it, before any move: its name within the series.")
    state: str | None = Field(
        description="`PLANNED`: its post is made ahead of its time. `REFUSED`: it could not become a post, see"
        " `reason`; move it, or restore it to try again.",
        json_schema_extra={"enum": [*words_of(series_pb2.OccurrenceState, "OCCURRENCE_STATE_"), None]},
    )
    times: LocalTimes = Field(description="When it takes place.")
    post_id: str | None
    reason: str = Field(description="Why there is no post, UPPER_SNAKE; empty otherwise.")
    message: str

    @classmethod
    def of(cls, occurrence: series_pb2.Occurrence) -> Occurrence:
        """From the scheduler."""
        return cls(
            occurrence_time=occurrence.occurrence_time,
            state=word_of(series_pb2.OccurrenceState, "OCCURRENCE_STATE_", occurrence.state),
            times=LocalTimes.of(occurrence.times),
            post_id=occurrence.post_id or None,
            reason=occurrence.reason,
            message=occurrence.message,
        )


class OccurrenceList(AnswerModel):
    """A page of occurrences in their order, the skipped ones too."""

    model_config = shown(examples.page("occurrences", planning_examples.OCCURRENCE))

    occurrences: list[Occurrence]
    next_page_token: str = Field(description="Empty on the last page.")


class SavedSeries(Series):
    """A series that was just saved, with its occurrences so far."""

    model_config = shown(
        planning_examples.SERIES | {"occurrences": [planning_examples.OCCURRENCE], "warnings": [examples.WARNING]}
    )

    occurrences: list[Occurrence] = Field(description="Those that are posts now, or could not become one.")
    warnings: list[Warned] = Field(description="What its accounts' platforms would not take as things stand.")

    @classmethod
    def saved(
        cls, answer: series_pb2.CreateSeriesResponse | series_pb2.UpdateSeriesResponse, warnings: list[Warned]
    ) -> SavedSeries:
        """From the scheduler."""
        occurrences = [Occurrence.of(each) for each in answer.occurrences]
        return cls(**_series_values(answer.series), occurrences=occurrences, warnings=warnings)


class EndedSeries(Series):
    """A series that was just ended."""

    model_config = shown(planning_examples.SERIES | {"state": "ENDED", "canceled_posts": 12})

    canceled_posts: int = Field(description="How many of its posts were canceled.")

    @classmethod
    def ended(cls, answer: series_pb2.EndSeriesResponse) -> EndedSeries:
        """From the scheduler."""
        return cls(**_series_values(answer.series), canceled_posts=answer.canceled_posts)


class OccurrenceMove(RequestModel):
    """Where an occurrence goes."""

    model_config = shown(planning_examples.OCCURRENCE_MOVE)

    move_to_time: LocalTime = Field(description="Wall-clock time in the series' zone.")


class RecurrenceQuestion(RequestModel):
    """A rule to look at."""

    model_config = shown(planning_examples.RECURRENCE_QUESTION)

    recurrence: Recurrence
    other_time_zone: Text = Field(default="", max_length=64, description="A second zone to show the times in.")
    max_occurrences: int = Field(default=10, ge=1, le=200)


class RecurrencePreview(AnswerModel):
    """When a rule recurs."""

    model_config = shown(planning_examples.RECURRENCE_PREVIEW)

    description: str = Field(description="The rule in words.")
    times: list[LocalTimes]

    @classmethod
    def of(cls, preview: series_pb2.PreviewRecurrenceResponse) -> RecurrencePreview:
        """From the scheduler."""
        return cls(description=preview.description, times=[LocalTimes.of(each) for each in preview.times])


def _series_values(series: series_pb2.Series) -> dict[str, Any]:
    return {
        "series_id": series.series_id,
        "name": series.name,
        "recurrence": Recurrence.of(series.recurrence),
        "post": _content(series.post),
        "state": word_of(series_pb2.SeriesState, "SERIES_STATE_", series.state),
        "made_until_time": series.made_until_time or None,
        "previous_series_id": series.previous_series_id or None,
        "etag": series.etag,
        "create_time": instant_of(series, "create_time"),
        "update_time": instant_of(series, "update_time"),
    }


def _content(post: scheduler_pb2.PostDraft) -> PostContent:
    # Not validated, as the rest.
    return PostContent.model_construct(
        channel=post.channel,
        account_ids=list(post.account_ids),
        caption=post.caption,
        media_asset_ids=[each.media_asset_id for each in post.media],
        options=PostOptions.of(post.options),
        ref=post.ref,
        lateness=Lateness.of(post.lateness) if post.HasField("lateness") else None,
        accept_conflicts=post.accept_conflicts,
    )
