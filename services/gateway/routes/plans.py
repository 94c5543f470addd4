"""Posting plans, their slots, and rules about duplicates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from reelroute.scheduler.v1 import plans_pb2 as pb

from services.gateway.models.fields import Instant, Text
from services.gateway.models.plans import (
    DuplicateRule,
    DuplicateRuleList,
    PlannedSlot,
    PlannedSlotList,
    PostingPlan,
    PostingPlanList,
)
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, OtherTimeZone, PageSize, PageToken

router = APIRouter(route_class=ApiRoute, tags=["Plans"])

# A channel begins with a letter or digit, so "-" is none.
_NO_CHANNEL = "-"
ChannelPath = Annotated[Text, Path(max_length=64, description='Its name; `-` for the channel `""`.')]


@router.put("/v1/plans", responses=problems(body=True))
async def set_plan(plan: PostingPlan, caller: Caller_, clients: Clients_) -> PostingPlan:
    """Sets the plan of a channel, as a whole: what is left out is at its default again.

    It holds for posts that are saved from now on; those that are scheduled already stay where they are. May be
    repeated.
    """
    request = pb.SetPostingPlanRequest(workspace_id=caller.workspace_id, plan=plan.to_proto())
    return PostingPlan.of((await clients.call(clients.plans.SetPostingPlan, request)).plan)


@router.get("/v1/plans", responses=problems())
async def list_plans(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> PostingPlanList:
    """Lists plans, by channel."""
    request = pb.ListPostingPlansRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.plans.ListPostingPlans, request)
    return PostingPlanList(
        plans=[PostingPlan.of(each) for each in answer.plans], next_page_token=answer.next_page_token
    )


@router.get("/v1/plans/{channel:id}", responses=problems(404))
async def get_plan(channel: ChannelPath, caller: Caller_, clients: Clients_) -> PostingPlan:
    """Reads the plan of a channel."""
    request = pb.GetPostingPlanRequest(workspace_id=caller.workspace_id, channel=_channel(channel))
    return PostingPlan.of((await clients.call(clients.plans.GetPostingPlan, request)).plan)


@router.delete("/v1/plans/{channel:id}", status_code=204, responses=problems(404))
async def delete_plan(channel: ChannelPath, caller: Caller_, clients: Clients_) -> Response:
    """Takes the plan of a channel away; its posts stay. May be repeated."""
    request = pb.DeletePostingPlanRequest(workspace_id=caller.workspace_id, channel=_channel(channel))
    await clients.call(clients.plans.DeletePostingPlan, request)
    return Response(status_code=204)


@router.get("/v1/plans/{channel:id}/slots", responses=problems(404))
async def list_slots(
    channel: ChannelPath,
    caller: Caller_,
    clients: Clients_,
    from_time: Annotated[Instant | None, Query(description="From this instant on; by default from now on.")] = None,
    until_time: Annotated[
        Instant | None, Query(description="Before this instant, at most two years ahead; by default 14 days later.")
    ] = None,
    other_time_zone: OtherTimeZone = "",
    only_free: Annotated[bool, Query(description="True: only those that are free.")] = False,
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> PlannedSlotList:
    """Lists the slots of a channel: free, taken, or closed and by which rule."""
    request = pb.ListSlotsRequest(
        workspace_id=caller.workspace_id,
        channel=_channel(channel),
        other_time_zone=other_time_zone,
        only_free=only_free,
        page_size=page_size,
        page_token=page_token,
    )
    if from_time:
        request.from_time.FromDatetime(from_time)
    if until_time:
        request.until_time.FromDatetime(until_time)
    answer = await clients.call(clients.plans.ListSlots, request)
    return PlannedSlotList(
        slots=[PlannedSlot.of(each) for each in answer.slots], next_page_token=answer.next_page_token
    )


@router.put("/v1/duplicate-rules", responses=problems(body=True))
async def set_duplicate_rule(rule: DuplicateRule, caller: Caller_, clients: Clients_) -> DuplicateRule:
    """Says what becomes of a post whose caption or media is on another channel at nearly the same time.

    One rule for each pair of channels, in either order; an empty one stands for any. The rule that names more channels
    wins; without any it is `WARN` within a day. May be repeated.
    """
    request = pb.SetDuplicateRuleRequest(workspace_id=caller.workspace_id, rule=rule.to_proto())
    return DuplicateRule.of((await clients.call(clients.plans.SetDuplicateRule, request)).rule)


@router.get("/v1/duplicate-rules", responses=problems())
async def list_duplicate_rules(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> DuplicateRuleList:
    """Lists rules about duplicates, by pair of channels."""
    request = pb.ListDuplicateRulesRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.plans.ListDuplicateRules, request)
    return DuplicateRuleList(
        rules=[DuplicateRule.of(each) for each in answer.rules], next_page_token=answer.next_page_token
    )


@router.delete("/v1/duplicate-rules/{channel:id}/{other_channel:id}", status_code=204, responses=problems(404))
async def delete_duplicate_rule(
    channel: ChannelPath, other_channel: ChannelPath, caller: Caller_, clients: Clients_
) -> Response:
    """Takes the rule of a pair away. May be repeated."""
    request = pb.DeleteDuplicateRuleRequest(
        workspace_id=caller.workspace_id, channel=_channel(channel), other_channel=_channel(other_channel)
    )
    await clients.call(clients.plans.DeleteDuplicateRule, request)
    return Response(status_code=204)


def _channel(path: str) -> str:
    return "" if path == _NO_CHANNEL else path
