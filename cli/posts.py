"""`reelroute posts`: schedule, queue, look, change, approve, decide; read the life of one."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import approving, changing, display, making, options, post_view, waiting
from cli.client import Api, Json, Refused
from cli.display import count, failures, moment
from cli.import_command import export_calendar, import_calendar

app = typer.Typer(no_args_is_help=True, help="Posts: schedule, look, change, approve, decide.")
app.command("create")(making.create)
app.command("queue")(making.queue)
app.command("import")(import_calendar)
app.command("export")(export_calendar)
app.command("shift")(changing.shift)
app.command("edit")(changing.edit)
app.command("cancel")(changing.cancel)
app.command("approve")(approving.approve)
app.command("waiting")(waiting.waiting)
app.command("decide")(waiting.decide)
app.command("settle")(waiting.settle)


@app.command("list")
def list_posts(
    from_time: Annotated[str, typer.Option("--from", help="From this instant on: 2027-01-04T00:00:00Z")] = "",
    until_time: Annotated[str, typer.Option("--until", help="Before this instant.")] = "",
    channel: Annotated[str, typer.Option(help="Only of this channel.")] = "",
    account: Annotated[str, typer.Option(help="Only for this account: its @handle or id.")] = "",
    series: Annotated[str, typer.Option(help="Only occurrences of this series.")] = "",
    ref: Annotated[str, typer.Option(help="Only with this ref.")] = "",
    state: Annotated[str, typer.Option(help="Only with a delivery in this state: SCHEDULED, PUBLISHED, FAILED…")] = "",
    approval: Annotated[str, typer.Option(help="PENDING: only those that wait for approval.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: options.AsJson = False,
) -> None:
    """Lists posts by time."""
    with failures(as_json=as_json), options.api() as api:
        pages = api.pages(
            "/v1/posts",
            "posts",
            from_time=from_time,
            until_time=until_time,
            channel=channel,
            account_id=options.account_id(api, account) if account else "",
            series_id=series,
            ref=ref,
            state=state.upper(),
            approval=approval.upper(),
            page_size=min(limit + 1, 200),
        )
        posts = [post for post, _ in zip(pages, range(limit + 1), strict=False)]
        shown, more = posts[:limit], len(posts) > limit
        if as_json:
            display.document({"posts": shown, "more": more})
            return
        post_view.table(shown, options.handles(api))
        display.note(f"{count(len(shown), 'post')}" + (", and more: --limit or --from" if more else "") + ".")


@app.command("show")
def show(post_id: Annotated[str, typer.Argument(help="Its id.")], as_json: options.AsJson = False) -> None:
    """Shows a post with its deliveries."""
    with failures(as_json=as_json), options.api() as api:
        post = post_view.read(api, post_id)
        if as_json:
            display.document(post)
        else:
            post_view.show(post, options.handles(api))


@app.command("log")
def log(post_id: Annotated[str, typer.Argument(help="Its id.")], as_json: options.AsJson = False) -> None:
    """Tells the life of a post: what happened, and every attempt to publish it."""
    with failures(as_json=as_json), options.api() as api:
        post = post_view.read(api, post_id)
        activities = list(api.pages("/v1/activities", "activities", post_id=post["post_id"], order="oldest_first"))
        publications = [
            found for each in post["deliveries"] if (found := _publication(api, each["delivery_id"])) is not None
        ]
        if as_json:
            display.document({"post": post, "activities": activities, "publications": publications})
            return
        zone = post["time_zone"]
        display.say(f"What happened (times of {zone})")
        display.table(
            ["Time", "Event", "What"],
            [(moment(each["activity_time"], zone), each["type"], each["summary"]) for each in activities],
            whole=["Time", "Event"],
        )
        handles = options.handles(api)
        for each in publications:
            display.say()
            _show_publication(each, handles.get(each["account_id"]) or each["account_id"], zone)
        if not publications:
            display.say("No attempt to publish it has begun.")


def _publication(api: Api, delivery_id: str) -> Json | None:
    try:
        return api.get(f"/v1/deliveries/{delivery_id}/publication")
    except Refused as refused:
        if refused.status == 404:
            return None  # no publisher has begun it
        raise


def _show_publication(publication: Json, account: str, zone: str) -> None:
    display.facts(
        [
            ("publication", publication["publication_id"]),
            ("account", account),
            ("step", publication["step"]),
            ("handle", publication["handle"]),
            ("platform id", publication["platform_post_id"]),
            ("url", publication["url"]),
        ]
    )
    for attempt in publication["attempts"]:
        ended = moment(attempt["end_time"], zone) or "still running, or its process died"
        outcome = f": {attempt['outcome']}" if attempt["outcome"] else ""
        display.say(
            display.printable(
                f"attempt {attempt['attempt']} by {attempt['holder']},"
                f" {moment(attempt['start_time'], zone)} to {ended}{outcome}"
            )
        )
        display.table(
            ["Time", "Step", "What", "Platform's log id"],
            [
                (moment(each["entry_time"], zone), each["step"] or "", each["message"], each["vendor_log_id"])
                for each in attempt["entries"]
            ],
            whole=["Time", "Step"],
        )
