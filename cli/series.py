"""`reelroute series`: posts that recur by a rule."""

from __future__ import annotations

import enum
import re
from itertools import islice
from typing import Annotated

import typer

from cli import content, display, options, post_view
from cli.client import ClientError, Json
from cli.display import count, failures

app = typer.Typer(no_args_is_help=True, help="Series: posts that recur by a rule.")

# Posts of a new series that are shown; --json tells of all.
_SHOWN = 10
_LOCAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")


class Gap(enum.StrEnum):
    """What becomes of a time that the clock jumps over."""

    SHIFT = "shift"
    SKIP = "skip"


Rrule = Annotated[str, typer.Option(help='RFC 5545: "FREQ=WEEKLY;BYDAY=TU,TH;BYHOUR=14;BYMINUTE=0"')]
Cron = Annotated[str, typer.Option(help='Or cron, five fields: "0 14 * * tue,thu"')]
Start = Annotated[str, typer.Option(help="It begins at this wall-clock time: 2027-01-05T14:00")]
Zone = Annotated[str, typer.Option(help="Its IANA zone: America/New_York")]
Until = Annotated[str, typer.Option(help="Its last wall-clock time, itself included.")]
GapRule = Annotated[
    Gap | None,
    typer.Option("--gap", case_sensitive=False, help="A time that the clock jumps over: after the gap, or left out."),
]
OtherZone = Annotated[str, typer.Option(help="A second zone to show the times in: Europe/Berlin")]
SeriesId = Annotated[str, typer.Argument(help="Its id.")]
OccurrenceTime = Annotated[str, typer.Argument(help="As the rule gives it, before any move: 2027-03-16T14:00")]
Name = Annotated[str, typer.Option(help="For people: Weekly tip")]


@app.command("create")
def create(
    start: Start,
    zone: Zone,
    account: content.Accounts,
    media: content.Media,
    rrule: Rrule = "",
    cron: Cron = "",
    until: Until = "",
    gap: GapRule = None,
    ambiguous_time: options.Ambiguous = None,
    name: Name = "",
    caption: content.Caption = "",
    privacy: options.PrivacyLevel = None,
    channel: content.Channel = "",
    ref: content.Ref = "",
    max_lateness: options.MaxLateness = "",
    late: options.Late = None,
    accept_conflicts: content.AcceptConflicts = False,
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
    product: options.Product = "",
    product_title: options.ProductTitle = "",
    product_cover_ms: options.ProductCover = 0,
    product_music: options.ProductMusic = "",
    as_json: options.AsJson = False,
) -> None:
    """Makes a series and the posts of its first occurrences; the others follow ahead of their time."""
    with failures(as_json=as_json):
        recurrence = _recurrence({}, rrule, cron, start, zone, until, gap, ambiguous_time)
        choices = options.platforms(
            privacy,
            allow_comment=allow_comment,
            allow_duet=allow_duet,
            allow_stitch=allow_stitch,
            brand_organic=brand_organic,
            branded_content=branded_content,
            ai_generated=ai_generated,
            draft=draft,
            music_usage_confirmed=music_usage_confirmed,
            auto_add_music=auto_add_music,
            photo_cover=photo_cover,
            photo_title=photo_title,
            product=product,
            product_title=product_title,
            product_cover_ms=product_cover_ms,
            product_music=product_music,
            as_json=as_json,
        )
        with options.api() as api:
            post = content.content(
                api,
                accounts=account,
                media=media,
                caption=caption,
                channel=channel,
                ref=ref,
                choices=choices,
                lateness=options.lateness(max_lateness, late),
                accept_conflicts=accept_conflicts,
            )
            series = api.post("/v1/series", {"name": name, "recurrence": recurrence, "post": post})
            _tell_saved(series, as_json=as_json)


@app.command("preview")
def preview(
    start: Start,
    zone: Zone,
    rrule: Rrule = "",
    cron: Cron = "",
    until: Until = "",
    gap: GapRule = None,
    ambiguous_time: options.Ambiguous = None,
    other_zone: OtherZone = "",
    limit: Annotated[int, typer.Option("--count", min=1, max=200, help="So many times.")] = 10,
    as_json: options.AsJson = False,
) -> None:
    """Shows when a rule would recur, without saving anything."""
    with failures(as_json=as_json), options.api() as api:
        recurrence = _recurrence({}, rrule, cron, start, zone, until, gap, ambiguous_time)
        body = {"recurrence": recurrence, "other_time_zone": other_zone, "max_occurrences": limit}
        found = api.post("/v1/series:preview", body)
        if as_json:
            display.document(found)
            return
        display.say(display.printable(found["description"]))
        display.times_table(found["times"], [], [[] for _ in found["times"]])


