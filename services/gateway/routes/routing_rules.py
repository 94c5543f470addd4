"""Routing rules, and what they decide."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid5

from fastapi import APIRouter, Query, Response
from reelroute.fulfillment.v1 import routing_pb2 as pb

from services.gateway.models.problems import problems
from services.gateway.models.routing_rules import (
    RoutingRule,
    RoutingRuleChange,
    RoutingRuleDraft,
    RoutingRuleList,
)
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, LongPageToken, PageSize, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Routing"])


@router.get("/v1/routing-rules", responses=problems())
async def list_routing_rules(
    caller: Caller_,
    clients: Clients_,
    shop_id: Annotated[UUID | None, Query(description="Only those that hold for this shop.")] = None,
    page_size: PageSize = 0,
    page_token: LongPageToken = "",
) -> RoutingRuleList:
    """Lists rules in the order in which they are looked at, the built-in ones among them."""
    request = pb.ListRoutingRulesRequest(
        workspace_id=caller.workspace_id, shop_id=str(shop_id or ""), page_size=page_size, page_token=page_token
    )
    answer = await clients.call(clients.routing.ListRoutingRules, request)
    return RoutingRuleList(
        rules=[RoutingRule.of(each) for each in answer.rules], next_page_token=answer.next_page_token
    )


@router.post("/v1/routing-rules", status_code=201, responses=problems(404, 409, body=True))
async def create_routing_rule(
    draft: RoutingRuleDraft, caller: Caller_, clients: Clients_, request_id: RequestId
) -> RoutingRule:
    """Adds a rule; orders that are held are decided again. Try it first with `POST …:testRouting`."""
    # Fulfillment keeps it beside the rule, as a UUID; a key may be any text.
    once = str(uuid5(UUID(caller.workspace_id), request_id))
    request = pb.CreateRoutingRuleRequest(workspace_id=caller.workspace_id, request_id=once, rule=draft.to_proto())
    return RoutingRule.of((await clients.call(clients.routing.CreateRoutingRule, request)).rule)


@router.put("/v1/routing-rules/{rule_id:id}", responses=problems(404, 409, body=True))
async def change_routing_rule(
    rule_id: Id, change: RoutingRuleChange, caller: Caller_, clients: Clients_
) -> RoutingRule:
    """Sets a rule as a whole; orders that are held, and those that it left, are decided again.

    409 (`RULE_CHANGED`) when it was changed since `revision`: read it again.
    """
    rule = change.to_proto()
    rule.rule_id, rule.revision = str(rule_id), change.revision
    request = pb.UpdateRoutingRuleRequest(workspace_id=caller.workspace_id, rule=rule)
    return RoutingRule.of((await clients.call(clients.routing.UpdateRoutingRule, request)).rule)


@router.delete("/v1/routing-rules/{rule_id:id}", status_code=204, responses=problems(404))
async def delete_routing_rule(rule_id: Id, caller: Caller_, clients: Clients_) -> Response:
    """Takes a rule away; orders that are held, and those that it left, are decided again. May be repeated.

    Decisions that it made keep its name.
    """
    request = pb.DeleteRoutingRuleRequest(workspace_id=caller.workspace_id, rule_id=str(rule_id))
    await clients.call(clients.routing.DeleteRoutingRule, request)
    return Response(status_code=204)
