"""Between the messages of plans.proto and the dataclasses of plans, slots and rules. No decision is made here."""

from __future__ import annotations

import math
from datetime import date, time, timedelta

from google.protobuf.duration_pb2 import Duration
from reelroute.scheduler.v1 import plans_pb2 as pb

from kit.errors import FieldViolation
from kit.timestamps import to_timestamp
from services.scheduler.duplicates import DuplicateAction, DuplicateRule, pair
from services.scheduler.planning import Blackout, BlackoutInvalid, PostingPlan, QuietHours, Slot
from services.scheduler.queueing import SlotState
from services.scheduler.zones import LocalTimes

# From Monday on, as weekdays are counted everywhere but in the proto, where 0 is none.
_WEEKDAYS = pb.Weekday.values()[1:]


def plan_from(message: pb.PostingPlan) -> PostingPlan:
    """A plan as its author sent it, not yet checked. Raises BlackoutInvalid for what is no date."""
    return PostingPlan(
        channel=message.channel,
        time_zone=message.time_zone,
        slots=tuple(Slot(_WEEKDAYS.index(each.weekday), time.fromisoformat(each.local_time)) for each in message.slots),
        quiet_hours=tuple(
            QuietHours(
                frozenset(map(_WEEKDAYS.index, each.weekdays)),
                time.fromisoformat(each.start_time),
                time.fromisoformat(each.end_time),
            )
            for each in message.quiet_hours
        ),
        min_gap=_span(message.min_gap),
        daily_cap=message.daily_cap,
        blackouts=tuple(
            Blackout(
                _date(each.first_date, f"plan.blackouts[{index}].first_date"),
                _date(each.last_date, f"plan.blackouts[{index}].last_date"),
                each.reason,
            )
            for index, each in enumerate(message.blackouts)
        ),
        requires_approval=message.requires_approval,
    )


def _date(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no date of the calendar. Use 'YYYY-MM-DD'."
        raise BlackoutInvalid(message, [FieldViolation(field, message)]) from None


def plan_to(plan: PostingPlan) -> pb.PostingPlan:
    """A plan as the proto shows it."""
    return pb.PostingPlan(
        channel=plan.channel,
        time_zone=plan.time_zone,
        slots=[pb.Slot(weekday=_WEEKDAYS[each.weekday], local_time=_clock(each.local_time)) for each in plan.slots],
        quiet_hours=[
            pb.QuietHours(
                weekdays=[_WEEKDAYS[day] for day in sorted(each.weekdays)],
                start_time=_clock(each.start),
                end_time=_clock(each.end),
            )
            for each in plan.quiet_hours
        ],
        min_gap=_duration(plan.min_gap) if plan.min_gap else None,
        daily_cap=plan.daily_cap,
        blackouts=[
            pb.Blackout(first_date=each.first.isoformat(), last_date=each.last.isoformat(), reason=each.reason)
            for each in plan.blackouts
        ],
        requires_approval=plan.requires_approval,
    )


def _clock(at: time) -> str:
    return at.isoformat(timespec="seconds" if at.second else "minutes")


def slot_to(slot: SlotState, times: LocalTimes) -> pb.SlotTime:
    """One occurrence of a slot."""
    closed = slot.conflicts[0] if slot.conflicts else None
    return pb.SlotTime(
        times=times_to(times),
        post_id=str(slot.post_id or ""),
        closed_by=closed.rule.value if closed else "",
        message=closed.message if closed else "",
    )


def times_to(times: LocalTimes) -> pb.LocalTimes:
    """An instant as clocks show it."""
    other = times.other_local_time
    return pb.LocalTimes(
        time=to_timestamp(times.instant),
        local_time=times.local_time.isoformat(timespec="seconds"),
        time_zone=times.time_zone,
        other_local_time=other.isoformat(timespec="seconds") if other else "",
        other_time_zone=times.other_time_zone,
        warning=times.warning,
    )


def rule_from(message: pb.DuplicateRule) -> DuplicateRule:
    """A rule about duplicates. Raises PairInvalid."""
    channel, other = pair(message.channel, message.other_channel)
    action = pb.DuplicateAction.Name(message.action).removeprefix("DUPLICATE_ACTION_")
    return DuplicateRule(channel, other, DuplicateAction(action), _span(message.window))


def rule_to(rule: DuplicateRule) -> pb.DuplicateRule:
    """A rule about duplicates as the proto shows it."""
    return pb.DuplicateRule(
        channel=rule.channel,
        other_channel=rule.other_channel,
        action=pb.DuplicateAction.Value(f"DUPLICATE_ACTION_{rule.action.value}"),
        window=_duration(rule.window),
    )


def _span(message: Duration) -> timedelta:
    # Posts are planned to the second.
    return timedelta(seconds=math.ceil(message.ToTimedelta().total_seconds()))


def _duration(span: timedelta) -> Duration:
    return Duration(seconds=int(span.total_seconds()))
