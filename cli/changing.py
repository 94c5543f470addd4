"""`reelroute posts shift`, `edit` and `cancel`: many posts at once, by a filter; and cancelling one."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from cli import content, display, options, post_view
from cli.client import Api, ClientError, Json
from cli.display import count, failures, moment

# Posts of a change that are shown; --json tells of all.
_SHOWN = 50

From = Annotated[str, typer.Option("--from", help="Scheduled from this instant on: 2027-01-04T00:00:00Z")]
Until = Annotated[str, typer.Option("--until", help="Scheduled before this instant.")]
Channel = Annotated[str, typer.Option(help="Of this channel.")]
Account = Annotated[str, typer.Option(help="For this account: its @handle or id.")]
Series = Annotated[str, typer.Option(help="Occurrences of this series.")]
State = Annotated[str, typer.Option(help="With a delivery in this state: SCHEDULED, HELD…")]
Ref = Annotated[str, typer.Option(help="With this ref.")]
Posts = Annotated[list[str] | None, typer.Option("--post", help="Ids; once for each.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]


def shift(
    by: Annotated[str, typer.Option(help="By how much wall-clock times move: 7d, -1d, 90m, 1d2h.")],
    from_time: From = "",
    until_time: Until = "",
    channel: Channel = "",
    account: Account = "",
    series: Series = "",
    state: State = "",
    ref: Ref = "",
    post: Posts = None,
    accept_conflicts: content.AcceptConflicts = False,
    dry_run: DryRun = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Moves every post that the filter names. Ten o'clock stays ten o'clock when it is moved by days.

    Exit code 1 when a post was refused; the others are moved.
    """
    with failures(as_json=as_json), options.api() as api:
        moved = _shift(by)
        wanted = _filter(api, from_time, until_time, channel, account, series, state, ref, post)
        body = {"filter": wanted, "shift": moved, "accept_conflicts": accept_conflicts}
        refused = _run(api, body, "Shift", dry_run=dry_run, yes=yes, as_json=as_json)
    if refused:
        raise typer.Exit(display.EXIT_ROWS_REFUSED)


