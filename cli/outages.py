"""`reelroute outages` and `incidents`: times in which posts could not go out."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import display, options
from cli.client import Api
from cli.display import failures, moment


def outages(
    outage_id: Annotated[str, typer.Argument(help="Of one outage: what became of each post.")] = "",
    as_json: options.AsJson = False,
) -> None:
    """Lists times in which no publisher ran while posts became due; of one, what became of each post."""
    with failures(as_json=as_json), options.api() as api:
        if outage_id:
            _one(api, options.path_id(outage_id, "an outage", "reelroute outages shows the ids."), as_json=as_json)
            return
        found = list(api.pages("/v1/outages", "outages"))
        if as_json:
            display.document({"outages": found})
            return
        display.table(
            ["From", "Until", "Late", "Outage"],
            [
                (moment(each["start_time"]), moment(each["end_time"]), each["deliveries"], each["outage_id"])
                for each in found
            ],
            whole=["From", "Until", "Outage"],
        )


def _one(api: Api, outage_id: str, *, as_json: bool) -> None:
    deliveries = list(api.pages(f"/v1/outages/{outage_id}/deliveries", "deliveries"))
    if as_json:
        display.document({"deliveries": deliveries})
        return
    handles = options.handles(api)
    display.table(
        ["Planned", "State", "Published", "Account", "What", "Post"],
        [
            (
                moment(each["schedule_time"]),
                each["state"],
                moment(each["publish_time"]),
                handles.get(each["account_id"], each["account_id"]),
                each["failure_message"] or each["url"],
                each["post_id"],
            )
            for each in deliveries
        ],
        whole=["Planned", "State", "Published", "Post"],
    )


def incidents(as_json: options.AsJson = False) -> None:
    """Lists times in which a platform failed for many accounts, and nothing was sent to it."""
    with failures(as_json=as_json), options.api() as api:
        found = list(api.pages("/v1/incidents", "incidents"))
        if as_json:
            display.document({"incidents": found})
            return
        display.table(
            ["From", "Until", "Platform", "Probes", "Cause"],
            [
                (
                    moment(each["start_time"]),
                    moment(each["end_time"]) or f"now; next probe {moment(each['next_probe_time'])}",
                    each["platform"],
                    each["probes"],
                    each["cause"],
                )
                for each in found
            ],
            whole=["From", "Platform"],
        )
