"""The RPCs of the scheduler. Each is one transaction: translate in, decide, store, tell, translate out."""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate
from uuid import UUID

import grpc
import protovalidate
from prometheus_client import Histogram
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1 import scheduler_pb2_grpc
from sqlalchemy import Connection

from kit import rpc_server
from kit.db import ALL_WORKSPACES, Database
from kit.errors import InvalidArgument, ReelrouteError
from kit.idempotency import once
from kit.paging import Page
from kit.timestamps import from_timestamp, to_timestamp
from services.scheduler import (
    activities,
    catching_up,
    deciding,
    dispatch,
    dispatch_store,
    domain,
    hold_store,
    holding,
    messages,
    saving,
    store,
    upcoming_store,
)
from services.scheduler.conflicts import ConflictRefused
from services.scheduler.deciding import NOBODY, Fate
from services.scheduler.dispatch_store import Held
from services.scheduler.saving import Saved
from services.scheduler.tables import requests
from services.scheduler.waiting import DueBell, claim_or_wait

CLAIM_SECONDS = Histogram("reelroute_claim_seconds", "Time of one claim in the database.")
# A page of what is to go out: rows, and bytes of a message (kit.rpc takes twice as many).
_UPCOMING_USUAL, _UPCOMING_MOST, _UPCOMING_BYTES = 500, 1000, 8 * 1024 * 1024
# Of posts, and of deliveries in them: with fifty accounts each, fewer posts fit into a message.
_MOST_SUMMARIES, _MOST_SUMMARY_DELIVERIES = 2000, 20_000
# Fields of PostDraft that together make the instant.
_TIME_FIELDS = {"local_time", "time_zone", "ambiguous_time"}


