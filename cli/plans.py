"""`reelroute plan`: when a channel posts."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import blackouts, display, duplicates, forecast, options, weekly
from cli.client import Api, ClientError, Json, Refused
from cli.display import count, failures

app = typer.Typer(no_args_is_help=True, help="Posting plans: slots, quiet hours, blackouts, duplicates, forecast.")
app.add_typer(blackouts.app, name="blackout")
app.add_typer(duplicates.app, name="duplicates")
app.command("forecast")(forecast.forecast)

EXAMPLE = Path(__file__).with_name("elements.json")
_ALL_OTHERS = "(all others)"
_STATES = {True: "taken", False: "free"}

Channel = Annotated[
    str, typer.Argument(help="Its name; none: channels without a plan of their own, and blackouts of all.")
]


@app.command("list")
def list_plans(as_json: options.AsJson = False) -> None:
    """Lists the plans of all channels."""
    with failures(as_json=as_json), options.api() as api:
        plans = list(api.pages("/v1/plans", "plans"))
        if as_json:
            display.document({"plans": plans})
        else:
            _table(plans)


@app.command("show")
def show(channel: Channel = "", as_json: options.AsJson = False) -> None:
    """Shows the plan of a channel."""
    with failures(as_json=as_json), options.api() as api:
        plan = api.get(path_of(channel))
        if as_json:
            display.document(plan)
        else:
            _facts(plan)


@app.command("set")
def set_plan(
    channel: Channel = "",
    zone: Annotated[str, typer.Option(help="IANA zone of all its times: America/New_York")] = "",
    slot: Annotated[
        list[str] | None,
        typer.Option(help='Weekly times: "daily 08:00 15:00", "tue,thu,sat 14:00"; as often as needed.'),
    ] = None,
    quiet: Annotated[
        list[str] | None, typer.Option(help='Nothing goes out then: "22:00-07:00", "fri,sat 23:00-08:00".')
    ] = None,
    min_gap: Annotated[str, typer.Option(help="Two posts are at least so far apart: 90m, 2h.")] = "",
    daily_cap: Annotated[int, typer.Option(min=0, max=1000, help="At most so many posts a day; 0: no rule.")] = 0,
    require_approval: Annotated[
        bool, typer.Option("--require-approval", help="Its posts wait for `reelroute posts approve`.")
    ] = False,
    file: Annotated[Path | None, typer.Option(help="Plans of channels, as `plan list --json` writes them.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Sets the plan of a channel: what is left out is at its default again. Its blackouts stay: `plan blackout`.

    Posts that are scheduled already stay where they are.
    """
    with failures(as_json=as_json), options.api() as api:
        if file:
            if channel or zone or slot or quiet or min_gap or daily_cap or require_approval:
                raise ClientError("The file says everything.", "Use --file alone, or name a channel and its rules.")
            plans = [api.put("/v1/plans", each) for each in plans_in(file)]
        else:
            if not zone:
                raise typer.BadParameter("Say in which zone its times are: America/New_York.", param_hint="--zone")
            plans = [
                api.put(
                    "/v1/plans",
                    {
                        "channel": channel,
                        "time_zone": zone,
                        "slots": [each for text in slot or [] for each in _read(weekly.slots, text, "--slot")],
                        "quiet_hours": [_read(weekly.quiet_hours, text, "--quiet") for text in quiet or []],
                        "min_gap_seconds": options.seconds(min_gap, "--min-gap") or 0,
                        "daily_cap": daily_cap,
                        "blackouts": _blackouts_of(api, channel),
                        "requires_approval": require_approval,
                    },
                )
            ]
        if as_json:
            display.document({"plans": plans})
        else:
            _table(plans)


@app.command("delete")
def delete(channel: Channel = "", yes: options.Yes = False, as_json: options.AsJson = False) -> None:
    """Takes the plan of a channel away. Its posts stay."""
    with failures(as_json=as_json), options.api() as api:
        path = path_of(channel)
        options.confirm(f"Take the plan of {channel or 'all other channels'} away?", yes=yes, as_json=as_json)
        api.delete(path)
        if as_json:
            display.document({"deleted": channel})
        else:
            display.say("Taken away. Its posts stay where they are.")


