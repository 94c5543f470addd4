"""Agents over REST."""

from __future__ import annotations

import httpx
from reelroute.content.v1.agents_pb2 import UseSkillRequest
from reelroute.identity.v1.identity_pb2 import Scope

from tests.gateway.conftest import Connect
from tests.gateway.fakes import WORKSPACE, Memory


def test_agents_are_listed_with_the_schema_of_each_skill(api: httpx.Client) -> None:
    (agent,) = api.get("/v1/agents").raise_for_status().json()["agents"]
    assert agent["name"] == "parrot"
    assert agent["skills"][0]["arguments_schema"] == {"type": "object", "required": ["words"]}


def test_a_skill_is_used_in_the_callers_workspace_with_what_it_is_told(api: httpx.Client, memory: Memory) -> None:
    told = {"words": ["a", None, {"b": True}], "count": 3, "share": 0.5}
    answer = api.post("/v1/agents:useSkill", json={"agent": "parrot", "skill": "repeat", "arguments": told})
    assert answer.raise_for_status().json() == {"result": told}
    request, _ = memory.calls[-1]
    assert isinstance(request, UseSkillRequest)
    assert (request.workspace_id, request.agent, request.skill) == (WORKSPACE, "parrot", "repeat")


def test_an_argument_that_does_not_fit_is_named(api: httpx.Client) -> None:
    answer = api.post("/v1/agents:useSkill", json={"agent": "parrot", "skill": "repeat"})
    assert answer.status_code == 422
    assert answer.json()["reason"] == "ARGUMENT_INVALID"
    assert [each["field"] for each in answer.json()["field_violations"]] == ["arguments.words"]


def test_using_a_skill_needs_the_scope_of_accounts(connect: Connect, memory: Memory) -> None:
    reader = connect(memory.key(Scope.SCOPE_POSTS_WRITE))
    answer = reader.post("/v1/agents:useSkill", json={"agent": "parrot", "skill": "repeat"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "SCOPE_MISSING")
    assert reader.get("/v1/agents").status_code == 200