class SchedulerApi(scheduler_pb2_grpc.SchedulerServiceServicer):
    """See scheduler.proto for what each RPC promises."""

    def __init__(self, database: Database, bell: DueBell, policy: domain.Policy, *, poll_seconds: float = 5) -> None:
        self._database = database
        self._bell = bell
        self._policy = policy
        self._poll_seconds = poll_seconds
        self._turns = dispatch.Turns()
        self._validator = protovalidate.Validator()

    def CreatePost(self, request: pb.CreatePostRequest, context: grpc.ServicerContext) -> pb.CreatePostResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:

            def make() -> pb.CreatePostResponse:
                schedule = messages.schedule_from(request.post, store.database_time(tx))
                draft = messages.draft_from(request.post, schedule)
                (saved,) = saving.save(tx, workspace_id, [domain.NewPost(draft)])
                if isinstance(saved, ConflictRefused):
                    raise saved
                post = store.read_post(tx, workspace_id, saved.post_id)
                store.tell(tx, [activities.created(post)])
                return pb.CreatePostResponse(
                    post=messages.post_to(post), conflicts=messages.conflicts_to(saved.conflicts)
                )

            return once(
                tx,
                requests,
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
                requests,
                workspace_id=workspace_id,
                request_id=request.request_id,
                request=request,
                response_type=pb.BatchCreatePostsResponse,
                make=lambda: self._batch(tx, request, store.database_time(tx)),
            )

    def _batch(self, tx: Connection, request: pb.BatchCreatePostsRequest, now: datetime) -> pb.BatchCreatePostsResponse:
        workspace_id = UUID(request.workspace_id)
        results: dict[int, pb.BatchCreateResult] = {}
        good: dict[int, domain.Draft] = {}
        for index, message in enumerate(request.posts):
            try:
                self._check(message)
                good[index] = messages.draft_from(message, messages.schedule_from(message, now))
            except InvalidArgument as refusal:
                results[index] = pb.BatchCreateResult(refusal=messages.refusal_to(refusal))
        drafts = list(good.values())
        if request.validate_only:
            for (index, draft), conflicts in zip(good.items(), saving.judge(tx, workspace_id, drafts), strict=True):
                refused = saving.refusal(conflicts)
                results[index] = (
                    pb.BatchCreateResult(refusal=messages.refusal_to(refused))
                    if refused
                    else pb.BatchCreateResult(
                        post=messages.planned_to(request.workspace_id, draft),
                        conflicts=messages.conflicts_to(conflicts),
                    )
                )
        else:
            saved = saving.save(tx, workspace_id, [domain.NewPost(draft) for draft in drafts])
            ids = [each.post_id for each in saved if isinstance(each, Saved)]
            posts = {post.post_id: post for post in store.read_posts(tx, workspace_id, ids)}
            for index, result in zip(good, saved, strict=True):
                results[index] = (
                    pb.BatchCreateResult(
                        post=messages.post_to(posts[result.post_id]), conflicts=messages.conflicts_to(result.conflicts)
                    )
                    if isinstance(result, Saved)
                    else pb.BatchCreateResult(refusal=messages.refusal_to(result))
                )
            store.tell(tx, [activities.created(post) for post in posts.values()])
        return pb.BatchCreatePostsResponse(results=[results[index] for index in range(len(request.posts))])

    def _check(self, message: pb.PostDraft | pb.DeliveryReport) -> None:
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
        wanted = replace(messages.filter_from(request), approval=messages.approval_from(request.approval))
        if request.view == pb.POST_VIEW_SUMMARY:
            return self._list_summaries(request, wanted)
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID))
        with self._database.transaction(workspace_id) as tx:
            posts = store.list_posts(tx, workspace_id, wanted, page)
        shown, token = page.cut(posts, lambda post: (post.draft.schedule.instant, post.post_id))
        return pb.ListPostsResponse(posts=[messages.post_to(post) for post in shown], next_page_token=token)

    def _list_summaries(self, request: pb.ListPostsRequest, wanted: domain.PostFilter) -> pb.ListPostsResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID), most=_MOST_SUMMARIES)
        with self._database.transaction(workspace_id) as tx:
            found = store.list_summaries(tx, workspace_id, wanted, page)
        filled = list(accumulate(len(each.deliveries) for each in found[: page.size]))
        page = replace(page, size=max(1, min(page.size, bisect_right(filled, _MOST_SUMMARY_DELIVERIES))))
        shown, token = page.cut(found, lambda each: (each.post[5], each.post[0]))
        return messages.summaries_to(shown, token)

    def UpdatePost(self, request: pb.UpdatePostRequest, context: grpc.ServicerContext) -> pb.UpdatePostResponse:
        workspace_id, post_id = UUID(request.workspace_id), UUID(request.post_id)
        with self._database.transaction(workspace_id) as tx:
            post = store.read_post(tx, workspace_id, post_id, lock=True)
            domain.check_editable(post, request.etag)
            draft = self._edited(post.draft, request, store.database_time(tx))
            (saved,) = saving.change(tx, workspace_id, [(post, draft)])
            if isinstance(saved, ConflictRefused):
                raise saved
            edited = store.read_post(tx, workspace_id, post_id)
            changed = ", ".join(sorted(request.update_mask))
            store.tell(
                tx,
                [activities.about(edited, "post.updated", f"The post was changed: {changed}.", edited.update_time)],
            )
        return pb.UpdatePostResponse(post=messages.post_to(edited), conflicts=messages.conflicts_to(saved.conflicts))

    def _edited(self, draft: domain.Draft, request: pb.UpdatePostRequest, now: datetime) -> domain.Draft:
        """The draft with the masked fields replaced; the whole keeps the same rules as a new one.

        When no field of the time is named the instant stays, also when it is over and another attempt waits.
        """
        message = messages.edited(draft, request.post, request.update_mask)
        self._check(message)
        moved = _TIME_FIELDS.intersection(request.update_mask)
        return messages.draft_from(message, messages.schedule_from(message, now) if moved else draft.schedule)

    def CancelPost(self, request: pb.CancelPostRequest, context: grpc.ServicerContext) -> pb.CancelPostResponse:
        workspace_id, post_id = UUID(request.workspace_id), UUID(request.post_id)
        with self._database.transaction(workspace_id) as tx:
            post = store.read_post(tx, workspace_id, post_id, lock=True)
            ended = domain.deliveries_to_cancel(post)
            if ended:
                canceled = Fate(domain.DeliveryState.CANCELED)
                dispatch_store.settle(tx, [(delivery_id, canceled) for delivery_id in ended])
                post = store.read_post(tx, workspace_id, post_id)
                now = store.database_time(tx)
                text = "The post was canceled before it went out."
                store.tell(tx, [activities.about(post, "post.canceled", text, now)])
        return pb.CancelPostResponse(post=messages.post_to(post))

    def DecideDeliveries(
        self, request: pb.DecideDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.DecideDeliveriesResponse:
        workspace_id = UUID(request.workspace_id)
        ids = [UUID(each) for each in request.delivery_ids]
        action = messages.decision_from(request.decision)
        with self._database.transaction(workspace_id) as tx:
            decided = holding.decide(tx, self._policy, workspace_id, ids, action)
        return pb.DecideDeliveriesResponse(results=[_decided(decided[each]) for each in ids])

    def PlaceHold(self, request: pb.PlaceHoldRequest, context: grpc.ServicerContext) -> pb.PlaceHoldResponse:
        scope, cause = messages.scope_from(request.scope), messages.cause_from(request.cause)
        owner = _owner(request.workspace_id, scope, request.target)
        with self._database.transaction(ALL_WORKSPACES if owner == NOBODY else owner) as tx:
            hold, held = holding.place(tx, owner, scope, request.target, cause, request.reason)
        return pb.PlaceHoldResponse(hold=messages.hold_to(hold, held))

    def LiftHold(self, request: pb.LiftHoldRequest, context: grpc.ServicerContext) -> pb.LiftHoldResponse:
        owner = UUID(request.workspace_id) if request.workspace_id else NOBODY
        with self._database.transaction(ALL_WORKSPACES if owner == NOBODY else owner) as tx:
            hold = self._hold(tx, request, owner)
            if hold is None:
                return pb.LiftHoldResponse()
            held = holding.begin_lift(tx, hold, messages.due_action_from(request.due_action))
        # What is left over when this process dies here, every process finishes.
        holding.give_back(self._database, self._policy)
        return pb.LiftHoldResponse(held_deliveries=held)

    def _hold(self, tx: Connection, request: pb.LiftHoldRequest, owner: UUID) -> domain.Hold | None:
        if request.hold_id:
            hold = hold_store.read_hold(tx, owner, UUID(request.hold_id))
            if hold is None:
                raise domain.HoldNotFound(
                    "There is no hold with this id; perhaps it was lifted already.",
                    metadata={"hold_id": request.hold_id},
                )
            return hold
        scope, cause = messages.scope_from(request.scope), messages.cause_from(request.cause)
        owner = _owner(request.workspace_id, scope, request.target)
        return hold_store.find_hold(tx, owner, scope, request.target, cause)

    def ListHolds(self, request: pb.ListHoldsRequest, context: grpc.ServicerContext) -> pb.ListHoldsResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID))
        # Holds of everything and of a platform are of no workspace, and concern each.
        with self._database.transaction(ALL_WORKSPACES) as tx:
            holds = hold_store.list_holds(tx, workspace_id, page)
            shown, token = page.cut(holds, lambda hold: (hold.create_time, hold.hold_id))
            held = hold_store.count_held(tx, [hold.hold_id for hold in shown], workspace_id)
        return pb.ListHoldsResponse(
            holds=[messages.hold_to(hold, held.get(hold.hold_id, 0)) for hold in shown], next_page_token=token
        )

    def SetChannelRules(
        self, request: pb.SetChannelRulesRequest, context: grpc.ServicerContext
    ) -> pb.SetChannelRulesResponse:
        workspace_id = UUID(request.workspace_id)
        rules = messages.rules_from(request.rules)
        with self._database.transaction(workspace_id) as tx:
            hold_store.set_rules(tx, workspace_id, rules)
        return pb.SetChannelRulesResponse(rules=messages.rules_to(rules))

    def ListChannelRules(
        self, request: pb.ListChannelRulesRequest, context: grpc.ServicerContext
    ) -> pb.ListChannelRulesResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (str,))
        with self._database.transaction(workspace_id) as tx:
            rules = hold_store.list_rules(tx, workspace_id, page)
        shown, token = page.cut(rules, lambda each: (each.channel,))
        return pb.ListChannelRulesResponse(rules=[messages.rules_to(each) for each in shown], next_page_token=token)

    def ListOutages(self, request: pb.ListOutagesRequest, context: grpc.ServicerContext) -> pb.ListOutagesResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID))
        with self._database.transaction(workspace_id) as tx:
            outages = hold_store.list_outages(tx, workspace_id, page)
        shown, token = page.cut(outages, lambda each: (each[0].start_time, each[0].outage_id))
        return pb.ListOutagesResponse(
            outages=[messages.outage_to(outage, delayed) for outage, delayed in shown], next_page_token=token
        )

    def ListOutageDeliveries(
        self, request: pb.ListOutageDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ListOutageDeliveriesResponse:
        workspace_id, outage_id = UUID(request.workspace_id), UUID(request.outage_id)
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID))
        with self._database.transaction(workspace_id) as tx:
            delayed = hold_store.list_outage_deliveries(tx, workspace_id, outage_id, page)
            if not delayed and page.after is None:
                raise domain.OutageNotFound(
                    "No outage with this id delayed a delivery of the workspace.",
                    metadata={"outage_id": str(outage_id)},
                )
        shown, token = page.cut(delayed, lambda each: (each.schedule_time, each.delivery_id))
        return pb.ListOutageDeliveriesResponse(
            deliveries=[messages.delivery_to(each) for each in shown], next_page_token=token
        )

    def ListUpcomingDeliveries(
        self, request: pb.ListUpcomingDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ListUpcomingDeliveriesResponse:
        workspace_id = UUID(request.workspace_id) if request.workspace_id else None
        size = request.page_size or _UPCOMING_USUAL
        page = Page.parse(size, request.page_token, (datetime, UUID), most=_UPCOMING_MOST)
        with self._database.transaction(workspace_id or ALL_WORKSPACES) as tx:
            found = upcoming_store.list_upcoming(
                tx,
                self._policy,
                page,
                workspace_id=workspace_id,
                from_time=from_timestamp(request.from_time, "from_time") if request.HasField("from_time") else None,
                until_time=from_timestamp(request.until_time, "until_time"),
            )
        shown: list[pb.UpcomingDelivery] = []
        size = 0
        for each in found[: page.size]:
            message = messages.upcoming_to(each)
            size += message.ByteSize()
            if shown and size > _UPCOMING_BYTES:
                break
            shown.append(message)
        token = ""
        if len(shown) < len(found):
            last = found[len(shown) - 1].delivery
            token = page.token(last.due_time, last.delivery_id)
        return pb.ListUpcomingDeliveriesResponse(deliveries=shown, next_page_token=token)

    def ClaimDueDeliveries(
        self, request: pb.ClaimDueDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ClaimDueDeliveriesResponse:
        lead = request.lead_time.ToTimedelta().total_seconds()
        # The database's clock, and ours when it was read.
        read_at: list[tuple[datetime, float]] = []

        def claim() -> list[domain.Claimed]:
            with CLAIM_SECONDS.time(), self._database.transaction(ALL_WORKSPACES) as tx:
                catching_up.note_asked(tx, self._policy)
                claimed = dispatch.claim(
                    tx,
                    self._policy,
                    self._turns,
                    holder=request.holder,
                    batch=request.max_deliveries,
                    lease_seconds=request.lease_duration.ToTimedelta().total_seconds(),
                    lead_seconds=lead,
                    takes_ask_only=request.takes_ask_only,
                )
                read_at[:] = [(store.database_clock(tx), time.monotonic())]
            return claimed

        def seconds_until_due() -> float | None:
            with self._database.transaction(ALL_WORKSPACES) as tx:
                return dispatch_store.seconds_until_due(tx, lead)

        claimed = claim_or_wait(
            self._bell,
            wait_seconds=request.wait_duration.ToTimedelta().total_seconds(),
            poll_seconds=self._poll_seconds,
            is_wanted=context.is_active,
            claim=claim,
            seconds_until_due=seconds_until_due,
        )
        answer = pb.ClaimDueDeliveriesResponse(deliveries=[messages.claimed_to(delivery) for delivery in claimed])
        for clock, read in read_at:
            answer.claim_time.CopyFrom(to_timestamp(clock + timedelta(seconds=time.monotonic() - read)))
        return answer

    def RenewDeliveries(
        self, request: pb.RenewDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.RenewDeliveriesResponse:
        held = [messages.held_from(each) for each in request.deliveries]
        with self._database.transaction(ALL_WORKSPACES) as tx:
            kept = dispatch_store.renew(tx, held, request.lease_duration.ToTimedelta().total_seconds())
        return pb.RenewDeliveriesResponse(
            lost_delivery_ids=[str(each.delivery_id) for each in held if each.delivery_id not in kept]
        )

    def AuthorizeDeliveries(
        self, request: pb.AuthorizeDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.AuthorizeDeliveriesResponse:
        asked = [messages.held_from(each) for each in request.deliveries]
        with self._database.transaction(ALL_WORKSPACES) as tx:
            lease_seconds = request.lease_duration.ToTimedelta().total_seconds()
            answers = dispatch.authorize(tx, self._policy, asked, lease_seconds)
        return pb.AuthorizeDeliveriesResponse(authorizations=[_AUTHORIZATION[each] for each in answers])

    def ReportDeliveries(
        self, request: pb.ReportDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ReportDeliveriesResponse:
        refusals: dict[int, ReelrouteError] = {}
        taken: list[tuple[int, dispatch.Report]] = []
        for index, message in enumerate(request.reports):
            try:
                self._check(message)
                taken.append((index, messages.report_from(message)))
            except InvalidArgument as refusal:
                refusals[index] = refusal
        with self._database.transaction(ALL_WORKSPACES) as tx:
            answers = dispatch.report(tx, self._policy, [each for _, each in taken])
        for (index, each), answer in zip(taken, answers, strict=True):
            lost = _report_refusal(each, answer)
            if lost is not None:
                refusals[index] = lost
        return pb.ReportDeliveriesResponse(
            refusals=[
                pb.ReportRefusal(index=index, reason=error.reason, message=error.message)
                for index, error in sorted(refusals.items())
            ]
        )

    def RenewDelivery(
        self, request: pb.RenewDeliveryRequest, context: grpc.ServicerContext
    ) -> pb.RenewDeliveryResponse:
        workspace_id, delivery_id = UUID(request.workspace_id), UUID(request.delivery_id)
        seconds = request.lease_duration.ToTimedelta().total_seconds()
        with self._database.transaction(workspace_id) as tx:
            if not dispatch_store.renew(tx, [Held(workspace_id, delivery_id, request.attempt)], seconds):
                delivery = dispatch_store.read_delivery(tx, workspace_id, delivery_id)
                raise deciding.lost_lease(delivery, request.attempt)
            expires = store.database_time(tx) + timedelta(seconds=seconds)
        return pb.RenewDeliveryResponse(lease_expire_time=to_timestamp(expires))

    def CompleteDelivery(
        self, request: pb.CompleteDeliveryRequest, context: grpc.ServicerContext
    ) -> pb.CompleteDeliveryResponse:
        report = pb.DeliveryReport(
            workspace_id=request.workspace_id, delivery_id=request.delivery_id, attempt=request.attempt
        )
        if request.HasField("accepted"):
            report.accepted.CopyFrom(request.accepted)
        else:
            report.published.CopyFrom(request.published)
        self._report_one(report)
        return pb.CompleteDeliveryResponse()

    def FailDelivery(self, request: pb.FailDeliveryRequest, context: grpc.ServicerContext) -> pb.FailDeliveryResponse:
        self._report_one(
            pb.DeliveryReport(
                workspace_id=request.workspace_id,
                delivery_id=request.delivery_id,
                attempt=request.attempt,
                failure=request.failure,
            )
        )
        return pb.FailDeliveryResponse()

    def _report_one(self, message: pb.DeliveryReport) -> None:
        report = messages.report_from(message)
        with self._database.transaction(report.workspace_id) as tx:
            (answer,) = dispatch.report(tx, self._policy, [report])
        refusal = _report_refusal(report, answer)
        if refusal is not None:
            raise refusal


_AUTHORIZATION = {
    True: pb.AUTHORIZATION_GRANTED,
    False: pb.AUTHORIZATION_WITHDRAWN,
    None: pb.AUTHORIZATION_LEASE_LOST,
}


def _owner(workspace_id: str, scope: domain.HoldScope, target: str) -> UUID:
    """Whose a hold is."""
    domain.check_hold(UUID(workspace_id) if workspace_id else None, scope, target)
    return UUID(workspace_id) if workspace_id else NOBODY


def _report_refusal(report: dispatch.Report, answer: domain.Delivery | bool | None) -> ReelrouteError | None:
    if answer is None:
        return domain.DeliveryNotFound(
            "There is no delivery with this id in the workspace.", metadata={"delivery_id": str(report.delivery_id)}
        )
    return deciding.lost_lease(answer, report.attempt) if isinstance(answer, domain.Delivery) else None


def _decided(result: domain.Delivery | ReelrouteError) -> pb.DecisionResult:
    if isinstance(result, ReelrouteError):
        return pb.DecisionResult(refusal=messages.refusal_to(result))
    return pb.DecisionResult(delivery=messages.delivery_to(result))
