"""`reelroute plan duplicates`: what becomes of the same text or files on two channels at nearly the same time."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from cli import display, options
from cli.client import Json
from cli.display import failures

app = typer.Typer(no_args_is_help=True, help="The same text or files on two channels at nearly the same time.")

_ANY = "(any)"


class Action(enum.StrEnum):
    """What becomes of a duplicate."""

    ALLOW = "allow"
    WARN = "warn"
    REFUSE = "refuse"


Channel = Annotated[str, typer.Argument(help="One of the two channels; - for any.")]
Other = Annotated[str, typer.Argument(help="The other; - for any.")]


@app.command("list")
def list_rules(as_json: options.AsJson = False) -> None:
    """Lists the rules. The one that names more channels wins; without any it is: warn within a day."""
    with failures(as_json=as_json), options.api() as api:
        rules = list(api.pages("/v1/duplicate-rules", "rules"))
        if as_json:
            display.document({"rules": rules})
        else:
            _show(rules)


@app.command("set")
def set_rule(
    channel: Channel,
    other_channel: Other,
    action: Annotated[Action, typer.Argument(case_sensitive=False, help="What becomes of the later one.")],
    within: Annotated[str, typer.Option(help="Posts so far apart, or nearer, are compared: 12h, 7d.")] = "24h",
    as_json: options.AsJson = False,
) -> None:
    """Sets the rule of a pair of channels, in either order."""
    with failures(as_json=as_json), options.api() as api:
        rule = api.put(
            "/v1/duplicate-rules",
            {
                "channel": _named(channel),
                "other_channel": _named(other_channel),
                "action": options.word(action),
                "window_seconds": options.seconds(within, "--within"),
            },
        )
        if as_json:
            display.document(rule)
        else:
            _show([rule])


@app.command("delete")
def delete(channel: Channel, other_channel: Other, as_json: options.AsJson = False) -> None:
    """Takes the rule of a pair away: the next that fits it holds."""
    with failures(as_json=as_json), options.api() as api:
        names = [options.channel_path(_named(each)) for each in (channel, other_channel)]
        api.delete(f"/v1/duplicate-rules/{names[0]}/{names[1]}")
        if as_json:
            display.document({"deleted": names})
        else:
            display.say("Taken away.")


def _named(channel: str) -> str:
    return "" if channel == options.NO_CHANNEL else channel


def _show(rules: list[Json]) -> None:
    display.table(
        ["Channel", "Other", "Duplicates", "Within"],
        [
            (
                each["channel"] or _ANY,
                each["other_channel"] or _ANY,
                each["action"],
                display.span(each["window_seconds"]),
            )
            for each in rules
        ],
    )
