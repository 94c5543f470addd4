"""`reelroute posts import` and `posts export`: what is asked, in which order, and what it ends with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from cli import display, files, options
from cli.client import ClientError, Json
from cli.display import count, failures, size
from cli.importing import OUTCOMES, Import, missing_file

_LINES_NAMED = 12
_FORMATS = ("csv", "hootsuite", "buffer", "publer", "metricool", "xlsx", "ics")

Format = Annotated[str, typer.Option("--format", help=f"{', '.join(_FORMATS)}; else recognised by content.")]


def import_calendar(
    file: Annotated[Path, typer.Argument(help="A calendar: CSV, XLSX or ICS, one post per row or event.")],
    media: Annotated[
        Path | None, typer.Option(help="Where its media are. Else beside the file, in media/, or in ../media/.")
    ] = None,
    privacy: options.PrivacyLevel = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    kind: Format = "",
    account: Annotated[str, typer.Option(help="@handle, for rows that name none.")] = "",
    time_zone: Annotated[str, typer.Option(help="IANA zone, for rows that name none.")] = "",
    of_channel: Annotated[str, typer.Option("--default-channel", help="For rows that name none.")] = "",
    ambiguous_time: options.Ambiguous = None,
    column: Annotated[
        list[str] | None, typer.Option(help="What the file calls a column: --column local_date=Date")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="An account that belongs to a channel: --channel fire=@emberfold.hot")
    ] = None,
    products: Annotated[Path | None, typer.Option(help="CSV with seller_sku, to check product_skus against.")] = None,
    sheet: Annotated[str, typer.Option(help="Of a workbook.")] = "",
    include_hidden: Annotated[bool, typer.Option("--include-hidden", help="Hidden and struck rows too.")] = False,
    encoding: Annotated[str, typer.Option(help="Of a text that is not UTF-8: windows-1252.")] = "",
    delimiter: Annotated[str, typer.Option(help="Of a table, where its header does not show it.")] = "",
    date_order: Annotated[str, typer.Option(help="dmy, mdy or ymd, of dates like 02.03.2027.")] = "",
    accept_conflicts: Annotated[
        bool, typer.Option("--accept-conflicts", help="Also rows that break rules of their channel's plan.")
    ] = False,
    allow_comment: options.AllowComment = False,
    allow_duet: options.AllowDuet = False,
    allow_stitch: options.AllowStitch = False,
    brand_organic: options.BrandOrganic = False,
    branded_content: options.BrandedContent = False,
    ai_generated: options.AiGenerated = False,
    draft: options.Draft = False,
    music_usage_confirmed: options.MusicUsageConfirmed = False,
    auto_add_music: options.AutoAddMusic = False,
) -> None:
    """Schedules a calendar. Good rows are taken, bad ones reported; importing a file again changes what differs.

    Our own columns: local_date, local_time, timezone, account, caption, media; and ref, channel, hashtags,
    product_skus, notes. Files of Hootsuite, Buffer, Publer and Metricool need --account and --time-zone.

    Exit code: 0 all rows taken, 1 some refused, 3 not carried out.
    """
    with failures(as_json=as_json):
        if products is not None and files.skus(products) is None:
            raise typer.BadParameter(f"{products} is no CSV file with a column seller_sku.", param_hint="--products")
        if media is not None and not media.is_dir():
            raise typer.BadParameter(f"{media} is no folder.", param_hint="--media")
        listed = products or files.products_file(file)
        skus = files.skus(listed) if listed else None
        chosen: Json = {
            "format": kind or None,
            "columns": _pairs(column, "--column"),
            "account": account,
            "time_zone": time_zone,
            "channel": of_channel,
            "ambiguous_time": ambiguous_time.value if ambiguous_time else None,
            "sheet": sheet,
            "include_hidden": include_hidden,
            "encoding": encoding,
            "delimiter": delimiter,
            "date_order": date_order or None,
            "accept_conflicts": accept_conflicts,
            "channels_of_accounts": {
                handle.removeprefix("@"): name for name, handle in _pairs(channel, "--channel").items()
            },
            "skus": sorted(skus) if skus is not None else None,
            "media": {},
            "tiktok": options.tiktok(
                options.choose_privacy(privacy, draft=draft, as_json=as_json),
                allow_comment=allow_comment,
                allow_duet=allow_duet,
                allow_stitch=allow_stitch,
                brand_organic=brand_organic,
                branded_content=branded_content,
                ai_generated=ai_generated,
                draft=draft,
                music_usage_confirmed=music_usage_confirmed,
                auto_add_music=auto_add_music,
            ),
        }
        with options.api() as api:
            work = Import(api, file, chosen, files.media_folders(file, media))
            _run(work, dry_run=dry_run, yes=yes, as_json=as_json)


def _run(work: Import, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    work.look()
    waiting = sum(work.waits_for_upload(row) for row in work.rows)
    wanted = sum(row["outcome"] in ("CREATED", "UPDATED", "REPLACED") for row in work.rows) + waiting
    error: ClientError | None = None
    if not dry_run and wanted:
        # A script that imports means it: it doubles nothing, and what it schedules can be canceled.
        if not yes and options.may_ask(as_json=as_json):
            _show(work, is_dry_run=True)
            total = sum(each.size_bytes for each in work.uploads)
            more = f", upload {count(len(work.uploads), 'file')} ({size(total)})" if work.uploads else ""
            options.confirm(f"Schedule {count(wanted, 'post')}{more}?", yes=False)
        try:
            work.upload()
            work.run()
        except ClientError as failed:
            error = failed
    if as_json:
        display.document(_document(work, is_dry_run=dry_run, error=error))
    else:
        _show(work, is_dry_run=dry_run)
    if error:
        display.tell(error)
        raise typer.Exit(display.EXIT_NOT_DONE)
    if any(row["outcome"] == "REFUSED" and not (dry_run and work.waits_for_upload(row)) for row in work.rows):
        raise typer.Exit(display.EXIT_ROWS_REFUSED)


def _document(work: Import, *, is_dry_run: bool, error: ClientError | None) -> Json:
    document: Json = {
        "file": work.calendar.name,
        "dry_run": is_dry_run,
        "summary": work.summary,
        "media": {
            "uploads": [each.name for each in work.uploads],
            "reused": [each.name for each in work.reused],
            "faults": work.faults,
        },
        "rows": [{**row, "waits_for_upload": is_dry_run and work.waits_for_upload(row)} for row in work.rows],
    }
    if error:
        document["error"] = display.failure(error)
    return document


def _show(work: Import, *, is_dry_run: bool) -> None:
    refused = [
        (row["line"], row["ref"], each["field"], each["reason"], work.faults.get(missing_file(each), each["message"]))
        for row in work.rows
        if not (is_dry_run and work.waits_for_upload(row))
        for each in row["problems"]
    ]
    if refused:
        display.say("Refused rows")
        display.table(["Line", "Ref", "Field", "Reason", "What is wrong"], refused, whole=["Line", "Reason"])
        display.say()
    changes = [
        (row["line"], row["ref"], each["field"], each["before"], each["after"])
        for row in work.rows
        for each in row["changes"]
    ]
    if changes:
        display.say("Changes")
        display.table(["Line", "Ref", "Field", "Before", "After"], changes, whole=["Line", "Field"])
        display.say()
    odd = Counter[tuple[str, str, str]]()
    lines: dict[tuple[str, str, str], list[int]] = {}
    for row in work.rows:
        conflicts = [(each["field"], each["rule"], each["message"]) for each in row["conflicts"]]
        for key in [*((each["field"], each["reason"], each["message"]) for each in row["warnings"]), *conflicts]:
            odd[key] += 1
            lines.setdefault(key, []).append(row["line"])
    if odd:
        display.say("Warnings")
        told = [(times, *key, _lines(lines[key])) for key, times in odd.items()]
        display.table(["Rows", "Field", "Reason", "What is odd", "Lines"], told, whole=["Reason"])
        display.say()
    display.say(_totals(work, is_dry_run=is_dry_run))
    if work.uploads:
        total = size(sum(each.size_bytes for each in work.uploads))
        display.say(f"{'Would upload' if is_dry_run else 'Uploaded'} {count(len(work.uploads), 'file')} ({total}).")
    if unknown := work.summary.get("unknown_columns"):
        display.say(display.printable(f"Unknown columns, not read: {', '.join(unknown)}."))
    if is_dry_run:
        display.say("This was a dry run: nothing was changed.")


def _totals(work: Import, *, is_dry_run: bool) -> str:
    counts = Counter("CREATED" if is_dry_run and work.waits_for_upload(row) else row["outcome"] for row in work.rows)
    parts = [f"{counts[word]} {told[is_dry_run]}" for word, told in OUTCOMES.items() if counts[word]]
    return f"{count(len(work.rows), 'row')}: {', '.join(parts) or 'nothing'}."


def _lines(found: list[int]) -> str:
    more = f" and {len(found) - _LINES_NAMED} more" if len(found) > _LINES_NAMED else ""
    return ", ".join(map(str, found[:_LINES_NAMED])) + more


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for each in given or []:
        name, _, value = each.partition("=")
        if not name or not value:
            raise typer.BadParameter("Write NAME=VALUE.", param_hint=option)
        pairs[name.strip().casefold()] = value.strip().casefold() if option == "--channel" else value
    return pairs


def export_calendar(
    file: Annotated[Path, typer.Argument(help="Where to write: plan.csv, plan.xlsx, plan.ics.")],
    kind: Format = "",
    from_time: Annotated[str, typer.Option("--from", help="Scheduled from this instant on: 2027-01-04T00:00:00Z")] = "",
    until_time: Annotated[str, typer.Option("--until", help="Scheduled before this instant.")] = "",
    channel: Annotated[str, typer.Option(help="Of this channel.")] = "",
    account: Annotated[str, typer.Option(help="For this account: its @handle or id.")] = "",
    time_zone: Annotated[str, typer.Option(help="Of another tool's file: its account's zone.")] = "",
    media_prefix: Annotated[str, typer.Option(help="Of another tool's file: the address of its media.")] = "",
) -> None:
    """Writes posts as a calendar that can be imported again, or taken to another tool."""
    with failures(as_json=False), options.api() as api:
        chosen = kind or {".xlsx": "xlsx", ".ics": "ics"}.get(file.suffix.casefold(), "csv")
        account_id = account
        if account.startswith("@"):
            handle = account[1:].casefold()
            found = [each for each in api.pages("/v1/accounts", "accounts") if each["handle"].casefold() == handle]
            if not found:
                raise typer.BadParameter(f"{account} is not connected.", param_hint="--account")
            account_id = found[0]["account_id"]
        written = api.download(
            "/v1/posts:export",
            file,
            format=chosen,
            from_time=from_time,
            until_time=until_time,
            channel=channel,
            account_id=account_id,
            time_zone=time_zone,
            media_prefix=media_prefix,
        )
        display.say(f"Written: {file} ({size(written)}).")
