"""What the ledger tells the scheduler and the activity feed: outbox rows, written with the facts that they report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

from google.protobuf.message import Message
from reelroute.notification.v1 import notification_pb2
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit.activity import INSTALLATION, activities, activity_request
from kit.db import new_id
from kit.outbox import Notice
from kit.timestamps import optional_timestamp, to_timestamp
from services.publisher.domain import (
    AUTHORIZATION_LOST,
    Failure,
    FailureKind,
    Platform,
    Publication,
    Step,
    uncertain_message,
)

_SCHEDULER = "/reelroute.scheduler.v1.SchedulerService"
_REPORTS_PER_CALL = 500  # ReportDeliveries takes 1,000


def of(state: Publication, failure: Failure | None, doubt: str, now: datetime) -> list[pb.DeliveryReport]:
    """How a publication stands; `failure` when its attempt failed and the next one may work, `doubt` why its outcome is
    uncertain ("": no answer came). What was removed was published before: whoever has not heard that hears both.
    """
    if state.step is Step.REMOVED:
        return [_report(replace(state, step=Step.PUBLISHED), None, "", now), _report(state, None, "", now)]
    return [_report(state, failure, doubt, now)]


def _report(state: Publication, failure: Failure | None, doubt: str, now: datetime) -> pb.DeliveryReport:
    message = pb.DeliveryReport(
        workspace_id=str(state.workspace_id), delivery_id=str(state.delivery_id), attempt=state.attempt
    )
    failed = failure or state.failure
    if failed:
        message.failure.CopyFrom(_failure(failed))
        return message
    match state.step:
        case Step.PUBLISHED if state.visibility and state.publish_time:
            message.published.CopyFrom(
                pb.Published(
                    platform_post_id=state.platform_post_id,
                    url=state.url,
                    visibility=pb.Visibility.Value(f"VISIBILITY_{state.visibility.value}"),
                    publish_time=to_timestamp(state.publish_time),
                )
            )
        case Step.ACCEPTED if state.accept_time:
            message.accepted.accept_time.CopyFrom(to_timestamp(state.accept_time))
        case Step.REMOVED:
            message.removed.remove_time.CopyFrom(to_timestamp(now))
        case Step.UNCERTAIN:
            cause = doubt or "No usable answer came to the publishing call."
            text = uncertain_message(cause, needs_person=state.needs_person)[:2000]
            message.uncertain.CopyFrom(pb.Uncertain(message=text, needs_person=state.needs_person))
        case _:
            message.released.SetInParent()
    return message


def to_scheduler(messages: Sequence[pb.DeliveryReport]) -> list[Notice]:
    """Reports as outbox rows. They may arrive in any order: each names its attempt."""
    return [
        _to_scheduler(
            "ReportDeliveries", pb.ReportDeliveriesRequest(reports=messages[start : start + _REPORTS_PER_CALL])
        )
        for start in range(0, len(messages), _REPORTS_PER_CALL)
    ]


def account_hold(workspace_id: UUID, account_id: UUID, reason: str) -> Notice:
    """The account's authorisation is lost: nothing more of it is tried."""
    request = pb.PlaceHoldRequest(
        workspace_id=str(workspace_id),
        scope=pb.HOLD_SCOPE_ACCOUNT,
        target=str(account_id),
        cause=pb.HOLD_CAUSE_ACCOUNT,
        reason=reason[:500],
    )
    return _to_scheduler("PlaceHold", request, account_id, workspace_id)


def account_holds(failed: Sequence[tuple[Publication, Failure]]) -> list[Notice]:
    """Holds on the accounts that cannot publish until their owner acts. A lost authorisation, or a disconnection, was
    told when it was found, and by now its account may be connected again.
    """
    found = {
        state.account_id: account_hold(state.workspace_id, state.account_id, failure.message)
        for state, failure in failed
        if failure.kind is FailureKind.ACCOUNT and failure.reason != AUTHORIZATION_LOST
    }
    return list(found.values())


def account_free(workspace_id: UUID, account_id: UUID) -> Notice:
    """The account is connected again: what waited for it goes out under its lateness rule."""
    request = pb.LiftHoldRequest(
        workspace_id=str(workspace_id),
        scope=pb.HOLD_SCOPE_ACCOUNT,
        target=str(account_id),
        cause=pb.HOLD_CAUSE_ACCOUNT,
        due_action=pb.DUE_ACTION_BY_RULE,
    )
    return _to_scheduler("LiftHold", request, account_id, workspace_id)


def platform_hold(platform: Platform, reason: str) -> Notice:
    """The platform fails for many accounts: nothing more is sent to it."""
    request = pb.PlaceHoldRequest(
        scope=pb.HOLD_SCOPE_PLATFORM,
        target=platform.value.lower(),
        cause=pb.HOLD_CAUSE_INCIDENT,
        reason=reason[:500],
    )
    return _to_scheduler("PlaceHold", request, _platform_id(platform))


def platform_free(platform: Platform) -> Notice:
    """The platform answers again."""
    request = pb.LiftHoldRequest(
        scope=pb.HOLD_SCOPE_PLATFORM,
        target=platform.value.lower(),
        cause=pb.HOLD_CAUSE_INCIDENT,
        due_action=pb.DUE_ACTION_BY_RULE,
    )
    return _to_scheduler("LiftHold", request, _platform_id(platform))


def _platform_id(platform: Platform) -> UUID:
    """Holds of a platform reach the scheduler in their order, also those of different incidents."""
    return uuid5(INSTALLATION, platform.value)


def step(state: Publication, kind: str, summary: str, time: datetime) -> notification_pb2.RecordActivityRequest:
    """Something about a publication that people should find in the feed."""
    return activity_request(
        state.workspace_id,
        kind,
        summary,
        time,
        post_id=state.post_id,
        delivery_id=state.delivery_id,
        account_id=state.account_id,
        attributes={"attempt": str(state.attempt)},
    )


def to_feed(requests: Sequence[notification_pb2.RecordActivityRequest]) -> list[Notice]:
    """Activities as outbox rows."""
    return activities(requests) if requests else []


def _failure(failure: Failure) -> pb.Failure:
    return pb.Failure(
        kind=pb.FailureKind.Value(f"FAILURE_KIND_{failure.kind.value}"),
        reason=failure.reason[:100],
        message=failure.message[:2000] or failure.reason,
        retry_time=optional_timestamp(failure.retry_time),
    )


def _to_scheduler(
    method: str, request: Message, aggregate_id: UUID | None = None, workspace_id: UUID = INSTALLATION
) -> Notice:
    """A call; with the workspace of the transaction that writes it, where that is one."""
    return Notice(workspace_id, aggregate_id or new_id(), "scheduler", f"{_SCHEDULER}/{method}", request)
