"""The scheduler behind a real port, as its callers see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from reelroute.notification.v1 import notification_pb2
from reelroute.scheduler.v1 import bulk_pb2_grpc, plans_pb2_grpc, scheduler_pb2_grpc, series_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from sqlalchemy import text

from kit.db import ALL_WORKSPACES, Database
from kit.errors import ReelrouteError
from kit.listen import Listener
from kit.rpc_status import from_rpc_error
from services.scheduler import store
from services.scheduler.api import SchedulerApi
from services.scheduler.bulk_api import BulkApi
from services.scheduler.domain import Policy
from services.scheduler.plan_api import PlanApi
from services.scheduler.series_api import SeriesApi
from services.scheduler.waiting import DueBell
from tests.chaos.wires import Moment, Reaction
from tests.local.support import wait_until
from tests.services import served

WORKSPACE, OTHER = str(uuid4()), str(uuid4())
POLICY = Policy(max_attempts=3, first_seconds=10, longest_seconds=60)
TIMEOUT = 30
# Posts of series are made up to a midnight: how many there are does not hang on the time of the day.
_NOW = datetime.now(UTC)
TOMORROW = datetime(_NOW.year, _NOW.month, _NOW.day, tzinfo=UTC) + timedelta(days=1)


class Bell(DueBell):
    """Tells how often somebody began to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def wait(self, rings_before: int, seconds: float) -> None:
        self.waits += 1
        super().wait(rings_before, seconds)


