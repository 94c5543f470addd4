"""Between the messages of series.proto and the dataclasses of the domain. No decision is made here."""

from __future__ import annotations

from datetime import datetime

from reelroute.scheduler.v1 import plans_pb2, scheduler_pb2
from reelroute.scheduler.v1 import series_pb2 as pb

from kit.timestamps import to_timestamp
from services.scheduler import messages, zones
from services.scheduler.recurrence import Recurrence, RuleKind
from services.scheduler.series import Listed, Series, SeriesState
from services.scheduler.zones import GapRule, LocalTimes

# Of PostDraft, what the recurrence says instead.
_TIMES = ("local_time", "time_zone", "ambiguous_time")


def recurrence_from(message: pb.Recurrence) -> Recurrence:
    """When something recurs. Raises LocalTimeInvalid."""
    kind = RuleKind.RRULE if message.WhichOneof("rule") == "rrule" else RuleKind.CRON
    return Recurrence(
        kind=kind,
        rule=message.rrule or message.cron,
        start_time=zones.parse_local(message.start_time, "start_time"),
        time_zone=message.time_zone,
        until_time=zones.parse_local(message.until_time, "until_time") if message.until_time else None,
        gap_rule=GapRule.SKIP if message.gap_rule == pb.GAP_RULE_SKIP else GapRule.SHIFT,
        fold=1 if message.ambiguous_time == scheduler_pb2.AMBIGUOUS_TIME_LATER else 0,
    )


def recurrence_to(recurrence: Recurrence) -> pb.Recurrence:
    """The same as the proto shows it."""
    message = pb.Recurrence(
        start_time=local_to(recurrence.start_time),
        time_zone=recurrence.time_zone,
        until_time=local_to(recurrence.until_time),
        gap_rule=pb.GapRule.Value(f"GAP_RULE_{recurrence.gap_rule.value}"),
        ambiguous_time=(
            scheduler_pb2.AMBIGUOUS_TIME_LATER if recurrence.fold else scheduler_pb2.AMBIGUOUS_TIME_EARLIER
        ),
    )
    setattr(message, recurrence.kind.field, recurrence.rule)
    return message


def draft_to(series: Series) -> pb.SeriesDraft:
    """A stored series as its author would send it again."""
    draft = pb.SeriesDraft(name=series.name, recurrence=recurrence_to(series.recurrence))
    draft.post.CopyFrom(_without_times(messages.draft_to(series.post)))
    return draft


def with_start(draft: pb.SeriesDraft) -> scheduler_pb2.PostDraft:
    """What each occurrence publishes, as a whole draft: with the time of the start."""
    post = _without_times(draft.post)
    post.local_time, post.time_zone = draft.recurrence.start_time, draft.recurrence.time_zone
    return post


def _without_times(post: scheduler_pb2.PostDraft) -> scheduler_pb2.PostDraft:
    result = scheduler_pb2.PostDraft()
    result.CopyFrom(post)
    for name in _TIMES:
        result.ClearField(name)  # type: ignore[arg-type]
    return result


def series_to(series: Series, now: datetime) -> pb.Series:
    """A series as the proto shows it."""
    draft = draft_to(series)
    return pb.Series(
        series_id=str(series.series_id),
        workspace_id=str(series.workspace_id),
        name=series.name,
        recurrence=draft.recurrence,
        post=draft.post,
        state=pb.SeriesState.Value(f"SERIES_STATE_{series.state(now).value}"),
        made_until_time=local_to(series.made_until),
        previous_series_id=str(series.previous_series_id or ""),
        etag=series.etag,
        create_time=to_timestamp(series.create_time),
        update_time=to_timestamp(series.update_time),
    )


def state_from(value: pb.SeriesState.ValueType) -> SeriesState | None:
    """A state to filter by; None for UNSPECIFIED."""
    return {pb.SERIES_STATE_ACTIVE: SeriesState.ACTIVE, pb.SERIES_STATE_ENDED: SeriesState.ENDED}.get(value)


def occurrence_to(listed: Listed, times: LocalTimes) -> pb.Occurrence:
    """An occurrence as the proto shows it."""
    return pb.Occurrence(
        occurrence_time=local_to(listed.time),
        state=pb.OccurrenceState.Value(f"OCCURRENCE_STATE_{listed.state.value}"),
        times=local_times_to(times),
        post_id=str(listed.post_id or ""),
        reason=listed.reason,
        message=listed.message,
    )


def local_times_to(times: LocalTimes) -> plans_pb2.LocalTimes:
    """An instant as clocks show it."""
    return plans_pb2.LocalTimes(
        time=to_timestamp(times.instant),
        local_time=local_to(times.local_time),
        time_zone=times.time_zone,
        other_local_time=local_to(times.other_local_time),
        other_time_zone=times.other_time_zone,
        warning=times.warning,
    )


def local_to(time: datetime | None) -> str:
    """A wall-clock time as text; empty for None."""
    return time.isoformat(timespec="seconds") if time else ""
