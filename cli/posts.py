"""`reelroute posts`: schedule one or a calendar; look at them; cancel; decide; read the life of one."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

import typer

from cli import display, options, waiting
from cli.client import Api, ClientError, Json, Refused
from cli.display import count, failures, moment
from cli.import_command import import_calendar

app = typer.Typer(no_args_is_help=True, help="Posts: schedule, look, cancel, decide.")
app.command("import")(import_calendar)
app.command("waiting")(waiting.waiting)
app.command("decide")(waiting.decide)
app.command("settle")(waiting.settle)


@app.command("create")
def create(
    at: Annotated[str, typer.Option("--at", help="Wall-clock time: 2027-01-04T18:00")],
    zone: Annotated[str, typer.Option(help="Its IANA zone: Europe/Berlin")],
    account: Annotated[list[str], typer.Option(help="@handle or id; once for each account.")],
    media: Annotated[list[str], typer.Option(help="A file, or the id of one in the library; in order.")],
    caption: Annotated[str, typer.Option(help="The text.")] = "",
    privacy: options.PrivacyLevel = None,
    channel: Annotated[str, typer.Option(help="The content strategy that it belongs to.")] = "",
    ref: Annotated[str, typer.Option(help="Your own key for it.")] = "",
    ambiguous_time: options.Ambiguous = None,
    max_lateness: options.MaxLateness = "",
    late: options.Late = None,
    allow_comment: options.AllowComment = False,
    allow_duet: options.AllowDuet = False,
    allow_stitch: options.AllowStitch = False,
    brand_organic: options.BrandOrganic = False,
    branded_content: options.BrandedContent = False,
    ai_generated: options.AiGenerated = False,
    as_json: options.AsJson = False,
) -> None:
    """Schedules one post."""
    with failures(as_json=as_json):
        choices = options.tiktok(
            options.choose_privacy(privacy, as_json=as_json),
            allow_comment=allow_comment,
            allow_duet=allow_duet,
            allow_stitch=allow_stitch,
            brand_organic=brand_organic,
            branded_content=branded_content,
            ai_generated=ai_generated,
        )
        with options.api() as api:
            draft: Json = {
                "channel": channel,
                "account_ids": [options.account_id(api, each) for each in account],
                "caption": caption,
                "media_asset_ids": [_asset_id(api, each) for each in media],
                "local_time": at,
                "time_zone": zone,
                "ambiguous_time": ambiguous_time.value if ambiguous_time else None,
                "options": {"tiktok": choices},
                "ref": ref,
                "lateness": options.lateness(max_lateness, late),
            }
            post = api.post("/v1/posts", draft)
            if as_json:
                display.document(post)
                return
            _show(post, options.handles(api))
            for each in post["warnings"]:
                display.note(display.printable(f"Warning: {each['field']}: {each['message']}"))


def _asset_id(api: Api, wanted: str) -> str:
    try:
        return str(uuid.UUID(wanted))
    except ValueError:
        pass
    path = Path(wanted)
    if not path.is_file():
        raise ClientError(f"{wanted} is neither a file nor the id of one in the library.", "")
    try:
        return str(api.upload(path)["media_asset_id"])
    except OSError as error:
        raise ClientError(f"{wanted} cannot be read: {error.strerror}.") from None


@app.command("list")
def list_posts(
    from_time: Annotated[str, typer.Option("--from", help="From this instant on: 2027-01-04T00:00:00Z")] = "",
    until_time: Annotated[str, typer.Option("--until", help="Before this instant.")] = "",
    channel: Annotated[str, typer.Option(help="Only of this channel.")] = "",
    state: Annotated[str, typer.Option(help="Only with a delivery in this state: SCHEDULED, PUBLISHED, FAILED…")] = "",
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
            state=state.upper(),
            page_size=min(limit + 1, 200),
        )
        posts = [post for post, _ in zip(pages, range(limit + 1), strict=False)]
        shown, more = posts[:limit], len(posts) > limit
        if as_json:
            display.document({"posts": shown, "more": more})
            return
        handles = options.handles(api)
        display.table(
            ["Time", "Zone", "State", "Channel", "Account", "Ref", "Caption", "Post"],
            [
                (
                    moment(post["schedule_time"], post["time_zone"]),
                    post["time_zone"],
                    ", ".join(dict.fromkeys(each["state"] for each in post["deliveries"])),
                    post["channel"],
                    ", ".join(handles.get(each["account_id"], each["account_id"]) for each in post["deliveries"]),
                    post["ref"],
                    display.first_line(post["caption"], 40),
                    post["post_id"],
                )
                for post in shown
            ],
            whole=["Time", "State", "Post"],
        )
        display.note(f"{count(len(shown), 'post')}" + (", and more: --limit or --from" if more else "") + ".")


@app.command("show")
def show(post_id: Annotated[str, typer.Argument(help="Its id.")], as_json: options.AsJson = False) -> None:
    """Shows a post with its deliveries."""
    with failures(as_json=as_json), options.api() as api:
        post = _post(api, post_id)
        if as_json:
            display.document(post)
        else:
            _show(post, options.handles(api))


@app.command("cancel")
def cancel(
    post_id: Annotated[str, typer.Argument(help="Its id.")], yes: options.Yes = False, as_json: options.AsJson = False
) -> None:
    """Cancels what of a post has not begun."""
    with failures(as_json=as_json), options.api() as api:
        if not yes:
            post = _post(api, post_id)
            when = f"{moment(post['schedule_time'], post['time_zone'])} {post['time_zone']}"
            what = display.printable(f"“{display.first_line(post['caption'])}” of {when}")
            options.confirm(f"Cancel {what}?", yes=yes, as_json=as_json)
        post = api.post(f"/v1/posts/{_id(post_id)}:cancel", {})
        if as_json:
            display.document(post)
            return
        _show(post, options.handles(api))
        if not any(each["state"] == "CANCELED" for each in post["deliveries"]):
            display.note("Nothing of it was left to cancel.")


@app.command("log")
def log(post_id: Annotated[str, typer.Argument(help="Its id.")], as_json: options.AsJson = False) -> None:
    """Tells the life of a post: what happened, and every attempt to publish it."""
    with failures(as_json=as_json), options.api() as api:
        post = _post(api, post_id)
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


def _post(api: Api, post_id: str) -> Json:
    return api.get(f"/v1/posts/{_id(post_id)}")


def _id(text: str) -> str:
    return options.path_id(text, "a post", "reelroute posts list shows the ids.")


def _publication(api: Api, delivery_id: str) -> Json | None:
    try:
        return api.get(f"/v1/deliveries/{delivery_id}/publication")
    except Refused as refused:
        if refused.status == 404:
            return None  # no publisher has begun it
        raise


def _show(post: Json, handles: dict[str, str]) -> None:
    display.facts(
        [
            ("post", post["post_id"]),
            ("ref", post["ref"]),
            ("channel", post["channel"]),
            ("time", f"{post['local_time']} {post['time_zone']} ({post['schedule_time']})"),
            ("caption", post["caption"]),
            ("media", "\n".join(f"{each['media_asset_id']} {each['mime_type']}" for each in post["media"])),
            ("privacy", (post["options"].get("tiktok") or {}).get("privacy_level", "")),
            ("late", _lateness(post["lateness"])),
        ]
    )
    for each in post["deliveries"]:
        display.say()
        display.facts(
            [
                ("account", handles.get(each["account_id"], each["account_id"])),
                ("state", f"{each['state']} ({each['hold_cause']})" if each["hold_cause"] else each["state"]),
                ("delivery", each["delivery_id"]),
                ("due", each["due_time"] if each["state"] == "SCHEDULED" else ""),
                ("attempts", each["attempt"] or ""),
                ("failed", each["failed_attempts"] or ""),
                ("published", each["publish_time"]),
                ("removed", each["remove_time"]),
                ("seen by", each["visibility"]),
                ("platform id", each["platform_post_id"]),
                ("url", each["url"]),
                ("why", f"{each['failure_reason']} {each['failure_message']}".strip()),
                ("waits for", "you: reelroute posts waiting" if each["needs_person"] else ""),
            ]
        )


def _lateness(lateness: Json | None) -> str:
    if lateness is None:
        return ""
    return f"at most {display.span(lateness['max_lateness_seconds']) or '6 h'}, then {lateness['late_action']}"


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
