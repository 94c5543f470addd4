"""What people see: tables on standard output, progress and faults on standard error, or one JSON document."""

from __future__ import annotations

import contextlib
import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from cli.client import ClientError, Refused

# A pipe has no width; lines are wrapped by whoever reads them.
_PIPE_WIDTH = 240

EXIT_ROWS_REFUSED = 1
EXIT_NOT_DONE = 3


def console(*, error: bool = False) -> Console:
    """A console that prints text as it is: no markup, no emoji names, no guessing of what to colour."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def printable(text: object) -> str:
    """Text that came from outside, with nothing in it that a terminal would obey."""
    return "".join(char if char == "\n" or not _steers(char) else f"\\u{ord(char):04x}" for char in str(text))


def _steers(char: str) -> bool:
    return unicodedata.category(char) == "Cc" or char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def first_line(text: str, limit: int = 60) -> str:
    """The beginning of a text, for a table."""
    line = next(iter(text.splitlines()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, whole: Sequence[str] = ()) -> None:
    """Prints a table. Columns named in `whole` are never broken: ids, times."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, no_wrap=column in whole, overflow="fold")
    for row in rows:
        shown.add_row(*(printable(cell) for cell in row))
    console().print(shown)


def times_table(times: Sequence[dict[str, Any]], columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints instants as clocks of one or two zones show them, beside other columns; then what is unusual in them."""
    zones = [times[0]["time_zone"], times[0]["other_time_zone"]] if times else []
    shown = [zone for zone in zones if zone]
    locals_ = [
        [_clock(each["local_time"]), *([_clock(each["other_local_time"])] if len(shown) > 1 else [])] for each in times
    ]
    table([*shown, *columns], [[*clocks, *row] for clocks, row in zip(locals_, rows, strict=True)], whole=shown)
    for warning in dict.fromkeys(each["warning"] for each in times if each["warning"]):
        note(printable(warning))


def _clock(local_time: str) -> str:
    """With its day, as people look for it; seconds only where there are some."""
    local = datetime.fromisoformat(local_time)
    return f"{local:%a %Y-%m-%d %H:%M:%S}" if local.second else f"{local:%a %Y-%m-%d %H:%M}"


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Prints names with values, one per line; empty values are left out."""
    kept = [(name, value) for name, value in pairs if value not in ("", None)]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        lines = printable(value).split("\n")
        say(f"{name:<{width}}  {lines[0]}")
        for line in lines[1:]:
            say(f"{'':<{width}}  {line}")


def say(text: str = "") -> None:
    """A line on standard output."""
    console().print(text, soft_wrap=True)


def note(text: str) -> None:
    """A line on standard error: progress, remarks."""
    console(error=True).print(text, soft_wrap=True)


def document(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def moment(text: str | None, zone: str = "") -> str:
    """An RFC 3339 instant as a clock shows it in a zone, by default this machine's."""
    if not text:
        return ""
    instant = datetime.fromisoformat(text)
    try:
        local = instant.astimezone(ZoneInfo(zone) if zone else None)
    except (ZoneInfoNotFoundError, ValueError):
        local = instant
    return f"{local:%Y-%m-%d %H:%M:%S}"


def money(amount: dict[str, Any] | None) -> str:
    """An amount with its currency: `12.30 USD`; empty for none."""
    return f"{amount['amount']} {amount['currency']}" if amount else ""


def size(number: int) -> str:
    """Bytes for people, in powers of a thousand."""
    amount = float(number)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def span(seconds: int | None) -> str:
    """Seconds for people, in the largest unit that is whole: `90 min`, `6 h`; empty for none."""
    if seconds is None:
        return ""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 row`, `2 rows`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


@contextlib.contextmanager
def failures(*, as_json: bool = False) -> Iterator[None]:
    """Turns what went wrong into words and an exit code: 3 for what was not done."""
    try:
        yield
    except ClientError as error:
        if as_json:
            document({"error": failure(error)})
        tell(error)
        raise typer.Exit(EXIT_NOT_DONE) from None


def failure(error: ClientError) -> dict[str, Any]:
    """A fault for programs."""
    told: dict[str, Any] = {"message": error.message, "advice": error.advice}
    if isinstance(error, Refused):
        fields = [
            {"field": each.field, "reason": each.reason, "description": each.description} for each in error.violations
        ]
        told |= {"status": error.status, "reason": error.reason, "request_id": error.request_id, "fields": fields}
    return told


def tell(error: ClientError) -> None:
    """A fault for people: title, detail, the fields, and what to do."""
    if isinstance(error, Refused):
        note(f"{printable(error.title)} ({printable(error.reason or error.status)})")
    fields = [f"{each.field}: {each.description}" for each in error.violations] if isinstance(error, Refused) else []
    # The detail of a single field at fault is that field's description once more.
    if len(fields) != 1 or not isinstance(error, Refused) or error.violations[0].description not in error.message:
        note(printable(error.message))
    for field in fields:
        note(printable(field))
    if error.advice:
        note(error.advice)
    if isinstance(error, Refused) and error.status >= 500 and error.request_id:
        note(f"Request id, for the log: {printable(error.request_id)}")


def progress(*, in_bytes: bool = False) -> Progress:
    """A bar on standard error; nothing at all where that is no terminal."""
    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    shown = console(error=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        amount,
        console=shown,
        transient=True,
        disable=not shown.is_terminal,
    )
