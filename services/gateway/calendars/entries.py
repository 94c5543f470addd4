"""The words that all formats share: rows of a file, what they mean, what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

FORMATS = ("csv", "hootsuite", "buffer", "publer", "metricool", "xlsx", "ics")
# The columns that people fill in, then those that keep the author's choices of a post that is written and read again.
COLUMNS = (
    "ref",
    "local_date",
    "local_time",
    "timezone",
    "channel",
    "account",
    "caption",
    "hashtags",
    "media",
    "product_skus",
    "notes",
)
CHOICES = (
    "ambiguous_time",
    "privacy_level",
    "allow_comment",
    "allow_duet",
    "allow_stitch",
    "brand_organic",
    "branded_content",
    "is_ai_generated",
    "auto_add_music",
    "cover_time_ms",
    "photo_cover_index",
    "photo_title",
    "post_mode",
    "music_usage_confirm_time",
)
FLAGS = CHOICES[2:9]
CELLS = COLUMNS + CHOICES
# Written for people; read by nobody.
REPORTED = ("state", "post_id", "url")

# A hundred thousand posts are some 50 MB; more is another kind of file.
MAX_BYTES = 64 * 1024 * 1024
MAX_ROWS = 200_000

AmbiguousTime = Literal["", "EARLIER", "LATER"]
DateOrder = Literal["", "dmy", "mdy", "ymd"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row is not taken, or what is odd about it. `field` is our name of the column, or * for the whole row."""

    field: str
    reason: str
    message: str


class NotACalendar(Exception):
    """The file as a whole cannot be read as a calendar. `line` is where that shows, 0 where it shows nowhere."""

    def __init__(self, reason: str, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.reason, self.message, self.line = reason, message, line


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the sender of a file says of it. Nothing of it is guessed where the file does not say it for certain.

    `format` is one of FORMATS, empty: recognised by content. `columns` says how the file calls our columns where it
    calls them otherwise. `account` (handles, separated by |), `time_zone` and `channel` hold for rows that name none.
    `ambiguous_time` decides times that a clock shows twice. `sheet` is a workbook's; `include_hidden` takes its hidden
    and struck-through rows too.
    """

    format: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    time_zone: str = ""
    channel: str = ""
    encoding: str = ""
    delimiter: str = ""
    date_order: DateOrder = ""
    ambiguous_time: AmbiguousTime = ""
    sheet: str = ""
    include_hidden: bool = False


@dataclass(frozen=True, slots=True)
class TikTokChoices:
    """What the author of a post chose, named as in REST. None: the row does not say."""

    privacy_level: str | None = None
    allow_comment: bool | None = None
    allow_duet: bool | None = None
    allow_stitch: bool | None = None
    brand_organic: bool | None = None
    branded_content: bool | None = None
    is_ai_generated: bool | None = None
    cover_time_ms: int | None = None
    auto_add_music: bool | None = None
    photo_cover_index: int | None = None
    photo_title: str | None = None
    post_mode: str | None = None
    music_usage_confirm_time: datetime | None = None


NOTHING_CHOSEN = TikTokChoices()


class Row(NamedTuple):
    """One row in our terms: a text for each of CELLS. `line` is where a person finds it: the file's, the sheet's.

    When `is_certain` is false, which cell is which is unknown, and nothing is said of them.
    """

    line: int
    cells: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """A row understood. `instant` is None when date, time or zone are at fault; `text` is what would be posted."""

    line: int
    ref: str
    channel: str
    accounts: tuple[str, ...]  # handles without @, lower case
    local_time: str  # YYYY-MM-DDTHH:MM:SS
    time_zone: str
    instant: datetime | None
    ambiguous_time: AmbiguousTime  # said only of a time that comes twice
    text: str
    media: tuple[str, ...]  # names, or the path of an address
    skus: tuple[str, ...]
    tiktok: TikTokChoices
    notes: str
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """A file that can be read. Its entries are made while they are taken, once, in the file's order.

    `row_count` is how many there will be: exact for text, roughly for workbooks and recurring events.
    """

    format: str
    entries: Iterator[Entry]
    row_count: int
    unknown_columns: tuple[str, ...] = ()
