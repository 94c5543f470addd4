"""What a row of a calendar means, and what is wrong with it. Pure: no files, no network, the clock is an argument.

The zone rules are those of the scheduler: only IANA names know when clocks change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cli import captions
from cli.calendar import Problem, Row

MAX_FILES = 35  # of a post
# As the scheduler: a plan further ahead is more likely a slip in the year than a plan.
FARTHEST = timedelta(days=2 * 366)

_ONE_LINE = ("ref", "local_date", "local_time", "timezone", "channel", "account", "media", "product_skus")
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row understood. `instant` is None when date, time or zone are at fault; `text` is what would be posted."""

    line: int
    ref: str
    channel: str
    account: str  # a handle without @, lower case
    local_time: str  # YYYY-MM-DDTHH:MM:SS
    time_zone: str
    instant: datetime | None
    ambiguous: bool
    text: str
    media: tuple[str, ...]
    skus: tuple[str, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def understand(rows: Iterable[Row], *, now: datetime, ambiguous_time: str = "") -> list[Entry]:
    """One entry for each row. `ambiguous_time`, EARLIER or LATER, decides times that a clock shows twice."""
    entries: list[Entry] = []
    seen: dict[tuple[object, ...], Entry] = {}
    for row in rows:
        entry = _entry(row, now, ambiguous_time)
        if entry.instant is not None and entry.media:
            first = seen.setdefault((entry.account, entry.instant, entry.text, entry.media), entry)
            if first is not entry:
                message = f"Same account, time, text and media as line {first.line}. Remove one of them."
                entry = replace(entry, problems=(*entry.problems, Problem("*", "duplicate_row", message)))
        entries.append(entry)
    return entries


def _entry(row: Row, now: datetime, ambiguous_time: str) -> Entry:
    cells = {name: cell if name in ("caption", "notes") else cell.strip() for name, cell in row.cells.items()}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    blank = Entry(row.line, cells["ref"], "", "", "", "", None, False, "", (), (), (), ())
    if row.problem:
        # Which cell is which is unknown; anything said of them would mislead.
        return replace(blank, problems=(row.problem,))
    broken = {name for name in _ONE_LINE if re.search(r"[\x00-\x1f\x7f]", cells[name])}
    problems += [
        Problem(name, "field_embedded_newline", "There is a line break or control character inside the cell.")
        for name in _ONE_LINE
        if name in broken
    ]
    local, instant, ambiguous = _when(cells, broken, now, ambiguous_time, problems)
    if not cells["account"]:
        problems.append(Problem("account", "account_missing", "Name the account: @emberfold.air"))
    channel = cells["channel"].casefold()
    if "channel" not in broken and not re.fullmatch(r"([a-z0-9][a-z0-9_-]{0,63})?", channel):
        problems.append(Problem("channel", "channel_unknown", "A channel has letters, digits, - and _: air"))
    text = captions.text(cells["caption"], cells["hashtags"], problems, warnings)
    if captions.is_formula(cells["notes"]):
        warnings.append(Problem("notes", "csv_injection", "A spreadsheet would run this as a formula."))
    media = _media(cells["media"], problems) if "media" not in broken else ()
    return replace(
        blank,
        channel=channel,
        account=cells["account"].removeprefix("@").casefold(),
        local_time=local.isoformat() if local else "",
        time_zone=cells["timezone"],
        instant=instant,
        ambiguous=ambiguous,
        text=text,
        media=media,
        skus=tuple(sku.strip() for sku in cells["product_skus"].split("|") if sku.strip()),
        problems=tuple(problems),
        warnings=tuple(warnings),
    )


def _when(
    cells: dict[str, str], broken: set[str], now: datetime, ambiguous_time: str, problems: list[Problem]
) -> tuple[datetime | None, datetime | None, bool]:
    """Wall-clock time, instant, and whether that time comes twice. Adds what is wrong to `problems`."""
    day, clock, zone = _date(cells["local_date"]), _time(cells["local_time"]), _zone(cells["timezone"])
    problems += [part for part in (day, clock, zone) if isinstance(part, Problem) and part.field not in broken]
    if isinstance(day, Problem) or isinstance(clock, Problem) or isinstance(zone, Problem):
        return None, None, False
    local = datetime.combine(day, clock)
    instant, ambiguous = _instant(local, zone, ambiguous_time, problems)
    if instant is None:
        return local, None, ambiguous
    if instant < now:
        problems.append(Problem("local_date", "time_in_past", f"That was {_utc(instant)}, which is over."))
    elif instant > now + FARTHEST:
        problems.append(Problem("local_date", "date_too_far", "More than two years ahead. Is the year right?"))
    return local, instant, ambiguous


def _date(text: str) -> date | Problem:
    if not text:
        return Problem("local_date", "date_missing", "Give the date: 2027-02-10")
    if re.fullmatch(r"[0-9]{5}(\.[0-9]+)?", text):
        meant = date(1899, 12, 30) + timedelta(days=int(text[:5]))
        return Problem(
            "local_date",
            "date_excel_serial",
            f"{text} is a spreadsheet's day number, perhaps {meant.isoformat()}. Format the column as text.",
        )
    if not text.isascii():
        return Problem(
            "local_date",
            "date_odd_characters",
            "There are unusual characters in the date, perhaps long hyphens. Type it again: 2027-02-10",
        )
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return Problem("local_date", "date_format", f"{text}: write year-month-day, 2027-02-10. Nothing is guessed.")
    try:
        return date.fromisoformat(text)
    except ValueError:
        return Problem("local_date", "date_invalid", f"There is no {text} in the calendar.")


def _time(text: str) -> time | Problem:
    if not text:
        return Problem("local_time", "time_missing", "Give the time: 18:30")
    if not (parts := re.fullmatch(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", text)):
        return Problem("local_time", "time_format", f"{text}: write hours and minutes of 24 hours, 18:30")
    try:
        return time(int(parts[1]), int(parts[2]), int(parts[3] or 0))
    except ValueError:
        return Problem("local_time", "time_invalid", f"{text} is no time of a day: 00:00 to 23:59.")


@cache
def _zones() -> frozenset[str]:
    return frozenset(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


def _zone(text: str) -> str | Problem:
    if not text:
        return Problem("timezone", "timezone_missing", "Name the zone of that time: Europe/Berlin")
    if text in _zones():
        return text
    if re.fullmatch(r"(UTC|GMT|Z)?\s*[+\-\u2212][0-9:.]+", text, re.IGNORECASE):
        return Problem(
            "timezone",
            "timezone_offset",
            f"{text} is an offset, right for part of the year at most. Name a place: America/New_York",
        )
    if re.fullmatch(r"[A-Za-z]{1,5}([0-9][A-Za-z]{0,4})?", text):
        return Problem(
            "timezone", "timezone_abbreviation", f"{text} means different things. Name a place: America/Los_Angeles"
        )
    near = difflib.get_close_matches(text.casefold(), {zone.casefold(): None for zone in _zones()}, n=1, cutoff=0.93)
    meant = next((zone for zone in _zones() if near and zone.casefold() == near[0]), "Europe/Berlin")
    return Problem("timezone", "timezone_unknown", f"{text} is no IANA time zone. Use a name like {meant}")


def _instant(
    local: datetime, zone_name: str, ambiguous_time: str, problems: list[Problem]
) -> tuple[datetime | None, bool]:
    zone = ZoneInfo(zone_name)
    try:
        earlier, later = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        problems.append(Problem("local_date", "date_invalid", "Outside of the calendar."))
        return None, False
    if earlier == later:
        return earlier, False
    # fold=0 reads the clock as before its change, fold=1 as after. Over a gap neither is ever on the wall.
    if earlier > later:
        instead = earlier.astimezone(zone).strftime("%H:%M:%S")
        problems.append(
            Problem(
                "local_time",
                "local_time_nonexistent",
                f"The clock of {zone_name} goes forward over that time on that day. Use {instead} or another time.",
            )
        )
        return None, False
    if not ambiguous_time:
        problems.append(
            Problem(
                "local_time",
                "local_time_ambiguous",
                f"The clock of {zone_name} goes back: {_utc(earlier)} or {_utc(later)}? Say --ambiguous-time EARLIER or"
                " LATER.",
            )
        )
        return None, True
    return earlier if ambiguous_time == "EARLIER" else later, True


def _media(cell: str, problems: list[Problem]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in cell.split("|"))
    if not all(names):
        problems.append(Problem("media", "media_empty", "Name a video, or pictures separated by |"))
        return ()
    if len(names) > MAX_FILES:
        problems.append(Problem("media", "media_too_many", f"{len(names)} files; a post has at most {MAX_FILES}."))
    for name in names:
        if "://" in name or name.casefold().startswith(("data:", "file:", "www.")):
            problems.append(
                Problem("media", "media_url_not_allowed", f"{name}: addresses are not opened. Put the file beside.")
            )
        elif name.startswith(("/", "~")) or "\\" in name or _DRIVE.match(name) or ".." in name.split("/"):
            problems.append(
                Problem("media", "media_path_not_allowed", f"{name}: only files below the media folder are taken.")
            )
    return names


def _utc(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC")
