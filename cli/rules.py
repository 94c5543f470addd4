"""`reelroute channels`: how the posts of a channel are tried again, and what becomes of late ones."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import display, options
from cli.client import Json
from cli.display import failures

app = typer.Typer(no_args_is_help=True, help="Rules of channels: late posts, and tries.")

_DEFAULT = "(all others)"


@app.command("rules")
def list_rules(as_json: options.AsJson = False) -> None:
    """Lists the rules that were set. Channels that are not listed have those of all others, else 6 h and ask."""
    with failures(as_json=as_json), options.api() as api:
        rules = list(api.pages("/v1/channel-rules", "rules"))
        if as_json:
            display.document({"rules": rules})
        else:
            _show(rules)


@app.command("set-rules")
def set_rules(
    channel: Annotated[str, typer.Argument(help="Its name; none: all channels without rules of their own.")] = "",
    max_lateness: options.MaxLateness = "",
    late: options.Late = None,
    max_attempts: Annotated[
        int, typer.Option(min=0, max=50, help="Failed tries before a delivery is FAILED; 0: the default, 10.")
    ] = 0,
    max_age: Annotated[str, typer.Option(help="So long after its time it is still tried again: 12h, 2d.")] = "",
    as_json: options.AsJson = False,
) -> None:
    """Sets the rules of a channel as a whole: what is left out is at its default again. They apply at once."""
    with failures(as_json=as_json), options.api() as api:
        rules = api.put(
            "/v1/channel-rules",
            {
                "channel": channel,
                "lateness": options.lateness(max_lateness, late),
                "max_attempts": max_attempts,
                "max_age_seconds": options.seconds(max_age, "--max-age"),
            },
        )
        if as_json:
            display.document(rules)
        else:
            _show([rules])


def _show(rules: list[Json]) -> None:
    display.table(
        ["Channel", "At most late", "Afterwards", "Tries", "Tried for"],
        [
            (
                each["channel"] or _DEFAULT,
                display.span(lateness["max_lateness_seconds"]) or "6 h",
                lateness["late_action"],
                each["max_attempts"] or "default",
                display.span(each["max_age_seconds"]) or "without end",
            )
            for each in rules
            for lateness in [each["lateness"] or {"max_lateness_seconds": None, "late_action": "ASK"}]
        ],
        whole=["Channel", "At most late", "Afterwards"],
    )
