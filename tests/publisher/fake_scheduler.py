"""A scheduler with a memory instead of a database: hands out deliveries under leases, gives grants, takes reports."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1 import scheduler_pb2_grpc

from kit.timestamps import to_timestamp

_AFTER = {
    pb.FAILURE_KIND_TRANSIENT: "SCHEDULED",
    pb.FAILURE_KIND_RATE_LIMITED: "SCHEDULED",
    pb.FAILURE_KIND_ACCOUNT: "HELD",
    pb.FAILURE_KIND_PLATFORM: "HELD",
    pb.FAILURE_KIND_CHOICE: "HELD",
    pb.FAILURE_KIND_REJECTED: "REJECTED",
    pb.FAILURE_KIND_PERMANENT: "FAILED",
    pb.FAILURE_KIND_OUTCOME_UNKNOWN: "UNCERTAIN",
}


@dataclass
class Planned:
    """A delivery as the scheduler has it. `reports` are those that were taken."""

    claimed: pb.ClaimedDelivery
    due_time: datetime
    state: str = "SCHEDULED"
    attempt: int = 0
    lease_end: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    granted_at: list[datetime] = field(default_factory=list)
    reports: list[pb.DeliveryReport] = field(default_factory=list)
    # What its author and others have decided.
    upcoming: pb.UpcomingDelivery = field(default_factory=pb.UpcomingDelivery)

    @property
    def delivery_id(self) -> str:
        return self.claimed.delivery_id

    @property
    def caption(self) -> str:
        return self.claimed.caption

    @property
    def failure(self) -> pb.Failure:
        return next(report.failure for report in reversed(self.reports) if report.HasField("failure"))

    @property
    def published(self) -> pb.Published:
        return next(report.published for report in reversed(self.reports) if report.HasField("published"))


class FakeScheduler(scheduler_pb2_grpc.SchedulerServiceServicer):
    """See the head of this module. `paused`: nothing gets a grant, it is taken back."""

    def __init__(self) -> None:
        self.deliveries: dict[str, Planned] = {}
        self.holds: list[pb.PlaceHoldRequest] = []
        self.lifted: list[pb.LiftHoldRequest] = []
        self.asked: list[pb.ListUpcomingDeliveriesRequest] = []
        self.refused: list[pb.DeliveryReport] = []
        self.paused = False
        self.applying: list[pb.Hold] = []
        self.retry_seconds = 0.05
        self._lock = threading.RLock()
        self._closing = threading.Event()
        # Calls that wait to be handed something.
        self.claimers = 0

    def close(self) -> None:
        """Lets waiting calls go."""
        self._closing.set()

    def plan(self, in_seconds: float, **values: Any) -> Planned:
        due = datetime.now(UTC) + timedelta(seconds=in_seconds)
        claimed = pb.ClaimedDelivery(
            delivery_id=str(uuid.uuid4()), post_id=str(uuid.uuid4()), post_etag="r1", due_time=to_timestamp(due),
            **values,
        )  # fmt: skip
        planned = Planned(claimed, due)
        with self._lock:
            self.deliveries[claimed.delivery_id] = planned
        return planned

    def end_lease(self, planned: Planned) -> None:
        """Time passes for the lease of whoever has it in work."""
        with self._lock:
            planned.lease_end = datetime.now(UTC)

    def ListUpcomingDeliveries(  # noqa: N802
        self, request: pb.ListUpcomingDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ListUpcomingDeliveriesResponse:
        """Pages of two. Without a workspace what is HELD or MISSED is left out."""
        first = request.from_time.ToDatetime(tzinfo=UTC)
        last = request.until_time.ToDatetime(tzinfo=UTC)
        states = ("SCHEDULED", "HELD", "MISSED") if request.workspace_id else ("SCHEDULED",)
        with self._lock:
            found = sorted(
                (each.due_time, each.delivery_id)
                for each in self.deliveries.values()
                if each.state in states
                and first <= each.due_time < last
                and request.workspace_id in ("", each.claimed.workspace_id)
            )
            self.asked.append(request)
            start = int(request.page_token or 0)
            return pb.ListUpcomingDeliveriesResponse(
                deliveries=[self._upcoming(self.deliveries[each]) for _, each in found[start : start + 2]],
                next_page_token=str(start + 2) if start + 2 < len(found) else "",
            )

    def _upcoming(self, each: Planned) -> pb.UpcomingDelivery:
        claimed = each.claimed
        message = pb.UpcomingDelivery(
            workspace_id=claimed.workspace_id,
            delivery=pb.Delivery(
                delivery_id=claimed.delivery_id,
                post_id=claimed.post_id,
                account_id=claimed.account_id,
                state=pb.DeliveryState.Value(f"DELIVERY_STATE_{each.state}"),
                due_time=to_timestamp(each.due_time),
                schedule_time=claimed.due_time,
            ),
            caption=claimed.caption,
            media=claimed.media,
            options=claimed.options,
            lateness=pb.Lateness(max_lateness=Duration(seconds=6 * 3600), late_action=pb.LATE_ACTION_ASK),
        )
        message.MergeFrom(each.upcoming)
        return message

    def ClaimDueDeliveries(  # noqa: N802
        self, request: pb.ClaimDueDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ClaimDueDeliveriesResponse:
        with self._lock:
            self.claimers += 1
        context.add_callback(self._has_left)
        end = time.monotonic() + request.wait_duration.ToTimedelta().total_seconds()
        while not self._closing.is_set() and context.is_active():
            with self._lock:
                now = datetime.now(UTC)
                chosen = [each for each in self.deliveries.values() if self._may_be_claimed(each, request, now)]
                if chosen or time.monotonic() >= end:
                    handed_out = [self._claim(each, request, now) for each in chosen[: request.max_deliveries]]
                    return pb.ClaimDueDeliveriesResponse(deliveries=handed_out, claim_time=to_timestamp(now))
            self._closing.wait(0.01)
        return pb.ClaimDueDeliveriesResponse(claim_time=to_timestamp(datetime.now(UTC)))

    def _has_left(self) -> None:
        with self._lock:
            self.claimers -= 1

    def _may_be_claimed(self, each: Planned, request: pb.ClaimDueDeliveriesRequest, now: datetime) -> bool:
        if each.claimed.ask_only and not request.takes_ask_only:
            return False
        if each.state == "CLAIMED":
            return each.lease_end <= now
        return each.state == "SCHEDULED" and each.due_time <= now + request.lead_time.ToTimedelta()

    def _claim(self, each: Planned, request: pb.ClaimDueDeliveriesRequest, now: datetime) -> pb.ClaimedDelivery:
        authorized = each.state == "SCHEDULED" and each.due_time <= now and not self.paused
        each.state, each.attempt = "CLAIMED", each.attempt + 1
        each.lease_end = now + request.lease_duration.ToTimedelta()
        message = pb.ClaimedDelivery()
        message.CopyFrom(each.claimed)
        message.attempt, message.authorized = each.attempt, authorized
        message.due_time.CopyFrom(to_timestamp(each.due_time))
        message.lease_expire_time.CopyFrom(to_timestamp(each.lease_end))
        return message

    def _held(self, held: pb.HeldDelivery) -> Planned | None:
        found = self.deliveries.get(held.delivery_id)
        return found if found and (found.state, found.attempt) == ("CLAIMED", held.attempt) else None

    def ListHolds(  # noqa: N802
        self, request: pb.ListHoldsRequest, context: grpc.ServicerContext
    ) -> pb.ListHoldsResponse:
        return pb.ListHoldsResponse(holds=self.applying)

    def RenewDeliveries(  # noqa: N802
        self, request: pb.RenewDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.RenewDeliveriesResponse:
        lost = []
        with self._lock:
            for each in request.deliveries:
                if found := self._held(each):
                    found.lease_end = datetime.now(UTC) + request.lease_duration.ToTimedelta()
                else:
                    lost.append(each.delivery_id)
        return pb.RenewDeliveriesResponse(lost_delivery_ids=lost)

    def AuthorizeDeliveries(  # noqa: N802
        self, request: pb.AuthorizeDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.AuthorizeDeliveriesResponse:
        answers = []
        with self._lock:
            for each in request.deliveries:
                found = self._held(each)
                if found is None:
                    answers.append(pb.AUTHORIZATION_LEASE_LOST)
                elif self.paused:
                    found.state = "HELD"
                    answers.append(pb.AUTHORIZATION_WITHDRAWN)
                else:
                    found.granted_at.append(datetime.now(UTC))
                    answers.append(pb.AUTHORIZATION_GRANTED)
        return pb.AuthorizeDeliveriesResponse(authorizations=answers)

    def ReportDeliveries(  # noqa: N802
        self, request: pb.ReportDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ReportDeliveriesResponse:
        refusals = []
        with self._lock:
            for index, report in enumerate(request.reports):
                planned = self.deliveries.get(report.delivery_id)
                if planned is None or planned.attempt != report.attempt:
                    self.refused.append(report)
                    refusals.append(pb.ReportRefusal(index=index, reason="LEASE_LOST", message="Another has it."))
                else:
                    planned.reports.append(report)
                    self._apply(planned, report)
        return pb.ReportDeliveriesResponse(refusals=refusals)

    def _apply(self, planned: Planned, report: pb.DeliveryReport) -> None:
        match report.WhichOneof("outcome"):
            case "published":
                planned.state = "PUBLISHED"
            case "removed":
                planned.state = "REMOVED"
            case _ if planned.state not in ("CLAIMED", "CONFIRMING", "UNCERTAIN"):
                pass  # it is over, or was given back
            case "accepted":
                planned.state = "CONFIRMING"
            case "uncertain":
                planned.state = "UNCERTAIN"
            case "released":
                planned.state = "SCHEDULED"
            case "failure":
                planned.state = _AFTER[report.failure.kind]
                planned.due_time = datetime.now(UTC) + timedelta(seconds=self.retry_seconds)
                if report.failure.HasField("retry_time"):
                    planned.due_time = report.failure.retry_time.ToDatetime(tzinfo=UTC)

    def PlaceHold(  # noqa: N802
        self, request: pb.PlaceHoldRequest, context: grpc.ServicerContext
    ) -> pb.PlaceHoldResponse:
        self.holds.append(request)
        return pb.PlaceHoldResponse()

    def LiftHold(self, request: pb.LiftHoldRequest, context: grpc.ServicerContext) -> pb.LiftHoldResponse:  # noqa: N802
        self.lifted.append(request)
        return pb.LiftHoldResponse()