@app.command("list")
def list_series(
    channel: Annotated[str, typer.Option(help="Only of this channel.")] = "",
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended; else those that go on.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Lists series, newest first."""
    with failures(as_json=as_json), options.api() as api:
        state = "ENDED" if ended else "ACTIVE"
        found = list(api.pages("/v1/series", "series", channel=channel, state=state))
        if as_json:
            display.document({"series": found})
            return
        display.table(
            ["Name", "Channel", "Rule", "Zone", "From", "Until", "Series"],
            [
                (
                    each["name"],
                    each["post"]["channel"],
                    _rule(each),
                    each["recurrence"]["time_zone"],
                    each["recurrence"]["start_time"],
                    each["recurrence"]["until_time"] or "",
                    each["series_id"],
                )
                for each in found
            ],
            whole=["Series"],
        )


@app.command("show")
def show(
    series: SeriesId,
    other_zone: OtherZone = "",
    limit: Annotated[int, typer.Option(min=1, help="So many of the next occurrences.")] = 10,
    as_json: options.AsJson = False,
) -> None:
    """Shows a series and its next occurrences."""
    with failures(as_json=as_json), options.api() as api:
        found = api.get(_path(series))
        pages = api.pages(
            f"{_path(series)}/occurrences", "occurrences", other_time_zone=other_zone, page_size=min(limit, 200)
        )
        occurrences = list(islice(pages, limit))
        if as_json:
            display.document({"series": found, "occurrences": occurrences})
            return
        display.facts(
            [
                ("series", found["series_id"]),
                ("name", found["name"]),
                ("state", found["state"]),
                ("rule", _rule(found)),
                ("zone", found["recurrence"]["time_zone"]),
                ("until", found["recurrence"]["until_time"]),
                ("goes on from", found["previous_series_id"]),
                ("channel", found["post"]["channel"]),
                ("caption", found["post"]["caption"]),
            ]
        )
        display.say()
        _show_occurrences(occurrences)


@app.command("update")
def update(
    series: SeriesId,
    from_occurrence: Annotated[
        str, typer.Option("--from", help="From this occurrence on, as the rule gives it; none: the whole series.")
    ] = "",
    rrule: Rrule = "",
    cron: Cron = "",
    start: Start = "",
    zone: Zone = "",
    until: Until = "",
    gap: GapRule = None,
    ambiguous_time: options.Ambiguous = None,
    name: Name = "",
    caption: Annotated[str | None, typer.Option(help="A new text.")] = None,
    media: Annotated[list[str] | None, typer.Option(help="New files, or ids of such; in order.")] = None,
    account: Annotated[list[str] | None, typer.Option(help="Other accounts; once for each.")] = None,
    channel: Annotated[str | None, typer.Option(help="Another channel.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Changes a series as a whole, or with --from “this and following”. What is not named stays."""
    with failures(as_json=as_json), options.api() as api:
        path = _path(series)
        found = api.get(path)
        patch: Json = {"name": name} if name else {}
        if any((rrule, cron, start, zone, until, gap, ambiguous_time)):
            start = start or _start_of(from_occurrence, rrule, cron)
            patch["recurrence"] = _recurrence(found["recurrence"], rrule, cron, start, zone, until, gap, ambiguous_time)
        post: Json = {"caption": caption, "channel": channel}
        if media:
            post["media_asset_ids"] = [content.asset_id(api, each) for each in media]
        if account:
            post["account_ids"] = [options.account_id(api, each) for each in account]
        if given := {field: value for field, value in post.items() if value is not None}:
            patch["post"] = found["post"] | given
        if not patch:
            raise ClientError("Nothing is to be changed.", "Say what: --name, --rrule, --until, --caption, …")
        etag, from_time = found["etag"], _time(from_occurrence) if from_occurrence else ""
        _tell_saved(api.patch(path, patch, etag=etag, from_occurrence_time=from_time), as_json=as_json)


@app.command("end")
def end(
    series: SeriesId,
    from_occurrence: Annotated[
        str, typer.Option("--from", help="The first occurrence that is no longer wanted; none: from now on.")
    ] = "",
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Ends a series: its later posts that have not begun are canceled."""
    with failures(as_json=as_json), options.api() as api:
        path = _path(series)
        query = f"?from_occurrence_time={_time(from_occurrence)}" if from_occurrence else ""
        options.confirm("End the series and cancel its later posts?", yes=yes, as_json=as_json)
        ended = api.post(f"{path}:end{query}", {})
        if as_json:
            display.document(ended)
        else:
            display.say(f"Ended. {count(ended['canceled_posts'], 'post')} canceled.")


@app.command("skip")
def skip(series: SeriesId, occurrence: OccurrenceTime, as_json: options.AsJson = False) -> None:
    """Leaves one occurrence out; its post is canceled."""
    _change(series, occurrence, "skip", {}, as_json=as_json)


@app.command("move")
def move(
    series: SeriesId,
    occurrence: OccurrenceTime,
    to: Annotated[str, typer.Argument(help="Its new wall-clock time: 2027-03-17T14:00")],
    as_json: options.AsJson = False,
) -> None:
    """Moves one occurrence to another time; its post follows."""
    _change(series, occurrence, "move", {"move_to_time": to}, as_json=as_json)


@app.command("restore")
def restore(series: SeriesId, occurrence: OccurrenceTime, as_json: options.AsJson = False) -> None:
    """Puts one occurrence back to its own time, or tries again to make its post."""
    _change(series, occurrence, "restore", {}, as_json=as_json)


def _change(series: str, occurrence: str, verb: str, body: Json, *, as_json: bool) -> None:
    with failures(as_json=as_json), options.api() as api:
        changed = api.post(f"{_path(series)}/occurrences/{_time(occurrence)}:{verb}", body)
        if as_json:
            display.document(changed)
        else:
            _show_occurrences([changed])


def _path(series: str) -> str:
    return f"/v1/series/{options.path_id(series, 'a series', 'reelroute series list shows the ids.')}"


def _time(text: str) -> str:
    """A wall-clock time that is safe in a path. Raises ClientError."""
    if not _LOCAL_TIME.fullmatch(text):
        raise ClientError(f"{text!r} is no wall-clock time.", "Write it as `series show` does: 2027-03-16T14:00")
    return text


def _recurrence(
    before: Json,
    rrule: str,
    cron: str,
    start: str,
    zone: str,
    until: str,
    gap: Gap | None,
    ambiguous_time: options.AmbiguousTime | None,
) -> Json:
    """The recurrence as REST takes it: what was before, and what is given now. Raises typer.BadParameter."""
    if bool(rrule) + bool(cron) != 1 and not (before and not rrule and not cron):
        raise typer.BadParameter(
            "Say when it recurs, in one of two ways: FREQ=WEEKLY;BYDAY=TU, or --cron '0 14 * * tue'.",
            param_hint="--rrule",
        )
    rule = {"rrule": rrule or None, "cron": cron or None} if rrule or cron else {}
    given = {
        "start_time": start,
        "time_zone": zone,
        "until_time": until,
        "gap_rule": options.word(gap) if gap else "",
        "ambiguous_time": ambiguous_time.value if ambiguous_time else "",
    }
    return before | rule | {field: value for field, value in given.items() if value}


def _start_of(from_occurrence: str, rrule: str, cron: str) -> str:
    """Where what follows an occurrence begins: on its day, or at its time where the rule has none of its own."""
    if not from_occurrence:
        return ""
    return f"{from_occurrence[:10]}T00:00" if cron or "BYHOUR" in rrule.upper() else from_occurrence


def _rule(series: Json) -> str:
    return str(series["recurrence"]["rrule"] or series["recurrence"]["cron"])


def _tell_saved(series: Json, *, as_json: bool) -> None:
    if as_json:
        display.document(series)
        return
    display.facts([("series", series["series_id"]), ("name", series["name"]), ("rule", _rule(series))])
    display.say()
    made, refused = (
        [each for each in series["occurrences"] if bool(each["post_id"]) is is_made] for is_made in (True, False)
    )
    _show_occurrences([*refused, *made[:_SHOWN]])
    post_view.doubts(series)
    display.note(
        f"{count(len(made), 'post')} made so far, {len(refused)} could not be; the others follow ahead of their time."
    )


def _show_occurrences(occurrences: list[Json]) -> None:
    display.times_table(
        [each["times"] for each in occurrences],
        ["Occurrence", "State", "Post, or why there is none"],
        [
            (each["occurrence_time"], each["state"], each["post_id"] or f"{each['reason']} {each['message']}".strip())
            for each in occurrences
        ],
    )