@app.command("slots")
def slots(
    channel: Annotated[str, typer.Argument(help="Its name.")],
    from_time: Annotated[str, typer.Option("--from", help="From this instant on; by default from now on.")] = "",
    until_time: Annotated[str, typer.Option("--until", help="Before this instant; by default 14 days later.")] = "",
    free: Annotated[bool, typer.Option("--free", help="Only those that are free.")] = False,
    other_zone: Annotated[str, typer.Option(help="A second zone to show the times in: Europe/Berlin")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: options.AsJson = False,
) -> None:
    """Lists the slots of a channel: free, taken, or closed and why."""
    with failures(as_json=as_json), options.api() as api:
        pages = api.pages(
            f"{path_of(channel)}/slots",
            "slots",
            from_time=from_time,
            until_time=until_time,
            other_time_zone=other_zone,
            only_free="true" if free else "",
            page_size=min(limit + 1, 200),
        )
        found = list(islice(pages, limit + 1))
        shown, more = found[:limit], len(found) > limit
        if as_json:
            display.document({"slots": shown, "more": more})
            return
        display.times_table(
            [each["times"] for each in shown],
            ["State", "Post, or why it is closed"],
            [
                (f"closed: {each['closed_by']}", each["message"])
                if each["closed_by"]
                else (_STATES[bool(each["post_id"])], each["post_id"] or "")
                for each in shown
            ],
        )
        display.note(f"{count(len(shown), 'slot')}" + (", and more: --limit or --until" if more else "") + ".")


@app.command("example")
def example(
    set_it: Annotated[bool, typer.Option("--set", help="Set these plans.")] = False, as_json: options.AsJson = False
) -> None:
    """Shows the shipped example: plans of the four elemental channels, in America/New_York."""
    with failures(as_json=as_json):
        plans = plans_in(EXAMPLE)
        if set_it:
            with options.api() as api:
                plans = [api.put("/v1/plans", each) for each in plans]
        if as_json:
            display.document({"plans": plans})
            return
        _table(plans)
        display.note("Set." if set_it else f"Set them with --set, or a copy of {EXAMPLE} with plan set --file.")


def path_of(channel: str) -> str:
    """Where REST has the plan of a channel. Raises ClientError for what is no name."""
    return f"/v1/plans/{options.channel_path(channel)}"


def plans_in(file: Path) -> list[Json]:
    """The plans of a file, as REST takes them. Raises ClientError."""
    advice = 'Write {"plans": [{"channel": "air", "time_zone": …}]}; `reelroute plan example --json` shows it.'
    try:
        document: Any = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ClientError(f"{file} cannot be read as JSON: {error}.", advice) from None
    plans = document.get("plans") if isinstance(document, dict) else None
    if not isinstance(plans, list) or not plans:
        raise ClientError(f"{file} has no list of plans.", advice)
    return plans


def _blackouts_of(api: Api, channel: str) -> list[Json]:
    try:
        found: list[Json] = api.get(path_of(channel))["blackouts"]
    except Refused as refused:
        if refused.status != 404:
            raise
        return []
    return found


def _read(read: Any, text: str, hint: str) -> Any:
    try:
        return read(text)
    except weekly.NotWeekly as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


def _table(plans: list[Json]) -> None:
    display.table(
        ["Channel", "Zone", "Slots", "Quiet", "Gap", "A day", "Approval", "Blackouts"],
        [
            (
                each["channel"] or _ALL_OTHERS,
                each["time_zone"],
                "; ".join(weekly.in_words(each["slots"])),
                "; ".join(weekly.quiet_in_words(quiet) for quiet in each["quiet_hours"]),
                display.span(each["min_gap_seconds"] or None),
                each["daily_cap"] or "",
                "yes" if each["requires_approval"] else "",
                len(each["blackouts"]) or "",
            )
            for each in plans
        ],
        whole=["Channel"],
    )


def _facts(plan: Json) -> None:
    display.facts(
        [
            ("channel", plan["channel"] or _ALL_OTHERS),
            ("zone", plan["time_zone"]),
            ("slots", "\n".join(weekly.in_words(plan["slots"]))),
            ("quiet", "\n".join(weekly.quiet_in_words(each) for each in plan["quiet_hours"])),
            ("gap", display.span(plan["min_gap_seconds"] or None)),
            ("a day", plan["daily_cap"] or ""),
            ("approval", "asked for" if plan["requires_approval"] else ""),
            ("blackouts", "\n".join(blackouts.in_words(each) for each in plan["blackouts"])),
        ]
    )
