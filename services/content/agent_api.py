"""The RPCs of agents."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import grpc
from google.protobuf import json_format, struct_pb2
from reelroute.content.v1 import agents_pb2 as pb
from reelroute.content.v1 import agents_pb2_grpc

from kit.errors import FieldViolation
from kit.paging import Page
from services.content.agents import base
from services.content.agents.base import Agent, ArgumentInvalid


class AgentApi(agents_pb2_grpc.AgentServiceServicer):
    """See agents.proto for what each RPC promises."""

    def __init__(self, agents: Sequence[Agent]) -> None:
        self._agents = sorted(agents, key=lambda each: each.name)

    def ListAgents(self, request: pb.ListAgentsRequest, context: grpc.ServicerContext) -> pb.ListAgentsResponse:
        page = Page.parse(request.page_size, request.page_token, (str,))
        rest = [each for each in self._agents if page.after is None or (each.name,) > page.after]
        shown, token = page.cut(rest, lambda each: (each.name,))
        return pb.ListAgentsResponse(agents=[_agent_to(each) for each in shown], next_page_token=token)

    def UseSkill(self, request: pb.UseSkillRequest, context: grpc.ServicerContext) -> pb.UseSkillResponse:
        try:
            arguments = json_format.MessageToDict(request.arguments)
        except (json_format.Error, ValueError):
            message = "The arguments hold a number that JSON does not know. Give finite numbers."
            raise ArgumentInvalid(message, [FieldViolation("arguments", message)]) from None
        result = base.use(self._agents, UUID(request.workspace_id), request.agent, request.skill, arguments)
        return pb.UseSkillResponse(result=_struct(result))


def _agent_to(agent: Agent) -> pb.Agent:
    skills = [
        pb.Skill(
            name=each.name,
            description=each.description,
            arguments_schema=_struct(each.arguments.model_json_schema()),
        )
        for each in agent.skills
    ]
    return pb.Agent(name=agent.name, description=agent.description, skills=skills)


def _struct(values: base.Result) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(values))
    return struct
