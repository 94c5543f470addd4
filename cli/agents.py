"""`reelroute agents`: what agents can do, and having it done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import display, options
from cli.client import ClientError
from cli.display import failures

app = typer.Typer(no_args_is_help=True, help="Agents: helpers that know one field, such as the shop.")


@app.command("list")
def list_agents(as_json: options.AsJson = False) -> None:
    """Lists agents and their skills; with --json also what each skill needs to be told."""
    with failures(as_json=as_json), options.api() as api:
        agents = list(api.pages("/v1/agents", "agents"))
        if as_json:
            display.document({"agents": agents})
            return
        display.table(
            ["Agent", "Skill", "Arguments", "What it does"],
            [
                (agent["name"], skill["name"], _arguments(skill["arguments_schema"]), skill["description"])
                for agent in agents
                for skill in agent["skills"]
            ],
            whole=["Agent", "Skill"],
        )


@app.command("use")
def use_skill(
    agent: Annotated[str, typer.Argument(help="The agent: tiktok_shop.")],
    skill: Annotated[str, typer.Argument(help="One of its skills: propose_posts.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="What it is told, as name=value: shop_id=… count=5. JSON values are read as such."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A JSON file with the arguments, instead.")
    ] = None,
) -> None:
    """Has an agent use a skill, and prints the result as JSON."""
    with failures(as_json=True), options.api() as api:
        told = _told(arguments or [], file)
        answer = api.post("/v1/agents:useSkill", {"agent": agent, "skill": skill, "arguments": told})
        display.document(answer["result"])


def _arguments(schema: dict[str, Any]) -> str:
    required = sorted(schema.get("required", []))
    others = sorted(set(schema.get("properties", {})) - set(required))
    return " ".join([*required, *(f"[{name}]" for name in others)])


def _told(arguments: list[str], file: Path | None) -> dict[str, Any]:
    if file is not None:
        try:
            found = json.loads(file.read_text())
        except ValueError:
            found = None
        if arguments or not isinstance(found, dict):
            raise ClientError(
                f"{file} holds no JSON object." if not arguments else "Arguments are given twice.",
                "Give them as name=value, or as an object in one file.",
            )
        return found
    told: dict[str, Any] = {}
    for each in arguments:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise ClientError(f"{each!r} is no argument.", "Write name=value, such as count=5.")
        told[name] = _value(value)
    return told


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    # Ids may be numbers that are too long for JSON's readers: they stay text.
    return text if isinstance(value, int) and abs(value) > 2**53 else value
