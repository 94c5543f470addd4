"""Rules of channels."""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from services.gateway.models.channels import ChannelRules, ChannelRulesList
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, PageSize, PageToken

router = APIRouter(route_class=ApiRoute, tags=["Channels"])


@router.get("/v1/channel-rules", responses=problems())
async def list_channel_rules(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> ChannelRulesList:
    """Lists the rules that the workspace has set, by channel. Any other channel has those of the channel `""`."""
    request = pb.ListChannelRulesRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.scheduler.ListChannelRules, request)
    return ChannelRulesList(
        rules=[ChannelRules.of(each) for each in answer.rules], next_page_token=answer.next_page_token
    )


@router.put("/v1/channel-rules", responses=problems(body=True))
async def set_channel_rules(rules: ChannelRules, caller: Caller_, clients: Clients_) -> ChannelRules:
    """Sets the rules of a channel, as a whole: what is left out is at its default again.

    They apply from now on, also to posts that wait. May be repeated.
    """
    request = pb.SetChannelRulesRequest(workspace_id=caller.workspace_id, rules=rules.to_proto())
    return ChannelRules.of((await clients.call(clients.scheduler.SetChannelRules, request)).rules)
