"""The RPCs of posting plans, of the queue, of rules about duplicates, and of approvals. Each is one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import grpc
import protovalidate
from reelroute.scheduler.v1 import plans_pb2 as pb
from reelroute.scheduler.v1 import plans_pb2_grpc, scheduler_pb2

from kit import rpc_server
from kit.db import Database
from kit.errors import FieldViolation, InvalidArgument, ReelrouteError
from kit.idempotency import once
from kit.paging import Page
from kit.timestamps import from_timestamp
from services.scheduler import (
    activities,
    approving,
    domain,
    messages,
    plan_messages,
    plan_store,
    planning,
    queueing,
    saving,
    store,
    zones,
)
from services.scheduler.conflicts import ConflictRefused
from services.scheduler.duplicates import pair
from services.scheduler.tables import requests

_SHOWN_DAYS = timedelta(days=14)


class PlanApi(plans_pb2_grpc.PlanServiceServicer):
    """See plans.proto for what each RPC promises."""

    def __init__(self, database: Database, policy: domain.Policy) -> None:
        self._database = database
        self._policy = policy
        self._validator = protovalidate.Validator()

    def SetPostingPlan(
        self, request: pb.SetPostingPlanRequest, context: grpc.ServicerContext
    ) -> pb.SetPostingPlanResponse:
        workspace_id = UUID(request.workspace_id)
        plan = planning.checked(plan_messages.plan_from(request.plan))
        with self._database.transaction(workspace_id) as tx:
            plan_store.change_rules(tx, workspace_id)
            plan_store.set_plan(tx, workspace_id, plan)
        return pb.SetPostingPlanResponse(plan=plan_messages.plan_to(plan))

    def GetPostingPlan(
        self, request: pb.GetPostingPlanRequest, context: grpc.ServicerContext
    ) -> pb.GetPostingPlanResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            plan, _ = queueing.read_plan(tx, workspace_id, request.channel)
        return pb.GetPostingPlanResponse(plan=plan_messages.plan_to(plan))

    def ListPostingPlans(
        self, request: pb.ListPostingPlansRequest, context: grpc.ServicerContext
    ) -> pb.ListPostingPlansResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (str,))
        with self._database.transaction(workspace_id) as tx:
            plans = plan_store.list_plans(tx, workspace_id, page)
        shown, token = page.cut(plans, lambda plan: (plan.channel,))
        return pb.ListPostingPlansResponse(plans=map(plan_messages.plan_to, shown), next_page_token=token)

    def DeletePostingPlan(
        self, request: pb.DeletePostingPlanRequest, context: grpc.ServicerContext
    ) -> pb.DeletePostingPlanResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            plan_store.change_rules(tx, workspace_id)
            plan_store.delete_plan(tx, workspace_id, request.channel)
        return pb.DeletePostingPlanResponse()

    def ListSlots(self, request: pb.ListSlotsRequest, context: grpc.ServicerContext) -> pb.ListSlotsResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (datetime,))
        if request.other_time_zone:
            zones.check_zone(request.other_time_zone, "other_time_zone")
        with self._database.transaction(workspace_id) as tx:
            now = store.database_time(tx)
            plan, plans = queueing.read_plan(tx, workspace_id, request.channel)
            start, end = _asked_for(request, now)
            if page.after:
                start = page.after[0] + timedelta(microseconds=1)
            found: list[queueing.SlotState] = []
            for slot in queueing.slots(tx, workspace_id, plan, plans, start, end, now):
                if slot.is_free or not request.only_free:
                    found.append(slot)
                if len(found) > page.size:
                    break
        shown, token = page.cut(found, lambda slot: (slot.instant,))
        return pb.ListSlotsResponse(
            slots=[
                plan_messages.slot_to(slot, zones.local_times(slot.instant, plan.time_zone, request.other_time_zone))
                for slot in shown
            ],
            next_page_token=token,
        )

    def QueuePost(self, request: pb.QueuePostRequest, context: grpc.ServicerContext) -> pb.QueuePostResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:

            def make() -> pb.QueuePostResponse:
                now = store.database_time(tx)
                start = now
                if request.HasField("not_before_time"):
                    start = max(now, from_timestamp(request.not_before_time, "not_before_time"))
                draft = self._draft_without_time(request.post, now)
                draft = replace(draft, schedule=queueing.next_slot(tx, workspace_id, draft, start, now))
                (saved,) = saving.save(tx, workspace_id, [domain.NewPost(draft)])
                if isinstance(saved, ConflictRefused):
                    raise saved
                post = store.read_post(tx, workspace_id, saved.post_id)
                store.tell(tx, [activities.created(post)])
                return pb.QueuePostResponse(
                    post=messages.post_to(post), conflicts=messages.conflicts_to(saved.conflicts)
                )

            return once(
                tx,
                requests,
                workspace_id=workspace_id,
                request_id=request.request_id,
                request=request,
                response_type=pb.QueuePostResponse,
                make=make,
            )

    def _draft_without_time(self, given: scheduler_pb2.PostDraft, now: datetime) -> domain.Draft:
        """The draft of a post whose time is still to be found. Raises InvalidArgument naming the fields at fault."""
        message = scheduler_pb2.PostDraft()
        message.CopyFrom(given)
        message.local_time, message.time_zone = now.strftime("%Y-%m-%dT%H:%M:%S"), "UTC"
        violations = [
            FieldViolation(f"post.{each.field}", each.description, each.reason)
            for each in rpc_server.check(self._validator, message)
        ]
        if violations:
            raise InvalidArgument(f"{violations[0].field}: {violations[0].description}", violations)
        return messages.draft_from(message, domain.Schedule(now.replace(tzinfo=None), "UTC", 0, now))

    def SetDuplicateRule(
        self, request: pb.SetDuplicateRuleRequest, context: grpc.ServicerContext
    ) -> pb.SetDuplicateRuleResponse:
        workspace_id = UUID(request.workspace_id)
        rule = plan_messages.rule_from(request.rule)
        with self._database.transaction(workspace_id) as tx:
            plan_store.change_rules(tx, workspace_id)
            plan_store.set_rule(tx, workspace_id, rule)
        return pb.SetDuplicateRuleResponse(rule=plan_messages.rule_to(rule))

    def ListDuplicateRules(
        self, request: pb.ListDuplicateRulesRequest, context: grpc.ServicerContext
    ) -> pb.ListDuplicateRulesResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (str, str))
        with self._database.transaction(workspace_id) as tx:
            rules = plan_store.list_rules(tx, workspace_id, page)
        shown, token = page.cut(rules, lambda rule: (rule.channel, rule.other_channel))
        return pb.ListDuplicateRulesResponse(rules=map(plan_messages.rule_to, shown), next_page_token=token)

    def DeleteDuplicateRule(
        self, request: pb.DeleteDuplicateRuleRequest, context: grpc.ServicerContext
    ) -> pb.DeleteDuplicateRuleResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            plan_store.change_rules(tx, workspace_id)
            plan_store.delete_rule(tx, workspace_id, *pair(request.channel, request.other_channel))
        return pb.DeleteDuplicateRuleResponse()

    def ApprovePosts(self, request: pb.ApprovePostsRequest, context: grpc.ServicerContext) -> pb.ApprovePostsResponse:
        workspace_id = UUID(request.workspace_id)
        asked = [(UUID(each.post_id), each.etag) for each in request.posts]
        with self._database.transaction(workspace_id) as tx:
            results = approving.decide(tx, self._policy, workspace_id, asked, withdraw=request.withdraw)
        return pb.ApprovePostsResponse(results=[_approved(each) for each in results])


def _asked_for(request: pb.ListSlotsRequest, now: datetime) -> tuple[datetime, datetime]:
    """From when until when. Raises InvalidArgument when that is too much to show."""
    start = from_timestamp(request.from_time, "from_time") if request.HasField("from_time") else now
    end = from_timestamp(request.until_time, "until_time") if request.HasField("until_time") else start + _SHOWN_DAYS
    if end > now + zones.FARTHEST or end - start > zones.FARTHEST:
        raise InvalidArgument.of_field(
            "until_time", f"Slots are listed for two years, at most until {now + zones.FARTHEST:%Y-%m-%d}."
        )
    return start, end


def _approved(result: domain.Post | ReelrouteError) -> pb.ApprovalResult:
    if isinstance(result, ReelrouteError):
        return pb.ApprovalResult(refusal=messages.refusal_to(result))
    return pb.ApprovalResult(post=messages.post_to(result))
