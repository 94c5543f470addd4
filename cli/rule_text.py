"""Conditions and actions of routing rules in few words: `total > 250`, `state in TN,KY`, `not is_po_box = true`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from cli.client import ClientError, Json

_OPERATORS = {
    "=": "EQUALS",
    "<": "LESS_THAN",
    ">": "MORE_THAN",
    "in": "IN",
    "has": "CONTAINS_ANY",
    "starts": "STARTS_WITH",
}
_SIGNS = {word: sign for sign, word in _OPERATORS.items()}
_TEST = re.compile(
    r"(?P<not>not\s+)?(?P<fact>[a-z_]+)\s*(?P<operator>[=<>]|\b(?:in|has|starts)\s)\s*(?P<values>\S.*)", re.S
)

When = Annotated[
    list[str] | None,
    typer.Option("--when", help="'total > 250', 'state in TN,KY', 'skus has MAT', 'not country = US'; all must hold."),
]
Hold = Annotated[str, typer.Option("--hold", help="It waits for a person: for what, one word.")]
Leave = Annotated[str, typer.Option("--leave", help="The seller sends it: for what, one word.")]
Route = Annotated[bool, typer.Option("--route", help="It is routed, whatever the rules behind say.")]
Split = Annotated[bool, typer.Option("--split", help="What is too much for one order at Amazon goes as several.")]
ShipAs = Annotated[str, typer.Option("--ship-as", help="It goes on, at this speed: STANDARD, EXPEDITED, PRIORITY.")]
Feature = Annotated[
    list[str] | None, typer.Option("--feature", help="What Amazon must meet: BLANK_BOX; BLANK_BOX=should where it can.")
]
Text = Annotated[str, typer.Option("--text", help="With --hold and --leave: why, for people.")]
File = Annotated[Path | None, typer.Option("--file", help="The rule as JSON, as `rules show` writes it.")]


def draft(
    *,
    name: str,
    priority: int,
    when: list[str] | None,
    hold: str,
    leave: str,
    route: bool,
    split: bool,
    ship_as: str,
    feature: list[str] | None,
    text: str,
) -> Json:
    """A rule as REST takes it. Raises typer.BadParameter."""
    kinds = {
        "HOLD": bool(hold),
        "LEAVE": bool(leave),
        "ROUTE": route,
        "SPLIT": split,
        "SHIP_AS": bool(ship_as or feature),
    }
    chosen = [kind for kind, is_chosen in kinds.items() if is_chosen]
    if len(chosen) != 1:
        raise typer.BadParameter("Say what is done: one of --hold, --leave, --route, --split, --ship-as or --feature.")
    action = {
        "kind": chosen[0],
        "reason": hold or leave,
        "text": text,
        "speed": ship_as.upper() or None,
        "features": dict(_feature(each) for each in feature or []),
    }
    return {
        "name": name,
        "priority": priority,
        "condition": {"all": [condition(each) for each in when or []]},
        "action": action,
    }


def in_file(path: Path) -> Json:
    """A rule in a file. Raises ClientError."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        raise ClientError(
            f"{path} is no JSON file that can be read.", "`reelroute routing rules show` writes one."
        ) from None
    if not isinstance(found, dict):
        raise ClientError(f"{path} has no rule in it.", "`reelroute routing rules show` writes one.")
    return found


def condition(text: str) -> Json:
    """One test as REST takes it. Raises typer.BadParameter."""
    found = _TEST.fullmatch(text.strip())
    if not found:
        raise typer.BadParameter(
            f"{text!r}: write a fact, one of = < > in has starts, and values: 'total > 250', 'state in TN,KY'.",
            param_hint="--when",
        )
    operator = _OPERATORS[found["operator"].strip()]
    values = found["values"].strip()
    split = [each.strip() for each in values.split(",")] if operator in ("IN", "CONTAINS_ANY") else [values]
    test = {"fact": found["fact"], "operator": operator, "values": split}
    return {"not": test} if found["not"] else test


def condition_text(found: Json) -> str:
    """A condition in words: `total > 250 and not state in TN,KY`."""
    match found:
        case {"all": inner}:
            return " and ".join(_inner(each) for each in inner) or "always"
        case {"any": inner}:
            return " or ".join(_inner(each) for each in inner) or "never"
        case {"not": inner}:
            return f"not {_inner(inner)}"
    return f"{found['fact']} {_SIGNS.get(found['operator'], found['operator'])} {','.join(found['values'])}"


def action_text(found: Json) -> str:
    """An action in words: `hold (too_dear)`, `ship as EXPEDITED`."""
    kind = found["kind"].lower().replace("_", " ")
    features = [f"{name}={'must' if must else 'should'}" for name, must in found["features"].items()]
    more = " ".join([*([found["speed"]] if found["speed"] else []), *features])
    return f"{kind} ({found['reason']})" if found["reason"] else f"{kind} {more}".strip()


def _inner(found: Json) -> str:
    text = condition_text(found)
    return f"({text})" if ("all" in found or "any" in found) else text


def _feature(text: str) -> tuple[str, bool]:
    name, _, word = text.partition("=")
    if word not in ("", "must", "should"):
        raise typer.BadParameter(f"{text}: write BLANK_BOX, or BLANK_BOX=should.", param_hint="--feature")
    return name, word != "should"
