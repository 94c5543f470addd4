"""What the ledger tells the scheduler and the activity feed: outbox rows, written with the fact that they report."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.message import Message
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit.activity import activity
from kit.outbox import Notice
from kit.timestamps import to_timestamp
from services.publisher.domain import Failure, Publication, Verdict

_SCHEDULER = "/reelroute.scheduler.v1.SchedulerService"


def accepted(publication: Publication, time: datetime) -> Notice:
    """The platform has everything."""
    request = _complete(publication)
    request.accepted.accept_time.CopyFrom(to_timestamp(time))
    return _to_scheduler(publication, "CompleteDelivery", request)


def published(publication: Publication, verdict: Verdict, time: datetime) -> Notice:
    """The platform says that it is published."""
    request = _complete(publication)
    request.published.CopyFrom(
        pb.Published(
            platform_post_id=verdict.platform_post_id,
            url=verdict.url,
            visibility=pb.Visibility.Value(f"VISIBILITY_{verdict.visibility.value}"),
            publish_time=to_timestamp(time),
        )
    )
    return _to_scheduler(publication, "CompleteDelivery", request)


def failed(publication: Publication, failure: Failure) -> Notice:
    """The attempt ended without a publication."""
    message = pb.Failure(
        kind=pb.FailureKind.Value(f"FAILURE_KIND_{failure.kind.value}"),
        reason=failure.reason[:100],
        message=failure.message[:2000],
        retry_time=to_timestamp(failure.retry_time) if failure.retry_time else None,
    )
    request = pb.FailDeliveryRequest(
        workspace_id=str(publication.workspace_id),
        delivery_id=str(publication.delivery_id),
        attempt=publication.attempt,
        failure=message,
    )
    return _to_scheduler(publication, "FailDelivery", request)


def step(publication: Publication, kind: str, summary: str, time: datetime) -> Notice:
    """A step of the ledger, for the activity feed: `kind` is "publication.prepared" and the like."""
    return activity(
        publication.workspace_id,
        kind,
        summary,
        time,
        post_id=publication.post_id,
        delivery_id=publication.delivery_id,
        account_id=publication.account_id,
        attributes={"attempt": str(publication.attempt)},
    )


def _complete(publication: Publication) -> pb.CompleteDeliveryRequest:
    return pb.CompleteDeliveryRequest(
        workspace_id=str(publication.workspace_id),
        delivery_id=str(publication.delivery_id),
        attempt=publication.attempt,
    )


def _to_scheduler(publication: Publication, method: str, request: Message) -> Notice:
    return Notice(publication.workspace_id, publication.delivery_id, "scheduler", f"{_SCHEDULER}/{method}", request)
