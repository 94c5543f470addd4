"""`reelroute calls`: what was asked of platforms' APIs, and what they answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli import display, finding, options
from cli.client import Json
from cli.display import count, failures, moment

app = typer.Typer(no_args_is_help=True, help="Calls to platforms' APIs, as they were recorded.")

_FAILED = ["UNAVAILABLE", "RATE_LIMITED", "QUOTA_REACHED", "ACCOUNT_PROBLEM", "REJECTED", "UNCERTAIN", "ABANDONED"]


@app.command("list")
def list_calls(
    post: Annotated[str, typer.Option(help="Only those made for this post.")] = "",
    delivery: Annotated[str, typer.Option(help="Only those made for this delivery.")] = "",
    account: Annotated[str, typer.Option(help="Only those made for this account: its @handle or id.")] = "",
    order: Annotated[str, typer.Option(help="Only those made for this order: our id, TikTok Shop's or Amazon's.")] = "",
    shop: Annotated[str, typer.Option(help="Only those made for this shop.")] = "",
    vendor: Annotated[str, typer.Option(help="Only of this API: tiktok, tiktok_shop, amazon_sp.")] = "",
    outcome: Annotated[list[str] | None, typer.Option(help="Only with this outcome; may be repeated.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that did not work.")] = False,
    since: Annotated[str, typer.Option(help="Only of so long: 90s, 30m, 6h, 2d.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: options.AsJson = False,
) -> None:
    """Lists calls, each try for itself, the newest first."""
    seconds = options.seconds(since, "--since")
    with failures(as_json=as_json), options.api() as api:
        pages = api.pages(
            "/v1/vendor-calls",
            "vendor_calls",
            post_id=post,
            delivery_id=delivery,
            account_id=options.account_id(api, account) if account else "",
            order_id=finding.order_id(api, order) if order else "",
            shop_id=shop,
            vendor=vendor,
            outcome=_FAILED if failed else [each.upper() for each in outcome or []],
            from_time=_ago(seconds),
            page_size=min(limit + 1, 200),
        )
        found = [call for call, _ in zip(pages, range(limit + 1), strict=False)]
        shown, more = found[:limit], len(found) > limit
        if as_json:
            display.document({"vendor_calls": shown, "more": more})
            return
        display.table(
            ["Time", "Call", "Outcome", "Status", "Code", "ms", "Log id", "Id"],
            [
                (
                    moment(each["start_time"]),
                    f"{each['vendor']} {each['operation']}",
                    each["outcome"] if each["attempt"] == 1 else f"{each['outcome']}, try {each['attempt']}",
                    each["status"] or "",
                    each["code"],
                    each["duration_ms"],
                    each["log_id"],
                    each["vendor_call_id"],
                )
                for each in shown
            ],
            whole=["Time", "Id"],
        )
        display.note(f"{count(len(shown), 'call')}" + (", and more: --limit or --since" if more else "") + ".")


@app.command("show")
def show(
    call: Annotated[str, typer.Argument(help="Its id.", show_default=False)], as_json: options.AsJson = False
) -> None:
    """Shows a call with what was sent and answered. Tokens, secrets and buyers' data are not in it."""
    with failures(as_json=as_json), options.api() as api:
        found = api.get(f"/v1/vendor-calls/{call_id(call)}")
        if as_json:
            display.document(found)
            return
        display.facts(
            [
                ("Call", f"{found['vendor']} {found['operation']}, {found['method']} {found['path']}"),
                ("Time", f"{moment(found['start_time'])}, {found['duration_ms']} ms, try {found['attempt']}"),
                ("Outcome", " ".join(str(found[name]) for name in ("outcome", "status", "code") if found[name])),
                ("Log id", found["log_id"]),
                ("Handle", found["handle"]),
                *(
                    (name.capitalize(), found[f"{name}_id"])
                    for name in ("account", "post", "delivery", "order", "shop")
                ),
                ("Sent", _written(found["request"])),
                ("Answered", _written(found["answer"])),
            ]
        )


def call_id(text: str) -> str:
    """A call's id that is safe in a path. Raises ClientError."""
    return options.path_id(text, "a call", "reelroute calls list shows the ids.")


def _ago(seconds: int | None) -> str:
    return "" if seconds is None else (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def _written(document: Json | None) -> str:
    return "" if document is None else json.dumps(document, ensure_ascii=False, indent=2)