def edit(
    from_time: From = "",
    until_time: Until = "",
    channel: Channel = "",
    account: Account = "",
    series: Series = "",
    state: State = "",
    ref: Ref = "",
    post: Posts = None,
    set_channel: Annotated[str | None, typer.Option(help="New channel.")] = None,
    set_zone: Annotated[str | None, typer.Option(help="New IANA zone; the wall-clock times stay.")] = None,
    set_caption: Annotated[str | None, typer.Option(help="New text.")] = None,
    set_media: Annotated[
        list[str] | None, typer.Option(help="New files, or ids of files in the library; in order.")
    ] = None,
    set_privacy: Annotated[
        options.Privacy | None,
        typer.Option(case_sensitive=False, help="New choices of TikTok: who sees it, and the switches below."),
    ] = None,
    allow_comment: options.AllowComment = False,
    allow_duet: options.AllowDuet = False,
    allow_stitch: options.AllowStitch = False,
    brand_organic: options.BrandOrganic = False,
    branded_content: options.BrandedContent = False,
    ai_generated: options.AiGenerated = False,
    draft: options.Draft = False,
    music_usage_confirmed: options.MusicUsageConfirmed = False,
    auto_add_music: options.AutoAddMusic = False,
    photo_cover: options.PhotoCover = 1,
    photo_title: options.PhotoTitle = "",
    max_lateness: options.MaxLateness = "",
    late: options.Late = None,
    accept_conflicts: content.AcceptConflicts = False,
    dry_run: DryRun = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Gives every post that the filter names the same new values; what is not named stays.

    Exit code 1 when a post was refused; the others are changed.
    """
    with failures(as_json=as_json), options.api() as api:
        switches = {
            "allow_comment": allow_comment,
            "allow_duet": allow_duet,
            "allow_stitch": allow_stitch,
            "brand_organic": brand_organic,
            "branded_content": branded_content,
            "ai_generated": ai_generated,
            "draft": draft,
            "music_usage_confirmed": music_usage_confirmed,
            "auto_add_music": auto_add_music,
        }
        if set_privacy is None and not draft and (any(switches.values()) or photo_cover != 1 or photo_title):
            raise typer.BadParameter("TikTok's choices are set together: say who sees it.", param_hint="--set-privacy")
        values: Json = {"channel": set_channel, "time_zone": set_zone, "caption": set_caption}
        if set_media:
            values["media_asset_ids"] = [content.asset_id(api, each) for each in set_media]
        if set_privacy is not None or draft:
            privacy = options.choose_privacy(set_privacy, draft=draft, as_json=as_json)
            chosen = options.tiktok(privacy, **switches, photo_cover=photo_cover, photo_title=photo_title)
            values["options"] = {"tiktok": chosen}
        values["lateness"] = options.lateness(max_lateness, late)
        given = {name: value for name, value in values.items() if value is not None}
        if not given:
            raise ClientError("Nothing is to be changed.", "Say what: --set-channel, --set-caption, --late, …")
        wanted = _filter(api, from_time, until_time, channel, account, series, state, ref, post)
        body = {"filter": wanted, "edit": given, "accept_conflicts": accept_conflicts}
        refused = _run(api, body, "Change", dry_run=dry_run, yes=yes, as_json=as_json)
    if refused:
        raise typer.Exit(display.EXIT_ROWS_REFUSED)


def cancel(
    post_id: Annotated[str, typer.Argument(help="Of one post; or name many with the options.")] = "",
    from_time: From = "",
    until_time: Until = "",
    channel: Channel = "",
    account: Account = "",
    series: Series = "",
    state: State = "",
    ref: Ref = "",
    post: Posts = None,
    dry_run: DryRun = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Cancels what of a post, or of every post that the filter names, has not begun.

    Exit code 1 when a post of many was refused; the others are canceled.
    """
    refused = 0
    with failures(as_json=as_json), options.api() as api:
        named = (from_time, until_time, channel, account, series, state, ref, post)
        if post_id and not any(named) and not dry_run:
            _cancel_one(api, post_id, yes=yes, as_json=as_json)
        else:
            if post_id:
                raise ClientError(
                    "Name one post by its id, or many by the options.", "Several ids: --post ID --post ID"
                )
            body = {"filter": _filter(api, *named), "cancel": True}
            refused = _run(api, body, "Cancel", dry_run=dry_run, yes=yes, as_json=as_json)
    if refused:
        raise typer.Exit(display.EXIT_ROWS_REFUSED)


def _cancel_one(api: Api, post_id: str, *, yes: bool, as_json: bool) -> None:
    if not yes:
        post = post_view.read(api, post_id)
        when = f"{moment(post['schedule_time'], post['time_zone'])} {post['time_zone']}"
        what = display.printable(f"“{display.first_line(post['caption'])}” of {when}")
        options.confirm(f"Cancel {what}?", yes=yes, as_json=as_json)
    post = api.post(f"/v1/posts/{post_view.id_of(post_id)}:cancel", {})
    if as_json:
        display.document(post)
        return
    post_view.show(post, options.handles(api))
    if not any(each["state"] == "CANCELED" for each in post["deliveries"]):
        display.note("Nothing of it was left to cancel.")


def _filter(
    api: Api,
    from_time: str,
    until_time: str,
    channel: str,
    account: str,
    series: str,
    state: str,
    ref: str,
    posts: list[str] | None,
) -> Json:
    """The filter as REST takes it. Raises ClientError when it names nothing."""
    values: Json = {
        "from_time": from_time,
        "until_time": until_time,
        "channel": channel,
        "account_id": options.account_id(api, account) if account else "",
        "series_id": series,
        "state": state.upper(),
        "ref": ref,
        "post_ids": [post_view.id_of(each) for each in posts or []],
    }
    given = {name: value for name, value in values.items() if value}
    if not given:
        raise ClientError(
            "Which posts?", "Say it with --from and --until, --channel, --account, --series, --ref or --post."
        )
    return given


def _shift(text: str) -> Json:
    parts = re.fullmatch(r"([+-]?)(?:([0-9]{1,3})d)?(?:([0-9]{1,2})h)?(?:([0-9]{1,4})m)?", text.strip().lower())
    if not parts or not any(parts.groups()[1:]):
        raise typer.BadParameter(f"{text}: give days, hours and minutes: 7d, -1d, 90m, 1d2h.", param_hint="--by")
    sign = -1 if parts[1] == "-" else 1
    days, hours, minutes = (int(each or 0) for each in parts.groups()[1:])
    extra, seconds = divmod(hours * 3600 + minutes * 60, 86_400)
    return {"days": sign * (days + extra), "time_seconds": sign * seconds}


def _run(api: Api, body: Json, verb: str, *, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Looks first, asks, then changes. How many posts were refused."""
    looked: list[Json] = []
    if dry_run or not yes:
        looked = _posts(api, body | {"validate_only": True}, "Checking posts")
        changed, refused = _counts(looked)
        if not as_json:
            _show(looked)
        if dry_run or not changed:
            _tell(looked, dry_run=dry_run, as_json=as_json)
            return refused
        options.confirm(f"{verb} {count(changed, 'post')}; {refused} refused?", yes=False, as_json=as_json)
    done = _posts(api, body | {"validate_only": False}, f"{verb}: posts", len(looked) or None)
    if yes and not as_json:
        _show(done)
    _tell(done, dry_run=False, as_json=as_json)
    return _counts(done)[1]


def _posts(api: Api, body: Json, what: str, total: int | None = None) -> list[Json]:
    """What becomes of each post. Where the answer broke off and went on, what was said of a post first counts."""
    found: dict[str, Json] = {}
    with display.progress() as bar:
        task = bar.add_task(what, total=total)
        for line in api.lines("/v1/posts:batchChange", body):
            if (post := line.get("post")) and found.setdefault(post["post_id"], post) is post:
                bar.advance(task)
    return list(found.values())


def _counts(posts: list[Json]) -> tuple[int, int]:
    refused = sum(bool(each["refusal"]) for each in posts)
    return sum(bool(each["changes"]) for each in posts), refused


def _show(posts: list[Json]) -> None:
    # What needs attention first.
    told = sorted((each for each in posts if each["refusal"] or each["changes"]), key=lambda each: not each["refusal"])
    if not told:
        return
    display.table(
        ["Time", "Ref", "What", "Post"],
        [(moment(each["schedule_time"]), each["ref"], _what(each), each["post_id"]) for each in told[:_SHOWN]],
        whole=["Time", "Post"],
    )
    if len(told) > _SHOWN:
        display.note(f"… and {len(told) - _SHOWN} more; --json tells of all.")


def _what(post: Json) -> str:
    if refusal := post["refusal"]:
        return f"refused ({refusal['reason']}): {refusal['message']}"
    changes = [f"{each['field']}: {each['before']} → {each['after']}" for each in post["changes"]]
    return "; ".join([*changes, *(f"conflict: {each['message']}" for each in post["conflicts"])])


def _tell(posts: list[Json], *, dry_run: bool, as_json: bool) -> None:
    changed, refused = _counts(posts)
    counts = {"posts": len(posts), "changed": changed, "unchanged": len(posts) - changed - refused, "refused": refused}
    if as_json:
        display.document({"posts": posts, "summary": counts | {"validate_only": dry_run}})
        return
    word = "would be changed" if dry_run else "changed"
    display.say(f"{count(changed, 'post')} {word}, {counts['unchanged']} as wanted already, {refused} refused.")
