"""Agents, their skills, and what these are told and give."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format, struct_pb2
from pydantic import Field, JsonValue
from reelroute.content.v1 import agents_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import AnswerModel, RequestModel, Text, shown


class Skill(AnswerModel):
    """Something that an agent can do."""

    name: str
    description: str = Field(description="What it does, what it gives, and what it changes.")
    arguments_schema: dict[str, Any] = Field(description="JSON Schema of its arguments.")


class Agent(AnswerModel):
    """A helper that knows one field."""

    model_config = shown(examples.AGENT)

    name: str
    description: str
    skills: list[Skill] = Field(description="By name.")

    @classmethod
    def of(cls, agent: pb.Agent) -> Agent:
        """From content."""
        skills = [
            Skill(name=each.name, description=each.description, arguments_schema=values_of(each.arguments_schema))
            for each in agent.skills
        ]
        return cls(name=agent.name, description=agent.description, skills=skills)


class AgentList(AnswerModel):
    """A page of agents, by name."""

    model_config = shown(examples.page("agents", examples.AGENT))

    agents: list[Agent]
    next_page_token: str = Field(description="Empty on the last page.")


class SkillUse(RequestModel):
    """Which skill of which agent, and what it is told."""

    model_config = shown(examples.SKILL_USE)

    agent: Text = Field(min_length=1, max_length=64)
    skill: Text = Field(min_length=1, max_length=64)
    arguments: dict[Text, JsonValue] = Field(default={}, description="As the skill's `arguments_schema` says.")

    def to_struct(self) -> struct_pb2.Struct:
        """The arguments for content. Whole numbers beyond 2^53 lose their last digits: give ids as text."""
        return json_format.ParseDict(self.arguments, struct_pb2.Struct())


class SkillResult(AnswerModel):
    """What a skill gave."""

    model_config = shown(examples.SKILL_RESULT)

    result: dict[str, Any] = Field(description="As the skill's description says; whole numbers of 64 bits as text.")


def values_of(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A Struct as JSON."""
    values: dict[str, Any] = json_format.MessageToDict(struct)
    return values
