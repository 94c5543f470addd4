"""`reelroute posts import`: what is asked, in which order, and what it ends with."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli import calendar, display, files, options, report
from cli.calendar import COLUMNS, NotACalendar
from cli.client import ClientError
from cli.display import count, failures, size
from cli.importing import Choices, Import, Status


def import_calendar(
    file: Annotated[Path, typer.Argument(help="A CSV file with one post per row.")],
    media: Annotated[
        Path | None, typer.Option(help="Where its media are. Else beside the file, in media/, or in ../media/.")
    ] = None,
    privacy: options.PrivacyLevel = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    ambiguous_time: options.Ambiguous = None,
    column: Annotated[
        list[str] | None, typer.Option(help="What the file calls a column: --column local_date=Date")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="An account that belongs to a channel: --channel fire=@emberfold.hot")
    ] = None,
    products: Annotated[Path | None, typer.Option(help="CSV with seller_sku, to check product_skus against.")] = None,
    allow_comment: options.AllowComment = False,
    allow_duet: options.AllowDuet = False,
    allow_stitch: options.AllowStitch = False,
    brand_organic: options.BrandOrganic = False,
    branded_content: options.BrandedContent = False,
    ai_generated: options.AiGenerated = False,
) -> None:
    """Schedules a calendar. Good rows are taken, bad ones reported; importing a file twice schedules nothing twice.

    Columns: local_date, local_time, timezone, account, caption, media; and ref, channel, hashtags, product_skus, notes.

    Exit code: 0 all rows taken, 1 some refused, 2 the file is no calendar, 3 not carried out.
    """
    with failures(as_json=as_json):
        names = _column_names(column or [])
        declared = [_channel_of(each) for each in channel or []]
        if products is not None and files.skus(products) is None:
            raise typer.BadParameter(f"{products} is no CSV file with a column seller_sku.", param_hint="--products")
        if media is not None and not media.is_dir():
            raise typer.BadParameter(f"{media} is no folder.", param_hint="--media")
        found = calendar.read(_bytes(file), names)
        choices = Choices(
            tiktok=options.tiktok(
                options.choose_privacy(privacy, as_json=as_json),
                allow_comment=allow_comment,
                allow_duet=allow_duet,
                allow_stitch=allow_stitch,
                brand_organic=brand_organic,
                branded_content=branded_content,
                ai_generated=ai_generated,
            ),
            folders=files.media_folders(file, media),
            products=products or files.products_file(file),
            ambiguous_time=ambiguous_time.value if ambiguous_time else "",
            declared=declared,
        )
        remarks = [f"Unknown columns, not read: {', '.join(found.unknown_columns)}."] if found.unknown_columns else []
        with options.api() as api:
            _run(Import(api, choices, now=datetime.now(UTC)), found, file, remarks, dry_run, yes, as_json)


def _run(
    work: Import, found: calendar.Calendar, file: Path, remarks: list[str], dry_run: bool, yes: bool, as_json: bool
) -> None:
    display.note(f"Checking {count(len(found.rows), 'row')} of {display.printable(file.name)}")
    work.check(found)
    upload_bytes = sum(each.size_bytes for each in work.uploads)
    error: ClientError | None = None
    try:
        if dry_run:
            work.rehearse()
        elif work.ready:
            refused = sum(line.status is Status.REFUSED for line in work.lines)
            already = sum(line.status is Status.ALREADY_IMPORTED for line in work.lines)
            uploads = f", upload {count(len(work.uploads), 'file')} ({size(upload_bytes)})" if work.uploads else ""
            # A script that imports means it: it cannot double anything, and what it schedules can be canceled.
            if not yes and options.may_ask(as_json=as_json):
                _show_doubts(work, remarks)
                question = f"Schedule {count(len(work.ready), 'post')}{uploads}"
                rest = f"{count(refused, 'row')} refused, {already} already imported"
                options.confirm(f"{question}; {rest}?", yes=False)
            work.carry_out()
    except ClientError as failed:
        error = failed
    if as_json:
        display.document(report.as_document(work, file.name, remarks, is_dry_run=dry_run, error=error))
    else:
        report.show(work, remarks, is_dry_run=dry_run)
    if error:
        display.tell(error)
        raise typer.Exit(display.EXIT_NOT_DONE)
    if any(line.status is Status.REFUSED for line in work.lines):
        raise typer.Exit(display.EXIT_ROWS_REFUSED)


def _show_doubts(work: Import, remarks: list[str]) -> None:
    """What a person should know before saying yes."""
    for remark in remarks:
        display.note(display.printable(remark))
    for line in work.lines:
        for each in [*line.problems, *line.warnings]:
            word = "refused" if each in line.problems else "warning"
            text = f"  line {line.entry.line} {line.entry.ref}: {word}: {each.field}: {each.message}"
            display.note(display.printable(text))


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(calendar.MAX_BYTES + 1)
    except OSError as error:
        if isinstance(error, IsADirectoryError):
            # Also what `make import` without FILE comes to.
            raise NotACalendar("file_unreadable", "Name the CSV file; with make: FILE=plan.csv.") from None
        raise NotACalendar("file_unreadable", f"{file} cannot be read: {error.strerror}.") from None


def _column_names(given: list[str]) -> dict[str, str]:
    names = {}
    for each in given:
        name, _, theirs = each.partition("=")
        if name not in COLUMNS or not theirs:
            raise typer.BadParameter(
                f"Write NAME=WHAT THE FILE CALLS IT, where NAME is one of {', '.join(COLUMNS)}.", param_hint="--column"
            )
        names[name] = theirs
    return names


def _channel_of(given: str) -> tuple[str, str]:
    if not (parts := re.fullmatch(r"([a-z0-9][a-z0-9_-]*)=@?([^\s=@]+)", given.casefold())):
        raise typer.BadParameter("Write CHANNEL=@HANDLE: fire=@emberfold.hot", param_hint="--channel")
    return parts[1], parts[2]
