"""Agents: what they can do, and having it done."""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.content.v1 import agents_pb2 as pb

from services.gateway.models.agents import Agent, AgentList, SkillResult, SkillUse, values_of
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, PageSize, PageToken, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Agents"])


@router.get("/v1/agents", responses=problems())
async def list_agents(
    _caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> AgentList:
    """Lists the agents of this installation, with what each can do and what it needs to be told."""
    request = pb.ListAgentsRequest(page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.agents.ListAgents, request)
    return AgentList(agents=[Agent.of(each) for each in answer.agents], next_page_token=answer.next_page_token)


@router.post("/v1/agents:useSkill", responses=problems(404, 409, body=True))
async def use_skill(use: SkillUse, caller: Caller_, clients: Clients_, _request_id: RequestId) -> SkillResult:
    """Has an agent use one of its skills, and waits for the result.

    May be repeated, with or without `Idempotency-Key`: what a skill changes is the same after the second time.
    """
    request = pb.UseSkillRequest(
        workspace_id=caller.workspace_id, agent=use.agent, skill=use.skill, arguments=use.to_struct()
    )
    return SkillResult(result=values_of((await clients.call(clients.agents.UseSkill, request)).result))
