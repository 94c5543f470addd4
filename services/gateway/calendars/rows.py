"""What a row means, and what is wrong with it. The same for every format, once its cells stand in our order.

A calendar has up to 200,000 rows of which most cells repeat, and nearly all are right. So each kind of cell is
understood by a function that remembers, and the usual row takes the short way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from services.gateway.calendars import captions
from services.gateway.calendars.entries import (
    CHOICES,
    COLUMNS,
    FLAGS,
    NOTHING_CHOSEN,
    AmbiguousTime,
    Entry,
    Problem,
    ReadOptions,
    Row,
    TikTokChoices,
)
from services.gateway.calendars.times import date_of, instant_of, misplaced, time_of, zone_of

MAX_FILES = 35  # of a post
REF_LENGTH = 100

_ONE_LINE = ("ref", "local_date", "local_time", "timezone", "channel", "account", "media", "product_skus")
_ONE_LINE_PLACES = tuple((name, COLUMNS.index(name)) for name in _ONE_LINE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CHANNEL = re.compile(r"([a-z0-9][a-z0-9_-]{0,63})?")
_DRIVE = re.compile(r"[A-Za-z]:")
_MEDIA_ENDINGS = (".mp4", ".mov", ".webm", ".m4v", ".jpg", ".jpeg", ".png", ".webp", ".gif", ".avi", ".mkv")
_YES, _NO = ("true", "yes", "1", "y"), ("false", "no", "0", "n")
_NO_CHOICES = ("",) * len(CHOICES)
_TITLE_CHARACTERS, _LAST_PHOTO = 90, 34
_PRIVACY = MappingProxyType(
    {
        "public": "PUBLIC_TO_EVERYONE",
        "everyone": "PUBLIC_TO_EVERYONE",
        "public_to_everyone": "PUBLIC_TO_EVERYONE",
        "friends": "MUTUAL_FOLLOW_FRIENDS",
        "mutual_follow_friends": "MUTUAL_FOLLOW_FRIENDS",
        "followers": "FOLLOWER_OF_CREATOR",
        "follower_of_creator": "FOLLOWER_OF_CREATOR",
        "private": "SELF_ONLY",
        "only_me": "SELF_ONLY",
        "self_only": "SELF_ONLY",
    }
)


def understand(rows: Iterable[Row], options: ReadOptions, *, now: datetime, addresses: bool = False) -> Iterator[Entry]:
    """An entry for each row. `addresses`: media are web addresses, of which the path counts; none is ever opened."""
    # Of what was there before only a hash is kept, and its line: the file may be long.
    lines: dict[int, int] = {}
    for row in rows:
        entry, problems = _entry(row, options, now, addresses)
        # A ref is the row's own key, however often it is imported: no two rows can have one.
        if entry.ref and (first := lines.setdefault(hash(entry.ref), row.line)) != row.line:
            message = f"Line {first} has the same ref. One post for several accounts names them in one row: @a|@b"
            problems.append(Problem("ref", "ref_repeated", message))
        if entry.instant is not None and entry.media:
            for account in entry.accounts:
                same = hash((account, entry.instant, entry.text, entry.media))
                if (first := lines.setdefault(same, row.line)) != row.line:
                    message = f"Same account, time, text and media as line {first}. Remove one of them."
                    problems.append(Problem("*", "duplicate_row", message))
                    break
        yield entry if not problems else _with(entry, problems)


def _with(entry: Entry, problems: list[Problem]) -> Entry:
    return Entry(
        entry.line,
        entry.ref,
        entry.channel,
        entry.accounts,
        entry.local_time,
        entry.time_zone,
        entry.instant,
        entry.ambiguous_time,
        entry.text,
        entry.media,
        entry.skus,
        entry.tiktok,
        entry.notes,
        tuple(dict.fromkeys(problems)),
        entry.warnings,
    )


def _entry(row: Row, options: ReadOptions, now: datetime, addresses: bool) -> tuple[Entry, list[Problem]]:
    """The entry without its problems, and these."""
    ref, day, clock, zone, channel, account, caption, hashtags, media, skus, notes, *choices = row.cells
    problems, warnings = list(row.problems), list(row.warnings)
    if not row.is_certain:
        blank = Entry(row.line, ref.strip(), "", (), "", "", None, "", "", (), (), NOTHING_CHOSEN, "", (), ())
        return blank, problems
    broken: frozenset[str] | set[str] = frozenset()
    # isprintable is a quick test that is too strict: no control character passes it.
    if not f"{ref}{day}{clock}{zone}{channel}{account}{media}{skus}".isprintable():
        broken = {name for name, place in _ONE_LINE_PLACES if _CONTROL.search(row.cells[place].strip())}
        problems += [
            Problem(name, "field_embedded_newline", "There is a line break or control character inside the cell.")
            for name in _ONE_LINE
            if name in broken
        ]
    ref, zone = ref.strip(), zone.strip() or options.time_zone
    if len(ref) > REF_LENGTH:
        problems.append(Problem("ref", "ref_too_long", f"A ref has at most {REF_LENGTH} characters."))
    chosen: TikTokChoices = NOTHING_CHOSEN
    choice: AmbiguousTime = options.ambiguous_time
    if tuple(choices) != _NO_CHOICES:
        own, chosen, wrong = _choices(tuple(choices))
        choice = own or choice
        problems += wrong
    local_time, instant, choice = _when(day.strip(), clock.strip(), zone, choice, options, now, broken, problems)
    accounts = _accounts(account.strip() or options.account)
    if isinstance(accounts, Problem):
        problems.append(accounts)
        accounts = ()
    channel = channel.strip().casefold() or options.channel.casefold()
    if "channel" not in broken and not _CHANNEL.fullmatch(channel):
        problems.append(Problem("channel", "channel_unknown", "A channel has letters, digits, - and _: air"))
    if "\r" in caption:
        caption = caption.replace("\r\n", "\n").replace("\r", "\n")
    text = captions.text(caption, hashtags.strip(), problems, warnings)
    if notes and captions.is_formula(notes):
        warnings.append(Problem("notes", "csv_injection", "A spreadsheet would run this as a formula."))
    names: tuple[str, ...] = ()
    if "media" not in broken:
        names, wrong = _media(media.strip(), addresses)
        problems += wrong
    if row.problems:
        # What the file itself says against a cell is why it is empty; nothing else is said of it.
        told = {each.field for each in row.problems}
        problems = [*row.problems, *(each for each in problems if each.field not in told)]
    entry = Entry(
        row.line,
        ref,
        channel,
        accounts,
        local_time,
        zone,
        instant,
        choice,
        text,
        names,
        _skus(skus) if skus else (),
        chosen,
        notes,
        (),
        tuple(warnings),
    )
    return entry, problems


def _when(
    day_cell: str,
    clock_cell: str,
    zone_cell: str,
    choice: AmbiguousTime,
    options: ReadOptions,
    now: datetime,
    broken: frozenset[str] | set[str],
    problems: list[Problem],
) -> tuple[str, datetime | None, AmbiguousTime]:
    """Wall-clock time, instant, and the choice if it took one. Adds what is wrong to `problems`."""
    day, clock, zone = date_of(day_cell, options.date_order), time_of(clock_cell), zone_of(zone_cell)
    if isinstance(day, Problem) or isinstance(clock, Problem) or isinstance(zone, Problem):
        problems += [part for part in (day, clock, zone) if isinstance(part, Problem) and part.field not in broken]
        return "", None, ""
    local_time = f"{day.isoformat()}T{clock.isoformat()}"
    instant, taken = instant_of(day, clock, zone, choice)
    if isinstance(instant, Problem):
        problems.append(instant)
        return local_time, None, ""
    if wrong := misplaced(instant, now):
        problems.append(wrong)
    return local_time, instant, taken


@lru_cache(maxsize=4096)
def _accounts(cell: str) -> tuple[str, ...] | Problem:
    handles = (each.strip().removeprefix("@").casefold() for each in cell.split("|"))
    accounts = tuple(dict.fromkeys(each for each in handles if each))
    return accounts or Problem("account", "account_missing", "Name the account: @emberfold.air")


@lru_cache(maxsize=4096)
def _skus(cell: str) -> tuple[str, ...]:
    return tuple(sku.strip() for sku in cell.split("|") if sku.strip())


@lru_cache(maxsize=8192)
def _media(cell: str, addresses: bool) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    names = tuple(name.strip() for name in cell.split("|"))
    if not all(names):
        return (), (Problem("media", "media_empty", "Name a video, or pictures separated by |"),)
    problems: list[Problem] = []
    if addresses:
        names = tuple(_path(name) for name in names)
    if len(names) > MAX_FILES:
        problems.append(Problem("media", "media_too_many", f"{len(names)} files; a post has at most {MAX_FILES}."))
    for name in names:
        if "://" in name or name.casefold().startswith(("data:", "file:", "www.")):
            message = f"{name}: addresses are not opened. Upload the file, and name it."
            problems.append(Problem("media", "media_url_not_allowed", message))
        elif name.startswith(("/", "~")) or "\\" in name or _DRIVE.match(name) or ".." in name.split("/"):
            message = f"{name}: only names of files below the media folder are taken."
            problems.append(Problem("media", "media_path_not_allowed", message))
    return names, tuple(problems)


def _path(address: str) -> str:
    """The path of a web address, which names the file; another text as it is."""
    if not address.casefold().startswith(("https://", "http://")):
        return address
    try:
        path = unquote(urlsplit(address).path, errors="strict")
    except ValueError:
        return address
    return path.lstrip("/") if path.strip("/") else address


def is_media_address(address: str) -> bool:
    """Whether a link leads to a picture or a video, by the end of its path."""
    return _path(address.strip()).casefold().endswith(_MEDIA_ENDINGS)


@lru_cache(maxsize=1024)
def _choices(cells: tuple[str, ...]) -> tuple[AmbiguousTime, TikTokChoices, tuple[Problem, ...]]:
    said = {name: cell.strip() for name, cell in zip(CHOICES, cells, strict=True)}
    problems: list[Problem] = []
    word = said["ambiguous_time"].upper()
    ambiguous: AmbiguousTime = "EARLIER" if word == "EARLIER" else "LATER" if word == "LATER" else ""
    if word != ambiguous:
        problems.append(Problem("ambiguous_time", "choice_unknown", "Write EARLIER or LATER, or leave it empty."))
    privacy = said["privacy_level"]
    level = _PRIVACY.get(re.sub(r"[\s-]+", "_", privacy.casefold())) if privacy else None
    if privacy and not level:
        levels = ", ".join(dict.fromkeys(_PRIVACY.values()))
        problems.append(Problem("privacy_level", "choice_unknown", f"{privacy[:40]} is none of {levels}."))
    flags: dict[str, bool | None] = {}
    for name in FLAGS:
        word = said[name].casefold()
        flags[name] = True if word in _YES else False if word in _NO else None
        if word and flags[name] is None:
            problems.append(Problem(name, "choice_unknown", f"{said[name][:40]}: write TRUE or FALSE."))
    numbers: dict[str, Any] = {}
    for name, what in (("cover_time_ms", "milliseconds, 1500"), ("photo_cover_index", "the cover's place, 0 to 34")):
        is_number = re.fullmatch(r"[0-9]{1,9}", said[name]) and (
            name == "cover_time_ms" or int(said[name]) <= _LAST_PHOTO
        )
        numbers[name] = int(said[name]) if is_number else None
        if said[name] and not is_number:
            problems.append(Problem(name, "choice_unknown", f"{said[name][:40]}: write {what}."))
    mode = said["post_mode"].upper()
    if mode not in ("", "DIRECT_POST", "MEDIA_UPLOAD"):
        problems.append(Problem("post_mode", "choice_unknown", "Write DIRECT_POST or MEDIA_UPLOAD, or leave it empty."))
        mode = ""
    title = said["photo_title"]
    if len(title) > _TITLE_CHARACTERS:
        problems.append(Problem("photo_title", "choice_unknown", f"Write at most {_TITLE_CHARACTERS} characters."))
        title = ""
    chosen = TikTokChoices(
        privacy_level=level,
        photo_title=title or None,
        post_mode=mode or None,
        music_usage_confirm_time=_agreed(said["music_usage_confirm_time"], problems),
        **numbers,
        **flags,
    )
    return ambiguous, chosen, tuple(problems)


def _agreed(cell: str, problems: list[Problem]) -> datetime | None:
    try:
        time = datetime.fromisoformat(cell) if cell else None
    except ValueError:
        time = None
    if not cell or (time is not None and time.tzinfo is not None):
        return time
    text = f"{cell[:40]}: write the instant with its zone, 2027-01-04T17:00:00Z."
    problems.append(Problem("music_usage_confirm_time", "choice_unknown", text))
    return None
