"""`reelroute pause`, `resume` and `holds`: what lets nothing of its scope go out."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from cli import display, options
from cli.client import Api, ClientError, Json, Refused
from cli.display import count, failures, moment


class Scope(enum.StrEnum):
    """How much is paused."""

    POST = "post"
    CHANNEL = "channel"
    ACCOUNT = "account"
    WORKSPACE = "workspace"
    PLATFORM = "platform"
    EVERYTHING = "everything"


class Due(enum.StrEnum):
    """What becomes of what became due meanwhile."""

    BY_RULE = "by-rule"
    PUBLISH = "publish"
    NEXT_SLOT = "next-slot"
    ASK = "ask"
    DROP = "drop"


_MEANINGS = {
    Due.BY_RULE: "each by its lateness rule: what is not too late goes out",
    Due.PUBLISH: "all go out, however late, one after another",
    Due.NEXT_SLOT: "each goes out at its time of day, on its account's next free day",
    Due.ASK: "all wait for a decision: reelroute posts waiting",
    Due.DROP: "none goes out",
}
ScopeArgument = Annotated[Scope, typer.Argument(case_sensitive=False, help="How much.")]
Target = Annotated[
    str, typer.Argument(help="The post's id, the channel's name, the account's @handle or id, or the platform.")
]


def pause(
    scope: ScopeArgument,
    target: Target = "",
    reason: Annotated[str, typer.Option(help="Why, for whoever looks.")] = "",
    as_json: options.AsJson = False,
) -> None:
    """Lets nothing more go out, within a second. What becomes due waits as HELD until `reelroute resume`.

    EVERYTHING and PLATFORM concern all workspaces, and need a key with the scope OPERATOR.
    """
    with failures(as_json=as_json), options.api() as api:
        hold = api.post("/v1/holds", _named(api, scope, target) | {"reason": reason})
        if as_json:
            display.document(hold)
            return
        subject = display.printable(f"{scope.value} {target}".strip())
        display.say(f"Paused: {subject}. Nothing more of it goes out.")
        display.note(f"Go on with: reelroute resume {subject}")


def resume(
    scope: ScopeArgument,
    target: Target = "",
    due: Annotated[
        Due | None, typer.Option(case_sensitive=False, help="What becomes of what became due meanwhile.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Lifts a pause. Asks what becomes of the posts that became due meanwhile, unless --due says it."""
    with failures(as_json=as_json), options.api() as api:
        body = _named(api, scope, target)
        try:
            lifted = api.post("/v1/holds:lift", body | {"due_action": options.word(due) if due else None})
        except Refused as refused:
            if refused.reason != "DUE_ACTION_REQUIRED":
                raise
            choice = _choose(refused, as_json=as_json)
            lifted = api.post("/v1/holds:lift", body | {"due_action": options.word(choice)})
        if as_json:
            display.document(lifted)
        else:
            display.say(f"Lifted. {count(lifted['held_deliveries'], 'delivery', 'deliveries')} had been kept back.")


def list_holds(as_json: options.AsJson = False) -> None:
    """Lists what keeps posts back: pauses, accounts to be connected again, platforms that fail."""
    with failures(as_json=as_json), options.api() as api:
        holds = list(api.pages("/v1/holds", "holds"))
        if as_json:
            display.document({"holds": holds})
            return
        handles = options.handles(api) if any(each["scope"] == "ACCOUNT" for each in holds) else {}
        display.table(
            ["Since", "Scope", "Target", "Cause", "Kept back", "Reason"],
            [
                (
                    moment(each["create_time"]),
                    each["scope"],
                    handles.get(each["target"], each["target"]),
                    each["cause"],
                    each["held_deliveries"],
                    each["reason"],
                )
                for each in holds
            ],
            whole=["Since", "Scope", "Target", "Cause"],
        )


def _named(api: Api, scope: Scope, target: str) -> Json:
    """What REST calls it. Raises ClientError for an account that is not connected, and for what names nothing."""
    if scope in (Scope.WORKSPACE, Scope.EVERYTHING):
        if target:
            raise ClientError(f"{scope.value} takes no target.", f"Leave {target!r} out, or name another scope.")
    elif not target:
        raise ClientError(f"Which {scope.value}?", f"Name it behind {scope.value}.")
    if scope is Scope.ACCOUNT:
        target = options.account_id(api, target)
    return {"scope": options.word(scope), "target": target}


def _choose(refused: Refused, *, as_json: bool) -> Due:
    if not options.may_ask(as_json=as_json):
        refused.advice = f"Say it with --due: {', '.join(Due)}."
        raise refused
    display.note(display.printable(refused.message))
    for place, (choice, meaning) in enumerate(_MEANINGS.items(), start=1):
        display.note(f"  {place}  {choice.value:<9}  {meaning}")
    number: int = typer.prompt("What becomes of them?", type=int, err=True)
    if not 1 <= number <= len(Due):
        raise typer.BadParameter(f"Choose 1 to {len(Due)}.", param_hint="--due")
    return list(Due)[number - 1]
