"""The files of other tools: Hootsuite, Buffer, Publer, Metricool.

None of them has a column for the account or the zone: one file is for one profile, and the sender says which. Their
media are web addresses, whose path names the file; no address is ever opened. Columns are found by name, whatever their
case and order, as exporters in the wild leave some out and add others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from services.gateway.calendars.entries import CELLS, NotACalendar, Problem, ReadOptions, Row
from services.gateway.calendars.headers import plain
from services.gateway.calendars.rows import is_media_address
from services.gateway.calendars.tables import Table

HOOTSUITE = ("when", "text", "link")  # by these names to us: its files have no header
BUFFER = ("Text", "Image URL", "Tags", "Posting Time")
PUBLER = (
    "Date - Intl. format or prompt",
    "Text",
    "Link(s) - Separated by comma for FB carousels",
    "Media URL(s) - Separated by comma",
    "Title - For the video, pin, PDF ..",
    "Label(s) - Separated by comma",
    "Alt text(s) - Separated by ||",
    "Comment(s) - Separated by ||",
    "Pin board, FB album, or Google category",
    "Post subtype - I.e. story, reel, PDF ..",
    "CTA - For Facebook links or Google",
    "Reminder - For stories, reels, shorts, and TikToks",
)
# As Metricool's own template of 2026 has them.
METRICOOL = (
    *("Text", "Date", "Time", "Draft", "Facebook", "Twitter/X", "LinkedIn", "GBP", "Instagram", "Pinterest", "TikTok"),
    *("Youtube", "Threads", "Bluesky"),
    *(f"Picture Url {number}" for number in range(1, 11)),
    *(f"Alt text picture {number}" for number in range(1, 11)),
    *("Document title", "Shortener", "Video Thumbnail Url", "Video Cover Frame", "Twitter/X Can reply"),
    *("Twitter/X Type", "Twitter/X Poll Duration minutes"),
    *(f"Twitter/X Poll Option {number}" for number in range(1, 5)),
    *("Pinterest Board", "Pinterest Pin Title", "Pinterest Pin Link", "Pinterest Pin New Format"),
    *("Instagram Post Type", "Instagram Show Reel On Feed", "Youtube Video Title", "Youtube Video Type"),
    *("Youtube Video Privacy", "Youtube video for kids", "Youtube Video Category", "Youtube Video Tags"),
    *("Youtube playlist", "GBP Post Type", "Facebook Post Type", "Facebook Title", "First Comment Text"),
    *("TikTok Title", "TikTok disable comments", "TikTok disable duet", "TikTok disable stitch"),
    *("TikTok Post Privacy", "TikTok Branded Content", "TikTok Your Brand", "TikTok Auto Add Music"),
    *("TikTok Photo Cover Index", "TikTok musicId", "TikTok music title", "TikTok music author"),
    *("TikTok music previewUrl", "TikTok music thumbnailUrl", "TikTok music soundVolume"),
    *("TikTok music originalVolume", "TikTok music startMillis", "TikTok music endMillis"),
    *("TikTok is AI generated content", "LinkedIn Type", "LinkedIn Poll Question"),
    *(f"LinkedIn Poll Option {number}" for number in range(1, 5)),
    *("LinkedIn Poll Duration", "LinkedIn Show link preview", "LinkedIn Images as Carousel"),
    *("Threads Reply Control", "Threads Is Spoiler", "Threads Post Type"),
)

_MOMENT = re.compile(r"(\S+?)(?:T|\s+)([0-9].*)")
_DATE_AND_TIME = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(T|\s+)[0-9]{1,2}:[0-9]{2}.*")
_HOOTSUITE_WHEN = ("date", "date_time", "datetime", "date_and_time", "schedule_date", "scheduled_time", "post_time")
_HOOTSUITE_TEXT = ("message", "text", "post_text")
_HOOTSUITE_LINK = ("link", "url", "link_url", "image_url", "media_url")
_PICTURES = tuple(f"picture_url_{number}" for number in range(1, 11))
_PHOTOS = (".jpg", ".jpeg", ".webp")
_TITLE_CHARACTERS = 90
_NOT_KEPT = ("First Comment Text", "TikTok musicId", "Video Thumbnail Url")
_YES = ("true", "yes", "1", "y")

Cells = Callable[[str], str]


def recognised(table: Table) -> str:
    """The tool that wrote a table, by its header; empty for none of them."""
    cells = table.first[0][1]
    names = {plain(cell) for cell in cells}
    if {"text", "posting_time"} <= names:
        return "buffer"
    if any(name.startswith("media_url(s)") for name in names) and any(name.startswith("date") for name in names):
        return "publer"
    if {"text", "date", "time"} <= names and names & {"tiktok", "picture_url_1"}:
        return "metricool"
    if _DATE_AND_TIME.fullmatch(cells[0].strip()) and 2 <= len(cells) <= 7:
        return "hootsuite"
    return "hootsuite" if "message" in names and names & set(_HOOTSUITE_WHEN) else ""


def rows(tool: str, table: Table, options: ReadOptions) -> tuple[Iterator[Row], int]:
    """The rows of a tool's file in our own columns, and how many. Raises NotACalendar.

    account_missing, timezone_missing: the sender says these. columns_unknown: it is no file of that tool.
    """
    for name, value, example in (
        ("account", options.account, "account=@emberfold.air"),
        ("timezone", options.time_zone, "time_zone=America/New_York"),
    ):
        if not value:
            message = f"A file of {tool.title()} has no {name}: it is for one profile. Say {example}."
            raise NotACalendar(f"{name}_missing", message)
    first = [plain(cell) for cell in table.first[0][1]]
    names = _hootsuite_names(first, table) if tool == "hootsuite" else first
    has_header = names is first
    if missing := [name for name in _NEEDED[tool] if not any(_same(each, name) for each in names)]:
        message = f"A file of {tool.title()} has the columns {', '.join(missing)}; they are not in this one."
        raise NotACalendar("columns_unknown", message, table.first[0][0])
    return _rows(tool, table, names, has_header=has_header), table.count - has_header


_NEEDED = {
    "hootsuite": HOOTSUITE,
    "buffer": ("text", "posting_time"),
    "publer": ("date", "text", "media_url(s)"),
    "metricool": ("text", "date", "time"),
}


def _same(theirs: str, name: str) -> bool:
    # Publer explains its columns in their names: "Date - Intl. format or prompt".
    return theirs == name or theirs.startswith(f"{name}_")


def _hootsuite_names(first: list[str], table: Table) -> list[str]:
    """Hootsuite's own files have no header; exporters write one."""
    if _DATE_AND_TIME.fullmatch(table.first[0][1][0].strip()):
        return [*HOOTSUITE]
    ours = {"when": _HOOTSUITE_WHEN, "text": _HOOTSUITE_TEXT, "link": _HOOTSUITE_LINK}
    for name, theirs in ours.items():
        place = next((place for place, each in enumerate(first) if each in theirs), -1)
        if place >= 0:
            first[place] = name
    return first


