"""The RPCs of the scheduler. Each is one transaction: translate in, decide, store, tell, translate out."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import grpc
import protovalidate
from prometheus_client import Histogram
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1 import scheduler_pb2_grpc
from sqlalchemy import Connection

from kit import rpc_server
from kit.activity import activity
from kit.db import ALL_WORKSPACES, Database
from kit.errors import FieldViolation, InvalidArgument
from kit.idempotency import once
from kit.outbox import Notice
from kit.paging import Page
from kit.timestamps import from_timestamp, to_timestamp
from services.scheduler import domain, messages, store
from services.scheduler.waiting import DueBell, claim_or_wait

CLAIM_SECONDS = Histogram("reelroute_claim_seconds", "Time of one claim in the database.")
# Fields of PostDraft that together make the instant.
_TIME_FIELDS = {"local_time", "time_zone", "ambiguous_time"}


class SchedulerApi(scheduler_pb2_grpc.SchedulerServiceServicer):
    """See scheduler.proto for what each RPC promises."""

    def __init__(
        self, database: Database, bell: DueBell, policy: domain.RetryPolicy, *, poll_seconds: float = 5
    ) -> None:
        self._database = database
        self._bell = bell
        self._policy = policy
        self._poll_seconds = poll_seconds
        self._validator = protovalidate.Validator()

    def CreatePost(self, request: pb.CreatePostRequest, context: grpc.ServicerContext) -> pb.CreatePostResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:

            def make() -> pb.CreatePostResponse:
                schedule = messages.schedule_from(request.post, store.database_time(tx))
                draft = messages.draft_from(request.post, schedule)
                (post_id,) = store.insert_posts(tx, workspace_id, [draft])
                post = store.read_post(tx, workspace_id, post_id)
                store.tell(tx, [_created(post)])
                return pb.CreatePostResponse(post=messages.post_to(post))

            return once(
                tx,
                store.requests,
                workspace_id=workspace_id,
                request_id=request.request_id,
                request=request,
                response_type=pb.CreatePostResponse,
                make=make,
            )

    def BatchCreatePosts(
        self, request: pb.BatchCreatePostsRequest, context: grpc.ServicerContext
    ) -> pb.BatchCreatePostsResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            if request.validate_only:
                return self._batch(tx, request, store.database_time(tx))
            return once(
                tx,
                store.requests,
                workspace_id=workspace_id,
                request_id=request.request_id,
                request=request,
                response_type=pb.BatchCreatePostsResponse,
                make=lambda: self._batch(tx, request, store.database_time(tx)),
            )

    def _batch(self, tx: Connection, request: pb.BatchCreatePostsRequest, now: datetime) -> pb.BatchCreatePostsResponse:
        workspace_id = UUID(request.workspace_id)
        results: list[pb.BatchCreateResult] = []
        taken: list[tuple[int, domain.Draft]] = []
        for index, message in enumerate(request.posts):
            try:
                self._check(message)
                draft = messages.draft_from(message, messages.schedule_from(message, now))
                taken.append((index, draft))
                results.append(pb.BatchCreateResult(post=messages.planned_to(request.workspace_id, draft)))
            except InvalidArgument as refusal:
                results.append(pb.BatchCreateResult(refusal=_refusal(refusal)))
        if taken and not request.validate_only:
            post_ids = store.insert_posts(tx, workspace_id, [draft for _, draft in taken])
            posts = store.read_posts(tx, workspace_id, post_ids)
            for index, post in zip((index for index, _ in taken), posts, strict=True):
                results[index] = pb.BatchCreateResult(post=messages.post_to(post))
            store.tell(tx, [_created(post) for post in posts])
        return pb.BatchCreatePostsResponse(results=results)

    def _check(self, message: pb.PostDraft) -> None:
        violations = rpc_server.check(self._validator, message)
        if violations:
            raise InvalidArgument(f"{violations[0].field}: {violations[0].description}", violations)

    def GetPost(self, request: pb.GetPostRequest, context: grpc.ServicerContext) -> pb.GetPostResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            post = store.read_post(tx, workspace_id, UUID(request.post_id))
        return pb.GetPostResponse(post=messages.post_to(post))

    def ListPosts(self, request: pb.ListPostsRequest, context: grpc.ServicerContext) -> pb.ListPostsResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID))
        with self._database.transaction(workspace_id) as tx:
            posts = store.list_posts(
                tx,
                workspace_id,
                page,
                from_time=from_timestamp(request.from_time, "from_time") if request.HasField("from_time") else None,
                until_time=from_timestamp(request.until_time, "until_time") if request.HasField("until_time") else None,
                channel=request.channel,
                state=messages.state_from(request.delivery_state),
            )
        shown = posts[: page.size]
        token = Page.token(shown[-1].draft.schedule.instant, shown[-1].post_id) if len(posts) > page.size else ""
        return pb.ListPostsResponse(posts=[messages.post_to(post) for post in shown], next_page_token=token)

    def UpdatePost(self, request: pb.UpdatePostRequest, context: grpc.ServicerContext) -> pb.UpdatePostResponse:
        workspace_id, post_id = UUID(request.workspace_id), UUID(request.post_id)
        with self._database.transaction(workspace_id) as tx:
            post = store.read_post(tx, workspace_id, post_id, lock=True)
            domain.check_editable(post, request.etag)
            draft = self._edited(post.draft, request, store.database_time(tx))
            store.update_post(tx, post, draft)
            edited = store.read_post(tx, workspace_id, post_id)
            changed = ", ".join(sorted(request.update_mask))
            store.tell(
                tx,
                [_about(edited, "post.updated", f"The post was changed: {changed}.", edited.update_time)],
            )
        return pb.UpdatePostResponse(post=messages.post_to(edited))

    def _edited(self, draft: domain.Draft, request: pb.UpdatePostRequest, now: datetime) -> domain.Draft:
        """The draft with the masked fields replaced; the whole keeps the same rules as a new one.

        When no field of the time is named the instant stays, also when it is over and another attempt waits.
        """
        message = messages.draft_to(draft)
        for name in request.update_mask:
            message.ClearField(name)  # type: ignore[arg-type]
            message.MergeFrom(_only(request.post, name))
        self._check(message)
        moved = _TIME_FIELDS.intersection(request.update_mask)
        return messages.draft_from(message, messages.schedule_from(message, now) if moved else draft.schedule)

    def CancelPost(self, request: pb.CancelPostRequest, context: grpc.ServicerContext) -> pb.CancelPostResponse:
        workspace_id, post_id = UUID(request.workspace_id), UUID(request.post_id)
        with self._database.transaction(workspace_id) as tx:
            post = store.read_post(tx, workspace_id, post_id, lock=True)
            ended = domain.deliveries_to_cancel(post)
            if ended:
                store.cancel_deliveries(tx, workspace_id, ended)
                post = store.read_post(tx, workspace_id, post_id)
                now = store.database_time(tx)
                store.tell(tx, [_about(post, "post.canceled", "The post was canceled before it went out.", now)])
        return pb.CancelPostResponse(post=messages.post_to(post))

    def ClaimDueDeliveries(
        self, request: pb.ClaimDueDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ClaimDueDeliveriesResponse:
        lead = request.lead_time.ToTimedelta().total_seconds()
        claimed_at: list[datetime] = []

        def claim() -> list[domain.Claimed]:
            with CLAIM_SECONDS.time(), self._database.transaction(ALL_WORKSPACES) as tx:
                claimed = store.claim(
                    tx,
                    holder=request.holder,
                    batch=request.max_deliveries,
                    lease_seconds=request.lease_duration.ToTimedelta().total_seconds(),
                    lead_seconds=lead,
                )
                claimed_at[:] = [store.database_time(tx)]
            return claimed

        def seconds_until_due() -> float | None:
            with self._database.transaction(ALL_WORKSPACES) as tx:
                return store.seconds_until_due(tx, lead)

        claimed = claim_or_wait(
            self._bell,
            wait_seconds=request.wait_duration.ToTimedelta().total_seconds(),
            poll_seconds=self._poll_seconds,
            is_wanted=context.is_active,
            claim=claim,
            seconds_until_due=seconds_until_due,
        )
        return pb.ClaimDueDeliveriesResponse(
            deliveries=[messages.claimed_to(delivery) for delivery in claimed],
            claim_time=to_timestamp(claimed_at[0]) if claimed_at else None,
        )

    def RenewDelivery(
        self, request: pb.RenewDeliveryRequest, context: grpc.ServicerContext
    ) -> pb.RenewDeliveryResponse:
        workspace_id, delivery_id = UUID(request.workspace_id), UUID(request.delivery_id)
        with self._database.transaction(workspace_id) as tx:
            seconds = request.lease_duration.ToTimedelta().total_seconds()
            expires = store.renew(tx, workspace_id, delivery_id, request.attempt, seconds)
            if expires is None:
                raise domain.lost_lease(store.read_delivery(tx, workspace_id, delivery_id), request.attempt)
        return pb.RenewDeliveryResponse(lease_expire_time=to_timestamp(expires))

    def CompleteDelivery(
        self, request: pb.CompleteDeliveryRequest, context: grpc.ServicerContext
    ) -> pb.CompleteDeliveryResponse:
        workspace_id, delivery_id = UUID(request.workspace_id), UUID(request.delivery_id)
        with self._database.transaction(workspace_id) as tx:
            delivery = store.read_delivery(tx, workspace_id, delivery_id)
            reported = (
                domain.DeliveryState.CONFIRMING if request.HasField("accepted") else domain.DeliveryState.PUBLISHED
            )
            if not domain.takes_report(delivery, request.attempt, reported):
                return pb.CompleteDeliveryResponse()
            if reported is domain.DeliveryState.CONFIRMING:
                store.set_confirming(tx, workspace_id, delivery_id, request.attempt)
                time = from_timestamp(request.accepted.accept_time, "accepted.accept_time")
                text = "The platform has everything; its verdict is awaited."
                store.tell(tx, [_on(workspace_id, delivery, "delivery.confirming", text, time)])
            else:
                published = request.published
                time = from_timestamp(published.publish_time, "published.publish_time")
                store.set_published(
                    tx,
                    workspace_id,
                    delivery_id,
                    request.attempt,
                    platform_post_id=published.platform_post_id,
                    url=published.url,
                    visibility=messages.visibility_from(published.visibility),
                    publish_time=time,
                )
                visibility = pb.Visibility.Name(published.visibility).removeprefix("VISIBILITY_").lower()
                text = f"Published ({visibility})" + (f": {published.url}" if published.url else ".")
                store.tell(
                    tx,
                    [
                        _on(
                            workspace_id,
                            delivery,
                            "delivery.published",
                            text,
                            time,
                            url=published.url,
                            platform_post_id=published.platform_post_id,
                            visibility=visibility,
                        )
                    ],
                )
        return pb.CompleteDeliveryResponse()

    def FailDelivery(self, request: pb.FailDeliveryRequest, context: grpc.ServicerContext) -> pb.FailDeliveryResponse:
        workspace_id, delivery_id = UUID(request.workspace_id), UUID(request.delivery_id)
        failure = messages.failure_from(request.failure)
        with self._database.transaction(workspace_id) as tx:
            delivery = store.read_delivery(tx, workspace_id, delivery_id)
            now = store.database_time(tx)
            state, due_time = domain.after_failure(failure, request.attempt, self._policy, now)
            if not domain.takes_report(delivery, request.attempt, state):
                return pb.FailDeliveryResponse()
            store.set_failed(
                tx, workspace_id, delivery_id, request.attempt, failure=failure, state=state, due_time=due_time
            )
            kind, text = domain.told_failure(failure, request.attempt, state, due_time, now)
            store.tell(tx, [_on(workspace_id, delivery, kind, text, now, reason=failure.reason)])
        return pb.FailDeliveryResponse()


def _only(message: pb.PostDraft, name: str) -> pb.PostDraft:
    """A draft that holds one field of another."""
    result = pb.PostDraft()
    result.MergeFrom(message)
    for field in result.DESCRIPTOR.fields:
        if field.name != name:
            result.ClearField(field.name)  # type: ignore[arg-type]
    return result


def _refusal(error: InvalidArgument) -> pb.DraftRefusal:
    return pb.DraftRefusal(
        reason=error.reason, message=error.message, field_violations=[_violation(item) for item in error.violations]
    )


def _violation(violation: FieldViolation) -> pb.FieldViolation:
    return pb.FieldViolation(field=violation.field, description=violation.description)


def _created(post: domain.Post) -> Notice:
    when = post.draft.schedule.local_time.isoformat(sep=" ")
    text = f"Scheduled for {when} ({post.draft.schedule.time_zone}) on {len(post.deliveries)} account(s)."
    return _about(post, "post.created", text, post.create_time)


def _about(post: domain.Post, kind: str, summary: str, time: datetime) -> Notice:
    return activity(post.workspace_id, kind, summary, time, post_id=post.post_id)


def _on(
    workspace_id: UUID, delivery: domain.Delivery, kind: str, summary: str, time: datetime, **attributes: str
) -> Notice:
    return activity(
        workspace_id,
        kind,
        summary,
        time,
        post_id=delivery.post_id,
        delivery_id=delivery.delivery_id,
        account_id=delivery.account_id,
        attributes=attributes,
    )