class Stage:
    """The stub, and what a test asks of it again and again."""

    def __init__(self, database: Database, channel: grpc.Channel, bell: Bell) -> None:
        self.database = database
        self.stub = scheduler_pb2_grpc.SchedulerServiceStub(channel)
        self.bulk = bulk_pb2_grpc.BulkServiceStub(channel)
        self.plans = plans_pb2_grpc.PlanServiceStub(channel)
        self.series = series_pb2_grpc.SeriesServiceStub(channel)
        self.bell = bell

    def create(self, draft: pb.PostDraft | None = None, workspace: str = WORKSPACE, request_id: str = "") -> pb.Post:
        request = pb.CreatePostRequest(
            workspace_id=workspace, request_id=request_id or str(uuid4()), post=draft or draft_of()
        )
        return self.stub.CreatePost(request, timeout=TIMEOUT).post

    def get(self, post: pb.Post) -> pb.Post:
        request = pb.GetPostRequest(workspace_id=post.workspace_id, post_id=post.post_id)
        return self.stub.GetPost(request, timeout=TIMEOUT).post

    def update(self, post: pb.Post, draft: pb.PostDraft, *mask: str, etag: str = "") -> pb.Post:
        request = pb.UpdatePostRequest(
            workspace_id=post.workspace_id, post_id=post.post_id, post=draft, update_mask=mask, etag=etag
        )
        return self.stub.UpdatePost(request, timeout=TIMEOUT).post

    def cancel(self, post: pb.Post) -> pb.Post:
        request = pb.CancelPostRequest(workspace_id=post.workspace_id, post_id=post.post_id)
        return self.stub.CancelPost(request, timeout=TIMEOUT).post

    def claim(self, batch: int = 100, lead: int = 0, wait: int = 0) -> list[pb.ClaimedDelivery]:
        return list(self.stub.ClaimDueDeliveries(claim_request(batch, lead, wait), timeout=TIMEOUT).deliveries)

    def claim_one(self) -> pb.ClaimedDelivery:
        (claimed,) = self.claim()
        return claimed

    def report(self, claimed: pb.ClaimedDelivery, result: pb.Accepted | pb.Published | pb.Failure) -> None:
        held = (claimed.workspace_id, claimed.delivery_id, claimed.attempt)
        if isinstance(result, pb.Failure):
            self.stub.FailDelivery(fail_request(*held, result), timeout=TIMEOUT)
        else:
            self.stub.CompleteDelivery(complete_request(*held, result), timeout=TIMEOUT)

    def due_now(self) -> None:
        """Every delivery that waits is due; every lease is over."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            tx.execute(text("UPDATE deliveries SET due_time = now() WHERE state = 'SCHEDULED'"))
            tx.execute(text("UPDATE deliveries SET lease_expire_time = now() WHERE state = 'CLAIMED'"))

    def crash_thrice(self) -> pb.ClaimedDelivery:
        """The only claimed or due delivery ends three publishers; then the claim that only asks."""
        for _ in range(POLICY.max_crashes):
            self.due_now()
            assert not self.claim_one().ask_only
        self.due_now()
        asking = self.claim_one()
        assert asking.ask_only
        return asking

    def post_in(self, state: str) -> pb.Post:
        """A post whose only delivery was brought to a state by its own RPCs."""
        post = self.create()
        match state:
            case "CANCELED":
                return self.cancel(post)
            case "HELD":
                self.place("POST", post.post_id)
            case "MISSED":
                self.late_by(post, hours=7)
        if state in ("HELD", "MISSED"):
            self.due_now()
            assert self.claim() == []
        elif state != "SCHEDULED":
            self.due_now()
            claimed = self.claim_one()
        match state:
            case "UNCERTAIN":
                assert self.send(report_of(claimed, pb.Uncertain(message="No answer came."))) == []
            case "REMOVED":
                self.report(claimed, PUBLISHED)
                assert self.send(report_of(claimed, pb.Removed(remove_time=PUBLISHED.publish_time))) == []
            case "CONFIRMING":
                self.report(claimed, ACCEPTED)
            case "PUBLISHED":
                self.report(claimed, PUBLISHED)
            case "REJECTED":
                self.report(claimed, failure("REJECTED"))
            case "FAILED":
                self.report(claimed, failure("PERMANENT"))
        found = self.get(post)
        assert state_of(found) == state
        return found

    def activities(self) -> list[notification_pb2.RecordActivityRequest]:
        """What the activity feed will be told, in order."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            rows = tx.execute(
                text("SELECT method, request FROM outbox WHERE target = 'notification' ORDER BY position")
            )
            told: list[notification_pb2.RecordActivityRequest] = []
            for row in rows:
                if row.method.endswith("RecordActivities"):
                    told += notification_pb2.RecordActivitiesRequest.FromString(bytes(row.request)).activities
                else:
                    told.append(notification_pb2.RecordActivityRequest.FromString(bytes(row.request)))
            return told

    def kinds(self) -> list[str]:
        """Of the activities."""
        return [activity.type for activity in self.activities()]

    def send(self, *reports: pb.DeliveryReport) -> list[pb.ReportRefusal]:
        """Reports as publishers send them."""
        answer = self.stub.ReportDeliveries(pb.ReportDeliveriesRequest(reports=reports), timeout=TIMEOUT)
        return list(answer.refusals)

    def authorize(self, *held: pb.ClaimedDelivery) -> list[str]:
        """Asks for grants."""
        request = pb.AuthorizeDeliveriesRequest(
            deliveries=[held_of(each) for each in held], lease_duration=Duration(seconds=30)
        )
        answer = self.stub.AuthorizeDeliveries(request, timeout=TIMEOUT)
        return [pb.Authorization.Name(each).removeprefix("AUTHORIZATION_") for each in answer.authorizations]

    def place(self, scope: str, target: str = "", cause: str = "PAUSE", workspace: str = WORKSPACE) -> pb.Hold:
        """Places a hold."""
        request = pb.PlaceHoldRequest(
            workspace_id="" if scope in ("EVERYTHING", "PLATFORM") else workspace,
            scope=pb.HoldScope.Value(f"HOLD_SCOPE_{scope}"),
            target=target,
            cause=pb.HoldCause.Value(f"HOLD_CAUSE_{cause}"),
        )
        return self.stub.PlaceHold(request, timeout=TIMEOUT).hold

    def lift(self, hold: pb.Hold, action: str = "BY_RULE") -> int:
        """Lifts a hold; the number of deliveries that it kept back."""
        request = pb.LiftHoldRequest(
            workspace_id=hold.workspace_id,
            hold_id=hold.hold_id,
            due_action=pb.DueAction.Value(f"DUE_ACTION_{action}"),
        )
        return self.stub.LiftHold(request, timeout=TIMEOUT).held_deliveries

    def decide(self, decision: str, *delivery_ids: str, workspace: str = WORKSPACE) -> list[pb.DecisionResult]:
        """Decides deliveries."""
        request = pb.DecideDeliveriesRequest(
            workspace_id=workspace, delivery_ids=delivery_ids, decision=pb.Decision.Value(f"DECISION_{decision}")
        )
        return list(self.stub.DecideDeliveries(request, timeout=TIMEOUT).results)

    def late_by(self, post: pb.Post, **late: float) -> None:
        """A post was to go out so long ago."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            tx.execute(
                text(
                    "UPDATE deliveries SET due_time = now() - CAST(:late AS interval),"
                    " schedule_time = now() - CAST(:late AS interval) WHERE post_id = :post"
                ),
                {"post": post.post_id, "late": timedelta(**late)},
            )


class Cut:
    """Cuts the connection at one moment, the nth of all."""

    def __init__(self, nth: int) -> None:
        self.left, self.happened = nth, False

    def __call__(self, moment: Moment) -> Reaction:
        if self.happened:
            return Reaction.PASS
        self.left -= 1
        self.happened = self.left < 0
        return Reaction.CUT if self.happened else Reaction.PASS


@contextmanager
def open_stage(database: Database) -> Iterator[Stage]:
    """A scheduler whose claimers are woken by the database alone: its poll is too slow to help."""
    bell = Bell()
    api = SchedulerApi(database, bell, POLICY, poll_seconds=300)
    listener = Listener(database.url, {store.DUE_CHANNEL: bell.ring})
    listener.start()
    wait_until(lambda: bell.rings, "the listener")
    with served(
        (scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server, api),
        (bulk_pb2_grpc.add_BulkServiceServicer_to_server, BulkApi(database)),
        (plans_pb2_grpc.add_PlanServiceServicer_to_server, PlanApi(database, POLICY)),
        (series_pb2_grpc.add_SeriesServiceServicer_to_server, SeriesApi(database, ahead(30))),
    ) as channel:
        yield Stage(database, channel, bell)
        bell.close()
    listener.stop(5)


def ahead(days: float) -> timedelta:
    """So long that posts are made for so many days from tomorrow on."""
    return TOMORROW + timedelta(days=days) - _NOW


def draft_of(*, accounts: int = 1, due_in: timedelta = timedelta(hours=1), **fields: object) -> pb.PostDraft:
    """A draft due so much later, to the second."""
    draft = pb.PostDraft(
        channel="air",
        account_ids=[str(uuid4()) for _ in range(accounts)],
        caption="First words",
        media=[pb.PostMedia(media_asset_id=str(uuid4()), sha256="0" * 64, mime_type="video/mp4")],
        local_time=f"{datetime.now(UTC) + due_in:%Y-%m-%dT%H:%M:%S}",
        time_zone="UTC",
        options=pb.PostOptions(tiktok=pb.TikTokOptions(privacy_level="SELF_ONLY", is_ai_generated=True)),
    )
    draft.MergeFrom(pb.PostDraft(**fields))  # type: ignore[arg-type]
    return draft


def claim_request(batch: int = 100, lead: int = 0, wait: int = 0) -> pb.ClaimDueDeliveriesRequest:
    return pb.ClaimDueDeliveriesRequest(
        holder="test",
        max_deliveries=batch,
        lease_duration=Duration(seconds=30),
        lead_time=Duration(seconds=lead),
        wait_duration=Duration(seconds=wait),
        takes_ask_only=True,
    )


def held_of(claimed: pb.ClaimedDelivery) -> pb.HeldDelivery:
    return pb.HeldDelivery(workspace_id=claimed.workspace_id, delivery_id=claimed.delivery_id, attempt=claimed.attempt)


def report_of(
    claimed: pb.ClaimedDelivery,
    outcome: pb.Accepted | pb.Published | pb.Failure | pb.Uncertain | pb.Removed | pb.Released,
) -> pb.DeliveryReport:
    report = pb.DeliveryReport(
        workspace_id=claimed.workspace_id, delivery_id=claimed.delivery_id, attempt=claimed.attempt
    )
    getattr(report, type(outcome).__name__.lower()).CopyFrom(outcome)
    return report


def fail_request(workspace_id: str, delivery_id: str, attempt: int, failure: pb.Failure) -> pb.FailDeliveryRequest:
    return pb.FailDeliveryRequest(workspace_id=workspace_id, delivery_id=delivery_id, attempt=attempt, failure=failure)


def complete_request(
    workspace_id: str, delivery_id: str, attempt: int, result: pb.Accepted | pb.Published
) -> pb.CompleteDeliveryRequest:
    return pb.CompleteDeliveryRequest(
        workspace_id=workspace_id,
        delivery_id=delivery_id,
        attempt=attempt,
        accepted=result if isinstance(result, pb.Accepted) else None,
        published=result if isinstance(result, pb.Published) else None,
    )


def at(instant: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(instant)
    return message


ACCEPTED = pb.Accepted(accept_time=at(datetime(2027, 1, 4, 17, tzinfo=UTC)))
PUBLISHED = pb.Published(
    platform_post_id="7",
    url="https://tiktok.example/@brand/video/7",
    visibility=pb.VISIBILITY_PUBLIC,
    publish_time=at(datetime(2027, 1, 4, 17, tzinfo=UTC)),
)


def failure(kind: str, retry_time: datetime | None = None) -> pb.Failure:
    return pb.Failure(
        kind=pb.FailureKind.Value(f"FAILURE_KIND_{kind}"),
        reason="TIKTOK_SAID_SO",
        message="TikTok said so.",
        retry_time=at(retry_time) if retry_time else None,
    )


def state_of(post: pb.Post, index: int = 0) -> str:
    return pb.DeliveryState.Name(post.deliveries[index].state).removeprefix("DELIVERY_STATE_")


@contextmanager
def refused() -> Iterator[list[ReelrouteError]]:
    """Expects a refusal, and keeps it."""
    kept: list[ReelrouteError] = []
    with pytest.raises(grpc.RpcError) as caught:
        yield kept
    kept.append(from_rpc_error(caught.value))