def _rows(tool: str, table: Table, names: Sequence[str], *, has_header: bool) -> Iterator[Row]:
    read = {"hootsuite": _hootsuite, "buffer": _buffer, "publer": _publer, "metricool": _metricool}[tool]
    width = max(len(names), 7) if not has_header else len(names)
    for line, cells in table.records(1 if has_header else 0):
        if any(cell.strip() for cell in cells[width:]):
            message = (
                f"The row has {len(cells)} cells, the header {width}. A cell with the separator in it needs quotes."
            )
            yield Row(line, ("",) * len(CELLS), (Problem("*", "too_many_columns", message),), is_certain=False)
            continue
        values = dict(zip(reversed(names), reversed(_padded(cells, len(names))), strict=True))
        yield read(line, lambda name, values=values: _value(values, name))  # type: ignore[misc]


def _padded(cells: list[str], width: int) -> list[str]:
    return [*cells, *[""] * (width - len(cells))][:width]


def _value(values: dict[str, str], name: str) -> str:
    if name in values:
        return values[name]
    return next((value for each, value in values.items() if _same(each, name)), "")


def _row(line: int, problems: list[Problem], not_kept: Sequence[str] = (), **cells: str) -> Row:
    warnings: tuple[Problem, ...] = ()
    if not_kept:
        warnings = (Problem("*", "not_kept", f"A post has no place for: {', '.join(not_kept)}."),)
    return Row(line, tuple(cells.get(name, "") for name in CELLS), tuple(problems), warnings)


