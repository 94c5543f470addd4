"""`reelroute plan blackout`: days on which nothing goes out."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import display, options
from cli.client import Api, ClientError, Json, Refused
from cli.display import failures

app = typer.Typer(no_args_is_help=True, help="Days on which nothing goes out.")

Channel = Annotated[str, typer.Option(help="Of this channel alone; else of all channels.")]


@app.command("add")
def add(
    first: Annotated[str, typer.Argument(help="Its first day: 2027-11-25")],
    last: Annotated[str, typer.Argument(help="Its last day, itself included; none: the first.")] = "",
    channel: Channel = "",
    reason: Annotated[str, typer.Option(help="Why, for people: Thanksgiving")] = "",
    zone: Annotated[str, typer.Option(help="Whose days are meant, where there is no plan yet: America/New_York")] = "",
    as_json: options.AsJson = False,
) -> None:
    """Adds days on which nothing goes out. Posts that are scheduled on them already stay there."""
    with failures(as_json=as_json), options.api() as api:
        plan = _plan(api, channel) or _bare(channel, zone)
        plan["blackouts"].append({"first_date": first, "last_date": last or first, "reason": reason})
        _set(api, plan, as_json=as_json)


@app.command("remove")
def remove(
    first: Annotated[str, typer.Argument(help="Its first day: 2027-11-25")],
    channel: Channel = "",
    as_json: options.AsJson = False,
) -> None:
    """Takes a blackout away, by its first day."""
    with failures(as_json=as_json), options.api() as api:
        plan = _plan(api, channel)
        kept = [each for each in plan["blackouts"] if each["first_date"] != first] if plan else []
        if plan is None or len(kept) == len(plan["blackouts"]):
            shown = f"reelroute plan show {channel}".strip()
            raise ClientError(f"No blackout of {channel or 'all channels'} begins on {first}.", f"{shown} lists them.")
        _set(api, plan | {"blackouts": kept}, as_json=as_json)


def in_words(blackout: Json) -> str:
    """`2027-11-25 to 2027-11-26 Thanksgiving`."""
    first, last = blackout["first_date"], blackout["last_date"]
    return f"{first if first == last else f'{first} to {last}'} {blackout['reason']}".strip()


def _plan(api: Api, channel: str) -> Json | None:
    try:
        return api.get(f"/v1/plans/{options.channel_path(channel)}")
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def _bare(channel: str, zone: str) -> Json:
    if not zone:
        raise ClientError(
            f"There is no plan of {channel or 'all channels'} yet, so nobody knows whose days are meant.",
            "Say the zone: --zone America/New_York. It makes a plan with this blackout alone.",
        )
    return {"channel": channel, "time_zone": zone, "blackouts": []}


def _set(api: Api, plan: Json, *, as_json: bool) -> None:
    plan = api.put("/v1/plans", plan)
    if as_json:
        display.document(plan)
        return
    display.say(f"Blackouts of {plan['channel'] or 'all channels'} ({plan['time_zone']}):")
    for each in plan["blackouts"]:
        display.say(display.printable(f"  {in_words(each)}"))
    if not plan["blackouts"]:
        display.say("  none")
