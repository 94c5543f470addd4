"""What an agent is: a name, and skills that take arguments and give a result.

The text, blog and social agents have the same face as the shop's, so that whoever calls one can call them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from kit.errors import FieldViolation, InvalidArgument, NotFound

# Of JSON: what a protobuf Struct can hold.
Result = Mapping[str, Any]


class Arguments(BaseModel):
    """What a skill is told. No field that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Told = TypeVar("Told", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Skill(Generic[Told]):
    """Something that an agent can do for a workspace. `use` may be called again: it then changes nothing more."""

    name: str
    description: str
    arguments: type[Told]
    use: Callable[[UUID, Told], Result]


class Agent(Protocol):
    """One that knows a field. Thread-safe."""

    name: str
    description: str

    @property
    def skills(self) -> Sequence[Skill[Any]]:
        """What it can do."""
        ...


class AgentNotFound(NotFound):
    """The installation has no agent of that name."""


class SkillNotFound(NotFound):
    """The agent has no skill of that name."""


class ArgumentInvalid(InvalidArgument):
    """An argument of a skill is missing, unknown, or not what the skill's schema asks for."""


def use(agents: Sequence[Agent], workspace_id: UUID, agent: str, skill: str, arguments: Mapping[str, Any]) -> Result:
    """Has an agent use a skill. Raises AgentNotFound, SkillNotFound, ArgumentInvalid, and what the skill raises."""
    found = next((each for each in agents if each.name == agent), None)
    if found is None:
        names = ", ".join(each.name for each in agents)
        raise AgentNotFound(f"There is no agent {agent!r}. There are: {names}.", metadata={"agent": agent})
    wanted = next((each for each in found.skills if each.name == skill), None)
    if wanted is None:
        names = ", ".join(each.name for each in found.skills)
        raise SkillNotFound(
            f"The agent {agent} has no skill {skill!r}. It has: {names}.", metadata={"agent": agent, "skill": skill}
        )
    try:
        told = wanted.arguments.model_validate(dict(arguments))
    except ValidationError as error:
        violations = [
            FieldViolation(
                ".".join(["arguments", *map(str, each["loc"])]), each["msg"], each["type"].upper().replace(".", "_")
            )
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise ArgumentInvalid(f"{violations[0].field}: {violations[0].description}", violations) from None
    return wanted.use(workspace_id, told)