def _moment(text: str) -> tuple[str, str]:
    """Date and time of a cell that has both."""
    text = text.strip()
    parts = _MOMENT.fullmatch(text)
    return (parts[1], parts[2]) if parts else (text, "")


def _hootsuite(line: int, cells: Cells) -> Row:
    day, clock = _moment(cells("when"))
    link = cells("link").strip()
    problems = []
    if link and not is_media_address(link):
        message = f"The link {link[:200]} is no picture or video, and a post of ours has no link. Name its file."
        problems.append(Problem("media", "media_missing", message))
    return _row(line, problems, local_date=day, local_time=clock, caption=cells("text"), media=link)


def _buffer(line: int, cells: Cells) -> Row:
    day, clock = _moment(cells("posting_time"))
    media = "|".join(re.split(r"[\s,]+(?=https?://)", cells("image_url").strip()))
    return _row(line, [], local_date=day, local_time=clock, caption=cells("text"), media=media)


def _publer(line: int, cells: Cells) -> Row:
    day, clock = _moment(cells("date"))
    problems = []
    if not day:
        # Where an import can put posts into the queue of a channel, this is a post for it.
        message = "An empty date means the next free slot in Publer. Give a date and a time: 2027-02-10 18:30"
        problems.append(Problem("local_date", "date_missing", message))
    if cells("reminder").strip().casefold() in _YES:
        problems.append(_draft("The row only asks for a reminder to post by hand."))
    media = "|".join(each.strip() for each in cells("media_url(s)").split(",")) if cells("media_url(s)").strip() else ""
    not_kept = [name for name in ("Comment(s)", "Link(s)") if cells(plain(name)).strip()]
    return _row(line, problems, not_kept, local_date=day, local_time=clock, caption=cells("text"), media=media)


def _metricool(line: int, cells: Cells) -> Row:
    problems = []
    if _is_yes(cells("draft")):
        problems.append(_draft("The row is a draft."))
    if cells("tiktok").strip() and not _is_yes(cells("tiktok")):
        problems.append(Problem("*", "other_network", "The row is not for TikTok. Set its column TikTok to TRUE."))
    pictures = [cells(name).strip() for name in _PICTURES]
    not_kept = [name for name in _NOT_KEPT if cells(plain(name)).strip()]
    title = cells("tiktok_title").strip()
    has_photos = any(each.casefold().endswith(_PHOTOS) for each in pictures)
    # Metricool itself makes the title of a text's beginning.
    is_own_title = bool(title) and not cells("text").startswith(title)
    if is_own_title and not has_photos:
        not_kept.append("TikTok Title")
    cover = cells("tiktok_photo_cover_index").strip()
    choices = {
        "privacy_level": cells("tiktok_post_privacy"),
        "allow_comment": _opposite(cells("tiktok_disable_comments")),
        "allow_duet": _opposite(cells("tiktok_disable_duet")),
        "allow_stitch": _opposite(cells("tiktok_disable_stitch")),
        "branded_content": cells("tiktok_branded_content"),
        "brand_organic": cells("tiktok_your_brand"),
        "is_ai_generated": cells("tiktok_is_ai_generated_content"),
        "auto_add_music": "TRUE" if _is_yes(cells("tiktok_auto_add_music")) else "",
        "photo_cover_index": "" if cover == "0" else cover,
        "photo_title": title[:_TITLE_CHARACTERS] if is_own_title and has_photos else "",
    }
    return _row(
        line,
        problems,
        not_kept,
        local_date=cells("date"),
        local_time=cells("time"),
        caption=cells("text"),
        media="|".join(each for each in pictures if each),
        **choices,
    )


def _draft(sentence: str) -> Problem:
    return Problem("*", "draft_not_supported", f"{sentence} Here a post in the plan goes out: take the mark away.")


def _is_yes(cell: str) -> bool:
    return cell.strip().casefold() in _YES


def _opposite(cell: str) -> str:
    word = cell.strip().casefold()
    return "FALSE" if word in _YES else "TRUE" if word in ("false", "no", "0", "n") else cell
