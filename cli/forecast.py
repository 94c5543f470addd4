"""`reelroute plan forecast`: what will fail in the next days."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import display, options
from cli.client import Json
from cli.display import count, failures, moment


def forecast(
    days: Annotated[int, typer.Option(min=1, max=60, help="How far ahead.")] = 14, as_json: options.AsJson = False
) -> None:
    """Foresees which posts will not go out at their time, and says what to do. Exit code 1 when there are such."""
    with failures(as_json=as_json), options.api() as api:
        found: list[Json] = []
        page = api.get("/v1/forecast", horizon_days=days, page_size=200)
        looked_at = page["deliveries"]
        found += page["failures"]
        while token := page["next_page_token"]:
            page = api.get("/v1/forecast", horizon_days=days, page_size=200, page_token=token)
            found += page["failures"]
        if as_json:
            display.document({"failures": found, "deliveries": looked_at})
        else:
            _show(found, options.handles(api) if found else {})
            display.say(
                f"{count(looked_at, 'delivery', 'deliveries')} in the next {count(days, 'day')} looked at,"
                f" {len({each['delivery_id'] for each in found})} will not go out at their time."
            )
    if found:
        raise typer.Exit(1)


def _show(found: list[Json], handles: dict[str, str]) -> None:
    by_day: dict[str, list[Json]] = {}
    for each in found:
        by_day.setdefault(moment(each["schedule_time"])[:10], []).append(each)
    for day, of_day in by_day.items():
        display.say(day)
        display.table(
            ["Time", "Account", "Cause", "What will happen, and what to do", "Later", "Post"],
            [
                (
                    moment(each["schedule_time"])[11:],
                    handles.get(each["account_id"], each["account_id"]),
                    f"{each['cause']} {each['reason']}",
                    each["message"],
                    moment(each["delayed_until_time"]),
                    each["post_id"],
                )
                for each in of_day
            ],
            whole=["Time", "Account", "Post"],
        )
        display.say()
